"""A new champion takes over without a request being lost; one that cannot be loaded does not."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pyarrow import parquet

from reviewml import Files, LocalRegistry
from reviewml.serve import create_app
from reviewml.serve.champion import Champion


def until(true: Callable[[], bool]) -> None:
    # A challenger is first tried in a process of its own, which takes some seconds to start.
    for _ in range(6_000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come")


def test_a_switch_under_load_loses_no_request(registry, simple, serving, new, json_rows) -> None:
    body = {"rows": json_rows(new.slice(0, 3))}
    answered: list[tuple[int, Any]] = []
    stopped = threading.Event()

    def keep_asking(client: Any) -> None:
        while not stopped.is_set():
            answer = client.post("/predict", json=body)
            answered.append((answer.status_code, answer.json().get("model")))

    with serving(create_app(registry, "visits@champion", refresh=0.05)) as client:
        threads = [threading.Thread(target=keep_asking, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: (200, "visits@1") in answered)
        registry.log(simple, name="visits", alias="champion")
        until(lambda: (200, "visits@2") in answered)
        registry.alias("visits", "champion", 1, reason="rolled back")
        until(lambda: answered[-1] == (200, "visits@1"))
        stopped.set()
        for thread in threads:
            thread.join()
    counts = Counter(answered)
    assert set(counts) == {(200, "visits@1"), (200, "visits@2")}
    assert sum(counts.values()) == len(answered)


def test_one_that_cannot_be_loaded_leaves_the_old(registry, simple, serving, new, json_rows):
    with serving(create_app(registry, "visits@champion", refresh=0.05)) as client:
        registry.log(simple, name="visits")
        shutil.rmtree(Path(registry.path) / "visits" / "2" / "model")
        registry.alias("visits", "champion", 2)
        until(lambda: client.get("/health").json()["problem"] is not None)
        health = client.get("/health")
        answer = client.post("/predict", json={"rows": json_rows(new.slice(0, 1))})
        registry.log(simple, name="visits", alias="champion")
        until(lambda: client.get("/health").json()["model"] == "visits@3")
        assert client.get("/health").json()["problem"] is None
    assert health.status_code == 200
    assert health.json()["model"] == answer.json()["model"] == "visits@1"
    assert health.json()["problem"] == "visits@2 cannot be loaded (DamagedModel)"


def test_without_any_model_it_is_not_well(registry, serving, caplog) -> None:
    with caplog.at_level(logging.ERROR), serving(create_app(registry, "visits@best")) as client:
        health, answer = client.get("/health"), client.post("/predict", json={"rows": []})
        assert client.get("/model").status_code == 503
        assert client.get("/openapi.json").status_code == 200
    assert health.status_code == 503
    assert health.json()["status"] == "failed"
    assert health.json()["problem"] == "visits@best cannot be loaded (ModelNotFound)"
    assert answer.status_code == 415 or answer.status_code == 503
    assert "Did you mean" in caplog.text or "There is 'champion'" in caplog.text


def test_reviews_are_read_anew(with_history, shop, tmp_path) -> None:
    reviews = tmp_path / "reviews.parquet"
    roles = {"id": "review_id", "text": "body", "rating": "stars", "time": "posted_at"}
    parquet.write_table(shop.reviews.slice(0, 100), reviews)
    registry = LocalRegistry(tmp_path / "models")
    registry.log(with_history, name="m")
    champion = Champion(registry, "m", reviews=Files(str(reviews), **roles), reread=1e-9)
    first = champion.load()
    parquet.write_table(shop.reviews, reviews)
    assert champion.load() is not first
    patient = Champion(registry, "m", reviews=Files(str(reviews), **roles))
    assert patient.load() is patient.load()


def test_a_pipeline_that_only_enriches_is_not_served(registry, reviews: pa.Table) -> None:
    from reviewml import Pipeline
    from reviewml.enrichers import Language
    from reviewml.errors import SchemaError

    only = Pipeline([("language", Language())], text="text").fit(reviews.slice(0, 10))
    registry.log(only, name="words")
    with pytest.raises(SchemaError, match="only enriches"):
        Champion(registry, "words").load()


def test_a_version_that_is_not_signed_is_not_even_tried(registry, simple, tmp_path, monkeypatch):
    private = Ed25519PrivateKey.generate()
    key, public = tmp_path / "key.pem", tmp_path / "key.pub.pem"
    pem = serialization.Encoding.PEM
    key.write_bytes(
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    LocalRegistry(registry.path, key=key).log(simple, name="signed")
    champion = Champion(LocalRegistry(registry.path, verify=public), "signed")
    champion.load()
    tried = []
    monkeypatch.setattr("reviewml.serve.champion.try_model", tried.append)
    registry.log(simple, name="signed")
    champion.look()
    assert champion.served.name == "signed@1"
    assert "UntrustedModel" in champion.problem
    assert tried == []
    LocalRegistry(registry.path, key=key).log(simple, name="signed")
    champion.look()
    assert champion.served.name == "signed@3"
    assert len(tried) == 1
