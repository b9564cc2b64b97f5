"""Beginning to write: a new night, or another session of one that is there; one process a night."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from filelock import FileLock, Timeout

from firmware_host.errors import BadFileError, NightBusyError, NotEmptyError, NotFoundError, StorageError
from firmware_host.recording.blocks import BlockKind, scan
from firmware_host.recording.live_status import remove_status
from firmware_host.recording.night import (
    META_FILE,
    NightMeta,
    check_meta,
    set_meta_aside,
    sync_folder,
    write_meta,
)
from firmware_host.recording.reader import LOCK_FILE, LOG_FILE, read_headers, recover_meta
from firmware_host.recording.writer import Clock, NightWriter, system_clock


def create_night(folder: Path, meta: NightMeta, clock: Clock = system_clock) -> NightWriter:
    """Make a night in a folder that is empty or not there yet.

    Parameters
    ----------
    folder, meta
        Where, and what is known of it.
    clock
        The clock that arrivals are told by, where it is not the computer's: (monotonic, UTC), ns.

    Raises
    ------
    NotEmptyError
        If there is something already.
    BadValueError
        If the metadata cannot be (`check_meta`).
    NightBusyError, StorageError
        If another process writes there, or the disk refuses; nothing is left behind then.
    """
    check_meta(meta)
    if folder.exists() and not folder.is_dir():
        raise NotEmptyError(f"{folder} is a file; name a folder that is not there yet.")
    made = not folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        said = error.strerror or error
        raise StorageError(f"{folder} could not be made ({said}): choose another folder.") from error
    lock = _lock(folder)
    written: list[Path] = []
    try:
        if any(entry.name != LOCK_FILE for entry in folder.iterdir()):
            raise NotEmptyError(
                f"{folder} already holds something; name a folder that is empty or not there yet."
            )
        written = [folder / META_FILE, folder / LOG_FILE]
        write_meta(folder, meta)
        writer = NightWriter(folder, meta, lock, clock, session=1, sequence=0)
        sync_folder(folder)
        sync_folder(folder.parent)
        return writer
    except BaseException:
        lock.release()
        for path in [*written, folder / LOCK_FILE]:
            path.unlink(missing_ok=True)
        if made:
            with contextlib.suppress(OSError):  # must not hide what went wrong
                folder.rmdir()
        raise


def continue_night(folder: Path, clock: Clock = system_clock) -> NightWriter:
    """Append another session to a night; what is there, a torn last block too, stays as it is.

    Raises
    ------
    NotFoundError, BadFileError
        If there is no night.
    NightBusyError, StorageError
        If another process writes it, or the disk refuses.
    """
    log = folder / LOG_FILE
    if not folder.is_dir():
        raise NotFoundError(f"There is no night at {folder}.")
    if not log.exists():
        raise BadFileError(f"{folder} is no night: it has no {LOG_FILE}.", path=folder)
    lock = _lock(folder)
    remove_status(folder)  # of a recorder that was killed
    try:
        with log.open("rb", buffering=0) as stream:
            found = scan(stream)
            meta, damage = recover_meta(folder, read_headers(stream, found.index))
        if damage:
            set_meta_aside(folder)
            write_meta(folder, meta)
        rows = found.index
        heard = frozenset(rows["sensor"][rows["kind"] == BlockKind.SAMPLES].tolist())
        session = int(rows["session"].max()) + 1 if len(rows) else 1
        sequence = int(rows["sequence"].max()) + 1 if len(rows) else 0
        return NightWriter(folder, meta, lock, clock, session=session, sequence=sequence, heard=heard)
    except BaseException:
        lock.release()
        raise


def take_away(folder: Path) -> bool:
    """Remove a night in which nothing was recorded, unless its folder holds more; return if it is gone."""
    own = (LOG_FILE, META_FILE, LOCK_FILE)
    try:
        if not {entry.name for entry in folder.iterdir()} <= set(own):
            return False
        for name in own:
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        return False
    return True


def _lock(folder: Path) -> FileLock:
    """Take the writer's lock; a reader that looks whether a writer is alive holds it for a moment only."""
    lock = FileLock(os.fspath(folder / LOCK_FILE), mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=1.0)
    except Timeout:
        raise NightBusyError(f"Another twitchmap is writing {folder.name}; end it first.") from None
    except (OSError, NotImplementedError) as error:  # the latter on file systems without locks
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"{folder} does not let itself be locked for writing ({reason}).") from error
    return lock
