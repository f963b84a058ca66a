"""Folders, links and patterns: every file is read once, or it is said which is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviewml.data.frames import as_dataset
from reviewml.errors import SourceError
from reviewml.rows.roles import PLACE
from reviewml.sources.files import Files
from reviewml.sources.find_files import find
from reviewml.sources.table import Table


def write(path: Path, content: str = "x\n1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def names(path: Path | str) -> list[str]:
    return [file.name for file in find(str(path))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("2025/a.csv", "2026/b.csv", "2026/deep/c.csv"):
        write(tmp_path / "exports" / name)
    return tmp_path / "exports"


ALL = ["2025/a.csv", "2026/b.csv", "2026/deep/c.csv"]


# -- links ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["", "**/*.csv", "**"])
def test_a_link_to_what_is_read_anyway_doubles_no_row(folder: Path, pattern: str) -> None:
    (folder / "0-latest").symlink_to("2026")
    (folder / "latest.csv").symlink_to("2026/b.csv")
    (folder / "2026/deep/circle").symlink_to(folder / "2026")
    assert names(folder / pattern) == ALL


@pytest.mark.parametrize("pattern", ["", "**/*.csv"])
def test_links_to_elsewhere_are_followed_once(folder: Path, pattern: str) -> None:
    outside = folder.parent / "outside"
    write(outside / "d.csv")
    (outside / "back").symlink_to(folder)
    (outside / "self").symlink_to(outside)
    (folder / "link").symlink_to(outside)
    (folder / "other").symlink_to(outside)
    (folder / "one.csv").symlink_to(outside / "d.csv")
    assert names(folder / pattern) == [*ALL, "link/d.csv"]


def test_files_behind_links_into_hidden_folders_are_read(folder: Path) -> None:
    # So do volumes of Kubernetes and caches of models lay out their files.
    for name in ("x.csv", "y.csv"):
        (folder / name).symlink_to(write(folder / ".blobs/abc"))
    assert names(folder) == [*ALL, "x.csv", "y.csv"]


def test_links_that_lead_nowhere_or_up_are_counted(folder: Path) -> None:
    for name in ("gone.csv", "2025/gone.csv"):
        (folder / name).symlink_to("nowhere.csv")
    (folder / "round.csv").symlink_to("round.csv")
    (folder / "up").symlink_to(folder.parent)
    with pytest.warns(UserWarning) as caught:
        assert names(folder) == ALL
    said = sorted(str(warning.message) for warning in caught)
    assert [message[:22] for message in said] == [
        "1 links to a folder th",
        "3 links that lead nowh",
    ]
    with pytest.raises(SourceError, match="a link that leads nowhere"):
        find(str(folder / "gone.csv"))


# -- what is not a file --------------------------------------------------------------------------


def test_pipes_and_sockets_are_never_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.csv"))
    (folder / "null.csv").symlink_to("/dev/null")
    for path in (folder, folder / "**", folder / "**/*.csv"):
        with pytest.warns(UserWarning, match=r"3 pipes, sockets or devices"):
            assert names(path) == ALL
    for path in ("pipe.csv", "socket.csv", "null.csv"):
        with pytest.raises(SourceError, match="read only once"):
            find(str(folder / path))
    with pytest.raises(SourceError, match="read only once"):
        Table(f"duckdb:///{folder}/pipe.csv", "SELECT 1").schema  # noqa: B018


def test_what_the_shell_substitutes_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys; from reviewml import Files\n"
        "try: print(next(Files(sys.argv[1], delimiter=',').partitions()))\n"
        "except Exception as error: print(error)"
    )
    script = f"{sys.executable} -c \"$0\" <(printf 'x\\n1\\n')"
    run = subprocess.run(["bash", "-c", script, code], capture_output=True, text=True, timeout=60)
    assert "is a pipe" in run.stdout


@pytest.mark.parametrize("pattern", ["", "**/*.csv", "*/*.csv"])
def test_a_folder_that_may_not_be_read_is_an_error(folder: Path, pattern: str) -> None:
    said = _unreadable(folder, pattern)
    assert "2025" in said and "Permission denied" in said


def _unreadable(folder: Path, pattern: str) -> str:
    """Return what finding says to somebody who may not read a folder, and is not root."""
    (folder / "2025").chmod(0o000)
    reader, writer = os.pipe()
    if child := os.fork():
        os.close(writer)
        with os.fdopen(reader) as stream:
            said = stream.read()
        os.waitpid(child, 0)
        (folder / "2025").chmod(0o755)
        return said
    try:
        if os.getuid() == 0:
            for above in [folder, *folder.parents[:-2]]:
                above.chmod(0o755)
            os.setuid(65534)
        found = str(names(folder / pattern))
    except SourceError as error:
        found = str(error)
    os.write(writer, found.encode())
    os._exit(0)


def test_a_folder_that_vanishes_meanwhile_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def vanishing(path: str) -> object:
        if str(path).endswith("2026"):
            (folder / "2026").rename(folder / "renamed")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    with pytest.raises(SourceError, match="2026' cannot be read"):
        find(str(folder))


# -- patterns ---------------------------------------------------------------------------------


def test_folders_that_a_pattern_matches_are_told(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"2 folders, such as '2025', and no file: add '/\*\*'"):
        find(str(folder / "*"))
    write(folder / "z.csv")
    with pytest.warns(UserWarning, match=r"2 folders .* left out, such as '2025'"):
        assert names(folder / "*") == ["z.csv"]
    assert names(folder / "**") == [*ALL, "z.csv"]
    assert names(folder / "20*/*.csv") == ["2025/a.csv", "2026/b.csv"]


def test_patterns_match_as_glob_does(tmp_path: Path) -> None:
    for name in ("a.csv", ".b.csv", "x/a.csv", "x/.y/a.csv", "_z/a.csv", "x/[1].csv", "x/1.csv"):
        write(tmp_path / name)
    for pattern in ("*.csv", ".*.csv", "**/a.csv", "x/[[]1].csv", "x/[0-9].csv", "?/*", "x/.*/*"):
        expected = {str(p) for p in map(Path, _glob(tmp_path / pattern)) if p.is_file()}
        assert {file.path for file in find(str(tmp_path / pattern))} == expected, pattern
    assert names(tmp_path / "x/[1].csv") == ["[1].csv"]


def _glob(pattern: Path) -> list[str]:
    import glob

    return glob.glob(str(pattern), recursive=True)  # noqa: PTH207


def test_names_that_are_no_text_are_shown(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.csv")).write_text("x\n1\n")
    rows = pa.Table.from_batches(as_dataset(Files(tmp_path)).full_batches())
    assert rows[PLACE].to_pylist() == ["caf\\xe9.csv#1"]


def test_file_urls_are_found_as_paths_are(folder: Path) -> None:
    (folder / "up").symlink_to(folder.parent)
    with pytest.warns(UserWarning, match="1 links"):
        assert names(f"file://{folder}") == ALL


# -- columns in the names of folders ----------------------------------------------------------


def rows(source: Files) -> list[dict[str, object]]:
    return as_dataset(source).to_arrow().to_pylist()


CONTENT = {
    "csv": "id,text\n1,a\n2,b\n",
    "tsv": "id\ttext\n1\ta\n2\tb\n",
    "jsonl": '{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\n',
}


@pytest.mark.parametrize("suffix", [*CONTENT, "parquet"])
@pytest.mark.parametrize("remote", [False, True])
def test_folders_give_their_columns(tmp_path: Path, suffix: str, remote: bool) -> None:
    values = {"Caf%C3%A9": "Café", "a%2Fb%3Dc": "a/b=c", "__HIVE_DEFAULT_PARTITION__": None}
    for number, value in enumerate(values):
        path = tmp_path / f"lake/year={2024 + number}/kind={value}/part.{suffix}"
        if suffix == "parquet":
            path.parent.mkdir(parents=True)
            pq.write_table(pa.table({"id": [1, 2], "text": ["a", "b"]}), path)
        else:
            write(path, CONTENT[suffix])
    write(tmp_path / "lake/_temporary/kind=x/part.csv", "wrong\n1\n")
    url = str(tmp_path / "lake")
    if remote:
        url = f"memory://{uuid.uuid4()}"
        fsspec.filesystem("memory").put(str(tmp_path / "lake"), url, recursive=True)
    source = Files(url, id="id", text="text")
    table = as_dataset(source).to_arrow()
    assert table.schema.names == ["id", "text", "year", "kind"]
    assert table["year"].to_pylist() == [2024, 2024, 2025, 2025, 2026, 2026]
    assert {*table["kind"].to_pylist()} == {*values.values()}
    places = pa.Table.from_batches(as_dataset(source).full_batches())[PLACE].to_pylist()
    assert places[0] == f"year=2024/kind=Caf%C3%A9/part.{suffix}#1"


def test_folders_of_reviews_in_text_files_give_their_columns(tmp_path: Path) -> None:
    for number, content in enumerate(['"u1","a"', "no record", '"u3","c"']):
        write(tmp_path / f"lang={'fr' if number else 'de'}/{number}.txt", content)
    found = [(row["id"], row["lang"]) for row in rows(Files(tmp_path))]
    assert found == [("u1", "de"), (None, None), ("u3", "fr")]


def test_types_of_folders_are_inferred_over_all_of_them(tmp_path: Path) -> None:
    for month in ("01", "10"):
        write(tmp_path / f"month={month}/n={int(month)}.5/day=2026-01-{month}/a.csv")
    types = {field.name: str(field.type) for field in as_dataset(Files(tmp_path)).schema}
    assert types == {"x": "int64", "month": "string", "n": "double", "day": "date32[day]"}
    assert [row["month"] for row in rows(Files(tmp_path, dtypes={"month": "int8"}))] == [1, 10]
    by_pattern = as_dataset(Files(tmp_path / "month=*/*/*/a.csv")).schema
    assert {field.name: str(field.type) for field in by_pattern} == types


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_column_in_file_and_folder_is_the_files_where_they_agree(
    tmp_path: Path, suffix: str
) -> None:
    lines = {
        "csv": "x,month\n{0}\n",
        "jsonl": '{{"x": 0, "month": null}}\n{{"x": 0, "month": {1}}}\n',
    }[suffix]
    write(tmp_path / f"month=01/a.{suffix}", lines.format("0,\n0,1", 1))
    write(tmp_path / f"month=02/a.{suffix}", lines.format("0,\n0,2", 2))
    assert [row["month"] for row in rows(Files(tmp_path))] == [1, 1, 2, 2]
    write(tmp_path / f"month=02/a.{suffix}", lines.format("0,\n0,3", 3))
    with pytest.raises(SourceError, match=rf"month=02/a\.{suffix}#2: .* another 'month'"):
        rows(Files(tmp_path))


def test_only_some_folders_or_two_of_one_name(tmp_path: Path) -> None:
    write(tmp_path / "kind=a/a.csv")
    write(tmp_path / "b/b.csv")
    assert [row["kind"] for row in rows(Files(tmp_path))] == [None, "a"]
    write(tmp_path / "kind=a/kind=b/c.csv")
    with pytest.raises(SourceError, match=r"two of its folders say what 'kind' is"):
        rows(Files(tmp_path))


def test_a_row_that_cannot_be_read_stays_nulls(tmp_path: Path) -> None:
    write(tmp_path / "kind=a/a.csv", "x,y\n1,2\n1\n")
    assert rows(Files(tmp_path))[1] == {"x": None, "y": None, "kind": None}
    assert len(as_dataset(Files(tmp_path)).errors) == 1
