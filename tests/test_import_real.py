"""Recordings of real sensors, imported; skipped where TWITCHMAP_REAL_DATA names no folder of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from made_tables import bring, rows, samples, times_s

from firmware_host.errors import BadFileError

FOLDER = os.environ.get("TWITCHMAP_REAL_DATA", "")
pytestmark = pytest.mark.skipif(not FOLDER, reason="TWITCHMAP_REAL_DATA names no folder of real recordings")

INJECTED = [f"chest{i:02d}_" for i in range(12)] + [f"static_r{i}" for i in range(4)]


def arrays(name: str) -> dict[str, npt.NDArray[np.generic]]:
    """Load a real file, or skip."""
    path = Path(FOLDER) / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in TWITCHMAP_REAL_DATA")
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def keys(name: str) -> list[str]:
    """Return the keys of the recordings in a real file."""
    return [key.removesuffix("_acc_g") for key in arrays(name) if key.endswith("_acc_g")]


@pytest.mark.parametrize("key", ["r0", "r1", "r2", "r3"])
def test_arrivals_in_bursts_become_an_even_axis(tmp_path: Path, key: str) -> None:
    """A motionless sensor with arrivals in bursts: each sample once, evenly, on its step of 1/4096 g."""
    real = arrays("mpu6050_static")
    night, found = bring(tmp_path, f"{FOLDER}/mpu6050_static.npz:{key}")
    assert (found.time_kind, found.gaps, found.sample_type) == ("arrivals", 0, "int16")
    assert found.g_per_count == 1 / 4096
    assert found.fs_hz == 100.0
    assert np.array_equal(samples(night), real[f"{key}_acc_g"])
    step_s = np.diff(times_s(night))
    assert step_s.min() > 0.0098
    assert step_s.max() < 0.0102
    late_s = real[f"{key}_t_arrival_s"] - real[f"{key}_t_arrival_s"][0] - times_s(night)
    assert late_s.min() > -0.03  # an arrival is late, never early


@pytest.mark.parametrize("prefix", INJECTED)
def test_real_rest_with_injected_twitches(tmp_path: Path, prefix: str) -> None:
    """Each recording comes back sample by sample, at the times of its own stamps."""
    real = arrays("injected_twitches")
    (key,) = (key for key in keys("injected_twitches") if key.startswith(prefix))
    night, found = bring(tmp_path, f"{FOLDER}/injected_twitches.npz:{key}")
    stamps = real[f"{key}_t_s"].astype(float)
    assert (found.time_kind, found.gaps, found.fs_hz) == ("samples", 0, 100.0)
    assert samples(night).tobytes() == real[f"{key}_acc_g"].tobytes()
    assert np.abs(times_s(night) - (stamps - stamps[0])).max() < 0.005


@pytest.mark.parametrize(
    ("name", "key", "fs_hz", "step_g"),
    [
        ("loggers_movement", "ax3_200hz", 197.0, 1 / 64),
        ("loggers_movement", "ax3_100hz", 98.9, 1 / 64),
        ("loggers_movement", "ax6_100hz", 98.4, 1 / 2048),
        ("wrist_activities_geneactiv_gpl", "geneactiv_100hz", 100.0, 1.0),
    ],
)
def test_real_loggers(tmp_path: Path, name: str, key: str, fs_hz: float, step_g: float) -> None:
    """Logger files show their measured rate and their step."""
    real = arrays(name)
    night, found = bring(tmp_path, f"{FOLDER}/{name}.npz:{key}")
    assert (found.time_kind, found.gaps, found.fs_hz) == ("samples", 0, fs_hz)
    assert found.g_per_count == pytest.approx(step_g)
    assert np.array_equal(samples(night), real[f"{key}_acc_g"])
    stamps = real[f"{key}_t_s"].astype(float)
    assert np.abs(times_s(night) - (stamps - stamps[0])).max() < 0.05  # the AX3 jumps by 1.5 % at its start


@pytest.mark.parametrize(
    ("source", "array", "rate_hz"),
    [
        ("lowerback_activities.npz", "acc_g", 100.0),
        ("plux_acc.npz:hand_shake", "hand_shake_acc_g", 1000.0),
    ],
)
def test_recordings_without_time(tmp_path: Path, source: str, array: str, rate_hz: float) -> None:
    """Files without time need --rate, and get the rate that is given."""
    real = arrays(source.split(".")[0])
    with pytest.raises(Exception, match="--rate"):
        bring(tmp_path, f"{FOLDER}/{source}")
    night, found = bring(tmp_path, f"{FOLDER}/{source}", rate_hz=rate_hz)
    assert np.allclose(samples(night), real[array], rtol=0, atol=1e-6)
    assert times_s(night)[-1] == pytest.approx((len(real[array]) - 1) / rate_hz, abs=1e-3)
    assert found.time_kind == "none"


@pytest.mark.parametrize(("subject", "as_csv"), [(0, False), (40, False), (80, True), (110, True)])
def test_people_at_rest_one_recording_at_a_time(tmp_path: Path, subject: int, as_csv: bool) -> None:
    """Phones on chests, as archives and as CSV: times stay within a few ms of the phone's own stamps."""
    real = arrays("chest_rest_mscardio")
    first, stop = real["rec_offsets"][subject : subject + 2].astype(int)
    stamps, acc = real["t_s"][first:stop].astype(float), real["acc_g"][first:stop]
    path = tmp_path / ("rest.csv" if as_csv else "rest.npz")
    if as_csv:
        path.write_text("time_s,ax,ay,az\n" + rows([f"{t:.6f}" for t in stamps], acc.astype(float), digits=7))
    else:
        np.savez(path, t_s=stamps, acc_g=acc)
    night, found = bring(tmp_path, path)
    assert np.allclose(samples(night), acc, rtol=0, atol=1e-6)
    assert found.time_kind == "samples"
    assert found.rate_hz == pytest.approx(1 / np.median(np.diff(stamps)), rel=0.02)
    assert np.abs(times_s(night) - (stamps - stamps[0])).max() < 0.05  # the AX3 jumps by 1.5 % at its start


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("mpu6050_static.npz", "the keys are r0, r1, r2, r3"),
        ("injected_twitches.npz:chest", "the keys are chest00_"),
        ("plux_acc.npz:dev1", "three axes"),
        ("tmg_twitches.npz", "no acc_g"),
        ("chest_rest_mscardio.npz", "runs back|rate changes"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, source: str, sentence: str) -> None:
    """Files of several recordings, of one axis, of other things: the sentence says what they hold."""
    arrays(source.split(".")[0])
    with pytest.raises(BadFileError, match=sentence):
        bring(tmp_path, f"{FOLDER}/{source}")
    assert not list(tmp_path.iterdir())
