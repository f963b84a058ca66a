"""Columns that our own Python computes in the warehouse, from a saved folder, never a pickle."""

from __future__ import annotations

import hashlib
import importlib.metadata
import tempfile
import weakref
import zipfile
from collections.abc import Sequence
from pathlib import Path

from reviewml import saving
from reviewml.backends.snowflake import own_code
from reviewml.backends.snowflake.session import Database
from reviewml.interfaces.component import Component
from reviewml.interfaces.model import Model
from reviewml.schema import Roles
from reviewml.sql import Name, literal

SAVED = "saved.zip"

RUNTIME = "3.12"
"""Version of Python there."""

PACKAGES = (
    "narwhals",
    "numpy",
    "packaging",
    "pandas",
    "pluggy",
    "pyarrow",
    "safetensors",
    "scikit-learn",
    "scipy",
    "tqdm",
    "xgboost",
)
"""What the code there imports, in the versions of this process."""

CODE = """
import pandas
from _snowflake import vectorized
from reviewml.backends.snowflake.in_warehouse import {handler}

compute = vectorized(input=pandas.DataFrame)({handler}({arguments}))
"""

_made: weakref.WeakKeyDictionary[Database, dict[str, Name]] = weakref.WeakKeyDictionary()


def parts_of(
    steps: Sequence[tuple[str, Component]] = (), model: Model | None = None
) -> saving.Parts:
    """Return what is to be saved of a pipeline for a function."""
    return saving.Parts({}, steps, model, Roles(), {}, {})


def python_function(
    database: Database,
    handler: str,
    parts: saving.Parts,
    kinds: Sequence[str],
    further: Sequence[Sequence[str]] = (),
) -> Name:
    """Return a function of the session, which is made when there is none of the same yet.

    Parameters
    ----------
    database
        Where it runs.
    handler
        In `reviewml.backends.snowflake.in_warehouse`; it is given the archive of `parts`.
    parts
        What it works with.
    kinds
        SQL types of its arguments.
    further
        Arguments of the handler behind the archive.
    """
    with tempfile.TemporaryDirectory(prefix="reviewml-") as folder:
        archive = zipped(saving.save(parts, Path(folder) / "saved"), Path(folder) / SAVED)
        text = repr([handler, list(kinds), [list(one) for one in further]])
        key = hashlib.sha256(archive.read_bytes() + text.encode()).hexdigest()
        known = _made.setdefault(database, {})
        if key not in known:
            files = [archive, own_code.archive(Path(folder))]
            known[key] = _function(database, handler, files, kinds, further)
        return known[key]


def _function(
    database: Database,
    handler: str,
    files: Sequence[Path],
    kinds: Sequence[str],
    further: Sequence[Sequence[str]],
) -> Name:
    stage, name = database.temporary_name("code"), database.temporary_name("function")
    database.run(f"CREATE TEMPORARY STAGE {stage}")
    for file in files:
        database.run(
            f"PUT {literal(file.as_uri())} {literal(f'@{stage}')} "
            "AUTO_COMPRESS = FALSE OVERWRITE = TRUE"
        )
    arguments = ", ".join(f"A{place} {kind}" for place, kind in enumerate(kinds))
    imports = ", ".join(literal(f"@{stage}/{file.name}") for file in files)
    code = CODE.format(
        handler=handler, arguments=", ".join([repr(SAVED), *(repr(list(one)) for one in further)])
    )
    database.run(
        f"CREATE TEMPORARY FUNCTION {name}({arguments}) RETURNS ARRAY LANGUAGE PYTHON "
        f"RUNTIME_VERSION = {literal(RUNTIME)} "
        "ARTIFACT_REPOSITORY = snowflake.snowpark.pypi_shared_repository "
        f"PACKAGES = ({', '.join(map(literal, _pinned()))}) IMPORTS = ({imports}) "
        f"HANDLER = 'compute' AS {literal(code)}"
    )
    return name


def _pinned() -> list[str]:
    return [f"{package}=={importlib.metadata.version(package)}" for package in PACKAGES]


def zipped(folder: Path, archive: Path) -> Path:
    """Write the files of a folder into an archive, and return that."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            # With one time for all, the same content is the same archive.
            file.writestr(zipfile.ZipInfo(str(path.relative_to(folder))), path.read_bytes())
    return archive
