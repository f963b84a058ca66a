"""Features: every column that can be a feature, as what it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from sklearn.base import clone

from reviewml.errors import SchemaError
from reviewml.featurizers import texts
from reviewml.featurizers.column_kinds import KINDS, RECORD, check_text, check_type
from reviewml.featurizers.column_selection import Candidates
from reviewml.rows.expressions import TEXT
from reviewml.rows.roles import require, roles_of
from reviewml.rows.statistics import Statistic
from reviewml.steps.featurizer import Feature, Featurizer, Matrix
from reviewml.untrusted.forms import ByName, Each, Fields, Flag, Text, Whole, WrongForm

if TYPE_CHECKING:
    from reviewml.data.dataset import Dataset


class Features(Featurizer):
    """Makes features of the columns that enrichers added and of all others that can be.

    Numbers stay as they are, and missing ones missing; a list of a fixed size, such as the scores
    of labels, is one number for each place. Texts with few different values are categories.
    Dates become days since 1970, month, weekday and hour, in UTC; of the column with the role
    ``time`` only the cyclic ones are taken, since future times lie outside of what was learned.
    Columns with the roles ``id``, ``text``, ``rating`` and ``target`` are not features, and neither
    are columns whose names differ from theirs in spelling alone. What says nothing is left out,
    with the reason in `left_out_`.

    Parameters
    ----------
    rating
        Whether the rating is a feature. Visitors who have not bought have not rated.
    exclude
        Columns to leave out, such as those known only afterwards.
    text_statistics
        Whether to measure the text: its length, words, capitals, digits and marks. HTML entities
        such as ``&amp;`` count as the characters they show, here and in terms.
    ngrams
        How many terms of the text become features, those that most reviews have: words, and
        pairs of letters in scripts without spaces; 0 for none.
    min_reviews
        Terms in fewer reviews than this are never kept.
    max_categories
        A column of texts with more different values is left out.
    allow_personal
        Columns of texts that look like personal data, such as e-mail addresses, telephone or
        account numbers, and identify nobody. Of all others such values are not kept, since a
        model file would hold them: they are missing, and a column with more than a few of them is
        left out, with a warning. Names have no form, and are kept like any text that several rows
        have.

    Attributes
    ----------
    columns_
        What is kept of each column used: kind, type, parts of the date or categories. Values
        that only one row has are not kept; they are missing, as unseen ones are.
    text_
        Columns of the text, if it is used.
    measured_
        Whether the text is measured.
    terms_
        Terms looked for in the text.
    left_out_
        Columns that are no features though their role allows it, and why.
    later_than_time_
        Columns with dates later than the time of the row: in how many rows, of how many.
    notes_
        What to look at in the features, such as numbers too large to be told apart.
    incomplete_
        Columns of numbers in which rows have no value.
    respelled_
        Columns left out since a column with a role, or in `exclude`, has the same name in another
        spelling, and that name.

    Notes
    -----
    Features are 32-bit floats. Where some of a column's numbers would become equal, as those from
    1,000,000,001 on do, the median of a sample of them is subtracted first, and the feature's
    meaning says so. The sample is of different values, so no single row decides.

    Examples
    --------
    >>> from reviewml.data.frames import as_dataset
    >>> rows = pa.table({"price": [1.5, None, 3.0], "size": ["S", "S", "L"], "shop": ["A"] * 3})
    >>> features = Features().fit(as_dataset(rows))
    >>> [feature.name for feature in features.features()]
    ['price', 'size']
    >>> features.left_out_
    {'shop': 'every row has the same value'}
    """

    identity = "reviewml.featurizers.features:Features"
    checked_in_use = frozenset({"exclude", "allow_personal"})
    parameter_forms = {"ngrams": Whole(), "min_reviews": Whole(), "max_categories": Whole()}

    def __init__(
        self,
        *,
        rating: bool = False,
        exclude: Sequence[str] = (),
        text_statistics: bool = True,
        ngrams: int = 0,
        min_reviews: int = 20,
        max_categories: int = 256,
        allow_personal: Sequence[str] = (),
    ) -> None:
        self.rating = rating
        self.exclude = exclude
        self.text_statistics = text_statistics
        self.ngrams = ngrams
        self.min_reviews = min_reviews
        self.max_categories = max_categories
        self.allow_personal = allow_personal

    # 2: marks and words of all scripts, HTML entities as what they show.
    version = 2

    # Unless saved by a version that did not know them.
    notes_: Sequence[str] = ()
    incomplete_: Sequence[str] = ()

    state_form = Fields(
        {
            "columns_": Each(RECORD),
            "text_": Each(Text()),
            "measured_": Flag(),
            "terms_": Each(Text(), distinct=True),
            "left_out_": ByName(Text()),
            "later_than_time_": ByName(Each(Whole(), length=2)),
        },
        # Earlier versions wrote none of these.
        optional={
            "incomplete_": Each(Text()),
            "notes_": Each(Text()),
            "respelled_": ByName(Text()),
        },
    )

    # -- fitting ------------------------------------------------------------------------------

    def fit(self, dataset: Dataset) -> Self:
        schema = dataset.full_schema
        statistics = dataset.aggregate(self.statistics(schema))
        samples = self._make_candidates(schema).list_samples(statistics)
        if samples:
            statistics |= dataset.aggregate(samples)
        return self.with_state(self.finish(schema, statistics))

    def statistics(self, schema: pa.Schema) -> Mapping[str, Statistic]:
        needed = self._make_candidates(schema).statistics()
        columns = self._list_text_columns(schema)
        if columns and self.ngrams:
            needed["terms"] = texts.DocumentCounts(columns[0], columns)
        return needed

    def finish(self, schema: pa.Schema, statistics: Mapping[str, Any]) -> dict[str, Any]:
        candidates = self._make_candidates(schema)
        columns = self._list_text_columns(schema)
        counts = statistics.get("terms", {})
        state = {
            "columns_": candidates.make_records(statistics),
            "text_": list(columns),
            "measured_": bool(columns) and self.text_statistics,
            "terms_": texts.choose_vocabulary(counts, self.ngrams, self.min_reviews),
            "left_out_": candidates.list_left_out(statistics),
            "later_than_time_": candidates.find_later_than_time(statistics),
            "notes_": list(candidates.list_notes(statistics)),
            "incomplete_": candidates.list_incomplete(statistics),
            "respelled_": candidates.respelled,
        }
        if not (state["columns_"] or state["measured_"] or state["terms_"]):
            reasons = [
                f"{name!r}: {why}" for name, why in candidates.list_left_out(statistics).items()
            ]
            raise SchemaError(f"no column can be a feature. {'; '.join(reasons)}".rstrip())
        return state

    def _make_candidates(self, schema: pa.Schema) -> Candidates:
        return Candidates.of(
            schema,
            exclude=self.exclude,
            rating=self.rating,
            most=self.max_categories,
            allow_personal=self.allow_personal,
        )

    def _list_text_columns(self, schema: pa.Schema) -> tuple[str, ...]:
        if not (self.text_statistics or self.ngrams):
            return ()
        return tuple(c for c in roles_of(schema).text or () if c not in self.exclude)

    def check_state(self, state: Mapping[str, Any]) -> None:
        super().check_state(state)
        if state and (state["measured_"] or state["terms_"]) and not state["text_"]:
            raise WrongForm("text_ names no column, and measured_ or terms_ are of one")

    def with_state(self, state: dict[str, Any]) -> Self:
        self._features = None
        self._checked = None
        return super().with_state(state)

    def summary(self) -> dict[str, Any]:
        return super().summary() | {
            "left_out": self.left_out_,
            "later_than_time": self.later_than_time_,
        }

    def warnings(self) -> list[str]:
        respelled = [
            f"column {column!r} is not a feature, since its name differs from {name!r} in spelling "
            "alone: rename it if it holds something else."
            for column, name in self.respelled_.items()
        ]
        later = [
            f"column {column!r} is later than the time of its row in {rows:,} of {known:,} rows, "
            "so it may tell what happened afterwards. If it is not known at the time of the "
            f"prediction, leave it out with Features(exclude=[{column!r}])."
            for column, (rows, known) in self.later_than_time_.items()
        ]
        return [*respelled, *later, *self.notes_]

    # -- using --------------------------------------------------------------------------------

    _features: tuple[Feature, ...] | None = None
    _checked: pa.Schema | None = None

    def features(self) -> Sequence[Feature]:
        self.require_fitted("columns_")
        if self._features is None:
            self._features = tuple(_name_once(self._make_features()))
        return self._features

    def beyond_operators(self) -> tuple[Features, Sequence[str]]:
        alone: Features = clone(self)
        return alone.with_state(self.state | {"columns_": []}), self.text_

    def _make_features(self) -> Iterator[Feature]:
        for record in self.columns_:
            yield from KINDS[record["kind"]].features(record)
        label = " + ".join(self.text_)
        if self.measured_:
            yield from texts.make_measure_features(label)
        yield from texts.make_term_features(label, self.terms_)

    def matrix(self, batch: pa.RecordBatch) -> Matrix:
        """Compute the features of a batch.

        Raises
        ------
        SchemaError
            When a column is absent, or holds another kind of value than it was fitted on.
        """
        self.check(batch.schema)
        return super().matrix(self._with_texts(batch))

    def check(self, schema: pa.Schema) -> None:
        self.require_fitted("columns_")
        if self._checked is not None and schema.equals(self._checked):
            return
        for record in self.columns_:
            require(schema, record["column"], "Features")
            check_type(schema.field(record["column"]).type, record)
        for column in self.text_:
            require(schema, column, "Features")
            check_text(column, schema.field(column).type)
        self._checked = schema

    def _with_texts(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not (self.measured_ or self.terms_):
            return batch
        joined = texts.join_shown_text([batch.column(column) for column in self.text_])
        batch = batch.append_column(TEXT, joined)
        if not self.terms_:
            return batch
        positions = {term: position for position, term in enumerate(self.terms_)}
        return batch.append_column(texts.TERMS, texts.find_positions(joined, positions))


def _name_once(features: Iterator[Feature]) -> Iterator[Feature]:
    names: set[str] = set()
    for feature in features:
        name = feature.name
        # A user's own column may be called "day: month".
        while name in names:
            name += "'"
        names.add(name)
        yield feature if name == feature.name else dataclasses.replace(feature, name=name)
