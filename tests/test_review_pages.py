"""The pages in a real browser: what they show, by whom they can be used, and what they keep back."""

from __future__ import annotations

import shutil
import urllib.parse
from pathlib import Path

import made_nights
import msgspec
import pytest
from browser import Serve, Standing, axe_problems, screen, small_targets, wait_for
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from firmware_host.analysis import detect_night
from firmware_host.recording import amend_night, known_meta
from firmware_host.recording.night import write_meta
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.review.pages import find_pages

pytestmark = pytest.mark.lasts_s(60)

NIGHT = "2026-11-22T23-30-00_a.night"
EVIL = "<img src=x onerror=\"document.title='hit'\">"
PAGES = sorted(page.path.replace("{night}", NIGHT) for page in find_pages())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make three nights of ten minutes: one counted, one not, one simulated."""
    folder = tmp_path_factory.mktemp("nights")
    for name, origin, day in (
        (NIGHT, "imported", 0),
        ("raw.night", "imported", 1),
        ("sim.night", "simulated", -1),
    ):
        made_nights.quiet_night(folder / name, origin, day)
        if name != "raw.night":
            detect_night(folder / name)
    write_settings(folder, Settings("nightly"))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Give a copy of these nights."""
    shutil.copytree(made, tmp_path / "nights")
    return tmp_path / "nights"


@pytest.fixture(scope="module")
def looked_at(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give one copy for all tests that only look at the pages."""
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("looked at") / "nights"))


def served_url(browser: Chrome) -> str:
    """Return the address of the server whose page is open."""
    return "/".join(browser.current_url.split("/")[:3]) + "/"


def rate_of(browser: Chrome, night: str) -> str:
    """Return what the list says of a night's rate."""
    cell = browser.find_element(By.XPATH, f"//tr[.//a[contains(@href, '{night}')]]/td[4]")
    return cell.text


def test_a_new_folder_asks_first(browser: Chrome, served: Serve, folder: Path) -> None:
    """The first page asks when counts are shown; what is chosen by keyboard is kept, and the nights come."""
    (folder / "settings.toml").unlink()
    browser.get(served(folder).url)
    wait_for(browser, "h1", "Settings")
    choice = browser.find_element(By.CSS_SELECTOR, "input[value=on_request]")
    choice.send_keys(Keys.SPACE)
    choice.send_keys(Keys.ENTER)
    WebDriverWait(browser, 10).until(lambda driver: "/settings" not in driver.current_url)
    browser.get(served_url(browser) + "nights")
    wait_for(browser, "#ask", "on request")
    assert (folder / "settings.toml").read_text().strip() == 'show = "on_request"'


def test_the_list_shows_the_nights(browser: Chrome, standing: Standing, looked_at: Path) -> None:
    """Each night has its row; the simulated one says so, one without a run offers to find its twitches."""
    browser.get(standing(looked_at).url + "nights")
    wait_for(browser, "#state", "3 nights")
    rows = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#list tbody tr")]
    assert ["23 November" in rows[0], "22 November" in rows[1], "21 November" in rows[2]] == [True] * 3
    assert "Find twitches" in rows[0]
    assert "simulated" in rows[2]
    assert "simulated" not in rows[1]
    assert browser.title.startswith("Nights")


@pytest.mark.long
def test_twitches_are_found_from_the_list(browser: Chrome, served: Serve, folder: Path) -> None:
    """The button finds a night's twitches; the row then has its numbers, without a reload."""
    browser.get(served(folder, alone=True).url + "nights")
    button = wait_for(browser, "button[id='find raw.night']")
    button.send_keys(Keys.ENTER)
    wait_for(browser, "button[id='stop raw.night']")
    wait_for(browser, "#list tbody tr:first-child td.number", "0.2 h", timeout_s=90)
    assert not browser.find_elements(By.CSS_SELECTOR, "button[id='find raw.night']")
    assert "in 0." in rate_of(browser, "raw.night")


def test_a_night_without_samples_offers_no_search(browser: Chrome, served: Serve, folder: Path) -> None:
    """The list says that it holds none, and does not count it among those to be searched."""
    for name in ("b.night", "c.night"):
        made_nights.small_night(folder / name)
        amend_night(folder / name, sites={"left_calf": "left_gluteal"})
    (folder / "b.night" / "samples.log").write_bytes(b"")
    page = served(folder)
    browser.get(page.url + "nights")
    wait_for(browser, "#find-all", "Find twitches of 2 nights")
    rows = {row.get_attribute("id"): row for row in browser.find_elements(By.CSS_SELECTOR, "#list a")}
    row = rows["open b.night"].find_element(By.XPATH, "./ancestor::tr")
    assert "holds no samples" in row.text
    assert "left buttock, right calf" in row.text
    assert not row.find_elements(By.TAG_NAME, "button")
    assert "left buttock" in browser.find_element(By.ID, "site").text
    screen(browser, 320)
    browser.execute_script("document.querySelector('#site option').textContent = 'a long name '.repeat(9)")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    screen(browser, 1280)
    browser.get(page.url + "compare")
    wait_for(browser, "#nights", "left buttock, right calf")
    assert "left buttock" in browser.find_element(By.ID, "other-site").text


def test_the_calendar_has_every_night(browser: Chrome, standing: Standing, looked_at: Path) -> None:
    """Each night is a link on its day; only nights that somebody slept have a shade; the view is kept."""
    server = standing(looked_at)
    browser.get(server.url + "nights")
    wait_for(browser, "#view-calendar").send_keys(Keys.ENTER)
    wait_for(browser, ".month", "November 2026")
    Select(browser.find_element(By.ID, "site")).select_by_visible_text("left calf")
    days = {day.text.split()[0]: day for day in browser.find_elements(By.CSS_SELECTOR, ".months a.day")}
    assert set(days) == {"21", "22", "23"}
    classes = {text: day.get_attribute("class") or "" for text, day in days.items()}
    assert ["shade" in classes[day] for day in ("21", "22", "23")] == [False, True, False]
    assert "simulated" in (days["21"].get_attribute("aria-label") or "")
    browser.refresh()
    wait_for(browser, ".month", "November 2026")
    told = browser.execute_async_script(
        """const [counts, done] = arguments;
        const seen = { site: "left_calf", label: "left calf", state: "observed", valid_h: 8 };
        const night = (twitches, k) => ({
          evening: `2026-11-0${k + 1}`, start: "2026-11-01T23:30", sites: [{ ...seen, twitches }],
        });
        import("/static/nights_calendar.js").then(({ months }) => {
          const days = months(counts.map(night), "", 1).months[0].querySelectorAll("a strong");
          done([...days].map((one) => one.textContent));
        });""",
        [9_999, 300_000],
    )
    assert told == ["9,999", "300k"]  # as wide as a day is on a phone


@pytest.mark.long
@pytest.mark.parametrize("show", ["on_request", "weekly"])
def test_counts_are_kept_back(browser: Chrome, served: Serve, folder: Path, show: str) -> None:
    """No count of a night stands anywhere, in title, text or attributes, until somebody asks for it there."""
    write_settings(folder, Settings(show))  # type: ignore[arg-type]
    shutil.rmtree(folder / "sim.night")
    browser.get(served(folder).url + "nights")
    wait_for(browser, "#ask")
    for view in ("list", "calendar"):
        browser.find_element(By.ID, f"view-{view}").click()
        browser.execute_script("document.getElementById('weeks').remove()")
        html = browser.execute_script("return document.title + document.querySelector('main').outerHTML")
        assert "per h<" not in html
        assert "shade-" not in html
        browser.refresh()
        wait_for(browser, "#ask")
    browser.find_element(By.ID, "view-list").click()
    assert "not shown" in rate_of(browser, NIGHT)
    browser.find_element(By.ID, "show").click()
    wait_for(browser, "#list td.number .small", "in 0.")
    assert "not shown" not in rate_of(browser, NIGHT)


def test_weeks_are_shown_weekly(browser: Chrome, served: Serve, folder: Path) -> None:
    """Weekly: the week that is over stands as one, with its sites."""
    write_settings(folder, Settings("weekly"))
    browser.get(served(folder).url + "nights")
    card = wait_for(browser, "#weeks .card", "16 November 2026")
    assert "left calf" in card.text
    assert "1 night" in card.text


def test_markup_is_text(browser: Chrome, served: Serve, folder: Path) -> None:
    """Names, labels and sites that look like markup are shown as they are, and nothing of them runs."""
    meta = known_meta(folder / NIGHT)
    write_meta(folder / NIGHT, msgspec.structs.replace(meta, label=EVIL, participant=EVIL, note=EVIL))
    (folder / NIGHT).rename(folder / "a' onfocus=alert(1) <b>.night")
    server = served(folder)
    browser.get(server.url + "nights")
    wait_for(browser, "#state", "3 nights")
    assert EVIL in browser.find_element(By.ID, "list").text
    assert not browser.find_elements(By.CSS_SELECTOR, "main img, main b")
    for page in find_pages():
        browser.get(server.url + page.path.lstrip("/").replace("{night}", urllib.parse.quote(EVIL, safe="")))
        wait_for(browser, "h1")
        assert not browser.find_elements(By.CSS_SELECTOR, "main img")
        assert "hit" not in browser.title
    browser.get_log("browser")  # pages of nights that are not there say so


@pytest.mark.long
@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_everybody(browser: Chrome, standing: Standing, looked_at: Path, path: str) -> None:
    """axe-core finds nothing on any page, nor in its dark colours, and controls suit a weak hand.

    At 390 px, and at 320 px as when enlarged, a page is not wider than the screen.
    """
    address = standing(looked_at).url + path.lstrip("/")
    screen(browser, 1280)
    browser.get(address)
    settled(browser)
    assert not axe_problems(browser)
    assert not small_targets(browser)
    screen(browser, 1280, dark=True)
    assert not axe_problems(browser, "color-contrast")
    for width in (390, 320):
        screen(browser, width)
        browser.get(address)
        settled(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert not small_targets(browser)


def settled(browser: Chrome) -> None:
    """Wait until a page has its heading and no request is under way."""
    wait_for(browser, "h1")
    browser.set_script_timeout(20)
    browser.execute_async_script(
        """
        const done = arguments[0];
        let known = -1;
        const look = () => {
          const now = performance.getEntriesByType("resource").length;
          if (now === known) return done();
          known = now;
          setTimeout(look, 400);
        };
        look();
        """
    )


def test_all_controls_are_reached_by_tab(browser: Chrome, standing: Standing, looked_at: Path) -> None:
    """Tab goes through every control of the nights page once, and shows where it is."""
    browser.get(standing(looked_at).url + "nights")
    wait_for(browser, "#state", "3 nights")
    controls = browser.execute_script(
        """
        const all = document.querySelectorAll("a[href], button, select, input, summary");
        return [...all].filter((one) => one.checkVisibility() && !one.disabled).length;
        """
    )
    body = browser.find_element(By.TAG_NAME, "body")
    seen: list[str] = []
    for _ in range(controls):
        (body if not seen else browser.switch_to.active_element).send_keys(Keys.TAB)
        where, outline = browser.execute_script(
            """
            const one = document.activeElement;
            const style = getComputedStyle(one);
            return [one.outerHTML, style.outlineStyle];
            """
        )
        assert outline != "none", where
        seen.append(where)
    assert len(set(seen)) == controls
    assert "Skip to the content" in seen[0]


def test_help_and_colours_are_chosen_by_keyboard(
    browser: Chrome, standing: Standing, looked_at: Path
) -> None:
    """`?` opens the list of keys, Esc closes it, and colours once chosen are there after a reload."""
    browser.get(standing(looked_at).url + "nights")
    wait_for(browser, "#state", "3 nights")
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys("?")
    assert "Keyboard" in wait_for(browser, "dialog").text
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not browser.find_elements(By.TAG_NAME, "dialog")
    browser.find_element(By.ID, "theme").send_keys("dark")
    browser.refresh()
    wait_for(browser, "#state", "3 nights")
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("data-theme") == "dark"


def test_single_keys_can_be_switched_off(browser: Chrome, standing: Standing, looked_at: Path) -> None:
    """Who speaks to the computer can switch single keys off: `?` then does nothing, the button still does."""
    browser.get(standing(looked_at).url + "about")
    body = wait_for(browser, "body")
    browser.find_element(By.ID, "keys").click()
    wait_for(browser, "dialog .check").click()
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    body.send_keys("?")
    assert not browser.find_elements(By.TAG_NAME, "dialog")
    browser.find_element(By.ID, "keys").click()
    wait_for(browser, "dialog")


def test_a_server_that_is_gone_is_said(browser: Chrome, served: Serve, folder: Path) -> None:
    """When the server has ended the page says so in a sentence."""
    server = served(folder, alone=True)
    browser.get(server.url + "settings")
    wait_for(browser, "h1", "Settings")
    server.process.terminate()
    server.process.wait(10)
    browser.find_element(By.CSS_SELECTOR, "button.first").click()
    wait_for(browser, "#kept", "does not answer")
    browser.get_log("browser")  # the browser says so too


def test_a_long_word_as_a_label_fits_a_phone(browser: Chrome, served: Serve, folder: Path) -> None:
    """A label of one long word is broken where the screen ends, on every page that shows it."""
    meta = known_meta(folder / NIGHT)
    write_meta(folder / NIGHT, msgspec.structs.replace(meta, label="a_label_with_underscores_" * 3))
    server = served(folder)
    screen(browser, 320)
    for path in ("nights", "export", f"correct/{NIGHT}", f"diary/{NIGHT}"):
        browser.get(server.url + path)
        settled(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 320, path
    browser.get(server.url + f"correct/{NIGHT}")
    wait_for(browser, "#yes")
    overrun = browser.execute_script(
        """
        const buttons = [...document.querySelectorAll(".actions button")];
        return buttons.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent);
        """
    )
    assert not overrun


def test_a_table_is_scrolled_by_its_arrow_keys(browser: Chrome, served: Serve, folder: Path) -> None:
    """In a table that is wider than its box arrow keys scroll; elsewhere they choose the time as before."""
    screen(browser, 320)
    browser.get(served(folder).url + f"night/{NIGHT}")
    wait_for(browser, "#signal-said", "counted")
    browser.find_element(By.ID, "as-table").click()
    box = wait_for(browser, "#sites-table")
    pressed = """
        const event = new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true });
        return arguments[0].dispatchEvent(event);
        """
    assert browser.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", box)
    assert browser.execute_script(pressed, box), "the browser's own scrolling"
    assert not browser.execute_script(pressed, browser.find_element(By.TAG_NAME, "body"))


def test_a_long_note_is_seen_whole(browser: Chrome, served: Serve, folder: Path) -> None:
    """The diary's box is as high as what is written, at once and after a reload."""
    browser.get(served(folder).url + f"diary/{NIGHT}")
    wait_for(browser, "#field-note").send_keys("A long note. " * 38, Keys.TAB)
    wait_for(browser, "#state", "Kept")
    whole = (
        "const one = document.getElementById('field-note'); return one.scrollHeight <= one.clientHeight + 1"
    )
    assert browser.execute_script(whole)
    screen(browser, 320)
    browser.refresh()
    assert "A long note" in str(wait_for(browser, "#field-note").get_property("value"))
    assert browser.execute_script(whole)


@pytest.mark.long
def test_an_order_that_lacked_a_night_is_put_right(browser: Chrome, served: Serve, folder: Path) -> None:
    """What was lacking is no longer said once nights are chosen, and the button keeps the focus."""
    browser.get(served(folder, alone=True).url + "export")
    wait_for(browser, "body[data-ready]")
    browser.find_element(By.ID, "none").click()
    browser.find_element(By.ID, "make").send_keys(Keys.ENTER)
    wait_for(browser, "#problem", "at least one")
    browser.find_element(By.ID, "all").click()
    assert not browser.find_element(By.ID, "problem").is_displayed()
    browser.find_element(By.CSS_SELECTOR, "input[value=csv]").click()
    browser.find_element(By.ID, "make").send_keys(Keys.ENTER)
    wait_for(browser, "#made:not(:empty)")
    assert browser.switch_to.active_element.get_attribute("id") == "make"
    wait_for(browser, "#made", "Ready", 60)
    assert browser.switch_to.active_element.get_attribute("id") == "make"


def test_the_scale_of_a_body_without_nights_has_its_own_numbers(
    browser: Chrome, served: Serve, tmp_path: Path
) -> None:
    """A quarter is written as 0.25, not rounded to a place where it does not stand."""
    write_settings(tmp_path, Settings("nightly"))
    browser.get(served(tmp_path).url + "body")
    wait_for(browser, "#ramp-ticks", "0.25")
    assert "0.3" not in browser.find_element(By.ID, "ramp-ticks").text
