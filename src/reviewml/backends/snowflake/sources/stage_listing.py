"""Files on a stage that are empty: a query of files has no row of them, so they are listed."""

from __future__ import annotations

import dataclasses
import re
import warnings

from reviewml.backends.snowflake.connection.session import SnowflakeSession, TemporaryTable
from reviewml.backends.snowflake.identifiers import literal

FILE = "LISTED_PATH"
"""Column of a table of files: the path within the stage, as METADATA$FILENAME has it."""

SMALL = '"size" < 64 + LENGTH("name")'
"""What is true of an empty file. One that is compressed or encrypted still has a frame, which may
hold its name."""

NO_PARQUET = '"size" <= 16'
"""True of a file that cannot be Parquet, which has a magic number at both ends, a length and at
least one letter between them; 16 bytes is what an empty one has that is encrypted."""

BEFORE = re.compile(r"(?:azure://[^/]*/|[a-z0-9]+://)?[^/]*/")
"""What stands in a listing before the path: the stage, or the bucket that it is in."""

SHOWN = 3
"""Names that a warning tells."""


@dataclasses.dataclass(frozen=True)
class Listing:
    """What LIST tells of a place on a stage; it stays in Snowflake, however many files there are.

    Parameters
    ----------
    database
        Where the stage is.
    place
        The stage and a path, as SQL text.
    pattern
        Regular expression that paths must match, in the dialect of REGEXP_LIKE.
    seen
        Path of a file of which a query has rows, None where there is none.
    """

    database: SnowflakeSession
    place: str
    pattern: str | None
    seen: str | None

    def has_files(self) -> bool:
        """Check whether there is a file at all."""
        query = self._build_query("TRUE")
        return query is not None and bool(self.database.run(f"{query} LIMIT 1"))

    def list_files(self, which: str) -> TemporaryTable | None:
        """Return a table of the files for which a condition is true, None where there are none.

        Parameters
        ----------
        which
            SQL of the columns ``"name"`` and ``"size"`` of LIST.
        """
        query = self._build_query(which)
        return None if query is None else self.database.create_temporary_table(query)

    def warn_of_empty(self, which: str, lines: str | None) -> None:
        """Warn of the files that have nothing in them.

        Parameters
        ----------
        which
            What is true of all of them, as of `files`.
        lines
            Their lines, as what may stand behind ``FROM``; None where `which` says enough.
        """
        files = self.list_files(which)
        if files is None:
            return
        read = f"(SELECT METADATA$FILENAME AS {FILE} FROM {lines})"
        left_out = "" if lines is None else f" WHERE {FILE} NOT IN {read}"
        empty = f"SELECT {FILE}, COUNT(*) OVER () FROM {files}{left_out}"
        empty_files = self.database.run(f"{empty} ORDER BY {FILE} LIMIT {SHOWN}")
        if empty_files:
            names = ", ".join(repr(name) for name, _ in empty_files)
            warnings.warn(
                f"empty files on the stage give no row: {empty_files[0][1]:,} of them, such "
                f"as {names}.",
                stacklevel=2,
            )

    def _build_query(self, which: str) -> str | None:
        listed = f"TABLE(RESULT_SCAN({literal(self.database.run_there(f'LIST {self.place}'))}))"
        before = self._count_prefix(listed, which)
        if before is None:
            return None
        path = f'SUBSTR("name", {before + 1})'
        # Object stores have placeholders for folders, which are listed.
        meant = [f"({which})", "NOT ENDSWITH(\"name\", '/')"]
        if self.pattern is not None:
            meant.append(f"REGEXP_LIKE({path}, {literal(self.pattern)}, 's')")
        return f"SELECT {path} AS {FILE} FROM {listed} WHERE {' AND '.join(meant)}"

    def _count_prefix(self, listed: str, which: str) -> int | None:
        """Count how many characters stand before the paths, None where no file is meant."""
        own = "NULL" if self.seen is None else _write_length_sql(self.seen)
        query = f'SELECT COUNT_IF({which}), MIN("name"), {own} FROM {listed}'
        [(files, name, whole)] = self.database.run(query)
        if not files:
            return None
        if self.seen is None:
            match = BEFORE.match(name)
            return match.end() if match else 0
        if whole is None:
            warnings.warn(
                "which files on the stage are empty is not known, and they give no row: LIST does "
                f"not name {self.seen!r}, which has one.",
                stacklevel=2,
            )
            return None
        return int(whole) - len(self.seen)


def _write_length_sql(path: str) -> str:
    # The least, since the same path may be the end of a longer one.
    return f'MIN(IFF(ENDSWITH("name", {literal(f"/{path}")}), LENGTH("name"), NULL))'
