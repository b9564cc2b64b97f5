"""Marks that another process adds to a night while it is recorded.

The log has one writer. So a mark is a small file in the night's folder, whole from the moment it has its
name; the recorder takes it into the log, has the disk confirm it, and only then removes it. What a recorder
that was killed left behind is taken by the session that continues the night, once.

The folder of marks is there as long as they are taken. That it can be removed only while it is empty makes
sure that a mark is taken, or whoever leaves it is told that it was not.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from pathlib import Path

import msgspec

from firmware_host.errors import NotFoundError, StorageError
from firmware_host.recording.night import sync_folder
from firmware_host.recording.nights import running_night

FOLDER = "marks"
SUFFIX = ".mark"
LONGEST_TEXT = 500
UNFINISHED = re.compile("[0-9a-f]{16}")


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One mark: when it was made, on both clocks of the computer, and what it says."""

    id: str
    mono_ns: int
    utc_ns: int
    text: str = ""


def leave_mark(directory: Path, text: str = "") -> Path:
    """Leave a mark, made now, for the night that is being recorded in a folder; return that night.

    Raises
    ------
    NotFoundError
        If no night is being recorded there, or it takes no mark any more.
    StorageError
        If the disk refuses.
    """
    mono_ns, utc_ns = time.monotonic_ns(), time.time_ns()
    night = running_night(directory)
    if night is None:
        raise NotFoundError(
            f"No night is being recorded in {directory}: start one with `twitchmap record`, or name its "
            "folder with --dir."
        )
    mark = Mark(id=secrets.token_hex(8), mono_ns=mono_ns, utc_ns=utc_ns, text=text[:LONGEST_TEXT])
    folder, content = night / FOLDER, msgspec.json.encode(mark)
    try:
        unfinished = folder / mark.id
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(folder / f"{mark.id}{SUFFIX}")
        sync_folder(folder)
    except FileNotFoundError:
        raise NotFoundError(
            f"{night.name} begins or ends at this moment: the mark was not taken. Make it again if the night "
            "goes on."
        ) from None
    except OSError as error:
        raise StorageError(f"The mark could not be kept in {night} ({error.strerror or error}).") from error
    return night


def waiting_marks(night: Path) -> list[Mark]:
    """Return the marks that wait to be taken into a night's log, oldest first."""
    found = []
    with contextlib.suppress(OSError):  # a disk that is away for now
        for path in (night / FOLDER).glob(f"*{SUFFIX}"):
            # What is no mark stays there: a pipe, nonsense, brackets without end.
            with contextlib.suppress(OSError, msgspec.DecodeError, RecursionError):
                mark = msgspec.json.decode(path.read_bytes(), type=Mark) if path.is_file() else None
                if mark is not None and mark.id == path.stem:  # by which it is removed
                    found.append(mark)
    return sorted(found, key=lambda mark: mark.utc_ns)


def open_spool(night: Path) -> None:
    """Make the folder of marks: from now on they are taken."""
    with contextlib.suppress(OSError):  # a disk that is away for now
        (night / FOLDER).mkdir(mode=0o700, exist_ok=True)


def close_spool(night: Path) -> bool:
    """Remove the folder of marks, so that none can be left any more; return whether it is gone.

    It is not while a mark waits there. One that is only half there is removed: its maker is told.
    """
    folder = night / FOLDER
    try:
        for path in folder.iterdir():
            if UNFINISHED.fullmatch(path.name):
                path.unlink(missing_ok=True)
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def remove_mark(night: Path, mark: Mark) -> None:
    """Remove a mark that is in the log; one that cannot be removed is passed over by its id later."""
    with contextlib.suppress(OSError):
        (night / FOLDER / f"{mark.id}{SUFFIX}").unlink(missing_ok=True)
