"""Make the pictures in docs/screenshots: every page, light and dark, for a large screen and a phone.

`python tests/make_screenshots.py [FOLDER]`; nights in it from an earlier run are used again. One night is
simulated and looked at as anybody's would be; the nights beside it, for lists and comparisons, are numbers at
random.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import found_nights
import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import JavascriptException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from serving import review_over

from firmware_host.analysis import detect_night
from firmware_host.recording import list_nights, night_folder_name
from firmware_host.recording.diary import write_diary
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.simulation import START_NS, TIME_ZONE, demonstration, simulate_night, write_truth

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "screenshots"
DAYS = 40
COLOURS = 28
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
LONGEST = 1800
SITE = "left_calf"
PAGES: dict[str, tuple[str, str]] = {
    "tonight": ("/tonight", ""),
    "nights": ("/nights", ""),
    "calendar": ("/nights", "document.getElementById('view-calendar').click()"),
    "night": ("/night/{night}", ""),
    "signal": (
        "/night/{night}?site=left_calf&{view}",
        "document.body.dataset.from = '#signal'",
    ),
    "correct": ("/correct/{night}", "document.querySelector('.pile[data-verdict=yes]')?.click()"),
    "correct-event": ("/correct/{night}?show=events", "document.getElementById('elsewhere').click()"),
    "correct-stretch": (
        "/correct/{night}?show=stretch",
        "const times = [['range-from', '01:10'], ['range-to', '02:05'], ['add-time', '02:14:07.3']];"
        "for (const [id, text] of times)"
        " document.getElementById(id).value = text;"
        "document.getElementById('range-from').dispatchEvent(new Event('input', { bubbles: true }));"
        "document.querySelector('#adding button').click()",
    ),
    "spot-check": ("/spot-check/{other}", ""),
    "spot-check-result": ("/spot-check/{night}", ""),
    "diary": ("/diary/{night}", ""),
    "compare": ("/compare", "document.getElementById('recent').click()"),
    "triggers": ("/triggers", "document.querySelector('[data-factor=caffeine]').click()"),
    "learning": ("/learning", ""),
    "export": ("/export?night={night}", "document.querySelector('[value=csv]').click()"),
    "body": ("/body", ""),
    "settings": ("/settings", ""),
    "about": ("/about", ""),
}
"""Address and what is pressed before the picture is taken."""
READY = {"correct", "spot_check", "compare", "triggers", "learning", "export"}
"""Pages that tell when they are complete."""


def make_nights(folder: Path) -> None:
    """Fill a folder: simulated nights of 8 h and of 1 h, and numbers at random for the nights before."""
    folder.mkdir(parents=True)
    write_settings(folder, Settings("nightly"))
    for hours, day in ((8.0, 0), (1.0, 1)):
        spec = demonstration(1 + day, hours)
        start_ns = START_NS + day * 86_400 * 10**9
        path = folder / night_folder_name(start_ns, TIME_ZONE, "simulated")
        truth = simulate_night(path, spec=spec, start_ns=start_ns)
        detect_night(path)
        write_truth(folder / f"truth-{day}.csv", truth.twitches)
    rng = np.random.default_rng(4)
    for day in range(-DAYS, 0):
        if day % 13 == 0:
            continue
        counts = {SITE: int(rng.poisson(260 * rng.lognormal(0, 0.3))), "right_calf": int(rng.poisson(90))}
        placement = "10 cm below the knee" if day > -DAYS // 2 else "5 cm below the knee"
        night = found_nights.made_night(folder, day, counts, start_ns=START_NS, placement=placement)
        answers = {"caffeine": ("none", "little", "some", "much")[rng.integers(4)]}
        answers |= {
            "sleep": ("badly", "fairly", "well")[rng.integers(3)],
            "stress": ("none", "some")[day % 2],
        }
        write_diary(night, answers)


def ask(address: str, path: str, body: Any = None) -> Any:
    """Ask the server, or send it a change."""
    headers = {"origin": address, "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/api{path}", data, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def review(address: str, folder: Path, night: str) -> None:
    """Judge the simulated night as somebody would who knows the truth, and train on it."""
    with (folder / "truth-0.csv").open() as file:
        rows = list(csv.DictReader(file))
    peaks = {
        site: np.array([float(r["peak_s"]) for r in rows if r["site"] == site])
        for site in {r["site"] for r in rows}
    }
    state = ask(address, f"/nights/{night}/spot-check", {"seed": 1})
    while state["next"]:
        item = state["next"]
        near = np.abs(peaks.get(item["site"], np.zeros(0)) - item["peak_s"]).min(initial=9)
        answer = "twitch" if near < 0.15 else "not_twitch"
        body = {"check": state["check"], "item": item["item"], "answer": answer}
        state = ask(address, f"/nights/{night}/spot-check/answer", body)
    for what, fits in (("not_twitch", lambda share: share < 0.1), ("twitch", lambda share: share > 0.9)):
        listed = ask(address, f"/nights/{night}/piles")
        for pile in listed["piles"]:
            waves = ask(address, f"/nights/{night}/piles/{pile['id']}/waves")["waves"]
            true = [np.abs(peaks[pile["site"]] - wave["peak_s"]).min(initial=9) < 0.15 for wave in waves]
            if pile["count"] > 20 and fits(np.mean(true)):
                body = {"what": what, "pile": pile["id"], "run": listed["run"]}
                ask(address, f"/nights/{night}/labels", body)
                break
    ask(address, "/learning/train", {})
    while (ask(address, "/learning")["task"] or {}).get("running"):
        time.sleep(0.3)


def large_twitch(address: str, night: str) -> str:
    """Return the part of an address that shows a twitch that anybody sees."""
    events = ask(address, f"/nights/{night}/events?site={SITE}&counted=true&most=1000")["events"]
    one = min(events, key=lambda event: abs(event["peak_to_peak_mg"] - 40))
    return f"t0={one['peak_s'] - 1.2:.2f}&t1={one['peak_s'] + 1.8:.2f}&event={one['event_id']}"


def chromium() -> webdriver.Chrome:
    """Start a headless browser."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--hide-scrollbars",
        "--lang=en",
    ):
        options.add_argument(argument)
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


def shoot(browser: webdriver.Chrome, url: str, press: str, size: str, *, dark: bool) -> Image.Image:
    """Return the picture of a page."""
    width, height = SIZES[size]

    def fit(tall: int) -> None:
        shape = {"width": width, "height": tall, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)

    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    fit(height)
    browser.get(url)
    time.sleep(1.5)
    if browser.execute_script("return document.body.dataset.page") in READY:
        WebDriverWait(browser, 30).until(lambda one: one.find_elements(By.CSS_SELECTOR, "body[data-ready]"))
    if press:
        try:
            browser.execute_script(press)
        except JavascriptException as error:
            sys.stderr.write(f"{url}: {error.msg}\n")
        time.sleep(1.5)
    browser.execute_script("document.activeElement?.blur(); scrollTo(0, 0)")
    fit(min(max(browser.execute_script("return document.documentElement.scrollHeight"), height), 2 * LONGEST))
    time.sleep(0.6)
    first = browser.execute_script(
        "return document.querySelector(document.body.dataset.from ?? 'body').getBoundingClientRect().top"
    )
    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png()))
    top = max(int(first) - 16, 0)
    return picture.crop((0, top, width, min(picture.height, top + LONGEST)))


def small(picture: Image.Image) -> Image.Image:
    """Return a picture in few colours: pages have few."""
    return picture.convert("RGB").quantize(COLOURS, kmeans=2, dither=Image.Dither.NONE)


def main() -> None:
    """Make the nights, judge one, and take all pictures."""
    # Nights that were kept show what an earlier model counted, so they are only for who names their folder.
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "recordings"
    only = set(sys.argv[2:])
    if not folder.exists():
        make_nights(folder)
    OUT.mkdir(parents=True, exist_ok=True)
    *_, night, other = (path.name for path in list_nights(folder))
    with review_over(folder) as root:
        address = root.rstrip("/")
        if not (folder / night / "labels.jsonl").exists():
            review(address, folder, night)
            ask(address, f"/nights/{other}/spot-check", {"seed": 3})
        while not ask(address, f"/nights/{night}/signal")["ready"]:
            time.sleep(0.5)
        view = large_twitch(address, night)
        browser = chromium()
        for name, (path, press) in PAGES.items():
            if only and name not in only:
                continue
            url = address + path.format(night=quote(night), other=quote(other), view=view)
            for size in SIZES:
                for dark in (False, True):
                    picture = small(shoot(browser, url, press, size, dark=dark))
                    picture.save(OUT / f"{name}-{size}-{'dark' if dark else 'light'}.png", optimize=True)
        browser.quit()
    total = sum(path.stat().st_size for path in OUT.glob("*.png"))
    count = len(list(OUT.glob("*.png")))
    sys.stdout.write(f"{count} pictures, {total / 1e6:.1f} MB; nights in {folder}\n")


if __name__ == "__main__":
    main()
