"""Recordings that begin, go on and end in ways that nobody planned."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import time as seconds
from collections.abc import AsyncIterator, Iterator
from datetime import time
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from failing_disk import Disk
from scripted_sensors import START_NS, Clocks, S, Stage, numbers

from firmware_host.capture import session
from firmware_host.capture.asked import Order, wanted_sensors
from firmware_host.capture.awake import Proof
from firmware_host.capture.ble import Radio
from firmware_host.capture.choice import go_on, unfinished_night
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.recorder import _choose
from firmware_host.capture.status_file import StatusFile
from firmware_host.capture.watch import Moment
from firmware_host.errors import BadValueError, NightBusyError, NotFoundError, StorageError
from firmware_host.recording import amend_night, gaps, list_nights, open_night
from firmware_host.recording import log as recording_log
from firmware_host.recording.live_status import ask_stop
from firmware_host.recording.marks import leave_mark

pytestmark = pytest.mark.lasts_s(25)

DAY_S = 86_400


class KilledError(Exception):
    """Stands for the end of the program."""


def killed_after_a_minute(folder: Path, plan: PlannedEnd, utc_ns: int) -> Path:
    """Return a night whose recorder was killed after a minute of samples."""
    stage = Stage(folder, plan=plan, clocks=Clocks(utc_ns=utc_ns))

    async def killed(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(60)
        raise KilledError

    with pytest.raises(KilledError):
        stage.play(killed)
    return stage.path


@pytest.mark.parametrize("plan", [PlannedEnd(hours=1), PlannedEnd(until=time(0, 30))])
def test_a_computer_that_never_knew_the_time_before_it_was_started_anew(
    tmp_path: Path, plan: PlannedEnd
) -> None:
    """What came in 1970 lies right before the session that learnt the time; the end is planned anew."""
    killed_after_a_minute(tmp_path, plan, 1000 * S)
    (again := Clocks()).now = Moment(7 * S, 7 * S, 1070 * S)
    night = unfinished_night(tmp_path, ["left_calf"], "recorded", 1070 * S)
    assert night is not None
    chosen = go_on(night, lambda: (again.now.mono_ns, again.now.utc_ns))
    stage = Stage(tmp_path, plan=plan, chosen=chosen, clocks=again)

    async def goes_on(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(60)
        stage.clocks.go(0, step_s=START_NS / S - 1130)
        await stage.stream(60)
        await stage.wait(3600)

    assert stage.play(goes_on) == "planned end"
    night = open_night(stage.path)
    gap = gaps(night, "left_calf")[0]
    assert (gap.end_ns - gap.start_ns) / S == pytest.approx(10, abs=0.2)
    assert night.start_ns == pytest.approx(START_NS - 130 * S, abs=0.2 * S)
    assert night.duration_s == pytest.approx(3600 + (0 if plan.hours else 130), abs=10)


@pytest.mark.parametrize("plan", [PlannedEnd(hours=1), PlannedEnd(until=time(0, 30))])
@pytest.mark.parametrize(
    ("before_s", "after_s", "down_s"),
    [(-2 * DAY_S, -2 * DAY_S, 10), (2 * DAY_S, 2 * DAY_S, 10), (0, -1790, 1800), (0, -1000 * DAY_S, 1800)],
    ids=["behind all the time", "ahead all the time", "behind since the power cut", "far behind since then"],
)
def test_a_clock_that_is_set_right_while_a_night_goes_on(
    tmp_path: Path, before_s: int, after_s: int, down_s: int, plan: PlannedEnd
) -> None:
    """The planned end is that of the night as it was: neither at once nor days later."""
    path = killed_after_a_minute(tmp_path, plan, START_NS + before_s * S)
    utc_ns = START_NS + (60 + down_s + after_s) * S
    chosen = go_on(open_night(path), lambda: (7 * S, utc_ns))
    (again := Clocks()).now = Moment(7 * S, 7 * S, utc_ns)
    stage = Stage(tmp_path, plan=plan, chosen=chosen, clocks=again)

    async def goes_on(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(20)
        stage.clocks.go(0, step_s=-after_s)
        await stage.stream(20)
        await stage.wait(3600)

    assert stage.play(goes_on) == "planned end"
    assert (stage.told.views[-1].utc_ns - START_NS) / S == pytest.approx(3600, abs=20)
    night = open_night(stage.path)
    (gap,) = gaps(night, "left_calf")[:1]
    assert (gap.end_ns - gap.start_ns) / S == pytest.approx(down_s, abs=1)
    assert (night.start_ns - START_NS) / S == pytest.approx(0, abs=1)


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Write logs to a disk that may be full."""
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(room=None)
        patch.setattr(recording_log, "os", disk)
        yield disk


@pytest.mark.parametrize("planned", [True, False])
def test_a_disk_that_is_full_at_the_end_is_waited_for(tmp_path: Path, disk: Disk, planned: bool) -> None:
    """What is in memory when the night ends is written as soon as somebody frees some space."""
    stage = Stage(tmp_path, plan=PlannedEnd(hours=62 / 3600 if planned else None))
    status = StatusFile(stage.chosen.writer, stage.told, stage.stop)
    stage.session._told = status

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(2)
        if not planned:
            await asyncio.to_thread(written, stage)
            ask_stop(stage.path)
        disk.room = 0
        await stage.stream(60)
        await stage.ticks(20)
        assert stage.links["left_calf"].closed
        assert not stage.running.done()
        assert "The disk of" in stage.told.said[-1]
        assert "gives up what is in memory" in stage.told.said[-1]
        disk.room = None

    with status:
        assert stage.play(script) == ("planned end" if planned else "ended by hand")
    assert stage.told.said[-1] == "All is written again; nothing that it was owed is missing."
    (stretch,) = open_night(stage.path).stretches("left_calf")
    np.testing.assert_array_equal(stretch.counts(0, stretch.n), numbers(0, stretch.n))
    assert stretch.n == 6200 or not planned


def written(stage: Stage) -> None:
    """Wait until the status is there."""
    deadline = seconds.monotonic() + 20
    while not (stage.path / "status.json").exists():
        assert seconds.monotonic() < deadline
        seconds.sleep(0.02)


@pytest.mark.parametrize("first", ["interrupted", "terminated"])
def test_who_asks_again_waits_for_no_disk(tmp_path: Path, disk: Disk, first: str) -> None:
    """A second Ctrl-C, and a computer that is shut down, give up what a full disk does not take."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(2)
        disk.room = 0
        await stage.stream(3)
        stage.stop.ask(first)
        await stage.ticks(5)
        if first == "interrupted":
            assert not stage.running.done()
            stage.stop.ask("interrupted")

    with pytest.raises(StorageError, match="all before them is safe"):
        stage.play(script)


def test_nights_that_begin_in_the_same_second(tmp_path: Path) -> None:
    """A second person's night, and one more of a computer without a clock, get a name of their own."""
    clocks = Clocks(utc_ns=30 * S)
    first = Stage(tmp_path, "left_calf", clocks=clocks)
    other = Stage(tmp_path, "right_calf", clocks=clocks)
    Stage(tmp_path, "right_calf", "left_calf", clocks=clocks).chosen.writer.close()
    with pytest.raises(NightBusyError):
        Stage(tmp_path, "left_calf", clocks=clocks)
    for stage in (first, other):
        stage.chosen.writer.close()
    again = Stage(tmp_path, "left_calf", clocks=clocks)
    again.chosen.writer.close()
    names = [path.name for path in list_nights(tmp_path)]
    assert names == [f"1970-01-01T01-00-30{n}.night" for n in ("", "_2", "_3", "_4")]
    assert open_night(tmp_path / names[1]).sites == ("right_calf",)


def test_a_participant_for_a_night_without_one(tmp_path: Path) -> None:
    """Who goes on with a night of nobody in particular is told that it names nobody."""
    stage = Stage(tmp_path)
    stage.chosen.writer.close()
    amend_night(stage.path, participant="")
    order = Order(tmp_path, tuple(stage.wanted), participant="P2")
    clock = (stage.clocks.now.mono_ns, stage.clocks.now.utc_ns)
    chosen, _ = asyncio.run(_choose(order, order.wanted, Radio(), stage.told, lambda: clock))
    chosen.writer.close()
    assert chosen.writer.path == stage.path
    assert stage.told.said[1:] == ["It names no participant; `twitchmap amend` adds who it is."]


def test_a_mark_that_is_no_text_leaves_nothing_behind(tmp_path: Path, run: Run) -> None:
    """Bytes of another encoding are refused in a sentence, and no half mark stays in the night."""
    stage = Stage(tmp_path)
    code, _, err = run("mark", "caf\udce9", "--dir", tmp_path)
    stage.chosen.writer.close()
    assert (code, "no UTF-8 text" in err) == (1, True)
    assert not list((stage.path / "marks").iterdir())


def test_a_mark_while_the_recorder_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the last moments a mark is taken into the night, or refused in a sentence and nothing is left."""
    stage = Stage(tmp_path)
    close = session.close_spool
    words = ["late", "later"]

    def close_spool(path: Path) -> bool:
        if words:
            leave_mark(tmp_path, words.pop(0))
        (path / "marks" / "0123456789abcdef").touch()  # of somebody who has only begun
        return close(path)

    monkeypatch.setattr(session, "close_spool", close_spool)
    stage.stop.ask("ended by hand")
    with stage.chosen.writer:
        asyncio.run(stage.session.run())
        with pytest.raises(NotFoundError, match="at this moment: the mark was not taken"):
            leave_mark(tmp_path, "too late")
    assert not (stage.path / "marks").exists()
    marks = [event for event in open_night(stage.path).events() if event.kind == "mark"]
    assert [mark.details["text"] for mark in marks] == ["late", "later"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("more", ["nothing", "a mark", "a file"])
def test_ended_before_anything_was_recorded(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """Ctrl-C while the radio is looked at leaves no night, and says so; one that holds something stays."""

    async def interrupted(_: Radio) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    @contextlib.asynccontextmanager
    async def awake() -> AsyncIterator[Proof]:
        (night,) = list_nights(tmp_path)
        if more == "a mark":
            leave_mark(tmp_path, "here")
        elif more == "a file":
            (night / "notes.txt").touch()
        yield Proof(held=False, how="", sentence="Not kept awake.")

    monkeypatch.setattr("firmware_host.capture.recorder.radio_trouble", interrupted)
    monkeypatch.setattr("firmware_host.capture.recorder.keep_awake", awake)
    code, out, _ = run("record", "--virtual", "left_calf=oba", "--no-detect", "--dir", tmp_path)
    assert (code, "no night was kept" in out) == (0, more == "nothing")
    assert len(list_nights(tmp_path)) == (more != "nothing")
    assert more != "nothing" or not list(tmp_path.iterdir())


def test_one_sensor_has_one_site(tmp_path: Path, run: Run) -> None:
    """An address for two sites, or one site for two made-up sensors, is refused in the same words."""
    with pytest.raises(BadValueError, match="AA:BB:CC:00:11:22 is given for two sites"):
        wanted_sensors([("left_calf", "aa:bb:cc:00:11:22"), ("right_calf", "AA:BB:CC:00:11:22")])
    twice = ("--virtual", "left_calf=oba") * 2
    code, _, err = run("record", "--dir", tmp_path, *twice)
    assert (code, err) == (1, "left_calf is given twice; a second sensor there is left_calf.2.\n")


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
@pytest.mark.parametrize("closed_at", [b"streaming", b"Looking for twitches"])
def test_a_terminal_that_was_closed_costs_no_result(tmp_path: Path, closed_at: bytes) -> None:
    """Twitches are found at the end of the night though nobody reads any more, and that is no error."""
    import pty

    arguments = ("record", "--virtual", "left_calf=oba", "--hours", "0.004", "--dir", str(tmp_path))
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, (sys.executable, "-m", "firmware_host", *arguments))
    shown = b""
    try:
        while closed_at not in shown:
            assert select.select([terminal], [], [], 60)[0]
            shown += os.read(terminal, 4096)
        os.close(terminal)
        status = os.waitpid(pid, 0)[1]
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    assert os.waitstatus_to_exitcode(status) == 0
    (night,) = list_nights(tmp_path)
    assert open_night(night).events()[-1].details["reason"] == "planned end"
    assert (night / "results.sqlite").exists()
