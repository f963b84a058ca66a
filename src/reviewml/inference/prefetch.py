"""Making the next of something while the last is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(makers: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Yield the result of each maker, while the next one works in the background.

    Parameters
    ----------
    makers
        Called in order, each in a thread beside the caller's; asked for one at a time.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[T] | None = None
        for maker in makers:
            following = pool.submit(maker)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
