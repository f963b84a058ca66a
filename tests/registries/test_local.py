"""The local registry: several writers at once, crashes and damage."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import reviewml
from reviewml import LocalRegistry, Pipeline, SharedRegistry
from reviewml.errors import DamagedModel, ModelNotFound, RegistryError
from reviewml.featurizers import Features
from reviewml.registries.history import History
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression

PROCESSES, LOGS = 3, 5


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    rows = make_example_rows(80).select(["price", "clicks", "bought"])
    steps = [("features", Features()), ("model", LogisticRegression())]
    return Pipeline(steps).fit(rows, target="bought")


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "models")


LOG_SOME = """
import sys
import reviewml
models, saved, writer, logs = sys.argv[1:]
registry, pipeline = reviewml.LocalRegistry(models), reviewml.load(saved)
for number in range(int(logs)):
    figures = {"writer": int(writer), "number": number}
    registry.log(pipeline, name="shared", alias="champion", metrics=figures)
"""


def started(models: Path, saved: Path, writer: int, logs: int) -> subprocess.Popen[bytes]:
    arguments = map(str, (models, saved, writer, logs))
    return subprocess.Popen([sys.executable, "-c", LOG_SOME, *arguments])


def test_writers_at_once_lose_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    saved, models = pipeline.save(tmp_path / "saved"), tmp_path / "models"
    writers = [started(models, saved, writer, LOGS) for writer in range(PROCESSES)]
    registry, seen = LocalRegistry(models), 0
    while any(writer.poll() is None for writer in writers):
        # Whatever is seen meanwhile is whole.
        if "shared" in registry.names():
            newest = registry.find("shared")
            assert newest.version >= seen
            assert registry.load("shared@champion").task_ == "binary"
            seen = newest.version
    assert [writer.returncode for writer in writers] == [0] * PROCESSES
    versions = registry.versions("shared")
    assert [version.version for version in versions] == list(range(1, PROCESSES * LOGS + 1))
    logged = [(v.metrics["writer"], v.metrics["number"]) for v in versions]
    assert sorted(logged) == [(w, n) for w in range(PROCESSES) for n in range(LOGS)]
    history = registry.history("shared")
    assert [event.version for event in history] == [v.version for v in versions]
    assert [event.time for event in history] == sorted(event.time for event in history)
    assert registry.find("shared@champion").version == PROCESSES * LOGS
    assert not [p for p in (models / "shared").iterdir() if p.is_dir() and p.name[0] == "."]


def test_threads_at_once_lose_nothing(pipeline: Pipeline, registry: LocalRegistry) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: registry.log(pipeline, name="shared"), range(12)))
    assert [v.version for v in registry.versions("shared")] == list(range(1, 13))


def test_a_writer_killed_anywhere_leaves_it_whole(pipeline: Pipeline, tmp_path: Path) -> None:
    saved, models = pipeline.save(tmp_path / "saved"), tmp_path / "models"
    registry = LocalRegistry(models)
    registry.log(pipeline, name="shared", alias="champion")
    for attempt in range(4):
        before = len(registry.versions("shared"))
        writer = started(models, saved, attempt, 10_000)
        while len(registry.versions("shared")) <= before:
            assert writer.poll() is None
            time.sleep(0.01)
        time.sleep(0.013 * attempt)
        writer.kill()
        writer.wait()
        versions = [version.version for version in registry.versions("shared")]
        assert versions == sorted(set(versions))
        assert [event.version for event in registry.history("shared")] == versions
        for version in versions:
            assert registry.load(f"shared@{version}").task_ == "binary"
        assert registry.log(pipeline, name="shared").version > versions[-1]


def test_a_crash_before_the_line_is_written_made_no_version(
    pipeline: Pipeline, registry: LocalRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.log(pipeline, name="purchase", alias="champion")

    def crash(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(History, "append", crash)
        registry.log(pipeline, name="purchase", alias="champion")
    assert (Path(registry.path) / "purchase" / "2").is_dir()
    assert [v.version for v in registry.versions("purchase")] == [1]
    assert registry.find("purchase@champion").version == 1
    with pytest.raises(ModelNotFound, match="newest version is 1"):
        registry.load("purchase@2")
    assert registry.log(pipeline, name="purchase").version == 3
    assert [event.version for event in registry.history("purchase")] == [1, 3]


def test_what_a_crash_leaves_is_ignored(pipeline: Pipeline, registry: LocalRegistry) -> None:
    registry.log(pipeline, name="purchase", reason="first")
    folder = Path(registry.path) / "purchase"
    for leftover in (".0123456789abcdef", ".2.0123abcd"):
        (folder / leftover).mkdir()
        (folder / leftover / "pipeline.json").write_text("half", encoding="utf-8")
    with (folder / "history.jsonl").open("ab") as file:
        file.write(b'{"time": "2026-01-31T12:00:00+00:00", "event": "alias", "ver')
    assert [event.reason for event in registry.history("purchase")] == ["first"]
    assert registry.log(pipeline, name="purchase", reason="second").version == 2
    assert [event.reason for event in registry.history("purchase")] == ["first", "second"]
    # A model whose first line was never finished is not there.
    (Path(registry.path) / "half").mkdir()
    (Path(registry.path) / "half" / "history.jsonl").write_text("{", encoding="utf-8")
    assert registry.names() == ["purchase"]


def test_a_line_that_is_no_event_is_named(pipeline: Pipeline, registry: LocalRegistry) -> None:
    registry.log(pipeline, name="purchase")
    history = Path(registry.path) / "purchase" / "history.jsonl"
    for line in (b"no event\n", b'{"colour": "red"}\n', b"\xff\n"):
        history.write_bytes(history.read_bytes().splitlines(keepends=True)[0] + line)
        with pytest.raises(DamagedModel, match=r"history\.jsonl, line 2, is no event"):
            registry.versions("purchase")


@pytest.fixture
def two(registry: LocalRegistry, pipeline: Pipeline) -> LocalRegistry:
    """Return a registry of two versions that differ."""
    registry.log(pipeline, name="purchase", alias="champion", metrics={"auc": 0.8})
    registry.log(pipeline, name="purchase", metrics={"auc": 0.9})
    return registry


def test_versions_that_changed_places_are_noticed(two: LocalRegistry) -> None:
    folder = Path(two.path) / "purchase"
    (folder / "1").rename(folder / "other")
    (folder / "2").rename(folder / "1")
    (folder / "other").rename(folder / "2")
    for reference in ("purchase", "purchase@1", "purchase@champion"):
        with pytest.raises(DamagedModel, match="is not what was logged as purchase@"):
            two.load(reference)
    with pytest.raises(DamagedModel, match="is not what was logged as purchase@2"):
        two.alias("purchase", "champion", 2)
    assert two.find("purchase@champion").version == 1


def test_a_version_whose_folder_is_gone_is_named(two: LocalRegistry) -> None:
    shutil.rmtree(Path(two.path) / "purchase" / "2")
    with pytest.raises(DamagedModel, match="is not what was logged as purchase@2: it was removed"):
        two.load("purchase")
    assert two.load("purchase@1").task_ == "binary"


def test_a_history_that_states_no_manifests_is_read(two: LocalRegistry) -> None:
    history = Path(two.path) / "purchase" / "history.jsonl"
    lines = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        del line["manifest"]
    history.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    assert two.load("purchase@champion").task_ == "binary"


def test_an_alias_keeps_the_number_of_the_version(two: LocalRegistry) -> None:
    two.alias("purchase", "champion", "2")  # type: ignore[arg-type]
    assert two.find("purchase@champion").version == 2
    assert two.history("purchase")[-1].version == 2


def test_a_version_of_thousands_of_digits_is_not_there(two: LocalRegistry) -> None:
    with pytest.raises(ModelNotFound, match="a number of 5,000 digits"):
        two.load("purchase@" + "9" * 5_000)


def test_figures_that_json_lacks_are_kept(registry: LocalRegistry, pipeline: Pipeline) -> None:
    metrics = {"auc": math.nan, "loss": math.inf, "rows": 3.0}
    registry.log(pipeline, name="purchase", metrics=metrics)
    text = (Path(registry.path) / "purchase" / "history.jsonl").read_text(encoding="utf-8")
    json.loads(text, parse_constant=pytest.fail)
    found = registry.find("purchase").metrics
    assert math.isnan(found["auc"])
    assert (found["loss"], found["rows"]) == (math.inf, 3.0)


def test_a_metric_that_is_no_number_is_named(registry: LocalRegistry, pipeline: Pipeline) -> None:
    with pytest.raises(RegistryError, match=r"metrics\['auc'\] is a NoneType, not a number"):
        registry.log(pipeline, name="purchase", metrics={"auc": None})  # type: ignore[dict-item]
    assert registry.names() == []


def test_people_can_read_it(pipeline: Pipeline, registry: LocalRegistry) -> None:
    assert registry.names() == []
    registry.log(pipeline, name="purchase", alias="champion", metrics={"auc": 0.9}, reason="größer")
    folder = Path(registry.path) / "purchase"
    [line] = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    stored = json.loads(line)
    assert stored.pop("time").endswith("+00:00")
    manifest = (folder / "1" / "manifest.json").read_bytes()
    assert stored.pop("manifest") == hashlib.sha256(manifest).hexdigest()
    assert stored == {
        "event": "logged",
        "version": 1,
        "alias": "champion",
        "reason": "größer",
        "metrics": {"auc": 0.9},
    }
    assert "größer" in line
    assert "- auc: 0.9" in (folder / "1" / "card.md").read_text(encoding="utf-8")
    assert str(registry.find("purchase")) == "purchase@1 @champion"
    assert repr(registry) == f"LocalRegistry({str(registry.path)!r})"


def test_any_version_is_a_saved_pipeline(pipeline: Pipeline, registry: LocalRegistry) -> None:
    registry.log(pipeline, name="purchase")
    assert reviewml.load(Path(registry.path) / "purchase" / "1").report_ == pipeline.report_


@pytest.mark.parametrize("kind", [LocalRegistry, SharedRegistry])
@pytest.mark.parametrize("level", ["model", "version"])
def test_a_folder_that_is_a_link_is_refused(
    pipeline: Pipeline, tmp_path: Path, kind: type, level: str
) -> None:
    registry = kind(tmp_path / "models")
    registry.log(pipeline, name="rec", alias="champion")
    folder = tmp_path / "models" / "rec"
    if level == "version":
        [folder] = [path.parent for path in folder.rglob("manifest.json")]
    elsewhere = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(RegistryError, match=r"is a (symbolic )?link"):
        registry.load("rec@champion")


def test_each_version_has_its_aliases(pipeline: Pipeline, tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path / "models")
    for alias in ("b", "a", None):
        registry.log(pipeline, name="rec", alias=alias)
    registry.alias("rec", "c", 1)
    registry.alias("rec", "b", 2)
    assert [found.aliases for found in registry.versions("rec")] == [("c",), ("a", "b"), ()]


def test_an_event_that_nobody_could_read_is_not_written(
    registry: LocalRegistry, pipeline: Pipeline
) -> None:
    registry.log(pipeline, name="m", reason="first")
    metrics = {f"figure {number}": 0.5 for number in range(60_000)}
    with pytest.raises(RegistryError, match="more than 1,048,576 bytes"):
        registry.log(pipeline, name="m", metrics=metrics)
    assert [event.reason for event in registry.history("m")] == ["first"]


def test_a_folder_of_an_odd_number_is_no_version(
    registry: LocalRegistry, pipeline: Pipeline
) -> None:
    registry.log(pipeline, name="m")
    for name in ("9" * 18, "9" * 60):
        (Path(registry.path) / "m" / name).mkdir()
    registry.log(pipeline, name="m")
    assert registry.load("m@2").task_ == "binary"
