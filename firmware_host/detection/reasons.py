"""Why a candidate does not count, in a word: simple rules over what was measured, the first that holds.

The model decides by all features together; these rules only tell a person where to look first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firmware_host.detection.units import larger_beside
from firmware_host.twitches import Reason, Table

SWING_S = 0.4
LARGER_STILL = 4
"""The larger one beside may have a still larger one beside it, so many times over."""
SAYS_LITTLE = (Reason.NONE, Reason.NOISE, Reason.UNLIKE)
"""Beside a larger one of these, a candidate is its second maximum."""
SURPRISE = 2.0
"""-ln of the chance of a coincidence: one in seven and rarer."""
MOVED_S, RESTLESS = 2.0, 0.2
BEAT_MATCH, BEAT_SHARE, BEAT_TWIN = 0.6, 0.5, 0.85
REPEATED = 0.85
SERIES_COUNT, SERIES_SPREAD = 7, 0.15
MANY, MANY_S = 4, 1.0
"""So many candidates within so long are no twitch with its later swings."""
LITTLE = 6.5


def reasons(rows: Table) -> npt.NDArray[np.uint8]:
    """Return the `Reason` of each judged candidate, `NONE` for those that count.

    Parameters
    ----------
    rows : (n,) with the columns of an event, of candidates and of their context
        By site, in order of time: what is near is looked for in each site's own rows.
    """
    cuts = np.flatnonzero(rows["site"][1:] != rows["site"][:-1]) + 1
    return np.concatenate([_of_site(own) for own in np.split(rows, cuts)])


def _of_site(rows: Table) -> npt.NDArray[np.uint8]:
    moved_s = np.minimum(rows["since_movement_s"], rows["until_movement_s"])
    beat = (rows["heart_match"] >= BEAT_MATCH) & (rows["heart_near"] >= BEAT_SHARE)
    rules = {
        Reason.NONE: rows["counted"],
        Reason.HEART: beat | (rows["heart_twin"] >= BEAT_TWIN),
        Reason.MOVEMENT: (moved_s < MOVED_S) | (rows["movement_share"] > RESTLESS),
        Reason.ELSEWHERE: (rows["other_hits"] >= 1) & (rows["other_surprise"] >= SURPRISE),
        Reason.SERIES: (rows["series_count"] >= SERIES_COUNT) & (rows["series_spread"] < SERIES_SPREAD),
        Reason.MACHINE: rows["repeat"] >= REPEATED,
        Reason.NOISE: rows["score"] < LITTLE,
    }
    told = np.select(list(rules.values()), [np.uint8(reason) for reason in rules], np.uint8(Reason.UNLIKE))
    rejected = np.flatnonzero(~rows["counted"])
    many = rejected[_of_many(rows["peak_s"][rejected])]
    told[many[told[many] == Reason.UNLIKE]] = Reason.MOVEMENT
    return np.where(rows["counted"], np.uint8(Reason.NONE), _with_larger(rows, told.astype(np.uint8)))


def _with_larger(rows: Table, told: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Give later swings the reason of the larger candidate beside them, unless that one says little."""
    larger = larger_beside(rows["score"], rows["peak_s"], SWING_S)
    larger = np.where(larger < 0, np.arange(len(rows)), larger)
    top = larger
    for _ in range(LARGER_STILL):
        top = larger[top]
    of_top = np.where(np.isin(told[top], SAYS_LITTLE), np.uint8(Reason.SECOND_MAXIMUM), told[top])
    return np.where(top == np.arange(len(rows)), told, of_top)


def _of_many(peak_s: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell which candidates are among `MANY` within `MANY_S`."""
    out = np.zeros(len(peak_s), bool)
    lasts_s = peak_s[MANY - 1 :] - peak_s[: max(len(peak_s) - MANY + 1, 0)]
    first = np.flatnonzero(lasts_s <= MANY_S)
    out[(first[:, None] + np.arange(MANY)).ravel()] = True
    return out
