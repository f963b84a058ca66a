"""Whatever is sent, a service says what was wrong with it, and goes on."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest

from reviewml import LocalRegistry
from reviewml.serve import Limits, create_app

SMALL = Limits(request_rows=100, body_bytes=50_000)


@pytest.fixture
def client(registry: LocalRegistry, serving: Callable[..., Any]) -> Iterator[httpx.Client]:
    with serving(create_app(registry, "visits@champion", limits=SMALL)) as started:
        yield started


@pytest.fixture
def good(new: pa.Table, json_rows: Callable[..., Any]) -> dict[str, Any]:
    return {"rows": json_rows(new.slice(0, 2))}


def check(client: httpx.Client, requests: Iterator[Any]) -> set[int]:
    """Send requests, each of which must be refused, and return the status codes."""
    found = set()
    for request in requests:
        answer = request.send(client)
        assert 400 <= answer.status_code < 500, (request.why, answer.text)
        detail = answer.json()["detail"]
        assert detail
        assert isinstance(detail, str)
        assert "Traceback" not in detail
        found.add(answer.status_code)
    return found


def test_hostile_requests_are_refused(client, good, hostile) -> None:
    assert check(client, hostile(400)) == {400, 404, 405, 413, 415, 422}
    assert client.post("/predict", json=good).status_code == 200


@pytest.mark.slow
def test_ten_thousand_hostile_requests_are_refused(client, good, hostile) -> None:
    before = client.post("/predict", json=good).json()
    check(client, hostile(10_000, seed=1))
    assert client.post("/predict", json=good).json() == before


def test_bytes_that_change_by_chance_never_break_it(client, good) -> None:
    draw = random.Random(0)
    body = json.dumps(good, ensure_ascii=False).encode()
    for _ in range(300):
        spoilt = bytearray(body)
        for _ in range(draw.randint(1, 3)):
            spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
        answer = client.post(
            "/predict", content=bytes(spoilt), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code < 500, bytes(spoilt)
        assert answer.json()


def test_no_text_is_quoted(client, good) -> None:
    for row in ({"rating": "a very private text"}, {"time": "a very private text"}):
        answer = client.post("/predict", json={"rows": [good["rows"][0] | row]})
        assert answer.status_code == 422
        assert "private" not in answer.text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"price": "9"}, "row 1, column 'price': expected a finite number (double) or null, got"),
        ({"pages_viewed": 2**63}, "expected a whole number (int64) or null, got 9223372036854775"),
        ({"mobile": 1}, "row 1, column 'mobile': expected true or false (bool) or null, got 1."),
        (
            {"time": "now"},
            "such as '2026-01-31T12:00:00Z' (timestamp[us, tz=UTC]) or null, got",
        ),
        ({"pirce": 9.0}, "row 1: no column 'pirce'. Did you mean 'price'?"),
    ],
)
def test_a_row_that_does_not_fit_is_named(client, good, row, said: str) -> None:
    good["rows"][1] |= row
    answer = client.post("/predict", json=good)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_a_column_that_is_missing_is_named(client, good) -> None:
    del good["rows"][1]["price"]
    answer = client.post("/predict", json=good)
    assert answer.json()["detail"] == (
        "row 1 lacks 'price': send every column, with null for unknown values."
    )


def test_a_large_body_is_not_read_to_its_end(client) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        while len(sent) < 10_000:
            sent.append(1)
            yield b" " * 10_000

    # The server answers, and closes the connection, while we still send.
    with contextlib.suppress(httpx.TransportError):
        headers = {"Content-Type": "application/json"}
        assert client.post("/predict", content=endless(), headers=headers).status_code == 413
    assert len(sent) < 10_000
