"""MetaMotion and Thingy:52: what is special to them. The rules for all models are in test_sensors.py."""

from __future__ import annotations

import numpy as np
import pytest
from sensor_talk import VECTORS, bytes_of, connect, started

from firmware_host.errors import SensorError
from firmware_host.sensors import model_named, thingy52
from firmware_host.sensors.metawear import (
    BMI160,
    BMI270,
    COMMAND,
    NOTIFICATION,
    RESET,
    SILENCE,
    MetaWearPeripheral,
    configure,
    connection,
)
from firmware_host.sensors.protocol import Batch, Battery, Garbled, Notify


def board(name: str = "metamotion_r") -> MetaWearPeripheral:
    """Return the sensor's side."""
    model = model_named(name)
    peripheral = model.peripheral(model)
    assert isinstance(peripheral, MetaWearPeripheral)
    return peripheral


@pytest.mark.parametrize(
    "vector", ["metawear-acc-single-4g", "metawear-acc-packed-bmi160", "metawear-acc-real-2g"]
)
def test_samples_of_the_vendor(vector: str) -> None:
    """Single and packed messages of the vendor and of a real board are the expected acceleration."""
    talk = started("metamotion_r")
    [batch] = talk.driver.receive(NOTIFICATION, bytes_of(vector))
    assert isinstance(batch, Batch)
    expected = VECTORS[vector]["expected"]
    acc_g = batch.counts / VECTORS[vector]["context"]["lsb_per_g"]
    assert acc_g == pytest.approx(np.atleast_2d(expected.get("samples") or expected["acc"]), abs=2e-6)


def test_packed_samples_of_an_s() -> None:
    """An S packs under another register; the extremes of both signs arrive bit for bit."""
    talk = started("metamotion_s")
    talk.received.clear()
    extremes = np.array([[-32768, 32767, -1], [0, 1, 255], [256, -256, 32767]], np.int16)
    [note] = talk.peripheral.send(extremes, 1)
    assert note.data == b"\x03\x05" + extremes.tobytes()
    [batch] = talk.driver.receive(NOTIFICATION, note.data)
    assert isinstance(batch, Batch)
    assert np.array_equal(batch.counts, extremes)


def test_samples_are_numbered_through() -> None:
    """Without a counter samples are numbered as they arrive."""
    talk = started("metamotion_r")
    talk.stream(0.5)
    assert [batch.first for batch in talk.batches] == list(range(0, 3 * len(talk.batches), 3))
    assert len(talk.batches) > 20


@pytest.mark.parametrize(
    ("vector", "fs_hz", "range_g"),
    [
        ("metawear-cmd-cfg160-50-2", 50, 2),
        ("metawear-cmd-cfg160-100-4", 100, 4),
        ("metawear-cmd-cfg160-200-2", 200, 2),
    ],
)
def test_rate_and_range(vector: str, fs_hz: float, range_g: int) -> None:
    """The vendor's bytes set rate and range, made by the driver's side and understood by the sensor's."""
    assert configure(BMI160, fs_hz, range_g) == bytes_of(vector)
    peripheral = board()
    peripheral.written(COMMAND, bytes_of(vector))
    assert (peripheral.fs_hz, peripheral.g_per_count) == (fs_hz, range_g / 32768)


def test_the_start_is_the_vendors() -> None:
    """A fast connection is asked for, then subscribed, enabled and started in the vendor's order."""
    talk = started("metamotion_r")
    packed, enable, start = talk.written[-3:]
    assert packed == bytes_of("metawear-cmd-sub-packed160")
    assert enable == bytes_of("metawear-cmd-enable")
    assert start == bytes_of("metawear-cmd-start")
    assert bytes_of("metawear-cmd-conn-fast") in talk.written
    assert bytes_of("metawear-cmd-disable") in talk.written
    talk.run(talk.driver.stop())
    assert tuple(talk.written[-len(SILENCE) :]) == SILENCE
    assert not talk.peripheral.streaming


@pytest.mark.parametrize(("name", "chip"), [("metamotion_r", BMI160), ("metamotion_s", BMI270)])
def test_the_chip_tells_the_model(name: str, chip: object) -> None:
    """Both kinds advertise alike, so a driver of either finds out which one it has, and says so."""
    peripheral = board(name)
    other = {"metamotion_r": "metamotion_s", "metamotion_s": "metamotion_r"}[name]
    talk = started(other, peripheral)
    assert peripheral.chip is chip
    assert talk.driver.model.name == name
    talk.stream(0.1)
    assert np.array_equal(talk.counts, np.concatenate(talk.sent)[: len(talk.counts)])


def test_connection_parameters() -> None:
    """Intervals, latency and timeout are in the vendor's units."""
    assert connection(750, 1000, 128, 16384) == bytes_of("metawear-cmd-conn")
    assert connection(7.5, 7.5, 0, 6000) == bytes_of("metawear-cmd-conn-fast")


def test_single_samples() -> None:
    """A board that another program subscribed to single samples sends each as the vendor's message."""
    peripheral = board()
    peripheral.written(COMMAND, bytes_of("metawear-cmd-sub"))
    peripheral.written(COMMAND, bytes_of("metawear-cmd-start"))
    assert peripheral.streaming
    message = bytes_of("metawear-acc-single-4g")
    [note] = peripheral.send(np.frombuffer(message, "<i2", offset=2).reshape(1, 3), 1)
    assert note.data == message


def test_leaving_is_no_reset() -> None:
    """Asking the board to end the link forgets nothing; a reset forgets all."""
    peripheral = board()
    peripheral.written(COMMAND, bytes_of("metawear-cmd-accounter-create"))
    assert not peripheral.written(COMMAND, bytes_of("metawear-cmd-gap-disconnect"))
    assert peripheral.processors
    peripheral.written(COMMAND, bytes_of("metawear-cmd-reset"))
    assert not peripheral.processors


def test_an_unknown_chip_is_refused() -> None:
    """A board with another accelerometer is told in a sentence."""
    talk = connect("metamotion_r")
    talk.peripheral.written = (  # type: ignore[method-assign]
        lambda characteristic, data: (
            [Notify(NOTIFICATION, b"\x03\x80\x00\x01")] if data == b"\x03\x80" else []
        )
    )
    with pytest.raises(SensorError, match="does not know"):
        talk.run(talk.driver.start())


def test_leftovers_of_another_program_are_reset() -> None:
    """A processor that another program left survives the link; it is reset away, then the board starts."""
    peripheral = board()
    [answer] = peripheral.written(COMMAND, bytes_of("metawear-cmd-accounter-create"))
    assert answer.data == b"\x09\x02\x00"
    peripheral.disconnected()
    talk = connect("metamotion_r", peripheral=peripheral)
    with pytest.raises(SensorError, match=r"another program.*reset"):
        talk.run(talk.driver.start())
    assert talk.written[-1] == RESET == bytes_of("metawear-cmd-reset")
    assert not talk.batches
    peripheral.disconnected()
    assert started("metamotion_r", peripheral).driver.facts is not None


def test_what_processors_say() -> None:
    """Accounters put a tick, or the sample's number, before each sample, as in the vendor's tests."""
    peripheral = board()
    peripheral.written(COMMAND, bytes_of("metawear-cmd-accounter-create"))
    expected = VECTORS["metawear-accounter-0"]["expected"]
    counts = np.rint(np.array([expected["acc"]]) * 16384).astype(np.int16)
    [note] = peripheral.send(counts, round((expected["tick"] + 0.5) * 1_464_843.75))
    assert note.data == bytes_of("metawear-accounter-0")
    peripheral.reboot()
    peripheral.written(COMMAND, bytes.fromhex("09020304ffa0113003"))
    expected = VECTORS["metawear-accounter-count"]["expected"]
    peripheral.send(np.zeros((expected["count"], 3), np.int16), 1)
    [note] = peripheral.send(np.array([expected["acc_raw"]], np.int16), 2)
    assert note.data == bytes_of("metawear-accounter-count")


def test_battery() -> None:
    """The battery is asked for and read as the vendor does, in percent and volts."""
    talk = started("metamotion_s")
    talk.run(talk.driver.poll())
    assert talk.written[-1] == bytes_of("metawear-cmd-battery")
    assert talk.driver.receive(NOTIFICATION, bytes_of("metawear-battery")) == (Battery(99, 4.148),)


@pytest.mark.parametrize(
    "message", ["", "03", "0304", "031c" + 17 * "00", "031c" + 24 * "00", "0903" + 11 * "00", "0101"]
)
def test_messages_that_are_no_samples(message: str) -> None:
    """Messages that are cut off, or that nobody asked for, give no samples."""
    talk = started("metamotion_r")
    assert [type(said) for said in talk.driver.receive(NOTIFICATION, bytes.fromhex(message))] == [Garbled]


def test_a_rate_that_the_chip_lacks() -> None:
    """A rate that the chip does not have is refused in a sentence that names those that it has."""
    talk = connect("metamotion_r", 208.0)
    with pytest.raises(SensorError, match="208 Hz, only to 50, 100, 200"):
        talk.run(talk.driver.start())


def test_thingy_samples() -> None:
    """A real Thingy's bytes and the firmware's layout give the acceleration; one sample a packet."""
    talk = connect("thingy52")
    talk.run(talk.driver.start())
    for vector, padding in (("thingy52-raw-acc-real", 12), ("thingy52-raw-full", 0)):
        [batch] = talk.driver.receive(thingy52.RAW, bytes_of(vector) + bytes(padding))
        assert isinstance(batch, Batch)
        assert batch.counts[0] / 1024 == pytest.approx(VECTORS[vector]["expected"]["acc"], abs=1e-5)
    assert [type(said) for said in talk.driver.receive(thingy52.RAW, bytes(17))] == [Garbled]


def test_thingy_configuration() -> None:
    """Settings and connection parameters are the documented bytes; at the end it goes back to 10 Hz."""
    talk = connect("thingy52")
    assert talk.peripheral.read(thingy52.SETTINGS) == bytes_of("thingy52-config-default")
    talk.run(talk.driver.start())
    assert talk.written == [bytes_of("thingy52-connparam"), bytes_of("thingy52-config-200")]
    talk.run(talk.driver.stop())
    assert talk.written[-1] == bytes_of("thingy52-config-default")


def test_a_thingy_that_does_not_take_its_rate() -> None:
    """Settings are read back: a Thingy that ignores them, or has none, is told in a sentence."""
    talk = connect("thingy52")
    talk.peripheral.written = lambda characteristic, data: []  # type: ignore[method-assign]
    with pytest.raises(SensorError, match="did not take the rate of 200 Hz"):
        talk.run(talk.driver.start())
    talk.peripheral.read = lambda characteristic: b""  # type: ignore[method-assign]
    with pytest.raises(SensorError, match="firmware"):
        talk.run(talk.driver.start())


def test_single_samples_are_subscribed_by_the_vendors_bytes() -> None:
    """The vendor's subscription, enable and start make the sensor's side send each sample by itself."""
    peripheral = board()
    for vector in ("metawear-cmd-sub", "metawear-cmd-enable", "metawear-cmd-start"):
        peripheral.written(COMMAND, bytes_of(vector))
    assert peripheral.streaming
    samples = np.array([[-32768, 32767, -1]], np.int16)
    assert [note.data for note in peripheral.send(samples, 1)] == [b"\x03\x04" + samples.tobytes()]


def test_commands_that_are_not_for_us() -> None:
    """The vendor's slow connection is laid out as our fast one; neither it nor a goodbye is ever written."""
    slow, fast = bytes_of("metawear-cmd-conn"), bytes_of("metawear-cmd-conn-fast")
    assert (len(slow), slow[:2]) == (len(fast), fast[:2])
    assert int.from_bytes(slow[2:4], "little") > int.from_bytes(fast[2:4], "little")
    talk = started("metamotion_r")
    talk.run(talk.driver.stop())
    assert not {slow, bytes_of("metawear-cmd-gap-disconnect")} & set(talk.written)
