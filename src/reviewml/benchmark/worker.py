"""One measurement in a process of its own: ``python -m reviewml.benchmark.worker``.

The job comes as JSON on standard input, and the measurement goes as JSON to standard output.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from reviewml.benchmark.engines import ENGINES
from reviewml.benchmark.machine import measure_matrix_peak
from reviewml.benchmark.memory import measure_peak_memory, reset_peak
from reviewml.benchmark.setting import Setting


def measure_engine(job: dict[str, Any]) -> dict[str, Any]:
    """Load an engine, let it classify, and return what that took.

    Parameters
    ----------
    job
        ``engine``, ``batch_size``, ``setting``, ``texts`` and ``warm_up``.

    Returns
    -------
    dict
        ``scores``, shape ``(texts, labels)``; ``seconds``; ``peak``, operations per second of the
        fastest matrix product before and after, whichever was faster; ``memory``, in bytes.
    """
    import torch

    setting = Setting.of(job["setting"])
    torch.set_num_threads(setting.threads)
    engine = ENGINES[job["engine"]](setting, job["batch_size"])
    engine.load(job["warm_up"])
    before = measure_matrix_peak()
    reset_peak()
    answers = engine.run(job["texts"], job["warm_up"])
    memory = measure_peak_memory()
    return {
        "scores": answers.scores.tolist(),
        "seconds": answers.seconds,
        "peak": max(before, measure_matrix_peak()),
        "memory": memory,
    }


def main() -> None:
    """Do the job on standard input."""
    # What libraries print must not get between the measurement and who reads it.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    json.dump(measure_engine(json.load(sys.stdin)), output)
    output.close()


if __name__ == "__main__":
    main()
