"""Requests that arrive together are predicted together; too many are told to come again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pyarrow as pa
import pytest

from reviewml import LocalRegistry
from reviewml.serve import Limits, create_app
from reviewml.serve.loaded_model import LoadedModel


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hold predictions back until it is opened, and note how many rows each has."""
    opened = threading.Event()
    opened.sizes = []
    predict = LoadedModel.predict

    def waiting(self: LoadedModel, batch: pa.RecordBatch) -> pa.RecordBatch:
        opened.sizes.append(len(batch))
        assert opened.wait(30)
        return predict(self, batch)

    opened.set()
    monkeypatch.setattr(LoadedModel, "predict", waiting)
    return opened


async def all_at_once(url: httpx.URL, rows: list[Any]) -> list[Any]:
    """Send each row as a request of its own."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        return await asyncio.gather(*(client.post("/predict", json={"rows": [r]}) for r in rows))


async def together(
    url: httpx.URL, rows: list[Any], gate: Any, *, waiting: int, then: Callable[[], None]
) -> list[Any]:
    """Send each row as a request of its own, and do something once so many rows wait."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        first, *others = ({"rows": [row]} for row in rows)
        sent = [asyncio.create_task(client.post("/predict", json=first))]
        while not gate.sizes:
            await asyncio.sleep(0.01)
        sent += [asyncio.create_task(client.post("/predict", json=body)) for body in others]
        while (await client.get("/health")).json()["waiting"] < waiting:
            await asyncio.sleep(0.01)
        then()
        return await asyncio.gather(*sent)


def test_requests_are_predicted_together(registry, serving, gate, new, json_rows) -> None:
    rows = json_rows(new)
    with serving(create_app(registry, "visits@champion")) as client:
        gate.sizes.clear()
        gate.sizes.clear()
        gate.clear()
        found = asyncio.run(together(client.base_url, rows, gate, waiting=59, then=gate.set))
    # The first came alone; the others waited for it, and then were one batch.
    assert gate.sizes == [1, len(rows) - 1]
    ids = [answer.json()["predictions"][0]["id"] for answer in found]
    assert ids == [row["id"] for row in rows]


def test_a_batch_has_an_end(registry, serving, gate, new, json_rows) -> None:
    limits = Limits(batch_rows=10)
    with serving(create_app(registry, "visits@champion", limits=limits)) as client:
        gate.sizes.clear()
        gate.clear()
        asyncio.run(together(client.base_url, json_rows(new)[:25], gate, waiting=24, then=gate.set))
    assert gate.sizes == [1, 10, 10, 4]


def test_requests_wait_a_little_for_others(registry, serving, gate, new, json_rows) -> None:
    limits = Limits(batch_wait=20.0, batch_rows=8)
    with serving(create_app(registry, "visits@champion", limits=limits)) as client:
        gate.sizes.clear()
        asyncio.run(all_at_once(client.base_url, json_rows(new)[:8]))
    assert gate.sizes == [8]


def test_too_much_is_told_to_come_again(registry, serving, gate, new, json_rows) -> None:
    rows = json_rows(new)[:20]
    limits = Limits(waiting_rows=5)
    with serving(create_app(registry, "visits@champion", limits=limits)) as client:
        gate.sizes.clear()
        gate.clear()
        found = asyncio.run(together(client.base_url, rows, gate, waiting=5, then=gate.set))
        codes = [answer.status_code for answer in found]
        refused = next(answer for answer in found if answer.status_code == 503)
        again = client.post("/predict", json={"rows": rows})
    # One was being predicted, five waited.
    assert (codes.count(200), codes.count(503)) == (6, 14)
    assert refused.headers["Retry-After"] == "1"
    assert "retry later" in refused.json()["detail"]
    assert again.status_code == 200


def test_waiting_has_an_end(registry: LocalRegistry, serving, gate, new, json_rows) -> None:
    limits = Limits(timeout=0.3)
    with serving(create_app(registry, "visits@champion", limits=limits)) as client:
        gate.clear()
        found = asyncio.run(all_at_once(client.base_url, json_rows(new)[:3]))
        gate.set()
        assert [answer.status_code for answer in found] == [503] * 3
        assert "no answer within 0.3 seconds" in found[0].json()["detail"]
        row = json_rows(new)[:1]
        while client.post("/predict", json={"rows": row}).status_code == 503:
            pass
        gate.sizes.clear()
        assert client.post("/predict", json={"rows": row}).status_code == 200
        # Those that were given up are not predicted.
        assert gate.sizes == [1]
