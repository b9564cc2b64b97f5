"""`record_night`: from what a user asks for to a night on disk that has come to its end."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from firmware_host import body
from firmware_host.capture.ble import Backend, Radio
from firmware_host.capture.choice import Chosen, Origin, begin, go_on, unfinished_night
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.link import Link, Wanted
from firmware_host.capture.local_zone import local_zone
from firmware_host.capture.outlet import expected_info
from firmware_host.capture.session import Session
from firmware_host.capture.stop import Stop, ended_by_signals
from firmware_host.capture.told import Told
from firmware_host.capture.watch import Reading, read_clocks
from firmware_host.errors import BadValueError
from firmware_host.recording.night import zone
from firmware_host.recording.nights import CLOCK_SET_FROM_NS
from firmware_host.recording.writer import Clock
from firmware_host.sensors import model_named, models

PROBE_S = 3.0
"""So long is waited for the radio to say that it cannot be used, before a night is made."""
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
    virtual: AbstractAsyncContextManager[World] | None = None
    """What plays the sensors in place of real ones."""


@dataclass(frozen=True)
class Recorded:
    """A night that has come to its end."""

    path: Path
    continued: bool
    ended: str
    """Why, in a few words."""


def wanted_sensors(sensors: Sequence[tuple[str, str]], *, fs_hz: float | None = None) -> tuple[Wanted, ...]:
    """Return the sensors that pairs of site and address, name or model stand for.

    Raises
    ------
    BadValueError
        For an unknown site, or one that is given twice.
    """
    found: list[Wanted] = []
    for site, who in sensors:
        body.site(site)
        if site in {one.site for one in found}:
            raise BadValueError(f"{site} is given twice; a second sensor there is {site}.2.")
        if ADDRESS.fullmatch(who):
            found.append(Wanted(site, who, None, None, fs_hz))
        elif who in models():
            found.append(Wanted(site, None, None, model_named(who), fs_hz))
        else:
            found.append(Wanted(site, None, who, None, fs_hz))
    return tuple(found)


def record_night(order: Order, told: Told, stop: Stop) -> Recorded:
    """Record until the planned end, a wish to end (Ctrl-C and SIGTERM are such), or two hours without data.

    Returns
    -------
    The night, whole on disk.

    Raises
    ------
    BadValueError
        If a site, a rate or the time zone cannot be.
    RadioError
        If a new night is asked for and there is no radio to record it with; no night has been made then.
    NightBusyError, StorageError
        If another process is recording, or the disk takes nothing.
    """
    with ended_by_signals(stop):
        return asyncio.run(record(order, told, stop))


async def record(order: Order, told: Told, stop: Stop) -> Recorded:
    """Do what `record_night` does, in an event loop that is there; signals are the caller's."""
    async with contextlib.AsyncExitStack() as stack:
        backend, wanted, clocks = None, order.wanted, read_clocks
        if order.virtual is not None:
            world = await stack.enter_async_context(order.virtual)
            backend = Backend(*world.backend)
            wanted = tuple(_played(one, world) for one in wanted)
            clocks = _clocks_of(world)

        def clock() -> tuple[int, int]:
            now = clocks()
            return now.mono_ns, now.utc_ns

        radio = Radio(backend, order.adapters)
        chosen = await _choose(order, wanted, radio, told, clock)
        with chosen.writer as writer:
            session = Session(
                writer,
                wanted,
                lambda one, outlet: Link(radio, one, outlet, clock),
                told,
                stop,
                plan=order.plan,
                earlier_start_ns=chosen.earlier_start_ns,
                marks=chosen.marks,
                clocks=clocks,
            )
            why = await session.run()
        return Recorded(writer.path, chosen.earlier_start_ns is not None, why)


async def _choose(
    order: Order, wanted: Sequence[Wanted], radio: Radio, told: Told, clock: Clock
) -> Chosen:
    """Continue the night that was not finished, or make a new one if there is a radio to record it with."""
    origin: Origin = "recorded" if order.virtual is None else "virtual"
    _, utc_ns = clock()
    night = unfinished_night(order.directory, [one.site for one in wanted], origin, utc_ns)
    if night is not None and not order.new:
        told.say(f"{night.path.name} goes on.")
        return go_on(night, clock)
    await _probe(radio)
    time_zone = order.time_zone or local_zone()
    if time_zone is None:
        time_zone = "UTC"
        told.say(
            "This computer does not tell its time zone: the night is kept in UTC; name it with --timezone."
        )
    if utc_ns < CLOCK_SET_FROM_NS:
        told.say("This computer does not know the time yet; the night gets it as soon as it does.")
    infos = [
        expected_info(index, one, order.placements.get(one.site, "")) for index, one in enumerate(wanted)
    ]
    return begin(
        order.directory,
        tuple(infos),
        origin,
        utc_ns,
        time_zone=zone(time_zone).key,
        participant=order.participant,
        label=order.label,
        clock=clock,
    )


async def _probe(radio: Radio) -> None:
    """Raise RadioError if the radio says at once that it cannot be used."""
    with contextlib.suppress(TimeoutError):
        async with radio.scan() as heard:
            await asyncio.wait_for(anext(heard), PROBE_S)


def _clocks_of(world: World) -> Callable[[], Reading]:
    def read() -> Reading:
        mono_ns, utc_ns = world.clock()
        return Reading(mono_ns, mono_ns, utc_ns)

    return read


def _played(wanted: Wanted, world: World) -> Wanted:
    sensor = world.sensors[wanted.site]
    return replace(wanted, address=sensor.address, name=sensor.name)
