"""The settings of the folder of nights."""

from __future__ import annotations

from typing import Literal

import msgspec

from firmware_host.recording.settings import Show, write_settings
from firmware_host.review.endpoints import Context, endpoint


class ShownSettings(msgspec.Struct, frozen=True):
    """The settings; null is what nobody has chosen yet."""

    show: Show | None


class NewSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody chooses."""

    show: Literal["nightly", "weekly", "on_request"]


class ShowingOfNight(msgspec.Struct, frozen=True):
    """Whether the counts of a night are shown."""

    night: str
    showing: Literal["now", "on_request", "later"]


@endpoint("GET", "/settings", summary="The settings of the folder")
def settings(context: Context) -> ShownSettings:
    """Tell what was chosen."""
    return ShownSettings(context.settings.show)


@endpoint("PUT", "/settings", summary="Choose when counts are shown")
def choose(context: Context, body: NewSettings) -> ShownSettings:
    """Keep what was chosen beside the nights, in `settings.toml`."""
    write_settings(context.folder, msgspec.structs.replace(context.settings, show=body.show))
    return ShownSettings(body.show)


@endpoint("GET", "/nights/{night}/showing", summary="Whether the counts of a night are shown")
def showing_of_night(context: Context, night: str) -> ShowingOfNight:
    """Tell whether counts are shown now, once somebody asks for them, or when the week is over."""
    return ShowingOfNight(night, context.showing(context.night(night)))
