"""Pools: the workers that a step runs on, and what each of them has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import ray
from ray.data import ActorPoolStrategy

from reviewml.backends.ray import cluster
from reviewml.backends.ray.worker import Actor, Task, WorkerSteps
from reviewml.errors import ParameterError, suggest_names
from reviewml.operations.cached_enrich import CachedEnrich
from reviewml.operations.operation import BatchOperation

Concurrency = int | tuple[int, int] | None

ROWS = 4096
"""Rows that an actor takes at a time: what a worker that dies has to do again."""

LITTLE = 0.1
"""Cores that a task without a model claims where actors claim the others.

Were it a whole one, nothing would be read on a machine whose cores are all held by actors.
"""

OPTIONS = ("num_cpus", "num_gpus", "memory", "accelerator_type", "concurrency", "batch_size")


@dataclasses.dataclass(frozen=True)
class WorkerPool:
    """Workers that are all alike.

    Parameters
    ----------
    num_cpus, num_gpus, memory, accelerator_type
        That each one claims, as in `ray.remote`.
    concurrency
        How many there are: a number, or the fewest and the most. None takes from one to as many
        as the cluster has room for.
    batch_size
        Rows that one takes at a time.
    actors
        Whether its workers are processes of their own, which keep what they load; else they are
        tasks, which any free process does.
    own
        Whether its steps share their workers with no others.
    """

    num_cpus: float = 1.0
    num_gpus: float = 0.0
    memory: int | None = None
    accelerator_type: str | None = None
    concurrency: Concurrency = None
    batch_size: int = ROWS
    actors: bool = False
    own: bool = False

    @classmethod
    def of(
        cls,
        operation: BatchOperation,
        options: Mapping[str, Any] | None,
        concurrency: Concurrency,
    ) -> WorkerPool:
        """Choose the pool for an operation from the resources that it declares.

        Parameters
        ----------
        operation
            To be run.
        options
            What the user said of this step, if anything.
        concurrency
            What the user said of all steps.
        """
        resources = operation.resources
        asks = resources.gpu > 0 or resources.memory is not None or resources.cpu > 1
        if not (options or asks or isinstance(operation, CachedEnrich)):
            return cls()
        declared = cls(
            num_cpus=resources.cpu,
            num_gpus=resources.gpu,
            memory=resources.memory,
            concurrency=concurrency,
            actors=True,
            own=resources.gpu > 0,
        )
        return dataclasses.replace(declared, **options, own=True) if options else declared

    @property
    def threads(self) -> int:
        """Threads that each worker may use."""
        return max(1, int(self.num_cpus))

    def apply(
        self, blocks: ray.data.Dataset, steps: WorkerSteps, task_cpus: float
    ) -> ray.data.Dataset:
        """Run the steps on blocks with the workers of this pool.

        Parameters
        ----------
        blocks
            Rows that are not computed yet.
        steps
            That these workers do.
        task_cpus
            Cores that a task claims which loads nothing.
        """
        if not self.actors:
            return blocks.map_batches(
                _make_task(steps),
                batch_size=None,
                batch_format="pyarrow",
                num_cpus=task_cpus,
            )
        fewest, most = self._get_size()
        claimed = {"memory": self.memory, "accelerator_type": self.accelerator_type}
        return _split_into_blocks(self.batch_size, blocks, task_cpus).map_batches(
            Actor,
            fn_constructor_args=(steps,),
            batch_size=self.batch_size,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(min_size=fewest, max_size=most),
            num_cpus=max(self.num_cpus - LITTLE, 0),
            num_gpus=self.num_gpus,
            **{name: value for name, value in claimed.items() if value is not None},
        )

    def _get_size(self) -> tuple[int, int]:
        if isinstance(self.concurrency, int):
            return self.concurrency, self.concurrency
        return self.concurrency or (1, cluster.count_room(self.num_cpus, self.num_gpus))


def _split_into_blocks(rows: int, blocks: ray.data.Dataset, task_cpus: float) -> ray.data.Dataset:
    small = blocks.repartition(target_num_rows_per_block=rows)
    # Ray has no public way to say that this needs no whole core, of which actors may leave none.
    small._logical_plan.dag.ray_remote_args["num_cpus"] = task_cpus
    return small


def _make_task(steps: WorkerSteps) -> Any:
    task = Task(steps)

    def run(block: Any) -> Any:
        return task(block)

    run.__name__ = steps.name
    return run


def check(resources: Mapping[str, Mapping[str, Any]], concurrency: Concurrency) -> None:
    """Raise `ParameterError` for an unknown option of a step, or an invalid concurrency."""
    check_concurrency(concurrency)
    for step, options in resources.items():
        for name in options:
            if name not in OPTIONS:
                raise ParameterError(
                    f"resources: {step!r} has no option {name!r}. {suggest_names(name, OPTIONS)}"
                )
        check_concurrency(options.get("concurrency"))


def check_concurrency(concurrency: Any) -> None:
    """Raise `ParameterError` unless it says how many workers there are, if anything."""
    if concurrency is None:
        return
    fewest_and_most = concurrency if isinstance(concurrency, (tuple, list)) else (concurrency,) * 2
    match fewest_and_most:
        case [int(fewest), int(most)] if 1 <= fewest <= most:
            return
    raise ParameterError(
        f"concurrency={concurrency!r}: give a number of workers, at least 1, or the fewest and the "
        "most, such as (1, 8)."
    )
