"""Fitting a chain: enrich, featurize, hold rows out, train."""

from __future__ import annotations

import dataclasses
import datetime
import time as clock
import unicodedata
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.base import clone

from reviewml.data.dataset import Dataset
from reviewml.data.training_executor import TrainingExecutor
from reviewml.evaluation.splits import Split, find_holdout_start, holdout
from reviewml.fitting.examples import TrainingSet, collect
from reviewml.fitting.leakage import find_leaks
from reviewml.fitting.steps import PipelineSteps
from reviewml.operations.label import read_horizon
from reviewml.privacy.redaction import redact
from reviewml.rows.blanks import BLANKS
from reviewml.rows.bookkeeping import find_unreadable, has_target
from reviewml.rows.hashing import stable_hash
from reviewml.rows.roles import require, roles_of, visible
from reviewml.rows.row_errors import summarize_errors, warn_at_caller
from reviewml.rows.time_range import Days, TimeRange, TimesByDay
from reviewml.steps.enrichment import Enrichment
from reviewml.steps.featurizer import Featurizer
from reviewml.steps.model import Model
from reviewml.steps.target import read_target
from reviewml.steps.trainer import Target, Trainer

Report = dict[str, Any]

FEW_OUTLIERS = 0.01
"""Share of the target's values that may be outliers."""

OUTLIER = 1_000
"""Times as far from the median as nearly all values are, an outlier is."""


@dataclasses.dataclass(frozen=True)
class FittedSteps:
    """The fitted steps, the model and the report of a fit.

    Parameters
    ----------
    steps
        The fitted steps by name; the trainer is the unchanged holder of its parameters.
    model
        The trained model; None for a pipeline that only enriches.
    report
        What happened, as plain data.
    """

    steps: list[tuple[str, Any]]
    model: Model | None
    report: Report


def fit(
    chain: PipelineSteps,
    rows: Dataset,
    *,
    group: str | None = None,
    strict: bool = False,
    until: int | None = None,
) -> FittedSteps:
    """Fit every step of a pipeline on rows.

    Parameters
    ----------
    chain
        Its components stay as they are; copies are fitted.
    rows
        Their roles name the target when the chain has a trainer.
    group
        Column whose values must not be on both sides of the validation split.
    strict
        Whether to raise at the first row that fails.
    until
        When the rows begin that it will be judged on, in microseconds: steps that look at other
        rows learn nothing later, even where none are held out here.
    """
    started = clock.perf_counter()
    if group is not None:
        require(rows.full_schema, group, "group")
    chain.check_parameters()
    unseen_from = [
        moment for moment in (until, _find_validation_start(chain, rows)) if moment is not None
    ]
    enrichers, enriched = fit_enrichers(chain, rows, min(unseen_from, default=None))
    # The featurizer reads the rows twice: for its statistics and for the matrix.
    enriched = enriched.persist()
    new_columns = frozenset(enriched.schema.names) - frozenset(rows.schema.names)
    enriched = enriched.raise_on_error() if strict else enriched
    report: Report = {
        "steps": {name: redact(enricher.summary()) for name, enricher in enrichers},
        "warnings": _warn_of_rating_used_twice(chain),
    }
    if chain.featurizer is None or chain.trainer is None:
        return FittedSteps([*enrichers], None, report)
    name, featurizer = chain.featurizer
    featurizer = clone(featurizer).fit(enriched)
    training = (chain.trainer[1], chain.executor)
    model = _train(training, featurizer, enriched, group, report, new_columns)
    report["seconds"] = round(clock.perf_counter() - started, 3)
    return FittedSteps([*enrichers, (name, featurizer), chain.trainer], model, report)


def fit_enrichers(
    chain: PipelineSteps, rows: Dataset, validated_from: int | None = None
) -> tuple[list[tuple[str, Enrichment]], Dataset]:
    """Fit the enrichers one after the other, each on what those before it gave.

    Rows are kept between steps that read them more than once, so that nothing is read or
    computed twice.

    Parameters
    ----------
    chain, rows
        As of `fit`.
    validated_from
        When the rows begin that are held out, in microseconds.
    """
    chain.check_parameters()
    fitted: list[tuple[str, Enrichment]] = []
    for name, enricher in chain.enrichers:
        learner = clone(enricher)
        if validated_from is not None:
            learner = learner.before(validated_from)
        if learner.learns:
            rows = rows.persist()
        rows = learner.fit_enrich(rows, stage=name)
        fitted.append((name, learner))
    return fitted, rows


def _find_validation_start(chain: PipelineSteps, rows: Dataset) -> int | None:
    """Find the start of the validation rows, past which no step may look."""
    if chain.trainer is None or not any(step.looks_back for _, step in chain.enrichers):
        return None
    return find_holdout_time(chain, rows, chain.trainer[1].validation_fraction)


def find_holdout_time(chain: PipelineSteps, rows: Dataset, fraction: float) -> int | None:
    """Find the time from which rows are held out, in microseconds; None without a split by time."""
    roles = roles_of(rows.full_schema)
    if chain.trainer is None or roles.time is None or roles.target is None:
        return None
    task = chain.trainer[1].task
    batches = list(rows.select([roles.time, roles.target]).full_batches())
    usable = [
        batch.filter(pa.array(has_target(batch, roles) & ~find_unreadable(batch)))
        for batch in batches
    ]
    times, values = (
        pa.chunked_array([batch.column(name) for batch in usable])
        for name in (roles.time, roles.target)
    )
    target = read_target(values, None if task == "auto" else task, roles.target)
    return find_holdout_start(
        times, fraction, target=_to_codes(target), gap=get_label_horizon(rows)
    )


def _to_codes(target: Target) -> npt.NDArray[np.int64] | None:
    return None if target.task == "regression" else target.values.astype(np.int64)


def get_label_horizon(rows: Dataset) -> datetime.timedelta | None:
    """Get the label horizon: rows this close before a held-out row are not trained on."""
    target = roles_of(rows.full_schema).target
    ahead = read_horizon(rows.full_schema.field(target))
    return None if ahead is None else datetime.timedelta(microseconds=ahead)


def _warn_of_rating_used_twice(chain: PipelineSteps) -> list[str]:
    learners = [name for name, step in chain.enrichers if "rating" in step.fit_needs]
    if chain.featurizer and learners and getattr(chain.featurizer[1], "rating", False):
        return [
            f"the rating is used twice: step {learners[0]!r} learns from it, and it is a feature "
            "itself. Rows without a rating will be predicted worse than evaluation says."
        ]
    return []


def _train(
    training: tuple[Trainer, TrainingExecutor],
    featurizer: Featurizer,
    rows: Dataset,
    group: str | None,
    report: Report,
    enriched: frozenset[str],
) -> Model:
    trainer, executor = training
    time = roles_of(rows.full_schema).time
    columns = tuple(dict.fromkeys(name for name in (time, group) if name is not None))
    task = None if trainer.task == "auto" else trainer.task
    collected = collect(rows, featurizer, task, columns)
    features = featurizer.features()
    split = _split(collected, trainer.validation_fraction, time, group, get_label_horizon(rows))
    if time is not None and trainer.validation_fraction > 0:
        report["warnings"] += _describe_times(time, collected.columns[time])
    report["warnings"] += describe_outliers(collected.examples.target)
    report["warnings"] += describe_classes(collected.examples.target)
    leaks = find_leaks(collected.examples, features, collected.hashes, exempt=enriched)
    report["features"] = featurizer.summary()
    failed = summarize_errors(collected.errors, collected.counts.get("read"))
    report["warnings"] += [*featurizer.warnings(), *map(str, leaks), *failed]
    for warning in report["warnings"]:
        warn_at_caller(warning)
    report.update(_describe_fit(collected, split, rows))
    if trainer.validation_fraction > 0 and not split.valid.any():
        warn_at_caller(
            "no row could be held out for validation, as when all have one id: training does not "
            "stop early, and probabilities are not calibrated."
        )
    examples = collected.examples
    valid = examples.take(split.valid) if split.valid.any() else None
    model: Model = executor.train(trainer, examples.take(split.train), features, valid)
    report["model"] = model.summary()
    return model


def describe_classes(target: Target) -> list[str]:
    """Describe texts that are classes of their own and probably should not be.

    Parameters
    ----------
    target
        What is learned.

    Examples
    --------
    >>> describe_classes(Target(np.array([0.0, 1.0, 2.0]), "multiclass", ("No", "no", "yes")))
    ["classes of the target differ in case or blanks alone, such as 'No' and 'no': write them in one
    way if they mean the same."]
    """
    texts = [(code, name) for code, name in enumerate(target.classes) if isinstance(name, str)]
    blank = [code for code, name in texts if not name.strip(BLANKS)]
    alike: dict[str, list[str]] = {}
    for _, name in texts:
        alike.setdefault(unicodedata.normalize("NFC", name).strip(BLANKS).casefold(), []).append(
            name
        )
    messages = []
    if blank:
        messages.append(
            f"{int(np.isin(target.values, blank).sum()):,} rows have a blank text as their target, "
            "which is learned as a class: make it null where nothing is known."
        )
    same = [names for spelling, names in alike.items() if spelling and len(names) > 1]
    if same:
        messages.append(
            f"classes of the target differ in case or blanks alone, such as {same[0][0]!r} and "
            f"{same[0][1]!r}: write them in one way if they mean the same."
        )
    return messages


def _describe_times(name: str, column: pa.Array) -> list[str]:
    """Describe times that are unsuitable for a split by time."""
    rows, unknown = len(column), column.null_count
    messages = []
    if 0 < unknown < rows:
        messages.append(
            f"{unknown:,} of {rows:,} rows have no time, {name!r}: they are learned from, and "
            "never held out."
        )
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        messages += describe_far_times(name, TimesByDay(name).part(pa.record_batch({name: column})))
    return messages


def describe_far_times(name: str, times: Days) -> list[str]:
    """Describe rows so early or late that they alone decide a split by time."""
    time_range = TimeRange.of(times)
    if time_range is None or not time_range.outside:
        return []
    return [
        f"{time_range.outside:,} of {time_range.total:,} rows have a time, {name!r}, that is "
        "earlier or "
        "later than all others by far: if it stands for one that is not known, make it null."
    ]


def describe_outliers(target: Target) -> list[str]:
    """Describe quantities so large that a model learns hardly anything else."""
    if target.task != "regression":
        return []
    distances = np.abs(target.values - np.median(target.values))
    usual = np.quantile(distances, 1 - FEW_OUTLIERS, method="lower")
    far = int((distances > OUTLIER * usual).sum()) if usual > 0 else 0
    if not far:
        return []
    return [
        f"{far:,} of {len(distances):,} values of the target are over {OUTLIER:,} times as far "
        "from the median as 99 % are, and decide most of what is learned: leave out those that "
        "are wrong."
    ]


def _split(
    collected: TrainingSet,
    fraction: float,
    time: str | None,
    group: str | None,
    gap: datetime.timedelta | None,
) -> Split:
    return holdout(
        collected.hashes,
        fraction,
        target=_to_codes(collected.examples.target),
        time=collected.columns[time] if time is not None else None,
        groups=stable_hash(collected.columns[group]) if group is not None else None,
        gap=gap if time is not None else None,
    )


def _describe_fit(collected: TrainingSet, split: Split, rows: Dataset) -> Report:
    target = collected.examples.target
    classes, counts = np.unique(target.values, return_counts=True)
    described: Report = {
        "task": target.task,
        "target": roles_of(rows.full_schema).target,
        "columns": visible(rows.schema.names),
        "rows": {
            **collected.counts,
            "trained": int(split.train.sum()),
            "validated": int(split.valid.sum()),
        },
        "split": split.description,
        "data": {"fingerprint": f"{int(collected.hashes.sum(dtype=np.uint64)):016x}"},
    }
    if target.task != "regression":
        class_names = [str(target.classes[int(position)]) for position in classes]
        described["classes"] = dict(zip(class_names, counts.tolist(), strict=True))
    return described
