"""Small nights with twitches that were found, for tests of what follows: simulated, or made up row by row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import made_nights
import msgspec
import numpy as np

from firmware_host.analysis import detect_night
from firmware_host.analysis.findings import row_columns
from firmware_host.analysis.run_summary import SiteSummary, Summary
from firmware_host.recording import NightMeta, ResultsStore, RunInfo, SensorInfo, night_folder_name
from firmware_host.recording.night import write_meta
from firmware_host.simulation import NightSpec, simulate_night
from firmware_host.twitch_map import HourLimit, SiteLimit
from firmware_host.twitches import COVERAGE_COLUMNS, Kind, dtype_of

HOURS = 8.0
POINT = 0.8
LIMIT = SiteLimit(
    limit_mg=6.0,
    low_mg=5.5,
    high_mg=6.6,
    largest_mg=60.0,
    tried=400,
    found=350,
    middle_mg=4.5401,
    steepness=5.0,
    lapses=0.02,
    noise_mg_per_sqrt_hz=0.1,
    noise_power=1.0,
    hours=(HourLimit(0.0, 0.1, 6.0),),
)
"""A detection limit as it might be."""


def simulated_run(folder: Path, name: str = "2026-11-22T22-40-00_made.night", hours: float = 0.4) -> Path:
    """Simulate a night of two sites with many twitches, and find them."""
    path = folder / name
    spec = NightSpec(seed=3, hours=hours, sites=("left_calf", "right_thigh"), profile="many")
    simulate_night(path, spec=spec)
    detect_night(path)
    return path


def made_night(
    folder: Path,
    day: int,
    twitches: Mapping[str, int],
    *,
    start_ns: int = made_nights.START_NS,
    origin: str = "recorded",
    limit: SiteLimit | None = LIMIT,
    unconfirmed_s: float = 0.0,
    passes: int = 1,
    **run: str,
) -> Path:
    """Make a night of `HOURS` without samples, so many days on, with so many twitches at each site.

    At the first site wearing the sensor is not confirmed in the first `unconfirmed_s`.
    """
    start_ns += day * 86_400 * 10**9
    sensors = tuple(
        SensorInfo(
            index=index,
            site=site,
            fs_hz=100.0,
            g_per_count=0.122e-3,
            sample_type="int16",
            range_g=4.0,
            model=run.get("sensor", "made"),
            placement=run.get("placement", ""),
        )
        for index, site in enumerate(twitches)
    )
    meta = NightMeta(
        participant="P1",
        label=run.get("label", ""),
        origin=origin,  # type: ignore[arg-type]
        time_zone="Europe/Berlin",
        start_ns=start_ns,
        sensors=sensors,
        twitchmap="0.1.0",
    )
    path = folder / night_folder_name(start_ns, meta.time_zone, meta.label)
    path.mkdir(parents=True)
    write_meta(path, meta)
    add_run(
        path,
        start_ns,
        twitches,
        detector=run.get("detector", "twitchmap 0.1.0"),
        limit=limit,
        unconfirmed_s=unconfirmed_s,
        passes=passes,
    )
    return path


def add_run(
    path: Path,
    start_ns: int,
    twitches: Mapping[str, int],
    *,
    detector: str,
    limit: SiteLimit | None,
    unconfirmed_s: float,
    passes: int = 1,
) -> None:
    """Store a run of so many counted twitches at random times of each site, and a third more candidates."""
    rng = np.random.default_rng(start_ns % 2**32)
    end_s = 3600 * HOURS
    parts = []
    for site, count in twitches.items():
        rows = np.zeros(count + count // 3, dtype_of(row_columns()))
        rows["site"], rows["unit"] = site, -1
        rows["peak_s"] = np.sort(rng.uniform(1.0, end_s - 1.0, len(rows)))
        rows["onset_s"] = rows["peak_s"] - 0.02
        rows["duration_ms"], rows["dominant_hz"], rows["snr"] = 80.0, 14.0, 12.0
        rows["peak_to_peak_mg"] = rng.lognormal(np.log(12.0), 0.4, len(rows))
        rows["counted"][rng.permutation(len(rows))[:count]] = True
        rows["probability"] = np.where(rows["counted"], 0.95, 0.5)
        parts.append(rows)
    events = np.concatenate(parts)
    events["event_id"] = np.arange(len(events))
    coverage = np.zeros(2 * len(twitches), dtype_of(COVERAGE_COLUMNS))
    coverage["site"], coverage["kind"] = np.repeat(list(twitches), 2), Kind.VALID
    coverage["end_s"][::2], coverage["start_s"][1::2], coverage["end_s"][1::2] = 3600.0, 3600.0, end_s
    coverage["wear_unconfirmed"][0] = unconfirmed_s > 0
    coverage["end_s"][0] = coverage["start_s"][1] = unconfirmed_s or 3600.0
    summary = Summary(
        start_ns=start_ns,
        duration_s=end_s,
        sites=tuple(
            SiteSummary(site, 100.0, 100.0, {"valid": end_s}, count, 0.1, limit)
            for site, count in twitches.items()
        ),
        warnings=(),
        samples_sha256="",
    )
    info = RunInfo(
        run_id=f"{start_ns % 2**32:08x}",
        created_utc="2026-12-30T08:00:00.000+00:00",
        detector=detector,
        model="made 1",
        model_sha256="",
        operating_point="balanced",
        passes=passes,
        settings=json.dumps({"operating_points": {"balanced": POINT}}),
        summary=msgspec.json.encode(summary).decode(),
    )
    ResultsStore(path).write_run(info, row_columns(), events, COVERAGE_COLUMNS, coverage)
