"""The API of labels, piles, spot check and diary: what pages ask for, and what nobody gets away with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import made_runs
import msgspec
import pytest
from browser import Serve, wait_for
from made_runs import NIGHT_S, SITES
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from starlette.testclient import TestClient

import firmware_host as tm
from firmware_host.recording import amend_night
from firmware_host.recording.labels import read_labels
from firmware_host.review.server import application

HOME = "http://127.0.0.1:8765"
NIGHT = "2026-11-22_a.night"
CALF, THIGH = SITES
RUN = "run1"


class Client:
    """Asks a server as a page does."""

    def __init__(self, folder: Path) -> None:
        self.night = folder / NIGHT
        self.client = TestClient(application(folder), HOME)

    def get(self, path: str) -> Any:
        """Return what is at a path of the night."""
        answer = self.client.get(f"/api/nights/{NIGHT}/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, path: str, body: Any, method: str = "POST", status: int = 200) -> Any:
        """Send a body to a path of the night."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"Origin": HOME, "Content-Type": "application/json"}
        answer = self.client.request(method, f"/api/nights/{NIGHT}/{path}", content=content, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a night with samples and a run."""
    folder = tmp_path_factory.mktemp("folder")
    made_runs.judged_night(folder / NIGHT)
    return folder


@pytest.fixture
def client(made: Path, tmp_path: Path) -> Client:
    """Give a client of a server over a copy of it."""
    return Client(Path(shutil.copytree(made, tmp_path / "folder")))


def twitches(state: dict[str, Any]) -> dict[str, int]:
    """Return the counts of a state by site."""
    return {site["site"]: site["twitches"] for site in state["sites"]}


def test_counts_follow_each_label_undo_and_redo(client: Client) -> None:
    """A pile, an event, a range, a stretch, an added twitch: counts go there and back, here and in `map`."""
    states = [client.get("labels")]
    assert states[0]["labels"] == 0
    assert states[0]["undo"] is states[0]["redo"] is None
    pile = client.get("piles")["piles"][0]
    event = client.get("doubtful?count=1")["events"][0]
    for body in (
        {"what": "not_twitch", "pile": pile["id"], "run": RUN},
        {"what": "twitch", "site": event["site"], "peaks_s": [event["peak_s"]], "drawn": "doubtful"},
        {"what": "not_twitch", "start_s": 20, "end_s": 60},
        {"what": "exclude", "site": CALF, "start_s": 100, "end_s": 250.5},
        {"what": "added", "site": CALF, "peaks_s": [0.11]},
        {"what": "not_worn", "site": THIGH, "start_s": 0, "end_s": NIGHT_S},
    ):
        states.append(client.send("labels", body))
        opened = tm.open(client.night)
        counts = tm.counts(opened, tm.load_run(opened))
        assert twitches(states[-1]) == {str(row["site"]): int(row["twitches"]) for row in counts}
    history = client.get("labels/history")["actions"]
    assert [one["drawn"] for one in history] == ["wear", "added", "range", "range", "doubtful", "pile"]
    assert history[-1]["events"] == pile["count"]
    assert not states[-1]["wear_questions"]
    for before in reversed(states[:-1]):
        assert client.send("labels/undo", {})["sites"] == before["sites"]
    for after in states[1:]:
        assert client.send("labels/redo", {"rater": "A"})["sites"] == after["sites"]


def test_rates_of_what_was_not_observed_are_null(client: Client) -> None:
    """A site that is excluded whole has no rate, never a rate of zero."""
    state = client.send("labels", {"what": "exclude", "site": CALF, "start_s": 0, "end_s": NIGHT_S})
    site = state["sites"][0]
    assert (site["state"], site["valid_s"], site["twitches"]) == ("not_observed", 0, 0)
    assert site["rate_per_h"] is site["rate_high"] is None


def test_labels_of_another_program_are_seen(client: Client) -> None:
    """What the command line or another page adds meanwhile is in the next answer."""
    from firmware_host.recording.labels import add_label

    assert client.get("labels")["labels"] == 0
    add_label(client.night, what="exclude", drawn="range", sites=[CALF], start_ns=made_runs.START_NS,
              end_ns=made_runs.START_NS + 10**11)  # fmt: skip
    assert client.get("labels")["sites"][0]["excluded_s"] == 100


def test_a_pile_shows_its_members(client: Client) -> None:
    """Up to forty members are shown, aligned at their peaks, with their labels as they are now."""
    listed = client.get("piles")["piles"]
    assert sum(pile["counted"] for pile in listed) == sum(twitches(client.get("labels")).values())
    pile = max(listed, key=lambda one: one["count"])
    client.send("labels", {"what": "not_twitch", "pile": pile["id"], "run": RUN})
    shown = client.get(f"piles/{pile['id']}/waves?count=5")
    assert len(shown["waves"]) == 5
    assert all(len(wave["mg"]) == len(shown["mean_mg"]) == 71 for wave in shown["waves"])
    assert {wave["label"] for wave in shown["waves"]} == {2}
    assert shown["from_s"] == -0.25
    again = client.get("piles")["piles"]
    assert [one["id"] for one in again] == [one["id"] for one in listed]
    assert again[[one["id"] for one in listed].index(pile["id"])]["not_twitch"] == pile["count"]


def test_all_events_of_a_pile_come_by_pages(client: Client) -> None:
    """Page after page gives each event of a pile once, in order of time, with what was said of it."""
    pile = max(client.get("piles")["piles"], key=lambda one: one["count"])
    path = f"piles/{pile['id']}/events"
    pages = [client.get(f"{path}?after={after}&most=7") for after in range(0, pile["count"] + 7, 7)]
    events = [event for page in pages for event in page["events"]]
    times = [event["peak_s"] for event in events]
    assert len(times) == pile["count"] == pages[0]["total"] > 7
    assert times == sorted(set(times))
    client.send("labels", {"what": "twitch", "site": pile["site"], "peaks_s": [times[3]]})
    assert [event["label"] for event in client.get(f"{path}?most=5")["events"]] == [0, 0, 0, 1, 0]


def test_a_pile_is_judged_in_the_run_that_was_looked_at(client: Client) -> None:
    """What was seen in a run is not said of the pile, or of the time, that has its name in a newer one."""
    pile = client.get("piles")["piles"][0]["id"]
    assert "names the run" in client.send("labels", {"what": "twitch", "pile": pile}, status=400)["error"]
    rows = made_runs.events(seed=2)
    made_runs.write_run(client.night, rows, "run2", created_utc="2026-11-23T09:00:00+00:00")
    for seen in ({"pile": pile}, {"start_s": 0, "end_s": NIGHT_S}):
        said = client.send("labels", {"what": "not_twitch", "run": RUN, **seen}, status=409)["error"]
        assert "looked for again" in said
    for path in (f"piles/{pile}/waves", f"piles/{pile}/events"):
        assert client.client.get(f"/api/nights/{NIGHT}/{path}?run={RUN}").status_code == 409
        client.get(f"{path}?run=run2")
    assert client.get("labels")["labels"] == 0
    assert client.send("labels", {"what": "twitch", "pile": pile, "run": "run2"})["labels"] == 1


def test_the_signal_around_a_moment(client: Client) -> None:
    """Three axes and the main direction on one grid."""
    wave = client.get(f"wave?site={CALF}&peak_s=100&before_s=0.5&after_s=1")
    assert len(wave["x_mg"]) == len(wave["y_mg"]) == len(wave["z_mg"]) == len(wave["main_mg"]) == 151
    assert wave["from_s"] == -0.5


def test_a_spot_check_from_start_to_result(client: Client) -> None:
    """Items come one by one without their score; the result comes with the last answer and not before."""
    assert client.get("spot-check")["check"] is None
    state = client.send("spot-check", {"seed": 3, "rater": "A"})
    assert state["total"] == 120
    assert set(state["next"]) == {"item", "site", "peak_s"}
    for done in range(120):
        assert state["answered"] == done
        assert state["result"] is None
        body = {"check": state["check"], "item": state["next"]["item"], "answer": "twitch", "rater": "A"}
        state = client.send("spot-check/answer", body)
    assert state["next"] is None
    assert state["result"]["precision"]["value"] == 1
    assert client.send("labels/undo", {})["undo"]["blind"]
    assert client.get("spot-check")["answered"] == 119
    fresh = client.send("spot-check", {})
    body = {"check": state["check"], "item": 0, "answer": "twitch"}
    client.send("spot-check/answer", body, status=404)
    client.send("spot-check/answer", body | {"check": fresh["check"], "item": 999}, status=400)


@pytest.mark.long
def test_a_spot_check_goes_on_under_corrected_sites(client: Client) -> None:
    """Where sites are put right in its midst, the events that were drawn stay those that are judged."""
    state = client.send("spot-check", {"seed": 3})
    (check,) = read_labels(client.night).spot_checks
    now = {CALF: THIGH, THIGH: CALF}
    for number, item in enumerate(check.items):
        if number == 5:
            amend_night(client.night, sites=now)
            state = client.get("spot-check")
        assert state["answered"] == state["next"]["item"] == number
        assert state["next"]["site"] == (item.site if number < 5 else now[item.site])
        body = {"check": check.id, "item": number, "answer": "not_twitch"}
        state = client.send("spot-check/answer", body)
    night = tm.open(client.night)
    events = tm.load_run(night).events
    rejected = events[events["label"] != 0]
    assert state["result"]["precision"]["value"] == 0
    assert sorted(zip(rejected["site"].tolist(), rejected["peak_s"].tolist(), strict=True)) == sorted(
        (now[item.site], round((item.peak_ns - night.start_ns) / 1e9, 2)) for item in check.items
    )


def test_a_diary_over_the_wire(client: Client) -> None:
    """Fields are written one by one, markup is text, and an unknown value changes nothing."""
    assert client.get("diary")["values"] == {}
    client.send("diary", {"values": {"caffeine": "much", "note": "<script>alert(1)</script>"}}, "PUT")
    client.send("diary", {"values": {"caffeine": ""}}, "PUT")
    client.send("diary", {"values": {"stress": "endless"}}, "PUT", 400)
    client.send("diary", {"values": {"hat": "on"}}, "PUT", 400)
    client.send("diary", {"values": {"note": "x" * 5000}}, "PUT", 400)
    assert client.get("diary")["values"] == {"note": "<script>alert(1)</script>"}


HOSTILE: list[Any] = [
    {"what": "healed", "site": CALF, "peaks_s": [1]},
    {"what": "twitch", "site": "../../etc/passwd", "peaks_s": [1]},
    {"what": "twitch", "site": "<script>", "peaks_s": [1]},
    {"what": "twitch", "site": "x" * 5000, "peaks_s": [1]},
    {"what": "twitch", "site": CALF, "peaks_s": [1e308]},
    {"what": "twitch", "site": CALF, "peaks_s": [-1e9]},
    {"what": "twitch", "site": CALF, "peaks_s": ["1"]},
    {"what": "twitch", "site": CALF, "peaks_s": [[1]]},
    {"what": "twitch", "site": CALF, "peaks_s": [1] * 50_001},
    {"what": "twitch", "site": CALF, "peaks_s": [NIGHT_S + 100]},
    {"what": "twitch", "pile": "' OR 1=1; --", "run": RUN},
    {"what": "twitch", "pile": "../labels", "run": RUN},
    {"what": "exclude", "start_s": 5, "end_s": 5},
    {"what": "exclude", "start_s": -1e99, "end_s": 1e99},
    {"what": "twitch", "site": CALF, "peaks_s": [1], "id": "mine"},
    {"what": "twitch", "site": CALF, "peaks_s": [1], "rater": "x" * 81},
    [],
    None,
    b"{",
    b'{"what":"twitch","site":"left_calf","peaks_s":[NaN]}',
    b'{"what":"twitch","site":"left_calf","peaks_s":[1e999]}',
    b"[" * 100_000,
    b'"\xff"',
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_labels_change_nothing(client: Client, body: Any) -> None:
    """What fits no night gets a sentence, and no file is made."""
    status = 404 if isinstance(body, dict) and "pile" in body else 400
    assert client.send("labels", body, status=status)["error"]
    assert not (client.night / "labels.jsonl").exists()


@pytest.mark.parametrize(
    "path",
    [
        "wave?site=left_calf&peak_s=nan", "wave?site=nowhere&peak_s=5", "wave?site=left_calf&peak_s=1e300",
        "wave?site=left_calf&peak_s=5&before_s=1000", "doubtful?count=1000000", "doubtful?count=-1",
        "piles/left_calf-like-999/waves", "piles/left_calf-like-0/waves?count=100000",
    ],
)  # fmt: skip
def test_hostile_questions_get_a_sentence(client: Client, path: str) -> None:
    """Huge, negative, not a number, not there: 400 or 404."""
    answer = client.client.get(f"/api/nights/{NIGHT}/{path}")
    assert answer.status_code in {400, 404}
    assert answer.json()["error"]


def test_a_night_without_a_run_says_what_to_do(client: Client) -> None:
    """There is nothing to label before a detection, and the answer says so."""
    (client.night / "results.sqlite").unlink()
    for path in ("labels", "piles", "doubtful", "spot-check"):
        answer = client.client.get(f"/api/nights/{NIGHT}/{path}")
        assert answer.status_code == 404
        assert "detect" in answer.json()["error"]


def test_a_broken_line_is_told_with_the_counts(client: Client) -> None:
    """Labels that can be read hold, and what cannot be read is named."""
    client.send("labels", {"what": "exclude", "site": CALF, "start_s": 0, "end_s": 50})
    with (client.night / "labels.jsonl").open("a") as file:
        file.write('{"kind": "label", "id"\n')
    state = client.get("labels")
    assert state["labels"] == 1
    assert "line 2" in state["unreadable"][0]


def test_labels_that_were_taken_back_teach_nothing(client: Client) -> None:
    """A night whose every label was undone is none to learn from, and no training begins of it."""
    said = {"what": "exclude", "site": CALF, "start_s": 0, "end_s": 60}

    def labelled() -> list[str]:
        state = client.client.get("/api/learning").raise_for_status().json()
        return list(state["nights"]["with_labels"])

    client.send("labels", said)
    assert labelled() == [NIGHT]
    client.send("labels/undo", {})
    assert labelled() == []
    headers = {"Origin": HOME, "Content-Type": "application/json"}
    assert client.client.post("/api/learning/train", json={}, headers=headers).status_code == 404
    client.send("labels/redo", {})
    assert labelled() == [NIGHT]


def almost_done(client: Client) -> None:
    """Answer all of a spot check but its last two moments."""
    state = client.send("spot-check", {"seed": 3})
    for number in range(state["total"] - 2):
        client.send("spot-check/answer", {"check": state["check"], "item": number, "answer": "twitch"})


@pytest.mark.long
def test_the_last_answer_can_be_put_right(client: Client, browser: Chrome, served: Serve) -> None:
    """Beside the result is a way back to the last moment, also by `b` and after a reload."""
    almost_done(client)
    browser.get(f"{served(client.night.parent).url}spot-check/{NIGHT}")
    for number in (118, 119):
        wait_for(browser, "#progress-said", f"{number} of 120")
        browser.find_element(By.CSS_SELECTOR, "[data-answer=not_twitch]").click()
    wait_for(browser, "#precision", "called")
    browser.refresh()
    wait_for(browser, "#back-after").click()
    wait_for(browser, "#progress-said", "120 of 120")
    assert not browser.find_element(By.ID, "result").is_displayed()
    browser.find_element(By.CSS_SELECTOR, "[data-answer=cannot_tell]").click()
    wait_for(browser, "#untold", "1 you could not tell")
    browser.find_element(By.TAG_NAME, "body").send_keys("b")
    wait_for(browser, "[data-answer=twitch]").click()
    wait_for(browser, "#precision", "called")
    assert not browser.find_element(By.ID, "untold").text


@pytest.mark.long
def test_no_moment_is_judged_before_it_is_seen(client: Client, browser: Chrome, served: Serve) -> None:
    """A verdict that comes before the picture is not taken, and the page says why."""
    almost_done(client)
    browser.get(f"{served(client.night.parent).url}spot-check/{NIGHT}")
    wait_for(browser, "#progress-said", "118 of 120")
    browser.execute_script(
        """
        const real = window.fetch;
        const later = (...asked) => new Promise((done) => (window.go = () => done(real(...asked))));
        window.fetch = (...asked) => (String(asked[0]).includes("/wave") ? later : real)(...asked);
        """
    )
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys("t")
    WebDriverWait(browser, 10).until(lambda driver: driver.execute_script("return Boolean(window.go)"))
    body.send_keys("t")
    wait_for(browser, "#state", "not there yet")
    assert client.get("spot-check")["answered"] == 119
    browser.execute_script("window.go()")
    wait_for(browser, "#progress-said", "119 of 120")
    assert not browser.find_element(By.ID, "state").text
    body.send_keys("t")
    wait_for(browser, "#precision", "called")
