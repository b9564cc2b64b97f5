"""One sensor kept streaming for the whole night: seen, connected, configured in full, watched, and again.

"Connected" is not "streaming": many a stack keeps a dead link, and many a sensor one without data. So it is
data that counts, and whatever goes wrong is answered in one way: the connection is closed and made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Literal

from firmware_host.capture import script
from firmware_host.capture.ble import Connection, Radio
from firmware_host.capture.bounded import bounded
from firmware_host.capture.hearing import Seen
from firmware_host.capture.identity import Wanted
from firmware_host.capture.stream import Outlet, Stream
from firmware_host.errors import RadioError, SensorError
from firmware_host.recording.writer import system_clock
from firmware_host.sensors import identify
from firmware_host.sensors.protocol import Driver, Facts, Model

__all__ = ["Link", "LinkStatus", "Outlet", "Wanted"]

State = Literal["looking", "connecting", "starting", "streaming", "silent"]

BACK_OFF_S = (0.5, 1.0, 2.0, 5.0)
"""Before the next attempt; the last one for ever."""
QUIET_S = 2.0
"""No data for three packets and this long: the stream is dead, whatever the system says."""
TICK_S = 0.25
TELL_EVERY_S = 10.0
POLL_EVERY_S = 600.0
UNNAMED_S = 3.0
"""A sensor's name may come a little later than its first advertisement (in the scan response)."""
UNHEARD_S = 20.0
"""A sensor that has not been heard for so long is told of in the status."""
START_S = 30.0
"""The longest that a driver may take to start its sensor."""
END_CLOSE_S = 4.0
"""BlueZ ends a link two seconds after it was asked to; whoever connects before is thrown out by that."""
LOST_CLOSE_S = 5.0
FIRST_POLL_S = 2.0
AT_ONCE = 32
"""Notifications."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LinkStatus:
    """How a sensor is doing, for whoever looks."""

    site: str
    state: State
    model: str | None
    """Its label, once it is known."""
    rssi: int | None
    """dBm, of the last advertisement."""
    fs_hz: float | None
    """Measured over the last ten seconds; None: not yet, or not streaming."""
    lost_share: float | None
    """Of the samples since it was connected, as far as the protocol tells."""
    battery_percent: int | None
    last_data_mono_ns: int | None
    trouble: str | None
    """Why it does not stream, in a sentence."""
    samples: int = 0
    """Received so far, over all its connections."""


class Link:
    """One sensor of the night.

    Parameters
    ----------
    radio, wanted
        The computer's Bluetooth, shared by all links, and the sensor.
    outlet
        Where samples and events go.
    clock
        The computer's time, monotonic and UTC, ns, read together.
    facts
        What was recorded of this sensor earlier in the same night: samples that mean something else are
        refused. None: what its first connection says.
    """

    def __init__(
        self,
        radio: Radio,
        wanted: Wanted,
        outlet: Outlet,
        clock: Callable[[], tuple[int, int]] = system_clock,
        facts: Facts | None = None,
    ) -> None:
        self._radio = radio
        self._wanted = wanted
        self._outlet = outlet
        self._clock = clock
        self._facts = facts
        self._model = wanted.model
        self._stream: Stream | None = None
        self._rssi: int | None = None
        self._trouble: str | None = None
        self._radio_gone = False
        self._battery: int | None = None
        self._last_data: int | None = None
        self._received = 0
        self._told: str | None = None
        self._warned: set[str] = set()
        self._tries = 0
        self._looking_since_ns = clock()[0]
        self.state: State = "looking"
        radio.register.enter(wanted)

    @property
    def status(self) -> LinkStatus:
        """A snapshot."""
        stream = self._stream
        sorter = stream.sorter if stream else None
        sent = sorter.received + sorter.lost if sorter else 0
        return LinkStatus(
            site=self._wanted.site,
            state=self.state,
            model=self._model.label if self._model else None,
            rssi=self._rssi,
            fs_hz=stream.rate.fs_hz if stream else None,
            lost_share=sorter.lost / sent if sorter and sent else None,
            battery_percent=_first(stream.battery_percent if stream else None, self._battery),
            last_data_mono_ns=_first(stream.last_data_mono_ns if stream else None, self._last_data),
            trouble=self._trouble or self._unheard(),
            samples=self._received + (sorter.received if sorter else 0),
        )

    async def run(self) -> None:
        """Keep the sensor streaming until cancelled; then stop it, so that it spares its battery, and close.

        Never gives up: a sensor, an adapter or bluetoothd that is away is waited for.
        """
        try:
            while True:
                try:
                    self.state = "looking"
                    seen, model = await self._look()
                    await self._visit(seen, model)
                except RadioError as error:
                    self._note_radio_gone(str(error))
                except SensorError as error:
                    self._note_trouble(f"{self._wanted.site}: {error}")
                if self._facts is None:
                    self._radio.register.release(self._wanted)
                await asyncio.sleep(BACK_OFF_S[min(self._tries, len(BACK_OFF_S) - 1)])
                self._tries += 1
        finally:
            self.state = "looking"
            self._radio.register.leave(self._wanted)

    async def _look(self) -> tuple[Seen, Model]:
        """Wait until the sensor advertises, and claim it."""
        self._looking_since_ns = self._clock()[0]
        unnamed_until_s: float | None = None
        async with self._radio.scan(self._wanted.adapter) as heard:
            self._note_radio_back()
            async for seen in heard:
                if not self._radio.register.is_for(self._wanted, seen):
                    continue
                model = self._wanted.model or self._model or identify(seen.advertisement)
                if model is not None:
                    self._rssi, self._model = seen.rssi, model
                    self._radio.register.take(self._wanted, seen)
                    return seen, model
                unnamed_until_s = unnamed_until_s or seen.at_s + UNNAMED_S
                if seen.at_s >= unnamed_until_s:
                    raise SensorError(
                        f"{seen.advertisement.name or seen.address} is no sensor model that is known; "
                        f"`twitchmap scan --raw {seen.address}` saves what it sends."
                    )
        raise RadioError("Bluetooth ended the search.")

    async def _visit(self, seen: Seen, model: Model) -> None:
        """Make one connection and stream over it until it ends, for whatever reason."""
        self.state = "connecting"
        left: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def leave(reason: str) -> None:
            if not left.done():
                left.set_result(reason)

        driver = model.driver(model, self._wanted.fs_hz)
        connection = await self._radio.connect(
            seen,
            lambda: leave("link lost"),
            pair=model.needs_pairing and sys.platform == "win32",
            services=[service.uuid for service in model.peripheral(model).services()],
        )
        close_s = LOST_CLOSE_S
        inbox = script.Inbox(self._clock)
        stream = self._stream = Stream(model, driver, self._outlet, leave, self._warned)
        talk = _Talk(driver, connection, inbox, stream, left)
        try:
            async with self._decoding(talk):
                try:
                    reason = await self._converse(talk, seen)
                except asyncio.CancelledError:
                    close_s = END_CLOSE_S
                    await script.stop(driver, connection, inbox)
                    raise
                finally:  # BlueZ takes two seconds for it, and what comes meanwhile is taken too
                    await connection.close(close_s)
            self._outlet.event("lost", *self._clock(), reason=reason)
        finally:
            if stream.facts is not None:
                self._received += stream.sorter.received
                self._tries = 0 if stream.sorter.received else self._tries
                self._battery = _first(stream.battery_percent, self._battery)
                self._last_data = _first(stream.last_data_mono_ns, self._last_data)
            self._stream = None

    async def _converse(self, talk: _Talk, seen: Seen) -> str:
        """Configure the sensor in full, as after a power cut, and deliver; return why it ended."""
        self.state = "starting"
        began = self._clock()
        start = asyncio.ensure_future(
            bounded(script.run(talk.driver.start(), talk.connection, talk.inbox), START_S)
        )
        try:
            ends: set[asyncio.Future[Any]] = {start, talk.left}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not start.done():
                raise SensorError(f"It was lost while it was being started ({talk.left.result()}).")
            start.result()
        except TimeoutError:
            raise SensorError(f"It was not started within {START_S:.0f} s.") from None
        finally:
            start.cancel()
            await asyncio.wait({start})
        facts = talk.driver.facts
        if facts is None:
            raise SensorError("It did not say what it sends.")
        self._check(facts)
        self._wanted = self._radio.register.keep(self._wanted, seen)
        talk.stream.begin(facts, talk.driver.model, seen, *began)
        self.state = "streaming"
        self._trouble = self._told = None
        watch = asyncio.create_task(self._watch(talk), name=f"watch {self._wanted.site}")
        poll = asyncio.create_task(self._poll(talk), name=f"battery {self._wanted.site}")
        try:
            return await talk.left
        finally:
            for task in (watch, poll):
                task.cancel()
            await asyncio.wait({watch, poll})

    @contextlib.asynccontextmanager
    async def _decoding(self, talk: _Talk) -> AsyncIterator[None]:
        """Decode what arrives, and to the last notification what has arrived when the connection ends."""
        task = asyncio.create_task(self._decode(talk), name=f"decode {self._wanted.site}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            talk.decode_all()
            talk.tell_dropped(self._clock)
            talk.stream.end(*self._clock())

    async def _decode(self, talk: _Talk) -> None:
        try:
            while True:
                await talk.inbox.arrived.wait()
                talk.inbox.arrived.clear()
                while talk.decode_some():
                    await asyncio.sleep(0)
                talk.tell_dropped(self._clock)
        except Exception as error:  # the outlet's fault: whoever runs the link is to know
            if talk.left.done():
                raise
            talk.left.set_exception(error)

    async def _watch(self, talk: _Talk) -> None:
        """Leave a connection that no data come over, and say now and then what was counted."""
        loop, stream = asyncio.get_running_loop(), talk.stream
        assert stream.facts is not None
        quiet_s = QUIET_S + 3 * talk.driver.model.samples_per_packet / stream.facts.fs_hz
        last, since_s = stream.last_data_mono_ns, loop.time()
        tell_s = now_s = since_s
        while True:
            before_s = now_s
            await asyncio.sleep(TICK_S)
            now_s = loop.time()
            if stream.last_data_mono_ns != last or now_s - before_s > QUIET_S / 2:
                # data, or this process was held up: what came meanwhile is still to be decoded
                last, since_s = stream.last_data_mono_ns, now_s
            elif now_s - since_s > quiet_s and not talk.left.done():
                self.state = "silent"
                talk.left.set_result(f"no data for {now_s - since_s:.1f} s")
            if now_s - tell_s >= TELL_EVERY_S:
                tell_s = now_s
                stream.tell(*self._clock())

    async def _poll(self, talk: _Talk) -> None:
        """Ask for the battery, soon after the start and then every ten minutes."""
        wait_s = FIRST_POLL_S
        while True:
            await asyncio.sleep(wait_s)
            wait_s = POLL_EVERY_S
            try:
                await bounded(script.run(talk.driver.poll(), talk.connection, talk.inbox), START_S)
            except (SensorError, RadioError, TimeoutError) as error:  # data decide whether the sensor is well
                _log.info("%s: the battery is not known: %s", self._wanted.site, error)

    def _check(self, facts: Facts) -> None:
        """Refuse samples that mean something else than those recorded before."""
        known = self._facts = self._facts or facts
        same = (facts.fs_hz, facts.g_per_count, facts.sample_type) == (
            known.fs_hz,
            known.g_per_count,
            known.sample_type,
        )
        if not same:
            raise SensorError(
                f"It now sends {facts.fs_hz:g} Hz at {facts.g_per_count * 1e3:.4g} mg a count, not as before "
                f"{known.fs_hz:g} Hz at {known.g_per_count * 1e3:.4g} mg: switch it off and on."
            )
        if facts.serial and known.serial and facts.serial != known.serial:
            raise SensorError(f"It is another sensor ({facts.serial}) than before ({known.serial}).")

    def _unheard(self) -> str | None:
        if self.state != "looking" or self._clock()[0] - self._looking_since_ns < UNHEARD_S * 1e9:
            return None
        wanted = self._wanted
        called = wanted.name or wanted.address or (self._model.label if self._model else "its sensor")
        return f"{wanted.site}: {called} is not heard; it may be off, empty or too far away."

    def _note_trouble(self, sentence: str) -> None:
        self._trouble = sentence
        if sentence != self._told:
            self._told = sentence
            self._outlet.event("trouble", *self._clock(), sentence=sentence)

    def _note_radio_gone(self, sentence: str) -> None:
        self._trouble = sentence
        if not self._radio_gone:
            self._radio_gone = True
            self._outlet.event("radio_gone", *self._clock(), sentence=sentence)

    def _note_radio_back(self) -> None:
        if self._radio_gone:
            self._radio_gone, self._trouble = False, None
            self._outlet.event("radio_back", *self._clock())


def _first(new: int | None, old: int | None) -> int | None:
    return old if new is None else new


@dataclass(frozen=True)
class _Talk:
    """One connection and all that hangs on it."""

    driver: Driver
    connection: Connection
    inbox: script.Inbox
    stream: Stream
    left: asyncio.Future[str]
    """Why the connection is to be ended."""

    def decode_some(self) -> bool:
        """Decode a bit of what waits, so that other sensors get their turn; return whether more waits."""
        for _ in range(AT_ONCE):
            note = self.inbox.take()
            if note is None:
                return False
            if note.dropped:
                self.stream.dropped(note.dropped, note.mono_ns, note.utc_ns)
            self.stream.take(note)
            self.inbox.decoded.set()
        return True

    def tell_dropped(self, clock: Callable[[], tuple[int, int]]) -> None:
        """Say what did not fit behind all that was decoded."""
        if dropped := self.inbox.take_dropped():
            self.stream.dropped(dropped, *clock())

    def decode_all(self) -> None:
        while self.decode_some():
            pass
