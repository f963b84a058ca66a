r"""Universal Binary JSON in the one form that XGBoost writes: a strict reader, and its writer.

XGBoost's own reader trusts lengths and types; this one does not. It accepts objects, arrays that
state their length, texts, integers, and empty arrays of a stated type. Whoever reads compares what
`write` makes of the result with the bytes: keys that appear twice or in another order, longer
forms of numbers, and bytes that nobody reads are refused that way.

>>> value, end = Reader(b"{L\0\0\0\0\0\0\0\1ai\5}").read(0)
>>> value, end, write(value)
({'a': 5}, 14, b'{L\x00\x00\x00\x00\x00\x00\x00\x01ai\x05}')
"""

from __future__ import annotations

import dataclasses
import functools
import struct
from collections.abc import Callable, Mapping
from typing import Any

MOST_DEPTH = 16
"""Objects and arrays within each other; XGBoost nests six."""

INTEGERS = {b"i": struct.Struct(">b"), b"I": struct.Struct(">h"), b"l": struct.Struct(">i")}
LENGTH = struct.Struct(">q")


class NotCanonical(ValueError):
    """When bytes are not UBJSON as XGBoost writes it."""


@dataclasses.dataclass(frozen=True)
class EmptyArray:
    """An array without elements whose type is stated.

    Parameters
    ----------
    kind
        UBJSON's marker of the type, such as ``b"l"``.
    """

    kind: bytes


@dataclasses.dataclass(frozen=True)
class Hole:
    """A value that `Reader.readers` read: nothing is written of it.

    Parameters
    ----------
    start, end
        Positions of its bytes, which its reader found to be canonical.
    """

    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads values out of bytes.

    Parameters
    ----------
    raw
        The bytes.
    readers
        Read the values of some keys, given a position, as `read` does.
    """

    raw: bytes
    readers: Mapping[str, Callable[[int], tuple[Any, int]]] = dataclasses.field(
        default_factory=dict
    )

    def read(self, at: int, depth: int = 0) -> tuple[Any, int]:
        """Read the value at a position, and return it with the position behind it.

        Raises
        ------
        NotCanonical
            When there is none.
        """
        marker = self.raw[at : at + 1]
        if marker in INTEGERS:
            return self._read_integer(marker, at + 1)
        if depth > MOST_DEPTH:
            raise NotCanonical(f"values are nested more than {MOST_DEPTH} deep")
        if marker == b"{":
            return self._read_object(at + 1, depth)
        if marker == b"[":
            return self._read_array(at + 1, depth)
        if marker == b"S":
            return self.read_text(at + 1)
        raise NotCanonical(f"no value that XGBoost writes is at byte {at}")

    def read_text(self, at: int) -> tuple[str, int]:
        """Read a text, or a key, without the marker of texts."""
        length, start = self.read_length(at)
        try:
            return self.raw[start : start + length].decode(), start + length
        except UnicodeDecodeError:
            raise NotCanonical(f"the text at byte {at} is not UTF-8") from None

    def read_length(self, at: int) -> tuple[int, int]:
        """Read a length, which cannot exceed the bytes that follow it."""
        if self.raw[at : at + 1] != b"L" or at + 9 > len(self.raw):
            raise NotCanonical(f"a length is expected at byte {at}")
        (length,) = LENGTH.unpack_from(self.raw, at + 1)
        if not 0 <= length <= len(self.raw) - at - 9:
            raise NotCanonical(f"the length at byte {at} exceeds the file")
        return length, at + 9

    def _read_object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        value: dict[str, Any] = {}
        while self.raw[at : at + 1] != b"}":
            key, at = self.read_text(at)
            reader = self.readers.get(key)
            value[key], at = self.read(at, depth + 1) if reader is None else reader(at)
        return value, at + 1

    def _read_array(self, at: int, depth: int) -> tuple[Any, int]:
        if self.raw[at : at + 1] == b"$":
            kind = self.raw[at + 1 : at + 2]
            count, at = self._count(at + 2)
            if count:
                raise NotCanonical(f"an array with elements is not expected before byte {at}")
            return EmptyArray(kind), at
        count, at = self._count(at)
        # Most arrays are of small numbers; negative ones are read as others, and `write` differs.
        if count and self.raw[at : at + 2 * count : 2] == b"i" * count:
            return list(self.raw[at + 1 : at + 2 * count : 2]), at + 2 * count
        values: list[Any] = []
        while len(values) < count:
            numbers, at = self._read_integers(at, count - len(values))
            values += numbers
            if not numbers:
                value, at = self.read(at, depth + 1)
                values.append(value)
        return values, at

    def _read_integers(self, at: int, most: int) -> tuple[list[int], int]:
        """Read integers that follow each other in one form, as many as there are."""
        layout = INTEGERS.get(self.raw[at : at + 1])
        if layout is None:
            return [], at
        step = 1 + layout.size
        markers = self.raw[at : at + most * step : step]
        run = len(markers) - len(markers.lstrip(markers[:1]))
        end = at + min(run, (len(self.raw) - at) // step) * step
        pairs = struct.iter_unpack(f">x{layout.format[-1]}", self.raw[at:end])
        return [number for (number,) in pairs], end

    def _count(self, at: int) -> tuple[int, int]:
        if self.raw[at : at + 1] != b"#":
            raise NotCanonical(f"the array at byte {at} does not state its length")
        return self.read_length(at + 1)

    def _read_integer(self, marker: bytes, at: int) -> tuple[int, int]:
        layout = INTEGERS[marker]
        if at + layout.size > len(self.raw):
            raise NotCanonical(f"the number at byte {at} ends beyond the file")
        return layout.unpack_from(self.raw, at)[0], at + layout.size


def write(value: Any) -> bytes:
    """Write a value as XGBoost does: keys in order, each integer in its shortest form."""
    if isinstance(value, dict):
        pairs = (write_key(key) + write(child) for key, child in sorted(value.items()))
        return b"{" + b"".join(pairs) + b"}"
    if isinstance(value, list):
        write_element = write_integer if set(map(type, value)) == {int} else write
        return b"[#" + write_length(len(value)) + b"".join(map(write_element, value))
    if isinstance(value, EmptyArray):
        return b"[$" + value.kind + b"#" + write_length(0)
    if isinstance(value, Hole):
        return b""
    if isinstance(value, str):
        return b"S" + write_key(value)
    return write_integer(value)


def write_key(key: str) -> bytes:
    """Write a key: a text without its marker."""
    raw = key.encode()
    return write_length(len(raw)) + raw


def write_length(length: int) -> bytes:
    """Write a length, always of eight bytes."""
    return b"L" + LENGTH.pack(length)


@functools.lru_cache(4096)
def write_integer(value: int) -> bytes:
    """Write an integer; XGBoost leaves out the largest of each form."""
    for marker, layout in INTEGERS.items():
        if abs(value) < 2 ** (8 * layout.size - 1) - 1:
            return marker + layout.pack(value)
    raise NotCanonical(f"{value} is out of range")
