"""One sensor is kept streaming through everything that a night may bring, and nothing received is lost."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fake_bleak import Air, FakeSensor
from streamed_links import more, play, settled, streaming, tiny, until, wanted
from tiny_sensor import BARE, CONTROL, COUNTED

from firmware_host.capture.ble import Radio
from firmware_host.sensors.protocol import Facts, Model, Notify


def test_it_connects_and_streams_every_sample() -> None:
    """All that a sensor sends is delivered in order, after its facts, with both clocks and its status."""

    async def go() -> None:
        sensor = tiny()
        async with streaming(Air(sensor), wanted(sensor)) as ([one], [night]):
            await until(more(night, 50))
            assert night.kinds[:2] == ["connected", "samples"]
            assert night.all("connected") == [Facts(400.0, pytest.approx(0.001), "int16", 4.0, "A1", "1.0")]
            assert (one.status.state, one.status.rssi, one.status.lost_share) == ("streaming", -60, 0.0)
            assert one.status.trouble is None
        settled(sensor, night)

    play(go())


@pytest.mark.parametrize("model", [COUNTED, BARE], ids=lambda model: model.name)
def test_thirty_drops_cost_nothing_that_was_received(model: Model) -> None:
    """After each of thirty drops it streams again, each sample once though BlueZ would double them."""

    async def go() -> None:
        sensor = tiny(model=model)
        async with streaming(Air(sensor), wanted(sensor)) as (_, [night]):
            for _ in range(30):
                await until(more(night, 4))
                sensor.drop()
            await until(more(night, 4))
            assert len(night.all("connected")) == 31
            assert night.all("lost") == [{"reason": "link lost"}] * 30
            assert len(sensor.sessions) == 1
        flat = night.numbers
        assert flat == sorted(set(flat))
        assert set(flat) <= set(sensor.delivered)
        lost_in_unfilled_packets = len(sensor.delivered) - len(flat)
        assert lost_in_unfilled_packets <= 31 * 8

    play(go())


def test_the_trap_that_it_avoids_is_there() -> None:
    """A client that is not disconnected after its link was lost makes every packet arrive twice."""

    async def go() -> None:
        sensor = tiny(model=BARE)
        air = Air(sensor)
        async with air:
            radio = Radio(air.backend)
            got: list[bytes] = []
            for _ in range(2):
                async with radio.scan() as heard:
                    seen = await anext(heard)
                connection = await radio.connect(seen, lambda: None)
                await connection.subscribe(CONTROL, got.append)
                sensor.drop()
            async with radio.scan() as heard:
                seen = await anext(heard)
            connection = await radio.connect(seen, lambda: None)
            await connection.subscribe(CONTROL, got.append)
            sensor.notify([Notify(CONTROL, b"x")])
            assert got == [b"x"] * 3

    play(go())


@pytest.mark.parametrize("model", [COUNTED, BARE], ids=lambda model: model.name)
def test_a_subscription_left_by_somebody_else_doubles_nothing(model: Model) -> None:
    """Where every packet comes twice all the same, each sample is recorded once, and it is said."""

    async def go() -> None:
        sensor = tiny(model=model)
        air = Air(sensor)
        async with air:
            other = air.backend.client(
                hearing_device(sensor), disconnected_callback=lambda: None, timeout=1.0
            )
            other.subscribed = {CONTROL: print, "7e570003-0000-4000-8000-00805f9b34fb": print}
            sensor.sessions.append(other)
            async with streaming(air, wanted(sensor)) as (_, [night]):
                await until(more(night, 50))
                await until(lambda: bool(night.all("repeated")))
            settled(sensor, night)
            assert night.all("repeated")[0]["doubled"] is (
                model is BARE or night.all("repeated")[0]["doubled"]
            )

    play(go())


def hearing_device(sensor: FakeSensor) -> Any:
    """Return what bleak calls a device."""
    from bleak.backends.device import BLEDevice

    return BLEDevice(sensor.address, "", {})


def test_a_silent_sensor_is_started_anew() -> None:
    """A sensor that stays connected without sending is closed, said to be silent, and configured anew."""

    async def go() -> None:
        sensor = tiny()
        async with streaming(Air(sensor), wanted(sensor)) as (_, [night]):
            await until(more(night))
            sensor.silent = True
            await until(lambda: bool(night.all("lost")))
            sensor.silent = False
            await until(more(night))
            assert night.all("lost")[0]["reason"].startswith("no data for 2.")
            assert sensor.connects >= 2
            assert sensor.peripheral.written_.count(b"S") == sensor.connects  # type: ignore[attr-defined]
        flat = night.numbers
        assert flat == sorted(set(flat))

    play(go())


def test_what_comes_while_a_connection_is_closed_is_kept() -> None:
    """A silent sensor that talks again in the two seconds that closing takes with BlueZ loses nothing."""

    async def go() -> None:
        sensor = tiny()
        air = Air(sensor)
        air.closing_s = 2.0
        async with streaming(air, wanted(sensor)) as (_, [night]):
            await until(more(night))
            sensor.silent = True
            await until(lambda: air.closing > 0)
            sensor.silent = False
            before = len(sensor.delivered)
            await until(lambda: bool(night.all("lost")))
            assert len(sensor.delivered) > before + 400
            await until(more(night))
        settled(sensor, night)

    play(go())


def test_a_reboot_is_a_new_connection() -> None:
    """A sensor that reboots is found again and its counter begins a new stretch."""

    async def go() -> None:
        sensor = tiny()
        async with streaming(Air(sensor), wanted(sensor)) as (_, [night]):
            await until(more(night))
            sensor.peripheral.reboot()
            sensor.drop()
            await until(more(night))
            assert [batch.first for batch in night.all("samples")].count(0) == 2
            assert len(night.all("connected")) == 2

    play(go())


def test_a_restart_without_losing_the_link_is_told() -> None:
    """A device that counts anew while the link stays begins a new stretch, whether it says so or not."""

    async def go() -> None:
        sensor = tiny()
        async with streaming(Air(sensor), wanted(sensor)) as (_, [night]):
            await until(more(night))
            sensor.notify([Notify(CONTROL, b"r")])
            await until(lambda: len(night.all("restarted")) == 1)
            await until(more(night, 40))
            sensor.peripheral.count = 0  # type: ignore[attr-defined]
            await until(lambda: len(night.all("restarted")) == 2)
            await until(more(night))
            assert len(night.all("connected")) == 1

    play(go())


def faulty(kind: str) -> Callable[[list[Notify]], list[Notify]]:
    """Return a radio's fault that hits a packet now and then."""
    turn = itertools.count()
    kept: list[Notify] = []

    def fault(notes: list[Notify]) -> list[Notify]:
        out: list[Notify] = []
        for note in notes:
            hit = next(turn) % 7 == 3
            match kind:
                case "repeated" if hit:
                    out += [note, note]
                case "reordered" if hit:
                    kept.append(note)
                case "garbled" if hit:
                    out.append(Notify(note.characteristic, note.data[:-1]))
                case "lost" if hit:
                    pass
                case _:
                    out += [note, *kept]
                    kept.clear()
        return out

    return fault


@pytest.mark.parametrize("kind", ["repeated", "reordered"])
def test_repeats_and_disorder_leave_no_trace(kind: str) -> None:
    """Packets that come twice or late are recorded once, in their place."""

    async def go() -> None:
        sensor = tiny()
        sensor.fault = faulty(kind)
        async with streaming(Air(sensor), wanted(sensor)) as (_, [night]):
            await until(more(night, 60))
        settled(sensor, night)
        numbers = [batch.first for batch in night.all("samples")]
        assert numbers == sorted(set(numbers))

    play(go())


@pytest.mark.parametrize("kind", ["garbled", "lost"])
def test_what_is_missing_shows_in_the_counter(kind: str) -> None:
    """Packets that are lost or garbled leave a jump of the counter, a share, and garbled ones a count."""

    async def go() -> None:
        sensor = tiny()
        sensor.fault = faulty(kind)
        async with streaming(Air(sensor), wanted(sensor)) as ([one], [night]):
            await until(more(night, 60))
            assert one.status.lost_share == pytest.approx(1 / 7, abs=0.05)
            if kind == "garbled":
                await until(lambda: bool(night.all("garbled")))
                assert night.all("garbled")[0]["reason"] == "not a whole packet"
        firsts = [batch.first for batch in night.all("samples")]
        assert set(np.diff(firsts)) == {4, 8}

    play(go())


def test_the_battery_is_asked_for_and_a_warning_told_once() -> None:
    """The battery is an event and in the status; a driver's warning is told once a night."""

    async def go() -> None:
        sensor = tiny()
        sensor.peripheral.percent = 17
        async with streaming(Air(sensor), wanted(sensor)) as ([one], [night]):
            await until(lambda: len(night.all("battery")) == 1)
            assert night.all("battery") == [{"percent": 17, "volts": 3.7}]
            sensor.drop()
            await until(lambda: len(night.all("battery")) == 2)
            assert one.status.battery_percent == 17
            assert night.all("warned") == [{"sentence": "The tiny sensor is tiny."}]

    play(go())
