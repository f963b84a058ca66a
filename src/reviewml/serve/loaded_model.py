"""Served: one version of a model, loaded once, that predicts whatever batch it is given."""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from reviewml.data.dataset import Dataset
from reviewml.data.source import Partition, Source
from reviewml.pipeline import Pipeline, load
from reviewml.registries.base import ModelVersion, Registry
from reviewml.rows.bookkeeping import with_bookkeeping
from reviewml.rows.roles import keep_existing_roles, with_roles
from reviewml.serve.request_schema import RequestColumn


@dataclasses.dataclass(frozen=True)
class BatchPartition(Partition):
    """The rows of one batch."""

    batch: pa.RecordBatch

    def read(self) -> Iterator[pa.RecordBatch]:
        yield self.batch


class BatchSource(Source):
    """The rows that it was last given: what is made of them is set up once, for all batches."""

    at_hand = True

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch

    def partitions(self) -> Iterator[Partition]:
        yield BatchPartition(self.batch)


class LoadedModel:
    """One version of a model with all that it needs to predict.

    Parameters
    ----------
    version
        Which one.
    pipeline
        As loaded from the registry.
    reviews
        What steps that look at reviews look at; read and sorted here, once.
    """

    def __init__(self, version: ModelVersion, pipeline: Pipeline, reviews: Any = None) -> None:
        self.version = version
        self.pipeline = pipeline
        self.columns = list_request_columns(pipeline)
        self.since = datetime.datetime.now(datetime.UTC)
        self._turn = threading.Lock()
        self._fed = BatchSource(_make_null_rows(self.columns, pipeline, 1))
        self._predicted: Dataset = pipeline.predict(self._fed, reviews=reviews)
        # One row of nulls loads models and indexes before the first request comes.
        self.predict(self._fed.batch)

    @classmethod
    def load(
        cls, registry: Registry, version: ModelVersion, *, reviews: Any = None, store: Any = "auto"
    ) -> LoadedModel:
        """Return a version of a registry, ready to predict.

        Raises
        ------
        ReviewmlError
            When it cannot be loaded, or what it needs is not there.
        """
        pipeline = registry.load(f"{version.name}@{version.version}")
        return cls(version, pipeline.on("local", store=store), reviews)

    @classmethod
    def of_folder(
        cls,
        folder: Path,
        version: ModelVersion,
        *,
        reviews: Any = None,
        store: Any = "auto",
    ) -> LoadedModel:
        """Return a version of which the saved folder is here, ready to predict; see `load`."""
        pipeline = load(folder)
        return cls(version, pipeline.on("local", store=store), reviews)

    @property
    def name(self) -> str:
        """Name and version, as a registry takes it."""
        return f"{self.version.name}@{self.version.version}"

    @property
    def outputs(self) -> list[str]:
        """Names of what is predicted of each row."""
        return list(self._predicted.schema.names)

    def predict(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Predict these rows as `Pipeline.predict` does, bookkeeping included."""
        with self._turn:
            self._fed.batch = batch.replace_schema_metadata(self._fed.batch.schema.metadata)
            return pa.concat_batches(self._predicted.full_batches())

    def describe_model(self) -> Mapping[str, Any]:
        """Describe the model as plain data."""
        classes = getattr(self.pipeline, "classes_", None)
        return {
            "model": self.name,
            "created": self.version.created,
            "since": self.since.isoformat(),
            "task": self.pipeline.task_,
            "classes": None if classes is None else classes.tolist(),
            "metrics": dict(self.version.metrics),
            "columns": {column.name: str(column.type) for column in self.columns},
            "features": {feature.name: feature.meaning for feature in self.pipeline.features_},
        }


def list_request_columns(pipeline: Pipeline) -> list[RequestColumn]:
    """Return the columns that a fitted pipeline predicts from, in their order.

    Raises
    ------
    SchemaError
        When requests cannot give one of them.
    """
    # Nothing can be learned from a column of nulls.
    return [
        RequestColumn.of(name, kind)
        for name, kind in pipeline.schema_.items()
        if name != pipeline.roles_.target and kind != "null"
    ]


def _make_null_rows(columns: list[RequestColumn], pipeline: Pipeline, rows: int) -> pa.RecordBatch:
    """Return rows of nulls, with the roles that the pipeline's rows have."""
    schema = pa.schema([(column.name, column.type) for column in columns])
    arrays = [pa.nulls(rows, column.type) for column in columns]
    batch = pa.RecordBatch.from_arrays(arrays, schema.names)
    batch = with_bookkeeping(batch, pa.array(map(str, range(rows))))
    roles = keep_existing_roles(schema, pipeline.roles_)
    return batch.replace_schema_metadata(with_roles(batch.schema, roles).metadata)
