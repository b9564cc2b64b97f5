"""What one connection's notifications say, decoded and in order, on its way to the night."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from firmware_host.capture.hearing import Seen
from firmware_host.capture.order import Repeats, Sorter, Stamped
from firmware_host.capture.script import Notification
from firmware_host.sensors.protocol import (
    Batch,
    Battery,
    Driver,
    Facts,
    Garbled,
    Model,
    Received,
    Restarted,
    Stopped,
    Warned,
)

RATE_OVER_S = 10.0
"""The rate is measured over so long, anew each second."""
SLOW = 0.9
"""A sensor that delivers less than this share of its rate is told of, once; and again after it was well."""
WELL = 0.95
MOST_SAMPLES = 4096
"""No notification holds more."""
BOUND = 2**62
"""Numbers and times of devices stay within: the log keeps 64 bit."""
BATTERY_EVERY_NS = 60 * 10**9
"""A charge that has not changed is told so seldom."""
MOST_RESTARTS = 100
"""A sensor that counts anew so often in one connection is connected anew."""

_log = logging.getLogger(__name__)


class Outlet(Protocol):
    """Where a link delivers; called in the event loop, must not block.

    Times are both clocks of the computer, read together: of samples, when their notification arrived.
    """

    def connected(self, facts: Facts, model: Model, seen: Seen, mono_ns: int, utc_ns: int) -> None:
        """Begin a connection, before its first samples; the time is when it was made."""

    def samples(self, batch: Batch, mono_ns: int, utc_ns: int) -> None:
        """Take samples in order, each once."""

    def event(self, kind: str, mono_ns: int, utc_ns: int, **details: Any) -> None:  # noqa: ANN401 - JSON
        """Take what happened.

        Notes
        -----
        Kinds: `lost` (reason), after a connection that streamed; `restarted` (reason): a new stretch though
        the link stayed; `battery` (percent, volts); `warned` (sentence), each once a night; `trouble`
        (sentence): it does not come to stream; `garbled` (count, reason); `slow` (fs_hz, expected_hz);
        `dropped` (count): notifications that this computer was too slow for; `repeated` (count, doubled):
        notifications that came twice and were dropped; `radio_gone` (sentence) and `radio_back`.
        """


class Rate:
    """The rate at which samples arrive, over the last ten seconds."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, int]] = deque()  # about one a second: time, samples so far
        self.fs_hz: float | None = None
        """None until it has been measured for that long."""

    def put(self, mono_ns: int, received: int) -> bool:
        """Note how many samples have been received; return whether there is a new measurement."""
        if self._marks and mono_ns - self._marks[-1][0] < 1e9:
            return False
        self._marks.append((mono_ns, received))
        begin_ns, before = self._marks[0]
        if mono_ns - begin_ns < RATE_OVER_S * 1e9:
            return False
        self._marks.popleft()
        self.fs_hz = (received - before) / (mono_ns - begin_ns) * 1e9
        return True


class Stream:
    """One connection's decoder with all that is known of its stream."""

    def __init__(
        self, model: Model, driver: Driver, outlet: Outlet, stopped: Callable[[str], None], warned: set[str]
    ) -> None:
        self._numbered = model.counts != "none"
        self._driver = driver
        self._outlet = outlet
        self._stopped = stopped
        self._warned = warned
        self._repeats = Repeats(self._numbered)
        self._early: list[tuple[Batch | Restarted, Notification]] | None = []
        self._garbled: Counter[str] = Counter()
        self._repeated = 0
        self._slow = False
        self.sorter = Sorter()
        self.rate = Rate()
        self._restarts = 0
        self._battery_ns = 0
        self.battery_percent: int | None = None
        self.last_data_mono_ns: int | None = None
        self.facts: Facts | None = None

    def begin(self, facts: Facts, model: Model, seen: Seen, mono_ns: int, utc_ns: int) -> None:
        """Deliver from now on, first of all what came while the sensor was being started."""
        self.facts = facts
        self._outlet.connected(facts, model, seen, mono_ns, utc_ns)
        early, self._early = self._early or [], None
        for item, note in early:
            self._deliver(item, note)

    def take(self, note: Notification) -> None:
        """Decode one notification."""
        if self._repeats.is_repeat(note.characteristic, note.data):
            self._repeated += 1
            return
        try:
            received = self._driver.receive(note.characteristic, note.data)
        except Exception:  # noqa: BLE001 - a fault of ours, which must not cost the night
            _log.exception("decoding %s failed", note.data.hex())
            received = (Garbled("our decoder failed"),)
        for said in received:
            item = said
            if isinstance(item, Batch):
                if not _possible(item):
                    item = Garbled("numbers beyond all bounds")
                self._repeats.samples_come_on(note.characteristic)
            if self._early is not None and isinstance(item, Batch | Restarted):
                self._early.append((item, note))
            else:
                self._deliver(item, note)

    def dropped(self, count: int, mono_ns: int, utc_ns: int) -> None:
        """Say that notifications were not decoded; without a counter which samples are missing is unknown."""
        self._outlet.event("dropped", mono_ns, utc_ns, count=count)
        if not self._numbered:
            self._outlet.event("restarted", mono_ns, utc_ns, reason="this computer was too slow")

    def tell(self, mono_ns: int, utc_ns: int) -> None:
        """Say what has been counted since the last time; to be called every ten seconds and at the end."""
        for reason, count in self._garbled.items():
            self._outlet.event("garbled", mono_ns, utc_ns, count=count, reason=reason)
        self._garbled.clear()
        repeated = self._repeated + self.sorter.repeated
        self._repeated = self.sorter.repeated = 0
        if repeated:
            doubled = self._repeats.doubled
            self._outlet.event("repeated", mono_ns, utc_ns, count=repeated, doubled=doubled)

    def end(self, mono_ns: int, utc_ns: int) -> None:
        """Deliver what still waits; nothing of a connection that never began."""
        if self._early is None:
            self._send(self.sorter.flush())
        self.tell(mono_ns, utc_ns)

    def _deliver(self, item: Received, note: Notification) -> None:
        at = note.mono_ns, note.utc_ns
        match item:
            case Batch():
                self.last_data_mono_ns = note.mono_ns
                self._send(self.sorter.put(Stamped(item, *at)))
                if self.sorter.counts_anew:
                    self._restart(*at)
                self._measure(*at)
            case Restarted():
                self._restart(*at)
            case Battery():
                self._tell_battery(item, *at)
            case Stopped(reason):
                self._stopped(f"the sensor stopped: {reason}")
            case Garbled(reason):
                self._garbled[reason] += 1
            case Warned(sentence):
                if sentence not in self._warned:
                    self._warned.add(sentence)
                    self._outlet.event("warned", *at, sentence=sentence)

    def _tell_battery(self, battery: Battery, mono_ns: int, utc_ns: int) -> None:
        percent = battery.percent
        if percent == self.battery_percent and mono_ns - self._battery_ns < BATTERY_EVERY_NS:
            return
        self.battery_percent, self._battery_ns = percent, mono_ns
        self._outlet.event("battery", mono_ns, utc_ns, percent=percent, volts=battery.volts)

    def _restart(self, mono_ns: int, utc_ns: int) -> None:
        self._restarts += 1
        if self._restarts == MOST_RESTARTS:
            self._stopped("the sensor counts anew over and over")
        self._send(self.sorter.flush())
        self.sorter.restart()
        self._outlet.event("restarted", mono_ns, utc_ns, reason="the sensor counts anew")

    def _send(self, due: list[Stamped]) -> None:
        for batch, mono_ns, utc_ns in due:
            self._outlet.samples(batch, mono_ns, utc_ns)

    def _measure(self, mono_ns: int, utc_ns: int) -> None:
        if not self.rate.put(mono_ns, self.sorter.received) or self.facts is None:
            return
        fs_hz, expected_hz = self.rate.fs_hz or 0.0, self.facts.fs_hz
        if fs_hz < SLOW * expected_hz and not self._slow:
            self._slow = True
            self._outlet.event("slow", mono_ns, utc_ns, fs_hz=round(fs_hz, 1), expected_hz=expected_hz)
        elif fs_hz > WELL * expected_hz:
            self._slow = False


def _possible(batch: Batch) -> bool:
    """Tell whether a batch can be kept: a stamp may be any 64 bit, and a driver turn it into ns."""
    return (
        0 < len(batch.counts) <= MOST_SAMPLES
        and abs(batch.first) < BOUND
        and abs(batch.device_ns or 0) < BOUND
        and bool(np.isfinite(batch.counts).all())
    )
