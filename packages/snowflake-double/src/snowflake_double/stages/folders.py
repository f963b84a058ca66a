"""Stages: folders of this machine, which PUT, GET, LIST and REMOVE work on."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snowflake_double.sessions import Full, Session
from snowflake_double.statements import (
    Answer,
    Call,
    Refused,
    exists,
    missing,
    not_understood,
    on,
    rows,
    status,
)
from snowflake_double.texts import NAME, PART, TEXT, identifier, options, read_text

if TYPE_CHECKING:
    from snowflake_double.double import Double

LOCATION = rf"(?!'snow:)(?:{TEXT}|@(?:{PART}\.)*(?:{PART}|~)[^\s'()]*|\?)"
"""Pattern of a stage and a path in it."""

FILE = r"(?:'file:(?:[^'\\]|\\.|'')*'|file:\S+)"
"""Pattern of a file on this machine."""

IN_STAGE = re.compile(rf"^@(?P<name>~|%?{NAME})(?:/(?P<path>.*))?$", re.DOTALL)


@dataclasses.dataclass
class Stage:
    """A stage.

    Parameters
    ----------
    name
        Database, schema and name.
    folder
        Where its files are.
    comment
        What was said about it.
    created
        When.
    temporary
        Whether it goes with the session.
    format
        How its files are read unless the reader says.
    """

    name: Full
    folder: Path
    comment: str = ""
    created: dt.datetime = dataclasses.field(default_factory=lambda: dt.datetime.now(dt.UTC))
    temporary: bool = False
    format: dict[str, Any] = dataclasses.field(default_factory=dict)

    def files(self, path: str = "") -> list[tuple[str, Path]]:
        """Return the files whose path begins so, by path within the stage."""
        found = [file for file in self.folder.rglob("*") if file.is_file()]
        named = ((file.relative_to(self.folder).as_posix(), file) for file in found)
        return sorted((name, file) for name, file in named if name.startswith(path))


def find(double: Double, session: Session, name: Full) -> Stage:
    """Return a stage.

    Raises
    ------
    Refused
        When there is none.
    """
    stage = session.stages.get(name) or double.stages.get(name)
    if stage is None:
        raise missing("Stage", ".".join(name))
    return stage


def located(double: Double, session: Session, text: str) -> tuple[Stage, str]:
    """Return the stage and the path within it that a location of SQL names.

    Parameters
    ----------
    text
        As in ``@stage/path`` or ``'@"Database".schema.stage/path'``.
    """
    place = IN_STAGE.match(read_text(text).strip())
    if not place:
        raise Refused(1003, f"SQL compilation error: {text} is no location in a stage.")
    path = place["path"] or ""
    if ".." in path.split("/"):
        raise Refused(253003, f"{text} is outside of the stage.")
    if place["name"] == "~":
        return double.user_stage(), path
    if place["name"].startswith("%"):
        raise not_understood(f"{text}: stages of tables are not known.")
    return find(double, session, session.full(place["name"])), path


def folder_of(double: Double, session: Session, text: str) -> Path:
    """Return the folder that a location of SQL names."""
    stage, path = located(double, session, text)
    return stage.folder / path


def of_call(double: Double, call: Call) -> tuple[Stage, str]:
    """Return the location that a statement names, or that is bound to it."""
    text = call.match["location"]
    return located(double, call.session, call.binds.pop(0) if text == "?" else text)


def create(double: Double, call: Call, name: str) -> Answer:
    """Add a stage."""
    full = call.session.full(name)
    temporary = bool(call.match["temporary"])
    held = call.session.stages if temporary else double.stages
    if full in held:
        if call.match["unless"]:
            return status(f"{full[-1]} already exists, statement succeeded.")
        if not call.match["replace"]:
            raise exists(".".join(full))
        shutil.rmtree(held.pop(full).folder)
    given = options(call.match["options"] or "")
    if unknown := sorted(given.keys() - {"COMMENT", "DIRECTORY", "ENCRYPTION", "FILE_FORMAT"}):
        raise not_understood(f"CREATE STAGE with {', '.join(unknown)} is not known.")
    folder = Path(tempfile.mkdtemp(dir=double.files))
    held[full] = Stage(
        full,
        folder,
        given.get("COMMENT", ""),
        temporary=temporary,
        format=given.get("FILE_FORMAT", {}),
    )
    return status(f"Stage area {full[-1]} successfully created.")


@on(
    r"^CREATE (?P<replace>OR REPLACE )?(?P<temporary>(?:SCOPED )?TEMP(?:ORARY)? )?STAGE "
    rf"(?P<unless>IF NOT EXISTS )?(?P<name>{NAME}|identifier\(\?\)|IDENTIFIER\({TEXT}\))"
    r"(?: (?P<options>.*))?$"
)
def create_stage(double: Double, call: Call) -> Answer:
    return create(double, call, identifier(call))


@on(rf"^DROP STAGE (?P<unless>IF EXISTS )?(?P<name>{NAME}|identifier\(\?\))$")
def drop_stage(double: Double, call: Call) -> Answer:
    full = call.session.full(identifier(call))
    held = call.session.stages if full in call.session.stages else double.stages
    if full not in held:
        if call.match["unless"]:
            return status("Drop statement executed successfully.")
        raise missing("Stage", ".".join(full))
    shutil.rmtree(held.pop(full).folder)
    return status(f"{full[-1]} successfully dropped.")


@on(rf"^SHOW STAGES(?: LIKE (?P<like>{TEXT}))?(?: IN (?:SCHEMA )?(?P<schema>{NAME}))?$")
def show_stages(double: Double, call: Call) -> Answer:
    schema = call.session.full(f"{call.match['schema']}.X")[:2] if call.match["schema"] else None
    like = as_regex(read_text(call.match["like"] or "'%'"))
    here = (call.session.database, call.session.schema)
    return rows(
        ["created_on", "name", "database_name", "schema_name", "url", "owner", "comment", "type"],
        [
            (s.created.isoformat(), s.name[2], *s.name[:2], "", "DOUBLE_ROLE", s.comment, kind(s))
            for s in (double.stages | call.session.stages).values()
            if s.name[:2] == (schema or here) and like.fullmatch(s.name[2])
        ],
    )


def kind(stage: Stage) -> str:
    return "INTERNAL TEMPORARY" if stage.temporary else "INTERNAL"


def as_regex(like: str) -> re.Pattern[str]:
    """Return a pattern of LIKE as a regular expression that ignores case."""
    parts = (
        ".*" if c == "%" else "." if c == "_" else re.escape(c) for c in like.replace("\\_", "_")
    )
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


@on(rf"^DESC(?:RIBE)? STAGE (?P<name>{NAME}|identifier\(\?\))$")
def describe_stage(double: Double, call: Call) -> Answer:
    stage = find(double, call.session, call.session.full(identifier(call)))
    columns = ["parent_property", "property", "property_type", "property_value"]
    return rows(
        [*columns, "property_default"],
        [
            ("STAGE_LOCATION", "URL", "String", "", ""),
            ("DIRECTORY", "ENABLE", "Boolean", "false", "false"),
            ("STAGE", "TYPE", "String", kind(stage), ""),
        ],
    )


def transfer(command: str, folder: Path, files: list[str], **more: Any) -> Answer:
    """Return what has the connector copy files itself."""
    return Answer(
        {
            "command": command,
            "src_locations": files,
            "parallel": 4,
            "threshold": 209715200,
            "stageInfo": {
                "locationType": "LOCAL_FS",
                "location": str(folder),
                "path": "",
                "region": "",
                "creds": {},
                "storageAccount": None,
            },
            "encryptionMaterial": None,
            "presignedUrls": [],
            "statementTypeId": None,
            **more,
        }
    )


@on(rf"^PUT (?P<file>{FILE}) (?P<location>{LOCATION})(?: (?P<options>.*))?$")
def put(double: Double, call: Call) -> Answer:
    stage, path = of_call(double, call)
    folder = stage.folder / path
    folder.mkdir(parents=True, exist_ok=True)
    given = {"AUTO_COMPRESS": True, **options(call.match["options"] or "")}
    return transfer(
        "UPLOAD",
        folder,
        [local(call.match["file"])],
        autoCompress=given["AUTO_COMPRESS"],
        sourceCompression=str(given.get("SOURCE_COMPRESSION", "auto_detect")).lower(),
        overwrite=given.get("OVERWRITE", False),
    )


def local(url: str) -> str:
    """Return the path on this machine that a ``file://`` of SQL names."""
    return read_text(url).removeprefix("file://")


@on(rf"^GET (?P<location>{LOCATION}) (?P<file>{FILE})(?: (?P<options>.*))?$")
def get(double: Double, call: Call) -> Answer:
    stage, path = of_call(double, call)
    wanted = options(call.match["options"] or "").get("PATTERN", ".*")
    files = [name for name, _ in stage.files(path) if re.fullmatch(wanted, name, re.DOTALL)]
    return download(stage.folder, files, local(call.match["file"]))


def download(folder: Path, files: list[str], target: str) -> Answer:
    """Return what has the connector fetch files of a folder into another."""
    return transfer(
        "DOWNLOAD",
        folder,
        files,
        localLocation=target,
        autoCompress=False,
        overwrite=False,
        sourceCompression="none",
        encryptionMaterial=[None] * len(files),
    )


def listing(prefix: str, files: list[tuple[str, Path]], pattern: str | None) -> Answer:
    """Return the answer of LIST."""
    return rows(
        ["name", ("size", "fixed"), "md5", "last_modified"],
        [
            (prefix + name, file.stat().st_size, checksum(file), modified(file))
            for name, file in files
            if pattern is None or re.fullmatch(pattern, prefix + name, re.DOTALL)
        ],
    )


def checksum(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def modified(file: Path) -> str:
    moment = dt.datetime.fromtimestamp(file.stat().st_mtime, dt.UTC)
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")


@on(rf"^(?:LIST|LS) (?P<location>{LOCATION})(?: PATTERN ?= ?(?P<pattern>{TEXT}))?$")
def list_files(double: Double, call: Call) -> Answer:
    stage, path = of_call(double, call)
    pattern = call.match["pattern"]
    prefix = f"{stage.name[2].lower()}/" if stage.name[2] else ""
    return listing(prefix, stage.files(path), pattern and read_text(pattern))


@on(rf"^(?:REMOVE|RM) (?P<location>{LOCATION})(?: PATTERN ?= ?(?P<pattern>{TEXT}))?$")
def remove(double: Double, call: Call) -> Answer:
    stage, path = of_call(double, call)
    wanted = read_text(call.match["pattern"] or "'.*'")
    gone = [(n, f) for n, f in stage.files(path) if re.fullmatch(wanted, n, re.DOTALL)]
    for _, file in gone:
        file.unlink()
    return rows(["name", "result"], [(f"{stage.name[2].lower()}/{n}", "removed") for n, _ in gone])
