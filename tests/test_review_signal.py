"""What is said and asked for on the night's page, when answers come late, never, or from elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from browser import Serve, Standing, axe_problems, screen, small_targets, wait_for
from counted_nights import AUTUMN_NS, counted_night
from found_nights import made_night, simulated_run
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from firmware_host.recording import known_meta
from firmware_host.recording.labels import read_labels
from firmware_host.recording.night import write_meta
from firmware_host.recording.settings import Settings, write_settings

pytestmark = pytest.mark.lasts_s(40)

NAME = "2026-10-24T23-30-00_known.night"
ODD = "2026-10-24T23-30-37_odd.night"
"""It begins 37.5 s after the full minute."""
HELD = """
window.asked = [];
window.fault = "";
window.held = new Promise((done) => (window.release = done));
const real = window.fetch;
window.fetch = async (path, ...rest) => {
  window.asked.push(String(path));
  if (window.late && path.includes(window.late)) await window.held;
  if (window.fault && path.includes(window.fault)) throw new TypeError("nobody answers");
  return real(path, ...rest);
};
"""
"""Answers to paths with `late` in them wait for `release()`; those with `fault` in them fail."""
GROWING = """
const real = window.fetch;
window.fetch = async (path, ...rest) => {
  const answer = await real(path, ...rest);
  if (!/nights\\/[^/]*night(\\?|$)/.test(path)) return answer;
  const facts = await answer.json();
  return Response.json({ ...facts, being_written: true, duration_s: window.grown ? facts.duration_s : 7200 });
};
"""
"""The night is being recorded, and 2 h long until it has `grown`."""
FOCUS = "return document.activeElement.id || document.activeElement.textContent"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a night that is made once."""
    return counted_night(tmp_path_factory.mktemp("made") / NAME)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a night that begins and ends within a minute."""
    return counted_night(tmp_path_factory.mktemp("odd") / ODD, start_ns=AUTUMN_NS + 37_500_000_000)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Give a folder with a night of its own."""
    shutil.copytree(made, tmp_path / NAME)
    return tmp_path


@pytest.fixture(scope="module")
def looked_at(made: Path, odd: Path, standing: Standing, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the address of one server over copies, for all tests that only look at pages."""
    folder = tmp_path_factory.mktemp("looked at")
    for night in (made, odd):
        shutil.copytree(night, folder / night.name)
    simulated_run(folder, hours=0.1)
    return standing(folder).url


def opened(browser: Chrome, url: str, query: str = "", night: str = NAME) -> None:
    """Open a night's page and wait until map and signal are there."""
    browser.get(f"{url}night/{night}{query}")
    wait_for(browser, ".strip-rate", "valid hour")
    wait_for(browser, "#signal-view[data-state='ready']")
    wait_for(browser, "#signal-said", "counted")


def press(browser: Chrome, *keys: str) -> None:
    """Press keys, wherever the focus is."""
    ActionChains(browser).send_keys(*keys).perform()


def pause(browser: Chrome, s: float) -> None:
    """Let the page go on for a while."""
    browser.execute_async_script("setTimeout(arguments[1], 1000 * arguments[0])", s)


def until(browser: Chrome, condition: str) -> None:
    """Wait until a condition holds on the page."""
    WebDriverWait(browser, 20, 0.05).until(
        lambda driver: driver.execute_script(f"return {condition}"), condition
    )


def said_at_s(night: Path) -> list[float]:
    """Return when the events that were judged are, in seconds from the night's start."""
    return [
        (peak - AUTUMN_NS) / 1e9
        for label in read_labels(night).active
        for peaks in label.peaks_ns.values()
        for peak in peaks
    ]


@pytest.mark.long
def test_a_verdict_is_of_the_event_that_was_stepped_to(browser: Chrome, served: Serve, folder: Path) -> None:
    """Stepping and judging at once judges the new event, however late its facts come."""
    opened(browser, served(folder).url, "?site=left_calf&t0=0&t1=60")
    press(browser, "n")
    wait_for(browser, "#event-facts", "none yet")
    browser.execute_script(HELD + "window.late = '/events/'")
    press(browser, "n", "r")
    wait_for(browser, "#correct-said", "1 label holds")
    assert browser.find_element(By.ID, "event-facts").text == "Site\nleft calf\nTime\n23:31:10.00"
    assert said_at_s(folder / NAME) == [70.0]
    browser.execute_script("window.release()")
    wait_for(browser, "#event-facts", "not a twitch")


@pytest.mark.long
def test_facts_that_cannot_be_read_are_not_those_of_another(browser: Chrome, looked_at: str) -> None:
    """When nobody answers, the event's place is shown with the reason, and no facts of the one before."""
    opened(browser, looked_at, "?site=left_calf&t0=0&t1=60")
    press(browser, "n")
    wait_for(browser, "#event-facts", "20.0 mg")
    browser.execute_script(HELD + "window.fault = '/events/'")
    press(browser, "n")
    wait_for(browser, "#event-problem", "answer")
    assert browser.find_element(By.ID, "event-facts").text == "Site\nleft calf\nTime\n23:31:10.00"
    browser.execute_script("window.fault = ''")
    press(browser, "n")
    wait_for(browser, "#event-facts", "20.0 mg")
    assert not browser.find_element(By.ID, "event-problem").is_displayed()


@pytest.mark.long
def test_undo_takes_back_what_was_said_here_alone(browser: Chrome, served: Serve, folder: Path) -> None:
    """A fresh page takes nothing back; what is said on it can be taken back, and is named."""
    url = served(folder).url
    opened(browser, url, "?site=left_calf&t0=0&t1=60")
    press(browser, "n", "r")
    wait_for(browser, "#correct-said", "Kept: 1 event, left calf: no twitch. 1 label holds.")
    until(browser, "location.search.includes('event=')")
    browser.refresh()
    wait_for(browser, "#event-facts", "not a twitch")
    assert not browser.find_element(By.ID, "label-undo").is_enabled()
    press(browser, "z")
    wait_for(browser, "#correct-said", 'under "Correct"')
    assert len(read_labels(folder / NAME).active) == 1
    yes = wait_for(browser, "#event-actions button", "A twitch")
    yes.send_keys(Keys.ENTER)
    wait_for(browser, "#correct-said", "Kept: 1 event, left calf: a twitch")
    wait_for(browser, "#event-facts", "a twitch")
    assert browser.switch_to.active_element == yes
    undo = browser.find_element(By.ID, "label-undo")
    undo.send_keys(Keys.ENTER)
    wait_for(browser, "#correct-said", "Taken back: 1 event, left calf: a twitch. 1 label holds.")
    assert not undo.is_enabled()
    assert browser.execute_script(FOCUS) == "label-redo"
    assert [label.what for label in read_labels(folder / NAME).active] == ["not_twitch"]


def test_what_cannot_be_read_is_not_asked_for_without_end(browser: Chrome, looked_at: str) -> None:
    """A part of the signal that fails is asked for again when the view is moved, not at once by itself."""
    opened(browser, looked_at, "?site=left_calf")
    asked = "window.asked.filter((path) => path.includes('/signal/')).length"
    browser.execute_script(HELD + "window.fault = '/signal/'")
    browser.find_element(By.CSS_SELECTOR, "#signal-sites button").click()
    wait_for(browser, "#signal-state", "answer")
    browser.execute_script("document.dispatchEvent(new Event('theme'))")  # it is drawn anew
    pause(browser, 3)
    assert browser.execute_script(f"return {asked}") == 1
    browser.execute_script("window.fault = ''")
    press(browser, "+")
    until(browser, f"{asked} > 1 && document.getElementById('signal-state').hidden")


@pytest.mark.long
def test_a_range_is_of_one_site(browser: Chrome, looked_at: str) -> None:
    """With several sites shown the range is shaded on the first, and sentence and buttons name it."""
    opened(browser, looked_at, "?site=right_thigh,left_calf&t0=0&t1=60")
    browser.find_element(By.ID, "choose-range").click()
    words = browser.find_element(By.ID, "range-actions").text
    assert words.startswith("Chosen: right thigh, 23:30:00.0 to 23:31:00.0")
    assert "Leave out, right thigh" in words
    assert "left calf" not in words
    shade = """
    const [done] = arguments;
    const canvas = document.getElementById("canvas");
    const [context, x] = [canvas.getContext("2d"), canvas.width - 3];
    const pixel = (y) => context.getImageData(x, y * canvas.height, 1, 1).data.join();
    requestAnimationFrame(() => requestAnimationFrame(() => done([pixel(0.14), pixel(0.6)])));
    """
    first, second = browser.execute_async_script(shade)
    assert first != second
    press(browser, "n")
    wait_for(browser, "#event-facts", "20.0 mg")
    screen(browser, 360)
    assert not axe_problems(browser)
    assert not small_targets(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.long
def test_the_times_of_the_page_are_times_of_the_night(browser: Chrome, looked_at: str) -> None:
    """Its first and last minute can be gone to and left out, though the night begins and ends within them."""
    opened(browser, looked_at, "?t0=600&t1=660", ODD)
    heading = browser.find_element(By.ID, "when").text
    assert "23:30 to 02:30" in heading
    find = """
    const [night, asked, done] = arguments;
    const facts = fetch(`/api/nights/${night}`).then((answer) => answer.json());
    Promise.all([import("/static/night_clock.js"), facts]).then(([{ Clock }, found]) => {
      const clock = new Clock(found);
      done([found.duration_s, ...asked.map(([text, asEnd]) => clock.find(text, asEnd))]);
    });
    """
    asked: list[Any] = [
        ("23:30", False), ("23:30:37", False), ("23:29", False), ("02:30", True), ("02:31", True),
        ("02:30:38", True), ("02:32", True), ("02:10", False),
    ]  # fmt: skip
    end_s, *found = browser.execute_async_script(find, ODD, asked)
    assert found[:3] == [[0], [0], []]
    assert found[3] == [3 * 3600 - 37.5, end_s]
    assert found[4][-1] == found[5][-1] == end_s
    assert len(found[6]) == 1
    assert len(found[7]) == 2
    field = browser.find_element(By.ID, "go-time")
    field.send_keys("23:30", Keys.ENTER)
    until(browser, "new URLSearchParams(location.search).get('t0') === '0.00'")


def test_a_night_that_grows_has_its_new_times(browser: Chrome, looked_at: str) -> None:
    """What was recorded since the page was opened can be gone to as soon as the page shows it."""
    late = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": GROWING})
    opened(browser, looked_at, "?site=left_calf")
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", late)
    field = browser.find_element(By.ID, "go-time")
    field.send_keys("01:40", Keys.ENTER)
    wait_for(browser, "#go-said", "Not in this night")
    browser.execute_script("window.grown = 1; document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(browser, "#when", "23:30 to 02:30")
    field.send_keys(Keys.ENTER)
    wait_for(browser, "#signal-said", "01:39:30")
    assert browser.find_element(By.ID, "go-said").text == ""


def test_a_stretch_ends_after_it_begins_in_an_hour_that_comes_twice(
    browser: Chrome, served: Serve, folder: Path
) -> None:
    """From 02:45 to 02:15 is half an hour where the clocks are put back between the two."""
    browser.get(f"{served(folder).url}correct/{NAME}?show=stretch")
    wait_for(browser, "body[data-ready]")
    browser.find_element(By.ID, "range-from").send_keys("02:45")
    browser.find_element(By.ID, "range-to").send_keys("02:15")
    browser.find_element(By.CSS_SELECTOR, "[data-what=exclude]").click()
    wait_for(browser, "#range-said", "left out")
    [label] = read_labels(folder / NAME).active
    assert ((label.start_ns or 0) - AUTUMN_NS) / 1e9 == 3.25 * 3600
    assert ((label.end_ns or 0) - AUTUMN_NS) / 1e9 == 3.75 * 3600
    browser.get("about:blank")


@pytest.mark.parametrize("bins", ["", "?bin=3600"])
def test_the_time_slider_stays_in_the_card(browser: Chrome, looked_at: str, bins: str) -> None:
    """However short the night and long the bins, the slider is no wider than the plot above it."""
    screen(browser, 360)
    opened(browser, looked_at, bins, "2026-11-22T22-40-00_made.night")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    slider, plot = (browser.find_element(By.ID, one).rect for one in ("time", "strips-axis"))
    assert slider["x"] >= plot["x"]
    assert slider["x"] + slider["width"] <= plot["x"] + plot["width"] + 1


def test_what_went_wrong_is_not_said_for_good(browser: Chrome, looked_at: str) -> None:
    """A sentence about bins that could not be read goes when others can."""
    opened(browser, looked_at)
    browser.execute_script(HELD + "window.fault = '/map'")
    browser.find_element(By.CSS_SELECTOR, "[data-bin='300']").click()
    wait_for(browser, "#problem", "answer")
    assert browser.find_element(By.CSS_SELECTOR, "[data-bin='900']").get_attribute("aria-pressed") == "true"
    browser.execute_script("window.fault = ''")
    browser.find_element(By.CSS_SELECTOR, "[data-bin='300']").click()
    until(browser, "document.getElementById('problem').hidden")


@pytest.mark.long
def test_the_focus_goes_on_from_a_button_that_is_gone(
    browser: Chrome, served: Serve, made: Path, tmp_path: Path
) -> None:
    """Who asks for counts, or answers whether a sensor was on, goes on from there, not from the top."""
    shutil.copytree(made, tmp_path / NAME)
    write_meta(tmp_path / NAME, msgspec.structs.replace(known_meta(tmp_path / NAME), origin="recorded"))
    asked = made_night(tmp_path, 0, {"left_calf": 90, "right_calf": 40}, unconfirmed_s=7200.0)
    write_settings(tmp_path, Settings("on_request"))
    url = served(tmp_path).url
    browser.get(f"{url}night/{NAME}")
    wait_for(browser, "#show-numbers").send_keys(Keys.ENTER)
    assert browser.execute_script(FOCUS) == "map-title"
    wait_for(browser, "#signal-said", "counted")
    browser.get(f"{url}correct/{asked.name}")
    wait_for(browser, "#state button").send_keys(Keys.ENTER)
    until(browser, "document.activeElement.id === 'counts-title'")
    wait_for(browser, "body[data-ready]")
    wait_for(browser, "#wear fieldset button", "Yes").send_keys(Keys.ENTER)
    wait_for(browser, "#said-last", "was on")
    assert browser.execute_script("return document.activeElement.matches('h2')")
    browser.get("about:blank")
