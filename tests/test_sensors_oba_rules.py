"""The rules that an OBA/1 board is checked against: our own passes, and each can fail."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sensor_talk import Talk, bytes_of, started

from firmware_host.sensors import model_named, oba
from firmware_host.sensors.oba_rules import RULES, Finding, conformance
from firmware_host.sensors.oba_run import Examination, Run
from firmware_host.sensors.protocol import Advertisement, Counts, Notify

ROOT = Path(__file__).parents[1]


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
    talk = started("oba", Backfill(model_named("oba")))
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
