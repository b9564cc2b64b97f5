"""Samples in order and once; Bluetooth's troubles in a sentence; waits with an end."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import numpy as np
import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)
from hypothesis import given
from hypothesis import strategies as st
from streamed_links import play

from firmware_host.capture import radio_errors
from firmware_host.capture.bounded import bounded
from firmware_host.capture.order import BEHIND, DOUBLED, HELD, Repeats, Sorter, Stamped
from firmware_host.capture.radio_errors import is_radio_error, radio_error
from firmware_host.sensors.protocol import Batch

SIZE = 4


def batch(number: int, size: int = SIZE) -> Stamped:
    """Return a batch whose samples say which they are."""
    counts = np.repeat(np.arange(number, number + size, dtype=np.int16)[:, None], 3, axis=1)
    return Stamped(Batch(counts, number), number, number)


def numbers(out: list[Stamped]) -> list[int]:
    """Return the samples that were given out, and hold that they are where they say."""
    for one in out:
        assert one.batch.counts[0, 0] == one.batch.first
    return [int(value) for one in out for value in one.batch.counts[:, 0]]


@given(st.data())
def test_what_arrives_within_reach_is_given_out_once_and_in_order(data: st.DataObject) -> None:
    """However packets are lost, repeated and overtaken by a few, each that came is given out, in order."""
    kept = sorted(data.draw(st.sets(st.integers(1, 60), min_size=1)))
    late = [data.draw(st.integers(0, HELD)) for _ in kept]
    order = [0] + [kept[i] for i in sorted(range(len(kept)), key=lambda i: i + late[i])]
    arrivals = [number for number in order for _ in range(data.draw(st.integers(1, 3)))]
    sorter, out = Sorter(), []
    for number in arrivals:
        out += sorter.put(batch(number * SIZE))
    out += sorter.flush()
    assert numbers(out) == [n * SIZE + i for n in [0, *kept] for i in range(SIZE)]
    assert sorter.received == SIZE * (len(kept) + 1)
    assert sorter.lost == (max(kept) + 1) * SIZE - sorter.received
    assert sorter.repeated == len(arrivals) - len(order)


def test_a_stretch_may_begin_anywhere_and_overlap() -> None:
    """The first number is whatever it is; samples that came with another batch are cut off."""
    sorter = Sorter()
    out = [*sorter.put(batch(1000)), *sorter.put(batch(1002)), *sorter.put(batch(1006, 1))]
    assert numbers(out) == list(range(1000, 1007))
    assert sorter.lost == 0


def test_numbers_that_fall_back_for_good_are_noticed() -> None:
    """A device that counts anew without a word is not taken for one that repeats itself for ever."""
    sorter = Sorter()
    sorter.put(batch(1000))
    for i in range(BEHIND):
        assert not sorter.counts_anew
        assert sorter.put(batch(i * SIZE)) == []
    assert sorter.counts_anew
    sorter.restart()
    assert numbers(sorter.put(batch(80))) == [80, 81, 82, 83]


def kept(repeats: Repeats, stream: bytes) -> bytes:
    """Return those of one-byte notifications that are not dropped."""
    out = b""
    for one in stream:
        if not repeats.is_repeat("data", bytes([one])):
            out += bytes([one])
            repeats.samples_come_on("data")
    return out


def test_repeats_without_a_counter_are_dropped_only_where_all_comes_twice() -> None:
    """Doubled from its start a stream is halved; equal neighbours in one that is not doubled are kept."""
    assert kept(Repeats(numbered=False), b"aabbccdd") == b"abcd"
    assert kept(Repeats(numbered=False), b"abbcddde") == b"abbcddde"
    late = b"xyz" + b"".join(bytes([i, i]) for i in range(DOUBLED + 4)) + b"pq" + b"rrs"
    undoubled = b"".join(bytes([i, i]) for i in range(DOUBLED)) + bytes(range(DOUBLED, DOUBLED + 4))
    assert kept(Repeats(numbered=False), late) == b"xyz" + undoubled + b"pq" + b"rrs"
    assert kept(Repeats(numbered=False), b"aaaa") == b"aa"


def test_repeats_with_a_counter_are_always_dropped() -> None:
    """Where notifications are numbered, two equal ones are one; answers to commands may be equal."""
    assert kept(Repeats(numbered=True), b"abbcdd") == b"abcd"
    answers = Repeats(numbered=True)
    assert [answers.is_repeat("control", b"ok") for _ in range(3)] == [False] * 3


@pytest.mark.parametrize("reason", BleakBluetoothNotAvailableReason)
def test_every_reason_has_its_sentence(reason: BleakBluetoothNotAvailableReason) -> None:
    """Whatever bleak gives as the reason, one sentence says what to do."""
    error = BleakBluetoothNotAvailableError("said by bleak", reason)
    assert is_radio_error(error)
    sentence = str(radio_error(error))
    assert sentence.endswith(".")
    assert "said by bleak" not in sentence


def test_a_blocked_radio_is_told_apart_from_one_that_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A radio that the kernel's switches block is said to be blocked, and how to unblock it."""
    monkeypatch.setattr(radio_errors, "RFKILL", tmp_path)
    error = BleakDBusError("org.bluez.Error.NotReady", ["Resource Not Ready"])
    said = {}
    for soft, hard in (("0", "0"), ("1", "0"), ("0", "1")):
        for name, kind in (("rfkill0", "wlan"), ("rfkill1", "bluetooth")):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "type").write_text(f"{kind}\n")
            (tmp_path / name / "soft").write_text(f"{soft}\n")
            (tmp_path / name / "hard").write_text(f"{hard}\n")
        said[soft, hard] = str(radio_error(error))
    assert "Bluetooth is off" in said["0", "0"]
    assert "rfkill unblock bluetooth" in said["1", "0"]
    assert "a switch or key" in said["0", "1"]


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["x"]), "bluetoothd"),
        (BleakDBusError("org.freedesktop.DBus.Error.Spawn.ChildExited", ["x"]), "bluetoothd"),
        (
            BleakDBusError(
                "org.freedesktop.DBus.Error.FileExists",
                ["Unit dbus-org.bluez.service failed to load properly, please adjust/correct"],
            ),
            "bluetoothd",
        ),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", ["x"]), "group `bluetooth`"),
        (FileNotFoundError("no bus"), "bluetoothd"),
        (EOFError(), "bluetoothd"),
        (BleakError("adapter 'hci3' not found"), "no Bluetooth adapter"),
        (KeyError("odd"), "('odd')"),
    ],
)
def test_whatever_a_scan_fails_with_is_a_sentence(error: Exception, part: str) -> None:
    """What bluetoothd, the bus or bleak raise becomes one sentence."""
    assert part in str(radio_error(error))


@pytest.mark.parametrize(
    "error", [BleakError("Not connected"), BleakDBusError("org.bluez.Error.Failed", ["x"])]
)
def test_a_sensors_failure_is_not_the_radios(error: Exception) -> None:
    """A link that fails is the sensor's trouble, not this computer's."""
    assert not is_radio_error(error)


def test_work_that_refuses_to_end_is_left_behind() -> None:
    """A wait ends in time, though what is waited for ignores being cancelled or is cancelled underneath."""

    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    async def given_up() -> None:
        raise asyncio.CancelledError

    async def go() -> None:
        for work in (stubborn(), given_up()):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(bounded(work, 0.01), 5)
        released.set()

    play(go())
