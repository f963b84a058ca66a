"""What workers measure, for Ray's own monitoring: rows, failed rows and seconds of each step."""

from __future__ import annotations

import dataclasses
import functools
from typing import Self

import pyarrow as pa
from ray.util import metrics

from reviewml.rows.roles import ERRORS

SECONDS = [0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]


@dataclasses.dataclass(frozen=True)
class RayMetrics:
    """Counters of one step on this worker; Ray adds them up [1]_.

    References
    ----------
    .. [1] https://docs.ray.io/en/latest/ray-observability/user-guides/add-app-metrics.html
    """

    step: str
    rows: metrics.Counter
    failed: metrics.Counter
    seconds: metrics.Histogram

    @classmethod
    @functools.cache
    def of(cls, step: str) -> Self:
        """Get the metrics of a step, one set for each process."""
        tags = ("step",)
        return cls(
            step,
            metrics.Counter("reviewml_rows", "Rows that a step worked on.", tags),
            metrics.Counter("reviewml_failed_rows", "Rows that have an error.", tags),
            metrics.Histogram("reviewml_batch_seconds", "Seconds for a batch.", SECONDS, tags),
        )

    def observe(self, batch: pa.RecordBatch, seconds: float) -> None:
        """Count a batch that is done."""
        tags = {"step": self.step}
        errors = batch.column(ERRORS) if ERRORS in batch.schema.names else None
        failed = 0 if errors is None else len(errors) - errors.null_count
        if len(batch):
            self.rows.inc(len(batch), tags)
        if failed:
            self.failed.inc(failed, tags)
        self.seconds.observe(seconds, tags)
