"""How many pictures of a diary factor somebody has looked at: kept beside the nights, in `looked.toml`."""

from __future__ import annotations

import threading
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from firmware_host.errors import BadFileError, StorageError
from firmware_host.recording.night import write_toml

LOOKED_FILE = "looked.toml"
_LOCK = threading.Lock()


class Looked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Factors of the diary and the sites at which their pictures were looked at."""

    sites: dict[str, Annotated[list[str], msgspec.Meta(max_length=1000)]] = msgspec.field(
        default_factory=dict
    )

    @property
    def pictures(self) -> int:
        """How many different pictures were looked at."""
        return sum(map(len, self.sites.values()))


def read_looked(folder: Path) -> Looked:
    """Return what was looked at in a folder of nights.

    Raises
    ------
    BadFileError, StorageError
        If the file is not what it should be, or cannot be read.
    """
    path = folder / LOOKED_FILE
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Looked)
    except (FileNotFoundError, NotADirectoryError):
        return Looked()
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, msgspec.ValidationError) as error:
        text = f"{path} cannot be understood ({str(error).rstrip('.')}): remove it to count anew."
        raise BadFileError(text, path=path) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error}).") from error


def note_look(folder: Path, factor: str, site: str) -> Looked:
    """Note that a factor was looked at at a site; return all that were. Raises as `read_looked`."""
    with _LOCK:
        known = read_looked(folder)
        sites = known.sites.get(factor, [])
        if site in sites:
            return known
        now = Looked(known.sites | {factor: [*sites, site]})
        write_toml(folder / LOOKED_FILE, msgspec.to_builtins(now))
        return now
