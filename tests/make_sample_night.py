"""Make the sample night that pins version 1 of the night format: `python tests/make_sample_night.py`.

It was made once and is committed; its log must never be made again, or it would prove nothing. It holds what
the format knows: both sample types, every way of coding, stamps, device times, a gap, events, two sessions,
and a torn block.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from firmware_host.recording import NightMeta, SensorInfo, continue_night, create_night

FOLDER = Path(__file__).parents[1] / "recordings" / "samples" / "2026-11-22T23-30-00_format-1.night"
START_NS = 1_795_386_600_000_000_000
MONO_NS = 1_000_000_000_000
S = 1_000_000_000
META = NightMeta(
    participant="nobody",
    label="format 1",
    origin="simulated",
    time_zone="Europe/Berlin",
    start_ns=START_NS,
    twitchmap="0.1.0",
    note="made by tests/make_sample_night.py; random numbers, nobody's movements",
    sensors=(
        SensorInfo(
            index=0,
            site="left_calf",
            fs_hz=100.0,
            g_per_count=0.000122,
            sample_type="int16",
            range_g=4.0,
            model="made up",
            serial="A1",
            firmware="1.0",
            placement="middle of the muscle",
        ),
        SensorInfo(
            index=1, site="right_calf", fs_hz=50.0, g_per_count=1.0, sample_type="float32", clock="stamps"
        ),
        SensorInfo(
            index=7, site="left_calf.2", fs_hz=100.0, g_per_count=0.001, sample_type="int16", range_g=16.0
        ),
    ),
)


def main(folder: Path = FOLDER) -> None:
    """Write the night."""
    rng = np.random.default_rng(20261122)
    with create_night(folder, META, lambda: (MONO_NS, START_NS)) as writer:
        writer.append_event("connected", 0, START_NS, MONO_NS)
        for second in range(24):
            arrival = (second + 1) * S + int(rng.integers(5_000_000, 60_000_000))
            at = {"arrival_mono_ns": MONO_NS + arrival, "arrival_utc_ns": START_NS + arrival}
            counts = rng.normal((900, -2800, 7600), 4 if second % 4 else 900, (100, 3))
            if second % 6 == 5:
                counts += np.cumsum(rng.normal(0, 60, (100, 3)), axis=0)  # a turn: coded as differences
            counts = np.clip(counts, -32768, 32767).astype(np.int16)
            if second not in {9, 10}:
                device_ns = 5 * S + second * S if second < 12 else None
                writer.append_samples(0, counts, 100 * second, **at, device_ns=device_ns)
            steady = np.full((100, 3), 32767 if second % 2 else -32768, np.int16)
            wild = rng.integers(-32768, 32768, (100, 3)).astype(np.int16)
            writer.append_samples(7, wild if second % 8 == 7 else steady, 100 * second, **at)
            if second % 10 == 0:
                floats = rng.normal((0.1, -0.3, 0.9), 0.001, (500, 3)).astype(np.float32)
                stamps = START_NS + second * S + np.arange(500) * 20_000_000 + rng.integers(0, 4_000_000, 500)
                last = int(stamps[-1])
                at = {"arrival_mono_ns": last - START_NS + MONO_NS, "arrival_utc_ns": last}
                writer.append_samples(1, floats, 50 * second, **at, stamps_ns=stamps)
        writer.append_event("lost", 0, START_NS + 25 * S, MONO_NS + 25 * S, reason="out of reach")
    with (folder / "samples.log").open("ab") as file:
        file.write((folder / "samples.log").read_bytes()[:37])  # a torn block
    with continue_night(folder, lambda: (MONO_NS // 2, START_NS + 60 * S)) as writer:
        writer.append_event("mark", None, START_NS + 61 * S, MONO_NS // 2 + S, text="felt one")
        at = {"arrival_mono_ns": MONO_NS // 2 + 2 * S, "arrival_utc_ns": START_NS + 62 * S}
        writer.append_samples(0, rng.normal(0, 3, (100, 3)).astype(np.int16), 0, **at)
    (folder / "writer.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
