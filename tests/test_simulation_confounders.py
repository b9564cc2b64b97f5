"""Confounders: each kind comes as often as it says, where it should, as large as it says."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import signal

from firmware_host import body
from firmware_host.analysis import detect_night
from firmware_host.recording import open_night
from firmware_host.simulation import NightSpec, Truth, simulate_night
from firmware_host.simulation.bodies import Grid, draw_sleeper, gravity
from firmware_host.simulation.happenings import (
    Canvas,
    Draft,
    Happening,
    draw_happenings,
    is_leg,
    kinds,
    render,
)
from firmware_host.simulation.page import chips_table, families_table, kinds_table
from firmware_host.simulation.parameters import Parameters

HOURS = 8.0
SITES = ("left_chest", "right_upper_arm", "left_calf", "right_thigh")
PAGE = (Path(__file__).parents[1] / "docs" / "simulator.md").read_text(encoding="utf-8")
CORE = ("heart", "breath", "unrest", "movement")
MINE = [name for name, kind in kinds().items() if kind.origin not in CORE]
FELT = [name for name in MINE if kinds()[name].origin != "wearing"]
BY_FILTER = {"snore", "buzzing_phone"}
"""What is too fast for the band; its size is that before the chip's low-pass."""


@pytest.fixture(scope="module")
def nights() -> list[Draft]:
    """Return some sleepers' nights."""
    sleepers = [draw_sleeper(np.random.default_rng(seed), Parameters(), HOURS) for seed in range(8)]
    return [Draft(HOURS, SITES, sleeper) for sleeper in sleepers]


def drawn(name: str, night: Draft, seed: int, *, surely: bool = True) -> list[Happening]:
    """Return the events of one kind in a night."""
    kind = replace(kinds()[name], nights=1.0) if surely else kinds()[name]
    return [event for event in kind.draw(np.random.default_rng(seed), night, kind) if any(event.size_mg)]


def canvas_of(night: Draft, site: str, fs_hz: float = 100.0, *, filtered: bool = True) -> Canvas:
    """Return an empty canvas, without gravity."""
    grid = Grid(0.0, fs_hz, int(night.duration_s * fs_hz))
    return Canvas(np.zeros((grid.n, 3), np.float32), grid, site, night, filtered)


def short(night: Draft, seconds: float = 400.0) -> Draft:
    """Return the first part of a night."""
    return replace(night, hours=seconds / 3600)


def moved(event: Happening, to_s: float, longest_s: float = 60.0) -> Happening:
    """Return an event at another time, cut off if it is long."""
    return replace(event, start_s=to_s, end_s=to_s + min(longest_s, event.end_s - event.start_s))


@pytest.mark.parametrize("name", [name for name in kinds() if kinds()[name].per_hour])
def test_a_kind_comes_as_often_as_it_says(name: str, nights: list[Draft]) -> None:
    """Over many nights the events an hour, of the time that the kind asks for, are those that are stated."""
    kind, count, hours = kinds()[name], 0, 0.0
    for seed in range(int(np.clip(800 / kind.per_hour / HOURS, 40, 200))):
        night = nights[seed % len(nights)]
        starts = np.array([event.start_s for event in drawn(name, night, seed)])
        awake = night.sleeper.is_awake(starts) if len(starts) else np.zeros(0, bool)
        awake_h = sum(end - start for start, end in night.sleeper.awake_s) / 3600
        hours += {"any": HOURS, "awake": awake_h, "asleep": HOURS - awake_h}[kind.when]
        count += int({"any": len(starts), "awake": awake.sum(), "asleep": (~awake).sum()}[kind.when])
    assert count / hours == pytest.approx(kind.per_hour, rel=0.2)


@pytest.mark.parametrize("name", [name for name in MINE if kinds()[name].nights < 1])
def test_a_kind_is_in_its_share_of_the_nights(name: str, nights: list[Draft]) -> None:
    """So many nights have it at all, but for chance."""
    share = kinds()[name].nights
    found = np.mean([bool(drawn(name, nights[0], seed, surely=False)) for seed in range(240)])
    if kinds()[name].per_hour and kinds()[name].when != "any":
        share *= 1 - np.exp(-kinds()[name].per_hour * 0.3)  # few hours: some nights stay without
        assert found > 0.3 * share
    else:
        empty = np.exp(-kinds()[name].per_hour * HOURS) if kinds()[name].per_hour else 0.0
        expected = share * (1 - empty)
        assert found == pytest.approx(expected, abs=4.5 * np.sqrt(expected / 240) + 0.03 * share)


@pytest.mark.parametrize("name", MINE)
def test_events_lie_in_the_night_and_keep_their_sizes(name: str, nights: list[Draft]) -> None:
    """Length and largest size are within what is stated, and events begin and end in the night."""
    kind = kinds()[name]
    for seed, night in enumerate(nights):
        for event in drawn(name, night, seed):
            assert -1e-6 <= event.start_s < event.end_s <= night.duration_s + kind.duration_s[1]
            assert event.end_s - event.start_s <= kind.duration_s[1] * 1.001
            assert 0.02 * kind.size_mg[0] <= max(event.size_mg) <= kind.size_mg[1] * 1.001


@pytest.mark.parametrize("name", MINE)
def test_a_kind_reaches_the_sites_that_it_should(name: str, nights: list[Draft]) -> None:
    """Leg movements stay on legs, the bed and jerks are felt everywhere, a tap at one sensor."""
    events = [event for seed, night in enumerate(nights) for event in drawn(name, night, seed)]
    reached = np.array([event.size_mg for event in events]) > 0
    everywhere = {"hypnic_jerk", "axial_jerk", "carer_turn", "cough", "snore", "ventilator"}
    if kinds()[name].origin == "bed" or name in everywhere:
        assert reached.all()
    elif name in {"leg_movements", "clonus"}:
        assert not reached[:, [not is_leg(site) for site in SITES]].any()
        assert {1, 2} == set(reached.sum(axis=1).tolist())
    elif name == "tremor":
        sides = [{body.site(SITES[i]).side for i in np.flatnonzero(row)} for row in reached]
        assert all(len(side) == 1 for side in sides)
    else:
        most = 2 if name in {"tonic_contraction", "clothing_rub", "carer_touch"} else 1
        assert set(reached.sum(axis=1).tolist()) <= set(range(1, most + 1))


@pytest.mark.parametrize("name", FELT)
def test_what_is_felt_is_as_large_as_it_says(name: str, nights: list[Draft]) -> None:
    """At a fast sensor the swing in its main direction is the size at that site; nothing is NaN."""
    ratios = []
    night = short(nights[0], 32.0)
    for event in [event for seed in range(6) for event in drawn(name, nights[0], seed)[:1]][:4]:
        number = int(np.argmax(event.size_mg))
        canvas = canvas_of(night, SITES[number], 1600.0, filtered=False)
        at = moved(event, 2.0, 28.0)
        kinds()[name].render(canvas, at, at.size_mg[number])
        assert np.isfinite(canvas.acc_g).all()
        high = signal.butter(1, 1.0, "highpass", fs=1600.0, output="sos")
        felt = signal.sosfiltfilt(high, canvas.acc_g, axis=0)
        main = np.linalg.eigh(felt.T @ felt)[1][:, -1]
        ratios.append(1000 * np.ptp(felt @ main) / at.size_mg[number])
        assert not canvas.acc_g[: round(1.5 * 1600)].any()
    assert 0.5 < np.median(ratios) < 1.7


@pytest.mark.parametrize("name", FELT)
def test_one_body_at_two_rates(name: str, nights: list[Draft]) -> None:
    """The same event at 100 and at 400 Hz is the same below 30 Hz, twice over the same numbers."""
    event = moved(drawn(name, nights[0], 4)[0], 10.0, 40.0)
    number = int(np.argmax(event.size_mg))
    felt = []
    for fs_hz in (100.0, 100.0, 400.0):
        canvas = canvas_of(short(nights[0], 60.0), SITES[number], fs_hz)
        kinds()[name].render(canvas, event, event.size_mg[number])
        band = signal.butter(2, (2.0, 30.0), "bandpass", fs=fs_hz, output="sos")
        felt.append(signal.sosfiltfilt(band, canvas.acc_g, axis=0)[:: round(fs_hz / 100)].ravel())
    assert np.array_equal(felt[0], felt[1])
    if name not in BY_FILTER:
        assert np.corrcoef(felt[0], felt[2])[0, 1] > 0.9


@pytest.mark.parametrize("name", ["hypnic_jerk", "bed_bump", "partner", "axial_jerk"])
def test_all_sites_feel_it_at_once(name: str, nights: list[Draft]) -> None:
    """Jerks start within 50 ms over the body, what comes through the bed within 10; directions differ."""
    event = moved(drawn(name, nights[1], 5)[0], 10.0)
    begins, ways = [], []
    for number, site in enumerate(SITES):
        canvas = canvas_of(short(nights[1], 60.0), site, 800.0)
        kinds()[name].render(canvas, event, event.size_mg[number])
        size = np.linalg.norm(canvas.acc_g, axis=1)
        begins.append(np.flatnonzero(size > 0.1 * size.max())[0] / 800)
        ways.append(np.linalg.eigh(canvas.acc_g.T @ canvas.acc_g)[1][:, -1])
    assert np.ptp(begins) < (0.05 if name.endswith("jerk") else 0.1 if name == "partner" else 0.012)
    assert abs(ways[0] @ ways[1]) < 0.999


def test_a_chip_without_a_filter_hears_the_snoring(nights: list[Draft]) -> None:
    """What is above half the rate is gone behind a low-pass, and folds into the band without one."""
    event = replace(drawn("snore", nights[0], 1)[0], start_s=10.0, end_s=110.0)
    band = signal.butter(2, (5.0, 40.0), "bandpass", fs=100.0, output="sos")
    heard = []
    for filtered in (True, False):
        canvas = canvas_of(short(nights[0], 120.0), SITES[0], filtered=filtered)
        kinds()["snore"].render(canvas, event, 10.0)
        heard.append(np.sqrt(np.square(signal.sosfiltfilt(band, canvas.acc_g, axis=0)).mean()))
    assert heard[1] > 2.5 * heard[0] > 0


def test_series_of_legs_are_series(nights: list[Draft]) -> None:
    """Leg movements come at least four in a row, 10-90 s apart, and alike in direction."""
    events = [event for seed, night in enumerate(nights) for event in drawn("leg_movements", night, seed)]
    series = {event.detail for event in events}
    for one in series:
        starts = np.array([event.start_s for event in events if event.detail == one])
        assert np.all((np.diff(starts) > 9.99) & (np.diff(starts) < 90.01))
    assert np.median([sum(event.detail == one for event in events) for one in series]) >= 4


def test_the_table_feels_nothing_of_the_bed(nights: list[Draft]) -> None:
    """On the table no event of body or bed reaches a sensor; loose in the bed it feels the bed."""
    names = [name for name in kinds() if name != "dead_battery"]
    seen = {"on_table": 0, "fallen_into_bed": 0}
    for seed in range(4):
        for place in seen:
            others = [name for name in names if kinds()[name].origin != "wearing"]
            events = draw_happenings(seed, nights[seed], others, [place])
            spell = next(event for event in events if event.kind == place)
            number = int(np.argmax(spell.size_mg))
            during = [
                kinds()[event.kind].origin
                for event in events
                if event.size_mg[number] > 0 and event.wear == "worn"
                if spell.start_s <= event.start_s and event.end_s <= spell.end_s
            ]
            seen[place] += during.count("bed")
            assert set(during) <= ({"bed", "movement", "care"} if place == "fallen_into_bed" else set())
    assert seen["fallen_into_bed"] > 20
    assert seen["on_table"] == 0


@pytest.mark.parametrize("place", ["on_table", "fallen_into_bed"])
def test_a_sensor_off_the_body_loses_the_body(place: str, nights: list[Draft]) -> None:
    """The heart of the chest is gone while the sensor is off it, and there before; gravity stays 1 g."""
    night = replace(short(nights[0], 1800.0), sites=("left_chest",))
    heart, breath = drawn("heart", night, 1), drawn("breath", night, 1)
    (spell,) = drawn(place, night, 3)
    canvas = canvas_of(night, "left_chest")
    canvas.acc_g += gravity(np.random.default_rng(1), canvas.grid, [])
    render(canvas, [*heart, *breath, spell])
    assert np.isfinite(canvas.acc_g).all()
    band = signal.butter(2, (5.0, 30.0), "bandpass", fs=100.0, output="sos")
    heard = np.linalg.norm(signal.sosfiltfilt(band, canvas.acc_g, axis=0), axis=1)
    away = canvas.grid.window(spell.start_s + 15, spell.end_s - 15)
    assert np.percentile(heard[away], 90) < 0.3 * np.percentile(heard[: away.start - 2000], 90)
    assert np.median(np.linalg.norm(canvas.acc_g[away], axis=1)) == pytest.approx(1, abs=0.01)


@pytest.fixture(scope="module", params=["on_table", "put_on_late", "taken_off_early", "fallen_into_bed"])
def spell_night(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Truth]:
    """Simulate a quarter of an hour in which one of two sensors is not where it should be."""
    path = tmp_path_factory.mktemp(request.param) / "a.night"
    spec = NightSpec(seed=5, hours=0.25, sites=("left_calf", "right_forearm"), profile="many",
                     confounders=("breath", "heart", "gross_movement", "partner"),
                     forced=(request.param,), troubles=False)  # fmt: skip
    return path, simulate_night(path, spec=spec)


@pytest.mark.long
def test_wearing_works_from_the_night_to_the_coverage(spell_night: tuple[Path, Truth]) -> None:
    """The night is written and detected, without a true twitch while the sensor is off, and found to tile."""
    path, truth = spell_night
    (spell,) = truth.happenings[np.isin(truth.happenings["wear"], ("off_body", "in_bed"))]
    peaks = truth.twitches["peak_s"][truth.twitches["site"] == spell["site"]]
    assert len(peaks) > 5
    assert not np.any((peaks > spell["start_s"]) & (peaks < spell["end_s"]))
    night = open_night(path)
    detect_night(night)
    acc_g = np.concatenate([samples.acc_g for samples in night.read(str(spell["site"]))])
    assert np.isfinite(acc_g).all()


def test_a_dead_battery_sends_no_more(tmp_path: Path) -> None:
    """Samples end when the battery is empty, and the log says why."""
    spec = NightSpec(
        seed=2, hours=0.3, sites=("left_calf",), confounders=(), forced=("dead_battery",), troubles=False
    )
    truth = simulate_night(tmp_path / "a", spec=spec)
    (dead,) = truth.happenings
    night = open_night(tmp_path / "a")
    last_s = (night.stretches("left_calf")[-1].end_ns - night.start_ns) / 1e9
    assert last_s == pytest.approx(dead["start_s"], abs=1.0)
    assert [event.kind for event in night.events()] == ["connected", "lost"]
    assert not np.any(truth.twitches["peak_s"] > dead["start_s"] + 0.1)


@pytest.mark.parametrize("table", [kinds_table, chips_table, families_table])
def test_the_page_says_what_the_simulator_does(table: object) -> None:
    """The tables of docs/simulator.md are those that the simulator makes of itself."""
    assert callable(table)
    assert table() in PAGE


def test_families_can_be_chosen_as_the_page_shows(tmp_path: Path) -> None:
    """The code of docs/simulator.md makes a night of one shape, one chip and two kinds of events alone."""
    (code,) = re.findall(
        r"^    from firmware_host\.simulation import NightSpec.*?(?=\n\S)", PAGE, re.MULTILINE | re.DOTALL
    )
    made: dict[str, Any] = {"folder": tmp_path / "a.night"}
    exec(textwrap.dedent(code), made)
    assert set(made["truth"].twitches["shape"]) == {"two_lobes"}
    assert "heart" in set(made["truth"].happenings["kind"]) <= {"heart", "snore"}
    (sensor,) = open_night(made["folder"]).meta.sensors
    assert (sensor.model, sensor.fs_hz) == ("simulated LIS2DW12", 50)
