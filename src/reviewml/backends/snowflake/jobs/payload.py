"""What a job is given: a folder with reviewml itself, what to start, and what that is to do."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from reviewml.backends.snowflake.udf import package_archive

ENTRY = "entry.py"
"""What a job starts."""

TASK, NAME, RESULT = "task.json", "name.txt", "result"
"""In the folder: what to do, the name of the job, and the folder of what came of it."""


def write_payload(folder: Path, name: str) -> None:
    """Put into a folder what each job needs besides its task.

    Parameters
    ----------
    folder
        Of the payload.
    name
        Of the job.
    """
    package_archive.write_archive(folder)
    (folder / NAME).write_text(name, encoding="utf-8")
    entry = importlib.resources.files(__package__) / ENTRY
    (folder / ENTRY).write_bytes(entry.read_bytes())
