"""Connections: how many there are, and how long and how large each may be before its request is.

An ASGI app sees a request once its header is complete. Until then, and after its answer, the
connection is uvicorn's, which knows no time-out for headers, no size of them with httptools, no
end of an answer that nobody reads, and stores all that arrives behind a request that it answers.
"""

from __future__ import annotations

import asyncio
import http
import ipaddress
import json
import math
from collections import Counter
from typing import Any

from reviewml.errors import ParameterError
from reviewml.serve.limits import Limits

MOST_HEADERS = 100

PIPELINED_BYTES = 2**16
"""Bytes of further requests that may arrive while one is answered."""

LINGER = 2.0
"""Seconds for which a client that was refused may still send, so that it reads why."""

FLUSH = 5.0
"""Seconds in which a client must have read its answer when the server stops."""

SPARE = 32
"""Connections more than a limit, of all or of one address, which are kept until they have been told
so."""

HEADER_END = b"\r\n\r\n"


def guard_protocol(implementation: str, limits: Limits) -> type[asyncio.Protocol]:
    """Return one of uvicorn's HTTP protocols, within limits.

    Parameters
    ----------
    implementation
        ``"h11"``, ``"httptools"``, or ``"auto"`` for httptools where it is installed.
    limits
        Of its connections.
    """
    if implementation == "auto":
        from uvicorn.protocols.http.auto import AutoHTTPProtocol as Protocol
    elif implementation == "h11":
        from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol
    elif implementation == "httptools":
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Protocol
    else:
        raise ParameterError(f"http={implementation!r}: expected 'auto', 'h11' or 'httptools'.")
    members = {"guard": Connections(limits)}
    return type(f"Guarded{Protocol.__name__}", (GuardedConnection, Protocol), members)


class Connections:
    """All connections of a server.

    Parameters
    ----------
    limits
        Of them.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: set[GuardedConnection] = set()
        self._of_address: Counter[str | None] = Counter()
        # Those without a complete request; that without one for the longest time comes first.
        self._waiting: dict[GuardedConnection, None] = {}
        shortest = min(limits.header_timeout, limits.idle_timeout, limits.timeout)
        self._interval = min(1.0, max(0.05, shortest / 4))
        self._timer: asyncio.TimerHandle | None = None

    def admit(self, connection: GuardedConnection) -> None:
        """Take in a new connection; where there are too many, another one, or it, has to go."""
        if self._has_too_many(connection.address):
            rivals = (rival for rival in self._waiting if rival.address == connection.address)
            self._make_room(connection, next(rivals, None), self._has_spare(connection.address))
        elif len(self._open) >= self.limits.connections:
            self._make_room(connection, next(iter(self._waiting), None), True)
        if connection.transport.is_closing():
            return
        self._open.add(connection)
        self._of_address[connection.address] += 1
        if self._timer is None:
            self._start_timer()

    def _has_too_many(self, address: str | None) -> bool:
        most = self.limits.connections_per_address
        return most is not None and address is not None and self._of_address[address] >= most

    def _has_spare(self, address: str | None) -> bool:
        # Those that are being told count as open: without end, they would take the place of others.
        return self._of_address[address] < (self.limits.connections_per_address or 0) + SPARE

    def _make_room(
        self, connection: GuardedConnection, longest: GuardedConnection | None, tell: bool
    ) -> None:
        if longest is not None:
            self.remove(longest)
            longest.transport.abort()
        elif tell and len(self._open) < self.limits.connections + SPARE:
            connection.refuse(503, "too many connections: retry later.")
        else:
            connection.transport.abort()

    def remove(self, connection: GuardedConnection) -> None:
        """Forget a connection that is closed."""
        if connection in self._open:
            self._open.remove(connection)
            self._of_address[connection.address] -= 1
            if not self._of_address[connection.address]:
                del self._of_address[connection.address]
        self._waiting.pop(connection, None)

    def set_waiting(self, connection: GuardedConnection, waiting: bool) -> None:
        """Note whether a connection waits for a request, or for the rest of one, from now on."""
        self._waiting.pop(connection, None)
        if waiting and connection in self._open:
            self._waiting[connection] = None

    def _start_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval, self._close_overdue) if self._open else None

    def _close_overdue(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in [*self._open]:
            if now >= connection.deadline:
                connection.expire()
        self._start_timer()


class GuardedConnection(asyncio.Protocol):
    """Comes before a protocol of uvicorn: what that is given is one request, and then the next.

    Attributes
    ----------
    deadline
        When the connection is closed unless something happens before, in the time of the loop.
    address
        Of the client, None where it has none.
    """

    guard: Connections
    address: str | None
    deadline: float

    # These are uvicorn's.
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    cycle: Any
    flow: Any
    headers: list[tuple[bytes, bytes]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take in a connection."""
        super().connection_made(transport)
        self.address = read_address(transport)
        self._limits = self.guard.limits
        self._refused = False
        self._held = bytearray()
        # Whether the client does not read, and how long it may take to.
        self._unread = False
        self._reading_time = self._limits.timeout
        self._closer = Closer(self)
        self.deadline = math.inf
        self.guard.admit(self)
        if not self._refused and not self.transport.is_closing():
            self._start_waiting(self._limits.idle_timeout)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self.guard.remove(self)
        self._held.clear()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Hand on what belongs to the request that is being received, and keep the rest."""
        while data and not self._refused and not self.transport.is_closing():
            if self._is_answering():
                self._hold_data(data)
                return
            piece, data = self._split(data)
            if self._refused:
                return
            super().data_received(piece)
            self._note_request()
            if self._is_answering():
                self.guard.set_waiting(self, False)

    def on_response_complete(self) -> None:
        """Wait for the next request, or read on with it where it is here already."""
        super().on_response_complete()  # type: ignore[misc]
        if self.cycle.more_body and not self.transport.is_closing():
            self.linger()
        if self._refused:
            return
        # A client that does not read its answer is not waited for without end.
        self._start_waiting(self._limits.timeout)
        if self._held:
            data, self._held = bytes(self._held), bytearray()
            self.data_received(data)

    def shutdown(self) -> None:
        """Finish the answer to a complete request; whatever is not complete ends now."""
        if not self._in_header and self.cycle.more_body and not self.cycle.response_started:
            self.refuse(503, "the service is stopping: retry later.")
            self.transport.close()
        else:
            super().shutdown()  # type: ignore[misc]
        self._reading_time = FLUSH
        if self._unread or self.transport.is_closing():
            self.deadline = self.loop.time() + FLUSH

    def pause_writing(self) -> None:
        """Give a client that does not read its answer some time."""
        super().pause_writing()
        self._unread = True
        self.deadline = self.loop.time() + self._reading_time

    def resume_writing(self) -> None:
        """Go on with a client that has read what was sent."""
        super().resume_writing()
        self._unread = False
        # To wait for another request that is here already, and to read the rest.
        self.deadline = self.loop.time() + 2 * self._limits.timeout

    def send_400_response(self, message: str) -> None:
        """Refuse a request that is not valid HTTP, in the form of all other errors."""
        self.refuse(400, f"the request is not valid HTTP: {message}")

    def expire(self) -> None:
        """Close the connection, whose time is over."""
        if self._in_header and self._header_bytes and not self._refused:
            self.refuse(408, "the header did not arrive in time.")
        else:
            self.transport.abort()

    def refuse(self, status: int, reason: str) -> None:
        """Answer a request of which the header is not complete, and read no more of it."""
        if self._refused or self.transport.is_closing():
            return
        body = json.dumps({"detail": reason}).encode()
        head = [
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
            *(["retry-after: 1"] if status == 503 else []),
        ]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self.linger()

    def linger(self) -> None:
        """End the answer, and read and drop what the client still sends, for a moment."""
        self._refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.deadline = self.loop.time() + LINGER

    # -- callbacks of httptools, which does not stop at the end of a request ----------------------

    def on_message_begin(self) -> None:
        """Begin a request, unless one is being answered: then close after that."""
        if self._is_answering():
            self._drop_rest()
        else:
            super().on_message_begin()  # type: ignore[misc]

    def on_url(self, url: bytes) -> None:
        """Note the URL."""
        if not self._refused:
            super().on_url(url)  # type: ignore[misc]

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header; those behind a body are not read, and few of them are borne."""
        if self._refused:
            return
        if not self._in_header:
            self._trailers += 1
            if self._trailers > MOST_HEADERS:
                self._refused = True
                self.transport.abort()
        elif len(self.headers) < MOST_HEADERS:
            super().on_header(name, value)  # type: ignore[misc]
        else:
            self.refuse(431, f"the request has too many headers: send at most {MOST_HEADERS}.")

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        if not self._refused:
            super().on_headers_complete()  # type: ignore[misc]
            self._note_request()

    def on_body(self, body: bytes) -> None:
        """Note a part of the body."""
        if not self._refused:
            super().on_body(body)  # type: ignore[misc]

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        if not self._refused:
            super().on_message_complete()  # type: ignore[misc]

    # -- the state of the connection --------------------------------------------------------------

    def _start_waiting(self, seconds: float) -> None:
        self._in_header = True
        self._header_bytes = 0
        self._header_tail = b""
        self._trailers = 0
        self._answered = self.cycle
        self.deadline = self.loop.time() + seconds
        self.guard.set_waiting(self, True)

    def _is_answering(self) -> bool:
        return not self._in_header and not self.cycle.more_body

    def _note_request(self) -> None:
        """Leave the header behind, once uvicorn has made a request of it."""
        if self._in_header and self.cycle is not self._answered:
            self._in_header = False
            self._body_left = self._measure_body()
            self.cycle.transport = self._closer
            # To be received, to wait, and to be sent.
            self.deadline = self.loop.time() + 4 * self._limits.timeout

    def _measure_body(self) -> int | None:
        """Return the bytes of the body that are to come, None where only its end says it."""
        for name, value in self.headers:
            if name == b"transfer-encoding":
                return None
            if name == b"content-length" and value.isdigit():
                return int(value[:20])
        return 0

    def _split(self, data: bytes) -> tuple[bytes, bytes]:
        """Split what arrived at the end of the header, or of the body."""
        if not self._in_header:
            if not self._body_left:
                return data, b""
            piece, rest = data[: self._body_left], data[self._body_left :]
            self._body_left -= len(piece)
            return piece, rest
        if not self._header_bytes:
            self.deadline = self.loop.time() + self._limits.header_timeout
            self.guard.set_waiting(self, True)
        end = (self._header_tail + data).find(HEADER_END)
        size = len(data) if end < 0 else end + len(HEADER_END) - len(self._header_tail)
        self._header_bytes += size
        if self._header_bytes > self._limits.header_bytes:
            most = f"{self._limits.header_bytes:,} bytes"
            self.refuse(431, f"the header is too large: send at most {most}.")
        self._header_tail = (self._header_tail + data[:size])[-len(HEADER_END) + 1 :]
        return data[:size], data[size:]

    def _hold_data(self, data: bytes) -> None:
        """Keep what arrives behind a request until that is answered."""
        self._held += data
        self.flow.pause_reading()
        if len(self._held) > PIPELINED_BYTES:
            self._drop_rest()

    def _drop_rest(self) -> None:
        """Close the connection after the request that is being answered."""
        self._held.clear()
        self._refused = True
        self.cycle.keep_alive = False


def read_address(transport: asyncio.BaseTransport) -> str | None:
    """Return the address of a client, of IPv6 the network, in which one client has all addresses.

    It is that of the connection: anybody can write another one into a header.
    """
    peer = transport.get_extra_info("peername")
    if not isinstance(peer, tuple) or not peer:
        return None
    if len(peer) == 2:
        # Of IPv4: parsing it would cost more than all else that is done for a connection.
        return str(peer[0])
    try:
        address = ipaddress.IPv6Address(str(peer[0]).partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.IPv6Address(int(address) >> 64 << 64))


class Closer:
    """Stands for the transport where uvicorn writes an answer and may close the connection.

    A socket that is closed while its client still sends a body is reset, and the client does not
    see why it was refused.

    Parameters
    ----------
    connection
        Of the answer.
    """

    def __init__(self, connection: GuardedConnection) -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        """Close the connection, or let it linger while a body is still sent."""
        connection = self._connection
        if connection.cycle.more_body and connection.cycle.response_complete:
            connection.linger()
        else:
            connection.transport.close()
