"""A challenger is loaded and tried where a crash costs nothing, before it serves."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reviewml import LocalRegistry
from reviewml.errors import DamagedModel
from reviewml.saving import manifest
from reviewml.serve import trial
from reviewml.serve.champion import Champion

CRASH = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
HANG = "import time\ntime.sleep(600)\n"


def write_module(folder: Path, text: str) -> Path:
    """Write a module that the process of a trial imports first, as faults of libraries come."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "said"),
    [(CRASH, "ended with -11"), (HANG, "within 3 seconds")],
    ids=["crash", "hang"],
)
def test_what_happens_to_the_process_of_a_trial_is_told(
    registry: LocalRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.syspath_prepend(str(write_module(tmp_path / "modules", text)))
    with registry.fetch("visits@1") as folder, pytest.raises(DamagedModel, match=said):
        trial.try_model(folder, seconds=3 if text is HANG else 60)


@pytest.mark.parametrize(("memory", "said"), [(2**28, "MemoryError"), (2**36, "")])
def test_memory_is_limited(memory: int, said: str) -> None:
    # A small model fits into what a process has mapped before the limit is set.
    greedy = (
        "import sys; from reviewml.serve import trial; "
        "trial.run = lambda folder: bytearray(2**29); "
        f"sys.exit(trial.main('model', {memory}))"
    )
    ended = subprocess.run([sys.executable, "-c", greedy], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (int(bool(said)), said)


def test_a_good_model_stands_its_trial(registry: LocalRegistry) -> None:
    with registry.fetch("visits@1") as folder:
        trial.try_model(folder)


def test_a_damaged_one_is_told_by_its_own_error(registry: LocalRegistry, tmp_path: Path) -> None:
    with registry.fetch("visits@1") as folder:
        copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "model" / "model.json").write_text("[]", encoding="utf-8")
    (copy / "manifest.json").unlink()
    manifest.seal(copy)
    with pytest.raises(DamagedModel, match=r"stand a trial: DamagedModel: .*model\.json"):
        trial.try_model(copy)


def test_a_challenger_that_crashes_leaves_the_champion(
    registry: LocalRegistry,
    simple: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    champion = Champion(registry, "visits@champion", store=None)
    champion.look()
    assert champion.served is not None
    registry.log(simple, name="visits", alias="champion")
    with monkeypatch.context() as crashing, caplog.at_level(logging.ERROR):
        crashing.syspath_prepend(str(write_module(tmp_path / "modules", CRASH)))
        champion.look()
    assert champion.served.name == "visits@1"
    assert champion.health()["status"] == "ok"
    assert champion.health()["problem"] == "visits@2 cannot be loaded (DamagedModel)"
    assert "does not stand a trial" in caplog.text
    champion.look()
    assert champion.served.name == "visits@2"
    assert champion.health()["problem"] is None
