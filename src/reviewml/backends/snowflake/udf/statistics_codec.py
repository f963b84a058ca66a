"""What statistics say of a partition, on its way out of the warehouse: JSON, no bit is lost."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import numpy as np

from reviewml.rows.statistics import Parts
from reviewml.saving.json_codec import Arrays, decode, encode

LONGEST = 1_000_000
"""Characters of one text: at most 4 MB in UTF-8, where Snowflake takes 16."""


def encode_parts(parts: Parts) -> list[str]:
    """Return parts as texts, which make one when put together.

    Parameters
    ----------
    parts
        Plain data and arrays, as of `reviewml.saving.json_codec`; or counters of it.
    """
    arrays: Arrays = {}
    counters = [name for name, part in parts.items() if isinstance(part, Counter)]
    plain = encode(parts, arrays)
    raw = {path: _encode_array(array) for path, array in arrays.items()}
    text = json.dumps([counters, plain, raw], ensure_ascii=False)
    return [text[start : start + LONGEST] for start in range(0, len(text), LONGEST)]


def read(text: str) -> Parts:
    """Return the parts that `written` wrote."""
    counters, plain, raw = json.loads(text)
    arrays = {path: _as_array(*array) for path, array in raw.items()}
    parts: Parts = decode(plain, arrays)
    return parts | {name: Counter(parts[name]) for name in counters}


def _encode_array(array: np.ndarray) -> tuple[str, list[int], str]:
    raw = np.ascontiguousarray(array).tobytes()
    return array.dtype.str, list(array.shape), base64.b64encode(raw).decode()


def _as_array(kind: str, shape: list[int], raw: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(bytearray(base64.b64decode(raw)), kind).reshape(shape)
