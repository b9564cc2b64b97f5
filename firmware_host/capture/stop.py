"""How a recording is asked to end: from a key, a signal or a test, in any thread, as often as one likes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
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
    """Let Ctrl-C and SIGTERM ask for the end."""

    def handler(number: int, _: FrameType | None) -> None:
        if stop.over:
            raise KeyboardInterrupt
        stop.ask({signal.SIGINT: "interrupted"}.get(signal.Signals(number), "terminated"))

    with _handled(("SIGINT", "SIGTERM", "SIGBREAK"), handler):
        yield


@contextlib.contextmanager
def outliving_terminal() -> Iterator[None]:
    """Let a terminal that is closed (SIGHUP) end nothing."""
    with _handled(("SIGHUP",), signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handled(
    names: Sequence[str], action: Callable[[int, FrameType | None], None] | signal.Handlers
) -> Iterator[None]:
    """Do this at signals, those that the system has; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, action) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
