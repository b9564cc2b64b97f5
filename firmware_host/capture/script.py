"""Runs a driver's script over a connection, while what the sensor sends meanwhile goes on being received."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from firmware_host.capture.ble import Connection
from firmware_host.capture.bounded import bounded
from firmware_host.errors import RadioError, SensorError
from firmware_host.sensors.protocol import (
    Await,
    Driver,
    MissingPartError,
    NoAnswerError,
    Pause,
    Read,
    Script,
    Step,
    Subscribe,
    Write,
)

QUEUE = 4096
"""Notifications that may wait to be decoded: 20 s of a sensor that sends each sample by itself."""
STOP_S = 1.5
"""For the stop script."""

_log = logging.getLogger(__name__)


class Notification(NamedTuple):
    """What a sensor sent, and when it was handed over: both clocks of the computer, read together."""

    characteristic: str
    data: bytes
    mono_ns: int
    utc_ns: int
    dropped: int = 0
    """How many did not fit in front of it."""


class Inbox:
    """What waits between the notification callback, which only stamps and queues, and the decoder."""

    def __init__(self, clock: Callable[[], tuple[int, int]], size: int = QUEUE) -> None:
        self._clock = clock
        self._size = size
        self._waiting: deque[Notification] = deque()
        self._dropped = 0
        self.arrived = asyncio.Event()
        """Set when something waits; the decoder clears it."""
        self.decoded = asyncio.Event()
        """To be set after each notification that the driver has received."""

    def put(self, characteristic: str, data: bytes) -> None:
        """Take a notification; what does not fit any more is counted and forgotten."""
        if len(self._waiting) >= self._size:
            self._dropped += 1
            return
        self._waiting.append(Notification(characteristic, data, *self._clock(), self.take_dropped()))
        self.arrived.set()

    def take(self) -> Notification | None:
        """Return the oldest that waits."""
        return self._waiting.popleft() if self._waiting else None

    def take_dropped(self) -> int:
        """Return how many did not fit behind all that waits."""
        dropped, self._dropped = self._dropped, 0
        return dropped


async def run(script: Script, connection: Connection, inbox: Inbox) -> None:
    """Carry out a script to its end; its subscriptions deliver into `inbox`.

    An `Await` is looked at again after each notification that whoever empties the inbox has given to the
    driver (`inbox.decoded`); in vain, `NoAnswerError` is thrown into the script, as is `MissingPartError`.

    Raises
    ------
    SensorError
        If the script raises it, the sensor does not answer and the script does not mind, or is lost; also if
        its answers are such that the script fails over them.
    RadioError
        If Bluetooth went away.
    """
    try:
        step = next(script)
        while True:
            try:
                answer = await _carry_out(step, connection, inbox)
            except (NoAnswerError, MissingPartError) as error:
                step = script.throw(error)
            else:
                step = script.send(answer)
    except StopIteration:
        return
    except NoAnswerError as error:
        raise SensorError(str(error)) from error
    except (SensorError, RadioError, TimeoutError):
        raise
    except Exception as error:  # a fault of ours, over answers that nobody thought of
        _log.exception("a script failed")
        raise SensorError(f"It answered with what is not understood ({type(error).__name__}).") from error
    finally:
        script.close()


async def stop(driver: Driver, connection: Connection, inbox: Inbox) -> None:
    """Have a sensor end its stream, so that it spares its battery; one that is silent is left so."""
    with contextlib.suppress(SensorError, RadioError, TimeoutError):
        await bounded(run(driver.stop(), connection, inbox), STOP_S)


async def _carry_out(step: Step, connection: Connection, inbox: Inbox) -> bytes:
    match step:
        case Subscribe(characteristic):
            await connection.subscribe(characteristic, partial(inbox.put, characteristic))
        case Read(characteristic):
            return await connection.read(characteristic)
        case Write(characteristic, data, response):
            await connection.write(characteristic, data, response)
        case Pause(seconds):
            await asyncio.sleep(seconds)
        case Await():
            await _await(step, inbox)
    return b""


async def _await(step: Await, inbox: Inbox) -> None:
    try:
        async with asyncio.timeout(step.within_s):
            while not step.done():
                inbox.decoded.clear()
                await inbox.decoded.wait()
    except TimeoutError:
        raise NoAnswerError(f"The sensor did not send {step.what}.") from None
