"""Temporary files and folders: nobody shares one, and none outlives its process for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reviewml.storage import temporary
from reviewml.storage.temporary import (
    create_temporary_file,
    create_temporary_folder,
    remove_leftovers,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kills processes as POSIX does")

DIES = """
import os, signal, sys
from pathlib import Path
from reviewml.storage.temporary import create_temporary_file, create_temporary_folder

path = Path(sys.argv[2])
with {"file": create_temporary_file, "folder": create_temporary_folder}[sys.argv[1]](path) as made:
    (made / "rows" if made.is_dir() else made).write_text("a review")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def leave(kind: str, path: Path) -> None:
    """Have a process die while it has a temporary file or folder."""
    died = subprocess.run([sys.executable, "-c", DIES, kind, str(path)])
    assert died.returncode == -signal.SIGKILL
    assert list(path.parent.iterdir())


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("name", ["out.csv", "[a]*?.csv", "ж" * 120])
def test_the_next_one_removes_what_a_killed_process_left(
    tmp_path: Path, kind: str, name: str
) -> None:
    leave(kind, tmp_path / name)
    with create_temporary_file(tmp_path / name) as made:
        assert list(tmp_path.iterdir()) == [made]
    assert not list(tmp_path.iterdir())


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with create_temporary_file(path) as file, create_temporary_folder(path) as folder:
        remove_leftovers(path)
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from pathlib import Path\n"
                "from reviewml.storage.temporary import remove_leftovers\n"
                "remove_leftovers(Path(sys.argv[1]))",
                str(path),
            ],
            check=True,
        )
        assert file.exists()
        assert folder.is_dir()
    assert not list(tmp_path.iterdir())


def test_those_that_begin_and_end_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "version"

    def write_and_read(number: int) -> list[str]:
        with create_temporary_folder(path) as folder, create_temporary_file(path) as file:
            (folder / "rows").write_text(str(number))
            file.write_text(str(number))
            remove_leftovers(path)
            return [(folder / "rows").read_text(), file.read_text()]

    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(write_and_read, range(400)))
    assert read == [[str(number)] * 2 for number in range(400)]
    assert not list(tmp_path.iterdir())


def test_only_its_own_kind_of_names_is_removed(tmp_path: Path) -> None:
    others = [
        tmp_path / name
        for name in (".out.csv", "out.csv.unfinished", ".other.csv.1234.unfinished", ".out.csv.1")
    ]
    for other in others:
        other.write_text("mine")
    remove_leftovers(tmp_path / "out.csv")
    assert all(other.read_text() == "mine" for other in others)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_neither_followed_nor_waited_for(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    planted = tmp_path / ".out.csv.1234.unfinished"
    if kind == "link":
        planted.symlink_to(target)
    elif kind == "pipe":
        os.mkfifo(planted)
    else:
        planted.mkdir()
    remove_leftovers(tmp_path / "out.csv")
    assert target.read_text() == "precious"


def test_a_name_that_exists_is_never_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    monkeypatch.setattr(temporary.secrets, "token_hex", lambda size: "0" * 2 * size)
    (tmp_path / f".out.csv.{'0' * 16}.unfinished").symlink_to(target)
    with pytest.raises(FileExistsError), create_temporary_file(tmp_path / "out.csv"):
        pass
    assert target.read_text() == "precious"


def test_a_folder_is_closed_to_others(tmp_path: Path) -> None:
    with create_temporary_folder(tmp_path / "rows") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_large_folder_is_not_looked_through_for_each_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = 2_000
    for number in range(files):
        (tmp_path / str(number)).touch()
    looks = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: [looks.append(path), scandir(path)][1])
    planted = tmp_path / ".out.csv.1234.unfinished"
    for _ in range(50):
        planted.touch()
        with create_temporary_file(tmp_path / "out.csv"):
            pass
    assert len(looks) * files < 50 * 2 * temporary.ENTRIES_AT_ONCE
    remove_leftovers(tmp_path / "out.csv")
    assert not planted.exists()


def test_a_small_folder_is_looked_through_each_time(tmp_path: Path) -> None:
    planted = tmp_path / ".out.csv.1234.unfinished"
    for _ in range(5):
        planted.touch()
        with create_temporary_file(tmp_path / "out.csv"):
            assert not planted.exists()
