"""What stands in a model's ``model.json``: its task, its classes, and fields of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from reviewml.errors import DamagedModel
from reviewml.steps.model import Task
from reviewml.untrusted import read_document

NO_OPTIONS: Mapping[str, type] = MappingProxyType({})


def read_description(
    path: Path, *fields: str, optional: Mapping[str, type] = NO_OPTIONS
) -> dict[str, Any]:
    """Read the description of a model; its classes are a tuple.

    Parameters
    ----------
    path
        Of the file.
    fields
        Names of what it must hold besides the task and the classes.
    optional
        What it may hold besides, and the type of each.

    Raises
    ------
    DamagedModel
        When it is not the description of a model.
    """
    described = read_document(path)
    if not isinstance(described, dict) or described.keys() - optional.keys() != {
        "task",
        "classes",
        *fields,
    }:
        raise DamagedModel(
            f"{path} is not what Pipeline.save writes: it does not hold what a model is described "
            "by."
        )
    task, classes = described["task"], described["classes"]
    if task not in get_args(Task):
        raise DamagedModel(f"{path}: its task is none of {', '.join(get_args(Task))}.")
    if not isinstance(classes, list) or not _are_classes(classes, task):
        raise DamagedModel(f"{path}: its classes are not those of a {task} model.")
    for name, kind in optional.items():
        if name in described and type(described[name]) is not kind:
            raise DamagedModel(f"{path}: {name!r} is not of type {kind.__name__}.")
    return described | {"classes": tuple(classes)}


def _are_classes(classes: list[Any], task: Task) -> bool:
    if not all(isinstance(value, bool | int | float | str) for value in classes):
        return False
    fewest, most = {"binary": (2, 2), "multiclass": (2, len(classes)), "regression": (0, 0)}[task]
    return fewest <= len(classes) <= most and len(set(classes)) == len(classes)
