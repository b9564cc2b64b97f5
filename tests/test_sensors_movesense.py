"""Movesense: what is special to it. The rules for all models are in test_sensors.py."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from sensor_talk import VECTORS, Talk, bytes_of, connect

from firmware_host.capture.ble import Connection
from firmware_host.capture.script import Inbox, run
from firmware_host.errors import SensorError
from firmware_host.sensors.movesense import (
    ACC,
    COMMAND,
    GREETING,
    HELLO,
    NOTIFICATION,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Movesense,
    MovesensePeripheral,
    command,
)
from firmware_host.sensors.protocol import (
    Batch,
    Driver,
    Garbled,
    MissingPartError,
    Notify,
    Subscribe,
)


def driver(fs_hz: float = 208.0) -> Driver:
    """Return a driver that has received nothing."""
    return connect("movesense", fs_hz).driver


def started(fs_hz: float = 208.0) -> Talk:
    """Return a sensor that streams."""
    talk = connect("movesense", fs_hz)
    talk.run(talk.driver.start())
    return talk


def shifted(data: bytes, ms: int) -> bytes:
    """Return a DATA notification with a later stamp."""
    stamp = int.from_bytes(data[2:6], "little") + ms
    return data[:2] + stamp.to_bytes(4, "little") + data[6:]


@pytest.mark.parametrize(
    ("vector", "fs_hz"), [("movesense-meas-acc-52", 52.0), ("movesense-acc104-constructed", 104.0)]
)
def test_measurements_in_one_packet(vector: str, fs_hz: float) -> None:
    """A captured and a made measurement are the expected m/s2, at the time of the first sample."""
    expected = VECTORS[vector]["expected"]
    [batch] = driver(fs_hz).receive(NOTIFICATION, bytes_of(vector))
    assert isinstance(batch, Batch)
    assert batch.counts == pytest.approx(np.array(expected["acc"]), rel=1e-5, abs=1e-6)
    after_ns = (batch.device_ns or 0) - expected["timestamp_ms"] * 1_000_000
    assert after_ns == pytest.approx((len(batch.counts) - 1) / fs_hz * 1e9, abs=2)


def test_a_measurement_in_two_parts() -> None:
    """16 samples arrive in DATA and PART2 and are told when both are there."""
    one = driver()
    assert list(one.receive(NOTIFICATION, bytes_of("movesense-acc208-part1"))) == []
    [batch] = one.receive(NOTIFICATION, bytes_of("movesense-acc208-part2"))
    expected = VECTORS["movesense-acc208-part2"]["expected"]
    assert isinstance(batch, Batch)
    assert len(batch.counts) == expected["n"]
    assert batch.counts[[0, -1]] == pytest.approx(np.array([expected["first"], expected["last"]]), abs=1e-6)


@pytest.mark.parametrize("vector", ["movesense-gyro-52", "movesense-temp"])
def test_other_measurements_are_none_of_ours(vector: str) -> None:
    """What another reference subscribed to, turning rate or temperature, gives no samples."""
    assert list(driver(52.0).receive(NOTIFICATION, bytes_of(vector))) == []


@pytest.mark.parametrize(
    ("vector", "number", "reference", "path"),
    [
        ("movesense-sub-acc104", SUBSCRIBE, ACC, "/Meas/Acc/104"),
        ("movesense-sub-acc208", SUBSCRIBE, ACC, "/Meas/Acc/208"),
        ("movesense-sub-acc52", SUBSCRIBE, 2, "/Meas/Acc/52"),
        ("movesense-unsub", UNSUBSCRIBE, ACC, ""),
        ("movesense-hello", HELLO, GREETING, ""),
    ],
)
def test_commands(vector: str, number: int, reference: int, path: str) -> None:
    """Commands are the documented bytes, and the sensor's side understands them."""
    assert command(number, reference, path) == bytes_of(vector)
    sensor = connect("movesense").peripheral
    [answer] = sensor.written(COMMAND, bytes_of(vector))
    assert answer.data[:2] == bytes([1, reference])
    assert sensor.streaming == (number == SUBSCRIBE)


def test_what_is_written_at_start_and_stop() -> None:
    """It greets, subscribes to acceleration at 208 Hz and nothing else, and unsubscribes in the end."""
    talk = started()
    talk.run(talk.driver.stop())
    names = ("movesense-hello", "movesense-sub-acc208", "movesense-unsub")
    assert talk.written == [bytes_of(name) for name in names]


def test_firmware_without_the_service() -> None:
    """A sensor as it is sold is told from one that streams, with what to install."""
    script = driver().start()
    assert next(script) == Subscribe(NOTIFICATION)
    with pytest.raises(SensorError, match="install one with GATT SensorData"):
        script.throw(MissingPartError("lacks a part of its protocol"))


def test_a_missing_service_reaches_the_script() -> None:
    """Over a connection without the characteristic the start ends with the same sentence."""

    class Bare(Connection):
        def __init__(self) -> None:
            self.asked: list[str] = []

        async def subscribe(self, characteristic: str, callback: Any) -> None:
            self.asked.append(characteristic)
            raise MissingPartError("It lacks a part of its protocol.")

    bare = Bare()
    with pytest.raises(SensorError, match="install one with GATT SensorData"):
        asyncio.run(run(driver().start(), bare, Inbox(lambda: (0, 0))))
    assert bare.asked == [NOTIFICATION]


def test_a_connection_with_short_packets() -> None:
    """Over an MTU of 63 or less it is refused, as the measurement does not fit in its parts."""
    talk = connect("movesense")
    talk.peripheral.payload = 60
    with pytest.raises(SensorError, match="too short"):
        talk.run(talk.driver.start())


def test_a_rate_that_the_firmware_refuses() -> None:
    """An answer of 404, or one with its bytes the other way round, ends the start with a sentence."""

    class Poor(MovesensePeripheral):
        status = b""

        def written(self, characteristic: str, data: bytes) -> list[Notify]:
            return [Notify(NOTIFICATION, bytes([1, data[1]]) + self.status)] if data[0] == SUBSCRIBE else []

    for one in (b"\x94\x01", b"\x01\xfb"):
        Poor.status = one
        talk = connect("movesense", peripheral=Poor(driver().model))
        with pytest.raises(SensorError, match="refused to send acceleration at 208 Hz"):
            talk.run(talk.driver.start())
    with pytest.raises(SensorError, match="100 Hz, only to 52, 104, 208"):
        next(Movesense(driver().model, 100.0).start())


def test_a_lost_part_costs_one_measurement() -> None:
    """DATA without its PART2 and PART2 without its DATA give no samples; the next measurement is whole."""
    talk = started()
    talk.received.clear()
    talk.peripheral.payload = 158
    talk.kept = []
    talk.stream(1.0)
    parts = talk.kept[-12:]
    talk.hand_over(parts[:1] + parts[2:4] + parts[5:])
    kinds = [type(item) for item in talk.received]
    assert kinds.count(Garbled) == 2
    assert [len(batch.counts) for batch in talk.batches] == [16] * 4


def test_measurements_of_another_length() -> None:
    """Firmware that packs eight samples at 208 Hz is understood, one packet late at first, then at once."""
    one = driver()
    data = bytes_of("movesense-acc104-constructed")
    told = [len(one.receive(NOTIFICATION, shifted(data, round(k * 8 / 0.208)))) for k in range(5)]
    assert told == [0, 2, 1, 1, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e30, 251.0])
def test_what_is_no_acceleration(bad: float) -> None:
    """Floats that no accelerometer sends, as garbled bytes make them, give no samples."""
    data = bytearray(bytes_of("movesense-meas-acc-52"))
    data[6:10] = np.array(bad, "<f4").tobytes()
    assert driver(52.0).receive(NOTIFICATION, bytes(data)) == [Garbled("no acceleration")]
