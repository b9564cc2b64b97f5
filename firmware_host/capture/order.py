"""Samples in order, each once: late batches are put in their place, repeated ones dropped.

A Bluetooth link itself neither repeats nor reorders. BlueZ delivers every packet twice where a subscription
was left behind (bleak issue 2002) or another program listens too; virtual radios do both on purpose.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from firmware_host.sensors.protocol import Batch

HELD = 3
"""So many batches wait for one that is missing before it is held for lost."""
BEHIND = 20
"""So many batches in a row from before the last one: the device counts anew without having said so."""
DOUBLED = 8
"""So many notifications in a row that all came in pairs: everything comes twice."""


class Stamped(NamedTuple):
    """A batch and when its notification arrived."""

    batch: Batch
    mono_ns: int
    utc_ns: int


class Sorter:
    """Gives out batches by their running number, each sample once."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, Stamped] = {}
        self._behind = 0
        self.received = 0
        """Samples given out."""
        self.lost = 0
        """Samples that are missing between them, as far as the numbers tell."""
        self.repeated = 0
        """Batches that were there already."""

    def put(self, stamped: Stamped) -> list[Stamped]:
        """Take a batch; return what is due, in order."""
        first, end = _span(stamped)
        if self._next is None:
            self._next = first
        if end <= self._next or first in self._held:
            self.repeated += 1
            self._behind += 1
            return []
        self._behind = 0
        self._held[first] = stamped
        return self._due(HELD)

    def flush(self) -> list[Stamped]:
        """Return what still waits for something that is missing."""
        return self._due(0)

    @property
    def counts_anew(self) -> bool:
        """Whether the numbers have fallen back for good; `restart` then."""
        return self._behind >= BEHIND

    def restart(self) -> None:
        """Begin at whatever number comes next; to be called after `flush`."""
        self._next, self._behind = None, 0

    def _due(self, may_wait: int) -> list[Stamped]:
        due: list[Stamped] = []
        while self._held and self._next is not None:
            at = min(self._held)
            if at > self._next and len(self._held) <= may_wait:
                break
            stamped = self._held.pop(at)
            first, end = _span(stamped)
            if end <= self._next:
                continue
            self.lost += max(0, first - self._next)
            due.append(_from(stamped, self._next))
            self.received += end - max(first, self._next)
            self._next = end
        return due


def _span(stamped: Stamped) -> tuple[int, int]:
    batch = stamped.batch
    return batch.first, batch.first + len(batch.counts)


def _from(stamped: Stamped, number: int) -> Stamped:
    """Cut off samples before a number: they were given out with another batch."""
    skip = number - stamped.batch.first
    if skip <= 0:
        return stamped
    batch = replace(stamped.batch, counts=stamped.batch.counts[skip:], first=number)
    return stamped._replace(batch=batch)


class Repeats:
    """Tells a notification that is nothing but the one before, delivered once more.

    Where notifications carry a counter or stamp, two equal ones in a row are one. Where they carry none,
    equal ones may be true: a still sensor of low noise, 20 bytes with one sample, repeats itself by chance up
    to once in fifty, and each sample taken away would shift all later ones in time. So there they are dropped
    only while *everything* comes twice, as BlueZ's do: from the connection's start as long as no notification
    came alone, later after `DOUBLED` pairs in a row.
    """

    def __init__(self, numbered: bool) -> None:
        self._numbered = numbered
        self._last: tuple[str, bytes] | None = None
        self._paired = False  # the last one was the second of a pair
        self._pairs = DOUBLED
        self._sampled: set[str] = set()

    @property
    def doubled(self) -> bool:
        """Whether everything comes twice."""
        return self._pairs >= DOUBLED

    def is_repeat(self, characteristic: str, data: bytes) -> bool:
        """Tell whether to drop this notification."""
        this = (characteristic, data)
        counts = characteristic in self._sampled
        if counts and this == self._last and not self._paired:
            self._paired = True
            drop = self._numbered or self.doubled
            self._pairs = min(self._pairs + 1, DOUBLED)
            return drop
        if counts and self._last is not None and self._last[0] == characteristic and not self._paired:
            self._pairs = 0  # the one before came alone
        self._last, self._paired = this, False
        return False

    def samples_come_on(self, characteristic: str) -> None:
        """Note where samples come; elsewhere are answers to commands, which may well be equal."""
        self._sampled.add(characteristic)
