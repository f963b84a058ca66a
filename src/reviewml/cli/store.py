"""``reviewml store``: what enrichers said before, and is not paid for again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from reviewml.cli import options
from reviewml.cli.build_pipeline import Settings, build
from reviewml.cli.output import print_answer
from reviewml.display.text_tables import TextTable
from reviewml.errors import StoreError
from reviewml.privacy.redaction import redact

if TYPE_CHECKING:
    from reviewml.data.store import ShelfSummary
    from reviewml.sources.files import Files
    from reviewml.stores.local import LocalStore
    from reviewml.stores.shared import SharedStore


@click.group(invoke_without_command=True)
@options.as_json
@click.pass_context
def store(context: click.Context, as_json: bool) -> None:
    """Look after what enrichers said of rows.

    The store is the folder or URL in REVIEWML_STORE, or else a folder in the user's cache.
    """
    if context.invoked_subcommand is None:
        context.invoke(show, as_json=as_json)


@store.command()
@options.as_json
def show(as_json: bool) -> None:
    """List what the store holds, by enricher."""
    shelves = _store().describe()
    rows = [dataclasses.asdict(shelf) | {"hit_rate": shelf.hit_rate} for shelf in shelves]
    print_answer(as_json, rows, _write_table(shelves) if shelves else "the store is empty")


@store.command()
@click.option(
    "--older-than", metavar="TIME", required=True, help="How long nobody asked, such as 90d."
)
@options.as_json
def prune(older_than: str, as_json: bool) -> None:
    """Delete the values of enrichers that nobody used for a while."""
    _report_deleted(_store().prune(older_than), as_json)


@store.command()
@click.option("--ids", metavar="ID", multiple=True, help="Id of a row; may be repeated.")
@click.option(
    "--ids-from",
    metavar="FILE",
    # Spreadsheets begin a file with a mark that would be part of the first id.
    type=click.File(encoding="utf-8-sig"),
    help="A file with an id on each line; - for standard input.",
)
@options.as_json
def forget(ids: tuple[str, ...], ids_from: Any, as_json: bool) -> None:
    """Delete the values that rows with these ids led to."""
    lines = [line.rstrip("\r\n") for line in ids_from or ()]
    if not (ids or lines):
        raise click.UsageError("whose values? Name --ids or --ids-from.")
    _report_deleted(_store().forget([*ids, *filter(None, lines)]), as_json)


@store.command()
@options.pipeline
@options.data
@options.as_json
def seed(source: Files, names: Sequence[str], settings: Settings, as_json: bool) -> None:
    """Keep the values of a table that has been scored already.

    DATA has, beside what the steps need, the columns that they add.
    """
    steps = build(names, settings).steps
    opened = _store()
    counts = {name: opened.seed(enricher, source) for name, enricher in steps}
    lines = [
        f"{name}: {rows:,} rows that had no values have them now" for name, rows in counts.items()
    ]
    print_answer(as_json, counts, "\n".join(lines))


@store.command()
@options.as_json
def path(as_json: bool) -> None:
    """Print the folder or URL of the store."""
    place = redact(str(_store().path))
    print_answer(as_json, {"path": place}, place)


def _store() -> LocalStore | SharedStore:
    from reviewml.stores.resolve import default_store

    opened = default_store()
    if opened is None:
        raise StoreError("there is no store: REVIEWML_STORE is 'off'.")
    return opened


def _report_deleted(rows: int, as_json: bool) -> None:
    print_answer(as_json, {"deleted": rows}, f"{rows:,} values deleted")


def _write_table(shelves: Sequence[ShelfSummary]) -> str:
    header = ("enricher", "rows", "MB", "found", "last used", "fingerprint")
    rows = [
        (
            shelf.enricher,
            f"{shelf.rows:,}",
            f"{shelf.bytes / 1e6:,.1f}",
            "-" if shelf.hit_rate is None else f"{shelf.hit_rate:.0%}",
            f"{shelf.last_used:%Y-%m-%d %H:%M}",
            shelf.fingerprint[:12],
        )
        for shelf in shelves
    ]
    return TextTable("", header, rows).text()
