"""The list of nights."""

from __future__ import annotations

import msgspec

from firmware_host.errors import TwitchmapError
from firmware_host.recording import known_meta, list_nights, local_time
from firmware_host.review.endpoints import Context, endpoint


class ListedNight(msgspec.Struct, frozen=True):
    """A night in the list."""

    night: str
    start: str
    """ISO 8601 with the night's own offset."""
    sites: tuple[str, ...]
    origin: str


class NightList(msgspec.Struct, frozen=True):
    """All nights of the folder, newest first."""

    nights: tuple[ListedNight, ...]
    unreadable: tuple[str, ...]
    """One sentence for each night that cannot be read."""


@endpoint("GET", "/nights", summary="The nights of the folder, newest first")
def nights(context: Context) -> NightList:
    """List the nights; one that cannot be read does not hide the others."""
    listed, unreadable = [], []
    for path in reversed(list_nights(context.folder)):
        try:
            meta = known_meta(path)
        except (TwitchmapError, OSError) as error:
            unreadable.append(f"{path.name}: {error}")
            continue
        start = local_time(meta.start_ns, meta.time_zone).isoformat(timespec="seconds")
        sites = tuple(info.site for info in meta.sensors)
        listed.append(ListedNight(path.name, start, sites, meta.origin))
    return NightList(tuple(listed), tuple(unreadable))
