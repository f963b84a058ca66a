"""A pipeline learns and says the same on a cluster as here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("ray")

from reviewml import Files
from reviewml.backends.ray.backend import RayBackend
from reviewml.datasets import make_reviews, make_shop
from reviewml.testing.pipeline import HistoryPipelineContract, ReviewPipelineContract

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
