"""Time, memory and size of exporting a long night with many events, by format.

    python benchmarks/exporting.py [--hours 8] [--sites 8] [--fs 200] [--events 300000] [--format csv edf ...]

Each export runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from firmware_host import body, formats
from firmware_host.analysis import SiteSummary, Summary
from firmware_host.formats.exporting import export
from firmware_host.formats.leaving import Choices
from firmware_host.recording import NightMeta, ResultsStore, RunInfo, SensorInfo, create_night, open_night
from firmware_host.twitches import (
    COVERAGE_COLUMNS,
    COVERAGE_DTYPE,
    EVENT_COLUMNS,
    EVENT_DTYPE,
    Kind,
    table,
)

START_NS = 1_792_877_400 * 10**9
STRETCH_S = 20.0


def write_night(folder: Path, hours: float, sites: int, fs_hz: float, events: int) -> None:
    """Write a made-up night of noise whose sensors run at rates of their own, with a run."""
    sensors = tuple(
        SensorInfo(index=i, site=site, fs_hz=fs_hz, g_per_count=0.122e-3, sample_type="int16", range_g=4.0)
        for i, site in enumerate(list(body.SITES)[:sites])
    )
    meta = NightMeta(
        participant="P1", label="made", origin="simulated", time_zone="Europe/Berlin", start_ns=START_NS,
        sensors=sensors, twitchmap="0",
    )  # fmt: skip
    rng, block = np.random.default_rng(1), round(fs_hz)
    noise = np.rint(rng.normal((100, -4000, 7000), 4, (64 * block, 3))).astype(np.int16)
    with create_night(folder, meta) as writer:
        for second in range(round(hours * 3600)):
            for i in range(sites):
                first, rate_hz = second * block, fs_hz * (1 + 0.002 * i)
                at_ns, part = round((first + block) / rate_hz * 1e9), (second * 137 + i * 31) % (63 * block)
                writer.append_samples(
                    i, noise[part : part + block], first, arrival_mono_ns=at_ns,
                    arrival_utc_ns=START_NS + at_ns,
                )  # fmt: skip
    write_run(folder, events // sites)


def write_run(folder: Path, events: int) -> None:
    """Store a run with so many events a site, and coverage that changes every 20 s."""
    night, rng = open_night(folder), np.random.default_rng(2)
    found, covered = [], []
    edges = np.append(np.arange(0, night.duration_s - STRETCH_S, STRETCH_S), night.duration_s)
    for site in night.sites:
        peak_s = np.sort(rng.uniform(1, night.duration_s - 60, events))
        found.append(
            table(EVENT_DTYPE, events, site=site, peak_s=peak_s, onset_s=peak_s - 0.03, duration_ms=80.0,
                  peak_to_peak_mg=20.0, snr=10.0, dominant_hz=10.0, probability=0.9, counted=True)
        )  # fmt: skip
        covered.append(
            table(COVERAGE_DTYPE, len(edges) - 1, site=site, start_s=edges[:-1], end_s=edges[1:],
                  kind=np.where(np.arange(len(edges) - 1) % 2, Kind.MOVEMENT, Kind.VALID))
        )  # fmt: skip
    sites = tuple(SiteSummary(site, 0.0, 0.0, {}, events, None) for site in night.sites)
    summary = Summary(START_NS, night.duration_s, sites, (), "")
    info = RunInfo(
        run_id="made", created_utc="2026-01-01T00:00:00+00:00", detector="none", model="none 1",
        model_sha256="", operating_point="balanced", passes=1, settings="{}",
        summary=msgspec.json.encode(summary).decode(),
    )  # fmt: skip
    rows = np.concatenate(found)
    rows["event_id"] = np.arange(len(rows))
    ResultsStore(folder).write_run(info, EVENT_COLUMNS, rows, COVERAGE_COLUMNS, np.concatenate(covered))


def measure(folder: Path, form: str, out: Path) -> None:
    """Export once and print what it took."""
    began_s = time.perf_counter()
    done = export([folder], out, form, Choices(samples=form == "parquet"))
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time()
    status = Path("/proc/self/status").read_text().splitlines()  # getrusage counts who forked us
    peak_mb = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
    size_mb = sum(file.stat().st_size for file in done.files) / 1e6
    print(f"{form:8} {wall_s:7.1f} s ({cpu_s:.1f} s of CPU)  peak {peak_mb:5.0f} MB  files {size_mb:6.0f} MB")


def main() -> None:
    """Make the night and export it to each format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--sites", type=int, default=8)
    parser.add_argument("--fs", type=float, default=200.0)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--format", nargs="+", default=formats.names("export"))
    parser.add_argument("--night", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.night:
            measure(asked.night, asked.format[0], Path(folder) / "out")
            return
        night = Path(folder) / "made.night"
        write_night(night, asked.hours, asked.sites, asked.fs, asked.events)
        for form in asked.format:
            subprocess.run([sys.executable, __file__, "--night", str(night), "--format", form], check=True)


if __name__ == "__main__":
    main()
