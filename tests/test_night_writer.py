"""Writing a night through what a computer does at night: kills, full disks, failing calls, two writers."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from made_nights import MONO_NS, START_NS, append, counters, meta, numbers, small_night

from firmware_host.errors import (
    BadFileError,
    BadValueError,
    NightBusyError,
    NotEmptyError,
    NotFoundError,
    StorageError,
)
from firmware_host.recording import Night, continue_night, create_night, gaps, log, open_night, writer
from firmware_host.recording.log import AppendLog

TESTS = Path(__file__).parent
SITE = "left_calf"


class Disk:
    """The part of `os` that the log uses, which fails when told; stands in for it."""

    def __init__(self) -> None:
        self.refuse: dict[str, int] = {}
        """Name of a call to the error number that it fails with."""
        self.room: int | None = None
        """Bytes that writes still find room for; None: enough."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write as much as there is room for."""
        self._check("write")
        if self.room is not None:
            if self.room == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            data = data[: self.room]
            self.room -= len(data)
        return os.write(descriptor, data)

    def open(self, *arguments: Any) -> int:
        """Open a file."""
        self._check("open")
        return os.open(*arguments)

    def fdatasync(self, descriptor: int) -> None:
        """Confirm."""
        self._check("fdatasync")
        os.fdatasync(descriptor)

    def _check(self, name: str) -> None:
        if name in self.refuse:
            raise OSError(self.refuse[name], os.strerror(self.refuse[name]))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Put a disk that fails when told under the log."""
    made = Disk()
    monkeypatch.setattr(log, "os", made)
    return made


def first_of_all(night: Night) -> list[int]:
    """Return the numbers of the blocks that came back."""
    return sorted(counter // 100 for counter in counters(night, SITE) if counter % 100 == 0)


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from made_nights import append, meta
from firmware_host.recording import continue_night, create_night
folder, first = Path(sys.argv[1]), int(sys.argv[2])
with (continue_night(folder) if folder.exists() else create_night(folder, meta(2))) as writer:
    print("ready", flush=True)
    while True:
        for sensor in (0, 1):
            append(writer, sensor, first)
            print(sensor, first, flush=True)
        first += 100
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_sigkill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """A writer killed again and again at random moments: all that it said was written comes back."""
    rng, folder, first = random.Random(11), tmp_path / "killed.night", 0
    acknowledged: dict[int, set[int]] = {0: set(), 1: set()}
    for _ in range(14):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(tests=str(TESTS)), str(folder), str(first)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            timer = threading.Timer(rng.uniform(0.0, 0.06), child.kill)
            timer.start()
            lines = [line.split() for line in child.stdout if line.endswith("\n")]
            timer.join()
        for sensor, counter in lines:
            acknowledged[int(sensor)] |= set(range(int(counter), int(counter) + 100))
            first = max(first, int(counter))
        night = open_night(folder)
        for sensor, site in enumerate(night.sites):
            found = counters(night, site)
            assert acknowledged[sensor] <= found
            assert len(found - acknowledged[sensor]) <= 100  # the block that it had no time to tell of
            acknowledged[sensor] = found
        first += 200
        assert not night.being_written
    assert sum(map(len, acknowledged.values())) > 10_000


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


def test_targets_that_hold_something(tmp_path: Path) -> None:
    """A night is only made in an empty or new folder, and what is there is not touched."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for target in ("full", "file"):
        with pytest.raises(NotEmptyError, match=target):
            create_night(tmp_path / target, meta(1))
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["note.txt"]
    (tmp_path / "empty").mkdir()
    create_night(tmp_path / "empty", meta(1)).close()


def test_continue_needs_a_night(tmp_path: Path) -> None:
    """There must be a night to continue."""
    with pytest.raises(NotFoundError, match="no night at"):
        continue_night(tmp_path / "nothing")
    with pytest.raises(BadFileError, match="is no night"):
        continue_night(tmp_path)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    """A second writer is refused with a sentence; readers come and go; after the end the next may write."""
    folder = tmp_path / "a.night"
    with create_night(folder, meta(1)) as night_writer:
        append(night_writer, 0, 0)
        script = (
            "import sys, pathlib, firmware_host.recording as r\nr.continue_night(pathlib.Path(sys.argv[1]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=False
        )
        assert "NightBusyError: Another twitchmap is writing a.night" in done.stderr
        with pytest.raises(NightBusyError):
            continue_night(folder)
        assert open_night(folder).being_written
        append(night_writer, 0, 100)
    assert not open_night(folder).being_written
    with continue_night(folder) as night_writer:
        append(night_writer, 0, 200)
    assert counters(open_night(folder), SITE) == set(range(300))


def test_read_while_written(tmp_path: Path) -> None:
    """A reader that opens the night again and again while a thread writes sees it grow, whole each time."""
    folder = tmp_path / "a.night"
    seen: list[int] = []
    with create_night(folder, meta(1)) as night_writer:

        def write() -> None:
            for block in range(1500):
                append(night_writer, 0, 100 * block, n=100)

        thread = threading.Thread(target=write)
        thread.start()
        while thread.is_alive():
            night = open_night(folder)
            assert night.damage == ()
            held = counters(night, SITE)
            assert held == set(range(len(held)))
            seen.append(len(held))
        thread.join()
    assert seen == sorted(seen)
    assert counters(open_night(folder), SITE) == set(range(150_000))


def test_a_reader_may_hold_the_file_open(tmp_path: Path) -> None:
    """The log is the same file from first to last, at the same place, and only ever grows."""
    folder = tmp_path / "a.night"
    create_night(folder, meta(1)).close()
    with (folder / "samples.log").open("rb") as held:
        inode, size = os.fstat(held.fileno()).st_ino, 0
        for session in range(3):
            with continue_night(folder) as night_writer:
                append(night_writer, 0, 100 * session)
            now = (folder / "samples.log").stat()
            assert now.st_ino == inode
            assert now.st_size > size
            size = now.st_size
        assert len(held.read()) == size


@pytest.mark.parametrize("system", ["fsync", "full_fsync"])
def test_systems_without_fdatasync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """Where the system has no fdatasync the best that it has is used."""
    calls: list[str] = []

    class Other:
        def __getattr__(self, name: str) -> Any:
            if name == "fdatasync":
                raise AttributeError(name)
            return getattr(os, name)

        def fsync(self, descriptor: int) -> None:
            calls.append("fsync")

    if system == "full_fsync":
        import fcntl

        monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
        monkeypatch.setattr(fcntl, "fcntl", lambda descriptor, what: calls.append("full_fsync"))
    monkeypatch.setattr(log, "os", Other())
    with create_night(tmp_path / "a.night", meta(1)) as night_writer:
        append(night_writer, 0, 0)
        assert night_writer.sync()
    assert set(calls) == {system}


def test_syncs_by_itself(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of the writer's own confirms what was written; appending never waits for it."""
    monkeypatch.setattr(writer, "SYNC_EVERY_S", 0.01)
    synced, let_go = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        synced.set()
        assert threading.current_thread() is not threading.main_thread() or let_go.is_set()
        let_go.wait(20)

    monkeypatch.setattr(disk, "fdatasync", slow)
    with create_night(tmp_path / "a.night", meta(1)) as night_writer:
        assert synced.wait(20)
        for block in range(20):  # while the disk is still busy with confirming
            append(night_writer, 0, 100 * block)
        assert counters(open_night(tmp_path / "a.night"), SITE) == set(range(2000))
        let_go.set()


def test_headers_are_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says what night it is of at its start and again and again, so that any part of it can tell."""
    monkeypatch.setattr(writer, "HEADER_EVERY_S", 0.0)
    folder = tmp_path / "a.night"
    small_night(folder, blocks=6, n_sensors=1)
    data = (folder / "samples.log").read_bytes()
    (folder / "night.toml").unlink()
    (folder / "samples.log").write_bytes(data[len(data) // 2 :])

    assert open_night(folder).meta == meta(1)


def test_files_are_private(tmp_path: Path) -> None:
    """Nobody but the user can read a night."""
    folder = small_night(tmp_path / "a.night", 2)
    for path in [folder, *folder.iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sensor": 5}, "no sensor 5"),
        ({"counts": np.zeros((0, 3), np.int16)}, r"\(n, 3\)"),
        ({"counts": np.zeros((5, 2), np.int16)}, r"\(n, 3\)"),
        ({"counts": np.zeros((65_537, 3), np.int16)}, "65536"),
        ({"counts": np.zeros((5, 3), np.float32)}, "int16, not float32"),
        ({"counts": np.zeros((5, 3), np.int16), "stamps_ns": np.zeros(4, np.int64)}, "stamps"),
    ],
)
def test_wrong_samples_are_refused(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    """Samples that are not what the metadata say raise before anything is written."""
    arguments: dict[str, Any] = {"sensor": 0, "counts": numbers(0, 0, 5), "first": 0}
    with (
        create_night(tmp_path / "a.night", meta(1)) as night_writer,
        pytest.raises(ValueError, match=sentence),
    ):
        night_writer.append_samples(**(arguments | change), arrival_mono_ns=0, arrival_utc_ns=0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"time_zone": "Mars/Olympus"}, "is no time zone"),
        ({"sensors": (*meta(1).sensors, *meta(1).sensors)}, "Two sensors have the index 0"),
        ({"sensors": (__import__("msgspec").structs.replace(meta(1).sensors[0], fs_hz=0.0),)}, "above zero"),
        ({"sensors": (__import__("msgspec").structs.replace(meta(1).sensors[0], index=-1),)}, "0 to 65534"),
    ],
)
def test_wrong_metadata_are_refused(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    """Metadata that cannot be give a sentence, and no folder."""
    with pytest.raises(BadValueError, match=sentence):
        create_night(tmp_path / "a.night", meta(1, **change))
    assert not (tmp_path / "a.night").exists()


def test_a_night_can_be_moved(tmp_path: Path) -> None:
    """A night is its folder: copied elsewhere it is the same night."""
    folder = small_night(tmp_path / "a.night", 5)
    moved = Path(shutil.move(folder, tmp_path / "b.night"))

    assert counters(open_night(moved), SITE) == set(range(500))


@pytest.mark.soak
def test_a_whole_night_of_eight_sensors(tmp_path: Path) -> None:
    """8 h x 8 sensors x 200 Hz: written, and read back whole."""
    rng = np.random.default_rng(0)
    pool = [np.rint(rng.normal((900, -2800, 7600), 4, (200, 3))).astype(np.int16) for _ in range(97)]
    folder = tmp_path / "a.night"
    with create_night(folder, meta(8)) as night_writer:
        for second in range(8 * 3600):
            at = second * 1_000_000_000
            for sensor in range(8):
                counts = pool[(second + 13 * sensor) % 97]
                times = {"arrival_mono_ns": MONO_NS + at, "arrival_utc_ns": START_NS + at}
                night_writer.append_samples(sensor, counts, 200 * second, **times)
    night = open_night(folder)
    assert night.damage == ()
    assert (folder / "samples.log").stat().st_size < 8 * 13e6
    for sensor, site in enumerate(night.sites):
        (stretch,) = night.stretches(site)
        for first, counts in stretch.count_chunks(20_000):
            expected = np.concatenate(
                [pool[(first // 200 + i + 13 * sensor) % 97] for i in range(len(counts) // 200)]
            )
            np.testing.assert_array_equal(counts, expected)


def test_who_asks_while_the_disk_confirms_waits_for_its_answer(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that all is confirmed while another thread's confirming goes on, and fails."""
    monkeypatch.setattr(writer, "SYNC_EVERY_S", 3600.0)
    begun, let_go = threading.Event(), threading.Event()
    calls: list[int] = []

    def slow(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            begun.set()
            assert let_go.wait(20)
            raise OSError(errno.EIO, "Input/output error")

    with create_night(tmp_path / "a.night", meta(1)) as night_writer:
        append(night_writer, 0, 0)
        monkeypatch.setattr(disk, "fdatasync", slow)
        told: list[bool] = []
        first = threading.Thread(target=lambda: told.append(night_writer.sync()))
        first.start()
        assert begun.wait(20)
        second = threading.Thread(target=lambda: told.append(night_writer.sync()))
        second.start()
        second.join(0.05)
        assert told == []
        let_go.set()
        first.join(20)
        second.join(20)
        assert told == [False, True]
    assert len(calls) >= 2


def test_no_descriptor_is_left_to_confirm_with(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has no file descriptor left that is said, and confirmed as soon as there is one."""
    monkeypatch.setattr(writer, "SYNC_EVERY_S", 3600.0)

    def dup(descriptor: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with create_night(tmp_path / "a.night", meta(1)) as night_writer:
        append(night_writer, 0, 0)
        monkeypatch.setattr(disk, "dup", dup, raising=False)
        assert not night_writer.sync()
        assert not night_writer.sync()
        assert "Too many open files" in (night_writer.trouble or "")
        monkeypatch.delattr(disk, "dup")
        assert night_writer.sync()
        assert night_writer.trouble is None


def test_what_was_not_confirmed_is_written_once_more(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that lost what it failed to confirm, and confirms all the same the next time, costs nothing."""
    folder = tmp_path / "a.night"
    with create_night(folder, meta(1)) as night_writer:
        append(night_writer, 0, 0)
        assert night_writer.sync()
        confirmed = (folder / "samples.log").stat().st_size

        def forget(descriptor: int) -> None:
            with (folder / "samples.log").open("r+b") as file:
                file.seek(confirmed)
                file.write(bytes(os.fstat(descriptor).st_size - confirmed))
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(disk, "fdatasync", forget)
        for first in (100, 200):
            append(night_writer, 0, first)
            assert not night_writer.sync()
        monkeypatch.undo()
        append(night_writer, 0, 300)
        assert night_writer.sync()
        assert night_writer.trouble is None
    night = open_night(folder)
    assert night.damage == ()
    assert counters(night, SITE) == set(range(400))


def test_an_end_that_the_disk_does_not_confirm_is_said(tmp_path: Path, disk: Disk) -> None:
    """All is in the file, but whoever ends the night hears that a power cut could cost it."""
    night_writer = create_night(tmp_path / "a.night", meta(1))
    append(night_writer, 0, 0)
    disk.refuse = {"fdatasync": errno.EIO}
    with pytest.raises(StorageError, match="does not confirm what was written"):
        night_writer.close()
    disk.refuse = {}
    assert counters(open_night(tmp_path / "a.night"), SITE) == set(range(100))


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
