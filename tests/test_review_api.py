"""What the base of the API answers: the list of nights, settings, finding twitches, its own description."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import found_nights
import made_nights
import msgspec
import pytest
from starlette.testclient import TestClient

from firmware_host.analysis import detect_night, load_run
from firmware_host.recording import create_night, known_meta, open_night
from firmware_host.recording.night import write_meta
from firmware_host.recording.settings import Settings, read_settings, write_settings
from firmware_host.review.night_list import NightsSeen
from firmware_host.review.openapi import description, page_text
from firmware_host.review.server import application

pytestmark = pytest.mark.lasts_s(20)

HOME = "http://127.0.0.1:8765"
ORIGIN = {"origin": HOME}
DAY_NS = 86_400 * 10**9
NIGHT = "a.night"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one night of ten minutes with a run, and one without."""
    folder = tmp_path_factory.mktemp("nights")
    for name in (NIGHT, "raw.night"):
        made_nights.quiet_night(folder / name)
    detect_night(folder / NIGHT)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Give a copy of these nights."""
    shutil.copytree(made, tmp_path / "nights")
    return tmp_path / "nights"


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    """Give a client of a server that has started and will end."""
    with TestClient(application(folder), HOME) as client:
        yield client


def listed(client: TestClient, **query: Any) -> dict[str, dict[str, Any]]:
    """Return the nights of the list by name."""
    answer = client.get("/api/nights", params=query)
    assert answer.status_code == 200, answer.text
    return {one["night"]: one for one in answer.json()["nights"]}


def test_the_list_says_what_the_run_says(folder: Path, client: TestClient) -> None:
    """Length, valid share and rate of each site are those of the newest run; a night without one has none."""
    nights = listed(client)
    summary = load_run(open_night(folder / NIGHT)).summary
    one = nights[NIGHT]
    assert one["hours"] == pytest.approx(summary.duration_s / 3600)
    assert [site["site"] for site in one["sites"]] == [site.site for site in summary.sites]
    for site, told in zip(summary.sites, one["sites"], strict=True):
        assert told["valid_h"] == pytest.approx(site.seconds["valid"] / 3600)
        assert told["twitches"] == site.twitches
        assert told["rate_per_h"] == site.rate_per_h
    raw = nights["raw.night"]
    assert (raw["runs"], raw["hours"], raw["valid_share"]) == (0, None, None)
    assert {site["state"] for site in raw["sites"]} == {"not_counted"}
    assert {site["label"] for night in nights.values() for site in night["sites"]} == {
        "left calf",
        "right calf",
    }


def test_the_list_and_the_map_give_one_rate(tmp_path: Path) -> None:
    """A night's rate is the corrected one in both: kept with its run, of a run without it, and labelled."""
    path = found_nights.simulated_run(tmp_path)
    client = TestClient(application(tmp_path), HOME)

    def rates() -> dict[str, float]:
        mapped = client.get(f"/api/nights/{path.name}/map").json()["sites"]
        on_map = {site["site"]: site["night"]["rate_per_h"][0] for site in mapped}
        sites = listed(client)[path.name]["sites"]
        assert {site["site"]: site["rate_per_h"] for site in sites} == pytest.approx(on_map, abs=1e-4)
        return on_map

    found = rates()
    sites = load_run(open_night(path)).summary.sites
    assert any(found[one.site] != pytest.approx(3600 * one.twitches / one.seconds["valid"]) for one in sites)
    with sqlite3.connect(path / "results.sqlite") as connection:
        (text,) = connection.execute("SELECT summary FROM runs").fetchone()
        summary = json.loads(text)
        for site in summary["sites"]:
            del site["rate_per_h"]
        connection.execute("UPDATE runs SET summary = ?", (json.dumps(summary),))
    connection.close()
    assert rates() == found
    label = {"what": "exclude", "start_s": 0.0, "end_s": 600.0}
    assert client.post(f"/api/nights/{path.name}/labels", json=label, headers=ORIGIN).status_code == 200
    assert rates() != found


def test_the_list_follows_the_files(folder: Path, client: TestClient) -> None:
    """A night that comes, changes, breaks or goes is seen at the next request; the others stay."""
    assert set(listed(client)) == {NIGHT, "raw.night"}
    write_meta(folder / NIGHT, msgspec.structs.replace(known_meta(folder / NIGHT), participant="P2"))
    made_nights.small_night(folder / "new.night")
    assert listed(client)[NIGHT]["participant"] == "P2"
    assert "new.night" in listed(client)
    (folder / "new.night" / "night.toml").write_text("=")
    (folder / "new.night" / "samples.log").write_bytes(b"")
    (folder / NIGHT / "results.sqlite").write_bytes(b"no database" * 500)
    answer = client.get("/api/nights").json()
    assert len(answer["unreadable"]) == 1
    assert "new.night" in answer["unreadable"][0]
    broken = next(one for one in answer["nights"] if one["night"] == NIGHT)
    assert broken["runs"] == 0
    assert "results.sqlite" in broken["warnings"][0]
    shutil.rmtree(folder / "new.night")
    assert client.get("/api/nights").json()["unreadable"] == []


def test_a_night_that_is_being_recorded_is_said_to_be(tmp_path: Path) -> None:
    """While a writer holds a night the list says so, and its twitches cannot be looked for."""
    client = TestClient(application(tmp_path), HOME)
    with create_night(tmp_path / "now.night", made_nights.meta(1)) as writer:
        made_nights.append(writer, 0, 0)
        assert listed(client)["now.night"]["recording"]
        answer = client.post("/api/nights/now.night/detection", json={}, headers=ORIGIN)
        assert answer.status_code == 409
        assert "being recorded" in answer.json()["error"]
    assert not listed(client)["now.night"]["recording"]


def test_what_was_corrected_is_what_is_listed(folder: Path, client: TestClient) -> None:
    """A site that was renamed since the run has its new name in the list."""
    from firmware_host.recording import amend_night

    amend_night(folder / NIGHT, sites={"left_calf": "left_foot"})
    assert [site["site"] for site in listed(client)[NIGHT]["sites"]] == ["left_foot", "right_calf"]


def test_a_night_without_samples_is_known(folder: Path, client: TestClient) -> None:
    """Whether a night's log is there and holds something is asked at each request, without reading it."""
    log = folder / "raw.night" / "samples.log"
    assert listed(client)["raw.night"]["samples"]
    log.write_bytes(b"")
    assert not listed(client)["raw.night"]["samples"]
    log.unlink()
    assert not listed(client)["raw.night"]["samples"]
    assert listed(client)[NIGHT]["samples"]


def test_the_samples_are_not_read_for_the_list(folder: Path) -> None:
    """A night whose log cannot be opened is listed all the same: it is not looked at."""
    (folder / NIGHT / "samples.log").unlink()
    (folder / NIGHT / "samples.log").mkdir()
    nights, unreadable = NightsSeen(folder).nights()
    assert {night.path.name for night in nights} == {NIGHT, "raw.night"}
    assert not unreadable


def copies(folder: Path, days: range, **changes: Any) -> None:
    """Copy the counted night to other evenings."""
    for day in days:
        path = folder / f"{changes.get('origin', 'imported')}{day}.night"
        shutil.copytree(folder / NIGHT, path)
        meta = known_meta(path)
        start_ns = meta.start_ns + day * DAY_NS
        write_meta(path, msgspec.structs.replace(meta, start_ns=start_ns, **changes))
        with sqlite3.connect(path / "results.sqlite") as connection:
            (text,) = connection.execute("SELECT summary FROM runs").fetchone()
            summary = json.loads(text) | {"start_ns": start_ns}
            for site in summary["sites"]:
                site["twitches"] = 10 * day
                site["rate_per_h"] = 3600 * 10 * day / site["seconds"]["valid"]
            connection.execute("UPDATE runs SET summary = ?", (json.dumps(summary),))
        connection.close()


def test_weeks_that_are_over_are_summed(
    folder: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weekly: each week that is over has twitches over valid time, without simulated nights."""
    copies(folder, range(1, 16))  # 23 November, a Monday, to 7 December
    copies(folder, range(2, 4), origin="simulated")
    monkeypatch.setattr("time.time_ns", lambda: made_nights.START_NS + 16 * DAY_NS)  # Tuesday, 8 December
    write_settings(folder, Settings("weekly"))
    answer = client.get("/api/nights").json()
    weeks = {week["monday"]: week for week in answer["weeks"]}
    assert list(weeks) == ["2026-11-30", "2026-11-23", "2026-11-16"]
    assert [week["nights"] for week in weeks.values()] == [7, 7, 1]
    valid_h = load_run(open_night(folder / NIGHT)).summary.sites[0].seconds["valid"] / 3600
    site = weeks["2026-11-23"]["sites"][0]
    assert site["label"] == "left calf"
    assert site["twitches"] == sum(10 * day for day in range(1, 8))
    assert site["valid_h"] == pytest.approx(7 * valid_h)
    assert "rate_per_h" not in site  # its nights have unlike limits
    for asked, shown in ((False, set()), (True, {f"imported{day}.night" for day in range(1, 15)} | {NIGHT})):
        counted = {
            name
            for name, night in listed(client, show=asked).items()
            if not night["made_up"] and any(one["twitches"] is not None for one in night["sites"])
        }
        assert counted == shown


def test_a_week_is_of_one_participant(
    folder: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nights of two people are never summed; a night that nobody noted is the only one's, if there is one."""
    copies(folder, range(1, 4), participant="A")
    copies(folder, range(8, 10), participant="A")
    copies(folder, range(4, 6), participant="B")
    copies(folder, range(10, 11), participant="")
    monkeypatch.setattr("time.time_ns", lambda: made_nights.START_NS + 16 * DAY_NS)
    write_settings(folder, Settings("weekly"))
    weeks = client.get("/api/nights").json()["weeks"]
    told = [(week["monday"], week["participant"], week["nights"]) for week in weeks[:3]]
    assert told == [("2026-11-30", "A", 3), ("2026-11-23", "A", 3), ("2026-11-23", "B", 2)]
    assert [week["sites"][0]["twitches"] for week in weeks[:3]] == [270, 60, 90]


def test_counts_are_kept_back_until_asked_for(folder: Path, client: TestClient) -> None:
    """On request: no number anywhere in the answer without `show`; of a simulated night always."""
    copies(folder, range(2, 3), origin="simulated")
    write_settings(folder, Settings("on_request"))
    nights = listed(client)
    assert nights[NIGHT]["showing"] == "on_request"
    assert {(one["twitches"], one["rate_per_h"]) for one in nights[NIGHT]["sites"]} == {(None, None)}
    assert nights["simulated2.night"]["sites"][0]["twitches"] == 20
    assert listed(client, show=True)[NIGHT]["sites"][0]["twitches"] is not None


def test_settings_are_kept(folder: Path, client: TestClient) -> None:
    """Nobody has chosen at first; what is chosen lies beside the nights and is told again."""
    assert client.get("/api/settings").json() == {"show": None}
    answer = client.put("/api/settings", json={"show": "weekly"}, headers=ORIGIN)
    assert answer.json() == {"show": "weekly"}
    assert read_settings(folder) == Settings("weekly")
    assert client.get(f"/api/nights/{NIGHT}/showing").json()["showing"] in {"later", "on_request"}


def test_the_first_page_asks_what_is_to_be_shown(folder: Path, client: TestClient) -> None:
    """A folder of which nobody has said when counts are shown opens with that question, once."""
    assert client.get("/", follow_redirects=False).headers["location"] == "/settings"
    write_settings(folder, Settings("nightly"))
    assert client.get("/", follow_redirects=False).headers["location"] != "/settings"


def wait_until_done(client: TestClient, name: str) -> dict[str, Any]:
    """Return a detection once it has ended."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        status: dict[str, Any] = client.get(f"/api/nights/{name}/detection").json()
        if status["state"] not in {"waiting", "running"}:
            return status
        time.sleep(0.1)
    raise AssertionError(status)


@pytest.mark.long
def test_twitches_are_found_by_a_process_of_its_own(folder: Path, client: TestClient) -> None:
    """A search runs and adds a run; a second one of the same night is refused meanwhile, of another waits."""
    name = "raw.night"
    assert client.get(f"/api/nights/{name}/detection").json()["state"] == "none"
    first = client.post(f"/api/nights/{name}/detection", json={"operating_point": "specific"}, headers=ORIGIN)
    assert first.json()["state"] in {"waiting", "running"}
    second = client.post(f"/api/nights/{name}/detection", json={}, headers=ORIGIN)
    assert second.status_code == 409
    assert client.post(f"/api/nights/{NIGHT}/detection", json={}, headers=ORIGIN).status_code == 200
    assert wait_until_done(client, name) | {"sentence": ""} == {
        "night": name, "state": "done", "progress": 1.0, "sentence": "",
    }  # fmt: skip
    assert listed(client)[name]["runs"] == 1
    assert wait_until_done(client, NIGHT)["state"] == "done"
    assert {one["night"] for one in client.get("/api/detections").json()["detections"]} == {name, NIGHT}
    assert load_run(open_night(folder / name)).info.operating_point == "specific"


@pytest.mark.long
def test_a_search_can_be_stopped(folder: Path, client: TestClient) -> None:
    """Who stops a search gets that told, no run is added, and it can be begun again."""
    url = "/api/nights/raw.night/detection"
    assert client.delete(url, headers={**ORIGIN, "content-type": "application/json"}).status_code == 404
    client.post(url, json={}, headers=ORIGIN)
    stopped = client.delete(url, headers={**ORIGIN, "content-type": "application/json"})
    assert stopped.json()["state"] == "cancelled"
    assert client.post(url, json={}, headers=ORIGIN).status_code == 200
    assert wait_until_done(client, "raw.night")["state"] == "done"
    assert listed(client)["raw.night"]["runs"] == 1


def test_a_search_that_fails_says_why(folder: Path, client: TestClient) -> None:
    """The command's own sentence reaches the page."""
    (folder / "raw.night" / "results.sqlite").write_bytes(b"no database" * 500)
    client.post("/api/nights/raw.night/detection", json={}, headers=ORIGIN)
    status = wait_until_done(client, "raw.night")
    assert status["state"] == "failed"
    assert "results.sqlite" in status["sentence"]


def references(value: Any) -> Iterator[str]:
    """Yield all that a document refers to."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_description_is_whole(client: TestClient) -> None:
    """The document has what OpenAPI 3.1 asks for, each operation its own id, each reference a target."""
    document = client.get("/api/openapi.json").json()
    assert document == json.loads(msgspec.json.encode(description()))
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(document["info"])
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            assert method in {"get", "post", "put", "delete"}
            assert one["summary"]
            assert one["description"]
            assert set(one["responses"]) & {"200", "204"}
            in_path = {parameter["name"] for parameter in one["parameters"] if parameter["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
            assert all(parameter["required"] for parameter in one["parameters"] if parameter["in"] == "path")
            assert ("requestBody" in one) <= (method in {"post", "put"})
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_what_is_described_answers(client: TestClient) -> None:
    """Every described path is there: it refuses what it does not expect, with a sentence, before it acts."""
    for path, methods in description()["paths"].items():
        url = re.sub(r"{\w+}", "1", path)
        for method in methods:
            if method == "get":
                answer = client.get(url, params={"no_such_parameter": "1"})
            else:
                headers = {**ORIGIN, "content-type": "application/json"}
                answer = client.request(method.upper(), url, content=b"[", headers=headers)
            assert answer.status_code == 400, (method, path, answer.text)
            assert answer.json()["error"].endswith(".")


def test_the_page_about_the_api_is_up_to_date() -> None:
    """docs/api.md is what `python -m firmware_host.review` prints."""
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    assert page == page_text(description())
    printed = subprocess.run(
        [sys.executable, "-m", "firmware_host.review"], capture_output=True, text=True, check=True
    )
    assert printed.stdout == page


def test_answers_are_as_described(folder: Path, client: TestClient) -> None:
    """What the list and the settings answer has exactly the fields that the description names."""
    schemas = description()["components"]["schemas"]
    answer = client.get("/api/nights").json()
    for value, name in (
        (answer, "NightList"),
        (answer["nights"][0], "ListedNight"),
        (answer["nights"][0]["sites"][0], "ListedSite"),
        (client.get("/api/settings").json(), "ShownSettings"),
    ):
        assert set(value) == set(schemas[name]["properties"])
