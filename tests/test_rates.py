"""The constants of honest rates: fitted on drawn site-nights they come back, and hold on others."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from firmware_host.analysis.limits import ADDED_DTYPE
from firmware_host.detection.limit import Curve
from firmware_host.learning.rate_fit import WIDER, Known, few, fit_rates, known, wider
from firmware_host.learning.rate_nights import FIT_NUMBERS, TEST_NUMBERS, SiteNight, specs
from firmware_host.learning.rate_score import coverage, shown
from firmware_host.simulation.cohort import subject
from firmware_host.simulation.families import HELD_OUT
from firmware_host.simulation.truth import TRUTH_DTYPE
from firmware_host.twitch_map import RateModel
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Kind, table

pytestmark = [pytest.mark.lasts_s(20), pytest.mark.long]

CURVE = Curve(6.0, 3.5, 0.0, 1.0, 0.1)
SITE, DURATION_S, POINT = "left_calf", 7200.0, 0.8
FALSE_PER_H = 2.0


def drawn(rng: np.random.Generator, number: int) -> SiteNight:
    """Draw a site-night: true twitches found by the curve, false alarms, and added twitches."""
    n = int(rng.choice([0, 3, 30, 300]))
    times_s, sizes_mg = np.sort(rng.uniform(0, DURATION_S, n)), 10 * np.exp(0.8 * rng.standard_normal(n))
    truth = table(TRUTH_DTYPE, n, site=SITE, peak_s=times_s, peak_to_peak_mg=sizes_mg, d=10.0,
                  unit=np.arange(n) % 5)  # fmt: skip
    found = truth[rng.random(n) < CURVE.share(truth["peak_to_peak_mg"], 0.1)]
    false = rng.poisson(2 * FALSE_PER_H * rng.gamma(1.0))
    peak_s = np.concatenate([found["peak_s"], rng.uniform(0, DURATION_S, false)])
    size_mg = np.concatenate(
        [found["peak_to_peak_mg"] * np.exp(0.1 * rng.standard_normal(len(found))), rng.uniform(12, 40, false)]
    )
    probability = np.concatenate([rng.uniform(0.9, 1.0, len(found)), rng.uniform(POINT, 0.95, false)])
    events = table(EVENT_DTYPE, len(peak_s), site=SITE, peak_s=peak_s, onset_s=peak_s, counted=True,
                   peak_to_peak_mg=size_mg, probability=probability)  # fmt: skip
    added = np.zeros(120, ADDED_DTYPE)
    added["peak_s"], added["size_mg"] = np.linspace(0, DURATION_S, 120), np.geomspace(2, 60, 120)
    added["density"], added["valid"], added["excerpt"] = 0.1, True, np.arange(120) % 8
    added["worth"] = rng.random(120) < CURVE.share(added["size_mg"], 0.1)
    cover = table(COVERAGE_DTYPE, 1, site=SITE, end_s=DURATION_S, kind=Kind.VALID)
    return SiteNight(SITE, number, DURATION_S, events[np.argsort(peak_s)], cover, added, truth)


def matched(seed: int, count: int) -> list[Known]:
    """Draw site-nights and match them with their truth."""
    rng = np.random.default_rng(seed)
    found = [known(drawn(rng, number), POINT) for number in range(count)]
    return [one for one in found if one is not None]


@pytest.fixture(scope="module")
def model() -> RateModel:
    """Fit a model on site-nights of its own."""
    return fit_rates(matched(1, 48), POINT, "drawn")


def test_the_constants_come_back(model: RateModel) -> None:
    """False alarms an hour, and how probabilities are spread, are those that the nights were drawn with."""
    assert model.fault() is None
    assert model.false_per_h == pytest.approx(FALSE_PER_H, rel=0.4)
    assert sum(model.true_share[:2]) < 0.05 < sum(model.false_share[:2])
    assert sum(model.true_share) == pytest.approx(1, abs=1e-3)
    assert model.least_size == pytest.approx(1.0, abs=0.06)
    assert model.size_spread == pytest.approx(0.1, rel=0.3)
    assert model.found_scale == pytest.approx(1.0, abs=0.1)
    assert model.gap_shares[-1] == 1.0


def test_intervals_hold_on_other_nights(model: RateModel) -> None:
    """On nights that nothing was fitted on the intervals hold the truth; at the limit 0.9 are found."""
    figures = shown(matched(2, 120), model)
    assert figures["night"]["all"]["held"] >= 0.92
    assert figures["bins_of_15_min"]["all"]["held"] >= 0.93
    assert 0.82 <= figures["found_near_limit"]["share"] <= 0.96
    night = figures["night"]["all"]
    assert night["estimated"] == pytest.approx(night["truths"], rel=0.1)


def test_intervals_hold_what_they_say_where_they_are_fitted(model: RateModel) -> None:
    """So many nights of the fit hold the truth as their intervals say, however narrow what fits best is."""
    nights = matched(1, 80)
    assert coverage(nights, model, None)["all"]["held"] >= 0.94  # the rates of a run are rounded
    assert wider(nights, model, model.found_spread, model.size_shift) == 1
    off = msgspec.structs.replace(model, found_scale=0.5)
    assert wider(nights[:8], off, 0.01, 0.01) == WIDER[-1]
    assert few(nights, msgspec.structs.replace(model, found_few=0.0)) == model.found_few
    doubting = msgspec.structs.replace(model, true_share=model.false_share, false_share=model.true_share)
    assert few(nights, doubting) > model.found_few
    assert few([one for one in nights if len(one.truth) > 100], doubting) == 0, "nothing is rare there"


def test_a_site_night_without_a_limit_is_left_out() -> None:
    """Where nothing added was found the limit is not reached, and the night says nothing of intervals."""
    assert known(drawn(np.random.default_rng(1), 1), 2.0) is None


def test_nobody_is_fitted_and_shown() -> None:
    """People of the fit, of the figures, of training and of the evaluation are different ones."""
    fit, show = specs(50, held_out=False), specs(50, held_out=True)
    assert not {number for number, _ in fit} & {number for number, _ in show}
    assert set(FIT_NUMBERS).isdisjoint(TEST_NUMBERS)
    assert min(FIT_NUMBERS) > 100_000 + 10_000
    assert show[3][1].rate_scale == 0
    assert show[0][1].shapes == subject(show[0][0], HELD_OUT).shapes
