"""Small nights for tests: metadata and samples that can be told apart, and what a night gives back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.recording import Night, NightMeta, NightWriter, SensorInfo, create_night

START_NS = 1_795_386_600_123_456_789  # 2026-11-22 23:30 in Berlin
MONO_NS = 55_000_000_000
FS_HZ = 100.0


def meta(n_sensors: int = 1, **changes: Any) -> NightMeta:
    """Return metadata of a night of int16 sensors at 100 Hz."""
    sites = (
        "left_calf",
        "right_calf",
        "left_thigh",
        "right_thigh",
        "left_calf.2",
        "left_chest",
        "left_shin",
        "right_shin",
    )
    sensor: dict[str, Any] = {"fs_hz": FS_HZ, "g_per_count": 0.122e-3, "sample_type": "int16", "range_g": 4.0}
    fields: dict[str, Any] = {
        "participant": "P1", "label": "test", "origin": "recorded", "time_zone": "Europe/Berlin",
        "start_ns": START_NS, "twitchmap": "0.1.0",
        "sensors": tuple(SensorInfo(index=i, site=sites[i], **sensor) for i in range(n_sensors)),
    }  # fmt: skip
    return NightMeta(**(fields | changes))


def numbers(sensor: int, first: int, n: int) -> npt.NDArray[np.int16]:
    """Return samples that tell sensor and counter: noise around gravity, alike for the same counter."""
    counter = np.arange(first, first + n)[:, None] * 3 + np.arange(3) + 7919 * sensor
    noise = (counter * 2_654_435_761 % 2**32) >> 27
    return (noise + np.array([100, -4000, 7000])).astype(np.int16)


def append(writer: NightWriter, sensor: int, first: int, n: int = 100, **times: Any) -> None:
    """Append samples that `numbers` makes, arriving when they would at 100 Hz, or as told."""
    after = round((first + n - 1) / FS_HZ * 1e9) + 20_000_000
    times = {"arrival_mono_ns": MONO_NS + after, "arrival_utc_ns": START_NS + after} | times
    writer.append_samples(sensor, numbers(sensor, first, n), first, **times)


def clock() -> tuple[int, int]:
    """Return the time at which made-up nights start."""
    return MONO_NS, START_NS


def begin_night(folder: Path, n_sensors: int = 1) -> NightWriter:
    """Make a night whose clock is that of its made-up arrivals."""
    return create_night(folder, meta(n_sensors), clock)


def log_event(writer: NightWriter, kind: str, sensor: int | None, after_s: float, **details: Any) -> None:
    """Log an event so many seconds after the start."""
    after = round(after_s * 1e9)
    writer.append_event(kind, sensor, START_NS + after, MONO_NS + after, **details)


def small_night(folder: Path, blocks: int = 40, n_sensors: int = 2) -> Path:
    """Write a night of so many blocks a sensor, one second each, in turn, with events between."""
    with create_night(folder, meta(n_sensors)) as writer:
        for block in range(blocks):
            for sensor in range(n_sensors):
                append(writer, sensor, 100 * block)
            if block % 10 == 5:
                after = block * 1_000_000_000
                writer.append_event("battery", 0, START_NS + after, MONO_NS + after, percent=90 - block)
    return folder


def quiet_night(folder: Path, origin: str = "imported", day: int = 0) -> Path:
    """Write a night of ten minutes on two sites, so many days later, whose times are all its own."""
    later_ns = day * 86_400 * 10**9
    with create_night(folder, meta(2, origin=origin, start_ns=START_NS + later_ns)) as writer:
        for block in range(600):
            after_ns = (block + 1) * 10**9 + later_ns
            for sensor in range(2):
                append(
                    writer,
                    sensor,
                    100 * block,
                    arrival_utc_ns=START_NS + after_ns,
                    arrival_mono_ns=MONO_NS + after_ns,
                )
    return folder


def counters(night: Night, site: str) -> set[int]:
    """Return the counters of all samples of a site, after checking that each sample is what was written."""
    sensor = night.meta.sensor(site).index
    found: set[int] = set()
    for stretch in night.stretches(site):
        for index, counts in stretch.count_chunks(max_samples=777):
            first = stretch.run.first + index
            np.testing.assert_array_equal(counts, numbers(sensor, first, len(counts)))
            new = set(range(first, first + len(counts)))
            assert not new & found, "a sample came twice"
            found |= new
    return found
