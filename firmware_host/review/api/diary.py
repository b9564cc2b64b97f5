"""The diary of a night: what a person did and felt around it. Every field may stay empty."""

from __future__ import annotations

from typing import Annotated

import msgspec

from firmware_host.recording import diary as files
from firmware_host.review.api.labels import Rater
from firmware_host.review.endpoints import Context, endpoint

Text = Annotated[str, msgspec.Meta(max_length=files.LONGEST_TEXT)]
Key = Annotated[str, msgspec.Meta(max_length=40)]


class DiaryField(msgspec.Struct, frozen=True):
    """A field of the form: one of `levels`, or free text where there are none."""

    name: str
    levels: tuple[str, ...]


class DiaryState(msgspec.Struct, frozen=True):
    """What holds of a night's diary; fields that were not filled in are not in `values`."""

    night: str
    fields: tuple[DiaryField, ...]
    values: dict[str, str]
    entries: int
    unreadable: tuple[str, ...]


class DiaryChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to write; fields that are not named stay as they are, an empty text takes one back."""

    values: Annotated[dict[Key, Text], msgspec.Meta(max_length=50)]
    rater: Rater = ""


@endpoint("GET", "/nights/{night}/diary", summary="The diary of a night")
def diary(context: Context, night: str) -> DiaryState:
    """Tell what holds."""
    return _state(night, files.read_diary(context.night(night)))


@endpoint("PUT", "/nights/{night}/diary", summary="Write fields of the diary")
def write(context: Context, night: str, body: DiaryChange) -> DiaryState:
    """Keep what was said; what was said before stays in the file."""
    return _state(night, files.write_diary(context.night(night), body.values, body.rater))


def _state(night: str, now: files.Diary) -> DiaryState:
    return DiaryState(
        night,
        tuple(DiaryField(field.name, field.levels) for field in files.FIELDS),
        now.fields,
        now.entries,
        tuple(f"{one.file}: {one.what}." for one in now.damage),
    )
