"""Processes that run the methods of models, as a warehouse does."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from snowflake_double.statements import Refused

PROCESS = Path(__file__).with_name("warehouse_process.py")


class Warehouse:
    """Runs methods of models; a method's process is kept until the double is closed."""

    def __init__(self) -> None:
        self._processes: dict[tuple[Path, str], subprocess.Popen[bytes]] = {}
        self._turn = threading.Lock()

    def run(self, folder: Path, method: dict[str, Any], rows: pa.Table) -> list[Any]:
        """Return what a method says of each row.

        Parameters
        ----------
        folder
            Of the version.
        method
            As the manifest describes it.
        rows
            The arguments, a column for each.

        Raises
        ------
        Refused
            When the method fails.
        """
        with self._turn:
            process = self._process(folder, method["handler"])
            answer = _asked(process, rows)
        if "error" in answer:
            raise Refused(100357, f"Python Interpreter Error: {answer['error']}")
        records: list[Any] = answer["records"]
        return records

    def close(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.communicate()
        self._processes.clear()

    def _process(self, folder: Path, handler: str) -> subprocess.Popen[bytes]:
        if (folder, handler) not in self._processes:
            *path, name = handler.split(".")
            file = folder.joinpath(*path).with_suffix(".py")
            # -I: nothing of this process's path, so that a model runs of what it brought along.
            options = ["-I", "-X", f"snowflake_import_directory={folder}"]
            self._processes[folder, handler] = subprocess.Popen(  # noqa: S603  what was logged
                [sys.executable, *options, str(PROCESS), str(file), name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._processes[folder, handler]


def _asked(process: subprocess.Popen[bytes], rows: pa.Table) -> dict[str, Any]:
    raw = _written(rows)
    asked, answered = _pipes(process)
    asked.write(len(raw).to_bytes(8, "big") + raw)
    asked.flush()
    line = answered.readline()
    if not line:
        raise Refused(100357, "Python Interpreter Error: the model could not be loaded.")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _written(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    raw: bytes = sink.getvalue().to_pybytes()
    return raw


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout
