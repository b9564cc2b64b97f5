"""A recording without a radio: clocks that are set by hand, and links that deliver what a script says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from firmware_host.capture.choice import Chosen, begin
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.hearing import Seen
from firmware_host.capture.identity import Wanted
from firmware_host.capture.link import LinkStatus
from firmware_host.capture.outlet import SiteOutlet, expected_info
from firmware_host.capture.session import Session
from firmware_host.capture.stop import Stop
from firmware_host.capture.told import View
from firmware_host.capture.watch import Moment
from firmware_host.recording import Night
from firmware_host.sensors.protocol import Advertisement, Batch, Driver, Facts, Model, Peripheral

S = 10**9
START_NS = 1_795_386_600_000_000_000  # 2026-11-22 23:30 in Berlin
MONO_NS = 77 * S

MODEL = Model(
    name="scripted",
    label="Scripted sensor",
    matches=lambda _: False,
    driver=Driver,
    peripheral=Peripheral,
    rates_hz=(100.0,),
    fs_hz=100.0,
    counts="counter",
    g_per_count=0.0005,
    sample_type="int16",
    range_g=16.0,
    samples_per_packet=10,
)
FACTS = Facts(fs_hz=100.0, g_per_count=0.0005, sample_type="int16", range_g=16.0, serial="A1", firmware="1.0")


def numbers(first: int, n: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return samples that tell their number, with both signs and the extremes."""
    counter = np.arange(first, first + n)[:, None] * 7919 + np.array([0, 32767, 32768])
    return counter.astype(np.uint16).view(np.int16)


def samples(night: Night, site: str = "left_calf") -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return all samples of a site, in order."""
    found = [counts for stretch in night.stretches(site) for _, counts in stretch.count_chunks()]
    return np.concatenate([one.astype(np.int16) for one in found])


def kinds(night: Night) -> list[str]:
    """Return the kinds of a night's events, in order."""
    return [event.kind for event in night.events()]


class Clocks:
    """The computer's clocks, set by hand."""

    def __init__(self, utc_ns: int = START_NS) -> None:
        self.now = Moment(MONO_NS, MONO_NS, utc_ns)

    def __call__(self) -> Moment:
        """Read them."""
        return self.now

    def go(self, seconds: float, *, asleep_s: float = 0.0, step_s: float = 0.0) -> None:
        """Let time pass, sleep included or not; set the time."""
        awake, asleep, step = (round(one * S) for one in (seconds, asleep_s, step_s))
        self.now = Moment(
            self.now.mono_ns + awake,
            self.now.through_ns + awake + asleep,
            self.now.utc_ns + awake + asleep + step,
        )


@dataclass
class Listener:
    """What was told."""

    said: list[str] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    rings: int = 0

    def say(self, sentence: str) -> None:
        """Keep a sentence."""
        self.said.append(sentence)

    def show(self, view: View) -> None:
        """Keep a view."""
        self.views.append(view)

    def ring(self) -> None:
        """Count a sound."""
        self.rings += 1


class ScriptedLink:
    """A sensor that delivers what a test says."""

    def __init__(self, wanted: Wanted, outlet: SiteOutlet, clocks: Clocks) -> None:
        self.site, self.outlet, self.clocks = wanted.site, outlet, clocks
        self.state: Any = "looking"
        self.trouble: str | None = None
        self.counter = 0
        self.closed = False
        self.failure: Exception | None = None
        self._failed = asyncio.Event()

    @property
    def status(self) -> LinkStatus:
        """How it is doing."""
        return LinkStatus(
            site=self.site, state=self.state, model="Scripted sensor", rssi=-60, fs_hz=100.0, lost_share=0.0,
            battery_percent=80, last_data_mono_ns=None, trouble=self.trouble,
        )  # fmt: skip

    async def run(self) -> None:
        """Wait until cancelled, or fail when told to."""
        try:
            await self._failed.wait()
            assert self.failure is not None
            raise self.failure
        finally:
            self.closed = True

    def fail(self, error: Exception) -> None:
        """Fail as a fault of ours would."""
        self.failure = error
        self._failed.set()

    def connect(self, facts: Facts = FACTS, model: Model = MODEL) -> None:
        """Begin to stream, from number 0 on."""
        seen = Seen("C0:00:00:00:00:01", Advertisement(name="Scripted"), -60, None, None)
        self.outlet.connected(facts, model, seen, self.clocks.now.mono_ns, self.clocks.now.utc_ns)
        self.state, self.counter = "streaming", 0

    def event(self, kind: str, **details: Any) -> None:
        """Deliver an event, now."""
        if kind == "lost":
            self.state = "looking"
        self.outlet.event(kind, self.clocks.now.mono_ns, self.clocks.now.utc_ns, **details)

    def send(self, n: int, *, lost: int = 0) -> None:
        """Deliver so many samples, now, after having lost some."""
        self.counter += lost
        batch = Batch(numbers(self.counter, n), self.counter)
        self.outlet.samples(batch, self.clocks.now.mono_ns, self.clocks.now.utc_ns)
        self.counter += n


class Stage:
    """A session with scripted links, its clocks and what it tells; time passes only as a test says."""

    def __init__(
        self,
        folder: Path,
        *sites: str,
        plan: PlannedEnd | None = None,
        chosen: Chosen | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self.clocks, self.told, self.stop = clocks or Clocks(), Listener(), Stop()
        self.wanted = [Wanted(site, None, None, MODEL, None) for site in sites or ("left_calf",)]
        infos = tuple(expected_info(index, one) for index, one in enumerate(self.wanted))
        self.chosen = chosen or begin(
            folder, infos, "recorded", self.clocks.now.utc_ns, time_zone="Europe/Berlin",
            participant="P1", label="",
            clock=lambda: (self.clocks.now.mono_ns, self.clocks.now.utc_ns),
        )  # fmt: skip
        self.path = self.chosen.writer.path
        self.links: dict[str, ScriptedLink] = {}
        self.session = Session(
            self.chosen.writer,
            self.wanted,
            self._make,  # type: ignore[arg-type]
            self.told,
            self.stop,
            plan=plan or PlannedEnd(),
            earlier_start_ns=self.chosen.earlier_start_ns,
            marks=self.chosen.marks,
            clocks=self.clocks,
            tick_s=0.0,
        )

    def _make(self, wanted: Wanted, outlet: SiteOutlet) -> ScriptedLink:
        self.links[wanted.site] = link = ScriptedLink(wanted, outlet, self.clocks)
        return link

    def play(self, script: Callable[[Stage], Any]) -> str:
        """Run the session with a script beside it, a coroutine function; return why it ended."""

        async def both() -> str:
            self.running = running = asyncio.create_task(self.session.run())
            await self.ticks()
            await script(self)
            return await asyncio.wait_for(running, 20)

        with self.chosen.writer:
            return asyncio.run(both())

    async def ticks(self, n: int = 3) -> None:
        """Let the session look at everything, a few times."""
        seen = len(self.told.views)
        while len(self.told.views) < seen + n and not self.running.done():
            await asyncio.sleep(0)

    async def wait(self, seconds: float) -> None:
        """Let time pass without data, with a look at everything now and then."""
        while seconds > 0:
            self.clocks.go(min(seconds, 9.0))
            seconds -= 9.0
            await self.ticks(1)

    async def stream(self, seconds: float, *sites: str) -> None:
        """Let sensors send ten samples each tenth of a second."""
        for _ in range(round(seconds * 10)):
            self.clocks.go(0.1)
            for site in sites or self.links:
                self.links[site].send(10)
        await self.ticks()
