"""Pages that are open while something else happens to their night: another page, a command, a fault."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import time
from pathlib import Path

import found_nights
import made_nights
import pytest
from browser import Serve, console_errors, wait_for
from conftest import Run
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from starlette.testclient import TestClient

from firmware_host.analysis import runs_of
from firmware_host.recording import create_night, open_night
from firmware_host.recording.diary import read_diary
from firmware_host.recording.labels import add_label, read_labels
from firmware_host.review.server import application

pytestmark = pytest.mark.lasts_s(30)

HOME = "http://127.0.0.1:8765"
OWN = {"origin": HOME, "content-type": "application/json"}
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24
LOADED_ANEW = "return document.querySelector('#correct-said')?.textContent === ''"
VISIBLE = "document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one simulated night with its twitches, to be copied."""
    return found_nights.simulated_run(tmp_path_factory.mktemp("simulated"), hours=0.2)


@pytest.fixture
def night(simulated: Path, tmp_path: Path) -> Path:
    """Give a night of its own."""
    return Path(shutil.copytree(simulated, tmp_path / simulated.name))


def press(browser: Chrome, keys: str) -> None:
    """Press keys, wherever the focus is."""
    ActionChains(browser).send_keys(keys).perform()


def counted(browser: Chrome) -> list[str]:
    """Return the counts that the page shows."""
    script = "return [...document.querySelectorAll('#counts .count')].map((one) => one.textContent)"
    found: list[str] = browser.execute_script(script)
    return found


def test_two_pages_lose_no_label(browser: Chrome, served: Serve, night: Path) -> None:
    """What two pages say is kept, and each shows it as soon as somebody looks at it."""
    url = f"{served(night.parent).url}correct/{night.name}"
    browser.get(url)
    wait_for(browser, "body[data-ready]")
    found = counted(browser)
    one = browser.current_window_handle
    browser.switch_to.new_window("tab")
    try:
        browser.get(url)
        wait_for(browser, "body[data-ready]")
        other = browser.current_window_handle
        browser.switch_to.window(one)
        press(browser, "n")
        wait_for(browser, "#said-last", "no twitches")
        rejected = counted(browser)
        browser.switch_to.window(other)
        browser.execute_script(VISIBLE)
        wait_for(browser, "#state", "elsewhere")
        assert counted(browser) == rejected != found
        press(browser, "t")
        wait_for(browser, "#said-last", ": twitches")
        browser.switch_to.window(one)
        browser.execute_script(VISIBLE)
        wait_for(browser, "#said-last", ": twitches")
        assert [label.what for label in read_labels(night).active] == ["not_twitch", "twitch"]
        errors = console_errors(browser)
        browser.switch_to.window(other)
        errors += console_errors(browser)
    finally:
        browser.close()
        browser.switch_to.window(one)
    assert not errors


def test_nobody_takes_back_what_another_said(browser: Chrome, served: Serve, night: Path) -> None:
    """Undo on a page that has not seen the newest label shows it, and only then takes it back."""
    browser.get(f"{served(night.parent).url}correct/{night.name}")
    wait_for(browser, "body[data-ready]")
    press(browser, "n")
    wait_for(browser, "#said-last", "no twitches")
    start_ns = open_night(night).start_ns
    kept = add_label(
        night, what="exclude", drawn="range", sites=["left_calf"], start_ns=start_ns, end_ns=start_ns + 10**11
    )
    press(browser, "z")
    wait_for(browser, "#state", "Something else was said")
    wait_for(browser, "#said-last", "Something else was said")
    assert read_labels(night).active == kept.active
    press(browser, "z")
    wait_for(browser, "#said-last", "no twitches")
    assert read_labels(night).active == kept.active[:1]
    assert [error for error in console_errors(browser) if "409" not in error] == []


def test_commands_beside_an_open_page(browser: Chrome, served: Serve, night: Path, run: Run) -> None:
    """A page is told of a new run, keeps its labels for it, and follows a site that was corrected."""
    server = served(night.parent)
    browser.get(f"{server.url}diary/{night.name}")
    wait_for(browser, "[data-field=alcohol] button")
    assert run("diary", str(night), "caffeine=much")[0] == 0
    wait_for(browser, "[data-field=alcohol] button", "none").click()
    wait_for(browser, "#state", "Kept")
    assert read_diary(night).fields == {"caffeine": "much", "alcohol": "none"}

    browser.get(f"{server.url}correct/{night.name}")
    wait_for(browser, "body[data-ready]")
    press(browser, "n")
    wait_for(browser, "#said-last", "no twitches")
    assert run("detect", "--stored", str(night))[0] == 0
    assert len(runs_of(night)) == 2
    browser.execute_script(VISIBLE)
    wait_for(browser, "#state", "looked for again")
    after = counted(browser)
    browser.refresh()
    wait_for(browser, "body[data-ready]")
    assert counted(browser) == after
    pile = browser.find_element(By.CSS_SELECTOR, ".pile[data-pile^=left_calf]")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", pile)
    pile.click()
    assert run("amend", str(night), "--site", "left_calf=left_shin")[0] == 0
    press(browser, "t")
    wait_for(browser, "#state", "load the page again")
    assert len(read_labels(night).active) == 1
    browser.refresh()
    wait_for(browser, "#counts [data-site=left_shin]")
    assert sorted(counted(browser)) == sorted(after), "what was said of the site before holds"
    assert all("404" in error for error in console_errors(browser))


def test_a_verdict_on_a_pile_waits_for_the_run_that_is_shown(
    browser: Chrome, served: Serve, night: Path, run: Run
) -> None:
    """A verdict on a pile of a run that is not the newest any more is not kept: the new piles are shown."""
    browser.get(f"{served(night.parent).url}correct/{night.name}")
    wait_for(browser, "body[data-ready]")
    assert run("detect", "--stored", "--operating-point", "sensitive", str(night))[0] == 0
    press(browser, "n")
    wait_for(browser, "#state", "say it again")
    assert not read_labels(night).active
    press(browser, "n")
    wait_for(browser, "#said-last", "no twitches")
    [label] = read_labels(night).active
    assert label.what == "not_twitch"
    assert all("409" in error for error in console_errors(browser))


def test_a_nights_page_offers_the_new_run(browser: Chrome, served: Serve, night: Path, run: Run) -> None:
    """A verdict on an event holds for a new run too; the page says so, and shows that run when asked."""
    browser.get(f"{served(night.parent).url}night/{night.name}?site=left_calf")
    wait_for(browser, "#signal-said", "counted")
    before = browser.find_element(By.ID, "strips").text
    assert run("detect", "--stored", "--operating-point", "sensitive", str(night))[0] == 0
    press(browser, "n")
    wait_for(browser, "#event-actions button", "No twitch")
    press(browser, "r")
    wait_for(browser, "#correct-said", "looked for again")
    assert len(read_labels(night).active) == 1
    assert browser.find_element(By.ID, "strips").text == before
    browser.find_element(By.ID, "load-anew").click()
    WebDriverWait(browser, 20, 0.1).until(lambda driver: driver.execute_script(LOADED_ANEW))
    wait_for(browser, "#strips", "left calf")


@pytest.mark.long
def test_a_night_grows_while_its_page_is_open(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """The signal of a night that is being recorded reaches its end as it was, and then as it is."""
    folder = tmp_path / "2026-11-22T23-30-00_grows.night"
    with create_night(folder, made_nights.meta(1, origin="imported")) as writer:
        for second in range(100):
            made_nights.append(writer, 0, 100 * second)
        browser.get(f"{served(tmp_path).url}night/{folder.name}")
        wait_for(browser, "#signal-view[data-state=ready]")
        assert "still being recorded" in wait_for(browser, "#when").text
        assert "when it was counted" not in browser.find_element(By.ID, "limits").text
        before = wait_for(browser, "#signal-said", "2").text
        for second in range(100, 1000):
            made_nights.append(writer, 0, 100 * second)

        def grown(driver: Chrome) -> bool:
            driver.execute_script(VISIBLE)
            time.sleep(0.5)
            return "17 min" in driver.find_element(By.ID, "when").text

        WebDriverWait(browser, 20, 0.5).until(grown)
        WebDriverWait(browser, 10, 0.1).until(
            lambda driver: driver.find_element(By.ID, "signal-said").text != before
        )
    WebDriverWait(browser, 20, 0.5).until(
        lambda driver: driver.execute_script(VISIBLE) or driver.find_element(By.ID, "find").is_displayed()
    )
    assert "ended" in browser.find_element(By.ID, "search").text


def test_damage_while_a_night_is_open(night: Path) -> None:
    """What is damaged under an open page gets a sentence; once it is mended all is there again."""
    client = TestClient(application(night.parent), HOME)
    path = f"/api/nights/{night.name}"
    first = client.get(f"{path}/labels").json()
    listed = client.get(f"{path}/piles").json()
    body = {"what": "not_twitch", "pile": listed["piles"][0]["id"], "run": listed["run"]}
    labelled = client.post(f"{path}/labels", json=body, headers=OWN).json()

    results = night / "results.sqlite"
    good = results.read_bytes()
    results.write_bytes(b"no results at all" * 1000)
    for answer in (
        client.get(f"{path}/labels"),
        client.get(f"{path}/map"),
        client.post(f"{path}/labels", json=body, headers=OWN),
    ):
        assert answer.status_code == 400
        assert "delete it and detect again" in answer.json()["error"]
    assert len(read_labels(night).active) == 1
    results.write_bytes(good)
    assert client.get(f"{path}/labels").json() == labelled

    with (night / "labels.jsonl").open("ab") as file:
        file.write(b'{"kind":"label","id":\n')
    told = client.get(f"{path}/labels").json()
    assert told["sites"] == labelled["sites"]
    assert "line 2" in told["unreadable"][0]
    undone = client.post(f"{path}/labels/undo", json={}, headers=OWN).json()
    assert undone["sites"] == first["sites"]

    bins = f"{path}/signal/bins?sites=left_calf&level=0&first=0&count=50"
    while not client.get(f"{path}/signal").json()["ready"]:
        time.sleep(0.05)
    seen = client.get(bins).content
    view = night / "view.cache"
    view.write_bytes(bytes(view.stat().st_size))
    deadline = time.monotonic() + 20
    while (answer := client.get(bins)).status_code == 409 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert answer.content == seen


def _without_override() -> None:
    """Make this process obey permissions although it is root's."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.fixture
def read_only(night: Path) -> Path:
    """Take the right to write away from a night and its folder; skip where that is not obeyed."""
    before = {path: path.stat().st_mode for path in (night.parent, night, *night.iterdir())}
    for path, mode in before.items():
        path.chmod(stat.S_IMODE(mode) & ~0o222)
    return night


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_that_takes_nothing_is_shown(browser: Chrome, served: Serve, read_only: Path) -> None:
    """A read-only folder is looked at like any other; what would change it is refused with a sentence."""
    night = read_only
    server = served(night.parent, before=_without_override)
    if os.geteuid() == 0 and int(_capabilities(server.process.pid), 16) & 1 << CAP_DAC_OVERRIDE:
        pytest.skip("root's rights cannot be taken away here")
    before = {path: path.read_bytes() for path in night.iterdir()}
    browser.get(f"{server.url}night/{night.name}")
    wait_for(browser, "#strips", "left calf")
    wait_for(browser, "#signal-state", "could not be written")
    browser.get(f"{server.url}correct/{night.name}")
    wait_for(browser, "body[data-ready]")
    shown = counted(browser)
    press(browser, "n")
    wait_for(browser, "#state", "takes nothing")
    assert counted(browser) == shown
    browser.get(f"{server.url}diary/{night.name}")
    wait_for(browser, "[data-field=caffeine] button", "much").click()
    wait_for(browser, "#state", "takes nothing")
    assert {path: path.read_bytes() for path in night.iterdir()} == before
    assert all("507" in error for error in console_errors(browser))


def _capabilities(pid: int) -> str:
    """Return what a process may do beyond others."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return "0"
    return next(line for line in status.read_text().splitlines() if line.startswith("CapEff:")).split()[1]
