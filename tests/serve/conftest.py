"""Models to serve, a server for them, and requests that nobody should send."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
import uvicorn

from reviewml import Frame, LocalRegistry, Pipeline
from reviewml.datasets import make_reviews, make_shop
from reviewml.enrichers import Language, ReviewHistory, Sentiment
from reviewml.featurizers import Features
from reviewml.trainers import LogisticRegression, XGBoost

JSON = {"Content-Type": "application/json"}
ROLES = {"id": "id", "text": "text", "rating": "rating", "time": "time"}

Rows = list[dict[str, Any]]


@contextlib.contextmanager
def served(app: Any) -> Iterator[httpx.Client]:
    """Run an app on a free port, and wait until it has loaded, or failed to load, its model."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            while client.get("/health").json()["status"] == "loading":
                time.sleep(0.02)
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def serving() -> Callable[..., contextlib.AbstractContextManager[httpx.Client]]:
    return served


def as_json(rows: pa.Table) -> Rows:
    return json.loads(json.dumps(rows.to_pylist(), default=lambda moment: moment.isoformat()))


@pytest.fixture(scope="session")
def json_rows() -> Callable[[pa.Table], Rows]:
    return as_json


@pytest.fixture(scope="session")
def reviews() -> pa.Table:
    return make_reviews(900)


@pytest.fixture(scope="session")
def new(reviews: pa.Table) -> pa.Table:
    """Rows to predict: without the target."""
    return reviews.slice(600, 60).drop_columns(["recommended"])


@pytest.fixture(scope="session")
def fitted(reviews: pa.Table) -> Pipeline:
    steps = [("language", Language()), ("sentiment", Sentiment()), ("features", Features())]
    with pytest.warns(UserWarning, match="rated reviews in the language"):
        pipe = Pipeline([*steps, ("model", XGBoost(n_estimators=20))], **ROLES)
        return pipe.fit(reviews.slice(0, 600), target="recommended")


@pytest.fixture(scope="session")
def simple(reviews: pa.Table) -> Pipeline:
    """A small model that is quick to load."""
    steps = [("features", Features(exclude=["text"])), ("model", LogisticRegression())]
    return Pipeline(steps, **ROLES).fit(reviews.slice(0, 600), target="recommended")


@pytest.fixture(scope="session")
def shop() -> Any:
    return make_shop(n_products=30, n_customers=200, n_views=1_500)


@pytest.fixture(scope="session")
def shop_reviews(shop: Any) -> Frame:
    return Frame(shop.reviews, id="review_id", text="body", rating="stars", time="posted_at")


@pytest.fixture(scope="session")
def views(shop: Any) -> pa.Table:
    orders = Frame(shop.orders, time="ordered_at")
    seen = Frame(shop.views, id="view_id", time="viewed_at")
    keys = ["customer_id", "product_id"]
    from reviewml.data.frames import as_dataset

    return as_dataset(seen.label(orders, by=keys, within="7d", name="bought")).to_arrow()


@pytest.fixture(scope="session")
def with_history(views: pa.Table, shop_reviews: Frame) -> Pipeline:
    history = ReviewHistory(shop_reviews, by="product_id", windows=("30d", None))
    features = Features(exclude=["customer_id", "product_id"])
    steps = [("product", history), ("features", features), ("model", XGBoost(n_estimators=20))]
    return Pipeline(steps, id="view_id", time="viewed_at").fit(views, target="bought")


@pytest.fixture
def registry(tmp_path: Path, simple: Pipeline) -> LocalRegistry:
    kept = LocalRegistry(tmp_path / "models")
    kept.log(simple, name="visits", alias="champion", metrics={"auc": 0.75})
    return kept


# -- requests that nobody should send -------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Hostile:
    """A request, and what is wrong with it."""

    why: str
    content: bytes
    method: str = "POST"
    path: str = "/predict"
    headers: tuple[tuple[str, str], ...] = tuple(JSON.items())

    def send(self, client: httpx.Client) -> httpx.Response:
        return client.request(
            self.method, self.path, content=self.content, headers=dict(self.headers)
        )


DEEP = 100_000

WRONG = {
    "text": [1, 1.5, True, [], {}, ["a"], {"a": 1}, "a\0b", "\ud800", "\udfff tail"],
    "written_in": [0, False, [None], "\0"],
    "rating": ["5", "", True, [], {}, [5], "NaN", "1e5"],
    "pages_viewed": ["3", 3.5, 3.0, True, 2**63, -(2**63) - 1, 10**30, [], {}],
    "mobile": [0, 1, "true", "", [], {}, 1.0],
    "time": [0, 1.5, "", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", True, "\0"],
}

LITERALS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "9" * 5_000]

BODIES = [
    *(
        b"",
        b" ",
        b"null",
        b"true",
        b"0",
        b'"rows"',
        b"[]",
        b"{}",
        b"[[]]",
        b"{]",
        b"\xef\xbb\xbf{}",
    ),
    *(b'{"rows": null}', b'{"rows": {}}', b'{"rows": []}', b'{"rows": "x"}', b'{"rows": [[]]}'),
    *(b'{"rows": [null]}', b'{"rows": [1]}', b'{"rows": [{}]}', b'{"rows": [], "rows": []}'),
    *(
        b"\xef\xbb\xbf{}",
        b'{"row": []}',
        b"{'rows': []}",
        b'{"rows": [],}',
        b'{"rows": []} x',
        b'{"rows"}',
    ),
    *(b"[" * DEEP, b'{"a":' * DEEP, b'{"rows": ' + b"[" * 900 + b"]" * 900 + b"}"),
]

KINDS = ["application/xml", "text/plain", "", "application/json; charset=latin-1", "a/b;\t;;", "*"]


class Mutations:
    """Spoils a good request, in ways drawn from a seed."""

    def __init__(self, rows: Rows, seed: int) -> None:
        self.rows = rows
        self.draw = random.Random(seed)

    def requests(self, number: int) -> Iterator[Hostile]:
        ways = [
            *(self.of_bytes, self.of_values, self.of_values, self.of_literals, self.of_columns),
            *(self.of_bodies, self.of_http, self.of_size),
        ]
        for _ in range(number):
            yield self.draw.choice(ways)()

    def good(self) -> Rows:
        return [dict(row) for row in self.draw.choices(self.rows, k=self.draw.randint(1, 3))]

    def body(self, rows: Rows) -> bytes:
        return json.dumps({"rows": rows}, ensure_ascii=self.draw.random() < 0.5).encode(
            errors="surrogatepass"
        )

    def of_bytes(self) -> Hostile:
        body = self.body(self.good())
        place = self.draw.randrange(len(body))
        spoilt = {
            "cut off": body[:place],
            "no UTF-8": body[:place] + self.draw.choice([b"\xff", b"\xc0\x80"]) + body[place:],
            "more after the end": body + self.draw.choice([b"}", b"x", b"\0", b"{}"]),
            "UTF-16": body.decode(errors="replace").encode("utf-16"),
            "a control character": body.replace(b'"rows"', b'"ro\x01ws"'),
        }
        why = self.draw.choice(list(spoilt))
        return Hostile(why, spoilt[why])

    def of_values(self) -> Hostile:
        rows = self.good()
        column = self.draw.choice(list(WRONG))
        value = self.draw.choice(WRONG[column])
        self.draw.choice(rows)[column] = value
        return Hostile(f"{column} is {value!r:.40}", self.body(rows))

    def of_literals(self) -> Hostile:
        rows = self.good()
        literal = self.draw.choice(LITERALS)
        column = self.draw.choice(["rating", "pages_viewed", "text", "mobile"])
        self.draw.choice(rows)[column] = "@here@"
        body = json.dumps({"rows": rows}).replace('"@here@"', literal)
        return Hostile(f"{column} is {literal:.20}", body.encode())

    def of_columns(self) -> Hostile:
        rows = self.good()
        row = self.draw.choice(rows)
        name = self.draw.choice(list(row))
        way = self.draw.choice(["lacks", "more", "renamed", "twice"])
        if way in ("lacks", "renamed"):
            value = row.pop(name)
        if way == "renamed":
            row[self.draw.choice([name + "_", name.upper(), "\ud800", "é" * 500])] = value
        if way == "more":
            row[self.draw.choice(["recommended", "", "__place__", "__errors__", "x\n"])] = None
        body = self.body(rows)
        if way == "twice":
            quoted = json.dumps(name).encode()
            body = body.replace(quoted + b":", quoted + b": null, " + quoted + b":", 1)
        return Hostile(f"{way} {name!r}", body)

    def of_bodies(self) -> Hostile:
        body = self.draw.choice(BODIES)
        return Hostile(f"the body {body[:20]!r}", body)

    def of_http(self) -> Hostile:
        body = self.body(self.good())
        way = self.draw.choice(["type", "encoding", "method", "path"])
        if way == "type":
            return Hostile(way, body, headers=(("Content-Type", self.draw.choice(KINDS)),))
        if way == "encoding":
            return Hostile(way, body, headers=(*JSON.items(), ("Content-Encoding", "gzip")))
        if way == "method":
            return Hostile(way, body, method=self.draw.choice(["GET", "PUT", "DELETE", "PATCH"]))
        paths = ["/predict/", "/", "/predict/../x", "/Predict", "/model/1", "/%00", "/health/x"]
        return Hostile(way, body, path=self.draw.choice(paths))

    def of_size(self) -> Hostile:
        if self.draw.random() < 0.5:
            return Hostile("too many rows", self.body([{}] * 200))
        return Hostile("too many bytes", self.body([{"text": "a" * 70_000}]))


@pytest.fixture(scope="session")
def hostile(new: pa.Table) -> Callable[..., Iterator[Hostile]]:
    """Return requests that are wrong, given their number and a seed."""
    return lambda number, seed=0: Mutations(as_json(new), seed).requests(number)
