"""Puck.js: what is special to it. The rules for all models are in test_sensors.py."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_talk import VECTORS, Talk, bytes_of, connect

from firmware_host.errors import SensorError
from firmware_host.sensors.espruino import INPUT, OUTPUT, Puck, PuckPeripheral, parse_line, program, upload
from firmware_host.sensors.protocol import Batch, Garbled, Notify


def started(fs_hz: float = 208.0) -> Talk:
    """Return a sensor that streams."""
    talk = connect("puckjs", fs_hz)
    talk.run(talk.driver.start())
    talk.received.clear()
    return talk


def expecting(samples: int) -> Puck:
    """Return a driver that takes lines of so many samples."""
    driver = started().driver
    assert isinstance(driver, Puck)
    again = Puck(driver.model)
    again.samples_per_line = samples
    script = again.start()
    for step in script:
        if getattr(step, "seconds", 0) == 1.5:
            next(script)
            break
    return again


@given(st.lists(st.integers(0, 36), max_size=8))
@settings(max_examples=30, deadline=None)
def test_a_line_in_any_pieces(cuts: list[int]) -> None:
    """The proposed line gives its samples, whole, byte by byte and in any pieces, after a prompt too."""
    expected = VECTORS["espruino-line-proposal"]["expected"]
    line = bytes_of("espruino-line-proposal")
    for stream in (line, b">" + line, b"\r\n>" + line):
        for edges in ([0, *sorted(cuts), len(stream)], list(range(len(stream) + 1))):
            driver = expecting(3)
            pieces = [stream[a:b] for a, b in pairwise(edges)]
            [batch] = [item for piece in pieces for item in driver.receive(OUTPUT, piece)]
            assert isinstance(batch, Batch)
            assert batch.counts.tolist() == expected["samples_raw"]
            assert batch.counts / expected["lsb_per_g"] == pytest.approx(
                np.array(expected["samples"]), abs=1e-6
            )
            assert (batch.first, batch.device_ns) == (3 * expected["seq"], expected["t_ms"] * 1_000_000)


def test_code_is_typed_as_documented() -> None:
    """Uploaded code clears the line, switches the echo off and is one line."""
    assert upload("Puck.accelOn(104);") == bytes_of("espruino-upload")
    text = upload(program(208.0))
    assert text.count(b"\n") == 1
    assert all(32 <= byte < 127 for byte in text[2:-1])
    assert text.count(b"(") == text.count(b")")
    assert text.count(b"{") == text.count(b"}")


def test_the_chip_is_set_by_the_program() -> None:
    """The program sets range and rate itself, as firmware has had +-4 g and +-2 g: 4 g, high performance."""
    for name, lsb_per_g in (("espruino-acc-sample", 8192), ("espruino-acc-sample-old", 16384)):
        expected = VECTORS[name]["expected"]
        raw = json.loads(bytes_of(name))["acc"]
        assert np.array([raw[axis] for axis in "xyz"]) / lsb_per_g == pytest.approx(expected["acc"], abs=5e-6)
    assert started().driver.model.g_per_count == 1 / 8192
    assert "Puck.accelOn(208);Puck.accelWr(0x10,88);Puck.accelWr(0x15,0);" in program(208.0)
    assert "Puck.accelOn(104);Puck.accelWr(0x10,72);" in program(104.0)
    assert "save" not in program(208.0)


def test_writes_fit_in_every_connection() -> None:
    """All that is typed goes in pieces of at most 20 bytes, and begins with a reset."""
    talk = started()
    talk.run(talk.driver.poll())
    talk.run(talk.driver.stop())
    assert max(len(data) for data in talk.written) == 20
    assert talk.written[0] == b"\x03reset();\n"
    assert talk.written[-1] == b"\x03reset();\n"


def test_a_puck_without_a_chip() -> None:
    """What the console says instead of samples is passed on, with what is needed."""

    class First(PuckPeripheral):
        def _run(self, line: str) -> list[Notify]:
            notes = super()._run(line)
            self.streaming = False
            if "accelOn" in line:
                return self._print("Uncaught Error: Accelerometer not available on this device\r\n>")
            return notes

    talk = connect("puckjs", peripheral=First(started().driver.model))
    with pytest.raises(SensorError, match=r"\(Uncaught Error: Accelerometer not.*version 2"):
        talk.run(talk.driver.start())
    with pytest.raises(SensorError, match="200 Hz, only to 52, 104, 208"):
        next(Puck(talk.driver.model, 200.0).start())


def test_text_lost_within_lines_gives_no_samples() -> None:
    """When its output buffer overflows, pieces are missing anywhere; no line is made of two halves."""
    talk = started()
    talk.kept = []
    talk.stream(10.0)
    text = b"".join(note.data for note in talk.kept)
    sent = {row.tobytes() for part in talk.sent for row in part}
    rng = np.random.default_rng(3)
    for _ in range(60):
        at, length = int(rng.integers(len(text) - 400)), int(rng.integers(1, 300))
        text = text[:at] + text[at + length :]
    talk.hand_over([Notify(OUTPUT, text[at : at + 50]) for at in range(0, len(text), 50)])
    assert any(isinstance(item, Garbled) for item in talk.received)
    assert {row.tobytes() for row in talk.counts} <= sent
    numbers = np.concatenate([batch.first + np.arange(len(batch.counts)) for batch in talk.batches])
    assert np.all(np.diff(numbers) > 0)


@pytest.mark.parametrize(
    "line", [b"", b"T,", b"T,1,2,", b"T,1,2,AAAA", b"T,1,2,A===", b"T,-1,2,AAAAAAAA", b"T,1,2,AAAAAAAA,1"]
)
def test_damaged_lines(line: bytes) -> None:
    """A line with a part missing or with a wrong check is none."""
    with pytest.raises(ValueError, match="line"):
        parse_line(line)
    assert parse_line(b"T,1,2,AAAAAAAA")[2].tolist() == [[0, 0, 0]]


def test_text_without_end_is_given_up() -> None:
    """Text that never ends a line is not kept for ever."""
    driver = started().driver
    items = [item for _ in range(40) for item in driver.receive(OUTPUT, b"x" * 50)]
    assert items == [Garbled("text without lines")]


def test_the_program_ends_with_the_link() -> None:
    """When the link is lost the chip is switched off; half a line is forgotten at a reboot."""
    talk = started()
    assert "NRF.on('disconnect'" in program(208.0)
    talk.peripheral.disconnected()
    assert not talk.peripheral.streaming
    talk.peripheral.written(INPUT, b"half a li")
    talk.peripheral.reboot()
    [note] = talk.peripheral.written(INPUT, b"\x101\n")
    assert note == Notify(OUTPUT, b">")
