"""Polar sensors: what is special to the PMD service. The rules for all models are in test_sensors.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sensor_talk import VECTORS, Talk, bytes_of, connect

from firmware_host.errors import SensorError
from firmware_host.sensors import model_named
from firmware_host.sensors.polar_peripheral import PolarPeripheral
from firmware_host.sensors.polar_pmd import (
    CONTROL,
    DATA,
    compressed,
    decompressed,
    pack_settings,
    parse_settings,
    samples_of,
)
from firmware_host.sensors.protocol import Batch, Garbled, Notify, Stopped
from firmware_host.sensors.stamps import Numbering


def started(name: str, peripheral: PolarPeripheral | None = None) -> Talk:
    """Return a sensor that streams."""
    talk = connect(name, peripheral=peripheral)
    talk.run(talk.driver.start())
    return talk


def polar(name: str) -> PolarPeripheral:
    """Return the sensor's side."""
    model = model_named(name)
    peripheral = model.peripheral(model)
    assert isinstance(peripheral, PolarPeripheral)
    return peripheral


def first_frame(peripheral: PolarPeripheral, vector: str) -> tuple[Talk, Batch]:
    """Start a sensor whose first frame is a vector; return what was made of it."""
    peripheral.send = lambda counts, device_ns: [Notify(DATA, bytes_of(vector))]  # type: ignore[method-assign]
    talk = started(peripheral.model.name, peripheral)
    return talk, talk.batches[0]


def test_raw_frame_of_an_h10() -> None:
    """The vendor's frame at rest is read whole, stamp and all, and counts are its own mg."""
    talk, batch = first_frame(polar("polar_h10"), "polar-acc-raw1")
    assert batch.counts.dtype == np.int16
    assert batch.counts.tolist() == VECTORS["polar-acc-raw1"]["expected"]["samples"]
    assert batch.device_ns == 2_000_000_000
    assert talk.driver.facts is not None
    assert talk.driver.facts.g_per_count == 0.001


def test_compressed_frame_of_numbers() -> None:
    """A compressed frame of numbers is read to the last bit, and its factor gives the vendor's mg."""
    expected = VECTORS["polar-acc-delta0"]["expected"]
    talk, batch = first_frame(polar("polar_verity"), "polar-acc-delta0")
    assert batch.counts.tolist() == expected["raw"]
    assert talk.driver.facts is not None
    mg = batch.counts.astype(np.float64) * talk.driver.facts.g_per_count * 1000
    assert np.trunc(mg).astype(int).tolist() == expected["samples_mg_trunc"]


def test_compressed_frame_of_mg() -> None:
    """A frame of one difference with both signs; the firmware gives no factor, so these are mg."""
    verity = polar("polar_verity")
    verity.gives_factor = False
    talk, batch = first_frame(verity, "polar-acc-delta1-min")
    assert talk.driver.facts is not None
    assert talk.driver.facts.g_per_count == 0.001
    assert batch.counts.tolist() == VECTORS["polar-acc-delta1-min"]["expected"]["samples"]
    assert batch.device_ns == 101


@given(
    arrays(np.int16, st.tuples(st.integers(1, 80), st.just(3)), elements=st.integers(-32768, 32767)),
    st.integers(1, 60),
)
@settings(deadline=None, max_examples=100)
def test_any_samples_survive_compression(samples: np.ndarray[Any, Any], block: int) -> None:
    """Whatever was sampled, extremes and both signs, comes back from blocks of any length."""
    assert np.array_equal(decompressed(compressed(samples.astype(np.int64), block)), samples)


def test_the_widest_differences() -> None:
    """From one end of the range to the other and back takes 17 bits; nothing wraps."""
    samples = np.array([[-32768, 32767, 0], [32767, -32768, -1], [-32768, 32767, 1]], np.int64)
    content = compressed(samples)
    assert content[6] == 17
    assert np.array_equal(decompressed(content), samples)


@pytest.mark.parametrize("cut", [1, 3, 100, 219])
def test_a_frame_that_is_cut_off_gives_no_samples(cut: int) -> None:
    """A frame that ends in the middle of a block is garbled: its stamp is of a sample not there."""
    talk = started("polar_verity")
    [said] = talk.driver.receive(DATA, bytes_of("polar-acc-delta0")[:-cut])
    assert isinstance(said, Garbled)


@pytest.mark.parametrize(
    ("kind", "hexed", "expected"),
    [
        (0, "7f80ff010002", [[127, -128, -1], [1, 0, 2]]),
        (1, "ff7f0080ffff", [[32767, -32768, -1]]),
        (2, "ff7f00f0d8ff640000", [[32767, -10000, 100]]),
    ],
)
def test_raw_frames_of_every_width(kind: int, hexed: str, expected: list[list[int]]) -> None:
    """Raw frames have 8, 16 or 24 bit a number, signed."""
    assert samples_of(kind, bytes.fromhex(hexed)).tolist() == expected


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "02",
        "02009435770000000001",  # no samples
        "02009435770000000001f7ffffff",  # not a whole sample
        "00009435770000000001f7ffffffe703",  # ECG
        "02009435770000000003f7ffffffe703",  # an unknown kind of frame
        "02009435770000000080f7ffffffe703",  # another kind than before
    ],
)
def test_bad_frames_give_no_samples(frame: str) -> None:
    """Frames of another measurement, kind or length are garbled."""
    talk = started("polar_h10")
    assert [type(said) for said in talk.driver.receive(DATA, bytes.fromhex(frame))] == [Garbled]


def test_numbers_beyond_16_bit_are_no_samples() -> None:
    """A block that runs out of the range of 16 bit is garbled, not clipped."""
    talk = started("polar_verity")
    frame = bytes_of("polar-acc-delta0")[:10] + b"\xff\x7f\0\0\0\0" + bytes([2, 1, 0b000001])
    assert [type(said) for said in talk.driver.receive(DATA, frame)] == [Garbled]


def test_samples_lie_evenly_between_stamps() -> None:
    """The vendor's rule, a hundred times as fast: a stamp is of the last sample, the others follow evenly."""
    expected = VECTORS["polar-time-rule-2"]["expected"]
    numbering = Numbering(100.0, stamp_of="last")
    frames = [
        said
        for stamp_ns in (expected["previous_ns"], expected["frame_ns"])
        for said in numbering.put(np.zeros((expected["n"], 3), np.int16), stamp_ns // 100)
    ]
    batches = [said for said in frames if isinstance(said, Batch)]
    last = [batch.first + len(batch.counts) - 1 for batch in batches]
    known_ns = [batch.device_ns or 0 for batch in batches]
    numbers = np.arange(batches[1].first, last[1] + 1)
    assert (100 * np.interp(numbers, last, known_ns)).tolist() == expected["sample_ns"]


def test_settings_list() -> None:
    """A list of settings is read, also one of several values each, and made again byte by byte."""
    data = bytes_of("polar-settings-tlv")
    assert parse_settings(data) == {0: (52,), 1: (16,), 2: (245, 500, 1000, 2000), 4: (3,)}
    assert pack_settings(parse_settings(data)) == data


@pytest.mark.parametrize("hexed", ["00", "0001", "000134", "ffffff", "02045f00"])
def test_a_bad_settings_list_is_refused(hexed: str) -> None:
    """A list that is cut off, or of an unknown kind, is no list."""
    with pytest.raises(ValueError, match="no settings"):
        parse_settings(bytes.fromhex(hexed))


def test_commands_are_those_of_the_documents() -> None:
    """An H10 is asked for its settings and started with the bytes of Polar's own example, and stopped so."""
    talk = started("polar_h10")
    assert bytes_of("polar-get-acc-settings") in talk.written
    assert talk.written[-1] == bytes_of("polar-start-h10-200")
    talk.run(talk.driver.stop())
    assert talk.written[-1] == bytes_of("polar-stop-acc")
    assert not talk.peripheral.streaming


def test_a_verity_is_put_into_sdk_mode_and_taken_out() -> None:
    """SDK mode is on before the stream, checked, and off after it; every listed setting is sent."""
    verity = polar("polar_verity")
    talk = started("polar_verity", verity)
    assert verity.sdk_mode
    sdk_on, check, start = bytes_of("polar-sdkmode-on"), b"\x06", talk.written[-1]
    assert talk.written.index(sdk_on) < talk.written.index(check) < talk.written.index(start)
    assert parse_settings(start[2:]) == {0: (208,), 1: (16,), 2: (8,), 4: (3,)}
    talk.run(talk.driver.stop())
    assert talk.written[-1] == bytes_of("polar-sdkmode-off")
    assert not verity.sdk_mode


def test_a_verity_that_streams_for_another_program_is_stopped_first() -> None:
    """SDK mode is refused while anything streams: that is ended, and the mode entered."""
    verity = polar("polar_verity")
    verity.written(CONTROL, bytes.fromhex("0202000134000101100002010800040103"))
    assert verity.streaming
    talk = started("polar_verity", verity)
    assert verity.sdk_mode
    assert talk.driver.facts is not None
    assert talk.driver.facts.fs_hz == 208


def test_a_verity_whose_sdk_mode_does_not_hold_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old firmware without SDK mode would go off after ten minutes: it is refused in a sentence."""
    verity = polar("polar_verity")
    command = verity._command
    monkeypatch.setattr(
        verity, "_command", lambda op, about, rest: (3, b"") if about == 9 else command(op, about, rest)
    )
    with pytest.raises(SensorError, match=r"SDK mode.*ten minutes.*firmware"):
        started("polar_verity", verity)


def test_sdk_mode_is_lost_at_power_off_alone() -> None:
    """SDK mode outlives the link, so that it is entered already, which is no fault; not a reboot."""
    verity = polar("polar_verity")
    started("polar_verity", verity)
    verity.disconnected()
    assert verity.sdk_mode
    started("polar_verity", verity)
    verity.reboot()
    assert not verity.sdk_mode


def test_an_h10_that_measures_on_is_started_anew() -> None:
    """A lost link leaves an H10 measuring, and a second start would be refused: it is stopped first."""
    h10 = polar("polar_h10")
    started("polar_h10", h10)
    h10.disconnected()
    assert not h10.streaming
    assert h10.written(CONTROL, bytes_of("polar-start-h10-200")) == [Notify(CONTROL, b"\xf0\x02\x02\x06")]
    talk = started("polar_h10", h10)
    assert talk.counts.any()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(10, "packets"), (13, "charger"), (8, "rate"), (99, "error 99")],
)
def test_refusals_are_told_in_words(error: int, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the control point becomes a plain sentence."""
    h10 = polar("polar_h10")
    monkeypatch.setattr(h10, "_start", lambda settings: (error, b""))
    with pytest.raises(SensorError, match=f"Polar H10 refused to start: .*{sentence}"):
        started("polar_h10", h10)


def test_a_short_mtu_is_refused() -> None:
    """An H10 does not start where its frames of 226 bytes do not fit."""
    h10 = polar("polar_h10")
    h10.payload = 100
    with pytest.raises(SensorError, match="packets"):
        started("polar_h10", h10)


@pytest.mark.parametrize("payload", [60, 229, 512])
def test_compressed_frames_fit_any_packet(payload: int) -> None:
    """A Verity packs as much as fits; wild samples take more bits and still arrive whole."""
    verity = polar("polar_verity")
    verity.payload = payload
    talk = started("polar_verity", verity)
    wild = np.random.default_rng(2).integers(-32768, 32768, (600, 3)).astype(np.int16)
    talk.stream(0, wild)
    sent = np.concatenate(talk.sent)
    assert len(talk.counts) > 500
    assert np.array_equal(talk.counts, sent[: len(talk.counts)])


def test_answers_in_parts_are_joined() -> None:
    """An answer that says that more follows is complete with its last part."""
    listed = pack_settings({0: (25, 50, 100, 200), 1: (16,), 2: (2, 4, 8)})
    h10 = polar("polar_h10")
    whole = h10.written

    def in_parts(characteristic: str, data: bytes) -> list[Notify]:
        if data != b"\x01\x02":
            return whole(characteristic, data)
        parts = (b"\xf0\x01\x02\0\1" + listed[:4], b"\1" + listed[4:9], b"\0" + listed[9:])
        return [Notify(CONTROL, part) for part in parts]

    h10.written = in_parts  # type: ignore[method-assign]
    talk = started("polar_h10", h10)
    assert talk.written[-1] == bytes_of("polar-start-h10-200")


def test_settings_that_cannot_be_read_are_told() -> None:
    """A list of settings that is none ends the start in a sentence."""
    h10 = polar("polar_h10")
    whole = h10.written
    h10.written = (  # type: ignore[method-assign]
        lambda characteristic, data: (
            [Notify(CONTROL, bytes_of("polar-cp-acc-settings"))]
            if data == b"\x01\x02"
            else whole(characteristic, data)
        )
    )
    with pytest.raises(SensorError, match="no settings"):
        started("polar_h10", h10)


def test_the_answer_with_a_factor() -> None:
    """The virtual Verity answers a start with the documented bytes, with a factor and without."""
    verity = polar("polar_verity")
    verity.written(CONTROL, b"\x02\x09")
    start = b"\x02\x02" + pack_settings({0: (208,), 1: (16,), 2: (8,), 4: (3,)})
    assert verity.written(CONTROL, start) == [Notify(CONTROL, bytes_of("polar-start-ok-factor"))]
    verity.gives_factor = False
    verity.written(CONTROL, b"\x03\x02")
    assert verity.written(CONTROL, start) == [Notify(CONTROL, bytes_of("polar-start-ok"))]


def test_a_sensor_that_ends_its_stream_says_so() -> None:
    """The sensor's own word that acceleration ended is told; one on other measurements is not."""
    talk = started("polar_verity")
    [said] = talk.driver.receive(CONTROL, bytes_of("polar-cp-device-stop"))
    assert isinstance(said, Stopped)
    assert not talk.driver.receive(CONTROL, b"\x01\x00\x01")


def test_the_features_read_may_arrive_as_a_notification() -> None:
    """BlueZ hands what was read to the subscriber too; it is no answer and gives nothing."""
    talk = started("polar_h10")
    assert not talk.driver.receive(CONTROL, talk.peripheral.read(CONTROL))


def test_a_rate_that_is_not_offered_is_refused() -> None:
    """Another rate than the sensor offers is told, with those that it has."""
    talk = connect("polar_oh1", 200.0)
    with pytest.raises(SensorError, match="offers 50 Hz, not 200 Hz"):
        talk.run(talk.driver.start())


def test_a_rate_that_is_nearly_offered_is_taken() -> None:
    """Firmware calls one and the same rate 50 or 52 Hz: the facts say which it was."""
    talk = connect("polar_h10", 52.0)
    talk.run(talk.driver.start())
    assert talk.driver.facts is not None
    assert talk.driver.facts.fs_hz == 50


def test_a_sensor_without_acceleration_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the service or its acceleration is missing, the sentence says what to do."""
    h10 = polar("polar_h10")
    monkeypatch.setattr(h10, "read", lambda characteristic: b"")
    with pytest.raises(SensorError, match=r"Polar H10 offers no acceleration.*firmware"):
        started("polar_h10", h10)
