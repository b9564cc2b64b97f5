"""Whether the reasons that rejected candidates are given name what was really there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from firmware_host.analysis.findings import events_of
from firmware_host.learning.causes import SECOND_MAXIMUM, UNEXPLAINED, causes
from firmware_host.learning.dataset import LEAST_D
from firmware_host.learning.score import outcome_of
from firmware_host.simulation.happenings import kinds
from firmware_host.twitches import Reason, Table

MISSED = "twitch"
"""The cause of a rejected candidate that was a twitch."""
FITTING: Mapping[str, tuple[Reason, ...]] = {
    "bed": (Reason.ELSEWHERE, Reason.SERIES, Reason.MACHINE),
    "breathing": (Reason.ELSEWHERE, Reason.SERIES, Reason.MACHINE),
    "heart": (Reason.HEART,),
    "limbs": (Reason.MOVEMENT, Reason.ELSEWHERE, Reason.SERIES),
    "strap": (Reason.MOVEMENT, Reason.UNLIKE),
    SECOND_MAXIMUM: (Reason.SECOND_MAXIMUM,),
    UNEXPLAINED: (Reason.NOISE,),
}
"""Reasons that name a cause rightly, by the file of the simulator that it is of."""
FITTING_ELSE = (Reason.MOVEMENT, Reason.ELSEWHERE)

Rejected = dict[str, dict[str, int]]
"""How many candidates of each cause were given each reason."""


def rejected(rows: Table, coverage: Table, truth: Table, happenings: Table) -> Rejected:
    """Count the rejected candidates of a night in valid time, by what they were and the reason they got.

    Parameters
    ----------
    rows : (n,) with the columns of an event
        Judged, those that count among them.
    coverage : COVERAGE_DTYPE, (k,)
    truth : TRUTH_DTYPE, (m,)
        Of which d >= 3.9 are looked for.
    happenings : HAPPENING_DTYPE, (j,)
    """
    events = events_of(rows)
    rejects = ~events["counted"]
    events["counted"] = True
    outcome = outcome_of(events, coverage, truth[truth["d"] >= LEAST_D])
    cause = np.full(len(events), MISSED, "U32")
    cause[outcome.false] = causes(outcome, happenings)
    own = rejects & outcome.event_in
    found: Rejected = {}
    pairs = Counter(zip(cause[own].tolist(), events["reason"][own].tolist(), strict=True))
    for (name, reason), count in pairs.items():
        found.setdefault(name, {})[Reason(reason).name.lower()] = count
    return found


def rejected_summary(nights: Iterable[Rejected]) -> dict[str, Any]:
    """Add up nights: the counts, the commonest cause first, and the share whose reason fits their cause."""
    total: Rejected = {}
    for night in nights:
        for cause, by_reason in night.items():
            for reason, count in by_reason.items():
                own = total.setdefault(cause, {})
                own[reason] = own.get(reason, 0) + count
    ordered = sorted(total, key=lambda cause: (-sum(total[cause].values()), cause))
    told = {cause: own for cause, own in total.items() if cause != MISSED}
    fits = sum(own.get(reason, 0) for cause, own in told.items() for reason in fitting(cause))
    of = sum(sum(own.values()) for own in told.values())
    return {"by_cause": {cause: total[cause] for cause in ordered}, "fitting": fits / of if of else None}


def fitting(cause: str) -> tuple[str, ...]:
    """Return the names of the reasons that fit a cause."""
    kind = kinds().get(cause)
    own = FITTING.get(kind.origin if kind else cause, FITTING_ELSE)
    return tuple(reason.name.lower() for reason in own)
