"""OBA/1: its bytes, its driver, and the rules that a board is checked against."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sensor_talk import Talk, connect

from firmware_host.errors import SensorError
from firmware_host.sensors import model_named, oba
from firmware_host.sensors.oba_rules import RULES, Finding, conformance
from firmware_host.sensors.oba_run import Examination, Run
from firmware_host.sensors.protocol import Advertisement, Batch, Counts, MissingPartError, Notify, Warned

ROOT = Path(__file__).parents[1]
VECTORS: dict[str, dict[str, Any]] = {
    vector["id"]: vector
    for vector in json.loads((Path(__file__).parent / "sensor_vectors.json").read_text(encoding="utf-8"))
}


def bytes_of(vector: str) -> bytes:
    """Return the bytes of a vector."""
    return bytes.fromhex(VECTORS[vector]["hex"])


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


# Bytes.


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


# The rules.


def examined(board: oba.ObaPeripheral, payload: int = 244) -> Run:
    """Put a board through the examination, at rest."""
    examination = Examination(board.model)
    examination.advertisement = board.advertisement()
    board.payload = payload
    talk = Resting(examination, board)
    talk.run(examination.start())
    talk.run(examination.stop())
    return examination.run


class Resting(Talk):
    """A board on a table."""

    def stream(self, seconds: float, samples: Counts | None = None) -> None:
        """Play gravity with noise."""
        n = round(seconds * self.peripheral.fs_hz) if samples is None else len(samples)
        self.seed += 1
        noise = np.random.default_rng(self.seed).normal(0, 8, (n, 3))
        super().stream(seconds, (noise + np.array([0, 0, 8192])).astype(np.int16))


def verdicts(run: Run) -> dict[str, Finding]:
    """Return the findings by title."""
    return {finding.title: finding for finding in conformance(run)}


def test_our_own_board_passes() -> None:
    """The peripheral that the project plays passes every rule that a short run can test."""
    found = conformance(examined(oba.ObaPeripheral(model_named("oba"))))
    assert [finding.rule for finding in found] == [f"O{k}" for k in range(1, len(RULES) + 1)]
    assert not [finding for finding in found if finding.passed is False]
    assert [f.title for f in found if f.passed is None] == ["RESEND", "Short connections", "Loss of the link"]
    assert all(finding.sentence.endswith(".") for finding in found)


def test_a_short_connection() -> None:
    """A board that refuses too short a connection passes that rule, and what needs a stream is not tested."""
    found = verdicts(examined(oba.ObaPeripheral(model_named("oba")), payload=20))
    assert found["Short connections"].passed
    assert found["Index"].passed is None
    assert not [finding for finding in found.values() if finding.passed is False]


def with_backfill(data: bytes) -> bytes:
    """Return Info that offers to send again."""
    return data[:1] + bytes([data[1] | 4]) + data[2:12] + (1500).to_bytes(2, "little") + data[14:]


class Backfill(oba.ObaPeripheral):
    """A board that sends again, from what it remembers."""

    wrong = False

    def read(self, characteristic: str) -> bytes:
        """Offer it in Info."""
        data = super().read(characteristic)
        return with_backfill(data) if characteristic == oba.INFO else data

    def send(self, counts: Counts, device_ns: int) -> list[Notify]:
        """Remember the first packet."""
        notes = super().send(counts, device_ns)
        for note in notes:
            if note.data[4:8] == bytes(4):
                self.first = note.data
        return notes

    def written(self, characteristic: str, data: bytes) -> list[Notify]:
        """Answer RESEND and send the packet as one that is sent again."""
        if data[0] != oba.RESEND:
            return super().written(characteristic, data)
        again = bytes([oba.RESENT]) + self.first[1:-1] + bytes([self.first[-1] ^ self.wrong])
        return [Notify(oba.CONTROL, bytes([0x87, data[1], 0])), Notify(oba.DATA, again)]


def test_sending_again() -> None:
    """A board that offers RESEND passes if the same samples come again, and they do not enter the stream."""
    board = Backfill(model_named("oba"))
    found = verdicts(examined(board))
    assert found["RESEND"].passed
    assert not [finding for finding in found.values() if finding.passed is False]
    board = Backfill(model_named("oba"))
    board.batch = 10
    board.wrong = True
    assert verdicts(examined(board))["RESEND"].passed is False
    talk = started(Backfill(model_named("oba")))
    talk.received.clear()
    talk.hand_over([Notify(oba.DATA, bytes([oba.RESENT]) + bytes_of("oba-data-4")[1:])])
    assert talk.batches == []


def spoilt(run: Run, what: str, change: Any, op: int | None = None) -> Run:
    """Return a run with one kind of entries changed; None takes an entry out."""
    log = []
    for kind, data in run.log:
        hit = kind == what and (op is None or data[0] == op)
        new = change(data) if hit else data
        if new is not None:
            log.append((kind, new))
    return replace(run, log=tuple(log))


def late(data: bytes) -> bytes:
    """Return a packet with another stamp."""
    return at(data, 8, bytes(2))


def shorter(data: bytes) -> bytes:
    """Return a packet with one sample less."""
    return at(data[:-6], 1, bytes([data[1] - 1]))


def every_third(change: Any) -> Any:
    """Return a change that hits every third."""
    count = iter(range(10**6))
    return lambda data: change(data) if next(count) % 3 == 2 else data


@pytest.fixture(scope="module")
def good() -> Run:
    """Return a run of a sound board."""
    return examined(oba.ObaPeripheral(model_named("oba")))


def at(data: bytes, place: int, new: bytes) -> bytes:
    """Return bytes with some replaced."""
    return data[:place] + new + data[place + len(new) :]


@pytest.mark.parametrize(
    ("title", "spoil"),
    [
        ("Advertisement", lambda run: replace(run, advertisement=Advertisement("OBA-ffff", (oba.SERVICE,)))),
        ("Advertisement", lambda run: replace(run, advertisement=Advertisement("OBA-00a1"))),
        ("Info", lambda run: replace(run, info=run.info[:19])),
        ("Info", lambda run: replace(run, info=at(run.info, 1, b"\x80"))),
        ("Info", lambda run: replace(run, info=at(run.info, 16, b"\xff\xff"))),
        ("Every request is answered", lambda run: spoilt(run, "answered", lambda _: None, 0x84)),
        ("Every request is answered", lambda run: spoilt(run, "answered", lambda data: at(data, 1, b"\x00"))),
        ("Unknown requests", lambda run: spoilt(run, "answered", lambda data: at(data, 2, b"\x00"), 0xFF)),
        ("Impossible values", lambda run: spoilt(run, "answered", lambda d: d + bytes(len(d) == 3), 0x81)),
        ("The answer to START", lambda run: spoilt(run, "answered", lambda data: data[:14], 0x81)),
        ("The answer to START", lambda run: spoilt(run, "answered", lambda d: at(d, 3, b"\0\0\1\0"), 0x81)),
        ("The answer to START", lambda run: spoilt(run, "answered", lambda d: at(d, 7, b"\x10\x27"), 0x81)),
        ("The answer to START", lambda run: spoilt(run, "answered", lambda d: at(d, 13, b"\x7f\0"), 0x81)),
        ("Whole packets", lambda run: spoilt(run, "data", every_third(lambda data: data[:-1]))),
        ("Whole packets", lambda run: spoilt(run, "data", every_third(shorter))),
        ("Sequence", lambda run: spoilt(run, "data", every_third(lambda data: at(data, 2, b"\x77\x77")))),
        ("Index", lambda run: spoilt(run, "data", every_third(lambda data: None))),
        ("Time of the last sample", lambda run: spoilt(run, "data", every_third(late))),
        ("Time of the last sample", lambda run: spoilt(run, "data", lambda d: at(d, 8, bytes(8)))),
        ("Rate", lambda run: spoilt(run, "answered", lambda d: at(d, 3, b"\x30\xe6\2\0"), 0x81)),
        ("PING", lambda run: spoilt(run, "answered", lambda data: at(data, 3, bytes(8)), 0x84)),
        ("PING", lambda run: spoilt(run, "answered", lambda data: data[:7], 0x84)),
        ("STATS", lambda run: spoilt(run, "answered", lambda data: at(data, 3, bytes(4)), 0x86)),
        ("STATS", lambda run: spoilt(run, "answered", lambda data: at(data, 7, b"\1"), 0x86)),
        ("STOP", lambda run: spoilt(run, "answered", lambda data: at(data, 2, b"\3"), 0x82)),
        ("STOP", lambda run: replace(run, log=(*run.log, ("data", bytes(16))))),
        ("Battery and firmware", lambda run: replace(run, battery=b"\x65")),
        ("IDENTIFY", lambda run: spoilt(run, "answered", lambda data: at(data, 2, b"\1"), 0x85)),
        ("Scale", lambda run: spoilt(run, "answered", lambda d: at(d, 9, struct.pack("<f", 1.5e-4)), 0x81)),
    ],
)  # fmt: skip
def test_each_rule_can_fail(good: Run, title: str, spoil: Any) -> None:
    """A board that breaks a rule fails that rule, and the sound one passes it."""
    assert verdicts(good)[title].passed is True
    assert verdicts(spoil(good))[title].passed is False


def test_a_board_that_does_not_start_anew() -> None:
    """A second START that goes on with the old index fails."""

    class Going(oba.ObaPeripheral):
        def reset_stream(self) -> None:
            if not self.streaming:
                super().reset_stream()

    found = verdicts(examined(Going(model_named("oba"))))
    assert found["START anew"].passed is False
    assert found["Index"].passed is False


def test_a_moved_board_is_not_judged_by_gravity(good: Run) -> None:
    """A board that is moved during the run is not judged for its scale."""
    rng = np.random.default_rng(1)
    moved = spoilt(
        good, "data", lambda d: d[:16] + rng.integers(-9000, 9000, (len(d) - 16) // 2, np.int16).tobytes()
    )
    assert verdicts(moved)["Scale"].passed is None


entries = st.tuples(st.sampled_from(["answered", "data"]), st.binary(max_size=40)) | st.tuples(
    st.just("asked"),
    st.sampled_from([oba.start_command(1, 208.0), b"\x02\x01", b"\x04\x01", b"\x06\x01", b"\x7f\x01"]),
)
answers = st.tuples(
    st.just("answered"),
    st.builds(lambda op, rest: bytes([op | 0x80, 1, 0]) + rest, st.integers(1, 7), st.binary(max_size=16)),
)


@given(st.binary(max_size=24), st.lists(entries | answers, max_size=30))
@example(b"", [("answered", b""), ("asked", b"\x02\x01"), ("answered", b"\x82\x01\x00")])
@settings(max_examples=80, deadline=None)
def test_any_run_is_judged(info: bytes, log: list[Any]) -> None:
    """Whatever a board says, each rule gets a finding with a sentence and none raises."""
    found = conformance(Run(None, info, b"", b"", tuple(log)))
    assert len(found) == len(RULES)
    assert all(finding.sentence for finding in found)


def test_the_page_has_every_rule() -> None:
    """docs/oba.md lists the same rules under the same numbers, and the identifiers that the code has."""
    page = (ROOT / "docs" / "oba.md").read_text(encoding="utf-8")
    for number, (title, _) in enumerate(RULES, start=1):
        assert f"| O{number} | {title} |" in page
    for uuid in (oba.SERVICE, oba.INFO, oba.CONTROL, oba.DATA):
        assert uuid in page
