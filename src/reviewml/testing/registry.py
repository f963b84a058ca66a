"""RegistryContract: what every registry must do."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reviewml import plugins
from reviewml.errors import (
    DamagedModel,
    ModelNotFound,
    NotFitted,
    ParameterError,
    RegistryError,
)
from reviewml.featurizers import Features
from reviewml.pipeline import Pipeline
from reviewml.registries.base import Registry
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression

BEHAVIOUR = ["price", "clicks", "mobile", "layout", "bought"]


def unfitted() -> Pipeline:
    """Return a small pipeline that learns from behaviour alone."""
    return Pipeline([("features", Features()), ("model", LogisticRegression())])


@functools.cache
def fitted() -> Pipeline:
    """Return the same, fitted."""
    return unfitted().fit(make_example_rows(120).select(BEHAVIOUR), target="bought")


class RegistryContract:
    """Subclass it and override `registry`, and `storage` when its files can be reached."""

    @pytest.fixture
    def registry(self) -> Registry:
        """Return the registry under test, empty."""
        raise NotImplementedError("override the fixture `registry`")

    @pytest.fixture
    def storage(self) -> Path | None:
        """Return a folder under which it keeps its files; None when there is none here."""
        return None

    @pytest.fixture
    def pipeline(self) -> Pipeline:
        """Return a fitted pipeline."""
        return fitted()

    def test_is_registered_under_a_name(self, registry: Registry) -> None:
        name = plugins.get_catalogue().name_of("registries", type(registry))
        assert plugins.load("registries", name) is type(registry)

    def test_what_is_loaded_predicts_the_same_bits(
        self, registry: Registry, pipeline: Pipeline
    ) -> None:
        registry.log(pipeline, name="purchase")
        new = make_example_rows(50, random_state=1).select(BEHAVIOUR)
        loaded = registry.load("purchase")
        np.testing.assert_array_equal(loaded.predict_proba(new), pipeline.predict_proba(new))
        assert loaded.report_ == pipeline.report_
        assert loaded.features_ == pipeline.features_

    def test_versions_count_up(self, registry: Registry, pipeline: Pipeline) -> None:
        logged = [registry.log(pipeline, name="purchase") for _ in range(3)]
        assert [version.version for version in logged] == [1, 2, 3]
        assert list(registry.versions("purchase")) == logged
        assert registry.log(pipeline, name="other").version == 1
        assert list(registry.names()) == ["other", "purchase"]

    def test_references_stand_for_versions(self, registry: Registry, pipeline: Pipeline) -> None:
        for alias in ("champion", None, "challenger"):
            registry.log(pipeline, name="purchase", alias=alias)
        references = ("purchase", "purchase@2", "purchase@champion", "purchase@challenger")
        assert [registry.find(r).version for r in references] == [3, 2, 1, 3]
        for reference in references:
            assert registry.load(reference).classes_.tolist() == [False, True]

    def test_aliases_move(self, registry: Registry, pipeline: Pipeline) -> None:
        registry.log(pipeline, name="purchase", alias="champion")
        second = registry.log(pipeline, name="purchase", alias="champion")
        assert second.aliases == ("champion",)
        assert [v.aliases for v in registry.versions("purchase")] == [(), ("champion",)]
        registry.alias("purchase", "champion", 1, reason="version 2 was worse")
        registry.alias("purchase", "spare", 1)
        assert [v.aliases for v in registry.versions("purchase")] == [("champion", "spare"), ()]
        assert registry.find("purchase@champion").version == 1

    def test_history_only_grows(self, registry: Registry, pipeline: Pipeline) -> None:
        registry.log(pipeline, name="purchase", alias="champion", reason="the first")
        first = list(registry.history("purchase"))
        registry.log(pipeline, name="purchase", reason="more rows: größer")
        registry.alias("purchase", "champion", 2, reason="better on 客户")
        history = list(registry.history("purchase"))
        assert history[:1] == first
        assert [(e.event, e.version, e.alias, e.reason) for e in history] == [
            ("logged", 1, "champion", "the first"),
            ("logged", 2, None, "more rows: größer"),
            ("alias", 2, "champion", "better on 客户"),
        ]
        assert [event.time for event in history] == sorted(event.time for event in history)

    def test_metrics_are_kept(self, registry: Registry, pipeline: Pipeline) -> None:
        metrics = {"auc": 0.1 + 0.2, "log_loss": 0.25}
        registry.log(pipeline, name="purchase", metrics=metrics)
        registry.log(pipeline, name="purchase")
        assert [dict(v.metrics) for v in registry.versions("purchase")] == [metrics, {}]

    def test_metrics_that_cannot_be_read_back_are_refused(
        self, registry: Registry, pipeline: Pipeline
    ) -> None:
        metrics: Any
        for metrics in ([0.5], "auc", {1: 0.5}, {"": 0.5}, {"a\x1b[2J": 0.5}, {"\ud800": 0.5}):
            with pytest.raises((ParameterError, RegistryError), match="metrics"):
                registry.log(pipeline, name="purchase", metrics=metrics)
        value: Any
        for value in (None, "many", [1.0], 10**400):
            with pytest.raises(RegistryError, match="metrics\\['auc'\\]"):
                registry.log(pipeline, name="purchase", metrics={"auc": value})
        assert list(registry.names()) == []

    def test_what_is_not_there_is_named(self, registry: Registry, pipeline: Pipeline) -> None:
        with pytest.raises(ModelNotFound, match="purchase"):
            registry.load("purchase")
        registry.log(pipeline, name="purchase", alias="champion")
        for reference, hint in {
            "purchas": "'purchase'",
            "purchase@champoin": "'champion'",
            "purchase@7": "newest version is 1",
        }.items():
            with pytest.raises(ModelNotFound, match=hint):
                registry.load(reference)
        for missing in (registry.versions, registry.history):
            with pytest.raises(ModelNotFound, match="'purchase'"):
                missing("purchas")
        with pytest.raises(ModelNotFound, match="newest version is 1"):
            registry.alias("purchase", "champion", 2)
        assert len(registry.history("purchase")) == 1

    def test_odd_names_are_refused(self, registry: Registry, pipeline: Pipeline) -> None:
        for name in ("", "..", "a/b", "a\\b", "a@b", "../a", ".a", "a b", "é", "a\n"):
            with pytest.raises(RegistryError, match="cannot name a model"):
                registry.log(pipeline, name=name)
        for alias in ("", "3", "v3", "latest", "a@b", "a/b", "a\n"):
            with pytest.raises(RegistryError, match="cannot be an alias"):
                registry.log(pipeline, name="purchase", alias=alias)
        assert list(registry.names()) == []

    def test_unfitted_pipelines_are_refused(self, registry: Registry) -> None:
        with pytest.raises(NotFitted):
            registry.log(unfitted(), name="purchase")
        assert list(registry.names()) == []

    def test_damage_is_noticed(
        self, registry: Registry, pipeline: Pipeline, storage: Path | None
    ) -> None:
        if storage is None:
            pytest.skip("its files cannot be reached")
        registry.log(pipeline, name="purchase")
        [file] = storage.rglob("weights.safetensors")
        raw = bytearray(file.read_bytes())
        raw[-1] ^= 1
        file.write_bytes(raw)
        with pytest.raises(DamagedModel, match=r"weights\.safetensors"):
            registry.load("purchase")
