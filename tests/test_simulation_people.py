"""Simulated sleepers: held-out families, people who repeat and differ, movements as often as measured."""

from __future__ import annotations

import numpy as np
import pytest

from firmware_host.errors import BadValueError
from firmware_host.simulation import DEFAULT_SITES, HELD_OUT, TRAINED, Families, Parameters, subject
from firmware_host.simulation.bodies import draw_sleeper
from firmware_host.simulation.cohort import TEST_NUMBERS, TRAIN_NUMBERS
from firmware_host.simulation.happenings import Draft, draw_happenings, kinds
from firmware_host.simulation.shapes import SHAPES


def test_families_are_held_out_by_name() -> None:
    """Training and evaluation share no shape, chip or rate, and training lacks some confounders."""
    assert not set(TRAINED.shapes) & set(HELD_OUT.shapes)
    assert set(TRAINED.shapes) | set(HELD_OUT.shapes) == set(SHAPES)
    assert not set(TRAINED.chips) & set(HELD_OUT.chips)
    assert not set(TRAINED.rates_hz) & set(HELD_OUT.rates_hz)
    assert set(TRAINED.confounders) < set(HELD_OUT.confounders) == set(kinds())
    with pytest.raises(BadValueError, match="no confounder 'ghost'; it knows"):
        Families((), ("ghost",), (), ())


def test_virtual_people_repeat_and_differ() -> None:
    """A number stands for one person, drawn from the families; no number is in training and evaluation."""
    assert not set(TRAIN_NUMBERS) & set(TEST_NUMBERS)
    people = [subject(number, HELD_OUT) for number in range(30)]
    assert people[3] == subject(3, HELD_OUT)
    assert len({one.seed for one in people}) == 30
    assert {one.fs_hz for one in people} <= set(HELD_OUT.rates_hz)
    assert {chip for one in people for chip in one.chips or ()} <= set(HELD_OUT.chips)
    assert {one.profile for one in people} == {"many", "few", "quiet"}


def test_a_kind_does_not_depend_on_the_others() -> None:
    """The same movements happen whatever else does, so that causes can be taken out one by one."""
    night = Draft(8.0, DEFAULT_SITES, draw_sleeper(np.random.default_rng(1), Parameters(), 8.0))
    alone = draw_happenings(5, night, ["small_movement"])
    among = draw_happenings(5, night, list(kinds()))
    assert len(alone) > 20
    assert alone == [event for event in among if event.kind == "small_movement"]


def test_movements_come_as_often_as_measured() -> None:
    """Gross movements: 21.4 an hour asleep and 90.4 awake (Sicbaldi 2025), each turning the sleeper."""
    found = {"asleep": 0, "awake": 0}
    hours = {"asleep": 0.0, "awake": 0.0}
    for seed in range(12):
        night = Draft(8.0, DEFAULT_SITES, draw_sleeper(np.random.default_rng(seed), Parameters(), 8.0))
        events = draw_happenings(seed, night, ["gross_movement"])
        awake = night.sleeper.is_awake(np.array([event.start_s for event in events]))
        found["awake"] += int(awake.sum())
        found["asleep"] += int((~awake).sum())
        awake_h = sum(end - start for start, end in night.sleeper.awake_s) / 3600
        hours["awake"] += awake_h
        hours["asleep"] += 8.0 - awake_h
        assert 20 <= 60 * awake_h <= 60
        assert all(event.turn_degrees > 0 for event in events)
    assert found["asleep"] / hours["asleep"] == pytest.approx(21.4, rel=0.1)
    assert found["awake"] / hours["awake"] == pytest.approx(90.4, rel=0.1)
