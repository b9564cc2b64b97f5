"""What a label costs in a night of 300,000 events at eight sites: CPU ms. `python benchmarks/labels.py`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from firmware_host.analysis import Run, SiteSummary, Summary, run_counts
from firmware_host.analysis.labelled import labelled, said_of, site_slices
from firmware_host.recording import NightMeta, RunInfo
from firmware_host.recording.labels import add_label, read_labels, undo
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Table, table

START_NS = 1_795_386_600_000_000_000
NIGHT_S = 28_800.0
EVENTS = 300_000
SITES = (
    "left_calf",
    "right_calf",
    "left_thigh",
    "right_thigh",
    "left_shin",
    "right_shin",
    "left_chest",
    "right_hand",
)


def best_ms(function: Callable[[], object], times: int = 7) -> float:
    """Return the CPU ms of the quickest of some calls."""
    found = []
    for _ in range(times):
        began = time.process_time()
        function()
        found.append(time.process_time() - began)
    return 1e3 * min(found)


def made() -> tuple[Table, Table]:
    """Return events and coverage of eight sites."""
    rng, events, coverage = np.random.default_rng(1), [], []
    for site in SITES:
        n = EVENTS // len(SITES)
        peak_s = np.cumsum(0.061 + rng.exponential(NIGHT_S / n - 0.061, n)) * 0.98
        p = rng.random(n)
        events.append(
            table(EVENT_DTYPE, n, site=site, peak_s=peak_s, onset_s=peak_s - 0.02, duration_ms=90.0,
                  peak_to_peak_mg=8.0, snr=12.0, dominant_hz=10.0, probability=p, counted=p > 0.5)
        )  # fmt: skip
        edges = np.linspace(0.0, NIGHT_S, 400)
        coverage.append(
            table(
                COVERAGE_DTYPE,
                399,
                site=site,
                start_s=edges[:-1],
                end_s=edges[1:],
                kind=np.arange(399) % 7 == 3,
            )
        )
    rows = np.concatenate(events)
    rows["event_id"] = np.arange(len(rows))
    return rows, np.concatenate(coverage)


def main() -> None:
    """Measure and print."""
    events, coverage = made()
    at_ns = START_NS + np.rint(events["peak_s"] * 1e9).astype(np.int64)
    meta = NightMeta(participant="", label="", origin="simulated", time_zone="UTC", start_ns=START_NS,
                     sensors=(), twitchmap="bench")  # fmt: skip
    sites = tuple(SiteSummary(site, 100.0, 100.0, {}, 0, None) for site in SITES)
    info = RunInfo(run_id="", created_utc="", detector="", model="", model_sha256="", operating_point="",
                   passes=1, settings="{}", summary="")  # fmt: skip
    run = Run(info, events, coverage, Summary(START_NS, NIGHT_S, sites, (), ""))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slices = site_slices(events)
        for site, own in slices.items():
            for part in np.array_split(
                np.random.default_rng(2).permutation(np.arange(own.start, own.stop)), 6
            ):
                peaks_ns = {site: at_ns[np.sort(part)].tolist()}
                add_label(folder, what="not_twitch", drawn="pile", peaks_ns=peaks_ns)
        size = (folder / "labels.jsonl").stat().st_size
        print(f"{len(events)} events, all labelled in {6 * len(SITES)} piles: {size / 1e6:.1f} MB of labels")
        fifty = {site: at_ns[own][: 50_000 // len(SITES)].tolist() for site, own in slices.items()}
        one = best_ms(lambda: add_label(folder, what="twitch", drawn="range", peaks_ns=fifty), 1)
        print(f"one label of {sum(map(len, fifty.values()))} events: {one:.0f} ms")
        print(f"undo: {best_ms(lambda: undo(folder), 1):.0f} ms")
        labels = read_labels(folder)
        said = said_of(labels, meta)
        print(f"reading the file: {best_ms(lambda: read_labels(folder)):.0f} ms")
        print(f"what was said, by site: {best_ms(lambda: said_of(labels, meta)):.0f} ms")
        laid = best_ms(lambda: labelled(events, coverage, said, START_NS, NIGHT_S))
        print(f"laid over the run: {laid:.0f} ms")
        print(f"counts and intervals: {best_ms(lambda: run_counts(run)):.0f} ms")


if __name__ == "__main__":
    main()
