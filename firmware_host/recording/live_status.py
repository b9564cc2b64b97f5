"""How a recording is doing, for another process: a small file in the night that the recorder replaces now and
then, and the wish to end that another process leaves beside it.

Derived and gone after a normal end: no night depends on it. Whether a recorder is alive is told by its lock
alone, never by this file nor by the number of a process.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from firmware_host.errors import NotFoundError, StorageError

STATUS_FILE = "status.json"
STOP_FILE = "stop"
LARGEST = 256 * 1024
"""Bytes; what is larger was not written by a recorder."""


class SensorNow(msgspec.Struct, frozen=True, kw_only=True):
    """How one sensor is doing."""

    site: str
    state: str
    """`looking`, `connecting`, `starting`, `streaming` or `silent`."""
    model: str | None
    """Its label, once it is known."""
    fs_hz: float | None
    """Measured."""
    samples: int
    """Since the recorder was started."""
    lost_share: float | None
    """Of the samples since it was connected, as far as its protocol tells."""
    battery_percent: int | None
    battery_ends_ns: int | None
    """UTC, forecast; None: not known."""
    rssi_dbm: int | None
    last_data_ns: int | None
    """UTC; None: no data yet."""
    trouble: str | None
    """Why it does not stream, a sentence."""


class Saying(msgspec.Struct, frozen=True):
    """Something that has changed: when, and a sentence."""

    utc_ns: int
    sentence: str


class LiveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a recording is doing."""

    id: str
    """Of this run of the recorder."""
    utc_ns: int
    """When this was so."""
    start_ns: int
    """UTC, of the night."""
    end_ns: int | None
    """UTC, as planned."""
    time_zone: str
    virtual: bool
    """Made-up sensors."""
    sensors: tuple[SensorNow, ...]
    disk_free_bytes: int | None
    trouble: str | None
    """What the disk refuses, a sentence."""
    advice: tuple[str, ...] = ()
    """What somebody should see to before sleeping, a sentence each."""
    said: tuple[Saying, ...] = ()
    """The newest sentences, oldest first."""


def write_status(night: Path, status: LiveStatus) -> None:
    """Replace a night's status, private to the user; the old or the new one is there whole.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    unfinished = night / f".{STATUS_FILE}"
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(status))
    unfinished.replace(night / STATUS_FILE)


def read_status(night: Path) -> LiveStatus | None:
    """Return what a night's recorder said last; None where there is nothing that can be understood."""
    try:
        with (night / STATUS_FILE).open("rb") as file:
            return msgspec.json.decode(file.read(LARGEST), type=LiveStatus)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def ask_stop(night: Path) -> None:
    """Ask the recorder that is alive at a night for its end; asking again does no harm.

    The wish names the run of the recorder that it is meant for, so that it ends no later one.

    Raises
    ------
    NotFoundError
        If the recorder has not said yet which run it is.
    StorageError
        If the disk refuses.
    """
    status = read_status(night)
    if status is None:
        raise NotFoundError(f"The recorder of {night.name} does not answer yet: try again in a moment.")
    unfinished = night / f".{STOP_FILE}"
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(status.id.encode())
        unfinished.replace(night / STOP_FILE)
    except OSError as error:
        raise StorageError(
            f"The end could not be asked for in {night} ({error.strerror or error}): end the recorder "
            "itself, with Ctrl-C where it was started."
        ) from error


def stop_asked(night: Path, run: str) -> bool:
    """Tell whether a run of the recorder has been asked to end."""
    try:
        with (night / STOP_FILE).open("rb") as file:
            return file.read(LARGEST) == run.encode()
    except OSError:
        return False


def remove_status(night: Path) -> None:
    """Remove what a recorder said, and what it was asked: it has ended, or another one takes its place."""
    for name in (STATUS_FILE, f".{STATUS_FILE}", STOP_FILE, f".{STOP_FILE}"):
        with contextlib.suppress(OSError):
            (night / name).unlink(missing_ok=True)
