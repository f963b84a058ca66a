"""Running engines in turns, each measurement in a fresh process."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from reviewml.benchmark.engines import BASELINE, ENGINES
from reviewml.benchmark.setting import Setting
from reviewml.benchmark.texts import Workload
from reviewml.errors import UnknownName, suggest_names
from reviewml.privacy.redaction import redact

Say = Callable[[str], None]

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
"""What libraries for arithmetic, and tokenizers, read their number of threads from."""


@dataclasses.dataclass(frozen=True)
class Run:
    """An engine at a batch size.

    Parameters
    ----------
    engine
        One of `ENGINES`.
    batch_size
        None is the library's default.
    """

    engine: str
    batch_size: int | None = None

    @property
    def name(self) -> str:
        """What to call it."""
        return self.engine if self.batch_size is None else f"{self.engine}, {self.batch_size}"


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One run over all texts.

    Parameters
    ----------
    scores
        Shape ``(texts, labels)``.
    seconds
        Without loading and warm-up.
    peak
        Operations per second of the fastest matrix product in the same process.
    memory
        Bytes at most; None where the system does not say.
    """

    scores: npt.NDArray[np.float64]
    seconds: float
    peak: float
    memory: int | None


def plan_runs(
    engines: Iterable[str], batch_sizes: Sequence[int]
) -> tuple[list[Run], dict[str, str]]:
    """Return the runs, the baseline first, and what is left out and why.

    Parameters
    ----------
    engines
        Names; the baseline is among the runs whether it is named or not.
    batch_sizes
        For engines that take one, beside their default.

    Raises
    ------
    UnknownName
        When there is no such engine.
    """
    names = list(dict.fromkeys([BASELINE, *engines]))
    for name in names:
        if name not in ENGINES:
            raise UnknownName(f"no engine {name!r}. {suggest_names(name, ENGINES)}")
    left_out = {name: why for name in names if (why := ENGINES[name].missing())}
    available = [name for name in names if name not in left_out]
    runs = [
        Run(name, size)
        for name in available
        for size in (None, *(batch_sizes if ENGINES[name].batched else ()))
    ]
    return runs, {name: f"not installed: {why}" for name, why in left_out.items()}


class Runner:
    """Runs engines in turns.

    Parameters
    ----------
    setting
        Model, labels and threads.
    repeats
        How often each engine runs.
    say
        Called with what is going on.
    """

    def __init__(self, setting: Setting, repeats: int, say: Say) -> None:
        self.setting = setting
        self.repeats = repeats
        self.say = say
        self.failed: dict[str, str] = {}

    def run(self, workload: Workload, runs: Sequence[Run]) -> dict[Run, list[Measurement]]:
        """Return the measurements of each run, without those that failed; see `failed`."""
        measured: dict[Run, list[Measurement]] = {run: [] for run in runs}
        for turn in range(self.repeats):
            for run in runs:
                if run.name not in self.failed:
                    self._measure(run, workload, measured[run])
            self.say(f"{turn + 1} of {self.repeats} turns done, lengths {workload.name}")
        return {
            run: measurements
            for run, measurements in measured.items()
            if run.name not in self.failed
        }

    def _measure(self, run: Run, workload: Workload, measurements: list[Measurement]) -> None:
        try:
            measurements.append(measure(self.setting, run, workload))
        except RuntimeError as error:
            self.failed[run.name] = redact(str(error))
            self.say(f"{run.name} is left out: {self.failed[run.name]}")
            return
        rate = len(workload.texts) / measurements[-1].seconds
        self.say(f"{run.name}: {rate:,.2f} reviews/s")


def measure(setting: Setting, run: Run, workload: Workload) -> Measurement:
    """Measure one engine once, in a fresh process.

    Raises
    ------
    RuntimeError
        When the engine could not classify, with the last line that it said.
    """
    job = {
        "engine": run.engine,
        "batch_size": run.batch_size,
        "setting": dataclasses.asdict(setting),
        "texts": workload.texts,
        "warm_up": workload.warm_up,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "reviewml.benchmark.worker"],
        input=json.dumps(job),
        env=_make_environment(setting),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        reason = ended.stderr.strip().rpartition("\n")[2] or f"exit code {ended.returncode}"
        raise RuntimeError(redact(reason)[:300])
    answer = json.loads(ended.stdout)
    return Measurement(
        np.array(answer["scores"]),
        float(answer["seconds"]),
        float(answer["peak"]),
        answer["memory"],
    )


def _make_environment(setting: Setting) -> dict[str, str]:
    threads = dict.fromkeys(THREADS, str(setting.threads))
    offline = {"HF_HUB_OFFLINE": "1"} if setting.checkpoint.folder is not None else {}
    # All engines are measured on the CPU, and some take a GPU of their own accord.
    hidden = {"CUDA_VISIBLE_DEVICES": "", "DO_NOT_TRACK": "true", "RAY_USAGE_STATS_ENABLED": "0"}
    return {**os.environ, **threads, **offline, **hidden, "DAFT_PROGRESS_BAR": "0"}
