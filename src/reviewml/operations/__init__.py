"""What is done to rows, as data: one operation in each file, and the verbs that make them.

A backend runs the operations that it knows, and applies any other `BatchOperation` to batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reviewml.plugins.lazy_names import resolve_names

if TYPE_CHECKING:
    from reviewml.operations.aggregates import Mean, Share
    from reviewml.operations.asof import AsOf
    from reviewml.operations.duplicates import DropDuplicates
    from reviewml.operations.fail_on_error import FailOnError
    from reviewml.operations.filter import Filter
    from reviewml.operations.group_by import AggregateGroups, GroupBy
    from reviewml.operations.join import Join
    from reviewml.operations.label import Label
    from reviewml.operations.limit import Limit
    from reviewml.operations.operation import BatchOperation, Map, Operation
    from reviewml.operations.relation import Relation
    from reviewml.operations.sample import Sample
    from reviewml.operations.select import Select
    from reviewml.rows.statistics import Count, Max, Min, Sum

__all__ = [
    "AggregateGroups",
    "AsOf",
    "BatchOperation",
    "Count",
    "DropDuplicates",
    "FailOnError",
    "Filter",
    "GroupBy",
    "Join",
    "Label",
    "Limit",
    "Map",
    "Max",
    "Mean",
    "Min",
    "Operation",
    "Relation",
    "Sample",
    "Select",
    "Share",
    "Sum",
]

__getattr__, __dir__ = resolve_names(
    __name__,
    {
        "AggregateGroups": "group_by",
        "AsOf": "asof",
        "BatchOperation": "operation",
        "Count": "aggregates",
        "DropDuplicates": "duplicates",
        "FailOnError": "fail_on_error",
        "Filter": "filter",
        "GroupBy": "group_by",
        "Join": "join",
        "Label": "label",
        "Limit": "limit",
        "Map": "operation",
        "Max": "aggregates",
        "Mean": "aggregates",
        "Min": "aggregates",
        "Operation": "operation",
        "Relation": "relation",
        "Sample": "sample",
        "Select": "select",
        "Share": "aggregates",
        "Sum": "aggregates",
    },
)
