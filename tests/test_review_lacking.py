"""Pages of what lacks something: an empty folder, a night without counts, samples or a date."""

from __future__ import annotations

import shutil
from pathlib import Path

import made_nights
import made_runs
import pytest
from browser import Serve, Standing, wait_for
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from firmware_host.analysis import detect_night
from firmware_host.recording.settings import Settings, write_settings

RAW, COUNTED = "raw.night", "counted.night"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a night that was counted, and one that was not."""
    folder = tmp_path_factory.mktemp("nights")
    made_nights.quiet_night(folder / COUNTED)
    detect_night(folder / COUNTED)
    made_nights.quiet_night(folder / RAW, day=1)
    write_settings(folder, Settings("nightly"))
    return folder


@pytest.mark.parametrize("page", ["correct", "spot-check"])
def test_what_was_not_counted_is_not_asked_for(
    browser: Chrome, standing: Standing, folder: Path, page: str
) -> None:
    """A page about counts of a night that has none says so, and the console has no error."""
    browser.get(f"{standing(folder).url}{page}/{RAW}")
    wait_for(browser, "#state", "Nothing was counted")
    names = browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in names if "/api/" in name] == []
    browser.get(f"{standing(folder).url}{page}/{COUNTED}")
    wait_for(browser, "body[data-ready]")


def test_an_empty_folder_leads_to_tonight(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """Where there is no night yet, a link leads to the first; with a night it is gone."""
    write_settings(tmp_path, Settings("nightly"))
    url = served(tmp_path).url
    browser.get(f"{url}nights")
    assert "no nights" in wait_for(browser, "#state", "folder").text
    wait_for(browser, "#first-night a[href='/tonight']").click()
    wait_for(browser, "h1", "Tonight")
    made_nights.small_night(tmp_path / "a.night")
    browser.get(f"{url}nights")
    wait_for(browser, "#state", "1 night")
    assert not browser.find_element(By.ID, "first-night").is_displayed()


def test_a_night_to_be_counted_first_is_linked(browser: Chrome, standing: Standing, folder: Path) -> None:
    """A night without counts cannot be chosen for export; beside it is the way to have them found."""
    browser.get(f"{standing(folder).url}export")
    wait_for(browser, "body[data-ready]")
    browser.find_element(By.ID, "all").click()
    chosen = browser.find_elements(By.CSS_SELECTOR, "input[name=night]:checked")
    assert [one.get_attribute("value") for one in chosen] == [COUNTED]
    wait_for(browser, "#nights a", "Find its twitches").click()
    wait_for(browser, "#find", "Find twitches")
    assert RAW in browser.current_url


@pytest.mark.long
def test_nights_of_different_detectors_are_allowed_on_the_page(
    browser: Chrome, served: Serve, folder: Path, tmp_path: Path
) -> None:
    """Judged by different detectors, nights go out once the page is told that they may, without a command."""
    for name, point in ((COUNTED, "balanced"), ("b.night", "sensitive")):
        shutil.copytree(folder / COUNTED, tmp_path / name)
        if point != "balanced":
            detect_night(tmp_path / name, operating_point=point)
    write_settings(tmp_path, Settings("nightly"))
    browser.get(f"{served(tmp_path).url}export")
    wait_for(browser, "body[data-ready]")
    words = browser.find_element(By.ID, "nights").text
    assert all(name in words for name in (COUNTED, "b.night")), "of one evening, they are told by their names"
    browser.find_element(By.ID, "all").click()
    browser.find_element(By.CSS_SELECTOR, "input[value=csv]").click()
    browser.find_element(By.ID, "make").click()
    assert "`" not in wait_for(browser, "#problem", "different detectors").text
    browser.get_log("browser")  # the browser tells of the refusal too
    browser.find_element(By.ID, "mixed").click()
    browser.find_element(By.ID, "make").click()
    wait_for(browser, "#made", "Ready", 60)


def test_without_samples_nothing_is_looked_for_again(
    browser: Chrome, served: Serve, folder: Path, tmp_path: Path
) -> None:
    """Of a night whose tables alone are there it is said so; no search is offered, no empty picture drawn."""
    night = made_runs.judged_night(tmp_path / COUNTED)
    (night / "samples.log").unlink()
    url = served(tmp_path).url
    browser.get(f"{url}night/{COUNTED}")
    wait_for(browser, "#problem", "cannot be looked for again")
    assert not browser.find_element(By.ID, "find").is_displayed()
    assert "find them again" not in browser.find_element(By.ID, "limits").text
    browser.get(f"{url}correct/{COUNTED}")
    wait_for(browser, "#state", "no signal")
    browser.get(f"{url}spot-check/{COUNTED}")
    wait_for(browser, "#start").click()
    wait_for(browser, "#state", "no signal")
    browser.find_element(By.CSS_SELECTOR, "[data-answer=twitch]").click()
    browser.find_element(By.CSS_SELECTOR, "[data-answer=cannot_tell]").click()
    wait_for(browser, "#progress-said", "1 of")


def test_short_nights_are_not_said_to_be_uncounted(browser: Chrome, standing: Standing, folder: Path) -> None:
    """Ten minutes are too short for the one body: it says what is lacking, and has no empty table."""
    browser.get(f"{standing(folder).url}body")
    wait_for(browser, "#of", "half an hour of valid time")
    assert not browser.find_element(By.ID, "last-title").is_displayed()
