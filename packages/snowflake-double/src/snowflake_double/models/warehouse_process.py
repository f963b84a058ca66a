"""What runs one method of a model, in a process of its own, as a warehouse does.

It is started with the handler's file, the name of the function or class in it, and the folder of
the version as ``-X snowflake_import_directory``. It reads Arrow tables from standard input and
writes what the handler says of each to standard output, a line of JSON at a time.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import pyarrow as pa


def main() -> None:
    """Load the handler, and answer until standard input ends."""
    # Whatever a model prints must not end up among the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    run = _handler(Path(sys.argv[1]), sys.argv[2])
    while header := sys.stdin.buffer.read(8):
        raw = sys.stdin.buffer.read(int.from_bytes(header, "big"))
        answers.write(_answer(run, pa.ipc.open_stream(raw).read_all()) + "\n")
        answers.flush()


def _answer(run: Any, rows: pa.Table) -> str:
    try:
        return json.dumps({"records": run(rows.to_pandas())}, default=_plain)
    except Exception as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"})


def _handler(file: Path, name: str) -> Any:
    # The module that Snowflake's Python has built in.
    built_in: Any = types.ModuleType("_snowflake")
    built_in.vectorized = _vectorized
    sys.modules["_snowflake"] = built_in
    spec = importlib.util.spec_from_file_location("handler", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, name)
    return _table_function(found) if isinstance(found, type) else found


def _vectorized(*, flatten_object_input: bool = False, **_: Any) -> Any:
    """Return what decorates a function of frames; its only argument can be an object of all."""

    def decorated(function: Any) -> Any:
        if not flatten_object_input:
            return function
        return lambda rows: function(type(rows)(list(rows.iloc[:, 0])))

    return decorated


def _table_function(handler: Any) -> Any:
    def run(rows: Any) -> Any:
        made = handler()
        frame = made.process(rows) if hasattr(made, "process") else made.end_partition(rows)
        return frame.astype(object).where(frame.notna(), None).to_dict("records")

    return run


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


if __name__ == "__main__":
    main()
