"""Connections that never become a request, or never end, cost little, and others nothing."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import math
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from reviewml import LocalRegistry
from reviewml.errors import ParameterError
from reviewml.serve import Limits, configure_server, create_app
from reviewml.serve.connections import SPARE, Connections, read_address

LIMITS = Limits(
    body_bytes=400_000,
    bodies_bytes=500_000,
    timeout=4,
    stall_timeout=0.4,
    header_bytes=4_000,
    header_timeout=0.4,
    idle_timeout=1,
    connections=20,
)

Port = int

HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

PATIENCE = 20.0
"""Seconds that a machine may take for what takes far less."""


@contextlib.contextmanager
def running(app: Any, **options: Any) -> Iterator[Port]:
    """Run an app as `reviewml serve` does, and wait until it has loaded its model."""
    server = uvicorn.Server(configure_server(app, port=0, log_level="critical", **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        while httpx.get(f"http://127.0.0.1:{port}/health").json()["status"] == "loading":
            time.sleep(0.02)
        yield port
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(params=["h11", "httptools"])
def port(request: pytest.FixtureRequest, registry: LocalRegistry) -> Iterator[Port]:
    if request.param == "httptools":
        pytest.importorskip("httptools")
    with running(create_app(registry, "visits", limits=LIMITS), http=request.param) as port:
        yield port


@pytest.fixture
def good(new: Any, json_rows: Callable[..., Any]) -> bytes:
    body = json.dumps({"rows": json_rows(new.slice(0, 1))}).encode()
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def connect(port: Port) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def read_all(connection: socket.socket) -> bytes:
    """Read until the server ends the connection."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(2**16):
            parts.append(part)
    return b"".join(parts)


def send(port: Port, *parts: bytes) -> bytes:
    """Send parts, and return all that is answered until the connection ends."""
    with connect(port) as connection:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        return read_all(connection)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def is_healthy(port: Port) -> bool:
    return httpx.get(f"http://127.0.0.1:{port}/health", timeout=PATIENCE).status_code == 200


def check_refused(answer: bytes, code: int, reason: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == code, answer[:200]
    assert b"application/json" in head
    assert reason in json.loads(body)["detail"]


# -- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [b"G", b"GET /health HTTP/1.1\r\nX: ", b"GET /heal"])
def test_a_header_that_does_not_arrive_is_given_up(port, first) -> None:
    check_refused(send(port, first), 408, "the header did not arrive in time")


def test_a_header_that_drips_is_given_up(port) -> None:
    with connect(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(b"GET /health HTTP/1.1\r\nX-a: ")
        deadline = time.monotonic() + PATIENCE
        connection.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() < deadline:
            connection.sendall(b"a")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(1_000)
        connection.settimeout(PATIENCE)
        check_refused(answer + read_all(connection), 408, "the header did not arrive in time")


def test_a_connection_without_a_request_is_closed(port, good) -> None:
    assert send(port) == b""
    assert status(send(port, good)) == 200


def test_blank_lines_are_no_request(port) -> None:
    assert status(send(port, b"\r\n" * 5_000)) in (400, 431)
    assert is_healthy(port)


@pytest.mark.parametrize(
    "header",
    [
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 5_000,
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 5_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 5_000,
        HEAD + b"Content-Length: 5\r\nX: " + b"a" * 4_000 + b"\r\n\r\n12345",
    ],
    ids=["no end", "one line", "path", "lines", "post"],
)
def test_a_header_that_is_too_large_is_refused(port, header) -> None:
    check_refused(send(port, header), 431, "the header is too large: send at most 4,000 bytes")


def test_many_headers_are_few_or_refused(port) -> None:
    answer = send(port, b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 500 + b"\r\n")
    assert status(answer) in (200, 431)


def test_invalid_http_is_refused_in_the_same_form(port) -> None:
    check_refused(send(port, b"\x16\x03\x01\x02\0 \r\n\r\n"), 400, "the request is not valid HTTP")


# -- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        [b"Content-Length: 1000\r\n\r\n", b"{"],
        [b"Content-Length: 1000\r\n\r\n"],
        [b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"],
        [b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n0\r\n", b"X-a: b\r\n" * 100],
    ],
)
def test_a_body_that_stalls_is_given_up(port, parts) -> None:
    check_refused(send(port, HEAD, *parts), 408, "the body did not arrive in time")


def test_a_body_that_drips_is_given_up(port) -> None:
    with connect(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        connection.settimeout(0.05)
        answer = b""
        for _ in range(int(PATIENCE / 0.05)):
            connection.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(1_000)
            if answer:
                break
        # Head and body of an answer may arrive one after the other.
        connection.settimeout(PATIENCE)
        check_refused(answer + read_all(connection), 408, "the body did not arrive in time")


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(port) -> None:
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: 400001\r\n\r\n"
    check_refused(send(port, head), 413, "the body is too large: send at most 400,000 bytes")


def test_a_client_that_sends_too_much_learns_why(port) -> None:
    body = b" " * 3_000_000
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    check_refused(send(port, HEAD, length, body), 413, "the body is too large")


def test_large_bodies_together_are_bounded_and_small_ones_still_pass(port, good) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(connect(port))
            connection.sendall(HEAD + b"Content-Length: 399999\r\n\r\n" + b" " * 300_000)
        third = HEAD + b"Content-Length: 399999\r\n\r\n" + b" " * 390_000
        refused = stack.enter_context(connect(port))
        refused.sendall(third)
        answer = read_all(refused)
        check_refused(answer, 503, "too many large requests: retry later")
        assert b"retry-after: 1" in answer.lower()
        assert status(send(port, good)) == 200
    # What was held is free again.
    body = b'{"rows": [' + b" " * 390_000 + b"{}]}"
    answer = send(port, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    check_refused(answer, 422, "row 0 lacks")


# -- connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [b"", b"GET /health", HEAD + b"Content-Length: 9\r\n\r\n{"])
def test_connections_without_a_request_make_room(port, good, first) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            connection = stack.enter_context(connect(port))
            with contextlib.suppress(ConnectionError):
                connection.sendall(first)
        assert status(send(port, good)) == 200


def test_more_connections_than_there_may_be_are_refused(registry, good) -> None:
    limits = Limits(connections=2, idle_timeout=30, batch_wait=3)
    with running(create_app(registry, "visits", limits=limits)) as port:
        waiting = [connect(port) for _ in range(2)]
        for connection in waiting:
            connection.sendall(good)
        time.sleep(0.5)
        answer = send(port)
        check_refused(answer, 503, "too many connections: retry later")
        assert b"retry-after: 1" in answer
        assert [status(connection.recv(2**16)) for connection in waiting] == [200, 200]
        for connection in waiting:
            connection.close()


def test_a_client_that_does_not_read_is_cut_off(registry, new, json_rows) -> None:
    row = json.dumps(json_rows(new.slice(0, 1))[0])
    body = ('{"rows": [' + ",".join([row] * 10_000) + "]}").encode()
    limits = Limits(timeout=3)
    with running(create_app(registry, "visits", limits=limits)) as port:
        with connect(port) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            for _ in range(3):
                connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                time.sleep(1)
            time.sleep(10)
            with pytest.raises(ConnectionError):
                for _ in range(100):
                    connection.sendall(b"x" * 1_000)
                    time.sleep(0.05)
        assert is_healthy(port)


# -- requests behind each other -------------------------------------------------------------------


def test_requests_in_one_packet_are_answered_in_turn(port, good) -> None:
    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = send(port, good + health + good + health * 20 + last)
    found = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert found == [200] * 23 + [404]


def test_requests_without_end_that_nobody_waits_for_end_the_connection(port, good) -> None:
    answer = send(port, *[good * 100] * 50)
    assert set(answer.split(b"HTTP/1.1 ")[1:] and [status(answer)]) == {200}
    assert is_healthy(port)


def test_what_follows_a_chunked_body_is_not_part_of_it(port, good) -> None:
    body = good.partition(b"\r\n\r\n")[2]
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    smuggled = HEAD + b"Content-Length: 5\r\n\r\n12345"
    answer = send(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked + smuggled)
    codes = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    # The second one is answered by itself, or not at all.
    assert codes in ([200], [200, 422])


@pytest.mark.parametrize(
    ("request_", "codes"),
    [
        (b"GET /health HTTP/1.0\r\n\r\n", {200}),
        (b"HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {200, 405}),
        (b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", {200, 400}),
        (b"GET /health HTTP/9.9\r\nHost: x\r\nConnection: close\r\n\r\n", {200, 400}),
        (b"BREW /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {400, 405}),
        (
            b"GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            {200},
        ),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {400, 404, 405}),
        (HEAD + b"Content-Length: -1\r\n\r\n", {400}),
        (HEAD + b"Content-Length: 9999999999999999999999\r\n\r\n", {400, 413}),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456", {400}),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", {400, 408}),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\n1", {415}),
    ],
)
def test_odd_requests_are_answered_or_refused(port, request_, codes) -> None:
    answer = send(port, request_)
    assert status(answer) in codes
    assert answer.startswith(b"HTTP/1.1")
    assert is_healthy(port)


def test_a_body_may_wait_until_it_is_asked_for(port, good) -> None:
    head, _, body = good.partition(b"\r\n\r\n")
    with connect(port) as connection:
        connection.sendall(head + b"\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert connection.recv(1_000).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert status(read_all(connection)) == 200


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [b"GET /health", HEAD + b"Content-Length: 900000\r\n\r\n{"])
def test_what_is_half_sent_does_not_keep_a_server_from_stopping(registry, good, first) -> None:
    limits = Limits(stall_timeout=300, timeout=300, header_timeout=300, batch_wait=1)
    started = 0.0
    with contextlib.ExitStack() as stack:
        with running(create_app(registry, "visits", limits=limits)) as port:
            half = stack.enter_context(connect(port))
            half.sendall(first)
            complete = stack.enter_context(connect(port))
            complete.sendall(good)
            time.sleep(0.3)
            started = time.monotonic()
        assert time.monotonic() - started < 60
        # What was complete is finished.
        assert status(read_all(complete)) == 200
        answer = read_all(half)
        assert not answer or status(answer) == 503


def test_a_client_that_does_not_read_does_not_keep_a_server_from_stopping(
    registry, new, json_rows
) -> None:
    row = json.dumps(json_rows(new.slice(0, 1))[0])
    body = ('{"rows": [' + ",".join([row] * 10_000) + "]}").encode()
    with contextlib.ExitStack() as stack:
        # Time-outs would end it after ten minutes.
        with running(create_app(registry, "visits", limits=Limits(timeout=600))) as port:
            for _ in range(8):
                connection = stack.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                connection.connect(("127.0.0.1", port))
                connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            time.sleep(2)
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 120


@pytest.mark.slow
def test_a_half_sent_body_does_not_keep_the_process_from_ending(registry: LocalRegistry) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "reviewml", "serve", "visits", "--port", str(port)]
    command += ["--registry", str(registry.path), "--limit", "stall_timeout=300"]
    command += ["--limit", "timeout=300"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 3 * PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if is_healthy(port):
                    break
            time.sleep(0.1)
        with connect(port) as connection:
            connection.sendall(HEAD + b"Content-Length: 900000\r\n\r\n{")
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)


def test_only_known_protocols_are_guarded(registry) -> None:
    with pytest.raises(ParameterError, match="http='zttp': expected 'auto', 'h11'"):
        configure_server(create_app(registry, "visits"), http="zttp")


def test_every_limit_is_documented() -> None:
    page = Path(__file__).parents[2].joinpath("docs/how-to/serve.md").read_text()
    for field in dataclasses.fields(Limits):
        assert f"`{field.name}`" in page


# -- addresses ------------------------------------------------------------------------------------


@pytest.fixture(params=["h11", "httptools"])
def shared_port(request: pytest.FixtureRequest, registry: LocalRegistry) -> Iterator[Port]:
    if request.param == "httptools":
        pytest.importorskip("httptools")
    limits = dataclasses.replace(LIMITS, connections_per_address=3, idle_timeout=30)
    with running(create_app(registry, "visits", limits=limits), http=request.param) as port:
        yield port


def connect_from(address: str, port: Port) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE, (address, 0))


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="a machine has one address of its own")
def test_an_address_with_many_connections_loses_its_own_alone(shared_port, good) -> None:
    with contextlib.ExitStack() as stack:
        idle = stack.enter_context(connect_from("127.0.0.1", shared_port))
        # Whoever claims another address in a header is not believed.
        claim = b"GET /health HTTP/1.1\r\nX-Forwarded-For: 10.0.0."
        crowd = []
        for number in range(12):
            crowd.append(stack.enter_context(connect_from("127.0.0.2", shared_port)))
            crowd[-1].sendall(claim + b"%d" % number)
            time.sleep(0.01)
        assert sum(map(is_open, crowd)) <= 3
        assert is_open(idle)
        idle.settimeout(PATIENCE)
        idle.sendall(good)
        assert status(idle.recv(2**16)) == 200


class Busy(asyncio.Transport):
    """A connection, its own transport, whose request is being answered."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.transport = self
        self.deadline = math.inf
        self.said = 0
        self.aborted = False

    def refuse(self, status: int, reason: str) -> None:
        self.said = status

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted


def test_an_address_that_is_refused_again_and_again_takes_no_place_of_others() -> None:
    limits = Limits(connections=200, connections_per_address=3)

    async def admit_crowd() -> tuple[Busy, list[Busy], Busy]:
        connections: Any = Connections(limits)
        idle, crowd, late = Busy("192.0.2.1"), [Busy("192.0.2.2") for _ in range(400)], Busy("::")
        connections.admit(idle)
        connections.set_waiting(idle, True)
        for one in [*crowd, late]:
            connections.admit(one)
        return idle, crowd, late

    idle, crowd, late = asyncio.run(admit_crowd())
    assert not idle.aborted
    assert (late.said, late.aborted) == (0, False)
    assert [one.said for one in crowd[:3]] == [0, 0, 0]
    assert [one.said for one in crowd[3:]].count(503) == SPARE
    assert sum(one.aborted for one in crowd) == len(crowd) - 3 - SPARE


def test_behind_a_proxy_all_clients_may_have_one_address(port) -> None:
    with contextlib.ExitStack() as stack:
        kept = [stack.enter_context(connect(port)) for _ in range(LIMITS.connections)]
        assert all(map(is_open, kept[-3:]))
        assert Limits().connections_per_address is None


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("192.0.2.1", 80), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 80, 0, 0), "2001:db8:1:2::"),
        (("fe80::1%eth0", 80, 0, 2), "fe80::"),
        (("::ffff:192.0.2.1", 80, 0, 0), "192.0.2.1"),
        ("", None),
        (None, None),
    ],
)
def test_an_address_is_that_of_the_connection(peer: Any, address: str | None) -> None:
    transport = asyncio.Transport({"peername": peer})
    assert read_address(transport) == address
