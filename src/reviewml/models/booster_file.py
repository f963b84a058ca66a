"""A booster's file, checked completely before XGBoost reads it.

XGBoost follows whatever indices and lengths its files state, beyond its memory too. Only bytes
that XGBoost itself would write of such trees are therefore given to it: each part is read here
without trust, checked, and what is read, written again, must be the very bytes.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from reviewml.models.tree_checks import check_trees
from reviewml.models.tree_columns import TreeColumns, read_trees
from reviewml.models.ubjson import EmptyArray, Hole, NotCanonical, Reader, write, write_key
from reviewml.steps.model import Task

OBJECTIVES: Mapping[Task, Mapping[str, str]] = {
    "binary": {"binary:logistic": "reg_loss_param"},
    "multiclass": {
        "multi:softprob": "softmax_multiclass_param",
        "multi:softmax": "softmax_multiclass_param",
    },
    "regression": {"reg:squarederror": "reg_loss_param"},
}
"""What may have been minimised for each task, and the key of its parameters."""

MOST_FEATURES = 2**20
"""Features of a booster: XGBoost keeps some bytes for each, whatever the trees use."""

MOST_VERSION = 1_000
"""Each of the three numbers of a version of XGBoost is less."""

NO_CATEGORIES = {
    "enc": [],
    "feature_segments": EmptyArray(b"l"),
    "sorted_idx": EmptyArray(b"l"),
}
"""XGBoost's own table of categories, which is for data frames."""

FLOAT32 = 3.4e38

NUMBER = re.compile(r"-?[0-9](\.[0-9]{1,12})?(E-?[0-9]{1,2})?")


@dataclasses.dataclass(frozen=True)
class BoosterFile:
    """The contents of a checked booster file.

    Parameters
    ----------
    features
        Number of features.
    outputs
        Margins of each row: 1, or the number of classes when there are more than two.
    trees
        All trees.
    """

    features: int
    outputs: int
    trees: TreeColumns


def check_booster(raw: bytes, task: Task, classes: int) -> BoosterFile:
    """Raise unless XGBoost can read a booster, and predict and explain with it, safely.

    Parameters
    ----------
    raw
        The whole file.
    task
        What the model predicts.
    classes
        How many classes there are; 0 for a regression.

    Raises
    ------
    NotCanonical
        When the file is anything else than what XGBoost writes of such a booster.
    """
    columns: list[TreeColumns] = []

    holes: list[Hole] = []

    def read_all_trees(at: int) -> tuple[Hole, int]:
        read, end = read_trees(raw, at, reader.read_length, _read_stated_features(raw))
        columns.append(read)
        holes.append(Hole(at, end))
        return holes[-1], end

    reader = Reader(raw, {"trees": read_all_trees})
    content, end = reader.read(0)
    _require(len(holes) == 1, "it has no trees")
    if end != len(raw) or write(content) != raw[: holes[0].start] + raw[holes[0].end :]:
        raise NotCanonical("it is not in the form that XGBoost writes")
    described = _check_keys(content, "learner version")
    learner = _read_learner(described["learner"])
    _check_version(described["version"])
    return _check_learner(learner, columns[0], task, classes)


def _read_stated_features(raw: bytes) -> int:
    """Find the number of features, which `_checked` compares with what is read there."""
    at = raw.rfind(_NUM_FEATURE)
    text, _ = Reader(raw).read_text(at + len(_NUM_FEATURE)) if at >= 0 else ("", 0)
    return _count(text, MOST_FEATURES)


_NUM_FEATURE = write_key("num_feature") + b"S"


def _check_learner(
    learner: Mapping[str, Any], trees: TreeColumns, task: Task, classes: int
) -> BoosterFile:
    outputs = classes if task == "multiclass" else 1
    features = _check_params(learner["learner_model_param"], task, outputs)
    types = _check_features(learner, features)
    _check_objective(learner["objective"], task, outputs)
    _check_texts(learner["attributes"])
    booster = _check_keys(learner["gradient_booster"], "model name")
    _require(booster["name"] == "gbtree", "it is not a booster of trees")
    model = _check_keys(
        booster["model"], "cats gbtree_model_param iteration_indptr tree_info trees"
    )
    _require(isinstance(model["trees"], Hole), "its trees are elsewhere")
    _check_rounds(model, len(trees.sizes), outputs)
    check_trees(trees, [kind == "c" for kind in types])
    return BoosterFile(features, outputs, trees)


def _check_params(params: Any, task: Task, outputs: int) -> int:
    """Check the parameters of the learner, and return the number of features."""
    names = "base_score boost_from_average num_class num_feature num_target"
    stated = _check_texts(_check_keys(params, names))
    _require(stated["num_class"] == str(outputs if outputs > 1 else 0), "num_class is wrong")
    _require(stated["num_target"] == "1", "it has several targets")
    _require(stated["boost_from_average"] in ("0", "1"), "boost_from_average is wrong")
    scores = stated["base_score"]
    _require(scores[:1] == "[" and scores[-1:] == "]", "base_score is not a list")
    numbers = [_parse_number(text) for text in scores[1:-1].split(",")]
    _require(len(numbers) in (1, outputs), "base_score is not one for each output")
    if task == "binary":
        _require(all(0 < number < 1 for number in numbers), "base_score is not a probability")
    return _count(stated["num_feature"], MOST_FEATURES)


def _check_features(learner: Mapping[str, Any], features: int) -> list[str]:
    """Check names and types of the features, and return the types."""
    for name in ("feature_names", "feature_types"):
        texts = learner[name]
        _require(
            isinstance(texts, list) and all(isinstance(text, str) for text in texts),
            f"{name} are not text",
        )
        _require(len(texts) in (0, features), f"{name} are not one for each feature")
    names = learner["feature_names"]
    _require(len(set(names)) == len(names), "feature_names are not unique")
    _require(not any(set(name) & set("[]<") for name in names), "feature_names are not XGBoost's")
    types: list[str] = learner["feature_types"] or ["q"] * features
    _require(set(types) <= {"c", "q", "float", "int", "i"}, "feature_types are unknown")
    return types


def _check_objective(objective: Any, task: Task, outputs: int) -> None:
    objectives = OBJECTIVES[task]
    name = objective.get("name") if isinstance(objective, dict) else None
    _require(isinstance(name, str) and name in objectives, f"its objective is not one for {task}")
    key = objectives[str(name)]
    params = _check_texts(_check_keys(objective, f"name {key}")[key])
    if task == "multiclass":
        _require(params == {"num_class": str(outputs)}, "num_class is wrong")
    else:
        _parse_number(_check_keys(params, "scale_pos_weight")["scale_pos_weight"])


def _check_rounds(model: Mapping[str, Any], trees: int, outputs: int) -> None:
    """Check which trees belong to which round, and to which output."""
    _require(model["cats"] == NO_CATEGORIES, "it has a table of categories of its own")
    params = _check_keys(model["gbtree_model_param"], "num_parallel_tree num_trees")
    _require(params["num_trees"] == str(trees), "num_trees is not the number of trees")
    parallel = _count(params["num_parallel_tree"], max(trees, 1))
    of_round = parallel * outputs
    _require(trees % of_round == 0, "a round lacks trees")
    _require(
        model["iteration_indptr"] == list(range(0, trees + 1, of_round)),
        "iteration_indptr is not where rounds start",
    )
    of_outputs = [output for output in range(outputs) for _ in range(parallel)]
    _require(
        model["tree_info"] == of_outputs * (trees // of_round),
        "tree_info does not say which output a tree is for",
    )


def _read_learner(value: Any) -> Mapping[str, Any]:
    names = "attributes feature_names feature_types gradient_booster learner_model_param objective"
    return _check_keys(value, names)


def _check_version(version: Any) -> None:
    numbers = isinstance(version, list) and all(
        isinstance(part, int) and 0 <= part < MOST_VERSION for part in version
    )
    _require(numbers and len(version) == 3 and version >= [3, 1, 0], "its version is unknown")


def _check_keys(value: Any, names: str) -> Mapping[str, Any]:
    """Require an object to have exactly the named keys, and return it."""
    if not isinstance(value, dict) or value.keys() != set(names.split()):
        raise NotCanonical(f"expected exactly the keys {names}")
    return value


def _check_texts(value: Any) -> Mapping[str, str]:
    _require(
        isinstance(value, dict) and all(isinstance(text, str) for text in value.values()),
        "a parameter is not text",
    )
    texts: Mapping[str, str] = value
    return texts


def _parse_number(text: str) -> float:
    _require(NUMBER.fullmatch(text) is not None, f"{text[:20]!r} is not a number")
    number = float(text)
    _require(math.isfinite(number) and abs(number) < FLOAT32, f"{text[:20]!r} is not a number")
    return number


def _count(text: Any, most: int) -> int:
    _require(
        isinstance(text, str) and re.fullmatch("[1-9][0-9]{0,9}", text) is not None,
        "a count is not a number",
    )
    _require(int(text) <= most, "a count is too large")
    return int(text)


def _require(true: bool, otherwise: str) -> None:
    if not true:
        raise NotCanonical(otherwise)
