"""What a night gives back: stretches, gaps and their causes, times, ranges, events, names and corrections."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_nights import FS_HZ, MONO_NS, START_NS, append, counters, meta, numbers, small_night

from firmware_host.errors import BadFileError, BadValueError, NotFoundError, StorageError
from firmware_host.recording import (
    Night,
    NightWriter,
    SensorInfo,
    amend_night,
    continue_night,
    create_night,
    evening_of,
    find_night,
    gaps,
    list_nights,
    local_time,
    night_folder_name,
    open_night,
)

SITE = "left_calf"
S = 1_000_000_000


def clock() -> tuple[int, int]:
    """Return the time at which made-up nights start."""
    return MONO_NS, START_NS


def made(folder: Path, n_sensors: int = 1) -> NightWriter:
    """Make a night whose clock is that of its made-up arrivals."""
    return create_night(folder, meta(n_sensors), clock)


def event(writer: Any, kind: str, sensor: int | None, after_s: float, **details: Any) -> None:
    """Log an event so many seconds after the start."""
    after = round(after_s * S)
    writer.append_event(kind, sensor, START_NS + after, MONO_NS + after, **details)


def firsts(night: Night, site: str = SITE) -> list[tuple[int, int, str]]:
    """Return each stretch's first counter, length and cause."""
    return [(stretch.run.first, stretch.n, stretch.cause) for stretch in night.stretches(site)]


def test_a_gap_stays_a_gap(tmp_path: Path) -> None:
    """A jump of the counter is a gap: no sample is invented in it, and times go on behind it."""
    with made(tmp_path / "a.night") as writer:
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
    with made(folder, 2) as writer:
        event(writer, "connected", 0, 0)
        for sensor in (0, 1):
            append(writer, sensor, 0)
        event(writer, "lost", 0, 1.5, reason="out of reach")
        event(writer, "connected", 0, 3.5)
        for sensor in (0, 1):
            append(writer, sensor, 400)
        event(writer, "restarted", 1, 5)
        append(writer, 1, 600)
        event(writer, "suspended", None, 7)
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
    with made(tmp_path / "a.night") as writer:
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
    with made(folder) as writer:
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
    with made(tmp_path / "a.night") as writer:
        for first in (0, 200, 100, 300, 400):
            append(writer, 0, first)

    assert counters(open_night(tmp_path / "a.night"), SITE) == set(range(500))


def test_a_counter_that_leaves_the_clock_starts_a_stretch(tmp_path: Path) -> None:
    """A jump far ahead in no time, or an hour without counting, is another grid; a stall of 20 s is not."""
    folder = tmp_path / "a.night"
    with made(folder) as writer:
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
    with made(folder, 8) as writer:
        for block in range(60):
            for sensor in rng.permutation(8).tolist():
                if rng.random() < 0.9:
                    append(writer, sensor, 100 * block)
            if block == 30:
                event(writer, "connected", 3, 30.2)
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


def test_irregular_stamps_are_rebuilt(tmp_path: Path) -> None:
    """Per-sample stamps that arrive in bursts, or jitter, give an even time axis."""
    rng = np.random.default_rng(22)
    n = 60_000
    taken = START_NS + np.arange(n) * 10_310_000
    bursts = np.maximum.accumulate(
        taken[np.minimum(np.arange(n) // 4 * 4 + 3, n - 1)] + rng.integers(0, 3_000_000, n)
    )
    jitter = taken + np.rint(rng.normal(0, 3e6, n)).astype(np.int64)
    both = (("arrival", bursts), ("stamps", jitter))
    sensors = tuple(
        msgspec.structs.replace(meta(2).sensors[i], clock=clock, fs_hz=100.0)
        for i, (clock, _) in enumerate(both)
    )
    with create_night(tmp_path / "a.night", meta(sensors=sensors, origin="imported")) as writer:
        for first in range(0, n, 4096):
            for sensor, (_, stamps) in enumerate(both):
                part = stamps[first : first + 4096]
                at = {"arrival_mono_ns": int(part[-1]), "arrival_utc_ns": int(part[-1]), "stamps_ns": part}
                append(writer, sensor, first, len(part), **at)
    night = open_night(tmp_path / "a.night")
    for site in night.sites:
        (stretch,) = night.stretches(site)
        error_ms = (stretch.time_ns(np.arange(n)) - taken) / 1e6
        assert np.std(error_ms) < 1.0
        assert abs(np.mean(error_ms)) < 2.0
        assert stretch.fs_hz == pytest.approx(1e9 / 10_310_000, rel=1e-5)


def test_the_sensors_own_clock(tmp_path: Path) -> None:
    """Where a sensor sends its time too, the counter goes by it, and it by the arrivals."""
    rng = np.random.default_rng(23)
    sensor = msgspec.structs.replace(meta().sensors[0], clock="stamps")
    last = np.arange(99, 360_000, 100)
    taken = last / 97.0 + 0.4 * np.sin(last / 97.0 / 900)  # seconds; the oscillator wanders by 440 ppm
    device = taken * (1 - 180e-6) + 17
    arrival = np.maximum.accumulate(taken + rng.exponential(0.08, len(taken)))
    with create_night(tmp_path / "a.night", meta(sensors=(sensor,))) as writer:
        for i, counter in enumerate(last.tolist()):
            after = round(arrival[i] * S)
            append(writer, 0, counter - 99, arrival_mono_ns=MONO_NS + after, arrival_utc_ns=START_NS + after,
                   device_ns=round(device[i] * 1000) * 1_000_000)  # fmt: skip
    (stretch,) = open_night(tmp_path / "a.night").stretches(SITE)
    error_ms = (stretch.time_ns(last) - START_NS) / 1e6 - 1e3 * taken

    assert np.std(error_ms) < 2.0
    assert abs(np.mean(error_ms)) < 5.0


@pytest.mark.parametrize("step_s", [-3600.0, 7200.0, 50 * 365 * 86_400.0])
def test_a_computer_that_learns_the_time_later(tmp_path: Path, step_s: float) -> None:
    """A clock that is set in mid-night moves the whole session, all sensors alike, and the start with it."""
    step = round(step_s * S)
    with made(tmp_path / "a.night", 2) as writer:
        for block in range(1500):
            for sensor in (0, 1):
                after = (block + 1) * S
                append(writer, sensor, 100 * block, arrival_mono_ns=MONO_NS + after,
                       arrival_utc_ns=START_NS + after + (step if block > 850 else 0))  # fmt: skip
        event(writer, "mark", None, 10)
    night = open_night(tmp_path / "a.night")

    assert night.start_ns == START_NS + step
    assert night.end_ns - night.start_ns == pytest.approx(1500 * S, abs=0.2 * S)
    assert night.events()[-1].utc_ns == START_NS + step + 10 * S
    starts = [night.stretches(site)[0].start_ns for site in night.sites]
    assert starts[0] == starts[1]


def test_suspend(tmp_path: Path) -> None:
    """While the computer sleeps its monotonic clock stands still: what follows is a stretch at its UTC."""
    with made(tmp_path / "a.night") as writer:
        for block in range(30):
            append(writer, 0, 100 * block)
        event(writer, "suspended", None, 30.5)
        for block in range(30, 60):
            after = (block + 1) * S
            append(
                writer,
                0,
                100 * block,
                arrival_mono_ns=MONO_NS + after,
                arrival_utc_ns=START_NS + after + 3600 * S,
            )
    night = open_night(tmp_path / "a.night")
    first, second = night.stretches(SITE)

    assert second.start_ns - first.end_ns == pytest.approx(3600 * S, abs=S)
    assert night.end_ns - night.start_ns == pytest.approx(3660 * S, abs=S)
    assert [gap.cause for gap in gaps(night, SITE)] == ["computer asleep"]


def test_a_short_stretch_takes_the_rate_of_the_longest(tmp_path: Path) -> None:
    """A few seconds after a reconnect have the rate that the hours before it showed."""
    rng = np.random.default_rng(24)
    with made(tmp_path / "a.night") as writer:
        for block in range(905):
            if block == 900:
                event(writer, "connected", 0, 950.0)
            after = round(((block + 1) / 0.95 + rng.exponential(0.1)) * S)
            append(writer, 0, 100 * block, arrival_mono_ns=MONO_NS + after, arrival_utc_ns=START_NS + after)
    long, short = open_night(tmp_path / "a.night").stretches(SITE)

    assert long.fs_hz == pytest.approx(95.0, rel=1e-4)
    assert short.fs_hz == pytest.approx(long.fs_hz)


def test_causes_of_gaps(tmp_path: Path) -> None:
    """Each gap says why: the radio, damage of the file, the recorder, nothing at first or at last."""
    folder = tmp_path / "a.night"
    with made(folder, 2) as writer:
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


@pytest.mark.parametrize(
    ("utc", "zone", "name", "evening"),
    [
        (1_795_386_665, "Europe/Berlin", "2026-11-22T23-31-05_left-leg", date(2026, 11, 22)),
        (1_795_386_665, "UTC", "2026-11-22T22-31-05_left-leg", date(2026, 11, 22)),
        (1_795_386_665, "Asia/Tokyo", "2026-11-23T07-31-05_left-leg", date(2026, 11, 22)),
        (1_792_889_999, "Europe/Berlin", "2026-10-25T02-59-59_left-leg", date(2026, 10, 24)),
        (1_792_890_000, "Europe/Berlin", "2026-10-25T02-00-00_left-leg", date(2026, 10, 24)),
        (1_774_753_200, "America/New_York", "2026-03-28T23-00-00_left-leg", date(2026, 3, 28)),
        (0, "UTC", "1970-01-01T00-00-00_left-leg", date(1969, 12, 31)),
    ],
)
def test_names_and_dates(utc: int, zone: str, name: str, evening: date) -> None:
    """A night is named by its local start and goes by the date of its evening, over clock changes too."""
    assert night_folder_name(utc * S, zone, "left leg") == f"{name}.night"
    assert evening_of(utc * S, zone) == evening
    assert local_time(utc * S, zone).timestamp() == utc


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_names_are_portable(label: str) -> None:
    """Whatever the label, the name is one that every file system takes."""
    name = night_folder_name(START_NS, "UTC", label)

    assert not set(name) & set('<>:"/\\|?*\0. ') - {"."}
    assert name.endswith(".night")
    assert name.count(".") == 1
    assert len(name.encode()) <= 255
    assert name == name.strip()


def named_nights(directory: Path) -> list[Path]:
    """Make three nights of two evenings; the last two go by one date."""
    made = []
    for hours, label in ((0, "one"), (24, "two"), (30, "three")):
        start_ns = START_NS + hours * 3600 * S
        path = directory / night_folder_name(start_ns, "Europe/Berlin", label)
        create_night(path, meta(start_ns=start_ns, label=label)).close()
        made.append(path)
    return made


def test_finding_a_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A night is found by path, name, `last` or date; what is not clear gets a sentence that helps."""
    with monkeypatch.context() as there:
        there.chdir(tmp_path)
        with pytest.raises(NotFoundError) as nowhere:
            find_night("last", Path("none"))
    assert f"no night in {tmp_path / 'none'} yet" in str(nowhere.value)
    one, two, three = named_nights(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "empty.night").mkdir()

    assert list_nights(tmp_path) == [one, two, three]
    assert find_night("last", tmp_path) == three
    assert find_night("2026-11-22", tmp_path) == one
    assert find_night(str(two), tmp_path) == two
    assert find_night(two.name, tmp_path) == two
    with pytest.raises(BadValueError, match=rf"2 nights go by 2026-11-23.*{two.name}, {three.name}"):
        find_night("2026-11-23", tmp_path)
    with pytest.raises(NotFoundError, match="no night of 2026-11-24"):
        find_night("2026-11-24", tmp_path)
    with pytest.raises(NotFoundError, match="give a path, `last`, or a date"):
        find_night("yesterday", tmp_path)
    with pytest.raises(BadFileError, match="is no night"):
        find_night(str(tmp_path / "other"), tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe in the place of a night's file is told, not read until somebody writes to it."""
    night = small_night(tmp_path / "one.night")
    (night / "night.toml").unlink()
    os.mkfifo(night / "night.toml")
    assert "night.toml is no file" in str(open_night(night).damage)
    assert list_nights(tmp_path) == [night]
    (night / "samples.log").unlink()
    os.mkfifo(night / "samples.log")
    with pytest.raises(BadFileError, match=r"samples\.log is no file"):
        open_night(night)
    assert list_nights(tmp_path) == [night]


def test_a_damaged_night_is_still_listed_by_its_date(tmp_path: Path) -> None:
    """Without its night.toml a night is found by what its log says."""
    one, two, three = named_nights(tmp_path)
    (one / "night.toml").unlink()
    (two / "night.toml").write_text("colour =")
    (three / "night.toml").write_text("")
    (three / "samples.log").write_bytes(b"")

    assert find_night("2026-11-22", tmp_path) == one
    assert find_night("2026-11-23", tmp_path) == two
    assert set(list_nights(tmp_path)) == {one, two, three}


def test_amending(tmp_path: Path) -> None:
    """Corrections are kept with what was there before; the samples are not touched, sites may be swapped."""
    folder = small_night(tmp_path / "a.night", 3)
    before = (folder / "samples.log").read_bytes()
    amend_night(folder, participant="P2", sites={"left_calf": "right_calf", "right_calf": "left_calf"})
    changed = amend_night(folder, placements={"left_calf": "two fingers below the knee"}, note="hot night")
    night = open_night(folder)

    assert night.meta == changed
    assert night.sites == ("right_calf", "left_calf")
    assert changed.participant == "P2"
    assert changed.note == "hot night"
    assert changed.sensor("left_calf").placement == "two fingers below the knee"
    assert [(one.field, one.old, one.new) for one in changed.history] == [
        ("site of sensor 0", "left_calf", "right_calf"),
        ("site of sensor 1", "right_calf", "left_calf"),
        ("participant", "P1", "P2"),
        ("placement of left_calf", "", "two fingers below the knee"),
        ("note", "", "hot night"),
    ]
    assert (folder / "samples.log").read_bytes() == before
    assert amend_night(folder, note="hot night") == changed


def test_amending_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong site, two sensors at one site, or a disk that refuses: a sentence, and nothing has changed."""
    folder = small_night(tmp_path / "a.night", 3)
    before = (folder / "night.toml").read_bytes()
    with pytest.raises(BadValueError, match="no sensor at 'knee'; its sites are left_calf, right_calf"):
        amend_night(folder, sites={"knee": "left_thigh"})
    with pytest.raises(BadValueError, match="no sensor at 'knee'"):
        amend_night(folder, placements={"knee": "x"})
    with pytest.raises(BadValueError, match="Two sensors have the site right_calf"):
        amend_night(folder, sites={"left_calf": "right_calf"})

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match=r"night\.toml could not be written \(No space left on device\)"):
        amend_night(folder, note="x")
    assert (folder / "night.toml").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["night.toml", "samples.log", "writer.lock"]


def test_events_keep_their_details(tmp_path: Path) -> None:
    """What was logged comes back in order, with its details, its sensor and its time."""
    with create_night(tmp_path / "a.night", meta(2)) as writer:
        append(writer, 0, 0)
        event(writer, "battery", 1, 5, percent=80)
        event(writer, "mark", None, 6, text="gespürt ✓", sure=None)
    battery, mark = open_night(tmp_path / "a.night").events()

    assert (battery.kind, battery.sensor, battery.details) == ("battery", 1, {"percent": 80})
    assert (mark.kind, mark.sensor, mark.details) == ("mark", None, {"text": "gespürt ✓", "sure": None})
    assert mark.utc_ns == START_NS + 6 * S


def test_a_start_behind_the_first_samples(tmp_path: Path) -> None:
    """A start that was put too late by hand moves to the first sample: nothing lies before the night."""
    with create_night(
        tmp_path / "a.night", meta(start_ns=START_NS + 3_600 * 10**9, origin="imported")
    ) as writer:
        append(writer, 0, 0, 1000)
    night = open_night(tmp_path / "a.night")
    assert night.start_ns == night.stretches("left_calf")[0].start_ns
    assert night.duration_s == pytest.approx(10, abs=0.05)


@pytest.mark.parametrize(
    "change",
    [{"start_ns": -1}, {"start_ns": 10**19}, {"sensors": ()}, {"time_zone": "Mars/Olympus"}],
)
def test_metadata_that_cannot_be(tmp_path: Path, change: dict[str, object]) -> None:
    """A night is not made with a start, a zone or sensors that cannot be, nor with a place that is none."""
    with pytest.raises(BadValueError):
        create_night(tmp_path / "a.night", meta(**change))
    sensor = SensorInfo(index=0, site="third_arm", fs_hz=50.0, g_per_count=1.0, sample_type="float32")
    with pytest.raises(BadValueError, match="third_arm"):
        create_night(tmp_path / "a.night", meta(sensors=(sensor,)))
    assert not (tmp_path / "a.night").exists()


def test_a_night_that_began_before_the_clock_was_set(tmp_path: Path) -> None:
    """A computer that learns the time late makes nights that are found and listed by the time they had."""
    day_ns = 86_400 * 10**9
    night = tmp_path / "b.night"
    with create_night(night, meta(start_ns=0), clock=lambda: (MONO_NS, 0)) as writer:
        for second in range(40):
            append(writer, 0, 100 * second)
    for name, start_ns in (("a.night", START_NS - day_ns), ("c.night", START_NS + day_ns)):
        with create_night(tmp_path / name, meta(start_ns=start_ns, origin="imported")):
            pass
    assert [path.name for path in list_nights(tmp_path)] == ["a.night", "b.night", "c.night"]
    assert find_night("2026-11-22", tmp_path) == night
