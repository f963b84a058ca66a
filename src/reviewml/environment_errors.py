"""Telling failures of the environment (disk, memory, device, connection) from those of rows."""

from __future__ import annotations

import errno
import re
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

from reviewml.errors import EnvironmentFailure, ModelUnavailable

ERRNOS = {
    # Disk and files
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    # Memory, processes and devices
    errno.ENOMEM,
    errno.EAGAIN,
    errno.ENODEV,
    errno.ENXIO,
    # Network
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENETRESET,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENOTCONN,
    errno.ENOBUFS,
    errno.EADDRNOTAVAIL,
}
"""Error numbers of an `OSError` that no row can cause; others, such as a missing file, may."""

TYPES = (
    EnvironmentFailure,
    ModelUnavailable,
    MemoryError,
    ConnectionError,
    TimeoutError,
    ImportError,
    socket.gaierror,
    subprocess.TimeoutExpired,
    BrokenExecutor,
)

DEVICE_ERRORS = {
    "AcceleratorError",
    "CUDARuntimeError",
    "OutOfMemoryError",
    "OutOfMemoryException",
    "SSLError",
}
"""Names of classes in libraries that need not be installed: torch, CuPy, DuckDB, ssl."""

HTTP_STATUSES = {401, 402, 407, 408, 425, 429, 502, 503, 504}
"""Of a server without credit or capacity; others, such as 403 and 500, may be due to the row."""

SQLITE_CODES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
}

DEVICE_MESSAGE = re.compile(
    r"(CUDA|HIP|ROCm|MPS|XPU|cuDNN|cuBLAS|NCCL)\b[\w ]*(error|failure|out of memory|failed)"
    r"|CU(DNN|BLAS)_STATUS_"
    r"|No CUDA GPUs are available"
    r"|Found no NVIDIA driver"
    r"|Torch not compiled with CUDA"
    r"|\[enforce fail at alloc_cpu"
    r"|DefaultCPUAllocator: "
    r"|can't start new thread",
    re.IGNORECASE,
)
"""How a message begins that a library raises as an ordinary `RuntimeError`.

Only the beginning is compared: further on, a message may quote the text of a row.
"""


def is_environment_error(error: BaseException) -> bool:
    """Check whether the environment, rather than a row, caused an exception.

    The exceptions that led to it count too, as a traceback shows them: libraries often raise an
    error of their own in place of a lost connection. ``raise ... from None`` blames the row.

    Parameters
    ----------
    error
        What was raised.

    Examples
    --------
    >>> is_environment_error(OSError(28, "No space left on device"))
    True
    >>> is_environment_error(FileNotFoundError(2, "No such file or directory"))
    False
    """
    return any(map(_is_of_environment, _walk_causes(error)))


def _is_of_environment(error: BaseException) -> bool:
    if isinstance(error, TYPES):
        return True
    if isinstance(error, OSError) and error.errno in ERRNOS:
        return True
    if _get_http_status(error) in HTTP_STATUSES:
        return True
    if isinstance(error, sqlite3.Error):
        # Extended codes have the primary one in their lowest byte.
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in SQLITE_CODES
    if not DEVICE_ERRORS.isdisjoint(cls.__name__ for cls in type(error).__mro__):
        return True
    is_from_library = isinstance(error, RuntimeError | AssertionError)
    return is_from_library and DEVICE_MESSAGE.match(str(error)) is not None


def _get_http_status(error: BaseException) -> int | None:
    """Get the HTTP status that urllib, requests, httpx and the like store in their errors."""
    response = getattr(error, "response", None)
    for holder, name in (
        (response, "status_code"),
        (error, "status_code"),
        (error, "status"),
        (error, "code"),
    ):
        status = getattr(holder, name, None)
        if isinstance(status, int):
            return int(status)
    return None


def _walk_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all its causes, including members of exception groups."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop()
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        hidden = cause.__suppress_context__
        waiting.append(cause.__cause__ or (None if hidden else cause.__context__))
        # urllib keeps what went wrong with a connection as the reason.
        waiting.append(
            reason if isinstance(reason := getattr(cause, "reason", None), OSError) else None
        )
        if isinstance(cause, BaseExceptionGroup):
            waiting.extend(cause.exceptions)
