"""What the server answers of one night: facts, counts, events and signal."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import found_nights
import msgspec
import numpy as np
import pytest
from counted_nights import AUTUMN_NS, HOURS, SITES, add_run, counted_night
from starlette.testclient import TestClient

from firmware_host.analysis import load_run, night_counts, run_counts
from firmware_host.cli.map import _named
from firmware_host.recording import open_night
from firmware_host.review.api.events import DRAWN, REASONS, _event
from firmware_host.review.server import application
from firmware_host.review.texts import texts
from firmware_host.review.view_cache.file import VIEW_FILE
from firmware_host.twitch_map import HourLimit, SiteLimit
from firmware_host.twitches import EVENT_DTYPE, table

HOME = "http://127.0.0.1:8765"
NOT_REACHED = msgspec.structs.replace(
    found_nights.LIMIT, limit_mg=None, lapses=0.2, hours=(HourLimit(0.0, 0.1, None),)
)
NAME = "2026-10-24T23-30-00_known.night"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a night that is made once."""
    return counted_night(tmp_path_factory.mktemp("made") / NAME)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Give a folder with a night of its own."""
    shutil.copytree(made, tmp_path / NAME)
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Any:
    """Give a client of a server over one night."""
    with TestClient(application(folder), HOME) as one:
        yield one


def get(client: TestClient, path: str, **query: Any) -> Any:
    """Return the JSON at a path below the night."""
    answer = client.get(f"/api/nights/{NAME}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_facts_say_when_and_where(client: TestClient) -> None:
    """The facts name the sites from head to foot, the run, and from when on which offset held."""
    facts = get(client, "")
    assert [one["site"] for one in facts["sites"]] == list(SITES)
    assert facts["start_local"].startswith("2026-10-24T23:30:00")
    assert facts["start_local"].endswith("+02:00")
    assert facts["clock"] == [{"from_s": 0.0, "offset_s": 7200.0}, {"from_s": 12_600.0, "offset_s": 3600.0}]
    assert facts["run"]["run_id"] == "known"
    assert facts["runs"] == ["known"]
    assert facts["duration_s"] == pytest.approx(3600 * HOURS, abs=0.1)


@pytest.mark.parametrize("bin_s", [300, 900, 3600])
def test_the_map_is_that_of_the_command_line(client: TestClient, folder: Path, bin_s: int) -> None:
    """Counts, rates and limits are those that every other part of the program gives."""
    night = open_night(folder / NAME)
    run = load_run(night)
    answer = get(client, "/map", bin_s=bin_s)
    for site in answer["sites"]:
        for kind, length in (("bins", bin_s), ("night", None)):
            rows = night_counts(night, run, length)
            rows = rows[rows["site"] == site["site"]]
            found = {
                name: np.array([np.nan if value is None else value for value in site[kind][name]])
                for name in ("twitches", "valid_s", "rate_per_h", "rate_low", "rate_high")
            }
            for name, values in found.items():
                np.testing.assert_allclose(values, rows[name][: len(values)], rtol=1e-3, atol=1e-3)
            assert len(rows) - len(found["valid_s"]) in {0, 1}, "a sliver at the end may be left out"


def test_unseen_time_is_never_zero(client: TestClient) -> None:
    """Not observed and not worn have no rate at all; little valid time is marked."""
    sites = {one["site"]: one["bins"] for one in get(client, "/map", bin_s=600)["sites"]}
    calf = sites["left_calf"]
    at = calf["state"].index("not_observed")
    assert calf["rate_per_h"][at] is None
    assert calf["rate_high"][at] is None
    assert "not_worn" in calf["state"]
    assert "wear_unconfirmed" in sites["right_thigh"]["state"]
    forearm = {one["site"]: one["night"] for one in get(client, "/map")["sites"]}["left_forearm"]
    assert forearm["little"] == [True]
    assert forearm["twitches"] == [0]
    assert forearm["rate_high"][0] > 0
    assert forearm["detection_limit_mg"] == [None]


@pytest.mark.parametrize(
    ("limit", "kind"),
    [
        (found_nights.LIMIT, "found"),
        (None, "unknown"),
        (NOT_REACHED, "not_reached"),
    ],
    ids=["found", "unknown", "not_reached"],
)
def test_a_limit_that_is_not_reached_is_not_an_unknown_one(
    tmp_path: Path, limit: SiteLimit | None, kind: str
) -> None:
    """Map, comparison, body and the command line tell apart why a site has no detection limit."""
    night = found_nights.made_night(tmp_path, 0, {"left_calf": 40}, limit=limit)
    client = TestClient(application(tmp_path), HOME)
    [mapped] = client.get(f"/api/nights/{night.name}/map").json()["sites"]
    [compared] = client.get(f"/api/compare?nights={night.name}").json()["nights"][0]["sites"]
    [last] = client.get("/api/body").json()["sites"]
    rows = _named(run_counts(load_run(open_night(night))))
    [told] = json.loads(msgspec.json.encode(rows))
    for one in (mapped["night"], last["counts"]):
        assert one["limit_kind"] == [kind]
        assert (one["detection_limit_mg"] == [None]) == (kind != "found")
    for one in (compared, told):
        assert one["limit_kind"] == kind
        assert (one["detection_limit_mg"] is None) == (kind != "found")


def test_scales_start_at_zero_and_hold_all(client: TestClient) -> None:
    """Both scales have a tick at zero and reach above the largest rate."""
    answer = get(client, "/map")
    for scale, kind in ((answer["night_scale"], "night"), (answer["bin_scale"], "bins")):
        seen = [
            rate
            for one in answer["sites"]
            for rate, little in zip(one[kind]["rate_per_h"], one[kind]["little"], strict=True)
            if rate is not None and not little
        ]
        assert scale["ticks"][0] == 0
        assert scale["top"] >= max(seen)


def test_a_site_of_little_valid_time_has_a_scale_for_it(client: TestClient) -> None:
    """Where no bin has enough valid time to set a strip's scale, what there is does."""
    answer = get(client, "/map", bin_s=86_400)
    for one in answer["sites"]:
        assert all(one["bins"]["little"])
        assert one["top"] >= max(rate or 0 for rate in one["bins"]["rate_per_h"])
    assert answer["bin_scale"]["top"] > 100


def test_coverage_tiles_the_night(client: TestClient) -> None:
    """The stretches of a site follow one another from the beginning to the end."""
    rows = get(client, "/coverage", site="left_calf")
    assert rows["start_s"][0] == 0
    assert rows["start_s"][1:] == rows["end_s"][:-1]
    assert rows["kind"] == ["valid", "movement", "valid", "not_worn", "valid"]
    assert set(get(client, "/coverage")["site"]) == set(SITES)


def test_events_come_in_pages(client: TestClient) -> None:
    """Pages follow one another without a hole, and a query keeps what it asks for."""
    first = get(client, "/events", site="left_calf", most=100)
    second = get(client, "/events", site="left_calf", most=100, after=first["next"])
    assert first["total"] == second["total"] == 480
    peaks = [one["peak_s"] for one in first["events"] + second["events"]]
    assert peaks == [10.0 + 30 * k for k in range(200)]
    some = get(client, "/events", site="left_calf", from_s=100, to_s=200, counted=True)
    assert [one["peak_s"] for one in some["events"]] == [100, 130, 160, 190]
    one = get(client, f"/events/{some['events'][0]['event_id']}")
    assert one == some["events"][0]
    assert one["unit"] == -1
    assert (one["label"], one["reason"]) == ("", "")
    assert {each["reason"] for each in first["events"] if not each["counted"]} == {"noise"}
    assert {f"night.reason_{reason}" for reason in REASONS.values()} <= texts().keys()
    newer = table(EVENT_DTYPE, 1, reason=99)[0]
    assert _event(newer).reason == ""
    assert client.get(f"/api/nights/{NAME}/events/99999").status_code == 404
    for path in ("events", "drawn-events"):  # no event there would read as none
        answer = client.get(f"/api/nights/{NAME}/{path}", params={"site": "';DROP"})
        assert answer.status_code == 404
        assert "no sensor at" in answer.json()["error"]


def test_drawn_events_are_the_same_in_numbers(client: TestClient) -> None:
    """The numbers to draw are those of the events, in order of time."""
    data = client.get(f"/api/nights/{NAME}/drawn-events", params={"site": "left_calf"}).content
    n = len(data) // (8 + 4 * len(DRAWN))
    peak_s = np.frombuffer(data, "<f8", n)
    columns = np.frombuffer(data, "<f4", offset=8 * n).reshape(len(DRAWN), n)
    assert n == 480
    assert (np.diff(peak_s) == 30).all()
    assert columns[DRAWN.index("probability"), 0] == pytest.approx(0.95)
    assert (columns[DRAWN.index("what")] == 1).sum() == 480 - len(range(1, 480, 7))


def test_marks_stand_beside_what_was_seen(client: TestClient) -> None:
    """A mark names the twitch near it, tells none from not observed, and its text is only text."""
    marks = get(client, "/marks")["marks"]
    assert [(one["at_s"], one["text"]) for one in marks] == [(1000, "cramp"), (4000, "felt <b>one</b>")]
    first = {near["site"]: near for near in marks[0]["near"]}
    assert first["left_forearm"]["seen"] == "not_observed"
    assert first["left_calf"]["seen"] in {"before", "after"}
    assert first["right_thigh"] == {"site": "right_thigh", "seen": "before", "after_s": 0.0}
    second = {near["site"]: near["seen"] for near in marks[1]["near"]}
    assert second["right_thigh"] == "before"


def ready(client: TestClient) -> dict[str, Any]:
    """Return the signal's state once its view is made."""
    deadline = time.monotonic() + 30
    state: dict[str, Any] = {"ready": False}
    while not state["ready"]:
        assert time.monotonic() < deadline, state
        time.sleep(0.02)
        state = get(client, "/signal")
    return state


def test_bins_and_samples_agree(client: TestClient) -> None:
    """A bin's extremes are those of the samples that the close view gives for its time."""
    state = ready(client)
    query = {"sites": ["left_calf", "right_thigh"], "level": 1, "first": 30, "count": 20}
    answer = client.get(f"/api/nights/{NAME}/signal/bins", params=query)
    bins = np.frombuffer(answer.content, "<f4").reshape(2, 4, 2, 20)
    length = state["base_s"] * state["factor"]
    query = {"sites": ["left_calf", "right_thigh"], "from_s": 30 * length, "to_s": 50 * length}
    data = client.get(f"/api/nights/{NAME}/signal/samples", params=query).content
    sizes = np.frombuffer(data, "<u4", 2)
    rows = np.frombuffer(data, "<f4", offset=8)[: 5 * sizes[0]].reshape(-1, 5)
    at = (rows[:, 0] / length).astype(int)
    for k in range(1, 19):
        own = rows[at == k]
        np.testing.assert_allclose(bins[0, :, 0, k], own[:, 1:].min(axis=0), rtol=2e-3, atol=0.1)
        np.testing.assert_allclose(bins[0, :, 1, k], own[:, 1:].max(axis=0), rtol=2e-3, atol=0.1)


@pytest.mark.long
def test_a_deleted_view_is_made_again(client: TestClient, folder: Path) -> None:
    """Somebody who deletes view.cache loses nothing: it is made again while the page waits."""
    ready(client)
    (folder / NAME / VIEW_FILE).unlink()
    assert not get(client, "/signal")["ready"]
    query = {"sites": "left_calf", "level": 0, "first": 0, "count": 10}
    answer = client.get(f"/api/nights/{NAME}/signal/bins", params=query)
    assert answer.status_code in {200, 409}
    ready(client)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/map", {"bin_s": 0}),
        ("/map", {"bin_s": "nan"}),
        ("/map", {"run": "' OR 1=1 --"}),
        ("/signal/bins", {"sites": "left_calf", "level": 0, "first": 0, "count": 10**9}),
        ("/signal/bins", {"sites": "nowhere", "level": 0, "first": 0, "count": 10}),
        ("/signal/bins", {"level": 0, "first": 0, "count": 10}),
        ("/signal/samples", {"sites": "left_calf", "from_s": 0, "to_s": 1e8}),
        ("/signal/samples", {"sites": "left_calf", "from_s": 5, "to_s": 5}),
        ("/events", {"most": 10**7}),
        ("/events", {"after": -1}),
        ("/coverage", {"color": "red"}),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(client: TestClient, path: str, query: Any) -> None:
    """Huge ranges, unknown sites, runs and fields: a 4xx with one sentence, never a traceback."""
    answer = client.get(f"/api/nights/{NAME}{path}", params=query)
    assert 400 <= answer.status_code < 500
    sentence = answer.json()["error"]
    assert sentence.endswith(".")
    assert "Traceback" not in sentence


def test_a_night_without_a_run_still_opens(client: TestClient, folder: Path) -> None:
    """Before anything was counted the facts say so, and the signal is there."""
    (folder / NAME / "results.sqlite").unlink()
    facts = get(client, "")
    assert facts["run"] is None
    assert "detect" in facts["no_run"]
    assert facts["duration_s"] == pytest.approx(3600 * HOURS, abs=0.1)
    assert client.get(f"/api/nights/{NAME}/map").status_code == 404
    assert ready(client)["levels"] >= 2


def test_a_broken_description_is_no_damage_of_the_log(client: TestClient, folder: Path) -> None:
    """Whether `night.toml` could be read is told apart from what of the log could not."""
    told = get(client, "/marks")
    assert (told["damage"], told["described"]) == ([], True)
    (folder / NAME / "night.toml").write_text("this is = = not toml")
    told = get(client, "/marks")
    assert (told["damage"], told["described"]) == ([], False)


def test_damaged_results_cost_no_samples(client: TestClient, folder: Path) -> None:
    """Where results cannot be read the facts say why, and marks and signal are there all the same."""
    (folder / NAME / "results.sqlite").write_bytes(b"no database" * 500)
    facts = get(client, "")
    assert facts["run"] is None
    assert "results.sqlite is damaged" in facts["no_run"]
    assert facts["duration_s"] > 0
    assert all(not mark["near"] for mark in get(client, "/marks")["marks"])


def test_the_newest_run_is_the_same_by_its_name(client: TestClient, folder: Path) -> None:
    """Whoever names the newest run gets what all get, also after a newer one has come."""
    known = get(client, "/map", run="known")
    assert known == get(client, "/map")
    add_run(folder / NAME, "second")
    assert get(client, "/map", run="known") == known
    assert get(client, "/map")["run"] == "second"


def test_a_new_run_is_shown(client: TestClient, folder: Path) -> None:
    """What the server holds open is read again when a run is added."""
    assert get(client, "/map")["run"] == "known"
    add_run(folder / NAME, "newer")
    assert get(client, "/map")["run"] == "newer"
    assert get(client, "/map", run="known")["run"] == "known"


def test_what_a_reviewer_says_is_counted_at_once(client: TestClient) -> None:
    """A verdict changes counts, events and what is drawn; taken back, all is as before."""
    headers = {"origin": HOME}

    def calf() -> int:
        return int(
            next(one for one in get(client, "/map")["sites"] if one["site"] == "left_calf")["night"][
                "twitches"
            ][0]
        )

    before = calf()
    for body in (
        {"what": "not_twitch", "site": "left_calf", "peaks_s": [10.0]},
        {"what": "added", "site": "left_calf", "peaks_s": [25.5]},
    ):
        answer = client.post(f"/api/nights/{NAME}/labels", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
    assert calf() == before
    first, added = get(client, "/events", site="left_calf", to_s=30)["events"]
    assert (first["label"], first["counted"], "rejected" in first["flags"]) == ("not_twitch", False, True)
    assert (added["label"], added["counted"], added["peak_to_peak_mg"]) == ("twitch", True, None)
    assert get(client, f"/events/{added['event_id']}") == added
    client.post(f"/api/nights/{NAME}/labels/undo", json={}, headers=headers)
    assert calf() == before - 1


def test_a_corrected_site_is_shown(client: TestClient, folder: Path) -> None:
    """A site that was corrected after the run has its new name in all answers."""
    from firmware_host.recording import amend_night

    get(client, "/map")
    amend_night(folder / NAME, sites={"left_calf": "left_shin"})
    assert "left_shin" in {one["site"] for one in get(client, "/map")["sites"]}
    assert get(client, "/events", site="left_shin")["total"] == 480


def test_the_start_is_that_of_the_test(made: Path) -> None:
    """The made night starts when the tests think it does."""
    assert abs(open_night(made).start_ns - AUTUMN_NS) < 10**8
