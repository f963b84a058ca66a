"""What happened on the workers, told where the work was asked for."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from collections import Counter
from collections.abc import Hashable
from typing import Any, Self

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from reviewml.errors import WorkerDied
from reviewml.interfaces.tally import Tally

MOST_DEATHS = 20
"""Workers that may die one after the other before the work is given up."""


class Notes:
    """The actor that gathers; it lives beside the process that asked for the work."""

    def __init__(self) -> None:
        self._restarts: Counter[str] = Counter()
        self._tallies: dict[str, dict[Hashable, Tally]] = {}
        self._begun: Counter[str] = Counter()
        self._deaths_in_a_row = 0

    def begin(self, what: str) -> int:
        """Note that something was begun, and return how often it was before and never ended."""
        self._begun[what] += 1
        return self._begun[what] - 1

    def end(self, what: str) -> None:
        """Note that something was ended."""
        del self._begun[what]
        self._deaths_in_a_row = 0

    def restarted(self, step: str) -> int:
        """Count a worker that took the place of one that died.

        Returns
        -------
        int
            How many did since anything was ended.
        """
        self._restarts[step] += 1
        self._deaths_in_a_row += 1
        return self._deaths_in_a_row

    def tell(self, work: str, part: Hashable, tally: Tally) -> None:
        """Keep what was counted in a part of some work; a part that is done again counts once."""
        self._tallies.setdefault(work, {})[part] = tally

    def take(self) -> tuple[Counter[str], list[Tally]]:
        """Return what was gathered since it was last asked for."""
        restarts, tallies = self._restarts, list(map(_merged, self._tallies.values()))
        self._restarts, self._tallies = Counter(), {}
        return restarts, tallies


def _merged(parts: dict[Hashable, Tally]) -> Tally:
    first, *others = (parts[part] for part in sorted(parts, key=str))
    for other in others:
        first = first.merge(other)
    return first


@dataclasses.dataclass(frozen=True)
class Ledger:
    """A handle on the notes that workers can be given."""

    notes: Any

    @classmethod
    @functools.lru_cache(maxsize=1)
    def of(cls, connection: str) -> Self:
        """Return the one of a connection to a cluster; it lives beside this process."""
        node = ray.get_runtime_context().get_node_id()
        where = NodeAffinitySchedulingStrategy(node, soft=True)
        options = {"num_cpus": 0, "scheduling_strategy": where, "name": f"reviewml {connection}"}
        return cls(ray.remote(**options)(Notes).remote())

    def started(self, step: str) -> None:
        """Tell that a worker begins with a step; it matters when another died of it before."""
        context = ray.get_runtime_context()
        if context.get_actor_id() is None:
            again = context.worker.core_worker.get_current_task_attempt_number() > 0
        else:
            with warnings.catch_warnings():
                # Ray's own property uses one that Ray calls deprecated.
                warnings.simplefilter("ignore", DeprecationWarning)
                again = context.was_current_actor_reconstructed
        if again and ray.get(self.notes.restarted.remote(step)) > MOST_DEATHS:
            raise WorkerDied(
                f"{step}: workers died {MOST_DEATHS} times in a row and finished nothing. The logs "
                "of Ray say how; if they ran out of memory, let each claim more, as in "
                f"resources={{{step!r}: {{'memory': 8 * 2**30}}}}, or make concurrency= smaller."
            )

    def begin(self, what: str) -> int:
        """Note that something was begun, and return how often it was before and never ended."""
        return int(ray.get(self.notes.begin.remote(what)))

    def end(self, what: str) -> None:
        """Note that something was ended."""
        self.notes.end.remote(what)

    def tell(self, work: str, part: Hashable, tally: Tally) -> None:
        """Tell what was counted in a part of some work."""
        ray.get(self.notes.tell.remote(work, part, tally))

    def report(self) -> None:
        """Warn of what workers told since the last report."""
        restarts, tallies = ray.get(self.notes.take.remote())
        for step, times in sorted(restarts.items()):
            many = "a worker" if times == 1 else f"{times:,} workers"
            warnings.warn(
                f"{step}: {many} died and began again; what was not finished was done once more. "
                "Look at the logs of Ray when it happens often.",
                stacklevel=2,
            )
        for tally in tallies:
            tally.warn()
