"""Asking Snowflake's own functions: once for each different text that was not asked before."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import pyarrow as pa

from reviewml.backends.snowflake.credits import Texts
from reviewml.backends.snowflake.push_down import push_down
from reviewml.backends.snowflake.role_cells import (
    KEY,
    KEY_NAME,
    id_key_cell,
    key_cell,
    role_cells,
    with_error,
)
from reviewml.backends.snowflake.rows import Rows, Step
from reviewml.backends.snowflake.session import Database
from reviewml.backends.snowflake.types import sql_type
from reviewml.errors import BackendError
from reviewml.interfaces.enrich_batch import EnrichBatch
from reviewml.interfaces.enricher import Enricher
from reviewml.interfaces.sql_enricher import ANSWER, AskDatabase, Call, Estimate, SqlEnricher
from reviewml.interfaces.stored_batch import FIRST_ROWS, SECONDS, StoredBatch, next_rows
from reviewml.interfaces.store import EnrichmentStore, Shelf
from reviewml.progress import progress
from reviewml.schema import ERRORS, roles_of
from reviewml.sql import literal, quoted

NUMBER, ERROR = quoted("__number__"), quoted("__error__")


class SnowflakeStore:
    pass


TOO_LATE = "the row came while the others were asked: run it again"


@push_down.register
def _(function: AskDatabase, before: pa.Schema, after: pa.Schema) -> Step:
    return Ask(function.enricher, function.stage, function.store)


@push_down.register
def _(function: EnrichBatch, before: pa.Schema, after: pa.Schema) -> Step | None:
    enricher = function.enricher
    if enricher.sql({name: quoted(name) for name in enricher.needs}) is None:
        return None
    store = function.store if isinstance(function, StoredBatch) else None
    return Ask(enricher, function.stage, store)


@dataclasses.dataclass(frozen=True)
class Ask:
    """Adds the columns of an enricher that says what to ask.

    Answers stand in the store's table, otherwise in one of this session. What is not there is
    asked a few texts at a time, each answered for good before the next are asked.

    Parameters
    ----------
    enricher, stage, store
        As of `AskDatabase`.
    """

    enricher: SqlEnricher | Enricher
    stage: str
    store: EnrichmentStore | None

    def __call__(self, rows: Rows) -> Rows:
        asking = Asking.of(self, rows)
        failed = asking.ask()
        return asking.joined(failed)

    def call(self) -> Call:
        """Return what to ask, of columns that are called as the enricher calls them."""
        call = self.enricher.sql({name: quoted(name) for name in self.enricher.needs})
        assert call is not None
        return call


@dataclasses.dataclass(frozen=True)
class Asking:
    """One pass of asking about some rows.

    Parameters
    ----------
    ask_of
        The step.
    rows
        All rows.
    call
        What is asked.
    shelf
        What is answered.
    answers
        The table of answers; it is held as long as this is.
    """

    step: Ask
    rows: Rows
    call: Call
    shelf: Shelf
    answers: object

    @classmethod
    def of(cls, step: Ask, rows: Rows) -> Asking:
        """Prepare to ask; there is a table of answers afterwards, and nothing is asked yet."""
        step.enricher.setup()
        shelf, database = Shelf.of(step.enricher), rows.database
        if isinstance(step.store, SnowflakeStore):
            step.store.prepare(shelf)
            answers: object = step.store.table(shelf)
        else:
            columns = [f"NULL::{sql_type(f).name} AS {quoted(f.name)}" for f in shelf.columns]
            made = ", ".join([f"NULL::BINARY AS {KEY}", *columns])
            answers = database.temporary_table(f"SELECT {made} WHERE FALSE")
        return cls(step, rows, step.call(), shelf, answers)

    @property
    def database(self) -> Database:
        """Where it is asked."""
        return self.rows.database

    def keyed(self) -> str:
        """Return the query of all rows with what they are found by."""
        schema = self.rows.schema
        cells = role_cells(schema, self.step.enricher.needs)
        return f"SELECT *, {key_cell(schema, cells)} AS {KEY} FROM ({self.rows.query})"

    def unseen(self) -> str:
        """Return the query of what the enricher is shown of different rows, without answers."""
        schema = self.rows.schema
        cells = role_cells(schema, self.step.enricher.needs)
        shown = [f"{cell} AS {quoted(name)}" for name, cell in cells.items()]
        first = ", ".join(f"ANY_VALUE({quoted(name)}) AS {quoted(name)}" for name in cells)
        rows = f"SELECT {key_cell(schema, cells)} AS {KEY}, {', '.join(shown)} FROM ({self.rows.query})"
        return (
            f"SELECT {KEY}, {first}, ROW_NUMBER() OVER (ORDER BY {KEY}) AS {NUMBER} FROM ({rows}) "
            f"WHERE {KEY} IS NOT NULL AND {KEY} NOT IN (SELECT {KEY} FROM {self.answers}) "
            f"GROUP BY {KEY}"
        )

    def ask(self) -> object:
        """Ask what was not asked before, and return the table of what failed."""
        database = self.database
        none = f"SELECT NULL::BINARY AS {KEY}, NULL::TEXT AS {ERROR} WHERE FALSE"
        failed = database.temporary_table(none)
        unseen = database.temporary_table(self.unseen())
        todo = count(database, str(unseen))
        for chunk in progress(self._chunks(todo), self.step.stage, todo, part=True):
            part = f"{unseen} WHERE {NUMBER} > {chunk.start} AND {NUMBER} <= {chunk.stop}"
            if self.call.price is not None and self.rows.budget.max_credits is not None:
                self._pay(part, chunk.start, todo)
            answered = database.temporary_table(
                f"SELECT {KEY}, {self.call.answer} AS {ANSWER} FROM {part}"
            )
            self._keep(answered)
            database.run(
                f"INSERT INTO {failed} SELECT {KEY}, {self.call.error} FROM {answered} "
                f"WHERE ({self.call.error}) IS NOT NULL"
            )
        self._link()
        return failed

    def _chunks(self, todo: int) -> Iterator[range]:
        done, size = 0, FIRST_ROWS
        while done < todo:
            chunk = range(done, min(done + size, todo))
            started = time.perf_counter()
            yield chunk
            seconds = max(time.perf_counter() - started, 1e-9)
            done, size = chunk.stop, next_rows(len(chunk), seconds, size)

    def _pay(self, part: str, done: int, todo: int) -> None:
        assert self.call.price is not None
        texts = size_of(self.database, part, self.call.price.text)
        self.rows.budget.spend(self.call.price, texts, done, todo)

    def _keep(self, answered: object) -> None:
        columns = [quoted(field.name) for field in self.shelf.columns]
        values = [
            f"({self.call.values[field.name]})::{sql_type(field).name} AS {quoted(field.name)}"
            for field in self.shelf.columns
        ]
        names = ", ".join([KEY, *columns])
        # Somebody else may have asked the same meanwhile.
        self.database.run(
            f"MERGE INTO {self.answers} AS known USING (SELECT {', '.join([KEY, *values])} "
            f"FROM {answered} WHERE ({self.call.error}) IS NULL) AS new "
            f"ON known.{KEY} = new.{KEY} WHEN NOT MATCHED THEN INSERT ({names}) "
            f"VALUES ({', '.join(f'new.{name}' for name in [KEY, *columns])})"
        )

    def _link(self) -> None:
        name = roles_of(self.rows.schema).id
        if not isinstance(self.step.store, SnowflakeStore) or name is None:
            return
        links = self.step.store.links()
        found = (
            f'SELECT DISTINCT {id_key_cell(name)} AS "id", rows.{KEY} AS "key" '
            f"FROM ({self.keyed()}) AS rows JOIN {self.answers} AS known "
            f"ON rows.{KEY} = known.{KEY} WHERE rows.{quoted(name)} IS NOT NULL"
        )
        self.database.run(
            f'MERGE INTO {links} AS known USING ({found}) AS new ON known."id" = new."id" '
            'AND known."key" = new."key" WHEN NOT MATCHED THEN INSERT ("id", "key") '
            'VALUES (new."id", new."key")'
        )

    def joined(self, failed: object) -> Rows:
        """Return the rows with the columns that were answered, and with what failed."""
        before, added = self.rows.schema, self.shelf.columns
        after = self.step_schema()
        late = literal(TOO_LATE)
        lost = f"IFF(rows.{KEY} IS NULL OR known.{KEY} IS NOT NULL, NULL, COALESCE(failed.{ERROR}, {late}))"
        cells = {name: f"rows.{quoted(name)}" for name in before.names}
        cells |= {field.name: f"known.{quoted(field.name)}" for field in added}
        cells[ERRORS] = with_error(self.step.stage, lost, f"rows.{quoted(ERRORS)}")
        columns = ", ".join(f"{cells[name]} AS {quoted(name)}" for name in after.names)
        return self.rows.of(
            f"SELECT {columns} FROM ({self.keyed()}) AS rows "
            f"LEFT JOIN {self.answers} AS known ON rows.{KEY} = known.{KEY} "
            f"LEFT JOIN {failed} AS failed ON rows.{KEY} = failed.{KEY}",
            after,
            self.answers,
            failed,
        )

    def step_schema(self) -> pa.Schema:
        """Return the schema of the rows with what is added."""
        step = AskDatabase(self.step.enricher, self.step.stage)
        return step.schema(self.rows.schema)


def estimate(rows: Rows, function: AskDatabase) -> Estimate:
    """Return what asking about rows would cost, without asking.

    Parameters
    ----------
    rows
        All rows.
    function
        The step.
    """
    asking = Asking.of(Ask(function.enricher, function.stage, function.store), rows)
    unseen = rows.database.temporary_table(asking.unseen())
    [(distinct,)] = rows.database.run(f"SELECT COUNT(DISTINCT {KEY}) FROM ({asking.keyed()})")
    todo = count(rows.database, str(unseen))
    stored = int(distinct) - todo if function.store is not None else None
    price = asking.call.price
    if price is None:
        return Estimate(todo, stored, (0, 0), (0, 0))
    texts = size_of(rows.database, str(unseen), price.text, price.counted)
    return Estimate(todo, stored, texts.tokens(price), rows.budget.credits(price, texts))


def count(database: Database, rows: str) -> int:
    """Return how many rows there are in what may follow ``FROM``."""
    [(found,)] = database.run(f"SELECT COUNT(*) FROM {rows}")
    return int(found)


def size_of(database: Database, rows: str, text: str, counted: str | None = None) -> Texts:
    """Return how much text rows hold; tokens are counted where the account can do that."""
    sizes = [f"COUNT({text})", f"SUM(LENGTH({text}))", f"SUM(OCTET_LENGTH({text}))"]
    if counted is not None:
        try:
            return _texts(database, rows, [*sizes, f"SUM({counted})"])
        except BackendError:
            # Not every account and region has the function.
            pass
    return _texts(database, rows, sizes)


def _texts(database: Database, rows: str, sizes: list[str]) -> Texts:
    [found] = database.run(f"SELECT {', '.join(sizes)} FROM {rows}")
    return Texts(
        *(None if at > 2 and size is None else int(size or 0) for at, size in enumerate(found))
    )
