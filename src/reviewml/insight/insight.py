"""Insight: the table of products and aspects, and what stands out in it."""

from __future__ import annotations

import dataclasses
import enum

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.display.text_tables import TextTable

SHOWN = 10
"""Strengths and weaknesses of each kind that the summary shows."""


class Verdict(enum.StrEnum):
    """What can be said of an aspect of a product, beside the others of its category."""

    STRENGTH = "strength"
    WEAKNESS = "weakness"
    MIXED = "mixed"
    ORDINARY = "ordinary"
    TOO_FEW = "too few to say"


@dataclasses.dataclass(frozen=True, repr=False)
class Insight:
    """How often customers mention and blame each aspect of each product.

    Parameters
    ----------
    table
        A row for each product and aspect; see `strengths_and_weaknesses`.
    by
        Column of the product.
    compare_within
        Column of the category, or None.
    """

    table: pa.Table
    by: str
    compare_within: str | None = None

    def weaknesses(self, n: int | None = None) -> pa.Table:
        """Select the `n` worst weaknesses, by the shrunk difference; None selects all."""
        return self._select(Verdict.WEAKNESS, "descending", n)

    def strengths(self, n: int | None = None) -> pa.Table:
        """Select the `n` greatest strengths, by the shrunk difference; None selects all."""
        return self._select(Verdict.STRENGTH, "ascending", n)

    def _select(self, verdict: Verdict, order: str, n: int | None) -> pa.Table:
        rows = self.table.filter(pc.field("verdict") == str(verdict))
        ties = [(self.by, "ascending"), ("aspect", "ascending")]
        return rows.sort_by([("shrunk_difference", order), *ties]).slice(0, n)

    def summarize(self) -> TextTable:
        """Summarize what stands out: the worst weaknesses, then the greatest strengths."""
        rows = [
            row
            for table in (self.weaknesses(SHOWN), self.strengths(SHOWN))
            for row in table.to_pylist()
        ]
        few = pc.sum(pc.equal(self.table.column("verdict"), str(Verdict.TOO_FEW))).as_py() or 0
        title = (
            f"{len(self.table):,} aspects of products: {len(self.weaknesses()):,} weaknesses, "
            f"{len(self.strengths()):,} strengths; too few mentions to say of {few:,}"
        )
        header = (
            self.by,
            "aspect",
            "verdict",
            "mentions",
            "negative",
            "others",
            "difference",
            "interval",
        )
        return TextTable(title, header, [self._format_row(row) for row in rows])

    def _format_row(self, row: dict[str, object]) -> list[str]:
        return [
            str(row[self.by]),
            str(row["aspect"]),
            str(row["verdict"]),
            f"{row['mentions']:,}",
            f"{row['negative_share']:.0%}",
            f"{row['other_negative_share']:.0%}",
            f"{row['difference']:+.0%}",
            f"{row['difference_low']:+.0%} to {row['difference_high']:+.0%}",
        ]

    def __repr__(self) -> str:
        return self.summarize().text()

    def _repr_html_(self) -> str:
        return self.summarize().html()
