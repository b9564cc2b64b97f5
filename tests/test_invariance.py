"""What must not matter to the counts of a whole night: sampling rate, how samples came in, how a sensor lay.

Judged as `twitchmap detect` does, by the standard model with both passes; nights are simulated.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from firmware_host.analysis import find_candidates, judge, load_model
from firmware_host.recording import NightMeta, SensorInfo, create_night, open_night
from firmware_host.simulation import NightSpec, simulate_night
from firmware_host.twitches import Table

pytestmark = pytest.mark.lasts_s(20)

SITES = ("left_calf", "right_forearm")
POINTS = ("specific", "balanced", "sensitive")
START_NS = 1_768_426_800_000_000_000
FS_HZ = 100.0
Samples = npt.NDArray[np.float32]


def body(folder: Path, fs_hz: float, hours: float) -> Path:
    """Simulate a body that twitches often, with everything that can disturb, at a sampling rate."""
    spec = NightSpec(seed=1, hours=hours, fs_hz=fs_hz, profile="many", sites=SITES,
                     chips=("LSM6DSOX",) * len(SITES), troubles=False)  # fmt: skip
    simulate_night(folder, spec=spec)
    return folder


def judged(folder: Path) -> Table:
    """Return what both passes of the standard model make of a night."""
    model, _ = load_model("standard")
    return judge(find_candidates(folder, model.search_score), model)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Samples]:
    """Return twelve minutes of each site, (n, 3) in g."""
    night = open_night(body(tmp_path_factory.mktemp("body") / "a.night", FS_HZ, 0.2))
    return {site: np.concatenate([part.acc_g for part in night.read(site)]) for site in SITES}


def written(folder: Path, samples: dict[str, Samples], cuts_s: npt.NDArray[np.float64]) -> Table:
    """Record samples in blocks that end at some times, each as its last sample is taken; judge the night."""
    sensors = tuple(
        SensorInfo(index=number, site=site, fs_hz=FS_HZ, g_per_count=1.0, sample_type="float32")
        for number, site in enumerate(samples)
    )
    meta = NightMeta(participant="p", label="", origin="simulated", time_zone="UTC", start_ns=START_NS,
                     sensors=sensors, twitchmap="0")  # fmt: skip
    with create_night(folder, meta) as writer:
        edges = np.rint(np.append(cuts_s, 1e6) * FS_HZ).astype(int)
        for first, stop in zip(np.append(0, edges), edges, strict=False):
            for number, acc_g in enumerate(samples.values()):
                block = acc_g[first:stop]
                if len(block):
                    at_ns = round((first + len(block)) / FS_HZ * 1e9)
                    writer.append_samples(number, block, int(first), arrival_mono_ns=at_ns,
                                          arrival_utc_ns=START_NS + at_ns)  # fmt: skip
    return judged(folder)


@pytest.fixture(scope="module")
def usual(samples: dict[str, Samples], tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Judge the night as it comes in, second by second."""
    return written(tmp_path_factory.mktemp("usual") / "a.night", samples, np.arange(1.0, 800.0))


@pytest.mark.long
def test_the_sampling_rate_hardly_matters(tmp_path: Path) -> None:
    """One body at 100, 200 and 416 Hz has the same counts within 2 %, at each operating point."""
    model, _ = load_model("standard")
    counts = []
    for fs_hz in (100.0, 200.0, 416.0):
        found = find_candidates(body(tmp_path / f"{fs_hz:g}", fs_hz, 0.35), model.search_score)
        counts.append([judge(found, model, point)["counted"].sum() for point in POINTS])
    assert np.min(counts) > 2000
    assert (np.max(counts, axis=0) <= 1.02 * np.min(counts, axis=0)).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_how_samples_came_in_does_not_matter(
    samples: dict[str, Samples], usual: Table, tmp_path: Path, seed: int
) -> None:
    """Blocks of any length, from three samples to minutes, give the same events to the bit."""
    cuts_s = np.random.default_rng(seed).exponential(5.0, 250).clip(0.03, 600.0).cumsum()
    other = written(tmp_path / "a.night", samples, cuts_s)
    assert usual["counted"].sum() > 500
    for name in ("site", "score", "probability", "counted", "unit", "reason"):
        np.testing.assert_array_equal(other[name], usual[name])
    np.testing.assert_allclose(other["peak_s"], usual["peak_s"], rtol=0, atol=1e-3)


def test_how_a_sensor_lay_does_not_matter(samples: dict[str, Samples], usual: Table, tmp_path: Path) -> None:
    """Sensors that are stuck on another way round give the same events, but for a few at the point itself."""
    turned = {
        site: (acc_g @ Rotation.random(random_state=number).as_matrix().T).astype(np.float32)
        for number, (site, acc_g) in enumerate(samples.items())
    }
    other = written(tmp_path / "a.night", turned, np.arange(1.0, 800.0))
    for site in SITES:
        here, there = (rows["peak_s"][rows["counted"] & (rows["site"] == site)] for rows in (usual, other))
        near = np.abs(here[:, None] - there).min(axis=1) < 0.02
        assert len(there) == pytest.approx(len(here), rel=0.02)
        assert near.mean() > 0.98
