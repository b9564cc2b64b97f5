"""Speed of `twitchmap review`: `python benchmarks/review.py [--nights 500]`.

Cold start: from starting the process to its first answer, which is a page or the whole list of nights. The
list again: when each night has been looked at. The nights are copies of one simulated hour on four sites.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from serving import review_over

from firmware_host.analysis import detect_night
from firmware_host.recording import known_meta
from firmware_host.recording.night import write_meta
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.simulation import demonstration, simulate_night

DAY_NS = 86_400 * 10**9
TIMES = 7


def main() -> None:
    """Make the nights, measure, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nights", type=int, default=500)
    n_nights = parser.parse_args().nights
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_nights(folder, n_nights)
        write_settings(folder, Settings("nightly"))
        show("cold start to the first page", [start(folder, "about") for _ in range(TIMES)])
        show(f"cold start to {n_nights} nights", [start(folder, "api/nights") for _ in range(TIMES)])
        with review_over(folder) as url:
            size = len(fetch(url + "api/nights"))
            show(f"the list again, {size / 1e3:.0f} kB", [timed(url + "api/nights") for _ in range(TIMES)])


def show(what: str, taken: list[tuple[float, float]]) -> None:
    """Print the median of times and, where it is known, of the server's CPU."""
    wall_s, cpu_s = (statistics.median(column) for column in zip(*taken, strict=True))
    cpu = f", {1e3 * cpu_s:.0f} ms of CPU to the end" if cpu_s else ""
    print(f"{what:32} {1e3 * wall_s:6.0f} ms (median of {len(taken)}){cpu}")


def start(folder: Path, path: str) -> tuple[float, float]:
    """Return the seconds from starting the process to its first answer, and of CPU until it has ended."""
    since, cpu_s = time.perf_counter(), children_cpu_s()
    with review_over(folder) as url:
        fetch(url + path)
        taken_s = time.perf_counter() - since
    return taken_s, children_cpu_s() - cpu_s


def timed(url: str) -> tuple[float, float]:
    """Return the seconds that an answer takes."""
    since = time.perf_counter()
    fetch(url)
    return time.perf_counter() - since, 0.0


def children_cpu_s() -> float:
    """Return the CPU seconds of all processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def fetch(url: str) -> bytes:
    """Return an answer; the socket waits for the server to come."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        content: bytes = answer.read()
        return content


def make_nights(folder: Path, n: int) -> None:
    """Copy one simulated and detected hour to so many evenings."""
    first = folder / "0.night"
    simulate_night(first, spec=demonstration(1, 1.0))
    detect_night(first)
    (first / "samples.log").write_bytes(b"")  # the list does not read it
    meta = known_meta(first)
    for k in range(1, n):
        path = folder / f"{k}.night"
        shutil.copytree(first, path)
        start_ns = meta.start_ns - k * DAY_NS
        write_meta(path, msgspec.structs.replace(meta, start_ns=start_ns))
        connection = sqlite3.connect(path / "results.sqlite")
        with connection:
            (summary,) = connection.execute("SELECT summary FROM runs").fetchone()
            changed = json.dumps(json.loads(summary) | {"start_ns": start_ns})
            connection.execute("UPDATE runs SET summary = ?", (changed,))
        connection.close()


if __name__ == "__main__":
    main()
