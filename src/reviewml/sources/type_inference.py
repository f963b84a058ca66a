"""Inferring the type of a column from a sample of its cells.

A column has the narrowest type that all sampled cells fit. Few misfits do not change it: where at
most one cell in twenty with a value fits no number, the column is one of numbers, and the others
are errors when they are read. Dashes and question marks, which stand for no value, may be up to
half of the cells. But where a misfit is a code, such as ``X1234`` among ``12345``, all are text.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.rows.columns import MISSING, NEVER_WORDS
from reviewml.sources.cell_rules import (
    BLANK,
    CANONICAL,
    DEFAULT_RULES,
    LONG,
    CellRules,
    cast_or_null,
    find_changed,
    find_headers,
)

NUMBERS = (pa.int64(), pa.float64(), pa.bool_())
TIMES = (pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"))

MOST_MISFITS = 0.05
"""Share of cells with a value that may not be of the type."""

CODED = (
    r"^[+-]?0[0-9xX]|^[+-]?[0-9]{16,}|[0-9]_?\pL|\pL_?[0-9]|[0-9][-:/][0-9]"
    r"|[0-9][.][0-9]+[.][0-9]"
)
"""Codes, versions, dates: digits that are not numbers."""

LOOKS_LIKE = {
    pa.int64(): r"^-?(?:0|[1-9][0-9]{0,17})$",
    pa.float64(): r"^[+-]?(?:(?:0|[1-9][0-9]{0,14})(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$",
    pa.bool_(): r"^(?i:true|false)$",
    **dict.fromkeys(TIMES, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"),
}

WRITTEN = (
    r"^[+-]?\p{Sc}?[ \x{a0}]?[+-]?[0-9]{1,3}(?:[.,' \x{a0}\x{202f}]?[0-9]{3})*(?:[.,][0-9]+)?"
    r"[ \x{a0}]?(?:\p{Sc}|%|[A-Z]{3})?$"
)
"""Numbers as people write them: with a currency, a decimal comma, or signs between thousands."""

MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+ ?(?:Z|[A-Z]{3}|[+-][0-9:]+)?)?$"
"""Times of any precision, with or without a zone."""

WORDS = pa.array(sorted({*MISSING} - {"", *NEVER_WORDS}))
"""Words that may stand for no value, or for themselves: NA is Namibia."""

LOOKED_AT = 200
"""Cells, evenly spread, that tell whether a text column may be one of numbers."""

NOTE = b"reviewml.sample"


@dataclasses.dataclass(frozen=True)
class CellSample:
    """Statistics of a sample of cells of a column.

    Parameters
    ----------
    cells
        Those with a value.
    numbers, written
        Of a text column, how many are numbers, and how many are as people write them.
    codes
        How many are codes.
    moments
        How many are times.
    blanks
        How many are signs that stand for no value.
    words
        How often words such as ``NULL`` stand in a text column.
    long
        Whether whole numbers have digits that float64 would round.
    """

    cells: int = 0
    numbers: int = 0
    written: int = 0
    codes: int = 0
    moments: int = 0
    blanks: int = 0
    words: dict[str, int] = dataclasses.field(default_factory=dict)
    long: bool = False

    def field(self, name: str, kind: pa.DataType) -> pa.Field:
        """Make a field of a column that carries this sample as metadata."""
        if self == CellSample():
            return pa.field(name, kind)
        return pa.field(name, kind, metadata={NOTE: json.dumps(dataclasses.asdict(self))})

    @classmethod
    def of(cls, field: pa.Field) -> CellSample:
        """Read the sample from the metadata of a field."""
        note = (field.metadata or {}).get(NOTE)
        return cls() if note is None else cls(**json.loads(note))

    def merge(self, other: CellSample) -> CellSample:
        """Merge the samples of two files."""
        return CellSample(
            self.cells + other.cells,
            self.numbers + other.numbers,
            self.written + other.written,
            self.codes + other.codes,
            self.moments + other.moments,
            self.blanks + other.blanks,
            dict(Counter(self.words) + Counter(other.words)),
            self.long or other.long,
        )

    def warnings(self, name: str, *, numbers: bool) -> Iterator[str]:
        """List warnings about a column that is read as text.

        Parameters
        ----------
        name
            Of the column.
        numbers
            Whether to say that it may be one of numbers or times.
        """
        if numbers:
            yield from self._warn_of_numbers(name)
            yield from self._warn_of_times(name)
        for word, times in self.words.items():
            yield (
                f"column {name!r} has {word!r} in {times:,} of the {self.cells:,} cells looked "
                f"at, which is read as a text: pass missing=[{word!r}] if it stands for no value, "
                f"missing=[] if it does not."
            )

    def _warn_of_numbers(self, name: str) -> Iterator[str]:
        others = self.cells - self.numbers
        few_codes = self.codes <= MOST_MISFITS * self.cells
        if self.written > (self.cells - self.blanks) / 2 and (few_codes or self.codes < others):
            yield (
                f"column {name!r} is read as text, since {others:,} of the {self.cells:,} cells "
                "looked at are not plain numbers. Pass decimal= or thousands= if they are written "
                f"with such signs, missing=[...] for words that stand for no value, or dtypes="
                f"{{{name!r}: 'float64'}} to have those cells null, with an error each; dtypes="
                f"{{{name!r}: 'string'}} if it is text."
            )

    def _warn_of_times(self, name: str) -> Iterator[str]:
        if self.moments > (self.cells - self.blanks) / 2:
            yield (
                f"column {name!r} is read as text, since {self.moments:,} of the {self.cells:,} "
                "cells looked at are times, but not all cells are times of one kind. Pass dtypes="
                f"{{{name!r}: 'timestamp[us]'}} to have the others null, with an error each, "
                "'timestamp[us, tz=UTC]' for those with a zone, or 'timestamp[ns]' for those with "
                "nanoseconds; 'string' if it is text."
            )


def is_blank(text: str) -> bool:
    """Check whether a text consists of signs, or a word, for a missing value."""
    return text.strip() in MISSING or re.match(BLANK, text.strip()) is not None


def merge_samples(heads: Iterable[pa.Schema]) -> dict[str, CellSample]:
    """Merge the samples of each column over the heads of files."""
    merged: dict[str, CellSample] = {}
    for field in itertools.chain.from_iterable(heads):
        merged[field.name] = merged.get(field.name, CellSample()).merge(CellSample.of(field))
    return merged


def infer_sample(table: pa.Table, rules: CellRules) -> pa.Schema:
    """Infer the types of columns of bytes, which may not be valid text."""
    whole = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
    columns = dict(zip(table.column_names, whole[0].columns, strict=True))
    headers = find_headers(columns)
    if headers is not None:
        columns = {name: cells.filter(pc.invert(headers)) for name, cells in columns.items()}
    texts = (cast_or_null(cells, pa.string()) for cells in columns.values())
    return pa.schema(
        [
            infer_field(name, cells, rules)
            for name, cells in zip(table.column_names, texts, strict=True)
        ]
    )


def is_record_like(schema: pa.Schema) -> bool:
    """Check whether column names look like values, which means that there is no header.

    Not where they are whole numbers in order, or a year or the position: these are names, too.
    """
    typed = [(place, field) for place, field in enumerate(schema) if field.type in LOOKS_LIKE]
    if not all(re.match(LOOKS_LIKE[field.type], field.name) for _, field in typed):
        return False
    whole = [int(field.name) for _, field in typed if re.fullmatch(r"[0-9]{1,4}", field.name)]
    if len(whole) < len(typed):
        return True
    if len(whole) == 1:
        return not (whole[0] - typed[0][0] in (0, 1) or 1900 <= whole[0] <= 2100)
    return whole not in (sorted(whole), sorted(whole, reverse=True))


def infer_field(
    name: str, cells: pa.Array, rules: CellRules = DEFAULT_RULES, *, numbers: bool = True
) -> pa.Field:
    """Infer the type of a column from a sample of its cells; null if none has a value.

    Parameters
    ----------
    name
        Of the column.
    cells
        Text that is valid, or null.
    rules
        How texts become values.
    numbers
        Whether digits may stand for a number: not in a JSON string.

    Returns
    -------
    pa.Field
        With what `Sample` says of it.
    """
    texts = rules.drop_missing_texts(cells).drop_null()
    values = rules.drop_missing(texts).drop_null()
    if len(values) == 0 or (name not in rules.keys and _match_all(values, BLANK)):
        return _sample_texts(texts, rules, numbers).field(name, pa.null())
    kinds = (*NUMBERS, *TIMES) if numbers else TIMES
    if name in rules.keys:
        return pa.field(name, _choose_key_type(texts, kinds))
    for kind in kinds:
        if _is_fit(values, kind, rules):
            long = kind == pa.int64() and _has_match(values, LONG)
            return CellSample(long=long).field(name, kind)
    if not _may_be_mistaken(values, rules):
        return CellSample(len(texts), words=_count_words(texts, rules)).field(name, pa.string())
    kind = _find_nearest_type(values, kinds, rules)
    if kind is not None:
        return pa.field(name, kind)
    return _sample_texts(texts, rules, numbers).field(name, pa.string())


def _choose_key_type(texts: pa.Array, kinds: Sequence[pa.DataType]) -> pa.DataType:
    # As they are, untrimmed: blanks tell apart what a number would not.
    if pa.int64() in kinds and _match_all(texts, CANONICAL) and _can_cast(texts, pa.int64()):
        return pa.int64()
    return pa.date32() if _can_cast(texts, pa.date32()) else pa.string()


def _is_fit(texts: pa.Array, kind: pa.DataType, rules: CellRules) -> bool:
    plain = rules.rewrite_numbers(texts, kind)
    if plain.null_count or not _can_cast(plain, kind):
        return False
    return find_changed(plain, plain.cast(kind)) is None


def _may_be_mistaken(texts: pa.Array, rules: CellRules) -> bool:
    """Check whether enough texts look like another type to examine all of them."""
    few = texts.take(pa.array(range(0, len(texts), -(-len(texts) // LOOKED_AT))))
    few = few.filter(pc.invert(pc.match_substring_regex(few, BLANK)))
    alike = [WRITTEN, *dict.fromkeys(LOOKS_LIKE.values())]
    plain = _count(rules.rewrite_numbers(few), LOOKS_LIKE[pa.float64()])
    return 4 * max(plain, *(_count(few, pattern) for pattern in alike)) >= len(few)


def _find_nearest_type(
    texts: pa.Array, kinds: Sequence[pa.DataType], rules: CellRules
) -> pa.DataType | None:
    """Find the type of most cells, if the others are few and not codes."""
    fits = {kind: _find_fitting(texts, kind, rules) for kind in kinds}
    nearest = max(fits, key=lambda kind: fits[kind].true_count)
    others = texts.filter(pc.invert(fits[nearest]))
    if 2 * len(others) >= len(texts):
        return None
    misfits = others.filter(pc.invert(pc.match_substring_regex(others, BLANK)))
    few = len(misfits) <= MOST_MISFITS * len(texts)
    return nearest if few and not _has_match(misfits, CODED) else None


def _find_fitting(texts: pa.Array, kind: pa.DataType, rules: CellRules) -> pa.Array:
    plain = rules.rewrite_numbers(texts, kind)
    alike = pc.match_substring_regex(plain, LOOKS_LIKE[kind]).fill_null(False)
    if kind in NUMBERS or 2 * alike.true_count < len(texts):
        return alike
    likely = pc.if_else(alike, plain, pa.scalar(None, pa.string()))
    return cast_or_null(likely, kind).is_valid()


def _sample_texts(texts: pa.Array, rules: CellRules, numbers: bool) -> CellSample:
    words, blanks = _count_words(texts, rules), _count(texts, BLANK)
    written = _count(texts, WRITTEN) if numbers else 0
    moments = _count(texts, MOMENT)
    if 2 * max(written, moments) <= len(texts) - blanks:
        return CellSample(cells=len(texts), words=words)
    plain, codes = _count(texts, LOOKS_LIKE[pa.float64()]), _count(texts, CODED)
    return CellSample(len(texts), plain, written, codes, moments, blanks, words)


def _count_words(texts: pa.Array, rules: CellRules) -> dict[str, int]:
    if rules.missing is not None:
        return {}
    counted = pc.value_counts(texts.filter(pc.is_in(texts, WORDS)))
    return {pair["values"].as_py(): pair["counts"].as_py() for pair in counted}


def _count(texts: pa.Array, pattern: str) -> int:
    return int(pc.match_substring_regex(texts, pattern).true_count)


def _has_match(texts: pa.Array, pattern: str) -> bool:
    return _count(texts, pattern) > 0


def _match_all(texts: pa.Array, pattern: str) -> bool:
    # The first few settle most columns.
    if len(texts) > 16 and not _match_all(texts[:16], pattern):
        return False
    return _count(texts, pattern) == len(texts)


def _can_cast(texts: pa.Array, kind: pa.DataType) -> bool:
    try:
        # The first few settle most columns; Arrow is slow where all of many cells fail.
        texts[:16].cast(kind)
        texts.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True
