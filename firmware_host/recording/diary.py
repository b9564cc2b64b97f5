"""`diary.jsonl`: what a person did and felt around a night.

Every field may stay empty; the last line of a field holds, and what was said before stays in the file.
"""

from __future__ import annotations

import secrets
import time
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from firmware_host.errors import BadValueError
from firmware_host.recording.blocks import Damage
from firmware_host.recording.journal import Journal, Lines
from firmware_host.twitches import Column

DIARY_FILE = "diary.jsonl"
LONGEST_TEXT = 500


class Field(msgspec.Struct, frozen=True):
    """One field of the diary: its values (none: free text) and what it means."""

    name: str
    levels: tuple[str, ...]
    meaning: str


_AMOUNT = ("none", "little", "some", "much")
FIELDS: tuple[Field, ...] = (
    Field("caffeine", _AMOUNT, "caffeine in the day before the night"),
    Field("alcohol", _AMOUNT, "alcohol in the day before the night"),
    Field("exercise", _AMOUNT, "exercise in the day before the night"),
    Field("exercise_what", (), "what the exercise was"),
    Field("exercise_limb", (), "which limb or muscles it was for"),
    Field("stress", _AMOUNT, "stress in the day before the night"),
    Field("fatigue", _AMOUNT, "fatigue in the evening"),
    Field("cramps", _AMOUNT, "cramps in the day before or in the night"),
    Field("magnesium", ("no", "yes"), "magnesium taken in the day before the night"),
    Field("medicines", (), "medicines taken in the day before the night"),
    Field("physiotherapy", ("no", "yes"), "physiotherapy in the day before the night"),
    Field("sleep", ("badly", "fairly", "well"), "how the person slept"),
    Field("note", (), "anything else"),
)
DIARY_COLUMNS = tuple(
    Column(field.name, "U", "", ": ".join(filter(None, (field.meaning, ", ".join(field.levels)))))
    for field in FIELDS
)
_KNOWN = {field.name: field for field in FIELDS}


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="entry"):
    """What was said at one time; an empty value takes back what was said of that field."""

    id: str
    utc_ns: int
    rater: str
    fields: dict[str, str]


class Diary(msgspec.Struct, frozen=True):
    """What holds of a night's diary, field by field; those that were not filled in are not there."""

    fields: dict[str, str]
    entries: int = 0
    damage: tuple[Damage, ...] = ()


def read_diary(night: Path) -> Diary:
    """Read the diary of a night's folder; an empty one where there is no file. Raises as `Journal.read`."""
    return _now(_journal(night).read())


def write_diary(night: Path, fields: Mapping[str, Any], rater: str = "") -> Diary:
    """Add to a night's diary; only fields whose value changes are written. Return what then holds.

    Raises
    ------
    BadValueError
        If a field or its value is none of the diary's.
    NotFoundError, NightBusyError, StorageError
        As `Journal.append`.
    """
    said = {name: checked(name, value) for name, value in fields.items()}

    def changes(lines: Lines[Entry]) -> list[Entry]:
        known = _now(lines).fields
        new = {name: value for name, value in said.items() if known.get(name, "") != value}
        entry = Entry(id=secrets.token_hex(8), utc_ns=time.time_ns(), rater=rater[:80], fields=new)
        return [entry] if new else []

    return _now(_journal(night).append(changes))


def checked(name: str, value: object) -> str:
    """Return a field's value as it is kept.

    Raises
    ------
    BadValueError
        If there is no such field, or it has no such value.
    """
    if name not in _KNOWN:
        raise BadValueError(f"The diary has no {name!r}; it has {', '.join(_KNOWN)}.")
    if not isinstance(value, str):
        raise BadValueError(f"What the diary says of {name} must be text.")
    text, levels = value.strip(), _KNOWN[name].levels
    if text and levels and text not in levels:
        raise BadValueError(f"{name} is one of {', '.join(levels)}, not {text[:40]!r}.")
    if len(text) > LONGEST_TEXT:
        raise BadValueError(f"What the diary says of {name} is over {LONGEST_TEXT} characters long.")
    if any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in text):
        raise BadValueError(f"What the diary says of {name} holds characters that no text has.")
    return text


def _now(lines: Lines[Entry]) -> Diary:
    fields: dict[str, str] = {}
    for entry in lines.entries:
        fields |= {name: value for name, value in entry.fields.items() if name in _KNOWN}
    said = {field.name: fields[field.name] for field in FIELDS if fields.get(field.name)}
    return Diary(said, len(lines.entries), lines.damage)


def _journal(night: Path) -> Journal[Entry]:
    return Journal(night / DIARY_FILE, Entry)
