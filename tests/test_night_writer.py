"""Writing a night: kills, two writers, readers beside it, and what it takes."""

from __future__ import annotations

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

import numpy as np
import pytest
from made_nights import MONO_NS, START_NS, append, counters, meta, numbers, small_night

from firmware_host.errors import BadFileError, BadValueError, NightBusyError, NotEmptyError, NotFoundError
from firmware_host.recording import continue_night, create_night, open_night, writer

TESTS = Path(__file__).parent
SITE = "left_calf"
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


@pytest.mark.long
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_sigkill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """A writer killed again and again at random moments: all that it said was written comes back."""
    rng, folder, first = random.Random(11), tmp_path / "killed.night", 0
    acknowledged: dict[int, set[int]] = {0: set(), 1: set()}
    for _ in range(8):
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
    assert sum(map(len, acknowledged.values())) > 5_000


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
