"""One body from many nights, and the sites suggested for tonight."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from browser import Serve, Standing, axe_problems, screen, wait_for
from counted_nights import AUTUMN_NS, counted_night
from hypothesis import given
from hypothesis import strategies as st
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from starlette.testclient import TestClient

from firmware_host.body import SITES
from firmware_host.recording import amend_night
from firmware_host.recording.labels import add_label
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.review.charts.placing import PLACES, Measured, suggested
from firmware_host.review.server import application

DAY_NS = 86_400 * 10**9
HOME = "http://127.0.0.1:8765"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two nights a week apart; in the second the thigh's sensor was on the other leg."""
    folder = tmp_path_factory.mktemp("made")
    counted_night(folder / "2026-10-24T23-30-00_a.night")
    later = counted_night(folder / "2026-10-31T22-30-00_b.night", start_ns=AUTUMN_NS + 7 * DAY_NS)
    amend_night(later, sites={"right_thigh": "left_thigh"})
    return folder


@pytest.fixture
def nights(made: Path, tmp_path: Path) -> Path:
    """Copy them for a test that changes them, or what lies beside them."""
    return Path(shutil.copytree(made, tmp_path / "nights"))


@pytest.fixture(scope="module")
def looked_at(made: Path, standing: Standing, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the address of one server over a copy, for tests that only look at the page."""
    return standing(Path(shutil.copytree(made, tmp_path_factory.mktemp("looked at") / "nights"))).url


def one_body(folder: Path) -> dict[str, Any]:
    """Return what the server answers."""
    with TestClient(application(folder), HOME) as client:
        answer: dict[str, Any] = client.get("/api/body").json()
    return answer


def test_each_site_has_its_last_measured_value(nights: Path) -> None:
    """The newest night with enough valid time counts, by the site's corrected name; others stay blank."""
    answer = one_body(nights)
    last = {one["site"]: one for one in answer["sites"]}
    assert set(last) == {"left_calf", "right_thigh", "left_thigh"}, "6 min of valid time are not enough"
    assert last["left_calf"]["evening"] == "2026-10-31"
    assert last["left_calf"]["nights"] == 2
    assert last["right_thigh"]["evening"] == "2026-10-24"
    assert last["left_thigh"]["counts"]["twitches"] == [48]
    assert last["left_thigh"]["counts"]["detection_limit_mg"] == [None]
    assert answer["suggested"][0] == {
        "site": "left_calf", "label": "left calf", "base": "left_calf", "why": "anchor", "last": "2026-10-31",
    }  # fmt: skip
    assert len(answer["suggested"]) == 3


def test_a_site_that_a_reviewer_excluded_was_not_measured(nights: Path) -> None:
    """The last measured value is of a night that has half an hour of valid time left, as it is reviewed."""
    later = nights / "2026-10-31T22-30-00_b.night"
    start_ns = AUTUMN_NS + 7 * DAY_NS
    add_label(
        later, what="exclude", drawn="range", sites=["left_calf"], start_ns=start_ns, end_ns=start_ns + DAY_NS
    )
    last = {one["site"]: one for one in one_body(nights)["sites"]}
    assert last["left_calf"]["evening"] == "2026-10-24"
    assert last["left_calf"]["nights"] == 1


def test_one_body_is_one_persons(nights: Path) -> None:
    """Nights of other people than the newest night's stay out, and it is said."""
    amend_night(nights / "2026-10-31T22-30-00_b.night", participant="P2")
    answer = one_body(nights)
    assert {one["night"][-7:] for one in answer["sites"]} == {"b.night"}
    assert answer["nights"] == 1
    assert len(answer["left_out"]) == 1


def test_simulated_nights_are_nobodys_body(made: Path, tmp_path: Path) -> None:
    """A simulated night stays out as soon as there is a real one; alone it is marked."""
    counted_night(
        tmp_path / "2026-11-01T22-30-00_s.night", start_ns=AUTUMN_NS + 8 * DAY_NS, origin="simulated"
    )
    assert one_body(tmp_path)["made_up"]
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    answer = one_body(tmp_path)
    assert not answer["made_up"]
    assert {one["night"][-7:] for one in answer["sites"]} == {"a.night", "b.night"}


def test_an_empty_folder_has_an_empty_body(tmp_path: Path) -> None:
    """Before the first night nothing is shown and nothing suggested."""
    answer = one_body(tmp_path)
    assert answer["sites"] == []
    assert answer["suggested"] == []


measured_sites = st.dictionaries(
    st.sampled_from(sorted(SITES)),
    st.builds(Measured, st.integers(1, 50), st.integers(0, 10**18)),
    min_size=1,
    max_size=30,
)


@given(measured_sites, st.integers(1, 12))
def test_suggestions_follow_the_rule(measured: dict[str, Measured], sensors: int) -> None:
    """The anchor is measured most often, no site comes twice, and each next one is where least is known."""
    chosen = suggested(measured, sensors)
    assert len(chosen) == len(set(chosen)) == sensors
    assert measured[chosen[0]].nights == max(one.nights for one in measured.values())
    for k, site in enumerate(chosen[1:], 1):
        assert site.partition("_")[2] in PLACES
        known = {*measured, *chosen[:k]}
        free = [f"{side}_{place}" for place in PLACES for side in ("left", "right")]
        regions = {SITES[one].region for one in free if one not in chosen[:k]}
        counts = {region: sum(SITES[one].region == region for one in known) for region in regions}
        assert counts[SITES[site].region] == min(counts.values())


@pytest.mark.long
@pytest.mark.parametrize("dark", [False, True])
def test_the_page(browser: Chrome, looked_at: str, dark: bool) -> None:
    """The page colours what was measured, leaves the rest blank, and leads to each value's night."""
    screen(browser, 390 if dark else 1280, dark=dark)
    browser.get(looked_at + "body")
    table = wait_for(browser, "#last table", "left calf")
    assert "31 Oct 2026" in table.text
    assert "not known" in table.text
    worn = browser.find_elements(By.CSS_SELECTOR, ".region.worn")
    assert {one.get_attribute("data-base") for one in worn} == {"left_calf", "right_thigh", "left_thigh"}
    assert "anchor" in browser.find_element(By.ID, "suggested").text
    link = browser.find_element(By.CSS_SELECTOR, "[data-row='right_thigh'] a").get_attribute("href")
    assert link is not None
    assert link.endswith("/night/2026-10-24T23-30-00_a.night?site=right_thigh")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert not axe_problems(browser)


def test_counts_wait_until_asked_for(browser: Chrome, served: Serve, nights: Path) -> None:
    """Who sees counts on request only sees none here before asking."""
    write_settings(nights, Settings(show="on_request"))
    browser.get(served(nights).url + "body")
    button = wait_for(browser, "#show-numbers")
    assert "valid hour" not in browser.find_element(By.TAG_NAME, "main").text
    button.click()
    wait_for(browser, "#last table", "per valid hour")
