"""Requests per second and latency of a served model, beside what people write themselves.

    python benchmarks/serve.py [--model reviews|history] [--seconds 3] [--concurrency 1 8 32 128]
        [--servers plain local ray]

Each request has one row; each figure is of a fresh server process, asked over as many connections
as said, each of which waits for its answer before it asks again. `plain` is a FastAPI function that
calls `pipeline.predict` for each request; it checks nothing. `reviews` reads texts; `history` looks
up what 10,000 or so reviews said of a product before a view.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from reviewml import Files, Frame, LocalRegistry, Pipeline
from reviewml.data.frames import as_dataset
from reviewml.datasets import make_reviews, make_shop
from reviewml.enrichers import Language, ReviewHistory, Sentiment
from reviewml.featurizers import Features
from reviewml.trainers import XGBoost

HOST = "127.0.0.1"
KEYS = ["customer_id", "product_id"]
SHOP = {"id": "review_id", "text": "body", "rating": "stars", "time": "posted_at"}
ROWS = 200


def made(model: str, folder: Path) -> list[dict[str, Any]]:
    """Fit and log a model, write its reviews, and return rows to ask about."""
    pipe, rows = with_history(folder) if model == "history" else with_texts()
    LocalRegistry(folder / "models").log(pipe, name="m", alias="champion")
    columns = [name for name in rows.column_names if name != pipe.roles_.target]
    dumped = json.dumps(rows.select(columns).to_pylist(), default=lambda moment: moment.isoformat())
    return json.loads(dumped)


def with_texts() -> tuple[Pipeline, pa.Table]:
    reviews = make_reviews(3_000)
    steps = [("language", Language()), ("sentiment", Sentiment()), ("features", Features())]
    pipe = Pipeline([*steps, ("model", XGBoost())], id="id", text="text", rating="rating")
    return pipe.fit(reviews, target="recommended"), reviews.slice(0, ROWS)


def with_history(folder: Path) -> tuple[Pipeline, pa.Table]:
    shop = make_shop(n_products=500, n_customers=5_000, n_views=50_000)
    parquet.write_table(shop.reviews, folder / "reviews.parquet")
    views = Frame(shop.views, id="view_id", time="viewed_at")
    orders = Frame(shop.orders, time="ordered_at")
    rows = as_dataset(views.label(orders, by=KEYS, within="7d", name="bought")).to_arrow()
    history = ReviewHistory(reviews_in(folder), by="product_id")
    steps = [("product", history), ("features", Features(exclude=KEYS)), ("model", XGBoost())]
    pipe = Pipeline(steps, id="view_id", time="viewed_at").fit(rows, target="bought")
    return pipe, rows.slice(0, ROWS)


def reviews_in(folder: Path) -> Files | None:
    path = folder / "reviews.parquet"
    return Files(str(path), **SHOP) if path.exists() else None


# -- servers --------------------------------------------------------------------------------------


def plain(folder: Path, port: int) -> None:
    import uvicorn
    from fastapi import Body, FastAPI

    pipe = LocalRegistry(folder / "models").load("m@champion")
    reviews = reviews_in(folder)
    app = FastAPI()

    def predict(rows: list[dict[str, Any]] = Body(embed=True)) -> list[dict[str, Any]]:
        table = pa.Table.from_pylist(rows)
        for name, kind in pipe.schema_.items():
            if kind.startswith("timestamp"):
                moments = table.column(name).cast(pa.timestamp("us", "UTC"))
                table = table.set_column(table.column_names.index(name), name, moments)
        return pipe.predict(Frame(table), reviews=reviews).to_arrow().to_pylist()

    app.post("/predict")(predict)
    app.get("/health")(lambda: "ok")
    uvicorn.run(app, host=HOST, port=port, log_level="error")


def local(folder: Path, port: int) -> None:
    import uvicorn

    from reviewml.serve import create_app

    registry = LocalRegistry(folder / "models")
    app = create_app(registry, "m@champion", reviews=reviews_in(folder))
    uvicorn.run(app, host=HOST, port=port, log_level="error")


def ray(folder: Path, port: int) -> None:
    import ray as cluster

    from reviewml.backends.ray.serving import deploy

    quiet = {"include_dashboard": False, "log_to_driver": False}
    cluster.init(address="local", num_cpus=2, _temp_dir=str(folder / "r"), **quiet)
    registry = LocalRegistry(folder / "models")
    deploy(registry, "m@champion", reviews=reviews_in(folder), port=port)
    while True:
        time.sleep(1)


SERVERS = {"plain": plain, "local": local, "ray": ray}


@contextlib.contextmanager
def running(server: str, folder: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=SERVERS[server], args=(folder, port))
    process.start()
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                if asyncio.run(asked(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")) == 200:
                    break
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.join()


# -- asking ---------------------------------------------------------------------------------------


async def asked(port: int, request: bytes) -> int:
    reader, writer = await asyncio.open_connection(HOST, port)
    status = await answered(reader, writer, request)
    writer.close()
    return status


async def answered(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> int:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
    return int(head.split()[1])


async def load(port: int, requests: list[bytes], concurrency: int, seconds: float) -> list[float]:
    """Return how long each answer took, in milliseconds."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def ask(first: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for number in range(first, 10**9):
            started = time.perf_counter()
            if started > end:
                break
            status = await answered(reader, writer, requests[number % len(requests)])
            if status != 200:
                raise RuntimeError(f"a request was answered with {status}")
            took.append(1000 * (time.perf_counter() - started))
        writer.close()

    await asyncio.gather(*(ask(first) for first in range(concurrency)))
    return took


def as_request(row: dict[str, Any]) -> bytes:
    body = json.dumps({"rows": [row]}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=["reviews", "history"], default="reviews")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    given = parser.parse_args()
    # Paths of sockets must be short.
    with tempfile.TemporaryDirectory(prefix="s-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        requests = [as_request(row) for row in made(given.model, folder)]
        print(f"{'server':<8} {'at once':>7} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8}")
        for server in given.servers:
            with running(server, folder) as port:
                asyncio.run(load(port, requests, 4, 1))
                for concurrency in given.concurrency:
                    took = asyncio.run(load(port, requests, concurrency, given.seconds))
                    parts = statistics.quantiles(took, n=100)
                    rate = len(took) / given.seconds
                    figures = f"{rate:10.0f} {parts[49]:8.1f} {parts[98]:8.1f}"
                    print(f"{server:<8} {concurrency:7} {figures}", flush=True)
