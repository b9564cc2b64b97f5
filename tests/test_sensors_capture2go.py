"""Capture2Go: frames, checksums, a stream. The rules for all models are in test_sensors.py."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_talk import VECTORS, Talk, bytes_of, connect

from firmware_host.errors import SensorError
from firmware_host.sensors import model_named
from firmware_host.sensors.capture2go import (
    DATA_LAYOUT,
    ERROR,
    FROM_SENSOR,
    PROCESSING_ISSUE,
    RECORDING,
    START,
    STATUS,
    STATUS_LAYOUT,
    TIME_GAP,
    Capture2GoPeripheral,
    Frames,
    frame,
)
from firmware_host.sensors.protocol import Batch, Battery, Garbled, Notify, Warned

EXPECTED = VECTORS["c2g-data-200-6d"]["expected"]
FIRST_NS = EXPECTED["timestamp_ns_first"]
PERIOD_NS = 5_000_000


def sensor() -> Capture2GoPeripheral:
    """Return the sensor's side."""
    model = model_named("capture2go")
    peripheral = model.peripheral(model)
    assert isinstance(peripheral, Capture2GoPeripheral)
    return peripheral


def started(peripheral: Capture2GoPeripheral | None = None) -> Talk:
    """Return a sensor that was started and has not sent anything."""
    talk = connect("capture2go", peripheral=peripheral)
    talk.run(talk.driver.start())
    talk.received.clear()
    return talk


def data_frame(first_ns: int, value: int = 1, flags: int = 0) -> bytes:
    """Return a frame of eight samples of one value."""
    counts = np.full((8, 3), value, "<i2").tobytes()
    return frame(0x0231, DATA_LAYOUT.pack(first_ns, bytes(48), counts, 0, 0, flags))


def received(talk: Talk, *notifications: bytes) -> list[object]:
    """Return what notifications say."""
    return [said for data in notifications for said in talk.driver.receive(FROM_SENSOR, data)]


def test_the_vendors_frame() -> None:
    """The vendor's frame gives its samples bit for bit, and the time of the last of them."""
    talk = started()
    [batch] = received(talk, bytes_of("c2g-data-200-6d"))
    assert isinstance(batch, Batch)
    assert batch.counts.tolist() == EXPECTED["acc_raw"]
    assert batch.device_ns == FIRST_NS + 7 * PERIOD_NS
    assert talk.driver.facts is not None
    assert batch.counts * talk.driver.facts.g_per_count == pytest.approx(np.array(EXPECTED["acc"]), abs=1e-6)


@pytest.mark.parametrize("size", [1, 7, 20, 123])
def test_frames_may_span_notifications(size: int) -> None:
    """The stream may be cut anywhere, down to a byte a notification."""
    talk = started()
    stream = bytes_of("c2g-data-200-6d")[1:]
    parts = [b"\xff" + stream[k : k + size] for k in range(0, len(stream), size)]
    [batch] = received(talk, *parts)
    assert isinstance(batch, Batch)
    assert batch.counts.tolist() == EXPECTED["acc_raw"]


def test_real_time_frames_stand_apart_from_the_stream() -> None:
    """Frames announced by the first byte are whole and may stand in the middle of a frame of the stream."""
    talk = started()
    stream = data_frame(FIRST_NS, 5)
    status = frame(STATUS, STATUS_LAYOUT.pack(0, 2, 2, 0, 0, 0, 1, 47, 50))
    said = received(talk, b"\xff" + stream[:50], b"\xfd" + status + frame(0x0247, bytes(37)) + stream[50:])
    assert [type(item) for item in said] == [Battery, Batch]
    assert said[0] == Battery(47)


def test_a_battery_on_its_charger() -> None:
    """While it is charged the level has 128 added; a level is told when it changes."""
    talk = started()
    status = frame(STATUS, STATUS_LAYOUT.pack(0, 2, 2, 0, 0, 0, 1, 128 + 60, 50))
    assert received(talk, b"\xff" + status, b"\xff" + status) == [Battery(60)]


@pytest.mark.parametrize("lost", [0, 1, 4])
def test_a_lost_notification(lost: int) -> None:
    """After a loss the next whole frame is found, and the gap is counted by its stamp."""
    talk = started()
    stream = b"".join(data_frame(FIRST_NS + k * 8 * PERIOD_NS, k) for k in range(6))
    parts = [b"\xff" + stream[k : k + 150] for k in range(0, len(stream), 150)]
    said = received(talk, *parts[:lost], *parts[lost + 1 :])
    batches = [item for item in said if isinstance(item, Batch)]
    first = batches[0].counts[0, 0]
    assert [batch.first for batch in batches] == [8 * (batch.counts[0, 0] - first) for batch in batches]
    hit = range(150 * lost // 123, min(150 * lost + 149, len(stream) - 1) // 123 + 1)
    assert [batch.counts[0, 0] for batch in batches] == [k for k in range(6) if k not in hit]


@pytest.mark.parametrize("at", [1, 3, 5, 6, 7, 8, 60, 122])
def test_a_damaged_frame_gives_no_samples(at: int) -> None:
    """One wrong bit anywhere costs the frame, said once, and not the next."""
    talk = started()
    bad = bytearray(data_frame(FIRST_NS, 3))
    bad[at] ^= 0x10
    said = received(
        talk, b"\xff" + bytes(bad), b"\xff" + data_frame(FIRST_NS, 4), b"\xff" + data_frame(FIRST_NS, 5)
    )
    assert [item for item in said if isinstance(item, Garbled)]
    values = [item.counts[0, 0] for item in said if isinstance(item, Batch)]
    assert 3 not in values
    assert 5 in values


def test_a_damaged_real_time_frame() -> None:
    """A real-time frame with a wrong checksum is said to be garbled; the stream is found again."""
    talk = started()
    bad = bytearray(frame(STATUS, bytes(19)))
    bad[12] ^= 1
    said = received(talk, b"\xfe" + bytes(bad) + data_frame(FIRST_NS))
    assert isinstance(said[0], Garbled)
    assert isinstance(said[-1], Batch)


def test_faults_are_told_once() -> None:
    """A jump of the clock and a fault of the processing are told once each; clipping shows in the samples."""
    talk = started()
    stamps = iter(range(FIRST_NS, FIRST_NS + 10**12, 8 * PERIOD_NS))
    flags = (0x04, TIME_GAP, TIME_GAP, PROCESSING_ISSUE | TIME_GAP, 0)
    said = received(talk, *(b"\xff" + data_frame(next(stamps), flags=flag) for flag in flags))
    assert [type(item) for item in said] == [Batch, Warned, Batch, Batch, Warned, Batch, Batch]


def test_commands_are_the_vendors() -> None:
    """The start is the vendor's, byte by byte, and the stop empties the buffer."""
    talk = connect("capture2go")
    talk.run(talk.driver.start())
    assert talk.written[0] == bytes_of("c2g-get-info")
    assert talk.written[-2:] == [bytes_of("c2g-mode-200-6d"), bytes_of("c2g-start")]
    assert bytes_of("c2g-stop-clear") not in talk.written
    talk.run(talk.driver.stop())
    assert talk.written[-1] == bytes_of("c2g-stop-clear")
    assert not talk.peripheral.streaming


def test_after_a_lost_link_the_buffer_is_emptied() -> None:
    """A sensor that streams on is stopped and emptied; the frame that this cuts off gives nothing."""
    peripheral = sensor()
    talk = started(peripheral)
    talk.stream(0.5)
    peripheral.disconnected()
    again = started(peripheral)
    assert bytes_of("c2g-stop-clear") in again.written
    again.stream(1.0)
    assert not [item for item in again.received if isinstance(item, Garbled)]
    sent = np.concatenate(again.sent)
    assert np.array_equal(again.counts, sent[: len(again.counts)])
    assert len(sent) - len(again.counts) < 8


def test_a_sensor_that_records_is_left_alone() -> None:
    """A recording to the sensor's own memory is not ended by us."""
    peripheral = sensor()
    peripheral._state = RECORDING
    with pytest.raises(SensorError, match="its own memory"):
        started(peripheral)


def test_a_refusal_is_told() -> None:
    """An error frame in answer to a command ends the start in a sentence."""
    talk = connect("capture2go")
    whole = talk.peripheral.written
    refusal = Notify(FROM_SENSOR, b"\xff" + frame(ERROR, b"\xfe\x50\x01"))
    talk.peripheral.written = (  # type: ignore[method-assign]
        lambda characteristic, data: [refusal] if data == frame(START) else whole(characteristic, data)
    )
    with pytest.raises(SensorError, match="refused command 0150"):
        talk.run(talk.driver.start())


def test_other_rates() -> None:
    """At 100 Hz another frame and mode are used; a rate that it lacks is refused."""
    talk = connect("capture2go", 100.0)
    talk.run(talk.driver.start())
    talk.stream(1.0)
    assert np.array_equal(talk.counts, np.concatenate(talk.sent)[: len(talk.counts)])
    assert talk.peripheral.fs_hz == 100
    talk = connect("capture2go", 208.0)
    with pytest.raises(SensorError, match="208 Hz, only to 200, 100, 50"):
        talk.run(talk.driver.start())


def test_unknown_commands_are_answered_with_an_error() -> None:
    """The virtual sensor refuses what it does not know, and ignores what is no frame."""
    peripheral = sensor()
    [note] = peripheral.written("80030002-e629-4c98-9324-aa7fc0c66de7", frame(0x0110))
    assert list(Frames().feed(note.data)) == [(ERROR, b"\xfd\x10\x01")]
    assert not peripheral.written("80030002-e629-4c98-9324-aa7fc0c66de7", b"\x02\0\0\0\0\0\0\0")


@given(st.lists(st.binary(max_size=260), max_size=12))
@settings(deadline=None, max_examples=150)
def test_any_bytes_before_frames_do_no_harm(rubbish: list[bytes]) -> None:
    """After any rubbish at most two notifications' worth of frames are missing before samples come again."""
    talk = started()
    received(talk, *rubbish)
    good = [b"\xff" + data_frame(FIRST_NS + k * 8 * PERIOD_NS, 100 + k) for k in range(4)]
    said = received(talk, *good)
    assert 103 in [item.counts[0, 0] for item in said if isinstance(item, Batch)]
