"""Nights with trouble for tests of exports, and readers that share no code with what they read."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from made_nights import MONO_NS, meta, numbers

from firmware_host.analysis import SiteSummary, Summary
from firmware_host.recording import ResultsStore, RunInfo, create_night, open_night
from firmware_host.twitches import (
    COVERAGE_COLUMNS,
    COVERAGE_DTYPE,
    EVENT_COLUMNS,
    EVENT_DTYPE,
    Kind,
    Table,
    table,
)

SIGNAL_FORMATS = ("edf", "parquet", "bids")
FS_HZ = 100
BLOCK_S = 5
SLEPT_S = 7200
STANDARD_GRAVITY = 9.80665


def troubled_night(folder: Path, start_ns: int, **changes: Any) -> Path:
    """Write a night of 20 min, 2 h in which the computer slept, and 20 min more; one sensor died after 5 min.

    Samples lie at whole hundredths of seconds after the start. Sensor 0 (left_calf) lacks 5 s at minute 10.
    """
    fields = {"origin": "imported", "start_ns": start_ns} | changes
    with create_night(folder, meta(2, **fields)) as writer:

        def block(sensor: int, second: int, first: int, slept_s: int) -> None:
            mono_ns = (second + BLOCK_S) * 10**9 - 10**7
            writer.append_samples(
                sensor, numbers(sensor, first, BLOCK_S * FS_HZ), first,
                arrival_mono_ns=MONO_NS + mono_ns,
                arrival_utc_ns=start_ns + mono_ns + slept_s * 10**9,
            )  # fmt: skip

        for second in range(0, 1200, BLOCK_S):
            if second != 600:
                block(0, second, second * FS_HZ, 0)
            if second < 300:
                block(1, second, second * FS_HZ, 0)
            if second == 305:
                at_ns = second * 10**9
                writer.append_event("lost", 1, start_ns + at_ns, MONO_NS + at_ns, reason="AA:BB:CC:DD:EE:FF")
        at_ns, slept_ns = 1200 * 10**9, SLEPT_S * 10**9
        writer.append_event("suspended", None, start_ns + at_ns + slept_ns, MONO_NS + at_ns, seconds=SLEPT_S)
        writer.append_event("connected", 0, start_ns + at_ns + slept_ns, MONO_NS + at_ns)
        for second in range(1200, 2400, BLOCK_S):
            block(0, second, (second - 1200) * FS_HZ, SLEPT_S)
        at_ns = 100 * 10**9
        writer.append_event("mark", None, start_ns + at_ns, MONO_NS + at_ns, text="MARKSECRET felt one")
    end_s = 2400.0 + SLEPT_S
    events = table(
        EVENT_DTYPE, 4, event_id=np.arange(4), site=["left_calf"] * 3 + ["right_calf"],
        peak_s=[60.05, 1100.25, 8500.5, 200.75], onset_s=[60.0, 1100.2, 8500.45, 200.7], duration_ms=120.0,
        peak_to_peak_mg=[10, 20, 30, 40], snr=20.0, dominant_hz=12.0, probability=0.9, counted=True,
    )  # fmt: skip
    coverage = table(
        COVERAGE_DTYPE, 5, site=["left_calf"] * 3 + ["right_calf"] * 2,
        start_s=[0, 1200, 8400, 0, 300], end_s=[1200, 8400, end_s, 300, end_s],
        kind=[Kind.VALID, Kind.GAP, Kind.VALID, Kind.VALID, Kind.GAP],
    )  # fmt: skip
    store_run(folder, events, coverage)
    return folder


def store_run(folder: Path, events: Table, coverage: Table, **changes: Any) -> None:
    """Store a run of known events and coverage."""
    night = open_night(folder)
    seconds = {
        site: {
            kind.name.lower(): float((rows["end_s"] - rows["start_s"])[rows["kind"] == kind].sum())
            for kind in Kind
        }
        for site in night.sites
        for rows in [coverage[coverage["site"] == site]]
    }
    summary = Summary(
        start_ns=night.start_ns, duration_s=night.duration_s, warnings=(), samples_sha256=night.log_sha256(),
        sites=tuple(SiteSummary(site, FS_HZ, FS_HZ, seconds[site], 0, 0.1) for site in night.sites),
    )  # fmt: skip
    info = RunInfo(
        **{
            "run_id": "known", "created_utc": "2026-10-25T08:00:00.000+00:00", "detector": "test 1",
            "model": "OWNMODELSECRET 1", "model_sha256": "0123456789ab", "operating_point": "balanced",
            "passes": 1, "settings": "{}", "summary": msgspec.json.encode(summary).decode(),
        }
        | changes
    )  # fmt: skip
    ResultsStore(folder).write_run(info, EVENT_COLUMNS, events, COVERAGE_COLUMNS, coverage)


@dataclass
class Back:
    """What a file says: UTC seconds of onsets by site and of stretches, and samples in g with their times."""

    onsets: dict[str, list[float]] = field(default_factory=dict)
    local: list[str] = field(default_factory=list)
    """Local date and time of the first event, to the second, where the format has it."""
    stretches: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    """By site and kind: start and end."""
    samples: dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = field(default_factory=dict)
    """Times (n,) s and (n, 3) g."""


def utc(text: str) -> float:
    """Return the seconds since 1970 of an ISO 8601 text with its offset."""
    return datetime.fromisoformat(text).timestamp()


def read_csv(out: Path, night: str) -> Back:
    """Read the tables of one night with the csv module."""
    back = Back()
    start_s = next(
        one for one in json.loads((out / "night.json").read_text())["nights"] if one["night"] == night
    )
    with (out / "events.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["night"] == night and row["counted"] == "1":
                back.onsets.setdefault(row["site"], []).append(utc(row["onset_utc"]))
                back.local.append(row["onset_local"])
    with (out / "coverage.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["night"] == night:
                times = tuple(start_s["start_ns"] / 1e9 + float(row[name]) for name in ("start_s", "end_s"))
                back.stretches.setdefault((row["site"], row["kind"]), []).append(times)
    return back


def read_parquet(out: Path, night: str) -> Back:
    """Read the tables and samples of one night with pandas."""
    pd = pytest.importorskip("pandas")
    back = Back()
    known = json.loads((out / "night.json").read_text())["nights"]
    start_s = next(one for one in known if one["night"] == night)["start_ns"] / 1e9
    events = pd.read_parquet(out / "events.parquet").query("night == @night and counted")
    assert str(events["onset_utc"].dtype) == "datetime64[ms, UTC]"
    for site, rows in events.groupby("site"):
        back.onsets[site] = (rows["onset_utc"].astype("int64") / 1000).tolist()
    back.local = events["onset_local"].tolist()
    coverage = pd.read_parquet(out / "coverage.parquet").query("night == @night")
    for (site, kind), rows in coverage.groupby(["site", "kind"]):
        times = zip(start_s + rows["start_s"], start_s + rows["end_s"], strict=True)
        back.stretches[site, kind] = list(times)
    for path in out.glob("samples_*.parquet"):
        samples = pd.read_parquet(path)
        for site, rows in samples.groupby("site", observed=True):
            times = rows["time_utc"].astype("int64").to_numpy() / 1e9
            back.samples[site] = times, rows[["ax_g", "ay_g", "az_g"]].to_numpy()
    return back


def read_edf(out: Path, night: str) -> Back:
    """Read the file of one night with EDFlib."""
    pyedflib = pytest.importorskip("pyedflib")
    back = Back()
    with pyedflib.EdfReader(str(out / f"{night.removesuffix('.night')}.edf")) as file:
        start = file.getStartdatetime()
        offset = file.getHeader()["recording_additional"].split()[1]  # behind the zone
        start_s = utc(f"{start.isoformat()}{offset}")
        for onset, lasts, text in zip(*file.readAnnotations(), strict=True):
            kind, _, site = str(text).rpartition(" ")
            at_s = start_s + float(onset)
            if kind == "twitch":
                back.onsets.setdefault(site, []).append(at_s)
                back.local.append((start + timedelta(seconds=float(onset))).isoformat() + offset)
            elif str(text).startswith("no samples "):
                back.stretches.setdefault((str(text).split()[2], "no_samples"), []).append(
                    (at_s, at_s + lasts)
                )
            else:
                back.stretches.setdefault((site, kind), []).append((at_s, at_s + float(lasts)))
        for first in range(0, file.signals_in_file, 4):
            site = file.getSignalHeader(first)["transducer"].split()[1]
            there = file.readSignal(first + 3) > 0.5
            assert {file.getSignalHeader(first + axis)["dimension"] for axis in range(3)} == {"g"}
            axes = [file.readSignal(first + axis) for axis in range(3)]
            times = start_s + np.flatnonzero(there) / file.getSampleFrequency(first)
            back.samples[site] = times, np.stack([axis[there] for axis in axes], axis=1)
    return back


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Read a table of tabs."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def read_bids(out: Path, night: str) -> Back:
    """Read the session of one night as its tables say."""
    back = Back()
    side = next(
        path
        for path in out.glob("sub-*/ses-*/motion/*_events.json")
        if json.loads(path.read_text())["Night"] == night
    )
    for scan in read_tsv(next(side.parents[1].glob("*_scans.tsv"))):
        start_s = datetime.fromisoformat(scan["acq_time"]).replace(tzinfo=UTC).timestamp()
        path = side.parents[1] / scan["filename"]
        channels = read_tsv(Path(str(path).replace("_motion.tsv", "_channels.tsv")))
        assert [row["type"] for row in channels] == ["ACCEL"] * 3 + ["LATENCY"]
        assert {row["units"] for row in channels[:3]} == {"m/s^2"}
        numbers = np.loadtxt(path, delimiter="\t", ndmin=2)
        back.samples[channels[0]["tracked_point"]] = (
            start_s + numbers[:, 3],
            numbers[:, :3] / STANDARD_GRAVITY,
        )
    for row in read_tsv(side.with_suffix(".tsv")):
        at_s = start_s + float(row["onset"])
        if row["trial_type"] == "twitch":
            back.onsets.setdefault(row["site"], []).append(at_s)
        else:
            times = (at_s, at_s + float(row["duration"]))
            back.stretches.setdefault((row["site"], row["trial_type"]), []).append(times)
    return back


READERS = {"csv": read_csv, "parquet": read_parquet, "edf": read_edf, "bids": read_bids}
