"""What happened on the workers, told where the work was asked for."""

from __future__ import annotations

import dataclasses
import functools
import uuid
import warnings
from collections import Counter, defaultdict
from collections.abc import Hashable
from typing import Any, Self

import ray

from reviewml.backends.ray.nodes import pin_to_driver
from reviewml.errors import WorkerDied
from reviewml.rows.tally import Tally

MOST_DEATHS = 20
"""Times in a row that one worker may die before the work is given up."""


@dataclasses.dataclass
class JobState:
    """What is known of one computation.

    Parameters
    ----------
    restarts
        How often workers of each step took the place of one that died.
    tallies
        What was counted, and by which part of the work.
    begun
        How often something was begun and did not end.
    deaths
        How often each worker died since it ended anything.
    lives
        Processes that took the place of one that died.
    """

    restarts: Counter[str] = dataclasses.field(default_factory=Counter)
    tallies: dict[str, dict[Hashable, Tally]] = dataclasses.field(default_factory=dict)
    begun: Counter[str] = dataclasses.field(default_factory=Counter)
    deaths: Counter[str] = dataclasses.field(default_factory=Counter)
    lives: set[tuple[str, str]] = dataclasses.field(default_factory=set)


class CoordinatorActor:
    """The actor that gathers; it lives beside the process that asked for the work."""

    def __init__(self) -> None:
        self._works: defaultdict[str, JobState] = defaultdict(JobState)

    def note_begin(self, work: str, what: str) -> int:
        """Record a start, and return how many earlier starts never ended."""
        begun = self._works[work].begun
        begun[what] += 1
        return begun[what] - 1

    def note_end(self, work: str, what: str, worker: str) -> None:
        """Note that a worker ended something."""
        del self._works[work].begun[what]
        del self._works[work].deaths[worker]

    def count_restart(self, work: str, step: str, worker: str, process: str) -> int:
        """Count a process that took the place of one that died, once.

        Returns
        -------
        int
            How many did for this worker since it ended anything.
        """
        state = self._works[work]
        if (worker, process) not in state.lives:
            state.lives.add((worker, process))
            state.restarts[step] += 1
            state.deaths[worker] += 1
        return state.deaths[worker]

    def tell(self, work: str, what: str, part: Hashable, tally: Tally) -> None:
        """Keep what was counted in a part of some work; a part that is done again counts once."""
        self._works[work].tallies.setdefault(what, {})[part] = tally

    def take(self, work: str) -> tuple[Counter[str], list[Tally]]:
        """Remove a computation's state, and return its restarts and tallies."""
        state = self._works.pop(work, JobState())
        return state.restarts, list(map(_merge_tallies, state.tallies.values()))


def _merge_tallies(parts: dict[Hashable, Tally]) -> Tally:
    first, *others = (parts[part] for part in sorted(parts, key=str))
    for other in others:
        first = first.merge(other)
    return first


@dataclasses.dataclass(frozen=True)
class Coordinator:
    """A handle on the notes of one computation, that its workers can be given.

    Parameters
    ----------
    notes
        The actor that keeps them.
    work
        Which computation.
    most_deaths
        How often a worker may die in a row.
    """

    notes: Any
    work: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    most_deaths: int = dataclasses.field(default_factory=lambda: MOST_DEATHS)

    @classmethod
    def of(cls, connection: str) -> Self:
        """Make a handle for a new computation on a connection to a cluster."""
        return cls(_get_actor(connection))

    def start_step(self, step: str) -> None:
        """Tell that a worker begins with a step; it matters when another died of it before."""
        context = ray.get_runtime_context()
        if context.get_actor_id() is None:
            again = context.worker.core_worker.get_current_task_attempt_number() > 0
        else:
            with warnings.catch_warnings():
                # Ray's own property uses one that Ray calls deprecated.
                warnings.simplefilter("ignore", DeprecationWarning)
                again = context.was_current_actor_reconstructed
        if again and self._count_deaths(step, context.get_worker_id()) > self.most_deaths:
            raise WorkerDied(
                f"{step}: a worker died {self.most_deaths} times in a row and finished nothing. "
                "The logs of Ray say how; if it ran out of memory, let each claim more, as in "
                f"resources={{{step!r}: {{'memory': 8 * 2**30}}}}, or make concurrency= smaller."
            )

    def _count_deaths(self, step: str, process: str) -> int:
        return int(
            ray.get(self.notes.count_restart.remote(self.work, step, _identify_worker(), process))
        )

    def begin(self, what: str) -> int:
        """Note that this worker begins something.

        Returns
        -------
        int
            How often it began that before, in a process that died of it.
        """
        return int(ray.get(self.notes.note_begin.remote(self.work, _name_by_worker(what))))

    def end(self, what: str) -> None:
        """Note that this worker ended something."""
        self.notes.note_end.remote(self.work, _name_by_worker(what), _identify_worker())

    def tell(self, what: str, part: Hashable, tally: Tally) -> None:
        """Report the counts of a part of some work."""
        ray.get(self.notes.tell.remote(self.work, what, part, tally))

    def report(self) -> None:
        """Warn of what the workers reported."""
        restarts, tallies = ray.get(self.notes.take.remote(self.work))
        for step, times in sorted(restarts.items()):
            many = "a worker" if times == 1 else f"{times:,} workers"
            warnings.warn(
                f"{step}: {many} died and began again; what was not finished was done once more. "
                "Look at the logs of Ray when it happens often.",
                stacklevel=2,
            )
        for tally in tallies:
            tally.warn()


@functools.lru_cache(maxsize=1)
def _get_actor(connection: str) -> Any:  # noqa: ARG001 (what it is kept by)
    # On no other machine, which may be lost; whoever cannot reach it for a moment asks again.
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
    return ray.remote(scheduling_strategy=pin_to_driver(), **options)(CoordinatorActor).remote()


def _identify_worker() -> str:
    """Identify this worker; a process that takes its place has the same name."""
    context = ray.get_runtime_context()
    return str(context.get_actor_id() or context.get_task_id())


def _name_by_worker(what: str) -> str:
    # Rows need not differ: two workers may be given such as are called the same.
    return f"{_identify_worker()} {what}"
