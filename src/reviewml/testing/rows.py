"""Rows that contracts are checked on: many scripts, and all that goes wrong with text."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa

GOOD = (
    "I love it, the fabric is soft and it fits perfectly.",
    "Ich bin sehr zufrieden, tolle Qualität und schnelle Lieferung!",
    "Es excelente, muy cómodo y llegó a tiempo.",
    "とても気に入りました。品質も良いです。",
    "质量很好，物流也快，非常满意。",
    "رائع جدا وجودته ممتازة",
)
BAD = (
    "Terrible quality, it broke after one day. Very disappointed.",
    "Schlechte Qualität, leider nach einem Tag kaputt.",
    "Muy malo, no lo recomiendo para nada.",
    "すぐに壊れました。残念です。",
    "质量太差了，用了一天就坏，很失望。",
    "سيء للغاية ولا أنصح به",
)
ODD = (
    "",
    " ",
    "👍🏽👍🏽!!!",
    "a",
    "\u202eright to left\u202c",
    "x" * 20_000,
    "\x00\ufffd\n\t",
    "...",
)

BLANK_TEXTS = (
    "",
    " ",
    "\n \t\r\n",
    "\u00a0",
    "\u3000\u2003",
    "\u2028",
    "\u200b\ufeff",
    "\x00",
    "\u3164",
    "\ufe0f\u034f",
)
"""What shows nothing, and is not text to any enricher."""


def make_example_rows(n: int = 240, *, random_state: int = 0) -> pa.Table:
    """Return rows with every role, several languages, nulls, odd and repeated texts.

    Parameters
    ----------
    n
        Number of rows; the same first rows whatever it is.
    random_state
        Seed.
    """
    rows = [_make_row(position, random_state) for position in range(n)]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


WAYS = ((" ", "{}"), ("  ", "{}."), (", ", "  {}!"), (" - ", "\n{} ..."))
"""Ways to write the same words: what stands between and around them."""


def make_near_duplicates(table: pa.Table, *, random_state: int = 0) -> pa.Table:
    """Return the rows with random texts and ratings; the copies of a text share its rating.

    Nothing can tell the rating of a text but another copy of it, written in another way.
    """
    random = np.random.default_rng(random_state)
    words = [f"word{number}" for number in range(400)]
    said = [random.choice(words, 6) for _ in range(len(table) // len(WAYS) + 1)]
    ratings = random.integers(1, 6, len(said)).astype(float)
    copies = [(text, *way) for text in said for way in WAYS][: len(table)]
    texts = [around.format(between.join(text)) for text, between, around in copies]
    changed = {"text": texts, "rating": np.repeat(ratings, len(WAYS))[: len(table)]}
    for name, values in changed.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    return table


SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("text", pa.string()),
        pa.field("rating", pa.float64()),
        pa.field("time", pa.timestamp("us", "UTC")),
        pa.field("price", pa.float64()),
        pa.field("clicks", pa.int64()),
        pa.field("mobile", pa.bool_()),
        pa.field("layout", pa.string()),
        pa.field("bought", pa.bool_()),
    ]
)


def _make_row(position: int, random_state: int) -> dict[str, object]:
    random = np.random.default_rng([random_state, position])
    good = bool(random.random() < 0.5)
    texts = GOOD if good else BAD
    text: str | None = f"{texts[position % len(texts)]} {random.integers(1000)}"
    if position % 11 == 10:
        text = ODD[position // 11 % len(ODD)]
    if position % 17 == 16:
        text = None
    started = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    price = float(np.round(random.gamma(2.0, 20.0), 2))
    return {
        "id": f"r{position:05d}",
        "text": text,
        "rating": None
        if position % 13 == 12
        else float(random.integers(4, 6) if good else random.integers(1, 3)),
        "time": started + datetime.timedelta(minutes=int(random.integers(500_000))),
        "price": None if position % 7 == 6 else price,
        "clicks": int(random.poisson(3)),
        "mobile": bool(random.random() < 0.4),
        "layout": ("grid", "list", "hero", None)[int(random.integers(4))],
        "bought": bool(random.random() < (0.75 if good else 0.25)),
    }


def shuffle_rows(table: pa.Table, seed: int) -> pa.Table:
    """Return the rows in another order."""
    return table.take(pa.array(np.random.default_rng(seed).permutation(len(table))))


def rebatch_rows(table: pa.Table, seed: int) -> pa.Table:
    """Return the same rows in batches of other, uneven sizes."""
    random = np.random.default_rng(seed)
    pieces, start = [], 0
    while start < len(table):
        size = int(random.integers(1, max(2, len(table) // 3)))
        pieces.append(table.slice(start, size))
        start += size
    return pa.concat_tables(pieces)
