"""Pipeline: enrichers, a featurizer and a trainer in a chain; the one estimator."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from reviewml import plugins, saving
from reviewml.data.backend import Backend
from reviewml.data.dataset import Dataset
from reviewml.data.frames import is_frame
from reviewml.data.source import with_keys
from reviewml.errors import NotFitted, ParameterError, SchemaError, TargetError
from reviewml.evaluation import Evaluation
from reviewml.evaluation.score_rows import explain_rows, read_known_target, score_rows
from reviewml.explanation import Explanation
from reviewml.fitting.array_rows import name_columns
from reviewml.fitting.backtest import HOLDOUT, run_backtest
from reviewml.fitting.cost_plan import Plan, plan
from reviewml.fitting.fit import fit, fit_enrichers
from reviewml.fitting.fitted_columns import FittedColumns
from reviewml.fitting.sklearn_compatible import TARGET, SklearnCompatible, read_target, with_target
from reviewml.fitting.steps import PipelineSteps, Steps, with_reviews
from reviewml.models.scoring import ComputeNumbers, Predict, choose_classes
from reviewml.operations.keys import list_names
from reviewml.parameter_types import check_argument_types
from reviewml.rows import row_errors
from reviewml.rows.provenance import check_origins, origin_of
from reviewml.rows.roles import ROLE_NAMES, Roles, require
from reviewml.steps.featurizer import Feature, Featurizer
from reviewml.steps.model import Model

OnError = Literal["keep", "raise"]


def _has_probabilities(pipeline: Pipeline) -> bool:
    if pipeline._infer_task() == "regression":
        raise SchemaError("a regression has no probabilities: use predict().")
    return True


class Pipeline(SklearnCompatible):
    """Enrichers, then a featurizer, then a trainer, fitted and applied as one.

    Given a data frame it behaves as a scikit-learn estimator and answers with arrays. Given a
    path, a `Source` or a `Dataset`, the answers are datasets that are computed as they are read.

    Parameters
    ----------
    steps
        ``(name, component)`` pairs. They are not changed by fitting: copies are fitted.
    id, text, rating, time, target
        Columns with these roles, for rows that do not name their own; `text` may be several,
        joined by a newline.
    backend
        Where it runs: a name, or a `Backend`.

    Attributes
    ----------
    steps_
        The fitted steps.
    model_
        The trained `Model`.
    task_
        ``"binary"``, ``"multiclass"`` or ``"regression"``, as given or inferred.
    classes_
        Values of the target in the order of `predict_proba`; not for regression.
    origins_
        Columns that had been added by enrichers before, and the `Origin` of each.
    report_
        What happened while fitting: rows read and left out, the split, warnings, times.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from reviewml.featurizers import Features
    >>> from reviewml.trainers import LogisticRegression
    >>> prices, bought = [1.0, 2.0, 3.0, 4.0], [True, True, False, False]
    >>> rows = pa.table({"price": prices * 5, "bought": bought * 5})
    >>> pipe = Pipeline([("features", Features()), ("model", LogisticRegression())])
    >>> pipe.fit(rows, target="bought").predict(rows)[:4].tolist()
    [True, True, False, False]
    """

    def __init__(
        self,
        steps: Steps,
        *,
        id: str | None = None,
        text: str | Sequence[str] | None = None,
        rating: str | None = None,
        time: str | None = None,
        target: str | None = None,
        backend: str | Backend = "local",
    ) -> None:
        self.steps = steps
        self.id = id
        self.text = text
        self.rating = rating
        self.time = time
        self.target = target
        self.backend = backend

    # -- fitting ------------------------------------------------------------------------------

    @check_argument_types
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        target: str | None = None,
        group: str | None = None,
        on_error: OnError = "keep",
    ) -> Self:
        """Fit all steps.

        Parameters
        ----------
        X
            A frame, a path, a `Source` or a `Dataset`.
        y
            Target of each row, when `X` is a frame without it.
        target
            Column of the target, otherwise.
        group
            Column whose values stay together on one side of the validation split.
        on_error
            ``"raise"`` stops at the first row that fails; ``"keep"`` goes on with nulls.

        Raises
        ------
        SchemaError
            When a column or role that a step needs is missing, or both `y` and `target` given.
        TargetError
            When the target has no values, or only one.
        """
        chain = self._make_steps(self.steps)
        X = with_keys(name_columns(X, None, type(self).__name__), list_names(group))
        rows = self._read_to_fit(X, y, target, needs_target=chain.trainer is not None)
        fitted = fit(chain, rows, group=group, strict=on_error == "raise")
        self.steps_ = fitted.steps
        self.report_ = fitted.report
        self.roles_ = rows.roles
        self.schema_ = {field.name: str(field.type) for field in rows.schema}
        for attribute in ("model_", "task_", "classes_", "origins_"):
            if hasattr(self, attribute):
                delattr(self, attribute)
        if fitted.model is not None:
            self._set_model(fitted.model)
            made_of = {feature.column for feature in self.features_}
            origins = {field.name: origin_of(field) for field in rows.schema}
            self.origins_ = {n: o for n, o in origins.items() if o is not None and n in made_of}
        return self

    def _set_model(self, model: Model) -> None:
        self.model_ = model
        self.task_ = model.task
        if model.task != "regression":
            self.classes_ = np.array(model.classes)

    def _read_to_fit(self, X: Any, y: Any, target: str | None, *, needs_target: bool) -> Dataset:
        if y is not None and target is not None:
            raise SchemaError("give either y or target=, not both.")
        if y is not None:
            table, name = with_target(X, y)
            rows = self._require_roles(self._read(table, Roles(target=name)))
            # A column of the same answers would give them away.
            unwanted = {self.target} - {name}
            return rows.select([name for name in rows.schema.names if name not in unwanted])
        rows = self._require_roles(self._read(X, Roles(target=target)))
        if target is not None and rows.roles.target != target:
            require(rows.full_schema, target, "target")
            raise SchemaError(
                f"target={target!r}, but the rows say that their target is "
                f"{rows.roles.target!r}: say one and the same."
            )
        if needs_target and rows.roles.target is None:
            raise SchemaError(
                "what should be learned? Pipeline requires y to be passed, but the target y is "
                "None: give y with a frame, or target='column' with any rows."
            )
        return rows

    def _require_roles(self, rows: Dataset) -> Dataset:
        """Raise when a column that the pipeline names is missing, and the rows name no other."""
        for role, columns in self._list_own_roles().list_named().items():
            if getattr(rows.roles, role) is None:
                for column in columns:
                    require(rows.full_schema, column, f"Pipeline({role}={column!r})")
        return rows

    # -- using --------------------------------------------------------------------------------

    @check_argument_types
    def predict(self, X: Any, *, reviews: Any = None, on_error: OnError = "keep") -> Any:
        """Predict the target of each row.

        Parameters
        ----------
        X
            A frame, a path, a `Source` or a `Dataset`.
        reviews
            What steps that look at reviews look at now: a source, path or frame, or one for
            each step by name. A saved pipeline holds none; one that was fitted here takes those
            it was made with.
        on_error
            As in `fit`.

        Returns
        -------
        numpy.ndarray or Dataset
            For a frame, shape ``(n_rows,)`` in row order. Otherwise a dataset of ``id``,
            ``prediction`` and, for classes, ``probability`` (one column for each class when
            there are more than two); null for a row that could not be read.
        """
        self._get_featurizer()
        X = self._name_columns(X)
        if is_frame(X):
            scores = self._compute_scores(X, reviews, on_error)
            return scores if self.task_ == "regression" else self.classes_[choose_classes(scores)]
        outputs = (
            ("prediction",)
            if self._require_fitted("task_") == "regression"
            else ("prediction", "probability")
        )
        return self._predict_rows(X, outputs, reviews, on_error)

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    @check_argument_types
    def predict_proba(self, X: Any, *, reviews: Any = None, on_error: OnError = "keep") -> Any:
        """Predict the probability of each class; a regression has no such method.

        Parameters
        ----------
        X, reviews, on_error
            As in `predict`.

        Returns
        -------
        numpy.ndarray or Dataset
            For a frame, shape ``(n_rows, n_classes)`` in the order of `classes_`. Otherwise a
            dataset of ``id`` and ``probability``, that of the second class, or
            ``probability_<class>`` for each of more than two.
        """
        self._get_featurizer()
        X = self._name_columns(X)
        if is_frame(X):
            return self._compute_scores(X, reviews, on_error)
        return self._predict_rows(X, ("probability",), reviews, on_error)

    @check_argument_types
    def enrich(self, X: Any, *, reviews: Any = None, on_error: OnError = "keep") -> Dataset:
        """Return the rows with the columns of all enrichers.

        A pipeline that is not fitted learns from these same rows, cross-fitted where a row
        would otherwise see its own answer, and stays unfitted.

        Parameters
        ----------
        X, reviews, on_error
            As in `predict`; without a fitted pipeline the steps say where reviews are.
        """
        X = self._name_columns(X)
        if hasattr(self, "steps_"):
            enriched = self._enrich_rows(self._read_again(X), reviews)
        else:
            rows = self._read(X)
            _, enriched = fit_enrichers(self._make_steps(with_reviews(self.steps, reviews)), rows)
        return enriched.raise_on_error() if on_error == "raise" else enriched

    @check_argument_types
    def transform(self, X: Any, *, reviews: Any = None) -> Any:
        """Return the matrix of features, shape ``(n_rows, n_features)``, in memory.

        It is an array, or the frame that `set_output` asks for.
        """
        featurizer = self._get_featurizer()
        X = self._name_columns(X)
        rows = self._enrich_rows(self._read_again(X), reviews)
        return self._as_output(X, ComputeNumbers(featurizer).gather(rows, in_order=is_frame(X))[0])

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit all steps, and return the features of the same rows, as `transform` does.

        The model itself learns from features that are cross-fitted, where a step does so: what
        this returns is too good to learn from.

        Parameters
        ----------
        X, y, params
            As in `fit`.
        """
        return self.fit(X, y, **params).transform(X)

    @check_argument_types
    def evaluate(
        self,
        X: Any,
        y: Any = None,
        *,
        target: str | None = None,
        segments: Sequence[str] = (),
        group: str | None = None,
        threshold: float = 0.5,
        confidence: float = 0.95,
        reviews: Any = None,
    ) -> Evaluation:
        """Measure how good the predictions are for rows whose target is known.

        `backtest` measures a pipeline on rows that it did not learn from.

        Parameters
        ----------
        X, y, target
            As in `fit`; the target is the one it was fitted on unless given.
        segments
            Columns whose values are also measured apart; the language always is.
        group
            Column to resample by for the intervals, when rows of one value belong together.
        threshold
            Probability from which the confusion counts say yes.
        confidence
            Level of the intervals.
        reviews
            As in `predict`.
        """
        X = with_keys(self._name_columns(X), list_names(group))
        self._require_fitted("model_", "or use backtest(), which fits a copy on the earlier rows")
        if target is None and y is None:
            target = self.roles_.target
        if target == TARGET:
            raise SchemaError("evaluate: give y, as in fit, or target='column'.")
        columns = self._make_fitted_columns()
        rows = self._read_to_fit(columns.describe(X), y, target, needs_target=True)
        scored = score_rows(
            self._enrich_rows(columns.fill(rows), reviews),
            self._make_steps(self.steps_).enrichers,
            self._get_featurizer(),
            self.model_,
            segments=segments,
            group=group,
        )
        return scored.evaluate_scores(self.model_, threshold=threshold, confidence=confidence)

    @check_argument_types
    def backtest(
        self,
        X: Any,
        y: Any = None,
        *,
        target: str | None = None,
        holdout: float = HOLDOUT,
        ablation: bool = False,
        segments: Sequence[str] = (),
        group: str | None = None,
        threshold: float = 0.5,
        confidence: float = 0.95,
        reviews: Any = None,
    ) -> Evaluation:
        """Fit a copy on the earlier rows, and measure how good it is on the later ones.

        Rows within the time that the target looks ahead are left out between the two. The
        pipeline itself stays as it is.

        Parameters
        ----------
        X, y, target
            As in `fit`.
        holdout
            Share of the rows to measure on, the latest.
        ablation
            Whether to also measure what steps that look at reviews are worth: the difference to
            the same pipeline without them, on the same rows.
        segments, group, threshold, confidence
            As in `evaluate`.
        reviews
            As in `predict`, with roles of their own.

        Raises
        ------
        SchemaError
            When no column has the role `time`, or all rows have one time.
        """
        X = with_keys(self._name_columns(X), list_names(group))
        return run_backtest(
            self._make_steps(with_reviews(self.steps, reviews)),
            self._read_to_fit(X, y, target, needs_target=True),
            holdout,
            ablation=ablation,
            segments=segments,
            group=group,
            threshold=threshold,
            confidence=confidence,
        )

    @check_argument_types
    def explain(self, X: Any, *, limit: int = 10_000, reviews: Any = None) -> Explanation:
        """Explain the contribution of each column to the predictions of the first `limit` rows."""
        self._require_fitted("model_")
        X = self._name_columns(X)
        rows = self._enrich_rows(self._read_again(X).limit(limit), reviews)
        return explain_rows(rows, self._get_featurizer(), self.model_, in_order=is_frame(X))

    @check_argument_types
    def plan(self, X: Any) -> Plan:
        """Estimate the cost of enriching rows before it is spent."""
        X = self._name_columns(X)
        fitted = hasattr(self, "steps_")
        chain = self._make_steps(self.steps_ if fitted else self.steps)
        return plan(chain, self._read_again(X) if fitted else self._read(X), fitted=fitted)

    def score(self, X: Any, y: Any = None) -> float:
        """Compute the accuracy, or R² for a regression; scikit-learn's default score."""
        from sklearn.metrics import accuracy_score, r2_score

        model = self._require_fitted("model_")
        X = self._name_columns(X)
        judge = r2_score if model.task == "regression" else accuracy_score
        actual = read_known_target(read_target(X, y), model, "y")
        if missing := int(np.isnan(actual).sum()):
            raise TargetError(
                f"y has no value in {missing:,} of {len(actual):,} rows: leave them out."
            )
        return float(judge(actual, read_known_target(read_target(X, self.predict(X)), model, "y")))

    # -- places -------------------------------------------------------------------------------

    @check_argument_types
    def on(self, backend: str | Backend, **options: Any) -> Self:
        """Return a copy that runs somewhere else; it connects when work starts.

        Parameters
        ----------
        backend
            Name of a backend, or one that is made already.
        options
            Passed to the backend.

        Raises
        ------
        CapabilityError
            When the backend declares that it cannot run a step.
        """
        other = copy.copy(self)
        if isinstance(backend, str):
            backend = plugins.load("backends", backend)(**options)
        other.backend = backend
        other._make_steps(self.steps)
        return other

    @check_argument_types
    def save(
        self,
        folder: str | PathLike[str],
        *,
        metrics: Mapping[str, float] | None = None,
        key: str | PathLike[str] | None = None,
    ) -> Path:
        """Write the fitted pipeline to a folder that people can read; never a pickle.

        Parameters
        ----------
        folder
            Must not exist yet, or be empty; `reviewml.load` reads it.
        metrics
            Figures to state in its card.
        key
            PEM file of an Ed25519 private key to sign it with (extra ``signatures``).

        Raises
        ------
        NotFitted
            When it is not fitted.
        RegistryError
            When the folder exists, or a step cannot be saved, naming it.
        """
        parts = saving.Parts(
            parameters={name: getattr(self, name) for name in ROLE_NAMES},
            steps=self._require_fitted("steps_"),
            model=getattr(self, "model_", None),
            roles=self.roles_,
            schema=self.schema_,
            report=self.report_,
            origins=getattr(self, "origins_", {}),
        )
        return saving.save(parts, Path(folder), metrics=metrics, key=key)

    @property
    def features_(self) -> Sequence[Feature]:
        """Names and meanings of the columns of the matrix."""
        return self._get_featurizer().features()

    # -- inside -------------------------------------------------------------------------------

    def _make_steps(self, steps: Steps) -> PipelineSteps:
        chain = PipelineSteps.of(steps)
        if not hasattr(self, "steps_"):
            # Of fitted ones it would take longer than to predict a row.
            chain.check_parameters()
        return chain.on(self._choose_backend())

    def _choose_backend(self) -> Backend:
        if isinstance(self.backend, Backend):
            return self.backend
        if not isinstance(self.backend, str):
            raise ParameterError(
                f"backend= is a {type(self.backend).__name__}: give a name, such as 'local', or a "
                "Backend."
            )
        backend: Backend = plugins.load("backends", self.backend)()
        return backend

    def _read(self, X: Any, roles: Roles = Roles()) -> Dataset:
        # What cannot run there is said before anybody connects to read.
        self._make_steps(self.steps)
        learned: Roles = getattr(self, "roles_", Roles())
        return self._choose_backend().read(
            X, roles.filled_from(self._list_own_roles()).filled_from(learned)
        )

    def _read_again(self, X: Any) -> Dataset:
        """Read rows to apply the fitted pipeline to, whose types are those it was fitted on."""
        columns = self._make_fitted_columns()
        return columns.fill(self._read(columns.describe(X)))

    def _make_fitted_columns(self) -> FittedColumns:
        chain = self._make_steps(self._require_fitted("steps_"))
        features = chain.featurizer[1].features() if chain.featurizer else ()
        used = (feature.expression.column for feature in features)
        return FittedColumns.of(self.schema_, used, self.roles_)

    def _list_own_roles(self) -> Roles:
        return Roles.of(
            id=self.id, text=self.text, rating=self.rating, time=self.time, target=self.target
        )

    def _enrich_rows(self, rows: Dataset, reviews: Any = None) -> Dataset:
        check_origins(getattr(self, "origins_", {}), rows.full_schema)
        return self._make_steps(with_reviews(self._require_fitted("steps_"), reviews)).enrich_rows(
            rows
        )

    def _predict_rows(
        self, X: Any, outputs: tuple[str, ...], reviews: Any, on_error: OnError
    ) -> Dataset:
        predict = Predict(self._get_featurizer(), self._require_fitted("model_"), outputs)
        scored = self._enrich_rows(self._read_again(X), reviews).apply(predict)
        return scored.raise_on_error() if on_error == "raise" else scored

    def _compute_scores(self, X: Any, reviews: Any, on_error: OnError) -> npt.NDArray[np.float64]:
        compute = ComputeNumbers(self._get_featurizer(), self._require_fitted("model_"))
        rows = self._enrich_rows(self._read_again(X), reviews)
        rows = rows.raise_on_error() if on_error == "raise" else rows
        scores, errors = compute.gather(rows, in_order=True)
        row_errors.warn(errors, len(scores))
        return scores

    def _get_featurizer(self) -> Featurizer:
        chain = self._make_steps(self._require_fitted("steps_"))
        if chain.featurizer is None:
            raise SchemaError("this pipeline only enriches: it has no featurizer and no trainer.")
        return chain.featurizer[1]

    def _require_fitted(self, attribute: str, otherwise: str = "") -> Any:
        if not hasattr(self, attribute):
            ways = ", ".join(filter(None, ("call fit() first", otherwise)))
            raise NotFitted(f"this pipeline is not fitted: {ways}.")
        return getattr(self, attribute)


@check_argument_types
def load(
    folder: str | PathLike[str],
    *,
    verify: str | PathLike[str] | Sequence[str | PathLike[str]] | None = None,
) -> Pipeline:
    """Return the pipeline that `Pipeline.save` wrote, fitted, to run here.

    Every byte is checked first, and nothing in the folder is executed.

    Parameters
    ----------
    folder
        As `Pipeline.save` wrote it.
    verify
        PEM file of an Ed25519 public key, or several, one of which must have signed it (extra
        ``signatures``); None asks for no signature.

    Raises
    ------
    ModelNotFound
        When the folder holds no saved pipeline.
    DamagedModel
        When its files are not the ones that were written.
    UntrustedModel
        When `verify` is given, and none of the keys signed it.
    RegistryError
        When it was written by a version that this one cannot read.
    UnknownName
        When a step comes from a plugin that is not installed, naming it.
    """
    parts = saving.load(Path(folder), keys=verify)
    steps = [(name, clone(step)) for name, step in parts.steps]
    pipeline = Pipeline(steps, **parts.parameters)
    pipeline.steps_ = list(parts.steps)
    pipeline.report_ = dict(parts.report)
    pipeline.roles_ = parts.roles
    pipeline.schema_ = dict(parts.schema)
    pipeline.origins_ = dict(parts.origins)
    if parts.model is not None:
        pipeline._set_model(parts.model)
    return pipeline
