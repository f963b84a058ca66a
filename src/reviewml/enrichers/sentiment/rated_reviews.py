"""Rated reviews to learn from: read once, bounded in memory, in an order of their own."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from reviewml.data.dataset import Dataset
from reviewml.display.progress import show_progress
from reviewml.enrichers.ngrams.features import normalise_texts
from reviewml.enrichers.ngrams.model import count_ngrams
from reviewml.enrichers.sentiment.rating_scale import RatingScale, round_ratings
from reviewml.enrichers.sentiment.scales import NO_GROUP, Scales, ScaleSpec
from reviewml.errors import SchemaError
from reviewml.rows.hashing import stable_hash
from reviewml.rows.row_errors import warn_at_caller

NO_LANGUAGE = NO_GROUP

_UNLETTERED = r"[^\pL\pN]+"
_UNSEEN = r"[\pZ\pC\pP]+"


@dataclasses.dataclass(frozen=True)
class RatedReviews:
    """Texts with ratings, sorted by the hash of what the text says, then by rating.

    Parameters
    ----------
    texts
        Normalised.
    hashes
        What `hash_texts` returned of the texts, ascending; shape ``(n,)``.
    ratings
        On their scale, from -1 for its lowest to 1 for its highest; shape ``(n,)``.
    languages
        How many rated texts there are in each language, those not kept included.
    scales
        The scale of each group.
    only
        The rating that all of them have; None where they differ.
    """

    texts: pa.Array
    hashes: npt.NDArray[np.uint64]
    ratings: npt.NDArray[np.float64]
    languages: dict[str, int]
    scales: Mapping[str, RatingScale]
    only: float | None

    def counts(self) -> Any:
        """Count how often each text has each n-gram, sparse ``(n, 2 ** BITS)``."""
        return count_ngrams(self.texts)


def hash_texts(texts: pa.Array) -> npt.NDArray[np.uint64]:
    """Hash the letters and digits of texts that `normalised` returned, in their order.

    N-grams tell copies of a text apart by spaces and full stops no more than this does, so
    what must not see a text's copies goes by it. Of texts without letters, symbols count.
    """
    letters = pc.replace_substring_regex(texts, _UNLETTERED, "")
    bare = pc.equal(letters, "")
    symbols = pc.replace_substring_regex(texts.filter(bare), _UNSEEN, "")
    return stable_hash(pc.replace_with_mask(letters, bare, symbols))


def collect_rated(
    rows: Dataset,
    language: str,
    most: int,
    spec: ScaleSpec = ScaleSpec(),
    *,
    name: str = "rating",
) -> RatedReviews:
    """Read all rows and keep at most `most` that have a text and a rating.

    Parameters
    ----------
    rows
        With the columns ``text`` and ``rating``, and perhaps `language`.
    language
        Column to count by.
    most
        Of more rows, those whose texts have the smallest hashes are kept, whatever the order.
    spec
        Says which scale the ratings have.
    name
        What the user calls the column of ratings, for messages.

    Raises
    ------
    SchemaError
        When ratings are not numbers.

    Warns
    -----
    UserWarning
        Of ratings beyond the scale, which are left out; see `Scales.warnings`.
    """
    counts: _Counts = Counter()
    parts: list[_RatedPart] = []
    for part in _read_parts(rows, language, spec.by, name):
        counts.update(part.counts)
        parts.append(part)
        if sum(len(p.hashes) for p in parts) > 2 * most:
            parts = [_join_parts(parts, most)]
    scales = Scales.of(spec, _group_counts(counts))
    for warning in scales.warnings():
        warn_at_caller(warning)
    joined = _join_parts(parts, most) if parts else _RatedPart.empty()
    ratings, inside = scales.normalize(joined.ratings, joined.groups)
    return RatedReviews(
        joined.texts.filter(pa.array(inside)),
        joined.hashes[inside],
        ratings[inside],
        _count_inside_by_language(counts, scales),
        scales.scales,
        _find_only_value(counts, scales),
    )


_Counts = Counter[tuple[str, str, float]]
"""How often each rating occurs in each language and group."""


def _group_counts(counts: _Counts) -> dict[str, Counter[float]]:
    grouped: dict[str, Counter[float]] = {}
    for (_, group, rating), count in counts.items():
        grouped.setdefault(group, Counter())[rating] += count
    return grouped


def _count_inside_by_language(counts: _Counts, scales: Scales) -> dict[str, int]:
    inside: Counter[str] = Counter()
    for (language, group, rating), count in counts.items():
        inside[language] += scales.scales[group].count_inside({rating: count})
    return dict(+inside)


def _find_only_value(counts: _Counts, scales: Scales) -> float | None:
    values = {r for _, group, r in counts if scales.scales[group].count_inside({r: 1})}
    return values.pop() if len(values) == 1 else None


@dataclasses.dataclass(frozen=True)
class _RatedPart:
    texts: pa.Array
    hashes: npt.NDArray[np.uint64]
    ratings: npt.NDArray[np.float64]
    groups: pa.Array
    counts: _Counts

    @classmethod
    def empty(cls) -> _RatedPart:
        none = pa.array([], pa.string())
        return cls(none, np.empty(0, np.uint64), np.empty(0), none, Counter())


def _read_parts(rows: Dataset, language: str, by: str | None, name: str) -> Iterator[_RatedPart]:
    for batch in show_progress(rows.full_batches(), "rated reviews", rows.rows):
        ratings = read_ratings(batch.column("rating"), name)
        texts = normalise_texts(batch.column("text"))
        useful = pc.and_(pc.is_finite(ratings).fill_null(False), pc.not_equal(texts, ""))
        texts, ratings = texts.filter(useful), np.asarray(ratings.filter(useful))
        if len(texts):
            languages, groups = (
                _name_groups(batch, column).filter(useful) for column in (language, by)
            )
            counts = _count_ratings(languages, groups, ratings)
            yield _RatedPart(texts, hash_texts(texts), ratings, groups, counts)


def _name_groups(batch: pa.RecordBatch, column: str | None) -> pa.Array:
    if column not in batch.schema.names:
        return pa.array([NO_LANGUAGE]).take(pa.array(np.zeros(len(batch), np.int8)))
    return batch.column(column).cast(pa.string()).fill_null(NO_LANGUAGE)


def _count_ratings(
    languages: pa.Array, groups: pa.Array, ratings: npt.NDArray[np.float64]
) -> _Counts:
    columns = {"language": languages, "group": groups, "rating": round_ratings(ratings)}
    counted = pa.table(columns).group_by(list(columns)).aggregate([([], "count_all")])
    *values, counts = (counted.column(name).to_pylist() for name in (*columns, "count_all"))
    return Counter(dict(zip(zip(*values, strict=True), counts, strict=True)))


def read_ratings(column: pa.Array, name: str) -> pa.Array:
    """Read ratings as numbers; a text that is blank is none.

    Parameters
    ----------
    column
        Numbers, or texts that are written as such.
    name
        What the user calls the column, for messages.

    Raises
    ------
    SchemaError
        When one of them is not a number.
    """
    try:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if _is_text(column.type):
            column = pc.utf8_trim_whitespace(column.cast(pa.string()))
            column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
        if pa.types.is_temporal(column.type):
            # Arrow would read moments as the number that they are kept as.
            raise pa.ArrowInvalid
        return column.cast(pa.float64(), safe=not pa.types.is_integer(column.type))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        # Arrow's own message quotes the value, which may be a review.
        raise SchemaError(_describe_unread(column, name)) from None


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.string(), pa.large_string(), pa.string_view())


def _describe_unread(column: pa.Array, name: str) -> str:
    kind = str(column.type)
    if _is_text(column.type):
        kind += f" of up to {pc.max(pc.utf8_length(column)).as_py() or 0:,} characters"
    return (
        f"ratings must be numbers, and column {name!r} is {kind}, not all of which read as "
        "numbers: name another column, or write 4.0 for '4.0 out of 5 stars' first. Where hardly "
        f"any are wrong, Files(..., dtypes={{{name!r}: 'float64'}}) reads these as null, with an "
        "error each."
    )


def _join_parts(parts: list[_RatedPart], most: int) -> _RatedPart:
    hashes = np.concatenate([part.hashes for part in parts])
    ratings = np.concatenate([part.ratings for part in parts])
    groups = pa.chunked_array([part.groups for part in parts]).combine_chunks()
    # Copies of a text that differ in what is not hashed need an order too.
    exact = np.concatenate([stable_hash(part.texts) for part in parts])
    order = np.lexsort((stable_hash(groups), exact, ratings, hashes))[:most]
    texts = pa.chunked_array([part.texts for part in parts]).take(pa.array(order))
    groups = groups.take(pa.array(order))
    return _RatedPart(texts.combine_chunks(), hashes[order], ratings[order], groups, Counter())
