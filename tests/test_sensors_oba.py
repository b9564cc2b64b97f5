"""OBA/1: its bytes and its driver."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from sensor_talk import VECTORS, Talk, bytes_of, connect

from firmware_host.errors import SensorError
from firmware_host.sensors import model_named, oba
from firmware_host.sensors.protocol import Batch, MissingPartError, Notify, Warned


def started(peripheral: oba.ObaPeripheral | None = None, fs_hz: float | None = None) -> Talk:
    """Return a board that streams."""
    talk = connect("oba", fs_hz, peripheral)
    talk.run(talk.driver.start())
    return talk


def listening() -> oba.Oba:
    """Return a driver that has sent START and received nothing."""
    driver = connect("oba").driver
    assert isinstance(driver, oba.Oba)
    script = driver.start()
    answer = b""
    while (step := script.send(answer) if answer else next(script)) is not None:
        answer = bytes_of("oba-info") if step == oba.Read(oba.INFO) else b""
        data = getattr(step, "data", b"")
        if data[:1] == bytes([oba.STOP]):
            driver.receive(oba.CONTROL, bytes([0x82, data[1], 0]))
        if data[:1] == bytes([oba.START]):
            return driver
    raise AssertionError


@pytest.mark.parametrize("vector", ["oba-data-4", "oba-data-gap", "oba-data-wrap"])
def test_data_packets(vector: str) -> None:
    """Sequence, index, time and counts of both signs are where the profile says."""
    expected = VECTORS[vector]["expected"]
    packet = oba.Packet.of(bytes_of(vector))
    assert (packet.sequence, packet.first, packet.device_us) == (
        expected["seq"], expected["first_index"], expected["t_last_us"]
    )  # fmt: skip
    assert len(packet.counts) == expected["n"]
    if "acc" in expected:
        assert packet.counts.tolist() == expected["acc_raw"]
        assert packet.counts / expected["lsb_per_g"] == pytest.approx(np.array(expected["acc"]), abs=1e-6)


def test_lost_packets_leave_a_gap() -> None:
    """Two lost packets are eight samples that the running number jumps over."""
    driver = listening()
    items = [
        item for name in ("oba-data-4", "oba-data-gap") for item in driver.receive(oba.DATA, bytes_of(name))
    ]
    first, second = (item for item in items if isinstance(item, Batch))
    assert (
        second.first - first.first - len(first.counts) == VECTORS["oba-data-gap"]["expected"]["lost_samples"]
    )
    assert (first.first, first.device_ns) == (4096, 20_480_000_000)


def test_the_index_wraps() -> None:
    """After 2^32 samples the index begins anew and the running number goes on."""
    driver = listening()
    wrapped = bytes_of("oba-data-wrap")
    after = bytearray(wrapped)
    after[2:4], after[4:8] = (
        b"\x01\x00",
        VECTORS["oba-data-wrap"]["expected"]["next_index"].to_bytes(4, "little"),
    )
    after[8:16] = (2**40 + 14_400).to_bytes(8, "little")
    [one] = driver.receive(oba.DATA, wrapped)
    [two] = driver.receive(oba.DATA, bytes(after))
    assert isinstance(one, Batch)
    assert isinstance(two, Batch)
    assert two.first == one.first + 3


@pytest.mark.parametrize("wrong", [b"", b"\x12", b"\x91", b"\x11\x05", b"\x11\x00"])
def test_packets_that_are_none(wrong: bytes) -> None:
    """Another kind, another length than it says and no samples at all are told from a packet."""
    data = wrong + bytes_of("oba-data-4")[len(wrong) :]
    with pytest.raises(ValueError, match=r"kind|long|head"):
        oba.Packet.of(data if wrong else data[:15])


def test_info() -> None:
    """What a board says of itself is read as documented."""
    info, expected = oba.Info.of(bytes_of("oba-info")), VECTORS["oba-info"]["expected"]
    assert (info.version, list(info.flags), info.chip) == (1, expected["flags"], expected["chip"])
    assert (info.noise_ug, info.firmware, info.uid) == (90.0, expected["firmware"], expected["uid"])
    assert (info.buffer_ms, info.max_batch) == (expected["buffer_ms"], expected["max_batch"])
    assert (info.rate_pref_hz, info.rate_max_hz) == (expected["rate_pref_hz"], expected["rate_max_hz"])


def test_requests_and_answers() -> None:
    """START, STOP and PING and their answers are the documented bytes."""
    assert oba.start_command(7, 200.0) == bytes_of("oba-start-200-4g")
    assert bytes_of("oba-stop") == bytes([oba.STOP, VECTORS["oba-stop"]["expected"]["token"]])
    answer, expected = bytes_of("oba-start-ack"), VECTORS["oba-start-ack"]["expected"]
    assert answer[:3] == bytes([oba.START | oba.ANSWER, expected["token"], oba.OK])
    started_as = oba.Started.of(answer[3:])
    assert started_as == oba.Started(208.0, 4.0, expected["g_per_lsb"], expected["batch"])
    pong = bytes_of("oba-sync")
    assert pong[:3] == bytes([oba.PING | oba.ANSWER, VECTORS["oba-sync"]["expected"]["token"], oba.OK])
    assert int.from_bytes(pong[3:], "little") == VECTORS["oba-sync"]["expected"]["device_us"]
    board = connect("oba").peripheral
    assert board.written(oba.CONTROL, bytes_of("oba-start-200-4g")) == [Notify(oba.CONTROL, answer)]


# The driver.


class Refusing(oba.ObaPeripheral):
    """A board that refuses to start."""

    status = oba.CHIP

    def _start(self, content: bytes) -> tuple[int, bytes]:
        return self.status, b""


@pytest.mark.parametrize(
    ("status", "sentence"), [(4, "motion chip does not answer"), (3, "busy"), (9, "status 9")]
)
def test_refusals_are_sentences(status: int, sentence: str) -> None:
    """The status of a refused START is told in words."""
    board = Refusing(model_named("oba"))
    board.status = status
    with pytest.raises(SensorError, match=sentence):
        started(board)


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        (b"", "does not speak OBA/1"),
        (b"\x02" + bytes(19), r"OBA/2; update"),
        (b"\x01" + bytes(19), "up to 0 Hz"),
    ],
)
def test_boards_that_are_none(info: bytes, sentence: str) -> None:
    """A board without the profile, with a later one, or too slow a one, is refused in words."""

    class Other(oba.ObaPeripheral):
        def read(self, characteristic: str) -> bytes:
            return info if characteristic == oba.INFO else super().read(characteristic)

    with pytest.raises(SensorError, match=sentence):
        started(Other(model_named("oba")))


def test_a_board_that_lacks_a_characteristic() -> None:
    """A board with Info but no Data is told as one without the profile."""
    script = connect("oba").driver.start()
    next(script)
    script.send(bytes_of("oba-info"))
    with pytest.raises(SensorError, match="does not speak OBA/1"):
        script.throw(MissingPartError("Data"))


def test_answers_to_others_are_not_taken() -> None:
    """An answer with another token is none of ours: START waits for its own."""

    class Late(oba.ObaPeripheral):
        def written(self, characteristic: str, data: bytes) -> list[Notify]:
            answers = super().written(characteristic, data)
            old = [Notify(oba.CONTROL, bytes([note.data[0], 0x77, oba.BUSY])) for note in answers]
            return old + answers

    assert started(Late(model_named("oba"))).driver.facts is not None


def test_what_the_board_lost_itself_is_told() -> None:
    """When the count of overruns rises between two looks, the user is told."""

    class Slow(oba.ObaPeripheral):
        overruns = 0

        def written(self, characteristic: str, data: bytes) -> list[Notify]:
            if data[0] != oba.STATS:
                return super().written(characteristic, data)
            self.overruns += 1
            return [Notify(oba.CONTROL, bytes([0x86, data[1], 0]) + struct.pack("<3I", 1, self.overruns, 0))]

    talk = started(Slow(model_named("oba")))
    for _ in range(2):
        talk.run(talk.driver.poll())
        talk.stream(1.0)
    assert len([item for item in talk.received if isinstance(item, Warned)]) == 1
