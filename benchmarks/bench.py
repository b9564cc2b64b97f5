"""All figures of speed and size in one run: `make bench`, or `python benchmarks/bench.py [--hours 8]`.

Ratios are of CPU seconds in one process, so that they hold on any machine; memory and start-up are measured
on processes of their own. Signals are made up.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import importing
import numpy as np
from detector import FS_HZ, cpu_of, growth, plain_scipy
from scipy import signal

from firmware_host.analysis import detect_night
from firmware_host.analysis.findings import find_candidates
from firmware_host.analysis.limits import measure_limits
from firmware_host.analysis.models import DEFAULT_MODEL, DEFAULT_POINT, load_model
from firmware_host.analysis.runs import judge
from firmware_host.analysis.second_pass import units_found
from firmware_host.detection.signals import twitch_acceleration
from firmware_host.recording import NightMeta, SensorInfo, create_night, open_night
from firmware_host.simulation import simulate_night
from firmware_host.simulation.cohort import NightSpec, demonstration

NOISE_MG = 0.5
TWITCHES_PER_H = 375.0
START_NS = 1_767_000_000_000_000_000
SITE = "left_calf"
LIMBS = ("left_calf", "right_thigh", "left_forearm")


def write_night(folder: Path, hours: float, mg_per_count: float = 0.122) -> int:
    """Record a made-up site, one block a second; return the bytes of its log."""
    info = SensorInfo(
        index=0, site=SITE, fs_hz=FS_HZ, g_per_count=mg_per_count / 1e3, sample_type="int16", range_g=4.0
    )
    meta = NightMeta(
        participant="p", label="bench", origin="simulated", time_zone="UTC", start_ns=START_NS,
        sensors=(info,), twitchmap="bench",
    )  # fmt: skip
    rng = np.random.default_rng(1)
    shape_mg = twitch_acceleration(np.arange(100) / FS_HZ, 0.05)
    shape_mg *= 20 / np.ptp(shape_mg)
    block = int(FS_HZ)
    with create_night(folder, meta) as writer:
        for second in range(int(hours * 3600)):
            acc_mg = rng.normal((100, -200, 970), NOISE_MG, (block, 3))
            if rng.random() < TWITCHES_PER_H / 3600:
                direction = rng.normal(size=3)
                acc_mg[50:150] += shape_mg[:, None] * direction / np.linalg.norm(direction)
            at_ns = round((second + 1) * 1e9)
            writer.append_samples(
                0,
                np.rint(acc_mg / mg_per_count).astype(np.int16),
                second * block,
                arrival_mono_ns=at_ns,
                arrival_utc_ns=START_NS + at_ns,
            )
    return (folder / "samples.log").stat().st_size


def read_whole(folder: Path, site: str = SITE) -> np.ndarray:
    """Read all samples of a site as one array, (n, 3) in g."""
    stretches = open_night(folder).stretches(site)
    return np.concatenate([acc_g for stretch in stretches for _, acc_g in stretch.chunks()])


def read_and_plain(folder: Path) -> None:
    """Do with each site of a night what a plain script would, reading included."""
    for sensor in open_night(folder).meta.sensors:
        plain_scipy(read_whole(folder, sensor.site), sensor.fs_hz)


def read_and_filter(folder: Path) -> None:
    """Read each site of a night and run its samples three times through a filter."""
    for sensor in open_night(folder).meta.sensors:
        acc_g = read_whole(folder, sensor.site)
        sos = signal.butter(4, [3, 45], "bandpass", fs=sensor.fs_hz, output="sos")
        for _ in range(3):
            signal.sosfilt(sos, acc_g, axis=0)


def whole_job(folder: Path, repeats: int) -> str:
    """Return best CPU seconds of reading and detecting, beside reading and plain scipy and what is aimed at.

    Aimed at is reading and three passes of a filter, and 30 us for each candidate beyond 5,000 a site, but
    never more than reading and plain scipy.
    """
    events, ours, plain, filters = len(detect_night(folder).events), [], [], []
    for _ in range(repeats):
        ours.append(cpu_of(lambda: detect_night(folder)))
        plain.append(cpu_of(lambda: read_and_plain(folder)))
        filters.append(cpu_of(lambda: read_and_filter(folder)))
    more = max(0, events - 5000 * len(open_night(folder).meta.sensors))
    aim = min(min(filters) + 30e-6 * more, min(plain))
    return (
        f"{min(ours):.2f} s CPU ({events} candidates); read + plain scipy {min(plain):.2f} s; "
        f"ratio {min(ours) / min(plain):.2f} (asked: at most 2); aim {aim:.2f} s, ratio {min(ours) / aim:.2f}"
    )


def stages(folder: Path, repeats: int) -> str:
    """Return best CPU seconds of each stage of detecting a night: reading, both passes, the limits."""
    model, _ = load_model(DEFAULT_MODEL)
    took: dict[str, list[float]] = {"read": [], "pass 1": [], "pass 2": [], "limit": []}
    for _ in range(repeats):
        night, found, rows = open_night(folder), [], []

        def search() -> None:
            found.append(find_candidates(night, model.search_score))  # noqa: B023

        def again() -> None:
            rows.append(judge(found[0], model))  # noqa: B023
            units_found(found[0], rows[0], model.search_score)  # noqa: B023

        def limits() -> None:
            measure_limits(night, found[0], rows[0], model, DEFAULT_POINT, "bench")  # noqa: B023

        took["read"].append(cpu_of(lambda: [read_whole(folder, site) for site in night.sites]))  # noqa: B023
        took["pass 1"].append(cpu_of(search))
        took["pass 2"].append(cpu_of(again))
        took["limit"].append(cpu_of(limits))
    best = {name: min(each) for name, each in took.items()}
    told = ", ".join(f"{name} {each:.2f} s" for name, each in best.items())
    over = best["limit"] / best["pass 1"]
    return f"of it {told} (pass 1 reads too); limit over pass 1 {over:.2f} (asked: at most 0.25)"


def simulated_jobs(hours: float) -> None:
    """Print the same ratio for simulated nights: what a quiet made-up site has not costs time too."""
    for name, spec in (
        ("demonstration", demonstration(3, hours)),
        ("limbs, everything on", NightSpec(seed=7, hours=hours, sites=LIMBS)),
        ("limbs, everything on", NightSpec(seed=7, hours=hours, sites=LIMBS, fs_hz=FS_HZ)),
        ("chest, everything on", NightSpec(seed=5, hours=hours, sites=("left_chest",))),
        ("chest, everything on", NightSpec(seed=5, hours=hours, sites=("left_chest",), fs_hz=FS_HZ)),
    ):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "simulated.night")
            simulate_night(folder, spec=spec)
            told, parts = whole_job(folder, 2), stages(folder, 2)
        print(
            f"whole job, simulated {name}, {hours:g} h x {len(spec.sites)} sites at {spec.fs_hz:g} Hz: {told}"
        )
        print(f"  {parts}")


def peak_mb(hours: float) -> float:
    """Return the peak memory of a process that detects a night of some hours, in MB."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "bench.night")
        write_night(folder, hours)
        done = subprocess.run(
            [sys.executable, __file__, "--detect", folder], check=True, capture_output=True, text=True
        )
        return float(done.stdout)


def start_up_s(arguments: list[str], repeats: int = 5) -> float:
    """Return the median wall seconds of a short command."""
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "firmware_host", *arguments], check=True, capture_output=True)
        took.append(time.perf_counter() - start)
    return sorted(took)[len(took) // 2]


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--detect", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.detect:
        detect_night(arguments.detect)
        print(importing.peak_of_this_process_mb())
        return
    hours = arguments.hours
    print(
        f"made-up site, {hours:g} h x {FS_HZ:g} Hz x 3 axes, {NOISE_MG} mg rms, {TWITCHES_PER_H:g} twitches/h"
    )
    with tempfile.TemporaryDirectory() as place:
        for mg_per_count in (0.061, 0.122):
            folder = Path(place, f"{mg_per_count}.night")
            took = cpu_of(lambda: write_night(folder, hours, mg_per_count))  # noqa: B023
            size = (folder / "samples.log").stat().st_size
            print(f"a sensor-night at {mg_per_count} mg a count: {size / 1e6:.2f} MB, {took:.1f} s to write")
        print(f"whole job, reading included: {whole_job(folder, 3)}")
        print(f"  {stages(folder, 2)}")
    simulated_jobs(hours)
    print(f"detector, CPU an hour of 8 h over that of 2 h: {growth():.2f}")
    for some in (1.0, 8.0, 24.0, 168.0):
        print(f"peak memory of detecting {some:g} h: {peak_mb(some):.0f} MB")
    for command in (["--help"], ["nights"], ["map", "--help"], ["detect", "--help"]):
        print(f"start-up of `twitchmap {' '.join(command)}`: {start_up_s(command):.2f} s")
    with tempfile.TemporaryDirectory() as place:
        took = cpu_of(lambda: simulate_night(Path(place, "simulated"), hours=hours, profile="many"))
    print(
        f"simulating {hours:g} h on 4 sites at 100 Hz, everything on: {took:.1f} s CPU (at most 20 for 8 h)"
    )
    print("import of a CSV file:")
    sys.argv = [importing.__file__, "--hours", str(hours), "--kind", "elapsed", "iso"]
    importing.main()


if __name__ == "__main__":
    main()
