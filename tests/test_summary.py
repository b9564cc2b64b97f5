"""The morning summary says where a sensor's times are unsure, and is silent about an ordinary night."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from made_nights import MONO_NS, START_NS, append, meta

from firmware_host.capture.summary import SensorSummary, summarise, text
from firmware_host.recording import create_night, open_night

Floats = npt.NDArray[np.float64]
FS_HZ = 104.0
BLOCK = 104
RUN_S = 1800


def taken_at(rate_hz: Floats) -> Floats:
    """Return when the last sample of each block of about a second was taken (s), of a rate by sample."""
    return np.asarray(np.cumsum(1.0 / rate_hz)[BLOCK - 1 :: BLOCK])


def summary_of(
    folder: Path, taken_s: Floats, late_s: Floats, model: str = "oba"
) -> tuple[SensorSummary, str]:
    """Write a night whose blocks were taken and came late like this; return what is said of its sensor."""
    sensor = msgspec.structs.replace(meta().sensors[0], fs_hz=FS_HZ, model=model)
    arrival_s = np.maximum.accumulate(taken_s + late_s)
    with create_night(folder, meta(sensors=(sensor,)), lambda: (MONO_NS, START_NS)) as writer:
        for block, after_ns in enumerate(np.rint(arrival_s * 1e9).astype(np.int64).tolist()):
            at = {"arrival_mono_ns": MONO_NS + after_ns, "arrival_utc_ns": START_NS + after_ns}
            append(writer, 0, BLOCK * block, BLOCK, **at)
    summary = summarise(folder)
    return summary.sensors[0], text(summary)


@pytest.mark.long
@pytest.mark.parametrize("change", [-0.06, -0.01, 0.01, 0.06])
def test_a_rate_that_changes_at_once_is_said(tmp_path: Path, change: float) -> None:
    """A rate that changes by 1 % or more at once leaves times wrong: the summary says by about how much."""
    rate_hz = np.where(np.arange(RUN_S * BLOCK) < RUN_S * BLOCK // 2, FS_HZ, FS_HZ * (1 + change))
    taken_s = taken_at(rate_hz)
    late_s = np.random.default_rng(1).exponential(0.02, len(taken_s))
    said, words = summary_of(tmp_path / "a.night", taken_s, late_s)
    (stretch,) = open_night(tmp_path / "a.night").stretches("left_calf")
    last = np.arange(BLOCK - 1, stretch.n, BLOCK)
    wrong_ms = float(np.abs((stretch.time_ns(last) - START_NS) / 1e6 - taken_s * 1e3).max())

    assert wrong_ms > 100
    assert said.unsure_ms is not None
    assert 0.8 * wrong_ms < said.unsure_ms < 2.5 * wrong_ms
    assert f"at no steady rate: times are unsure by {said.unsure_ms:.0f} ms." in words


def lateness(kind: str, n: int) -> Floats:
    """Return by how much blocks of a second are late, s."""
    rng = np.random.default_rng(len(kind))
    if kind == "interval":
        return rng.uniform(0, 0.2, n)
    late_s = rng.exponential(0.05 if kind == "exponential" else 0.02, n)
    if kind == "stalls":  # up to half a minute of blocks come at once
        for start in rng.integers(0, n, 8).tolist():
            until = min(n, start + int(rng.integers(3, 30)))
            late_s[start:until] += np.arange(until - start, 0, -1.0)
    return np.asarray(late_s)


@pytest.mark.long
@pytest.mark.parametrize("warming", [0.0, 0.001])
@pytest.mark.parametrize("kind", ["exponential", "interval", "stalls"])
def test_an_ordinary_night_is_not_called_unsure(tmp_path: Path, kind: str, warming: float) -> None:
    """However late the arrivals of a rate off the nominal are, and while it warms up, nothing is said."""
    at_s = np.arange(RUN_S * BLOCK) / FS_HZ
    taken_s = taken_at(FS_HZ * 1.03 * (1 - warming * np.exp(-at_s / 1200)))
    said, words = summary_of(tmp_path / "a.night", taken_s, lateness(kind, len(taken_s)))

    assert said.unsure_ms is None
    assert "unsure" not in words


def test_samples_lost_without_a_number_are_said(tmp_path: Path) -> None:
    """Samples without numbers that are lost at once leave a step in the arrivals, which is said as such."""
    taken_s = np.arange(1, RUN_S + 1.0)
    taken_s[RUN_S // 2 :] += 0.25
    said, words = summary_of(tmp_path / "a.night", taken_s, np.full(RUN_S, 0.01), "witmotion")

    assert said.unsure_ms == pytest.approx(250, rel=0.2)
    assert "does not number its samples and some seem to be lost" in words
