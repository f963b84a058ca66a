"""Whatever fails while something is written: an error with path and advice, and no leftovers."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reviewml import Frame, LocalRegistry, LocalStore, Pipeline, SharedRegistry, SharedStore
from reviewml.data.frames import as_dataset
from reviewml.environment_errors import is_environment_error
from reviewml.errors import ReviewmlError, WriteError
from reviewml.featurizers import Features
from reviewml.storage.atomic_files import replace_file, write_text
from reviewml.storage.figures import save_figure
from reviewml.testing.store import NO_LINKS, SHELF, VALUES, hash_texts
from reviewml.trainers import XGBoost

ROWS = pa.table({"id": [f"r{n}" for n in range(2_000)], "v": [str(n) * 9 for n in range(2_000)]})


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    rows = pa.table({"price": [1.0, 2.0, 3.0, 4.0] * 10, "bought": [True, True, False, False] * 10})
    steps = [("features", Features()), ("model", XGBoost(n_estimators=3))]
    return Pipeline(steps).fit(Frame(rows), target="bought")


def write_rows(path: Path, _: Pipeline) -> None:
    as_dataset(Frame(ROWS)).write(path)


def save_plot(path: Path, _: Pipeline) -> None:
    save_figure(pytest.importorskip("matplotlib.figure").Figure(), path)


def write_page(path: Path, _: Pipeline) -> None:
    write_text(path, "page" * 10_000)


def run_command(path: Path, _: Pipeline) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder, "in.csv")
        rows.write_text("id,text\n" + "1,great\n" * 500)
        command = ["enrich", str(rows), "--id", "id", "--text", "text", "--steps", "quality"]
        ended = subprocess.run(
            [sys.executable, "-m", "reviewml", *command, "--output", str(path)],
            capture_output=True,
            text=True,
        )
    assert "Traceback" not in ended.stderr
    if ended.returncode == 1:
        raise ReviewmlError(ended.stderr.strip().removeprefix("error: "))


def keep(store: LocalStore | SharedStore) -> None:
    values = pa.concat_batches([VALUES] * 50)
    store.add(SHELF, hash_texts(map(str, range(len(values)))), values, NO_LINKS)


FILES: dict[str, Callable[[Path, Pipeline], Any]] = {
    "rows.csv": write_rows,
    "rows.parquet": write_rows,
    "rows.jsonl": write_rows,
    "plot.png": save_plot,
    "page.html": write_page,
    "out.csv": run_command,
}

FOLDERS: dict[str, Callable[[Path, Pipeline], Any]] = {
    "model": lambda path, pipeline: pipeline.save(path),
    "registry": lambda path, pipeline: LocalRegistry(path).log(pipeline, name="m"),
    "shared-registry": lambda path, pipeline: SharedRegistry(path).log(pipeline, name="m"),
    "store": lambda path, _: keep(LocalStore(path)),
    "shared-store": lambda path, _: keep(SharedStore(path)),
}

WRITERS = FILES | FOLDERS

NAMES = pytest.mark.parametrize("name", WRITERS)


def check_refused(path: Path, pipeline: Pipeline, advice: str) -> None:
    """Write, and expect an error with the path and advice, and nothing left."""
    before = list_files(path.parent)
    with pytest.raises(ReviewmlError, match=advice) as refused:
        WRITERS[path.name](path, pipeline)
    assert path.name in str(refused.value)
    assert [name for name in list_files(path.parent) - before if has_content(path, name)] == []


def list_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def has_content(path: Path, name: str) -> bool:
    # Locks are empty, and the counts that a shared store writes first are whole.
    whole = name.startswith("shared-store/uses/") and not name.endswith(".unfinished")
    return (path.parent / name).stat().st_size > 0 and not whole


@NAMES
def test_a_full_disk_is_said(disk: Any, pipeline: Pipeline, name: str) -> None:
    disk.fill()
    check_refused(disk.folder / name, pipeline, "full.*make room")


@NAMES
def test_a_disk_that_becomes_full_is_said(disk: Any, pipeline: Pipeline, name: str) -> None:
    disk.fill()
    os.truncate(disk.folder / "filler", (disk.folder / "filler").stat().st_size - 4_096)
    check_refused(disk.folder / name, pipeline, "full.*make room")


@NAMES
def test_a_read_only_disk_is_said(disk: Any, pipeline: Pipeline, name: str) -> None:
    disk.make_read_only()
    check_refused(disk.folder / name, pipeline, "read-only|Read-only")


@NAMES
def test_a_file_in_the_way_is_said(tmp_path: Path, pipeline: Pipeline, name: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ReviewmlError, match="file"):
        WRITERS[name](tmp_path / "file" / name, pipeline)
    assert list_files(tmp_path) == {"file"}


@NAMES
def test_a_name_that_is_too_long_is_said(tmp_path: Path, pipeline: Pipeline, name: str) -> None:
    with pytest.raises(ReviewmlError, match="too long"):
        WRITERS[name](tmp_path / ("n" * 300 + name), pipeline)
    assert list_files(tmp_path) == set()


@pytest.mark.parametrize("name", FILES)
def test_a_folder_at_the_path_is_said(tmp_path: Path, pipeline: Pipeline, name: str) -> None:
    path = tmp_path / "folder" / name
    path.mkdir(parents=True)
    with pytest.raises(ReviewmlError, match=r"is a folder: name a file in it"):
        WRITERS[name](path, pipeline)
    assert list_files(path) == set()


@NAMES
def test_a_folder_that_is_missing_is_made(tmp_path: Path, pipeline: Pipeline, name: str) -> None:
    WRITERS[name](tmp_path / "made" / "here" / name, pipeline)
    assert (tmp_path / "made" / "here" / name).exists()


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EACCES])
def test_what_the_system_says_is_said_with_advice(tmp_path: Path, number: int) -> None:
    path = write_text(tmp_path / "rows.csv", "before")
    expected = pytest.raises(WriteError, match=r"cannot write .*rows\.csv: .*")
    with expected as refused, replace_file(path) as temporary:
        temporary.write_text("half")
        raise OSError(number, os.strerror(number))
    assert refused.value.errno == number
    assert is_environment_error(refused.value) == (number in (errno.EDQUOT, errno.EIO))
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"rows.csv": "before"}


def test_a_limit_of_file_sizes_is_said(tmp_path: Path) -> None:
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from reviewml.storage.atomic_files import write_text\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_text(Path(sys.argv[1]), 'x' * 100_000)"
    )
    pytest.importorskip("resource")
    path = tmp_path / "page.html"
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True
    )
    assert "WriteError: cannot write" in ended.stderr
    assert "ulimit -f" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_an_error_of_reading_is_not_called_one_of_writing(tmp_path: Path) -> None:
    def fail(batch: pa.RecordBatch) -> pa.RecordBatch:
        raise ConnectionResetError("the source is gone")

    rows = as_dataset(Frame(ROWS))
    for suffix in ("csv", "parquet", "jsonl"):
        with pytest.raises(Exception, match="the source is gone") as failed:
            rows.map(fail, rows.full_schema).write(tmp_path / f"rows.{suffix}")
        assert not isinstance(failed.value, WriteError)
    assert not list(tmp_path.iterdir())


def test_a_full_folder_of_temporary_files_is_said(
    disk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(disk.folder))
    rows = pa.table({"text": ["x" * 1_000] * 4_000})
    with pytest.raises(WriteError, match=r"full: make room.*TMPDIR names the folder"):
        as_dataset(Frame(rows)).map(
            lambda batch: batch, as_dataset(Frame(rows)).full_schema
        ).persist()
    assert not list_files(disk.folder)
