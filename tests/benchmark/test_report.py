"""The arithmetic of the report, and what it may not hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reviewml.benchmark.report import Report, Section
from reviewml.benchmark.running import Measurement, Run
from reviewml.benchmark.setting import Setting
from reviewml.benchmark.texts import Workload, Workloads
from reviewml.errors import ParameterError

LABELS = ("good", "bad")
WORKLOAD = Workload("as they are", ("secret text", "another"), ("w", "x"), (10, 20, 30, 40), 800)
DEFAULT, SIZED, OURS, OTHER = (
    Run("pipeline"),
    Run("pipeline", 8),
    Run("reviewml"),
    Run("daft"),
)


def made(seconds: float, second: float = 0.9, peak: float = 1000.0) -> Measurement:
    scores = np.array([[0.8, 0.2], [1 - second, second]])
    return Measurement(scores, seconds, peak, 2**20)


RESULTS = {
    DEFAULT: [made(4.0), made(8.0)],
    SIZED: [made(2.0), made(2.0)],
    OURS: [made(1.0, 0.8), made(1.0, 0.8, 400.0)],
    OTHER: [made(1.0, 0.3), made(1.0, 0.3)],
}


def section(random_weights: bool = False) -> Section:
    return Section(WORKLOAD, RESULTS, random_weights, LABELS)


def test_rates_and_their_spread() -> None:
    figures = section().figures(DEFAULT)
    assert figures["reviews_per_second"] == {"min": 0.25, "median": 0.375, "max": 0.5}
    assert figures["tokens_per_second"] == {"min": 12.5, "median": 18.75, "max": 25}
    assert figures["memory_bytes"] == 2**20


def test_the_share_is_of_the_peak_beside_it() -> None:
    figures = section().figures(OURS)
    assert figures["share_of_peak"] == {"min": 0.8, "median": 1.4, "max": 2.0}


def test_speed_is_compared_within_a_turn() -> None:
    assert section().best == SIZED
    figures = section().figures(OURS)
    assert figures["times_default"] == {"min": 4, "median": 6, "max": 8}
    assert figures["times_best"] == {"min": 2, "median": 2, "max": 2}


def test_answers_are_compared_with_the_baseline() -> None:
    assert section().figures(OURS)["score_difference"] == pytest.approx(0.1)
    assert section().figures(OURS)["agreement"]["label"] == 1.0
    labels_alone = section().figures(OTHER)
    assert labels_alone["score_difference"] is None
    assert labels_alone["agreement"]["label"] == 0.5


def test_agreement_is_not_measured_on_random_weights() -> None:
    figures = section(random_weights=True).figures(OURS)
    assert figures["agreement"] is None
    assert figures["score_difference"] == pytest.approx(0.1)


def test_without_a_baseline_nothing_is_compared() -> None:
    alone = Section(WORKLOAD, {OURS: RESULTS[OURS]}, False, LABELS)
    figures = alone.figures(OURS)
    assert [figures[name] for name in ("times_default", "times_best", "agreement")] == [None] * 3
    assert "–" in alone.table().text()


@pytest.mark.parametrize("architecture", [None, "tiny"])
def test_what_is_written(architecture: str | None, tmp_path: Path) -> None:
    setting = Setting("somewhere/model", "main", LABELS, 2, architecture)
    left_out = {"ray": "not installed: pip install 'ray[data]'"}
    sections = [section(architecture is not None), section(architecture is not None)]
    report = Report(setting, {"cores": 2}, {"torch": "2.13"}, sections, left_out)
    written = report.save(tmp_path / "new")
    assert {"report.json", "report.md"} <= {path.name for path in written}
    told = json.loads((tmp_path / "new" / "report.json").read_text())
    assert told == json.loads(json.dumps(report.to_dict()))
    page = (tmp_path / "new" / "report.md").read_text()
    for text in (page, str(report)):
        assert "pip install 'ray[data]'" in text
        assert ("random weights" in text) == (architecture is not None)
        assert "6.00 (4.00–8.00)" in text
    assert not any("secret text" in path.read_text(errors="ignore") for path in written)


def test_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    setting = Setting("somewhere/model", None, LABELS, 2)
    written = Report(setting, {}, {}, [section()], {}).save(tmp_path)
    plots = [path for path in written if path.suffix == ".png"]
    assert len(plots) == 2
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in plots)


# -- texts ----------------------------------------------------------------------------------------


def test_texts_of_about_equal_length(setting: Setting, texts: list[str]) -> None:
    workloads = Workloads(setting, lambda length: length, [*texts, *texts, "", " ", None])
    real, equal = workloads.real(20), workloads.equal(20)
    assert len({*real.texts, *real.warm_up}) == 22
    assert len(real.tokens) == len(equal.tokens) == 60
    assert max(equal.tokens) - min(equal.tokens) < max(real.tokens) - min(real.tokens)
    assert real.operations == sum(real.tokens)


def test_too_few_texts(setting: Setting) -> None:
    with pytest.raises(ParameterError, match="there are 2 different ones"):
        Workloads(setting, lambda length: length, ["one", "two", "one"]).real(2)
