"""Speed of `twitchmap report`: `python benchmarks/report.py [--nights 30]`.

One night of 8 h, 8 sensors at 200 Hz and 104,000 events, and many nights of three sites without samples; as
HTML and, where the extra `pdf` is installed, as PDF. Processor time of the whole command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import found_nights
from review_browser import make_night


def main() -> None:
    """Make the nights, measure, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nights", type=int, default=30)
    n_nights = parser.parse_args().nights
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_night(folder / "large.night", 8.0, 104_000)
        for day in range(n_nights):
            counts = {"left_calf": 300, "right_calf": 90, "left_upper_arm": 12}
            found_nights.made_night(folder / "many", day, counts)
        for what, nights in (("8 h, 104,000 events", "large.night"), (f"{n_nights} nights", "many")):
            for kind in ("html", "pdf"):
                wall_s, cpu_s = taken(folder / nights, folder / f"report.{kind}")
                print(f"{what:22} {kind:5} {cpu_s:6.1f} s of CPU, {wall_s:6.1f} s")


def taken(nights: Path, out: Path) -> tuple[float, float]:
    """Return the seconds, and those of the processor, that a report takes."""
    since, before = time.perf_counter(), os.times()
    command = [sys.executable, "-m", "firmware_host", "report", str(nights), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - since, cpu_s


if __name__ == "__main__":
    main()
