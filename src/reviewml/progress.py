"""Progress bars: rows done and time left; silent where nobody watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa


def progress(
    batches: Iterable[pa.RecordBatch], what: str, total: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield batches while showing how many rows went by, on a terminal only.

    Parameters
    ----------
    batches
        What is worked on.
    what
        Label of the bar.
    total
        Rows there are, when known; the time left is shown then.
    """
    from tqdm.auto import tqdm

    # disable=None is tqdm's own check for a terminal.
    with tqdm(total=total, desc=what, unit=" rows", unit_scale=True, disable=None) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))
