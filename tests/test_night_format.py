"""The promise of the night format: the sample night opens with the same samples, and the page is right."""

from __future__ import annotations

import hashlib
import re
import runpy
from pathlib import Path
from typing import Any

import make_sample_night
import numpy as np
import pytest
from made_nights import small_night

from firmware_host.recording import Night, open_night, verify
from firmware_host.recording.blocks import FRAME, MAGIC, MAX_PAYLOAD, BlockKind
from firmware_host.recording.coding import (
    DELTA,
    FLOAT32,
    MAX_SAMPLES,
    SAMPLE_HEAD,
    STAMPS,
    STORED,
    decode_stamps,
)
from firmware_host.recording.stretch import read_blocks

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "recordings" / "samples" / "2026-11-22T23-30-00_format-1.night"
PAGE = ROOT / "docs" / "night-format.md"
PINNED = {
    "left_calf": "268a2edb4231a397fb52d01691ef711dc139e0f6331eae654456d676756624d7",
    "right_calf": "f7cdae028599c95feb24112571937469185d87dbab5017fc5cd5a49df17404a1",
    "left_calf.2": "805c0442e987c2ffaa49eec831ef5c140bc795e724f9d5d383c9f30cd57d893b",
}
"""Never to be changed: it is what version 1 promises."""


def digest(night: Night, site: str) -> str:
    """Return the SHA-256 of all samples of a site with their counters, in order."""
    sha = hashlib.sha256()
    for stretch in night.stretches(site):
        for first, counts in stretch.count_chunks(1000):
            sha.update(np.int64(stretch.run.first + first).tobytes() + np.ascontiguousarray(counts).tobytes())
    return sha.hexdigest()


def test_the_sample_night_opens_with_the_same_samples() -> None:
    """A night of version 1 gives the same numbers for good."""
    night = open_night(SAMPLE)

    assert {site: digest(night, site) for site in night.sites} == PINNED
    assert [event.kind for event in night.events()] == ["connected", "lost", "mark"]
    assert [one.what for one in night.damage] == ["a block that is cut short or changed"]
    assert night.damage[0].length == 37
    assert verify(SAMPLE).missing_blocks == 0
    assert night.meta == make_sample_night.META
    assert night.stretches("left_calf")[0].pieces.tolist() == [[0, 900], [1100, 2400]]


def test_the_sample_night_has_times() -> None:
    """Its samples lie where its clocks say, within the delay of their arrivals."""
    night = open_night(SAMPLE)
    start = make_sample_night.START_NS

    assert [round((stretch.start_ns - start) / 1e9, 1) for stretch in night.stretches("left_calf")] == [
        0.0,
        61.0,
    ]
    assert [round((stretch.start_ns - start) / 1e9, 1) for stretch in night.stretches("right_calf")] == [0.0]


def test_the_sample_night_holds_what_the_format_can() -> None:
    """Every bit of the coding byte is set somewhere in the sample night, and clear somewhere."""
    night = open_night(SAMPLE)
    rows = night.scan.index
    codings = rows["coding"][rows["kind"] == BlockKind.SAMPLES]

    for bit in (DELTA, FLOAT32, STORED, STAMPS, 0b01000):
        assert np.any(codings & bit)
        assert np.any(~codings & bit)
    assert len(list(SAMPLE.iterdir())) == 2
    assert (SAMPLE / "samples.log").stat().st_size < 64_000


def test_the_script_still_makes_such_a_night(tmp_path: Path) -> None:
    """The script shows how the sample night came to be: what it makes today has the same blocks."""
    made = tmp_path / "made.night"
    make_sample_night.main(made)
    made_now, pinned = open_night(made), open_night(SAMPLE)

    assert made_now.meta == pinned.meta
    for name in ("sequence", "session", "kind", "sensor", "n", "first"):
        np.testing.assert_array_equal(made_now.scan.index[name], pinned.scan.index[name])


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the reader that stands on the format page."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) <= 45
    assert "firmware_host" not in code
    path = tmp_path_factory.mktemp("page") / "reader.py"
    path.write_text(code, encoding="utf-8")
    return runpy.run_path(str(path))


def test_the_reader_of_the_page_reads_the_same(reader: dict[str, Any], tmp_path: Path) -> None:
    """The independent reader finds the same blocks, samples and stamps, past damage and in any order."""
    hurt = small_night(tmp_path / "a.night", 30)
    data = bytearray((hurt / "samples.log").read_bytes())
    for at in np.random.default_rng(0).integers(0, len(data), 8).tolist():
        data[at] ^= 0xFF
    (hurt / "samples.log").write_bytes(data)
    mixed = small_night(tmp_path / "b.night", 30)
    whole = (mixed / "samples.log").read_bytes()
    (mixed / "samples.log").write_bytes(whole[whole.find(MAGIC, len(whole) // 2) :] + whole)
    for folder in (SAMPLE, hurt, mixed):
        night = open_night(folder)
        theirs = list(reader["blocks"]((folder / "samples.log").read_bytes()))
        rows = night.scan.index
        assert [block[:3] for block in theirs] == [
            (row["kind"], row["coding"], row["sensor"]) for row in rows
        ]
        sample_rows = rows[rows["kind"] == BlockKind.SAMPLES]
        with (folder / "samples.log").open("rb") as stream:
            ours = read_blocks(stream, sample_rows)
        for row, counts, (_, coding, _, payload) in zip(
            sample_rows, ours, [block for block in theirs if block[0] == 3], strict=True
        ):
            first, numbers, stamps = reader["samples"](coding, payload)
            assert first == row["first"]
            assert numbers.tobytes() == counts.tobytes()
            assert numbers.dtype == counts.dtype
            expected = decode_stamps(payload, coding, int(row["n"]))
            assert (stamps is None) == (expected is None)
            assert stamps is None or np.array_equal(stamps, expected)


def test_the_page_says_what_the_code_does() -> None:
    """Sizes and limits on the format page are those of the program."""
    page = PAGE.read_text(encoding="utf-8")

    assert f"a frame of {FRAME.size} bytes" in page
    assert f"begins with {SAMPLE_HEAD.size} bytes" in page
    assert f"at most {MAX_PAYLOAD:,}" in page
    assert f"at most {MAX_SAMPLES:,}" in page
    assert MAGIC.hex(" ").upper() in page
    for kind in BlockKind:
        assert f"(kind {int(kind)})" in page
