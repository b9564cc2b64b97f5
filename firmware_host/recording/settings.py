"""The settings of a folder of nights, kept beside them in `settings.toml`: they go where the nights go.

Two people who share a computer have two folders, and each decides what is shown of theirs.
"""

from __future__ import annotations

import time
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from firmware_host.errors import BadFileError, NotShownError, StorageError
from firmware_host.recording.night import NightMeta, evening_of, write_toml

SETTINGS_FILE = "settings.toml"
Show = Literal["nightly", "weekly", "on_request"]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a person has chosen for a folder."""

    show: Show | None = None
    """When counts are shown; None: nobody was asked yet."""


def read_settings(folder: Path) -> Settings:
    """Return the settings of a folder of nights; those of a folder without any are the defaults.

    Raises
    ------
    BadFileError
        If the file is not what it should be.
    StorageError
        If it cannot be read.
    """
    path = folder / SETTINGS_FILE
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Settings)
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, msgspec.ValidationError) as error:
        sentence = (
            f"{path} holds no settings: {str(error).rstrip('.')}. Mend it, or remove it to be asked again."
        )
        raise BadFileError(sentence, path=path) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error


def write_settings(folder: Path, settings: Settings) -> None:
    """Keep the settings of a folder of nights, which is made if it is not there; raises `StorageError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} could not be made ({error.strerror or error}).") from error
    write_toml(folder / SETTINGS_FILE, msgspec.to_builtins(settings))


Showing = Literal["now", "on_request", "later"]
"""Counts are shown; once somebody asks to see them; not before the week is over."""
MADE_UP = frozenset({"simulated", "virtual"})
"""Origins of nights that nobody slept: their counts are nobody's and enter no comparison of nights."""


def showing(show: Show | None, origin: str, evening: date | None, today: date) -> Showing:
    """Return whether the counts of a night are shown: the one rule that pages and commands ask.

    Parameters
    ----------
    show
        The folder's setting; None, nobody was asked yet, is as "nightly".
    origin
        Of the night; those of made-up nights are always shown.
    evening
        The date that the night goes by; None where it is not known.
    today
        The date that a night would go by which started now.
    """
    if origin in MADE_UP or show in {None, "nightly"}:
        return "now"
    if show == "weekly" and evening is not None and today <= last_evening(evening):
        return "later"
    return "on_request"


def last_evening(evening: date) -> date:
    """Return the last evening of a night's week, a Sunday: the week is over when its night is."""
    return evening + timedelta(days=6 - evening.weekday())


def night_showing(path: Path, meta: NightMeta, start_ns: int) -> Showing:
    """Return whether the counts of a night are shown now, by the settings of the folder that it lies in.

    Raises
    ------
    BadFileError, StorageError
        If the settings cannot be read: then nothing is shown that somebody may not want to see.
    """
    evening = evening_of(start_ns, meta.time_zone) if meta.start_known else None
    today = evening_of(time.time_ns(), meta.time_zone)
    return showing(read_settings(path.parent).show, meta.origin, evening, today)


def kept_back(path: Path, meta: NightMeta, start_ns: int, *, asked: bool) -> str | None:
    """Return why a night's counts are not to be shown and when they can be, a sentence; None if they are.

    Parameters
    ----------
    asked
        Somebody has asked to see them, here and now.

    Raises
    ------
    BadFileError, StorageError
        As `night_showing`.
    """
    state = night_showing(path, meta, start_ns)
    if state == "later":
        monday = last_evening(evening_of(start_ns, meta.time_zone)) + timedelta(days=1)
        return (
            f"The counts of {path.name} are kept back until its week is over, on {monday}: "
            f"{SETTINGS_FILE} says show = weekly."
        )
    if state == "on_request" and not asked:
        return (
            f"The counts of {path.name} are shown on request only: {SETTINGS_FILE} says so. "
            "On the command line --show asks for them."
        )
    return None


def check_shown(path: Path, meta: NightMeta, start_ns: int, *, asked: bool) -> None:
    """Return if the counts of a night may be shown; raises `NotShownError` if not, else as `kept_back`."""
    if sentence := kept_back(path, meta, start_ns, asked=asked):
        raise NotShownError(sentence)
