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
from firmware_host.simulation import DEFAULT_SITES, TRUTH_COLUMNS, Parameters, simulate_night, write_truth
from firmware_host.simulation.twitches import (
    FINE_HZ,
    draw_firings,
    draw_units,
    truth_of,
    twitch_shape,
)
from firmware_host.twitches import MERGE_S, Table

QUIET = Parameters(
    movements_per_h=0, small_movements_per_h=0, losses_per_h=0, stall_share=0, heart_mg_leg=(0.01, 0.02),
    noise_ug_per_sqrt_hz=(20, 21), rates_per_min=(30.0,),
)  # fmt: skip


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Night, Table]:
    """Half an hour on the four sites of the demo."""
    path = tmp_path_factory.mktemp("simulated") / "a.night"
    truth = simulate_night(path, hours=0.5, seed=3)
    return open_night(path), truth


def norm_of(stretch: Stretch) -> tuple[np.ndarray, np.ndarray]:
    """Return time in UTC ns and zero-phase 3-45 Hz signal, mg (n, 3), of a stretch without gaps."""
    acc_g = np.concatenate([chunk for _, chunk in stretch.chunks()])
    band = signal.butter(4, (3, 45), "bandpass", fs=stretch.fs_hz, output="sos")
    return stretch.time_ns(np.arange(len(acc_g))), 1000 * signal.sosfiltfilt(band, acc_g, axis=0)


def test_the_same_seed_gives_the_same_night(tmp_path: Path) -> None:
    """Samples and truth repeat with the seed, and differ with another."""
    truths = [
        simulate_night(tmp_path / name, hours=0.1, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    counts = [
        [samples.counts for site in DEFAULT_SITES for samples in open_night(tmp_path / name).read(site)]
        for name in "abc"
    ]
    assert np.array_equal(truths[0], truths[1])
    assert all(np.array_equal(one, other) for one, other in zip(counts[0], counts[1], strict=True))
    assert len(truths[0]) != len(truths[2]) or not np.array_equal(truths[0], truths[2])


def test_truth_lies_where_the_signal_is(tmp_path: Path) -> None:
    """The band-passed norm peaks at the time of the truth, and swings as far as the truth says."""
    truth = simulate_night(tmp_path / "a", hours=0.2, sites=["left_calf"], seed=5, parameters=QUIET)
    night = open_night(tmp_path / "a")
    time_errors, size_ratios = [], []
    for stretch in night.stretches("left_calf"):
        time_ns, swing_mg = norm_of(stretch)
        time_s = (time_ns - night.start_ns) / 1e9
        strength = np.linalg.norm(swing_mg, axis=1)
        alone = np.diff(truth["peak_s"], prepend=-9, append=1e9)
        for row in truth[(truth["d"] > 30) & (alone[:-1] > 1) & (alone[1:] > 1)]:
            at = int(np.searchsorted(time_s, row["peak_s"]))
            if 100 < at < len(time_s) - 100:
                near = slice(at - 60, at + 60)
                time_errors.append(time_s[near][np.argmax(strength[near])] - row["peak_s"])
                main = np.linalg.eigh(swing_mg[near].T @ swing_mg[near])[1][:, -1]
                size_ratios.append(np.ptp(swing_mg[near] @ main) / row["peak_to_peak_mg"])
    assert len(time_errors) > 40
    assert np.median(np.abs(time_errors)) < 0.010
    assert np.mean(np.abs(time_errors) < 0.030) > 0.95
    assert np.median(size_ratios) == pytest.approx(1, abs=0.05)


def test_truths_of_a_site_are_in_order_and_apart(simulated: tuple[Night, Table]) -> None:
    """Twitches closer than 60 ms are one truth, and every truth has numbers that can be."""
    _, truth = simulated
    assert truth.dtype.names == tuple(column.name for column in TRUTH_COLUMNS)
    for site in DEFAULT_SITES:
        assert np.all(np.diff(truth["peak_s"][truth["site"] == site]) >= MERGE_S)
    assert np.all(truth["peak_to_peak_mg"] > 0)
    assert np.all(truth["d"] > 0)


def test_energy_and_d_belong_together(simulated: tuple[Night, Table]) -> None:
    """Size d = sqrt(2 E) / nd with one noise density a site, which is at least that of the chip."""
    _, truth = simulated
    for site in DEFAULT_SITES:
        own = truth[truth["site"] == site]
        density = np.sqrt(2 * own["energy_mg2s"]) / own["d"]
        assert np.ptp(density) < 1e-6
        assert np.all(density > 0.06)


def test_rates_are_what_was_asked_for() -> None:
    """Over many nights the firings come at the asked rate, and the truth merges what is one movement."""
    plain = replace(Parameters(), doublet_share=0, run_unit_share=0)
    counts = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        counts.append(len(draw_firings(rng, plain, draw_units(rng, plain), 10.0, 1.0).start_s))
    assert np.mean(counts) == pytest.approx(600, rel=0.15)
    rng = np.random.default_rng(1)
    doublets = replace(Parameters(), doublet_share=1.0, run_unit_share=0)
    units = draw_units(rng, doublets)
    firings = draw_firings(rng, doublets, units, 10.0, 1.0)
    peaks = truth_of(firings, units)[0]
    assert len(peaks) < 0.55 * len(firings.start_s)


def test_a_twitch_has_the_spectrum_of_a_measured_one() -> None:
    """A twitch of order 4 with a rise of 50 ms has its peak near 10 Hz and next to nothing above 45 Hz."""
    power = np.abs(np.fft.rfft(twitch_shape(0.05, 4, 1.0, 20.0, 0.3, 0.0))) ** 2
    at_hz = np.arange(len(power)) * FINE_HZ / (2 * (len(power) - 1))
    assert at_hz[np.argmax(power)] == pytest.approx(10.4, abs=1.5)
    assert power[at_hz > 45].sum() < 0.01 * power.sum()


def test_sensors_are_as_sensors_are(simulated: tuple[Night, Table]) -> None:
    """True rates are off the nominal one, samples get lost, one sensor reconnects and one is long away."""
    night, _ = simulated
    assert night.meta.origin == "simulated"
    assert night.damage == ()
    rates = [night.stretches(site)[0].fs_hz for site in DEFAULT_SITES]
    assert all(1 < abs(rate - 100) + 1 < 4 for rate in rates)
    assert len({round(rate, 1) for rate in rates}) == 4
    assert [len(night.stretches(site)) for site in DEFAULT_SITES] == [2, 2, 1, 1]
    first, second = night.stretches(DEFAULT_SITES[1])
    assert second.start_ns - first.end_ns == pytest.approx(1800e9 / 16, rel=0.05)
    kinds = [event.kind for event in night.events()]
    assert kinds.count("connected") == 6
    assert kinds.count("lost") == 2


def test_gravity_is_one_g_and_turns(simulated: tuple[Night, Table]) -> None:
    """The mean acceleration of every quiet second is 1 g, in more than one direction over the night."""
    night, _ = simulated
    for site in DEFAULT_SITES:
        acc_g = np.concatenate([samples.acc_g for samples in night.read(site)])
        seconds = acc_g[: len(acc_g) // 100 * 100].reshape(-1, 100, 3).mean(axis=1)
        assert np.median(np.linalg.norm(seconds, axis=1)) == pytest.approx(1, abs=0.01)
        assert np.ptp(seconds, axis=0).max() > 0.1


def test_a_sensor_on_the_table_feels_no_body(simulated: tuple[Night, Table]) -> None:
    """The third sensor lies on the table for a twelfth of the night: gravity, chip noise and no truth."""
    night, truth = simulated
    samples = night.read(DEFAULT_SITES[2])
    z = np.concatenate([part.acc_g[:, 2] for part in samples])
    time_s = np.concatenate([(part.time_ns - night.start_ns) / 1e9 for part in samples])
    flat = np.convolve(np.abs(z - 1) < 0.02, np.ones(3000), "same") > 2995
    assert flat.sum() / 100 > 100
    own = truth["peak_s"][truth["site"] == DEFAULT_SITES[2]]
    table_s = time_s[flat]
    assert not np.any((own > table_s[0]) & (own < table_s[-1]))


def test_truth_is_written_as_csv(tmp_path: Path, simulated: tuple[Night, Table]) -> None:
    """The file has one row a truth under the declared names, times to 0.1 ms."""
    _, truth = simulated
    write_truth(tmp_path / "truth.csv", truth)
    with (tmp_path / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["site"] for row in rows] == truth["site"].tolist()
    assert [float(row["peak_s"]) for row in rows] == pytest.approx(truth["peak_s"].tolist(), abs=1e-4)
    assert [int(row["unit"]) for row in rows] == truth["unit"].tolist()


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
