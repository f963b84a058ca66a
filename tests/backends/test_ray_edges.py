"""Where a cluster could answer, fail or warn otherwise than one process does."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ray = pytest.importorskip("ray")

from ray import cloudpickle  # noqa: E402

from reviewml import Files  # noqa: E402
from reviewml.backends.local.backend import LocalBackend  # noqa: E402
from reviewml.backends.ray import coordinator, shuffle  # noqa: E402
from reviewml.backends.ray.backend import RayBackend  # noqa: E402
from reviewml.errors import BackendError, JoinError, SourceError  # noqa: E402
from reviewml.interfaces import Backend, Dataset  # noqa: E402

pytestmark = pytest.mark.usefixtures("ray_cluster")

# Workers cannot import the tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

LOCAL, RAY = LocalBackend(store=None), RayBackend(store=None)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have many shards of few rows."""
    monkeypatch.setattr(shuffle, "SHARD_BYTES", 500)
    yield


def answered(ask: Callable[[Backend], Dataset], backend: Backend) -> tuple[list[str], list[str]]:
    """Return rows and warnings, in an order of their own."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = ask(backend).to_arrow().to_pylist()
    # An example in a warning may be another row's.
    said = [str(warning.message).partition(", such as")[0] for warning in caught]
    return sorted(map(repr, rows)), sorted(m for m in said if m.startswith("join") or "rows" in m)


def check_same(ask: Callable[[Backend], Dataset]) -> None:
    assert answered(ask, RAY) == answered(ask, LOCAL)


NESTED = {
    "lists": pa.array([[1], [2], None, [None], [1]]),
    "structs": pa.array([{"a": 0.0}, {"a": -0.0}, {"a": float("nan")}, None]),
    "floats": pa.array([0.0, -0.0, float("nan"), None, 1.5]),
    "zoned": pa.array([0, 1, None], pa.timestamp("us", "Europe/Berlin")),
    "decimals": pa.array([1, 2, None], pa.decimal128(9, 2)),
    "texts": pa.array(["é", "e\u0301", "", "\0", None]),
    "nothing": pa.nulls(3),
}


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("keys", NESTED.values(), ids=NESTED)
def test_joins_on_what_one_process_joins_on(keys: pa.Array) -> None:
    left = pa.table({"k": keys, "n": range(len(keys))})
    right = pa.table({"k": keys[1:], "z": range(len(keys) - 1)})
    check_same(lambda on: on.read(left).join(right, on="k", validate="many_to_many"))


def test_keys_that_no_join_can_have_are_named() -> None:
    for kind in (pa.float16(), pa.duration("us")):
        rows = pa.table({"k": pa.array([1, 2], pa.int64()).cast(kind)})
        with pytest.raises(JoinError, match="which DuckDB cannot carry"):
            RAY.read(rows).join(rows.append_column("z", [[1, 2]]), on="k").count()


@pytest.mark.parametrize("given", ["frame", "ray"])
def test_an_error_says_what_it_says_here(given: str) -> None:
    rows, twice = pa.table({"k": [1, 2]}), pa.table({"k": [1, 1], "z": [1, 2]})
    brought = ray.data.from_arrow(rows) if given == "ray" else rows
    with pytest.raises(JoinError) as here:
        LOCAL.read(rows).join(twice, on="k").count()
    with pytest.raises(JoinError) as there:
        RAY.read(brought).join(twice, on="k").count()
    assert type(there.value) is JoinError
    assert str(there.value) == str(here.value)


class Telling:
    """Fails and says where it was."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        raise OSError("s3://key:hush@bucket/reviews cannot be read")


def test_what_fails_on_a_worker_tells_no_secret() -> None:
    rows = RAY.read(pa.table({"k": [1]}))
    with pytest.raises(BackendError, match="cannot be read") as error:
        rows.map(Telling(), rows.full_schema).count()
    assert "hush" not in str(error.value)
    assert error.value.__suppress_context__


@pytest.mark.usefixtures("small_shards")
def test_work_that_failed_warns_of_nothing_later() -> None:
    rows = RAY.read(pa.table({"k": range(500)}))
    twice = pa.table({"k": [1, 1], "z": [1, 2]})
    with pytest.raises(JoinError):
        rows.join(twice, on="k").count()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rows.count() == 500


@pytest.mark.usefixtures("small_shards")
def test_threads_are_told_of_their_own_rows() -> None:
    coordinator._get_actor.cache_clear()
    rows, found = pa.table({"k": range(40)}), []

    def join(matches: int) -> None:
        right = pa.table({"k": range(matches), f"z{matches}": range(matches)})
        found.append(len(RAY.read(rows).join(right, on="k").to_arrow()))

    threads = [threading.Thread(target=join, args=(matches,)) for matches in (10, 20, 30)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [40, 40, 40]
    said = sorted(str(warning.message)[:40] for warning in caught if "join" in str(warning.message))
    assert said == [f"join: {n} of 40 rows found no match, such"[:40] for n in (10, 20, 30)]


def test_reading_changes_no_setting_of_this_process() -> None:
    before = ray.data.DataContext.get_current()
    given = ray.data.from_items([{"id": 1}])
    order, size = given.context.execution_options.preserve_order, before.target_max_block_size
    RAY.read(given).join(pa.table({"id": [1], "z": [2]}), on="id").count()
    assert ray.data.DataContext.get_current() is before
    assert before.target_max_block_size == size == given.context.target_max_block_size
    assert given.context.execution_options.preserve_order == order
    assert not given.context.raise_original_map_exception


def test_frames_of_pandas_on_ray_are_read() -> None:
    given = ray.data.from_pandas(pd.DataFrame({"id": [1, 2], "text": ["a", None]}))
    found = RAY.read(given).to_arrow().sort_by("id").to_pylist()
    assert found == [{"id": 1, "text": "a"}, {"id": 2, "text": None}]


def test_a_ray_dataset_without_columns_is_refused() -> None:
    with pytest.raises(SourceError, match="has no rows"):
        RAY.read(ray.data.from_items([]))


def test_a_folder_of_no_rows_has_their_columns(tmp_path: Path) -> None:
    rows = RAY.read(pa.table({"k": [1], "text": ["a"]})).filter(pc.field("k") == 2)
    rows.write(tmp_path / "written")
    assert pq.read_table(tmp_path / "written").schema.names == ["k", "text"]
    assert len(rows.errors) == 0


def test_errors_of_written_rows_with_and_without_ids(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,n\n1,5\n2,five\n")
    (tmp_path / "b.csv").write_text("id,n\n,6\n,six\n")
    source = Files(tmp_path / "*.csv", id="id", dtypes={"id": "int64", "n": "int64"})
    rows = RAY.read(source)
    rows.write(tmp_path / "written")
    assert sorted(rows.errors.column("id").to_pylist()) == ["2", "b.csv#2"]


def test_a_machine_that_takes_many_workers_with_it_is_survived() -> None:
    notes = coordinator.CoordinatorActor()
    workers = [str(number) for number in range(3 * coordinator.MOST_DEATHS)]
    assert {notes.count_restart("work", "step", one, "process") for one in workers} == {1}
    # A task asks for each block.
    assert notes.count_restart("work", "step", "0", "process") == 1
    restarts, _ = notes.take("work")
    assert restarts == {"step": len(workers)}
