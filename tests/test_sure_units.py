"""Sure units: what makes one, which members count from lower odds on, and that all commands say the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_second_pass import LOBES, LOWEST, TREE, bundle

from firmware_host.analysis import detect_night, find_candidates, judge, recount_night
from firmware_host.analysis.second_pass import reaching
from firmware_host.detection.classifier import model_from_dict
from firmware_host.detection.sure_units import FEWEST, SHARE, SURELY, TIMES, of_sure_units, reaches
from firmware_host.simulation import NightSpec, simulate_night
from firmware_host.twitches import Flag

_TREES = {
    "features": ["score"],
    "trees": [TREE | {"threshold": [7.0, 0.0, 0.0], "value": [0.0, 0.5, 4.0]}],
}
DOUBT = _TREES | {
    "lobes": LOBES | _TREES,
    "operating_points": {"specific": 0.99, "balanced": 0.75, "sensitive": 0.5},
}
"""Pass 2 that is sure of large ones and gives others 0.62: balanced, these count in sure units alone."""


def made(sure: int, others: int) -> tuple[np.ndarray, ...]:
    """Return one unit of so many sure and other members, as `of_sure_units` takes it."""
    n = sure + others
    probability = np.where(np.arange(n) < sure, SURELY, 0.5).astype(np.float32)
    return np.zeros(n, int), np.ones(n, bool), probability, np.zeros(n, bool)


@pytest.mark.parametrize(
    ("sure", "others", "is_sure"),
    [
        (FEWEST, 0, True),
        (FEWEST - 1, 30, False),
        (FEWEST, round(FEWEST / SHARE) - FEWEST, True),
        (FEWEST, round(FEWEST / SHARE) - FEWEST + 1, False),
        (0, 0, False),
    ],
)
def test_a_unit_is_sure_by_number_and_share(sure: int, others: int, is_sure: bool) -> None:
    """Fifty sure members that are two in a hundred of all make a unit sure, one less of either does not."""
    assert of_sure_units(*made(sure, others)).tolist() == [is_sure] * (sure + others)


def test_only_members_of_that_unit_gain() -> None:
    """Of another unit, and of none though alike, nothing is raised; nor where a site has no unit at all."""
    unit, member, probability, lobe = made(FEWEST, 3)
    unit[-1], member[-2] = 1, False
    raised = of_sure_units(unit, member, probability, lobe)
    assert np.flatnonzero(~raised).tolist() == [FEWEST + 1, FEWEST + 2]
    first = (each[:FEWEST] for each in (member, probability, lobe))
    assert of_sure_units(np.full(FEWEST, 2**31 - 1), *first).all()
    assert not of_sure_units(np.full(9, -1), np.zeros(9, bool), probability[:9], lobe[:9]).any()


def test_side_lobes_speak_for_nobody() -> None:
    """A side lobe is of no sure unit, and neither makes one sure nor doubtful."""
    unit, member, probability, lobe = made(FEWEST, 9)
    lobe[-5:] = True
    assert of_sure_units(unit, member, probability, lobe).tolist() == (~lobe).tolist()
    lobe[0] = True
    assert not of_sure_units(unit, member, probability, lobe).any()
    unit, member, probability, lobe = made(FEWEST, 9 * round(FEWEST / SHARE))
    lobe[FEWEST:] = True
    assert of_sure_units(unit, member, probability, lobe).sum() == FEWEST


def test_side_lobes_count_sooner() -> None:
    """From the point of the others on, or from 0.2 on if that asks for more; at a strict one as others."""
    p, lobes = np.array([0.1, 0.21, 0.5, 0.79, 0.95]), np.full(5, Flag.SIDE_LOBE, np.uint32)
    for least, counted in ((0.75, 4), (SURELY, 4), (0.15, 4), (0.09, 5), (0.9, 1)):
        assert reaches(p, lobes, least).sum() == counted


def test_members_count_from_a_sixth_of_the_odds_on() -> None:
    """A point of 0.75 (odds of 3) is reached by a sure unit's members from odds of a half on."""
    p = np.array([0.0, 0.33, 0.34, 0.74, 0.75, 1.0])
    everyone, nobody = np.full(6, Flag.SURE_UNIT, np.uint32), np.zeros(6, np.uint32)
    assert TIMES == 6.0
    assert reaches(p, everyone, 0.75).tolist() == [False, False, True, True, True, True]
    assert reaches(p, nobody, 0.75).tolist() == [False] * 4 + [True] * 2


def test_a_strict_point_is_strict_with_everyone() -> None:
    """Above the probability that makes a unit sure, its members count as all do."""
    p, everyone = np.array([0.79, 0.8, 0.85, 0.9], np.float32), np.full(4, Flag.SURE_UNIT, np.uint32)
    assert reaches(p, everyone, SURELY).tolist() == [True] * 4
    assert reaches(p, everyone, 0.85).tolist() == [False, False, True, True]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a night of a restless calf and a shin, with the model of doubt beside it."""
    folder = tmp_path_factory.mktemp("recordings")
    spec = NightSpec(
        seed=11, hours=0.4, sites=("left_calf", "left_shin"), profile="many", chips=("ICM-42688-P",) * 2,
        confounders=("heart", "breath"), troubles=False,
    )  # fmt: skip
    simulate_night(folder / "units.night", spec=spec)
    (folder / "models" / "doubt").mkdir(parents=True)
    (folder / "models" / "doubt" / "model.json").write_text(json.dumps(bundle(**DOUBT)))
    return folder / "units.night"


def test_members_of_sure_units_count_from_lower_odds_on(night: Path) -> None:
    """What reaches the point counts, and below it members of sure units and side lobes."""
    findings = find_candidates(night, LOWEST)
    rows = judge(findings, model_from_dict(bundle(**DOUBT)))
    flagged, large = rows["flags"] & Flag.SURE_UNIT > 0, rows["score"] > 7.0
    lobe = rows["flags"] & Flag.SIDE_LOBE > 0
    np.testing.assert_array_equal(lobe, rows["side_lobe"] > 0)
    np.testing.assert_array_equal(rows["counted"], large | flagged | lobe)
    assert (flagged & ~large).sum() > 20
    assert (~flagged & ~large & ~lobe).sum() > 20
    for site in ("left_calf", "left_shin"):
        own, grouped = rows["site"] == site, findings.grouped(site, LOWEST)
        of = grouped.unit[flagged[own]]
        assert grouped.member[flagged[own]].all()
        sure = np.bincount(grouped.unit[grouped.member & (large & ~lobe)[own]], minlength=1)
        assert (sure[of] >= FEWEST).all()


def test_a_stricter_point_counts_a_part(night: Path) -> None:
    """With sure units, too, each point counts what the stricter one counts, and more."""
    model = model_from_dict(bundle(**DOUBT))
    findings = find_candidates(night, LOWEST)
    strict, middle, loose = (judge(findings, model, point) for point in ("specific", "balanced", "sensitive"))
    assert not (strict["counted"] & ~middle["counted"]).any()
    assert not (middle["counted"] & ~loose["counted"]).any()
    assert strict["counted"].sum() < middle["counted"].sum() < loose["counted"].sum()


@pytest.mark.long
def test_what_is_stored_counts_the_same(night: Path) -> None:
    """A recount at another point gives the events of a detection at it; counts follow flags."""
    for first, then in (("balanced", "sensitive"), ("sensitive", "balanced")):
        wanted = detect_night(night, model="doubt", operating_point=then)
        detect_night(night, model="doubt", operating_point=first)
        again = recount_night(night, model="doubt", operating_point=then)
        np.testing.assert_array_equal(again.events["counted"], wanted.events["counted"])
        np.testing.assert_array_equal(again.events["flags"], wanted.events["flags"])
        least = {"balanced": 0.75, "sensitive": 0.5}[then]
        np.testing.assert_array_equal(reaching(again.events, least), again.events["counted"])
    assert (again.events["flags"] & Flag.SURE_UNIT > 0).any()
