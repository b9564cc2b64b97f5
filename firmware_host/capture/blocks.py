"""What one sensor sends, gathered into blocks of about a second. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firmware_host.sensors.protocol import Batch, Counts

BLOCK_NS = 10**9
LATE_NS = 1_500_000_000
"""A block that has waited so long is written as it is: the sensor fell silent."""


@dataclass(frozen=True)
class Block:
    """Samples without a jump of the counter, as the night keeps them; times are those of the last sample."""

    counts: Counts
    first: int
    mono_ns: int
    utc_ns: int
    device_ns: int | None


@dataclass(frozen=True)
class _Arrived:
    batch: Batch
    mono_ns: int
    utc_ns: int


class Gathering:
    """The batches of one sensor that are not in the night yet: about a second of them."""

    def __init__(self) -> None:
        self._waiting: list[_Arrived] = []

    def add(self, batch: Batch, mono_ns: int, utc_ns: int) -> list[Block]:
        """Take a batch that arrived at a time; return the blocks, if any, that it completes."""
        if not len(batch.counts):
            return []
        done = []
        if self._waiting and not _follows(self._waiting[-1].batch, batch):
            done += self.take()
        self._waiting.append(_Arrived(batch, mono_ns, utc_ns))
        if mono_ns - self._waiting[0].mono_ns >= BLOCK_NS:
            done += self.take()
        return done

    def overdue(self, mono_ns: int) -> list[Block]:
        """Return what has waited too long at a time."""
        waits = self._waiting and mono_ns - self._waiting[0].mono_ns >= LATE_NS
        return self.take() if waits else []

    def take(self) -> list[Block]:
        """Return all that waits, as one block."""
        if not self._waiting:
            return []
        waiting, self._waiting = self._waiting, []
        last = waiting[-1]
        counts = np.concatenate([one.batch.counts for one in waiting])
        return [Block(counts, waiting[0].batch.first, last.mono_ns, last.utc_ns, last.batch.device_ns)]


def _follows(before: Batch, batch: Batch) -> bool:
    """Tell whether no sample is missing between two batches that are alike."""
    return batch.first == before.first + len(before.counts) and batch.counts.dtype == before.counts.dtype
