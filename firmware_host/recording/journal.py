"""Files of one JSON object a line that only ever grow: what a person said of a night.

A line is added by one write and confirmed by the disk before anybody is told that it is kept. Processes take
turns by a lock. A line that was cut short, or that this program does not understand, is told and passed over;
it never costs the others.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from firmware_host.errors import BadFileError, NightBusyError, NotFoundError, StorageError
from firmware_host.recording.blocks import Damage
from firmware_host.recording.night import sync_folder

LOCK_FILE = ".notes.lock"
"""One for all such files of a night."""
WAIT_S = 10.0

Entry = TypeVar("Entry", bound=msgspec.Struct)


@dataclass(frozen=True)
class Lines(Generic[Entry]):
    """What a file holds, oldest first, and what of it could not be understood."""

    entries: tuple[Entry, ...]
    damage: tuple[Damage, ...] = ()


class Journal(Generic[Entry]):
    """One such file. It is made, private to the user, with its first line.

    Parameters
    ----------
    path
        The file, in a night's folder.
    kind
        What a line is: a struct, or a union of structs with tags.
    """

    def __init__(self, path: Path, kind: Any) -> None:  # noqa: ANN401 - a union is no type
        self.path = path
        self._decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(kind)

    def read(self) -> Lines[Entry]:
        """Return what the file holds; nothing where it is not there.

        Raises
        ------
        BadFileError
            If the file cannot be read at all.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return Lines(())
        except OSError as error:
            text = f"{self.path} cannot be read ({error.strerror or error})."
            raise BadFileError(text, path=self.path) from error
        entries, damage, offset = [], [], 0
        for number, line in enumerate(content.split(b"\n"), 1):
            try:
                if line.strip():
                    entries.append(self._decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                what = f"line {number} cannot be understood ({error})"
                damage.append(Damage(offset, len(line), what, self.path.name))
            offset += len(line) + 1
        return Lines(tuple(entries), tuple(damage))

    def append(self, make: Callable[[Lines[Entry]], Sequence[Entry]]) -> Lines[Entry]:
        """Add lines, by one write; return all that the file then holds.

        Parameters
        ----------
        make
            Gives the lines for what the file holds; nobody else adds any in between.

        Raises
        ------
        NotFoundError, NightBusyError, StorageError
            If the night is not there, another process does not let go of the file, or the disk refuses;
            nothing was added then.
        """
        with self._locked():
            known = self.read()
            new = tuple(make(known))
            if new:
                self._write(b"".join(msgspec.json.encode(entry) + b"\n" for entry in new))
            return Lines((*known.entries, *new), known.damage)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout  # reading does without

        folder = self.path.parent
        if not folder.is_dir():
            raise NotFoundError(f"There is no night at {folder}.")
        lock = FileLock(str(folder / LOCK_FILE), timeout=WAIT_S, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            raise NightBusyError(f"Another process is writing {self.path}; try again in a moment.") from None
        except OSError as error:
            raise self._refused(error) from error
        try:
            yield
        finally:
            lock.release()

    def _write(self, content: bytes) -> None:
        is_new = not self.path.exists()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(self.path, flags, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if size and _byte_at(descriptor, size - 1) != b"\n":
                    content = b"\n" + content  # a line that was cut short stays what it is
                try:
                    while content:
                        content = content[os.write(descriptor, content) :]
                    os.fsync(descriptor)
                except OSError:
                    with contextlib.suppress(OSError):
                        os.ftruncate(descriptor, size)  # nobody was told that it is kept
                    raise
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._refused(error) from error
        if is_new:
            sync_folder(self.path.parent)

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(f"{self.path} takes nothing ({error.strerror or error}): nothing was noted.")


def _byte_at(descriptor: int, offset: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, 1)
