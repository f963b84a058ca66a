"""Files that are there whole or not at all, however many write them and whenever one dies."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from reviewml.data.frames import as_dataset
from reviewml.errors import ParameterError
from reviewml.storage.atomic_files import replace_file, write_text
from reviewml.storage.figures import save_figure


def _read_jsonl(path: Path) -> pa.Table:
    lines = path.read_text(encoding="utf-8").splitlines()
    return pa.Table.from_pylist([json.loads(line) for line in lines])


READERS: dict[str, Callable[[Path], pa.Table]] = {
    ".csv": pacsv.read_csv,
    ".parquet": pq.read_table,
    ".jsonl": _read_jsonl,
}

TABLES = [
    pa.table({"id": [f"{name}{n}" for n in range(rows)], "v": [name * width] * rows})
    for name, rows, width in (("a", 4_000, 20), ("b", 3_000, 33), ("c", 5_000, 7))
]


@pytest.mark.parametrize("suffix", READERS)
def test_several_writers_of_one_file_leave_that_of_one(tmp_path: Path, suffix: str) -> None:
    for turn in range(5):
        path = tmp_path / f"{turn}{suffix}"
        threads = [
            threading.Thread(target=as_dataset(table).write, args=(path,)) for table in TABLES
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert any(READERS[suffix](path).equals(table) for table in TABLES)
        assert list(tmp_path.iterdir()) == [path]
        path.unlink()


WRITES = """
import os, sys
import pyarrow as pa
from reviewml.data.frames import as_dataset
from reviewml.errors import ParameterError

os.getpid = lambda: 1  # as in two containers that share a volume
name, rows = sys.argv[2], int(sys.argv[3])
as_dataset(pa.table({"id": [f"{name}{n}" for n in range(rows)]})).write(sys.argv[1])
"""


def test_processes_with_the_same_number_leave_the_file_of_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITES, str(path), name, str(rows)])
        for name, rows in (("a", 40_000), ("b", 30_000))
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    ids = pacsv.read_csv(path).column("id").to_pylist()
    assert ids in ([f"a{n}" for n in range(40_000)], [f"b{n}" for n in range(30_000)])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="kills a process as POSIX does")
def test_a_killed_writer_leaves_what_was_there(tmp_path: Path) -> None:
    path = write_text(tmp_path / "page.html", "before")
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from reviewml.storage.atomic_files import replace_file\n"
        "with replace_file(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", script, str(path)])
    assert died.returncode == -signal.SIGKILL
    assert path.read_text() == "before"
    write_text(path, "after")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"page.html": "after"}


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = write_text(tmp_path / "page.html", "before")
    with pytest.raises(ValueError, match="half"), replace_file(path) as temporary:
        temporary.write_text("ha")
        raise ValueError("half")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"page.html": "before"}


def test_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def record_replace(source: Path, target: Path) -> None:
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    write_text(tmp_path / "page.html", "text")
    assert steps == ["file", "rename", "folder"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = write_text(tmp_path / "page.html", "text")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_at_the_name_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "page.html"
    target.write_text("precious")
    path.symlink_to(target)
    write_text(path, "text")
    assert (target.read_text(), path.read_text(), path.is_symlink()) == ("precious", "text", False)


@pytest.mark.parametrize(
    ("name", "saved", "start"),
    [("a.png", "a.png", b"\x89PNG"), ("a", "a.png", b"\x89PNG"), ("a.pdf", "a.pdf", b"%PDF")],
)
def test_the_suffix_is_the_format_of_a_figure(
    tmp_path: Path, name: str, saved: str, start: bytes
) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    assert save_figure(figure, tmp_path / name) == tmp_path / saved
    assert (tmp_path / saved).read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_figure_of_no_known_format_leaves_nothing(tmp_path: Path) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    with pytest.raises(ValueError, match="xyz"):
        save_figure(figure, tmp_path / "a.xyz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "scores.csv"
    path.touch()
    path.chmod(mode)
    with replace_file(path) as temporary:
        assert stat.S_IMODE(temporary.stat().st_mode) & 0o077 & ~mode == 0
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == mode


NO_FIGURE_FILES = {"": "names no file", "/": "names no file", "plot.xyz": r"plot\.xyz.*\.png"}


@pytest.mark.parametrize("path", NO_FIGURE_FILES)
def test_a_figure_needs_a_name_of_a_format(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = pytest.importorskip("matplotlib.figure")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match=NO_FIGURE_FILES[path]):
        save_figure(figures.Figure(), path)
    assert not list(tmp_path.iterdir())
