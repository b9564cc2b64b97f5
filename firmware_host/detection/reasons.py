"""Why a candidate does not count, in a word: simple rules over what was measured, the first that holds.

The model decides by all features together; these rules only tell a person where to look first.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firmware_host.twitches import Reason, Table

SWING_S = 0.4
SURPRISE = 2.0
"""-ln of the chance of a coincidence: one in seven and rarer."""
MOVED_S, RESTLESS = 2.0, 0.2
BEAT_MATCH, BEAT_SHARE, BEAT_TWIN = 0.6, 0.5, 0.85
REPEATED = 0.85
SERIES_COUNT, SERIES_SPREAD = 5, 0.1
LITTLE = 6.5


def reasons(rows: Table) -> npt.NDArray[np.uint8]:
    """Return the `Reason` of each judged candidate, `NONE` for those that count.

    Parameters
    ----------
    rows : (n,) with the columns of an event, of candidates and of their context
    """
    nearest_s = np.minimum(rows["larger_before_s"], rows["larger_after_s"])
    moved_s = np.minimum(rows["since_movement_s"], rows["until_movement_s"])
    beat = (rows["heart_match"] >= BEAT_MATCH) & (rows["heart_near"] >= BEAT_SHARE)
    rules = {
        Reason.NONE: rows["counted"],
        Reason.SECOND_MAXIMUM: (rows["largest_beside"] > 1) & (nearest_s <= SWING_S),
        Reason.MOVEMENT: (moved_s < MOVED_S) | (rows["movement_share"] > RESTLESS),
        Reason.ELSEWHERE: (rows["other_hits"] >= 1) & (rows["other_surprise"] >= SURPRISE),
        Reason.HEART: beat | (rows["heart_twin"] >= BEAT_TWIN),
        Reason.SERIES: (rows["series_count"] >= SERIES_COUNT) & (rows["series_spread"] < SERIES_SPREAD),
        Reason.MACHINE: rows["repeat"] >= REPEATED,
        Reason.NOISE: rows["score"] < LITTLE,
    }
    told = np.select(list(rules.values()), [np.uint8(reason) for reason in rules], np.uint8(Reason.UNLIKE))
    return np.asarray(told, np.uint8)
