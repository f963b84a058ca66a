"""What MLflow calls to serve a saved pipeline: a wrapper around its folder."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reviewml.data.dataset import Dataset
from reviewml.data.frames import as_dataset
from reviewml.errors import SchemaError
from reviewml.pipeline import Pipeline, load
from reviewml.rows.roles import parse_arrow_type

if TYPE_CHECKING:
    import pandas as pd


class PyfuncModel:
    """Predict pandas frames from pandas frames, as MLflow expects.

    Parameters
    ----------
    pipeline
        Fitted.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def predict(self, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Return ``id``, ``prediction`` and probabilities; rows enriched, if it only enriches.

        Times may be texts, as in JSON, and have no zone: they are then taken for UTC where the
        pipeline learned from times with one.
        """
        rows = self._with_fitted_types(as_dataset(model_input))
        predicts = hasattr(self.pipeline, "model_")
        answers = self.pipeline.predict(rows) if predicts else self.pipeline.enrich(rows)
        frame: pd.DataFrame = answers.to_pandas()
        return frame

    def _with_fitted_types(self, rows: Dataset) -> Dataset:
        """Cast what pandas, JSON and CSV have no type for: times, dates and lists of one size."""
        table = rows.to_arrow()
        for place, name in enumerate(table.column_names):
            column, fitted = table.column(name), _parse_fitted_type(self.pipeline.schema_.get(name))
            if fitted is not None and column.type != fitted:
                table = table.set_column(place, name, _cast(column, name, fitted))
        return as_dataset(table)


def _parse_fitted_type(written: str | None) -> pa.DataType | None:
    """Parse the name of a type, if it is one of those to cast to."""
    is_castable = written is not None and written.startswith(
        ("timestamp", "date", "fixed_size_list")
    )
    return parse_arrow_type(str(written)) if is_castable else None


def _cast(values: pa.ChunkedArray, name: str, fitted: pa.DataType) -> pa.ChunkedArray:
    try:
        if pa.types.is_fixed_size_list(fitted):
            return values.cast(fitted) if pa.types.is_list(values.type) else values
        if not (pa.types.is_string(values.type) or _is_moment(values.type)):
            # The pipeline says what is wrong with it.
            return values
        # The fitted unit may be coarser: nothing finer was learned from.
        return values.cast(_choose_readable_type(values.type, fitted)).cast(fitted, safe=False)
    except pa.ArrowInvalid:
        raise SchemaError(
            f"column {name!r} holds values that cannot be read as {fitted}, on which the pipeline "
            "was fitted: write times as ISO 8601 does, such as '2026-01-31T12:00:00', and give "
            "lists their size."
        ) from None


def _choose_readable_type(kind: pa.DataType, fitted: pa.DataType) -> pa.DataType:
    """Choose the timestamp type to read values as before the cast to the fitted type."""
    is_timestamp = pa.types.is_timestamp(kind)
    zone = kind.tz if is_timestamp else None
    fitted_zone = fitted.tz if pa.types.is_timestamp(fitted) else None
    return pa.timestamp(kind.unit if is_timestamp else "us", zone or fitted_zone)


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _load_pyfunc(path: str) -> PyfuncModel:
    # MLflow looks for this name.
    _let_server_read_times()
    return PyfuncModel(load(path))


def _let_server_read_times() -> None:
    """Let MLflow's scoring server, where this is one, read CSV in which there are times.

    It asks pandas to parse columns as ``datetime64[ns]``, which `pandas.read_csv` refuses
    whatever the values are. Read as texts, they are converted when MLflow enforces the signature.
    """
    server: Any = sys.modules.get("mlflow.pyfunc.scoring_server")
    if server is None or hasattr(server.parse_csv_input, "__wrapped__"):
        return
    server.parse_csv_input = _reading_times_as_text(server.parse_csv_input)


def _reading_times_as_text(parse: Any) -> Any:
    from mlflow.types import ColSpec, DataType, Schema

    @functools.wraps(parse)
    def parse_csv_input(csv_input: Any, schema: Any = None) -> Any:
        if schema is not None and schema.has_input_names():
            schema = Schema(
                [
                    ColSpec(DataType.string, spec.name, spec.required)
                    if spec.type == DataType.datetime
                    else spec
                    for spec in schema.inputs
                ]
            )
        return parse(csv_input, schema)

    return parse_csv_input
