"""Time and memory of importing a long night, by the form of its stamps.

    python benchmarks/importing.py [--hours 8] [--fs 200] [--kind elapsed iso arrival blanks ...]

Each import runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

KINDS = ("elapsed", "iso", "local", "arrival", "space", "comma", "blanks")
START_NS = 1_762_380_000_000_000_000


def write_csv(path: Path, kind: str, hours: float, fs_hz: float) -> int:
    """Write a made-up recording; returns its rows."""
    rng = np.random.default_rng(7)
    rows = round(hours * 3600 * fs_hz)
    delimiter = {"comma": ";", "space": " "}.get(kind, ",")
    with path.open("w") as file:
        time_name = "timestamp" if kind in {"iso", "local"} else "time_s"
        file.write(delimiter.join((time_name, "ax_g", "ay_g", "az_g")) + "\n")
        for start in range(0, rows, 100_000):
            n = min(100_000, rows - start)
            at_s = (start + np.arange(n)) / fs_hz
            if kind == "arrival":  # packets of 9, each late by 5 to 60 ms
                packet = (start + np.arange(n)) // 9
                late = np.random.default_rng(3).uniform(0.005, 0.06, rows // 9 + 1)[packet]
                at_s = (packet * 9 + 8) / fs_hz + late
            if kind in {"iso", "local"}:
                ns = START_NS + np.rint(at_s * 1e9).astype(np.int64)
                stamps = np.datetime_as_string(ns.view("datetime64[ns]"), unit="ms")
                times = [f"{stamp}+01:00" if kind == "iso" else stamp for stamp in stamps.tolist()]
            else:
                times = [f"{t:.4f}" for t in at_s.tolist()]
            acc = rng.normal([0.1, -0.2, 0.97], 0.002, (n, 3)).tolist()
            text = "".join(
                f"{t}{delimiter}{x:.5f}{delimiter}{y:.5f}{delimiter}{z:.5f}\n"
                for t, (x, y, z) in zip(times, acc, strict=True)
            )
            if kind == "blanks":  # one blank cell in every block that is parsed
                text = text.replace(text.split("\n", 1)[0], f"{times[0]},,0.1,0.9", 1)
            file.write(text.replace(".", ",") if kind == "comma" else text)
    return rows


def peak_of_this_process_mb() -> float:
    """Return the peak resident memory in MB (getrusage counts that of the process we were forked from)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def import_once(path: Path, target: Path, kind: str) -> None:
    """Import one file and print seconds and memory."""
    from firmware_host.formats.foreign import ImportOptions
    from firmware_host.formats.importing import import_night

    shown: list[str] = []
    options = ImportOptions(timezone="Europe/Berlin" if kind == "local" else None)
    cpu, wall = time.process_time(), time.perf_counter()
    import_night(target, {"left_calf": str(path)}, options, show=lambda found: shown.extend(found.lines()))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak_mb = peak_of_this_process_mb()
    print(f"{cpu:6.1f} s CPU {wall:6.1f} s wall {peak_mb:6.0f} MB peak   {shown[3].strip()}")


def main() -> None:
    """Write and import a file of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--fs", type=float, default=200.0)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        import_once(Path(arguments.one[0]), Path(arguments.one[1]), arguments.one[2])
        return
    for kind in arguments.kind:
        with tempfile.TemporaryDirectory() as folder:
            path, target = Path(folder, f"{kind}.csv"), Path(folder, "night.night")
            rows = write_csv(path, kind, arguments.hours, arguments.fs)
            print(f"{kind:8} {rows:9,} rows {path.stat().st_size / 1e6:5.0f} MB", end=" ", flush=True)
            subprocess.run([sys.executable, __file__, "--one", path, target, kind], check=True)


if __name__ == "__main__":
    main()
