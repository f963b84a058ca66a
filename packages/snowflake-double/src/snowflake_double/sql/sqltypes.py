"""Types of Snowflake in DuckDB, Arrow, Python and pandas, for functions in Python."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pandas as pd
import pyarrow as pa
from sqlglot import exp

from snowflake_double.statements import not_understood

TEXT = ["TEXT", "VARCHAR", "CHAR", "NCHAR", "NVARCHAR"]
WHOLE = ["INT", "BIGINT", "SMALLINT", "TINYINT"]
REAL = ["DOUBLE", "FLOAT", "DECFLOAT"]
BYTES = ["BINARY", "VARBINARY"]
NAIVE = ["TIMESTAMP", "TIMESTAMPNTZ", "DATETIME"]
ZONED = ["TIMESTAMPTZ", "TIMESTAMPLTZ"]
SEMI = ["VARIANT", "ARRAY", "OBJECT", "MAP", "STRUCT"]
SIMPLE = {
    **dict.fromkeys(TEXT, ("VARCHAR", pa.string(), "string")),
    **dict.fromkeys(WHOLE, ("BIGINT", pa.int64(), "Int64")),
    **dict.fromkeys(REAL, ("DOUBLE", pa.float64(), "float64")),
    **dict.fromkeys(BYTES, ("BLOB", pa.binary(), "object")),
    **dict.fromkeys(NAIVE, ("TIMESTAMP", pa.timestamp("us"), "datetime64[ns]")),
    **dict.fromkeys(ZONED, ("TIMESTAMPTZ", pa.timestamp("us", "UTC"), "datetime64[ns, UTC]")),
    **dict.fromkeys(SEMI, ("JSON", pa.string(), "object")),
    "BOOLEAN": ("BOOLEAN", pa.bool_(), "boolean"),
    "DATE": ("DATE", pa.date32(), "object"),
    "TIME": ("TIME", pa.time64("us"), "object"),
}


@dataclasses.dataclass(frozen=True)
class SqlType:
    """A type of Snowflake.

    Parameters
    ----------
    duck
        What it is in DuckDB.
    arrow
        What it is in Arrow.
    dtype
        What it is in pandas.
    """

    duck: str
    arrow: pa.DataType
    dtype: str

    @classmethod
    def of(cls, kind: exp.DataType) -> SqlType:
        """Return the type that a statement names.

        Raises
        ------
        Refused
            When functions cannot take or return it.
        """
        name = kind.this.name
        if name == "DECIMAL":
            return cls.number(*(int(one.name) for one in kind.expressions))
        if name not in SIMPLE:
            raise not_understood(f"functions of {kind.sql('snowflake')} are not known.")
        return cls(*SIMPLE[name])

    @classmethod
    def number(cls, precision: int = 38, scale: int = 0) -> SqlType:
        """Return NUMBER of a precision and a scale."""
        if not scale:
            return cls(*SIMPLE["BIGINT"])
        return cls(f"DECIMAL({precision},{scale})", pa.decimal128(precision, scale), "float64")

    @property
    def semi_structured(self) -> bool:
        """Whether its values are written as JSON."""
        return self.duck == "JSON"

    def values(self, column: pa.ChunkedArray | pa.Array) -> list[Any]:
        """Return values as Python has them."""
        listed = column.to_pylist()
        if self.semi_structured:
            return [None if one is None else json.loads(one) for one in listed]
        return list(listed)

    def series(self, column: pa.ChunkedArray | pa.Array) -> pd.Series:
        """Return values as pandas has them."""
        return pd.Series(self.values(column), dtype="object").astype(self.dtype)

    def array(self, values: Any) -> pa.Array:
        """Return what a function gave, as Arrow."""
        listed = [none(value) for value in values]
        if self.semi_structured:
            listed = [None if one is None else as_json(one) for one in listed]
        elif pa.types.is_string(self.arrow):
            listed = [None if one is None else str(one) for one in listed]
        elif pa.types.is_integer(self.arrow):
            listed = [None if one is None else int(one) for one in listed]
        return pa.array(listed, self.arrow)


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=plain)


def plain(value: Any) -> Any:
    """Return a number of numpy, or anything else, as JSON has it."""
    return value.item() if hasattr(value, "item") else str(value)


def none(value: Any) -> Any:
    """Return a value, None where pandas marks it as missing."""
    missing = value is pd.NA or value is pd.NaT
    return None if missing else value
