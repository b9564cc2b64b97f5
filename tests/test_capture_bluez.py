"""Unmodified bleak on a D-Bus that behaves like BlueZ: links outlive its habits and its deaths."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

if sys.platform != "linux" or not shutil.which("dbus-daemon"):
    pytest.skip("needs a D-Bus daemon", allow_module_level=True)

from fake_bluez import FakeBluez, start_bus
from streamed_links import Night, more, tiny, until, wanted
from tiny_sensor import BARE, COUNTED

from firmware_host.capture import ble, hearing, link
from firmware_host.capture.ble import Radio
from firmware_host.capture.link import Link
from firmware_host.sensors.protocol import Model


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the waits: a real bus needs real time."""
    for module, name, value in (
        (link, "BACK_OFF_S", (0.01, 0.02, 0.05)),
        (link, "QUIET_S", 1.0),
        (link, "TICK_S", 0.05),
        (hearing, "WINDOW_S", 0.5),
        (hearing, "SETTLED_S", 0.2),
        (hearing, "START_S", 0.5),
        (hearing, "HUNG_S", 1.5),
        (hearing, "STOP_S", 0.5),
        (ble, "CLOSE_S", 0.5),
        (link, "LOST_CLOSE_S", 0.5),
        (hearing, "YOUNG_S", 0.1),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the test a system bus of its own."""
    daemon, address = start_bus(tmp_path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    yield address
    daemon.terminate()
    daemon.wait()
    assert daemon.stdout is not None
    daemon.stdout.close()


@contextlib.asynccontextmanager
async def night_on(bluez: FakeBluez) -> AsyncIterator[list[Night]]:
    """Run a link for each sensor that the daemon knows."""
    radio = Radio()
    nights, tasks = [], []
    for i, sensor in enumerate(bluez.links.values()):
        nights.append(Night())
        one = Link(radio, wanted(sensor, f"site{i}"), nights[-1])
        tasks.append(asyncio.create_task(one.run()))
    try:
        yield nights
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def once_each(night: Night, bluez: FakeBluez) -> None:
    """Hold that samples are recorded once, in order, and none that was not sent."""
    [link] = bluez.links.values()
    assert night.numbers == sorted(set(night.numbers))
    assert set(night.numbers) <= set(link.delivered)


@pytest.mark.parametrize("model", [COUNTED, BARE], ids=lambda model: model.name)
def test_drops_double_nothing(bus: str, model: Model) -> None:
    """After many drops each sample is recorded once, though BlueZ keeps subscriptions of lost clients."""

    async def go() -> None:
        async with FakeBluez(bus, tiny(model=model)) as bluez, night_on(bluez) as [night]:
            [link] = bluez.links.values()
            for _ in range(5):
                await until(more(night))
                bluez.drop(link)
            await until(more(night))
            assert len({client for client, _ in link.notifying}) == 1
            assert "AcquireNotify" not in bluez.called
            once_each(night, bluez)

    asyncio.run(go())


def test_bluetoothd_dies_and_comes_back(bus: str) -> None:
    """A daemon that crashes without a word costs the time it is away; it is said in one sentence."""

    async def go() -> None:
        async with FakeBluez(bus, tiny()) as bluez, night_on(bluez) as [night]:
            for round_ in range(1, 3):
                await until(more(night))
                bluez.die()
                await until(lambda round_=round_: len(night.all("radio_gone")) == round_)
                await asyncio.sleep(0.2)
                await bluez.live()
                await until(more(night))
                assert len(night.all("radio_back")) == round_
            assert not night.all("trouble")
            assert "bluetoothd" in night.all("radio_gone")[0]["sentence"]
            assert len(night.all("radio_gone")) == 2
            once_each(night, bluez)

    asyncio.run(go())


def test_the_adapter_is_unplugged_and_plugged_in(bus: str) -> None:
    """An adapter that goes away is said in one sentence; when it is back streaming goes on."""

    async def go() -> None:
        async with FakeBluez(bus, tiny()) as bluez, night_on(bluez) as [night]:
            await until(more(night))
            bluez.unplug()
            await until(lambda: bool(night.all("radio_gone")))
            assert "no Bluetooth adapter" in night.all("radio_gone")[0]["sentence"]
            bluez.plug()
            await until(more(night))
            once_each(night, bluez)

    asyncio.run(go())


def test_bluetooth_is_switched_off_and_on(bus: str) -> None:
    """Bluetooth that is off is said so, and streaming goes on when it is on."""

    async def go() -> None:
        async with FakeBluez(bus, tiny()) as bluez, night_on(bluez) as [night]:
            await until(more(night))
            bluez.power(on=False)
            await until(lambda: bool(night.all("radio_gone")))
            assert "Bluetooth is off" in night.all("radio_gone")[0]["sentence"]
            bluez.power(on=True)
            await until(more(night))
            once_each(night, bluez)

    asyncio.run(go())


def test_a_sensor_left_connected_by_a_killed_recorder_is_taken_over(bus: str) -> None:
    """A sensor that another program's end left connected, and so does not advertise, streams all the same."""

    async def go() -> None:
        async with FakeBluez(bus, tiny()) as bluez:
            [link] = bluez.links.values()
            link.known = link.connected = link.peripheral.streaming = True
            async with night_on(bluez) as [night]:
                await until(more(night))
                assert night.kinds[:2] == ["connected", "samples"]
            assert not link.connected

    asyncio.run(go())


def test_four_sensors_down_at_once(bus: str) -> None:
    """Four that drop together stream again, one connecting after the other, none while it scans."""

    async def go() -> None:
        async with FakeBluez(bus, *(tiny(i) for i in range(1, 5))) as bluez, night_on(bluez) as nights:
            for _ in range(2):
                for check in [more(night) for night in nights]:
                    await until(check, 15)
                for link in bluez.links.values():
                    bluez.drop(link)
            for check in [more(night) for night in nights]:
                await until(check, 15)
            assert not any(night.all("trouble") for night in nights)

    asyncio.run(go())


def test_an_absent_sensor_holds_up_nobody(bus: str) -> None:
    """While one sensor is away and found again, the other streams on; and a lost one is no advertisement."""

    async def go() -> None:
        async with FakeBluez(bus, tiny(1), tiny(2)) as bluez, night_on(bluez) as [away, stays]:
            await until(more(away))
            await until(more(stays))
            gone = next(iter(bluez.links.values()))
            bluez.vanish(gone)
            await until(more(stays, 100))
            gone.present = True
            await until(more(away))
            assert len(stays.all("connected")) == 1

    asyncio.run(go())


def test_a_change_is_no_advertisement(bus: str) -> None:
    """A device whose properties change without having been heard (a lost link) is not taken for present."""

    async def go() -> None:
        async with FakeBluez(bus, tiny(1), tiny(2)) as bluez:
            away, here = bluez.links.values()
            away.known, away.connected, away.present = True, True, False
            radio = Radio()
            async with radio.scan() as heard:
                bluez.drop(away)
                got = {(await anext(heard)).address for _ in range(20)}
            assert got == {here.address}

    asyncio.run(go())


def test_bluetoothd_hangs(bus: str) -> None:
    """A daemon that hangs, and never answers what it was asked meanwhile, costs the time it hangs."""

    async def go() -> None:
        async with FakeBluez(bus, tiny()) as bluez, night_on(bluez) as [night]:
            await until(more(night))
            bluez.hung = True
            await until(lambda: bool(night.all("radio_gone")))
            assert "does not answer" in night.all("radio_gone")[0]["sentence"]
            bluez.hung = False
            await until(more(night))
            once_each(night, bluez)

    asyncio.run(go())


def test_a_link_that_is_given_up_has_ended(bus: str) -> None:
    """Whoever connects after a link was ended finds it ended, though BlueZ takes two seconds for that."""

    async def go() -> None:
        async with FakeBluez(bus, tiny()) as bluez:
            [link] = bluez.links.values()
            link.closing_s = 2.0
            async with night_on(bluez) as [night]:
                await until(more(night))
            assert not link.connected

    asyncio.run(go())


def test_services_that_could_not_be_read(bus: str) -> None:
    """Services that BlueZ calls resolved and does not have are asked for again; nothing is said to lack."""

    async def go() -> None:
        async with FakeBluez(bus, tiny()) as bluez:
            [link] = bluez.links.values()
            link.unreadable = 1
            async with night_on(bluez) as [night]:
                await until(more(night))
            [trouble] = night.all("trouble")
            assert "did not tell what it offers" in trouble["sentence"]
            assert link.connects == 2

    asyncio.run(go())
