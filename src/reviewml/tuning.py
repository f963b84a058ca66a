"""Searching for the parameters of a pipeline that predict best on rows held out."""

from __future__ import annotations

import contextlib
import dataclasses
import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    ParameterGrid,
    ParameterSampler,
    StratifiedGroupKFold,
    StratifiedKFold,
)

from reviewml.data.backend import Backend, Outcome, Setting
from reviewml.data.dataset import Dataset
from reviewml.display.text_tables import TextTable
from reviewml.errors import ParameterError, ReviewmlError, SchemaError, TrialsFailed, suggest_names
from reviewml.evaluation.splits import split_successively
from reviewml.fitting.fit import get_label_horizon
from reviewml.parameter_types import check_argument_types
from reviewml.pipeline import Pipeline
from reviewml.privacy.redaction import describe_error
from reviewml.privacy.secret_parameters import hide_secrets
from reviewml.rows.bookkeeping import find_unreadable, has_target, identify_rows
from reviewml.rows.columns import as_array
from reviewml.rows.hashing import stable_hash
from reviewml.rows.roles import require, roles_of, visible
from reviewml.steps.target import read_target

FOLDS = 5
"""Times that rows are split, unless another number is asked for."""

Space = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Fold = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


@dataclasses.dataclass(frozen=True)
class Trial:
    """The outcome of one setting.

    Parameters
    ----------
    params
        The setting.
    scores
        One for each fold; empty when it failed.
    seconds
        It took.
    error
        What went wrong; None when it went well.
    """

    params: Setting
    scores: tuple[float, ...] = ()
    seconds: float = 0.0
    error: str | None = None

    @property
    def mean(self) -> float:
        """Mean of the scores; NaN when it failed."""
        return float(np.mean(self.scores)) if self.scores else float("nan")


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The trials of a search, and the pipeline with the best parameters.

    Parameters
    ----------
    results
        A trial for each setting, in the order of the search.
    split
        How rows were held out, in words.
    pipeline_
        With the best parameters, fitted on all rows; None without ``refit``.
    """

    results: tuple[Trial, ...]
    split: str
    pipeline_: Pipeline | None = dataclasses.field(default=None, repr=False)

    @property
    def best_params_(self) -> Setting:
        """The setting with the highest mean score, the first of equals."""
        return self._best.params

    @property
    def best_score_(self) -> float:
        """Its mean score."""
        return self._best.mean

    @property
    def _best(self) -> Trial:
        return max((trial for trial in self.results if trial.error is None), key=_get_mean)

    def __str__(self) -> str:
        ranked = sorted(self.results, key=lambda trial: np.nan_to_num(-trial.mean, nan=np.inf))
        names = list(dict.fromkeys(name for trial in ranked for name in trial.params))
        rows = [
            (*(str(params.get(name, "")) for name in names), *_format_trial(trial))
            for trial, params in ((trial, hide_secrets(trial.params)) for trial in ranked)
        ]
        return TextTable(self.split, (*names, "score", "seconds"), rows).text()


def _get_mean(trial: Trial) -> float:
    return trial.mean


def _format_trial(trial: Trial) -> tuple[str, str]:
    return trial.error or f"{trial.mean:.4f}", f"{trial.seconds:.1f}"


@check_argument_types
def tune(
    pipeline: Pipeline,
    X: Any,
    y: Any = None,
    *,
    space: Space,
    target: str | None = None,
    group: str | None = None,
    cv: int | None = None,
    scoring: str | Callable[..., float] | None = None,
    n_trials: int | None = None,
    random_state: int = 0,
    refit: bool = True,
) -> Tuned:
    """Search the parameters of a pipeline where it runs: here, or in many trials on a cluster.

    Each setting is fitted and scored on the same folds. Rows with a time are never shuffled:
    each fold judges later rows by what earlier ones taught, those within the time that the target
    looks ahead left out. Other rows of one `group`, or one id, stay together, and classes have
    about the same share in each fold. Trials hold the rows in memory.

    Parameters
    ----------
    pipeline
        Stays as it is.
    X, y, target, group
        As of `Pipeline.fit`.
    space
        Values to try of each ``<step>__<parameter>``, or several such spaces: all combinations
        of lists, or, with `n_trials`, draws from lists and from distributions of `scipy.stats`.
    cv
        Folds; 5 unless given.
    scoring
        As in scikit-learn, larger is better; accuracy or R² unless given.
    n_trials
        Settings to draw; None tries all.
    random_state
        Seed of draws and of folds.
    refit
        Whether to fit the best setting on all rows.

    Raises
    ------
    ParameterError
        When the pipeline has no such parameter, or the space cannot be searched.
    TrialsFailed
        When every trial failed, with the reason of the first.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from reviewml.featurizers import Features
    >>> from reviewml.trainers import LogisticRegression
    >>> rows = pa.table({"price": [float(i) for i in range(60)], "bought": [True, False] * 30})
    >>> pipe = Pipeline([("features", Features()), ("model", LogisticRegression())])
    >>> found = tune(pipe, rows, target="bought", space={"model__C": [0.1, 1.0]}, cv=2)
    >>> len(found.results), found.split
    (2, '2 folds of 60 rows, with the same share of each class')
    """
    if cv is not None and cv < 2:
        raise ParameterError(f"cv={cv}: expected 2 folds at least.")
    settings = _draw_settings(pipeline, space, n_trials, random_state)
    examples = _Examples.of(pipeline._read_to_fit(X, y, target, needs_target=True), group)
    try:
        folds, how = examples.folds(FOLDS if cv is None else cv, pipeline, random_state)
    except ReviewmlError:
        raise
    except ValueError as error:
        raise ParameterError(f"cv= and random_state= make no folds: {error}") from error
    scorer = _find_scorer(pipeline, scoring)
    trial = CrossValidation(
        examples.name_roles(pipeline), examples.table, examples.target, group, folds, scorer
    )
    outcomes = pipeline._choose_backend().try_each(trial, settings)
    results = tuple(
        Trial(setting, **outcome) for setting, outcome in zip(settings, outcomes, strict=True)
    )
    search = Tuned(results, how)
    if all(trial.error for trial in results):
        raise TrialsFailed(f"all {len(results)} trials failed; the first: {results[0].error}")
    if not refit:
        return search
    best = clone(pipeline).set_params(**search.best_params_)
    return dataclasses.replace(search, pipeline_=best.fit(X, y, target=target, group=group))


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """Fits a setting on each fold and scores it on the rows held out; what a trial runs.

    Parameters
    ----------
    pipeline
        Not fitted.
    table
        The rows; their roles are in the metadata.
    target, group
        Columns of the table.
    folds
        Rows to learn from and to score, by position.
    scorer
        As scikit-learn makes them.
    """

    pipeline: Pipeline
    table: pa.Table
    target: str
    group: str | None
    folds: Sequence[Fold]
    scorer: Callable[..., float]

    def __call__(self, backend: Backend, setting: Setting) -> Outcome:
        started = clock.perf_counter()
        outcome: dict[str, Any] = {}
        try:
            # A copy, since settings of other trials must not stay.
            pipeline = clone(self.pipeline).on(backend)
            pipeline.set_params(**clone(dict(setting), safe=False))
            outcome["scores"] = tuple(self._score(clone(pipeline), *fold) for fold in self.folds)
            if not np.isfinite(outcome["scores"]).all():
                outcome = {"error": f"scores {outcome['scores']}"}
        # Whatever one setting does must not end the search of the others.
        except Exception as error:
            outcome["error"] = describe_error(error)
        return outcome | {"seconds": clock.perf_counter() - started}

    def _score(
        self, pipeline: Pipeline, train: npt.NDArray[np.intp], test: npt.NDArray[np.intp]
    ) -> float:
        pipeline.fit(self.table.take(train), target=self.target, group=self.group)
        judged = self.table.take(test)
        truth = np.array(judged.column(self.target).to_pylist())
        return float(self.scorer(pipeline, judged.drop_columns([self.target]), truth))


# -- settings -----------------------------------------------------------------------------------


def _draw_settings(
    pipeline: Pipeline, space: Space, n_trials: int | None, random_state: int
) -> list[Setting]:
    parameters = pipeline.get_params()
    for part in [space] if isinstance(space, Mapping) else space:
        for name in part:
            if name not in parameters:
                raise ParameterError(
                    f"space: no parameter {name!r}. {suggest_names(name, parameters)}"
                )
    with _explain_space_errors():
        settings: list[Setting] = list(
            ParameterGrid(space)
            if n_trials is None
            else ParameterSampler(space, n_trials, random_state=random_state)
        )
    if not settings:
        raise ParameterError("space and n_trials leave nothing to try: name values of parameters.")
    return settings


def _find_scorer(pipeline: Pipeline, scoring: Any) -> Callable[..., float]:
    try:
        scorer: Callable[..., float] = check_scoring(pipeline, scoring)
    except ValueError as error:
        raise ParameterError(f"scoring=: {error}") from error
    return scorer


@contextlib.contextmanager
def _explain_space_errors() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ParameterError(
            f"space: {error} Give lists of values to try all of them, or n_trials= as well to draw "
            "from distributions."
        ) from error


# -- rows and folds -----------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Examples:
    """Rows whose target is known, in memory."""

    rows: Dataset
    table: pa.Table
    ids: npt.NDArray[np.uint64]
    target: str
    group: str | None

    @classmethod
    def of(cls, rows: Dataset, group: str | None) -> _Examples:
        roles = roles_of(rows.full_schema)
        assert roles.target is not None
        if group is not None:
            require(rows.full_schema, group, "group")
        batches = [
            batch.filter(pa.array(has_target(batch, roles) & ~find_unreadable(batch)))
            for batch in rows.full_batches()
        ]
        ids = np.concatenate([stable_hash(identify_rows(batch, roles)) for batch in batches])
        # A cluster does not keep the order of rows, and folds must be the same there.
        order = np.argsort(ids, kind="stable")
        table = pa.Table.from_batches(batches, rows.full_schema).take(order)
        user_table = table.select(visible(table.column_names))
        return cls(rows, user_table, ids[order], roles.target, group)

    def name_roles(self, pipeline: Pipeline) -> Pipeline:
        """Copy the pipeline with its roles named, which a table does not hold."""
        roles = dataclasses.asdict(roles_of(self.rows.full_schema))
        named_pipeline: Pipeline = clone(pipeline)
        return named_pipeline.set_params(**roles | {"target": pipeline.target})

    def folds(self, n: int, pipeline: Pipeline, random_state: int) -> tuple[list[Fold], str]:
        """Split the rows into folds; return their positions and a description."""
        codes = self._encode_target(pipeline)
        time = roles_of(self.rows.full_schema).time
        if time is not None and len(self.table.column(time).unique().drop_null()) > 1:
            return self._split_by_time(n, time, codes)
        together = self._hash_groups()
        if together is not None and len(np.unique(together)) < n:
            raise SchemaError(
                f"cv={n}: there are {len(np.unique(together))} groups; ask for fewer."
            )
        shuffled = {"shuffle": True, "random_state": random_state}
        if together is not None:
            kind = GroupKFold if codes is None else StratifiedGroupKFold
        else:
            kind = KFold if codes is None else StratifiedKFold
        placeholder = np.zeros(len(self.table))
        labels = placeholder if codes is None else codes
        how = [f"{n} folds of {len(self.table):,} rows"]
        how += ["none of one group in two"] if together is not None else []
        how += ["with the same share of each class"] if codes is not None else []
        return list(kind(n, **shuffled).split(placeholder, labels, together)), ", ".join(how)

    def _split_by_time(
        self, n: int, time: str, codes: npt.NDArray[np.int64] | None
    ) -> tuple[list[Fold], str]:
        splits = split_successively(
            self.ids,
            n,
            time=self.table.column(time),
            target=codes,
            groups=None if self.group is None else self._hash_groups(),
            gap=get_label_horizon(self.rows),
        )
        folds = [(np.flatnonzero(s.train), np.flatnonzero(s.valid)) for s in splits]
        return folds, f"{n} folds of {len(self.table):,} rows, each later than what it learns from"

    def _encode_target(self, pipeline: Pipeline) -> npt.NDArray[np.int64] | None:
        task: Any = pipeline._infer_task()
        values = self.table.column(self.target)
        target = read_target(values, None if task == "auto" else task, self.target)
        return None if target.task == "regression" else target.values.astype(np.int64)

    def _hash_groups(self) -> npt.NDArray[np.uint64] | None:
        if self.group is not None:
            return stable_hash(as_array(self.table.column(self.group)))
        return self.ids if len(np.unique(self.ids)) < len(self.ids) else None
