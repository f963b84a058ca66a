"""A pipeline learns and says the same next to Snowflake's tables as on rows of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

pytest.importorskip("snowflake_double")
pytest.importorskip("snowflake.ml")

from snowflake_double import Double, snowflake_double

from reviewml import Files, Frame, Pipeline
from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.registry.registry import SnowflakeRegistry
from reviewml.backends.snowflake.sources.tables import SnowflakeTable
from reviewml.datasets import make_reviews, make_shop
from reviewml.errors import CapabilityError, NotFitted, SchemaError
from reviewml.featurizers import Features
from reviewml.testing.pipeline import (
    HistoryPipelineContract,
    ReviewPipelineContract,
    list_differing,
    sort_by_id,
)
from reviewml.trainers import LogisticRegression

if TYPE_CHECKING:
    from snowflake.snowpark import Session

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:'sentiment' failed on"),  # languages with few reviews
]

ROWS = 1_200


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


@pytest.fixture(scope="module")
def session(double: Double) -> Iterator[Session]:
    with contextlib.closing(double.session()) as session:
        yield session


@pytest.fixture(scope="module")
def there(session: Session) -> SnowflakeBackend:
    return SnowflakeBackend(session=session, store=None)


@pytest.fixture(scope="module")
def registry(session: Session) -> SnowflakeRegistry:
    return SnowflakeRegistry(session)


def kept(backend: SnowflakeBackend, name: str, table: pa.Table, **roles: Any) -> SnowflakeTable:
    """Write a table to Snowflake, and return it as a source."""
    backend.read(Frame(table, **roles)).merge(name)
    return SnowflakeTable(name, **roles, connection=backend.session)


class TestReviews(ReviewPipelineContract):
    @pytest.fixture(scope="class")
    def backend(self, there: SnowflakeBackend) -> SnowflakeBackend:
        return there

    @pytest.fixture(scope="class")
    def reviews(self, backend: SnowflakeBackend) -> SnowflakeTable:
        table = make_reviews(ROWS, random_state=3)
        return kept(backend, "REVIEWS", table, id="id", text="text")

    def test_learns_from_a_frame_what_it_learns_from_the_table(
        self, backend: SnowflakeBackend, tmp_path: Path
    ) -> None:
        table = make_reviews(600, random_state=6)
        here = self.unfitted().fit(table)
        assert list_differing(here, self.unfitted().on(backend).fit(table), tmp_path) == []

    def test_enriches_the_same(
        self, backend: SnowflakeBackend, local: Pipeline, reviews: SnowflakeTable
    ) -> None:
        here, there = (
            sort_by_id(local.enrich(reviews)),
            sort_by_id(local.on(backend).enrich(reviews)),
        )
        pd.testing.assert_frame_equal(here, there, check_exact=True)

    def test_explains_and_plans_the_same(
        self, backend: SnowflakeBackend, local: Pipeline, reviews: SnowflakeTable
    ) -> None:
        new, remote = make_reviews(400, random_state=5), local.on(backend)
        one, other = local.explain(new), remote.explain(new)
        assert [f.name for f in one.features] == [f.name for f in other.features]
        np.testing.assert_allclose(other.contributions, one.contributions, atol=1e-5)
        planned = remote.plan(reviews)
        assert [step.rows for step in planned.steps] == [
            step.rows for step in local.plan(reviews).steps
        ]

    def test_is_logged_run_and_explained_there(
        self,
        backend: SnowflakeBackend,
        registry: SnowflakeRegistry,
        remote: Pipeline,
        reviews: SnowflakeTable,
        tmp_path: Path,
    ) -> None:
        registry.log(remote, name="recommended", alias="champion")
        assert list_differing(remote, registry.load("recommended@champion"), tmp_path) == []
        remote.enrich(reviews).merge("ENRICHED")
        ran = registry.run("recommended@champion", "ENRICHED").to_pandas()
        ran = ran.sort_values("id").reset_index(drop=True)
        expected = sort_by_id(remote.predict(reviews))
        np.testing.assert_allclose(ran["probability"], expected["probability"], atol=1e-6)
        assert ran["prediction"].tolist() == expected["prediction"].tolist()
        told = registry.run("recommended", "ENRICHED", method="explain").to_pandas()
        told = told.sort_values("id").filter(regex="_explanation$").to_numpy()
        found = remote.explain(make_reviews(ROWS, random_state=3).sort_by("id"))
        np.testing.assert_allclose(told, found.contributions[:, 0], atol=1e-5)
        with pytest.raises(CapabilityError, match=r"step 'language' .*Python"):
            registry.create_view("SCORED", "REVIEWS", "recommended")
        with pytest.raises(SchemaError, match="Rows have to be enriched first"):
            registry.run("recommended", "REVIEWS")


class TestHistory(HistoryPipelineContract):
    @pytest.fixture(scope="class")
    def backend(self, there: SnowflakeBackend) -> SnowflakeBackend:
        return there

    @pytest.fixture(scope="class")
    def shop(self, backend: SnowflakeBackend) -> dict[str, Any]:
        made = make_shop(n_products=40, n_views=2_000, random_state=1)
        views = kept(backend, "VIEWS", made.views, id="view_id", time="viewed_at")
        orders = kept(backend, "ORDERS", made.orders, id="order_id", time="ordered_at")
        roles = {"id": "review_id", "text": "body", "rating": "stars", "time": "posted_at"}
        reviews = kept(backend, "TOLD", made.reviews, **roles)
        by = ["customer_id", "product_id"]
        return {
            "views": views.label(orders, by=by, within="3d", name="bought"),
            "reviews": reviews,
        }

    def test_is_logged_and_run_there_on_enriched_rows(
        self,
        backend: SnowflakeBackend,
        registry: SnowflakeRegistry,
        local: Pipeline,
        shop: dict[str, Any],
    ) -> None:
        remote = local.on(backend)
        registry.log(remote, name="purchase")
        remote.enrich(shop["views"]).merge("SEEN")
        ran = registry.run("purchase", "SEEN").to_pandas().sort_values("view_id")
        expected = sort_by_id(remote.predict(shop["views"]))
        np.testing.assert_allclose(ran["probability"], expected["probability"], atol=1e-6)
        loaded = registry.load("purchase").on(backend)
        with pytest.raises(NotFitted, match=r"looks at reviews, and a saved pipeline holds none"):
            loaded.predict(shop["views"])
        again = sort_by_id(loaded.predict(shop["views"], reviews=shop["reviews"]))
        pd.testing.assert_frame_equal(again, expected)
        with pytest.raises(CapabilityError, match="step 'product'"):
            registry.create_view("SCORED_VIEWS", "VIEWS", "purchase")


def test_rows_are_read_with_the_types_fitted_on(there: SnowflakeBackend, tmp_path: Path) -> None:
    texts = ["Good; &amp; cheap?", "Γιατί; 很好！", "a\u00a0b - c", None]
    table = pa.table(
        {
            "id": [f"r{n}" for n in range(60)],
            "price": [n % 7 + 0.5 for n in range(60)],
            "body": texts * 15,
            "y": [n % 3 > 0 for n in range(60)],
        }
    )
    steps = [("features", Features()), ("model", LogisticRegression())]
    roles: dict[str, Any] = {"id": "id", "text": "body"}
    pipe = Pipeline(steps).fit(Frame(table, **roles), target="y")
    (tmp_path / "today.csv").write_text("id,price,body\n1,,Bad;\n2,,x\n")
    nulls = pa.table({"id": ["1"], "price": pa.nulls(1, pa.string()), "body": ["x"]})
    for rows in (Frame(table, **roles), Files(tmp_path / "today.csv", **roles), Frame(nulls)):
        here, found = pipe.predict(rows), pipe.on(there).predict(rows)
        pd.testing.assert_frame_equal(sort_by_id(found), sort_by_id(here), rtol=0, atol=1e-6)
