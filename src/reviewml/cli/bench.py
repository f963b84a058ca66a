"""``reviewml bench``: how fast libraries are on this machine, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reviewml.cli import options
from reviewml.cli.output import print_answer
from reviewml.storage.temporary import create_temporary_folder

if TYPE_CHECKING:
    from reviewml.sources.files import Files

LABELS = ("detailed and helpful", "short and vague", "irrelevant or unclear")

POOL = 20
"""Texts that are looked at for each one that is classified, to have some of equal length."""


@click.group()
def bench() -> None:
    """Measure libraries side by side on this machine."""


def _split_names(_: click.Context, __: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [part.strip() for part in value.split(",") if part.strip()]


def _parse_sizes(ctx: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    parts = _split_names(ctx, parameter, value) or []
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} should be numbers with commas between, as 1,8,32.")
    return [int(part) for part in parts]


@bench.command()
@options.optional_data
@click.option("--text", metavar="COL", help="Column of text in DATA.")
@click.option("--model", metavar="NAME", help="NLI model on the Hugging Face hub, or a folder.")
@click.option("--revision", metavar="COMMIT", help="Of the model on the hub.")
@click.option(
    "--architecture",
    metavar="NAME",
    default="distilbert",
    show_default=True,
    help="Without --model: random weights of this shape, such as bart-large.",
)
@click.option("--label", "labels", multiple=True, help="Candidate label; may be repeated.")
@click.option("--engines", metavar="NAMES", callback=_split_names, help="With commas between.")
@click.option(
    "--batch-sizes",
    metavar="SIZES",
    default="8,32",
    show_default=True,
    callback=_parse_sizes,
    help="For the pipeline, beside its default.",
)
@click.option("--rows", type=click.IntRange(1), default=64, show_default=True, help="Reviews.")
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Turns.")
@click.option("--threads", type=click.IntRange(1), help="For each engine; all cores.")
@click.option("--equal-lengths", is_flag=True, help="Measure reviews of equal length too.")
@click.option("--output", metavar="DIR", help="Write report.json, report.md and plots.")
@options.as_json
def inference(
    source: Files | None,
    text: str | None,
    model: str | None,
    revision: str | None,
    architecture: str,
    labels: tuple[str, ...],
    engines: list[str] | None,
    batch_sizes: list[int],
    rows: int,
    repeats: int,
    threads: int | None,
    equal_lengths: bool,
    output: str | None,
    as_json: bool,
) -> None:
    """Measure zero-shot classification: transformers, Ray, Daft, sentence-transformers, reviewml.

    DATA is a file, folder, glob or URL; without it reviews are made up. Engines that are not
    installed are listed with what to install.
    """
    if (source is None) != (text is None):
        raise click.UsageError("DATA and --text COL go together.")
    if revision is not None and model is None:
        raise click.UsageError("--revision is that of a --model.")
    from reviewml.benchmark.engines import ENGINES
    from reviewml.benchmark.inference import run_benchmark
    from reviewml.benchmark.machine import count_cores
    from reviewml.benchmark.running import plan_runs
    from reviewml.benchmark.setting import Setting

    # Before a model is made, which takes longer than to find out that an engine is misspelt.
    plan_runs(engines or list(ENGINES), batch_sizes)
    texts = _read_texts(source, text, POOL * rows)
    with create_temporary_folder() as folder:
        shape = architecture if model is None else None
        model_path = model or _make_random_model(architecture, texts, folder)
        setting = Setting(model_path, revision, labels or LABELS, threads or count_cores(), shape)
        report = run_benchmark(
            setting,
            texts,
            rows=rows,
            repeats=repeats,
            engines=engines or list(ENGINES),
            batch_sizes=batch_sizes,
            equal_lengths=equal_lengths,
            say=_print_progress,
        )
    written = [str(path) for path in report.save(Path(output))] if output else []
    document = {**report.to_dict(), "written": written}
    print_answer(as_json, document, "\n".join([str(report), *written]))


def _read_texts(source: Files | None, text: str | None, most: int) -> list[str]:
    import pyarrow as pa

    from reviewml.data.frames import as_dataset
    from reviewml.datasets import make_reviews
    from reviewml.errors import SchemaError

    if source is None or text is None:
        synthetic_texts: list[str] = make_reviews(most, languages=["en"]).column("text").to_pylist()
        return synthetic_texts
    column = as_dataset(source).sample(most).column(text)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise SchemaError(f"--text {text!r} is a column of {column.type}: name one of text.")
    source_texts: list[str] = column.to_pylist()
    return source_texts


def _make_random_model(architecture: str, texts: list[str], folder: Path) -> str:
    from reviewml.benchmark.architectures import write_random_model

    non_empty = [text for text in texts if text]
    return str(write_random_model(architecture, non_empty, folder / architecture))


def _print_progress(progress: str) -> None:
    click.echo(progress, err=True)
