"""Comparing nights, and the diary beside twitches: what is shown, what is refused, what is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import found_nights
import pytest
from browser import Serve, Standing, axe_problems, screen, small_targets, wait_for
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from starlette.testclient import TestClient

from firmware_host.recording import amend_night
from firmware_host.recording.diary import write_diary
from firmware_host.recording.settings import Settings, write_settings
from firmware_host.review.server import application

pytestmark = pytest.mark.lasts_s(20)

HOME = "http://127.0.0.1:8765"
OWN = {"origin": HOME, "content-type": "application/json"}
SITE = "left_calf"


def client_of(folder: Path) -> TestClient:
    """Give a client of a server over a folder of nights."""
    return TestClient(application(folder), HOME)


def asked(folder: Path, path: str, **query: Any) -> dict[str, Any]:
    """Ask the server of a folder once."""
    answer: dict[str, Any] = client_of(folder).get(f"/api{path}", params=query).raise_for_status().json()
    return answer


def nights(folder: Path, counts: list[int], first_day: int = 0, **what: Any) -> list[str]:
    """Make a night a day with so many twitches at the left calf; return their names."""
    return [
        found_nights.made_night(folder, first_day + day, {SITE: count}, **what).name
        for day, count in enumerate(counts)
    ]


def test_two_nights_stand_side_by_side_without_a_ratio(tmp_path: Path) -> None:
    """Below five nights a side there are numbers with intervals, and a sentence instead of a ratio."""
    one, two = nights(tmp_path, [80, 160])
    beside = asked(tmp_path, "/compare", nights=[one, two])
    rates = [night["sites"][0]["rate_per_h"] for night in beside["nights"]]
    assert rates == pytest.approx([10, 20], rel=0.01)
    assert all(
        night["sites"][0]["rate_low"] < rate for night, rate in zip(beside["nights"], rates, strict=True)
    )
    ratio = asked(tmp_path, "/compare/ratio", site=SITE, a=[one], b=[two])
    assert ratio["ratio"] is None
    assert "5 nights" in ratio["refused"]


def test_a_ratio_holds_what_the_nights_were_made_with(tmp_path: Path) -> None:
    """Six nights of 80 against six of 160 give an interval around 2, above the limit that all share."""
    first, second = nights(tmp_path, [80, 84, 76, 80, 83, 78]), nights(tmp_path, [160] * 6, 6)
    ratio = asked(tmp_path, "/compare/ratio", site=SITE, a=first, b=second)
    assert ratio["low"] < 2 < ratio["high"]
    assert 1.7 < ratio["ratio"] < 2.4
    assert (ratio["limit_mg"], ratio["refused"]) == (6.0, "")


def test_detectors_are_never_compared(tmp_path: Path) -> None:
    """Nights of two detectors stand side by side with a sentence; they give no ratio and share no trend."""
    old = nights(tmp_path, [80] * 6)
    new = nights(tmp_path, [80] * 6, 6, detector="twitchmap 9.9.9")
    assert any(
        "different detectors" in one for one in asked(tmp_path, "/compare", nights=old + new)["warnings"]
    )
    ratio = asked(tmp_path, "/compare/ratio", site=SITE, a=old, b=new)
    assert ratio["ratio"] is None
    assert "different detectors" in ratio["refused"]
    trend = asked(tmp_path, "/compare/trend", site=SITE)
    assert [point["night"] for point in trend["points"]] == new
    assert any("another detector" in one for one in trend["left_out"])


def test_passes_are_never_compared(tmp_path: Path) -> None:
    """One pass and two are two detectors: no table without a sentence, and no trend or dots of both."""
    once, twice = nights(tmp_path, [80] * 2), nights(tmp_path, [80] * 2, 2, passes=2)
    (warning,) = asked(tmp_path, "/compare", nights=[once[0], twice[0]])["warnings"]
    assert "different detectors" in warning
    assert "pass 1" in warning
    trend = asked(tmp_path, "/compare/trend", site=SITE)
    assert [point["night"] for point in trend["points"]] == twice
    assert asked(tmp_path, "/triggers", site=SITE)["nights"] == 2
    assert asked(tmp_path, "/body")["detectors"] == 1
    found_nights.made_night(tmp_path, 4, {"right_thigh": 5})
    assert asked(tmp_path, "/body")["detectors"] == 2


def test_one_persons_nights_are_never_anothers(tmp_path: Path) -> None:
    """Side by side it is said that people differ; a trend and dots are of the newest night's person alone."""
    ours, theirs = nights(tmp_path, [80] * 3), nights(tmp_path, [80] * 2, 3)
    for name in theirs:
        amend_night(tmp_path / name, participant="P2")
    (warning,) = asked(tmp_path, "/compare", nights=[ours[0], theirs[0]])["warnings"]
    assert "different people (P1 / P2)" in warning
    trend = asked(tmp_path, "/compare/trend", site=SITE)
    assert [point["night"] for point in trend["points"]] == theirs
    assert trend["left_out"] == ["3 nights are of other people than the newest (P2) and are left out."]
    amend_night(tmp_path / ours[2], participant="")
    assert len(asked(tmp_path, "/compare/trend", site=SITE)["points"]) == 3, "nobody noted whose it is"
    amend_night(tmp_path / ours[2], participant="P1")
    factors = asked(tmp_path, "/triggers", site=SITE)
    assert (factors["nights"], factors["left_out"]) == (2, trend["left_out"])


def test_made_up_nights_stay_out_of_the_trend(tmp_path: Path) -> None:
    """Simulated nights are counted as left out; where the placement changed, the point says so."""
    nights(tmp_path, [500], origin="simulated")
    nights(tmp_path, [80, 80], 1)
    nights(tmp_path, [80], 3, placement="lower")
    trend = asked(tmp_path, "/compare/trend", site=SITE)
    assert [len(point["changed"]) for point in trend["points"]] == [0, 0, 1]
    assert "placement" in trend["points"][2]["changed"][0]
    assert trend["left_out"] == ["1 simulated night is left out."]
    assert trend["limit_mg"] == 6.0
    assert all(0 < point["above"]["rate_per_h"] <= 10.1 for point in trend["points"])


def test_counts_that_are_kept_back_are_in_no_comparison(tmp_path: Path) -> None:
    """With `show = on_request` numbers come only where they are asked for."""
    names = nights(tmp_path, [80] * 5)
    write_settings(tmp_path, Settings("on_request"))
    [night, *_] = asked(tmp_path, "/compare", nights=names)["nights"]
    assert (night["sites"], bool(night["hidden"])) == ([], True)
    assert asked(tmp_path, "/compare/trend", site=SITE)["points"] == []
    assert asked(tmp_path, "/compare/ratio", site=SITE, a=names, b=names)["ratio"] is None
    assert asked(tmp_path, "/triggers")["nights"] == 0
    assert len(asked(tmp_path, "/compare", nights=names, show="true")["nights"][0]["sites"]) == 1


@pytest.mark.parametrize(
    "path",
    ["/compare?nights=../../etc", "/compare/ratio?site=left_calf&a=no&b=no", "/compare/trend?site=tail"],
)
def test_what_is_not_there_is_refused(tmp_path: Path, path: str) -> None:
    """Names of nights and sites that there are not give a sentence."""
    nights(tmp_path, [80])
    answer = client_of(tmp_path).get(f"/api{path}")
    assert answer.status_code in {400, 404}
    assert answer.json()["error"].endswith((".", "?"))


def diaries(folder: Path, names: list[str], without: int) -> None:
    """Write diaries: so many nights without caffeine, the others with some amount."""
    for number, name in enumerate(names):
        level = "none" if number < without else ("little", "much")[number % 2]
        write_diary(folder / name, {"caffeine": level})


def test_too_few_nights_of_an_answer_show_no_dots(tmp_path: Path) -> None:
    """Below ten nights an answer nothing is shown, and it does not count as looked at."""
    diaries(tmp_path, nights(tmp_path, [80] * 19), 9)
    body = {"factor": "caffeine", "site": SITE}
    answer = client_of(tmp_path).post("/api/triggers", json=body, headers=OWN).raise_for_status().json()
    assert answer["levels"] == []
    assert "10 nights" in answer["refused"]
    assert answer["looked_pictures"] == 0


def test_dots_are_nights_and_looking_is_counted(tmp_path: Path) -> None:
    """With ten nights an answer every night is a dot at its answer; looking twice counts once."""
    diaries(tmp_path, nights(tmp_path, [80] * 10 + [160] * 10), 10)
    client, body = client_of(tmp_path), {"factor": "caffeine", "site": SITE}
    for _ in range(2):
        answer = client.post("/api/triggers", json=body, headers=OWN).raise_for_status().json()
    levels = {level["level"]: [dot["rate_per_h"] for dot in level["dots"]] for level in answer["levels"]}
    assert {level: len(rates) for level, rates in levels.items()} == {"none": 10, "any": 10}
    assert max(levels["none"]) < min(levels["any"])
    assert (answer["looked_factors"], answer["looked_pictures"]) == (1, 1)
    assert client.get("/api/triggers").json()["looked_factors"] == 1
    refused = client.post("/api/triggers", json=body | {"factor": "note"}, headers=OWN)
    assert refused.status_code == 400


def test_what_is_not_zero_or_one_does_not_read_so(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """A rate above zero never reads as 0.0 in a list, and an end of a ratio's interval never as 1."""
    browser.get(served(tmp_path).url + "compare")
    script = """
        const [file, name, values, done] = arguments;
        import(`/static/${file}`).then((module) => done(values.map((value) => module[name](value))));
    """

    def written(file: str, name: str, values: list[float]) -> list[str]:
        found: list[str] = browser.execute_async_script(script, file, name, values)
        return found

    rates = written("nights_rows.js", "number", [0, 0.04, 0.4, 9.4, 12, 1234.4])
    assert rates == ["0", "0.04", "0.4", "9.4", "12", "1,234"]
    ends = written("compare_words.js", "endWords", [0.81, 0.998, 1.02, 1.96, 14])
    assert ends == ["0.81", "0.998", "1.02", "1.96", "14"]
    assert written("compare_words.js", "ratioWords", [1.004, 14]) == ["1.00", "14"]


def test_the_page_compares_sides(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """Two nights stand beside each other; six against six before them give a ratio and its interval."""
    nights(tmp_path, [80, 84, 76, 80, 83, 78, 160, 161, 155, 170, 150, 158])
    browser.get(served(tmp_path).url + "compare")
    wait_for(browser, "body[data-ready]")
    assert len(browser.find_elements(By.CSS_SELECTOR, ".trend .dot")) == 12
    for row, side in ((1, 1), (2, 2)):
        browser.find_element(
            By.CSS_SELECTOR, f"#nights tbody tr:nth-child({row}) button:nth-of-type({side})"
        ).click()
    wait_for(browser, "#ratio-said", "5 nights on each side")
    assert len(browser.find_elements(By.CSS_SELECTOR, "#beside-table td.cell")) == 2
    browser.find_element(By.ID, "recent").click()
    words = wait_for(browser, "#ratio-said", "times that of side A").text
    assert "(1." in words or "(2." in words


def test_the_page_shows_dots_and_how_many_were_looked_at(
    browser: Chrome, served: Serve, tmp_path: Path
) -> None:
    """A factor with nights enough is drawn when asked for; others say why not."""
    diaries(tmp_path, nights(tmp_path, [80] * 20), 10)
    browser.get(served(tmp_path).url + "triggers")
    wait_for(browser, "[data-factor=caffeine]").click()
    wait_for(browser, "#picture-title", "Caffeine")
    assert len(browser.find_elements(By.CSS_SELECTOR, ".dots circle")) == 20
    assert "1 factor" in browser.find_element(By.ID, "looked").text
    assert "Shown from 10 nights" in browser.find_element(By.ID, "factors").text


@pytest.fixture(scope="module")
def looked_at(standing: Standing, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the address of a server over twenty nights with diaries."""
    folder = tmp_path_factory.mktemp("looked at")
    diaries(folder, nights(folder, [80] * 20), 10)
    return standing(folder).url


@pytest.mark.long
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_wrong(browser: Chrome, looked_at: str, *, dark: bool) -> None:
    """axe-core has no complaints of the pages that look at many nights, and their controls are large."""
    screen(browser, 390 if dark else 1280, dark=dark)
    browser.get(looked_at + "compare")
    wait_for(browser, "body[data-ready]")
    browser.find_element(By.ID, "recent").click()
    wait_for(browser, "#ratio-said", "times")
    assert not [*axe_problems(browser), *small_targets(browser)]
    browser.get(looked_at + "triggers")
    wait_for(browser, "[data-factor=caffeine]").click()
    wait_for(browser, "#picture-title", "Caffeine")
    assert not [*axe_problems(browser), *small_targets(browser)]
    browser.get(looked_at + "learning")
    wait_for(browser, "body[data-ready]")
    assert not [*axe_problems(browser), *small_targets(browser)]


def test_a_level_that_no_program_here_knows_is_passed_over(tmp_path: Path) -> None:
    """A diary that another program wrote costs no picture."""
    names = nights(tmp_path, [80] * 3)
    for name in names:
        write_diary(tmp_path / name, {"caffeine": "some"})
    diary = tmp_path / names[0] / "diary.jsonl"
    diary.write_text(diary.read_text().replace('"some"', '"gallons"'))
    factors = {one["name"]: one for one in asked(tmp_path, "/triggers")["factors"]}
    assert sum(level["nights"] for level in factors["caffeine"]["levels"]) == 2


def test_nights_that_are_kept_back_are_not_told_as_none(
    browser: Chrome, served: Serve, tmp_path: Path
) -> None:
    """With `show = on_request` pages say in their own words that nights wait, and show them when asked."""
    diaries(tmp_path, nights(tmp_path, [80] * 6), 3)
    write_settings(tmp_path, Settings("on_request"))
    url = served(tmp_path).url
    for path in ("compare", "triggers"):
        browser.get(url + path)
        wait_for(browser, "body[data-ready] #show")
        if path == "compare":
            browser.find_element(By.ID, "recent").click()
            wait_for(browser, "#beside-table", "not shown")
            wait_for(browser, "#ratio-said", "6 nights are not shown here until you ask")
        text = browser.find_element(By.TAG_NAME, "main").text
        assert "6 nights are not shown here until you ask for their counts." in text
        assert "has counts" not in text
        assert "--show" not in text
        assert "settings.toml" not in text
        browser.find_element(By.ID, "show").click()
        wait_for(
            browser, *(("#trend-said", "valid hour") if path == "compare" else ("#nights", "with counts"))
        )
        # Its parts are told anew one after the other.
        WebDriverWait(browser, 10).until(
            lambda driver: "until you ask" not in driver.find_element(By.TAG_NAME, "main").text
        )


LATE = """
    const [part, real] = [arguments[0], window.fetch];
    window.fetch = async (...asked) => {
      const answer = await real(...asked);
      if (!String(asked[0]).includes(part)) return answer;
      return new Promise((done) => (window.go = () => done(answer)));
    };
    """
"""Keeps answers from some address back until `go()`."""


def choose_site(browser: Chrome, site: str) -> None:
    """Choose a site in the list of the page."""
    browser.find_element(By.CSS_SELECTOR, f"#site option[value={site}]").click()


def test_a_late_answer_of_the_site_before_is_not_shown(
    browser: Chrome, served: Serve, tmp_path: Path
) -> None:
    """The trend is of the site that is chosen, whichever answer comes last."""
    for day in range(3):
        found_nights.made_night(tmp_path, day, {SITE: 80, "right_calf": 40})
    browser.get(served(tmp_path).url + "compare?site=left_calf")
    wait_for(browser, "#trend-said", "left calf")
    browser.execute_script(LATE, "site=right_calf")
    choose_site(browser, "right_calf")
    WebDriverWait(browser, 10).until(lambda driver: driver.execute_script("return Boolean(window.go)"))
    browser.execute_script("document.getElementById('trend-said').textContent = ''")
    choose_site(browser, SITE)
    wait_for(browser, "#trend-said", "left calf")
    browser.execute_async_script("window.go(); setTimeout(arguments[0], 300)")
    assert "right calf" not in browser.find_element(By.ID, "trend-said").text


def test_an_error_is_gone_once_it_works_again(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """What went wrong is said until the next thing that goes well."""
    nights(tmp_path, [80] * 2)
    browser.get(served(tmp_path).url + "compare")
    wait_for(browser, "body[data-ready]")
    browser.execute_script("window.real = fetch; window.fetch = () => Promise.reject(new Error('gone'))")
    browser.find_element(By.ID, "recent").click()
    wait_for(browser, "#state", "does not answer")
    browser.execute_script("window.fetch = window.real")
    browser.find_element(By.ID, "recent").click()
    wait_for(browser, "#beside-table")
    assert not browser.find_element(By.ID, "state").text


def test_no_twitch_reads_the_same_on_every_page(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """A night without a twitch has none seen, with the same interval: on its page, in its table, compared."""
    [name] = nights(tmp_path, [0])
    found_nights.made_night(tmp_path, 1, {SITE: 0, "right_calf": 0})
    url = served(tmp_path).url
    browser.get(f"{url}correct/{name}")
    said = wait_for(browser, "#counts", "none seen").text
    interval = said.split("(")[1].split(" per")[0]
    assert interval.startswith("0 to 0.")
    browser.get(f"{url}night/{name}")
    browser.execute_script("arguments[0].click()", wait_for(browser, "#as-table"))
    wait_for(browser, "#sites-table", "none seen")
    assert interval in browser.find_element(By.ID, "sites-table").text
    browser.get(f"{url}compare")
    wait_for(browser, "#recent").click()
    cell = wait_for(browser, "#beside-table td.cell", "none seen").text
    assert interval in cell


def test_one_night_is_not_nights(browser: Chrome, served: Serve, tmp_path: Path) -> None:
    """Two sites of one night are compared in words that fit one."""
    found_nights.made_night(tmp_path, 0, {SITE: 80, "right_calf": 40})
    browser.get(served(tmp_path).url + "compare")
    wait_for(browser, "#nights button").click()
    browser.find_element(By.CSS_SELECTOR, "#other-site option[value=right_calf]").click()
    wait_for(browser, "#ratio-sides", "left calf, 1 night)")
