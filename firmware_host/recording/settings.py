"""The settings of a folder of nights, kept beside them in `settings.toml`: they go where the nights go.

Two people who share a computer have two folders, and each decides what is shown of theirs.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from firmware_host.errors import BadFileError, StorageError
from firmware_host.recording.night import write_toml

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
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
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
