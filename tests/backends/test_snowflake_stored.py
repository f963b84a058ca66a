"""Enrichers of plain Python whose values are kept: the warehouse computes what is new."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from reviewml import LocalStore
from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset
from reviewml.enrichers import CortexSentiment
from reviewml.errors import RowErrors, StoreError
from reviewml.interfaces import Enricher
from reviewml.operations.resources import PLAIN, Resources
from reviewml.operations.value_store import Shelf
from reviewml.rows.named_lists import named_list
from reviewml.rows.roles import Roles
from reviewml.rows.row_keys import hash_rows
from reviewml.testing.store import COLUMNS, VALUES

pytest.importorskip("snowflake.snowpark")
pytest.importorskip("snowflake_double")

from snowflake_double import Double

from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.calls import call_once
from reviewml.backends.snowflake.dataset import StreamedDataset
from reviewml.backends.snowflake.store import SnowflakeStore

if TYPE_CHECKING:
    from snowflake.snowpark import Session

ROLES = Roles.of(id="id", text=("title", "body"), rating="stars")

HOSTILE = [
    "it's ''; DROP TABLE reviews; --",
    'a\\b "c"\n\t/* */ \U0001f600',
    "NUL \0 inside",
    "",
    None,
    "质量很好",
]


class Measured(Enricher):
    """Tells what it is asked, and is kept."""

    needs = ("text",)
    optional = ("rating",)
    adds = {"letters": pa.int64(), "share": pa.float32()}
    resources = PLAIN
    stored = True

    def __init__(self, heard: str) -> None:
        self.heard = heard

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column("text")
        with Path(self.heard).open("a", encoding="utf-8") as file:
            file.writelines(f"{text!r}\n" for text in texts.to_pylist())
        letters = pc.utf8_length(texts).cast(pa.int64())
        stars = batch.column("rating") if "rating" in batch.schema.names else pa.scalar(1)
        share = pc.divide(letters.cast(pa.float32()), pc.cast(stars, pa.float32()))
        return batch.append_column("letters", letters).append_column("share", share)


class Picky(Measured):
    """Fails at some texts, in both ways."""

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column("text").to_pylist()
        bad = {row: ValueError(f"no: {text}") for row, text in enumerate(texts) if not text}
        if bad:
            raise RowErrors(bad)
        if any("broke" in text for text in texts):
            raise KeyError("broke")
        return super().enrich(batch)


@pytest.fixture
def heard(tmp_path: Path) -> Path:
    path = tmp_path / "heard"
    path.touch()
    return path


def asked(heard: Path) -> list[str]:
    """Return what was asked since this was called last."""
    lines = heard.read_text(encoding="utf-8").splitlines()
    heard.write_text("", encoding="utf-8")
    return lines


def reviews(rows: int, different: int, first: int = 0) -> pa.Table:
    numbers = [first + row % different for row in range(rows)]
    return pa.table(
        {
            "id": [f"r{row}" for row in range(rows)],
            "title": [f"title {number}" for number in numbers],
            "body": [f"body {number}" if number % 3 else None for number in numbers],
            "stars": pa.array([number % 5 + 1 for number in numbers], pa.int8()),
        }
    )


def texts(*texts: str | None) -> pa.Table:
    given = pa.array(texts, pa.string())
    nothing = pa.nulls(len(texts), pa.string())
    return pa.table(
        {
            "id": [f"r{row}" for row in range(len(texts))],
            "title": given,
            "body": nothing,
            "stars": pa.array([1] * len(texts), pa.int8()),
        }
    )


def in_order(dataset: Dataset) -> pa.Table:
    return dataset.to_arrow().sort_by("id")


def told(dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(dataset.errors.to_pylist(), key=lambda error: str(error["id"]))


def here(rows: pa.Table, enricher: Enricher) -> Dataset:
    return as_dataset(rows, ROLES).enrich(enricher, stage="it's")


def there(backend: SnowflakeBackend, rows: pa.Table, enricher: Enricher) -> Dataset:
    return backend.read(rows, ROLES).enrich(enricher, stage="it's")


def fetched(backend: SnowflakeBackend, rows: pa.Table, enricher: Measured) -> Dataset:
    """Return what this process computes, of rows that it fetches, through the same store."""
    enricher.resources = Resources()
    found = there(backend, rows, enricher)
    assert isinstance(found, StreamedDataset)
    return found


def test_each_different_text_is_asked_once_and_few_rows_reach_the_client(
    double: Double, backend: SnowflakeBackend, heard: Path
) -> None:
    given = reviews(600, 300)
    rows = backend.read(given, ROLES)
    with double.watch() as seen:
        enriched = rows.enrich(Measured(str(heard)), stage="it's").persist()
    assert seen.rows < 30
    once = asked(heard)
    assert len(once) == len(set(once)) == 300
    assert in_order(enriched).equals(in_order(here(given, Measured(str(heard)))))
    asked(heard)
    again = there(backend, given, Measured(str(heard)))
    assert in_order(again).equals(in_order(enriched))
    assert asked(heard) == []
    there(backend, reviews(300, 200, first=200), Measured(str(heard))).persist()
    new = asked(heard)
    assert len(new) == 100
    assert not set(new) & set(once)


def test_a_rerun_brings_no_enricher(double: Double, backend: SnowflakeBackend, heard: Path) -> None:
    rows = backend.read(reviews(20, 10), ROLES)
    rows.enrich(Measured(str(heard))).persist()
    with double.watch() as seen:
        rows.enrich(Measured(str(heard))).persist()
    assert not any(sql.startswith(("PUT", "CREATE TEMPORARY FUNCTION")) for sql in seen.sql)


@pytest.mark.parametrize("first", [fetched, there])
def test_what_was_computed_here_is_found_there_and_the_other_way(
    double: Double, backend: SnowflakeBackend, heard: Path, first: Any
) -> None:
    given = pa.concat_tables([reviews(20, 10), texts(*HOSTILE)])
    expected = in_order(first(backend, given, Measured(str(heard))))
    # An empty text is none.
    assert len(asked(heard)) == 10 + len({text or None for text in HOSTILE})
    second = there if first is fetched else fetched
    assert not isinstance(there(backend, given, Measured(str(heard))), StreamedDataset)
    assert in_order(second(backend, given, Measured(str(heard)))).equals(expected)
    assert asked(heard) == []


def test_rows_that_fail_are_told_as_here_and_tried_again(
    double: Double, backend: SnowflakeBackend, heard: Path
) -> None:
    given = texts(*HOSTILE, "fine", "it broke", "", "fine")
    enriched = there(backend, given, Picky(str(heard))).persist()
    expected = here(given, Picky(str(heard)))
    assert in_order(enriched).equals(in_order(expected))
    errors = told(expected)
    # How often one was tried depends on the rows beside it.
    attempts = [error.pop("attempts") for error in errors]
    assert [error["id"] for error in errors] == ["r3", "r4", "r7", "r8"]
    both = told(enriched)
    found = [error.pop("attempts") for error in both]
    assert both == errors
    assert [found[row] for row in (0, 1, 3)] == [attempts[row] for row in (0, 1, 3)]
    assert found[2] > 1
    store = backend.enrichment_store()
    assert store is not None
    [shelf] = store.describe()
    assert (shelf.enricher, shelf.rows) == ("Picky", 5)
    asked(heard)
    assert told(there(backend, given, Picky(str(heard)))) != []
    assert asked(heard) == []


def test_errors_of_before_stay_beside_new_ones(
    double: Double, backend: SnowflakeBackend, heard: Path
) -> None:
    given = texts("", "fine")
    one = there(backend, given, Picky(str(heard)))
    both = one.select(given.column_names).enrich(Picky(f"{heard} "), stage="again")
    assert [error["stage"] for error in told(both)] == ["it's", "again"]


class Many(Enricher):
    """Adds a column of each type that stores hold."""

    needs = ("body",)
    adds = {field.name: field.type for field in COLUMNS}
    resources = PLAIN
    stored = True

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        values = VALUES.take(batch.column("body").cast(pa.int64()))
        return pa.RecordBatch.from_arrays(
            [*batch.columns, *values.columns], [*batch.schema.names, *COLUMNS.names]
        )


def test_values_of_every_type_are_kept_to_the_last_bit(
    double: Double, backend: SnowflakeBackend
) -> None:
    numbers = pa.array(["0", "1", "2", "3"])
    rows = backend.read(pa.table({"id": [0, 1, 2, 3], "body": numbers}), Roles.of(id="id"))
    found = in_order(rows.enrich(Many())).select(COLUMNS.names)
    assert found.schema.remove_metadata().equals(COLUMNS)
    # As text, so that NaN equals itself and no bit of a float is lost.
    assert repr(found.to_pylist()) == repr(VALUES.to_pylist())
    store = backend.enrichment_store()
    assert store is not None
    keys = hash_rows(pa.record_batch({"body": numbers}))
    places, values = store.find(Shelf.of(Many()), keys)
    assert repr(values.take(pc.sort_indices(pa.array(places))).to_pylist()) == repr(
        VALUES.to_pylist()
    )


def test_lists_keep_the_names_of_their_places(double: Double, backend: SnowflakeBackend) -> None:
    kind = named_list(pa.float32(), ["price", "fit"])

    class Scored(Many):
        adds = {"vector": kind}

    rows = backend.read(pa.table({"id": [0], "body": ["0"]}), Roles.of(id="id"))
    assert rows.enrich(Scored()).to_arrow().schema.field("vector").type == kind


class Blind(Enricher):
    """Looks at nothing."""

    needs = ()
    adds = {"one": pa.int64()}
    resources = PLAIN
    stored = True

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.append_column("one", pa.array([1] * len(batch), pa.int64()))


def test_who_looks_at_nothing_is_asked_once(double: Double, backend: SnowflakeBackend) -> None:
    enriched = there(backend, reviews(5, 5), Blind())
    assert enriched.to_arrow().column("one").to_pylist() == [1] * 5
    store = backend.enrichment_store()
    assert store is not None
    assert [shelf.rows for shelf in store.describe()] == [1]


def test_ids_forget_what_they_led_to(
    double: Double, backend: SnowflakeBackend, heard: Path
) -> None:
    given = reviews(6, 3)
    there(backend, given, Measured(str(heard))).persist()
    store = backend.enrichment_store()
    assert store is not None
    assert store.forget(["r0"]) == 1
    asked(heard)
    there(backend, given, Measured(str(heard))).persist()
    assert len(asked(heard)) == 1


def test_an_answer_that_is_gone_is_an_error(
    double: Double, backend: SnowflakeBackend, heard: Path
) -> None:
    rows = there(backend, reviews(2, 2), Measured(str(heard)))
    query = rows.query()  # type: ignore[attr-defined]
    store = backend.enrichment_store()
    assert store is not None
    store.forget(["r0"])
    errors = query.database.select_records(
        f'SELECT "id" AS ID, "__errors__"::TEXT AS E FROM ({query.query}) ORDER BY 1'
    )
    assert call_once.GONE in errors[0]["E"]
    assert errors[1]["E"] is None


def test_no_rows_ask_nothing(double: Double, backend: SnowflakeBackend, heard: Path) -> None:
    enriched = there(backend, reviews(0, 1), Measured(str(heard)))
    assert enriched.to_arrow().num_rows == 0
    assert asked(heard) == []


def test_what_a_store_cannot_hold_is_refused(double: Double, backend: SnowflakeBackend) -> None:
    class Null(Many):
        adds = {"odd": pa.null()}

    rows = backend.read(reviews(2, 2), ROLES)
    with pytest.raises(StoreError, match="'odd' is null"):
        rows.enrich(Null()).to_arrow()


# -- where it is not done there -----------------------------------------------------------------


def test_another_store_is_used_here(
    double: Double, session: Session, tmp_path: Path, heard: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for store in (LocalStore(tmp_path / "store"), SnowflakeStore("elsewhere")):
        backend = SnowflakeBackend(session=session, store=store)
        assert isinstance(there(backend, reviews(4, 2), Measured(str(heard))), StreamedDataset)
    backend = SnowflakeBackend(session=session, store=LocalStore(tmp_path / "store"))
    there(backend, reviews(4, 2), Measured(str(heard))).to_arrow()
    assert len(asked(heard)) == 2
    assert "its store LocalStore(" in caplog.text


def test_without_a_store_each_row_is_computed_there(
    double: Double, session: Session, heard: Path
) -> None:
    backend = SnowflakeBackend(session=session, store=None)
    given = reviews(6, 3)
    with double.watch() as seen:
        enriched = there(backend, given, Measured(str(heard))).persist()
    assert seen.rows < 30
    assert in_order(enriched).equals(in_order(here(given, Measured(str(heard)))))


# -- how often rows are computed ----------------------------------------------------------------


@pytest.mark.parametrize("question", ["sql", "python"])
def test_rows_that_are_asked_about_are_computed_once(
    double: Double, backend: SnowflakeBackend, heard: Path, question: str
) -> None:
    class Before(Measured):
        adds = {"letters": pa.int64()}
        stored = False

    class After(Measured):
        adds = {"share": pa.float32()}

    rows = backend.read(reviews(20, 10), ROLES).enrich(Before(str(heard)))
    step: Any = CortexSentiment() if question == "sql" else After(str(heard))
    with double.watch() as seen:
        rows.enrich(step).persist()
    made = next(sql for sql in seen.sql if sql.startswith("CREATE TEMPORARY FUNCTION"))
    name = made.removeprefix("CREATE TEMPORARY FUNCTION ").partition("(")[0]
    calls = [sql for sql in seen.sql if name in sql and sql != made]
    assert [call.count(name) for call in calls] == [1]
