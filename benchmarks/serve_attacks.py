"""What others notice while a served model is attacked: latency, memory, and the time to stop.

    python benchmarks/serve_attacks.py [--sources src ../before/src] [--attacks none names ...]
        [--seconds 8] [--rounds 1] [--limit NAME=NUMBER ...]

Each line is of a fresh `reviewml serve` in a process of its own, started from the sources named:
four clients ask about one row at a time, each over a new connection, while another process attacks.
Then, still under attack, the server is told to end (SIGTERM); after 40 seconds it is killed.
Requests that are refused, or not answered within 20 seconds, count as failed. With `--attacks none
--rounds 5` sources are compared in turns without an attack, over connections that are kept.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import serve as load_benchmark

HOST = "127.0.0.1"
CROWD = "127.0.0.2"
PATIENCE = 20.0
LONGEST_STOP = 40.0
HEAD = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Attack = Callable[[int, bytes], Awaitable[None]]


def as_request(body: bytes) -> bytes:
    return f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body


def repeat_a_name(names: int) -> bytes:
    members = ",".join(f'"{number:x}":0' for number in range(names))
    return f'{{"rows":[{{{members},"{names - 1:x}":0}}]}}'.encode()


@contextlib.asynccontextmanager
async def connected(port: int, host: str = HOST) -> AsyncIterator[Stream]:
    # Linux gives the whole of 127.0.0.0/8 to a machine.
    local = None if host == HOST else (host, 0)
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=local)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def again(port: int, use: Callable[[Stream], Awaitable[None]], host: str) -> None:
    """Use a connection, and another one when that has ended, for ever."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with connected(port, host) as stream:
                await use(stream)
        await asyncio.sleep(0.01)


async def many(
    number: int, port: int, use: Callable[[Stream], Awaitable[None]], host: str = HOST
) -> None:
    await asyncio.gather(*(again(port, use, host) for _ in range(number)))


def asking(request: bytes) -> Callable[[Stream], Awaitable[None]]:
    async def ask(stream: Stream) -> None:
        stream[1].write(request)
        await stream[1].drain()
        await stream[0].read(2**16)

    return ask


def dripping(first: bytes, drop: bytes, seconds: float) -> Callable[[Stream], Awaitable[None]]:
    async def drip(stream: Stream) -> None:
        stream[1].write(first)
        while not stream[0].at_eof():
            await stream[1].drain()
            await asyncio.sleep(seconds)
            stream[1].write(drop)

    return drip


async def names(port: int, _: bytes) -> None:
    """Eight clients send 58 KB in which a name is repeated."""
    await many(8, port, asking(as_request(repeat_a_name(6_200))))


async def large_names(port: int, _: bytes) -> None:
    """Eight clients send 1.2 MB in which a name is repeated."""
    await many(8, port, asking(as_request(repeat_a_name(110_000))))


async def nested(port: int, _: bytes) -> None:
    """Four clients send 16 MB of empty lists in one row."""
    body = b'{"rows":[{"id":[' + b"[]," * 5_000_000 + b"0]}]}"
    await many(4, port, asking(as_request(body)))


async def slow_headers(port: int, _: bytes) -> None:
    """800 connections send a byte of a header each 5 seconds."""
    await many(800, port, dripping(b"GET /health HTTP/1.1\r\nHost: x\r\nX-a: ", b"b", 5))


async def crowds(port: int, _: bytes) -> None:
    """800 connections of another address begin a header, and come back at once when closed."""

    async def stay(stream: Stream) -> None:
        stream[1].write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-a: ")
        await stream[0].read(1)

    await many(800, port, stay, CROWD)


async def endless_header(port: int, _: bytes) -> None:
    """Four connections send a header without end."""
    await many(4, port, dripping(b"GET /health HTTP/1.1\r\nX: ", b"a" * 2**16, 0))


async def slow_bodies(port: int, _: bytes) -> None:
    """100 connections send 12 MB of a body, and then a byte each second."""
    first = f"{HEAD}Content-Length: 16777216\r\n\r\n".encode() + b" " * 12_000_000
    await many(100, port, dripping(first, b" ", 1))


async def trailers(port: int, _: bytes) -> None:
    """Four connections send trailers without end behind a chunked body."""
    first = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n0\r\n".encode()
    await many(4, port, dripping(first, b"X-a: b\r\n" * 2_000, 0))


async def pipelined(port: int, row: bytes) -> None:
    """Four connections send requests without waiting for answers."""
    await many(4, port, dripping(as_request(row), as_request(row) * 50, 0))


async def unread(port: int, row: bytes) -> None:
    """30 connections ask about 3,000 rows each and do not read the answers."""
    one = row[len(b'{"rows": [') : -len(b"]}")]
    request = as_request(b'{"rows": [' + b",".join([one] * 3_000) + b"]}")

    async def ask(stream: Stream) -> None:
        stream[1].transport.pause_reading()
        stream[1].write(request)
        await asyncio.sleep(10**6)

    await many(30, port, ask)


async def none(port: int, _: bytes) -> None:
    """Nobody attacks."""


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(none, names, large_names, nested, slow_headers, crowds, endless_header),
        *(slow_bodies, trailers, pipelined, unread),
    )
}


def attack(name: str, port: int, row: bytes) -> None:
    asyncio.run(ATTACKS[name](port, row))


# -- the server -----------------------------------------------------------------------------------


@contextlib.contextmanager
def running(
    source: Path, folder: Path, options: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "reviewml", "serve", "m@champion", "--port", str(port)]
    command += ["--registry", str(folder / "models"), *options]
    environment = os.environ | {"PYTHONPATH": str(source.absolute())}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as process:
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
                    if asyncio.run(load_benchmark.asked(port, health)) == 200:
                        break
                time.sleep(0.1)
            yield process, port
        finally:
            process.kill()


def peak_megabytes(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def stop(process: subprocess.Popen[bytes]) -> float:
    started = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LONGEST_STOP)
    return time.perf_counter() - started


async def ask_in_turn(port: int, request: bytes, seconds: float) -> tuple[list[float], int]:
    """Return the milliseconds of each answer, and how many requests failed."""
    took: list[float] = []
    failed = 0
    end = time.perf_counter() + seconds

    async def ask() -> None:
        nonlocal failed
        while (started := time.perf_counter()) < end:
            try:
                async with asyncio.timeout(PATIENCE):
                    failed += await load_benchmark.asked(port, request) != 200
            except (TimeoutError, OSError, asyncio.IncompleteReadError):
                failed += 1
            took.append(1000 * (time.perf_counter() - started))
            await asyncio.sleep(0.02)

    await asyncio.gather(*(ask() for _ in range(4)))
    return took, failed


def measure(
    name: str, source: Path, folder: Path, row: bytes, seconds: float, options: Sequence[str]
) -> str:
    with running(source, folder, options) as (process, port):
        asyncio.run(ask_in_turn(port, as_request(row), 1))
        before = peak_megabytes(process)
        attacker = multiprocessing.Process(target=attack, args=(name, port, row), daemon=True)
        attacker.start()
        try:
            time.sleep(1)
            took, failed = asyncio.run(ask_in_turn(port, as_request(row), seconds))
            memory = peak_megabytes(process)
            stopped = stop(process)
        finally:
            attacker.kill()
            attacker.join()
    took.sort()
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    ended = f"{stopped:6.1f}" if stopped < LONGEST_STOP else "killed"
    figures = f"{len(took):8} {failed:6} {p50:8.0f} {p99:8.0f} {took[-1]:8.0f}"
    return f"{figures} {before:9.0f} {memory:9.0f} {ended:>9}"


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compare(sources: list[Path], folder: Path, row: bytes, seconds: float, rounds: int) -> None:
    """Print requests per second, and processor time of a request, of each source in turns.

    Where others use the processors too, the time of a request says more than how many there are.
    """
    for concurrency in (1, 32):
        rates: dict[Path, list[float]] = {source: [] for source in sources}
        costs: dict[Path, list[float]] = {source: [] for source in sources}
        with contextlib.ExitStack() as stack:
            servers = {source: stack.enter_context(running(source, folder)) for source in sources}
            for number in range(rounds):
                # Neither is always the one that comes first.
                for source in sources if number % 2 else sources[::-1]:
                    process, port = servers[source]
                    before = processor_seconds(process)
                    job = load_benchmark.load(port, [as_request(row)], concurrency, seconds)
                    answers = len(asyncio.run(job))
                    rates[source].append(answers / seconds)
                    costs[source].append(1000 * (processor_seconds(process) - before) / answers)
        for source in sources:
            rate, cost = statistics.median(rates[source]), statistics.median(costs[source])
            each = " ".join(f"{cost:.2f}" for cost in costs[source])
            print(f"{source} {concurrency} at once: {rate:.0f} requests/s, {cost:.2f} ms ({each})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sources", type=Path, nargs="+", default=[Path("src")])
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=list(ATTACKS))
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limit", nargs="+", default=[], help="of the service, NAME=NUMBER")
    given = parser.parse_args()
    options = [part for limit in given.limit for part in ("--limit", limit)]
    with tempfile.TemporaryDirectory(prefix="s-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        rows = load_benchmark.made("reviews", folder)
        row = json.dumps({"rows": [rows[0]]}).encode()
        if given.rounds > 1:
            compare(given.sources, folder, row, given.seconds, given.rounds)
        else:
            print(
                "attack           source    requests failed   p50 ms   p99 ms   max ms"
                "  MB first   MB peak    stop s"
            )
            for name in given.attacks:
                for source in given.sources:
                    line = measure(name, source, folder, row, given.seconds, options)
                    print(f"{name:<15} {str(source)[-12:]:>12} {line}", flush=True)
