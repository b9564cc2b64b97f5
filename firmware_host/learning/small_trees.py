"""Few small trees that add to log-odds which are known: boosting with a strong pull towards adding nothing.

Labels are few and not drawn evenly; what was learnt from many nights must not be lost over them. So each leaf
is drawn to zero as by a number of labels that agree with the model as it is, and learns slowly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_host.detection.trees import Tree

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

ROUNDS = 40
RATE = 0.15
LEAVES = 4
BINS = 16
PULL = 4.0
"""Added to the curvature in each leaf: as if sixteen labels of events in full doubt said that it is right."""
FEWEST = 4.0
"""Labels, by weight, on either side of a split."""
LEAST_GAIN = 0.5


class _Node(NamedTuple):
    """A leaf while its tree grows, and the best split that it could make."""

    rows: Codes
    value: float
    gain: float
    feature: int
    step: int
    missing_left: bool


def grow(
    rows: Floats, log_odds: Floats, wanted: npt.NDArray[np.floating | np.bool_], weight: Floats
) -> tuple[Tree, ...]:
    """Grow trees whose sum, added to the log-odds, makes the labels likelier.

    Parameters
    ----------
    rows : (n, features)
        What the trees look at; NaN is missing.
    log_odds : (n,)
    wanted : (n,)
        Whether it is a twitch, or how probably.
    weight : (n,)

    Returns
    -------
    Without a label, or where nothing is to be gained, none.
    """
    if not len(rows):
        return ()
    steps = [_steps(column) for column in rows.T]
    codes = np.stack([_coded(column, at) for column, at in zip(rows.T, steps, strict=True)], axis=1)
    value = np.array(log_odds, float)
    trees: list[Tree] = []
    for _ in range(ROUNDS):
        p = 1 / (1 + np.exp(-value))
        leaves = _leaves(codes, weight * (p - wanted), weight * p * (1 - p), weight)
        if leaves is None:
            break
        tree, added = _as_tree(leaves, steps, len(rows))
        value += added
        trees.append(tree)
    return tuple(trees)


def _steps(column: Floats) -> Floats:
    """Return thresholds between about equally many values; a value at one goes left."""
    known = column[~np.isnan(column)]
    if not len(known):
        return np.zeros(0)
    return np.unique(np.quantile(known, np.arange(1, BINS) / BINS, method="lower"))


def _coded(column: Floats, steps: Floats) -> Codes:
    """Return how many thresholds lie below each value; `BINS` where it is missing."""
    return np.where(np.isnan(column), BINS, np.searchsorted(steps, column)).astype(np.int64)


Grown = dict[int, tuple[_Node, tuple[int, int] | None]]
"""By number, the root first: each node, and its children."""


def _leaves(codes: Codes, slope: Floats, bend: Floats, weight: Floats) -> Grown | None:
    """Grow one tree, always splitting where most is gained; None where nothing is."""
    nodes: Grown = {0: (_node(np.arange(len(codes)), codes, slope, bend, weight), None)}
    if abs(nodes[0][0].value) < 1e-6 and nodes[0][0].gain < LEAST_GAIN:
        return None
    while len(nodes) < 2 * LEAVES - 1:
        best = max((n for n in nodes if nodes[n][1] is None), key=lambda n: nodes[n][0].gain)
        node = nodes[best][0]
        if node.gain < LEAST_GAIN:
            break
        code = codes[node.rows, node.feature]
        left = np.where(code == BINS, node.missing_left, code <= node.step)
        pair = len(nodes), len(nodes) + 1
        nodes[best] = (node, pair)
        for number, side in zip(pair, (left, ~left), strict=True):
            nodes[number] = (_node(node.rows[side], codes, slope, bend, weight), None)
    return nodes


def _node(rows: Codes, codes: Codes, slope: Floats, bend: Floats, weight: Floats) -> _Node:
    """Return a leaf's value, and its best split: over all features, thresholds and places of the missing."""
    n_features = codes.shape[1]
    place = (codes[rows] + np.arange(n_features) * (BINS + 1)).ravel()
    sums = np.stack(
        [
            np.bincount(place, np.repeat(each[rows], n_features), n_features * (BINS + 1))
            for each in (slope, bend, weight)
        ]
    ).reshape(3, n_features, BINS + 1)
    total = sums[:, 0].sum(axis=1)
    missing = sums[:, :, BINS:]
    left = np.cumsum(sums[:, :, :BINS], axis=2)
    both = np.stack([left, left + missing])  # missing to the right, to the left
    right = total[:, None, None] - both
    gain = _gain(both[:, 0], both[:, 1]) + _gain(right[:, 0], right[:, 1]) - _gain(total[0], total[1])
    gain = np.where((both[:, 2] >= FEWEST) & (right[:, 2] >= FEWEST), gain, -np.inf)
    missing_left, feature, step = np.unravel_index(int(np.argmax(gain)), gain.shape)
    value = -RATE * total[0] / (total[1] + PULL)
    best = float(gain[missing_left, feature, step])
    return _Node(rows, float(value), best, int(feature), int(step), bool(missing_left))


def _gain(slope: npt.ArrayLike, bend: npt.ArrayLike) -> Floats:
    """Return by how much a leaf makes the labels likelier."""
    return np.asarray(np.square(slope) / (np.asarray(bend) + PULL) / 2)


def _as_tree(nodes: Grown, steps: list[Floats], n: int) -> tuple[Tree, Floats]:
    """Return nodes as a tree, and what it adds to each row."""
    added = np.zeros(n)
    parts: list[tuple[int, float, bool, int, int, float]] = []
    for number in range(len(nodes)):
        node, pair = nodes[number]
        if pair is None:
            added[node.rows] = node.value
            parts.append((0, 0.0, False, 0, 0, node.value))
        else:
            at = steps[node.feature]
            # A step behind the last threshold parts the known from the missing.
            threshold = float(at[node.step]) if node.step < len(at) else float(np.finfo(np.float64).max)
            parts.append((node.feature, threshold, node.missing_left, *pair, 0.0))
    feature, thresholds, missing_left, left, right, value = zip(*parts, strict=True)
    return Tree(feature, thresholds, missing_left, left, right, value), added
