"""What the disk confirms: by itself, by the best call there is, and what was not confirmed is not lost."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from failing_disk import Disk
from made_nights import append, counters, meta

from firmware_host.errors import StorageError
from firmware_host.recording import create_night, log, open_night, writer

SITE = "left_calf"


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
