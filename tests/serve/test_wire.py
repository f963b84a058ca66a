"""Requests that are wrong on the wire: refused, never answered twice, and no trouble for the next.

Where two readings of a request are possible, a proxy in front may have taken the other one. So the
answer is a refusal, or nothing after it on the same connection (request smuggling, RFC 9112, 11.2).
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.serve.test_connections import running

from reviewml import LocalRegistry, Pipeline
from reviewml.serve import Limits, create_app

pytestmark = pytest.mark.slow

LIMITS = Limits(stall_timeout=0.4, header_timeout=0.4, idle_timeout=0.4, header_bytes=4_000)


@pytest.fixture(scope="module", params=["h11", "httptools"])
def port(
    request: pytest.FixtureRequest, fitted: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    if request.param == "httptools":
        pytest.importorskip("httptools")
    registry = LocalRegistry(tmp_path_factory.mktemp("registry"))
    registry.log(fitted, name="visits")
    with running(create_app(registry, "visits", limits=LIMITS), http=request.param) as port:
        yield port


@pytest.fixture(scope="module")
def body(new: Any, json_rows: Callable[..., Any]) -> bytes:
    return json.dumps({"rows": json_rows(new.slice(0, 1))}).encode()


def send(port: int, raw: bytes) -> list[int]:
    """Send bytes, and return the status codes of all answers until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(raw)
        answer = b""
        try:
            while part := connection.recv(65_536):
                answer += part
        except ConnectionResetError:
            pass
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3})", answer)]


def post(body: bytes, *headers: bytes, length: bool = True) -> bytes:
    lines = [b"POST /predict HTTP/1.1", b"Host: x", *headers]
    lines += [b"Content-Length: %d" % len(body)] if length else []
    return b"\r\n".join([*lines, b"", body])


def chunk(body: bytes, size: bytes | None = None) -> bytes:
    return (size or b"%x" % len(body)) + b"\r\n" + body + b"\r\n0\r\n\r\n"


TYPE = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"

WRONG: dict[str, Callable[[bytes], bytes]] = {
    "two types": lambda body: post(body, TYPE, b"Content-Type: text/plain"),
    "two types, the wrong one first": lambda body: post(body, b"Content-Type: text/plain", TYPE),
    "one type twice": lambda body: post(body, TYPE, TYPE),
    "types in one header": lambda body: post(body, TYPE + b", text/plain"),
    "no type": post,
    "compressed": lambda body: post(body, TYPE, b"Content-Encoding: gzip"),
    "compressed in a second header": lambda body: post(
        body, TYPE, b"Content-Encoding: identity", b"Content-Encoding: gzip"
    ),
    "two lengths": lambda body: post(body, TYPE, b"Content-Length: 1"),
    "a length and chunks": lambda body: post(chunk(body), TYPE, CHUNKED, b"Content-Length: 3"),
    "an unknown transfer": lambda body: post(body, TYPE, b"Transfer-Encoding: gzip"),
    "compressed chunks": lambda body: post(
        chunk(body), TYPE, b"Transfer-Encoding: gzip, chunked", length=False
    ),
    "chunked twice": lambda body: post(chunk(body), TYPE, CHUNKED, CHUNKED, length=False),
    "chunked, in quotes": lambda body: post(
        chunk(body), TYPE, b'Transfer-Encoding: "chunked"', length=False
    ),
    "a negative length": lambda body: post(body, TYPE, b"Content-Length: -1", length=False),
    "a length with a sign": lambda body: post(
        body, TYPE, b"Content-Length: +%d" % len(body), length=False
    ),
    "a length of digits that are none": lambda body: post(
        body, TYPE, "Content-Length: \u0664".encode(), length=False
    ),
    "a length beyond 64 bits": lambda body: post(
        body, TYPE, b"Content-Length: 99999999999999999999", length=False
    ),
    "a negative chunk": lambda body: post(chunk(body, b"-1"), TYPE, CHUNKED, length=False),
    "a chunk beyond 64 bits": lambda body: post(
        chunk(body, b"f" * 17), TYPE, CHUNKED, length=False
    ),
    "a chunk that is no number": lambda body: post(
        chunk(body, b"xyz"), TYPE, CHUNKED, length=False
    ),
    "a blank before the colon": lambda body: post(body, TYPE, b"Content-Length : 5"),
    "a header without a name": lambda body: post(body, TYPE, b": value"),
    "a NUL in a header": lambda body: post(body, TYPE, b"X: a\0b"),
    "a long header": lambda body: post(body, TYPE, b"X: " + b"a" * 70_000),
    "many headers": lambda body: post(body, TYPE, *[b"X: a"] * 20_000),
    "no HTTP": lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
    "HTTP/2": lambda _: b"PRI * HTTP/2.0\r\n\r\n",
    "HTTP/9": lambda _: b"GET / HTTP/9.9\r\n\r\n",
    "an odd method": lambda _: b"\xff\xfe / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a line of one word": lambda _: b"GET\r\n\r\n",
    "a path with a blank": lambda _: b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": lambda _: b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_request_that_is_wrong_on_the_wire_is_refused(port: int, body: bytes, name: str) -> None:
    codes = send(port, WRONG[name](body))
    assert len(codes) <= 1
    assert all(400 <= code < 500 for code in codes)
    assert send(port, post(body, TYPE)) == [200]


SMUGGLED = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [(b"Content-Length: 3", CHUNKED), (CHUNKED, b"Content-Length: 3"), (b"Content-Length: 3",)],
)
def test_no_request_hides_in_the_body_of_another(port: int, headers: tuple[bytes, ...]) -> None:
    raw = post(b"0\r\n\r\n" + SMUGGLED, TYPE, *headers)
    codes = send(port, raw)
    assert 200 not in codes
    assert len(codes) <= 1


def test_requests_in_a_row_are_answered_in_order(port: int, body: bytes) -> None:
    raw = post(body, TYPE) + SMUGGLED + post(b"{}", TYPE) + post(body, TYPE)
    assert send(port, raw) == [200, 200, 422, 200]
