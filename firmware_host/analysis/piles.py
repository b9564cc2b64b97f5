"""A night's events in piles: each motor unit one, and what belongs to none by its looks, some 50 in all.

A person judges a pile at a glance where a night has tens of thousands of events. Piles are made of what the
detector found, never of labels, and in the same way each time, so that a pile's name holds for its run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_host.analysis.labelled import site_slices
from firmware_host.analysis.runs import Run
from firmware_host.recording import ResultsStore
from firmware_host.twitch_map import inside
from firmware_host.twitches import Column, Kind, Label, Table

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

MOST_PILES = 50
MOST_UNITS = 40
FEWEST_IN_PILE = 12
"""So few look-alikes are no pile of their own, if the site has more."""
WORTH_A_LOOK = 0.3
"""Candidates are in a pile from this share of the operating point on: below, next to none is a twitch."""
LOOKS = (
    Column("rise_ms", "f4", "ms", ""),
    Column("linearity", "f4", "", ""),
    Column("low_share", "f4", "", ""),
    Column("high_share", "f4", "", ""),
    Column("heart_match", "f4", "", ""),
)
"""Stored of each candidate, beside what an event has."""
_SAMPLE = 2000
_ROUNDS = 20


@dataclass(frozen=True)
class Pile:
    """Events of one site that are alike; `rows` are places in the run's events as the detector left them."""

    id: str
    site: str
    unit: int | None
    rows: Indices
    weight: float
    """How many of its events, in sum, are in doubt: what it is worth to look at."""


@dataclass(frozen=True)
class PileSummary:
    """A pile in brief, with the labels as they are now."""

    count: int
    counted: int
    twitch: int
    not_twitch: int
    mean_probability: float
    median_mg: float
    median_hz: float
    first_s: float
    last_s: float


def operating_point(run: Run) -> float:
    """Return the least score or probability that counts in a run; NaN if the run does not say."""
    try:
        settings = json.loads(run.info.settings)
        last = settings["second"] if run.info.passes == 2 else settings
        return float(last["operating_points"][run.info.operating_point])
    except (ValueError, KeyError, TypeError):
        return float("nan")


def make_piles(store: ResultsStore, run: Run) -> tuple[Pile, ...]:
    """Make the piles of a run, those first that are worth most.

    Parameters
    ----------
    store
        Holds the run's features.
    run
        As the detector left it (`load_run(..., with_labels=False)`).
    """
    events = run.events
    doubt = doubts(events["probability"])
    shown = _worth_a_look(run)
    units, loose = [], []
    covered = site_slices(run.coverage)
    for site, own in site_slices(events).items():
        cover = run.coverage[covered.get(site, slice(0, 0))]
        valid = inside(events["peak_s"][own], cover[cover["kind"] == Kind.VALID])
        rows = own.start + np.flatnonzero(shown[own] & valid)
        unit = events["unit"][rows]
        for number in np.unique(unit[unit >= 0]).tolist():
            mine = rows[unit == number]
            units.append(Pile(f"{site}-unit-{number}", site, number, mine, float(doubt[mine].sum())))
        loose.append((site, rows[unit < 0]))
    units = sorted(units, key=lambda pile: -len(pile.rows))
    kept, small = units[:MOST_UNITS], units[MOST_UNITS:]
    loose.extend((pile.site, pile.rows) for pile in small)  # units of few events are judged by their looks
    alike = _alike(store, run, loose, MOST_PILES - len(kept), doubt)
    return tuple(sorted([*kept, *alike], key=lambda pile: (-pile.weight, pile.id)))


def doubts(probability: npt.NDArray[np.floating]) -> Floats:
    """Return how much each event is in doubt: 1 where twitch and no twitch are as probable, or unknown."""
    p = np.asarray(probability, float)
    return np.where(np.isnan(p), 1.0, 4 * p * (1 - p))


def summary_of_pile(pile: Pile, events: Table, judged: Table) -> PileSummary:
    """Return a pile in brief; `judged` are the rows of `events`, one for one, as they are labelled now."""
    rows = pile.rows  # column by column: to take whole rows takes ten times longer
    label = judged["label"][rows]
    return PileSummary(
        len(rows),
        int(np.count_nonzero(judged["counted"][rows])),
        int(np.count_nonzero(label == Label.TWITCH)),
        int(np.count_nonzero(label == Label.NOT_TWITCH)),
        float(events["probability"][rows].mean()),
        float(np.median(events["peak_to_peak_mg"][rows])),
        float(np.median(events["dominant_hz"][rows])),
        float(events["peak_s"][rows].min()),
        float(events["peak_s"][rows].max()),
    )


def found_rows(raw: Table, judged: Table) -> Table:
    """Return the labelled rows that stand for the detector's own, one for one: without those added."""
    return (
        judged if len(judged) == len(raw) else judged[judged["event_id"] <= raw["event_id"].max(initial=-1)]
    )


def next_doubtful(
    piles: Sequence[Pile], events: Table, judged: Table, point: float, count: int
) -> list[tuple[int, Pile]]:
    """Return the unlabelled events nearest to the operating point, in turn from different piles.

    Returns
    -------
    Places in `events` with their piles, the most doubtful pile first.
    """
    p = np.clip(np.nan_to_num(events["probability"].astype(float), nan=0.5), 1e-6, 1 - 1e-6)
    least = point if 0 < point < 1 else 0.5
    off = np.abs(np.log(p / (1 - p)) - np.log(least / (1 - least)))
    turns = []
    for pile in piles:
        left = pile.rows[judged["label"][pile.rows] == Label.NONE]
        seen = len(pile.rows) - len(left)
        for turn, row in enumerate(left[np.argsort(off[left], kind="stable")[:count]].tolist()):
            turns.append((turn + min(seen, 3), float(off[row]), row, pile))
    turns.sort(key=lambda one: one[:3])
    return [(row, pile) for _, _, row, pile in turns[:count]]


def _worth_a_look(run: Run) -> npt.NDArray[np.bool_]:
    p = run.events["probability"]
    point = operating_point(run)
    likely = p >= WORTH_A_LOOK * point if 0 < point < 1 else np.isnan(p)
    return np.asarray(run.events["counted"] | likely)


def _alike(
    store: ResultsStore, run: Run, loose: Sequence[tuple[str, Indices]], most: int, doubt: Floats
) -> list[Pile]:
    """Make piles of events of no unit, at most so many; sites get as many as their doubt is worth."""
    by_site: dict[str, Indices] = {}
    for site, rows in loose:
        by_site[site] = np.sort(np.concatenate([by_site.get(site, rows[:0]), rows]))
    by_site = {site: rows for site, rows in by_site.items() if len(rows)}
    if not by_site:
        return []
    looks = store.read_events(run.info.run_id, LOOKS)
    worth = {site: float(np.sqrt(1 + doubt[rows].sum())) for site, rows in by_site.items()}
    found = []
    for site, rows in by_site.items():
        share = max(1, int(most * worth[site] / sum(worth.values())))
        x = _features(run.events, looks, rows)
        groups = _grouped(x, min(share, len(rows) // FEWEST_IN_PILE))
        for number in np.unique(groups).tolist():
            mine = rows[groups == number]
            found.append(Pile(f"{site}-like-{number}", site, None, mine, float(doubt[mine].sum())))
    return found


def _features(events: Table, looks: Table, rows: Indices) -> Floats:
    """Return how some events look, (n, features), in about equal steps; what is not known is as usual."""
    p = np.clip(events["probability"][rows].astype(float), 0.01, 0.99)
    columns = [
        1.5 * np.log(np.maximum(events["peak_to_peak_mg"][rows], 1e-3)) / 0.7,
        np.log(np.maximum(events["duration_ms"][rows], 1.0)) / 0.5,
        np.log(np.maximum(events["dominant_hz"][rows], 0.1)) / 0.4,
        np.log(p / (1 - p)) / 2.0,
        np.log(np.maximum(looks["rise_ms"][rows], 1.0)) / 0.5,
        looks["linearity"][rows] / 0.15,
        looks["low_share"][rows] / 0.25,
        looks["high_share"][rows] / 0.15,
        looks["heart_match"][rows] / 0.3,
    ]
    x = np.column_stack(columns).astype(float)
    known = np.where(np.isfinite(x), x, np.nan)
    usual = np.array([np.median(c[np.isfinite(c)]) if np.isfinite(c).any() else 0.0 for c in known.T])
    return np.where(np.isfinite(x), x, usual)


def _grouped(x: Floats, k: int) -> Indices:
    """Return the group of each row, by k-means from a fixed start, numbered by the first feature's mean."""
    if k < 2:
        return np.zeros(len(x), np.int64)
    some = x[:: -(-len(x) // _SAMPLE)]
    centre = some.mean(axis=0, keepdims=True)
    for _ in range(min(k, len(some)) - 1):  # each next centre is the row farthest from those that are there
        far = np.minimum(_distance(some, centre).min(axis=1), 16.0)  # beyond, it is an outlier like others
        centre = np.concatenate([centre, some[[int(np.argmax(far))]]])
    for _ in range(_ROUNDS):
        nearest = np.argmin(_nearness(some, centre), axis=1)
        held = np.bincount(nearest, minlength=len(centre))
        summed = np.stack([np.bincount(nearest, weights=c, minlength=len(centre)) for c in some.T], axis=1)
        moved = np.where(held[:, None] > 0, summed / np.maximum(held, 1)[:, None], centre)
        if np.array_equal(moved, centre):
            break
        centre = moved
    centre = centre[np.argsort(centre[:, 0], kind="stable")]
    nearest = np.argmin(_nearness(x, centre), axis=1)
    few = np.bincount(nearest, minlength=len(centre)) < FEWEST_IN_PILE
    if few.any() and not few.all():
        kept = np.flatnonzero(~few)
        nearest = kept[np.argmin(_nearness(x, centre[kept]), axis=1)]
    return np.asarray(nearest, np.int64)


def _distance(x: Floats, centre: Floats) -> Floats:
    """Return the squared distances, (n, centres)."""
    return np.asarray(np.einsum("ij,ij->i", x, x)[:, None] + _nearness(x, centre))


def _nearness(x: Floats, centre: Floats) -> Floats:
    """Return the squared distances without what is the same for all centres."""
    return np.asarray((centre**2).sum(axis=1) - x @ (2 * centre).T)
