"""A night whose run has known events and coverage, without any detection: for tests of what shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from made_nights import MONO_NS, meta

from firmware_host.analysis import SiteSummary, Summary
from firmware_host.recording import ResultsStore, RunInfo, SensorInfo, create_night, open_night
from firmware_host.twitches import (
    COVERAGE_COLUMNS,
    COVERAGE_DTYPE,
    EVENT_COLUMNS,
    EVENT_DTYPE,
    Flag,
    Kind,
    Reason,
    table,
)

FS_HZ = 50.0
AUTUMN_NS = 1_792_877_400 * 10**9
"""2026-10-24 23:30 in Berlin; in this night clocks are put back from 03:00 to 02:00."""
SITES = ("left_forearm", "right_thigh", "left_calf")
HOURS = 4


def counted_night(folder: Path, *, start_ns: int = AUTUMN_NS, **changes: Any) -> Path:
    """Write a night of 4 h on three sites, a twitch every 30 s on the calf and every 300 s on the thigh.

    The calf moves from 0:20 to 0:40 and is not worn from 1:00 to 2:00; wearing the thigh's sensor is not
    confirmed from 3:00 on; the forearm has nothing to show but the first 6 minutes. Two marks.
    """
    sensors = tuple(
        SensorInfo(index=i, site=site, fs_hz=FS_HZ, g_per_count=0.122e-3, sample_type="int16", range_g=4.0)
        for i, site in enumerate(SITES)
    )
    fields = {"origin": "imported", "label": "known", "start_ns": start_ns, "sensors": sensors} | changes
    n, block_s = int(HOURS * 3600), 30
    noise = np.random.default_rng(1).normal((100, -4000, 7000), 6, (block_s * int(FS_HZ), 3))
    with create_night(folder, meta(1, **fields)) as writer:
        for second in range(0, n, block_s):
            for index in range(len(SITES)):
                counts = noise.copy()
                if index == 2:  # the calf's twitch, 10 s into the block
                    counts[500:505, 1] += np.array([100, 200, -200, -100, 50])
                at_ns = (second + block_s) * 10**9
                writer.append_samples(
                    index,
                    np.rint(counts).astype(np.int16),
                    int(second * FS_HZ),
                    arrival_mono_ns=MONO_NS + at_ns,
                    arrival_utc_ns=start_ns + at_ns,
                )
        for at_s, text in ((4000, "felt <b>one</b>"), (1000, "cramp")):
            writer.append_event("mark", None, start_ns + at_s * 10**9, MONO_NS + at_s * 10**9, text=text)
    add_run(folder)
    return folder


def add_run(folder: Path, run_id: str = "known") -> None:
    """Store the run of a counted night."""
    night = open_night(folder)
    end_s = night.duration_s
    calf, thigh = np.arange(10.0, 14_400, 30), np.arange(100.0, 14_400, 300)
    parts = [_events("right_thigh", thigh), _events("left_calf", calf)]
    parts[1]["probability"][1::7] = 0.2
    parts[1]["counted"][1::7] = False
    parts[1]["flags"][1::7] = Flag.BELOW_FLOOR
    parts[1]["reason"][1::7] = Reason.NOISE
    rows = np.concatenate(parts)
    rows["event_id"] = np.arange(len(rows))
    coverage = np.concatenate(
        [
            _cover("left_forearm", [(0, 360, Kind.VALID), (360, end_s, Kind.GAP)]),
            _cover("right_thigh", [(0, end_s, Kind.VALID)]),
            _cover(
                "left_calf",
                [
                    (0, 1200, Kind.VALID), (1200, 2400, Kind.MOVEMENT), (2400, 3600, Kind.VALID),
                    (3600, 7200, Kind.NOT_WORN), (7200, end_s, Kind.VALID),
                ],
            ),
        ]
    )  # fmt: skip
    thigh_rows = np.flatnonzero(coverage["site"] == "right_thigh")
    late = coverage[thigh_rows].copy()
    late["start_s"], late["wear_unconfirmed"] = 10_800, True
    coverage["end_s"][thigh_rows] = 10_800
    coverage = np.insert(coverage, thigh_rows[-1] + 1, late)
    summary = Summary(
        start_ns=night.start_ns,
        duration_s=end_s,
        sites=tuple(SiteSummary(site, FS_HZ, FS_HZ, _seconds(coverage, site), 0, 0.1) for site in SITES),
        warnings=("left_forearm: below 90 samples a second fast twitches are seen weakened.",),
        samples_sha256=night.log_sha256(),
    )
    info = RunInfo(
        run_id=run_id, created_utc="2026-10-25T08:00:00.000+00:00", detector="test 1", model="test 1",
        model_sha256="", operating_point="balanced", passes=1, settings="{}",
        summary=msgspec.json.encode(summary).decode(),
    )  # fmt: skip
    ResultsStore(folder).write_run(info, EVENT_COLUMNS, rows, COVERAGE_COLUMNS, coverage)


def _seconds(coverage: np.ndarray[Any, Any], site: str) -> dict[str, float]:
    rows = coverage[coverage["site"] == site]
    lengths_s = rows["end_s"] - rows["start_s"]
    return {kind.name.lower(): float(lengths_s[rows["kind"] == kind].sum()) for kind in Kind}


def _events(site: str, peak_s: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return table(
        EVENT_DTYPE, len(peak_s), site=site, peak_s=peak_s, onset_s=peak_s - 0.04, duration_ms=80.0,
        peak_to_peak_mg=20.0, snr=14.0, dominant_hz=10.0, probability=0.95, counted=True,
    )  # fmt: skip


def _cover(site: str, stretches: list[tuple[float, float, Kind]]) -> np.ndarray[Any, Any]:
    start_s, end_s, kind = zip(*stretches, strict=True)
    return table(COVERAGE_DTYPE, len(kind), site=site, start_s=start_s, end_s=end_s, kind=kind)
