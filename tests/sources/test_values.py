"""Values: what a cell said is what is read, or an error names it."""

from __future__ import annotations

import datetime as dt
import json
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviewml import Files, Frame, Pipeline, Table
from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset
from reviewml.enrichers import Language
from reviewml.errors import JoinError, SchemaError, SourceError

Read = Callable[..., Dataset]

LONG = 9007199254740993
"""The first whole number that float64 does not hold."""


@pytest.fixture
def read_csv(tmp_path: Path) -> Read:
    def read(cells: list[str], column: str = "x", **options: Any) -> Dataset:
        lines = "".join(f"{cell},{row}\n" for row, cell in enumerate(cells))
        (tmp_path / "x.csv").write_text(f"{column},row\n{lines}", encoding="utf-8")
        return as_dataset(Files(tmp_path / "x.csv", **options))

    return read


def type_of(dataset: Dataset) -> str:
    return str(dataset.schema.field("x").type)


def values(dataset: Dataset) -> list[Any]:
    return dataset.column("x").to_pylist()


def messages(dataset: Dataset) -> list[tuple[int, str]]:
    return [
        (int(error["place"].rpartition("#")[2]), error["error"])
        for error in dataset.errors.to_pylist()
    ]


# -- later cells are read by the rules of inference ----------------------------------------------


@pytest.mark.parametrize(
    ("head", "late"),
    [
        ("1", "00501"),
        ("1", "-007"),
        ("1", "0x1F"),
        ("1", "0XFF"),
        ("1", "-0"),
        ("1.5", "00.5"),
        ("1.5", "007"),
        ("1.5", "9007199254740993"),
        ("1.5", "76561198000000001.0"),
        ("1.5", "1e999"),
        ("true", "1"),
        ("false", "0"),
    ],
)
@pytest.mark.parametrize("files", [1, 3])
def test_a_later_text_that_would_change_is_null_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str, late: str, files: int
) -> None:
    monkeypatch.setattr("reviewml.sources.files.SAMPLE_ROWS", 30)
    lines = "".join(f"{head},{row}\n" for row in range(40))
    for number in range(files):
        (tmp_path / f"{number}.csv").write_text(f"x,row\n{lines}{late},40\n{head},41\n")
    rows = as_dataset(Files(tmp_path))
    assert type_of(rows) != "string"
    read = values(rows)
    assert read.count(None) == files and read[40] is None
    assert len(rows.errors) == files
    assert "dtypes={'x': 'string'}" in messages(rows)[0][1]
    texts = as_dataset(Files(tmp_path, dtypes={"x": "string"}))
    assert values(texts)[40] == late and len(texts.errors) == 0


@pytest.mark.parametrize("text", ["0", "0.5", "-0.5", "+5", "-1", "1e5", "0e0", ".5", " 7 ", ""])
def test_numbers_that_begin_like_codes_are_numbers(read_csv: Read, text: str) -> None:
    rows = read_csv(["1.5"] * 3 + [text])
    assert values(rows)[3] == (float(text) if text else None)
    assert len(rows.errors) == 0


def test_a_type_that_is_stated_takes_any_way_of_writing(read_csv: Read) -> None:
    rows = read_csv(["05", "007", "12"], dtypes={"x": "int64"})
    assert values(rows) == [5, 7, 12] and len(rows.errors) == 0


def test_long_whole_numbers_in_one_file_and_decimals_in_another_are_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"x,row\n{LONG},1\n")
    (tmp_path / "b.csv").write_text("x,row\n1.5,1\n")
    assert values(as_dataset(Files(tmp_path))) == [str(LONG), "1.5"]


@pytest.mark.parametrize("kind", [pa.int64(), pa.decimal128(20, 0)])
def test_long_whole_numbers_in_parquet_are_not_rounded(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"x": pa.array([LONG, 7]).cast(kind)}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [1.5]}), tmp_path / "b.parquet")
    rows = as_dataset(Files(tmp_path))
    assert values(rows) == [None, 7.0, 1.5]
    assert [row for row, _ in messages(rows)] == [1]


# -- ids and keys --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [
        ["1.1", "1.10"],
        ["5E3", "5000"],
        ["5000", "5E3"],
        ["7", "007"],
        ["+7", "7"],
        [" 7", "7"],
        ["0", "-0"],
        ["12345678901234567890", "12345678901234567891"],
        ["true", "TRUE"],
    ],
)
@pytest.mark.parametrize("role", ["id", "join", "sample", "label"])
def test_texts_that_would_be_one_number_stay_two_keys(
    tmp_path: Path, texts: list[str], role: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,at\n" + "".join(f"{text},2026-01-01\n" for text in texts))
    source = {
        "id": lambda: Files(path, id="x"),
        "join": lambda: Files(path).join(pa.table({"x": texts, "y": [1, 2]}), on="x"),
        "sample": lambda: Files(path).sample(9, by="x"),
        "label": lambda: Files(path, time="at").label(
            Files(path, time="at"), by="x", within="1d", name="next"
        ),
    }[role]()
    assert values(as_dataset(source)) == texts


def test_the_other_side_of_a_join_reads_its_key_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v,stars\n1.1,5\n1.10,1\n")
    (tmp_path / "b.csv").write_text("w,crashes\n1.1,0\n1.9,3\n")
    on = {"left_on": "v", "right_on": "w"}
    for other in (Files(tmp_path / "b.csv"), str(tmp_path / "b.csv")):
        with pytest.warns(UserWarning, match=r"found no match.*'1\.10'"):
            rows = as_dataset(Files(tmp_path / "a.csv").join(other, **on)).to_arrow()
        assert rows["crashes"].to_pylist() == [0, None]
        # Rows that were read before their key was known are refused, not rounded.
        with pytest.raises(JoinError, match=r"'v' is double .* dtypes="):
            as_dataset(Files(tmp_path / "a.csv")).join(other, **on)


def test_whole_numbers_are_keys_and_a_later_text_that_is_none_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviewml.sources.files.SAMPLE_ROWS", 3)
    (tmp_path / "a.csv").write_text("x,row\n1,1\n2,2\n3,3\n007,4\n 8,5\n1.0,6\n")
    rows = as_dataset(Files(tmp_path / "a.csv", id="x"))
    assert values(rows) == [1, 2, 3, None, None, None]
    assert [row for row, _ in messages(rows)] == [4, 5, 6]


def test_ids_that_are_numbers_in_one_file_and_codes_in_another_are_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,row\n1,1\n")
    (tmp_path / "b.csv").write_text("x,row\nB2,1\n")
    assert values(as_dataset(Files(tmp_path, id="x"))) == ["1", "B2"]


# -- pandas --------------------------------------------------------------------------------------

EXACT = {
    "int64": [LONG, None],
    "uint64": [2**64 - 1, None],
    "int8": [1, None],
    "bool": [True, None],
    "decimal128(20, 2)": [Decimal("12345678901234567.89"), None],
}


@pytest.mark.parametrize("kind", EXACT)
def test_pandas_frames_hold_values_beside_nulls_exactly(kind: str) -> None:
    arrow = pa.decimal128(20, 2) if "decimal" in kind else pa.type_for_alias(kind)
    column = pa.array(EXACT[kind], arrow)
    frame = as_dataset(pa.table({"x": column})).to_pandas()
    known, missing = frame["x"].tolist()
    assert known == EXACT[kind][0] and type(known) is not float and pd.isna(missing)
    back = as_dataset(frame)
    assert values(back) == EXACT[kind]


def test_pandas_frames_without_nulls_have_the_types_of_numpy() -> None:
    frame = as_dataset(pa.table({"x": [1, 2], "y": [True, False]})).to_pandas()
    assert frame.dtypes.astype(str).tolist() == ["int64", "bool"]


def test_pandas_frames_hold_lists_with_nulls_exactly() -> None:
    frame = as_dataset(pa.table({"x": [[LONG, None], None], "y": [{"a": LONG}, {"a": None}]}))
    assert frame.to_pandas().to_dict("list") == {
        "x": [[LONG, None], None],
        "y": [{"a": LONG}, {"a": None}],
    }


@pytest.mark.parametrize(
    "cells", [[LONG, None], [LONG, float("nan")], [2**63, None], [2**64, 1], [2**100, None]]
)
def test_whole_numbers_that_pandas_holds_as_objects_are_exact(cells: list[Any]) -> None:
    read = values(as_dataset(pd.DataFrame({"x": pd.Series(cells, dtype=object)})))
    assert read == [None if cell is None or cell != cell else cell for cell in cells]


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": pd.Series([LONG, 1.5], dtype=object)}),
        pd.DataFrame({"x": pd.Series([2**200], dtype=object)}),
        pd.DataFrame({"x": [1 + 2j]}),
        pd.DataFrame({"x": [["cut \ud83d"]]}),
        pd.DataFrame({"x": [1, "secret"]}),
        pl.DataFrame({"x": [object()]}),
        pl.DataFrame({"x": [2**100]}, schema={"x": pl.Int128}),
    ],
    ids=["rounded", "too long", "complex", "surrogate in a list", "mixed", "objects", "int128"],
)
def test_a_column_that_arrow_cannot_hold_is_named(frame: Any) -> None:
    with pytest.raises(SourceError, match="column 'x'") as caught:
        as_dataset(Frame(frame))
    assert "secret" not in str(caught.value)


def test_half_a_surrogate_pair_in_a_frame_costs_one_cell() -> None:
    texts = ["Very good dress", "cut off emoji \ud83d", None]
    frame = pd.DataFrame({"id": [1, 2, 3], "text": texts, "more": ["\udc00", "b", "c"]})
    rows = Pipeline([("language", Language())]).enrich(Frame(frame, id="id", text="text"))
    assert rows.to_arrow()["text"].to_pylist() == [texts[0], None, None]
    found = [(e["id"], e["column"]) for e in rows.errors.to_pylist()]
    assert sorted(found) == [(1, "more"), (2, "text")]
    with pytest.raises(SourceError, match="surrogate pair"):
        as_dataset(pd.DataFrame({"\ud83d": [1]}))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_bytes_that_are_no_text_in_a_frame_cost_one_cell(kind: pa.DataType) -> None:
    cells = pa.array([b"good", b"\xff\xfe", None], pa.binary()).cast(
        pa.large_binary() if kind == pa.large_string() else pa.binary()
    )
    dataset = as_dataset(Frame(pa.table({"id": [1, 2, 3], "x": cells.view(kind)}), id="id"))
    assert values(dataset) == ["good", None, None]
    assert [(e["id"], e["column"]) for e in dataset.errors.to_pylist()] == [(2, "x")]


@pytest.mark.parametrize(
    "cells",
    [pd.arrays.SparseArray([0, 1]), pd.cut([1, 2], 2), [1, "x"]],
    ids=lambda c: type(c).__name__,
)
def test_columns_of_pandas_that_arrow_cannot_hold_are_named(cells: Any) -> None:
    with pytest.raises(SourceError, match=r"column 'x' .* holds values that Arrow cannot hold"):
        as_dataset(pd.DataFrame({"x": cells}))


@pytest.mark.parametrize("missing", [[], [None]])
def test_times_with_and_without_a_zone_are_not_one_column(missing: list[None]) -> None:
    noon = dt.datetime(2026, 1, 1, 12)
    zones = [noon.replace(tzinfo=dt.timezone(dt.timedelta(hours=hours))) for hours in (0, 2)]
    assert type_of(as_dataset(pd.DataFrame({"x": pd.Series([*zones, *missing], dtype=object)})))
    with pytest.raises(SourceError, match="column 'x' holds times with and without a zone"):
        as_dataset(pd.DataFrame({"x": pd.Series([noon, *missing, *zones], dtype=object)}))


# -- databases -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "kind", "value"),
    [
        ("76561198000000001::DECIMAL(20, 0)", "decimal128(20, 0)", Decimal(76561198000000001)),
        ("76561198000000001::DECIMAL(18, 0)", "int64", 76561198000000001),
        ("(2::HUGEINT ** 70)::HUGEINT", "decimal128(38, 0)", Decimal(2**70)),
        ("18446744073709551615::UBIGINT", "uint64", 2**64 - 1),
        ("12345678901234567.89::DECIMAL(20, 2)", "decimal128(20, 2)", None),
        ("9.95::DECIMAL(10, 2)", "double", 9.95),
    ],
)
def test_numbers_of_a_database_are_exact(
    tmp_path: Path, sql: str, kind: str, value: object
) -> None:
    with duckdb.connect(str(tmp_path / "shop.db")) as connection:
        connection.execute(f"CREATE TABLE r AS SELECT {sql} AS x UNION ALL SELECT NULL")
    rows = as_dataset(Table(f"duckdb:///{tmp_path / 'shop.db'}", "FROM r"))
    assert type_of(rows) == kind
    assert values(rows) == [value or Decimal("12345678901234567.89"), None]


# -- few cells that do not fit ---------------------------------------------------------------------

NUMBERS = [str(row) for row in range(1, 60)]
TOLERATED = ["-", "--", "?", "$9.99", "4,5", "1,024", "five", "unknown", "5 %"]


def test_numbers_of_a_database_that_arrow_does_not_hold_are_refused(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "shop.db")):
        pass
    url = f"duckdb:///{tmp_path / 'shop.db'}"
    largest = f"{2**128 - 1}::UHUGEINT"
    for sql in (largest, f"[{largest}]", f"{{'a': {largest}}}"):
        with pytest.raises(SourceError, match=r"column 'x' is .*UHUGEINT.* cast it in the"):
            as_dataset(Table(url, f"SELECT {sql} AS x"))
    assert values(as_dataset(Table(url, f"SELECT ({largest})::VARCHAR AS x"))) == [str(2**128 - 1)]


@pytest.mark.parametrize("cell", TOLERATED)
@pytest.mark.parametrize("numbers", [NUMBERS, [f"{row}.25" for row in NUMBERS]])
def test_one_cell_that_is_no_number_costs_one_cell(
    read_csv: Read, cell: str, numbers: list[str]
) -> None:
    quoted = f'"{cell}"'
    rows = read_csv([*numbers[:7], quoted, *numbers[7:]], delimiter=",")
    assert type_of(rows) == ("int64" if numbers is NUMBERS else "double")
    read = values(rows)
    assert read[7] is None and read.count(None) == 1
    ((row, message),) = messages(rows)
    assert row == 8 and "dtypes={'x': 'string'}" in message


@pytest.mark.parametrize("cell", ["\\N", "NULL", "null", "None", "n/a", "NA", "#N/A", " NaN "])
def test_words_that_stand_for_no_value_leave_numbers_numbers(read_csv: Read, cell: str) -> None:
    rows = read_csv([*NUMBERS, cell])
    assert type_of(rows) == "int64" and values(rows)[-1] is None and len(rows.errors) == 0


def test_dashes_may_be_up_to_half_of_the_cells(read_csv: Read) -> None:
    assert type_of(read_csv([*NUMBERS, *["-"] * 50])) == "int64"
    rows = read_csv([*NUMBERS, *["-"] * 50], missing=["-"])
    assert type_of(rows) == "int64" and len(rows.errors) == 0


@pytest.mark.parametrize("cell", ["X1234", "12B", "1.10.2", "00501", "555-1234", "2026-01-31"])
def test_a_code_among_numbers_makes_a_column_of_codes(read_csv: Read, cell: str) -> None:
    with pytest.warns(UserWarning, match=r"'x' is read as text, since 1 of the 60 cells"):
        rows = read_csv([*NUMBERS, cell])
    assert values(rows) == [*NUMBERS, cell] and len(rows.errors) == 0


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["10", "12", "L"] * 20, 40),
        (["$9.99"] * 9, 0),
        (["4,5"] * 9, 0),
        ([*NUMBERS, *["unknown"] * 9], 59),
    ],
)
def test_a_column_of_text_that_is_mostly_numbers_warns_with_counts(
    read_csv: Read, cells: list[str], numbers: int
) -> None:
    others = len(cells) - numbers
    with pytest.warns(UserWarning, match=f"since {others} of the {len(cells)} cells"):
        rows = read_csv([f'"{cell}"' for cell in cells], delimiter=",")
    assert values(rows) == cells


@pytest.mark.parametrize(
    "cells",
    [
        ["00501", "10001", "02139", "94105"],
        ["12345678901234567890", "5"],
        ["X1234", "12345", "23456"],
        ["good", "bad"],
        ["2026-01-31x", "2026-01-31y"],
    ],
)
def test_codes_and_words_warn_of_nothing(read_csv: Read, cells: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values(read_csv(cells)) == cells


def test_the_text_role_and_a_stated_type_warn_of_nothing(read_csv: Read) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values(read_csv(["5", "six", "7"], text="x")) == ["5", "six", "7"]
        assert values(read_csv(["5", "NA", "7"], dtypes={"x": "string"})) == ["5", "NA", "7"]


@pytest.mark.parametrize("when", ["2026-01-31", "2026-01-31 10:00", "2026-01-31T10:00:00Z"])
def test_one_cell_that_is_no_time_costs_one_cell(read_csv: Read, when: str) -> None:
    rows = read_csv([when] * 30 + ["soon"], time="x")
    assert values(rows).count(None) == 1 and len(rows.errors) == 1


@pytest.mark.parametrize("role", ["id", "text"])
def test_the_header_again_is_a_row_with_an_error(tmp_path: Path, role: str) -> None:
    part = "x,stars,body\n1,5,Good\n2,4,x\n"
    (tmp_path / "both.csv").write_text(part + part)
    roles = {"id": {"id": "x"}, "text": {"text": "body"}}[role]
    rows = as_dataset(Files(tmp_path / "both.csv", **roles))
    assert rows.to_arrow()["x"].to_pylist() == [1, 2, None, 1, 2]
    assert rows.to_arrow()["body"].to_pylist() == ["Good", "x", None, "Good", "x"]
    ((row, message),) = messages(rows)
    assert row == 3 and message.startswith("the header again")


# -- how numbers, times and missing values are written -------------------------------------------


@pytest.mark.parametrize(
    ("decimal", "thousands", "cells", "expected"),
    [
        (",", None, ["9,5", "-0,25", "7", "1e3", ",5"], [9.5, -0.25, 7.0, 1000.0, 0.5]),
        (",", ".", ["1.234,5", "1234,5", "1.234.567"], [1234.5, 1234.5, 1234567.0]),
        (".", ",", ["1,024", "12,34,567", "5"], [1024, 1234567, 5]),
        (".", " ", ["1 024.5", "5"], [1024.5, 5.0]),
    ],
)
def test_numbers_with_other_signs(
    tmp_path: Path, decimal: str, thousands: str | None, cells: list[str], expected: list[float]
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("x;row\n" + "".join(f"{cell};1\n" for cell in cells))
    rows = as_dataset(Files(path, decimal=decimal, thousands=thousands))
    assert values(rows) == expected and len(rows.errors) == 0
    assert type_of(rows) == ("int64" if isinstance(expected[0], int) else "double")


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("9.5", {"decimal": ","}),
        ("1,02", {"thousands": ","}),
        ("1,0240", {"thousands": ","}),
        ("00.501", {"thousands": ".", "decimal": ","}),
    ],
)
def test_a_number_with_its_signs_in_wrong_places_is_an_error(
    tmp_path: Path, cell: str, options: dict[str, str]
) -> None:
    path = tmp_path / "x.csv"
    numbers = "".join(f"{number};1\n" for number in NUMBERS)
    path.write_text(f"x;row\n{numbers}{cell};1\n")
    rows = as_dataset(Files(path, dtypes=None, **options))
    if type_of(rows) != "string":
        assert values(rows)[-1] is None and len(rows.errors) == 1
    else:
        assert values(rows)[-1] == cell


@pytest.mark.parametrize("options", [{"decimal": ","}, {"thousands": ","}, {"missing": ["-"]}])
@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["true", "FALSE"], "bool"),
        (["2026-01-31"], "date32[day]"),
        (["2026-01-31T10:00:00"], "timestamp[us]"),
    ],
)
def test_signs_within_numbers_change_no_other_type(
    tmp_path: Path, options: dict[str, Any], cells: list[str], kind: str
) -> None:
    (tmp_path / "x.csv").write_text("x;row\n" + "".join(f"{cell};1\n" for cell in cells))
    rows = as_dataset(Files(tmp_path / "x.csv", **options))
    assert type_of(rows) == kind and None not in values(rows)


@pytest.mark.parametrize(
    ("cells", "word"),
    [
        (["5", "7"], "-999"),
        (["5.5", "7"], "-999.0"),
        (["5.5", "7"], "inf"),
        (["2026-01-31", "2026-02-01"], "9999-12-31"),
        (["2026-01-31T10:00:00"], "1970-01-01T00:00:00"),
        (["true", "true"], "false"),
        (["good", "bad"], "-999"),
    ],
)
@pytest.mark.parametrize("stated", [False, True])
def test_words_that_stand_for_no_value_do_so_where_they_look_like_one(
    read_csv: Read, cells: list[str], word: str, stated: bool
) -> None:
    plain = read_csv(cells)
    kind = plain.schema.field("x").type
    dtypes = {"x": kind} if stated else None
    expected = values(plain)
    rows = read_csv([*cells, word, f" {word} "], missing=[word], dtypes=dtypes)
    assert type_of(rows) == str(kind) and len(rows.errors) == 0
    assert values(rows) == [*expected, None, f" {word} " if kind == pa.string() else None]


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("12345678901234567.5", "string"),
        ("12345678901234567890.10", "string"),
        ("1234567890123456.7", "string"),
        ("1234567890123456.8", "double"),
        ("1234567890123456.75", "double"),
        ("12345678901234567168.000", "double"),
        ("0.12345678901234567890", "double"),
    ],
)
def test_whole_digits_that_float64_rounds_are_text(
    read_csv: Read, tmp_path: Path, cell: str, kind: str
) -> None:
    assert type_of(read_csv(["1.5", cell])) == kind
    assert type_of(read_json(tmp_path, ["1.5", cell])) == kind


@pytest.mark.parametrize("share", [0.6, 0.95])
def test_numbers_among_more_dashes_are_text_with_a_warning(read_csv: Read, share: float) -> None:
    dashes = round(share * 100)
    cells = ["-"] * dashes + ["5.5"] * (100 - dashes)
    with pytest.warns(UserWarning, match=f"since {dashes} of the 100 cells looked at are not"):
        rows = read_csv(cells)
    assert values(rows) == cells
    assert type_of(read_csv(cells, missing=["-"])) == "double"


@pytest.mark.parametrize("sign", ["-", "?", "..."])
def test_a_file_in_which_a_column_holds_dashes_alone_takes_its_type_from_others(
    tmp_path: Path, sign: str
) -> None:
    (tmp_path / "1.csv").write_text("x,row\n5,1\n")
    (tmp_path / "2.csv").write_text(f"x,row\n{sign},2\n")
    rows = as_dataset(Files(tmp_path))
    assert values(rows) == [5, None] and len(rows.errors) == 1
    assert values(as_dataset(Files(tmp_path / "2.csv"))) == [sign]


@pytest.mark.parametrize(
    ("cells", "advice"),
    [
        (["2026-01-31"] * 30 + ["01/02/2026"], "timestamp[us]"),
        (["2026-01-31"] * 30 + ["0000-00-00"], "timestamp[us]"),
        (["2026-01-31T10:00:00Z"] * 30 + ["2026-01-31T10:00:00"], "timestamp[us, tz=UTC]"),
        (["2026-01-31T10:00:00.123456789"] * 30 + ["2026-01-31x"], "timestamp[ns]"),
    ],
)
def test_a_column_of_text_that_is_mostly_times_warns_with_advice_that_works(
    read_csv: Read, cells: list[str], advice: str
) -> None:
    with pytest.warns(UserWarning, match="of the 31 cells looked at are times") as warned:
        assert values(read_csv(cells)) == cells
    assert f"'{advice}'" in str(warned[0].message)
    rows = read_csv(cells, dtypes={"x": advice}, time="x")
    assert type_of(rows) == advice and values(rows).count(None) == len(rows.errors) == 1


@pytest.mark.parametrize(("decimal", "thousands"), [(",", None), (",", "."), (".", ",")])
def test_signs_in_numbers_change_the_type_of_no_other_column(
    tmp_path: Path, decimal: str, thousands: str | None
) -> None:
    cells = {
        "bool": ["true", "FALSE"] * 20,
        "date32[day]": ["2026-01-31"] * 40,
        "timestamp[us]": ["2026-01-31T12:00:00.5"] * 40,
        "string": ["00501"] * 40,
    }
    lines = [";".join(cells), *(";".join(row) for row in zip(*cells.values(), strict=True))]
    path = tmp_path / "x.csv"
    path.write_text("\n".join([*lines, "?;-;?;00502"]) + "\n")
    rows = as_dataset(Files(path, decimal=decimal, thousands=thousands))
    assert [str(field.type) for field in rows.schema] == list(cells)
    assert rows.column("bool").null_count == 1


def test_signs_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x\n5\n")
    (tmp_path / "x.jsonl").write_text('{"x": 5}\n')
    for options in ({"decimal": "5"}, {"decimal": "-"}, {"thousands": "."}, {"thousands": ",,"}):
        with pytest.raises(SourceError, match=r"decimal|thousands"):
            as_dataset(Files(tmp_path / "x.csv", **options))
    with pytest.raises(SourceError, match="for CSV files, and these are JSON lines"):
        as_dataset(Files(tmp_path / "x.jsonl", decimal=","))


EPOCHS = {
    "s": (1_588_687_728, dt.datetime(2020, 5, 5, 14, 8, 48)),
    "ms": (1_588_687_728_923, dt.datetime(2020, 5, 5, 14, 8, 48, 923_000)),
    "us": (1_588_687_728_923_456, dt.datetime(2020, 5, 5, 14, 8, 48, 923_456)),
    "ns": (1_588_687_728_923_456_000, dt.datetime(2020, 5, 5, 14, 8, 48, 923_456)),
}


@pytest.mark.parametrize("unit", EPOCHS)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "jsonl of strings", "parquet", "floats"])
def test_whole_numbers_are_times_where_a_type_says_their_unit(
    tmp_path: Path, unit: str, kind: str
) -> None:
    number, moment = EPOCHS[unit]
    written = moment.isoformat(timespec="milliseconds" if unit == "ms" else "auto")
    path = tmp_path / f"x.{ {'floats': 'parquet'}.get(kind, kind.partition(' ')[0]) }"
    if kind == "csv":
        path.write_text(f"x,y\n{number},1\n{written},2\n,3\n+{number},4\n-1,5\n")
    elif path.suffix == ".jsonl":
        cells = [str(number) if "strings" in kind else number, written, None]
        path.write_text("".join(json.dumps({"x": cell}) + "\n" for cell in cells))
    else:
        column = pa.array([number, number, None])
        column = column.cast(pa.float64(), safe=False) if kind == "floats" else column
        pq.write_table(pa.table({"x": column}), path)
    rows = as_dataset(Files(path, dtypes={"x": f"timestamp[{unit}]"}, time="x"))
    read = rows.column("x").cast(pa.timestamp("us"), safe=False).to_pylist()
    if kind == "floats":
        assert abs(read[0] - moment) < dt.timedelta(microseconds=1)
    else:
        assert read[:3] == [moment, moment, None]
    assert len(rows.errors) == 0


def test_a_number_that_is_no_time_in_its_unit_is_an_error(read_csv: Read) -> None:
    rows = read_csv([str(EPOCHS["us"][0]), "soon"], dtypes={"x": "timestamp[s]"})
    assert values(rows) == [None, None]
    assert all("timestamp[ms]" in message for _, message in messages(rows))


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        ("1588687728923", r"time='x' holds numbers \(int64\).*'timestamp\[ms\]'"),
        ("1588687728.5", r"time='x' holds numbers \(double\)"),
        ("Reviewed in Spain on 3 May 2021", "time='x' is read as string"),
        ("03/05/2021", "time='x' is read as string"),
    ],
)
def test_a_time_that_is_none_is_refused_by_name(read_csv: Read, cell: str, match: str) -> None:
    with pytest.raises(SchemaError, match=match) as caught:
        read_csv([cell], time="x")
    assert "Spain" not in str(caught.value)


def test_a_time_without_any_value_is_not_refused(read_csv: Read) -> None:
    assert len(values(read_csv([], time="x"))) == 0
    assert values(read_csv(["", ""], time="x")) == [None, None]


@pytest.mark.parametrize("word", ["\\N", "<NA>", "#N/A"])
def test_words_that_nobody_writes_are_null_in_text_too(read_csv: Read, word: str) -> None:
    rows = read_csv(["Good", word, "Bad"], text="x")
    assert values(rows) == ["Good", None, "Bad"] and len(rows.errors) == 0
    assert values(read_csv(["Good", word], text="x", missing=[])) == ["Good", word]


@pytest.mark.parametrize("word", ["NULL", "None", "NA", "n/a"])
def test_words_that_may_be_meant_stay_text_with_a_warning(read_csv: Read, word: str) -> None:
    with pytest.warns(UserWarning, match=f"'x' has '{word}' in 2 of the 4 cells"):
        rows = read_csv(["Good", word, "Bad", word], text="x")
    assert values(rows) == ["Good", word, "Bad", word]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = values(read_csv(["Good", word, "Bad"], text="x", missing=[word]))
        assert read == ["Good", None, "Bad"]
        assert values(read_csv(["Good", word], text="x", missing=[])) == ["Good", word]


# -- JSON lines ------------------------------------------------------------------------------------


def read_json(tmp_path: Path, lines: list[str], **options: Any) -> Dataset:
    (tmp_path / "x.jsonl").write_text("".join(f'{{"x": {line}}}\n' for line in lines))
    return as_dataset(Files(tmp_path / "x.jsonl", **options))


def test_numbers_of_json_keep_their_digits_as_text(tmp_path: Path) -> None:
    numbers = ["1.10", "1.1", "5E3", "76561198000000001.0", "12345678901234567890", "[1.10]"]
    rows = read_json(tmp_path, numbers, dtypes={"x": "string"})
    assert values(rows) == [*numbers[:-1], "[1.1]"]
    assert values(read_json(tmp_path, ["1.10", "1.1"], id="x")) == ["1.10", "1.1"]


def test_numbers_of_json_that_would_be_rounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviewml.sources.files.SAMPLE_ROWS", 60)
    rows = read_json(tmp_path, ["1.5"] * 60 + ["9007199254740993", "1e400", "NaN"])
    assert values(rows)[60:] == [None, None, None]
    assert [row for row, _ in messages(rows)] == [61, 62]


@pytest.mark.parametrize("cell", ['"-"', '"NULL"', '"n/a"', '"five"', "true", "[]", '"$9.99"'])
def test_one_value_that_is_no_number_leaves_json_numbers_numbers(tmp_path: Path, cell: str) -> None:
    rows = read_json(tmp_path, [*NUMBERS, cell])
    assert type_of(rows) == "int64" and values(rows)[-1] is None


def test_strings_of_digits_stay_text(tmp_path: Path) -> None:
    assert values(read_json(tmp_path, ['"501"', '"502"'])) == ["501", "502"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values(read_json(tmp_path, ['"\\\\N"'])) == ["\\N"]


@pytest.mark.parametrize("depth", [1, 100, 600, 900, 960, 980, 985, 990, 995, 1000, 5000])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a": ', "}")])
def test_deeply_nested_json_is_kept_or_costs_its_row(
    tmp_path: Path, begin: str, end: str, depth: int
) -> None:
    nested = begin * depth + "1.5" + end * depth
    rows = read_json(tmp_path, ["[2]", nested, "[3]"])
    assert values(rows) in (["[2]", nested, "[3]"], ["[2]", None, "[3]"])
    assert len(rows.errors) == values(rows).count(None)


@pytest.mark.parametrize(
    "nested",
    [
        '{"a": 1.5, "b": [1e400, -0.0, 12345678901234567890.123, 100000.0], "c": {}}',
        '["\u00e9", true, null, [], {"k": "a\\"b"}]',
    ],
)
def test_nested_json_keeps_its_values_and_digits(tmp_path: Path, nested: str) -> None:
    assert values(read_json(tmp_path, [nested])) == [nested.replace("\\u00e9", "é")]
