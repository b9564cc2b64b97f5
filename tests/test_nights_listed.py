"""What the list of nights says of each, in the terminal and on the page."""

from __future__ import annotations

from pathlib import Path

import found_nights
from browser import Serve, wait_for
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from firmware_host.recording.settings import Settings, write_settings


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
