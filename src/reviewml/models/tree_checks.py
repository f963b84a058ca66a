"""Checks that trees are trees: all that XGBoost takes for granted when it walks through them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reviewml.models.tree_columns import CATEGORIES, NODES, SPLITS, TreeColumns
from reviewml.models.ubjson import NotCanonical

MOST_DEPTH = 512
"""Splits on the way to a leaf: explanations take stack for each, and memory for each squared."""

MOST_CATEGORIES = 2**24
"""XGBoost's own limit of the codes of categories, which are float32."""

MOST_BITSET_BYTES = 2**28
"""Memory for the sets of categories of all splits: a set has a bit for each code up to its last."""

WEIGHT_TOLERANCE = 1e-3
"""Relative difference between the weight of a node and those of its children, which are rounded."""

NO_CHILD, NO_PARENT = -1, 2**31 - 1


MOST_SUM = 1e36
"""Of leaves times rows: XGBoost's sums of them stay within 32 bits."""


def check_trees(trees: TreeColumns, categorical: Sequence[bool]) -> None:
    """Raise unless each tree is one: reading, predicting and explaining stay within its arrays.

    Parameters
    ----------
    trees
        The trees.
    categorical
        Of each feature, whether its values are codes of categories.

    Raises
    ------
    NotCanonical
        When it is not, saying what is wrong.
    """
    if len(trees.sizes) == 0:
        return
    _require(trees.sizes[:, NODES].min() >= 1, "a tree has no node")
    leaf = trees.arrays["left_children"] == NO_CHILD
    splits = np.flatnonzero(~leaf)
    _check_links(trees, leaf, len(splits))
    _check_splits(trees, leaf, np.asarray(categorical, bool))
    _check_categories(trees)
    _check_numbers(trees, np.flatnonzero(leaf))
    _check_weights(trees, splits)


def _check_links(trees: TreeColumns, leaf: npt.NDArray[np.bool_], splits: int) -> None:
    """Check that each node but the root is the child of exactly one other, its parent.

    It is one of the two children of its parent, and there are no more children than such nodes:
    so each child is a node, of the same tree, and no node is a child twice.
    """
    left, right = trees.arrays["left_children"], trees.arrays["right_children"]
    # For numbers, XGBoost does not read where the right child is: it is the one after the left.
    # Should the difference overflow, the left child is no node, which is seen below.
    _require(np.array_equal(right - left, ~leaf), "a right child is not the one after the left")
    _require(2 * splits == len(leaf) - len(trees.sizes), "a node is not the child of one other")
    numbers = (np.arange(len(leaf)) - trees.starts).astype(np.int32)
    parents = trees.arrays["parents"].copy()
    _require((parents[trees.roots] == NO_PARENT).all(), "a root has a parent")
    parents[trees.roots] = NO_CHILD
    # XGBoost numbers children after their parents, so no path comes back to where it was.
    _require((parents < numbers).all(), "a parent is not before its child")
    parents[trees.roots] = 0
    _require(parents.min() >= 0, "a parent is not in the tree")
    side = numbers - left[trees.starts + parents]
    side[trees.roots] = 0
    _require(side.min() >= 0 and side.max() <= 1, "a parent is not the parent")
    _check_depth(trees)


def _check_depth(trees: TreeColumns) -> None:
    left, right = trees.arrays["left_children"], trees.arrays["right_children"]
    # Others have too few nodes.
    level = trees.roots[trees.sizes[:, NODES] > 2 * MOST_DEPTH + 1]
    for _ in range(MOST_DEPTH + 1):
        level = level[left[level] != NO_CHILD]
        if len(level) == 0:
            return
        starts = trees.starts[level]
        level = np.concatenate([left[level] + starts, right[level] + starts])
    raise NotCanonical(f"a tree has more than {MOST_DEPTH} splits in a row")


def _check_splits(
    trees: TreeColumns, leaf: npt.NDArray[np.bool_], categorical: npt.NDArray[np.bool_]
) -> None:
    features, kinds = trees.arrays["split_indices"], trees.arrays["split_type"]
    inside = features.min() >= 0 and features.max() < len(categorical)
    _require(inside, "a split is by a feature that there is not")
    _require(trees.arrays["default_left"].max() <= 1, "a default is neither left nor right")
    expected = categorical[features] & ~leaf
    _require(np.array_equal(kinds, expected), "a split is not of the kind of its feature")


def _check_categories(trees: TreeColumns) -> None:
    """Check that the sets of categories are those of the categorical splits, one after another."""
    arrays = trees.arrays
    nodes = np.flatnonzero(arrays["split_type"])
    roots = np.repeat(trees.roots, trees.sizes[:, SPLITS])
    _require(np.array_equal(trees.starts[nodes], roots), "a set of categories has no split")
    _require(
        np.array_equal(nodes - roots, arrays["categories_nodes"]),
        "a set of categories is that of another split",
    )
    if len(nodes) == 0:
        _require(len(arrays["categories"]) == 0, "categories belong to no split")
        return
    sizes = arrays["categories_sizes"].astype(np.int64)
    _require(
        sizes.min() >= 1 and sizes.max() <= len(arrays["categories"]),
        "a set of categories is empty",
    )
    ends = np.cumsum(sizes)
    _require(ends[-1] == len(arrays["categories"]), "categories belong to no split")
    first = np.repeat(trees.first_of_tree(CATEGORIES), trees.sizes[:, SPLITS])
    _require(
        np.array_equal(ends - sizes - first, arrays["categories_segments"]),
        "a set of categories is not where it is said to be",
    )
    # With the numbers above, all ends of trees are ends of sets where each tree's sum is right.
    of_tree = np.repeat(np.arange(len(trees.sizes)), trees.sizes[:, SPLITS])
    sums = np.bincount(of_tree, weights=sizes, minlength=len(trees.sizes))
    _require(np.array_equal(sums, trees.sizes[:, CATEGORIES]), "categories belong to no split")
    _check_codes(arrays["categories"], ends)


def _check_codes(codes: npt.NDArray[np.int32], ends: npt.NDArray[np.int64]) -> None:
    _require(codes.min() >= 0 and codes.max() < MOST_CATEGORIES, "a category is out of range")
    rising = codes[1:] > codes[:-1]
    rising[ends[:-1] - 1] = True
    _require(rising.all(), "categories of a split are not in order")
    last = codes[ends - 1].astype(np.int64)
    _require((last // 8 + 4).sum() <= MOST_BITSET_BYTES, "sets of categories are too large")


def _check_numbers(trees: TreeColumns, leaves: npt.NDArray[np.int64]) -> None:
    for name in ("base_weights", "loss_changes", "split_conditions", "sum_hessian"):
        # Of numbers with a NaN among them, the smallest is NaN.
        _require(not np.isnan(trees.arrays[name].min()), f"{name} are not all numbers")
    values = np.abs(trees.arrays["split_conditions"][leaves].astype(np.float64))
    _require(values.max() < np.inf, "a leaf has no finite value")
    # To explain them, XGBoost multiplies them by sum_hessian, in 32 bits.
    covers = np.maximum(trees.arrays["sum_hessian"][trees.starts[leaves]], np.float32(1))
    _require((values * covers).max() < MOST_SUM, "a leaf is too large")


def _check_weights(trees: TreeColumns, splits: npt.NDArray[np.int64]) -> None:
    """Check that a node weighs as much as its children, which explanations divide it among."""
    weights = trees.arrays["sum_hessian"].astype(np.float64)
    _require(weights.min() >= 0 and weights.max() < np.inf, "sum_hessian is out of range")
    starts, above = trees.starts[splits], weights[splits]
    left, right = (
        weights[trees.arrays[f"{side}_children"][splits] + starts] for side in ("left", "right")
    )
    near = np.abs(above - left - right) <= WEIGHT_TOLERANCE * above + 1e-6
    _require(near.all(), "sum_hessian of a node is not that of its children")


def _require(true: bool | np.bool_, otherwise: str) -> None:
    if not true:
        raise NotCanonical(otherwise)
