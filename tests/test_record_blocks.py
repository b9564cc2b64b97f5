"""The parts of a recording that know no files: blocks of samples, clocks, planned ends, who is meant."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import numpy as np
import pytest
from scripted_sensors import START_NS, S, numbers

from firmware_host.capture.asked import wanted_sensors
from firmware_host.capture.blocks import Gathering
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.local_zone import local_zone
from firmware_host.capture.watch import HeldUp, Moment, Slept, Stepped, Watch, read_clocks
from firmware_host.errors import BadValueError
from firmware_host.sensors.protocol import Batch


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
        ("2026-03-28T22:00:00Z", time(2, 30), None, "2026-03-29T01:30:00Z"),  # no clock shows 02:30
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
