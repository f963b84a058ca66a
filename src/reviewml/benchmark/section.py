"""What came of one workload of a benchmark."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reviewml.benchmark.engines import BASELINE, ENGINES
from reviewml.benchmark.running import Measurement, Run
from reviewml.benchmark.texts import Workload, spread
from reviewml.display.text_tables import TextTable
from reviewml.inference.backend_agreement import measure_agreement

Results = Mapping[Run, Sequence[Measurement]]

HEADER = (
    "engine",
    "reviews/s",
    "× default",
    "× best",
    "tokens/s",
    "of peak",
    "memory",
    "score difference",
    "same label",
)


@dataclasses.dataclass(frozen=True)
class Section:
    """What came of one workload.

    Parameters
    ----------
    workload
        The texts.
    results
        Measurements of each run, as many as there were turns.
    random_weights
        Whether agreement of labels means nothing.
    labels
        Candidate labels.
    """

    workload: Workload
    results: Results
    random_weights: bool
    labels: tuple[str, ...]

    @property
    def best(self) -> Run | None:
        """The baseline's engine at its fastest batch size."""
        sizes = [run for run in self.results if run.engine == BASELINE]
        return min(sizes, key=lambda run: np.median(_list_seconds(self.results[run])), default=None)

    def figures(self, run: Run) -> dict[str, Any]:
        """Return the figures of one run as plain data."""
        measurements = self.results[run]
        seconds = _list_seconds(measurements)
        texts, tokens = len(self.workload.texts), sum(self.workload.tokens)
        peaks = np.array([measurement.peak for measurement in measurements])
        memory = [
            measurement.memory for measurement in measurements if measurement.memory is not None
        ]
        return {
            "engine": run.engine,
            "batch_size": run.batch_size,
            "seconds": seconds.tolist(),
            "reviews_per_second": spread((texts / seconds).tolist()),
            "tokens_per_second": spread((tokens / seconds).tolist()),
            "share_of_peak": spread((self.workload.operations / seconds / peaks).tolist()),
            "peak": spread(peaks.tolist()),
            "memory_bytes": max(memory, default=None),
            "times_default": self._compare_times(seconds, Run(BASELINE)),
            "times_best": self._compare_times(seconds, self.best),
            **self._compare_answers(run),
        }

    def _compare_times(self, seconds: Any, other: Run | None) -> dict[str, float] | None:
        if other is None or other not in self.results:
            return None
        return spread((_list_seconds(self.results[other]) / seconds).tolist())

    def _compare_answers(self, run: Run) -> dict[str, Any]:
        if Run(BASELINE) not in self.results:
            return {"score_difference": None, "agreement": None}
        expected, scored = self.results[Run(BASELINE)][0].scores, self.results[run][0].scores
        compared = measure_agreement(expected, scored, self.labels)
        return {
            "score_difference": compared["largest_difference"]
            if ENGINES[run.engine].scored
            else None,
            "agreement": None
            if self.random_weights
            else {name: compared[name] for name in ("texts", "label", "interval")},
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**self.workload.to_dict(), "results": [self.figures(run) for run in self.results]}

    def _summarize_peak(self) -> dict[str, float]:
        return spread(
            [
                measurement.peak / 1e9
                for measurements in self.results.values()
                for measurement in measurements
            ]
        )

    def table(self) -> TextTable:
        """Return the figures as a table."""
        rows = [_format_row(run.name, self.figures(run)) for run in self.results]
        work = self.workload.to_dict()
        tokens = work["tokens_of_a_pair"]
        title = (
            f"{work['texts']:,} reviews × {len(self.labels)} labels, lengths {work['lengths']}: "
            f"{work['tokens']:,} tokens, {tokens['min']} to {tokens['max']} a pair, "
            f"{work['operations'] / 1e9:,.3g} billion operations; the fastest matrix product did "
            f"{_spread(self._summarize_peak(), ',.0f')} billion a second"
        )
        return TextTable(title, HEADER, rows)


def _list_seconds(measurements: Sequence[Measurement]) -> Any:
    return np.array([measurement.seconds for measurement in measurements])


def _format_row(name: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    memory, difference = figures["memory_bytes"], figures["score_difference"]
    agreed = figures["agreement"]
    return (
        name,
        _spread(figures["reviews_per_second"], ",.2f"),
        _spread(figures["times_default"], ".2f"),
        _spread(figures["times_best"], ".2f"),
        f"{figures['tokens_per_second']['median']:,.0f}",
        _spread(figures["share_of_peak"], ".0%"),
        "–" if memory is None else f"{memory / 2**20:,.0f}",
        "–" if difference is None else f"{difference:.1e}",
        "–" if agreed is None else f"{agreed['label']:.1%}",
    )


def _spread(values: Mapping[str, float] | None, form: str) -> str:
    if values is None:
        return "–"
    least, middle, most = (format(values[name], form) for name in ("min", "median", "max"))
    return f"{middle} ({least}–{most})"
