"""WitMotion: what is special to it. The rules for all models are in test_sensors.py."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_talk import VECTORS, Talk, bytes_of, connect

from firmware_host.errors import SensorError
from firmware_host.sensors.protocol import Batch, Battery, Counts, Garbled, Notify
from firmware_host.sensors.witmotion import (
    BANDWIDTH,
    BATTERY,
    COMMAND,
    KEY,
    LOCK,
    NOTIFICATION,
    RATE,
    RATE_CODES,
    READ,
    SAVE,
    WIDEST,
    Frames,
    WitMotion,
    WitMotionPeripheral,
    command,
)

STREAMS = (["wit-cap-0"], ["wit-cap-2"], ["wit-cap-0", "wit-cap-2"], ["wit-resync", "wit-resync-b"])


def frames_of(*names: str) -> Counts:
    """Return the accelerations that vectors hold, (n, 3)."""
    return np.array([frame["acc_raw"] for name in names for frame in VECTORS[name]["expected"]["frames"]])


def listening() -> Talk:
    """Return a driver that has begun to take samples."""
    talk = connect("witmotion")
    talk.run(talk.driver.start())
    talk.driver = WitMotion(talk.driver.model)
    talk.driver.receive(NOTIFICATION, b"\x55\x71\x03\x00\x0b" + bytes(15))
    return talk


def decoded(pieces: list[bytes]) -> Counts:
    """Return what a driver makes of pieces of a stream."""
    driver = listening().driver
    items = [item for piece in pieces for item in driver.receive(NOTIFICATION, piece)]
    return np.concatenate([item.counts for item in items if isinstance(item, Batch)])


@pytest.mark.parametrize("names", STREAMS, ids=lambda names: names[-1])
def test_captured_streams(names: list[str]) -> None:
    """Captured frames of both signs are the expected counts, whole and byte by byte, after junk too."""
    assert np.array_equal(decoded([bytes_of(name) for name in names]), frames_of(*names))
    assert np.array_equal(decoded([bytes([byte]) for byte in bytes_of(*names)]), frames_of(*names))


@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 160), max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_split_is_the_same(names: list[str], cuts: list[int]) -> None:
    """Wherever notifications begin and end, the samples are the same."""
    stream = bytes_of(*names)
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert np.array_equal(decoded(pieces), frames_of(*names))


def test_scale_of_a_capture() -> None:
    """A count is 1/2048 g: gravity of the captured unit is about one, as its maker reckons it."""
    for name in ("wit-cap-0", "wit-cap-2"):
        for frame in VECTORS[name]["expected"]["frames"]:
            acc_g = np.array(frame["acc_raw"]) * connect("witmotion").driver.model.g_per_count
            assert acc_g == pytest.approx(frame["acc_g"], rel=1e-5)


def test_junk_is_dropped_and_the_rest_kept() -> None:
    """Junk with a false head is dropped, an unfinished frame waits, and its rest completes it."""
    expected = VECTORS["wit-resync"]["expected"]
    frames = Frames()
    first, dropped = frames.put(bytes_of("wit-resync"))
    assert (len(first), dropped) == (expected["n_frames"], expected["dropped_bytes"])
    assert frames.pending == bytes.fromhex(expected["leftover_hex"])
    second, dropped = frames.put(bytes_of("wit-resync-b"))
    assert (len(second), dropped, frames.pending) == (1, 0, b"")


def test_a_head_among_the_data_is_no_frame() -> None:
    """After a loss the bytes 55 61 inside the data are passed over: only two heads in a row count."""
    counts = np.array([[0x6155, -1, 0x6155]] * 8, np.int16)
    sensor = listening().peripheral
    sensor.disconnected()
    stream = b"".join(note.data for note in sensor.send(np.concatenate([counts, counts]), 0))
    driver = listening().driver
    items = driver.receive(NOTIFICATION, stream[7:])
    assert isinstance(items[0], Garbled)
    assert isinstance(items[1], Batch)
    assert np.array_equal(items[1].counts, np.concatenate([counts, counts])[1:])


def test_answers_stand_between_samples() -> None:
    """An answer to a register read is taken out of the stream, and all frames around it are samples."""
    driver = listening().driver
    assert driver.receive(NOTIFICATION, bytes_of("wit-reg-mag")) == []
    one = driver.receive(NOTIFICATION, bytes_of("wit-cap-0", "wit-reg-mag", "wit-cap-2"))
    assert [len(item.counts) for item in one if isinstance(item, Batch)] == [8]
    expected = VECTORS["wit-reg-mag"]["expected"]
    frame = bytes_of("wit-reg-mag")
    assert frame[2] == expected["register"]
    assert np.frombuffer(frame, "<i2", offset=4).tolist() == expected["registers"]


@pytest.mark.parametrize(
    ("vector", "register", "value"),
    [
        ("wit-cmd-unlock", LOCK, KEY),
        ("wit-cmd-save", SAVE, 0),
        ("wit-cmd-rate10", RATE, RATE_CODES[10.0]),
        ("wit-cmd-rate20", RATE, RATE_CODES[20.0]),
        ("wit-cmd-rate50", RATE, RATE_CODES[50.0]),
        ("wit-cmd-rate100", RATE, RATE_CODES[100.0]),
        ("wit-cmd-rate200", RATE, RATE_CODES[200.0]),
        ("wit-cmd-bw256", BANDWIDTH, WIDEST),
        ("wit-cmd-rdrate", READ, RATE),
        ("wit-cmd-rdtemp", READ, 0x40),
        ("wit-cmd-calacc", 0x01, 1),
    ],
)
def test_commands(vector: str, register: int, value: int) -> None:
    """Commands are the known bytes."""
    assert command(register, value) == bytes_of(vector)


def test_what_is_written_at_the_start() -> None:
    """It is unlocked, set to 200 Hz and the widest bandwidth, and neither saved nor calibrated."""
    talk = connect("witmotion")
    talk.run(talk.driver.start())
    settings = [data for data in talk.written if data[2] != READ]
    assert settings == [bytes_of(name) for name in ("wit-cmd-unlock", "wit-cmd-rate200", "wit-cmd-bw256")]
    assert not {bytes_of("wit-cmd-save"), bytes_of("wit-cmd-calacc")} & set(talk.written)
    assert bytes_of("wit-cmd-rdrate") in talk.written


def test_settings_need_the_key_and_survive_only_when_saved() -> None:
    """A locked sensor ignores settings; unsaved ones are gone at power-off, saved ones are not."""
    sensor = connect("witmotion").peripheral
    assert isinstance(sensor, WitMotionPeripheral)
    sensor.written(COMMAND, bytes_of("wit-cmd-rate200"))
    assert sensor.fs_hz == 10
    for name in ("wit-cmd-unlock", "wit-cmd-rate200"):
        sensor.written(COMMAND, bytes_of(name))
    assert sensor.fs_hz == 200
    sensor.reboot()
    assert sensor.fs_hz == 10
    for name in ("wit-cmd-unlock", "wit-cmd-rate100", "wit-cmd-save"):
        sensor.written(COMMAND, bytes_of(name))
    sensor.reboot()
    assert sensor.fs_hz == 100


@pytest.mark.parametrize(
    ("volts", "percent"), [(4.18, 100), (3.96, 100), (3.95, 90), (3.73, 30), (3.40, 5), (3.39, 0), (3.0, 0)]
)
def test_battery_by_its_voltage(volts: float, percent: int) -> None:
    """The register of the voltage becomes percent by the maker's steps."""
    frame = b"\x55\x71\x64\x00" + round(100 * volts).to_bytes(2, "little") + bytes(14)
    assert listening().driver.receive(NOTIFICATION, frame) == [Battery(percent, volts)]


def test_no_battery_while_it_saves() -> None:
    """The register reads 0 while the sensor writes its flash; that is no empty battery."""
    frame = b"\x55\x71" + bytes([BATTERY]) + bytes(17)
    assert listening().driver.receive(NOTIFICATION, frame) == []


def test_samples_of_another_rate_are_left_out() -> None:
    """What comes at 10 Hz before the rate is set is not taken; what a sensor sends that kept its rate is."""
    talk = connect("witmotion")
    frames = bytes_of("wit-cap-0")
    assert talk.driver.receive(NOTIFICATION, frames) == []
    assert talk.driver.receive(NOTIFICATION, b"\x55\x71\x03\x00\x06" + bytes(15)) == []
    talk.run(talk.driver.start())
    kept = connect("witmotion").driver
    assert kept.receive(NOTIFICATION, frames) == []
    [batch] = kept.receive(NOTIFICATION, b"\x55\x71\x03\x00\x0b" + bytes(15))
    assert isinstance(batch, Batch)
    assert (batch.first, len(batch.counts)) == (0, 4)


def test_the_first_generation_is_told_from_the_others() -> None:
    """A unit that says 200 Hz and sends 50 is refused with the rate that it can do; at 50 Hz it is taken."""

    class Old(WitMotionPeripheral):
        def send(self, counts: Counts, device_ns: int) -> list[Notify]:
            return super().send(counts[: len(counts) // 4 if self.fs_hz == 200 else None], device_ns)

    model = connect("witmotion").driver.model
    talk = connect("witmotion", peripheral=Old(model))
    with pytest.raises(SensorError, match=r"sends \d\d samples a second, not 200.*50 Hz"):
        talk.run(talk.driver.start())
    slow = connect("witmotion", 50.0, Old(model))
    slow.run(slow.driver.start())
    assert slow.driver.facts is not None


def test_a_radio_that_loses_half_at_the_start_is_no_reason_to_refuse() -> None:
    """A unit of which only half arrives at first is taken: the radio may be busy for a moment."""

    class Starved(WitMotionPeripheral):
        def send(self, counts: Counts, device_ns: int) -> list[Notify]:
            return super().send(counts[::2], device_ns)

    talk = connect("witmotion", peripheral=Starved(connect("witmotion").driver.model))
    talk.run(talk.driver.start())
    assert talk.driver.facts is not None
    assert talk.driver.facts.fs_hz == 200.0


def test_a_rate_that_it_has_not() -> None:
    """A rate without a code is refused before anything is written."""
    talk = connect("witmotion", 125.0)
    with pytest.raises(SensorError, match="125 Hz, only to 50, 100, 200"):
        talk.run(talk.driver.start())
    assert talk.written == []


def test_a_sensor_that_answers_no_reads_streams_all_the_same() -> None:
    """Register reads that stay unanswered cost serial number and version, nothing else."""

    class Mute(WitMotionPeripheral):
        def written(self, characteristic: str, data: bytes) -> list[Notify]:
            super().written(characteristic, data)
            return []

    talk = connect("witmotion", peripheral=Mute(connect("witmotion").driver.model))
    talk.run(talk.driver.start())
    assert talk.driver.facts is not None
    assert (talk.driver.facts.serial, talk.driver.facts.firmware) == ("", "")
    talk.stream(1.0)
    assert len(talk.counts) > 300


@pytest.mark.parametrize(("payload", "frames"), [(20, 1), (61, 3), (244, 8)])
def test_packets_hold_as_many_frames_as_fit(payload: int, frames: int) -> None:
    """At 200 Hz a packet holds the frames of 40 ms, or as many as the connection allows."""
    talk = connect("witmotion")
    talk.run(talk.driver.start())
    talk.peripheral.payload = payload
    notes = talk.peripheral.send(np.zeros((48, 3), np.int16), 0)
    assert {len(note.data) for note in notes} == {20 * frames}
