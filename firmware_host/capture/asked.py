"""What a user asks `record` for: sensors, a set-up that is kept, and when the night ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import time
from pathlib import Path
from typing import Any, Protocol

from firmware_host import body
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.identity import Wanted
from firmware_host.capture.local_zone import local_zone
from firmware_host.capture.setups import Setup, check_place, check_possible, load_setup, read_setup
from firmware_host.errors import BadValueError
from firmware_host.recording.listener import Listener
from firmware_host.sensors import model_named, models

ADDRESS = re.compile(
    r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE
)
"""Of a sensor; on macOS an identifier that the computer gives it."""


class World(Protocol):
    """Virtual sensors that are played."""

    @property
    def backend(self) -> tuple[type, type]:
        """Scanner and client class that bleak is told to use."""

    @property
    def sensors(self) -> Mapping[str, Any]:
        """By site, each with its `address` and `name`."""

    def clock(self) -> tuple[int, int]:
        """Return the world's monotonic clock and UTC, ns; those of the computer unless it is sped up."""

    def tap(self, site: str) -> None:
        """Tap a sensor three times."""


Virtual = AbstractAsyncContextManager[World]
Play = Callable[[Sequence[tuple[str, str]]], Virtual]
"""Makes a world of pairs of site and model."""


@dataclass(frozen=True)
class Order:
    """What a user asks `record` for."""

    directory: Path
    wanted: tuple[Wanted, ...]
    placements: Mapping[str, str] = field(default_factory=dict)
    """By site, in the user's words."""
    plan: PlannedEnd = field(default_factory=PlannedEnd)
    adapters: tuple[str, ...] = ()
    new: bool = False
    """Begin a new night whatever there is."""
    participant: str = ""
    label: str = ""
    time_zone: str | None = None
    """IANA name; None: the computer's."""
    virtual: Virtual | None = None
    """What plays the sensors in place of real ones."""
    listener: Listener | None = None
    """Who is told of all that is written, at once."""

    @property
    def zone(self) -> str:
        """The time zone in which times are told."""
        return self.time_zone or local_zone() or "UTC"


def order_for(
    directory: Path,
    sensors: Sequence[tuple[str, str]] = (),
    *,
    config: Path | None = None,
    virtual: Virtual | None = None,
    play: Play | None = None,
    until: time | None = None,
    hours: float | None = None,
    adapters: Sequence[str] = (),
    fs_hz: float | None = None,
    new: bool = False,
    participant: str = "",
    label: str = "",
    time_zone: str | None = None,
    listener: Listener | None = None,
) -> Order:
    """Return what to record: what is given, and for the rest what a set-up says.

    Parameters
    ----------
    directory
        Folder of the nights.
    sensors
        Pairs of site and address, name or model; none: those of the set-up.
    config
        File of a set-up; None: the one kept in `directory`, if there are no sensors.
    virtual
        What plays the sensors, by their models.
    play
        Makes what plays the sensors of a set-up of made-up ones.
    until, hours
        The planned end; none of both: that of the set-up.
    fs_hz
        Rate of all sensors; None: each its own.
    listener
        Who is told of all that is written, at once.

    Raises
    ------
    BadValueError, NotFoundError, BadFileError
        If a site or a set-up cannot be used, or there is no set-up.
    """
    setup = Setup()
    if config is not None:
        setup = read_setup(config)
    elif not sensors:
        setup = load_setup(directory)
    wanted = wanted_sensors(sensors) if sensors else setup.wanted()
    if setup.virtual and play is not None:
        virtual = play([(one.site, one.model) for one in setup.sensors])
    if adapters:  # those that the set-up names may be gone
        wanted = tuple(one if one.adapter in adapters else replace(one, adapter=None) for one in wanted)
    if fs_hz:
        wanted = tuple(replace(one, fs_hz=fs_hz) for one in wanted)
    for one in wanted:
        check_possible(one.site, one.model, one.fs_hz)
    given = (until, hours) != (None, None)
    return Order(
        directory=directory,
        wanted=wanted,
        placements=setup.placements(),
        plan=PlannedEnd(until, hours) if given else setup.plan(),
        adapters=tuple(adapters) or setup.adapters(),
        new=new,
        participant=participant or setup.participant,
        label=label,
        time_zone=time_zone or setup.time_zone or None,
        virtual=virtual,
        listener=listener,
    )


def wanted_sensors(sensors: Sequence[tuple[str, str]]) -> tuple[Wanted, ...]:
    """Return the sensors that pairs of site and address, name or model stand for.

    Raises
    ------
    BadValueError
        For an unknown site, a site or address that is given twice, or a model that cannot be worn there.
    """
    found: list[Wanted] = []
    for site, who in sensors:
        body.site(site)
        if site in {one.site for one in found}:
            raise BadValueError(f"{site} is given twice; a second sensor there is {site}.2.")
        if ADDRESS.fullmatch(who):
            if who.casefold() in {one.address.casefold() for one in found if one.address}:
                raise BadValueError(f"{who} is given for two sites; each needs a sensor of its own.")
            found.append(Wanted(site, who, None, None, None))
        elif who in models():
            check_place(site, model_named(who))
            found.append(Wanted(site, None, None, model_named(who), None))
        else:
            found.append(Wanted(site, None, who, None, None))
    return tuple(found)
