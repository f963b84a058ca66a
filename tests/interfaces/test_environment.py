"""Failures of the environment stop the run; those of rows cost the row."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import subprocess
import urllib.error
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from email.message import Message
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reviewml import Frame, Pipeline
from reviewml.environment_errors import is_environment_error
from reviewml.errors import EnvironmentFailure, ModelUnavailable, RowErrors
from reviewml.interfaces import Enricher

ROWS = pa.table({"text": [f"text {number}" for number in range(300)]})


class OutOfMemoryError(RuntimeError):
    """Called as torch calls its own."""


def chained() -> Exception:
    """Return what a client library raises in place of a refused connection."""
    try:
        try:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")
        except OSError as error:
            raise KeyError("no answer") from error
    except KeyError as error:
        return error


def handled() -> Exception:
    """Return an error that was raised while a time-out was handled."""
    try:
        try:
            raise TimeoutError
        except OSError:
            raise ValueError("could not be scored")  # noqa: B904  as many libraries do
    except ValueError as error:
        return error


def blamed() -> Exception:
    """Return an error whose author says that the row is to blame, whatever was before."""
    try:
        try:
            raise TimeoutError
        except OSError:
            raise ValueError("too long to be scored in time") from None
    except ValueError as error:
        return error


def answered(status: int) -> Exception:
    """Return what urllib raises of an answer with a status."""
    return urllib.error.HTTPError("http://localhost/score", status, "", Message(), None)


class StatusError(Exception):
    """Holds the response, as the errors of requests and httpx do."""

    def __init__(self, status: int) -> None:
        self.response = type("Response", (), {"status_code": status})()


def sqlite_error(code: int) -> Exception:
    """Return what sqlite3 raises with a code."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


OF_ENVIRONMENT = [
    *(OSError(number, os.strerror(number)) for number in (errno.ENOSPC, errno.EDQUOT)),
    *(OSError(number, os.strerror(number)) for number in (errno.EIO, errno.EROFS)),
    *(OSError(number, os.strerror(number)) for number in (errno.EMFILE, errno.ENOMEM)),
    *(OSError(number, os.strerror(number)) for number in (errno.ENETUNREACH, errno.ENODEV)),
    ConnectionResetError(errno.ECONNRESET, "reset"),
    BrokenPipeError(errno.EPIPE, "closed"),
    TimeoutError("timed out"),
    socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    MemoryError(),
    ImportError("No module named 'a_model'"),
    ModelUnavailable("some/model: it is not on this machine"),
    OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    RuntimeError("CUDA driver initialization failed, you might not have a CUDA gpu."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("No CUDA GPUs are available"),
    RuntimeError("can't start new thread"),
    AssertionError("Torch not compiled with CUDA enabled"),
    chained(),
    handled(),
    subprocess.TimeoutExpired("score", 3),
    BrokenProcessPool("a child process terminated abruptly"),
    *(answered(status) for status in (401, 402, 429, 502, 503, 504)),
    StatusError(429),
    urllib.error.URLError(OSError(errno.EHOSTUNREACH, "no route")),
    sqlite_error(sqlite3.SQLITE_FULL),
    sqlite_error(sqlite3.SQLITE_IOERR | (1 << 8)),
    ExceptionGroup("two tasks", [ValueError("no number"), OSError(errno.ENOSPC, "full")]),
    ExceptionGroup("tasks", [ExceptionGroup("of tasks", [chained()])]),
]

OF_ROWS = [
    ValueError("no number"),
    FileNotFoundError(errno.ENOENT, "No such file or directory", "photo.jpg"),
    PermissionError(errno.EACCES, "Permission denied", "photo.jpg"),
    IsADirectoryError(errno.EISDIR, "Is a directory", "photos"),
    OSError("cannot identify image file"),
    RuntimeError("index out of range in self"),
    RuntimeError("cannot digest 'CUDA error: my card is out of memory'"),
    AssertionError("a review that is empty"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    RecursionError("maximum recursion depth exceeded"),
    blamed(),
    *(answered(status) for status in (400, 403, 404, 413, 422, 500)),
    StatusError(422),
    sqlite_error(sqlite3.SQLITE_CONSTRAINT),
    subprocess.CalledProcessError(1, "score"),
    ExceptionGroup("two tasks", [ValueError("no number"), KeyError("id")]),
]


class Failing(Enricher):
    """Raises what it is given, once for each row or for the batch, and counts its calls."""

    adds = {"score": pa.float64()}
    calls = 0

    def __init__(self, make: Callable[[pa.RecordBatch], Exception | None]) -> None:
        self.make = make

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        type(self).calls += 1
        error = self.make(batch)
        if error is not None:
            raise error
        return batch.append_column("score", pa.array([1.0] * len(batch)))


def enriched(make: Callable[[pa.RecordBatch], Exception | None], rows: pa.Table = ROWS) -> Any:
    Failing.calls = 0
    return Pipeline([("remote", Failing(make))], text="text").enrich(Frame(rows))


@pytest.mark.parametrize("error", OF_ENVIRONMENT, ids=repr)
@pytest.mark.parametrize("by_row", [False, True])
def test_a_failure_of_the_environment_stops_the_run(
    error: Exception, by_row: bool, tmp_path: Path
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("as it was")

    def make(batch: pa.RecordBatch) -> Exception:
        return RowErrors(dict.fromkeys(range(len(batch)), error)) if by_row else error

    assert is_environment_error(error)
    with pytest.raises((EnvironmentFailure, ModelUnavailable), match=r"remote|not on this machine"):
        enriched(make).write(path)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]
    # It is tried with ever fewer rows, and not with each row.
    assert Failing.calls <= 12


@pytest.mark.parametrize("error", OF_ROWS, ids=repr)
@pytest.mark.parametrize("by_row", [False, True])
def test_what_a_row_may_have_caused_costs_that_row(error: Exception, by_row: bool) -> None:
    def make(batch: pa.RecordBatch) -> Exception | None:
        bad = [row for row, text in enumerate(batch["text"].to_pylist()) if text == "text 7"]
        if not bad:
            return None
        return RowErrors({bad[0]: error}) if by_row else error

    assert not is_environment_error(error)
    rows = enriched(make)
    assert rows.to_arrow().column("score").null_count == 1
    assert len(rows.errors) == 1


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("error", [ConnectionResetError("reset"), OutOfMemoryError("CUDA")])
def test_what_less_rows_or_another_try_can_mend_costs_nothing(
    error: Exception, by_row: bool
) -> None:
    """A device may have memory for fewer rows, and a connection may be back."""

    def make(batch: pa.RecordBatch) -> Exception | None:
        if len(batch) <= 40:
            return None
        return RowErrors({0: error, len(batch) - 1: error}) if by_row else error

    rows = enriched(make)
    assert rows.to_arrow().column("score").to_pylist() == [1.0] * len(ROWS)
    assert len(rows.errors) == 0


def test_rows_that_failed_beside_a_lost_connection_keep_their_own_error() -> None:
    state = {"lost": True}

    def make(batch: pa.RecordBatch) -> Exception | None:
        texts = batch["text"].to_pylist()
        errors: dict[int, Exception] = {}
        if state["lost"]:
            errors |= {row: ConnectionError("lost") for row in range(0, len(texts), 3)}
        errors |= {row: ValueError("no") for row, t in enumerate(texts) if t.endswith("1")}
        state["lost"] = False
        return RowErrors(errors) if errors else None

    rows = enriched(make)
    found = rows.to_arrow()
    for text, score in zip(*(found[name].to_pylist() for name in ("text", "score")), strict=True):
        assert score == (None if text.endswith("1") else 1.0), text
    assert len(rows.errors) == 30


def test_the_message_names_the_step_and_quotes_no_review() -> None:
    secret = "my neighbour reads all of my letters"
    rows = pa.table({"text": [secret] * 5})
    with pytest.raises(EnvironmentFailure, match=r"step 'remote' stopped.*No space left") as raised:
        enriched(lambda batch: OSError(errno.ENOSPC, f"No space left for {secret}"), rows).count()
    assert secret not in str(raised.value)


def test_a_step_that_fails_on_all_rows_is_said_to(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="'remote' failed on all 300 rows, which keep nulls"):
        enriched(lambda batch: ValueError("no")).write(tmp_path / "scores.csv")
    with pytest.warns(UserWarning, match="'remote' failed on 1 row, which keeps nulls"):
        enriched(lambda batch: ValueError("no"), ROWS.slice(0, 1)).write(tmp_path / "scores.csv")


def test_fitting_stops_too() -> None:
    from reviewml.featurizers import Features
    from reviewml.trainers import LogisticRegression

    failing = Failing(lambda batch: OSError(errno.ENOSPC, "No space left on device"))
    steps = [("remote", failing), ("features", Features()), ("model", LogisticRegression())]
    rows = ROWS.append_column("y", pa.array([row % 2 == 0 for row in range(len(ROWS))]))
    with pytest.raises(EnvironmentFailure):
        Pipeline(steps, text="text").fit(rows, target="y")


def test_an_enricher_can_say_that_it_cannot_go_on() -> None:
    with pytest.raises(EnvironmentFailure, match="the licence server is gone"):
        enriched(lambda batch: EnvironmentFailure("the licence server is gone")).count()
    assert Failing.calls == 1
