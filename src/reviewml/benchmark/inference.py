"""The benchmark of inference, from texts to a report."""

from __future__ import annotations

from collections.abc import Sequence

from reviewml.benchmark.engines import ENGINES
from reviewml.benchmark.flops import count_operations
from reviewml.benchmark.machine import describe_hardware, list_versions, measure_matrix_peak
from reviewml.benchmark.report import Report
from reviewml.benchmark.running import Runner, Say, plan_runs
from reviewml.benchmark.section import Section
from reviewml.benchmark.setting import Setting
from reviewml.benchmark.texts import Workload, Workloads
from reviewml.errors import ParameterError

START_UP = 12.0
"""Seconds that a process takes to import and load, for the estimate."""

EFFICIENCY = 0.5
"""Share of the peak that engines reach on the average, for the estimate."""


def run_benchmark(
    setting: Setting,
    texts: Sequence[str],
    *,
    rows: int = 64,
    repeats: int = 3,
    engines: Sequence[str] = tuple(ENGINES),
    batch_sizes: Sequence[int] = (8, 32),
    equal_lengths: bool = False,
    say: Say = print,
) -> Report:
    """Measure engines side by side.

    Parameters
    ----------
    setting
        Model, labels and threads.
    texts
        To take from: the first `rows` different ones, after those to warm up with.
    rows
        Texts that each engine classifies.
    repeats
        Turns that engines take.
    engines
        Names in `ENGINES`; the baseline is always among them.
    batch_sizes
        For engines that take one, beside their default.
    equal_lengths
        Whether to measure texts of about the same length as well.
    say
        Called with what is going on.

    Raises
    ------
    ParameterError
        When there are too few texts.
    UnknownName
        When there is no such engine.
    ModelUnavailable
        When the model cannot be had.
    """
    if rows < 1 or repeats < 1:
        raise ParameterError(f"rows={rows} and repeats={repeats}: give 1 or more.")
    runs, left_out = plan_runs(engines, batch_sizes)
    workloads = Workloads(setting, count_operations(setting.checkpoint), texts)
    chosen = [workloads.real(rows), *([workloads.equal(rows)] if equal_lengths else [])]
    say(_estimate_duration(chosen, len(runs) * repeats))
    runner = Runner(setting, repeats, say)
    results_by_workload = [(workload, runner.run(workload, runs)) for workload in chosen]
    sections = [
        Section(
            workload,
            # One that fails on some texts is left out of all.
            {
                run: measurements
                for run, measurements in results.items()
                if run.name not in runner.failed
            },
            setting.architecture is not None,
            setting.labels,
        )
        for workload, results in results_by_workload
    ]
    return Report(setting, describe_hardware(), list_versions(), sections, left_out | runner.failed)


def _estimate_duration(chosen: Sequence[Workload], runs: int) -> str:
    work = sum(workload.operations for workload in chosen)
    seconds = runs * (work / (EFFICIENCY * measure_matrix_peak()) + START_UP * len(chosen))
    return f"{runs * len(chosen)} measurements; about {seconds / 60:,.0f} min"
