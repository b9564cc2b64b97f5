"""Counts that the settings keep back: no endpoint gives any, and one click asks for those on request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_runs
import msgspec
import pytest
from starlette.testclient import TestClient

from firmware_host.recording import known_meta
from firmware_host.recording.labels import read_labels
from firmware_host.recording.night import write_meta
from firmware_host.recording.settings import Settings, Show, write_settings
from firmware_host.review.server import application

HOME = "http://127.0.0.1:8765"
OWN = {"origin": HOME}
SITE = "left_calf"
GIVE_COUNTS = (
    "map", "events", "events/0", f"drawn-events?site={SITE}", "labels", "labels/found", "labels/history",
    "doubtful", "piles", "piles/none/waves",
)  # fmt: skip
"""Below a night; the last one does not exist, which is not told either."""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a night that somebody slept this evening."""
    path = made_runs.judged_night(tmp_path_factory.mktemp("nights"))
    write_meta(path, msgspec.structs.replace(known_meta(path), origin="recorded"))
    return path


@pytest.fixture
def client(night: Path) -> Iterator[TestClient]:
    """Give a client of a server of its folder."""
    with TestClient(application(night.parent), HOME) as client:
        yield client


def choose(night: Path, show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose when counts are shown; the night was today."""
    write_settings(night.parent, Settings(show))
    start_ns = known_meta(night).start_ns
    monkeypatch.setattr(time, "time_ns", lambda: start_ns)


def asked(path: str) -> str:
    """Return a path that asks for counts."""
    return f"{path}{'&' if '?' in path else '?'}show=true"


@pytest.mark.parametrize("path", GIVE_COUNTS)
def test_counts_come_only_as_the_settings_say(
    night: Path, client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On request: 403 unless asked for; weekly, before the week is over: 403 in any case."""
    whole = f"/api/nights/{night.name}/{path}"
    choose(night, "on_request", monkeypatch)
    refused = client.get(whole)
    assert refused.status_code == 403
    assert "on request" in refused.json()["error"]
    assert client.get(asked(whole)).status_code == (404 if "none" in path else 200)
    choose(night, "weekly", monkeypatch)
    assert client.get(asked(whole)).status_code == 403


def test_labels_answer_counts_only_when_asked(
    night: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would answer counts that are kept back is refused, and changes nothing."""
    choose(night, "on_request", monkeypatch)
    body = {"what": "exclude", "start_s": 0, "end_s": 1}
    for path, said in (("labels", body), ("labels/undo", {}), ("labels/redo", {})):
        whole = f"/api/nights/{night.name}/{path}"
        assert client.post(whole, json=said, headers=OWN).status_code == 403
        assert not read_labels(night).active
    whole = f"/api/nights/{night.name}/labels"
    assert client.post(asked(whole), json=body, headers=OWN).json()["labels"] == 1
    assert client.post(asked(f"{whole}/undo"), json={}, headers=OWN).json()["labels"] == 0


@pytest.mark.long
def test_a_spot_check_can_be_done_and_its_result_waits(
    night: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All items are judged without any number; the result comes once it is asked for."""
    choose(night, "on_request", monkeypatch)
    path = f"/api/nights/{night.name}/spot-check"
    state = client.post(path, json={"seed": 1}, headers=OWN).json()
    while state["next"] is not None:
        answer = {"check": state["check"], "item": state["next"]["item"], "answer": "twitch"}
        state = client.post(f"{path}/answer", json=answer, headers=OWN).raise_for_status().json()
    assert state["result"] is None
    assert "on request" in state["hidden"]
    shown = client.get(asked(path)).json()
    assert shown["hidden"] == ""
    assert shown["result"]["precision"]["value"] == 1.0


def test_one_body_has_the_nights_that_are_shown(
    night: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each site's last value stays out while it is kept back."""
    monkeypatch.setattr("firmware_host.review.api.body.LEAST_VALID_S", 1.0)

    def sites(path: str) -> list[Any]:
        found: list[Any] = client.get(path).raise_for_status().json()["sites"]
        return found

    choose(night, "on_request", monkeypatch)
    assert sites("/api/body") == []
    assert sites("/api/body?show=true")
    choose(night, "weekly", monkeypatch)
    assert sites("/api/body?show=true") == []
