"""``reviewml serve``: checked in this process, run as a user does."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from reviewml import SharedRegistry, load


def test_check_loads_the_model_and_ends(run, run_json, model: Path) -> None:
    kept = ("serve", "visits@champion", "--registry", model.parent / "models", "--check")
    described = run_json(*kept)
    assert described["model"] == "visits@1"
    assert "rating: int64" in run(*kept).stdout


def test_a_registry_may_be_a_url(run_json, model: Path, tmp_path: Path) -> None:
    SharedRegistry(tmp_path).log(load(model), name="visits")
    kept = ("serve", "visits", "--registry", f"file://{tmp_path}", "--check")
    assert run_json(*kept)["model"] == "visits@1"


def test_a_model_that_is_not_there_is_told_at_once(run, model: Path) -> None:
    result = run("serve", "visits@champio", "--registry", model.parent / "models", code=1)
    assert "Did you mean 'champion'" in result.output
    result = run("serve", "visits", "--registry", model.parent / "models", "--refresh", 0, code=1)
    assert "refresh=0.0" in result.output


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("boddy_bytes=5", "unknown limit 'boddy_bytes'. Did you mean"),
        ("connections=", "connections must be a whole number"),
        ("connections=1.5", "connections must be a whole number"),
        ("timeout=nan", "Limits(timeout=nan): expected a number of seconds"),
        ("timeout=0", "Limits(timeout=0.0): expected more than that"),
    ],
)
def test_limits_are_checked(run, model: Path, limit: str, said: str) -> None:
    kept = ("serve", "visits", "--registry", model.parent / "models")
    assert said in run(*kept, "--limit", limit, code=1).output


@pytest.mark.slow
def test_it_answers_until_it_is_stopped(model: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "reviewml", "serve", "visits@champion", "--json"]
    command += ["--registry", str(model.parent / "models"), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            for _ in range(300):
                try:
                    health = httpx.get(f"http://127.0.0.1:{port}/health")
                    if health.status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            assert health.json()["model"] == "visits@1"
        finally:
            process.send_signal(signal.SIGINT)
            printed, logged = process.communicate(timeout=30)
    assert json.loads(printed) == {"url": f"http://127.0.0.1:{port}", "model": "visits@champion"}
    assert b"serving visits@1" in logged
    assert b"Traceback" not in logged
