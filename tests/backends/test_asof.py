"""As-of aggregates on this machine: equal to the definition, however events are kept."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from reviewml import Frame
from reviewml.backends.local import event_index as index
from reviewml.backends.local import spill
from reviewml.data.frames import as_dataset
from reviewml.errors import SchemaError
from reviewml.interfaces import Dataset, Window

WINDOWS = {"short": Window(-50, -1), "ahead": Window(1, 31), "ever": Window(None, 0)}


def rows_and_events(n: int = 400) -> tuple[Dataset, Dataset]:
    random = np.random.default_rng(n)

    def times() -> pa.Array:
        return pa.array(random.integers(300, size=n), pa.timestamp("us", "UTC"))

    def keys() -> pa.Array:
        return pa.array(random.integers(30, size=n), pa.int32())

    rows = pa.table({"key": keys().cast(pa.int64()), "at": times()})
    values = pa.array(random.integers(-9, 9, size=n) * 2**57)
    events = pa.table({"key": keys(), "when": times(), "worth": values})
    return as_dataset(Frame(rows, time="at")), as_dataset(Frame(events, time="when"))


def counted(rows: Dataset, events: Dataset) -> list[dict[str, Any]]:
    found = rows.asof_aggregate(events, by="key", windows=WINDOWS, sums=["worth"], last="ever")
    return found.to_arrow().to_pylist()


def expected(rows: Dataset, events: Dataset) -> list[dict[str, Any]]:
    happened = [
        (event["key"], micros(event["when"]), event["worth"])
        for event in events.to_arrow().to_pylist()
    ]
    return [told(row, happened) for row in rows.to_arrow().to_pylist()]


def told(row: dict[str, Any], happened: list[tuple[int, int, int]]) -> dict[str, Any]:
    now, result = micros(row["at"]), dict(row)
    for name, window in WINDOWS.items():
        first = -(10**9) if window.start is None else now + window.start
        seen = [e for e in happened if e[0] == row["key"] and first <= e[1] < now + window.end]
        result[f"{name}_count"] = len(seen)
        result[f"{name}_worth"] = sum(worth for _, _, worth in seen)
        if name == "ever":
            last = max((moment for _, moment, _ in seen), default=None)
            result["ever_last"] = None if last is None else epoch(last)
    return result


def micros(moment: datetime.datetime) -> int:
    return (moment - epoch(0)) // datetime.timedelta(microseconds=1)


def epoch(microseconds: int) -> datetime.datetime:
    return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(
        microseconds=microseconds
    )


def test_equals_the_definition() -> None:
    rows, events = rows_and_events()
    assert counted(rows, events) == expected(rows, events)


def test_events_that_do_not_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "MOST_BYTES", 100)
    rows, events = rows_and_events()
    assert counted(rows, events) == expected(rows, events)


def test_keys_that_do_not_fit_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index.TimeLine, "keys", 7)
    rows, events = rows_and_events()
    assert counted(rows, events) == expected(rows, events)


def test_keys_that_share_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    honest, tried = index.hash_keys, []

    def weak(keys: list[pa.Array], seed: int = 0) -> Any:
        tried.append(seed)
        hashes, complete = honest(keys, seed)
        return (hashes if seed > 1 else hashes % np.uint64(5)), complete

    monkeypatch.setattr(index, "hash_keys", weak)
    rows, events = rows_and_events()
    assert counted(rows, events) == expected(rows, events)
    assert set(tried) == {0, 1, 2}


def test_no_events() -> None:
    rows, events = rows_and_events()
    found = counted(rows, events.limit(1).filter(pa.compute.scalar(False)))
    assert {row["ever_count"] for row in found} == {0}


def test_columns_must_be_new() -> None:
    rows, events = rows_and_events()
    with pytest.raises(SchemaError, match="already have a column 'ever_count'"):
        counted(rows.asof_aggregate(events, by="key", windows={"ever": Window(None, 0)}), events)


def test_times_that_stand_for_no_end() -> None:
    ends = [-(2**63) + 1, 5, 2**63 - 1]
    rows, events = (
        as_dataset(
            Frame(
                pa.table({"key": [1] * len(times), "at": pa.array(times, pa.timestamp("us"))}),
                time="at",
            )
        )
        for times in (ends, [*ends, 4])
    )
    found = rows.asof_aggregate(events, by="key", windows=WINDOWS).to_arrow()
    assert found.column("ever_count").to_pylist() == [0, 2, 3]
    assert found.column("short_count").to_pylist() == [0, 0, 0]
    assert found.column("ahead_count").to_pylist() == [0, 0, 0]


def test_keys_that_equal_no_whole_number_have_no_events() -> None:
    times = pa.array([5] * 4, pa.timestamp("us", "UTC"))
    rows = pa.table({"key": pa.array([1.0, 1.5, float("nan"), 1e300]), "at": times})
    events = pa.table({"key": pa.array([1, 2]), "when": times[:2]})
    found = as_dataset(Frame(rows, time="at")).asof_aggregate(
        as_dataset(Frame(events, time="when")), by="key", windows={"ever": Window(None, 9)}
    )
    assert found.column("ever_count").to_pylist() == [1, 0, 0, 0]


def test_repeats_that_do_not_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, events = rows_and_events()
    expected = counted(rows, events)
    table = events.to_arrow()
    ids = pa.array([f"e{n}" for n in range(len(table))])
    table = table.append_column("event", ids)
    twice = as_dataset(Frame(pa.concat_tables([table, table]), id="event", time="when"))
    assert counted(rows, twice) == expected
    monkeypatch.setattr(spill, "MOST_BYTES", 100)
    assert counted(rows, twice) == expected


def test_events_without_an_id_among_others_all_count() -> None:
    at = pa.array([5] * 5, pa.timestamp("us"))
    rows = as_dataset(Frame(pa.table({"key": [1], "at": pa.array([9], at.type)}), time="at"))
    events = pa.table({"id": ["a", "a", None, None, "b"], "key": [1] * 5, "when": at})
    found = rows.asof_aggregate(
        as_dataset(Frame(events, id="id", time="when")), by="key", windows={"ever": None}
    )
    assert found.column("ever_count").to_pylist() == [4]


def test_zeros_of_both_signs_are_one_key() -> None:
    at = pa.array([5] * 3, pa.timestamp("us"))
    events = Frame(pa.table({"key": [0.0, -0.0, 1.0], "when": at}), time="when")
    rows = Frame(pa.table({"key": [0.0, -0.0], "at": pa.array([9, 9], at.type)}), time="at")
    found = as_dataset(rows).asof_aggregate(as_dataset(events), by="key", windows={"ever": None})
    assert found.column("ever_count").to_pylist() == [2, 2]


def test_an_event_on_the_last_day_of_9999_does_not_make_all_labels_known() -> None:
    day = 86_400_000_000
    times = [n * day for n in range(100)]
    rows = as_dataset(
        Frame(pa.table({"key": [1] * 100, "at": pa.array(times, pa.timestamp("us"))}), time="at")
    )
    known = rows.label(rows, by="key", within="10d", name="follows").column("follows")
    late = pa.table({"key": [2], "at": pa.array([2_932_896 * day], pa.timestamp("us"))})
    events = Frame(
        pa.concat_tables([rows.to_arrow().replace_schema_metadata(None), late]), time="at"
    )
    with pytest.warns(UserWarning, match="1 of 101 events are later than all others by far"):
        labelled = rows.label(events, by="key", within="10d", name="follows")
    assert labelled.column("follows").equals(known)
    assert known.null_count == 10
