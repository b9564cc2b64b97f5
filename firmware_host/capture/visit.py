"""One connection for a talk with a sensor outside of nights: examined, or listened to in the raw."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from firmware_host.capture import script
from firmware_host.capture.ble import Connection, Radio
from firmware_host.capture.bounded import bounded
from firmware_host.capture.hearing import Seen
from firmware_host.errors import SensorError
from firmware_host.recording.writer import Clock
from firmware_host.sensors.protocol import Driver, Model, Script

SCRIPT_S = 60.0
TRIES = 3
AGAIN_S = 10.0

Hear = Callable[[str, bytes], object]
"""Takes a notification: characteristic and bytes."""


@dataclass(frozen=True)
class Visit:
    """A connection that is open, with what it sends going to a hearer."""

    connection: Connection
    inbox: script.Inbox

    async def run(self, steps: Script) -> None:
        """Carry out a script; raises as `script.run`, and SensorError where it does not come to its end."""
        try:
            await bounded(script.run(steps, self.connection, self.inbox), SCRIPT_S)
        except TimeoutError:
            raise SensorError(f"It did not do as it was asked within {SCRIPT_S:.0f} s.") from None


@contextlib.asynccontextmanager
async def visiting(
    radio: Radio, seen: Seen, model: Model | None, clock: Clock, hear: Hear, stop: Driver | None = None
) -> AsyncIterator[Visit]:
    """Connect to a sensor; at the end stop it by its driver, if there is one, and close.

    Raises
    ------
    RadioError, SensorError
        If it cannot be connected in three attempts.
    """
    connection = await _connected(radio, seen, model)
    visit = Visit(connection, script.Inbox(clock))
    hearing = asyncio.create_task(_hear(visit.inbox, hear))
    try:
        yield visit
        if hearing.done():
            hearing.result()  # a fault in what hears
        if stop is not None:
            await script.stop(stop, connection, visit.inbox)
    finally:
        hearing.cancel()
        await asyncio.wait({hearing})
        await connection.close()


async def _connected(radio: Radio, seen: Seen, model: Model | None) -> Connection:
    for attempt in range(TRIES):
        try:
            return await radio.connect(
                await _again(radio, seen) if attempt else seen,
                lambda: None,
                pair=model is not None and model.needs_pairing and sys.platform == "win32",
            )
        except SensorError:
            if attempt == TRIES - 1:
                raise
    raise AssertionError  # the last attempt returns or raises


async def _again(radio: Radio, seen: Seen) -> Seen:
    """See a sensor anew: systems forget where one was that advertised a while ago."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(AGAIN_S), radio.scan(seen.adapter) as heard:
            async for one in heard:
                if one.address == seen.address:
                    return one
    raise SensorError(f"{seen.advertisement.name or seen.address} was not heard for {AGAIN_S:.0f} s.")


async def _hear(inbox: script.Inbox, hear: Hear) -> None:
    while True:
        await inbox.arrived.wait()
        inbox.arrived.clear()
        while (note := inbox.take()) is not None:
            hear(note.characteristic, note.data)
            inbox.decoded.set()
