"""What is too much, too slow, or no name at all: others are served meanwhile, and nothing changes."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import threading
import time
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import found_nights
import psutil
import pytest
import uvicorn
from browser import Serve
from hostile_requests import HOME, JSON, ask, contents, raw, refused
from starlette.testclient import TestClient

from firmware_host.review import running
from firmware_host.review.server import application


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a night with a run."""
    return found_nights.made_night(tmp_path_factory.mktemp("found"), 0, {"left_calf": 40})


@pytest.fixture
def hurried(night: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the address of a server that waits half a second for what is not whole."""
    servers: list[running._Server] = []

    class Kept(running._Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            servers.append(self)

    monkeypatch.setattr(running, "_Server", Kept)
    monkeypatch.setattr(running, "HALF_S", 0.5)
    monkeypatch.setattr("firmware_host.review.server.BODY_S", 0.5)
    with running._listening(running.Place(port=0)) as listening:
        arguments = (listening, night.parent, running.Place(), None)
        thread = threading.Thread(target=running.serve, args=arguments)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        servers[0].should_exit = True
        thread.join(10)


def test_half_requests_hold_no_place(hurried: str) -> None:
    """Two hundred that never end what they ask are cut, others are served meanwhile, a slow body is told."""
    head = f"PUT /api/settings HTTP/1.1\r\nHost: {hurried[7:]}\r\nOrigin: {hurried}\r\n"
    body = f"{head}Content-Type: application/json\r\nContent-Length: 30\r\n\r\n{{".encode()
    with contextlib.ExitStack() as stack:
        halves = [stack.enter_context(raw(hurried)) for _ in range(200)]
        for number, connection in enumerate(halves):
            connection.sendall((b"", head.encode(), body)[number % 3])
        assert ask(hurried, "/api/nights")[0] == 200
        answers = [connection.recv(1000) for connection in halves]
    assert {answer.split(b"\r\n")[0] for answer in answers[2::3]} == {b"HTTP/1.1 408 Request Timeout"}
    assert set(answers[0::3] + answers[1::3]) == {b""}
    assert ask(hurried, "/api/nights")[0] == 200


def test_a_connection_that_asks_again_and_again_is_kept(hurried: str) -> None:
    """What asks something whole now and then is not cut, however long it lives."""
    connection = http.client.HTTPConnection(hurried[7:], timeout=10)
    connection.connect()
    end = connection.sock
    for _ in range(12):
        connection.request("GET", "/api/settings")
        assert connection.getresponse().read()
        time.sleep(0.25)
    assert connection.sock is end, "still the first one"
    connection.close()


@pytest.mark.long
def test_a_thousand_at_once_are_all_answered(served: Serve, night: Path) -> None:
    """A thousand requests from fifty at once are all answered, with bounded threads and memory."""
    server = served(night.parent, alone=True)

    def many(_: int) -> set[int]:
        return {ask(server.origin, "/api/nights")[0] for _ in range(20)}

    with ThreadPoolExecutor(50) as pool:
        assert set().union(*pool.map(many, range(50))) == {200}
    process = psutil.Process(server.process.pid)
    assert process.num_threads() < 60
    assert process.memory_info().rss < 300e6


HOSTILE = (
    "'; DROP TABLE runs; --", '" OR 1=1 --', "<script>alert(1)</script>", "../../secret.toml", "\x00",
    "💥" * 30,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_names_of_things_are_never_code(night: Path, text: str) -> None:
    """SQL, script and paths as site, run, pile or rater are no more than names that there are not."""
    client = TestClient(application(night.parent), HOME)
    path, named = f"/api/nights/{night.name}", urllib.parse.quote(text, safe="")
    before = contents(night)
    for query in (
        f"events?site={named}",
        f"map?run={named}",
        f"piles/{named}/waves",
        f"piles/{named}/events",
        f"signal/bins?sites={named}&level=0&first=0&count=9",
        f"drawn-events?site={named}",
        f"wave?site={named}&peak_s=1",
    ):
        refused(client.get(f"{path}/{query}"), 400, 404)
    pile = {"what": "twitch", "pile": text, "run": client.get(f"{path}/piles").json()["run"]}
    for body in ({"what": "twitch", "site": text[:40], "peaks_s": [1.0]}, pile):
        refused(client.post(f"{path}/labels", json=body, headers=JSON), 400, 404)
    for time_s in ("NaN", "Infinity", "-Infinity", "1e400", "1e300", "-1e9"):
        content = f'{{"what":"exclude","start_s":0,"end_s":{time_s}}}'.encode()
        refused(client.post(f"{path}/labels", content=content, headers=JSON), 400)
    assert contents(night) == before
    label = {"what": "exclude", "start_s": 0.0, "end_s": 9.0, "rater": text}
    assert client.post(f"{path}/labels", json=label, headers=JSON).status_code == 200
    [kept] = client.get(f"{path}/labels/history").json()["actions"]
    assert kept["rater"] == text
    results = (night / "results.sqlite").read_bytes()
    assert hashlib.sha256(results).hexdigest() == before["results.sqlite"]
    assert client.post(f"{path}/labels/undo", json={}, headers=JSON).json()["labels"] == 0
