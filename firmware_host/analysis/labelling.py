"""From what a reviewer points at to a label: a pile, a range of time, single events, a stretch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from firmware_host.analysis.labelled import site_slices
from firmware_host.analysis.piles import Pile
from firmware_host.analysis.runs import Run
from firmware_host.errors import BadValueError
from firmware_host.recording.labels import STRETCHES, Drawn, Labels, Stretches, Verdict, add_label
from firmware_host.twitches import Kind, Label, Table

SLACK_S = 1.0
"""A time so far outside of the night is taken for its edge."""


class WearQuestion(NamedTuple):
    """A site that lay so still that wearing it cannot be shown, from when to when and for how long in sum."""

    site: str
    start_s: float
    end_s: float
    unconfirmed_s: float


def wear_questions(run: Run) -> list[WearQuestion]:
    """Return the sites of which "was the sensor on?" is still to be asked, each once."""
    found = []
    for site, own in site_slices(run.coverage).items():
        cover = run.coverage[own]
        doubtful = cover[(cover["kind"] == Kind.VALID) & cover["wear_unconfirmed"]]
        if len(doubtful):
            seconds = float((doubtful["end_s"] - doubtful["start_s"]).sum())
            found.append(
                WearQuestion(site, float(doubtful["start_s"][0]), float(doubtful["end_s"][-1]), seconds)
            )
    return found


def write_label(
    night: Path,
    found: Run,
    now: Run,
    *,
    what: Verdict | Stretches,
    drawn: Drawn | None = None,
    site: str | None = None,
    peaks_s: Sequence[float] = (),
    pile: Pile | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    rater: str = "",
) -> Labels:
    """Keep one label of a night; what it is about is told by a pile, a range of time, or single events.

    Parameters
    ----------
    night
        Its folder.
    found, now
        The run as the detector left it, and as it is labelled now.
    drawn
        How the reviewer came to it; None: as the other parameters say.
    site
        None: everywhere.
    peaks_s
        Peaks of events, seconds from the night's start.
    start_s, end_s
        A range. A verdict on it is about the events in it that count; `no_verdict` about those labelled.

    Raises
    ------
    BadValueError
        If a site is none of the night's, a time lies outside of it, or nothing is named.
    StorageError, NightBusyError
        As `add_label`.
    """
    sites = [one.site for one in found.summary.sites]
    if site is not None and site not in sites:
        raise BadValueError(f"The night has no sensor at {site[:40]!r}; its sites are {', '.join(sites)}.")
    ends = None if start_s is None and end_s is None else _range(start_s, end_s, found.summary.duration_s)
    if what in STRETCHES:
        if ends is None or peaks_s or pile is not None:
            raise BadValueError(f"{what!r} is about a stretch of time: give its start and end.")
        start_ns, end_ns = (found.summary.start_ns + round(at_s * 1e9) for at_s in ends)
        wear = what in {"worn", "not_worn"}
        return add_label(
            night,
            what=what,
            drawn=drawn or ("wear" if wear else "range"),
            rater=rater,
            sites=sites if site is None else [site],
            start_ns=start_ns,
            end_ns=end_ns,
        )
    if sum((bool(peaks_s), pile is not None, ends is not None)) != 1:
        raise BadValueError("Say what the label is about: single events, a pile, or a range of time.")
    by: Drawn
    if pile is not None:
        events, by = found.events[pile.rows], "pile" if pile.unit is None else "unit"
    elif ends is not None:
        events, by = _within(now.events, what, site, *ends), "range"
        if not len(events):
            raise BadValueError("No event lies there that the label could be about.")
    else:
        events, by = _single(site, peaks_s, found.summary.duration_s), "added" if what == "added" else "event"
    peaks_ns = {
        name: (found.summary.start_ns + np.rint(events["peak_s"][own] * 1e9).astype(np.int64)).tolist()
        for name, own in site_slices(events).items()
    }
    if what == "added" and by != "added":
        raise BadValueError("To add twitches, name their times.")
    return add_label(night, what=what, drawn=drawn or by, rater=rater, peaks_ns=peaks_ns)


def _range(start_s: float | None, end_s: float | None, duration_s: float) -> tuple[float, float]:
    if start_s is None or end_s is None:
        raise BadValueError("A range needs its start and its end.")
    low, high = max(start_s, 0.0), min(end_s, duration_s)
    if not (math.isfinite(start_s) and math.isfinite(end_s)) or not low < high:
        raise BadValueError(
            f"No time of the night, which lasts {duration_s:.0f} s, lies from {start_s:g} s to {end_s:g} s."
        )
    return low, high


def _within(events: Table, what: str, site: str | None, start_s: float, end_s: float) -> Table:
    meant = (events["label"] != Label.NONE) if what == "no_verdict" else events["counted"]
    meant = meant & (events["peak_s"] >= start_s) & (events["peak_s"] < end_s)
    if site is not None:
        meant &= events["site"] == site
    found: Table = events[meant]
    return found


def _single(site: str | None, peaks_s: Sequence[float], duration_s: float) -> Table:
    if site is None:
        raise BadValueError("Say at which site the events are.")
    times = np.sort(np.asarray(peaks_s, float))
    if not np.isfinite(times).all() or times[0] < -SLACK_S or times[-1] > duration_s + SLACK_S:
        raise BadValueError(f"An event lies outside of the night, which lasts {duration_s:.0f} s.")
    rows = np.zeros(len(times), [("site", "U32"), ("peak_s", "f8")])
    rows["site"], rows["peak_s"] = site, np.clip(times, 0.0, duration_s)
    return rows
