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

pytest.importorskip("fakesnow")
pytest.importorskip("snowflake.ml")

from reviewml import Frame, Pipeline, load
from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.registry import SnowflakeRegistry
from reviewml.backends.snowflake.source import SnowflakeTable
from reviewml.datasets import make_reviews, make_shop
from reviewml.enrichers import Language, Quality, ReviewHistory, Sentiment
from reviewml.errors import CapabilityError, NotFitted, SchemaError
from reviewml.featurizers import Features
from reviewml.testing.snowflake import Double, snowflake_double
from reviewml.trainers import XGBoost

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
def backend(session: Session) -> SnowflakeBackend:
    return SnowflakeBackend(session=session, store=None)


@pytest.fixture(scope="module")
def registry(session: Session) -> SnowflakeRegistry:
    return SnowflakeRegistry(session)


def kept(backend: SnowflakeBackend, name: str, table: pa.Table, **roles: Any) -> SnowflakeTable:
    """Write a table to Snowflake, and return it as a source."""
    backend.read(Frame(table, **roles)).merge(name)
    return SnowflakeTable(name, **roles, connection=backend.session)


def saved(pipeline: Pipeline, folder: Path) -> dict[str, bytes]:
    """Return the bytes of the files of a saved pipeline, by their path."""
    pipeline.save(folder)
    files = [file for part in ("steps", "model") for file in (folder / part).rglob("*")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def differing(one: Pipeline, other: Pipeline, folder: Path) -> list[str]:
    """Return the files in which two pipelines differ once they are saved."""
    here, there = saved(one, folder / "one"), saved(other, folder / "other")
    return [name for name in here.keys() | there.keys() if here.get(name) != there.get(name)]


def by_id(dataset: Any, key: str = "id") -> pd.DataFrame:
    return dataset.to_pandas().sort_values(key).reset_index(drop=True)


class TestReviews:
    """Every row is a review."""

    @pytest.fixture(scope="class")
    def reviews(self, backend: SnowflakeBackend) -> SnowflakeTable:
        table = make_reviews(ROWS, random_state=3)
        return kept(backend, "REVIEWS", table, id="id", text="text")

    def unfitted(self) -> Pipeline:
        return Pipeline(
            [
                ("language", Language()),
                ("sentiment", Sentiment()),
                ("quality", Quality()),
                ("features", Features()),
                ("model", XGBoost(n_estimators=40)),
            ],
            id="id",
            text="text",
            rating="rating",
            time="time",
            target="recommended",
        )

    @pytest.fixture(scope="class")
    def local(self, reviews: SnowflakeTable) -> Pipeline:
        return self.unfitted().fit(reviews)

    @pytest.fixture(scope="class")
    def remote(self, backend: SnowflakeBackend, reviews: SnowflakeTable) -> Pipeline:
        return self.unfitted().on(backend).fit(reviews)

    def test_learns_the_same_bytes(self, local: Pipeline, remote: Pipeline, tmp_path: Path) -> None:
        assert differing(local, remote, tmp_path) == []
        assert local.report_["rows"] == remote.report_["rows"]

    def test_learns_from_a_frame_what_it_learns_from_the_table(
        self, backend: SnowflakeBackend, tmp_path: Path
    ) -> None:
        table = make_reviews(600, random_state=6)
        here = self.unfitted().fit(table)
        assert differing(here, self.unfitted().on(backend).fit(table), tmp_path) == []

    def test_enriches_the_same(
        self, backend: SnowflakeBackend, local: Pipeline, reviews: SnowflakeTable
    ) -> None:
        here, there = by_id(local.enrich(reviews)), by_id(local.on(backend).enrich(reviews))
        pd.testing.assert_frame_equal(here, there, check_exact=True)

    def test_scores_the_same(
        self, backend: SnowflakeBackend, local: Pipeline, reviews: SnowflakeTable
    ) -> None:
        here, there = by_id(local.predict(reviews)), by_id(local.on(backend).predict(reviews))
        assert here["id"].equals(there["id"])
        np.testing.assert_allclose(there["probability"], here["probability"], atol=1e-6)
        assert here["prediction"].equals(there["prediction"])

    def test_a_frame_keeps_its_order(self, backend: SnowflakeBackend, local: Pipeline) -> None:
        frame = make_reviews(500, random_state=4).to_pandas().sample(frac=1.0, random_state=0)
        remote = local.on(backend)
        np.testing.assert_array_equal(remote.transform(frame), local.transform(frame))
        np.testing.assert_allclose(
            remote.predict_proba(frame), local.predict_proba(frame), atol=1e-6
        )

    def test_evaluates_explains_and_plans_the_same(
        self, backend: SnowflakeBackend, local: Pipeline, reviews: SnowflakeTable
    ) -> None:
        new, remote = make_reviews(400, random_state=5), local.on(backend)
        here, there = local.evaluate(new), remote.evaluate(new)
        assert here.metrics["auc"].value == pytest.approx(there.metrics["auc"].value, abs=1e-6)
        one, other = local.explain(new), remote.explain(new)
        assert [f.name for f in one.features] == [f.name for f in other.features]
        np.testing.assert_allclose(other.contributions, one.contributions, atol=1e-5)
        planned = remote.plan(reviews)
        assert [step.rows for step in planned.steps] == [
            step.rows for step in local.plan(reviews).steps
        ]

    def test_saves_and_loads(
        self, remote: Pipeline, reviews: SnowflakeTable, tmp_path: Path
    ) -> None:
        loaded = load(remote.save(tmp_path / "model"))
        here, there = by_id(loaded.predict(reviews)), by_id(remote.predict(reviews))
        pd.testing.assert_frame_equal(here, there)

    def test_is_logged_run_and_explained_there(
        self,
        backend: SnowflakeBackend,
        registry: SnowflakeRegistry,
        remote: Pipeline,
        reviews: SnowflakeTable,
        tmp_path: Path,
    ) -> None:
        registry.log(remote, name="recommended", alias="champion")
        assert differing(remote, registry.load("recommended@champion"), tmp_path) == []
        remote.enrich(reviews).merge("ENRICHED")
        ran = registry.run("recommended@champion", "ENRICHED").to_pandas()
        ran = ran.sort_values("id").reset_index(drop=True)
        expected = by_id(remote.predict(reviews))
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


class TestHistory:
    """Rows are views of a shop, and reviews are looked at as they were at that time."""

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

    def unfitted(self, shop: dict[str, Any]) -> Pipeline:
        history = ReviewHistory(
            shop["reviews"],
            by="product_id",
            enrichers=[("sentiment", Sentiment())],
            windows=("30d", None),
        )
        return Pipeline(
            [
                ("product", history),
                ("features", Features()),
                ("model", XGBoost(n_estimators=40)),
            ],
            target="bought",
        )

    @pytest.fixture(scope="class")
    def local(self, shop: dict[str, Any]) -> Pipeline:
        return self.unfitted(shop).fit(shop["views"])

    def test_learns_the_same_bytes(
        self, backend: SnowflakeBackend, local: Pipeline, shop: dict[str, Any], tmp_path: Path
    ) -> None:
        remote = self.unfitted(shop).on(backend).fit(shop["views"])
        assert differing(local, remote, tmp_path) == []

    def test_features_are_the_same_bits(
        self, backend: SnowflakeBackend, local: Pipeline, shop: dict[str, Any]
    ) -> None:
        here = by_id(local.enrich(shop["views"]), "view_id")
        there = by_id(local.on(backend).enrich(shop["views"]), "view_id")
        pd.testing.assert_frame_equal(here, there, check_exact=True)
        frame = here.drop(columns=[name for name in here if name.startswith("product_")])
        frame["product_id"] = here["product_id"]
        remote = local.on(backend)
        np.testing.assert_array_equal(remote.transform(frame), local.transform(frame))

    def test_scores_the_same(
        self, backend: SnowflakeBackend, local: Pipeline, shop: dict[str, Any]
    ) -> None:
        remote = local.on(backend)
        here, there = by_id(local.predict(shop["views"])), by_id(remote.predict(shop["views"]))
        np.testing.assert_allclose(there["probability"], here["probability"], atol=1e-6)

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
        expected = by_id(remote.predict(shop["views"]))
        np.testing.assert_allclose(ran["probability"], expected["probability"], atol=1e-6)
        loaded = registry.load("purchase").on(backend)
        with pytest.raises(NotFitted, match=r"looks at reviews, and a saved pipeline holds none"):
            loaded.predict(shop["views"])
        again = by_id(loaded.predict(shop["views"], reviews=shop["reviews"]))
        pd.testing.assert_frame_equal(again, expected)
        with pytest.raises(CapabilityError, match="step 'product'"):
            registry.create_view("SCORED_VIEWS", "VIEWS", "purchase")
