"""An event loop in which hours pass in seconds, the same way each time, and the clock of a virtual world.

    with asyncio.Runner(loop_factory=TimeLapseLoop) as runner:
        runner.run(main())

Its clock stands still while anything is ready to run, and moves on to the next timer when all wait: whoever
sleeps, times out or watches a clock of `loop.time()` sees ordinary seconds, however busy the computer is.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable


class TimeLapseLoop(asyncio.SelectorEventLoop):
    """A loop whose seconds pass at most `speed` times as fast as real ones.

    The limit is for what runs in threads meanwhile, as writing to disk: it is waited for in real time.
    """

    def __init__(self, speed: float = 1000.0) -> None:
        self.now_s = 1000.0
        super().__init__(_Lapse(self, speed))

    def time(self) -> float:
        """Return the time of this loop in seconds."""
        return self.now_s


_SHORTEST_WAIT_S = 1e-3
"""What a selector can wait for; shorter waits are saved up."""


class _Lapse(selectors.DefaultSelector):
    """A selector that waits a `speed`-th of what it is told and sets its loop's clock on by the whole."""

    def __init__(self, loop: TimeLapseLoop, speed: float) -> None:
        super().__init__()
        self._loop, self._speed, self._owed_s = loop, speed, 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        self._owed_s += timeout / self._speed
        if self._owed_s < _SHORTEST_WAIT_S:
            events = super().select(0)
            if not events:
                self._loop.now_s += timeout
            return events
        begin_s = time.perf_counter()
        events = super().select(self._owed_s)
        waited_s = time.perf_counter() - begin_s
        self._loop.now_s += min(timeout, waited_s * self._speed) if events else timeout
        self._owed_s = 0.0
        return events


class VirtualClock:
    """The clock of a virtual world: seconds since it began, `speed` of them to a second of the event loop."""

    def __init__(self, speed: float = 1.0) -> None:
        self._loop, self._speed = asyncio.get_running_loop(), speed
        self._began_s, self._began_utc_ns = self._loop.time(), time.time_ns()

    def now_s(self) -> float:
        """Return the seconds since the world began."""
        return (self._loop.time() - self._began_s) * self._speed

    def call_soon(self, call: Callable[..., object], *arguments: object) -> asyncio.Handle:
        """Call something next, after what is called already."""
        return self._loop.call_soon(call, *arguments)

    def call_at(self, at_s: float, call: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        """Call something at a time of this world."""
        return self._loop.call_at(self._began_s + at_s / self._speed, call, *arguments)

    async def sleep(self, seconds: float) -> None:
        """Wait for some seconds of this world; others run in any case."""
        await asyncio.sleep(max(0.0, seconds / self._speed))

    def mono_ns(self, at_s: float) -> int:
        """Return what the monotonic clock shows at a time of this world."""
        return round((self._began_s + at_s) * 1e9)

    def stamp(self) -> tuple[int, int]:
        """Return this world's monotonic clock and UTC, ns: at speed 1 those of the computer."""
        now_s = self.now_s()
        return self.mono_ns(now_s), self._began_utc_ns + round(now_s * 1e9)
