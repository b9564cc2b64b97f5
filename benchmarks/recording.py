"""CPU and memory of recording with live detection: `python benchmarks/recording.py [--minutes 20]`.

Eight sensors play noise into the recorder through a bleak backend that costs next to nothing, on a loop in
which waits pass at once: what is left is our own work, from the notification's callback to disk and count.
Making the packets is measured apart and taken away. bleak itself and the system's Bluetooth come on top:
about 0.2 ms a notification on BlueZ (measured elsewhere), which is shown beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fake_bleak import Air, FakeSensor

from firmware_host.analysis.live_count import LiveCount
from firmware_host.capture.asked import Order
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.link import Wanted
from firmware_host.capture.recorder import record
from firmware_host.capture.stop import Stop
from firmware_host.sensors import model_named
from firmware_host.sensors.protocol import Notify
from firmware_host.simulation.time_lapse import TimeLapseLoop

SITES = (
    "left_calf", "right_calf", "left_thigh", "right_thigh", "left_upper_arm", "right_upper_arm",
    "left_chest", "left_forearm",
)  # fmt: skip
BLUEZ_MS = 0.2
"""Of CPU a notification, D-Bus included (bleak 3.1 on BlueZ 5.66)."""
PLAYED_S = 0.02
NOISE_MG = 1.0


class PlayedSensor(FakeSensor):
    """Samples noise around gravity at its nominal rate and counts what it costs to make its packets."""

    spent_s = 0.0
    notes = 0

    def __init__(self, model: str, address: str, seed: int) -> None:
        found = model_named(model)
        super().__init__(found.peripheral(found), address)
        rng = np.random.default_rng(seed)
        acc_g = rng.normal((0.1, -0.2, 0.97), NOISE_MG / 1e3, (20_000, 3))
        self._acc_g, self._owed, self._at, self._ns = acc_g, 0.0, 0, 0

    def play(self) -> None:
        """Sample for the time since the last call, and send what fills packets."""
        start_s = time.thread_time()
        notes = self._made()
        self.notes += len(notes)
        PlayedSensor.spent_s += time.thread_time() - start_s
        self.notify(notes)

    def _made(self) -> list[Notify]:
        peripheral = self.peripheral
        self._ns += round(PLAYED_S * 1e9)
        if not peripheral.streaming or self.client is None:
            return []
        self._owed += PLAYED_S * peripheral.fs_hz
        count, self._owed = int(self._owed), self._owed % 1
        rows = np.arange(self._at, self._at + count) % len(self._acc_g)
        self._at += count
        numbers = self._acc_g[rows] / peripheral.g_per_count
        whole = np.rint(numbers).astype(np.int16) if peripheral.sample_type == "int16" else numbers
        return peripheral.send(whole.astype(peripheral.sample_type), self._ns)


class World:
    """What `record` takes for a world of virtual sensors."""

    def __init__(self, sensors: dict[str, PlayedSensor]) -> None:
        self.sensors = {site: _Named(sensor) for site, sensor in sensors.items()}
        self._air = Air(*sensors.values())
        self.backend = tuple(self._air.backend)

    def clock(self) -> tuple[int, int]:
        """Return the loop's clock as monotonic time and as UTC, ns."""
        now_ns = round(asyncio.get_running_loop().time() * 1e9)
        return now_ns, 1_790_000_000_000_000_000 + now_ns

    @contextlib.asynccontextmanager
    async def playing(self) -> AsyncIterator[World]:
        """Play while the night is recorded."""
        async with self._air:
            yield self


class _Named:
    def __init__(self, sensor: PlayedSensor) -> None:
        self.address, self.name = sensor.address, sensor.peripheral.advertisement().name


class Quiet:
    """Is told everything and shows nothing."""

    def say(self, sentence: str) -> None:
        """Take a sentence."""

    def show(self, view: object) -> None:
        """Take a look."""

    def ring(self) -> None:
        """Make no sound."""


def recorded(model: str, minutes: float, *, live: bool) -> tuple[float, float, float]:
    """Record eight sensors; return CPU s, notifications a second and sensor, and peak MB so far."""
    sensors = {site: PlayedSensor(model, f"00:00:00:00:00:{n:02X}", n) for n, site in enumerate(SITES)}
    world, PlayedSensor.spent_s = World(sensors), 0.0
    with tempfile.TemporaryDirectory() as place:
        count = LiveCount(Path(place)) if live else None
        order = Order(
            directory=Path(place),
            wanted=tuple(Wanted(site, None, None, model_named(model), None) for site in SITES),
            plan=PlannedEnd(None, minutes / 60),
            time_zone="UTC",
            virtual=world.playing(),
            listener=count,
        )
        start_s = time.process_time()
        with asyncio.Runner(loop_factory=TimeLapseLoop) as runner:
            runner.run(record(order, Quiet(), Stop()))
        if count is not None:
            count.close()
            if count.trouble:
                sys.exit(count.trouble)
        cpu_s = time.process_time() - start_s - PlayedSensor.spent_s
    notes = sum(sensor.notes for sensor in sensors.values()) / len(SITES) / (minutes * 60)
    return cpu_s, notes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the share of one core for models that batch samples and for one that does not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="virtual minutes of each recording")
    parser.add_argument("--models", default="oba,movesense,witmotion,thingy52")
    chosen = parser.parse_args()
    for model, live in itertools.product(chosen.models.split(","), (False, True)):
        cpu_s, notes, peak_mb = recorded(model, chosen.minutes, live=live)
        share = cpu_s / (chosen.minutes * 60)
        radio = len(SITES) * notes * BLUEZ_MS / 1e3
        what = "recording and live detection" if live else "recording alone"
        print(
            f"{what}, 8 x {model} at {model_named(model).fs_hz:g} Hz, {notes:.1f} notifications/s each: "
            f"{100 * share:.2f} % of a core, with BlueZ's own {100 * (share + radio):.1f} %; "
            f"peak {peak_mb:.0f} MB"
        )


if __name__ == "__main__":
    main()
