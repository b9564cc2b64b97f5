"""What keeps a sensor from streaming is told once, in a sentence, and tried again; the end stops a sensor."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)
from fake_bleak import Air
from streamed_links import Night, more, now_s, play, settled, streaming, tiny, until, wanted
from tiny_sensor import BARE, CONTROL, COUNTED

from firmware_host.capture import script
from firmware_host.capture.identity import Wanted
from firmware_host.capture.stream import Stream
from firmware_host.sensors.protocol import Facts, Notify

OFF = BleakBluetoothNotAvailableError("off", BleakBluetoothNotAvailableReason.POWERED_OFF)
DEAD = BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["not provided by any .service files"])


def test_it_waits_for_a_sensor_that_is_gone() -> None:
    """A sensor that vanishes is looked for as long as it takes, and streams as soon as it is back."""

    async def go() -> None:
        sensor = tiny()
        async with streaming(Air(sensor), wanted(sensor)) as ([one], [night]):
            await until(more(night))
            sensor.vanish()
            await asyncio.sleep(600)
            assert one.status.state == "looking"
            assert one.status.trouble is not None
            assert one.status.trouble.startswith("left_calf: C0:00:00:00:00:01 is not heard")
            sensor.present = True
            await until(more(night))
            assert [kind for kind in night.kinds if kind != "battery"].count("lost") == 1

    play(go())


def test_it_survives_a_sensor_that_goes_while_connecting() -> None:
    """A sensor that is gone between its advertisement and the connection is tried again, and keeps nobody."""

    async def go() -> None:
        sensor, other = tiny(1), tiny(2)
        air = Air(sensor, other)
        air.connect_s = 0.05
        async with streaming(air, wanted(sensor), wanted(other, "right_calf")) as (_, [night, others]):
            await until(lambda: air.connecting > 0)
            sensor.present = False
            await until(more(others))
            sensor.present = True
            await until(more(night))

    play(go())


def test_a_sensor_that_does_not_answer_is_tried_again() -> None:
    """A start that is not answered is a trouble in one sentence, told once, and no end."""

    async def go() -> None:
        sensor = tiny()
        sensor.peripheral.mute = True  # type: ignore[attr-defined]
        async with streaming(Air(sensor), wanted(sensor)) as ([one], [night]):
            await until(lambda: sensor.connects >= 3)
            sentence = "left_calf: The sensor did not send an answer to its start."
            assert night.log == [("trouble", {"sentence": sentence})]
            assert one.status.trouble == sentence
            sensor.peripheral.mute = False  # type: ignore[attr-defined]
            await until(more(night))
            assert one.status.trouble is None

    play(go())


def test_a_sensor_that_stops_by_itself_is_started_again() -> None:
    """A device that ends its stream is left with its reason and connected anew."""

    async def go() -> None:
        sensor = tiny()
        async with streaming(Air(sensor), wanted(sensor)) as (_, [night]):
            await until(more(night))
            sensor.notify([Notify(CONTROL, b"e")])
            await until(lambda: len(night.all("connected")) == 2)
            assert night.all("lost") == [{"reason": "the sensor stopped: it is in its charger"}]

    play(go())


@pytest.mark.parametrize(
    "trouble", [OFF, DEAD, FileNotFoundError("no bus"), BleakError("adapter 'hci0' not found")]
)
def test_it_waits_for_bluetooth_itself(trouble: Exception) -> None:
    """An adapter or bluetoothd that goes away is told once, so is its return, and streaming goes on."""

    async def go() -> None:
        sensor = tiny()
        air = Air(sensor)
        async with streaming(air, wanted(sensor)) as ([one], [night]):
            await until(more(night))
            air.trouble = trouble
            sensor.drop()
            await until(lambda: bool(night.all("radio_gone")))
            await asyncio.sleep(60)
            assert one.status.trouble == night.all("radio_gone")[0]["sentence"]
            assert one.status.trouble.endswith(".")
            air.trouble = None
            await until(more(night))
            assert len(night.all("radio_gone")) == len(night.all("radio_back")) == 1
        flat = night.numbers
        assert flat == sorted(set(flat))

    play(go())


def test_a_link_that_cannot_be_closed_is_left_behind() -> None:
    """A disconnect that never ends costs a bounded time and then a new connection is made."""

    async def go() -> None:
        sensor = tiny()
        air = Air(sensor)
        async with streaming(air, wanted(sensor)) as (_, [night]):
            await until(more(night))
            air.hang = True
            sensor.drop()
            await until(more(night))
            air.hang = False
        flat = night.numbers
        assert flat == sorted(set(flat))

    play(go())


def test_an_unknown_model_is_said() -> None:
    """A sensor that no driver knows is a trouble whose sentence says how to make it known."""

    async def go() -> None:
        sensor = tiny()
        want = Wanted("left_calf", sensor.address, None, None, None)
        async with streaming(Air(sensor), want) as (_, [night]):
            await until(lambda: bool(night.all("trouble")))
            assert "Tiny A1 is no sensor model that is known" in night.all("trouble")[0]["sentence"]
            assert sensor.connects == 0

    play(go())


def test_samples_of_another_scale_are_refused() -> None:
    """A sensor that comes back with another scale than the night's is a trouble, and not recorded."""

    async def go() -> None:
        sensor = tiny()
        async with streaming(Air(sensor), wanted(sensor)) as (_, [night]):
            await until(more(night))
            sensor.peripheral.g_per_count = 0.002
            sensor.drop()
            await until(lambda: bool(night.all("trouble")))
            assert night.kinds[-1] == "trouble"
            assert "0 Hz at 2 mg a count, not as before 400 Hz at 1 mg" in night.all("trouble")[0]["sentence"]
            sensor.peripheral.g_per_count = 0.001
            await until(more(night))

    play(go())


@pytest.mark.parametrize("mute", [False, True])
def test_the_end_stops_the_sensor(mute: bool) -> None:
    """When cancelled it stops the sensor and closes, within six seconds though the sensor be dumb."""

    async def go() -> None:
        sensor = tiny()
        air = Air(sensor)
        async with streaming(air, wanted(sensor)) as (_, [night]):
            await until(more(night))
            sensor.silent = sensor.peripheral.mute = mute  # type: ignore[attr-defined]
            air.hang = mute
            began_s = now_s()
        assert now_s() - began_s < 6
        assert sensor.peripheral.written_.endswith(b"X")  # type: ignore[attr-defined]
        if not mute:
            assert sensor.client is None
            assert not sensor.sessions
            settled(sensor, night)

    play(go())


def test_a_full_queue_is_told() -> None:
    """What a decoder that is too slow has to drop is counted, and without a counter begins a new stretch."""
    clock = iter(range(1, 1000))
    inbox = script.Inbox(lambda: (next(clock), 0), size=3)
    for i in range(5):
        inbox.put(CONTROL, bytes([i]))
    assert [note.data for note in iter(inbox.take, None)] == [b"\0", b"\1", b"\2"]
    assert (inbox.take_dropped(), inbox.take_dropped()) == (2, 0)
    for model, kinds in ((COUNTED, ["dropped"]), (BARE, ["dropped", "restarted"])):
        night = Night()
        Stream(model, model.driver(model), night, lambda _: None, set()).dropped(2, 1, 2)
        assert night.kinds == kinds


def test_what_did_not_fit_is_told_where_it_is_missing() -> None:
    """What goes on arriving while a backlog is decoded stands behind the drop that came before it."""
    clock = iter(range(1, 1000))
    inbox = script.Inbox(lambda: (next(clock), 0), size=3)
    for i in range(5):  # 3 and 4 do not fit
        inbox.put(CONTROL, bytes([i]))
    assert inbox.take() is not None
    inbox.put(CONTROL, bytes([5]))
    assert [(note.data[0], note.dropped) for note in iter(inbox.take, None)] == [(1, 0), (2, 0), (5, 2)]
    assert inbox.take_dropped() == 0


def test_a_slow_sensor_is_told_once() -> None:
    """A sensor that delivers less than nine tenths of its rate is told of once, with the measured rate."""

    async def go() -> None:
        sensor = tiny()
        turn = itertools.count()
        sensor.fault = lambda notes: [note for note in notes if next(turn) % 2]
        async with streaming(Air(sensor), wanted(sensor)) as ([one], [night]):
            await until(lambda: bool(night.all("slow")))
            await asyncio.sleep(60)
            [told] = night.all("slow")
            assert told["fs_hz"] < 300 < told["expected_hz"]
            assert one.status.fs_hz == pytest.approx(told["fs_hz"], rel=0.5)

    play(go())


def test_samples_of_an_earlier_session_count() -> None:
    """A night that is continued refuses another scale than its own from the first connection on."""

    async def go() -> None:
        sensor = tiny()
        facts = Facts(400.0, 0.002, "int16")
        async with streaming(Air(sensor), wanted(sensor), facts=facts) as (_, [night]):
            await until(lambda: bool(night.all("trouble")))
            assert not night.all("samples")

    play(go())
