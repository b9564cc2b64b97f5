"""How a recording is asked to end: from a key, a signal or a test, in any thread, as often as one likes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class Stop:
    """A wish to end, with its reason in a few words; the first counts."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.times = 0
        """How often it was asked for."""
        self.over = False
        """The night is on disk: a signal need no longer wait for anything."""
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def ask(self, reason: str) -> None:
        """Ask for the end; may be called from a signal handler and from any thread."""
        self.reason = self.reason or reason
        self.times += 1
        if self._waiter is not None:
            loop, asked = self._waiter
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(asked.set)

    async def wait(self, seconds: float) -> None:
        """Wait until somebody asks, at most so long."""
        asked = asyncio.Event()
        self._waiter = asyncio.get_running_loop(), asked
        if self.reason is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), seconds)
        self._waiter = None


@contextlib.contextmanager
def ended_by_signals(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM ask for the end, and let a terminal that is closed (SIGHUP) end nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, _: FrameType | None) -> None:
        if stop.over:
            raise KeyboardInterrupt
        stop.ask({signal.SIGINT: "interrupted"}.get(signal.Signals(number), "terminated"))

    wanted: dict[str, Callable[[int, FrameType | None], None] | signal.Handlers] = {
        "SIGINT": handler,
        "SIGTERM": handler,
        "SIGBREAK": handler,
        "SIGHUP": signal.SIG_IGN,
    }
    before = {
        number: signal.signal(number, action)
        for name, action in wanted.items()
        if (number := getattr(signal, name, None)) is not None
    }
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
