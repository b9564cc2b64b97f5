"""The optimal one-to-one pairing of events and truth in time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firmware_host.twitches import Flag, Table

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

TOLERANCE_S = 0.15
_SKIP_TRUTH, _SKIP_EVENT, _PAIR = range(3)


def match(events_s: Floats, truths_s: Floats, tolerance_s: float = TOLERANCE_S) -> tuple[Indices, Indices]:
    """Pair two sorted series of times one to one: most pairs first, then the least sum of differences.

    On a line, crossing pairs can be uncrossed without loss, so the optimum is found by a walk over prefixes:
    `best` holds the value of the truths so far with the first j events, for the j in reach. It takes as long
    as there are pairs within the tolerance; whole nanoseconds keep the optimum exact.

    Returns
    -------
    truth, event : int64, (pairs,)
        Indices of the paired truths and events, in order of time.
    """
    events = np.round(events_s * 1e9).astype(np.int64)
    truths = np.round(truths_s * 1e9).astype(np.int64)
    tolerance = round(tolerance_s * 1e9)
    first = np.searchsorted(events, truths - tolerance, side="left").tolist()
    stop = np.searchsorted(events, truths + tolerance, side="right").tolist()
    event_ns, truth_ns = events.tolist(), truths.tolist()
    a_pair = tolerance * (min(len(event_ns), len(truth_ns)) + 1)
    best, base = [0], 0
    steps: list[bytearray] = []
    for at, low, high in zip(truth_ns, first, stop, strict=True):
        before = best[low - base : high - base + 1] or best[-1:]
        before += before[-1:] * (high - low + 1 - len(before))
        best, base, step = [before[0]], low, bytearray(high - low)
        for j in range(high - low):
            pair = before[j] + a_pair - abs(event_ns[low + j] - at)
            value = max(pair, before[j + 1], best[j])
            step[j] = _PAIR if value == pair else _SKIP_TRUTH if value == before[j + 1] else _SKIP_EVENT
            best.append(value)
        steps.append(step)
    pairs: list[tuple[int, int]] = []
    i, j = len(truth_ns) - 1, len(event_ns)
    while i >= 0:
        j = min(j, stop[i])
        step_back = steps[i][j - first[i] - 1] if j > first[i] else _SKIP_TRUTH
        if step_back == _PAIR:
            pairs.append((i, j - 1))
        i -= step_back != _SKIP_EVENT
        j -= step_back != _SKIP_TRUTH
    found = np.array(pairs[::-1], np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def match_in_turn(events: Table, truth: Table) -> tuple[Indices, Indices]:
    """Match as `match_sites`, but side lobes only with what is left: of both a burst is the twitch."""
    lobe = events["flags"] & np.uint32(Flag.SIDE_LOBE) > 0
    truth_at: list[Indices] = []
    event_at: list[Indices] = []
    for some in (np.flatnonzero(~lobe), np.flatnonzero(lobe)):
        left = np.setdiff1d(np.arange(len(truth)), np.concatenate([np.zeros(0, int), *truth_at]))
        hits, hit_by = match_sites(events[some], truth[left])
        truth_at.append(left[hits])
        event_at.append(some[hit_by])
    return np.concatenate(truth_at), np.concatenate(event_at)


def match_sites(events: Table, truth: Table) -> tuple[Indices, Indices]:
    """Match events and truth site by site; return indices of the paired truths and events."""
    truth_at, event_at = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for name in np.intersect1d(events["site"], truth["site"]):
        of_truth, of_events = (np.flatnonzero(rows["site"] == name) for rows in (truth, events))
        of_events = of_events[np.argsort(events["peak_s"][of_events], kind="stable")]
        hits, hit_by = match(events["peak_s"][of_events], truth["peak_s"][of_truth])
        truth_at.append(of_truth[hits])
        event_at.append(of_events[hit_by])
    return np.concatenate(truth_at), np.concatenate(event_at)
