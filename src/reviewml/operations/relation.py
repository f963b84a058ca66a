"""Relation: rows with named columns, and the verbs that say what is done to them."""

from __future__ import annotations

import dataclasses
import datetime
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Self, TypeVar

import pyarrow.compute as pc

from reviewml.operations.aggregates import Aggregate
from reviewml.operations.asof import AsOf
from reviewml.operations.duplicates import DropDuplicates
from reviewml.operations.filter import Filter
from reviewml.operations.group_by import GroupBy
from reviewml.operations.join import How, Join, Names, Validate
from reviewml.operations.keys import By, list_names
from reviewml.operations.label import Label
from reviewml.operations.limit import Limit
from reviewml.operations.operation import Operation
from reviewml.operations.sample import Sample
from reviewml.operations.select import Select
from reviewml.parameter_types import check_argument_types
from reviewml.rows.windows import Duration, Windows


class Relation(ABC):
    """Rows that operations are applied to: a `Source` once it is read, a `Dataset` at once.

    Each verb makes an operation and applies it.
    """

    @abstractmethod
    def apply(self, operation: Operation) -> Self:
        """Return the rows that an operation makes of these."""

    @check_argument_types
    def select(self, columns: Sequence[str]) -> Self:
        """Keep these columns, in this order."""
        return self.apply(Select(tuple(columns)))

    def filter(self, keep: pc.Expression) -> Self:
        """Keep the rows for which an Arrow expression is true, not false or null.

        Raises
        ------
        SchemaError
            When it names a column that there is not, or compares what cannot be compared.
        ParameterError
            When it is no Arrow expression.
        """
        return self.apply(Filter(keep))

    def limit(self, n: int) -> Self:
        """Keep the first `n` rows."""
        return self.apply(Limit(n))

    def sample(self, n: int, *, by: str | None = None, random_state: int = 0) -> Self:
        """Keep `n` rows, or `n` for each value of `by`, in their order.

        The rows are those whose id (or place) has the smallest hash, so the same rows are
        chosen whatever their order, and more of them when `n` grows.
        """
        return self.apply(Sample(n, by, random_state))

    @check_argument_types
    def drop_duplicates(self, by: Sequence[str], columns: Sequence[str] = ()) -> Self:
        """Keep one of the rows that agree in all these columns: the one with the smallest place.

        Parameters
        ----------
        by
            Columns that say what a row is about, such as its id; a row in which one is null, NaN
            or blank has no duplicates.
        columns
            Further ones. Rows that agree in `by` and not in these are all kept.

        Warns
        -----
        UserWarning
            Once the rows were read: how many share `by` with others and differ from them.
        """
        return self.apply(DropDuplicates(tuple(by), tuple(columns)))

    def group_by(self, by: str | Sequence[str]) -> Groups[Self]:
        """Group the rows that agree in some columns, to aggregate each group.

        Parameters
        ----------
        by
            Columns of text, numbers, dates or truth values. Rows in which one is null, NaN or
            blank are a group too.

        Examples
        --------
        >>> import pyarrow as pa, pyarrow.compute as pc
        >>> from reviewml.interfaces import as_dataset
        >>> from reviewml.operations import Count, Mean, Share
        >>> reviews = pa.table({"product": ["a", "b", "a"], "rating": [5, 2, 4]})
        >>> grouped = as_dataset(reviews).group_by("product").aggregate(
        ...     {
        ...         "reviews": Count(),
        ...         "stars": Mean("rating"),
        ...         "share_low": Share(pc.field("rating") <= 2),
        ...     }
        ... )
        >>> grouped.to_arrow().to_pylist()[0]
        {'product': 'a', 'reviews': 2, 'stars': 4.5, 'share_low': 0.0}
        """
        return Groups(self, tuple(list_names(by)))

    def join(
        self,
        other: Any,
        *,
        on: Names = None,
        left_on: Names = None,
        right_on: Names = None,
        how: How = "left",
        validate: Validate = "many_to_one",
    ) -> Self:
        """Add the columns of other rows where the keys are equal; null equals nothing.

        Parameters
        ----------
        other
            A `Dataset`, a `Source`, a path or a frame.
        on, left_on, right_on
            Key columns, as in `pandas.merge`.
        how
            ``"left"`` keeps rows that find no match, ``"inner"`` drops them.
        validate
            Which side's keys must be unique: a join that would multiply rows raises.

        Raises
        ------
        JoinError
            When keys are not as unique as `validate` says, naming one of them; when both sides
            have another column of the same name.

        Warns
        -----
        UserWarning
            Once the rows were read: how many found no match, and one of their keys.
        """
        return self.apply(Join(other, on, left_on, right_on, how, validate))

    def asof_aggregate(
        self,
        events: Any,
        *,
        by: By,
        windows: Windows,
        sums: Sequence[str] = (),
        last: str | None = None,
    ) -> Self:
        """Add to each row what happened in windows around its time; all rows stay.

        Events that have ids, a column with the role ``id``, count once: those that agree in id,
        key, time and `sums` are one.

        Adds, all int64, ``<window>_count`` and ``<window>_<column>`` for each column of `sums`;
        and ``<last>_last``, the time of the last event in that window, null where it is empty.

        Parameters
        ----------
        events
            A `Dataset`, a `Source`, a path or a frame. Their columns with the role ``time``, and
            of the keys, say which window they are in.
        by
            Columns in which an event must equal the row, or row's column → event's column. A
            row or event that lacks one, or its time, has no events, or is in no window.
        windows
            Names and windows, relative to the time of the row: a duration such as ``"30d"`` is
            that much time before it, None all of it.
        sums
            Integer columns without nulls. So sums are exact.
        last
            Name of the window whose last event is of interest.

        Raises
        ------
        SchemaError
            When a column or time is missing, or has another type in rows and events.

        Warns
        -----
        UserWarning
            Of rows and of events that lack a key or a time, and of events that share an id and
            differ, each with the count.
        """
        return self.apply(AsOf(events, by, windows, tuple(sums), last))

    def label(
        self,
        events: Any,
        *,
        by: By,
        within: Duration,
        name: str,
        until: datetime.datetime | None = None,
    ) -> Self:
        """Add whether an event follows: the target of a prediction, never a feature.

        Parameters
        ----------
        events
            Such as orders: anything that can be read, with the role ``time``. Where that is a
            date, events of the row's own day count as following it.
        by
            Columns in which an event must equal the row, or row's column → event's column.
        within
            How long after its own time a row waits for an event, such as ``"7d"``: it is true
            when there is one in (time, time + within].
        name
            Of the new column, a boolean. It is null, and no one learns from the row, where the
            time waited for runs past `until`, and where the row has no time or no key.
        until
            Up to when all events are known; the time of the last one unless given. Events that
            are later than all others by far, such as on 9999-12-31, do not count as that.

        Warns
        -----
        UserWarning
            Of such events, and of rows that lack a time or a key.
        """
        return self.apply(Label(events, by, within, name, until))


R = TypeVar("R", bound=Relation)


@dataclasses.dataclass(frozen=True, eq=False)
class Groups(Generic[R]):
    """Rows in groups, to be aggregated."""

    rows: R
    keys: tuple[str, ...]

    def aggregate(self, aggregates: Mapping[str, Aggregate]) -> R:
        """Compute aggregates of each group: a row for each, with the columns it was grouped by.

        The values are exact, and so equal on every backend and in any order of the rows: floats
        are added in units of 2⁻²⁰.

        Parameters
        ----------
        aggregates
            By the name of the new column: `Count`, `Sum`, `Mean`, `Min`, `Max` or `Share` of
            `reviewml.operations`.

        Raises
        ------
        SchemaError
            When a column is missing, or is of a type that has no such aggregate; once the rows
            are read, when a value is too large to be added exactly.

        Warns
        -----
        UserWarning
            Once the rows were read: of rows that failed before, with the count.
        """
        return self.rows.apply(GroupBy(self.keys, aggregates))
