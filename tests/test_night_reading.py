"""What a night gives back: stretches, gaps and their causes, ranges, events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_nights import (
    FS_HZ,
    MONO_NS,
    START_NS,
    append,
    begin_night,
    clock,
    counters,
    log_event,
    meta,
    numbers,
    small_night,
)

from firmware_host.errors import BadValueError
from firmware_host.recording import Night, SensorInfo, continue_night, create_night, gaps, open_night

SITE = "left_calf"
S = 1_000_000_000


def firsts(night: Night, site: str = SITE) -> list[tuple[int, int, str]]:
    """Return each stretch's first counter, length and cause."""
    return [(stretch.run.first, stretch.n, stretch.cause) for stretch in night.stretches(site)]


def test_a_gap_stays_a_gap(tmp_path: Path) -> None:
    """A jump of the counter is a gap: no sample is invented in it, and times go on behind it."""
    with begin_night(tmp_path / "a.night") as writer:
        for first in (0, 100, 250, 350, 1000):
            append(writer, 0, first)
    (stretch,) = open_night(tmp_path / "a.night").stretches(SITE)

    assert stretch.n == 1100
    assert stretch.pieces.tolist() == [[0, 200], [250, 450], [1000, 1100]]
    assert [(first, len(acc_g)) for first, acc_g in stretch.chunks(150)] == [
        (0, 150), (150, 50), (250, 150), (400, 50), (1000, 100),
    ]  # fmt: skip
    assert np.allclose(np.diff(stretch.time_ns(np.arange(stretch.n))), S / FS_HZ, rtol=0.02)
    assert stretch.end_ns - stretch.start_ns == pytest.approx(11 * S, rel=0.01)


def test_chunks_are_g(tmp_path: Path) -> None:
    """Chunks are float32 in g, however they are cut."""
    small_night(tmp_path / "a.night", 20, 1)
    (stretch,) = open_night(tmp_path / "a.night").stretches(SITE)
    whole = numbers(0, 0, 2000) * np.float32(0.122e-3)

    for size in (1, 7, 100, 333, 2000, 60_000):
        parts = list(stretch.chunks(size))
        assert all(part.dtype == np.float32 and len(part) <= size for _, part in parts)
        assert [first for first, _ in parts] == list(range(0, 2000, size))
        np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), whole)


def test_stretches_begin_where_the_connection_does(tmp_path: Path) -> None:
    """`connected` and `restarted` start a stretch of their sensor, `suspended` of all, a session of all."""
    folder = tmp_path / "a.night"
    with begin_night(folder, 2) as writer:
        log_event(writer, "connected", 0, 0)
        for sensor in (0, 1):
            append(writer, sensor, 0)
        log_event(writer, "lost", 0, 1.5, reason="out of reach")
        log_event(writer, "connected", 0, 3.5)
        for sensor in (0, 1):
            append(writer, sensor, 400)
        log_event(writer, "restarted", 1, 5)
        append(writer, 1, 600)
        log_event(writer, "suspended", None, 7)
        for sensor in (0, 1):
            append(writer, sensor, 800)
    with continue_night(folder, clock) as writer:
        append(writer, 0, 900)
    night = open_night(folder)

    assert firsts(night) == [
        (0, 100, "session"), (400, 100, "connected"), (800, 100, "suspended"), (900, 100, "session"),
    ]  # fmt: skip
    assert firsts(night, "right_calf") == [
        (0, 500, "session"),
        (600, 100, "restarted"),
        (800, 100, "suspended"),
    ]
    causes = [gap.cause for gap in gaps(night, SITE)]
    assert causes == ["connection lost: out of reach", "computer asleep"]


def test_a_counter_that_runs_backwards_starts_a_stretch(tmp_path: Path) -> None:
    """A sensor that resets its counter without a word gets a new stretch, again and again."""
    with begin_night(tmp_path / "a.night") as writer:
        now = 0
        for run in (5, 1, 3, 2):
            for block in range(run):
                counts = numbers(0, now, 100)
                at = {"arrival_mono_ns": MONO_NS + now * 10**7, "arrival_utc_ns": START_NS + now * 10**7}
                writer.append_samples(0, counts, 100 * block, **at)
                now += 100
    night = open_night(tmp_path / "a.night")

    assert firsts(night) == [
        (0, 500, "session"),
        (0, 100, "counter"),
        (0, 300, "counter"),
        (0, 200, "counter"),
    ]
    together = np.concatenate([counts for one in night.stretches(SITE) for _, counts in one.count_chunks()])
    np.testing.assert_array_equal(together, numbers(0, 0, 1100))


@settings(max_examples=40, deadline=None)
@given(
    repeats=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 250)), min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
)
def test_blocks_that_come_twice_count_once(
    repeats: list[tuple[int, int]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However blocks are repeated, whole or cut differently, each sample is there once, in one stretch."""
    folder = tmp_path_factory.mktemp("twice") / "a.night"
    rng = np.random.default_rng(seed)
    with begin_night(folder) as writer:
        sent = 0
        for _ in range(8):
            append(writer, 0, sent)
            sent += 100
            for back, n in repeats:
                if rng.random() < 0.4:
                    first = max(0, sent - back * 10 - n)
                    append(
                        writer, 0, first, min(n, sent - first), arrival_mono_ns=MONO_NS + (sent + 5) * 10**7
                    )
    night = open_night(folder)

    assert counters(night, SITE) == set(range(800))
    assert len(night.stretches(SITE)) == 1


def test_a_block_that_comes_late_into_a_gap_is_not_lost(tmp_path: Path) -> None:
    """Blocks out of order are no copies of others: all their samples come back."""
    with begin_night(tmp_path / "a.night") as writer:
        for first in (0, 200, 100, 300, 400):
            append(writer, 0, first)

    assert counters(open_night(tmp_path / "a.night"), SITE) == set(range(500))


def test_a_counter_that_leaves_the_clock_starts_a_stretch(tmp_path: Path) -> None:
    """A jump far ahead in no time, or an hour without counting, is another grid; a stall of 20 s is not."""
    folder = tmp_path / "a.night"
    with begin_night(folder) as writer:
        for block in range(60):
            append(writer, 0, 100 * block)
        for block in range(60, 120):  # counts on from another number
            append(writer, 0, 100 * block + 5_000_000, arrival_mono_ns=MONO_NS + (block + 1) * S)
        for block in range(120, 180):  # slept an hour
            append(writer, 0, 100 * block + 5_000_000, arrival_mono_ns=MONO_NS + (block + 3601) * S)
        for block in range(180, 260):  # 20 s arrive late, at once
            late = 20 if block == 200 else max(0, 220 - block) if block > 200 else 0
            append(writer, 0, 100 * block + 5_000_000, arrival_mono_ns=MONO_NS + (block + 3601 + late) * S)
    night = open_night(folder)

    assert firsts(night) == [
        (0, 6000, "session"), (5_006_000, 6000, "counter"), (5_012_000, 14_000, "counter"),
    ]  # fmt: skip


def test_reading_a_range_is_a_slice_of_the_whole(tmp_path: Path) -> None:
    """Any range of time gives the samples that lie in it, of eight sensors written in turn, with gaps."""
    rng = np.random.default_rng(21)
    folder = tmp_path / "a.night"
    with begin_night(folder, 8) as writer:
        for block in range(60):
            for sensor in rng.permutation(8).tolist():
                if rng.random() < 0.9:
                    append(writer, sensor, 100 * block)
            if block == 30:
                log_event(writer, "connected", 3, 30.2)
    night = open_night(folder)
    for site in night.sites:
        whole = night.read(site)
        times = np.concatenate([part.time_ns for part in whole])
        counts = np.concatenate([part.counts for part in whole])
        assert np.all(np.diff(times) > 0)
        assert len(times) == len(counters(night, site))
        for _ in range(12):
            start, end = sorted(rng.integers(times[0] - S, times[-1] + S, 2).tolist())
            if rng.random() < 0.3:
                start = int(rng.choice(times))
            parts = night.read(site, start, end)
            inside = (times >= start) & (times < end)
            assert sum(len(part.time_ns) for part in parts) == inside.sum()
            if parts:
                np.testing.assert_array_equal(np.concatenate([part.time_ns for part in parts]), times[inside])
                np.testing.assert_array_equal(np.concatenate([part.counts for part in parts]), counts[inside])
                assert parts[0].acc_g.dtype == np.float32


def test_floats_and_no_samples(tmp_path: Path) -> None:
    """A sensor of floats comes back bit by bit; a sensor that sent nothing has no stretch."""
    sensors = (
        SensorInfo(index=4, site="left_chest", fs_hz=50.0, g_per_count=1.0, sample_type="float32"),
        SensorInfo(index=9, site="left_foot", fs_hz=50.0, g_per_count=1.0, sample_type="float32"),
    )
    sent = np.array([[0.1, -0.0, np.nan], [np.inf, 1e-30, -1.0]], np.float32)
    with create_night(tmp_path / "a.night", meta(sensors=sensors)) as writer:
        writer.append_samples(4, sent, 7, arrival_mono_ns=MONO_NS, arrival_utc_ns=START_NS)
    night = open_night(tmp_path / "a.night")

    assert night.read("left_chest")[0].acc_g.tobytes() == sent.tobytes()
    assert night.stretches("left_foot") == ()
    with pytest.raises(BadValueError, match="its sites are left_chest, left_foot"):
        night.stretches("knee")


def test_causes_of_gaps(tmp_path: Path) -> None:
    """Each gap says why: the radio, damage of the file, the recorder, nothing at first or at last."""
    folder = tmp_path / "a.night"
    with begin_night(folder, 2) as writer:
        append(writer, 1, 0)
        for block in range(10, 60):
            append(writer, 1, 100 * block)
            if block not in {20, 21}:
                append(writer, 0, 100 * block)
    with continue_night(folder, clock) as writer:
        for block in range(100, 110):
            append(writer, 0, 100 * block)
            append(writer, 1, 100 * block, arrival_mono_ns=MONO_NS + (block + 1) * S)
        for block in range(110, 130):
            append(writer, 1, 100 * block)
    rows = open_night(folder).scan.index
    hurt = bytearray((folder / "samples.log").read_bytes())
    row = next(row for row in rows if row["sensor"] == 0 and row["first"] == 4000)
    hurt[int(row["offset"]) + 60] ^= 1
    (folder / "samples.log").write_bytes(hurt)
    night = open_night(folder)
    found = gaps(night, SITE)

    assert [gap.cause for gap in found] == [
        "not connected yet", "samples lost on the way", "file damaged", "recorder was not running",
        "no more samples came",
    ]  # fmt: skip
    assert [round((gap.end_ns - gap.start_ns) / S) for gap in found] == [10, 2, 1, 40, 20]


def test_events_keep_their_details(tmp_path: Path) -> None:
    """What was logged comes back in order, with its details, its sensor and its time."""
    with create_night(tmp_path / "a.night", meta(2)) as writer:
        append(writer, 0, 0)
        log_event(writer, "battery", 1, 5, percent=80)
        log_event(writer, "mark", None, 6, text="gespürt ✓", sure=None)
    battery, mark = open_night(tmp_path / "a.night").events()

    assert (battery.kind, battery.sensor, battery.details) == ("battery", 1, {"percent": 80})
    assert (mark.kind, mark.sensor, mark.details) == ("mark", None, {"text": "gespürt ✓", "sure": None})
    assert mark.utc_ns == START_NS + 6 * S
