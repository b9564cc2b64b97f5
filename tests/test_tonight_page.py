"""Tonight in a real browser, with the keyboard alone: an empty folder becomes a finished virtual night."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import made_nights
import pytest
from browser import Serve, axe_problems, console_errors, screen, small_targets, wait_for
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from firmware_host.capture.setups import Setup, SetupSensor, save_setup
from firmware_host.errors import TwitchmapError
from firmware_host.recording import create_night, list_nights, open_night
from firmware_host.recording.live_status import LiveStatus, Saying, SensorNow, ask_stop, write_status
from firmware_host.recording.nights import running_night
from firmware_host.recording.reader import is_finished

pytestmark = pytest.mark.lasts_s(60)

MARKUP = "<img src=x onerror=alert(1)> & <b>bold</b>"


@pytest.fixture
def folder(tmp_path: Path, browser: Chrome, served: Serve) -> Iterator[Path]:
    """Give an empty folder; at the end the page is left before its server, and a recorder is ended."""
    yield tmp_path
    browser.get("about:blank")
    for _ in range(100):
        if (night := running_night(tmp_path)) is None:
            return
        with contextlib.suppress(TwitchmapError):
            ask_stop(night)
        time.sleep(0.1)


def tab_to(browser: Chrome, selector: str) -> WebElement:
    """Go to a control with Tab alone; it must come within one round."""
    for _ in range(120):
        here = browser.switch_to.active_element
        if browser.execute_script("return arguments[0].matches(arguments[1])", here, selector):
            return here
        ActionChains(browser).send_keys(Keys.TAB).perform()
    raise AssertionError(f"{selector} is not reached by Tab")


def press(browser: Chrome, selector: str, key: str = Keys.ENTER) -> None:
    """Go to a control with Tab and press it."""
    tab_to(browser, selector)
    ActionChains(browser).send_keys(key).perform()


@pytest.mark.long
def test_from_an_empty_folder_to_a_finished_night(browser: Chrome, served: Serve, folder: Path) -> None:
    """Set up, check, start, mark, a server that is killed and comes back, end: by Tab, Enter and Space."""
    server = served(folder, alone=True)
    browser.get(f"{server.origin}/tonight")
    wait_for(browser, "#state", "Set up")
    press(browser, "#sites details:last-child summary")
    press(browser, "[value=left_calf]", Keys.SPACE)
    wait_for(browser, "#chosen", "left calf")
    assert browser.find_elements(By.CSS_SELECTOR, ".figures .chosen[data-site=left_calf]")
    tab_to(browser, "[name=how]")
    ActionChains(browser).send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN).perform()
    press(browser, "#do-setup")
    wait_for(browser, "#job-tap", "Tap the sensor for the left calf now", 40)
    wait_for(browser, "#ready-sensors", "left calf", 40)
    press(browser, "#check")
    wait_for(browser, "#report-title", "All is ready", 60)
    press(browser, "#detect", Keys.SPACE)
    press(browser, "#start")
    wait_for(browser, "#live-line", "The sensor sends", 60)
    assert "ends by itself at 07:00" in browser.find_element(By.ID, "state").text
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("data-dim") is not None
    browser.find_element(By.TAG_NAME, "body").send_keys("m")
    wait_for(browser, "#marked", "felt one")
    tab_to(browser, "#mark-text")
    ActionChains(browser).send_keys(MARKUP, Keys.ENTER).perform()
    wait_for(browser, "#marked", MARKUP)
    os.killpg(server.process.pid, signal.SIGKILL)
    wait_for(browser, "#trouble", "goes on without it")
    browser.get("about:blank")  # the page asks again and again while the next server starts
    console_errors(browser)  # that nobody answered is one
    browser.get(f"{served(folder, alone=True).origin}/tonight")
    wait_for(browser, "#live-line", "The sensor sends")
    wait_for(browser, "#stop")
    press(browser, "#live-more summary")
    wait_for(browser, "#live-said", MARKUP)
    press(browser, "#stop")
    press(browser, "#stop-no")
    assert running_night(folder) is not None
    press(browser, "#stop")
    press(browser, "#stop-yes")
    wait_for(browser, "#last-title", "The night is safe")
    assert "1 sensor" in browser.find_element(By.ID, "last-line").text
    assert "virtual" in browser.find_element(By.ID, "last-when").text
    assert not browser.find_elements(By.CSS_SELECTOR, "main img, main b")
    (path,) = list_nights(folder)
    night = open_night(path)
    assert is_finished(night)
    marks = [event.details["text"] for event in night.events() if event.kind == "mark"]
    assert marks == ["felt one", MARKUP]
    assert wait_for(browser, "#open").get_attribute("href").endswith(path.name)  # type: ignore[union-attr]
    browser.get(browser.current_url.rpartition("/")[0] + "/nights")
    wait_for(browser, "main", "left")


FOUND = """
const [done] = arguments;
import("/static/tonight_setup.js").then((setup) => {
  setup.offer([
    { address: "C0:00:00:00:00:01", name: "<i>A</i>", label: "Model", rssi_dbm: -60, site: null },
    { address: "C0:00:00:00:00:02", name: "", label: null, rssi_dbm: null, site: "left_calf" },
  ]);
  done();
});
"""
ORDER = """
const [done] = arguments;
import("/static/tonight_setup.js").then((setup) => {
  try { done(setup.order()); } catch (error) { done(error.message); }
});
"""


def test_sensors_are_chosen_by_name(browser: Chrome, served: Serve, folder: Path) -> None:
    """What a scan finds is offered for each place; a place without a sensor is named; markup is text."""
    browser.get(f"{served(folder).origin}/tonight")
    wait_for(browser, "#state", "Set up")
    for site in ("left_calf", "right_calf"):  # on the figure
        browser.execute_script(
            "document.querySelector(arguments[0]).dispatchEvent(new MouseEvent('click', {bubbles: true}))",
            f".figures [data-site={site}]",
        )
    browser.find_element(By.CSS_SELECTOR, "[value=name]").click()
    assert browser.execute_async_script(ORDER) == "Choose a sensor for the left calf."
    browser.execute_async_script(FOUND)
    wait_for(browser, "#scan-result", "2 sensors are in range")
    assert browser.execute_async_script(ORDER) == "Choose a sensor for the right calf."
    browser.find_element(By.ID, "who-right_calf").send_keys("<i>A</i>")
    browser.find_element(By.CSS_SELECTOR, "#placements summary").click()
    browser.find_element(By.ID, "placement-left_calf").send_keys(" below the knee ")
    left = {"site": "left_calf", "who": "C0:00:00:00:00:02", "placement": "below the knee"}
    right = {"site": "right_calf", "who": "C0:00:00:00:00:01", "placement": ""}
    assert browser.execute_async_script(ORDER) == {"sensors": [left, right], "trial": False}
    assert not browser.find_elements(By.CSS_SELECTOR, "main i")


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="hides BlueZ")
def test_what_the_radio_refuses_is_said(
    browser: Chrome, served: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Bluetooth cannot be used the page says why, and what was chosen stays."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    browser.get(f"{served(folder, alone=True).origin}/tonight")
    wait_for(browser, "#state", "Set up")
    browser.find_element(By.CSS_SELECTOR, "#sites details:last-child summary").click()
    browser.find_element(By.CSS_SELECTOR, "[value=left_calf]").click()
    browser.find_element(By.ID, "do-setup").click()
    wait_for(browser, "#job-said", "luetooth")
    wait_for(browser, "#setup")
    assert browser.find_element(By.CSS_SELECTOR, "[value=left_calf]").is_selected()
    browser.find_element(By.CSS_SELECTOR, "[value=name]").click()
    browser.find_element(By.ID, "scan").click()
    wait_for(browser, "#scan-result", "luetooth")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off_and_everything_is_large_enough(
    browser: Chrome, served: Serve, folder: Path, width: int
) -> None:
    """At both widths nothing scrolls sideways, and whatever can be pressed is 44 px high."""
    screen(browser, width)
    browser.get(f"{served(folder).origin}/tonight")
    wait_for(browser, "#state", "Set up")
    for summary in browser.find_elements(By.CSS_SELECTOR, "#sites summary"):
        summary.click()
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert small_targets(browser) == []


@pytest.mark.long
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_is_for_everybody(browser: Chrome, served: Serve, folder: Path, dark: bool) -> None:
    """axe-core finds nothing wrong before the night, while one is recorded, dimmed or not, and after it."""
    screen(browser, 390, dark=dark)
    with create_night(folder / "2026-11-22T23-30-00.night", made_nights.meta(1)) as writer:
        now_ns = time.time_ns()
        sensors = tuple(
            SensorNow(
                site=site, state=state, model="M", fs_hz=200.0, samples=samples, lost_share=0.01,
                battery_percent=50, battery_ends_ns=now_ns + 4 * 10**12, rssi_dbm=-60,
                last_data_ns=now_ns if samples else None, trouble=None if samples else "It is not heard.",
            )
            for site, state, samples in [("left_calf", "streaming", 9), ("right_calf", "looking", 0)]
        )  # fmt: skip
        status = LiveStatus(
            id="x", utc_ns=now_ns, start_ns=now_ns, end_ns=None, time_zone="UTC", virtual=True,
            sensors=sensors, disk_free_bytes=10**10, trouble="The disk is full.", advice=("Plug it in.",),
            said=(Saying(now_ns, "Marked."),),
        )  # fmt: skip
        write_status(writer.path, status)
        browser.get(f"{served(folder).origin}/tonight")
        wait_for(browser, "#live-line", "1 of 2 sensors")
        browser.find_element(By.CSS_SELECTOR, "#live-more summary").click()
        browser.find_element(By.ID, "stop").click()
        assert axe_problems(browser) == []
        browser.find_element(By.ID, "dim").click()
        assert browser.find_element(By.TAG_NAME, "html").get_attribute("data-dim") is None
        assert axe_problems(browser) == []
        assert small_targets(browser) == []
    save_setup(folder, Setup(sensors=(SetupSensor(site="left_calf", name="A", placement="strap"),)))
    wait_for(browser, "#ready-sensors", "left calf")
    assert axe_problems(browser) == []
