"""What an evening's commands work with: the computer's radio, or a virtual world in its place."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from firmware_host.capture.asked import Virtual, World
from firmware_host.capture.ble import Backend, Radio
from firmware_host.capture.identity import Wanted
from firmware_host.capture.permissions import radio_trouble
from firmware_host.errors import RadioError
from firmware_host.recording.writer import Clock, system_clock


@dataclass(frozen=True)
class Surroundings:
    """A radio that can be used, and the time."""

    radio: Radio
    clock: Clock
    world: World | None = None

    def wanted(self, sensors: Sequence[Wanted]) -> tuple[Wanted, ...]:
        """Return sensors as they are found here: virtual ones by the address that they are played with."""
        return tuple(sensors) if self.world is None else as_played(sensors, self.world)


def as_played(sensors: Sequence[Wanted], world: World) -> tuple[Wanted, ...]:
    """Return sensors of a virtual world by the addresses and names that they are played with."""
    played = world.sensors
    return tuple(
        replace(one, address=played[one.site].address, name=played[one.site].name) for one in sensors
    )


@contextlib.asynccontextmanager
async def surroundings(virtual: Virtual | None, adapters: Sequence[str] = ()) -> AsyncIterator[Surroundings]:
    """Enter the virtual world if there is one, and make sure that the radio can be used.

    Raises
    ------
    RadioError
        If it cannot.
    """
    async with contextlib.AsyncExitStack() as stack:
        world = None if virtual is None else await stack.enter_async_context(virtual)
        radio = Radio(Backend(*world.backend) if world else None, adapters)
        if (trouble := await radio_trouble(radio)) is not None:
            raise RadioError(trouble)
        yield Surroundings(radio, system_clock if world is None else world.clock, world)
