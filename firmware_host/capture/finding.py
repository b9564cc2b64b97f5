"""Which sensors are in range."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from firmware_host.capture.asked import Virtual
from firmware_host.capture.ble import Radio
from firmware_host.capture.hearing import Seen
from firmware_host.capture.setups import Setup
from firmware_host.capture.surroundings import surroundings
from firmware_host.sensors import identify

SCAN_S = 8.0
"""Sensors advertise every 0.02 to 2 s; a name may come in a second packet."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One device that was heard."""

    name: str
    address: str
    """On macOS an identifier that is this computer's own."""
    model: str | None
    """Name of its model; None: no sensor that is known."""
    label: str | None
    rssi_dbm: int
    """Strongest that was heard; -127: it is connected to this computer already."""
    adapter: str | None
    site: str | None = None
    """Where the set-up has it."""


async def hear(
    radio: Radio, seconds: float, progress: Callable[[float], None] = lambda _: None
) -> list[Seen]:
    """Return what advertises, strongest first, each device once as it was heard last, with all it said."""
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    found: dict[str, Seen] = {}

    async def listen() -> None:
        async with radio.scan() as heard:
            async for seen in heard:
                found[seen.address] = _together(found.get(seen.address), seen)
                progress(min(1.0, (loop.time() - begin_s) / seconds))

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(listen(), seconds)
    return sorted(found.values(), key=lambda seen: (-seen.rssi, seen.address))


def _together(before: Seen | None, seen: Seen) -> Seen:
    """Put together what two advertisements said: each may leave out what the other has."""
    if before is None:
        return seen
    old, new = before.advertisement, seen.advertisement
    return replace(
        seen,
        advertisement=replace(
            new,
            name=new.name or old.name,
            services=tuple(dict.fromkeys((*old.services, *new.services))),
            manufacturer={**old.manufacturer, **new.manufacturer},
        ),
        rssi=max(before.rssi, seen.rssi),
    )


def found_from(seen: Seen, setup: Setup | None = None) -> Found:
    """Return what is known of a device, with its site in a set-up."""
    model = identify(seen.advertisement)
    return Found(
        name=seen.advertisement.name,
        address=seen.address,
        model=model.name if model else None,
        label=model.label if model else None,
        rssi_dbm=seen.rssi,
        adapter=seen.adapter,
        site=_site(seen, setup),
    )


def _site(seen: Seen, setup: Setup | None) -> str | None:
    for sensor in setup.sensors if setup else ():
        if sensor.address.casefold() == seen.address.casefold():
            return sensor.site
    return None


def scan(
    *,
    seconds: float = SCAN_S,
    adapters: Sequence[str] = (),
    setup: Setup | None = None,
    virtual: Virtual | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Found]:
    """Return the devices in range, strongest first; those that no model is known of too.

    Raises
    ------
    RadioError
        If Bluetooth cannot be used.
    """

    async def run() -> list[Found]:
        async with surroundings(virtual, adapters) as here:
            return [found_from(seen, setup) for seen in await hear(here.radio, seconds, progress)]

    return asyncio.run(run())
