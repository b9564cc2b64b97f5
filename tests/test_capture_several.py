"""Several sensors at once: each site has its own sensor's samples, and what befalls one costs no other."""

from __future__ import annotations

import itertools
from dataclasses import replace

from fake_bleak import Air
from streamed_links import more, play, settled, streaming, tiny, until, wanted
from tiny_sensor import BARE, COUNTED


def test_four_down_at_once_connect_one_after_the_other() -> None:
    """Sensors of one adapter are connected one at a time, never while it scans, and all stream again."""

    async def go() -> None:
        sensors = [tiny(i) for i in range(1, 5)]
        air = Air(*sensors)
        air.connect_s = 0.03
        wants = [wanted(sensor, f"site{i}") for i, sensor in enumerate(sensors)]
        async with streaming(air, *wants) as (links, nights):
            for _ in range(2):
                for check in [more(night) for night in nights]:
                    await until(check)
                assert [one.state for one in links] == ["streaming"] * 4
                assert not air.scanning
                for sensor in sensors:
                    sensor.drop()
            for check in [more(night) for night in nights]:
                await until(check)
            assert air.most_connecting == 1
            assert not air.scanned_while_connecting

    play(go())


def test_sensors_never_mix() -> None:
    """One sensor's drops never touch another's samples, and each site has its own sensor's only."""

    async def go() -> None:
        left, right = tiny(1), tiny(2, BARE)
        right._number = itertools.count(40000, step=8)
        async with streaming(Air(left, right), wanted(left), wanted(right, "right_calf")) as (_, nights):
            for _ in range(5):
                for check in [more(night) for night in nights]:
                    await until(check)
                left.drop()
            await until(more(nights[0]))
            assert len(nights[1].all("connected")) == 1
        settled(right, nights[1])
        assert set(nights[0].numbers).isdisjoint(nights[1].numbers)

    play(go())


def test_sensors_named_by_their_model_are_told_apart() -> None:
    """Two sites that name only a model get one sensor each, and none that a third site names."""

    async def go() -> None:
        sensors = [tiny(i) for i in range(1, 4)]
        air = Air(*sensors)
        wants = [
            wanted(sensors[0], "a", model=COUNTED),
            wanted(sensors[0], "b", model=COUNTED),
            wanted(sensors[0], "c", name="tiny a2", model=None),
        ]
        async with streaming(air, *wants) as (links, nights):
            # its model is told from what it advertises, where there is a driver for it
            links[2]._model = COUNTED
            for night in nights:
                await until(lambda night=night: len(night.all("samples")) > 5)
            owners = {sensor.address: sensor.connects for sensor in sensors}
            assert set(owners.values()) == {1}
            for sensor in sensors:
                sensor.drop()
            for check in [more(night) for night in nights]:
                await until(check)
            assert {sensor.connects for sensor in sensors} == {2}
        for night in nights:
            assert any(set(night.numbers) <= set(sensor.delivered) for sensor in sensors)

    play(go())


def test_an_adapter_that_is_gone_costs_only_its_own_sensors() -> None:
    """Of two adapters, one that goes away is told to the links that use it; the other's stream on."""

    async def go() -> None:
        left, right, any_ = tiny(1), tiny(2), tiny(3)
        air = Air(left, right, any_)
        wants = [
            replace(wanted(left), adapter="hci0"),
            replace(wanted(right, "right_calf"), adapter="hci1"),
            wanted(any_, "chest"),
        ]
        async with streaming(air, *wants, adapters=["hci0", "hci1"]) as (_, nights):
            for night in nights:
                await until(more(night))
            air.dead_adapters.add("hci1")
            for sensor in (left, right, any_):
                sensor.drop()
            for night in (nights[0], nights[2]):
                await until(more(night))
            await until(lambda: bool(nights[1].all("radio_gone")))
            assert [len(night.all("radio_gone")) for night in nights] == [0, 1, 0]
            air.dead_adapters.clear()
            await until(more(nights[1]))

    play(go())
