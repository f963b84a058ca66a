"""Counts the emoji of reviews."""

import pyarrow as pa
import pyarrow.compute as pc

from reviewml import hookimpl
from reviewml.interfaces import Enricher
from reviewml.plugins.hookspecs import Register

EMOJI = "[\U0001f300-\U0001faff\u2600-\u27bf]"


class Emoji(Enricher):
    """Adds ``emoji``, how many emoji a text has; null where there is no text.

    Parameters
    ----------
    text
        Column, for use without a pipeline.

    Examples
    --------
    >>> Emoji().transform(pa.table({"text": ["Love it 😍😍"]})).column("emoji").to_pylist()
    [2]
    """

    needs = ("text",)
    adds = {"emoji": pa.int64()}

    def __init__(self, *, text: str | None = None) -> None:
        self.text = text

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Count the emoji of each text."""
        counts = pc.count_substring_regex(batch.column("text"), EMOJI)
        return batch.append_column("emoji", counts.cast(pa.int64()))


@hookimpl
def register_enrichers(register: Register) -> None:
    """Register the enricher by name; the class is imported when it is first used."""
    register("emoji", "reviewml_emoji:Emoji")
