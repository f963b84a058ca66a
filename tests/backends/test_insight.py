"""Strengths and weaknesses are counted where the rows are: the same table on every backend."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from reviewml.insight import strengths_and_weaknesses

pytestmark = pytest.mark.slow


def make_labels() -> pa.Table:
    """Make reviews of six products in two categories, with and without mentions."""
    random = np.random.default_rng(0)
    product = random.integers(0, 6, 600)
    label = random.choice(["positive", "negative", "mixed", "neutral", "unknown"], 600)
    sentiment = random.uniform(-1, 1, 600)
    mentioned = random.random(600) < 0.8
    return pa.table(
        {
            "product_id": [f"P{number}" for number in product],
            "category": [f"C{number % 2}" for number in product],
            "sentiment_fit": pa.array(sentiment, mask=~mentioned),
            "sentiment_fit_label": pa.array(label, mask=~mentioned),
        }
    )


def test_ray_gives_the_same_table(ray_cluster: None) -> None:
    from reviewml.backends.ray import RayBackend

    local = strengths_and_weaknesses(make_labels(), compare_within="category").table
    rows = RayBackend().read(make_labels())
    assert strengths_and_weaknesses(rows, compare_within="category").table.equals(local)


def test_snowflake_gives_the_same_table() -> None:
    double = pytest.importorskip("snowflake_double").snowflake_double
    from reviewml.backends.snowflake import SnowflakeBackend

    local = strengths_and_weaknesses(make_labels(), compare_within="category").table
    with double() as account, account.session() as session:
        rows = SnowflakeBackend(session=session).read(make_labels())
        assert strengths_and_weaknesses(rows, compare_within="category").table.equals(local)
