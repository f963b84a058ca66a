"""Opening a text file as UTF-8 bytes, whatever its compression and encoding."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from typing import IO

from reviewml.errors import SourceError
from reviewml.privacy.redaction import redact
from reviewml.sources.find_files import File

CHUNK = 1 << 20
"""Bytes read at a time."""

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class CutOff(Exception):
    """When a file ends before its last record does."""


def _replace_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


# What cannot be decoded becomes a byte that UTF-8 never has, so that it is found again in the
# cell where it stands; "surrogateescape" alone cannot carry every byte of UTF-16.
codecs.register_error("reviewml.undecodable", _replace_undecodable)


def read_utf8_chunks(file: File, encoding: str) -> Iterator[bytes]:
    """Yield the bytes of a text file, in UTF-8 and without a byte order mark.

    Raises
    ------
    SourceError
        When the file cannot be opened or unpacked at all, or is UTF-16 without saying so.
    CutOff
        After the last good bytes of a compressed file that ends early.
    """
    with file.open() as stream:
        chunks = _unpack_gzip(stream, file) if file.is_gzipped else _read_chunks(stream, file)
        if not is_utf8(encoding):
            chunks = _recode_chunks(chunks, encoding, file)
        start = b""
        while len(start) < len(codecs.BOM_UTF8) and (chunk := next(chunks, b"")):
            start += chunk
        if start.startswith(UTF16_MARKS):
            raise SourceError(f"{file.name} is UTF-16, not UTF-8: pass encoding='utf-16'.")
        yield start.removeprefix(codecs.BOM_UTF8)
        yield from chunks


def _read_chunks(stream: IO[bytes], file: File) -> Iterator[bytes]:
    try:
        while chunk := stream.read(CHUNK):
            yield chunk
    except OSError as error:
        raise SourceError(f"{file.name} cannot be read: {redact(str(error))}") from None


def _unpack_gzip(stream: IO[bytes], file: File) -> Iterator[bytes]:
    unpacked, has_content = gzip.GzipFile(fileobj=stream), False
    try:
        # read1 hands out what there is before it finds the end missing; read would lose it.
        while chunk := unpacked.read1(CHUNK):
            has_content = True
            yield chunk
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        if not has_content:
            raise SourceError(f"{file.name} cannot be unpacked: {error}") from error
        raise CutOff(f"the file ends early, or is damaged from here on: {error}") from error


def _recode_chunks(chunks: Iterator[bytes], encoding: str, file: File) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("reviewml.undecodable")
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode("utf-8", "surrogateescape")
        yield decoder.decode(b"", True).encode("utf-8", "surrogateescape")
    except UnicodeError as error:
        raise SourceError(f"{file.name} is not {encoding}: {error}") from error


def is_utf8(encoding: str) -> bool:
    """Check whether an encoding is UTF-8.

    Raises
    ------
    SourceError
        When it names no encoding of text.
    """
    try:
        "".encode(encoding)
    except (LookupError, ValueError) as error:
        raise SourceError(f"encoding={encoding!r}: {error}; see the codecs of Python.") from error
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
