"""XGBoost is given only files that it can read, and predict and explain with, within its memory."""

from __future__ import annotations

import json
import random
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.fuzzing import compare_trees, fuzz, make_model
from tests.models.tree_mutations import LAYOUT_CHANGES, find_trees, join_object, split_object

from reviewml.errors import DamagedModel, RegistryError
from reviewml.models import BoosterModel
from reviewml.models.booster_file import check_booster
from reviewml.models.tree_checks import MOST_DEPTH, check_trees
from reviewml.models.tree_columns import TreeColumns
from reviewml.models.ubjson import NotCanonical, Reader, write

TASKS = ("binary", "multiclass", "regression")
DTYPES = {"d": ">f4", "l": ">i4", "L": ">i8", "U": "u1"}


@pytest.fixture(scope="module", params=TASKS)
def model(request: pytest.FixtureRequest) -> BoosterModel:
    return make_model(request.param)


@pytest.fixture(scope="module")
def raw(model: BoosterModel) -> bytes:
    return bytes(model.booster.save_raw("ubj"))


def to_ubjson(value: Any, key: str = "") -> bytes:
    """Write what XGBoost's JSON says in the form of its UBJSON, whatever it says."""
    if isinstance(value, dict):
        parts = (
            b"L" + struct.pack(">q", len(name)) + name.encode() + to_ubjson(child, name)
            for name, child in sorted(value.items())
        )
        return b"{" + b"".join(parts) + b"}"
    kind = KINDS.get(key)
    if kind is not None:
        array = np.array(value, np.float64 if kind == "d" else np.int64).astype(DTYPES[kind])
        return f"[${kind}#L".encode() + struct.pack(">q", len(array)) + array.tobytes()
    if isinstance(value, list):
        return b"[#L" + struct.pack(">q", len(value)) + b"".join(map(to_ubjson, value))
    return write(value)


KINDS = {
    **dict.fromkeys(("base_weights", "loss_changes", "split_conditions", "sum_hessian"), "d"),
    **dict.fromkeys(("left_children", "right_children", "parents", "split_indices"), "l"),
    **dict.fromkeys(("categories", "categories_nodes", "sorted_idx", "feature_segments"), "l"),
    **dict.fromkeys(("categories_segments", "categories_sizes"), "L"),
    **dict.fromkeys(("default_left", "split_type"), "U"),
}


def check(model: BoosterModel, raw: bytes) -> None:
    check_booster(raw, model.task, len(model.classes))


def changed(model: BoosterModel, change: Callable[[Any], Any]) -> bytes:
    content = json.loads(bytes(model.booster.save_raw("json")))
    change(content)
    return to_ubjson(content)


def test_what_xgboost_writes_is_taken_and_read_as_xgboost_reads_it(
    model: BoosterModel, raw: bytes
) -> None:
    checked = check_booster(raw, model.task, len(model.classes))
    assert changed(model, lambda _: None) == raw
    compare_trees(model, raw)
    assert checked.features == model.n_features == 3
    assert checked.outputs == (3 if model.task == "multiclass" else 1)


@pytest.mark.parametrize("params", [{"gamma": 5}, {"tree_method": "exact"}, {"max_depth": 0}])
def test_trees_that_other_parameters_make_are_taken(params: dict[str, Any]) -> None:
    import xgboost

    rng = np.random.default_rng(0)
    data = xgboost.DMatrix(rng.normal(size=(500, 3)), rng.normal(size=500))
    booster = xgboost.train({"objective": "reg:squarederror", **params}, data, 5)
    check_booster(bytes(booster.save_raw("ubj")), "regression", 0)


def set_in_tree(name: str, position: int, value: Any) -> Callable[[Any], None]:
    """Change an element of an array of the first tree with a categorical split."""

    def change(content: Any) -> None:
        trees = content["learner"]["gradient_booster"]["model"]["trees"]
        next(tree for tree in trees if tree["categories"])[name][position] = value

    return change


def set_in(path: str, value: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        *above, last = path.split(".")
        for key in above:
            content = content[int(key)] if isinstance(content, list) else content[key]
        content[int(last) if isinstance(content, list) else last] = value

    return change


def exchange_children(content: Any) -> None:
    """Exchange the children of all splits, of which XGBoost reads the left one alone."""
    for tree in content["learner"]["gradient_booster"]["model"]["trees"]:
        left, right = tree["left_children"], tree["right_children"]
        tree["left_children"], tree["right_children"] = right, left


MODEL = "learner.gradient_booster.model"
PARAMS = "learner.learner_model_param"
TREE = f"{MODEL}.trees.0"

EVIL = {
    **{
        f"{name} of {value}": set_in_tree(name, 0, value)
        for name in ("left_children", "right_children", "split_indices", "parents")
        for value in (0, 100_000, 2**30, 2**31 - 1, -1, -(2**31))
        if not (name == "parents" and value == 2**31 - 1)
        and not (name == "split_indices" and value == 0)
    },
    **{
        f"{name} of {value}": set_in_tree(name, 0, value)
        for name in ("categories_segments", "categories_sizes")
        for value in (10**9, 2**62, -1)
    },
    **{
        f"category {value}": set_in_tree("categories", 0, value)
        for value in (2**31 - 1, 2**24, -(2**31), -1)
    },
    "set of another node": set_in_tree("categories_nodes", 0, 10**6),
    "set of no node": set_in_tree("categories_nodes", 0, -1),
    "default beyond": set_in_tree("default_left", 0, 2),
    "type beyond": set_in_tree("split_type", 0, 2),
    "condition is nan": set_in_tree("split_conditions", 0, float("nan")),
    "leaf is infinite": set_in_tree("split_conditions", -1, float("inf")),
    "leaf is too large to explain": set_in_tree("split_conditions", -1, 1e38),
    "weight is infinite": set_in_tree("sum_hessian", 0, float("inf")),
    "weight is not that of children": set_in_tree("sum_hessian", 0, 1e6),
    "children are exchanged": exchange_children,
    "short array": set_in(f"{TREE}.left_children", [-1]),
    "no nodes": set_in(f"{TREE}.tree_param.num_nodes", "0"),
    "more nodes": set_in(f"{TREE}.tree_param.num_nodes", "2000000000"),
    "deleted nodes": set_in(f"{TREE}.tree_param.num_deleted", "1"),
    "features of a tree": set_in(f"{TREE}.tree_param.num_feature", "1000000"),
    "leaf vector": set_in(f"{TREE}.tree_param.size_leaf_vector", "1000"),
    "id": set_in(f"{TREE}.id", 7),
    "unknown key of a tree": set_in(f"{TREE}.leaf_weights", []),
    "features": set_in(f"{PARAMS}.num_feature", "4000000000"),
    "no features": set_in(f"{PARAMS}.num_feature", "0"),
    "classes": set_in(f"{PARAMS}.num_class", "7"),
    "targets": set_in(f"{PARAMS}.num_target", "2"),
    "base scores": set_in(f"{PARAMS}.base_score", "[1E-1,2E-1]"),
    "base score empty": set_in(f"{PARAMS}.base_score", "[]"),
    "base score nan": set_in(f"{PARAMS}.base_score", "[nan]"),
    "group": set_in(f"{MODEL}.tree_info.0", 100),
    "groups short": set_in(f"{MODEL}.tree_info", [0]),
    "rounds": set_in(f"{MODEL}.iteration_indptr.1", 10_000),
    "rounds back": set_in(f"{MODEL}.iteration_indptr.1", -5),
    "trees": set_in(f"{MODEL}.gbtree_model_param.num_trees", "100000000"),
    "parallel trees": set_in(f"{MODEL}.gbtree_model_param.num_parallel_tree", "100000000"),
    "cats": set_in(f"{MODEL}.cats.enc", [0]),
    "objective": set_in("learner.objective.name", "reg:nothing"),
    "booster": set_in("learner.gradient_booster.name", "gblinear"),
    "names": set_in("learner.feature_names", ["f"] * 1_000),
    "name that XGBoost refuses to explain": set_in("learner.feature_names", ["a", "b[", "c"]),
    "names twice": set_in("learner.feature_names", ["a", "a", "c"]),
    "types": set_in("learner.feature_types", ["c"]),
    "types differ": set_in("learner.feature_types", ["q"] * 3),
    "attributes": set_in("learner.attributes", {"trees": [1]}),
    "unknown key": set_in("learner.other", {}),
    "version": set_in("version", [1, 0, 0]),
    "version that there will never be": set_in("version", [2**31 - 2, 0, 0]),
    "version below zero": set_in("version", [4, -1, 0]),
}


@pytest.mark.parametrize("change", EVIL.values(), ids=EVIL)
def test_what_no_booster_says_is_refused(
    model: BoosterModel, tmp_path: Path, change: Callable[[Any], Any]
) -> None:
    evil = changed(model, change)
    with pytest.raises(NotCanonical):
        check(model, evil)
    model.save(tmp_path)
    (tmp_path / "booster.ubj").write_bytes(evil)
    with pytest.raises(DamagedModel, match=r"booster\.ubj is not a booster"):
        BoosterModel.load(tmp_path)


def test_another_task_is_refused(model: BoosterModel, raw: bytes) -> None:
    for task in TASKS:
        if task != model.task:
            with pytest.raises(NotCanonical):
                check_booster(raw, task, {"binary": 2, "multiclass": 3, "regression": 0}[task])


@pytest.mark.parametrize(
    "bomb",
    [
        b"",
        b"{",
        b'{"a":' + b"[" * 10_000,
        b"{" + b"L\0\0\0\0\0\0\0\1a[" * 1_000,
        b"{L\0\0\0\0\0\0\0\1a" + b"[#L\0\0\0\0\0\0\0\1" * 100_000,
        b"{L\0\0\0\0\0\0\0\1a[$d#L\0\0\1\0\0\0\0\0",
        b"{L\0\0\0\0\0\0\0\1aSL\x3f\xff\xff\xff\xff\xff\xff\xff",
        b"{L\0\0\0\0\0\0\0\1aSL\xff\xff\xff\xff\xff\xff\xff\xfb",
        b"{L\0\0\0\0\0\0\0\1a[#L\xff\xff\xff\xff\xff\xff\xff\xfb",
    ],
)
def test_bombs_are_refused(bomb: bytes) -> None:
    with pytest.raises(NotCanonical):
        check_booster(bomb, "binary", 2)


def test_bytes_that_mean_the_same_are_refused(model: BoosterModel, raw: bytes) -> None:
    twice = raw[:-1] + raw[raw.rfind(b"L\0\0\0\0\0\0\0\x07version") :]
    for other in (raw + b"\0", raw + b"}", twice, raw.replace(b"i\x03i\x02i\x00", b"i\3i\2I\0\0")):
        assert other != raw
        with pytest.raises(NotCanonical):
            check(model, other)


def test_every_prefix_is_refused(model: BoosterModel, raw: bytes) -> None:
    for end in range(0, len(raw), 7):
        with pytest.raises(NotCanonical):
            check(model, raw[:end])


def test_writing_what_was_read_gives_the_bytes() -> None:
    value = {"a": [1, 126, 127, 128, 40_000, "text"], "b": {}, "c": []}
    assert Reader(write(value)).read(0) == (value, len(write(value)))


def make_chain(depth: int) -> TreeColumns:
    """Make a tree in which each left child is a split."""
    nodes = 2 * depth + 1
    left = np.full(nodes, -1, np.int32)
    left[0 : 2 * depth : 2] = 0
    splits = [0, *range(1, 2 * depth - 1, 2)]
    left[:] = -1
    left[splits] = np.arange(1, 2 * depth, 2)
    right = np.where(left >= 0, left + 1, -1).astype(np.int32)
    parents = np.full(nodes, 2**31 - 1, np.int32)
    parents[left[splits]] = parents[right[splits]] = splits
    weights = np.zeros(nodes, np.float32)
    empty = np.empty(0, np.int64)
    return TreeColumns(
        np.array([[nodes, 0, 0]]),
        {
            "left_children": left,
            "right_children": right,
            "parents": parents,
            "split_indices": np.zeros(nodes, np.int32),
            **dict.fromkeys(("default_left", "split_type"), np.zeros(nodes, np.uint8)),
            **dict.fromkeys(("base_weights", "loss_changes", "split_conditions"), weights),
            "sum_hessian": weights,
            **dict.fromkeys(("categories", "categories_nodes"), empty),
            **dict.fromkeys(("categories_segments", "categories_sizes"), empty),
        },
    )


def test_trees_that_are_too_deep_to_explain_are_refused() -> None:
    check_trees(make_chain(MOST_DEPTH), [False])
    with pytest.raises(NotCanonical, match="splits in a row"):
        check_trees(make_chain(MOST_DEPTH + 1), [False])


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    import xgboost

    data = xgboost.DMatrix(np.arange(60.0)[:, None], np.arange(60.0))
    booster = xgboost.train({"objective": "reg:squarederror", "booster": "gblinear"}, data, 2)
    model = BoosterModel(booster, task="regression", classes=())
    with pytest.raises(RegistryError, match="these trees cannot be saved"):
        model.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", LAYOUT_CHANGES, ids=range(len(LAYOUT_CHANGES)))
@pytest.mark.parametrize("position", [0, -1])
def test_a_tree_of_another_layout_is_refused(
    model: BoosterModel, raw: bytes, change: Callable[..., None], position: int
) -> None:
    start, end = find_trees(raw)[position]
    pairs = split_object(raw[start:end])
    assert join_object(pairs) == raw[start:end]
    for seed in range(20):
        other = list(pairs)
        change(other, random.Random(seed))
        if other != pairs:
            with pytest.raises(NotCanonical):
                check(model, raw[:start] + join_object(other) + raw[end:])


def test_mutations_are_refused_or_are_models(model: BoosterModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    (tmp_path / "original.ubj").write_bytes((tmp_path / "booster.ubj").read_bytes())
    counts: Counter[str] = fuzz(tmp_path, 400, random.Random(5).randrange(10**6))
    assert counts.keys() == {"refused", "valid"}
    assert counts.total() == 400
