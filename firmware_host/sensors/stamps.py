"""Running sample numbers from what a device tells with its packets: a time, or a counter and a time.

Without a counter a jump of the stamps by more than the packet's samples take is a gap. The device's true rate
differs from the nominal by up to 6 % and is measured meanwhile, so that also long gaps are numbered right;
stamps are rounded (often to milliseconds) and jitter.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

from firmware_host.sensors.protocol import Batch, Counts, Garbled, Restarted

RATE_ERROR = 0.06
"""A device's rate is never further from the nominal one."""
DRIFT = 1e-4
"""How well a measured rate holds for the next minute, as its temperature changes."""
STEADY = 1e-3
"""A rate this well known lets jitter be smoothed."""
GAIN = 0.1
LEAP_NS = 3_000_000_000
"""A longer jump, or one back, is believed once the next packet goes on from there."""
LONGEST_NS = 600_000_000_000
"""A longer jump is no gap but a clock that was set."""
JITTER_S = 0.5
"""By which the times of packets that carry a counter may err: some devices stamp when they find time to."""
REMEMBERED = 64
"""Packets among which a repeated or late one finds its place."""
MARKS = 60
MARK_NS = 1_000_000_000
"""The rate is measured over a minute."""


@dataclass(frozen=True)
class _Placed:
    stamp_ns: int
    first: int
    size: int

    @property
    def end(self) -> int:
        return self.first + self.size


class Numbering:
    """Numbers the packets of one connection.

    Parameters
    ----------
    fs_hz
        The nominal rate.
    stamp_of
        The sample of a packet that its stamp belongs to.
    resolution_ns
        How exact a stamp is: its rounding and jitter; a packet should last four times as long.
    wrap_ns
        After which time the device's stamp begins anew at 0; None: never.
    """

    def __init__(
        self,
        fs_hz: float,
        *,
        stamp_of: Literal["first", "last"],
        resolution_ns: int = 1_000_000,
        wrap_ns: int | None = None,
    ) -> None:
        self._per_ns = fs_hz / 1e9
        self._error = RATE_ERROR
        self._of_first = stamp_of == "first"
        self._resolution_ns = resolution_ns
        self._wrap_ns = wrap_ns
        self._recent: list[_Placed] = []  # by stamp
        self._last_ns = 0.0  # stamp of the newest packet, without its jitter
        self._unit = 0  # packets hold multiples of so many samples
        self._marks: deque[tuple[int, int]] = deque(maxlen=MARKS)  # number of the stamped sample, stamp
        self._waiting: tuple[Counts, int] | None = None  # a leap

    @property
    def fs_hz(self) -> float:
        """The rate as measured so far, on the device's clock."""
        return self._per_ns * 1e9

    def put(self, counts: Counts, stamp_ns: int) -> list[Batch | Restarted | Garbled]:
        """Take a packet's samples (n, 3) and its stamp; return what it says.

        A repeated packet gets the numbers that it had, a late one those that were left out for it. A packet
        from another time is kept back until the next one shows that it is no damaged stamp: then it follows
        a long gap, or the device counts anew; numbers go on rising then.
        """
        if len(counts) == 0:
            return []
        if not self._recent:
            return [self._take(counts, stamp_ns, 0)]
        stamp_ns = self._unwrapped(stamp_ns)
        waiting, self._waiting = self._waiting, None
        first = self._place(len(counts), stamp_ns)
        if first is not None:
            bad = [Garbled("a stamp from another time")] if waiting else []
            return [*bad, self._take(counts, stamp_ns, first)]
        if waiting is not None and waiting[1] == stamp_ns:
            self._waiting = waiting
            return []
        if waiting is None or not 0 < stamp_ns - waiting[1] <= LEAP_NS:
            self._waiting = (counts, stamp_ns)
            return [Garbled("a stamp from another time")] if waiting else []
        return [*self._leap(*waiting), *self.put(counts, stamp_ns)]

    def _unwrapped(self, stamp_ns: int) -> int:
        if self._wrap_ns is None:
            return stamp_ns
        near = self._recent[-1].stamp_ns
        half = self._wrap_ns // 2
        return near + (stamp_ns - near + half) % self._wrap_ns - half

    def _place(self, size: int, stamp_ns: int) -> int | None:
        """Return the number of a packet's first sample; None: its stamp leaps."""
        newest = self._recent[-1]
        if abs(stamp_ns - newest.stamp_ns) > LEAP_NS:
            return None
        if stamp_ns > newest.stamp_ns:
            return newest.end + self._missing(newest, size, stamp_ns - self._last_ns)
        after = next(i for i, placed in enumerate(self._recent) if placed.stamp_ns >= stamp_ns)
        later = self._recent[after]
        if later.stamp_ns == stamp_ns:
            return later.first
        if after == 0:
            return None
        before = self._recent[after - 1]
        first = before.end + self._missing(before, size, stamp_ns - before.stamp_ns)
        first = min(first, later.first - size)
        return first if first >= before.end else None

    def _missing(self, before: _Placed, size: int, step_ns: float) -> int:
        """Return how many samples are missing between a packet and the next one that was received."""
        step = step_ns * self._per_ns
        missing = step - (before.size if self._of_first else size)
        doubt = self._doubt(step_ns)
        # A link loses whole packets, so that a step of less than a quarter packet is jitter.
        if missing <= max(0.5, 0.25 * min(size, before.size)) + doubt:
            return 0
        unit = math.gcd(self._unit, size)
        whole = round(missing / unit) * unit
        return whole if abs(missing - whole) <= 0.25 * unit + doubt else round(missing)

    def _doubt(self, step_ns: float) -> float:
        """Return by how many samples a step may be wrong because the rate is not known well."""
        return step_ns * self._per_ns * self._error

    def _take(self, counts: Counts, stamp_ns: int, first: int) -> Batch:
        size = len(counts)
        placed = _Placed(stamp_ns, first, size)
        if not self._recent or stamp_ns > self._recent[-1].stamp_ns:
            self._advance(placed)
        elif all(stamp_ns != other.stamp_ns for other in self._recent):
            self._recent.append(placed)
            self._recent.sort(key=lambda one: one.stamp_ns)
        last_ns = stamp_ns + (round((size - 1) / self._per_ns) if self._of_first else 0)
        return Batch(counts, first, last_ns)

    def _advance(self, placed: _Placed) -> None:
        """Go on to a new packet: measure the rate and follow the stamps."""
        self._unit = math.gcd(self._unit, placed.size)
        stamped = placed.first + (0 if self._of_first else placed.size - 1)
        if self._recent:
            step_ns = placed.stamp_ns - self._last_ns
            gap = placed.first - self._recent[-1].end
            if gap and self._doubt(step_ns) > 0.25 * self._unit:
                self._marks.clear()  # its number is a guess, which the rate must not be measured by
            self._measure(stamped, placed.stamp_ns)
            newest = self._recent[-1]
            samples = placed.first - newest.first if self._of_first else placed.end - newest.end
            expected_ns = self._last_ns + samples / self._per_ns
            late_ns = placed.stamp_ns - expected_ns
            steady = self._error <= STEADY and abs(late_ns) * self._per_ns <= max(0.5, 0.25 * placed.size)
            self._last_ns = expected_ns + (GAIN if steady else 1.0) * late_ns
        else:
            self._last_ns = placed.stamp_ns
        if not self._marks or placed.stamp_ns - self._marks[-1][1] >= MARK_NS:
            self._marks.append((stamped, placed.stamp_ns))
        self._recent.append(placed)
        del self._recent[:-REMEMBERED]

    def _measure(self, stamped: int, stamp_ns: int) -> None:
        if not self._marks or stamp_ns <= self._marks[0][1]:
            return
        span_ns = stamp_ns - self._marks[0][1]
        error = max(2 * self._resolution_ns / span_ns, DRIFT)
        if error <= 1.1 * self._error:  # the span of the marks is not always the same
            self._error = error
            self._per_ns = (stamped - self._marks[0][0]) / span_ns

    def _leap(self, counts: Counts, stamp_ns: int) -> list[Batch | Restarted | Garbled]:
        """Go on from another time: after a long gap, or with a device that counts anew."""
        newest = self._recent[-1]
        if 0 < stamp_ns - newest.stamp_ns <= LONGEST_NS:
            missing = self._missing(newest, len(counts), stamp_ns - self._last_ns)
            return [self._take(counts, stamp_ns, newest.end + missing)]
        self._recent.clear()
        self._marks.clear()
        return [Restarted(), self._take(counts, stamp_ns, newest.end)]


@dataclass(frozen=True)
class _Counted:
    counts: Counts
    index: int
    device_ns: int

    @property
    def end(self) -> int:
        return self.index + len(self.counts)


class Counting:
    """Numbers the packets of one connection that carry a counter of samples and a time.

    The counter says what is missing; the time tells a late packet from a damaged one and from a device that
    counts anew.

    Parameters
    ----------
    fs_hz
        The nominal rate.
    wrap
        Where the counter begins anew at 0; None: it is not bounded.
    """

    def __init__(self, fs_hz: float, *, wrap: int | None = None) -> None:
        self._fs_hz = fs_hz
        self._wrap = wrap
        self._newest: _Counted | None = None
        self._offset = 0  # running number less the counter
        self._waiting: _Counted | None = None

    def put(self, counts: Counts, index: int, device_ns: int) -> list[Batch | Restarted | Garbled]:
        """Take samples (n, 3), the counter of the first, and the device's time of the last.

        A packet whose counter and time do not belong together is kept back until the next one shows whether
        it was damaged, or the device counts anew; numbers go on rising then.
        """
        if len(counts) == 0:
            return []
        newest, waiting, self._waiting = self._newest, self._waiting, None
        packet = _Counted(counts, self._unwrapped(index), device_ns)
        bad = [Garbled("a counter from another time")] if waiting else []
        if newest is None or self._fits(newest, packet):
            return [*bad, self._take(packet)]
        if waiting is None or packet.end <= waiting.end or not self._fits(waiting, packet):
            repeated = waiting is not None and packet.device_ns == waiting.device_ns
            self._waiting = packet
            return [] if repeated else [*bad]
        self._offset += newest.end - waiting.index
        self._newest = None
        return [Restarted(), self._take(waiting), self._take(packet)]

    def _unwrapped(self, index: int) -> int:
        if self._wrap is None or self._newest is None:
            return index
        near = self._newest.end
        half = self._wrap // 2
        return near + (index - near + half) % self._wrap - half

    def _fits(self, before: _Counted, packet: _Counted) -> bool:
        """Tell whether counter and time went on, or back, by the same."""
        step_s = (packet.device_ns - before.device_ns) / 1e9
        if abs(step_s) > LONGEST_NS / 1e9:
            return False
        apart_s = abs(step_s - (packet.end - before.end) / self._fs_hz)
        return apart_s <= JITTER_S + (RATE_ERROR + 0.01) * abs(step_s)

    def _take(self, packet: _Counted) -> Batch:
        if self._newest is None or packet.end > self._newest.end:
            self._newest = packet
        return Batch(packet.counts, packet.index + self._offset, packet.device_ns)
