"""One sensor is kept streaming through everything that a night may bring, and nothing received is lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)
from fake_bleak import Air, FakeSensor
from tiny_sensor import BARE, CONTROL, COUNTED, TinyPeripheral

from firmware_host.capture import script
from firmware_host.capture.ble import Radio
from firmware_host.capture.identity import Wanted
from firmware_host.capture.link import Link
from firmware_host.capture.stream import Stream
from firmware_host.sensors.protocol import Batch, Facts, Model, Notify
from firmware_host.simulation.time_lapse import TimeLapseLoop

OFF = BleakBluetoothNotAvailableError("off", BleakBluetoothNotAvailableReason.POWERED_OFF)
DEAD = BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["not provided by any .service files"])


def play(work: Coroutine[Any, Any, None]) -> None:
    """Let a test's night pass: in order and quickly, with the waits of real nights."""
    with asyncio.Runner(loop_factory=TimeLapseLoop) as runner:
        runner.run(work)


def now_s() -> float:
    """Return the time of the test's night."""
    return asyncio.get_running_loop().time()


def clock() -> tuple[int, int]:
    """Return the test's night's monotonic clock and UTC, ns."""
    return round(now_s() * 1e9), round(now_s() * 1e9) + 10**18


class Night:
    """An outlet that keeps everything, in order."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []

    def connected(self, facts: Facts, model: Model, seen: Any, mono_ns: int, utc_ns: int) -> None:
        """Keep its facts."""
        self.log.append(("connected", facts))

    def samples(self, batch: Batch, mono_ns: int, utc_ns: int) -> None:
        """Keep a batch."""
        self.log.append(("samples", batch))

    def event(self, kind: str, mono_ns: int, utc_ns: int, **details: Any) -> None:
        """Keep its details."""
        self.log.append((kind, details))

    def all(self, kind: str) -> list[Any]:
        """Return what was kept of one kind."""
        return [what for one, what in self.log if one == kind]

    @property
    def kinds(self) -> list[str]:
        """The kinds in order, equal ones in a row once."""
        return [kind for kind, _ in itertools.groupby(kind for kind, _ in self.log)]

    @property
    def numbers(self) -> list[int]:
        """Which samples were recorded, as `fake_bleak.numbered` numbers them."""
        batches = [batch.counts.astype(np.int64) for batch in self.all("samples")]
        counts = np.concatenate(batches) if batches else np.empty((0, 3), np.int64)
        assert np.array_equal(counts[:, 1], -1 - counts[:, 0])
        return (counts[:, 0] + 32768 + 65536 * counts[:, 2]).tolist()


def tiny(number: int = 1, model: Model = COUNTED) -> FakeSensor:
    """Return a sensor to put into the air."""
    return FakeSensor(TinyPeripheral(model, f"A{number}"), f"C0:00:00:00:00:0{number}")


def wanted(sensor: FakeSensor, site: str = "left_calf", **named: Any) -> Wanted:
    """Want a sensor, by its address unless said otherwise."""
    named = named or {"address": sensor.address}
    return Wanted(
        site, named.get("address"), named.get("name"), named.get("model", sensor.peripheral.model), None
    )


@contextlib.asynccontextmanager
async def streaming(
    air: Air, *wants: Wanted, adapters: Sequence[str] = (), **options: Any
) -> AsyncIterator[tuple[list[Link], list[Night]]]:
    """Run links in the air."""
    radio = Radio(air.backend, adapters)
    nights = [Night() for _ in wants]
    links = [Link(radio, want, night, clock, **options) for want, night in zip(wants, nights, strict=True)]
    async with air:
        tasks = [asyncio.create_task(one.run()) for one in links]
        try:
            yield links, nights
            for task in tasks:
                assert not task.done(), task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def until(what: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait for something to come true."""
    async with asyncio.timeout(within_s):
        while not what():
            await asyncio.sleep(0.02)


def more(night: Night, n: int = 10) -> Callable[[], bool]:
    """Tell whether n more batches have been recorded than now."""
    before = len(night.all("samples"))
    return lambda: len(night.all("samples")) >= before + n


def settled(sensor: FakeSensor, night: Night) -> None:
    """Hold that what reached this computer is recorded, in order, each sample once."""
    assert night.numbers == sensor.delivered[: len(night.numbers)]
    assert (
        len(sensor.delivered) - len(night.numbers) <= 8 * 4
    )  # in a packet that was not full at a drop, or now


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


def test_samples_of_an_earlier_session_count() -> None:
    """A night that is continued refuses another scale than its own from the first connection on."""

    async def go() -> None:
        sensor = tiny()
        facts = Facts(400.0, 0.002, "int16")
        async with streaming(Air(sensor), wanted(sensor), facts=facts) as (_, [night]):
            await until(lambda: bool(night.all("trouble")))
            assert not night.all("samples")

    play(go())
