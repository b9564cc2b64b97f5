"""The night's page in a real browser: what is chosen moves everywhere, by pointer and by keyboard alone."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from browser import Serve, Standing, axe_problems, screen, small_targets, wait_for
from counted_nights import counted_night
from made_nights import meta, quiet_night
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from firmware_host.recording import create_night
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.review.charts.colours import PALETTE

pytestmark = pytest.mark.lasts_s(40)

NAME = "2026-10-24T23-30-00_known.night"
LATE = """
const real = window.fetch;
window.late = new Promise((done) => (window.release = done));
window.fetch = async (path, ...rest) => {
  if (path.endsWith("/detection")) return Response.json({ state: "done" });
  if (path.includes("/drawn-events")) await window.late;
  const answer = await real(path, ...rest);
  if (path.includes("/events/")) return Response.json({ ...(await answer.json()), unit: 0 });
  if (!path.includes("/map")) return answer;
  const map = await answer.json();
  map.sites[2].top = 100;
  return Response.json(map);
};
"""
"""Events wait for `release()`, all of one unit, the calf's strip is low, and twitches are found at once."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a night that is made once."""
    return counted_night(tmp_path_factory.mktemp("made") / NAME)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Give a folder with a night of its own."""
    shutil.copytree(made, tmp_path / NAME)
    return tmp_path


@pytest.fixture(scope="module")
def looked_at(made: Path, standing: Standing, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the address of one server over a copy, for all tests that only look at the page."""
    folder = tmp_path_factory.mktemp("looked at")
    shutil.copytree(made, folder / NAME)
    return standing(folder).url


def opened(browser: Chrome, url: str, query: str = "") -> None:
    """Open the night's page and wait until map and signal are there."""
    browser.get(f"{url}night/{NAME}{query}")
    wait_for(browser, ".strip-rate", "valid hour")
    wait_for(browser, "#signal-view[data-state='ready']")
    wait_for(browser, "#signal-said", "counted")


def until(browser: Chrome, condition: str) -> None:
    """Wait until a condition holds on the page."""
    WebDriverWait(browser, 20, 0.05).until(
        lambda driver: driver.execute_script(f"return {condition}"), condition
    )


def press(browser: Chrome, *keys: str) -> None:
    """Press keys, wherever the focus is."""
    ActionChains(browser).send_keys(*keys).perform()


def view_s(browser: Chrome) -> tuple[float, float]:
    """Return what the signal view shows, from the address, once it has settled."""
    browser.execute_async_script("setTimeout(arguments[0], 450)")
    query = parse_qs(urlsplit(browser.current_url).query)
    return float(query["t0"][0]), float(query["t1"][0])


def fill(browser: Chrome, site: str) -> str:
    """Return the colour of a site's region on the body."""
    script = "return getComputedStyle(document.querySelector(`[data-base='${arguments[0]}']`)).fill"
    return str(browser.execute_script(script, site))


@pytest.mark.long
def test_the_map_tells_none_from_not_observed(browser: Chrome, looked_at: str) -> None:
    """Every number stands with interval, valid time and limit; places without a sensor are not measured."""
    opened(browser, looked_at)
    rates = [one.text for one in browser.find_elements(By.CSS_SELECTOR, ".strip-rate")]
    assert rates[0].startswith("none seen (0 to ")
    assert rates[1].startswith("12 per valid hour (")
    more = browser.find_element(By.CSS_SELECTOR, "[data-strip='left_forearm'] .strip-more").text
    assert more == "6 min valid of 4 h, little valid time · detection limit not known"
    title = browser.find_element(By.CSS_SELECTOR, "[data-base='left_foot'] title")
    assert title.get_attribute("textContent") == "left foot: not measured"
    assert fill(browser, "left_foot") == "rgba(0, 0, 0, 0)"
    assert fill(browser, "left_calf") != fill(browser, "right_thigh")
    limits = browser.find_element(By.ID, "limits").text
    assert "53 of 56 places" in limits
    assert "wearing it cannot be shown" in limits
    assert "left_forearm: below 90" in limits


def test_figure_and_strips_move_in_step(browser: Chrome, looked_at: str) -> None:
    """A time chosen on a strip is shown on the body, in the numbers and in the signal, and back again."""
    opened(browser, looked_at)
    whole = fill(browser, "left_calf")
    plot = browser.find_element(By.CSS_SELECTOR, "[data-strip='left_calf'] .plot")
    # In the middle of the time in which the calf's sensor was not worn.
    at = 44 + (plot.size["width"] - 44) * 1.6 / 4 - plot.size["width"] / 2
    ActionChains(browser).move_to_element_with_offset(plot, at, 0).click().perform()
    wait_for(browser, "#chosen-name", "01:00 to 01:15")
    assert browser.find_element(By.CSS_SELECTOR, "[data-strip='left_calf'] .strip-rate").text == "not worn"
    assert fill(browser, "left_calf") != whole
    over = browser.find_element(By.CSS_SELECTOR, "[data-over='left_calf']").get_attribute("style")
    assert "hatch-dots" in (over or "")
    assert view_s(browser) == (5400.0, 6300.0)
    browser.find_element(By.ID, "whole").click()
    wait_for(browser, "#chosen-name", "Whole night")
    assert fill(browser, "left_calf") == whole


def test_a_site_is_chosen_on_the_body(browser: Chrome, looked_at: str) -> None:
    """A region of the body opens the site's strip, and the signal shows that site."""
    opened(browser, looked_at)
    browser.find_element(By.CSS_SELECTOR, "[data-base='left_calf']").click()
    title = browser.find_element(By.CSS_SELECTOR, "[data-strip='left_calf'] .strip-title")
    assert title.get_attribute("aria-expanded") == "true"
    until(browser, "document.querySelectorAll('#signal-sites [aria-pressed=true]').length === 1")
    shown = browser.find_element(By.CSS_SELECTOR, "#signal-sites [aria-pressed=true]")
    assert shown.text == "3 left calf"
    spot = browser.find_element(By.CSS_SELECTOR, "[data-spot='left_calf']")
    assert spot.get_attribute("aria-pressed") == "true"
    assert "per valid hour" in (spot.get_attribute("aria-label") or "")


@pytest.mark.long
def test_once_through_by_keyboard(browser: Chrome, looked_at: str) -> None:
    """Time, site, table, zoom, move, event and time field need no pointer."""
    opened(browser, looked_at)
    press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    wait_for(browser, "#chosen-name", "23:45 to 00:00")
    press(browser, "3", "v")
    table = wait_for(browser, "#bins-table table", "left calf, bin by bin")
    assert "not worn" in table.text
    press(browser, "w", "n")
    wait_for(browser, "#event-facts", "23:30:10.00")
    first = view_s(browser)
    assert first[1] - first[0] == pytest.approx(30, abs=0.1)
    press(browser, "n")
    wait_for(browser, "#event-facts", "23:31:10.00")
    press(browser, "p")
    wait_for(browser, "#event-facts", "23:30:10.00")
    press(browser, "+", "+", "+", "+", "+", "+", "+", "+")
    close = view_s(browser)
    assert close[1] - close[0] == pytest.approx(0.2, abs=0.02)
    assert close[0] < 10.0 < close[1]
    view = browser.find_element(By.ID, "signal-view")
    view.send_keys(Keys.END)
    assert view_s(browser)[1] == pytest.approx(14_400, abs=0.1)
    press(browser, "-", "g")
    press(browser, "01:12:05", Keys.ENTER)
    assert sum(view_s(browser)) / 2 == pytest.approx(6125, abs=0.5)


def test_an_hour_that_comes_twice_is_found_twice(browser: Chrome, looked_at: str) -> None:
    """In the night in which clocks are put back, 02:10 is gone to first once, then the other time."""
    opened(browser, looked_at)
    assert "Clocks back 60 min at 03:00" in browser.find_element(By.ID, "when").text
    hours = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#strips-axis text")]
    assert [hour for hour in hours if hour.endswith(":00")] == ["00:00", "01:00", "02:00", "02:00"]
    found = []
    for _ in range(2):
        field = browser.find_element(By.ID, "go-time")
        field.clear()
        field.send_keys("02:10", Keys.ENTER)
        found.append(sum(view_s(browser)) / 2)
    assert found == pytest.approx([2 * 3600 + 40 * 60, 3 * 3600 + 40 * 60], abs=1)
    assert "twice" in browser.find_element(By.ID, "go-said").text
    field = browser.find_element(By.ID, "go-time")
    field.clear()
    field.send_keys("noon", Keys.ENTER)
    assert "Give a time" in browser.find_element(By.ID, "go-said").text


def test_an_event_is_chosen_by_a_click(browser: Chrome, looked_at: str) -> None:
    """A click near an event chooses it, others hear of it, and the address remembers it."""
    opened(browser, looked_at, "?site=left_calf&t0=0&t1=60")
    browser.execute_script(
        "document.addEventListener('event-chosen', (event) => (window.heard = event.detail));"
        "document.addEventListener('range-chosen', (event) => (window.range = event.detail));"
    )
    view = browser.find_element(By.ID, "signal-view")
    width = view.size["width"]
    at = 64 + (width - 64) * 10 / 60 - width / 2
    ActionChains(browser).move_to_element_with_offset(view, at, 0).click().perform()
    wait_for(browser, "#event-facts", "20.0 mg")
    until(browser, "window.heard")
    heard: dict[str, Any] = browser.execute_script("return window.heard")
    assert (heard["night"], heard["site"]) == (NAME, "left_calf")
    assert heard["event"]["peak_s"] == 10.0
    view_s(browser)
    assert f"event={heard['id']}" in browser.current_url
    browser.find_element(By.ID, "choose-range").click()
    chosen: dict[str, Any] = browser.execute_script("return window.range")
    assert (chosen["site"], chosen["fromS"], chosen["toS"]) == ("left_calf", 0, 60)
    browser.refresh()
    wait_for(browser, "#event-facts", "20.0 mg")
    browser.get(browser.current_url.replace(f"event={heard['id']}", f"event={heard['id'] + 1}"))
    wait_for(browser, "#event-facts", "hardly larger than the noise")  # it does not count


@pytest.mark.long
def test_labels_are_followed(browser: Chrome, served: Serve, folder: Path) -> None:
    """When something else on the page has changed labels, numbers, bars and the chosen event follow."""
    opened(browser, served(folder).url, "?site=left_calf&t0=0&t1=60")
    press(browser, "n")
    wait_for(browser, "#event-facts", "none yet")
    wait_for(browser, "#signal-said", "1 counted")
    browser.execute_async_script(
        """
        const [night, done] = arguments;
        const body = JSON.stringify({ what: "not_twitch", site: "left_calf", peaks_s: [10.0] });
        const headers = { "content-type": "application/json" };
        fetch(`/api/nights/${night}/labels`, { method: "POST", headers, body }).then((answer) => {
          document.dispatchEvent(new Event("labels-changed"));
          done(answer.status);
        });
        """,
        NAME,
    )
    wait_for(browser, "#event-facts", "not a twitch")
    browser.execute_script(
        "document.querySelector('dd').textContent = 'rejected, not sure enough '.repeat(3)"
    )
    assert browser.execute_script("return document.querySelector('dt').offsetWidth") >= 104
    assert browser.execute_script(
        "const box = document.querySelector('dl'); return box.scrollWidth <= box.clientWidth"
    )
    wait_for(browser, "#signal-said", "0 counted")


def test_up_to_four_traces_with_their_axes(browser: Chrome, looked_at: str) -> None:
    """More sites and the three axes make the picture taller; each is drawn from its own numbers."""
    opened(browser, looked_at)
    height = browser.find_element(By.ID, "canvas").size["height"]
    for button in browser.find_elements(By.CSS_SELECTOR, "#signal-sites button")[1:]:
        button.click()
    browser.find_element(By.ID, "axes").click()
    until(browser, f"document.getElementById('canvas').clientHeight > {2 * height}")
    wait_for(browser, "#signal-said", "left forearm, right thigh, left calf")


@pytest.mark.long
def test_numbers_wait_until_they_are_asked_for(browser: Chrome, served: Serve, folder: Path) -> None:
    """Who chose not to see counts every morning sees none, in the title neither, until asked for."""
    write_settings(folder, Settings(show="on_request"))
    browser.get(f"{served(folder).url}night/{NAME}")
    button = wait_for(browser, "#show-numbers")
    assert not browser.find_element(By.ID, "night").is_displayed()
    assert not browser.execute_script(
        "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/map')).length"
    )
    assert "valid hour" not in browser.find_element(By.TAG_NAME, "main").text
    assert not any(digit in browser.title.replace("2026", "").replace("24", "") for digit in "0123456789")
    button.click()
    wait_for(browser, ".strip-rate", "valid hour")
    wait_for(browser, "#signal-view[data-state='ready']")


@pytest.mark.long
def test_a_night_that_was_not_counted_shows_its_signal(
    browser: Chrome, served: Serve, tmp_path: Path
) -> None:
    """Without a run the page says so and shows the signal; twitches are found at the press of a button."""
    quiet_night(tmp_path / NAME)
    browser.get(f"{served(tmp_path).url}night/{NAME}")
    wait_for(browser, "#search", "Nothing was counted")
    wait_for(browser, "#signal-view[data-state='ready']")
    wait_for(browser, "#signal-said", "left calf")
    assert not browser.find_element(By.CSS_SELECTOR, ".map").is_displayed()
    browser.find_element(By.ID, "find").click()
    wait_for(browser, ".strip-rate", "valid hour", 120)
    wait_for(browser, "#signal-view[data-state='ready']")


def test_a_night_without_samples_opens(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """A recording that got no sample says so, and nothing on the page breaks over it."""
    with create_night(tmp_path / NAME, meta(2, origin="imported")):
        pass
    browser.get(f"{served(tmp_path).url}night/{NAME}")
    wait_for(browser, "#problem", "This night holds no samples.")
    assert not browser.find_element(By.ID, "signal").is_displayed()
    wait_for(browser, "#limits", "not a diagnosis")


@pytest.mark.long
def test_what_is_wrong_with_a_night_stands_above_its_map(
    browser: Chrome, served: Serve, folder: Path
) -> None:
    """Samples that came since, with a button; a broken description in plain words; no count too early."""
    with sqlite3.connect(folder / NAME / "results.sqlite") as results:
        (summary,) = results.execute("SELECT summary FROM runs").fetchone()
        shorter = json.loads(summary) | {"duration_s": 14_300.0}
        results.execute("UPDATE runs SET summary = ?", (json.dumps(shorter),))
    results.close()
    (folder / NAME / "night.toml").write_text("this is = = not toml")
    late = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": LATE})
    browser.get(f"{served(folder).url}night/{NAME}?run=known&site=left_calf")
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", late)
    wait_for(browser, "#search", "added or lost")
    assert "toml" not in wait_for(browser, "#problem", "The description of this night").text
    below = "document.querySelector(arguments[0]).getBoundingClientRect()"
    apart = f"return {below}.top - {below.replace('[0]', '[1]')}.bottom"
    assert browser.execute_script(apart, "#problem", ".tabs") >= 12
    assert browser.execute_script(apart, ".map", "#find") > 0
    wait_for(browser, "#signal-view[data-state='ready']")
    view_s(browser)
    assert "counted" not in wait_for(browser, "#signal-said", "left calf").text
    browser.execute_script("window.release()")
    wait_for(browser, "#signal-said", "counted")
    press(browser, "n")
    assert wait_for(browser, "#event-facts", "Unit").text.endswith("Unit\n1"), "as on the page that corrects"
    assert browser.find_elements(By.CSS_SELECTOR, "[data-strip='left_calf'] .cut")
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-strip='right_thigh'] .cut")
    assert "A bar with a cut" in browser.find_element(By.ID, "strips-note").text
    browser.find_element(By.ID, "find").click()
    WebDriverWait(browser, 20, 0.1).until(lambda driver: "run=" not in driver.current_url)
    wait_for(browser, "#signal-said", "counted")


def test_marks_are_only_text(browser: Chrome, looked_at: str) -> None:
    """A mark stands beside what was seen, its markup is text, and its time leads to the signal."""
    opened(browser, looked_at)
    row = wait_for(browser, "#marks tbody tr:nth-child(2)", "felt <b>one</b>")
    row.find_element(By.TAG_NAME, "button").click()
    assert sum(view_s(browser)) / 2 == pytest.approx(4000, abs=1)


def test_long_names_of_sites_fit_a_phone(browser: Chrome, looked_at: str) -> None:
    """In the signal a name is shortened to the room there is; over a strip its lines begin at one edge."""
    screen(browser, 360)
    opened(browser, looked_at)
    script = """
    const done = arguments[0];
    import("/static/signal_draw.js").then(({ fitted }) => {
      const context = document.createElement("canvas").getContext("2d");
      const long = "1  left tongue region (under the chin), sensor 2";
      const short = fitted(context, long, 120);
      done([short, context.measureText(short).width, fitted(context, long, 999) === long]);
    });
    """
    short, width, same = browser.execute_async_script(script)
    assert short.endswith("…")
    assert 90 < width <= 120
    assert same
    title = browser.find_element(By.CSS_SELECTOR, ".strip-title")
    assert title.value_of_css_property("text-align") == "left"


@pytest.mark.long
@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_for_everybody(browser: Chrome, looked_at: str, width: int) -> None:
    """Nothing runs out of the page sideways, controls are large enough, and axe-core has nothing to say.

    Also with a site, a time and an event chosen and the tables open, and in dark colours.
    """
    screen(browser, width)
    opened(browser, looked_at)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert not small_targets(browser)
    press(browser, "3", Keys.ARROW_RIGHT, "v", "n")
    wait_for(browser, "#event-facts", "20.0 mg")
    assert not axe_problems(browser)
    screen(browser, width, dark=True)
    assert not axe_problems(browser, "color-contrast")


def test_the_page_has_the_colours_of_the_pictures() -> None:
    """The scale of a rate on the page is that of every other picture."""
    css = (Path(__file__).parents[1] / "firmware_host/review/static/figure.css").read_text()
    light = css[: css.index("data-theme")]
    for number, colour in enumerate(PALETTE):
        assert f"--rate-{number}: {colour};" in light
