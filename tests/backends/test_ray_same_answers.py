"""A pipeline learns and says the same on a cluster as here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("ray")

from reviewml import Files, Frame, Pipeline
from reviewml.backends.ray.backend import RayBackend
from reviewml.datasets import make_reviews, make_shop
from reviewml.featurizers import Features
from reviewml.testing.pipeline import HistoryPipelineContract, ReviewPipelineContract
from reviewml.trainers import LogisticRegression

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


class TestReviews(ReviewPipelineContract):
    @pytest.fixture(scope="class")
    def backend(self) -> RayBackend:
        return RAY

    @pytest.fixture(scope="class")
    def reviews(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        table = make_reviews(3_000, random_state=3)
        return in_parts(table, tmp_path_factory.mktemp("reviews") / "parts")


class TestHistory(HistoryPipelineContract):
    @pytest.fixture(scope="class")
    def backend(self) -> RayBackend:
        return RAY

    @pytest.fixture(scope="class")
    def shop(self, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
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


def test_rows_are_read_with_the_types_fitted_on(tmp_path: Path) -> None:
    lines = "".join(f"{n},{n % 7}.5,Good; &amp; {n}?,{n % 2}\n" for n in range(100))
    (tmp_path / "fit/shop=00501").mkdir(parents=True)
    (tmp_path / "fit/shop=a").mkdir()
    (tmp_path / "fit/shop=00501/0.csv").write_text(f"id,price,body,y\n{lines}")
    (tmp_path / "fit/shop=a/0.csv").write_text(f"id,price,body,y\n{lines}")
    steps = [("features", Features()), ("model", LogisticRegression())]
    roles: dict[str, Any] = {"id": "id", "text": "body"}
    pipe = Pipeline(steps).fit(Files(tmp_path / "fit", **roles), target="y")
    for number, shop in enumerate(["10115", "00501"]):
        (tmp_path / f"today/shop={shop}").mkdir(parents=True)
        (tmp_path / f"today/shop={shop}/0.csv").write_text(f"id,price,body\n{number},,Bad;\n")
    today = Files(tmp_path / "today", **roles)
    nulls = pa.table({"id": [1], "price": pa.nulls(1, pa.string()), "shop": ["a"], "body": ["x"]})
    for rows in (today, Frame(nulls, **roles)):
        here = pipe.predict(rows).to_arrow().sort_by("id")
        assert pipe.on(RAY).predict(rows).to_arrow().sort_by("id").equals(here)
    assert [feature.column for feature in pipe.features_][:2] == ["price", "shop"]
