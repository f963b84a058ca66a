"""Progress bars: rows done and time left; silent where nobody watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Rows = TypeVar("Rows", bound=Sized)


def show_progress(
    batches: Iterable[Rows], what: str, total: int | None = None, *, part: bool = False
) -> Iterator[Rows]:
    """Yield batches, and show a progress bar of their rows on a terminal.

    Parameters
    ----------
    batches
        What is worked on.
    what
        Label of the bar.
    total
        Rows there are, when known; the time left is shown then.
    part
        Whether they are a part of some work, whose bar is shown if it is slow and gone when it
        ends.
    """
    from tqdm.auto import tqdm

    # disable=None is tqdm's own check for a terminal.
    look = {"desc": what, "unit": " rows", "unit_scale": True, "disable": None}
    with tqdm(total=total, leave=not part, delay=1.0 if part else 0.0, **look) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))
