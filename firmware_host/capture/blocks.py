"""What one sensor sends, gathered into blocks of about a second. No I/O.

The night keeps one arrival a block, and times are fitted to the earliest arrivals. Samples arrive late, in
bursts; so a block ends with the batch that was least late of those it could end with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firmware_host.sensors.protocol import Batch, Counts

GATHER_NS = 1_200_000_000
"""A block is made of so much; what arrived after its end waits for the next one."""
SHORTEST_NS = 700_000_000
LATE_NS = 1_700_000_000
"""What has waited so long is written as it is: the sensor fell silent."""


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

    @property
    def stop(self) -> int:
        """Running number behind the last sample."""
        return self.batch.first + len(self.batch.counts)


class Gathering:
    """The batches of one sensor that are not in the night yet: about a second of them."""

    def __init__(self) -> None:
        self._waiting: list[_Arrived] = []
        self._origin: _Arrived | None = None
        """What arrived first on this count; the rate since then tells which batches are late."""

    def add(self, batch: Batch, mono_ns: int, utc_ns: int) -> list[Block]:
        """Take a batch that arrived at a time; return the blocks, if any, that it completes."""
        if not len(batch.counts):
            return []
        arrived, done = _Arrived(batch, mono_ns, utc_ns), []
        if self._waiting and not _follows(self._waiting[-1], batch):
            if batch.first < self._waiting[-1].stop:
                self._origin = None
            done += self._cut(len(self._waiting))
        self._origin = self._origin or arrived
        self._waiting.append(arrived)
        if mono_ns - self._waiting[0].mono_ns >= GATHER_NS:
            done += self._cut(self._least_late())
        return done

    def overdue(self, mono_ns: int) -> list[Block]:
        """Return what has waited too long at a time."""
        waits = self._waiting and mono_ns - self._waiting[0].mono_ns >= LATE_NS
        return self._cut(len(self._waiting)) if waits else []

    def take(self) -> list[Block]:
        """Return all that waits, at the end of a connection: what comes next is counted anew."""
        self._origin = None
        return self._cut(len(self._waiting))

    def _least_late(self) -> int:
        """Return how many batches make a block that ends with the least late one."""
        origin, last, begin_ns = self._origin, self._waiting[-1], self._waiting[0].mono_ns
        assert origin is not None
        ns_per_sample = (last.mono_ns - origin.mono_ns) / max(1, last.stop - origin.stop)
        late = [
            (one.mono_ns - begin_ns - (one.stop - origin.stop) * ns_per_sample, -i)
            for i, one in enumerate(self._waiting, 1)
            if one.mono_ns - begin_ns >= SHORTEST_NS
        ]
        return -min(late)[1]

    def _cut(self, n: int) -> list[Block]:
        """Return the first n batches as a block."""
        if not n:
            return []
        some, self._waiting = self._waiting[:n], self._waiting[n:]
        last = some[-1]
        counts = np.concatenate([one.batch.counts for one in some])
        return [Block(counts, some[0].batch.first, last.mono_ns, last.utc_ns, last.batch.device_ns)]


def _follows(before: _Arrived, batch: Batch) -> bool:
    """Tell whether no sample is missing between two batches that are alike."""
    return batch.first == before.stop and batch.counts.dtype == before.batch.counts.dtype
