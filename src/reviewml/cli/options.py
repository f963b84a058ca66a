"""Options that several verbs share, as decorators."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from typing import Any

import click

Verb = Callable[..., Any]

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")

registry = click.option(
    "--registry",
    metavar="PLACE",
    default="models",
    show_default=True,
    help="Folder or URL where models are kept.",
)


class KeyOption(click.Option):
    """An option for files of keys; the environment, when it is set to nothing, is an error.

    For click such a variable is not set: a service whose variable lost its value would start
    without asking for signatures.
    """

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Read the variable, which is not asked for when the option is given."""
        variable = str(self.envvar)
        if variable in os.environ and not os.environ[variable].strip():
            raise click.UsageError(
                f"{variable} is set to an empty value: set it to a file of a key for "
                f"{self.opts[0]}, or unset it."
            )
        return super().resolve_envvar_value(ctx)


def _refuse_empty_names(
    _: click.Context, option: click.Parameter, files: str | tuple[str, ...] | None
) -> Any:
    names = [files] if isinstance(files, str) else list(files or ())
    if not all(name.strip() for name in names):
        raise click.UsageError(
            f"{option.opts[0]} or {option.envvar} names a file by an empty text: give the file of "
            "a key each time."
        )
    return (names or None) if option.multiple else files


verify = click.option(
    "--verify",
    cls=KeyOption,
    metavar="FILE",
    type=click.Path(),
    multiple=True,
    envvar="REVIEWML_VERIFY",
    callback=_refuse_empty_names,
    help="Public key, in PEM, that must have signed the model; may be repeated.",
)

sign = click.option(
    "--sign",
    cls=KeyOption,
    metavar="FILE",
    envvar="REVIEWML_SIGN",
    callback=_refuse_empty_names,
    help="Private Ed25519 key, in PEM, to sign the model with.",
)

group = click.option("--group", metavar="COL", help="Rows with one value of it stay together.")

on_error = click.option(
    "--on-error",
    type=click.Choice(["keep", "raise"]),
    default="keep",
    show_default=True,
    help="Keep rows that fail, with nulls, or stop at the first.",
)

WRITTEN = (".parquet", ".csv", ".jsonl")


def _check_output(_: click.Context, __: click.Parameter, path: str | None) -> str | None:
    # Before hours of work, not after.
    if path is not None and not path.endswith(WRITTEN):
        raise click.BadParameter(f"{path!r} should end in {', '.join(WRITTEN)}.")
    return path


output = click.option(
    "--output",
    metavar="FILE",
    callback=_check_output,
    help="A .parquet, .csv or .jsonl file; without it rows are printed as CSV.",
)

reviews = click.option(
    "--reviews",
    metavar="DATA",
    help="Reviews that steps with a review history look at: a file, folder, glob or URL.",
)

PYTHON = {"True": True, "False": False, "None": None}
"""What is taken as in Python: as text, "False" would count as true."""

DRAWN = (".png", ".svg", ".pdf")


def _check_plot(_: click.Context, __: click.Parameter, path: str | None) -> str | None:
    if path is not None and not path.endswith(DRAWN):
        raise click.BadParameter(f"{path!r} should end in {', '.join(DRAWN)}.")
    return path


plot = click.option(
    "--plot", metavar="FILE", callback=_check_plot, help="Draw it, as .png, .svg or .pdf."
)


READING = (
    "encoding",
    "delimiter",
    "quote",
    "escape",
    "skip",
    "comment",
    "decimal",
    "thousands",
    "missing",
    "dtypes",
)
"""Options that say how files are read."""


def _read_types(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> dict[str, str] | None:
    types = {}
    for value in values:
        column, sign, kind = value.rpartition("=")
        if not (column and sign and kind):
            raise click.BadParameter(f"{value!r} should be COL=TYPE, such as posted=timestamp[ms].")
        types[column] = kind
    return types or None


def data(verb: Verb) -> Verb:
    """Add ``DATA`` and how to read it; the verb gets the `source`.

    Goes below `pipeline`, whose roles are then the source's.
    """
    return _add_data(verb, required=True)


def optional_data(verb: Verb) -> Verb:
    """Add ``DATA`` for a verb that can do without; its `source` is then None."""
    return _add_data(verb, required=False)


def _add_data(verb: Verb, required: bool) -> Verb:
    @click.argument("data", metavar="DATA" if required else "[DATA]", required=required)
    @click.option("--encoding", default="utf-8", show_default=True, help="Of text files.")
    @click.option("--delimiter", help="Between the cells of CSV files; found out unless given.")
    @click.option("--quote", help="Around cells of CSV, '' for none; found out unless given.")
    @click.option(
        "--escape", help="Before quotes in CSV files, '' for none; found out unless given."
    )
    @click.option("--skip", type=int, default=0, help="Lines before the header of CSV files.")
    @click.option("--comment", help="Lines of CSV files that start with this are left out.")
    @click.option("--decimal", default=".", help="Before decimals in numbers of CSV files.")
    @click.option("--thousands", help="Between thousands in numbers of CSV files.")
    @click.option(
        "--missing",
        metavar="WORD",
        multiple=True,
        callback=lambda _, __, words: list(words) or None,
        help="Stands for no value in any column, such as -; may be repeated.",
    )
    @click.option(
        "--dtype",
        "dtypes",
        metavar="COL=TYPE",
        multiple=True,
        callback=_read_types,
        help="Type of a column, such as posted=timestamp[ms]; may be repeated.",
    )
    @functools.wraps(verb)
    def with_source(*, data: str | None, roles: Any = None, **given: Any) -> Any:
        options = {name: given.pop(name) for name in READING}
        if data is None:
            return verb(source=None, **given)
        from reviewml import Files

        return verb(source=Files(data, **options, **(roles or {})), **given)

    return with_source


def pipeline(verb: Verb) -> Verb:
    """Add roles and steps; the verb gets `names` of enrichers and `settings` of all steps."""

    @click.option("--id", metavar="COL", help="Column that identifies a row.")
    @click.option("--text", metavar="COL", multiple=True, help="Column of text; may be repeated.")
    @click.option("--rating", metavar="COL", help="Column of stars or another score.")
    @click.option("--time", metavar="COL", help="Column that says when.")
    @click.option(
        "--steps",
        metavar="NAMES",
        help="Enrichers with commas between, or 'none'. Default: language, quality and, where "
        "--rating is given, sentiment; none without --text.",
    )
    @click.option(
        "--set",
        "settings",
        metavar="STEP.PARAMETER=VALUE",
        multiple=True,
        callback=_parse_settings,
        help="Parameter of a step, as JSON or plain text; may be repeated.",
    )
    @functools.wraps(verb)
    def with_pipeline(*, steps: str | None, **given: Any) -> Any:
        roles = {role: given.pop(role) for role in ("id", "text", "rating", "time")}
        roles = {role: columns for role, columns in roles.items() if columns}
        return verb(roles=roles, names=_list_names(steps, roles), **given)

    return with_pipeline


def model(verb: Verb) -> Verb:
    """Add ``MODEL`` and ``--registry``; the verb gets the loaded `pipeline`."""

    @click.argument("model", metavar="MODEL")
    @click.option(
        "--registry",
        metavar="PLACE",
        help="Folder or URL of a registry; MODEL is then a reference such as name@champion, "
        "otherwise a folder.",
    )
    @verify
    @functools.wraps(verb)
    def with_model(
        *, model: str, registry: str | None, verify: list[str] | None, **rest: Any
    ) -> Any:
        return verb(pipeline=_load_model(model, registry, verify), **rest)

    return with_model


def _load_model(model: str, registry: str | None, verify: list[str] | None) -> Any:
    if registry is None:
        from reviewml import load

        return load(model, verify=verify)
    from reviewml.registries.resolve import open_registry

    return open_registry(registry, verify=verify).load(model)


def _list_names(steps: str | None, roles: dict[str, Any]) -> list[str]:
    if steps is not None:
        return [] if steps == "none" else [name.strip() for name in steps.split(",")]
    if "text" not in roles:
        return []
    return ["language", "quality", *(["sentiment"] if "rating" in roles else [])]


def _parse_settings(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    settings: dict[str, dict[str, Any]] = {}
    for setting in values:
        path, equals, value = setting.partition("=")
        step, dot, parameter = path.partition(".")
        if not (step and dot and parameter and equals):
            raise click.BadParameter(f"{setting!r} should read STEP.PARAMETER=VALUE.")
        settings.setdefault(step, {})[parameter] = _parse_value(value)
    return settings


def _parse_value(text: str) -> Any:
    if text in PYTHON:
        return PYTHON[text]
    try:
        return json.loads(text)
    except ValueError as error:
        if text.startswith(("[", "{")):
            raise click.BadParameter(
                f"{text!r} is no JSON: put texts in double quotes, and all of it in single ones "
                'for the shell, as in --set \'zero-shot.candidate_labels=["fit", "price"]\'.'
            ) from error
        return text
