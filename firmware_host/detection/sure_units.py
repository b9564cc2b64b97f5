"""What counts from a lower probability on: side lobes, and what repeats the shape of many sure twitches.

A unit that is surely seen so often is there; what is as like it as noise allows is mostly one of its
twitches, and to leave it out costs more of these than it spares false alarms. No quiet night has such units.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firmware_host.detection.signals import Bool
from firmware_host.twitches import Flag

SURELY = 0.8
"""Probability from which on a member speaks for its unit. At points above it nothing is raised: who is that
strict wants nothing doubtful."""
FEWEST, SHARE = 50, 0.02
"""So many such members, and such a share of all, make a unit sure: a heartbeat that slips through now and
then has thousands that did not."""
TIMES = 6.0
"""By so much its members' odds are raised when it is asked whether they count."""
LOBES_FROM = 0.2
"""Probability from which on side lobes count, if the point asks for more: most stand where much twitches. On
simulated nights developed on F1 hardly changes from 0.6 to 0.2, and more of the units that fire often are
found."""


def of_sure_units(
    unit: npt.NDArray[np.integer], member: Bool, probability: npt.NDArray[np.floating], side_lobe: Bool
) -> Bool:
    """Tell which candidates of one site-night are members of sure units.

    Parameters
    ----------
    unit : (n,) int
        The unit that each is most like; anything where it is no member.
    member : (n,) bool
        Whether it is of that unit.
    probability : (n,) float
        As judged by pass 2.
    side_lobe : (n,) bool
        Those speak neither for nor against their unit, and are none of these.
    """
    out = np.zeros(len(unit), bool)
    own = np.flatnonzero(member)
    if len(own):
        # Counted by rank: numbers read from a file may be of any size.
        names, of = np.unique(unit[own], return_inverse=True)
        speaks = ~side_lobe[own]
        members = np.bincount(of[speaks], minlength=len(names))
        sure = np.bincount(of[speaks & (probability[own] >= np.float32(SURELY))], minlength=len(names))
        out[own] = ((sure >= FEWEST) & (sure >= SHARE * members))[of] & speaks
    return out


def reaches(probability: npt.NDArray[np.floating], flags: npt.NDArray[np.integer], least: float) -> Bool:
    """Tell which candidates count at an operating point: members of sure units with `TIMES` their odds.

    Side lobes count from `LOBES_FROM` on.
    """
    p = probability.astype(float)
    if least > SURELY:
        return np.asarray(p >= np.float32(least))
    sure, lobe = ((flags & np.uint32(flag)) > 0 for flag in (Flag.SURE_UNIT, Flag.SIDE_LOBE))
    raised = np.where(sure, TIMES * p / (1.0 + (TIMES - 1.0) * p), p)
    return np.asarray(raised >= np.where(lobe, np.float32(min(least, LOBES_FROM)), np.float32(least)))
