"""In the Container Runtime a Ray cluster reads a stage by Snowflake's own data source.

That is there alone, so that a stand-in takes its place: a datasource of Ray's, of the signature
that is documented, which reads a folder of this machine.
"""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("snowflake.snowpark")
pytest.importorskip("snowflake_double")

from ray import cloudpickle  # noqa: E402
from ray.data._internal.datasource.binary_datasource import BinaryDatasource  # noqa: E402

from reviewml import Files, Pipeline  # noqa: E402
from reviewml.backends.ray.backend import RayBackend  # noqa: E402
from reviewml.backends.snowflake.connection.container_runtime import IN_RUNTIME  # noqa: E402
from reviewml.backends.snowflake.connection.session import ConnectionConfig  # noqa: E402
from reviewml.backends.snowflake.sources.stage import SnowflakeStage  # noqa: E402
from reviewml.backends.snowflake.sources.stage_on_ray import MODULES, StagePlace  # noqa: E402
from reviewml.backends.snowflake.sources.tables import SnowflakeTable  # noqa: E402
from reviewml.data.frames import as_dataset  # noqa: E402
from reviewml.data.source import Source  # noqa: E402
from reviewml.enrichers import Language  # noqa: E402
from reviewml.errors import BackendError, ParameterError, SourceError  # noqa: E402

if TYPE_CHECKING:
    from snowflake.snowpark import Session
    from snowflake_double import Double

on_cluster = pytest.mark.usefixtures("ray_cluster")

# Workers cannot import the tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

TEXTS = [
    'it"s',
    "two\nlines,\r\n客户 👍🏽",
    "",
    '""',
    "\\ 'quoted' \\n ;--",
    "NUL \0",
    "\u202eodd\t",
]

OTHERS = {
    "zero.txt": b"",
    "sub/zero.txt": b"",
    "none.txt": b"no record",
    "cut.txt": b'"r9","never closed',
    "latin.txt": '"r9","é"'.encode("latin-1"),
    "marked.txt": b'\xef\xbb\xbf"r10","after a mark"\n',
    "packed.txt.gz": gzip.compress(b'"r11","packed"'),
    "sub/blank.txt": b" \n",
    "no id.txt": b'"","whose"',
}


class StageFolder(BinaryDatasource):
    """Stands for SFStageBinaryFileDataSource; each stage is a folder of FOLDERS."""

    folders: dict[tuple[str, str, str], Path] = {}
    made: dict[str, Any] = {}
    named = ("bytes", "path")
    before = "{database}.{schema}.{stage}/"

    def __init__(
        self,
        *,
        stage_location: str,
        database: str | None = None,
        schema: str | None = None,
        file_pattern: str | list[str] | None = None,
        local_path: str | None = None,
        include_paths: bool = False,
        **file_based_datasource_kwargs: Any,
    ) -> None:
        type(self).made = {"stage_location": stage_location, "database": database, "schema": schema}
        stage, _, path = stage_location.removeprefix("@").partition("/")
        self.folder = self.folders[database, schema, stage.strip('"')]
        self.columns = self.named if include_paths else self.named[:1]
        self.prefix = self.before.format(database=database, schema=schema, stage=stage)
        files = [str(file) for file in self.folder.rglob("*") if file.is_file()]
        below = [file for file in files if os.path.relpath(file, self.folder).startswith(path)]
        super().__init__(below, **file_based_datasource_kwargs)

    def _read_stream(self, f: Any, path: str) -> Iterator[pa.Table]:
        for block in super()._read_stream(f, path):
            name = f"{self.prefix}{os.path.relpath(path, self.folder)}"
            read = [block.column("bytes"), pa.array([name] * len(block))]
            yield pa.table(dict(zip(self.columns, read, strict=False)))


@pytest.fixture
def in_runtime(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Have this process look like one in the Container Runtime."""
    monkeypatch.setenv(IN_RUNTIME, "1")
    module = types.ModuleType(MODULES[0])
    module.SFStageBinaryFileDataSource = StageFolder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, MODULES[0], module)
    monkeypatch.setattr(StageFolder, "folders", {})
    return module


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write files of reviews into a folder."""
    folder = tmp_path / "files"
    for place, text in enumerate(TEXTS):
        doubled = text.replace('"', '""')
        file = folder / f"r{place}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(f'"r{place}","{doubled}"\n'.encode())
    for name, content in OTHERS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "notes.md").write_text("no review")
    return folder


def staged(files: Path, session: Session, stage: str, folder: str = "new") -> None:
    """Put the files on a stage of the double, and where the stand-in reads."""
    database = ConnectionConfig(session).database()
    database.run(f'CREATE OR REPLACE STAGE "{stage}"')
    for file in files.rglob("*.*"):
        below = file.relative_to(files).parent
        place = f'@"{stage}"/{folder}/{below}'
        database.run(f"PUT 'file://{file}' '{place}' AUTO_COMPRESS = FALSE")
    there = files.parent / stage
    shutil.copytree(files, there / folder)
    StageFolder.folders[*database.qualify_schema().parts, stage] = there


def rows_and_errors(source: Source, backend: RayBackend | None = None) -> tuple[Any, Any]:
    """Return rows by place and errors, without ways out that Files alone has."""
    read = as_dataset(source) if backend is None else backend.read(source)
    table = pa.Table.from_batches(list(read.full_batches())).drop_columns(["__errors__"])
    rows = sorted(table.to_pylist(), key=lambda row: row["__place__"])
    errors = read.errors.to_pylist()
    for error in errors:
        error["error"] = error["error"].partition(";")[0].partition(", or not in")[0]
    return rows, sorted(errors, key=lambda error: error["place"])


def local(files: Path) -> tuple[Any, Any]:
    """Return what Files has of the same files."""
    rows, errors = rows_and_errors(Files(files / "**" / "*.txt*"))
    for one in rows:
        one["__place__"] = f"new/{one['__place__']}"
    for one in errors:
        one["place"] = f"new/{one['place']}"
        one["id"] = one["place"]
    return rows, errors


NAMINGS = [
    (("bytes", "path"), "{database}.{schema}.{stage}/"),
    (("file_binary", "file_name"), "@{stage}/"),
    (("bytes", "path"), ""),
]


@pytest.mark.slow
@on_cluster
@pytest.mark.parametrize(("columns", "before"), NAMINGS)
def test_rows_are_those_of_the_same_files_here(
    columns: tuple[str, str],
    before: str,
    files: Path,
    double: Double,
    session: Session,
    in_runtime: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(StageFolder, "named", columns)
    monkeypatch.setattr(StageFolder, "before", before)
    staged(files, session, "TEXTS")
    source = SnowflakeStage("@texts/new", pattern=".*[.]txt.*", connection=session)
    expected = local(files)
    with double.watch() as watched:
        read = rows_and_errors(source, RayBackend(store=None))
    assert read == expected
    assert len(read[0]) == len(TEXTS) + len(OTHERS)
    assert len(read[1]) == 6
    assert watched.rows <= 10
    assert StageFolder.made["stage_location"] == "@TEXTS/new"


@pytest.mark.slow
@on_cluster
def test_a_pipeline_reads_a_stage_of_another_schema_and_any_name(
    files: Path, session: Session, in_runtime: types.ModuleType
) -> None:
    database = ConnectionConfig(session).database()
    here = database.qualify_schema().parts
    database.run("CREATE SCHEMA OTHER")
    database.run("USE SCHEMA OTHER")
    stage = "it's; my stage"
    for name in OTHERS:
        (files / name).unlink()
    database.run(f'CREATE STAGE "{stage}"')
    for file in files.glob("*.txt"):
        doubled = stage.replace("'", "''")
        database.run(f"PUT 'file://{file}' '@\"{doubled}\"' AUTO_COMPRESS = FALSE")
    StageFolder.folders[here[0], "OTHER", stage] = files
    database.run(f"USE SCHEMA {here[1]}")
    location = f'@other."{stage}"'
    source = SnowflakeStage(location, pattern=".*txt", path="file", connection=session)
    pipe = Pipeline([("language", Language())]).on("ray", store=None)
    found = pipe.enrich(source).to_arrow().sort_by("id")
    assert found.column("text").to_pylist() == TEXTS
    assert found.column("file").to_pylist() == [f"r{n}.txt" for n in range(len(TEXTS))]
    assert StageFolder.made["stage_location"] == f'@"{stage}"/'


def test_elsewhere_and_for_tables_nothing_changes(
    session: Session, in_runtime: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SnowflakeStage("@texts", format="csv", connection=session).ray_read() is None
    monkeypatch.delenv(IN_RUNTIME)
    assert SnowflakeStage("@texts", connection=session).ray_read() is None


def test_a_runtime_without_the_data_source_reads_as_elsewhere(
    files: Path,
    session: Session,
    in_runtime: types.ModuleType,
    caplog: pytest.LogCaptureFixture,
) -> None:
    staged(files, session, "TEXTS")
    del in_runtime.SFStageBinaryFileDataSource
    assert SnowflakeStage("@texts", connection=session).ray_read() is None
    assert "this runtime has no SFStageBinaryFileDataSource" in caplog.text


@pytest.mark.slow
@on_cluster
def test_columns_that_are_not_known_are_told(
    files: Path,
    session: Session,
    in_runtime: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(StageFolder, "named", ("content", "file"))
    staged(files, session, "TEXTS")
    source = SnowflakeStage("@texts/new", connection=session)
    with pytest.raises(BackendError, match=r"gives the columns \['content', 'file'\]"):
        RayBackend(store=None).read(source).to_arrow()


@pytest.mark.slow
@on_cluster
def test_a_stage_with_nothing_to_read_is_told(
    session: Session, in_runtime: types.ModuleType
) -> None:
    ConnectionConfig(session).database().run("CREATE STAGE BARE")
    with pytest.raises(SourceError, match="nothing to read"):
        RayBackend(store=None).read(SnowflakeStage("@bare", connection=session)).to_arrow()


@pytest.mark.parametrize(
    "name",
    [
        "new/a.txt",
        "texts/new/a.txt",
        "@TEXTS/new/a.txt",
        "DB.PUBLIC.TEXTS/new/a.txt",
        '@"DB"."PUBLIC"."TEXTS"/new/a.txt',
        "snow://DB.PUBLIC.TEXTS/new/a.txt",
    ],
)
def test_a_file_is_known_by_its_path_on_the_stage(name: str) -> None:
    assert StagePlace("TEXTS", "new/", ".*txt").find_path_within(name) == "new/a.txt"
    assert StagePlace("TEXTS", "new", ".*csv").find_path_within(name) is None
    if name != "new/a.txt":
        assert StagePlace("TEXTS", "", None).find_path_within(name) == "new/a.txt"


@pytest.mark.parametrize("path", ["", "new/"])
@pytest.mark.parametrize("name", ["/tmp/a.txt", "https://host/a.txt?signed", "@OTHER/a.txt"])
def test_a_file_of_no_such_place_is_told(path: str, name: str) -> None:
    with pytest.raises(BackendError, match='is no path on the stage "TEXTS"'):
        StagePlace("TEXTS", path, None).find_path_within(name)


@on_cluster
def test_ray_does_not_get_as_far_as_an_open_session(
    double: Double, capfd: pytest.CaptureFixture[str]
) -> None:
    with double.session() as session:
        session.sql("CREATE TABLE WORDS AS SELECT 'a' AS ID, 'quite nice' AS BODY").collect()
        rows = SnowflakeTable("WORDS", id="ID", text="BODY", connection=session)
        with pytest.raises(ParameterError, match=r"name of a connection in connections\.toml"):
            Pipeline([("language", Language())]).on("ray").enrich(rows).to_arrow()
    assert "Traceback" not in "".join(capfd.readouterr())
