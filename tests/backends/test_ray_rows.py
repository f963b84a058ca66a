"""What Ray's rows can besides the contract: bring their own, write folders, share devices."""

from __future__ import annotations

import os
import random
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ray = pytest.importorskip("ray")

from ray import cloudpickle  # noqa: E402

from reviewml import Files, Frame, LocalStore, Pipeline, SharedStore  # noqa: E402
from reviewml.backends.local.backend import LocalBackend  # noqa: E402
from reviewml.backends.ray.backend import RayBackend  # noqa: E402
from reviewml.datasets import make_reviews  # noqa: E402
from reviewml.enrichers import Language  # noqa: E402
from reviewml.errors import (  # noqa: E402
    BackendError,
    ParameterError,
    SchemaError,
    SourceError,
    WriteError,
)
from reviewml.featurizers import Features  # noqa: E402
from reviewml.interfaces import Enricher, Resources  # noqa: E402
from reviewml.rows.blanks import null_blanks  # noqa: E402
from reviewml.rows.roles import Roles  # noqa: E402
from reviewml.testing.rows import make_example_rows  # noqa: E402
from reviewml.trainers import LogisticRegression  # noqa: E402

pytestmark = pytest.mark.usefixtures("ray_cluster")

# Workers cannot import the tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

ROLES = Roles.of(id="id", text="text")


class Where(Enricher):
    """Says which process and device looked at a row."""

    adds = {"process": pa.int64(), "device": pa.string(), "threads": pa.int64()}
    resources = Resources(gpu=0.5)

    def setup(self) -> None:
        # Loaded once: a second time would be another number.
        self._process = getattr(self, "_process", 0) + 1

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        device = ",".join(ray.get_runtime_context().get_accelerator_ids().get("GPU", []))
        for name, value in {
            "process": self._process,
            "device": device,
            "threads": pa.cpu_count(),
        }.items():
            batch = batch.append_column(name, pa.array([value] * len(batch)))
        return batch


class Kept(Enricher):
    """Counts characters and is kept."""

    stored = True
    adds = {"characters": pa.int64()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        lengths = pa.compute.utf8_length(batch.column("text")).cast(pa.int64())
        return batch.append_column("characters", lengths)


class Unready(Enricher):
    """Cannot load what it needs."""

    stored = True
    adds = {"never": pa.int64()}

    def setup(self) -> None:
        raise OSError("no model in this folder")

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch


def test_a_step_that_cannot_start_says_why() -> None:
    rows = RayBackend(store=None).read(make_example_rows(60), ROLES)
    with pytest.raises(BackendError, match=r"failed: OSError: no model in this folder$"):
        rows.enrich(Unready()).to_arrow()


def test_an_error_of_a_worker_is_raised_as_it_was_there() -> None:
    rows = make_reviews(300).select(["id", "text", "price", "recommended"])
    steps = [("kept", Kept()), ("features", Features()), ("model", LogisticRegression())]
    pipe = Pipeline(steps, id="id", text="text").on("local", store=None)
    pipe.fit(Frame(rows), target="recommended")
    there = pipe.on("ray", store=None)
    other = rows.set_column(2, "price", rows.column("price").cast(pa.string()))
    with pytest.raises(SchemaError, match=r"^column 'price' holds string.* fit again\.$") as raised:
        there.predict(other.to_pandas())
    assert raised.type is SchemaError


@pytest.mark.parametrize("concurrency", [0, (3, 1), (1, 2, 3), "two", 1.5])
def test_a_concurrency_that_is_none_is_refused(concurrency: Any) -> None:
    pipe = Pipeline([("language", Language())], text="text")
    with pytest.raises(ParameterError, match="at least 1, or the fewest and the most"):
        pipe.on("ray", concurrency=concurrency)
    with pytest.raises(ParameterError, match="at least 1, or the fewest and the most"):
        pipe.on("ray", resources={"language": {"concurrency": concurrency}})


def test_what_ray_reads_is_read() -> None:
    given = ray.data.from_items([{"id": n, "body": f"text {n}"} for n in range(50)])
    dataset = RayBackend().read(given, Roles.of(id="id", text="body"))
    assert dataset.schema.names == ["id", "body"]
    assert sorted(dataset.column("id").to_pylist()) == list(range(50))
    pipe = Pipeline([("language", Language())], id="id", text="body").on("ray")
    assert pipe.enrich(given).count() == 50


def test_rows_of_another_backend_are_brought() -> None:
    rows = make_example_rows(30)
    here = LocalBackend().read(rows, ROLES)
    assert RayBackend().read(here).to_arrow().sort_by("id").equals(rows.sort_by("id"))


def test_steps_claim_fractions_of_devices() -> None:
    rows = RayBackend().read(make_example_rows(60), ROLES)
    found = rows.enrich(Where()).to_arrow()
    assert set(found.column("process").to_pylist()) == {1}
    assert set(found.column("device").to_pylist()) == {"0"}
    assert set(found.column("threads").to_pylist()) == {1}


def test_options_name_steps_that_are_there() -> None:
    pipe = Pipeline([("language", Language())], text="text")
    pipe.on("ray", resources={"language": {"num_cpus": 2}})
    with pytest.raises(ParameterError, match=r"no step 'languag'\. Did you mean 'language'"):
        pipe.on("ray", resources={"languag": {}})
    with pytest.raises(ParameterError, match=r"no option 'gpus'\. Did you mean 'num_gpus'"):
        pipe.on("ray", resources={"language": {"gpus": 1}})


def test_another_cluster_than_the_one_connected_is_refused() -> None:
    with pytest.raises(BackendError, match="connected to the Ray cluster"):
        RayBackend(address="elsewhere:6379").read(make_example_rows(5), ROLES).count()
    with pytest.raises(BackendError, match="runtime_env= is for the first connection"):
        RayBackend(runtime_env={"pip": ["x"]}).read(make_example_rows(5), ROLES).count()


def test_no_secret_is_shown() -> None:
    backend = RayBackend(
        address="ray://user:hush@head:10001", runtime_env={"env_vars": {"TOKEN": "hush"}}
    )
    assert "hush" not in repr(backend)
    assert "hush" not in repr(RayBackend(store="s3://key:hush@bucket/x"))


@pytest.mark.parametrize("kind", [LocalStore, SharedStore])
def test_values_are_kept_and_found(tmp_path: Path, kind: type[LocalStore]) -> None:
    store = kind(tmp_path / "store")
    rows = RayBackend(store=store).read(make_example_rows(60), ROLES)
    first = rows.enrich(Kept()).to_arrow().sort_by("id")
    assert rows.enrich(Kept()).to_arrow().sort_by("id").equals(first)
    [shelf] = store.describe()
    texts = set(null_blanks(make_example_rows(60).column("text").combine_chunks()).to_pylist())
    assert shelf.rows == len(texts)
    assert shelf.hits >= len(texts)


def test_writes_a_folder_of_files(tmp_path: Path) -> None:
    rows = make_example_rows(200)
    for part in range(4):
        pq.write_table(rows.slice(part * 50, 50), tmp_path / f"{part}.parquet")
    folder = tmp_path / "written"
    dataset = RayBackend().read(Files(tmp_path / "*.parquet", id="id", text="text"))
    dataset.write(folder)
    assert {file.suffix for file in folder.iterdir()} == {".parquet"}
    back = pa.concat_tables(pq.read_table(file) for file in sorted(folder.iterdir()))
    assert back.select(rows.column_names).sort_by("id").equals(rows.sort_by("id"))
    with pytest.raises(SourceError, match="is not empty"):
        dataset.write(folder)


@pytest.mark.parametrize("state", ["full", "nearly full", "read-only"])
def test_a_folder_that_cannot_be_written_is_said(disk: Any, state: str) -> None:
    texts = [f"{number} " + random.Random(number).randbytes(500).hex() for number in range(100)]
    rows = RayBackend(store=None).read(pa.table({"id": range(100), "text": texts}), ROLES)
    folder = disk.folder / "written"
    if state == "read-only":
        disk.make_read_only()
    else:
        disk.fill()
    if state == "nearly full":
        filler = disk.folder / "filler"
        os.truncate(filler, filler.stat().st_size - 16_384)
    with pytest.raises(WriteError, match=r"written: .*(full|read-only).*another place"):
        rows.write(folder)
    assert not folder.exists()


def test_errors_of_written_rows_are_known(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,text,n\n1,a,5\n2,b,five\n3,c,6\n")
    source = Files(tmp_path / "rows.csv", id="id", text="text", dtypes={"n": "int64"})
    dataset = RayBackend().read(source)
    dataset.write(tmp_path / "written")
    assert dataset.errors.column("id").to_pylist() == [2]


def test_steps_are_measured() -> None:
    RayBackend().read(make_example_rows(60), ROLES).enrich(Language(), stage="tongue").count()
    [node] = ray.nodes()
    address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    for _ in range(100):
        text = urllib.request.urlopen(address, timeout=10).read().decode()
        if "reviewml_rows" in text and 'step="tongue"' in text:
            break
    assert 'step="tongue"' in text


def test_one_review_in_each_file(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"review-{number}.txt").write_text(f"Review number {number}")
    source = Files(tmp_path)
    here = LocalBackend().read(source).to_arrow()
    there = RayBackend().read(source).to_arrow()
    names = here.column_names
    np.testing.assert_array_equal(
        there.sort_by([(names[0], "ascending")]).to_pandas().to_numpy(),
        here.sort_by([(names[0], "ascending")]).to_pandas().to_numpy(),
    )
