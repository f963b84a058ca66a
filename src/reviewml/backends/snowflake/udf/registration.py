"""Our own Python in the warehouse, as functions of the session that bring what they work with."""

from __future__ import annotations

import dataclasses
import hashlib
import sys
import weakref
import zipfile
from collections.abc import Sequence
from pathlib import Path

from reviewml import saving
from reviewml.backends.snowflake.connection.safe_messages import MARK
from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.identifiers import Name, literal
from reviewml.backends.snowflake.udf import package_archive
from reviewml.backends.snowflake.udf.handlers import PICKLE
from reviewml.rows.roles import Roles
from reviewml.steps.component import Component
from reviewml.steps.model import Model
from reviewml.storage.temporary import create_temporary_folder

SAVED = "saved.zip"

RUNTIME = "3.12"
"""Version of Python there."""

RUNTIMES = ("3.10", "3.11", "3.12", "3.13")
"""Versions that can be had there."""

MOST_ARGUMENTS = 400
"""That a function is given there; what needs more is computed in this process."""

Content = saving.Parts | bytes
"""What a function works with: a pipeline that is saved, or something pickled."""


@dataclasses.dataclass(frozen=True)
class FunctionForm:
    """How a handler of ours is called there.

    Parameters
    ----------
    returns
        What SQL is given.
    code
        Makes ``compute`` of what ``{handler}({arguments})`` returns, each within `mark_errors`.
    """

    returns: str
    code: str


CELLS = FunctionForm(
    "ARRAY",
    """
import pandas
from _snowflake import vectorized
from reviewml.backends.snowflake.udf.handlers import {handler}
from reviewml.backends.snowflake.connection.safe_messages import mark_errors

made = mark_errors({told}, {handler})({arguments})
compute = vectorized(input=pandas.DataFrame)(mark_errors({told}, made))
""",
)
"""A function of values: an array for each row."""

PARTS = FunctionForm(
    "TABLE (PIECE INTEGER, PART TEXT)",
    """
import pandas
from _snowflake import vectorized
from reviewml.backends.snowflake.udf.handlers import {handler}
from reviewml.backends.snowflake.connection.safe_messages import mark_errors

of_partition = mark_errors({told}, mark_errors({told}, {handler})({arguments}))

class compute:
    @vectorized(input=pandas.DataFrame)
    def end_partition(self, frame):
        return of_partition(frame)
""",
)
"""A function of partitions: texts for each."""

_made: weakref.WeakKeyDictionary[SnowflakeSession, dict[str, Name]] = weakref.WeakKeyDictionary()


def make_parts(
    steps: Sequence[tuple[str, Component]] = (), model: Model | None = None
) -> saving.Parts:
    """Make the parts of a pipeline that a function needs."""
    return saving.Parts({}, steps, model, Roles(), {}, {})


def register_function(
    database: SnowflakeSession,
    handler: str,
    content: Content,
    kinds: Sequence[str],
    further: Sequence[Sequence[str]] = (),
    *,
    what: str,
    form: FunctionForm = CELLS,
    runtime: str = RUNTIME,
) -> Name:
    """Return a function of the session, which is made when there is none of the same yet.

    Parameters
    ----------
    database
        Where it runs.
    handler
        In `reviewml.backends.snowflake.udf.handlers`; it is given the archive of `content`.
    content
        What it works with.
    kinds
        SQL types of its arguments.
    further
        Arguments of the handler behind the archive.
    what
        What messages call it.
    form
        What it gives.
    runtime
        Version of Python, which code that is pickled depends on.
    """
    with create_temporary_folder() as folder:
        archive = zip_folder(_write_content(content, folder / "saved"), folder / SAVED)
        text = repr(
            [handler, what, form, runtime, list(kinds), [list(argument) for argument in further]]
        )
        key = hashlib.sha256(archive.read_bytes() + text.encode()).hexdigest()
        functions = _made.setdefault(database, {})
        if key not in functions:
            files = [archive, package_archive.write_archive(folder)]
            code = _write_code(form, handler, what, further)
            functions[key] = _create_function(database, code, form.returns, files, kinds, runtime)
        return functions[key]


def _create_function(
    database: SnowflakeSession,
    code: str,
    returns: str,
    files: Sequence[Path],
    kinds: Sequence[str],
    runtime: str,
) -> Name:
    stage, name = database.make_temporary_name("code"), database.make_temporary_name("function")
    database.run(f"CREATE TEMPORARY STAGE {stage}")
    for file in files:
        database.put(file, f"@{stage}")
    arguments = ", ".join(f"A{place} {kind}" for place, kind in enumerate(kinds))
    imports = ", ".join(literal(f"@{stage}/{file.name}") for file in files)
    database.run(
        f"CREATE TEMPORARY FUNCTION {name}({arguments}) RETURNS {returns} LANGUAGE PYTHON "
        f"RUNTIME_VERSION = {literal(runtime)} "
        "ARTIFACT_REPOSITORY = snowflake.snowpark.pypi_shared_repository "
        f"PACKAGES = ({', '.join(map(literal, package_archive.pin_requirements()))}) "
        f"IMPORTS = ({imports}) "
        f"HANDLER = 'compute' AS {literal(code)}"
    )
    return name


def _write_code(
    form: FunctionForm, handler: str, what: str, further: Sequence[Sequence[str]]
) -> str:
    arguments = [repr(SAVED), *(repr(list(argument)) for argument in further)]
    told = f"{MARK!r}, {what!r}"
    return form.code.format(handler=handler, arguments=", ".join(arguments), told=told)


def find_runtime() -> str | None:
    """Return the version of Python there that is this process's; None when there is none."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return version if version in RUNTIMES else None


def _write_content(content: Content, folder: Path) -> Path:
    if isinstance(content, saving.Parts):
        return saving.save(content, folder)
    folder.mkdir()
    (folder / PICKLE).write_bytes(content)
    return folder


def zip_folder(folder: Path, archive: Path) -> Path:
    """Write the files of a folder into an archive, and return that."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            # With one time for all, the same content is the same archive.
            file.writestr(zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes())
    return archive
