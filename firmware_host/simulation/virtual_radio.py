"""A virtual world to record from without hardware: one body, its sensors, and a radio that bleak is handed.

    async with VirtualWorld([VirtualSensor("left_calf", "witmotion")]) as world:
        scanner, client = world.backend
        devices = await BleakScanner.discover(backend=scanner)
        world.sensors["left_calf"].drop()

Everything above the radio is the same code as with real sensors. Nothing leaves the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from firmware_host import body
from firmware_host.errors import BadValueError, MissingExtraError
from firmware_host.sensors import model_named

if TYPE_CHECKING:
    from firmware_host.simulation.virtual_sensors import PlayedSensor

HOST_ADDRESS = "C0:FF:EE:00:00:01"
SUPERVISION_S = 2.0
"""A link dies of so long a silence; a fast world waits less."""
FAST_SUPERVISION_S = 0.2


@dataclass(frozen=True)
class VirtualSensor:
    """What is to be played: a body site, and the model of the sensor there by its name."""

    site: str
    model: str

    @classmethod
    def parse(cls, text: str) -> VirtualSensor:
        """Read "left_calf=witmotion".

        Raises
        ------
        BadValueError
            If it is not of this form, or the site or the model is not known.
        """
        site, equals, model = text.partition("=")
        if not equals:
            raise BadValueError(f"A virtual sensor is written SITE=MODEL, as left_calf=oba, not {text!r}.")
        return cls(body.site(site).name, model_named(model).name)


class VirtualWorld:
    """A body with virtual sensors in range of a virtual Bluetooth radio; an asynchronous context manager.

    Parameters
    ----------
    sensors
        What is played, one sensor a site.
    seed
        Draws the body, the sensors' specimens and what the radio does.
    timed
        Packets come in connection events, late and in bursts, as on a real radio; else at once, for tests of
        logic: discovery takes milliseconds, links die after a fifth of a second.
    speed
        Seconds of this world that pass in one of the event loop. In a `TimeLapseLoop` leave it at 1: there
        all waiting is quick already, and what comes when is the same each time.
    fs_hz
        The rate that the sensors are set to before a host sets one.
    hours
        How long the body moves and twitches.
    profile
        How often its sites twitch: `many`, `few`, `quiet` or `mix`.
    keep
        Keep what was sent, for comparing; a long recording needs no memory without.

    Raises
    ------
    BadValueError
        If a site, a model or a number cannot be used, or a site is named twice.
    MissingExtraError
        If bumble, which plays the Bluetooth, is not installed.
    """

    def __init__(
        self,
        sensors: Sequence[VirtualSensor],
        *,
        seed: int = 1,
        timed: bool = True,
        speed: float = 1.0,
        fs_hz: float | None = None,
        hours: float = 8.0,
        profile: str = "mix",
        keep: bool = True,
    ) -> None:
        try:
            import bumble  # noqa: F401
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "Virtual sensors are played with bumble, which is not installed: "
                "pip install 'twitchmap[virtual]'"
            ) from error
        from firmware_host.simulation.virtual_body import VirtualBody

        self._wanted = [(one.site, model_named(one.model)) for one in sensors]
        self._body = VirtualBody([one.site for one in sensors], hours=hours, seed=seed, profile=profile)
        self._seed, self._timed, self._speed, self._fs_hz, self._keep = seed, timed, speed, fs_hz, keep
        self.sensors: dict[str, PlayedSensor] = {}
        """The sensors by site; there once the world is entered."""

    async def __aenter__(self) -> Self:
        from bumble import device

        from firmware_host.simulation.time_lapse import TimeLapseLoop, VirtualClock
        from firmware_host.simulation.virtual_backend import Central
        from firmware_host.simulation.virtual_link import RadioController, RadioLink, quiet_bumble
        from firmware_host.simulation.virtual_sensors import PlayedSensor

        quiet_bumble()
        self._clock = VirtualClock(self._speed)
        supervision_s = SUPERVISION_S if self._timed else FAST_SUPERVISION_S
        rng = np.random.default_rng([self._seed, 8])
        self._air = RadioLink(self._clock, rng, timed=self._timed, supervision_s=supervision_s)
        self._controller = RadioController("host", self._air, HOST_ADDRESS)
        host = device.Device(name="host", address=self._controller.address, host=self._controller.new_host())
        await host.power_on()
        self._central = Central(host, supervision_s)
        beside = (
            self._timed and self._speed == 1 and not isinstance(asyncio.get_running_loop(), TimeLapseLoop)
        )
        for number, (site, model) in enumerate(self._wanted, 1):
            played = PlayedSensor(
                site, model, f"{0xA0 + number:012X}", body=self._body, air=self._air, clock=self._clock,
                address=f"D0:5E:00:00:{self._seed % 256:02X}:{number:02X}", seed=self._seed, beside=beside,
                keep=self._keep,
            )  # fmt: skip
            self.sensors[site] = played
            await played.start()
            if self._fs_hz is not None:
                played.peripheral.fs_hz = self._fs_hz
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._air.cut(self._controller)
        await asyncio.gather(*(sensor.close() for sensor in self.sensors.values()))
        faults = [fault for sensor in self.sensors.values() for fault in sensor.failed]
        if faults and error is None:
            raise faults[0]

    @property
    def backend(self) -> tuple[type, type]:
        """The scanner and the client class that bleak is handed."""
        return self._central.scanner, self._central.client

    def clock(self) -> tuple[int, int]:
        """Return this world's monotonic clock and UTC, ns; at speed 1 those of the computer."""
        return self._clock.stamp()

    def tap(self, site: str) -> None:
        """Tap a sensor three times with a fingertip, as `setup` asks for."""
        self.sensors[site].chip.tap(self._clock.now_s())

    def power(self, on: bool) -> None:
        """Switch the host's radio off or on, as when an adapter is pulled out or bluetoothd dies."""
        self._central.powered = on
        if not on:
            self._air.cut(self._controller)
        self._controller.in_range = on
