"""What the computer's clocks tell: that it was asleep, that its time was set, that we were held up. No I/O
but the reading of clocks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

ASLEEP_NS = 10**9
"""The clock that runs through in sleep gained so much on the one that does not."""
STEP_NS = 200_000_000
"""The computer's time was set by more; less is slewed, or within what reading clocks takes."""
HELD_UP_NS = 10 * 10**9
"""Between two looks, which are a second apart: the program stood still, or the computer slept unseen."""
READ_NS = 2_000_000
"""Three clocks that took longer to be read are read again."""


@dataclass(frozen=True)
class Moment:
    """The clocks at one moment, ns."""

    mono_ns: int
    """The monotonic clock that arrivals are told by."""
    through_ns: int
    """A clock that also counts while the computer sleeps; the monotonic one where there is no other."""
    utc_ns: int


@dataclass(frozen=True)
class Slept:
    """The computer was asleep between two looks."""

    seconds: float


@dataclass(frozen=True)
class Stepped:
    """The computer's time was set, forward if positive."""

    seconds: float


@dataclass(frozen=True)
class HeldUp:
    """Nothing was done between two looks, though the computer seems to have been awake."""

    seconds: float


Happened = Slept | Stepped | HeldUp


class Watch:
    """Compares each look at the clocks with the one before."""

    def __init__(self, first: Moment) -> None:
        self._last = first

    def look(self, now: Moment) -> list[Happened]:
        """Return what happened since the last look."""
        last, self._last = self._last, now
        mono_ns = now.mono_ns - last.mono_ns
        asleep_ns = now.through_ns - last.through_ns - mono_ns
        step_ns = now.utc_ns - last.utc_ns - mono_ns
        happened: list[Happened] = []
        if asleep_ns >= ASLEEP_NS:
            happened.append(Slept(asleep_ns / 1e9))
            step_ns -= asleep_ns
        elif mono_ns >= HELD_UP_NS:
            happened.append(HeldUp(mono_ns / 1e9))
        if abs(step_ns) >= STEP_NS:
            happened.append(Stepped(step_ns / 1e9))
        return happened


def read_clocks() -> Moment:
    """Read the computer's clocks, all within a moment."""
    for _ in range(5):
        mono_ns = time.monotonic_ns()
        reading = Moment(mono_ns, _through_ns(), time.time_ns())
        if time.monotonic_ns() - mono_ns < READ_NS:
            break
    return reading


def _through_ns() -> int:
    """Return a clock that runs through in sleep: on Linux its own; macOS's `CLOCK_MONOTONIC_RAW` does.

    Python's monotonic clock stands still in sleep on both; on Windows it runs through and there is no other:
    a sleep is `HeldUp` there.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC_RAW", None)
    return time.monotonic_ns() if clock is None else time.clock_gettime_ns(clock)
