"""Rows to be grouped, and what their groups are, computed without Arrow or any engine."""

from __future__ import annotations

import datetime
import decimal
from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

Row = dict[str, Any]


def make_grouped_rows(n: int = 200, *, random_state: int = 0) -> pa.Table:
    """Make rows with keys that are missing, blank or signed zeros, and values of many sizes."""
    random = np.random.default_rng(random_state)
    started = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    keys = np.array(["a", "b", "B", "客户", "it's", " ", None], object)
    floats = random.normal(size=n) * 10.0 ** random.integers(-6, 6, n)
    floats[random.random(n) < 0.1] = np.nan
    texts = np.array(["x", "Y", "é", "", None], object)
    return pa.table(
        {
            "id": [f"r{number:05d}" for number in range(n)],
            "key": pa.array(random.choice(keys, n).tolist(), pa.string()),
            "flag": pa.array(random.choice([0.0, -0.0, 1.5], n)),
            "whole": pa.array(random.integers(-(2**40), 2**40, n), mask=random.random(n) < 0.1),
            "decimal": pa.array(
                [decimal.Decimal(int(cents)).scaleb(-2) for cents in random.integers(-999, 999, n)],
                pa.decimal128(9, 2),
            ),
            "float": floats,
            "text": pa.array(random.choice(texts, n).tolist(), pa.string()),
            "time": pa.array(
                [started + datetime.timedelta(seconds=int(s)) for s in random.integers(0, 9**9, n)],
                pa.timestamp("us", "UTC"),
            ),
        }
    )


Key = tuple[str | None, float]


def compute_expected_groups(rows: pa.Table) -> dict[Key, Row]:
    """Compute the aggregates that the contract asks for, with fractions, by key."""
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows.to_pylist():
        key = row["key"] if row["key"] is None or row["key"].strip() else None
        groups[key, row["flag"] + 0.0].append(row)
    return {
        (key, flag): {"key": key, "flag": flag, **_aggregate(members)}
        for (key, flag), members in groups.items()
    }


def _aggregate(members: list[Row]) -> Row:
    # Floats are added in units of a millionth, about: see `reviewml.operations.aggregates`.
    units = [
        Fraction(row["float"] * 2**20 + 0.5).__floor__()
        for row in members
        if not np.isnan(row["float"])
    ]
    wholes = [row["whole"] for row in members if row["whole"] is not None]
    texts = [row["text"] for row in members if row["text"] is not None]
    return {
        "rows": len(members),
        "known": len(units),
        "total": sum(wholes),
        "cost": sum((row["decimal"] for row in members), decimal.Decimal("0.00")),
        "floats": float(Fraction(sum(units), 2**20)),
        "mean": float(Fraction(sum(units), len(units) * 2**20)) if units else None,
        "first": min(texts, key=str.encode, default=None),
        "latest": max(row["time"] for row in members),
        "share": float(Fraction(sum(w > 0 for w in wholes), len(wholes))) if wholes else None,
    }
