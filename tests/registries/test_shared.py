"""The shared registry: many writers and no lock, crashes, damage, and what is refused."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from reviewml import Pipeline, SharedRegistry
from reviewml.errors import DamagedModel, MissingExtra, ModelNotFound, RegistryError
from reviewml.registries.event_log import EventLog
from reviewml.storage import shared_files
from reviewml.testing.registry import fitted

PROCESSES = 10


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return fitted()


@pytest.fixture
def registry(tmp_path: Path) -> SharedRegistry:
    return SharedRegistry(tmp_path / "models")


LOG_SOME = """
import sys
import reviewml
models, saved, writer, logs = sys.argv[1:]
registry, pipeline = reviewml.SharedRegistry(models), reviewml.load(saved)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(logs)):
    registry.log(pipeline, name="shared", alias="champion", metrics={"writer": int(writer)})
"""


def started(models: Path, saved: Path, writer: int, logs: int) -> subprocess.Popen[str]:
    arguments = map(str, (models, saved, writer, logs))
    return subprocess.Popen(
        [sys.executable, "-c", LOG_SOME, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go(writers: list[subprocess.Popen[str]]) -> None:
    """Let writers begin, once all of them are ready."""
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()


@pytest.mark.slow
def test_ten_processes_at_once_lose_nothing(
    pipeline: Pipeline, tmp_path: Path, registry: SharedRegistry
) -> None:
    saved = pipeline.save(tmp_path / "saved")
    writers = [started(Path(registry.url), saved, writer, 1) for writer in range(PROCESSES)]
    go(writers)
    assert [writer.wait() for writer in writers] == [0] * PROCESSES
    versions = registry.versions("shared")
    assert [version.version for version in versions] == list(range(1, PROCESSES + 1))
    assert sorted(version.metrics["writer"] for version in versions) == list(range(PROCESSES))
    assert [event.version for event in registry.history("shared")] == list(range(1, PROCESSES + 1))
    assert registry.find("shared@champion").version == PROCESSES
    assert registry.load("shared@champion").task_ == "binary"


@pytest.mark.slow
def test_a_writer_killed_anywhere_leaves_nothing_that_counts(
    pipeline: Pipeline, tmp_path: Path, registry: SharedRegistry
) -> None:
    saved = pipeline.save(tmp_path / "saved")
    registry.log(pipeline, name="shared", alias="champion")
    for attempt in range(4):
        before = len(registry.versions("shared"))
        writer = started(Path(registry.url), saved, attempt, 10_000)
        go([writer])
        while len(registry.versions("shared")) <= before:
            assert writer.poll() is None
            time.sleep(0.01)
        time.sleep(0.013 * attempt)
        writer.kill()
        writer.wait()
        versions = [version.version for version in registry.versions("shared")]
        assert versions == list(range(1, len(versions) + 1))
        for version in versions:
            assert registry.load(f"shared@{version}").task_ == "binary"
        assert registry.log(pipeline, name="shared").version == len(versions) + 1


@pytest.mark.parametrize("where", ["folder", "memory"])
def test_threads_at_once_lose_nothing(pipeline: Pipeline, tmp_path: Path, where: str) -> None:
    url = tmp_path if where == "folder" else f"memory://{secrets.token_hex(8)}"
    registry = SharedRegistry(url)
    with ThreadPoolExecutor(4) as threads:
        logged = threads.map(lambda _: registry.log(pipeline, name="shared").version, range(12))
    assert sorted(logged) == list(range(1, 13))
    assert [v.version for v in registry.versions("shared")] == list(range(1, 13))


def test_a_crash_before_the_event_made_no_version(
    pipeline: Pipeline, registry: SharedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.log(pipeline, name="purchase", alias="champion")

    def crash(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(EventLog, "append", crash)
        registry.log(pipeline, name="purchase", alias="champion")
    assert len(list((Path(registry.url) / "purchase" / "versions").iterdir())) == 2
    assert [v.version for v in registry.versions("purchase")] == [1]
    with pytest.raises(ModelNotFound, match="newest version is 1"):
        registry.load("purchase@2")
    assert registry.log(pipeline, name="purchase").version == 2


def test_a_crash_before_the_first_event_made_no_model(
    pipeline: Pipeline, registry: SharedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(os, "link", crash)
        registry.log(pipeline, name="purchase")
    events = Path(registry.url) / "purchase" / "events"
    events.mkdir(parents=True, exist_ok=True)
    (events / ".0123456789abcdef").write_text('{"time": "2026', encoding="utf-8")
    assert registry.names() == []
    with pytest.raises(ModelNotFound, match="'purchase'"):
        registry.versions("purchase")
    assert registry.log(pipeline, name="purchase").version == 1


def test_a_failed_upload_leaves_no_files(
    pipeline: Pipeline, registry: SharedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with (
        monkeypatch.context() as broken,
        pytest.raises(RegistryError, match="it is full: make room"),
    ):
        broken.setattr(shared_files, "sync", full)
        registry.log(pipeline, name="purchase")
    assert not list(Path(registry.url).rglob("*.json"))
    assert registry.names() == []


def test_an_answer_that_was_lost_is_no_second_version(
    pipeline: Pipeline, registry: SharedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def twice(*arguments: Any) -> None:
        """Do as a network does that loses the first answer: ask again."""
        if Path(arguments[1]).parent.name == "events":
            link(*arguments)
        link(*arguments)

    with monkeypatch.context() as unsure:
        unsure.setattr(os, "link", twice)
        assert registry.log(pipeline, name="purchase").version == 1
    assert len(registry.history("purchase")) == 1


# -- damage -------------------------------------------------------------------------------------


@pytest.fixture
def two(registry: SharedRegistry, pipeline: Pipeline) -> SharedRegistry:
    """Return a registry of two versions that differ."""
    registry.log(pipeline, name="purchase", alias="champion", metrics={"auc": 0.8})
    registry.log(pipeline, name="purchase", metrics={"auc": 0.9})
    return registry


def events(registry: SharedRegistry) -> list[Path]:
    return sorted((Path(registry.url) / "purchase" / "events").glob("*.json"))


def folders(registry: SharedRegistry) -> list[Path]:
    """Return the folders of the versions, oldest first."""
    named = [json.loads(path.read_text(encoding="utf-8"))["folder"] for path in events(registry)]
    return [Path(registry.url) / "purchase" / "versions" / name for name in named]


def test_versions_that_changed_places_are_noticed(two: SharedRegistry) -> None:
    first, second = folders(two)
    first.rename(first.with_name("other"))
    second.rename(first)
    with pytest.raises(DamagedModel, match="what was logged as purchase@1"):
        two.load("purchase@1")
    with pytest.raises(DamagedModel, match="what was logged as purchase@2"):
        two.load("purchase")


@pytest.mark.parametrize("file", ["card.md", "manifest.json", "model/weights.safetensors"])
def test_a_file_that_is_gone_is_noticed(two: SharedRegistry, file: str) -> None:
    (folders(two)[1] / file).unlink()
    with pytest.raises(DamagedModel, match="purchase@2"):
        two.load("purchase@2")
    assert two.load("purchase@1").task_ == "binary"


def test_a_file_that_was_added_is_noticed(two: SharedRegistry) -> None:
    (folders(two)[1] / "more.py").write_text("print()", encoding="utf-8")
    with pytest.raises(DamagedModel, match=r"purchase@2 is not what was saved: more\.py added"):
        two.load("purchase@2")


def test_an_alias_to_files_that_are_gone_is_refused(two: SharedRegistry) -> None:
    (folders(two)[1] / "manifest.json").unlink()
    with pytest.raises(RegistryError, match="manifest"):
        two.alias("purchase", "champion", 2)
    assert two.find("purchase@champion").version == 1


def test_an_event_that_is_missing_or_none_is_named(two: SharedRegistry) -> None:
    first, second = events(two)
    second.write_bytes(b'{"colour": "red"}\n')
    with pytest.raises(DamagedModel, match=r"events/00000002\.json, is no event"):
        two.versions("purchase")
    first.unlink()
    with pytest.raises(DamagedModel, match=r"events/00000001\.json, is missing"):
        two.versions("purchase")


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


def test_no_file_is_written_beside_the_folder_of_a_download(
    pipeline: Pipeline, memory: Any
) -> None:
    registry = SharedRegistry("memory://models")
    registry.log(pipeline, name="purchase")
    [card] = [path for path in memory.store if path.endswith("card.md")]
    memory.store[card.replace("card.md", "../../../escaped")] = memory.store[card]
    with pytest.raises(DamagedModel, match="odd name"):
        registry.load("purchase")


def test_people_can_read_it(pipeline: Pipeline, registry: SharedRegistry) -> None:
    registry.log(pipeline, name="purchase", alias="champion", metrics={"auc": 0.9}, reason="größer")
    [event] = events(registry)
    assert event.name == "00000001.json"
    stored = json.loads(event.read_text(encoding="utf-8"))
    [folder] = folders(registry)
    assert "- auc: 0.9" in (folder / "card.md").read_text(encoding="utf-8")
    assert sorted(stored) == sorted(
        ("time", "event", "version", "alias", "reason", "metrics", "manifest", "folder")
    )


# -- what is refused ----------------------------------------------------------------------------


def test_a_protocol_that_creates_a_file_twice_is_refused(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    registry = SharedRegistry(f"simplecache::file://{tmp_path}")
    with pytest.raises(
        RegistryError, match=r"simplecache::.* does not promise .* Use a folder, s3"
    ):
        registry.log(pipeline, name="purchase")
    assert not list(tmp_path.iterdir())


class Overwriting(MemoryFileSystem):
    """Creates files that are there already, as a server that does not know the condition."""

    protocol = ("s3",)
    store: dict[str, Any] = {}
    pseudo_dirs: list[str] = [""]

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        super().pipe_file(path, value, **options)


def test_a_server_that_creates_a_file_twice_is_refused(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Overwriting()
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url: (files, "/models"))
    with pytest.raises(RegistryError, match="creates files that are there already"):
        SharedRegistry("s3://models").log(pipeline, name="purchase")
    assert not files.store


def test_a_folder_without_hard_links_is_refused(
    pipeline: Pipeline, registry: SharedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*arguments: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", unsupported)
    with pytest.raises(RegistryError, match=r"Operation not supported\. A folder needs hard links"):
        registry.log(pipeline, name="purchase")


SECRET = "hush-hush"


@pytest.mark.parametrize(
    "url",
    [
        f"memory://me:{SECRET}@host/models",
        f"sftp://me:{SECRET}@host.invalid/models",
        f"nothing://me:{SECRET}@host/models",
        f"s3://me:{SECRET}@host/models?sig={SECRET}",
    ],
)
def test_credentials_are_not_shown(pipeline: Pipeline, url: str) -> None:
    registry = SharedRegistry(url)
    assert SECRET not in repr(registry)
    raised = []
    for work in (
        lambda: registry.load("purchase"),
        registry.names,
        lambda: registry.log(pipeline, name="purchase"),
        lambda: registry.load("purchase@7"),
    ):
        try:
            work()
        except (RegistryError, MissingExtra) as error:
            raised.append(error)
    assert raised
    for error in raised:
        assert SECRET not in str(error)
        assert error.__cause__ is None
