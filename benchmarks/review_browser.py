"""How long the pages take, measured in a real headless Chromium: `python benchmarks/review_browser.py`.

Nights of 8 h, 8 sensors at 200 Hz, of 100,000 and 300,000 events are made once (a minute or two) and kept
in --night. Measured are the first picture of the smaller one from the request on, the first pile of the
larger one, and for many zooms and moves of four sites' traces the time from the key to the painted picture
that holds all data, and the server's share of it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from selenium import webdriver

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from serving import end_review, start_review

from firmware_host.analysis import Summary
from firmware_host.analysis.runs import SiteSummary
from firmware_host.detection.signals import twitch_acceleration
from firmware_host.recording import NightMeta, ResultsStore, RunInfo, SensorInfo, create_night, open_night
from firmware_host.twitches import COVERAGE_COLUMNS, COVERAGE_DTYPE, EVENT_COLUMNS, EVENT_DTYPE, Kind, table

ROOT = Path(__file__).parents[1]
NAME = "2026-11-22T23-30-00_large.night"
SITES = (
    "left_calf", "right_calf", "left_thigh", "right_upper_arm", "left_forearm", "right_shin",
    "left_upper_back", "right_abdomen",
)  # fmt: skip
FS_HZ = 200
START_NS = 1_795_386_600_000_000_000
G_PER_COUNT = 0.122e-3
LOOKS = 20

_INPUT = """
const done = arguments[arguments.length - 1], key = arguments[0];
const view = document.getElementById("signal-view");
view.focus();
const start = performance.now();
const drawn = (event) => {
  if (!event.detail.complete) return;
  document.removeEventListener("signal-drawn", drawn);
  // The second frame begins when the first, which holds the picture, was handed to the screen.
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
};
document.addEventListener("signal-drawn", drawn);
view.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
"""
_FIRST = """
const entry = performance.getEntriesByName(arguments[0])[0];
return entry ? entry.startTime : null;
"""


def make_night(folder: Path, hours: float, events: int) -> None:
    """Write a night of noise with twitches, and a run that has found as many events."""
    sensors = tuple(
        SensorInfo(index=i, site=site, fs_hz=FS_HZ, g_per_count=G_PER_COUNT, sample_type="int16", range_g=4.0)
        for i, site in enumerate(SITES)
    )
    meta = NightMeta(
        participant="p", label="large", origin="simulated", time_zone="Europe/Berlin", start_ns=START_NS,
        sensors=sensors, twitchmap="bench",
    )  # fmt: skip
    rng = np.random.default_rng(1)
    seconds = int(hours * 3600)
    peaks = [np.sort(rng.uniform(1, seconds - 1, events // len(SITES))) for _ in SITES]
    shape = twitch_acceleration(np.arange(60) / FS_HZ, 0.05)
    shape = np.rint(shape / np.ptp(shape) * 160)
    noise = np.rint(rng.normal(0, 4, (FS_HZ * 600, 3))).astype(np.int16)
    with create_night(folder, meta) as writer:
        for second in range(seconds):
            at_ns = round((second + 1) * 1e9)
            for index, times in enumerate(peaks):
                first = rng.integers(len(noise) - FS_HZ)
                block = noise[first : first + FS_HZ] + np.array([800, -1600, 7900], np.int16)
                for peak in times[np.searchsorted(times, second) : np.searchsorted(times, second + 1)]:
                    begin = min(int((peak - second) * FS_HZ), FS_HZ - 60)
                    block[begin : begin + 60, index % 3] += shape.astype(np.int16)
                arrival = {"arrival_mono_ns": at_ns, "arrival_utc_ns": START_NS + at_ns}
                writer.append_samples(index, block, second * FS_HZ, **arrival)
    _write_run(folder, peaks, seconds, rng)


def _write_run(folder: Path, peaks: list[Any], seconds: int, rng: np.random.Generator) -> None:
    night = open_night(folder)
    parts, covers = [], []
    for site, peak_s in zip(SITES, peaks, strict=True):
        n = len(peak_s)
        probability = rng.beta(4, 1, n)
        parts.append(
            table(
                EVENT_DTYPE, n, site=site, peak_s=peak_s, onset_s=peak_s - 0.03, duration_ms=90,
                peak_to_peak_mg=rng.gamma(4, 5, n), snr=12, dominant_hz=11, probability=probability,
                counted=probability > 0.3,
            )
        )  # fmt: skip
        edges = np.arange(0, seconds + 1, 60.0)
        kinds = np.where(rng.random(len(edges) - 1) < 0.08, Kind.MOVEMENT, Kind.VALID)
        covers.append(
            table(COVERAGE_DTYPE, len(kinds), site=site, start_s=edges[:-1], end_s=edges[1:], kind=kinds)
        )
    rows = np.concatenate(parts)
    rows["event_id"] = np.arange(len(rows))
    summary = Summary(
        start_ns=night.start_ns,
        duration_s=night.duration_s,
        sites=tuple(
            SiteSummary(site, FS_HZ, FS_HZ, {kind.name.lower(): 0.0 for kind in Kind}, 0, None)
            for site in SITES
        ),
        warnings=(),
        samples_sha256="",
    )
    info = RunInfo(
        run_id="bench", created_utc="2026-11-23T08:00:00.000+00:00", detector="bench", model="bench",
        model_sha256="", operating_point="balanced", passes=1, settings="{}", summary=_json(summary),
    )  # fmt: skip
    ResultsStore(folder).write_run(info, EVENT_COLUMNS, rows, COVERAGE_COLUMNS, np.concatenate(covers))


def _json(summary: Summary) -> str:
    import msgspec

    return msgspec.json.encode(summary).decode()


def chromium() -> webdriver.Chrome:
    """Start a headless Chromium of 1280 x 900."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--lang=en",
    ):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    browser.set_window_size(1280, 900)
    browser.set_script_timeout(60)
    return browser


def first_pictures(
    folder: Path, browser: webdriver.Chrome, repeats: int, page: str = "night", mark: str = "map-painted"
) -> None:
    """Print ms from the request of a night's page to its first picture, each of a server just started.

    And ms of CPU that the server and the browser took from the request until then.
    """
    found, spent = [], []
    for _ in range(repeats):
        process, url = start_review(folder)
        try:
            browser.get(f"{url}about")  # the server and the browser are awake, the night is not open
            time.sleep(4)
            mine = psutil.Process(process.pid), psutil.Process(browser.service.process.pid)
            before = [_cpu_ms(one) for one in mine]
            browser.get(f"{url}{page}/{NAME}")
            deadline = time.monotonic() + 20
            while (painted := browser.execute_script(_FIRST, mark)) is None and time.monotonic() < deadline:
                time.sleep(0.02)
            spent.append([_cpu_ms(one) - was for one, was in zip(mine, before, strict=True)])
            found.append(float(painted))
        finally:
            end_review(process)
    print(f"{mark} of a night: {spread(found)}")
    for who, cpu_ms in zip(("server", "browser"), zip(*spent, strict=True), strict=True):
        print(f"  CPU of the {who} until then: {spread(cpu_ms)}")


def _cpu_ms(process: psutil.Process) -> float:
    """Return the CPU of a process and of all that it started."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return 1000 * float(sum(one.user + one.system for one in times))


def inputs(folder: Path, browser: webdriver.Chrome) -> tuple[list[float], list[float]]:
    """Return ms of each key press on four traces to the painted picture, and the server's ms a request."""
    process, url = start_review(folder)
    try:
        browser.get(f"{url}night/{NAME}?site={','.join(SITES[:4])}")
        _wait(
            browser,
            "return document.getElementById('signal-view').dataset.state === 'ready'"
            " && document.getElementById('signal-said').textContent > ''",
        )
        browser.execute_script("document.getElementById('axes').click()")
        time.sleep(1)
        browser.execute_script(
            "performance.setResourceTimingBufferSize(5000); performance.clearResourceTimings()"
        )
        keys = (
            ["="] * 17
            + ["ArrowRight"] * 15
            + ["PageDown"] * 10
            + ["-"] * 5
            + ["ArrowRight"] * 10
            + ["-"] * 5
            + ["PageUp"] * 8
        )
        keys += ["-"] * 4 + ["ArrowLeft"] * 10 + ["-"] * 4
        took = []
        for key in keys:
            real = {"=": "="}.get(key, key)
            took.append(float(browser.execute_async_script(_INPUT, real)))
            time.sleep(0.06)
        served = browser.execute_script(
            "return performance.getEntriesByType('resource').filter(e => e.name.includes('/signal/'))"
            ".map(e => e.responseEnd - e.requestStart)"
        )
        return took, [float(one) for one in served]
    finally:
        end_review(process)


def _wait(browser: webdriver.Chrome, script: str, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not browser.execute_script(script):
        if time.monotonic() > deadline:
            raise SystemExit("the page did not get ready")
        time.sleep(0.1)


def spread(values: Sequence[float]) -> str:
    """Return smallest, median, 95th percentile and largest of some ms."""
    return (
        f"least {min(values):.0f} ms, median {statistics.median(values):.0f} ms, "
        f"95th percentile {np.percentile(values, 95):.0f} ms, largest {max(values):.0f} ms ({len(values)})"
    )


def main() -> None:
    """Make the night, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--night", type=Path, help="Folder that keeps the large night for the next time.")
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--events", type=int, default=104_000)
    parser.add_argument("--piled-events", type=int, default=304_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.night or Path(temporary)
        for name, events in (("map", arguments.events), ("piles", arguments.piled_events)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            if not (folder / name / NAME).exists():
                print(f"Making {arguments.hours:g} h, {len(SITES)} sensors, {events} events ...")
                make_night(folder / name / NAME, arguments.hours, events)
        browser = chromium()
        try:
            first_pictures(folder / "map", browser, arguments.repeats)
            first_pictures(folder / "piles", browser, arguments.repeats, "correct", "pile-painted")
            took, served = inputs(folder / "map", browser)
            print(f"input to painted, 4 sites with 3 axes and band: {spread(took)}")
            print(f"of which the server, a request: {spread(served)}")
        finally:
            browser.quit()


if __name__ == "__main__":
    main()
