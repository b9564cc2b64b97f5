"""`twitchmap record` and `twitchmap mark` as processes: ended in every way that a night may end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from firmware_host.capture.told import View
from firmware_host.cli._night_status import NightStatus
from firmware_host.recording import gaps, list_nights, open_night, verify

SENSORS = ("--virtual", "left_calf=polar_verity", "--virtual", "right_calf=thingy52")
pytestmark = [
    pytest.mark.lasts_s(50),
    pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX"),
]


def twitchmap(*arguments: str) -> list[str]:
    """Return the command line of this interpreter's twitchmap."""
    return [sys.executable, "-m", "firmware_host", *arguments]


class Recorder:
    """A recorder in a process of its own, and what it says on stderr."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        command = twitchmap("record", *SENSORS, "--dir", str(folder), "--json", *arguments)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    def wait_for(self, words: str, times: int = 1, within_s: float = 60.0) -> None:
        """Wait until it has said something so many times."""
        deadline = time.monotonic() + within_s
        while sum(words in line for line in self.said) < times:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def wait_for_samples(self, seconds: float) -> None:
        """Wait until so many seconds more of each sensor are on disk."""
        before = self.seconds()
        deadline = time.monotonic() + 60 + seconds
        while min(now - was for now, was in zip(self.seconds(), before, strict=True)) < seconds:
            assert time.monotonic() < deadline, self.said
            time.sleep(0.2)

    def seconds(self) -> list[float]:
        """Return how much of each sensor is on disk."""
        (path,) = list_nights(self.folder)
        night = open_night(path)
        return [sum(one.n / one.fs_nominal_hz for one in night.stretches(site)) for site in night.sites]

    def end(self, number: int) -> dict[str, Any]:
        """Send a signal; return its document once it has ended well."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> dict[str, Any]:
        """Return its document once it has ended well by itself."""
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        assert self.process.wait(60) == 0, self.said
        document: dict[str, Any] = json.loads(out)
        return document

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Start recorders on a folder; none outlives its test."""
    all_: list[Recorder] = []

    def start(*arguments: str) -> Recorder:
        all_.append(Recorder(tmp_path, *arguments))
        return all_[-1]

    yield start
    for one in all_:
        one.kill()


@pytest.mark.long
def test_killed_then_continued_then_terminated(tmp_path: Path, started: Callable[..., Recorder]) -> None:
    """SIGKILL costs nothing that was on disk; record goes on with the night; SIGTERM ends it, exit 0."""
    first = started("--no-detect")
    first.wait_for("streaming", 2)
    first.wait_for_samples(2.5)
    marked = subprocess.run(
        twitchmap("mark", "felt", "one", "--dir", str(tmp_path), "--json"), check=True, capture_output=True
    )
    assert json.loads(marked.stdout)["text"] == "felt one"
    first.wait_for("Marked: felt one")
    first.kill()
    before = first.seconds()
    (path,) = list_nights(tmp_path)
    again = started("--no-detect")
    again.wait_for(f"{path.name} goes on")
    busy = subprocess.run(
        twitchmap("record", *SENSORS, "--dir", str(tmp_path)), check=False, capture_output=True
    )
    assert (busy.returncode, b"Another twitchmap is recording" in busy.stderr) == (1, True)
    again.wait_for("streaming", 2)
    again.wait_for_samples(2.5)
    document = again.end(signal.SIGTERM)
    assert document["continued"] is True
    assert document["ended"] == "terminated"
    assert document["summary"]["sessions"] == 2
    night = open_night(path)
    assert not verify(path).missing_blocks
    assert all(now >= was + 2.5 for now, was in zip(again.seconds(), before, strict=True))
    for site in night.sites:
        assert "recorder was not running" in {gap.cause for gap in gaps(night, site)}
    assert [event.details["text"] for event in night.events() if event.kind == "mark"] == ["felt one"]
    gone = subprocess.run(twitchmap("mark", "--dir", str(tmp_path)), check=False, capture_output=True)
    assert (gone.returncode, b"No night is being recorded" in gone.stderr) == (1, True)


@pytest.mark.long
def test_interrupted_night_is_judged(tmp_path: Path, started: Callable[..., Recorder]) -> None:
    """Ctrl-C is a normal end: exit 0, twitches are looked for, and the next record begins a new night."""
    recorder = started("--label", "trial", "--participant", "P7", "--timezone", "Europe/Berlin")
    recorder.wait_for("streaming", 2)
    recorder.wait_for_samples(3)
    document = recorder.end(signal.SIGINT)
    assert document["ended"] == "interrupted"
    assert [site["site"] for site in document["detection"]["sites"]] == ["left_calf", "right_calf"]
    (path,) = list_nights(tmp_path)
    assert path.name.endswith("_trial.night")
    meta = open_night(path).meta
    assert (meta.participant, meta.time_zone, meta.origin) == ("P7", "Europe/Berlin", "virtual")
    planned = started("--no-detect", "--hours", "0.001")
    assert planned.ended()["ended"] == "planned end"
    assert len(list_nights(tmp_path)) == 2


@pytest.mark.long
def test_a_terminal(tmp_path: Path) -> None:
    """In a terminal one line a sensor is redrawn, over what was typed too; q with Enter ends the night."""
    import pty

    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, twitchmap("record", *SENSORS, "--dir", str(tmp_path), "--no-detect"))
    shown, to_type = b"", [(b"\x1b[5A", b"q\n"), (b" s ago", b"\n")]
    try:
        while select.select([terminal], [], [], 60)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # the other side has ended
                break
            if to_type and to_type[-1][0] in shown:
                os.write(terminal, to_type.pop()[1])
        os.close(terminal)
        status = os.waitpid(pid, 0)[1]
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert b"q and Enter ends it" in shown
    assert b"\x1b[4A\x1b[J" in shown
    assert b"\x1b[5A\x1b[J" in shown
    summary = shown.index(b".night (virtual): ")
    assert max(len(line) for line in shown[:summary].splitlines()) < 80 + len(b"\x1b[4A\x1b[J")
    assert b"of the night" in shown
    assert shown.count(b"the night is marked as virtual") == shown.count(b".night (virtual): ") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--virtual", "left_calf=polar_verity", "--sensor", "right_calf=X"], 2, "leave out --sensor"),
        (["--virtual", "left_claf=polar_verity"], 1, "no body site"),
        (["--virtual", "left_calf=polar_verita"], 1, "Did you mean polar_verity"),
        (["--virtual", "left_calf=polar_h10"], 1, "at the chest only, not at left_calf"),
        (["--virtual", "left_calf=polar_verity", "--timezone", "Mars"], 1, "no time zone"),
        (["--virtual", "left_calf=witmotion", "--rate", "104"], 1, "104 Hz, only to 50, 100, 200"),
        (["--virtual", "left_calf=polar_verity", "--until", "25:00"], 2, "no time of day"),
        (["--virtual", "left_calf=polar_verity", "--hours", "0"], 2, "hours"),
    ],
)
def test_what_cannot_be_recorded(
    tmp_path: Path, run: Run, arguments: list[str], code: int, words: str
) -> None:
    """What was mistyped is said in a sentence, and no night is made."""
    ended, _, err = run("record", "--dir", tmp_path, *arguments)
    assert (ended, words in err) == (code, True), err
    assert "Traceback" not in err
    assert list_nights(tmp_path) == []


def test_a_terminal_that_takes_nothing_holds_up_no_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentences wait for a terminal that is paused, in order; those that are too many are not shown."""
    going, shown = threading.Event(), []

    def echo(text: str, **_: object) -> None:
        going.wait()
        shown.append(text)

    monkeypatch.setattr("firmware_host.cli._night_status.click.echo", echo)
    status = NightStatus()
    monkeypatch.setattr(status, "_terminal", True)
    for _ in range(1000):
        status.show(View((), 0, 0, 0, None, "UTC", None))
    for i in range(1000):
        status.say(f"Sentence {i}.")
    going.set()
    status.close()
    said = [text for text in shown if "Sentence" in text]
    assert 98 <= len(said) <= 100
    assert len(shown) <= 102
    assert all(f"Sentence {i}." in text for i, text in enumerate(said))


def test_names_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in what is told, as in a sensor's name, are not sent to the terminal."""
    with contextlib.closing(NightStatus()) as status:
        status.say("left_calf: \x1b]0;mine\x07 could not be connected.")
    assert capsys.readouterr().err.endswith("left_calf: ?]0;mine? could not be connected.\n")
