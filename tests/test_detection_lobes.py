"""Side lobes: what rules take for a swing of a larger burst is a candidate that says so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_signals import Signal, detect, plain_model

from firmware_host.detection import detect_stretch
from firmware_host.detection.lobes import APART_S, KEPT_S, KEPT_SHARE, Maxima, bursts, room, shadow_of
from firmware_host.detection.signals import make_plan

PLAN = make_plan(100.0)
SHADOW = shadow_of(PLAN)


def maxima(place_s: list[float], score: list[float], *, seed: int = 0) -> Maxima:
    """Return maxima at some times that swing any way."""
    rng = np.random.default_rng(seed)
    swing, look = (rng.standard_normal((len(score), size)).astype(np.float32) for size in (3, 21))
    swing, look = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (swing, look))
    place = np.array(place_s) * PLAN.fs_internal_hz
    return Maxima(place, np.array(score, np.float32), swing, look, np.zeros(len(score), np.int64))


@given(
    steps=st.lists(st.tuples(st.floats(0.012, 0.5), st.floats(5.5, 80.0)), min_size=1, max_size=25),
    seed=st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_candidates_are_apart_and_side_lobes_lie_beside_larger_ones(
    steps: list[tuple[float, float]], seed: int
) -> None:
    """No two are closer than 55 ms; beside a side lobe stands one of at most ten times its height."""
    place_s = np.cumsum([step for step, _ in steps])
    some = maxima(place_s.tolist(), [score for _, score in steps], seed=seed)
    keep, merged, lobe = bursts(some, SHADOW, PLAN)
    at_s, score = place_s[keep], some.score[keep]
    assert len(keep) == len(merged) == len(lobe) > 0
    assert np.all(np.diff(at_s) >= APART_S - 1e-9)
    assert lobe["side_lobe"][np.argmax(score)] == 0
    for number in np.flatnonzero(lobe["side_lobe"]).tolist():
        near = np.abs(at_s - at_s[number]) <= KEPT_S
        assert near.sum() > 1
        assert score[near].max() * KEPT_SHARE <= score[number] * (1 + 1e-6)
    known = np.isfinite(lobe["lobe_way"])
    assert np.array_equal(known, np.isfinite(lobe["lobe_alike"]))
    assert np.all(np.abs(lobe["lobe_way"][known]) <= 1 + 1e-5)


def test_what_nothing_larger_is_near_to_is_compared_with_nothing() -> None:
    """A lone maximum is no side lobe and has no cosine with any; a larger one beside it gives it one."""
    _, _, lobe = bursts(maxima([1.0, 3.0, 3.2], [9.0, 20.0, 12.0]), SHADOW, PLAN)
    assert np.isnan(lobe["lobe_way"]).tolist() == [True, True, False]


def test_a_ringing_burst_leaves_side_lobes_and_one_event() -> None:
    """Each of 40 bursts that ring has one candidate that is no side lobe; the plain model counts no other."""
    signal = Signal(170, seed=4)
    for onset_s in np.arange(5, 165, 4.0):
        t_s = np.clip(signal.time_s - onset_s, 0, None)
        way = signal.rng.standard_normal(3)
        ringing = 60 * np.exp(-t_s / 0.06) * np.sin(2 * np.pi * 9 * t_s)
        signal.mg += ringing[:, None] * way / np.linalg.norm(way)
    found = detect(signal.acc_g).candidates
    own = found["side_lobe"] == 0
    assert (own & (found["score"] > 25)).sum() == 40
    assert (~own).sum() >= 20
    counted = plain_model().counted(found)
    assert not counted[~own].any()
    assert np.array_equal(counted[own], found["score"][own] >= plain_model().threshold("balanced"))


@pytest.mark.parametrize("after_s", [0.075, 0.1, 0.15])
def test_two_units_that_fire_together_are_two_candidates(after_s: float) -> None:
    """A smaller twitch another way, 75 to 150 ms after a larger one, is a candidate in 9 of 10 pairs."""
    signal = Signal(170, seed=5)
    onsets = np.arange(5, 165, 4.0)
    for onset_s in onsets:
        one, two = np.linalg.qr(signal.rng.standard_normal((3, 2)))[0].T
        signal.twitch(40.0, onset_s, 0.04, one).twitch(16.0, onset_s + after_s, 0.04, two)
    peaks = detect(signal.acc_g).candidates["peak_index"] / signal.fs_hz
    both = [((peaks > onset_s - 0.03) & (peaks < onset_s + after_s + 0.12)).sum() >= 2 for onset_s in onsets]
    assert np.mean(both) >= 0.9


def test_a_burst_is_measured_with_its_swings_but_its_peak_is_its_own() -> None:
    """Room goes to the next candidate that is no side lobe; the peak's room ends before a side lobe's."""
    index, side_lobe = np.array([100, 110, 150]), np.array([0.0, 1.0, 0.0])
    found = room(index, index.astype(float), side_lobe, 1000, 100.0)
    assert found.right.tolist() == [25.0, 20.0, 1000.0]
    assert found.left.tolist() == [1000.0, 5.0, 25.0]
    assert found.near_right.tolist() == [5.0, 20.0, 1000.0]
    assert found.near_left.tolist() == [1000.0, 5.0, 20.0]


def test_the_depth_of_the_search_moves_no_candidate_above_it() -> None:
    """What is found from a score of 6 on is found from 5 on with the same score, side lobes too."""
    signal = Signal(200, seed=6)
    for onset_s in np.sort(np.random.default_rng(6).uniform(2, 198, 400)):
        signal.twitch(25.0, onset_s, 0.05)
    samples = [(0, signal.acc_g)]
    deep, shallow = (
        detect_stretch(samples, len(signal.acc_g), 100.0, score).candidates for score in (5.0, 6.0)
    )
    assert (shallow["side_lobe"] > 0).any()
    high = deep[deep["score"] >= 6.0]
    for name in ("score", "side_lobe", "lobe_alike"):
        np.testing.assert_allclose(high[name], shallow[name], rtol=1e-5)
