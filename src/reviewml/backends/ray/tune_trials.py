"""Trials on a cluster, by Ray Tune."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from ray import tune

from reviewml.data.backend import Backend, Outcome, Setting

CPUS = 1
"""Of a trial; Ray allows it as many threads."""

RETRIES = 1
"""Times that a trial starts anew after its process was lost."""

Trial = Callable[[Backend, Setting], Outcome]


def try_each(trial: Trial, settings: Sequence[Setting], *, backend: Backend) -> list[Outcome]:
    """Try settings, as many at once as the cluster has room for; see `Backend.try_each`.

    Parameters
    ----------
    trial, settings
        As there.
    backend
        Where each trial works, within its process.
    """
    # The rows, which the trial holds, are put into the object store once.
    trial_arguments = {"trial": trial, "settings": list(settings), "backend": backend}
    run = tune.with_parameters(_run, **trial_arguments)
    numbers = tune.grid_search(list(range(len(settings))))
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(run, {"cpu": CPUS}),
            param_space={"number": numbers},
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=RETRIES),
            ),
        )
        results = tuner.fit()
        trial_results = [results[place] for place in range(len(results))]
    outcomes = {(result.config or {})["number"]: _read_outcome(result) for result in trial_results}
    return [outcomes[number] for number in range(len(settings))]


def _run(
    config: dict[str, Any], *, trial: Trial, settings: Sequence[Setting], backend: Backend
) -> None:
    outcome = trial(backend, settings[config["number"]])
    tune.report({"outcome": dict(outcome)})


def _read_outcome(result: Any) -> Outcome:
    if result.error is None:
        outcome: Outcome = result.metrics["outcome"]
        return outcome
    last = str(result.error).strip().splitlines()[-1]
    return {"error": f"lost {RETRIES + 1} times: {type(result.error).__name__}: {last}"}
