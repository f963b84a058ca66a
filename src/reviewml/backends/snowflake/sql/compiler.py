"""Which operations Snowflake runs itself, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from reviewml.backends.snowflake.calls.call_once import compile_enrich, compile_question
from reviewml.backends.snowflake.sql.features import compile_features, compile_predict
from reviewml.backends.snowflake.sql.filter import compile_filter
from reviewml.backends.snowflake.sql.group_by import compile_measure_groups
from reviewml.backends.snowflake.sql.select import (
    compile_fail_on_error,
    compile_mark_followed,
    compile_select,
    compile_select_roles,
)
from reviewml.backends.snowflake.tables.query import PartialPushdown, Step
from reviewml.backends.snowflake.udf.sampling import compile_sample
from reviewml.fitting.examples import FeaturizeForTraining
from reviewml.models.scoring import ComputeNumbers, Predict
from reviewml.operations.ask_database import AskDatabase
from reviewml.operations.cached_enrich import CachedEnrich
from reviewml.operations.enrich import Enrich, SelectRoles
from reviewml.operations.fail_on_error import FailOnError
from reviewml.operations.filter import Filter
from reviewml.operations.group_by import MeasureGroups
from reviewml.operations.label import MarkFollowed
from reviewml.operations.operation import BatchOperation, Operation
from reviewml.operations.sample import KeepSample
from reviewml.operations.select import AssignRoles, Select

Compile = Callable[[Any, pa.Schema, pa.Schema], Step | PartialPushdown | None]

COMPILERS: Mapping[type[Operation], Compile] = {
    AskDatabase: compile_question,
    AssignRoles: compile_select,
    CachedEnrich: compile_enrich,
    ComputeNumbers: compile_features,
    Enrich: compile_enrich,
    FailOnError: compile_fail_on_error,
    FeaturizeForTraining: compile_features,
    Filter: compile_filter,
    KeepSample: compile_sample,
    MarkFollowed: compile_mark_followed,
    MeasureGroups: compile_measure_groups,
    Predict: compile_predict,
    Select: compile_select,
    SelectRoles: compile_select_roles,
}


def compile_operation(
    operation: BatchOperation, before: pa.Schema, after: pa.Schema
) -> Step | PartialPushdown | None:
    """Compile an operation on batches to what does the same to rows in the database.

    Parameters
    ----------
    operation
        To be run.
    before, after
        Schemas of the rows it takes and of those it returns.

    Returns
    -------
    callable, PartialPushdown or None
        Takes `Rows` and returns others, once work starts; None when it has to be done in Python.
    """
    compile_one = COMPILERS.get(type(operation))
    return None if compile_one is None else compile_one(operation, before, after)
