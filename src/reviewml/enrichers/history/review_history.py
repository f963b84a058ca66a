"""ReviewHistory: what reviews said of a product, or customer, before the time of each row."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import clone

from reviewml.data.backend import as_source
from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset, is_frame
from reviewml.data.source import with_keys
from reviewml.enrichers.history.columns import CompleteSnapshot, ComputeHistory, Shrinkage
from reviewml.enrichers.history.key_statistics import (
    KeysBefore,
    Magnitudes,
    RatingCounts,
    find_common_magnitude,
)
from reviewml.enrichers.history.measures import (
    BITS,
    FEWEST_BITS,
    RATING,
    TIME,
    MeasureReviews,
    count_bits,
    list_measurable,
    make_measures,
)
from reviewml.enrichers.history.shrinkage import fit_shrinkage
from reviewml.enrichers.sentiment.rating_scale import (
    RatingScale,
    check_scale,
    describe_beyond,
    describe_doubt,
    detect_scale,
)
from reviewml.errors import NotFitted, SchemaError, suggest_names
from reviewml.operations.ask_database import AskDatabase
from reviewml.operations.asof import LAST_TYPE, require_time
from reviewml.operations.duplicates import DropDuplicates
from reviewml.operations.keys import By, map_keys
from reviewml.rows import row_errors
from reviewml.rows.expressions import as_moments, make_earlier
from reviewml.rows.hashing import hash_keys
from reviewml.rows.roles import ROLE_NAMES, Roles
from reviewml.rows.statistics import Statistic, ValueCounts
from reviewml.rows.time_range import TimeRange, TimesByDay
from reviewml.rows.windows import Duration, Window, format_duration, parse_duration
from reviewml.steps.enrichment import Enrichment
from reviewml.untrusted.forms import (
    Array,
    ByName,
    Each,
    Fields,
    Flag,
    Instance,
    Maybe,
    Pair,
    Real,
    Text,
    Whole,
    WrongForm,
)

ALL = "all"
"""Name of the window without a lower bound."""

MOST_LABELS = 20
"""Values of a column of labels whose share is told, the commonest."""

MOST_VALUES = 1_000
"""Different values a column may have and still hold labels."""

AS_OF = "__as_of__"

RATING_COUNTS = "__rating_counts__"
"""Name of the statistic of the ratings; a column of an enricher may be called ``rating``."""

COUNTED = "__history_{}__"
"""How the columns that are counted before they become the history are called."""


class ReviewHistory(Enrichment):
    """Adds to each row what reviews had said before its time, of the product it is about.

    A row is a decision, such as a visit to a product's page; a review counts for it when it is
    of the same key and was posted before the row's time less `delay`, strictly. Rows whose
    product has no review yet stay: the count is 0, and the means are the prior.

    Adds, for a step called ``product`` and the window ``30d``:

    - ``product_count_30d``: number of reviews
    - ``product_rating_mean_30d``, ``product_sentiment_mean_30d``, …: the mean of the rating and
      of each number that `enrichers` add
    - ``product_sentiment_label_positive_share_30d``, …: the share of each label they add
    - ``product_days_since_last``: since the last review of the longest window; null without one
    - ``product_count_trend``: the share of the longest window's reviews that are in the
      shortest; ``product_sentiment_trend``, …: the mean in the shortest less that in the longest

    Parameters
    ----------
    reviews
        A source, path or frame. The roles ``time``, and ``rating`` and ``text`` where there are
        such columns, are its own: ``Files("reviews/", text="body", time="posted_at")``. They are
        read anew each time, so new reviews count at once. A saved pipeline holds neither them
        nor where they are.
    by
        Columns that a review and a row have in common, such as ``"product_id"``; where they are
        called otherwise, row's column → review's column.
    enrichers
        ``(name, enricher)`` pairs, applied to the reviews.
    windows
        How far back to look, such as ``"30d"``; None for all the time.
    delay
        How long after it was posted a review is seen. With reviews that have a date and no
        time, at least a day.
    shrink
        Draws means of few reviews towards the mean of all; False gives raw means, null where
        there is no review.
    time
        Column of the rows that says when they happened, for use without a pipeline.
    scale
        Lowest and highest rating, as in ``(1, 5)``; None detects them, as `Sentiment` does, and
        rare ratings do not change it. Ratings beyond are left out of the means, with a warning.

    Attributes
    ----------
    enrichers_
        The fitted enrichers.
    priors_, strengths_
        What each measure is drawn towards, and how many reviews that is worth.
    scale_
        Lowest and highest rating; None without ratings.
    labels_
        The values of each column of labels whose share is told.
    last_review_
        When the last review was posted that was known while fitting, those that are later than
        all others by far left out; None without any.

    Notes
    -----
    Sums are of whole numbers, values rounded to 2⁻²⁰, so they do not depend on the order of the
    reviews. With n values whose sum is S, a mean is (S + m·prior) / (n + m), where the prior is
    the mean of all reviews and m comes from their variances [1]_. In a pipeline, everything
    that is learned is learned from reviews that could be seen before the first row held out for
    validation, so what is posted later changes no feature of any row up to then.

    References
    ----------
    .. [1] Bühlmann and Gisler (2005), A Course in Credibility Theory and its Applications, 4.8.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from datetime import datetime
    >>> from reviewml import Frame
    >>> may = [datetime(2026, 5, day) for day in (1, 2, 20)]
    >>> reviews = pa.table({"sku": ["a", "a", "a"], "stars": [5, 4, 1], "posted": may})
    >>> visits = pa.table({"sku": ["a", "b"], "at": [datetime(2026, 5, 10)] * 2})
    >>> history = ReviewHistory(Frame(reviews, rating="stars", time="posted"), by="sku",
    ...                         windows=(None,), shrink=False, time="at")
    >>> seen = history.fit_transform(visits)
    >>> seen.select(["sku", "sku_count_all", "sku_rating_mean_all"]).to_pylist()
    [{'sku': 'a', 'sku_count_all': 2, 'sku_rating_mean_all': 4.5},
     {'sku': 'b', 'sku_count_all': 0, 'sku_rating_mean_all': None}]
    """

    identity = "reviewml.enrichers.history:ReviewHistory"

    looks_back = True
    unsaved = ("reviews",)
    state_form = Fields(
        {
            "prefix_": Text(),
            "roles_": ByName(Each(Text()), names=Text(ROLE_NAMES)),
            "enrichers_": Each(Pair(Text(), Instance(Enrichment))),
            "columns_": ByName(Flag()),
            "labels_": ByName(Each(Text(), distinct=True)),
            "bits_": ByName(Whole(FEWEST_BITS, BITS)),
            "priors_": ByName(Real()),
            "strengths_": ByName(Real(0)),
            "last_review_": Maybe(Text()),
            "known_keys_": Array("uint64", ("keys",), least=0, most=2**64, ascending=True),
        },
        optional={"scale_": Maybe(Each(Real(), length=2))},
    )

    def __init__(
        self,
        reviews: Any,
        by: By,
        *,
        enrichers: Sequence[tuple[str, Enrichment]] = (),
        windows: Sequence[Duration | None] = ("30d", "365d", None),
        delay: Duration = "1d",
        shrink: bool = True,
        time: str | None = None,
        scale: tuple[float, float] | None = None,
    ) -> None:
        self.time = time
        # A frame would show its texts wherever the step is printed.
        self.reviews = as_source(reviews) if is_frame(reviews) else reviews
        self.by = by
        self.enrichers = enrichers
        self.windows = windows
        self.delay = delay
        self.shrink = shrink
        self.scale = scale

    scale_: list[float] | None = None
    _until: int | None = None
    """Rows from then on, in microseconds, are for validation: nothing is learned from them."""

    def __sklearn_clone__(self) -> Self:
        # Reviews are not copied: there may be many of them.
        params = self.get_params(deep=False)
        params["enrichers"] = [(name, clone(step)) for name, step in self.enrichers]
        return type(self)(**params)

    def check_state(self, state: Mapping[str, Any]) -> None:
        super().check_state(state)
        if not state:
            return
        self._check()
        columns, labels = state["columns_"], state["labels_"]
        if {name for name, labelled in columns.items() if labelled} != labels.keys():
            raise WrongForm("labels_ do not match columns_")
        names = sorted(measure.name for measure in make_measures(columns, labels, state["bits_"]))
        if names != sorted(state["priors_"]) or names != sorted(state["strengths_"]):
            raise WrongForm("priors_ and strengths_ are of other measures than columns_")

    # -- learning -----------------------------------------------------------------------------

    def before(self, moment: int) -> Self:
        """Return one that learns only from what could be seen before a moment."""
        earlier = copy.copy(self)
        earlier._until = moment
        return earlier

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the reviews; of the rows only the keys are remembered, as hashes."""
        rows = self.read_rows(X)
        self.remember_columns(rows.schema.names)
        self._learn(rows, None)
        return self

    def fit_enrich(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Learn from the reviews, and add their history to the rows."""
        reviews = self._learn(dataset, stage)
        return self._with_history(dataset, reviews)

    def _learn(self, rows: Dataset, stage: str | None) -> Dataset:
        self._check()
        self.prefix_ = stage or "_".join(self._map_keys())
        reviews = self._read(rows, self.reviews)
        self.roles_ = {role: list(names) for role, names in reviews.roles.list_named().items()}
        seen = self._keep_visible_reviews(reviews)
        self.enrichers_ = []
        enriched = reviews
        for name, enricher in self.enrichers:
            step = clone(enricher)
            if step.learns:
                seen = seen.persist()
            seen = seen.enrich(step.fit(seen))
            enriched = enriched.enrich(step, stage=f"{self.prefix_}.{name}")
            self.enrichers_.append((name, step))
        enriched = enriched.persist()
        row_errors.warn(enriched.errors)
        self._choose_columns(reviews, enriched)
        measured = self._measure_reviews(enriched)
        self.priors_, self.strengths_ = fit_shrinkage(
            self._keep_visible_reviews(measured), self._measure()
        )
        times = measured.aggregate({"times": TimesByDay(TIME)}).get("times", {})
        self.last_review_ = self._find_last_time(
            TimeRange.of(times), measured.schema.field(TIME).type
        )
        self.known_keys_ = self._hash_keys(rows)
        return measured

    def _keep_visible_reviews(self, reviews: Dataset) -> Dataset:
        """Keep the reviews that could be seen before the rows held out for validation."""
        if self._until is None:
            return reviews
        time = require_time(reviews.full_schema, "reviews")
        visible = self._until - parse_duration(self.delay)
        return reviews.filter(make_earlier(time, reviews.schema.field(time).type, visible))

    def _choose_columns(self, reviews: Dataset, enriched: Dataset) -> None:
        added = [name for name in enriched.schema.names if name not in reviews.schema.names]
        self.columns_ = dict(list_measurable(enriched.full_schema, added))
        labelled = [name for name, labels in self.columns_.items() if labels]
        numbers = [n for n, labels in self.columns_.items() if not labels and n != RATING]
        wanted: dict[str, Statistic] = {n: ValueCounts(n, MOST_VALUES) for n in labelled}
        wanted |= {name: Magnitudes(name) for name in numbers}
        if RATING in self.columns_:
            wanted[RATING_COUNTS] = RatingCounts(str(reviews.roles.rating))
        counts = self._keep_visible_reviews(enriched).aggregate(wanted)
        self.labels_ = {name: _sort_by_frequency(counts.get(name)) for name in labelled}
        self.bits_ = {name: self._choose_bits(name, counts.get(name, {})) for name in numbers}
        self._choose_scale(counts.get(RATING_COUNTS, {}))

    def _choose_bits(self, name: str, counts: Mapping[int, int]) -> int:
        size, beyond = find_common_magnitude(counts)
        if beyond:
            self._warn(
                f"{beyond:,} of {sum(counts.values()):,} values of {name!r} are over a thousand "
                f"times as large as all others, and count as {4 * size:g}."
            )
        return count_bits(size)

    def _choose_scale(self, counts: Mapping[float, int]) -> None:
        scale = None if self.scale is None else check_scale(self.scale)
        if counts:
            detected = detect_scale(counts)
            self._warn("" if scale else describe_doubt(detected, counts))
            scale = scale or detected
            self._warn(describe_beyond(scale, counts))
        self.scale_ = None if scale is None else [scale.lowest, scale.highest]
        if RATING in self.columns_:
            self.bits_[RATING] = count_bits(max(map(abs, self.scale_))) if self.scale_ else BITS

    def _find_last_time(self, times: TimeRange | None, kind: pa.DataType) -> str | None:
        if times is None:
            return None
        if times.outside:
            self._warn(
                f"{times.outside:,} of {times.total:,} reviews are earlier or later "
                "than all others by far. They count as they stand."
            )
        last = pa.scalar(times.last, pa.timestamp("us", getattr(kind, "tz", None)))
        last_time: str = last.cast(kind).as_py().isoformat()
        return last_time

    def _warn(self, message: str) -> None:
        if message:
            row_errors.warn_at_caller(f"step {self.prefix_!r}: {message}")

    def _hash_keys(self, rows: Dataset) -> npt.NDArray[np.uint64]:
        keys_before = KeysBefore(
            require_time(rows.full_schema, "rows"), tuple(self._map_keys()), self._until
        )
        statistics = rows.aggregate({"keys": keys_before})
        keys: npt.NDArray[np.uint64] = statistics.get("keys", np.empty(0, np.uint64))
        return keys

    # -- looking up ---------------------------------------------------------------------------

    def enrich_dataset(self, dataset: Dataset, *, stage: str | None = None) -> Dataset:
        """Add their history to the rows; rows that have one, as from `snapshot`, keep it."""
        self.require_fitted("prefix_")
        columns = self._make_columns(None)
        present = [name for name in columns.names() if name in dataset.schema.names]
        if len(present) == len(columns.names()):
            return dataset.apply(CompleteSnapshot(columns))
        if present:
            missing = sorted(set(columns.names()) - set(present))
            raise SchemaError(
                f"step {self.prefix_!r}: the rows have some columns of a history, {present[0]!r} "
                f"for one, and lack {missing}: take all from one snapshot, or none."
            )
        return self._with_history(dataset, self._measure_reviews(self._enrich_reviews(dataset)))

    def added_names(self) -> list[str]:
        self.require_fitted("prefix_")
        return list(self._make_columns(None).names())

    def looking_at(self, reviews: Any) -> Self:
        """Return one that looks at these reviews.

        Parameters
        ----------
        reviews
            As the parameter; columns have the roles they had while fitting unless they have
            others of their own.
        """
        other = copy.copy(self)
        other.reviews = reviews
        return other

    def snapshot(self, as_of: datetime.datetime | str, *, reviews: Any = None) -> pa.Table:
        """Return the history of each key at one moment: what a service looks up by key.

        Joined to rows, it stands in for the reviews: a pipeline that finds all columns of a
        history in its rows takes them as they are.

        Parameters
        ----------
        as_of
            The moment; a text in ISO 8601. Without a zone it is UTC.
        reviews
            In place of those it was made with.

        Returns
        -------
        pyarrow.Table
            The columns of `by`, and those of the history; a row for each key with a review at
            any time.
        """
        self.require_fitted("prefix_")
        step = self if reviews is None else self.looking_at(reviews)
        measured = step._measure_reviews(step._enrich_reviews(as_dataset(pa.table({})))).persist()
        names = list(self._measure().key_names())
        keys = measured.select(names).to_arrow().drop_null().group_by(names).aggregate([])
        keys = keys.rename_columns(list(self._map_keys()))
        keys = keys.sort_by([(name, "ascending") for name in keys.column_names])
        moment = datetime.datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of
        time = as_moments(pa.array([moment])).cast(LAST_TYPE)
        rows = keys.append_column(AS_OF, time.take(pa.array(np.zeros(len(keys), np.int8))))
        dataset = as_dataset(rows, Roles(time=AS_OF))
        return step._with_history(dataset, measured).to_arrow().drop_columns([AS_OF])

    def segments(self, batch: pa.RecordBatch) -> Mapping[str, pa.Array]:
        """Find which rows have no review to go by, and whose key no training row had."""
        longest = list(self._sort_windows())[-1]
        has_reviews = pc.greater(batch.column(f"{self.prefix_}_count_{longest}"), 0)
        hashes, _ = hash_keys([batch.column(name) for name in self._map_keys()])
        is_known = pa.array(np.isin(hashes, self.known_keys_))
        return {
            f"{self.prefix_}: reviews": pc.if_else(has_reviews, "some visible", "none visible"),
            f"{self.prefix_}: in training": pc.if_else(is_known, "seen", "unseen"),
        }

    def clusters(self, batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
        return hash_keys([batch.column(name) for name in self._map_keys()])[0]

    def summary(self) -> str:
        """Return up to when reviews were seen, and what the means are drawn towards."""
        priors = ", ".join(
            f"{name} {prior:.3g} (worth {self.strengths_[name]:.3g} reviews)"
            for name, prior in self.priors_.items()
        )
        drawn = f"; means are drawn towards {priors}" if self.shrink and priors else ""
        return f"reviews up to {self.last_review_}, seen {self.delay} after they are posted{drawn}"

    # -- inside -------------------------------------------------------------------------------

    @property
    def asks_a_database(self) -> bool:
        """Whether one of the enrichers of the reviews does."""
        return any(step.asks_a_database for _, step in self.enrichers)

    def questions(self, rows: Dataset, stage: str) -> list[tuple[AskDatabase, Dataset]]:
        reviews = rows.read_other(self.reviews)
        return [
            question
            for name, step in self.enrichers
            for question in step.questions(reviews, f"{stage}.{name}")
        ]

    def _check(self) -> None:
        parse_duration(self.delay)
        if not self._map_keys():
            raise SchemaError("by is empty: name the columns that rows and reviews share.")
        if isinstance(self.windows, str):
            raise SchemaError(f"windows={self.windows!r} is one text: give a tuple of them.")
        if not self.windows:
            raise SchemaError(
                "windows is empty: say how far back to look; (None,) is all the time."
            )
        self._sort_windows()
        for name, step in self.enrichers:
            if not isinstance(step, Enrichment) or step.looks_back:
                raise SchemaError(
                    f"enrichers: {name!r} is {step!r}; give enrichers of single rows."
                )

    def _map_keys(self) -> dict[str, str]:
        return map_keys(self.by)

    def _sort_windows(self) -> dict[str, Window]:
        """Return the windows by name, the shortest first."""
        end = -parse_duration(self.delay)
        lengths = {_name(w): parse_duration(w) for w in self.windows if w is not None}
        ordered = sorted(lengths.items(), key=lambda pair: pair[1])
        windows = {name: Window(end - length, end) for name, length in ordered}
        return windows | ({ALL: Window(None, end)} if None in self.windows else {})

    def _read(self, rows: Dataset, reviews: Any) -> Dataset:
        if reviews is None:
            raise NotFitted(
                f"step {self.prefix_!r} looks at reviews, and a saved pipeline holds none: give "
                "them, as in predict(rows, reviews=Files('reviews/')), or join a snapshot() to "
                "the rows."
            )
        learned = getattr(self, "roles_", {})
        roles = Roles.of(**{r: n if r == "text" else n[0] for r, n in learned.items()})
        dataset = rows.read_other(with_keys(reviews, self._map_keys().values()), roles)
        self._check_reviews(dataset)
        return self._count_once(dataset)

    def _count_once(self, reviews: Dataset) -> Dataset:
        """Keep one of the reviews that have one id and say the same."""
        roles = reviews.roles
        compared = [name for name in (roles.time, roles.rating, *(roles.text or ())) if name]
        keys = list(self._map_keys().values())
        duplicates = DropDuplicates.of_events(reviews.full_schema, keys, compared)
        return reviews if duplicates is None else reviews.apply(duplicates)

    def _check_reviews(self, reviews: Dataset) -> None:
        for key in self._map_keys().values():
            if key not in reviews.schema.names:
                near = suggest_names(key, reviews.schema.names)
                raise SchemaError(f"step {self.prefix_!r}: the reviews have no {key!r}. {near}")
        time = require_time(reviews.full_schema, "reviews")
        day = parse_duration("1d")
        if pa.types.is_date(reviews.schema.field(time).type) and parse_duration(self.delay) < day:
            row_errors.warn_at_caller(
                f"step {self.prefix_!r}: {time!r} has dates without a time, so with delay="
                f"{self.delay!r} a review counts for visits earlier on its day: use delay='1d'."
            )

    def _enrich_reviews(self, rows: Dataset) -> Dataset:
        reviews = self._read(rows, self.reviews)
        if RATING in self.columns_ and RATING not in dict(list_measurable(reviews.full_schema, ())):
            raise SchemaError(
                f"step {self.prefix_!r} averages ratings, and no column of these reviews has the "
                "role 'rating': name it, as in Files('reviews/', rating='stars')."
            )
        for name, enricher in self.enrichers_:
            reviews = reviews.enrich(enricher, stage=f"{self.prefix_}.{name}")
        self._check_measured(reviews.full_schema)
        return reviews

    def _check_measured(self, schema: pa.Schema) -> None:
        measured_before = [
            name for name in self.columns_ if name != RATING and name in schema.names
        ]
        measured = {**dict(list_measurable(schema, measured_before)), RATING: False}
        for name, labelled in self.columns_.items():
            if measured.get(name) is not labelled:
                raise SchemaError(
                    f"step {self.prefix_!r} measures {name!r} of the reviews, which has to be a "
                    f"column of {'texts' if labelled else 'numbers'} that its enrichers add."
                )

    def _measure(self) -> MeasureReviews:
        measures = make_measures(self.columns_, self.labels_, self.bits_)
        scale = None if self.scale_ is None else RatingScale(*self.scale_)
        return MeasureReviews(tuple(self._map_keys().values()), measures, scale)

    def _measure_reviews(self, enriched: Dataset) -> Dataset:
        return enriched.apply(self._measure())

    def _with_history(self, rows: Dataset, measured: Dataset) -> Dataset:
        measure = self._measure()
        windows = {COUNTED.format(name): window for name, window in self._sort_windows().items()}
        counted = rows.asof_aggregate(
            measured,
            by=dict(zip(self._map_keys(), measure.key_names(), strict=True)),
            windows=windows,
            sums=measure.sums(),
            last=list(windows)[-1],
        )
        return counted.apply(self._make_columns(require_time(rows.full_schema, "rows")))

    def _make_columns(self, time: str | None) -> ComputeHistory:
        shrinkages = {
            name: Shrinkage(prior, self.strengths_[name]) for name, prior in self.priors_.items()
        }
        return ComputeHistory(
            prefix=self.prefix_,
            windows={name: COUNTED.format(name) for name in self._sort_windows()},
            measures={
                measure: shrinkages[measure.name] if self.shrink else None
                for measure in self._measure().measures
            },
            time=time or "",
        )


def _sort_by_frequency(counts: Mapping[str, int] | None) -> list[str]:
    # More values than that are no labels.
    ordered = sorted((counts or {}).items(), key=lambda pair: (-pair[1], pair[0]))
    return sorted((label for label, _ in ordered[:MOST_LABELS]), key=str.encode)


def _name(length: Duration) -> str:
    return (
        length.replace(" ", "")
        if isinstance(length, str)
        else format_duration(parse_duration(length))
    )
