"""The pages about one night that a person changes: correcting, the spot check, the diary."""

from __future__ import annotations

import shutil
from pathlib import Path

import found_nights
import msgspec
import pytest
from browser import Serve, Standing, axe_problems, screen, small_targets, wait_for
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from starlette.testclient import TestClient

from firmware_host.recording import known_meta
from firmware_host.recording.labels import read_labels
from firmware_host.recording.night import write_meta
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.review.server import application

pytestmark = pytest.mark.lasts_s(45)

HOME = "http://127.0.0.1:8765"
OWN = {"origin": HOME, "content-type": "application/json"}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one simulated night with its twitches, to be copied."""
    return found_nights.simulated_run(tmp_path_factory.mktemp("simulated"))


@pytest.fixture
def alone(simulated: Path, tmp_path: Path) -> Path:
    """Give a night that is the only one of its folder."""
    return Path(shutil.copytree(simulated, tmp_path / simulated.name))


@pytest.fixture(scope="module")
def nights(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with one night, for tests that say nothing about it; other tests add their own."""
    folder = tmp_path_factory.mktemp("nights")
    shutil.copytree(simulated, folder / simulated.name)
    return folder


@pytest.fixture(scope="module")
def server(nights: Path, standing: Standing) -> str:
    """Give the address of one server over all these nights."""
    return standing(nights).url


@pytest.fixture
def night(simulated: Path, nights: Path) -> Path:
    """Give a night of its own among them."""
    name = f"{simulated.stem}{len(list(nights.iterdir()))}.night"
    return Path(shutil.copytree(simulated, nights / name))


def press(browser: Chrome, *keys: str) -> None:
    """Press keys, wherever the focus is."""
    ActionChains(browser).send_keys(*keys).perform()


def counts(browser: Chrome) -> dict[str, int]:
    """Return the counts that the page shows, by site."""
    script = (
        "return Object.fromEntries([...document.querySelectorAll('#counts li')]"
        ".map((one) => [one.dataset.site, Number(one.querySelector('.count').textContent.replace(',', ''))]))"
    )
    found: dict[str, int] = browser.execute_script(script)
    return found


def until_counts(browser: Chrome, expected: dict[str, int]) -> None:
    """Wait until the page shows these counts."""
    WebDriverWait(browser, 10, 0.05).until(lambda _: counts(browser) == expected, f"{counts(browser)}")


def opened(browser: Chrome, server: str, night: Path, rest: str = "") -> None:
    """Open the correcting page of a night."""
    browser.get(f"{server}correct/{night.name}{rest}")
    wait_for(browser, "body[data-ready]")


def test_a_pile_is_rejected_undone_and_done_again(browser: Chrome, server: str, night: Path) -> None:
    """Rejecting a pile takes its events from the count, undo brings them back, redo takes them again."""
    opened(browser, server, night)
    before = counts(browser)
    shown = browser.find_element(By.CSS_SELECTOR, ".pile[aria-pressed=true]").get_attribute("data-pile") or ""
    site = shown.split("-")[0]
    browser.find_element(By.ID, "no").click()
    wait_for(browser, f".pile[data-pile='{shown}'][data-verdict=no]")
    after = counts(browser)
    assert after[site] < before[site]
    assert {**after, site: 0} == {**before, site: 0}
    assert "found" in browser.find_element(By.CSS_SELECTOR, f"#counts [data-site={site}]").text
    assert (
        browser.find_element(By.CSS_SELECTOR, ".pile[aria-pressed=true]").get_attribute("data-pile") != shown
    )
    browser.find_element(By.ID, "undo").click()
    until_counts(browser, before)
    browser.find_element(By.ID, "redo").click()
    until_counts(browser, after)
    [label] = read_labels(night).active
    drawn = "unit" if "-unit-" in shown else "pile"
    assert (label.what, label.drawn, label.blind) == ("not_twitch", drawn, False)


def test_an_event_is_accepted_by_keyboard_alone(browser: Chrome, server: str, night: Path) -> None:
    """`d` shows the most doubtful event, `t` makes it count, `z` takes that back; no pointer is needed."""
    opened(browser, server, night)
    before = counts(browser)
    press(browser, "d")
    wait_for(browser, "#event-title", ":")
    for _ in range(20):
        if "does not count" in wait_for(browser, "#event-facts", "count").text:
            break
        press(browser, Keys.ARROW_RIGHT)
    site = "left_calf" if "left calf" in browser.find_element(By.ID, "event-title").text else "right_thigh"
    press(browser, "t")
    more = before | {site: before[site] + 1}
    until_counts(browser, more)
    press(browser, "z")
    until_counts(browser, before)
    press(browser, "y")
    until_counts(browser, more)


def test_a_switch_reaches_the_verdicts(browser: Chrome, server: str, night: Path) -> None:
    """With Tab and Enter alone, in few steps, every pile can be judged, and what was said be taken back."""
    opened(browser, server, night)
    piles = len(browser.find_elements(By.CLASS_NAME, "pile"))
    active = browser.switch_to
    steps = 0
    while active.active_element.get_attribute("id") != "no":
        press(browser, Keys.TAB)
        steps += 1
    assert steps < 30
    for number in range(1, piles + 1):
        press(browser, Keys.ENTER)
        wait_for(browser, "#piles-title", f" {piles - number} still open")
        assert active.active_element.get_attribute("id") == "no"
    assert len(read_labels(night).active) == piles
    while active.active_element.get_attribute("id") != "undo":
        press(browser, Keys.TAB)
    press(browser, Keys.ENTER)
    wait_for(browser, "#piles-title", " 1 still open")
    assert len(read_labels(night).active) == piles - 1


def test_every_event_of_a_pile_can_be_looked_at(browser: Chrome, server: str, night: Path) -> None:
    """`o` goes through a pile one by one; before the first comes the last, however many there are."""
    opened(browser, server, night)
    sizes = browser.find_elements(By.CSS_SELECTOR, ".pile .verdict-said")
    largest = max(sizes, key=lambda one: int((one.get_attribute("textContent") or "").split(",")[0]))
    browser.execute_script("arguments[0].closest('button').click()", largest)
    press(browser, "o")
    words = wait_for(browser, "#event-facts", "Event 1 of").text
    total = int(words.split(" of ")[1].split()[0])
    press(browser, Keys.ARROW_LEFT)
    wait_for(browser, "#event-facts", f"Event {total} of {total}")
    wait_for(browser, "#event-wave[aria-label]")
    press(browser, "t")
    wait_for(browser, "#event-facts", "Event 1 of")
    press(browser, Keys.ARROW_LEFT)
    assert "you said" in wait_for(browser, "#event-facts strong").text.lower()
    press(browser, "z")
    said = "return document.querySelector('#event-facts strong').textContent"
    WebDriverWait(browser, 10, 0.05).until(lambda _: not browser.execute_script(said))


def test_a_stretch_is_left_out_and_a_twitch_added(browser: Chrome, server: str, night: Path) -> None:
    """Leaving a stretch out shortens the valid time and the count; a missed twitch is one more."""
    opened(browser, server, night, "?show=stretch")
    before = counts(browser)
    browser.find_element(By.ID, "range-from").send_keys("22:41")
    browser.find_element(By.ID, "range-to").send_keys("22:50")
    browser.find_element(By.CSS_SELECTOR, "[data-what=exclude]").click()
    wait_for(browser, "#range-said", "left out")
    fewer = counts(browser)
    assert sum(fewer.values()) < sum(before.values())
    browser.find_element(By.ID, "add-time").send_keys("22:55:00.5", Keys.ENTER)
    wait_for(browser, "#add-wave")
    browser.find_element(By.CSS_SELECTOR, "[data-by='0.1']").click()
    browser.find_element(By.ID, "add").click()
    wait_for(browser, "#add-said", "added")
    assert sum(counts(browser).values()) >= sum(fewer.values())
    assert [label.what for label in read_labels(night).active] == ["exclude", "added"]


def test_a_pile_of_one_event_reads_as_one(browser: Chrome, server: str) -> None:
    """Of a single event no half is told, and whether it counts is a plain sentence."""
    browser.get(f"{server}about")
    script = """
    const [pile, done] = arguments;
    const desk = { clock: { time: () => "02:14" } };
    import("/static/correct_words.js").then(({ pileFacts }) => done(pileFacts(desk, pile)));
    """
    pile = {
        "count": 1,
        "counted": 0,
        "median_mg": 12.3,
        "median_hz": 8,
        "first_s": 9,
        "last_s": 9,
        "weight": 1,
    }
    words = browser.execute_async_script(script, pile)
    assert words == "1 event: 12.3 mg, about 8 Hz, at 02:14. It does not count."


@pytest.mark.long
def test_whether_the_sensor_was_on_is_asked_once(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """Where wearing a sensor cannot be shown, the answer changes the count, and it is asked no more."""
    night = found_nights.made_night(tmp_path, 0, {"left_calf": 90, "right_calf": 40}, unconfirmed_s=7200.0)
    opened(browser, served(tmp_path).url, night)
    assert "left calf" in wait_for(browser, "#wear").text
    assert "right calf" not in browser.find_element(By.ID, "wear").text
    before = counts(browser)
    answer = browser.find_element(By.CSS_SELECTOR, "#wear fieldset button:nth-of-type(2)")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", answer)
    answer.click()
    wait_for(browser, "#said-last", "was not on")
    assert counts(browser)["left_calf"] < before["left_calf"]
    assert not browser.find_element(By.ID, "wear").is_displayed()
    browser.refresh()
    wait_for(browser, "body[data-ready]")
    assert not browser.find_element(By.ID, "wear").is_displayed()
    browser.get("about:blank")


def test_what_the_detector_found_stays_known(alone: Path) -> None:
    """The counts without labels are the same before and after a label."""
    client = TestClient(application(alone.parent), HOME)
    found = client.get(f"/api/nights/{alone.name}/labels/found").json()
    listed = client.get(f"/api/nights/{alone.name}/piles").json()
    body = {"what": "not_twitch", "pile": listed["piles"][0]["id"], "run": listed["run"]}
    client.post(f"/api/nights/{alone.name}/labels", json=body, headers=OWN).raise_for_status()
    assert client.get(f"/api/nights/{alone.name}/labels/found").json() == found


def test_the_diary_keeps_what_is_pressed_and_written(browser: Chrome, server: str, night: Path) -> None:
    """An answer is kept when it is pressed, a text when it is left, and both are there after a reload."""
    browser.get(f"{server}diary/{night.name}")
    wait_for(browser, "[data-field=caffeine] button", "much").click()
    wait_for(browser, "#state", "Kept")
    browser.find_element(By.ID, "field-note").send_keys("<b>slept on the sofa</b>", Keys.TAB)
    wait_for(browser, "#state", "Kept")
    browser.refresh()
    wait_for(browser, "[data-field=caffeine] [data-level=much][aria-pressed=true]").click()
    assert browser.find_element(By.ID, "field-note").get_property("value") == "<b>slept on the sofa</b>"
    wait_for(browser, "#state", "Kept")
    browser.refresh()
    wait_for(browser, "[data-field=caffeine] [data-level=much][aria-pressed=false]")


@pytest.mark.long
def test_a_spot_check_ends_in_words_with_intervals(browser: Chrome, server: str, night: Path) -> None:
    """Judged by keys, left and taken up again, it says how many were twitches, and never hints."""
    address = f"{server}spot-check/{night.name}"
    browser.get(address)
    wait_for(browser, "#start").click()
    total = int(wait_for(browser, "#progress-said", "of").text.split()[2])
    client = TestClient(application(night.parent), HOME)
    path, check = f"/api/nights/{night.name}/spot-check/answer", read_labels(night).spot_checks[-1].id
    for number in range(total):
        if 9 < number < total - 5:  # from elsewhere, for a browser takes long for a hundred
            body = {"check": check, "item": number, "answer": "twitch" if number % 2 else "not_twitch"}
            client.post(path, json=body, headers=OWN).raise_for_status()
            continue
        if number in {5, total - 5}:
            browser.get(address)
        shown = wait_for(browser, "#progress-said", f"{number} of {total}")
        page = browser.find_element(By.ID, "judging").text
        assert "%" not in page
        assert "probab" not in page
        press(browser, "c" if number == 7 else "t" if number % 2 else "n")
    assert shown is not None
    words = wait_for(browser, "#precision", "you called twitches").text
    assert "Of what was counted" in words
    assert words.count("%") == 2
    assert "1 you could not tell" in browser.find_element(By.ID, "untold").text
    blind = [label for label in read_labels(night).active if label.blind]
    assert len(blind) == total
    assert {label.drawn for label in blind} == {"spot_check"}


def test_an_event_is_rejected_on_the_nights_page(browser: Chrome, server: str, night: Path) -> None:
    """`n` chooses an event in the signal, `r` says that it is no twitch, `z` takes that back."""
    browser.get(f"{server}night/{night.name}?site=left_calf")
    wait_for(browser, "#signal-said", "counted")
    press(browser, "n")
    wait_for(browser, "#event-actions button", "No twitch")
    press(browser, "r")
    wait_for(browser, "#correct-said", "1 label holds")
    [label] = read_labels(night).active
    assert (label.what, label.drawn) == ("not_twitch", "event")
    press(browser, "z")
    wait_for(browser, "#correct-said", "0 labels hold")
    assert read_labels(night).active == ()
    browser.get("about:blank")


def test_counts_that_are_kept_back_are_not_corrected_unasked(
    browser: Chrome, served: Serve, alone: Path
) -> None:
    """With `show = on_request` the page of a night that somebody slept shows no count unasked."""
    write_meta(alone, msgspec.structs.replace(known_meta(alone), origin="recorded"))
    write_settings(alone.parent, Settings("on_request"))
    browser.get(f"{served(alone.parent).url}correct/{alone.name}")
    button = wait_for(browser, "#state button")
    assert not browser.find_element(By.ID, "work").is_displayed()
    button.click()
    wait_for(browser, "#counts .count")
    browser.get("about:blank")


@pytest.mark.long
def test_the_result_of_a_spot_check_waits_for_one_click(browser: Chrome, served: Serve, alone: Path) -> None:
    """With `show = on_request` the precision of a finished check is there once somebody asks for it."""
    write_meta(alone, msgspec.structs.replace(known_meta(alone), origin="recorded"))
    write_settings(alone.parent, Settings("on_request"))
    path = f"/api/nights/{alone.name}/spot-check"
    client = TestClient(application(alone.parent), HOME)
    state = client.post(path, json={"seed": 1}, headers=OWN).json()
    for number in range(state["total"]):
        body = {"check": state["check"], "item": number, "answer": "twitch"}
        client.post(f"{path}/answer", json=body, headers=OWN).raise_for_status()
    browser.get(f"{served(alone.parent).url}spot-check/{alone.name}")
    button = wait_for(browser, "#state button")
    assert not browser.find_element(By.ID, "result").is_displayed()
    button.click()
    wait_for(browser, "#precision", "100")
    browser.get("about:blank")


@pytest.mark.long
def test_learning_is_started_used_and_taken_back(browser: Chrome, served: Serve, alone: Path) -> None:
    """Training says what it did to labels kept aside; the model judges only when told, and is taken back."""
    client = TestClient(application(alone.parent), HOME)
    path = f"/api/nights/{alone.name}/spot-check"
    state = client.post(path, json={"seed": 1}, headers=OWN).raise_for_status().json()
    for number, item in enumerate(read_labels(alone).spot_checks[-1].items):
        answer = "twitch" if item.counted == (number % 9 > 0) else "not_twitch"
        body = {"check": state["check"], "item": number, "answer": answer}
        client.post(f"{path}/answer", json=body, headers=OWN).raise_for_status()
    browser.get(served(alone.parent, alone=True).url + "learning")
    wait_for(browser, "#train").click()
    made = wait_for(browser, ".made", "labels from spot checks", 60).text
    assert made.count("%") == 4
    assert "The shipped model" in browser.find_element(By.ID, "judge").text
    wait_for(browser, ".made button:not([disabled])").click()
    wait_for(browser, "#judge", "Your own model judges: mine")
    wait_for(browser, "#others", "1 night was judged by another model")
    wait_for(browser, "#count-again:not([disabled])").click()
    wait_for(browser, "#task", "Counted again", 60)
    wait_for(browser, "#take-back:not([disabled])").click()
    wait_for(browser, "#judge", "The shipped model")


@pytest.mark.long
@pytest.mark.parametrize(
    "path", ["correct", "correct?show=events", "correct?show=stretch", "spot-check", "diary"]
)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_wrong(
    browser: Chrome, server: str, simulated: Path, night: Path, path: str, *, dark: bool
) -> None:
    """axe-core has no complaints, controls are large, and nothing is wider than the screen."""
    screen(browser, 390 if dark else 1280, dark=dark)
    page, _, query = path.partition("?")
    name = night.name if path == "spot-check" else simulated.name  # a check that is begun stays
    browser.get(f"{server}{page}/{name}?{query}")
    wait_for(browser, "body[data-ready], .diary button")
    if path == "spot-check":
        browser.find_element(By.ID, "start").click()
        wait_for(browser, "#wave[aria-label]")
    assert not axe_problems(browser)
    assert not small_targets(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    browser.get("about:blank")  # pictures may still be asked for
