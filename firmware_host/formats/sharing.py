"""Dates of shared nights: shifted by secret whole weeks, the same for all nights of a participant.

Intervals between nights, the day of the week and the clock on the wall stay true; what day it was does not
show. The clock is that of the evening for the whole night, as if clocks were never changed: an hour that
comes twice, or the offset of summer time, would tell the date again.
"""

from __future__ import annotations

import secrets
import tomllib
from pathlib import Path

import msgspec
from filelock import FileLock

from firmware_host.errors import BadFileError, StorageError
from firmware_host.formats.written_times import offset_min
from firmware_host.recording import Night
from firmware_host.recording.night import write_toml

OFFSETS_FILE = "share-offsets.toml"
"""In the recordings folder, private to the user. Who has it can undo the shift."""
WEEKS = (53, 521)
"""Shifted back by 1 to 10 years: no shared date is taken for a true one, none lies in the future."""
WEEK_NS = 7 * 86_400 * 10**9


class _Secrets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    weeks: dict[str, int]


def shift_ns(night: Night) -> int:
    """Return what is added to every time of a shared night, ns; it makes UTC of the clock on the wall.

    Raises
    ------
    BadFileError
        If the file of offsets cannot be read: new ones would give the old ones away.
    StorageError
        If a new offset cannot be kept.
    """
    wall_ns = offset_min(night.start_ns, night.meta.time_zone) * 60 * 10**9
    if not night.meta.start_known:  # there is no date to hide, and no clock to keep
        return 0
    return wall_ns - weeks_of(night.meta.participant, night.path.resolve().parent) * WEEK_NS


def weeks_of(participant: str, recordings: Path) -> int:
    """Return the weeks by which a participant's nights are shifted back; drawn when first asked for."""
    path = recordings / OFFSETS_FILE
    known = _read(path)
    if participant not in known:
        try:
            with FileLock(recordings / f".{OFFSETS_FILE}.lock", mode=0o600):
                known = _read(path)  # somebody else may have drawn it by now
                drawn = WEEKS[0] + secrets.randbelow(WEEKS[1] - WEEKS[0] + 1)
                known.setdefault(participant, drawn)
                write_toml(path, {"weeks": known})
        except OSError as error:
            raise StorageError(f"{path} could not be written ({error.strerror or error}).") from error
    return known[participant]


def _read(path: Path) -> dict[str, int]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        weeks = msgspec.convert(content, _Secrets).weeks
        if all(WEEKS[0] <= value <= WEEKS[1] for value in weeks.values()):
            return weeks
        wrong: object = "its weeks are out of range"
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        wrong = error
    raise BadFileError(
        f"{path} cannot be used ({wrong}); shared dates depend on it: mend it, or remove it for new ones.",
        path=path,
    )
