"""Links over the virtual radio: real protocols, a real GATT server and client, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

import pytest
from streamed_links import Night, more, now_s, play, until

from firmware_host.capture.ble import Backend, Radio
from firmware_host.capture.identity import Wanted
from firmware_host.capture.link import Link
from firmware_host.sensors import models
from firmware_host.sensors.protocol import Counts
from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld
from firmware_host.simulation.virtual_sensors import PlayedSensor

pytestmark = pytest.mark.usefixtures("short_pieces")

SITES = ("left_calf", "right_calf", "left_thigh", "right_thigh")
SPARE = VirtualSensor("left_chest", "thingy52")
"""One that nobody wants."""
FOUR = ("witmotion", "movesense", "polar_verity", "metamotion_s")
NUMBERED = [name for name, model in models().items() if model.counts != "none"]


@contextlib.asynccontextmanager
async def recorded(*names: str, timed: bool = False) -> AsyncIterator[tuple[VirtualWorld, list[Night]]]:
    """Record virtual sensors of some models; at the end, hold that all that arrived is recorded."""
    spec = [VirtualSensor(site, name) for site, name in zip(SITES, names, strict=False)]
    async with VirtualWorld([*spec, SPARE], seed=3, timed=timed, hours=0.2) as world:
        radio = Radio(Backend(*world.backend))
        nights, tasks = [], []
        for one in spec:
            sensor = world.sensors[one.site]
            nights.append(Night())
            wanted = Wanted(one.site, sensor.address, None, None, None)
            tasks.append(asyncio.create_task(Link(radio, wanted, nights[-1], world.clock).run()))
        try:
            yield world, nights
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await until(lambda: not any(sensor.connected for sensor in world.sensors.values()))
        assert not world.sensors[SPARE.site].sent
        for one, night in zip(spec, nights, strict=True):
            same_as_sent(world.sensors[one.site], night)


def same_as_sent(sensor: PlayedSensor, night: Night) -> None:
    """Hold that the samples that arrived are recorded in the order of their taking, bit for bit."""
    sent = rows(played.counts for played in sorted(sensor.sent, key=lambda played: played.first))
    assert sent
    assert rows(batch.counts for batch in night.all("samples")) == sent


def rows(parts: Iterable[Counts]) -> list[bytes]:
    """Return samples as their bytes."""
    return [row.tobytes() for part in parts for row in part]


async def all_more(nights: list[Night], n: int = 10) -> None:
    """Wait until all have recorded n more batches."""
    for check in [more(night, n) for night in nights]:
        await until(check)


@pytest.mark.long
@pytest.mark.parametrize("name", models())
def test_every_model_streams_and_comes_back(name: str) -> None:
    """A sensor of any model is identified, streams, and comes back from a drop, a reboot and a silence."""

    async def go() -> None:
        async with recorded(name) as (world, [night]):
            await all_more([night])
            sensor = world.sensors[SITES[0]]
            for fault in (sensor.drop, sensor.reboot, sensor.drop):
                fault()
                await until(lambda: not sensor.connected)
                await all_more([night])
            sensor.silence()
            await until(lambda: len(night.all("lost")) == 4)
            sensor.silence(on=False)
            await all_more([night])
            assert len({str(facts) for facts in night.all("connected")}) == 1
            await until(lambda: bool(night.all("battery")))

    play(go())


@pytest.mark.long
@pytest.mark.parametrize("name", NUMBERED)
@pytest.mark.parametrize("fault", ["repeat", "reorder", "lose"])
def test_numbered_packets_are_put_in_order(name: str, fault: str) -> None:
    """Of sensors that count or stamp, packets that come twice or late are recorded once and in order."""

    async def go() -> None:
        async with recorded(name) as (world, [night]):
            await all_more([night])
            getattr(world.sensors[SITES[0]], fault)(0.1)
            await all_more([night], 60)
            getattr(world.sensors[SITES[0]], fault)(0.0)
            await all_more([night], 10)
            assert len(night.all("connected")) == 1
            firsts = [batch.first for batch in night.all("samples")]
            assert firsts == sorted(set(firsts))

    play(go())


@pytest.mark.long
@pytest.mark.parametrize("drops", [10, pytest.param(200, marks=pytest.mark.soak)])
def test_four_dropped_at_once_over_and_over(drops: int) -> None:
    """Four models that lose their links together many times stream again within 15 s each time."""

    async def go() -> None:
        async with recorded(*FOUR, timed=drops > 10) as (world, nights):
            for _ in range(drops):
                await all_more(nights, 3)
                began_s = now_s()
                for site in SITES:
                    world.sensors[site].drop()
                await all_more(nights, 1)
                assert now_s() - began_s < 15
            assert all(len(night.all("connected")) == drops + 1 for night in nights)

    play(go())


def _vanish(world: VirtualWorld) -> None:
    for site in SITES:
        world.sensors[site].vanish(40.0)


def _off(world: VirtualWorld) -> None:
    world.power(on=False)
    asyncio.get_running_loop().call_later(40.0, lambda: world.power(on=True))


@pytest.mark.long
@pytest.mark.parametrize("fault", [_vanish, _off])
def test_four_that_are_away_come_back(fault: Callable[[VirtualWorld], None]) -> None:
    """When four come back into range, or Bluetooth is on again, all stream within 15 s, on a timed radio."""

    async def go() -> None:
        async with recorded(*FOUR, timed=True) as (world, nights):
            await all_more(nights)
            fault(world)
            began_s = now_s()
            await until(lambda: all(night.all("lost") for night in nights))
            await asyncio.sleep(began_s + 40.0 - now_s())
            await all_more(nights, 1)
            assert now_s() - began_s < 55
            gone = [len(night.all("radio_gone")) for night in nights]
            assert gone == [len(night.all("radio_back")) for night in nights]
            assert gone == [int(fault is _off)] * 4

    play(go())


@pytest.mark.long
def test_a_dead_battery_costs_the_others_nothing() -> None:
    """A sensor whose battery dies is lost and looked for, while the others miss nothing."""

    async def go() -> None:
        async with recorded(*FOUR, timed=True) as (world, nights):
            await all_more(nights)
            world.sensors[SITES[0]].battery(0)
            await asyncio.sleep(30.0)
            assert [len(night.all("lost")) for night in nights] == [1, 0, 0, 0]
            assert not any(night.all("slow") for night in nights)

    play(go())
