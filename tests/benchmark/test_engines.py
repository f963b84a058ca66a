"""Engines answer alike, and random models are of the size that they are named for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers

from reviewml.benchmark import running
from reviewml.benchmark.architectures import ARCHITECTURES, write_random_model
from reviewml.benchmark.engines import ENGINES, Exact, PipelineEngine
from reviewml.benchmark.memory import PROCESSES, measure_peak_memory, reset_peak
from reviewml.benchmark.running import Run, measure, plan_runs
from reviewml.benchmark.setting import Setting
from reviewml.benchmark.texts import Workload
from reviewml.errors import UnknownName
from reviewml.inference.sequences import Template

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def expected(setting: Setting, texts: list[str]) -> np.ndarray:
    pipeline = PipelineEngine(setting)
    pipeline.load([])
    return pipeline.scores(texts[:5])


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.filterwarnings("ignore")
def test_engines_answer_as_the_pipeline(
    name: str, setting: Setting, texts: list[str], expected: np.ndarray
) -> None:
    engine = ENGINES[name]
    if engine.missing():
        pytest.skip(f"{name} is not installed")
    made = engine(setting, 4 if engine.batched else None)
    made.load(texts[5:7])
    answers = made.run(texts[:5], texts[5:7])
    assert answers.seconds > 0
    # Nearly the same in 8 bits; and one that returns labels alone has no scores.
    atol = 0.01 if name == "reviewml-openvino-int8" else 1e-5
    if engine.scored:
        np.testing.assert_allclose(answers.scores, expected, atol=atol)
    else:
        assert (answers.scores.argmax(1) == expected.argmax(1)).all()


def test_the_baseline_is_first_and_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Elsewhere(Exact):
        needs = {"no_such_module": "no-such[package]", "json": "json"}

    monkeypatch.setitem(ENGINES, "elsewhere", Elsewhere)
    runs, left_out = plan_runs(["reviewml", "elsewhere"], [1, 8])
    assert runs == [
        Run("pipeline"),
        Run("pipeline", 1),
        Run("pipeline", 8),
        Run("reviewml"),
    ]
    assert left_out == {"elsewhere": "not installed: pip install 'no-such[package]'"}


def test_an_unknown_engine() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'reviewml"):
        plan_runs(["reviewm"], [])


def test_processes_have_the_threads_of_the_setting(setting: Setting) -> None:
    environment = running._make_environment(setting)
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["HF_HUB_OFFLINE"] == "1"


@pytest.mark.slow
def test_a_measurement(setting: Setting, texts: list[str], expected: np.ndarray) -> None:
    workload = Workload("as they are", tuple(texts[:5]), tuple(texts[5:7]), (1,), 1)
    found = measure(setting, Run("pipeline", 2), workload)
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)
    assert found.seconds > 0
    assert found.peak > 1e8
    assert found.memory is None or 50 * MEGABYTE < found.memory < 5_000 * MEGABYTE


@pytest.mark.slow
def test_an_engine_that_fails_is_left_out(texts: list[str], tmp_path) -> None:
    setting = Setting(str(tmp_path), None, ("good", "bad"), 1)
    workload = Workload("as they are", tuple(texts[:5]), tuple(texts[5:7]), (1,), 1)
    said: list[str] = []
    runner = running.Runner(setting, 2, said.append)
    assert runner.run(workload, [Run("pipeline")]) == {}
    assert "Error" in runner.failed["pipeline"]
    assert sum("pipeline is left out" in line for line in said) == 1


# -- memory ---------------------------------------------------------------------------------------

linux = pytest.mark.skipif(not (PROCESSES / "self").exists(), reason="Linux says it in /proc")


@linux
def test_peak_memory_counts_what_is_gone_again() -> None:
    reset_peak()
    before = measure_peak_memory()
    np.ones(100 * MEGABYTE, np.uint8)
    assert measure_peak_memory() - before > 90 * MEGABYTE
    reset_peak()
    assert measure_peak_memory() - before < 50 * MEGABYTE


@linux
def test_peak_memory_counts_processes_below() -> None:
    alone = measure_peak_memory()
    code = "data = bytearray(100 * 2**20); print('ready', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        assert measure_peak_memory() - alone > 90 * MEGABYTE
        child.communicate(b"\n")


# -- random models --------------------------------------------------------------------------------

MILLIONS = {"bart-large": 407, "bert-base": 109, "distilbert": 67, "mdeberta-v3-base": 279}
"""Parameters of the models that architectures are named for, as their pages state them."""


@pytest.mark.parametrize("name", MILLIONS)
def test_architectures_have_the_size_of_their_models(name: str) -> None:
    with torch.device("meta"):
        model = transformers.AutoModelForSequenceClassification.from_config(ARCHITECTURES[name]())
    assert model.num_parameters() / 1e6 == pytest.approx(MILLIONS[name], rel=0.02)


def test_tokenizers_join_pairs(folder) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert Template.of(tokenizer) is not None
    assert len(tokenizer.tokenize("a fine dress that fits")) < 10


def test_an_unknown_architecture(tmp_path) -> None:
    with pytest.raises(UnknownName, match="'bart-large'"):
        write_random_model("bart-larg", [], tmp_path)
