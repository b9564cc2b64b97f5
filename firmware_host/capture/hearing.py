"""One adapter's ear: hears advertisements for all who listen, and falls silent while one connects.

BlueZ refuses to connect while it scans (bleak issue 1036), and reports a device once per scan of about ten
seconds, or not at all where it was heard before the kernel had noted that the scan is on; so scans are short,
and a new one begins when somebody new listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from firmware_host.capture.bounded import bounded
from firmware_host.errors import RadioError
from firmware_host.sensors.protocol import Advertisement

WINDOW_S = 3.0
"""The longest scan: the next one finds out that the adapter is gone, and hears the same sensor again."""
YOUNG_S = 1.0
"""A scan that is younger serves somebody who begins to listen as it is."""
SETTLED_S = 1.5
"""What advertises has been heard by now; what is connected already comes next."""
START_S = 8.0
HUNG_S = 60.0
"""A start that has not been answered for so long never will be."""
STOP_S = 3.0
LONG_S, REST_S = 120.0, 3.0
"""Who has listened so long in vain lets the streams of others have the air to themselves in between; an
adapter that failed is tried again after as long."""
UNREAD = 256
"""Advertisements that wait for a listener; of more, the oldest are forgotten."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """One advertisement, or a sensor found to be connected to this computer already (`rssi` -127)."""

    address: str
    """On macOS an identifier that is this computer's own."""
    advertisement: Advertisement
    rssi: int
    """dBm."""
    adapter: str | None
    device: Any = field(repr=False)
    """bleak's BLEDevice."""
    at_s: float = 0.0
    """Time of the event loop."""


class Scanner(Protocol):
    """A scan of one adapter; `start` raises nothing but RadioError, `stop` nothing."""

    async def start(self) -> None:
        """Begin."""

    async def connected(self) -> list[Seen]:
        """Return what is connected to the computer already, by nobody of this process."""
        ...

    async def stop(self) -> None:
        """End."""


Listener = asyncio.Queue["tuple[Ear, Seen | RadioError | None]"]
"""Which ear tells what: None when a scan has begun; a RadioError when none could be, every few seconds."""


class Ear:
    """One adapter, shared by all links that use it."""

    def __init__(self, scanner: Callable[[Callable[[Seen], None]], Scanner]) -> None:
        self._scanner = scanner
        self._listeners: set[Listener] = set()
        self._lock = asyncio.Lock()  # held while scanning or connecting
        self._connecting = 0
        self._task: asyncio.Task[None] | None = None
        self._starting: tuple[Scanner, asyncio.Task[None]] | None = None
        self._interrupt = asyncio.Event()
        self._began_s = self._newest_s = self._starting_s = 0.0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @contextlib.asynccontextmanager
    async def listening(self, listener: Listener) -> AsyncIterator[None]:
        """Hear into a queue."""
        self._listeners.add(listener)
        self._newest_s = asyncio.get_running_loop().time()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._hear(), name="hearing")
        elif self._newest_s - self._began_s > YOUNG_S:
            self._interrupt.set()
        try:
            yield
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                self._interrupt.set()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._quiet.wait(), STOP_S)

    @contextlib.asynccontextmanager
    async def silence(self) -> AsyncIterator[None]:
        """Hold the adapter for one connection: nothing scans, nobody else connects."""
        self._connecting += 1
        self._interrupt.set()
        try:
            async with self._lock:
                yield
        finally:
            self._connecting -= 1

    async def _hear(self) -> None:
        while self._listeners:
            async with self._lock:
                if self._connecting:  # they wait behind this; the lock is fair
                    await asyncio.sleep(0)  # to all but one that was cancelled and has yet to leave
                    continue
                failed = True
                try:
                    await self._window()
                    failed = False
                except RadioError as error:
                    self._tell(error)
                except Exception:  # noqa: BLE001 - a fault of ours must not leave anybody waiting for ever
                    _log.exception("the search for sensors failed")
                    self._tell(RadioError("The search for sensors failed."))
            if failed or self._began_s - self._newest_s > LONG_S:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._interrupt.wait(), REST_S)

    async def _window(self) -> None:
        """Scan once.

        A start that takes too long is not cancelled, as bluetoothd would go on scanning for nobody and refuse
        the next (InProgress): the next windows wait for the same one, for a minute.
        """
        self._interrupt.clear()
        self._began_s = asyncio.get_running_loop().time()
        if self._starting is None:
            scanner = self._scanner(self._tell)
            self._starting = scanner, asyncio.create_task(scanner.start(), name="scan start")
            self._starting_s = self._began_s
        scanner, start = self._starting
        self._quiet.clear()
        try:
            await asyncio.wait({start}, timeout=START_S)
            if not start.done():
                if asyncio.get_running_loop().time() - self._starting_s > HUNG_S:
                    start.cancel()
                    self._starting = None
                raise RadioError("Bluetooth does not answer: switch it off and on again.")
            self._starting = None
            if start.cancelled():
                raise RadioError("Bluetooth does not answer: switch it off and on again.")
            start.result()
            try:
                self._tell(None)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._interrupt.wait(), SETTLED_S)
                    return
                with contextlib.suppress(TimeoutError):
                    for seen in await bounded(scanner.connected(), STOP_S):
                        self._tell(seen)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._interrupt.wait(), WINDOW_S - SETTLED_S)
            finally:
                try:
                    await bounded(scanner.stop(), STOP_S)
                except TimeoutError:
                    _log.warning("The Bluetooth scan did not end in time.")
        finally:
            self._quiet.set()

    def _tell(self, item: Seen | RadioError | None) -> None:
        for listener in self._listeners:
            if listener.full():
                listener.get_nowait()
            listener.put_nowait((self, item))
