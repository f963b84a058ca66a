"""What ML Jobs do: fit a pipeline, enrich rows, or train on features that were sent along."""

from __future__ import annotations

import functools
import json
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reviewml import plugins, saving
from reviewml.backends.snowflake.connection.safe_messages import safe_message
from reviewml.backends.snowflake.jobs.payload import NAME, RESULT, TASK
from reviewml.backends.snowflake.runtime_training import RuntimeTraining
from reviewml.errors import BackendError
from reviewml.pipeline import Pipeline
from reviewml.privacy.redaction import describe_error
from reviewml.rows.expressions import Number
from reviewml.rows.roles import ROLE_NAMES
from reviewml.saving.components import describe, rebuild
from reviewml.steps.component import Component
from reviewml.steps.enricher import Enricher
from reviewml.steps.featurizer import Feature
from reviewml.steps.model import Model
from reviewml.steps.trainer import Examples, Target, Trainer
from reviewml.storage.write_errors import explain_spill_errors
from reviewml.trainers.boosting import Boosting

if TYPE_CHECKING:
    from reviewml.data.backend import Backend
    from reviewml.data.store import EnrichmentStore

TARGET = "__target__"
"""Column of the target in files of features."""

SEEN_BY_OTHERS = "CREATE TRANSIENT TABLE {} DATA_RETENTION_TIME_IN_DAYS = 0 AS {}"
"""What jobs are given and leave: another session does not see temporary tables."""

SAVED, PICKLE = "enricher", "enricher.pickle"
"""Where an enricher lies in a payload: the folder of a saved one, or a file."""


def run(folder: Path) -> dict[str, Any]:
    """Do what the payload in a folder says, and return what came of it as plain data.

    What goes wrong is told in the log, behind the name of the job, as far as that cannot quote the
    text of a row.
    """
    task = json.loads((folder / TASK).read_text(encoding="utf-8"))
    try:
        return TASKS[task["task"]](folder, task)
    except Exception as error:
        # Where there are features alone, nothing has a text.
        said = describe_error(error)
        failure = said if task["task"] == "train" else safe_message(error)
    name = (folder / NAME).read_text(encoding="utf-8")
    print(f"{name} {' '.join(failure.split())}", flush=True)  # noqa: T201  what is printed is the log
    # Not above: what it came from would be printed too.
    raise BackendError(failure)


# -- fitting a pipeline -------------------------------------------------------------------------


def fit_task(pipeline: Pipeline, rows: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return as JSON types the task of fitting a pipeline, which need not be fitted.

    Parameters
    ----------
    pipeline
        What to fit.
    rows
        Name of a table or view.
    options
        ``target``, ``group``, ``reviews`` of `Pipeline.fit`; ``results``, a place on a stage;
        ``registry``, the arguments of `SnowflakeRegistry` and of its `log`; and ``training``,
        those of `RuntimeTraining`, or None.
    """
    steps = [{"step": name, **_describe_component(step)} for name, step in pipeline.steps]
    parameters = {name: getattr(pipeline, name) for name in ROLE_NAMES}
    return {"task": "fit", "steps": steps, "parameters": parameters, "rows": rows, **options}


def _fit(folder: Path, task: Mapping[str, Any]) -> dict[str, Any]:
    from reviewml.backends.snowflake.sources.tables import SnowflakeTable
    from reviewml.fitting.steps import with_reviews

    steps = [(step["step"], _rebuild_component(step)) for step in task["steps"]]
    reviews = SnowflakeTable(**task["reviews"]) if task["reviews"] else None
    training = RuntimeTraining(**task["training"]) if task["training"] else None
    pipeline = Pipeline(with_reviews(steps, reviews), **task["parameters"])
    pipeline = pipeline.on("snowflake", training=training)
    pipeline.fit(SnowflakeTable(task["rows"]), target=task["target"], group=task["group"])
    saved = pipeline.save(folder / RESULT)
    found: dict[str, Any] = {"report": json.loads((saved / "report.json").read_text("utf-8"))}
    if task.get("registry"):
        found["version"] = _log_pipeline(pipeline, task["registry"])
    return found | _put_folder(saved, task["results"])


def _log_pipeline(pipeline: Pipeline, registry: Mapping[str, Any]) -> str:
    from reviewml.backends.snowflake.registry.registry import SnowflakeRegistry

    return str(SnowflakeRegistry(**registry["at"]).log(pipeline, **registry["log"]))


# -- enriching rows -----------------------------------------------------------------------------


def write_enrich_task(
    folder: Path, content: saving.Parts | bytes, options: Mapping[str, Any]
) -> None:
    """Write into the payload of a job what it takes to enrich the rows of a table.

    Parameters
    ----------
    folder
        Of the payload.
    content
        The enricher, as the only step of what is saved, or an `Enrich` that is pickled.
    options
        ``stage``, the name of the step; ``rows``, the name of the table, and ``schema``, as what
        it is read, serialised, in hexadecimal digits; ``made``, that of the table to make;
        and ``store``, the schema of a `SnowflakeStore`, or None.
    """
    if isinstance(content, saving.Parts):
        saving.save(content, folder / SAVED)
    else:
        (folder / PICKLE).write_bytes(content)
    (folder / TASK).write_text(json.dumps({"task": "enrich", **options}), encoding="utf-8")


def _enrich(folder: Path, task: Mapping[str, Any]) -> dict[str, Any]:
    from reviewml.backends.local.dataset import LocalDataset
    from reviewml.backends.snowflake.connection.session import ConnectionConfig
    from reviewml.backends.snowflake.identifiers import quote_identifier
    from reviewml.backends.snowflake.store import SnowflakeStore
    from reviewml.backends.snowflake.tables.fetch import fetch_batches
    from reviewml.backends.snowflake.tables.query import Query
    from reviewml.backends.snowflake.tables.upload import upload

    database, enricher = ConnectionConfig().database(), _load_enricher(folder)
    schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(task["schema"])))
    names = ", ".join(map(quote_identifier, schema.names))
    given = Query(database, f"SELECT {names} FROM {task['rows']}", schema)
    store = SnowflakeStore(schema=task["store"]) if task["store"] else None
    rows = LocalDataset(schema, lambda: fetch_batches(given), store=store)
    enriched = _choose_backend(store).read(rows).enrich(enricher, stage=task["stage"])
    kept = enriched.select(list(enricher.adds))
    made = upload(database, kept.full_batches(), kept.full_schema)
    database.run(SEEN_BY_OTHERS.format(task["made"], made.query))
    return {}


def _load_enricher(folder: Path) -> Enricher:
    if (folder / SAVED).exists():
        [(_, step)] = saving.load(folder / SAVED).steps
        assert isinstance(step, Enricher)
        return step
    function = pickle.loads((folder / PICKLE).read_bytes())  # noqa: S301  code of who runs it
    pickled: Enricher = function.enricher
    return pickled


def _choose_backend(store: EnrichmentStore | None) -> Backend:
    """Return Ray's where the job has several machines, otherwise the local one."""
    name = "ray" if _count_machines(sys.modules.get("ray")) > 1 else "local"
    backend: Backend = plugins.load("backends", name)(store=store)
    return backend


def _count_machines(ray: Any) -> int:
    # The job's launcher has connected to the cluster, where there is one.
    if ray is None or not ray.is_initialized():
        return 1
    return sum(bool(node["Alive"]) for node in ray.nodes())


# -- training on features -----------------------------------------------------------------------


def write_train_task(
    folder: Path,
    trainer: Trainer,
    examples: Examples,
    features: Sequence[Feature],
    valid: Examples | None,
    options: Mapping[str, Any],
) -> None:
    """Write into the payload of a job what it takes to train.

    Parameters
    ----------
    folder
        Of the payload.
    trainer, examples, features, valid
        As of `Trainer.train`.
    options
        ``results``, a place on a stage for the model; ``num_workers`` and ``use_gpu``, as of
        `RuntimeTraining`.
    """
    _write(examples, folder / "examples.parquet")
    if valid is not None:
        _write(valid, folder / "valid.parquet")
    fields = ("name", "column", "meaning", "kind", "categories")
    task = {
        "task": "train",
        "trainer": _describe_component(trainer),
        "features": [{field: getattr(f, field) for field in fields} for f in features],
        "target": {"task": examples.target.task, "classes": list(examples.target.classes)},
        "valid": valid is not None,
        **options,
    }
    (folder / TASK).write_text(json.dumps(task), encoding="utf-8")


def _train(folder: Path, task: Mapping[str, Any]) -> dict[str, Any]:
    trainer = _rebuild_component(task["trainer"])
    features = [
        Feature(**{**f, "categories": tuple(f["categories"])}, expression=Number(f["column"]))
        for f in task["features"]
    ]
    valid = _read(folder / "valid.parquet", task["target"]) if task["valid"] else None
    examples = _read(folder / "examples.parquet", task["target"])
    model = _choose_training(trainer, task)(examples, features, valid)
    saved = folder / RESULT
    saved.mkdir()
    model.save(saved)
    name = plugins.get_catalogue().name_of("models", type(model))
    return {"model": name} | _put_folder(saved, task["results"])


def _choose_training(trainer: Any, task: Mapping[str, Any]) -> Callable[..., Model]:
    # One machine gives the same bytes as any other.
    if task["num_workers"] > 1:
        runtime = RuntimeTraining(task["num_workers"], task["use_gpu"])
        return functools.partial(runtime.train, trainer)
    if task["use_gpu"]:
        return functools.partial(trainer.train_with, _train_on_gpu)
    return trainer.train  # type: ignore[no-any-return]


def _train_on_gpu(boosting: Boosting, *rows: Any) -> Any:
    return boosting.with_params(device="cuda").train(*rows)


def _write(examples: Examples, path: Path) -> None:
    columns = [pa.array(column) for column in examples.features.T]
    names = [str(place) for place in range(len(columns))]
    table = pa.table([*columns, pa.array(examples.target.values)], [*names, TARGET])
    with explain_spill_errors(path):
        pq.write_table(table, path)


def _read(path: Path, target: Mapping[str, Any]) -> Examples:
    table = pq.read_table(path)
    values = table.column(TARGET).to_numpy()
    columns = [table.column(name).to_numpy() for name in table.column_names[:-1]]
    matrix = np.column_stack(columns).astype(np.float32)
    return Examples(matrix, Target(values, target["task"], tuple(target["classes"])))


# -- all ----------------------------------------------------------------------------------------


def _describe_component(component: Component) -> dict[str, Any]:
    """Return a component as JSON types; one that holds arrays cannot be described so."""
    from reviewml.saving.json_codec import NotPlain

    arrays: dict[str, Any] = {}
    described = describe(component, arrays)
    if arrays:
        raise NotPlain(
            f"{type(component).__name__} has arrays as parameters ({', '.join(arrays)}), which a "
            "job is not given: read them from a table, or submit a function."
        )
    return described


def _rebuild_component(described: Mapping[str, Any]) -> Any:
    return rebuild(dict(described), {}, {})


def _put_folder(saved: Path, results: str) -> dict[str, Any]:
    """Put a folder on a stage, and return where it is and the names of its files."""
    from reviewml.backends.snowflake.connection.session import ConnectionConfig

    database = ConnectionConfig().database()
    names = [f.relative_to(saved).as_posix() for f in sorted(saved.rglob("*")) if f.is_file()]
    for name in names:
        database.put(saved / name, f"{results}/{name}".rpartition("/")[0])
    return {"folder": results, "files": names}


TASKS: dict[str, Callable[[Path, Mapping[str, Any]], dict[str, Any]]] = {
    "fit": _fit,
    "enrich": _enrich,
    "train": _train,
}
