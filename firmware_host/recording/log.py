"""`samples.log` on the disk: append-only, one unbuffered write a block, patient with a disk that refuses.

What the disk does not take is kept in memory (64 MB) and offered again; a write that was cut short is gone on
with from the byte where it stopped. The file is never truncated, renamed or changed; where somebody removes
it, it is made again from what its descriptor still holds. What the disk would not confirm is written once
more, the same bytes at the same place: after an error Linux may take for clean what never reached the disk,
and confirm it the next time (Rebello et al., "Can applications recover from fsync failures?", ATC 2020).
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from firmware_host.errors import StorageError

BACKLOG_BYTES = 64 * 1024 * 1024
PLACE_EVERY_S = 2.0
COPY_BYTES = 1 << 20
COPY_AGAIN_S = 60.0
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}

Tag = TypeVar("Tag")


class AppendLog(Generic[Tag]):
    """An append-only file that outlives a full, slow or failing disk.

    Parameters
    ----------
    path
        The file; made private to the user where it is missing.
    on_drop
        Called with the tag of each block that had to be given up because the backlog was full. Blocks without
        a tag are never given up.

    Raises
    ------
    StorageError
        If the file cannot be opened: nothing could be kept.
    """

    def __init__(self, path: Path, on_drop: Callable[[Tag], None]) -> None:
        self.path = path
        self._on_drop = on_drop
        self._backlog: deque[tuple[bytes, Tag | None]] = deque()
        self._backlog_bytes = 0
        self._written = 0  # bytes of the backlog's first block that are in the file
        self._write_error: OSError | None = None
        self._sync_error: OSError | None = None
        self._unsure = bytearray()  # the end of the file, as far as the disk has not confirmed it
        self._displaced: str | None = None
        self._place_due = 0.0
        self._dirty_since: float | None = None
        self._guard = threading.Lock()  # of the descriptor alone: no write ever waits for a sync
        self._confirming = threading.Lock()  # who asks meanwhile waits for the answer
        try:
            self._descriptor: int | None = self._open(path)
            self._size = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise StorageError(f"{path} cannot be opened for writing ({error.strerror or error}).") from error

    @property
    def trouble(self) -> str | None:
        """What the disk refuses, as a sentence; None when everything is written and confirmed."""
        where = self.path.parent
        if self._displaced is not None:
            return self._displaced
        if self._write_error is not None:
            kept = f"{self._backlog_bytes / 1e6:.1f} MB are kept in memory until it does"
            if self._write_error.errno in _FULL:
                return f"The disk of {where} is full: free some space; {kept}."
            return f"The disk of {where} takes no data ({_reason(self._write_error)}); {kept}."
        if self._sync_error is not None:
            return (
                f"The disk of {where} does not confirm what was written ({_reason(self._sync_error)}); "
                "a power cut could cost it."
            )
        return None

    def append(self, frame: bytes, tag: Tag | None = None) -> bool:
        """Write one block, after what waits; return whether everything is in the file."""
        self._backlog.append((frame, tag))
        self._backlog_bytes += len(frame)
        if not self.flush():
            self._bound()
        return not self._backlog

    def flush(self) -> bool:
        """Offer what waits to the disk again; return whether all of it is in the file."""
        while self._backlog:
            frame = self._backlog[0][0]
            try:
                self._write_rest(frame)
            except OSError as error:
                self._write_error = error
                return False
            self._backlog.popleft()
            self._backlog_bytes -= len(frame)
            self._written = 0
        self._write_error = None
        return True

    def check_place(self, *, at_once: bool = False) -> bool:
        """Look every two seconds whether the file still stands at its path; return whether it was made again.

        A file that was removed lives on as long as it is open: it is copied to its path. One that was moved,
        or that another stands in place of, is written on, and `trouble` says so.
        """
        if self._descriptor is None or (not at_once and time.monotonic() < self._place_due):
            return False
        self._place_due = time.monotonic() + PLACE_EVERY_S
        self._displaced = None
        try:
            open_file = os.fstat(self._descriptor)
            if os.path.samestat(open_file, self.path.stat()):
                return False
            self._displaced = f"Another file stands in place of {self.path}: move it away."
            return False
        except FileNotFoundError:
            self._displaced = f"{self.path} was moved while it is written: put it back at its place."
        except OSError:  # the disk is away: writing tells
            return False
        if open_file.st_nlink or not hasattr(os, "pread"):
            return False
        try:
            self._copy_to(self.path)
        except OSError as error:
            self._displaced = f"{self.path} was removed, and cannot be made again ({_reason(error)})."
            self._place_due += COPY_AGAIN_S
            return False
        self._displaced = None
        return True

    def _rescue(self) -> None:
        """Give a file that has no name any more a free one beside where it stood, before it is closed."""
        try:
            if self._descriptor is None or os.fstat(self._descriptor).st_nlink or not hasattr(os, "pread"):
                return
        except OSError:  # the disk is away
            return
        names = (self.path.with_name(f"{self.path.name}.{number}") for number in range(1, 1000))
        free = next(path for path in names if not path.exists())
        try:
            self._copy_to(free)
        except OSError as error:
            raise StorageError(
                f"{self.path} was removed or replaced while it was written, and could not be made again "
                f"({_reason(error)}): what it held is lost."
            ) from error
        raise StorageError(f"Another file stands in place of {self.path}; what was recorded is in {free}.")

    def _copy_to(self, path: Path) -> None:
        """Go on with a copy of the open file."""
        removed = self._descriptor
        assert removed is not None
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = self._open(path, os.O_EXCL)
        try:
            place = 0
            while part := os.pread(removed, COPY_BYTES, place):
                place += os.write(copy, part)
        except OSError:
            os.close(copy)
            path.unlink(missing_ok=True)
            raise
        with self._guard:
            self._descriptor, self._dirty_since = copy, self._dirty_since or time.monotonic()
        os.close(removed)

    def sync(self) -> bool:
        """Have the disk confirm what was written; may be called from any thread, and may take its time."""
        with self._confirming:
            try:
                with self._guard:
                    if self._descriptor is None:
                        return False
                    if self._dirty_since is None:
                        return True
                    descriptor = os.dup(self._descriptor)
                    self._dirty_since = None
                    unsure, place = bytes(self._unsure), self._size - len(self._unsure)
                try:
                    if self._sync_error is not None:
                        self._write_again(descriptor, unsure, place)
                    _sync(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                self._sync_error = error
                self._dirty_since = time.monotonic()
                return False
            self._sync_error = None
            with self._guard:
                begins = self._size - len(self._unsure)
                del self._unsure[: max(0, place + len(unsure) - begins)]
            return True

    def _write_again(self, open_file: int, unsure: bytes, place: int) -> None:
        """Write bytes that the file holds already, if it still stands at its path."""
        descriptor = os.open(self.path, os.O_WRONLY | getattr(os, "O_BINARY", 0))  # one that can go back
        try:
            if os.path.samestat(os.fstat(descriptor), os.fstat(open_file)):
                os.lseek(descriptor, place, os.SEEK_SET)
                while unsure:
                    unsure = unsure[os.write(descriptor, unsure) :]
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Write and confirm what can be, and close the file.

        Raises
        ------
        StorageError
            If something could not be written: it is lost now; or if the disk does not confirm what was.
        """
        whole, confirmed = self.flush(), False
        try:
            self._rescue()
        finally:
            confirmed = self.sync()
            with self._guard:
                if self._descriptor is not None:
                    with contextlib.suppress(OSError):
                        os.close(self._descriptor)
                self._descriptor = None
        if not whole:
            assert self._write_error is not None
            raise StorageError(
                f"{len(self._backlog)} blocks ({self._backlog_bytes / 1e6:.1f} MB) could not be written to "
                f"{self.path} ({_reason(self._write_error)}) and are lost; all before them is safe."
            )
        if not confirmed and self._sync_error is not None:
            raise StorageError(f"All is written to {self.path}, but: {self.trouble}")

    def _open(self, path: Path, more: int = 0) -> int:
        # Read as well: a file that somebody removes can then be made again.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | more
        flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        return os.open(path, flags, 0o600)

    def _write_rest(self, frame: bytes) -> None:
        """Write what is missing of a block. A short write raises nothing: the next one tells why."""
        if self._descriptor is None:
            self._reopen()
        assert self._descriptor is not None
        try:
            while self._written < len(frame):
                rest = memoryview(frame)[self._written :]
                count = os.write(self._descriptor, rest)
                if count == 0:
                    raise OSError(errno.EIO, "the disk took nothing")
                self._written += count
                with self._guard:
                    self._size += count
                    self._unsure += rest[:count]
                    del self._unsure[:-BACKLOG_BYTES]
                self._dirty_since = self._dirty_since or time.monotonic()
        except OSError as error:
            if error.errno not in _FULL:
                self._give_up_descriptor()  # a disk that came back needs a new one
            raise

    def _give_up_descriptor(self) -> None:
        with self._guard:
            if self._descriptor is not None:
                with contextlib.suppress(OSError):
                    if not os.fstat(self._descriptor).st_nlink:
                        return  # what somebody removed lives by this descriptor alone
                with contextlib.suppress(OSError):
                    os.close(self._descriptor)
            self._descriptor = None

    def _reopen(self) -> None:
        descriptor = self._open(self.path)
        size = os.fstat(descriptor).st_size
        if size != self._size:
            # Not all that was written is there: begin the block anew, readers pass over what is left of it.
            with self._guard:
                self._size, self._written, self._unsure = size, 0, bytearray()
        with self._guard:
            self._descriptor = descriptor

    def _bound(self) -> None:
        """Give up the oldest blocks above the bound, but none that is partly in the file."""
        place = 1 if self._written else 0
        while self._backlog_bytes > BACKLOG_BYTES and place < len(self._backlog):
            frame, tag = self._backlog[place]
            if tag is None:
                place += 1
                continue
            del self._backlog[place]
            self._backlog_bytes -= len(frame)
            self._on_drop(tag)


def _sync(descriptor: int) -> None:
    """Flush a file to the disk by the best that the system has."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
        return
    with contextlib.suppress(ImportError, OSError):
        import fcntl  # not on Windows

        if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync leaves the data in the drive's own memory
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
