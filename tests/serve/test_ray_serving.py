"""Ray Serve answers as the app does in one process."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from reviewml import Frame, LocalRegistry
from reviewml.errors import CapabilityError, ModelNotFound
from reviewml.serve import Limits

ray = pytest.importorskip("ray")
serve = pytest.importorskip("ray.serve")

pytestmark = pytest.mark.slow

HALF = {"num_cpus": 0.5}

SMALL = Limits(request_rows=100, body_bytes=50_000)


@pytest.fixture(scope="module")
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    # Paths of sockets must be short, as those of pytest are not.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        options = {"include_dashboard": False, "log_to_driver": False, "_temp_dir": folder}
        ray.init(address="local", num_cpus=4, **options)
        yield
        serve.shutdown()
        ray.shutdown()


@pytest.fixture
def deployed(cluster, port: int, registry: LocalRegistry) -> Iterator[Any]:
    """Deploy a model under a name of its own, and take it off again."""
    from reviewml.backends.ray.serving import deploy

    stops = []

    def start(reference: str, **options: Any) -> httpx.Client:
        found = deploy(registry, reference, port=port, ray_actor_options=HALF, **options)
        client = httpx.Client(base_url=found.url, timeout=60)
        stops.extend([found.stop, client.close])
        return client

    yield start
    for stop in stops:
        stop()


def test_the_numbers_are_those_of_predict(deployed, registry, fitted, new, json_rows) -> None:
    registry.log(fitted, name="texts", alias="champion")
    client = deployed("texts@champion", limits=SMALL)
    answer = client.post("/predict", json={"rows": json_rows(new)}).json()
    expected = fitted.predict(Frame(new))
    assert answer["model"] == "texts@1"
    assert answer["predictions"] == expected.to_arrow().to_pylist()
    assert answer["errors"] == expected.errors.to_pylist()
    assert client.get("/model").json()["model"] == "texts@1"
    assert client.get("/openapi.json").json()["paths"].keys() == {"/predict", "/health", "/model"}
    assert client.get("/docs").status_code == 200


def test_a_review_history_is_that_of_predict(
    deployed, registry, with_history, views, shop_reviews, json_rows
) -> None:
    registry.log(with_history, name="views", alias="champion")
    client = deployed("views@champion", reviews=shop_reviews, route="/views")
    rows = views.slice(1_000, 40).drop_columns(["bought"])
    answer = client.post("/predict", json={"rows": json_rows(rows)}).json()
    assert answer["predictions"] == with_history.predict(Frame(rows)).to_arrow().to_pylist()


def test_hostile_requests_are_refused(deployed, hostile, new, json_rows) -> None:
    client = deployed("visits@champion", limits=SMALL, replicas=2)
    good = {"rows": json_rows(new.slice(0, 2))}
    before = client.post("/predict", json=good).json()
    for request in hostile(1_000, seed=2):
        answer = request.send(client)
        assert 400 <= answer.status_code < 500, (request.why, answer.text)
        assert answer.json()["detail"]
    assert client.post("/predict", json=good).json() == before


def test_a_switch_under_load_loses_no_request(deployed, registry, simple, new, json_rows) -> None:
    client = deployed("visits@champion", refresh=0.2, replicas=(1, 2))
    body = {"rows": json_rows(new.slice(0, 3))}
    answered: list[tuple[int, Any]] = []
    stopped = threading.Event()

    def keep_asking() -> None:
        while not stopped.is_set():
            answer = client.post("/predict", json=body)
            answered.append((answer.status_code, answer.json().get("model")))

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    registry.log(simple, name="visits", alias="champion")
    for _ in range(600):
        if (200, "visits@2") in answered[-20:]:
            break
        time.sleep(0.1)
    stopped.set()
    for thread in threads:
        thread.join()
    assert set(Counter(answered)) == {(200, "visits@1"), (200, "visits@2")}


def test_another_deployment_of_the_name_loses_no_request(deployed, new, json_rows) -> None:
    client = deployed("visits@champion")
    body = {"rows": json_rows(new.slice(0, 1))}
    codes = Counter()
    stopped = threading.Event()

    def keep_asking() -> None:
        while not stopped.is_set():
            codes[client.post("/predict", json=body).status_code] += 1

    thread = threading.Thread(target=keep_asking)
    thread.start()
    deployed("visits@1")
    stopped.set()
    thread.join()
    assert set(codes) == {200}


def test_a_model_that_is_not_there_is_not_deployed(deployed) -> None:
    with pytest.raises(ModelNotFound, match="Did you mean 'champion'"):
        deployed("visits@champio")


def test_another_port_is_noticed(deployed, registry, port: int) -> None:
    from reviewml.backends.ray.serving import deploy

    deployed("visits@champion")
    with pytest.raises(CapabilityError, match="listens elsewhere on this cluster already"):
        deploy(registry, "visits@champion", port=port + 1, ray_actor_options=HALF)
