"""Boosted decision trees as flat arrays: checked when loaded, and evaluated for many rows at once.

The sum of the trees equals what scikit-learn's `HistGradientBoostingClassifier` gives as raw prediction, in
the same order of additions: a value goes left if it is at most the threshold, a missing one (NaN) goes where
the node says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.detection.signals import Float64

ROWS_AT_ONCE = 1 << 14
"""So many rows of codes of one feature stay in a processor's nearest cache."""
LARGEST = float(np.finfo(np.float64).max)
MOST_LOG_ODDS = 1000.0
"""No sum of trees comes near; larger numbers are damage, and would overflow."""

Codes = npt.NDArray[np.uint16] | npt.NDArray[np.uint8]


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tree; all arrays have one entry a node, the root first and every child after its parent.

    A leaf has `left` = `right` = 0 and its `value`; an inner node sends rows whose feature is at most its
    threshold to `left`, others to `right`, and a missing value to `left` if `missing_left`.
    """

    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    missing_left: tuple[bool, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    def fault(self, n_features: int) -> str | None:
        """Say what is wrong with the tree; None if it is a tree over so many features."""
        n = len(self.feature)
        if {len(each) for each in msgspec.structs.astuple(self)} != {n} or n == 0:
            return "has arrays of different lengths, or none"
        if not all(map(math.isfinite, self.threshold)) or not are_log_odds(self.value):
            return "has a number that is not finite or far too large"
        children = []
        for node, (left, right) in enumerate(zip(self.left, self.right, strict=True)):
            if left == right == 0:
                continue
            children += [left, right]
            if not (node < left < n and node < right < n):
                return f"has a node {node} whose children {left} and {right} do not come after it"
            if not 0 <= self.feature[node] < n_features:
                return f"asks for feature {self.feature[node]} of {n_features}"
        if sorted(children) != list(range(1, n)):
            return "has a node that is not the child of exactly one other"
        return None


def are_log_odds(values: Sequence[float]) -> bool:
    """Tell whether numbers can be log-odds."""
    return all(abs(value) <= MOST_LOG_ODDS for value in values)


class Forest:
    """Trees made ready for evaluation: thresholds become whole numbers that compare quickly.

    Parameters
    ----------
    trees : sequence of Tree
        Without faults.
    n_features : int
    """

    def __init__(self, trees: Sequence[Tree], n_features: int) -> None:
        steps: list[list[float]] = [[] for _ in range(n_features)]
        for tree in trees:
            for left, feature, threshold in zip(tree.left, tree.feature, tree.threshold, strict=True):
                if left:
                    steps[feature].append(threshold)
        self._steps: list[Float64] = [np.unique(np.array(each, float)) for each in steps]
        codes = [{value: code for code, value in enumerate(each.tolist())} for each in self._steps]
        self._trees = [_prepared(tree, codes) for tree in trees]

    def sum(self, features: Float64, start: float) -> Float64:
        """Return `start` plus the values of all trees for rows (n, features)."""
        out = np.full(len(features), start)
        for first in range(0, len(features), ROWS_AT_ONCE):
            rows = slice(first, first + ROWS_AT_ONCE)
            self._add(features[rows], out[rows])
        return out

    def _add(self, features: Float64, out: Float64) -> None:
        """Add the trees' values; a code is the number of thresholds that lie below a value."""
        coded: list[tuple[Codes, Codes]] = []
        for column, steps in zip(features.T, self._steps, strict=True):
            kind = np.min_scalar_type(len(steps))
            known = np.minimum(column, LARGEST)  # keeps NaN, which stands above all thresholds
            codes = np.searchsorted(steps, known).astype(kind)
            missing = np.isnan(column)
            coded.append((codes, np.where(missing, kind.type(0), codes) if missing.any() else codes))
        for nodes, number, value in self._trees:
            # From the leaves up, each node knows for every row the leaf that it would end in. The masks of
            # bytes are quicker than following each row down.
            ends: dict[int, Codes] = {}
            for node, feature, code, missing_left, left, right in nodes:
                goes_left = (coded[feature][missing_left] <= code).view(np.uint8)
                one, two = (ends.pop(child, number[child]) for child in (left, right))
                ends[node] = two ^ ((one ^ two) * goes_left)
            out += value.take(ends[0]) if nodes else value[0]


def _prepared(
    tree: Tree, codes: Sequence[Mapping[float, int]]
) -> tuple[list[tuple[int, int, int, bool, int, int]], Codes, Float64]:
    """Return inner nodes from the last to the root, the leaves' numbers, and the leaves' values.

    `codes` tell for each feature the number of each threshold among its own.
    """
    leaves = np.flatnonzero(np.array(tree.left) == 0)
    number = np.zeros(len(tree.left), np.min_scalar_type(len(leaves)))
    number[leaves] = np.arange(len(leaves))
    each = zip(tree.feature, tree.threshold, tree.missing_left, tree.left, tree.right, strict=True)
    nodes = [
        (node, feature, codes[feature][threshold], missing_left, left, right)
        for node, (feature, threshold, missing_left, left, right) in enumerate(each)
        if left
    ]
    return nodes[::-1], number, np.array(tree.value)[leaves]
