"""What a reviewer is shown: piles of events that are alike, the next doubtful ones, and their waveforms."""

from __future__ import annotations

from pathlib import Path

import made_runs
import numpy as np
import pytest
from made_runs import CALF, NIGHT_S, POINT, SITES, label, load, ns, of

import firmware_host as tm
from firmware_host.analysis.piles import doubts, make_piles, next_doubtful, operating_point
from firmware_host.analysis.waveforms import waveforms
from firmware_host.recording import ResultsStore

made, night = made_runs.made, made_runs.night


def test_piles_hold_every_event_worth_a_look_once(night: Path) -> None:
    """Piles share out what counts or nearly does, in valid time, are few, and are the same each time."""
    run = load(night, with_labels=False)
    piles = make_piles(ResultsStore(night), run)
    assert 4 < len(piles) <= 52
    rows = np.concatenate([pile.rows for pile in piles])
    assert len(rows) == len(set(rows.tolist()))
    events = run.events
    moving = (events["site"] == CALF) & (events["peak_s"] >= 300) & (events["peak_s"] < 330)
    shown = (events["probability"] >= 0.3 * POINT) & ~moving
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(shown))
    assert all(len(set(events["site"][pile.rows].tolist())) == 1 for pile in piles)
    weights = [pile.weight for pile in piles]
    assert weights == sorted(weights, reverse=True)
    assert sum(weights) == pytest.approx(doubts(events["probability"][shown]).sum())
    label(night, "not_twitch", events["peak_s"][piles[0].rows], piles[0].site)
    again = make_piles(ResultsStore(night), load(night, with_labels=False))
    assert [(pile.id, pile.rows.tolist()) for pile in again] == [
        (pile.id, pile.rows.tolist()) for pile in piles
    ]


def test_each_unit_is_a_pile(night: Path) -> None:
    """Events of a motor unit are one pile, named after it, and look-alikes are made of the others."""
    rows = made_runs.events()
    rows["unit"] = np.where(np.arange(len(rows)) % 3 == 0, np.arange(len(rows)) % 4, -1)
    made_runs.write_run(night, rows, "run2")
    run = load(night, with_labels=False)
    piles = make_piles(ResultsStore(night), run)
    units = [pile for pile in piles if pile.unit is not None]
    assert {(pile.site, pile.unit) for pile in units} == {(site, unit) for site in SITES for unit in range(4)}
    for pile in piles:
        assert set(run.events["unit"][pile.rows].tolist()) == {-1 if pile.unit is None else pile.unit}


def test_the_next_doubtful_are_unlabelled_and_of_many_piles(night: Path) -> None:
    """Those nearest to the operating point come first, one a pile, and what was labelled comes no more."""
    run = load(night, with_labels=False)
    piles = make_piles(ResultsStore(night), run)
    point = operating_point(run)
    assert point == POINT
    first = next_doubtful(piles, run.events, run.events, point, len(piles))
    assert len({pile.id for _, pile in first}) == len(piles)
    for row, pile in first:
        off = np.abs(run.events["probability"][pile.rows] - point)
        assert abs(run.events["probability"][row] - point) < np.median(off) + 1e-9
    row = first[0][0]
    label(night, "twitch", run.events["peak_s"][row], str(run.events["site"][row]))
    again = next_doubtful(piles, run.events, load(night).events, point, len(piles))
    assert row not in {other for other, _ in again}


def test_waveforms_are_what_was_put_in(made: Path) -> None:
    """Around each event the band-passed signal has its peak at the event, along the axis it moved along."""
    opened, rows = tm.open(made), made_runs.events()
    for axis, site in enumerate(SITES):
        own = of(rows, site)["peak_s"]
        apart = own[1:-1][(np.diff(own)[1:] > 1.5) & (np.diff(own)[:-1] > 1.5)][:10]
        seen = waveforms(opened, site, ns(apart), one_unit=True)
        power = (np.nan_to_num(seen.axes_mg) ** 2).sum(axis=(0, 2))
        assert power[axis] > 0.98 * power.sum()
        at = np.argmax(np.abs(seen.main_mg), axis=1) / seen.rate_hz + seen.from_s
        assert np.all(np.abs(at) <= 0.021)
        assert seen.main_mg.max(axis=1) == pytest.approx(made_runs.TWITCH_MG, rel=0.25)


def test_waveforms_at_the_ends_and_beyond(made: Path) -> None:
    """Where the night has no samples there are no numbers, and none are made up."""
    seen = waveforms(tm.open(made), CALF, ns([0.0, NIGHT_S + 100.0]))
    assert np.isnan(seen.axes_mg[0, :, :20]).all()
    assert np.isfinite(seen.axes_mg[0, :, 30:]).all()
    assert np.isnan(seen.axes_mg[1]).all()
