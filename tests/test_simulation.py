"""Simulated nights: the same from the same seed, with the truth where the signal is."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from firmware_host.errors import BadValueError, NotEmptyError
from firmware_host.recording import Night, Stretch, open_night
from firmware_host.simulation import (
    DEFAULT_SITES,
    EVERYDAY,
    SIMULATOR_VERSION,
    TRUTH_COLUMNS,
    NightSpec,
    Parameters,
    Truth,
    demonstration,
    simulate_night,
    write_happenings,
    write_truth,
)
from firmware_host.simulation.bodies import Grid
from firmware_host.simulation.radio import Troubles
from firmware_host.simulation.truth import density_mg
from firmware_host.simulation.twitches import draw_firings, draw_units, site_rates, truth_of
from firmware_host.simulation.virtual_body import VirtualBody
from firmware_host.twitches import MERGE_S

PLAIN = NightSpec(confounders=(), troubles=False)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Night, Truth]:
    """Half an hour on the four sites of the demo."""
    path = tmp_path_factory.mktemp("simulated") / "a.night"
    truth = simulate_night(path, spec=demonstration(3, 0.5))
    return open_night(path), truth


def norm_of(stretch: Stretch) -> tuple[np.ndarray, np.ndarray]:
    """Return time in UTC ns and zero-phase 3-45 Hz signal, mg (n, 3), of a stretch without gaps."""
    acc_g = np.concatenate([chunk for _, chunk in stretch.chunks()])
    band = signal.butter(4, (3, 45), "bandpass", fs=stretch.fs_hz, output="sos")
    return stretch.time_ns(np.arange(len(acc_g))), 1000 * signal.sosfiltfilt(band, acc_g, axis=0)


def test_the_same_seed_gives_the_same_night(tmp_path: Path) -> None:
    """Every byte of log and truth repeats with the seed, and samples differ with another."""
    made = [
        simulate_night(tmp_path / name, hours=0.1, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    truths = [one.twitches for one in made]
    assert np.array_equal(made[0].happenings, made[1].happenings)
    logs = [(tmp_path / name / "samples.log").read_bytes() for name in "abc"]
    assert np.array_equal(truths[0], truths[1])
    assert logs[0] == logs[1] != logs[2]
    assert len(truths[0]) != len(truths[2]) or not np.array_equal(truths[0], truths[2])


def misses(night: Night, truth: Truth, site: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each stretch how late (s) large lone twitches peak, and their size against the truth's."""
    rows = truth.twitches[truth.twitches["site"] == site]
    apart = np.diff(rows["peak_s"], prepend=-9, append=1e9)
    rows = rows[(rows["d"] > 30) & (apart[:-1] > 1) & (apart[1:] > 1)]
    found = []
    for stretch in night.stretches(site):
        time_ns, swing_mg = norm_of(stretch)
        time_s = (time_ns - night.start_ns) / 1e9
        strength, pairs = np.linalg.norm(swing_mg, axis=1), []
        for row in rows[(rows["peak_s"] > time_s[100]) & (rows["peak_s"] < time_s[-100])]:
            at = int(np.searchsorted(time_s, row["peak_s"]))
            near = slice(at - 60, at + 60)
            main = np.linalg.eigh(swing_mg[near].T @ swing_mg[near])[1][:, -1]
            pairs.append((time_s[near][np.argmax(strength[near])] - row["peak_s"],
                          np.ptp(swing_mg[near] @ main) / row["peak_to_peak_mg"]))  # fmt: skip
        found.append((np.array([one for one, _ in pairs]), np.array([other for _, other in pairs])))
    return found


def test_truth_lies_where_the_signal_is(tmp_path: Path) -> None:
    """The band-passed norm peaks at the time of the truth, and swings as far as the truth says."""
    spec = replace(PLAIN, hours=1.0, sites=("left_calf",), seed=6, chips=("ICM-42688-P",))
    truth = simulate_night(tmp_path / "a", spec=spec)
    [(late_s, ratio)] = misses(open_night(tmp_path / "a"), truth, "left_calf")
    assert len(late_s) > 20
    # Some shapes swing to and fro almost alike, so noise decides which of two swings peaks.
    assert np.median(np.abs(late_s)) < 0.011
    assert np.mean(np.abs(late_s) < 0.030) > 0.95
    assert np.median(ratio) == pytest.approx(1, abs=0.05)


def test_truth_keeps_its_time_through_troubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that drifts, lost links and a sensor that starts anew leave the truth where the signal is."""
    troubles = Troubles(loss_share=(0.0, 0.0), bad_night_share=0.0, reconnects_per_h=4.0, reboot_share=1.0)
    monkeypatch.setattr("firmware_host.simulation.night.Troubles", lambda: troubles)
    spec = NightSpec(seed=8, hours=1.5, sites=("left_calf",), chips=("LSM6DSOX",), profile="many",
                     confounders=(), rate_scale=2.0)  # fmt: skip
    truth = simulate_night(tmp_path / "a", spec=spec)
    night = open_night(tmp_path / "a")
    found = misses(night, truth, "left_calf")
    assert "restarted" in [event.kind for event in night.events()]
    assert len(found) > 3
    assert sum(len(late_s) for late_s, _ in found) > 50
    assert all(np.median(np.abs(late_s)) < 0.020 for late_s, _ in found if len(late_s) > 4)


def test_truths_of_a_site_are_in_order_and_apart(simulated: tuple[Night, Truth]) -> None:
    """Twitches closer than 60 ms are one truth, and every truth has numbers that can be."""
    truth = simulated[1].twitches
    assert truth.dtype.names == tuple(column.name for column in TRUTH_COLUMNS)
    for site in DEFAULT_SITES:
        assert np.all(np.diff(truth["peak_s"][truth["site"] == site]) >= MERGE_S)
    assert np.all(truth["peak_to_peak_mg"] > 0)
    assert np.all(truth["d"] > 0)


def test_energy_and_d_belong_together(simulated: tuple[Night, Truth]) -> None:
    """Size d = sqrt(2 E) / nd with one noise density a site, which is at least that of the chip."""
    truth = simulated[1].twitches
    for site in DEFAULT_SITES:
        own = truth[truth["site"] == site]
        density = np.sqrt(2 * own["energy_mg2s"]) / own["d"]
        assert np.ptp(density) < 1e-6
        assert np.all(density > 0.06)


def test_rates_are_what_was_asked_for() -> None:
    """Over many nights the firings come at the asked rate, whatever the units' firing types."""
    counts = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        units = draw_units(rng, Parameters(), ["gamma"], 5)
        counts.append(len(draw_firings(rng, Parameters(), units, 10.0, 1.0).start_s))
    assert np.mean(counts) == pytest.approx(600, rel=0.15)


def test_doublets_are_one_truth() -> None:
    """Two firings 4-7 ms apart are one movement of the skin and one truth, which says that it holds two."""
    rng = np.random.default_rng(1)
    twice = replace(
        Parameters(), axonal_share=1.0, doublet_unit_share=1.0, doublet_share=1.0, late_pair_share=0
    )
    units = draw_units(rng, twice, ["gamma"], 3)
    firings = draw_firings(rng, twice, units, 10.0, 1.0)
    peaks, _, _, _, count = truth_of(firings, units)
    assert len(peaks) < 0.55 * len(firings.start_s)
    assert count.sum() == len(firings.start_s)
    assert np.mean(count == 2) > 0.9


def test_units_that_fire_in_runs_do_so_every_80_ms() -> None:
    """Neuronal units have a preferred interval of about 80 ms, axonal ones none (Kleine 2008)."""
    intervals = {}
    for share in (0.0, 1.0):
        rng = np.random.default_rng(2)
        p = replace(Parameters(), axonal_share=share, late_pair_share=0)
        times = draw_firings(rng, p, draw_units(rng, p, ["gamma"], 1), 20.0, 4.0).start_s
        gaps = np.diff(times)
        intervals[share] = np.mean((gaps > 0.06) & (gaps < 0.10))
        assert gaps.min() >= (0.004 if share else 0.017)
    assert intervals[0.0] > 0.2
    assert intervals[1.0] < 0.05


@pytest.mark.long
def test_sensors_on_one_muscle_share_twitches(tmp_path: Path) -> None:
    """Of the twitches of two sensors on one muscle 14-44 % come together (de Carvalho & Swash 2013), of two
    muscles next to none; the first sensor's are what they are without the second."""
    sites, shares = ("left_calf", "left_calf.2", "left_shin"), []
    for seed in range(4):
        spec = replace(PLAIN, seed=seed, hours=0.5, sites=sites, profile="many", rate_scale=0.5)
        truth = simulate_night(tmp_path / f"{seed}", spec=spec).twitches
        one, two, other = (truth["peak_s"][truth["site"] == site] for site in sites)
        far = [np.abs(one[:, None] - there).min(axis=1) for there in (two, other)]
        shares.append([np.mean(apart < 0.05) for apart in far])
        alone = simulate_night(tmp_path / f"{seed}.1", spec=replace(spec, sites=sites[:1])).twitches
        assert np.array_equal(alone["peak_s"], one)
    assert 0.10 < np.mean(shares, axis=0)[0] < 0.5
    assert np.mean(shares, axis=0)[1] < 0.06


def test_a_virtual_body_is_the_simulated_one(tmp_path: Path) -> None:
    """Virtual sensors, two on one muscle too, feel the twitches of a simulated night of their seed."""
    sites = ("left_calf", "left_calf.2")
    body = VirtualBody(sites, hours=0.5, seed=2, profile="many")
    truth = simulate_night(tmp_path / "n", spec=replace(body.spec, confounders=(), troubles=False)).twitches
    for site in sites:
        one = truth["peak_s"][truth["site"] == site]
        assert len(one) > 100
        assert np.isin(one, body.truth(site, 0.1)["peak_s"]).all()


def test_profiles_differ_in_rate() -> None:
    """Sites with many twitches have about 20 a minute, those of a quiet profile 0.05-0.5."""
    rng = np.random.default_rng(1)
    rates = {name: site_rates(rng, name, ["calf", "forearm"] * 200) for name in ("many", "few", "quiet")}
    assert 15 < np.median(rates["many"]) < 27
    assert rates["quiet"].min() >= 0.05
    assert rates["quiet"].max() <= 0.5
    assert rates["few"][::2].min() >= 2 > 1 >= rates["few"][1::2].max()


def test_a_body_does_not_depend_on_the_sampling_rate(tmp_path: Path) -> None:
    """One seed gives the same twitches and happenings at 60 and 416 Hz, and the same slow signal."""
    truths: list[Truth] = []
    slow: list[list[float]] = []
    for fs_hz in (60.0, 416.0):
        spec = NightSpec(seed=4, hours=0.1, sites=("left_chest",), profile="many", fs_hz=fs_hz,
                         chips=("ICM-42688-P",), confounders=EVERYDAY, troubles=False)  # fmt: skip
        truths.append(simulate_night(tmp_path / f"{fs_hz:g}", spec=spec))
        parts = open_night(tmp_path / f"{fs_hz:g}").read("left_chest")
        time_s = np.concatenate([part.time_ns for part in parts]) / 1e9
        z = np.concatenate([part.acc_g[:, 2] for part in parts])
        slow.append(
            [
                z[np.searchsorted(time_s, at) :][: round(fs_hz)].mean()
                for at in time_s[0] + np.arange(20, 340, 1.0)
            ]
        )
    assert np.array_equal(truths[0].happenings, truths[1].happenings)
    assert np.array_equal(truths[0].twitches["peak_s"], truths[1].twitches["peak_s"])
    first, second = np.array(slow)
    assert np.median(np.abs(first - second)) < 0.002
    assert np.corrcoef(first, second)[0, 1] > 0.99


@pytest.mark.parametrize("fs_hz", [50.0, 100.0, 416.0])
def test_the_density_of_white_noise_is_its_own(fs_hz: float) -> None:
    """100 ug per root Hz measures 0.1 mg per root Hz at any rate, also beside a time off the body."""
    noise_g = 1e-4 * np.sqrt(fs_hz / 2) * np.random.default_rng(1).standard_normal((round(200 * fs_hz), 3))
    noise_g[: round(90 * fs_hz)] = 0.0
    grid = Grid(0.0, fs_hz, len(noise_g))
    assert density_mg(noise_g.astype(np.float32), grid, [(0.0, 90.0)]) == pytest.approx(0.1, rel=0.03)


def test_happenings_are_written_as_csv(tmp_path: Path) -> None:
    """One row for each event and site that it reached, with the simulator's version."""
    truth = simulate_night(tmp_path / "a", hours=0.1, seed=2)
    write_happenings(tmp_path / "h.csv", truth.happenings)
    with (tmp_path / "h.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["site"], row["kind"]) for row in rows] == truth.happenings[["site", "kind"]].tolist()
    assert {row["simulator"] for row in rows} == {str(SIMULATOR_VERSION)}
    assert str(SIMULATOR_VERSION) in open_night(tmp_path / "a").meta.note


def test_sensors_are_as_sensors_are(simulated: tuple[Night, Truth]) -> None:
    """True rates are off the nominal one, samples get lost, one sensor reconnects and one is long away."""
    night, _ = simulated
    assert night.meta.origin == "simulated"
    assert night.damage == ()
    rates = [night.stretches(site)[0].fs_hz for site in DEFAULT_SITES]
    assert all(94 < rate < 106 for rate in rates)
    assert len({round(rate, 1) for rate in rates}) == 4
    assert [len(night.stretches(site)) for site in DEFAULT_SITES] == [2, 2, 1, 1]
    first, second = night.stretches(DEFAULT_SITES[1])
    assert second.start_ns - first.end_ns == pytest.approx(1800e9 / 16, rel=0.05)
    kinds = [event.kind for event in night.events()]
    assert kinds.count("connected") == 6
    assert kinds.count("lost") == 2


def test_gravity_is_one_g_and_turns(simulated: tuple[Night, Truth]) -> None:
    """The mean acceleration of every quiet second is 1 g, in more than one direction over the night."""
    night, _ = simulated
    for site in DEFAULT_SITES:
        acc_g = np.concatenate([samples.acc_g for samples in night.read(site)])
        seconds = acc_g[: len(acc_g) // 100 * 100].reshape(-1, 100, 3).mean(axis=1)
        assert np.median(np.linalg.norm(seconds, axis=1)) == pytest.approx(1, abs=0.08)
        assert np.ptp(seconds, axis=0).max() > 0.1


def test_a_sensor_on_the_table_feels_no_body(simulated: tuple[Night, Truth]) -> None:
    """The third sensor lies on the table for a twelfth of the night: no truth, and hardly a movement."""
    night, truth = simulated
    (off,) = truth.happenings[truth.happenings["wear"] == "off_body"]
    assert off["site"] == DEFAULT_SITES[2]
    assert off["end_s"] - off["start_s"] == pytest.approx(1800 / 12, rel=0.05)
    samples = night.read(DEFAULT_SITES[2])
    time_s = np.concatenate([(part.time_ns - night.start_ns) / 1e9 for part in samples])
    inside = (time_s > off["start_s"] + 15) & (time_s < off["end_s"] - 15)
    lying = np.concatenate([part.acc_g for part in samples])[inside]
    assert np.all(np.percentile(np.abs(lying - np.median(lying, axis=0)), 90, axis=0) < 0.01)
    own = truth.twitches["peak_s"][truth.twitches["site"] == DEFAULT_SITES[2]]
    assert not np.any((own > off["start_s"]) & (own < off["end_s"]))


def test_truth_is_written_as_csv(tmp_path: Path, simulated: tuple[Night, Truth]) -> None:
    """The file has one row a truth under the declared names, times to 0.1 ms."""
    truth = simulated[1].twitches
    write_truth(tmp_path / "truth.csv", truth)
    with (tmp_path / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["site"] for row in rows] == truth["site"].tolist()
    assert [float(row["peak_s"]) for row in rows] == pytest.approx(truth["peak_s"].tolist(), abs=1e-4)
    assert [int(row["unit"]) for row in rows] == truth["unit"].tolist()
    assert [row["shape"] for row in rows] == truth["shape"].tolist()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"hours": 0.0}, "lasts"),
        ({"hours": float("nan")}, "lasts"),
        ({"fs_hz": 10.0}, "samples at"),
        ({"seed": -1}, "seed"),
        ({"sites": ["left_calf", "left_calf"]}, "once"),
        ({"sites": []}, "needs sites"),
        ({"sites": ["left_elbo"]}, "no body site"),
        ({"time_zone": "Mars/Olympus"}, "time zone"),
        ({"profile": "heavy"}, "it knows many, few, quiet"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    tmp_path: Path, settings: dict[str, object], sentence: str
) -> None:
    """A wrong setting gets a sentence and leaves nothing behind."""
    with pytest.raises(BadValueError, match=sentence):
        simulate_night(tmp_path / "a", **{"hours": 0.05, **settings})  # type: ignore[arg-type]
    assert not (tmp_path / "a").exists()


def test_a_night_is_never_written_over_another(tmp_path: Path) -> None:
    """A target that holds something is refused and left as it was."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("mine")
    with pytest.raises(NotEmptyError):
        simulate_night(tmp_path / "a", hours=0.05)
    assert (tmp_path / "a" / "mine.txt").read_text() == "mine"


def test_an_interrupted_simulation_leaves_nothing(tmp_path: Path) -> None:
    """What was written until Ctrl-C is removed."""

    def interrupt(share: float) -> None:
        if share > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_night(tmp_path / "a", hours=0.1, progress=interrupt)
    assert not (tmp_path / "a").exists()
