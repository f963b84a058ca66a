"""Rows in Snowflake are what they are elsewhere, and few of them leave it."""

from __future__ import annotations

import datetime
import decimal
import uuid
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

pytest.importorskip("snowflake_double")
pytest.importorskip("snowflake.snowpark")

from snowflake_double import Double, snowflake_double

from reviewml import Frame
from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.sources.stage import SnowflakeStage
from reviewml.backends.snowflake.sources.tables import SnowflakeQuery, SnowflakeTable
from reviewml.data.frames import as_dataset
from reviewml.errors import BackendError, JoinError, ParameterError, RowsFailed, SchemaError
from reviewml.interfaces import Dataset, Window
from reviewml.operations.aggregates import Aggregate, Mean, Share
from reviewml.rows.expressions import make_earlier
from reviewml.rows.roles import Roles
from reviewml.rows.statistics import Count, Later, Max, Min, Missing, Sum, ValueCounts
from reviewml.sources.files import Files
from reviewml.testing.enricher import ROLES
from reviewml.testing.rows import ODD, make_example_rows

HOSTILE = [
    'a"b',
    "'; DROP TABLE kept; --",
    'x" FROM kept; DELETE FROM kept; --',
    "-- /* $$ ? :1 %s {0}",
    "new\nline\t\\",
    "größer 客户 👍🏽",
    "SELECT",
]


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


@pytest.fixture(scope="module")
def backend(double: Double) -> Iterator[SnowflakeBackend]:
    with double.session() as session:
        yield SnowflakeBackend(session=session, store=None)


def same(one: pa.Table, other: pa.Table) -> bool:
    # As text, so that NaN equals itself and no bit of a float is lost.
    rows = [sorted(map(repr, table.to_pylist())) for table in (one, other)]
    return rows[0] == rows[1] and one.schema.equals(other.schema)


NAN = float("nan")

EXACT = {
    "bool": pa.array([True, None, False]),
    "int8": pa.array([-128, None, 127], pa.int8()),
    "int64": pa.array([-(2**63), None, 2**63 - 1]),
    "uint64": pa.array([0, None, 2**64 - 1], pa.uint64()),
    "float32": pa.array([0.1, None, NAN], pa.float32()),
    "float64": pa.array([0.1 + 0.2, None, 5e-324]),
    "real": pa.array([float("inf"), NAN, None]),
    "decimal": pa.array([decimal.Decimal("1.10"), None, decimal.Decimal("-9.99")]),
    "date": pa.array([datetime.date(1, 1, 1), None, datetime.date(2026, 2, 28)]),
    "time": pa.array([datetime.time(23, 59, 59, 999_999), None, datetime.time(0)]),
    "naive": pa.array([datetime.datetime(1900, 1, 1, 0, 0, 0, 1), None, None]),
    "zoned": pa.array([-1, None, 1], pa.timestamp("us", "Europe/Paris")),
    "milliseconds": pa.array([-1, None, 10**13], pa.timestamp("ms")),
    "text": pa.array(["", None, "\0\U0001f44d"]),
    "large": pa.array(["a", None, ""], pa.large_string()),
    "words": pa.array(["a", None, "a"]).dictionary_encode(),
    "bytes": pa.array([b"\0\xff", None, b""]),
    "vector": pa.array([[0.1, NAN], None, [None, -1e300]], pa.list_(pa.float64(), 2)),
    "floats": pa.array([[0.1], None, []], pa.list_(pa.float32())),
    "strings": pa.array([["it's", None], None, []]),
    "struct": pa.array([{"a": 1, "b": [1.5]}, None, {"a": None, "b": None}]),
    "uuid": pa.array([uuid.UUID(int=5).bytes, None, None], pa.uuid()),
    "nothing": pa.nulls(3),
}


@pytest.mark.parametrize("name", EXACT)
def test_values_come_back_as_they_were(backend: SnowflakeBackend, name: str) -> None:
    table = pa.table({name: EXACT[name]})
    assert same(backend.read(table).to_arrow(), as_dataset(table).to_arrow())


def test_columns_of_no_such_type_are_named(backend: SnowflakeBackend) -> None:
    table = pa.table({"waited": pa.array([1], pa.duration("s"))})
    with pytest.raises(SchemaError, match=r"'waited' is duration\[s\], which Snowflake cannot"):
        backend.read(table).count()


def test_every_odd_text_survives(backend: SnowflakeBackend) -> None:
    texts = pa.table({"text": [*ODD, *HOSTILE, None, "客户很满意", "e\u0301\u200d\ufeff\r\n"]})
    assert same(backend.read(texts).to_arrow(), texts)


# -- names and values stay names and values ------------------------------------------------------


@pytest.fixture(scope="module")
def kept(backend: SnowflakeBackend) -> str:
    backend.database().run("CREATE TABLE IF NOT EXISTS kept AS SELECT 1 AS A")
    return "SELECT COUNT(*) FROM kept"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_values_do_nothing(
    backend: SnowflakeBackend, kept: str, name: str
) -> None:
    rows = pa.table({name: [name, "other", None], "id": [1, 2, 3]})
    dataset = backend.read(rows, Roles.of(id="id", text=name))
    assert dataset.filter(pc.field(name) == name).column("id").to_pylist() == [1]
    assert dataset.filter(pc.field(name).isin([name])).count() == 1
    counts = dataset.aggregate({"it": ValueCounts(name, 5), "least": Min(name)})
    assert counts == {"it": {name: 1, "other": 1}, "least": min(name, "other")}
    with pytest.warns(UserWarning, match="1 of 3 rows found no match"):
        joined = dataset.join(pa.table({name: [name, "other"], "v": [5, 6]}), on=name).to_arrow()
    assert sorted(joined.select(["id", "v"]).to_pydict()["v"], key=str) == [5, 6, None]
    table = '"' + name.replace('"', '""') + '"'
    assert dataset.merge(table).inserted == 3
    source = SnowflakeTable(table, id="id", text=name)
    assert sorted(backend.read(source).column(name).to_pylist(), key=str) == [
        *sorted([name, "other", None], key=str)
    ]
    asked = SnowflakeQuery(f"SELECT * FROM {table} WHERE {table} = ?", [name], id="id")
    assert backend.read(asked).column("id").to_pylist() == [1]
    assert backend.database().run(kept) == [(1,)]


@pytest.mark.parametrize("name", ["a; DROP TABLE kept", "a.b.c.d", "", "a b", '"', "a--", "x(1)"])
def test_what_is_no_name_is_refused(backend: SnowflakeBackend, name: str) -> None:
    with pytest.raises(ParameterError, match="is no name"):
        backend.read(SnowflakeTable(name))


@pytest.mark.parametrize("place", ["stage", "@", "@a b", "@s; DROP TABLE kept", "@s'"])
def test_what_is_no_stage_is_refused(backend: SnowflakeBackend, place: str) -> None:
    with pytest.raises((ParameterError, ValueError), match="is no place on a stage"):
        backend.read(SnowflakeStage(place))


def test_paths_and_patterns_on_a_stage_stay_values(backend: SnowflakeBackend, kept: str) -> None:
    backend.database().run('CREATE STAGE "it\'s; a ""stage"""')
    for path, pattern in (("x') FROM kept --", None), ("", "'); DROP TABLE kept; --")):
        with pytest.raises(ValueError, match="nothing to read"):
            backend.read(SnowflakeStage(f'@"it\'s; a ""stage"""/{path}', pattern=pattern))
    assert backend.database().run(kept) == [(1,)]


def test_no_message_quotes_a_text(backend: SnowflakeBackend) -> None:
    query = SnowflakeQuery("SELECT ?::DATE AS day", ["a private thing"])
    with pytest.raises(BackendError) as caught:
        backend.read(query).to_arrow()
    shown = [str(caught.value), repr(query), repr(caught.value.__context__)]
    assert not any("private" in one for one in shown)
    assert caught.value.__context__ is None


# -- the same answers as on this machine --------------------------------------------------------

NUMBERS = pa.table(
    {
        "id": list("abcdef"),
        "x": [1.0, NAN, None, -0.5, float("inf"), 2.0],
        "f": pa.array([0.1, NAN, None, -0.5, 3.0, 2.0], pa.float32()),
        "i": [3, None, -1, 2, 0, 2],
        "b": [True, False, None, True, False, None],
        "s": ["a", "B", None, "a'b", "", "客"],
        "t": pa.array([1, 2, None, 4, -5, 6], pa.timestamp("us", "UTC")),
        "n": pa.array([1, 2, None, 4, -5, 6], pa.timestamp("us")),
        "d": pa.array([1, 2, None, 4, -5, 6], pa.date32()),
    }
)

FIELD = pc.field

CONDITIONS = [
    FIELD("x") > 0.5,
    ~(FIELD("x") > 0.5),
    FIELD("x") != 1.0,
    FIELD("x") == NAN,
    FIELD("x").is_nan(),
    FIELD("x").is_null(),
    FIELD("x").is_null(nan_is_null=True),
    FIELD("f") <= pa.scalar(0.1, pa.float32()),
    FIELD("i") >= -1,
    FIELD("i").isin([2, 3]),
    ~FIELD("i").isin([2, 3]),
    FIELD("i").isin([2, None]),
    (FIELD("i") > 1) & FIELD("b"),
    (FIELD("i") > 1) | ~FIELD("b"),
    FIELD("s") == "a'b",
    FIELD("s") > "a",
    FIELD("s").is_valid(),
    make_earlier("t", pa.timestamp("us", "UTC"), 4),
    ~make_earlier("n", pa.timestamp("us"), 0),
    make_earlier("d", pa.date32(), 4 * 86_400_000_000),
    FIELD("d") < pa.scalar(2, pa.date32()),
    pc.scalar(False),
    FIELD("i") + 1 > 2,
    pc.match_substring(FIELD("s"), "a"),
]


@pytest.fixture(scope="module")
def numbers(backend: SnowflakeBackend) -> Dataset:
    return backend.read(NUMBERS).persist()


@pytest.mark.parametrize("keep", CONDITIONS, ids=str)
def test_filters_keep_the_same_rows(numbers: Dataset, keep: pc.Expression) -> None:
    found = numbers.filter(keep).column("id").to_pylist()
    assert sorted(found) == as_dataset(NUMBERS).filter(keep).column("id").to_pylist()


def test_statistics_are_the_same(numbers: Dataset) -> None:
    asked: dict[str, Any] = {}
    for name in NUMBERS.column_names:
        asked |= {f"known {name}": Count(name), f"missing {name}": Missing(name)}
        asked |= {f"least {name}": Min(name), f"most {name}": Max(name)}
    for name in ("id", "x", "i", "b", "s", "t"):
        asked |= {f"few {name}": ValueCounts(name, 6), f"many {name}": ValueCounts(name, 2)}
    asked |= {"sum": Sum("i"), "later": Later("t", "n"), "earlier": Later("d", "t")}
    found, expected = (plain(rows.aggregate(asked)) for rows in (numbers, as_dataset(NUMBERS)))
    assert found == expected


def plain(found: dict[str, Any]) -> dict[str, Any]:
    # As text, so that NaN equals itself.
    return {
        name: sorted(map(repr, value.items())) if isinstance(value, dict) else repr(value)
        for name, value in found.items()
    }


def test_sums_are_exact_beyond_64_bits(backend: SnowflakeBackend) -> None:
    largest = backend.read(pa.table({"n": [2**63 - 1] * 3}))
    assert largest.aggregate({"sum": Sum("n")}) == {"sum": 3 * (2**63 - 1)}


def test_statistics_move_a_row_and_a_filter_none(backend: SnowflakeBackend, double: Double) -> None:
    dataset = backend.read(make_example_rows(240), ROLES).persist()
    with double.watch() as watch:
        dear = dataset.filter(pc.field("price") > 40)
        dear.aggregate({"n": Count("price"), "clicks": Sum("clicks"), "last": Max("time")})
        dear.count()
    assert sum(statement.rows for statement in watch.statements) == 2
    asked, counted = (one.sql for one in watch.statements if one.sql.startswith("SELECT"))
    condition = 'IFF("price" = \'NaN\'::FLOAT, FALSE, ("price" > 40.0::FLOAT))'
    assert condition in asked
    assert condition in counted
    for cell in ('COUNT("price")', 'SUM("clicks")', 'MAX("time")'):
        assert cell in asked


def moments(n: int) -> tuple[pa.Table, pa.Table]:
    random = np.random.default_rng(n)

    def times() -> pa.Array:
        missing = random.random(n) < 0.1
        return pa.array(random.integers(300, size=n), pa.timestamp("us", "UTC"), mask=missing)

    def keys(kind: pa.DataType) -> pa.Array:
        return pa.array(random.integers(12, size=n), mask=random.random(n) < 0.1).cast(kind)

    rows = {"id": range(n), "key": keys(pa.float64()), "two": keys(pa.string()), "at": times()}
    worth = pa.array(random.integers(-9, 9, size=n) * 2**54)
    events = {"key": keys(pa.int32()), "to": keys(pa.string()), "when": times(), "worth": worth}
    return pa.table(rows), pa.table(events)


WINDOWS = {"short": Window(-50, -1), "ahead": Window(1, 31), "ever": Window(None, 0)}


@pytest.mark.parametrize("by", ["key", {"two": "to"}, {"key": "key", "two": "to"}], ids=str)
def test_as_of_aggregates_are_the_same(backend: SnowflakeBackend, by: Any) -> None:
    rows, events = moments(300)

    def counted(rows: Dataset, events: Dataset) -> pa.Table:
        found = rows.asof_aggregate(events, by=by, windows=WINDOWS, sums=["worth"], last="ever")
        return found.to_arrow().sort_by("id")

    told = []
    for read in (backend.read, as_dataset):
        with pytest.warns(UserWarning, match="of 300 rows have no") as caught:
            table = counted(read(Frame(rows, time="at")), read(Frame(events, time="when")))
        told.append((table, [str(one.message) for one in caught]))
    assert told[0][0].equals(told[1][0])
    assert told[0][1] == told[1][1]


def test_as_of_aggregates_of_dates_and_zones(backend: SnowflakeBackend) -> None:
    rows = pa.table({"k": ["a"] * 2, "at": pa.array([0, 86_400_000_001], pa.timestamp("us"))})
    events = pa.table({"k": ["a"] * 3, "day": pa.array([0, 1, None], pa.date32())})
    window = {"ever": Window(None, 0)}
    tables = []
    for read in (backend.read, as_dataset):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            counted = read(Frame(rows, time="at")).asof_aggregate(
                read(Frame(events, time="day")), by="k", windows=window
            )
            tables.append(counted.to_arrow().sort_by("at"))
    assert tables[0].equals(tables[1])
    assert tables[0].column("ever_count").to_pylist() == [0, 2]


def test_no_events_at_all(backend: SnowflakeBackend) -> None:
    rows, events = moments(20)
    none = backend.read(Frame(events.slice(0, 0), time="when"))
    found = backend.read(Frame(rows, time="at")).asof_aggregate(
        none, by="key", windows=WINDOWS, sums=["worth"], last="ever"
    )
    assert set(found.column("ever_worth").to_pylist()) == {0}
    assert found.column("ever_last").null_count == 20


def test_labels_are_the_same_and_stay_there(backend: SnowflakeBackend, double: Double) -> None:
    rows = make_example_rows(120)
    labels = []
    for read in (backend.read, as_dataset):
        dataset = read(rows, ROLES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            labelled = dataset.label(dataset, by="layout", within="10d", name="follows")
            labels.append(labelled.to_arrow().sort_by("id"))
    assert labels[0].equals(labels[1])
    assert labels[0].schema.field("follows").metadata == labels[1].schema.field("follows").metadata
    assert "ASOF JOIN" in double.statements[-1].sql


def test_samples_are_the_same(backend: SnowflakeBackend) -> None:
    rows = make_example_rows(120)
    for by in (None, "layout", "price"):
        found, expected = (
            read(rows, ROLES).sample(5, by=by, random_state=3).to_arrow().sort_by("id")
            for read in (backend.read, as_dataset)
        )
        assert found.equals(expected)


def test_no_row_leaves_that_is_not_in_a_sample(backend: SnowflakeBackend, double: Double) -> None:
    rows = backend.read(make_example_rows(400), ROLES)
    with double.watch() as watched:
        assert rows.sample(7).count() == 7
    assert watched.rows < 12


# -- groups --------------------------------------------------------------------------------------


def test_rows_are_grouped_there(double: Double, backend: SnowflakeBackend) -> None:
    rows = backend.read(make_example_rows(90), ROLES).persist()
    aggregates: dict[str, Aggregate] = {
        "rows": Count(),
        "stars": Mean("rating"),
        "dear": Share(pc.field("price") > 40),
        "layouts": Max("layout"),
    }
    with double.watch() as watch:
        groups = rows.group_by("layout").aggregate(aggregates).to_arrow()
    # The groups, how many rows failed, and whether a rating is too large.
    assert watch.rows == len(groups) + 2
    assert sum("GROUP BY" in sql for sql in watch.sql) == 1
    here = as_dataset(make_example_rows(90), ROLES).group_by("layout").aggregate(aggregates)
    assert same(groups.sort_by("layout"), here.to_arrow().sort_by("layout"))


def test_conditions_that_sql_lacks_are_decided_by_python_there(
    double: Double, backend: SnowflakeBackend
) -> None:
    long = pc.utf8_length(pc.field("text")) > 20
    rows = backend.read(make_example_rows(90), ROLES).persist()
    with double.watch() as watch:
        groups = rows.group_by("layout").aggregate({"long": Share(long)}).to_arrow()
    assert watch.rows == len(groups) + 1
    here = (
        as_dataset(make_example_rows(90), ROLES).group_by("layout").aggregate({"long": Share(long)})
    )
    assert same(groups.sort_by("layout"), here.to_arrow().sort_by("layout"))


def test_columns_that_conditions_name_by_their_position_are_the_same(
    backend: SnowflakeBackend,
) -> None:
    table = pa.table({"day": pa.array([0, 1], pa.time64("us")), "a": [1, 9], "b": [9, 1]})
    kept = backend.read(table).filter(pc.field(1) > 5).to_arrow()
    assert kept.column("a").to_pylist() == [9]


@pytest.mark.parametrize("value", [2.0**42, -(2.0**42), float("inf")])
def test_floats_too_large_to_be_added_are_refused_there(
    backend: SnowflakeBackend, value: float
) -> None:
    rows = backend.read(pa.table({"key": ["a", "a"], "x": [1.0, value]}))
    with pytest.raises(SchemaError, match="too large to be added exactly"):
        rows.group_by("key").aggregate({"mean": Mean("x")}).to_arrow()


# -- joins ---------------------------------------------------------------------------------------


def test_joins_are_the_same(backend: SnowflakeBackend) -> None:
    left = pa.table({"k": [1, 2, 2, None], "j": ["a", "b", None, "d"], "n": [1, 2, 3, 4]})
    right = pa.table({"key": [2, 1, 3, None], "v": [20.5, NAN, 30.0, 40.0]})
    for how in ("left", "inner"):
        tables = []
        for read in (backend.read, as_dataset):
            joined = read(left).join(read(right), left_on="k", right_on="key", how=how)
            with pytest.warns(UserWarning, match=r"1 of 4 rows .* such as {'k': None}"):
                tables.append(joined.to_arrow())
        assert same(*tables)


def test_errors_travel_with_the_rows_they_match(backend: SnowflakeBackend, tmp_path: Any) -> None:
    (tmp_path / "left.csv").write_text("k,n\n1,many\n2,5\n", encoding="utf-8")
    (tmp_path / "right.csv").write_text("k,v\n1,oops\n2,5\n3,5,too,many\n", encoding="utf-8")
    left = backend.read(Files(tmp_path / "left.csv", dtypes={"n": "int64"}))
    right = Files(tmp_path / "right.csv", dtypes={"v": "int64"})
    with pytest.warns(UserWarning, match=r"key could not be read: 1, such as right\.csv#3;"):
        errors = left.join(right, on="k").errors
    assert errors["column"].to_pylist() == ["n", "v"]
    with pytest.raises(RowsFailed, match=r"row left\.csv#1 failed in read, column 'n'"):
        left.raise_on_error().count()


@pytest.mark.parametrize("side", ["left", "right"])
def test_keys_that_stand_twice_are_refused(backend: SnowflakeBackend, side: str) -> None:
    once, twice = pa.table({"k": ["x"]}), pa.table({"k": ["x", "x", None]})
    sides = (twice, once) if side == "left" else (once, twice)
    left, right = map(backend.read, sides)
    with pytest.raises(JoinError, match=f"k='x' stands 2 times on the {side}"):
        left.join(right, on="k", validate="one_to_one").count()


def test_a_join_moves_no_rows(backend: SnowflakeBackend, double: Double) -> None:
    left = backend.read(make_example_rows(240), ROLES).persist()
    right = backend.read(pa.table({"layout": ["grid", "list", "hero"], "w": [3, 1, 2]})).persist()
    with double.watch() as watch, pytest.warns(UserWarning, match="found no match"):
        left.join(right, on="layout").count()
    # Counts, and one example of a row without a match.
    assert sum(statement.rows for statement in watch.statements) == 4


def test_temporary_tables_go_when_nobody_refers_to_them(
    backend: SnowflakeBackend, double: Double
) -> None:
    backend.read(pa.table({"n": [1]})).persist()
    with double.watch() as watch:
        backend.database().run("SELECT 1")
    dropped = [one.sql for one in watch.statements if one.sql.startswith("DROP TABLE")]
    # What was uploaded, and what was persisted.
    assert len(dropped) == 2
