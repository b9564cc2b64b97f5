"""The pages in a real browser."""

from __future__ import annotations

from pathlib import Path

import made_nights
import pytest
from browser import Serve, wait_for
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of two nights."""
    for name in ("2026-11-22T23-30-00_a.night", "2026-11-23T23-30-00_b.night"):
        made_nights.small_night(tmp_path / name)
    return tmp_path


def test_the_first_page_lists_the_nights(browser: Chrome, served: Serve, folder: Path) -> None:
    """The address that the command prints shows the nights, and the console has nothing to complain of."""
    browser.get(served(folder).url)
    wait_for(browser, "#state", "2 nights")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#nights tbody tr")) == 2
    assert browser.title.startswith("Nights")


def test_help_and_colours_are_chosen_by_keyboard(browser: Chrome, served: Serve, folder: Path) -> None:
    """`?` opens the list of keys, Esc closes it, and colours once chosen are there after a reload."""
    browser.get(served(folder).url + "nights")
    wait_for(browser, "#state", "2 nights")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys("?")
    assert "Keyboard" in wait_for(browser, "dialog").text
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.find_elements(By.TAG_NAME, "dialog")
    browser.find_element(By.ID, "theme").send_keys("dark")
    browser.refresh()
    wait_for(browser, "#state", "2 nights")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("data-theme") == "dark"
