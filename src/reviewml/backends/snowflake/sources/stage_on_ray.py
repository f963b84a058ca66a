"""Files of reviews on a stage, read by a Ray cluster in the Container Runtime.

Its own data sources for that [1]_ are there alone. `SFStageTextDataSource` has a row for each line,
as Ray's reader of texts on which it is built; a review may hold newlines, so
`SFStageBinaryFileDataSource` is used, which has one for each file.

.. [1] https://docs.snowflake.com/en/developer-guide/snowpark-ml/reference/latest/
   container-runtime/data.ingestion
"""

from __future__ import annotations

import codecs
import dataclasses
import gzip
import logging
import re
import zlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from reviewml.backends.snowflake.connection.container_runtime import import_runtime_module
from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.identifiers import Name, quote_identifier
from reviewml.data.source import RayRead
from reviewml.errors import BackendError
from reviewml.rows.bookkeeping import make_errors_array
from reviewml.rows.roles import ERRORS, PLACE
from reviewml.sources.review_file import Cells, parse_cells

MODULES = (
    "snowflake.ml.ray.datasource",
    "snowflake.ml.ray.datasource.stage_binary_file_datasource",
)
"""Where versions of the runtime have it."""

DATASOURCE = "SFStageBinaryFileDataSource"

CONTENTS = ("bytes", "file_binary")

PATHS = ("path", "file_name")
"""What versions of the runtime call the columns of its rows."""

PLAIN = re.compile(r"[A-Z_][A-Z0-9_$]*")
"""Names that mean the same with and without quotes."""

GZIP = b"\x1f\x8b"

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class StagePlace:
    """A stage, and the beginning of the paths of files on it.

    Parameters
    ----------
    stage
        Its name, as in the catalogue.
    path
        Within it.
    pattern
        Regular expression that the whole path of a file must match.
    """

    stage: str
    path: str
    pattern: str | None

    def find_path_within(self, name: str) -> str | None:
        """Return the path of a file within the stage, None where it is not meant.

        Parameters
        ----------
        name
            As the data source has it, with or without the stage.

        Raises
        ------
        BackendError
            When it is at no such place.
        """
        own = rf'(?:\w+://)?@?(?:[^/]*[.])?"?{re.escape(self.stage)}"?/'
        shorter = re.sub(f"^{own}", "", name, count=1, flags=re.IGNORECASE)
        paths = [path for path in (shorter, name) if path.startswith(self.path)]
        if not paths or paths[0].startswith(("/", "@")) or "://" in paths[0]:
            raise BackendError(
                f"{DATASOURCE} of this runtime calls a file {name[:200]!r}, which is no path on "
                f'the stage "{self.stage}": read the stage with .on("snowflake") instead.'
            )
        fits = self.pattern is None or re.fullmatch(self.pattern, paths[0], re.DOTALL)
        return paths[0] if fits else None


@dataclasses.dataclass(frozen=True)
class Reviews:
    """Makes rows of files, each of which is one review.

    Parameters
    ----------
    place
        Where they are.
    schema
        Of the rows.
    path
        Column for the file that a row is from, if any.
    """

    place: StagePlace
    schema: pa.Schema
    path: str | None

    def __call__(self, block: pa.Table) -> pa.RecordBatch:
        contents, names = _find_column(block, CONTENTS), _find_column(block, PATHS)
        paths = map(self.place.find_path_within, names.to_pylist())
        meant = [(path, row) for row, path in enumerate(paths) if path is not None]
        files = [path for path, _ in meant]
        found = [_parse_cells(contents[row].as_py()) for _, row in meant]
        wrong = {row: [_make_error(one)] for row, one in enumerate(found) if isinstance(one, str)}
        cells = [(None, None) if isinstance(one, str) else one for one in found]
        columns: dict[str, Any] = {
            "id": [key for key, _ in cells],
            "text": [text for _, text in cells],
            PLACE: [f"{file}#1" for file in files],
            ERRORS: make_errors_array(wrong, len(files)),
        }
        if self.path is not None:
            columns[self.path] = files
        arrays = [pa.array(columns[field.name], field.type) for field in self.schema]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def make_ray_read(
    database: SnowflakeSession,
    stage: Name,
    path: str,
    pattern: str | None,
    rows: pa.Schema,
    column: str | None,
) -> RayRead | None:
    """Make the Ray source of a stage; None where the runtime has no such source.

    Parameters
    ----------
    database
        Where the stage is.
    stage, path, pattern
        Which files.
    rows
        Schema of the rows.
    column
        For the file that a row is from, if any.
    """
    datasources = [
        getattr(module, DATASOURCE, None) for module in map(import_runtime_module, MODULES)
    ]
    source = datasources[0] or datasources[1]
    if source is None:
        log.warning("this runtime has no %s: one process reads the stage", DATASOURCE)
        return None
    current_schema = database.qualify_schema().parts
    in_database, in_schema, own = (*current_schema[: 3 - len(stage.parts)], *stage.parts)
    # It writes database and schema before the stage itself, in quotes.
    written = own if PLAIN.fullmatch(own) else quote_identifier(own)
    datasource = source(
        stage_location=f"@{written}/{path}",
        database=in_database,
        schema=in_schema,
        include_paths=True,
    )
    return RayRead(datasource, Reviews(StagePlace(own, path, pattern), rows, column))


def _find_column(block: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    for name in names:
        if name in block.column_names:
            return block.column(name)
    raise BackendError(
        f"{DATASOURCE} of this runtime gives the columns {block.column_names}, and none of "
        f'{list(names)}: read the stage with .on("snowflake") instead.'
    )


def _parse_cells(content: bytes) -> Cells | str:
    # Ray unpacks what is called .gz, which may depend on the version.
    if content.startswith(GZIP):
        try:
            content = gzip.decompress(content)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            return f"the file cannot be unpacked: {error}"
    return parse_cells(content.removeprefix(codecs.BOM_UTF8))


def _make_error(message: str) -> dict[str, Any]:
    return {"stage": "read", "column": None, "error": message, "attempts": 1}
