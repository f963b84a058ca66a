"""Departures of one tree of a booster from the layout that XGBoost writes.

Trees are taken apart here by what their bytes say, not by the reader that is under test, changed
as pairs of keys and values, and put together again; what surrounds them stays.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

Pairs = list[tuple[bytes, bytes]]
"""Keys of an object, and the bytes of each value with its marker."""

WIDTHS = {b"d": 4, b"l": 4, b"L": 8, b"U": 1}
OPENING = b"{L\0\0\0\0\0\0\0\x0cbase_weights[$"
TYPES = b"dlLUiICDSTFNZ"


def mutate_tree(raw: bytearray, rng: random.Random) -> None:
    """Change the layout of one tree, seldom the first, or the order or number of trees."""
    spans = find_trees(bytes(raw))
    if not spans:
        return
    start, end = spans[rng.randrange(len(spans))]
    if rng.random() < 0.15:
        other = rng.choice(spans)
        raw[start:end] = rng.choice([b"", bytes(raw[start:end]) * 2, bytes(raw[slice(*other)])])
        return
    pairs = split_object(bytes(raw[start:end]))
    rng.choice(CHANGES)(pairs, rng)
    raw[start:end] = join_object(pairs)


def find_trees(raw: bytes) -> list[tuple[int, int]]:
    """Find where trees start and end; those that are damaged already are left out."""
    spans, at = [], raw.find(OPENING)
    while at >= 0:
        try:
            end = _end_of_value(raw, at)
        except (IndexError, KeyError, struct.error, RecursionError):
            end = len(raw) + 1
        if end <= len(raw):
            spans.append((at, end))
        at = raw.find(OPENING, at + 1)
    return spans


def split_object(raw: bytes) -> Pairs:
    """Take an object apart."""
    pairs, at = [], 1
    while raw[at] != ord("}"):
        key = at + 9 + _length(raw, at)
        end = _end_of_value(raw, key)
        pairs.append((raw[at:key], raw[key:end]))
        at = end
    return pairs


def join_object(pairs: Pairs) -> bytes:
    """Put an object together; the keys may be in any order and occur twice."""
    return b"{" + b"".join(key + value for key, value in pairs) + b"}"


def _length(raw: bytes, at: int) -> int:
    length: int = struct.unpack_from(">Q", raw, at + 1)[0]
    return min(length, len(raw))


def _end_of_value(raw: bytes, at: int) -> int:
    marker = raw[at : at + 1]
    if marker == b"[":
        return at + 13 + WIDTHS[raw[at + 2 : at + 3]] * _length(raw, at + 4)
    if marker == b"S":
        return at + 10 + _length(raw, at + 1)
    if marker == b"{":
        return at + len(join_object(split_object(raw[at:])))
    return at + 1 + {b"i": 1, b"I": 2, b"l": 4}[marker]


# -- changes ------------------------------------------------------------------------------------


def swap_pairs(pairs: Pairs, rng: random.Random) -> None:
    first, second = rng.randrange(len(pairs)), rng.randrange(len(pairs))
    pairs[first], pairs[second] = pairs[second], pairs[first]


def shuffle_pairs(pairs: Pairs, rng: random.Random) -> None:
    rng.shuffle(pairs)


def repeat_pair(pairs: Pairs, rng: random.Random) -> None:
    (key, _), (_, value) = rng.choice(pairs), rng.choice(pairs)
    pairs.insert(rng.randrange(len(pairs) + 1), (key, value))


def repeat_pair_as_it_is(pairs: Pairs, rng: random.Random) -> None:
    position = rng.randrange(len(pairs))
    pairs.insert(position, pairs[position])


def drop_pair(pairs: Pairs, rng: random.Random) -> None:
    del pairs[rng.randrange(len(pairs))]


def exchange_values(pairs: Pairs, rng: random.Random) -> None:
    first, second = rng.randrange(len(pairs)), rng.randrange(len(pairs))
    (one, value), (other, another) = pairs[first], pairs[second]
    pairs[first], pairs[second] = (one, another), (other, value)


def rename_key(pairs: Pairs, rng: random.Random) -> None:
    position = rng.randrange(len(pairs))
    key, value = pairs[position]
    changed = bytearray(key)
    changed[rng.randrange(9, len(key))] ^= 1 << rng.randrange(8)
    pairs[position] = (bytes(changed), value)


def change_array(change: Callable[[bytes, bytes, random.Random], bytes]) -> Callable[..., None]:
    """Make a change of one array, given its type and the bytes of its elements."""

    def apply(pairs: Pairs, rng: random.Random) -> None:
        arrays = [n for n, (_, value) in enumerate(pairs) if value.startswith(b"[$")]
        if arrays:
            position = rng.choice(arrays)
            key, value = pairs[position]
            pairs[position] = (key, change(value[2:3], value[13:], rng))

    return apply


def write_array(kind: bytes, elements: bytes, count: int | None = None) -> bytes:
    count = len(elements) // WIDTHS.get(kind, 1) if count is None else count
    return b"[$" + kind + b"#L" + struct.pack(">q", count) + elements


def _of_another_type(kind: bytes, elements: bytes, rng: random.Random) -> bytes:
    other = bytes([rng.choice(TYPES)])
    # The same bytes, read as elements of another width, or as many elements as before.
    count = rng.choice([None, len(elements) // WIDTHS.get(kind, 1)])
    return write_array(other, elements, count)


def _of_another_length(kind: bytes, elements: bytes, rng: random.Random) -> bytes:
    width, step = WIDTHS.get(kind, 1), rng.choice([-2, -1, 1, 2, 1_000])
    changed = elements[: width * step] if step < 0 else elements + bytes(width * step)
    return write_array(kind, changed)


def _of_another_stated_length(kind: bytes, elements: bytes, rng: random.Random) -> bytes:
    counts = [0, 1, 255, 2**31, 2**32, 2**62, 2**63 - 1, -1, -(2**63)]
    near = len(elements) // WIDTHS.get(kind, 1) + rng.choice([-1, 1])
    return write_array(kind, elements, rng.choice([*counts, near]))


def _with_a_short_length(kind: bytes, elements: bytes, rng: random.Random) -> bytes:
    count = len(elements) // WIDTHS.get(kind, 1)
    short = rng.choice([b"i" + bytes([count % 128]), b"l" + struct.pack(">i", count % 2**31)])
    return b"[$" + kind + b"#" + short + elements


def _without_a_type(kind: bytes, elements: bytes, rng: random.Random) -> bytes:
    width = WIDTHS.get(kind, 1)
    each = [kind + elements[at : at + width] for at in range(0, len(elements), width)]
    counted = b"[#L" + struct.pack(">q", len(each)) + b"".join(each)
    return rng.choice([counted, b"[" + b"".join(each) + b"]"])


def move_an_element(pairs: Pairs, rng: random.Random) -> None:
    """Let an array have an element more, and one of the same width an element less."""
    arrays = [n for n, (_, value) in enumerate(pairs) if value.startswith(b"[$")]
    first, second = rng.choice(arrays or [0]), rng.choice(arrays or [0])
    one, other = pairs[first][1], pairs[second][1]
    width = WIDTHS.get(one[2:3], 1)
    if arrays and first != second and one[2:3] == other[2:3] and len(other) > 13:
        pairs[first] = (pairs[first][0], write_array(one[2:3], one[13:] + other[-width:]))
        pairs[second] = (pairs[second][0], write_array(other[2:3], other[13:-width]))


def change_number(pairs: Pairs, rng: random.Random) -> None:
    """Write the number of the tree in another form, or another one."""
    for position, (key, value) in enumerate(pairs):
        if key.endswith(b"\x02id"):
            number = int.from_bytes(value[1:], "big", signed=True) + rng.choice([0, 0, 1, -1])
            forms = [("i", ">b"), ("I", ">h"), ("l", ">i"), ("L", ">q"), ("U", ">b"), ("d", ">f")]
            marker, layout = rng.choice(forms)
            if -128 <= number < 128 or layout not in (">b",):
                pairs[position] = (key, marker.encode() + struct.pack(layout, number))


def change_params(pairs: Pairs, rng: random.Random) -> None:
    """Change the layout of the object of parameters, or a text in it."""
    for position, (key, value) in enumerate(pairs):
        if value.startswith(b"{"):
            inner = split_object(value)
            rng.choice([swap_pairs, repeat_pair, repeat_pair_as_it_is, drop_pair, change_text])(
                inner or [(key, b"SL" + bytes(8))], rng
            )
            pairs[position] = (key, join_object(inner))


def change_text(pairs: Pairs, rng: random.Random) -> None:
    position = rng.randrange(len(pairs))
    text = pairs[position][1][10:]
    other = rng.choice([b"0" + text, b" " + text, text + b" ", b"+" + text, b"-1", text + b"0"])
    pairs[position] = (pairs[position][0], b"SL" + struct.pack(">q", len(other)) + other)


LAYOUT_CHANGES: tuple[Callable[[Pairs, random.Random], None], ...] = (
    swap_pairs,
    shuffle_pairs,
    repeat_pair,
    repeat_pair_as_it_is,
    drop_pair,
    rename_key,
    change_array(_of_another_type),
    change_array(_of_another_length),
    change_array(_of_another_stated_length),
    change_array(_with_a_short_length),
    change_array(_without_a_type),
    move_an_element,
    change_number,
    change_params,
)
"""After one of these, a tree that differs is none that XGBoost writes."""

CHANGES = (*LAYOUT_CHANGES, exchange_values)
