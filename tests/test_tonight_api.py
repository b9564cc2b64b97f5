"""The evening over the API: what is refused, and real processes that outlive the server."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import made_nights
import msgspec
import pytest
from starlette.testclient import TestClient

from firmware_host.capture.setups import Setup, SetupSensor, save_setup
from firmware_host.recording import list_nights, open_night
from firmware_host.recording.live_status import LiveStatus, write_status
from firmware_host.recording.nights import running_night
from firmware_host.recording.reader import is_finished
from firmware_host.review import processes
from firmware_host.review.server import application

pytestmark = pytest.mark.lasts_s(40)

HOME = "http://127.0.0.1:8765"
TRIAL = Setup(
    sensors=(SetupSensor(site="left_calf", model="witmotion", address="D0:5E:00:00:01:01"),), virtual=True
)


class Page:
    """What a page does with the server of a folder; `restart` is another server on the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clients: list[TestClient] = []
        self.restart()

    def restart(self) -> None:
        """Leave the server as if it had been killed, and start another."""
        self.client = TestClient(application(self.folder), HOME, headers={"origin": HOME})
        self.clients.append(self.client)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        """Send a change and return the answer, whose status is as expected."""
        content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        headers = {"content-type": "application/json"}
        answer = self.client.post(f"/api/tonight/{path}", content=content, headers=headers)
        assert answer.status_code == status or (status, answer.status_code) == (200, 204), answer.text
        return None if answer.status_code == 204 else answer.json()

    def now(self) -> Any:
        """Return how the evening stands."""
        answer = self.client.get("/api/tonight")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(self, holds: Callable[[Any], bool], within_s: float = 60.0) -> Any:
        """Ask until something holds."""
        deadline = time.monotonic() + within_s
        while not holds(now := self.now()):
            assert time.monotonic() < deadline, now
            time.sleep(0.1)
        return now


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """Give the page of an empty folder; a recorder that a test leaves is ended."""
    one = Page(tmp_path / "nights")
    one.folder.mkdir()
    yield one
    for _ in range(100):
        if running_night(one.folder) is None:
            break
        one.client.post("/api/tonight/stop", json={})
        time.sleep(0.1)
    for client in one.clients:  # each sees the end of the recorder that it started
        one.client = client
        one.until(lambda now: now["phase"] not in {"starting", "recording", "ending", "detecting"})


def streaming(now: Any) -> bool:
    """Whether all sensors of a recording send."""
    sensors = (now["recording"] or {}).get("sensors")
    return bool(sensors) and all(one["state"] == "streaming" for one in sensors)


def recorder_of(folder: Path) -> list[int]:
    """Return the processes that record in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"record" in words and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_a_night_outlives_the_server_and_is_found_again(page: Page) -> None:
    """Started, marked, found by a server that starts anew, ended: each moment is where the API says it is."""
    save_setup(page.folder, TRIAL)
    assert page.now()["phase"] == "ready"
    assert page.post("start", {"hours": 0.5, "detect": False})["phase"] == "starting"
    assert "already" in page.post("start", {}, 409)["error"]
    now = page.until(streaming)
    assert now["phase"] == "recording"
    assert "already" in page.post("start", {"new": True}, 409)["error"]
    assert "already" in page.post("scan", {}, 409)["error"]
    (process,) = recorder_of(page.folder)
    assert os.getsid(process) != os.getsid(0)
    page.restart()
    now = page.until(lambda now: streaming(now) and now["recording"]["sensors"][0]["battery_percent"])
    night, recording = page.folder / now["recording"]["night"], now["recording"]
    assert recording["virtual"]
    assert recording["end_ns"] - recording["start_ns"] == 1800 * 10**9
    (sensor,) = recording["sensors"]
    assert (sensor["label"], sensor["battery_percent"]) == ("left calf", 100)
    assert recording["disk_free_bytes"] > 0
    hostile = "<script>alert(1)</script>\n`rm -rf /` ; DROP TABLE"
    assert page.post("marks", {"text": hostile})["night"] == night.name
    page.until(lambda now: any("script" in one["sentence"] for one in now["recording"]["said"]))
    page.post("stop")
    page.client.post("/api/tonight/stop", json={})  # asked twice, or when it is over: no harm
    now = page.until(lambda now: now["recording"] is None)
    last = now["last"]
    assert (now["phase"], last["night"], last["finished"], last["virtual"]) == (
        "ready",
        night.name,
        True,
        True,
    )
    assert last["sensors"][0]["seconds"] > 1
    (mark,) = [event for event in open_night(night).events() if event.kind == "mark"]
    assert mark.details["text"] == " ".join(hostile.split())
    assert "No night" in page.post("stop", status=404)["error"]
    assert "No night" in page.post("marks", status=404)["error"]
    assert (page.folder / "recorder.log").stat().st_mode & 0o077 == 0
    assert page.client.post(f"/api/nights/{night.name}/detection", json={}).status_code == 200
    now = page.until(lambda now: now["search"]["state"] not in {"waiting", "running"})
    assert (now["search"]["state"], now["last"]["detected"]) == ("done", True)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_a_recorder_that_is_killed_is_told_of_and_goes_on(page: Page) -> None:
    """What came is safe, and continuing makes one night of both; a status that was left is not believed."""
    page.post("check")  # without a set-up it ends at once; what it said is forgotten with the night's start
    page.until(lambda now: not now["job"]["running"])
    save_setup(page.folder, TRIAL)
    page.post("start", {"detect": False})
    now = page.until(streaming)
    night = now["recording"]["night"]
    assert now["job"] is None
    page.until(lambda now: now["recording"]["sensors"][0]["samples"] > 300)
    (process,) = recorder_of(page.folder)
    os.kill(process, signal.SIGKILL)
    now = page.until(lambda now: now["recording"] is None)
    assert (page.folder / night / "status.json").exists()
    assert (now["phase"], now["trouble"]) == ("broken_off", None)
    assert (now["last"]["finished"], now["last"]["can_continue"]) == (False, True)
    assert "No night" in page.post("stop", status=404)["error"]
    page.restart()
    assert page.now()["phase"] == "broken_off"
    page.post("start", {"detect": False})
    assert page.until(streaming)["recording"]["night"] == night
    page.post("stop")
    page.until(lambda now: now["phase"] == "ready")
    (path,) = list_nights(page.folder)
    assert is_finished(open_night(path))


def test_a_recorder_that_cannot_start_says_why(page: Page) -> None:
    """What the recorder said last is what the page says, and no night is left."""
    save_setup(page.folder, msgspec.structs.replace(TRIAL, time_zone="UTC"))
    text = (page.folder / "setup.toml").read_text().replace('"UTC"', '"Mars/Olympus"')
    (page.folder / "setup.toml").write_text(text)
    page.post("start")
    now = page.until(lambda now: now["phase"] != "starting")
    assert "no time zone" in now["trouble"]
    assert list_nights(page.folder) == []


def test_a_start_can_be_cancelled(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder that does not come to record is ended, and that is no error; the next start is a start."""
    save_setup(page.folder, TRIAL)
    program = "import time; time.sleep(60)"
    monkeypatch.setattr(processes, "command", lambda *_: [sys.executable, "-c", program])
    assert page.post("start")["phase"] == "starting"
    assert "already" in page.post("start", status=409)["error"]
    page.post("stop")
    now = page.until(lambda now: now["phase"] == "ready")
    assert now["trouble"] is None
    assert "No night" in page.post("stop", status=404)["error"]


def test_a_folder_that_takes_nothing_is_said(page: Page) -> None:
    """The sentence names the folder, and nothing is started."""
    save_setup(page.folder, TRIAL)
    (page.folder / "recorder.log").mkdir()
    assert str(page.folder) in page.post("start", status=507)["error"]
    assert page.now()["phase"] == "ready"


def test_an_evening_without_anything(page: Page) -> None:
    """An empty folder, and one that is not there, stand at the beginning; nothing can be started."""
    for folder in (page.folder, page.folder / "not" / "there"):
        page.folder = folder
        page.restart()
        now = page.now()
        assert [now[key] for key in ("phase", "setup", "recording", "last", "job")] == [
            "nothing",
            *[None] * 4,
        ]
        assert "set-up" in page.post("start", status=404)["error"]
        assert page.post("cancel") is None


@pytest.mark.parametrize(
    "text",
    ["sensors = 3", "[[sensors]]\nsite = 'left_claf'", "\x00", "a = ", '"' * 9999, "a = " + "[" * 5000],
)
def test_a_set_up_that_cannot_be_read_is_said(page: Page, text: str) -> None:
    """One sentence, and the page can set the evening up anew."""
    (page.folder / "setup.toml").write_text(text)
    now = page.now()
    assert (now["phase"], "cannot be read" in now["trouble"]) == ("nothing", True)
    assert "cannot be read" in page.post("start", status=400)["error"]


@pytest.mark.parametrize(
    "status",
    [
        b"{}", b"\xff", b'{"id": "x", "utc_ns": 1e99}',
        msgspec.json.encode({"id": "x", "utc_ns": -1, "start_ns": 2**70, "sensors": [{}]}),
    ],
)  # fmt: skip
def test_a_status_of_nobody_is_no_recording(page: Page, status: bytes) -> None:
    """A broken file in a night that nobody writes changes nothing."""
    night = made_nights.small_night(page.folder / "2026-11-22T23-30-00_a.night", blocks=2)
    (night / "status.json").write_bytes(status)
    now = page.now()
    assert (now["phase"], now["recording"]) == ("nothing", None)


def test_a_recorder_that_is_silent_is_told_of(page: Page) -> None:
    """A night whose lock is held and whose status is old is being recorded, and does not answer."""
    from firmware_host.recording import create_night

    with create_night(page.folder / "2026-11-22T23-30-00.night", made_nights.meta(1)) as writer:
        now = page.now()
        assert (now["phase"], now["recording"]["start_ns"]) == ("recording", None)
        assert "yet" in page.post("stop", status=404)["error"]
        long_ago_ns = time.time_ns() - 60 * 10**9
        status = LiveStatus(
            id="x", utc_ns=long_ago_ns, start_ns=long_ago_ns, end_ns=None, time_zone="UTC", virtual=False,
            sensors=(), disk_free_bytes=None, trouble=None, said=(),
        )  # fmt: skip
        write_status(writer.path, status)
        assert page.now()["recording"]["answers"] is False
        assert page.post("stop")["phase"] == "ending"


def test_a_night_that_is_imported_is_not_being_recorded(page: Page) -> None:
    """Only a night of sensors is tonight's."""
    from firmware_host.recording import create_night

    with create_night(page.folder / "a.night", made_nights.meta(1, origin="imported")):
        assert page.now()["phase"] == "nothing"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("start", {"until": "25:00"}), ("start", {"until": "07:00\n--new"}), ("start", {"hours": 0}),
        ("start", {"hours": 49}), ("start", b'{"hours": NaN}'), ("start", b'{"hours": 1e999}'),
        ("start", {"sensor": "left_calf=x"}), ("start", b"[]"), ("start", b"{"), ("start", {"new": "yes"}),
        ("stop", {"night": "x"}), ("marks", {"text": "x" * 201}), ("marks", {"text": None}),
        ("marks", b'{"text": "\\ud800"}'), ("scan", {"seconds": 1e6}), ("check", {"seconds": -1}),
        ("setup", {}), ("setup", {"sensors": []}), ("setup", {"sensors": [{"site": "left_calf"}] * 2}),
        ("setup", {"sensors": [{"site": "left_claf"}]}), ("setup", {"sensors": [{"site": "--virtual"}]}),
        ("setup", {"sensors": [{"site": "../left_calf"}]}),
        ("setup", {"sensors": [{"site": "left_calf"}] * 13}),
        ("setup", {"sensors": [{"site": "left_calf", "who": "a\x00b"}]}),
        ("setup", {"sensors": [{"site": "left_calf", "placement": "a\nb"}]}),
        ("setup", {"sensors": [{"site": "left_calf"}], "participant": "a" * 61}),
        ("setup", {"sensors": [{"site": "left_calf"}], "config": "/etc/passwd"}),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(page: Page, path: str, body: Any) -> None:
    """One sentence, nothing is started, nothing is written."""
    assert page.post(path, body, 400)["error"]
    assert page.now()["job"] is None
    assert list(page.folder.iterdir()) == []


def test_requests_become_arguments_and_nothing_else(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a name or a placement says, it stands whole behind its option."""
    program = (
        "import json, sys; print(json.dumps(sys.argv[1:])); print(json.dumps(sys.argv[1:]), file=sys.stderr)"
    )
    monkeypatch.setattr(processes, "command", lambda *words: [sys.executable, "-c", program, *words])
    evil = '--dir=/ $(touch x) `x` "; x | x > x'
    sensors = [{"site": "left_calf", "who": evil, "placement": evil}, {"site": "right_calf"}]
    page.post("setup", {"sensors": sensors, "participant": evil, "until": "06:30"})
    now = page.until(lambda now: not now["job"]["running"])
    folder = str(page.folder.resolve())
    assert json.loads(now["job"]["said"][0]) == [
        "setup", "--steps", "--sensor", f"left_calf={evil}", "--placement", f"left_calf={evil}", "--until",
        "06:30", f"--participant={evil}", "--dir", folder, "--json", "--", "right_calf",
    ]  # fmt: skip
    assert list(page.folder.iterdir()) == []


def test_one_program_at_a_time(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one runs another is refused, and so is a night; it can be cancelled, and its end ends it."""
    save_setup(page.folder, TRIAL)
    program = (
        'import sys, time; sys.stderr.write(\'{"tap": "left_calf"}\\n\'); sys.stderr.flush(); time.sleep(60)'
    )
    monkeypatch.setattr(processes, "command", lambda *_: [sys.executable, "-c", program])
    page.post("check")
    assert "still" in page.post("setup", {"sensors": [{"site": "left_calf"}]}, 409)["error"]
    assert "sensors" in page.post("start", status=409)["error"]
    now = page.until(lambda now: now["job"]["asked"] is not None)
    assert now["job"]["asked_label"] == "left calf"
    page.post("cancel")
    page.post("cancel")
    job = page.now()["job"]
    assert (job["running"], job["cancelled"], job["error"], job["asked"]) == (False, True, None, None)


def test_a_program_that_says_nonsense_is_survived(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that are no steps are shown as they are, an answer that is none is no answer."""
    said = b'{"say": 3}\n\xff\xfe\n{}\n' + b"x" * 100
    program = f"import sys; sys.stderr.buffer.write({said!r}); print('[1'); sys.exit(1)"
    monkeypatch.setattr(processes, "command", lambda *_: [sys.executable, "-c", program])
    page.post("check")
    job = page.until(lambda now: not now["job"]["running"])["job"]
    assert (job["checked"], job["error"]) == (None, "x" * 100)
    page.post("scan")
    job = page.until(lambda now: not now["job"]["running"])["job"]
    assert (job["found"], job["error"]) == (None, "x" * 100)


@pytest.mark.long
def test_a_check_is_told_sensor_by_sensor(page: Page) -> None:
    """The report of a real check comes through, in plain words; without a set-up its sentence does."""
    page.post("check", {"seconds": 3})
    job = page.until(lambda now: not now["job"]["running"])["job"]
    assert "There is no set-up" in job["error"]
    save_setup(page.folder, TRIAL)
    page.post("check", {"seconds": 3})
    job = page.until(lambda now: not now["job"]["running"])["job"]
    (sensor,) = job["checked"]["sensors"]
    assert (job["error"], job["checked"]["ready"], sensor["where"]) == (None, True, "left calf")
    assert sensor["measured"]["fs_hz"] == pytest.approx(200, rel=0.1)
