"""What the list of nights says of each, in the terminal and on the page."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import found_nights
from browser import Serve, wait_for
from conftest import Run
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from firmware_host.capture.summary import summarise
from firmware_host.capture.summary import text as summary_text
from firmware_host.recording.settings import Settings, write_settings

HALF_PAST_NS = 1_795_386_600 * 10**9
"""2026-11-22 23:30 in Berlin."""


def test_a_start_is_the_same_wherever_it_is_told(
    browser: Chrome, served: Serve, run: Run, tmp_path: Path
) -> None:
    """People read the nearest second in the list as in info, report and map; documents hold all of it."""
    path = found_nights.made_night(tmp_path, 0, {"left_calf": 12}, start_ns=HALF_PAST_NS - 400_000_000)
    write_settings(tmp_path, Settings("nightly"))
    assert "2026-11-22 23:30:00" in run("nights", "--dir", tmp_path)[1]
    assert "start 2026-11-22 23:30:00 Europe/Berlin" in run("info", path)[1]
    assert run("report", path, "--out", tmp_path / "r.html")[0] == 0
    assert "Sun 22 Nov 2026, 23:30:00 to" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert summary_text(summarise(path)).startswith(f"{path.name}: 23:30 to")
    (listed,) = json.loads(run("nights", "--dir", tmp_path, "--json")[1])
    assert listed["start"] == "2026-11-22T23:29:59.600000+01:00"
    assert json.loads(run("info", path, "--json")[1])["start"] == summarise(path).start == listed["start"]
    server = served(tmp_path)
    with urllib.request.urlopen(f"{server.url}api/nights") as answer:
        assert json.load(answer)["nights"][0]["start"] == listed["start"]
    browser.get(server.url + "nights")
    wait_for(browser, "#list tbody tr", "23:30")


def test_a_night_after_midnight_goes_by_the_evening_before(run: Run, tmp_path: Path) -> None:
    """Who asks for it by the date of its start is told by which date a night goes."""
    path = found_nights.made_night(tmp_path, 0, {"left_calf": 0}, start_ns=HALF_PAST_NS + 3600 * 10**9)
    code, _, err = run("info", "2026-11-23", "--dir", tmp_path)
    assert code == 1
    assert "goes by the date of the evening before" in err
    assert path.name in run("info", "2026-11-22", "--dir", tmp_path)[1]


def test_all_sites_together_have_no_rate(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """They have a count in their valid time, in list and calendar; one site that is chosen has its rate."""
    found_nights.made_night(tmp_path, 0, {"left_calf": 1200, "right_thigh": 34})
    write_settings(tmp_path, Settings("nightly"))
    browser.get(served(tmp_path).url + "nights")
    row = wait_for(browser, "#list tbody tr", "1,234 twitches")
    assert "in 16 h of 2 sites" in row.text
    assert browser.find_element(By.ID, "twitches").text == "Counted"
    browser.find_element(By.ID, "view-calendar").click()
    day = wait_for(browser, ".months a.day", "1,234")
    assert "1,234 twitches" in (day.get_attribute("aria-label") or "")
    assert "shade" not in (day.get_attribute("class") or "")
    Select(browser.find_element(By.ID, "site")).select_by_visible_text("left calf")
    assert "shade" in (browser.find_element(By.CSS_SELECTOR, ".months a.day").get_attribute("class") or "")
    browser.find_element(By.ID, "view-list").click()
    row = wait_for(browser, "#list tbody tr", "in 8.0 h")
    assert "twitches" not in row.text
    assert browser.find_element(By.ID, "twitches").text == "Twitches per valid hour"
