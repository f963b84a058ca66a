"""A pipeline learns and says the same on a cluster as here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("ray")

from reviewml import Files, Pipeline, load
from reviewml.backends.ray.backend import RayBackend
from reviewml.datasets import make_reviews, make_shop
from reviewml.enrichers import Language, Quality, ReviewHistory, Sentiment
from reviewml.featurizers import Features
from reviewml.trainers import XGBoost

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.slow,
]

RAY = RayBackend(store=None)


def in_parts(table: pa.Table, folder: Path, rows: int = 700) -> Path:
    """Write a table as several files, so that there are several tasks and blocks."""
    folder.mkdir()
    for part, first in enumerate(range(0, len(table), rows)):
        pq.write_table(table.slice(first, rows), folder / f"{part:03}.parquet")
    return folder


def saved(pipeline: Pipeline, folder: Path) -> dict[str, bytes]:
    """Return the bytes of the files of a saved pipeline, by their path."""
    pipeline.save(folder)
    files = [file for part in ("steps", "model") for file in (folder / part).rglob("*")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def by_id(dataset: Any, key: str = "id") -> pd.DataFrame:
    return dataset.to_pandas().sort_values(key).reset_index(drop=True)


class TestReviews:
    """Every row is a review."""

    @pytest.fixture(scope="class")
    def reviews(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        table = make_reviews(3_000, random_state=3)
        return in_parts(table, tmp_path_factory.mktemp("reviews") / "parts")

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
    def local(self, reviews: Path) -> Pipeline:
        return self.unfitted().fit(reviews)

    @pytest.fixture(scope="class")
    def remote(self, reviews: Path) -> Pipeline:
        return self.unfitted().on(RAY).fit(reviews)

    def test_learns_the_same_bytes(self, local: Pipeline, remote: Pipeline, tmp_path: Path) -> None:
        here, there = saved(local, tmp_path / "local"), saved(remote, tmp_path / "ray")
        assert here.keys() == there.keys()
        assert [name for name in here if here[name] != there[name]] == []
        assert local.report_["rows"] == remote.report_["rows"]

    def test_scores_the_same(self, local: Pipeline, reviews: Path) -> None:
        here, there = by_id(local.predict(reviews)), by_id(local.on(RAY).predict(reviews))
        assert here["id"].equals(there["id"])
        np.testing.assert_allclose(there["probability"], here["probability"], atol=1e-6)
        assert here["prediction"].equals(there["prediction"])

    def test_a_frame_keeps_its_order(self, local: Pipeline) -> None:
        frame = make_reviews(500, random_state=4).to_pandas().sample(frac=1.0, random_state=0)
        remote = local.on(RAY)
        np.testing.assert_array_equal(remote.transform(frame), local.transform(frame))
        np.testing.assert_allclose(
            remote.predict_proba(frame), local.predict_proba(frame), atol=1e-6
        )

    def test_evaluates_the_same(self, local: Pipeline) -> None:
        new = make_reviews(800, random_state=5)
        here, there = local.evaluate(new), local.on(RAY).evaluate(new)
        assert here.metrics["auc"].value == pytest.approx(there.metrics["auc"].value, abs=1e-6)

    def test_saves_and_loads(self, remote: Pipeline, reviews: Path, tmp_path: Path) -> None:
        loaded = load(remote.save(tmp_path / "model"))
        here, there = by_id(loaded.predict(reviews)), by_id(remote.predict(reviews))
        pd.testing.assert_frame_equal(here, there)


class TestHistory:
    """Rows are views of a shop, and reviews are looked at as they were at that time."""

    @pytest.fixture(scope="class")
    def shop(self, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
        made = make_shop(n_products=60, n_views=4_000, random_state=1)
        folder = tmp_path_factory.mktemp("shop")
        views = Files(in_parts(made.views, folder / "views"), id="view_id", time="viewed_at")
        orders = Files(in_parts(made.orders, folder / "orders"), id="order_id", time="ordered_at")
        roles = {"id": "review_id", "text": "body", "rating": "stars", "time": "posted_at"}
        reviews = Files(in_parts(made.reviews, folder / "reviews", 300), **roles)
        by = ["customer_id", "product_id"]
        return {
            "views": views.label(orders, by=by, within="3d", name="bought"),
            "reviews": reviews,
        }

    def unfitted(self, shop: dict[str, Files]) -> Pipeline:
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
    def local(self, shop: dict[str, Files]) -> Pipeline:
        return self.unfitted(shop).fit(shop["views"])

    def test_learns_the_same_bytes(
        self, local: Pipeline, shop: dict[str, Files], tmp_path: Path
    ) -> None:
        remote = self.unfitted(shop).on(RAY).fit(shop["views"])
        here, there = saved(local, tmp_path / "local"), saved(remote, tmp_path / "ray")
        assert here.keys() == there.keys()
        assert [name for name in here if here[name] != there[name]] == []

    def test_features_are_the_same_bits(self, local: Pipeline, shop: dict[str, Files]) -> None:
        here = by_id(local.enrich(shop["views"]), "view_id")
        there = by_id(local.on(RAY).enrich(shop["views"]), "view_id")
        pd.testing.assert_frame_equal(here, there, check_exact=True)
        frame = here.drop(columns=[name for name in here if name.startswith("product_")])
        frame["product_id"] = here["product_id"]
        np.testing.assert_array_equal(local.on(RAY).transform(frame), local.transform(frame))

    def test_scores_the_same(self, local: Pipeline, shop: dict[str, Files]) -> None:
        here = by_id(local.predict(shop["views"]))
        there = by_id(local.on(RAY).predict(shop["views"]))
        np.testing.assert_allclose(there["probability"], here["probability"], atol=1e-6)
