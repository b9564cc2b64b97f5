"""Writing a night to a disk that is full, fails, or cuts short: nothing is lost in silence."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from failing_disk import Disk
from made_nights import MONO_NS, START_NS, append, counters, meta

from firmware_host.errors import StorageError
from firmware_host.recording import Night, continue_night, create_night, gaps, log, open_night, writer
from firmware_host.recording.log import AppendLog

TESTS = Path(__file__).parent
SITE = "left_calf"


def first_of_all(night: Night) -> list[int]:
    """Return the numbers of the blocks that came back."""
    return sorted(counter // 100 for counter in counters(night, SITE) if counter % 100 == 0)


LIMITED = """
import os, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from made_nights import append, meta
from firmware_host.recording import continue_night, create_night
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, first = Path(sys.argv[1]), 0
create_night(folder, meta(1)).close()
for extra in map(int, sys.argv[2:]):
    with continue_night(folder) as writer:
        size = os.path.getsize(folder / "samples.log")
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + extra, resource.RLIM_INFINITY))
        for _ in range(8):
            append(writer, 0, first)
            first += 100
        assert os.path.getsize(folder / "samples.log") == size + extra  # a short write filled it to the byte
        assert writer.trouble and "full" in writer.trouble, writer.trouble
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writer.poll()
        assert writer.trouble is None
        append(writer, 0, first)
        first += 100
print(first)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size on this system")
def test_really_short_writes(tmp_path: Path) -> None:
    """The system cuts writes short at random bytes: the sentence is there at once, nothing is lost."""
    extras = [str(random.Random(12).randrange(1, 900)) for _ in range(25)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED.format(tests=str(TESTS)), str(tmp_path / "full.night"), *extras],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    night = open_night(tmp_path / "full.night")

    assert night.damage == ()
    assert counters(night, SITE) == set(range(int(done.stdout)))
    assert int(done.stdout) == 25 * 900


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_disk_without_a_byte_left() -> None:
    """The first block that finds no room raises nothing: it is kept, and a sentence says so."""
    full: AppendLog[int] = AppendLog(Path("/dev/full"), lambda tag: None)
    assert full.append(b"block", 1) is False
    assert full.trouble is not None
    assert full.trouble.startswith("The disk of /dev is full: free some space; ")
    with pytest.raises(StorageError, match=r"1 blocks .* are lost"):
        full.close()


def test_disk_full_at_random_bytes(tmp_path: Path, disk: Disk) -> None:
    """Space that ends and returns at random: recording goes on, and every block is there in the end, once."""
    rng = random.Random(13)
    with create_night(tmp_path / "a.night", meta(1)) as night_writer:
        for block in range(400):
            if rng.random() < 0.1:
                disk.room = rng.choice([None, 0, rng.randrange(2000)])
            append(night_writer, 0, 100 * block)
            assert (night_writer.trouble is None) == (disk.room is None or disk.room > 0)
        disk.room = None
    night = open_night(tmp_path / "a.night")

    assert night.damage == ()
    assert first_of_all(night) == list(range(400))


def test_a_full_disk_keeps_its_file(tmp_path: Path, disk: Disk) -> None:
    """On a disk that is only full the file stays open: it needs no other to go on when space returns."""
    with create_night(tmp_path / "a.night", meta(1)) as night_writer:
        disk.room, disk.refuse = 0, {"open": errno.EMFILE}
        append(night_writer, 0, 0)
        disk.room = None
        append(night_writer, 0, 100)
        assert night_writer.trouble is None
        disk.refuse = {}
    assert counters(open_night(tmp_path / "a.night"), SITE) == set(range(200))


@pytest.mark.parametrize("call", ["write", "open", "fdatasync"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENODEV, errno.EROFS, errno.EBADF])
def test_failing_calls(tmp_path: Path, disk: Disk, call: str, number: int) -> None:
    """A call that fails at random moments, then works again: said in a sentence, and nothing is lost."""
    rng = random.Random(f"{call}{number}")
    with create_night(tmp_path / "a.night", meta(1)) as night_writer:
        block = 0
        for _ in range(30):
            disk.refuse = {call: number} if call != "open" else {call: number, "write": errno.EIO}
            for _ in range(
                rng.randrange(2, 5)
            ):  # the first failing write lets go of the file, the next opens it
                append(night_writer, 0, 100 * block)
                block += 1
            assert not night_writer.sync()
            assert night_writer.trouble is not None
            assert os.strerror(number) in night_writer.trouble
            disk.refuse = {}
            if rng.random() < 0.5:
                append(night_writer, 0, 100 * block)
                block += 1
            else:
                night_writer.poll()
            assert night_writer.sync()
            assert night_writer.trouble is None
    night = open_night(tmp_path / "a.night")

    assert night.damage == ()
    assert first_of_all(night) == list(range(block))


def test_a_torn_block_on_a_disk_that_lost_it(tmp_path: Path, disk: Disk) -> None:
    """A disk goes away in the middle of a block and comes back shorter: the block is written anew."""
    folder = tmp_path / "a.night"
    with create_night(folder, meta(1)) as night_writer:
        append(night_writer, 0, 0)
        disk.room = 50
        append(night_writer, 0, 100)
        size = (folder / "samples.log").stat().st_size
        disk.room, disk.refuse = None, {"write": errno.EIO}
        append(night_writer, 0, 200)
        os.truncate(folder / "samples.log", size - 20)
        disk.refuse = {}
        append(night_writer, 0, 300)
    night = open_night(folder)

    assert counters(night, SITE) == set(range(400))
    assert [one.length for one in night.damage] == [30]


def test_backlog_is_bounded(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that stays full the oldest blocks are given up above the bound, and the loss is logged."""
    monkeypatch.setattr(log, "BACKLOG_BYTES", 20_000)
    with create_night(tmp_path / "a.night", meta(2)) as night_writer:
        append(night_writer, 0, 0)
        disk.room = 100  # the block after the first is half in the file: it must stay whole
        for block in range(1, 200):
            append(night_writer, 0, 100 * block)
            append(night_writer, 1, 100 * block)
            if block % 10 == 0:
                night_writer.append_event("mark", None, START_NS, MONO_NS, text=str(block))
            assert night_writer._log._backlog_bytes <= 20_000
        disk.room = None
        night_writer.poll()
        assert night_writer.trouble is None
    night = open_night(tmp_path / "a.night")
    lost = {event.sensor: event.details for event in night.events() if event.kind == "lost_data"}
    kept = first_of_all(night)

    assert night.damage == ()
    assert kept[:2] == [0, 1]
    assert kept[2:] == list(range(kept[2], 200))
    assert kept[2] > 2
    assert lost[0]["blocks"] == 200 - len(kept)
    assert lost[0]["samples"] == 100 * lost[0]["blocks"]
    assert lost[0]["start_utc_ns"] < lost[0]["end_utc_ns"]
    assert set(lost) == {0, 1}
    assert {gap.cause for gap in gaps(night, SITE)} >= {"disk refused"}
    assert len([event for event in night.events() if event.kind == "mark"]) == 19


def test_the_real_bound_is_64_mb() -> None:
    """The documented bound is the one in use."""
    assert log.BACKLOG_BYTES == 64 * 2**20


def test_what_cannot_be_written_in_the_end_is_said(tmp_path: Path, disk: Disk) -> None:
    """Closing on a full disk says how much is lost; what was written is safe, and the lock is let go."""
    folder = tmp_path / "a.night"
    night_writer = create_night(folder, meta(1))
    append(night_writer, 0, 0)
    disk.room = 0
    append(night_writer, 0, 100)
    append(night_writer, 0, 200)
    with pytest.raises(StorageError, match=r"2 blocks .* are lost"):
        night_writer.close()
    night_writer.close()
    disk.room = None
    continue_night(folder).close()

    assert counters(open_night(folder), SITE) == set(range(100))


def test_an_error_on_its_way_is_not_hidden(tmp_path: Path, disk: Disk) -> None:
    """The error that ends a recording is the one that is shown, also where closing fails too."""

    def record() -> None:
        with create_night(tmp_path / "a.night", meta(1)) as night_writer:
            disk.room = 0
            append(night_writer, 0, 0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        record()


def test_create_leaves_nothing_behind_when_the_disk_refuses(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that cannot be opened, or a night.toml that cannot be renamed: a sentence, and no half night."""
    disk.refuse = {"open": errno.EACCES}
    with pytest.raises(StorageError, match="cannot be opened"):
        create_night(tmp_path / "a.night", meta(1))
    disk.refuse = {}

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match=r"night\.toml could not be written"):
        create_night(tmp_path / "a.night", meta(1))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A folder under a file gives a sentence."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=r"could not be made .* choose another"):
        create_night(tmp_path / "file" / "a.night", meta(1))


def test_a_log_that_was_removed_outlives_a_failing_disk(tmp_path: Path, disk: Disk) -> None:
    """The open file is all that is left of it: it is not let go of because a write fails."""
    folder = tmp_path / "a.night"
    with create_night(folder, meta(1)) as night_writer:
        append(night_writer, 0, 0)
        (folder / "samples.log").unlink()
        disk.refuse = {"write": errno.EIO}
        append(night_writer, 0, 100)
        disk.refuse = {}
        night_writer._log._place_due = 0.0
        append(night_writer, 0, 200)
        night_writer.poll()
    assert counters(open_night(folder), SITE) == set(range(300))


def test_a_stale_night_toml_says_nothing_of_what_sensors_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a first sensor said holds when a second one comes, though the disk refused to keep it."""
    with create_night(tmp_path / "a.night", meta(2)) as night_writer:
        infos = [msgspec.structs.replace(one, g_per_count=0.002) for one in night_writer.meta.sensors]
        with monkeypatch.context() as patch:
            patch.setattr(writer, "write_meta", refuses)
            night_writer.set_sensor(infos[0])
            append(night_writer, 0, 0)
            night_writer.set_sensor(infos[1])
        append(night_writer, 0, 100)
        night_writer.poll()
    night = open_night(tmp_path / "a.night")
    assert [one.g_per_count for one in night.meta.sensors] == [0.002, 0.002]
    assert counters(night, SITE) == set(range(200))


def refuses(folder: Path, meta: Any) -> None:
    """Write no metadata."""
    raise StorageError("night.toml could not be written (read-only).")
