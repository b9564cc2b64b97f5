"""A night with samples and a stored run whose every event is known, for tests of labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import firmware_host as tm
from firmware_host import analysis
from firmware_host.analysis import SiteSummary, Summary, row_columns
from firmware_host.detection.signals import twitch_acceleration
from firmware_host.recording import NightMeta, ResultsStore, RunInfo, SensorInfo, create_night
from firmware_host.recording.labels import add_label
from firmware_host.twitches import COVERAGE_COLUMNS, COVERAGE_DTYPE, Flag, Kind, Table, dtype_of, table

START_NS = 1_795_386_600_000_000_000  # 2026-11-22 23:30 in Berlin
FS_HZ = 100.0
NIGHT_S = 600.0
SITES = ("left_calf", "right_thigh.2")
CALF, THIGH = SITES
MOVING_S = (300.0, 330.0)
"""The calf moves: no detector finds a candidate there."""
POINT = 0.8
TWITCH_MG = 40.0


def events(n_each: int = 120, seed: int = 1) -> Table:
    """Return candidates of both sites, apart by 0.5 s and more, about half of which count."""
    rng = np.random.default_rng(seed)
    parts = []
    for site in SITES:
        slots = np.sort(rng.choice(np.arange(4, int(NIGHT_S) * 2 - 4), n_each, replace=False))
        peak_s = np.round(slots / 2 + rng.uniform(0, 0.1, n_each), 2)
        probability = np.where(rng.random(n_each) < 0.5, rng.beta(2, 3, n_each), rng.beta(8, 1, n_each))
        part = table(
            dtype_of(row_columns()), n_each, site=site, peak_s=peak_s, onset_s=peak_s - 0.03,
            duration_ms=90.0,
            peak_to_peak_mg=rng.lognormal(3, 0.5, n_each), snr=rng.uniform(8, 40, n_each),
            dominant_hz=rng.uniform(5, 25, n_each), probability=probability,
            score=rng.uniform(5.5, 30, n_each), counted=probability >= POINT,
        )  # fmt: skip
        for name in ("rise_ms", "linearity", "low_share", "high_share", "heart_match"):
            part[name] = rng.random(n_each)
        parts.append(part)
    rows = np.concatenate(parts)
    rows = rows[(rows["site"] != SITES[0]) | (rows["peak_s"] < MOVING_S[0]) | (rows["peak_s"] >= MOVING_S[1])]
    rows["event_id"] = np.arange(len(rows))
    rows["flags"] = np.where(rows["counted"], 0, Flag.BELOW_FLOOR)
    return rows


def coverage() -> Table:
    """Return coverage: the calf moves for a while, the thigh lies too still to know whether it was worn."""
    return table(
        COVERAGE_DTYPE, 5,
        site=[SITES[0]] * 3 + [SITES[1]] * 2,
        start_s=[0, *MOVING_S, 0, 400], end_s=[*MOVING_S, NIGHT_S, 400, NIGHT_S],
        kind=[Kind.VALID, Kind.MOVEMENT, Kind.VALID, Kind.VALID, Kind.VALID],
        wear_unconfirmed=[False, False, False, False, True],
    )  # fmt: skip


def write_samples(folder: Path, rows: Table) -> None:
    """Write a night of noise with a twitch at each event, along x at the calf and y at the thigh."""
    rng = np.random.default_rng(2)
    sensors = tuple(
        SensorInfo(index=i, site=site, fs_hz=FS_HZ, g_per_count=1e-4, sample_type="int16", range_g=3.0)
        for i, site in enumerate(SITES)
    )
    meta = NightMeta(
        participant="P1", label="made", origin="simulated", time_zone="Europe/Berlin", start_ns=START_NS,
        sensors=sensors, twitchmap="test",
    )  # fmt: skip
    time_s = np.arange(int(NIGHT_S * FS_HZ)) / FS_HZ
    wave = twitch_acceleration(np.arange(-50, 100) / FS_HZ + 0.05, 0.05)
    wave *= TWITCH_MG * 10 / np.abs(wave).max()
    with create_night(folder, meta) as writer:
        for info in sensors:
            counts = rng.normal((0, 0, 10_000), 3, (len(time_s), 3))
            for at_s in rows["peak_s"][rows["site"] == info.site]:
                first = round(at_s * FS_HZ) - int(np.argmax(np.abs(wave)))
                counts[first : first + len(wave), info.index] += wave
            for first in range(0, len(counts), 500):
                at_ns = round((first + 499) / FS_HZ * 1e9)
                writer.append_samples(
                    info.index, counts[first : first + 500].astype(np.int16), first,
                    arrival_mono_ns=at_ns, arrival_utc_ns=START_NS + at_ns,
                )  # fmt: skip


def write_run(folder: Path, rows: Table, run_id: str = "run1", **changes: Any) -> None:
    """Store a run of these candidates."""
    sites = tuple(
        SiteSummary(
            site, FS_HZ, FS_HZ, {"valid": NIGHT_S}, int(rows["counted"][rows["site"] == site].sum()), 0.05
        )
        for site in SITES
    )
    summary = Summary(start_ns=START_NS, duration_s=NIGHT_S, sites=sites, warnings=(), samples_sha256="abc")
    points = {"specific": 0.9, "balanced": POINT, "sensitive": 0.5}
    info = RunInfo(
        **{
            "run_id": run_id, "created_utc": "2026-11-23T08:00:00+00:00", "detector": "twitchmap 0",
            "model": "standard 1", "model_sha256": "0", "operating_point": "balanced", "passes": 1,
            "settings": json.dumps({"operating_points": points, "frame": 3}),
            "summary": msgspec.json.encode(summary).decode(),
        }
        | changes
    )  # fmt: skip
    ResultsStore(folder).write_run(info, row_columns(), rows, COVERAGE_COLUMNS, coverage())


def made_night(folder: Path) -> Path:
    """Make a night of few samples with a run of many events."""
    write_samples(folder, events(0))
    write_run(folder, events())
    return folder


def judged_night(folder: Path, n_each: int = 120) -> Path:
    """Make a night with samples and a run."""
    rows = events(n_each)
    write_samples(folder, rows)
    write_run(folder, rows)
    return folder


def ns(peak_s: object) -> list[int]:
    """Return UTC times of seconds of the night."""
    times: list[int] = (START_NS + np.rint(np.atleast_1d(peak_s) * 1e9).astype(np.int64)).tolist()
    return times


def label(night: Path, what: str, peak_s: object, site: str = CALF, **more: object) -> None:
    """Label events of a site."""
    add_label(night, what=what, drawn="event", peaks_ns={site: ns(peak_s)}, **more)  # type: ignore[arg-type]


def load(night: Path, **options: bool) -> analysis.Run:
    """Load the newest run."""
    return tm.load_run(tm.open(night), **options)


def of(events: Table, site: str = CALF) -> Table:
    """Return the rows of a site."""
    return events[events["site"] == site]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a night with samples and a run."""
    return judged_night(tmp_path_factory.mktemp("nights") / "a.night")


@pytest.fixture
def night(made: Path, tmp_path: Path) -> Path:
    """Copy it for a test that changes it."""
    return Path(shutil.copytree(made, tmp_path / made.name))
