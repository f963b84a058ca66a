"""Enrichers that need a model are computed by jobs, with the values that they have here."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from reviewml import LocalStore, Pipeline
from reviewml.backends.snowflake.identifiers import Name
from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset
from reviewml.enrichers import Language, ZeroShot
from reviewml.errors import BackendError, MissingExtra, ParameterError, RowErrors
from reviewml.interfaces import Enricher
from reviewml.operations.enrich import Enrich
from reviewml.rows.roles import Roles
from reviewml.saving import Parts

pytest.importorskip("snowflake.ml")
pytest.importorskip("snowflake_double")

from snowflake_double import Double, snowflake_double

from reviewml.backends.snowflake import jobs
from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.connection import safe_messages
from reviewml.backends.snowflake.connection import session as sessions
from reviewml.backends.snowflake.dataset import StreamedDataset
from reviewml.backends.snowflake.jobs import ComputePool, Job
from reviewml.backends.snowflake.store import SnowflakeStore
from reviewml.backends.snowflake.udf.package_archive import PACKAGES
from reviewml.backends.snowflake.udf.udf_step import package_operation

if TYPE_CHECKING:
    from snowflake.snowpark import Session

BODY = 'the "text"; --'

ROLES = Roles.of(id="id", text=["title", BODY], rating="stars")

TEXTS = [
    "Great fit, love it!",
    "it's ''; DROP TABLE reviews; --",
    'a\\b "c"\n\t/* */ \U0001f600',
    "NUL \0 inside",
    "",
    None,
    "质量很好，非常满意",
    "Awful. It broke.",
]

SECRET = "a text that nobody may see"


class Judging(Enricher):
    """Stands for an enricher with a model: it cannot run in a warehouse, and is dear to ask."""

    needs = ("text", "rating", "weights")
    adds = {
        "marks": pa.int64(),
        "shares": pa.list_(pa.float32()),
        "both": pa.struct([("marks", pa.int64()), ("share", pa.float64())]),
    }
    stored = True

    def __init__(self, asked: str | None = None) -> None:
        self.asked = asked

    def decisive_params(self) -> dict[str, Any]:
        return {}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column("text").to_pylist()
        if self.asked is not None:
            with Path(self.asked).open("a", encoding="utf-8") as file:
                file.writelines(f"{text!r}\n" for text in texts)
        marks = pc.fill_null(pc.count_substring(batch.column("text"), "!"), 0).cast(pa.int64())
        shares = np.asarray(batch.column("rating")) / 3
        lists = [[share, *w] for share, w in zip(shares, batch["weights"].to_pylist(), strict=True)]
        both = pa.StructArray.from_arrays([marks, pa.array(shares)], ["marks", "share"])
        batch = batch.append_column("marks", marks)
        batch = batch.append_column("shares", pa.array(lists, self.adds["shares"]))
        batch = batch.append_column("both", both)
        bad = {row: KeyError(text) for row, text in enumerate(texts) if text and "broke" in text}
        if bad:
            raise RowErrors(bad, batch)
        return batch


class Unstored(Judging):
    stored = False


class Broken(Judging):
    def setup(self) -> None:
        print(SECRET)  # noqa: T201  as libraries do
        raise ValueError(SECRET)


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


@pytest.fixture
def session(double: Double) -> Iterator[Session]:
    double.reset()
    with contextlib.closing(double.session()) as session:
        yield session


def on_pool(session: Session, **options: Any) -> SnowflakeBackend:
    return SnowflakeBackend(session=session, **{"pool": ComputePool("POOL", "JOBS"), **options})


def reviews(rows: int = 24, *, title: str | None = None) -> pa.Table:
    """Return rows of which each text stands in several."""
    many = [*TEXTS, "dress!", "dress!!", "dress 3", "dress 4"]
    table = {
        "id": [f"r{row}" for row in range(rows)],
        "title": pa.array([title] * rows, pa.string()),
        BODY: [many[row % len(many)] for row in range(rows)],
        "stars": [float("nan") if row % 12 == 5 else 1 + row % 12 / 7 for row in range(rows)],
        "weights": pa.array([[0.1, row % 12] for row in range(rows)], pa.list_(pa.float64())),
        "other": [f"{row}" * 100 for row in range(rows)],
    }
    return pa.table(table)


def in_order(dataset: Dataset) -> tuple[pa.Schema, list[str]]:
    """Return what can be compared: a row as text has each digit, and NaN equals NaN there."""
    table = dataset.to_arrow().sort_by("id")
    return table.schema.remove_metadata(), list(map(repr, table.to_pylist()))


def told(dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(dataset.errors.to_pylist(), key=lambda error: str(error["id"]))


def tables(session: Session) -> list[str]:
    """Return the tables that stay; temporary ones go with their session."""
    shown = session.sql("SHOW TABLES").collect()
    return [row["name"] for row in shown if row["kind"] == "TABLE"]


# -- with a pool --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_job_gives_the_values_of_this_process_and_asks_once(
    session: Session, double: Double, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "reviewml")
    given = reviews(240)
    expected = as_dataset(given, ROLES).enrich(Unstored(), stage="judged")
    asked = tmp_path / "asked"
    backend = on_pool(session)
    with double.watch() as seen:
        found = backend.read(given, ROLES).enrich(Judging(str(asked)), stage="judged")
    assert not seen.sql
    with double.watch() as seen:
        found.persist()
    # What statements say of themselves, such as the names of files that were put.
    assert sum(one.rows for one in seen.statements if one.user != "JOB") < 60
    assert sum(one.rows for one in seen.statements if one.user == "JOB") > 240
    assert in_order(found) == in_order(expected)
    assert told(found) == told(expected) != []
    lines = asked.read_text("utf-8").splitlines()
    assert len(lines) == 12
    assert "step judged: a job on POOL computed it, of 240 rows" in caplog.text
    assert "this process" not in caplog.text

    more = on_pool(session).read(reviews(300), ROLES).enrich(Judging(str(asked)), stage="judged")
    assert more.count() == 300
    # What failed is tried again, and nothing else.
    assert asked.read_text("utf-8").splitlines()[len(lines) :] == ["'Awful. It broke.'"]
    assert not jobs.list(session)
    assert not [name for name in tables(session) if "STORE" not in name]
    assert SnowflakeStore(session).forget(["r0"]) == 1


@pytest.mark.slow
def test_a_transformer_goes_there_as_a_saved_folder(
    session: Session, double: Double, tiny_model: Any, tmp_path: Path
) -> None:
    enricher = ZeroShot(("price", "size"), model=str(tiny_model("bart")), text="id")
    pipe = Pipeline([("about", enricher)], id="id", text=BODY)
    here = pipe.on("local", store=None).enrich(reviews(4))
    # Threads that wait for each other take longer than such a model does.
    env = {"env_vars": {"OMP_NUM_THREADS": "1"}}
    pool = ComputePool("POOL", "JOBS", pip_requirements=["torch", "transformers"], options=env)
    there = pipe.on("snowflake", session=session, pool=pool, store=None).enrich(reviews(4))
    table, expected = (rows.to_arrow().sort_by("id") for rows in (there, here))
    assert table.column("label").equals(expected.column("label"))
    np.testing.assert_allclose(
        np.asarray(table.column("label_score")), np.asarray(expected.column("label_score")), 0, 1e-4
    )
    assert not tables(session)


def test_only_code_of_yours_is_pickled() -> None:
    ours, yours = ZeroShot(("price",)), Unstored()
    assert isinstance(package_operation(Enrich(ours, "step"), PACKAGES).content, Parts)
    assert isinstance(package_operation(Enrich(yours, "step"), PACKAGES).content, bytes)


@pytest.mark.slow
def test_what_a_job_says_of_its_failure_quotes_no_text(
    session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "reviewml")
    rows = on_pool(session).read(reviews(title=SECRET), ROLES)
    failing = rows.enrich(Broken(), stage="judged")
    with pytest.raises(BackendError) as failure:
        failing.persist()
    message = str(failure.value)
    assert message.startswith("step 'judged': job ")
    assert "ended as FAILED. ValueError (test_snowflake_in_job.py, line " in message
    assert "in setup): it may quote a text. See" in message
    chained = [failure.value.__context__, failure.value.__cause__]
    assert SECRET not in f"{message} {chained} {caplog.text}"
    assert not [name for name in tables(session) if "STORE" not in name]
    [(job, _)] = jobs.list(session)
    # Once: what was printed is the enricher's own.
    assert job.logs(whole=True).count(SECRET) == 1
    assert Name.parse(job.id).parts[-1] in message


@pytest.mark.slow
def test_a_job_that_does_not_start_says_why(session: Session) -> None:
    pool = ComputePool("POOL", "JOBS", options={"env_vars": {"MLRS_MIN_INSTANCES": "none"}})
    rows = on_pool(session, pool=pool).read(reviews(), ROLES)
    with pytest.raises(BackendError, match=r"(?s)did not get to our code.*invalid literal.*none"):
        rows.enrich(Unstored()).persist()
    assert not tables(session)


@pytest.mark.slow
def test_a_job_that_nobody_waits_for_is_ended(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(job: Job) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Job, "wait", interrupted)
    rows = on_pool(session).read(reviews(), ROLES).enrich(Unstored())
    with pytest.raises(KeyboardInterrupt):
        rows.persist()
    assert not jobs.list(session)
    assert not tables(session)
    assert not session.sql("LIST @JOBS").collect()


@pytest.mark.slow
def test_two_threads_start_one_job(session: Session, double: Double) -> None:
    rows = on_pool(session).read(reviews(), ROLES).enrich(Unstored())
    with double.watch() as seen, ThreadPoolExecutor(2) as threads:
        counts = list(threads.map(lambda _: rows.count(), range(2)))
    assert counts == [24, 24]
    assert sum("EXECUTE_ML_JOB" in sql for sql in seen.sql) == 1


class Vanishing(Unstored):
    def setup(self) -> None:
        os._exit(0)


@pytest.mark.slow
def test_a_job_that_leaves_nothing_is_no_success(session: Session) -> None:
    rows = on_pool(session).read(reviews(), ROLES).enrich(Vanishing())
    with pytest.raises(BackendError, match=r"job .* left no result that can be read.*logs"):
        rows.persist()
    assert not tables(session)


def test_a_failure_of_ours_is_told_whole() -> None:
    with pytest.raises(MissingExtra) as raised:
        raise MissingExtra("install\nit")
    said = safe_messages.safe_message(raised.value)
    assert said.startswith("MissingExtra (test_snowflake_in_job.py, line ")
    assert said.endswith(": install it")


# -- without a job ------------------------------------------------------------------------------


def test_no_rows_are_no_job(session: Session) -> None:
    rows = on_pool(session).read(reviews(), ROLES).filter(pc.field("stars") > 100)
    found = rows.enrich(Judging(), stage="judged")
    assert found.to_arrow().schema.field("both").type == Judging.adds["both"]
    assert found.count() == 0
    assert not jobs.list(session)


@pytest.mark.parametrize("which", ["no pool", "another store", "foreign code"])
def test_what_no_job_can_do_is_done_here(
    session: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture, which: str
) -> None:
    caplog.set_level(logging.INFO, "reviewml")
    options, enricher, why = {
        "no pool": ({"pool": None}, Judging(), "this process computed it, of 24 rows fetched"),
        "another store": (
            {"store": LocalStore(tmp_path)},
            Judging(),
            "a job cannot use the store LocalStore",
        ),
        "foreign code": ({}, Foreign(), "it needs the package 'hypothesis', which is not there"),
    }[which]
    found = on_pool(session, **options).read(reviews(), ROLES).enrich(enricher, stage="judged")
    assert isinstance(found, StreamedDataset)
    expected = as_dataset(reviews(), ROLES).enrich(Unstored(), stage="judged")
    assert in_order(found) == in_order(expected)
    assert why in caplog.text
    assert not jobs.list(session)


class Foreign(Unstored):
    def setup(self) -> None:
        hypothesis.settings()


def test_what_a_warehouse_can_do_goes_there(session: Session) -> None:
    rows = on_pool(session).read(reviews(), ROLES).enrich(Language())
    assert not isinstance(rows, StreamedDataset)
    assert rows.count() == 24
    assert not jobs.list(session)


def test_plans_start_no_machines(session: Session) -> None:
    pipe = Pipeline([("judged", Unstored())], id="id", text=BODY, rating="stars")
    plan = pipe.on("snowflake", session=session, pool=ComputePool("POOL", "JOBS")).plan(reviews())
    assert plan.rows == 24
    assert not jobs.list(session)


def test_a_pool_has_the_connection_of_its_backend(session: Session) -> None:
    backend = on_pool(session, pool=ComputePool("POOL", "JOBS", connection="prod"))
    with pytest.raises(ParameterError, match="leave it out"):
        backend.read(reviews(), ROLES).enrich(Judging())


def test_containers_say_how_to_log_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    monkeypatch.setattr(sessions, "CONTAINER_TOKEN", token)
    monkeypatch.setenv("SNOWFLAKE_ACCOUNT", "here")
    monkeypatch.delenv("SNOWFLAKE_USER", raising=False)
    given = {"account": "here", "authenticator": "oauth", "token_file_path": str(token)}
    assert given.items() <= sessions._read_environment().items()
