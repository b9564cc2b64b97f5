"""Whole nights over the virtual radio: real protocols, real GATT, the same code above bleak as with sensors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_sensors import Listener

from firmware_host.capture.recorder import Order, Recorded, record, wanted_sensors
from firmware_host.capture.stop import Stop
from firmware_host.recording import Night, open_night
from firmware_host.simulation.time_lapse import TimeLapseLoop
from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld
from firmware_host.simulation.virtual_sensors import PlayedSensor

FOUR = {"left_calf": "polar_verity", "right_calf": "metamotion_s", "left_thigh": "thingy52", "chest": ""}


class Evening:
    """A recording of virtual sensors in a loop in which time passes quickly."""

    def __init__(self, folder: Path, sensors: dict[str, str], **world: Any) -> None:
        self.told, self.stop = Listener(), Stop()
        self.world = VirtualWorld([VirtualSensor(*one) for one in sensors.items()], **world)
        self.order = Order(
            directory=folder, wanted=wanted_sensors(list(sensors.items())), virtual=self.world, time_zone="UTC"
        )

    def play(self, script: Callable[[Evening], Awaitable[None]]) -> Recorded:
        """Record while a script goes on; its end is the end of the night."""

        async def beside() -> None:
            while not self.told.views:
                await asyncio.sleep(0.1)
            try:
                await script(self)
            finally:
                self.stop.ask("ended by hand")

        async def both() -> Recorded:
            task = asyncio.create_task(beside())
            recorded = await record(self.order, self.told, self.stop)
            await task
            return recorded

        with asyncio.Runner(loop_factory=TimeLapseLoop) as runner:
            return runner.run(both())


def test_smoke(tmp_path):
    from firmware_host.sensors import models
    print(list(models()))
    evening = Evening(tmp_path, {"left_calf": "thingy52", "right_calf": "polar_verity", "left_thigh": "metamotion_s", "right_thigh": "capture2go"})

    async def script(e):
        await asyncio.sleep(20)
    r = evening.play(script)
    print(evening.told.said)
    night = open_night(r.path)
    for s in night.sites:
        n = sum(len(c) for st in night.stretches(s) for _, c in st.count_chunks())
        m = sum(len(p.counts) for p in evening.world.sensors[s].sent)
        print(s, n, m)
    assert 0
