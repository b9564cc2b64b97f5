"""What one sensor sends, gathered into blocks of about a second. No I/O.

The night keeps one arrival a block, and times are fitted to the earliest arrivals. Samples arrive late, in
bursts; so a block ends with the batch that was least late of those it could end with.

Where samples carry no number, what is lost is not missed. But a pause that is not made up for tells it: all
that comes behind it is later by what was lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firmware_host.sensors.protocol import Batch, Counts

GATHER_NS = 1_200_000_000
"""A block is made of so much; what arrived after its end waits for the next one."""
SHORTEST_NS = 700_000_000
MOST_SAMPLES = 32_768
"""A block is made of no more, however soon they came."""
LATE_NS = 1_700_000_000
"""What has waited so long is written as it is: the sensor fell silent."""

PAUSE_NS = 300_000_000
"""A pause of an unnumbered stream that is looked at; shorter ones are hidden among bursts and stalls."""
MADE_UP_NS = 1_000_000_000
"""What a pause has held up comes within this time behind it."""
LOST_SHARE = 0.5
"""A pause of which more than this share stays is one in which samples were lost."""
RATE_FROM_NS = 5 * 10**9
"""The rate is not known well enough before."""


@dataclass(frozen=True)
class Block:
    """Samples without a jump of the counter, as the night keeps them; times are those of the last sample."""

    counts: Counts
    first: int
    mono_ns: int
    utc_ns: int
    device_ns: int | None
    lost_ns: tuple[int, int] | None = None
    """When samples began to be missing in front of it that its number does not tell: monotonic and UTC."""


@dataclass(frozen=True)
class _Arrived:
    batch: Batch
    mono_ns: int
    utc_ns: int

    @property
    def stop(self) -> int:
        """Running number behind the last sample."""
        return self.batch.first + len(self.batch.counts)


@dataclass(frozen=True)
class _Pause:
    at: int
    """How many batches wait in front of it."""
    begin_ns: int
    end_ns: int
    ns_per_sample: float
    """As measured before it."""


class Gathering:
    """The batches of one sensor that are not in the night yet: about a second of them."""

    def __init__(self) -> None:
        self.numbered = True
        """Whether a jump of the running number tells how many samples were lost."""
        self._waiting: list[_Arrived] = []
        self._ended: _Arrived | None = None
        """The batch that the last block ended with."""
        self._pause: _Pause | None = None
        self._lost_ns: tuple[int, int] | None = None
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
        self._look_for_pause(arrived)
        self._waiting.append(arrived)
        if arrived.stop - self._waiting[0].batch.first >= MOST_SAMPLES:
            done += self._cut(len(self._waiting))
        elif self._pause is not None:
            if mono_ns - self._pause.end_ns >= MADE_UP_NS:
                done += self._judge(self._pause)
        elif mono_ns - self._waiting[0].mono_ns >= GATHER_NS:
            done += self._cut(self._least_late())
        return done

    def overdue(self, mono_ns: int) -> list[Block]:
        """Return what has waited too long at a time."""
        if not self._waiting or mono_ns - self._waiting[-1].mono_ns < LATE_NS:
            return []
        return self._cut(len(self._waiting)) if self._pause is None else self._judge(self._pause)

    def take(self) -> list[Block]:
        """Return all that waits, at the end of a connection: what comes next is counted anew."""
        done = self._cut(len(self._waiting))
        self._origin = self._ended = self._lost_ns = None
        return done

    def _look_for_pause(self, arrived: _Arrived) -> None:
        """Note a pause of an unnumbered stream in front of a batch."""
        before, origin = self._waiting[-1] if self._waiting else self._ended, self._origin
        if self.numbered or self._pause is not None or before is None or origin is None:
            return
        known_ns = before.mono_ns - origin.mono_ns
        if arrived.mono_ns - before.mono_ns >= PAUSE_NS and known_ns >= RATE_FROM_NS:
            ns_per_sample = known_ns / (before.stop - origin.stop)
            self._pause = _Pause(len(self._waiting), before.mono_ns, arrived.mono_ns, ns_per_sample)

    def _judge(self, pause: _Pause) -> list[Block]:
        """Decide whether what was sent in a pause came behind it; begin anew where it did not."""
        self._pause = None
        ended = [] if self._ended is None else [self._ended]
        before, behind = [*ended, *self._waiting[: pause.at]], self._waiting[pause.at :]
        late_ns, stays_ns = (
            min(self._lateness(one, pause.ns_per_sample) for one in some) for some in (before, behind)
        )
        stays_ns -= late_ns
        if stays_ns < LOST_SHARE * (pause.end_ns - pause.begin_ns):
            return self._cut(len(self._waiting))
        done = self._cut(pause.at)
        self._lost_ns = before[-1].mono_ns, before[-1].utc_ns
        self._origin, self._ended = self._waiting[0], None
        return done + self._cut(len(self._waiting))

    def _least_late(self) -> int:
        """Return how many batches make a block that ends with the least late one."""
        origin, last, begin_ns = self._origin, self._waiting[-1], self._waiting[0].mono_ns
        assert origin is not None
        ns_per_sample = (last.mono_ns - origin.mono_ns) / max(1, last.stop - origin.stop)
        late = [
            (self._lateness(one, ns_per_sample), -i)
            for i, one in enumerate(self._waiting, 1)
            if one.mono_ns - begin_ns >= SHORTEST_NS
        ]
        return -min(late)[1]

    def _lateness(self, one: _Arrived, ns_per_sample: float) -> float:
        assert self._origin is not None
        return one.mono_ns - self._origin.mono_ns - (one.stop - self._origin.stop) * ns_per_sample

    def _cut(self, n: int) -> list[Block]:
        """Return the first n batches as a block."""
        if not n:
            return []
        some, self._waiting = self._waiting[:n], self._waiting[n:]
        self._ended = last = some[-1]
        self._pause = self._pause if self._waiting else None
        counts = np.concatenate([one.batch.counts for one in some])
        lost_ns, self._lost_ns = self._lost_ns, None
        return [Block(counts, some[0].batch.first, last.mono_ns, last.utc_ns, last.batch.device_ns, lost_ns)]


def _follows(before: _Arrived, batch: Batch) -> bool:
    """Tell whether no sample is missing between two batches that are alike."""
    return batch.first == before.stop and batch.counts.dtype == before.batch.counts.dtype
