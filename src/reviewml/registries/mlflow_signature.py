"""What MLflow is told of a pipeline: columns that it takes and gives, and made-up rows of them."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reviewml import plugins
from reviewml.errors import SchemaError
from reviewml.models.scoring import Predict
from reviewml.pipeline import Pipeline
from reviewml.rows.roles import ERRORS, ERRORS_TYPE, PLACE, Roles, parse_arrow_type, with_roles
from reviewml.steps.enricher import Enricher
from reviewml.steps.featurizer import Featurizer
from reviewml.steps.trainer import Trainer

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

ROWS = 2
"""Rows of an example."""


@dataclasses.dataclass(frozen=True)
class Input:
    """A column that a pipeline takes.

    Parameters
    ----------
    name, type
        As in the rows that it learned from.
    required
        Whether rows without it are refused.
    incomplete
        Whether some of the rows that it learned from had no value.
    """

    name: str
    type: pa.DataType
    required: bool
    incomplete: bool = False


def sign(pipeline: Pipeline) -> tuple[ModelSignature, pd.DataFrame]:
    """Describe a fitted pipeline as an MLflow signature and an input example.

    Returns
    -------
    signature : mlflow.models.ModelSignature
        Of columns with names; those that it can do without are not required.
    example : pandas.DataFrame
        Made-up rows that fit the signature.

    Raises
    ------
    SchemaError
        When MLflow has no type for a column, naming it.
    """
    models = plugins.optional("mlflow.models", "MlflowRegistry")
    types = plugins.optional("mlflow.types", "MlflowRegistry")
    pipeline_inputs = list_inputs(pipeline)
    inputs = [
        types.ColSpec(_to_mlflow_type(i.name, i.type, incomplete=i.incomplete), i.name, i.required)
        for i in pipeline_inputs
    ]
    outputs = [
        # A prediction of a row that could not be read is null, whatever its type.
        types.ColSpec(_to_mlflow_type(field.name, field.type), field.name)
        for field in _list_outputs(pipeline)
    ]
    signature = models.ModelSignature(types.Schema(inputs), types.Schema(outputs))
    return signature, make_example(pipeline_inputs)


def list_inputs(pipeline: Pipeline) -> list[Input]:
    """List the columns that a fitted pipeline takes, in the order of the rows it was fitted on."""
    roles, steps = pipeline.roles_, [step for _, step in pipeline.steps_]
    required, used = _list_columns_read(steps, roles)
    incomplete = {name for step in steps for name in getattr(step, "incomplete_", ())}
    return [
        Input(name, _parse(name, written), name in required, name in incomplete)
        for name, written in pipeline.schema_.items()
        # Nothing is learned from a column of nulls, and new rows have no target.
        if name != roles.target and written != "null" and (used is None or name in used)
    ]


def _list_columns_read(steps: Sequence[Any], roles: Roles) -> tuple[set[str], set[str] | None]:
    """List the columns that steps require, and all that they read.

    The second is None where that is not known, or where all columns are part of the answer.
    """
    behind = roles.list_named()
    required: set[str] = set()
    used = {name for name in (roles.id, roles.time) if name is not None}
    for step in steps:
        if isinstance(step, Enricher):
            for name in step.needs:
                required |= set(behind.get(name, (name,)))
            used |= {column for name in step.optional for column in behind.get(name, (name,))}
        elif isinstance(step, Featurizer):
            required |= _list_feature_columns(step)
    are_known = all(isinstance(step, Enricher | Featurizer | Trainer) for step in steps)
    predicts = any(isinstance(step, Featurizer) for step in steps)
    return required, used | required if are_known and predicts else None


def _list_feature_columns(featurizer: Featurizer) -> set[str]:
    texts = featurizer.beyond_operators()
    columns = {feature.expression.column for feature in featurizer.features()}
    return columns | {*(texts[1] if texts is not None else ())}


def _list_outputs(pipeline: Pipeline) -> Iterator[pa.Field]:
    """Yield the columns of what `Served.predict` returns."""
    fitted = [(i.name, i.type) for i in list_inputs(pipeline)]
    schema = pa.schema([*fitted, (PLACE, pa.string()), (ERRORS, ERRORS_TYPE)])
    names = [name for name, _ in fitted]
    if not hasattr(pipeline, "model_"):
        new_types = {
            n: t for _, step in pipeline.steps_ for n, t in getattr(step, "adds", {}).items()
        }
        yield from pa.schema(
            [*fitted, *(pair for pair in new_types.items() if pair[0] not in names)]
        )
        return
    [featurizer] = [step for _, step in pipeline.steps_ if isinstance(step, Featurizer)]
    identified = Roles(id=pipeline.roles_.id if pipeline.roles_.id in names else None)
    outputs = ("prediction",) if pipeline.task_ == "regression" else ("prediction", "probability")
    scored = Predict(featurizer, pipeline.model_, outputs).schema(with_roles(schema, identified))
    yield from (field for field in scored if field.name not in (PLACE, ERRORS))


def _parse(name: str, written: str) -> pa.DataType:
    if written.startswith("decimal"):
        return pa.float64()
    try:
        return parse_arrow_type(written)
    except (ValueError, TypeError):
        raise _make_type_error(name, written) from None


def _make_type_error(name: str, kind: Any) -> SchemaError:
    return SchemaError(
        f"MLflow has no type for column {name!r} ({kind}): leave it out, or cast it, before "
        "fitting."
    )


def _to_mlflow_type(name: str, kind: pa.DataType, *, incomplete: bool = False) -> Any:
    types = plugins.optional("mlflow.types", "MlflowRegistry")
    data_type = types.DataType
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        schema = plugins.optional("mlflow.types.schema", "MlflowRegistry")
        return schema.Array(_to_mlflow_type(name, kind.value_type))
    if pa.types.is_boolean(kind):
        return data_type.boolean
    if pa.types.is_integer(kind) and kind != pa.uint64():
        # A whole number that is missing is a float in pandas, and null in JSON.
        return data_type.double if incomplete else data_type.long
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return data_type.double
    if pa.types.is_string(kind):
        return data_type.string
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return data_type.datetime
    raise _make_type_error(name, kind)


def make_example(inputs: Sequence[Input]) -> pd.DataFrame:
    """Make up rows: the values are those of no customer."""
    columns = {i.name: [_make_up(i.type, row) for row in range(ROWS)] for i in inputs}
    frame: pd.DataFrame = plugins.optional("pandas", "MlflowRegistry").DataFrame(columns)
    floats = [i.name for i in inputs if i.incomplete and pa.types.is_integer(i.type)]
    return frame.astype(dict.fromkeys(floats, float))


def _make_up(kind: pa.DataType, row: int) -> Any:
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        size = kind.list_size if pa.types.is_fixed_size_list(kind) else ROWS
        return [_make_up(kind.value_type, row)] * size
    if pa.types.is_boolean(kind):
        return row % 2 == 0
    if pa.types.is_integer(kind):
        return row + 1
    if pa.types.is_string(kind):
        return f"example {row + 1}"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return datetime.datetime(2026, 1, 1 + row)
    return row + 0.5
