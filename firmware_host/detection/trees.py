"""Boosted decision trees as flat arrays: checked when loaded, and evaluated for many rows at once.

The sum of the trees equals what scikit-learn's `HistGradientBoostingClassifier` gives as raw prediction, in
the same order of additions: a value goes left if it is at most the threshold, a missing one (NaN) goes where
the node says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.detection.signals import Float64

ROWS_AT_ONCE = 1 << 14
"""So many rows of codes of one feature stay in a processor's nearest cache."""
FEW_ROWS, FEW_AT_ONCE = 800, 200
"""So few are followed down all trees at once, some at a time; with more the masks of bytes are quicker."""
LARGEST = float(np.finfo(np.float64).max)
MOST_LOG_ODDS = 1000.0
"""No sum of trees comes near; larger numbers are damage, and would overflow."""

Codes = npt.NDArray[np.uint16] | npt.NDArray[np.uint8]
Whole = npt.NDArray[np.intp]


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
        self._joined = _joined(trees, codes)

    def sum(self, features: Float64, start: float) -> Float64:
        """Return `start` plus the values of all trees for rows (n, features)."""
        out = np.full(len(features), start)
        few = len(features) <= FEW_ROWS
        add, step = (self._add_to_few, FEW_AT_ONCE) if few else (self._add, ROWS_AT_ONCE)
        for first in range(0, len(features), step):
            add(features[first : first + step], out[first : first + step])
        return out

    def _coded(self, features: Float64) -> list[tuple[Codes, Codes]]:
        """Return how many thresholds lie below each value: a missing one goes right, or left."""
        coded: list[tuple[Codes, Codes]] = []
        for column, steps in zip(features.T, self._steps, strict=True):
            kind = np.min_scalar_type(len(steps))
            known = np.minimum(column, LARGEST)  # keeps NaN, which stands above all thresholds
            codes = np.searchsorted(steps, known).astype(kind)
            missing = np.isnan(column)
            coded.append((codes, np.where(missing, kind.type(0), codes) if missing.any() else codes))
        return coded

    def _add_to_few(self, features: Float64, out: Float64) -> None:
        """Add the trees' values: every row goes down all trees at once, a step at a time."""
        asked, most, child, value, roots, depth = self._joined
        codes = np.array(self._coded(features)).ravel()  # of each feature, both sorts, of all rows
        row = np.arange(len(out))
        at = np.repeat(roots[:, None], len(out), axis=1)
        for _ in range(depth):
            at = child.take(2 * at + (codes.take(asked.take(at) * len(out) + row) > most.take(at)))
        for each in value.take(at):
            out += each

    def _add(self, features: Float64, out: Float64) -> None:
        """Add the trees' values."""
        coded = self._coded(features)
        for nodes, number, value in self._trees:
            # From the leaves up, each node knows for every row the leaf that it would end in. The masks of
            # bytes are quicker than following each row down.
            kind = np.min_scalar_type(len(value))
            ends: list[Any] = number.copy()
            for node, feature, code, missing_left, left, right in nodes:
                goes_left = (coded[feature][missing_left] <= code).view(np.uint8)
                if kind != np.uint8:
                    goes_left = goes_left.astype(kind)
                two = ends[right]
                goes_left *= ends[left] ^ two
                goes_left ^= two
                ends[node] = goes_left
                ends[left] = ends[right] = 0  # lets go of the memory, which is still near
            out += value.take(ends[0]) if nodes else value[0]


def _joined(
    trees: Sequence[Tree], codes: Sequence[Mapping[float, int]]
) -> tuple[Whole, Whole, Whole, Float64, Whole, int]:
    """Return all trees' nodes one after the other, where each begins, and how many steps lead to any leaf.

    Of each node: the row of codes that it asks, the largest that goes left, both children, and its value.
    A leaf is its own child.
    """
    roots = np.cumsum([0, *(len(tree.left) for tree in trees)])
    asked, most, value, depth = [], [], [], 0
    child: list[int] = []
    for root, tree in zip(roots.tolist(), trees, strict=False):
        steps = [0] * len(tree.left)
        for node, (feature, threshold, missing_left, left, right, leaf) in enumerate(
            zip(*msgspec.structs.astuple(tree), strict=True)
        ):
            asked.append(2 * feature + missing_left if left else 0)
            most.append(codes[feature][threshold] if left else 0)
            child += (root + left, root + right) if left else (root + node, root + node)
            value.append(leaf)
            if left:
                steps[left] = steps[right] = steps[node] + 1
        depth = max(depth, *steps, 0)
    whole = [np.array(each, np.intp) for each in (asked, most, child)]
    return whole[0], whole[1], whole[2], np.array(value), roots[:-1], depth


def _prepared(
    tree: Tree, codes: Sequence[Mapping[float, int]]
) -> tuple[list[tuple[int, int, int, bool, int, int]], list[int], Float64]:
    """Return inner nodes from the last to the root, the number of the leaf at each node, the leaves' values.

    `codes` tell for each feature the number of each threshold among its own.
    """
    leaves = np.flatnonzero(np.array(tree.left) == 0)
    number = np.zeros(len(tree.left), int)
    number[leaves] = np.arange(len(leaves))
    each = zip(tree.feature, tree.threshold, tree.missing_left, tree.left, tree.right, strict=True)
    nodes = [
        (node, feature, codes[feature][threshold], missing_left, left, right)
        for node, (feature, threshold, missing_left, left, right) in enumerate(each)
        if left
    ]
    return nodes[::-1], number.tolist(), np.array(tree.value)[leaves]
