"""Asking, in the database: once for each different text that was not asked before."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterator

import pyarrow as pa

from reviewml.backends.snowflake.calls.row_calls import CallSql, RowCall, SqlRowCall
from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.cortex_budget import Texts
from reviewml.backends.snowflake.identifiers import literal, quote_identifier
from reviewml.backends.snowflake.sources.tables import NO_ERRORS
from reviewml.backends.snowflake.store import SnowflakeStore
from reviewml.backends.snowflake.tables.query import Query, Step
from reviewml.backends.snowflake.tables.role_expressions import (
    concatenate_errors,
    write_error_array,
    write_id_key_cell,
)
from reviewml.backends.snowflake.tables.types import find_sql_type
from reviewml.display.progress import show_progress
from reviewml.errors import BackendError, CreditsExhausted
from reviewml.operations.ask_database import AskDatabase
from reviewml.operations.cached_enrich import FIRST_ROWS, CachedEnrich, choose_next_rows
from reviewml.operations.enrich import Enrich
from reviewml.operations.sql_call import ANSWER, CallEstimate
from reviewml.operations.value_store import Shelf
from reviewml.rows.bookkeeping import narrow_schema
from reviewml.rows.roles import BOOKKEEPING, ERRORS, list_columns_behind, roles_of

KEY_NAME = "__key__"

KEY = quote_identifier(KEY_NAME)
"""What rows are found by, the ``KEY`` of tables of answers."""

NUMBER, FAILURES = quote_identifier("__number__"), quote_identifier("__failures__")

GONE = "its answer was taken out of the store meanwhile: run it again"


def compile_question(operation: AskDatabase, before: pa.Schema, after: pa.Schema) -> Step:
    """Compile what an enricher asks of the database."""
    return ask_once(SqlRowCall.of(operation, before), after)


def compile_enrich(operation: Enrich, before: pa.Schema, after: pa.Schema) -> Step | None:
    """Compile an enricher that says how a database computes its values; None for others."""
    operation.check_sql()
    enricher = operation.enricher
    if enricher.sql({name: quote_identifier(name) for name in enricher.needs}) is None:
        return None
    store = operation.store if isinstance(operation, CachedEnrich) else None
    question = AskDatabase(enricher, operation.stage, store)
    return compile_question(question, before, after)


def ask_once(question: RowCall, after: pa.Schema) -> Step:
    """Make the step that asks about rows and joins the answers to them."""
    return lambda rows: CachedCall.of(question, rows).join_answers(after)


@dataclasses.dataclass(frozen=True)
class CachedCall:
    """One pass of asking about some rows.

    Answers stand in a table of the store's, otherwise in one that goes with the rows. What is not
    there is asked a few texts at a time, each answered for good before the next are.

    Parameters
    ----------
    question
        What is asked.
    rows
        All rows, with what they are found by. They are computed by now: how that is done may cost
        as much as the question, and is read several times.
    shelf
        What is answered.
    answers
        The table of answers: ``KEY``, and ``C0``, ``C1`` … for the values.
    """

    question: RowCall
    rows: Query
    shelf: Shelf
    answers: object

    @classmethod
    def of(cls, question: RowCall, rows: Query) -> CachedCall:
        """Prepare to ask; there is a table of answers afterwards, and nothing is asked yet."""
        question.enricher.setup()
        shelf = Shelf.of(question.enricher)
        answers = _make_answer_table(question.store, shelf, rows.database)
        schema = rows.schema.append(pa.field(KEY_NAME, pa.string()))
        keyed = rows.select(schema, {KEY_NAME: question.key(rows.database)})
        return cls(question, keyed.materialize(), shelf, answers)

    @functools.cached_property
    def call(self) -> CallSql:
        """How it is asked."""
        return self.question.call(self.database)

    @property
    def database(self) -> SnowflakeSession:
        """Where it is asked."""
        return self.rows.database

    @property
    def columns(self) -> list[str]:
        """Columns of the values in the table of answers."""
        return [f"C{place}" for place in range(len(self.shelf.columns))]

    def join_answers(self, after: pa.Schema) -> Query:
        """Return the rows with what is answered, once everything is."""
        self._link()
        # Threads that ask the same at once would pay for it twice.
        with self.database.asking:
            failed = self._ask_missing()
        return self._join_results(failed, after)

    def count_distinct(self) -> int:
        """Count how many different rows there are to ask about, answered or not."""
        keys = f"SELECT DISTINCT {KEY} FROM ({self.rows.query}) WHERE {KEY} IS NOT NULL"
        return self.database.count(f"({keys})")

    def select_unseen(self) -> str:
        """Return the query of what the enricher is shown of different rows, without answers."""
        shown = self.question.shown
        any_of = [f"ANY_VALUE({cell}) AS {quote_identifier(name)}" for name, cell in shown.items()]
        number = f"ROW_NUMBER() OVER (ORDER BY {KEY}) AS {NUMBER}"
        return (
            f"SELECT {', '.join([KEY, *any_of, number])} FROM ({self.rows.query}) "
            f"WHERE {KEY} IS NOT NULL AND {KEY} NOT IN (SELECT KEY FROM {self.answers}) "
            f"GROUP BY {KEY}"
        )

    def _ask_missing(self) -> object:
        """Ask what was not asked before, and return the table of what failed."""
        database = self.database
        failed = database.create_temporary_table(
            f"SELECT NULL::TEXT AS {KEY}, {NO_ERRORS} AS {FAILURES} WHERE FALSE"
        )
        unseen = database.create_temporary_table(self.select_unseen())
        todo = database.count(str(unseen))
        if self.question.store is not None:
            self.question.store.used(self.shelf, self.count_distinct() - todo, todo)
        for chunk in show_progress(_split_chunks(todo), self.question.stage, todo, part=True):
            for part in self._note_paid_chunk(chunk, unseen, todo):
                answered = database.create_temporary_table(
                    f"SELECT {KEY}, {self.call.answer} AS {ANSWER} FROM {part}"
                )
                self._keep(answered)
                failures_query = f"SELECT {KEY}, {self.call.errors} AS {FAILURES} FROM {answered}"
                database.run(
                    f"INSERT INTO {failed} SELECT * FROM ({failures_query}) WHERE {FAILURES} "
                    "IS NOT NULL"
                )
        return failed

    def _note_paid_chunk(self, chunk: range, unseen: object, todo: int) -> Iterator[str]:
        """Yield the texts of a chunk, noted as paid for: all at once, or as many as there may be.

        Raises
        ------
        CreditsExhausted
            When there may be no more of them.
        """
        # Somebody else may have asked some of them meanwhile.
        part = (
            f"{unseen} WHERE {NUMBER} > {chunk.start} AND {NUMBER} <= {chunk.stop} "
            f"AND {KEY} NOT IN (SELECT KEY FROM {self.answers})"
        )
        try:
            self._pay(part, chunk.start, todo)
        except CreditsExhausted:
            if len(chunk) == 1:
                raise
            half = chunk.start + len(chunk) // 2
            yield from self._note_paid_chunk(range(chunk.start, half), unseen, todo)
            yield from self._note_paid_chunk(range(half, chunk.stop), unseen, todo)
        else:
            yield part

    def _pay(self, part: str, done: int, todo: int) -> None:
        price, budget = self.call.price, self.rows.budget
        if price is not None and budget.max_credits is not None:
            # As they are counted for a plan, whose upper end is then enough.
            texts = measure_texts(self.database, part, price.text, price.counted)
            budget.spend(price, texts, done, todo)

    def _keep(self, answered: object) -> None:
        values = zip(self.call.values, self.columns, strict=True)
        cells = ", ".join([f"{KEY} AS KEY", *(f"{value} AS {name}" for value, name in values)])
        names = ["KEY", *self.columns]
        # Somebody else may have asked the same meanwhile.
        self.database.run(
            f"MERGE INTO {self.answers} AS t USING (SELECT {cells} "
            f"FROM {answered} WHERE ({self.call.errors}) IS NULL) AS s ON t.KEY = s.KEY "
            f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) "
            f"VALUES ({', '.join(f's.{name}' for name in names)})"
        )

    def _link(self) -> None:
        """Note which ids lead to which keys; first, or some values could not be forgotten."""
        name, store = roles_of(self.rows.schema).id, self.question.store
        if store is None or name is None:
            return
        cell = write_id_key_cell(self.rows.schema.field(name))
        links_query = f"SELECT DISTINCT {cell} AS ID, {KEY} AS KEY FROM ({self.rows.query})"
        self.database.run(
            f"MERGE INTO {store.links} AS t USING (SELECT * FROM ({links_query}) "
            "WHERE ID IS NOT NULL AND KEY IS NOT NULL) AS s ON t.ID = s.ID AND t.KEY = s.KEY "
            "WHEN NOT MATCHED THEN INSERT (ID, KEY) VALUES (s.ID, s.KEY)"
        )

    def _join_results(self, failed: object, after: pa.Schema) -> Query:
        cells = {name: f"r.{quote_identifier(name)}" for name in self.rows.schema.names}
        for field, column in zip(self.shelf.columns, self.columns, strict=True):
            cells[field.name] = find_sql_type(field).loaded.format(f"a.{column}")
        gone = write_error_array(self.question.stage, literal(GONE))
        lost = f"IFF(r.{KEY} IS NULL OR a.KEY IS NOT NULL, NULL, COALESCE(f.{FAILURES}, {gone}))"
        cells[ERRORS] = concatenate_errors(f"r.{quote_identifier(ERRORS)}", lost)
        listed = ", ".join(f"{cells[name]} AS {quote_identifier(name)}" for name in after.names)
        # Should an answer stand there twice, rows must not.
        once = (
            f"SELECT * FROM {self.answers} "
            "QUALIFY ROW_NUMBER() OVER (PARTITION BY KEY ORDER BY KEY) = 1"
        )
        return self.rows.of(
            f"SELECT {listed} FROM ({self.rows.query}) AS r "
            f"LEFT JOIN ({once}) AS a ON r.{KEY} = a.KEY "
            f"LEFT JOIN {failed} AS f ON r.{KEY} = f.{KEY}",
            after,
            self.answers,
            failed,
        )


def _make_answer_table(
    store: SnowflakeStore | None, shelf: Shelf, database: SnowflakeSession
) -> object:
    if store is not None:
        store.prepare(shelf)
        return store.table(shelf)
    cells = [
        f"NULL::{find_sql_type(f).carried} AS C{place}" for place, f in enumerate(shelf.columns)
    ]
    return database.create_temporary_table(
        f"SELECT {', '.join(['NULL::TEXT AS KEY', *cells])} WHERE FALSE"
    )


def _split_chunks(todo: int) -> Iterator[range]:
    done, size = 0, FIRST_ROWS
    while done < todo:
        chunk = range(done, min(done + size, todo))
        started = time.perf_counter()
        yield chunk
        seconds = max(time.perf_counter() - started, 1e-9)
        done, size = chunk.stop, choose_next_rows(len(chunk), seconds, size)


# -- before it is asked -------------------------------------------------------------------------


def estimate(rows: Query, question: AskDatabase) -> CallEstimate:
    """Estimate the cost of asking about rows, without asking.

    Parameters
    ----------
    rows
        All rows.
    question
        The step.
    """
    needed = (*list_columns_behind(rows.schema, question.enricher.needs), *BOOKKEEPING)
    narrow = rows.select(narrow_schema(rows.schema, needed))
    asking = CachedCall.of(SqlRowCall.of(question, narrow.schema), narrow)
    unseen = rows.database.create_temporary_table(asking.select_unseen())
    todo = rows.database.count(str(unseen))
    stored = asking.count_distinct() - todo if asking.question.store is not None else None
    price = asking.call.price
    if price is None:
        return CallEstimate(todo, stored, (0, 0), (0, 0))
    texts = measure_texts(rows.database, str(unseen), price.text, price.counted)
    return CallEstimate(todo, stored, texts.tokens(price), rows.budget.credits(price, texts))


def measure_texts(
    database: SnowflakeSession, rows: str, text: str, counted: str | None = None
) -> Texts:
    """Measure how much text rows hold.

    Parameters
    ----------
    database, rows
        What may follow ``FROM`` there.
    text
        SQL expression of it.
    counted
        SQL expression of its tokens; not every account has a function that counts them.
    """
    sizes = [f"COUNT({text})", f"SUM(LENGTH({text}))", f"SUM(OCTET_LENGTH({text}))"]
    if counted is not None:
        try:
            return _measure_sizes(database, rows, [*sizes, f"SUM({counted})"])
        except BackendError:
            pass
    return _measure_sizes(database, rows, sizes)


def _measure_sizes(database: SnowflakeSession, rows: str, sizes: list[str]) -> Texts:
    [totals] = database.run(f"SELECT {', '.join(sizes)} FROM {rows}")
    return Texts(*(int(size or 0) for size in totals))
