"""Contracts of whole pipelines: what they learn and say on a backend is what they do here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reviewml.data.backend import Backend
from reviewml.datasets import make_reviews
from reviewml.enrichers import Aspects, Language, Quality, ReviewHistory, Sentiment
from reviewml.featurizers import Features
from reviewml.pipeline import Pipeline, load
from reviewml.trainers import XGBoost


def read_saved(pipeline: Pipeline, folder: Path) -> dict[str, bytes]:
    """Return the bytes of the files of a saved pipeline, by their path."""
    pipeline.save(folder)
    files = [file for part in ("steps", "model") for file in (folder / part).rglob("*")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def list_differing(one: Pipeline, other: Pipeline, folder: Path) -> list[str]:
    """Return the files in which two pipelines differ once they are saved."""
    own_files, other_files = read_saved(one, folder / "one"), read_saved(other, folder / "other")
    return [
        name
        for name in own_files.keys() | other_files.keys()
        if own_files.get(name) != other_files.get(name)
    ]


def sort_by_id(dataset: Any, key: str = "id") -> pd.DataFrame:
    """Return all rows sorted by id: not every backend keeps their order."""
    frame: pd.DataFrame = dataset.to_pandas().sort_values(key).reset_index(drop=True)
    return frame


class ReviewPipelineContract:
    """Every row is a review; subclass it and override `backend` and `reviews`."""

    @pytest.fixture(scope="class")
    def backend(self) -> Backend:
        """Return the backend under test."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture(scope="class")
    def reviews(self) -> Any:
        """Return a thousand rows or more of `make_reviews`, as they are read on either backend."""
        raise NotImplementedError("override the fixture `reviews`")

    def unfitted(self) -> Pipeline:
        """Return the pipeline that is fitted here and there."""
        return Pipeline(
            [
                ("language", Language()),
                ("sentiment", Sentiment()),
                ("quality", Quality()),
                ("aspects", Aspects("retail")),
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
    def local(self, reviews: Any) -> Pipeline:
        """Return it as it was fitted here."""
        return self.unfitted().fit(reviews)

    @pytest.fixture(scope="class")
    def remote(self, backend: Backend, reviews: Any) -> Pipeline:
        """Return it as it was fitted on the backend."""
        return self.unfitted().on(backend).fit(reviews)

    def test_learns_the_same_bytes(self, local: Pipeline, remote: Pipeline, tmp_path: Path) -> None:
        assert list_differing(local, remote, tmp_path) == []
        assert local.report_["rows"] == remote.report_["rows"]

    def test_scores_the_same(self, backend: Backend, local: Pipeline, reviews: Any) -> None:
        expected, remote = (
            sort_by_id(local.predict(reviews)),
            sort_by_id(local.on(backend).predict(reviews)),
        )
        assert expected["id"].equals(remote["id"])
        np.testing.assert_allclose(remote["probability"], expected["probability"], atol=1e-6)
        assert expected["prediction"].equals(remote["prediction"])

    def test_a_frame_keeps_its_order(self, backend: Backend, local: Pipeline) -> None:
        frame = make_reviews(500, random_state=4).to_pandas().sample(frac=1.0, random_state=0)
        remote = local.on(backend)
        np.testing.assert_array_equal(remote.transform(frame), local.transform(frame))
        np.testing.assert_allclose(
            remote.predict_proba(frame), local.predict_proba(frame), atol=1e-6
        )

    def test_evaluates_the_same(self, backend: Backend, local: Pipeline) -> None:
        new = make_reviews(800, random_state=5)
        expected, remote = local.evaluate(new), local.on(backend).evaluate(new)
        assert expected.metrics["auc"].value == pytest.approx(remote.metrics["auc"].value, abs=1e-6)

    def test_saves_and_loads(self, remote: Pipeline, reviews: Any, tmp_path: Path) -> None:
        loaded = load(remote.save(tmp_path / "model"))
        here, there = sort_by_id(loaded.predict(reviews)), sort_by_id(remote.predict(reviews))
        pd.testing.assert_frame_equal(here, there)


class HistoryPipelineContract:
    """Rows are views of a shop, and reviews are looked at as they were at that time.

    Subclass it and override `backend` and `shop`.
    """

    @pytest.fixture(scope="class")
    def backend(self) -> Backend:
        """Return the backend under test."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture(scope="class")
    def shop(self) -> dict[str, Any]:
        """Return ``views``, labelled with ``bought``, and ``reviews`` of `make_shop`.

        They are sources with their roles, which are read on either backend.
        """
        raise NotImplementedError("override the fixture `shop`")

    def unfitted(self, shop: dict[str, Any]) -> Pipeline:
        """Return the pipeline that is fitted here and there."""
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
        """Return it as it was fitted here."""
        return self.unfitted(shop).fit(shop["views"])

    def test_learns_the_same_bytes(
        self, backend: Backend, local: Pipeline, shop: dict[str, Any], tmp_path: Path
    ) -> None:
        remote = self.unfitted(shop).on(backend).fit(shop["views"])
        assert list_differing(local, remote, tmp_path) == []

    def test_features_are_the_same_bits(
        self, backend: Backend, local: Pipeline, shop: dict[str, Any]
    ) -> None:
        expected = sort_by_id(local.enrich(shop["views"]), "view_id")
        there = sort_by_id(local.on(backend).enrich(shop["views"]), "view_id")
        pd.testing.assert_frame_equal(expected, there, check_exact=True)
        frame = expected.drop(columns=[name for name in expected if name.startswith("product_")])
        frame["product_id"] = expected["product_id"]
        remote = local.on(backend)
        np.testing.assert_array_equal(remote.transform(frame), local.transform(frame))

    def test_scores_the_same(self, backend: Backend, local: Pipeline, shop: dict[str, Any]) -> None:
        expected = sort_by_id(local.predict(shop["views"]))
        remote = sort_by_id(local.on(backend).predict(shop["views"]))
        np.testing.assert_allclose(remote["probability"], expected["probability"], atol=1e-6)
