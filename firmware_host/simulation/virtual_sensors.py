"""Virtual sensors: a body's signal, sampled by a chip with its own clock, sent in a real sensor's protocol.

A played sensor is a GATT server that advertises, takes one host, does what its `Peripheral` does with what is
written, and notifies what its `Peripheral` makes of the samples. Its faults are those of real ones.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.sensors.protocol import BATTERY_LEVEL, Counts, Model, Notify, Peripheral
from firmware_host.simulation.time_lapse import VirtualClock
from firmware_host.simulation.virtual_body import VirtualBody
from firmware_host.simulation.virtual_chip import VirtualChip, join
from firmware_host.simulation.virtual_gatt import GattSide, is_notification
from firmware_host.simulation.virtual_link import RadioController, RadioLink
from firmware_host.twitches import Table

STAMPS_ERROR = (-50e-6, 50e-6)
"""Sensors stamp by a crystal, whatever their chip samples by."""
BUFFER = 256
"""Notifications that wait in a sensor; what comes then is lost."""
BOOT_S, CLOSE_S = 0.5, 0.2
STARTS_S = 0.25
"""From the command to the first sample, where time counts."""
SHORTEST_FRAME = 6
"""Bytes; a notification that is garbled by being cut has less."""
SHORT = 20
"""Notifications up to here are cut: in noise of their length protocols without a header would see samples."""
FAULTS = ("lose", "repeat", "reorder", "garble")


@dataclass
class Played:
    """Samples that were sent together: running number of the first, their counts, and what became of them."""

    first: int
    counts: Counts
    fate: str = ""
    """Why they were lost; "" where they arrived at the host."""
    copies: int = 1
    """How often they were sent; where 2, each notification twice in a row."""
    missing: int = 0
    """Notifications of it that have not arrived yet."""


class PlayedSensor:
    """One virtual sensor on the air.

    Parameters
    ----------
    site, model, serial
        Where it sits, what it is, and its number.
    body
        Whose movements it feels.
    air, clock
        The radio that it is on, and the time of its world.
    address
        Its Bluetooth address, random static: "D0:...".
    seed
        Draws its specimen and its faults.
    beside
        Make its signal in a thread (`VirtualChip`).
    keep
        Remember what was sent; a night needs no memory without it.
    """

    def __init__(
        self,
        site: str,
        model: Model,
        serial: str,
        *,
        body: VirtualBody,
        air: RadioLink,
        clock: VirtualClock,
        address: str,
        seed: int,
        beside: bool,
        keep: bool,
    ) -> None:
        self.site, self.model, self.address = site, model, address
        self.peripheral: Peripheral = model.peripheral(model, serial)
        self.chip = VirtualChip(site, model, body, seed=seed, beside=beside)
        self.on = False
        self.sent: list[Played] = []
        """Samples that arrived at the host's Bluetooth, in order of arrival."""
        self.lost: list[Played] = []
        """Samples that did not, with the reason."""
        self.failed: list[BaseException] = []
        self._air, self._clock, self._keep = air, clock, keep
        self._starts_s = STARTS_S if beside else 0.0
        self._rng = np.random.default_rng([seed, 7, zlib.crc32(site.encode())])
        self._stamp_rate = 1 + self._rng.uniform(*STAMPS_ERROR)
        self._booted_s = 0.0
        self._started = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._in_air: deque[Played | None] = deque()
        self._held: list[tuple[list[Notify], Played]] = []
        self._swapped: tuple[list[Notify], Played] | None = None
        self._stalled_until_s = 0.0
        self._silent = False
        self._away = 0
        self._shares = dict.fromkeys(FAULTS, 0.0)
        self._controller = RadioController(site, air, address)
        self._controller.carried = self._carried
        self._gatt = GattSide(
            self.peripheral, self._controller, self._written, self._host_changed, self._spawn
        )

    # What is known of it.

    @property
    def name(self) -> str:
        """The name that it advertises."""
        return self.peripheral.advertisement().name

    @property
    def connected(self) -> bool:
        """Whether a host is connected, as far as the sensor knows."""
        return self._gatt.connection is not None

    @property
    def rate_hz(self) -> float:
        """The true mean rate of its chip."""
        return self.chip.rate_hz

    def times_ns(self, numbers: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return when samples were taken, by running number, on the monotonic clock of the world, ns."""
        return np.rint(self.chip.times_s(numbers) * 1e9).astype(np.int64) + self._clock.mono_ns(0.0)

    def truth(self) -> Table:
        """Return every twitch under it (`TRUTH_COLUMNS`), in seconds since the world began."""
        return self.chip.truth()

    # Faults.

    def drop(self) -> None:
        """Lose the link; the sensor advertises again at once."""
        self._air.cut(self._controller)

    def vanish(self, seconds: float | None = None) -> None:
        """Go out of range, for some time or until `come_back`; the link dies of it, unless it is short."""
        self._controller.in_range = False
        self._away += 1
        self._later(self._air.supervision_s, self._supervise, self._away)
        if seconds is not None:
            self._later(seconds, self._back, self._away)

    def come_back(self) -> None:
        """Be in range again; what waited comes in a burst."""
        self._away += 1
        self._air.come_back(self._controller)
        self._later(self._air.supervision_s, self._supervise, self._away)

    def silence(self, on: bool = True) -> None:
        """Send nothing more while the link stays, as a hung firmware does; what it takes is lost."""
        self._silent = on

    def stall(self, seconds: float) -> None:
        """Hold everything back for some time and then send it at once."""
        self._stalled_until_s = self._clock.now_s() + seconds
        self._later(seconds, self._release)

    def lose(self, share: float) -> None:
        """Lose a share of what is sent from now on; 0 ends it, as in the next three.

        Shares are of what belongs together: the notifications that became complete with one sample.
        """
        self._shares["lose"] = share

    def repeat(self, share: float) -> None:
        """Send a share twice."""
        self._shares["repeat"] = share

    def reorder(self, share: float) -> None:
        """Send a share after what comes next."""
        self._shares["reorder"] = share

    def garble(self, share: float) -> None:
        """Cut a share so short that no frame is left, or send noise instead."""
        self._shares["garble"] = share

    def reboot(self) -> None:
        """Start anew: settings, counters and clock are lost; the host learns by silence."""
        self.power_off()
        self._later(BOOT_S, self.power_on)

    def battery(self, percent: int) -> None:
        """Set the charge; an empty battery switches it off."""
        self.peripheral.percent = percent
        if percent <= 0:
            self.power_off()
        elif BATTERY_LEVEL in self._gatt.characteristics:
            self._notify(Notify(BATTERY_LEVEL, bytes([percent])), None)

    def power_off(self) -> None:
        """Be gone without a goodbye."""
        self.on = False
        self._controller.le_legacy_advertiser.stop()
        self._air.cut(self._controller, noticed_s=self._air.supervision_s)
        self._changed.set()

    def power_on(self) -> None:
        """Start up, as new."""
        if not self.on:
            self.on = True
            self.peripheral.reboot()
            self._booted_s = self._clock.now_s()
            self._spawn(self._gatt.advertise())
            self._changed.set()

    def _later(self, seconds: float, call: Callable[..., object], *arguments: object) -> None:
        self._clock.call_at(self._clock.now_s() + seconds, call, *arguments)

    def _back(self, away: int) -> None:
        if away == self._away:
            self.come_back()

    def _supervise(self, away: int) -> None:
        if away == self._away:
            self._air.supervise(self._controller)

    # Its life.

    async def start(self) -> None:
        """Switch on."""
        await self._gatt.start()
        self.power_on()
        self._spawn(self._play())

    async def close(self) -> None:
        """Be gone for good."""
        self.power_off()
        if self._tasks:  # none where it was closed before it was switched on
            await asyncio.wait(self._tasks, timeout=CLOSE_S)  # bumble stumbles over answers to who is gone
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            self.failed.append(fault)

    def _host_changed(self, connected: bool) -> None:
        self._changed.set()
        if connected:
            return
        self.peripheral.disconnected()
        waiting = [*self._in_air, *(played for _, played in self._held)]
        waiting += [self._swapped[1]] if self._swapped else []
        for played in waiting:
            if played is not None:
                self._lose(played, "link lost")
        self._in_air.clear()
        self._held.clear()
        self._swapped = None
        if self.on:
            self._spawn(self._gatt.advertise())

    def _written(self, uuid: str, data: bytes) -> None:
        streamed = self.peripheral.streaming
        try:
            answers = self.peripheral.written(uuid, data)
        except Exception as error:  # a fault of the model; the world raises it when it is left
            self.failed.append(error)
            raise
        self._started += self.peripheral.streaming and not streamed
        self._changed.set()
        for answer in answers:
            self._clock.call_soon(self._notify, answer, None)

    # Its stream.

    async def _play(self) -> None:
        """Sample and send whenever the sensor streams."""
        while True:
            if self.on and self.peripheral.streaming:
                await self._stream()
            else:
                self._changed.clear()
                await self._changed.wait()

    async def _stream(self) -> None:
        """Feed the peripheral with samples as they are taken: one by one, or what fills a notification."""
        sensor, clock, chip = self.peripheral, self._clock, self.chip
        chip.set_to(sensor, clock.now_s())
        setting = self._setting()
        first = start = chip.next_number(clock.now_s() + self._starts_s)
        step, before, parts = 1, (0, 0), []
        while True:
            stop = start + step
            last_s = chip.time_s(stop - 1)
            await clock.sleep(last_s - clock.now_s())
            parts.append(await chip.counts(start, stop))
            if self._setting() != setting:
                return
            notes = sensor.send(parts[-1], round((last_s - self._booted_s) * self._stamp_rate * 1e9))
            start = stop
            if notes:
                self._send(notes, Played(first, join(parts)))
                size = (stop - first, len(notes))
                step, before = (size[0] if size == before else 1), size
                first, parts = stop, []

    def _setting(self) -> tuple[float | bool, ...]:
        """Return what a stream is made of; a change ends it, and another may begin."""
        sensor = self.peripheral
        streams = self.on and sensor.streaming
        return streams, self._started, self._booted_s, sensor.fs_hz, sensor.g_per_count

    def _send(self, notes: list[Notify], played: Played) -> None:
        if self._silent:
            self._lose(played, "silent")
        elif not self.connected:
            self._lose(played, "not connected")
        elif self._air.waiting(self._controller) >= BUFFER:
            self._lose(played, "buffer full")
        elif self._held or self._clock.now_s() < self._stalled_until_s:
            self._held.append((notes, played))
        else:
            self._emit(notes, played)

    def _release(self) -> None:
        held, self._held = self._held, []
        for notes, played in held:
            self._emit(notes, played)

    def _emit(self, notes: list[Notify], played: Played) -> None:
        """Hand over what belongs together, or keep it until what comes next has gone."""
        if self._swapped is None and self._hit("reorder"):
            self._swapped = (notes, played)
            return
        self._hand_over(notes, played)
        if self._swapped is not None:
            swapped, self._swapped = self._swapped, None
            self._hand_over(*swapped)

    def _hand_over(self, notes: list[Notify], played: Played) -> None:
        if self._hit("lose"):
            self._lose(played, "lost on the air")
        elif self._hit("garble"):
            self._lose(played, "garbled")
            for note in notes:
                self._notify(Notify(note.characteristic, self._garbled(note.data)), None)
        else:
            played.missing = len(notes)
            played.copies += self._hit("repeat")
            for note in notes:
                self._notify(note, played)
                if played.copies > 1:
                    self._notify(note, None)

    def _hit(self, fault: str) -> bool:
        share = self._shares[fault]
        return share > 0 and bool(self._rng.random() < share)

    def _garbled(self, data: bytes) -> bytes:
        if len(data) <= SHORT or self._rng.random() < 0.5:
            return data[: int(self._rng.integers(min(len(data), SHORTEST_FRAME)))]
        return bytes([data[0] ^ 0xFF]) + self._rng.bytes(len(data) - 1)

    def _notify(self, note: Notify, played: Played | None) -> None:
        """Send a notification; `played` are the samples of which it carries a part."""
        fate, on_air = self._gatt.notify(note)
        if on_air:
            self._in_air.append(None if fate else played)
        if fate and played is not None:
            self._lose(played, fate)

    def _carried(self, data: bytes) -> None:
        """Hear from the radio that a packet of this sensor's arrived."""
        if is_notification(data):
            played = self._in_air.popleft()
            if played is not None:
                played.missing -= 1
                if not played.missing and not played.fate and self._keep:
                    self.sent.append(played)

    def _lose(self, played: Played, fate: str) -> None:
        if not played.fate:
            played.fate = fate
            if self._keep:
                self.lost.append(played)
