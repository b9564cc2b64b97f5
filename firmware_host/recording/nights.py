"""The folder of nights: names, lists, and what a person means by `last` or by a date."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from firmware_host.errors import BadFileError, BadValueError, NotFoundError, TwitchmapError
from firmware_host.recording.blocks import Damage
from firmware_host.recording.computer_clock import SET_FROM_NS
from firmware_host.recording.night import (
    META_FILE,
    NightMeta,
    amended,
    evening_of,
    local_time,
    read_meta,
    set_meta_aside,
    write_meta,
)
from firmware_host.recording.reader import LOCK_FILE, LOG_FILE, is_being_written, open_night

SUFFIX = ".night"
LABEL_CHARACTERS = 40


def night_folder_name(start_ns: int, time_zone: str, label: str = "") -> str:
    """Return a night's folder name, `2026-11-22T22-31-05_<label>.night`: valid on every file system."""
    start = local_time(start_ns, time_zone).strftime("%Y-%m-%dT%H-%M-%S")
    clean = re.sub(r"[^\w-]+", "-", label)[:LABEL_CHARACTERS].strip("-_")
    return f"{start}_{clean}{SUFFIX}" if clean else f"{start}{SUFFIX}"


def list_nights(directory: Path) -> list[Path]:
    """Return the nights in a folder, oldest first; damaged ones too, none where the folder is not there."""
    return sorted(night_folders(directory), key=lambda path: (start_and_date(path)[0], path.name))


def night_folders(directory: Path) -> list[Path]:
    """Return the nights in a folder in no order, without looking into them."""
    return [path for path in directory.iterdir() if _seems_night(path)] if directory.is_dir() else []


def running_night(directory: Path) -> Path | None:
    """Return the night that is being recorded in a folder; of several the one whose name comes last.

    It looks at locks alone and reads no night, so that it may be asked every second.
    """
    if not directory.is_dir():
        return None
    locked = sorted(path.parent for path in directory.glob(f"*/{LOCK_FILE}"))
    return next((path for path in reversed(locked) if is_being_written(path)), None)


def find_night(ref: str, directory: Path) -> Path:
    """Return the night that a person means: a path, `last`, or the date of its evening (2026-11-22).

    Raises
    ------
    NotFoundError
        If there is none.
    BadValueError
        If two nights go by that date; the sentence lists them.
    """
    if not ref:
        raise NotFoundError("'' names no night: give a path, `last`, or a date such as 2026-11-22.")
    path = Path(ref)
    for candidate in (path, directory / ref):
        if _is_night(candidate):
            return candidate if candidate.name not in {"", ".."} else candidate.resolve()
    nights = list_nights(directory)
    if ref == "last":
        if not nights:
            raise NotFoundError(f"There is no night in {directory.absolute()} yet.")
        return nights[-1]
    try:
        wanted = date.fromisoformat(ref)
    except ValueError:
        if path.exists():
            raise BadFileError(
                f"{path} is no night: a night is a folder with {META_FILE}.", path=path
            ) from None
        raise NotFoundError(
            f"There is no night {ref!r}; give a path, `last`, or a date such as 2026-11-22."
        ) from None
    found = [night for night in nights if start_and_date(night)[1] == wanted]
    if not found:
        raise NotFoundError(
            f"There is no night of {wanted} in {directory}: a night that begins before noon goes by the date "
            "of the evening before."
        )
    if len(found) > 1:
        names = ", ".join(night.name for night in found)
        raise BadValueError(f"{len(found)} nights go by {wanted}: give the path of one of {names}.")
    return found[0]


def night_named(name: str, directory: Path) -> Path:
    """Return the night whose folder has that very name: it is compared, never used as a path.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    for path in night_folders(directory):
        if path.name == name:
            return path
    raise NotFoundError(f"There is no night {name[:100]!r} in {directory}.")


def amend_night(
    path: Path,
    *,
    participant: str | None = None,
    sites: dict[str, str] | None = None,
    placements: dict[str, str] | None = None,
    note: str | None = None,
) -> NightMeta:
    """Correct a night's metadata; what was there stays in its history, and the samples are not touched.

    Raises
    ------
    NotFoundError, BadFileError
        If there is no night.
    BadValueError
        If a site is not in the night, or two sensors would have one site.
    StorageError
        If the disk refuses; nothing has changed then.
    """
    night = open_night(path)
    meta = amended(night.meta, participant=participant, sites=sites, placements=placements, note=note)
    if any(damage.file == META_FILE for damage in night.damage):
        set_meta_aside(path)
    write_meta(path, meta)
    return meta


def known_meta(path: Path) -> NightMeta:
    """Return a night's metadata from `night.toml`; the log, which may be long, is read only if that fails.

    Raises
    ------
    BadFileError, NewerFormatError
        As `open_night`.
    """
    return meta_and_damage(path)[0]


def meta_and_damage(path: Path) -> tuple[NightMeta, tuple[Damage, ...]]:
    """Return a night's metadata as `known_meta`, and what is wrong with `night.toml`; raises as that."""
    try:
        return read_meta(path), ()
    except (OSError, BadFileError):
        night = open_night(path)
        return night.meta, tuple(damage for damage in night.damage if damage.file == META_FILE)


def _is_night(path: Path) -> bool:
    return (path / META_FILE).exists() or (path / LOG_FILE).exists()


def _seems_night(path: Path) -> bool:
    """Tell whether a folder is a night; one that cannot be looked into is judged by its name."""
    try:
        return _is_night(path)
    except OSError:
        return path.suffix == SUFFIX


def start_and_date(path: Path) -> tuple[int, date | None]:
    """Return a night's start (UTC ns) and the date it goes by; 0 and None where they cannot be known."""
    try:
        meta = known_meta(path)
        start_ns = meta.start_ns
        if meta.start_known and start_ns < SET_FROM_NS:  # the log tells when the computer learnt the time
            start_ns = open_night(path).start_ns
    except (OSError, TwitchmapError):
        return 0, None
    return start_ns, evening_of(start_ns, meta.time_zone)
