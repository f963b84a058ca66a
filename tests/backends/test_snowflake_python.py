"""Functions of batches that the warehouse runs give the bits that they give here."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from reviewml import Frame, Pipeline
from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset
from reviewml.enrichers import Aspects, Language, Quality, ReviewHistory, Sentiment
from reviewml.errors import BackendError, RowErrors
from reviewml.featurizers import Features
from reviewml.interfaces import Enricher
from reviewml.operations.cached_enrich import CachedEnrich
from reviewml.operations.enrich import Enrich
from reviewml.operations.operation import BatchOperation
from reviewml.operations.resources import PLAIN, Resources
from reviewml.rows.bookkeeping import with_columns
from reviewml.rows.roles import Roles
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression

pytest.importorskip("snowflake.snowpark")
pytest.importorskip("snowflake_double")

from snowflake_double import Double

from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.connection.safe_messages import MARK
from reviewml.backends.snowflake.connection.session import ConnectionConfig
from reviewml.backends.snowflake.dataset import StreamedDataset
from reviewml.backends.snowflake.identifiers import literal
from reviewml.backends.snowflake.udf import package_archive, registration
from reviewml.backends.snowflake.udf.pickling import CannotShip, pickle_function, register_by_value
from reviewml.backends.snowflake.udf.udf_step import compile_to_udf, package_operation

if TYPE_CHECKING:
    from snowflake.snowpark import Session

ROLES = Roles.of(id="id", text="text", rating="stars")

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


@pytest.fixture(scope="module")
def session(running: Double) -> Iterator[Session]:
    with contextlib.closing(running.session()) as session:
        yield session


@pytest.fixture(scope="module")
def backend(session: Session) -> SnowflakeBackend:
    return SnowflakeBackend(session=session, store=None)


def reviews(rows: int = 80) -> pa.Table:
    # One language and both ends of the scale, for Sentiment to learn from.
    texts = [f"lovely dress {i}" if i % 2 else f"awful dress {i}" for i in range(rows)]
    texts[: len(TEXTS)] = TEXTS[:rows]
    stars = [5 if i % 2 else 1 for i in range(rows)]
    return pa.table({"id": [f"r{i}" for i in range(rows)], "text": texts, "stars": stars})


def in_order(dataset: Dataset) -> pa.Table:
    return dataset.to_arrow().sort_by("id")


def told(dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(dataset.errors.to_pylist(), key=lambda error: str(error["id"]))


class Shouting(Enricher):
    """An enricher of a user's: its module is not in the warehouse."""

    needs = ("text",)
    adds = {"marks": pa.int64(), "share": pa.float32()}
    resources = Resources(pure_python=True)

    def __init__(self, *, mark: str = "!", token: str | None = None) -> None:
        self.mark = mark
        self.token = token

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        marks = pc.count_substring(batch.column("text"), self.mark).cast(pa.int64())
        share = pc.divide(marks.cast(pa.float32()), pa.scalar(3, pa.float32()))
        return batch.append_column("marks", marks).append_column("share", share)


class Picky(Shouting):
    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        texts = batch.column("text").to_pylist()
        bad = {row: ValueError(f"no: {text}") for row, text in enumerate(texts) if not text}
        if bad:
            raise RowErrors(bad)
        if any("broke" in text for text in texts):
            raise KeyError("broke")
        return super().enrich(batch)


class Foreign(Shouting):
    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return pytest.approx(super().enrich(batch))


ENRICHERS = [
    Language(languages=["en", "zh"]),
    Quality().fit(as_dataset(reviews(), ROLES)),
    Sentiment().fit(as_dataset(reviews(), ROLES)),
    Aspects({"dress": ["dress*"], "it's": ["质量", "it"]}).fit(as_dataset(reviews(), ROLES)),
    Shouting(mark="o"),
    Picky(),
]


@pytest.mark.parametrize("enricher", ENRICHERS, ids=lambda e: type(e).__name__)
def test_enrichers_give_the_same_bits_there(
    running: Double, backend: SnowflakeBackend, enricher: Enricher
) -> None:
    here = as_dataset(reviews(), ROLES).enrich(enricher, stage="it's")
    with running.watch() as seen:
        there = backend.read(reviews(), ROLES).enrich(enricher, stage="it's").persist()
    assert seen.rows < 30
    assert in_order(there).equals(in_order(here), check_metadata=True)
    assert told(there) == told(here)


def test_what_is_not_fitted_says_so(backend: SnowflakeBackend) -> None:
    with pytest.raises(BackendError, match="Quality is not fitted"):
        backend.read(reviews(), ROLES).enrich(Quality()).to_arrow()


class Unready(Shouting):
    def setup(self) -> None:
        import no_such_package  # noqa: F401


class Misnamed(Shouting):
    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.append_column("mark", pa.nulls(len(batch), pa.int64()))


class Quoting(Shouting):
    """Fails where nobody sees to it that texts stay: outside of `enrich`."""

    def setup(self) -> None:
        raise ValueError("no 'lovely dress 1', nor reviewml-<lovely dress 1>reviewml-")


class QuotingRow(Shouting):
    def setup(self) -> None:
        raise RowErrors({0: ValueError("lovely dress 1")})


SAID = {
    Unready: r"step 'my own': ModuleNotFoundError \(.*, in setup\): .*'no_such_package'$",
    Misnamed: r"step 'my own': SchemaError \(.*\): my own did not add \['marks', 'share'\]",
    Quoting: r"step 'my own': ValueError \(test_.*, line \d+, in setup\): it may quote a text\.$",
    QuotingRow: r"step 'my own': RowErrors \(test_.*, line \d+, in setup\): it may quote a text\.$",
}


@pytest.mark.parametrize("kind", SAID)
def test_what_is_known_to_be_no_text_is_said(
    backend: SnowflakeBackend, kind: type[Shouting]
) -> None:
    enriched = backend.read(reviews(), ROLES).enrich(kind(), stage="my own")
    with pytest.raises(BackendError, match=SAID[kind]) as caught:
        enriched.to_arrow()
    assert "lovely" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["reviewml-0<lovely>reviewml-0", f"{MARK[:-1]}<lovely>{MARK[:-1]}", "'lovely'"],
    ids=["another mark", "most of the mark", "quotes"],
)
def test_a_text_cannot_pass_for_what_is_known_to_be_none(
    backend: SnowflakeBackend, text: str
) -> None:
    database = backend.database()
    with pytest.raises(BackendError) as caught:
        database.run(f"SELECT {literal(text)}::TEXT::INTEGER")
    assert "lovely" not in str(caught.value)


def test_rows_that_fail_say_so_without_their_text(backend: SnowflakeBackend) -> None:
    enriched = backend.read(reviews(), ROLES).enrich(Picky(), stage="picky")
    errors = told(enriched)
    assert {error["id"] for error in errors} == {"r4", "r5", "r7"}
    assert {error["stage"] for error in errors} == {"picky"}
    failed = enriched.filter(pc.is_null(pc.field("marks"))).to_arrow()
    assert sorted(failed.column("id").to_pylist()) == ["r4", "r5", "r7"]


def test_errors_are_told_without_the_other_rows(running: Double, backend: SnowflakeBackend) -> None:
    enriched = backend.read(reviews(), ROLES).enrich(Picky(), stage="picky").persist()
    with running.watch() as seen:
        assert len(enriched.errors) == 3
    [asked] = [one for one in seen.statements if one.sql.startswith("SELECT")]
    assert asked.rows == 3
    chosen = asked.sql.partition(" FROM ")[0]
    assert not any(f'"{name}"' in chosen for name in ("text", "stars", "marks"))


def test_errors_add_up(backend: SnowflakeBackend) -> None:
    def twice(rows: Dataset) -> Dataset:
        one = rows.enrich(Picky(), stage="one").select(["id", "text"])
        return one.enrich(Picky(mark="?"), stage="two")

    there = told(twice(backend.read(reviews(), ROLES)))
    assert there == told(twice(as_dataset(reviews(), ROLES)))
    assert len(there) == 6


def test_cross_fitting_tells_rows_apart_as_here(running: Double, backend: SnowflakeBackend) -> None:
    here = Sentiment().fit_enrich(as_dataset(reviews(), ROLES))
    there = Sentiment().fit_enrich(backend.read(reviews(), ROLES))
    with running.watch() as seen:
        there = there.persist()
    assert seen.rows < 30
    assert in_order(there).equals(in_order(here))


class Loading(Shouting):
    times = 0

    def setup(self) -> None:
        type(self).times += 1


def test_what_is_heavy_is_loaded_once(backend: SnowflakeBackend) -> None:
    enriched = backend.read(reviews(), ROLES).enrich(Loading())
    enriched.to_arrow()
    enriched.to_arrow()
    assert Loading.times == 1


# -- values -------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")

UTC = datetime.UTC

COLUMNS: Mapping[str, pa.Array] = {
    "int8": pa.array([-128, 127, None], pa.int8()),
    "int64": pa.array([-(2**63), 2**63 - 1, None], pa.int64()),
    "uint64": pa.array([0, 2**64 - 1, None], pa.uint64()),
    "float32": pa.array([0.1, NAN, None], pa.float32()),
    "float64": pa.array([0.1 + 0.2, NAN, None], pa.float64()),
    "infinite": pa.array([INF, -INF, -0.0], pa.float64()),
    "tiny": pa.array([5e-324, 1.7976931348623157e308, 1 / 3], pa.float64()),
    "decimal": pa.array([Decimal("-12.30"), Decimal("0.00"), None], pa.decimal128(10, 2)),
    "bool": pa.array([True, False, None]),
    "text": pa.array(["it's; -- \\ \"\n\U0001f600", "", None]),
    "words": pa.array(["null", '"quoted"', '{"a": 1}']),
    "escapes": pa.array(["a\0b", "\\u0000", "NaN"]),
    "null": pa.nulls(3),
    "days": pa.array([-1, 2, None], pa.int64()).cast(pa.timestamp("s")).cast(pa.date64()),
    "date": pa.array([datetime.date(1900, 1, 1), datetime.date(2200, 12, 31), None]),
    "time": pa.array([0, 86_399_999_999, None], pa.time64("us")),
    "moment": pa.array([-1, 4_000_000_000_000_001, None], pa.timestamp("us")),
    "zoned": pa.array([-1, 4_000_000_000_000_001, None], pa.timestamp("us", "Asia/Tokyo")),
    "seconds": pa.array([-1, 2, None], pa.timestamp("s")),
    "bytes": pa.array([b"\0\xff", b"", None], pa.binary()),
    "list": pa.array([[0.1, None, 1 / 3], [], None], pa.list_(pa.float32())),
    "struct": pa.array([{"a": 1, "b": "it's"}, {"a": None, "b": None}, None]),
}


class Doubled(BatchOperation):
    """Give each column again under another name."""

    keeps_rows = True
    resources = PLAIN

    def schema(self, schema: pa.Schema) -> pa.Schema:
        again = [field.with_name(f'the "{field.name}"') for field in schema]
        return pa.schema([*again[:-2], *schema], schema.metadata)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        again = {f'the "{name}"': batch.column(name) for name in batch.schema.names}
        return with_columns(batch, again, self.schema(batch.schema))


def bits(column: pa.ChunkedArray) -> list[str]:
    return [repr(value) for value in column.to_pylist()]


def test_values_of_every_type_pass_in_and_out(running: Double, backend: SnowflakeBackend) -> None:
    table = pa.table({"id": [0, 1, 2], **COLUMNS})
    rows = backend.read(table, Roles.of(id="id"))
    with running.watch() as seen:
        there = rows.apply(Doubled()).persist()
    assert seen.rows < 30
    back = in_order(there)
    for name, column in COLUMNS.items():
        assert back.schema.field(f'the "{name}"').type == column.type
        assert bits(back.column(f'the "{name}"')) == bits(column), name
        assert bits(back.column(name)) == bits(column), name


def test_rows_that_are_not_there(backend: SnowflakeBackend) -> None:
    enriched = backend.read(reviews(0), ROLES).enrich(Shouting())
    assert enriched.to_arrow().num_rows == 0
    assert "marks" in enriched.schema.names


# -- pipelines ----------------------------------------------------------------------------------


def shop() -> tuple[pa.Table, pa.Table]:
    first = datetime.datetime(2026, 1, 1, tzinfo=UTC)
    told = reviews().append_column("product", pa.array([f"p{i % 7}" for i in range(80)]))
    moments = pa.array([first + datetime.timedelta(hours=i) for i in range(80)])
    told = told.append_column("at", moments.cast(pa.timestamp("us", "UTC")))
    visits = pa.table(
        {
            "visit": [f"v{i}" for i in range(60)],
            "product": [f"p{i % 9}" for i in range(60)],
            "when": pa.array([first + datetime.timedelta(hours=20 + i) for i in range(60)]),
            "bought": [i % 3 == 0 for i in range(60)],
        }
    )
    return told, visits


def history(told: pa.Table) -> Pipeline:
    source = Frame(told, id="id", text="text", rating="stars", time="at")
    steps = [
        (
            "product",
            ReviewHistory(
                source, by="product", enrichers=[("sentiment", Sentiment())], windows=("1d", "30d")
            ),
        ),
        ("features", Features()),
        ("model", LogisticRegression()),
    ]
    return Pipeline(steps, id="visit", time="when", target="bought")


@pytest.mark.slow
def test_a_history_is_the_same_and_no_row_leaves_for_it(
    running: Double, backend: SnowflakeBackend
) -> None:
    told, visits = shop()
    here = history(told).fit(visits)
    there = here.on(backend)
    matrix = here.transform(visits)
    assert (matrix.view("u4") == there.transform(visits).view("u4")).all()
    rows = backend.read(visits, Roles.of(id="visit", time="when"))
    with running.watch() as seen:
        there.predict(rows).merge("SCORES")
    assert seen.rows < 50
    today = visits.set_column(2, "when", pa.array([visits.column("when")[-1].as_py()] * 60))
    joined = today.join(here["product"].snapshot(today.column("when")[0].as_py()), "product")
    filled = there.predict(backend.read(joined, Roles.of(id="visit", time="when")))
    expected = here.predict(Frame(today, id="visit", time="when"))
    assert in_order(filled).equals(in_order(expected))
    refitted = history(told).on(backend).fit(visits)
    assert refitted.steps_[0][1].fingerprint() == here.steps_[0][1].fingerprint()
    assert refitted.features_ == here.features_


# -- what goes, and how -------------------------------------------------------------------------


def test_only_what_is_needed_is_given(running: Double, backend: SnowflakeBackend) -> None:
    rows = backend.read(make_example_rows(5), Roles.of(id="id", text="text"))
    with running.watch() as seen:
        rows.enrich(Shouting()).persist()
    [made] = [sql for sql in seen.sql if sql.startswith("CREATE TEMPORARY FUNCTION")]
    assert "(A0 TEXT, A1 TEXT, A2 TEXT)" in made


def test_components_are_saved_and_others_pickled() -> None:
    assert package_operation(Enrich(Language(), "language")).handler == "enriched"
    [own, version] = [package_operation(Enrich(Shouting(), "own")), registration.find_runtime()]
    assert (own.handler, own.runtime) == ("called", version)


def stays(
    backend: SnowflakeBackend, enricher: Enricher, caplog: pytest.LogCaptureFixture
) -> list[str]:
    caplog.set_level(logging.INFO)
    enriched = backend.read(reviews(), ROLES).enrich(enricher, stage="mine")
    assert isinstance(enriched, StreamedDataset)
    assert enriched.to_arrow().num_rows == 80
    return [r.getMessage() for r in caplog.records if r.name.startswith("reviewml")]


def test_modules_are_taken_along_as_long_as_somebody_takes_them() -> None:
    module = sys.modules[__name__]

    def is_taken() -> bool:
        return __name__ in cloudpickle.list_registry_pickle_by_value()

    with contextlib.ExitStack() as one, contextlib.ExitStack() as other:
        one.enter_context(register_by_value([__name__]))
        other.enter_context(register_by_value([__name__]))
        # As of two threads: who came first may go first.
        one.close()
        assert is_taken()
    assert not is_taken()
    cloudpickle.register_pickle_by_value(module)
    with register_by_value([__name__]):
        pass
    assert is_taken()
    cloudpickle.unregister_pickle_by_value(module)


def test_what_cannot_be_pickled_stays(
    backend: SnowflakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    shouting = Shouting()
    shouting.lock = threading.Lock()  # type: ignore[attr-defined]
    said = stays(backend, shouting, caplog)
    assert said == [
        "step mine: this process computed it, of 80 rows fetched: it cannot be pickled (TypeError)"
    ]


def test_secrets_stay(backend: SnowflakeBackend, caplog: pytest.LogCaptureFixture) -> None:
    [why] = stays(backend, Shouting(token="hunter2"), caplog)
    assert "looks like a secret" in why
    assert "hunter2" not in caplog.text


def test_what_does_not_say_that_it_is_plain_python_stays(
    backend: SnowflakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    shouting = Shouting()
    shouting.resources = Resources(gpu=1, pure_python=True)
    [why] = stays(backend, shouting, caplog)
    assert why.endswith("rows fetched: it needs a GPU")
    shouting.resources = Resources()
    caplog.clear()
    [why] = stays(backend, shouting, caplog)
    assert why.endswith("rows fetched: it is not plain Python")


def test_a_plan_says_that_it_tries_steps_here(
    backend: SnowflakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "reviewml")
    Pipeline([("mine", Shouting())], id="id", text="text").on(backend).plan(reviews())
    assert "rows fetched: it is tried here, for a plan" in caplog.text
    assert "plain Python" not in caplog.text


class Slow(Shouting):
    adds = {"marks": pa.duration("s")}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch.append_column("marks", pa.nulls(len(batch), pa.duration("s")))


def test_types_that_cannot_be_there_stay(
    backend: SnowflakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    [why] = stays(backend, Slow(), caplog)
    assert "a type that Snowflake cannot hold" in why


def test_stored_values_stay() -> None:
    class Store:
        pass

    operation = CachedEnrich(Shouting(), "mine", Store())  # type: ignore[arg-type]
    schema = as_dataset(reviews(), ROLES).full_schema
    with pytest.raises(CannotShip, match="is not in this account"):
        compile_to_udf(operation, schema, operation.schema(schema), ConnectionConfig())


def test_a_package_of_the_users_goes_with_the_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "my_enrichers"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "words.py").write_text("MARK = '#'\ndef mark():\n    return MARK\n")
    (package / "own.py").write_text(
        "from my_enrichers import words\n"
        "class Own:\n"
        "    def __call__(self):\n"
        "        return words.mark()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("my_enrichers.own").Own()
    raw, has_code = pickle_function(own, type(own), [])
    assert has_code
    for name in [name for name in sys.modules if name.startswith("my_enrichers")]:
        monkeypatch.delitem(sys.modules, name)
    (package / "words.py").unlink()
    asked = f"import pickle; print(pickle.loads({raw!r})())"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout == "#\n"


def test_packages_that_the_warehouse_lacks_are_named() -> None:
    with pytest.raises(CannotShip, match="'pytest'"):
        pickle_function(Foreign(), Foreign, ["pyarrow"])
    with pytest.raises(CannotShip, match="'pyarrow'"):
        pickle_function(Shouting(), Shouting, ["numpy"])


ALONE = """
import sys
sys.path.insert(0, {archive!r})
sys._xoptions["snowflake_import_directory"] = {folder!r}
import reviewml
assert reviewml.__file__.startswith({archive!r})
import pandas
from reviewml.backends.snowflake.udf.handlers import called
rows = pandas.DataFrame({{0: ["so!!", None], 1: ["a#1", "a#2"], 2: [None, None]}})
given = called("saved.zip", [{schema!r}], ["marks", "share", "__errors__"])(rows)
assert given == [["2", "0.6666666865348816", None], [None, None, None]], given
assert not {{"snowflake.snowpark", "snowflake.connector", "ray", {own!r}}} & set(sys.modules)
"""


@pytest.mark.slow
def test_a_users_class_needs_nothing_of_the_user_there(tmp_path: Path) -> None:
    function = Enrich(Shouting(), "own")
    folder = tmp_path / "saved"
    folder.mkdir()
    content = package_operation(function).content
    assert isinstance(content, bytes)
    (folder / "function.pickle").write_bytes(content)
    registration.zip_folder(folder, tmp_path / "saved.zip")
    schema = as_dataset(pa.table({"text": ["a"]}), Roles.of(text="text")).full_schema
    code = ALONE.format(
        archive=str(package_archive.write_archive(tmp_path)),
        folder=f"{tmp_path}/",
        schema=schema.serialize().to_pybytes().hex(),
        own=__name__,
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env={})
