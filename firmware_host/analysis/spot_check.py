"""A spot check: how right this night's counts are, from a few events drawn at random and judged blind.

Counted events say how many of what was counted are twitches; candidates that were rejected say how many were
missed. Both are drawn from valid time, shown in mixed order, and weighed by how many there are.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_host.analysis.comparing import judge_of
from firmware_host.analysis.labelled import site_slices
from firmware_host.analysis.runs import Run
from firmware_host.errors import BadValueError
from firmware_host.recording.labels import Item, Labels, SpotCheck, add_spot_check
from firmware_host.twitch_map import inside
from firmware_host.twitches import Kind, Table

EACH = 60
"""So many counted events and so many rejected candidates, or as many as there are."""
LEVEL = 0.95
ANSWERS = ("twitch", "not_twitch", "cannot_tell")


@dataclass(frozen=True)
class Share:
    """A share with its exact 95 % interval (Clopper & Pearson 1934); None where nothing was judged."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Outcome:
    """What a spot check came to."""

    judged: int
    cannot_tell: int
    total: int
    precision: Share
    """Of what was counted, the share that are twitches."""
    missed: Share
    """Of all twitches that are candidates, the share that was not counted."""
    twitches_low: float | None
    twitches_high: float | None
    """How many twitches there are among the candidates, from the same intervals."""


def draw_spot_check(night: Path, run: Run, rater: str = "", seed: int | None = None) -> SpotCheck:
    """Draw a spot check from a run as its labels leave it, and keep it with the night's labels.

    Parameters
    ----------
    seed
        The same seed draws the same events; None takes a new one.

    Raises
    ------
    BadValueError
        If nothing was found that could be judged.
    """
    seed = secrets.randbelow(2**31) if seed is None else seed
    rng = np.random.default_rng(seed)
    events, valid = run.events, in_valid_time(run.events, run.coverage)
    groups = {counted: np.flatnonzero(valid & (events["counted"] == counted)) for counted in (True, False)}
    if not any(map(len, groups.values())):
        raise BadValueError(f"{night.name} has no event in valid time: there is nothing to judge.")
    drawn = np.concatenate(
        [rng.choice(rows, min(EACH, len(rows)), replace=False) for rows in groups.values() if len(rows)]
    )
    items = [
        Item(
            str(events["site"][row]),
            run.summary.start_ns + round(float(events["peak_s"][row]) * 1e9),
            bool(events["counted"][row]),
        )
        for row in rng.permutation(drawn).tolist()
    ]
    check = SpotCheck(
        id=secrets.token_hex(8),
        utc_ns=time.time_ns(),
        rater=rater,
        seed=seed,
        detector=judge_of(run.info),
        counted=len(groups[True]),
        rejected=len(groups[False]),
        items=tuple(items),
    )
    add_spot_check(night, check)
    return check


def in_valid_time(events: Table, coverage: Table) -> npt.NDArray[np.bool_]:
    """Tell which events lie in the valid time of their site."""
    covered = site_slices(coverage)
    found = np.zeros(len(events), bool)
    for site, own in site_slices(events).items():
        cover = coverage[covered.get(site, slice(0, 0))]
        found[own] = inside(events["peak_s"][own], cover[cover["kind"] == Kind.VALID])
    return found


def answers_of(check: SpotCheck, labels: Labels) -> list[str | None]:
    """Return what was answered to each item: twitch, not_twitch, cannot_tell, or None so far."""
    by_site: dict[str, dict[int, str]] = {}
    for label in labels.active:
        if label.spot_check == check.id and label.what in ANSWERS:
            for site, peaks in label.peaks_ns.items():
                by_site.setdefault(site, {}).update(dict.fromkeys(peaks, label.what))
    return [by_site.get(item.site, {}).get(item.peak_ns) for item in check.items]


def outcome_of(check: SpotCheck, labels: Labels) -> Outcome:
    """Return what a spot check says so far; items that nobody could tell are left out of the shares."""
    answers = answers_of(check, labels)
    yes, no = {True: 0, False: 0}, {True: 0, False: 0}
    for item, answer in zip(check.items, answers, strict=True):
        yes[item.counted] += answer == "twitch"
        no[item.counted] += answer == "not_twitch"
    precision = _share(yes[True], yes[True] + no[True], LEVEL)
    # Two shares make the missed one: with 97.5 % each, both hold in 95 % (Bonferroni).
    both = (1 + LEVEL) / 2
    right = _share(yes[True], yes[True] + no[True], both) if check.counted else Share(0.0, 0.0, 0.0)
    passed = _share(yes[False], yes[False] + no[False], both) if check.rejected else Share(0.0, 0.0, 0.0)
    found, missed = _times(right, check.counted), _times(passed, check.rejected)
    told = found.value is not None and missed.value is not None
    return Outcome(
        sum(answer in {"twitch", "not_twitch"} for answer in answers),
        answers.count("cannot_tell"),
        len(check.items),
        precision,
        Share(_part(missed.value, found.value), _part(missed.low, found.high), _part(missed.high, found.low)),
        (found.low or 0.0) + (missed.low or 0.0) if told else None,
        (found.high or 0.0) + (missed.high or 0.0) if told else None,
    )


def _times(share: Share, count: int) -> Share:
    if share.value is None or share.low is None or share.high is None:
        return share
    return Share(share.value * count, share.low * count, share.high * count)


def _part(some: float | None, others: float | None) -> float | None:
    """Return some / (some + others); None where one is not known or there is neither."""
    if some is None or others is None or not some + others:
        return None
    return some / (some + others)


def _share(yes: int, judged: int, level: float) -> Share:
    """Return a share of yes with its exact interval."""
    from scipy.special import betaincinv

    if not judged:
        return Share(None, None, None)
    tail = (1 - level) / 2
    low = float(betaincinv(yes, judged - yes + 1, tail)) if yes else 0.0
    high = float(betaincinv(yes + 1, judged - yes, 1 - tail)) if yes < judged else 1.0
    return Share(yes / judged, low, high)
