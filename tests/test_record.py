"""The night while it is recorded: what arrives is kept, what happens is logged, and it ends as planned."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import sys
from datetime import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripted_sensors import MONO_NS, START_NS, Clocks, S, Stage, numbers

from firmware_host.capture.asked import wanted_sensors
from firmware_host.capture.blocks import Gathering
from firmware_host.capture.choice import go_on, same_sensors, unfinished_night
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.local_zone import local_zone
from firmware_host.capture.status_file import StatusFile
from firmware_host.capture.summary import summarise, text
from firmware_host.capture.told import View
from firmware_host.capture.watch import HeldUp, Moment, Slept, Stepped, Watch, read_clocks
from firmware_host.errors import BadValueError, NightBusyError, NotFoundError, SensorError, StorageError
from firmware_host.recording import Night, amend_night, gaps, open_night
from firmware_host.recording import log as recording_log
from firmware_host.recording.marks import leave_mark, waiting_marks
from firmware_host.recording.reader import is_finished
from firmware_host.sensors.protocol import Batch, Facts


def samples(night: Night, site: str = "left_calf") -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return all samples of a site, in order."""
    found = [counts for stretch in night.stretches(site) for _, counts in stretch.count_chunks()]
    return np.concatenate([one.astype(np.int16) for one in found])


def kinds(night: Night) -> list[str]:
    """Return the kinds of a night's events, in order."""
    return [event.kind for event in night.events()]


# Pure parts.


def test_about_a_second_makes_a_block() -> None:
    """Batches that follow each other become a block of about a second, with the times of its last one."""
    gathering, blocks = Gathering(), []
    for i in range(27):
        batch = Batch(numbers(10 * i, 10), 10 * i, device_ns=i)
        blocks += gathering.add(batch, i * S // 10, START_NS + i * S // 10)
    assert [(block.first, len(block.counts)) for block in blocks] == [(0, 130), (130, 130)]
    assert blocks[1].mono_ns == 25 * S // 10
    assert blocks[1].utc_ns - START_NS == 25 * S // 10
    assert blocks[1].device_ns == 25
    assert gathering.overdue(40 * S // 10) == []
    (rest,) = gathering.overdue(43 * S // 10)
    np.testing.assert_array_equal(rest.counts, numbers(260, 10))
    assert gathering.take() == []


def test_a_block_ends_with_the_least_late_batch() -> None:
    """Of bursts, each later than it could be, blocks end with the batches that came at once."""
    gathering, blocks, rate = Gathering(), [], 1.04  # true rate: 104 Hz
    late_s = [0.3 if i % 4 else 0.0 for i in range(100)]
    for i in range(100):
        at_ns = round((i / 10 / rate + late_s[i]) * S)
        blocks += gathering.add(Batch(numbers(10 * i, 10), 10 * i), at_ns, START_NS + at_ns)
    ends = [block.first // 10 + len(block.counts) // 10 - 1 for block in blocks]
    assert len(ends) >= 7
    assert all(late_s[end] == 0 for end in ends[1:])  # the first knows no rate yet
    np.testing.assert_array_equal(
        np.concatenate([block.counts for block in [*blocks, *gathering.take()]]), numbers(0, 1000)
    )


@pytest.mark.parametrize(("made_up", "lost"), [(True, 0), (False, 1)])
def test_a_pause_that_is_not_made_up_for(made_up: bool, lost: int) -> None:
    """Without numbers, samples that never come behind a pause are missed; those that come late are not."""
    gathering, blocks = Gathering(), []
    gathering.numbered = False
    for i in range(200):
        at_ns = i * S // 10
        if 100 <= i < 106:  # 0.6 s held up
            if not made_up:
                continue
            at_ns = 106 * S // 10 + i
        n = 10 * i - (60 if i >= 106 and not made_up else 0)
        blocks += gathering.add(Batch(numbers(n, 10), n), at_ns, START_NS + at_ns)
    blocks += gathering.take()
    assert [block.lost_ns for block in blocks if block.lost_ns] == [
        (99 * S // 10, START_NS + 99 * S // 10)
    ] * lost
    found = np.concatenate([block.counts for block in blocks])
    np.testing.assert_array_equal(found, numbers(0, 2000 - 60 * lost))


def test_a_loss_is_noticed_though_the_sensor_falls_silent_again() -> None:
    """Samples are lost in a pause, and before it is known a second one comes that is made up for."""
    gathering, blocks, n, at_ns = Gathering(), [], 0, 0
    gathering.numbered = False

    def send(batches: int, step_ns: int = S // 25) -> None:
        nonlocal n, at_ns
        for _ in range(batches):
            at_ns += step_ns
            blocks.extend(gathering.add(Batch(numbers(n, 8), n), at_ns, START_NS + at_ns))
            n += 8
            blocks.extend(gathering.overdue(at_ns))

    send(300)
    lost_ns, at_ns = at_ns, at_ns + 3 * S // 2
    send(10)
    for _ in range(9):
        at_ns += S // 5
        blocks.extend(gathering.overdue(at_ns))
    send(45, 1000)
    send(300)
    blocks.extend(gathering.take())
    assert [block.lost_ns for block in blocks if block.lost_ns] == [(lost_ns, START_NS + lost_ns)]
    np.testing.assert_array_equal(np.concatenate([block.counts for block in blocks]), numbers(0, n))


def test_a_jump_of_the_counter_ends_a_block() -> None:
    """No block has a jump inside, forward or backward, and one of another kind of numbers stands alone."""
    gathering = Gathering()
    assert gathering.add(Batch(numbers(0, 5), 0), 0, 0) == []
    assert [len(block.counts) for block in gathering.add(Batch(numbers(7, 5), 7), 1, 1)] == [5]
    assert [block.first for block in gathering.add(Batch(numbers(0, 5), 0), 2, 2)] == [7]
    floats = Batch(np.ones((2, 3), np.float32), 5)
    assert [block.first for block in gathering.add(floats, 3, 3)] == [0]
    assert gathering.add(Batch(numbers(0, 0), 9), 4, 4) == []
    assert gathering.take()[0].counts.dtype == np.float32


def test_sleep_and_steps_are_told_apart() -> None:
    """A clock that runs through in sleep tells sleep; what UTC gained beyond that was set by somebody."""
    watch = Watch(Moment(0, 5, START_NS))
    assert watch.look(Moment(S, S + 5, START_NS + S + 1000)) == []
    assert watch.look(Moment(2 * S, 62 * S + 5, START_NS + 62 * S)) == [Slept(60.0)]
    assert watch.look(Moment(3 * S, 63 * S + 5, START_NS + 60 * S)) == [Stepped(-3.0)]
    assert watch.look(Moment(4 * S, 164 * S + 5, START_NS + 3761 * S)) == [Slept(100.0), Stepped(3600.0)]
    assert watch.look(Moment(24 * S, 184 * S + 5, START_NS + 3781 * S)) == [HeldUp(20.0)]


def test_clocks_are_read_together() -> None:
    """Reading the real clocks twice finds that nothing happened between."""
    first, second = read_clocks(), read_clocks()
    assert first.mono_ns <= second.mono_ns
    assert Watch(first).look(second) == []


@pytest.mark.parametrize(
    ("start", "until", "hours", "end"),
    [
        ("2026-11-22T22:30:00Z", time(7), None, "2026-11-23T06:00:00Z"),
        ("2026-11-23T02:00:00Z", time(7), None, "2026-11-23T06:00:00Z"),
        ("2026-11-23T06:00:00Z", time(7), None, "2026-11-24T06:00:00Z"),
        ("2026-10-24T21:00:00Z", time(7), None, "2026-10-25T06:00:00Z"),  # the night that is 25 h a day
        ("2026-03-28T22:00:00Z", time(7), None, "2026-03-29T05:00:00Z"),
        ("2026-10-25T00:20:00Z", time(2, 10), None, "2026-10-25T01:10:00Z"),  # 02:10 comes a second time
        ("2026-11-22T22:30:00Z", None, 8.5, "2026-11-23T07:00:00Z"),
        ("2026-11-22T22:30:00Z", time(7), 1.0, "2026-11-22T23:30:00Z"),
    ],
)
def test_planned_ends(start: str, until: time | None, hours: float | None, end: str) -> None:
    """A night ends at the first such time on the wall clock behind its start, over changes of the clock."""
    at_ns = int(np.datetime64(start[:-1], "ns").astype(np.int64))
    planned = PlannedEnd(until, hours).utc_ns(at_ns, "Europe/Berlin")
    assert planned == int(np.datetime64(end[:-1], "ns").astype(np.int64))
    assert PlannedEnd().utc_ns(at_ns, "Europe/Berlin") is None


def test_the_time_zone_is_found(tmp_path: Path) -> None:
    """TZ, the link /etc/localtime and the file /etc/timezone are asked in turn; rules are no zone."""
    (tmp_path / "etc").mkdir()
    assert local_zone({}, tmp_path) is None
    (tmp_path / "etc/timezone").write_text("Asia/Tokyo\n")
    assert local_zone({"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}, tmp_path) == "Asia/Tokyo"
    (tmp_path / "etc/localtime").symlink_to("../usr/share/zoneinfo/Europe/Berlin")
    assert local_zone({}, tmp_path) == "Europe/Berlin"
    assert local_zone({"TZ": ":America/New_York"}, tmp_path) == "America/New_York"


def test_sensors_are_named_in_three_ways() -> None:
    """A sensor is named by address, macOS's identifier, or name; sites must be known and given once."""
    mac, uuid = "aa:bb:cc:00:11:FF", "12345678-ABCD-ef01-2345-6789abcdef01"
    wanted = wanted_sensors([("left_calf", mac), ("left_calf.2", uuid), ("right_calf", "WT901")])
    assert [(one.address, one.name) for one in wanted] == [(mac, None), (uuid, None), (None, "WT901")]
    with pytest.raises(BadValueError, match="given twice"):
        wanted_sensors([("left_calf", mac), ("left_calf", "WT901")])
    with pytest.raises(BadValueError, match="no body site"):
        wanted_sensors([("left_claf", mac)])


# A session.


def test_what_arrives_is_in_the_night(tmp_path: Path) -> None:
    """Samples of two sensors come back bit for bit and in order, also those of the last part of a second."""
    stage = Stage(tmp_path, "left_calf", "right_calf")

    async def script(stage: Stage) -> None:
        for link in stage.links.values():
            link.connect()
        await stage.stream(3.3)
        stage.links["right_calf"].send(7, lost=20)
        stage.stop.ask("ended by hand")

    assert stage.play(script) == "ended by hand"
    assert all(link.closed for link in stage.links.values())
    night = open_night(stage.path)
    np.testing.assert_array_equal(samples(night), numbers(0, 330))
    expected = np.concatenate([numbers(0, 330), numbers(350, 7)])
    np.testing.assert_array_equal(samples(night, "right_calf"), expected)
    assert kinds(night) == ["connected", "connected", "ended"]
    assert is_finished(night)
    assert night.meta.sensor("left_calf").serial == "A1"
    assert night.meta.time_zone == "Europe/Berlin"
    assert night.path.name == "2026-11-22T23-30-00.night"


def test_facts_of_the_sensor_replace_expected_ones(tmp_path: Path) -> None:
    """night.toml says what the model promises, and from the first connection on what the sensor says."""
    stage = Stage(tmp_path, "left_calf", "right_calf")
    assert open_night(stage.path).meta.sensor("left_calf").fs_hz == 100.0

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect(Facts(52.0, 0.001, "int16", 8.0, "B2", "2.0"))
        await stage.stream(1.5, "left_calf")
        stage.stop.ask("ended by hand")

    stage.play(script)
    info = open_night(stage.path).meta.sensor("left_calf")
    assert (info.fs_hz, info.g_per_count, info.range_g, info.serial) == (52.0, 0.001, 8.0, "B2")
    assert open_night(stage.path).meta.sensor("right_calf").g_per_count == 0.0005
    (stage.path / "night.toml").unlink()
    assert open_night(stage.path).meta.sensor("left_calf") == info  # the log's header knows


@pytest.mark.parametrize(
    "facts", [Facts(100.0, 0.001, "int16"), Facts(50.0, 0.0005, "int16"), Facts(100.0, 0.0005, "float32")]
)
def test_numbers_that_mean_something_else_are_refused(tmp_path: Path, facts: Facts) -> None:
    """A sensor of another scale, rate or kind of number than its site's samples is refused in a sentence."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        link = stage.links["left_calf"]
        link.connect()
        await stage.stream(1.5)
        link.event("lost", reason="link lost")
        with pytest.raises(
            SensorError, match=r"left_calf are 100 Hz, int16, 0\.5 mg a count: they cannot be mixed"
        ):
            link.connect(facts)
        link.connect(Facts(101.0, 0.0005, "int16"))  # what it says of its rate may differ a little
        stage.stop.ask("ended by hand")

    stage.play(script)
    assert open_night(stage.path).meta.sensor("left_calf").fs_hz == 100.0


def test_events_stand_where_they_happened(tmp_path: Path) -> None:
    """A lost connection stands behind the samples before it, the next stretch begins with the next ones."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        link = stage.links["left_calf"]
        link.connect()
        await stage.stream(2.5)
        stage.clocks.go(0.5)
        link.event("lost", reason="link lost")
        stage.clocks.go(20)
        link.connect()
        await stage.stream(2.5)
        link.event("restarted", reason="the sensor counts anew")
        link.counter = 0
        await stage.stream(2.5)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    stretches = night.stretches("left_calf")
    assert [(one.n, one.cause) for one in stretches] == [
        (250, "session"),
        (250, "connected"),
        (250, "restarted"),
    ]
    (gap,) = gaps(night, "left_calf")
    assert gap.cause == "connection lost: link lost"
    assert (gap.end_ns - gap.start_ns) / S == pytest.approx(20.5, abs=0.2)
    np.testing.assert_array_equal(samples(night), np.concatenate([numbers(0, 250)] * 3))
    assert "left_calf: connection lost (link lost), being looked for." in stage.told.said


def test_sleep_of_the_computer(tmp_path: Path) -> None:
    """A suspend is logged before the first samples behind it, and explains the gap, to the right length."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(5.5)
        stage.clocks.go(0.1, asleep_s=300)
        stage.links["left_calf"].send(10, lost=30_000)  # before the session has looked at the clocks
        await stage.stream(5)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    assert kinds(night) == ["connected", "suspended", "ended"]
    (gap,) = gaps(night, "left_calf")
    assert gap.cause == "computer asleep"
    assert (gap.end_ns - gap.start_ns) / S == pytest.approx(300, abs=0.2)
    assert night.duration_s == pytest.approx(310.6, abs=0.2)


def test_the_computer_learns_the_time_later(tmp_path: Path) -> None:
    """A night begun in 1970 gets its time once the clock is set, and its planned end with it."""
    stage = Stage(tmp_path, plan=PlannedEnd(until=time(0, 15)), clocks=Clocks(utc_ns=1000 * S))

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        assert stage.told.views[-1].end_ns is None
        stage.clocks.go(0, step_s=START_NS / S - 1000)
        await stage.stream(700)
        assert stage.told.views[-1].end_ns == START_NS + 2700 * S
        await stage.wait(2700)

    assert stage.play(script) == "planned end"
    night = open_night(stage.path)
    assert kinds(night) == ["connected", "clock_stepped", "ended"]
    assert night.start_ns == pytest.approx(START_NS, abs=S)
    assert len(night.stretches("left_calf")) == 1


def test_the_end_by_two_hours_of_silence(tmp_path: Path) -> None:
    """A night without a planned end goes on through an absence of under two hours, then ends by itself."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        await stage.wait(7100)
        await stage.stream(3)
        stage.clocks.go(1, asleep_s=9000)  # asleep is not silent
        await stage.wait(7220)

    assert stage.play(script) == "no data for two hours"
    (*_, last) = gaps(open_night(stage.path), "left_calf")
    assert (last.end_ns - last.start_ns) / S == pytest.approx(16_211, abs=2)


def test_ten_minutes_in(tmp_path: Path) -> None:
    """Ten minutes in there is one good word, or one sound and which sensor does not stream; then silence."""
    told = []
    for trouble in (None, "Nothing was heard of it."):
        stage = Stage(tmp_path / str(trouble is None), "left_calf", "right_calf")

        async def script(stage: Stage, trouble: str | None = trouble) -> None:
            stage.links["left_calf"].connect()
            if trouble is None:
                stage.links["right_calf"].connect()
            stage.links["right_calf"].trouble = trouble
            await stage.stream(1, "left_calf")
            await stage.wait(597)
            stage.told.said.clear()
            await stage.wait(3)
            await stage.wait(3000)
            stage.stop.ask("ended by hand")

        stage.play(script)
        told.append((stage.told.said, stage.told.rings))
    assert told == [
        (["All 2 sensors stream. Sleep well."], 0),
        (["Not all sensors stream. right_calf: Nothing was heard of it."], 1),
    ]


def test_a_fault_of_ours_in_one_link_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that fails unexpectedly is logged, told, and begun anew; the other sensor streams on."""
    monkeypatch.setattr("firmware_host.capture.session.AGAIN_S", 0.01)
    stage = Stage(tmp_path, "left_calf", "right_calf")

    async def script(stage: Stage) -> None:
        for link in stage.links.values():
            link.connect()
        await stage.stream(1)
        failed = stage.links["left_calf"]
        failed.fail(TypeError("our fault"))
        await stage.stream(1, "right_calf")
        while stage.links["left_calf"] is failed:
            await stage.ticks()
        stage.links["left_calf"].connect()
        await stage.stream(1)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    np.testing.assert_array_equal(samples(night, "right_calf"), numbers(0, 300))
    assert gaps(night, "left_calf")[0].cause == "connection lost: fault of twitchmap: TypeError('our fault')"
    assert any("Something unexpected happened here (TypeError)" in said for said in stage.told.said)


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told of once, nothing is missing when there is room again, and that is told too."""
    stage = Stage(tmp_path)
    disk = Disk()

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(2)
        monkeypatch.setattr(recording_log, "os", disk)
        await stage.stream(60)
        assert open_night(stage.path).stretches("left_calf")[0].n < 300
        disk.full = False
        await stage.stream(3)
        stage.stop.ask("ended by hand")

    stage.play(script)
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 6500))
    assert sum("is full: free some space" in said for said in stage.told.said) == 1
    assert stage.told.said[-1] == "All is written again; nothing that it was owed is missing."


def test_what_a_full_disk_cost_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk refused for longer than memory lasts, it is said how much of which site is missing."""
    stage, disk = Stage(tmp_path), Disk()
    monkeypatch.setattr(recording_log, "BACKLOG_BYTES", 2000)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(2)
        monkeypatch.setattr(recording_log, "os", disk)
        await stage.stream(60)
        disk.full = False
        await stage.stream(3)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    lost = sum(event.details["samples"] for event in night.events() if event.kind == "lost_data")
    assert lost > 1000
    assert stage.told.said[-1] == (
        f"All is written again; {lost / 100:.0f} s of left calf could not be kept."
    )


@pytest.mark.parametrize("what", ["folder", "log"])
def test_a_night_that_is_removed_is_made_again(tmp_path: Path, what: str) -> None:
    """Whoever removes the folder or the log of a running night costs none of its samples, and it is said."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        if what == "folder":
            shutil.rmtree(stage.path)
        else:
            amend_night(stage.path, participant="P7")
            (stage.path / "samples.log").unlink()
        await stage.stream(1)
        stage.chosen.writer._log._place_due = 0.0  # two seconds of a clock that nobody turns here
        await stage.stream(4)
        with pytest.raises(NightBusyError):
            unfinished_night(tmp_path, ["left_calf"], "recorded", START_NS + 3600 * S)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    np.testing.assert_array_equal(samples(night), numbers(0, 800))
    assert night.meta.sensor("left_calf").serial == "A1"
    assert night.meta.participant == ("P7" if what == "log" else "P1")
    assert kinds(night) == ["connected", "restored", "ended"]
    assert any("was made again with all its samples" in said for said in stage.told.said)


def test_a_log_that_another_file_replaced_is_kept_beside_it(tmp_path: Path) -> None:
    """Where a file was put in the log's place, as sync programs do, what was recorded is kept beside it."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        shutil.copy(stage.path / "samples.log", tmp_path / "copy")
        (tmp_path / "copy").replace(stage.path / "samples.log")
        stage.chosen.writer._log._place_due = 0.0
        await stage.stream(5)
        assert any("Another file stands in place of" in said for said in stage.told.said)
        stage.stop.ask("ended by hand")

    with pytest.raises(StorageError, match=r"what was recorded is in .*samples\.log\.1"):
        stage.play(script)
    (stage.path / "samples.log.1").replace(stage.path / "samples.log")
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 800))


def test_a_disk_that_tells_nothing_of_its_files_ends_no_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where even to look at the log fails, as on a share that is away, recording goes on."""
    stage, away = Stage(tmp_path), OSError(errno.ESTALE, "stale file handle")

    def fstat(_: int) -> os.stat_result:
        raise away

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(2)
        with monkeypatch.context() as patch:
            patch.setattr(recording_log.os, "fstat", fstat)
            stage.chosen.writer._log._place_due = 0.0
            await stage.stream(2)
        await stage.stream(1)
        stage.stop.ask("ended by hand")

    stage.play(script)
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 500))


def test_a_night_that_is_moved_away_is_told_of(tmp_path: Path) -> None:
    """Samples go on into a folder that is moved while it is written; where it belongs is said at once."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        stage.path.rename(tmp_path / "elsewhere")
        stage.chosen.writer._log._place_due = 0.0
        await stage.stream(3)
        assert any("put it back at its place" in said for said in stage.told.said)
        (tmp_path / "elsewhere").rename(stage.path)
        stage.chosen.writer._log._place_due = 0.0
        await stage.stream(3)
        stage.stop.ask("ended by hand")

    stage.play(script)
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 900))


def test_night_toml_on_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a sensor says of itself is written to night.toml as soon as the disk lets it; samples go on."""
    stage = Stage(tmp_path)

    def refuses(folder: Path, meta: Any) -> None:
        raise StorageError("night.toml could not be written (read-only).")

    async def script(stage: Stage) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("firmware_host.recording.writer.write_meta", refuses)
            stage.links["left_calf"].connect(Facts(100.0, 0.002, "int16"))
            await stage.stream(2)
            assert open_night(stage.path).meta.sensor("left_calf").g_per_count == 0.0005
        await stage.stream(2)
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    assert night.meta.sensor("left_calf").g_per_count == 0.002
    np.testing.assert_array_equal(samples(night), numbers(0, 400))
    assert stage.told.said.count("night.toml could not be written (read-only).") == 1


def test_recording_starts_light() -> None:
    """What records is loaded without scipy and scikit-learn, and without anything virtual."""
    script = (
        "import sys, firmware_host.capture.recorder, firmware_host.cli.record, firmware_host.cli.mark\n"
        "heavy = {'scipy', 'sklearn', 'bleak', 'bumble', 'firmware_host.simulation'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Disk:
    """Stands in for `os` in the log: a disk without room."""

    full = True

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Refuse, or write."""
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(descriptor, data)


def test_marks_from_another_process(tmp_path: Path) -> None:
    """A mark is in the log at the time that it was made, once, and no longer waits after the disk has it."""
    stage = Stage(tmp_path)

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(2)
        at_ns = stage.clocks.now
        monkey = [at_ns.mono_ns, at_ns.utc_ns]
        await asyncio.to_thread(left, tmp_path, "felt one", *monkey)
        stage.clocks.go(0.8)
        await asyncio.to_thread(left, tmp_path, "", *monkey)
        await stage.ticks()
        await stage.stream(2)
        assert waiting_marks(stage.path) == []
        stage.stop.ask("ended by hand")

    stage.play(script)
    night = open_night(stage.path)
    marks = [event for event in night.events() if event.kind == "mark"]
    assert [mark.details["text"] for mark in marks] == ["felt one", ""]
    assert [mark.utc_ns - night.start_ns for mark in marks] == [2 * S, 2 * S]
    assert summarise(night).marks == 2
    with pytest.raises(NotFoundError, match="No night is being recorded"):
        leave_mark(tmp_path, "too late")


def test_a_file_that_names_another_is_no_mark(tmp_path: Path) -> None:
    """A mark is known and removed by its own name; one that says to be called otherwise is left alone."""
    folder = tmp_path / "a.night" / "marks"
    folder.mkdir(parents=True)
    (tmp_path / "victim.mark").write_text("mine")
    for name, said in (("a", "../../victim"), ("b", "a\\u0000b"), ("c", "c")):
        (folder / f"{name}.mark").write_text(f'{{"id": "{said}", "mono_ns": 1, "utc_ns": 1}}')
    assert [mark.id for mark in waiting_marks(folder.parent)] == ["c"]


def test_a_site_may_be_corrected_while_the_sensors_are_started(tmp_path: Path) -> None:
    """Nobody's night ends, and the status keeps the name by which the link was begun."""
    stage = Stage(tmp_path, "left_calf", "right_calf")
    status = StatusFile(stage.chosen.writer, stage.told, stage.stop)
    stage.session._told = status

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.ticks()
        amend_night(stage.path, sites={"left_calf": "left_thigh"})
        stage.links["right_calf"].connect(Facts(100.0, 0.002, "int16"))
        await stage.stream(2)
        assert {one.site for one in stage.told.views[-1].sensors} == {"left_calf", "right_calf"}
        stage.stop.ask("ended by hand")

    with status:
        assert stage.play(script) == "ended by hand"
    assert open_night(stage.path).sites == ("left_thigh", "right_calf")


def test_a_fault_of_ours_in_what_is_shown_costs_no_night(tmp_path: Path) -> None:
    """The recording goes on where a look at it fails."""
    stage = Stage(tmp_path)

    def fails(view: View) -> None:
        stage.told.views.append(view)
        raise ZeroDivisionError

    stage.told.show = fails  # type: ignore[method-assign]

    async def script(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        stage.stop.ask("ended by hand")

    stage.play(script)
    np.testing.assert_array_equal(samples(open_night(stage.path)), numbers(0, 300))


def left(directory: Path, words: str, mono_ns: int, utc_ns: int) -> None:
    """Leave a mark as at a time of the hand-set clocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "firmware_host.recording.marks.time",
            SimpleNamespace(monotonic_ns=lambda: mono_ns, time_ns=lambda: utc_ns),
        )
        leave_mark(directory, words)


def test_an_unfinished_night_goes_on(tmp_path: Path) -> None:
    """A night whose recorder was killed is continued, each mark once; a finished one is not."""
    stage = Stage(tmp_path)
    sites = ["left_calf"]

    async def killed(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3)
        await asyncio.to_thread(left, tmp_path, "before", MONO_NS + S, START_NS + S)
        await stage.ticks()
        mark = waiting_marks(stage.path)
        assert mark == []
        raise KilledError

    with pytest.raises(KilledError):
        stage.play(killed)
    night = unfinished_night(tmp_path, sites, "recorded", START_NS + 3600 * S)
    assert night is not None
    assert unfinished_night(tmp_path, ["left_calf", "right_calf"], "recorded", START_NS + 3600 * S) is None
    assert unfinished_night(tmp_path, sites, "virtual", START_NS + 3600 * S) is None
    assert unfinished_night(tmp_path, sites, "recorded", START_NS + 3600 * S, "somebody else") is None
    assert unfinished_night(tmp_path, sites, "recorded", START_NS + 12 * 3600 * S + S) is None
    assert unfinished_night(tmp_path, sites, "recorded", 1000 * S) is not None  # the time is not known yet
    (again := Clocks(START_NS + 3600 * S)).now = Moment(5 * S, 5 * S, START_NS + 3600 * S)
    chosen = go_on(night, lambda: (again.now.mono_ns, again.now.utc_ns))
    with pytest.raises(NightBusyError, match="is recording"):
        unfinished_night(tmp_path, sites, "recorded", START_NS + 3600 * S)
    stage = Stage(tmp_path, chosen=chosen, clocks=again, plan=PlannedEnd(until=time(7)))

    async def goes_on(stage: Stage) -> None:
        with pytest.raises(SensorError, match="cannot be mixed"):
            stage.links["left_calf"].connect(Facts(100.0, 0.001, "int16"))
        stage.links["left_calf"].connect()
        await stage.stream(3)
        assert stage.told.views[-1].end_ns == START_NS + 7.5 * 3600 * S
        stage.stop.ask("terminated")

    stage.play(goes_on)
    night = open_night(stage.path)
    np.testing.assert_array_equal(samples(night), np.concatenate([numbers(0, 300)] * 2))
    assert [gap.cause for gap in gaps(night, "left_calf")] == ["recorder was not running"]
    assert [event.kind for event in night.events() if event.kind == "mark"] == ["mark"]
    assert unfinished_night(tmp_path, sites, "recorded", START_NS + 7200 * S) is None
    assert "started 2 times" in text(summarise(night))


def test_each_site_goes_on_with_its_own_sensor(tmp_path: Path) -> None:
    """A night goes on with the addresses it began with; another sensor or model at a site is refused."""
    stage = Stage(tmp_path, "left_calf", "right_calf")

    async def killed(stage: Stage) -> None:
        stage.links["left_calf"].connect()
        await stage.stream(3, "left_calf")
        raise KilledError

    with pytest.raises(KilledError):
        stage.play(killed)
    night = open_night(stage.path)
    (connected,) = (event.details for event in night.events() if event.kind == "connected")
    model, address = connected["model"], connected["address"]
    other = "thingy52" if model != "thingy52" else "witmotion"

    def again(left: str, right: str) -> list[str | None]:
        wanted = wanted_sensors([("left_calf", left), ("right_calf", right)])
        return [one.address for one in same_sensors(night, wanted)]

    assert again(model, model) == [address, None], "the other had no samples yet"
    assert again(address, model) == [address, None]
    for left in (other, "AA:BB:CC:00:11:22", "WT901"):
        with pytest.raises(BadValueError, match=f"left_calf was {model} {address}.*--new"):
            again(left, model)


class KilledError(Exception):
    """Stands for the end of the program."""
