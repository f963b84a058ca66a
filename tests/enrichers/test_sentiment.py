"""Sentiment: no rating leaks, and what cannot be learned is said."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from reviewml.enrichers import Sentiment
from reviewml.enrichers.ngrams import normalised
from reviewml.enrichers.rated import hashes_of
from reviewml.hashing import digest
from reviewml.testing.rows import shuffled

WAYS = ((" ", "{}"), ("  ", "{}."), (", ", "  {}!"), (" - ", "\n{} ..."))
"""Ways to write the same words."""


def copies(*, of: int = 600) -> pa.Table:
    """Return random texts, several copies of each with the same random rating."""
    random = np.random.default_rng(0)
    words = [f"word{number}" for number in range(400)]
    said = [random.choice(words, 6) for _ in range(of)]
    ratings = random.integers(1, 6, of).astype(float)
    texts = [end.format(gap.join(chosen)) for gap, end in WAYS for chosen in said]
    return pa.table({"text": texts, "rating": np.tile(ratings, len(WAYS))})


def hashed(*texts: str) -> npt.NDArray[np.uint64]:
    return hashes_of(normalised(pa.array(texts)))


# -- no leak ------------------------------------------------------------------------------------


def test_near_duplicates_do_not_give_away_each_others_rating() -> None:
    rows = copies()
    scored = Sentiment(text="text", rating="rating").fit_transform(rows)
    found = np.corrcoef(scored.column("sentiment").to_numpy(), rows.column("rating").to_numpy())
    assert abs(found[0, 1]) < 0.1


@pytest.mark.parametrize(
    "same",
    [
        ("Great product", "great  product.", " GREAT, product!!", "great\nproduct 👍"),
        ("质量很好，满意", "质量很好 满意。"),
        ("👍👍", "👍 👍 !"),
        ("bought 2", "bought: 2"),
    ],
)
def test_copies_of_a_text_share_a_hash(same: tuple[str, ...]) -> None:
    assert len(np.unique(hashed(*same))) == 1


def test_other_texts_have_other_hashes() -> None:
    texts = ("great product", "product great", "great products", "great 2", "👍", "👎", "")
    assert len(np.unique(hashed(*texts))) == len(texts)


def test_copies_with_one_rating_are_learned_in_any_order() -> None:
    rows = copies(of=100)
    states = [
        Sentiment(text="text", rating="rating", max_rows=250).fit(changed).state
        for changed in (rows, shuffled(rows, 1), shuffled(rows, 2))
    ]
    assert len(set(map(digest, states))) == 1
