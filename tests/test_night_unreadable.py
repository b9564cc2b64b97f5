"""A night without its files, of another format, of a foreign writer, or read while it changes."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_nights import append, counters, meta, small_night

from firmware_host.errors import BadFileError, NewerFormatError, NotFoundError
from firmware_host.recording import continue_night, create_night, open_night, verify
from firmware_host.recording.blocks import BlockKind, pack_frame
from firmware_host.recording.coding import SAMPLE_HEAD, decode_samples

SITES = ("left_calf", "right_calf")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the night that a test hurts."""
    return small_night(tmp_path / "b.night", 10)


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\xfe", b"participant = 3\n", b"x = [", b"colour = 'red'\n"]
)
def test_lost_metadata_are_made_again_from_the_log(folder: Path, content: bytes | None) -> None:
    """A night whose night.toml is missing or damaged opens by what its log says, and says so."""
    meta_file = folder / "night.toml"
    wanted = open_night(folder).meta
    meta_file.unlink()
    if content is not None:
        meta_file.write_bytes(content)
    night = open_night(folder)

    assert night.meta == wanted
    assert [one.file for one in night.damage] == ["night.toml"]
    assert "night.toml" in night.damage[0].what
    continue_night(folder).close()
    assert open_night(folder).damage == ()


def test_what_is_no_night(folder: Path, tmp_path: Path) -> None:
    """A missing path, a file, an empty folder and a night without both of its files get a sentence."""
    with pytest.raises(NotFoundError, match="no night at"):
        open_night(tmp_path / "nothing")
    with pytest.raises(BadFileError, match="is no night"):
        open_night(folder / "samples.log")
    with pytest.raises(BadFileError, match="is no night"):
        open_night(tmp_path)
    (folder / "samples.log").write_bytes(b"")
    (folder / "night.toml").unlink()
    with pytest.raises(BadFileError, match="does not say either"):
        open_night(folder)


def test_missing_log(folder: Path) -> None:
    """A night without its log opens, empty, and says what is missing."""
    (folder / "samples.log").unlink()
    night = open_night(folder)

    assert night.read(SITES[0]) == []
    assert night.damage[0].what == "samples.log is missing: there are no samples"
    assert night.start_ns == night.end_ns == night.meta.start_ns


def test_newer_format_is_refused(folder: Path) -> None:
    """A night of a later format is not misread."""
    path = folder / "night.toml"
    path.write_text(path.read_text().replace("format = 1", "format = 2"))
    with pytest.raises(NewerFormatError, match="newer twitchmap"):
        open_night(folder)


def test_a_log_that_changes_under_the_reader(folder: Path) -> None:
    """Bytes that change between opening and reading are found out by the checksum."""
    from firmware_host.errors import DamagedNightError

    night = open_night(folder)
    log = folder / "samples.log"
    hurt = bytearray(log.read_bytes())
    hurt[len(hurt) // 2] ^= 1
    log.write_bytes(hurt)
    with pytest.raises(DamagedNightError, match="open the night again"):
        [counters(night, site) for site in SITES]


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Path]:
    """Keep a writer alive at a night."""
    folder = tmp_path / "grow.night"
    with create_night(folder, meta(2)) as writer:
        for block in range(5):
            append(writer, 0, 100 * block)
        yield folder


def test_unfinished_block_of_a_living_writer_is_no_damage(growing: Path) -> None:
    """The beginning of a block at the end is damage only when no writer is there to finish it."""
    with (growing / "samples.log").open("ab") as file:
        file.write((growing / "samples.log").read_bytes()[:30])
    night = open_night(growing)

    assert night.being_written
    assert night.damage == ()
    assert counters(night, "left_calf") == set(range(500))


@pytest.mark.parametrize(
    "content", [b"no JSON", b"[1]", b'{"kind": "mark"}', b'{"kind": 5, "utc_ns": 1, "mono_ns": 1}',
                b'{"kind": "mark", "utc_ns": 1, "mono_ns": 99999999999999999999999}'],
)  # fmt: skip
def test_events_that_are_none_of_ours_are_passed_over(folder: Path, content: bytes) -> None:
    """A whole block whose content is no event, or of a time that cannot be, costs no sample and no answer."""
    before = [one.n for one in open_night(folder).stretches("left_calf")]
    with (folder / "samples.log").open("ab") as log:
        log.write(pack_frame(BlockKind.EVENT, content, sequence=10**6, session=1))
    night = open_night(folder)
    assert [one.n for one in night.stretches("left_calf")] == before
    assert all(event.kind != "mark" for event in night.events())
    assert verify(folder).damage == ()


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (SAMPLE_HEAD.pack(100, 0, 10**9, 10**18, 0) + bytes(6) + b"\xff" * 50, "invalid"),
        (SAMPLE_HEAD.pack(100, 0, 10**9, 10**18, 0) + bytes(6), "instead of"),
        (SAMPLE_HEAD.pack(2**32 - 1, 0, 10**9, 10**18, 0) + bytes(6), "4294967295 samples"),
        (b"abc", "samples"),
    ],
    ids=["not packed", "too short", "too many", "no head"],
)
def test_whole_blocks_that_were_written_wrongly_are_damage(folder: Path, payload: bytes, why: str) -> None:
    """A block of a foreign writer, right by its checksum and wrong inside, is a sentence and no traceback."""
    with (folder / "samples.log").open("ab") as log:
        log.write(pack_frame(BlockKind.SAMPLES, payload, sequence=10**6, session=1, sensor=0))
    (found,) = verify(folder).damage
    assert "was written wrongly" in found.what
    assert why in found.what


def test_a_header_that_says_nothing_of_the_night(folder: Path) -> None:
    """With night.toml lost too, the header before it is asked."""
    before = open_night(folder).meta
    (folder / "night.toml").unlink()
    with (folder / "samples.log").open("ab") as log:
        log.write(pack_frame(BlockKind.HEADER, b'{"utc_ns": 1, "mono_ns": 1}', sequence=10**6, session=1))
    assert open_night(folder).meta == before


def test_a_block_is_never_unpacked_to_more_than_it_should_be() -> None:
    """Two hundred megabytes of zeros in a block of 100 samples are refused without unpacking them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(bytes(200_000_000)) + packer.flush()
    payload = SAMPLE_HEAD.pack(100, 0, 10**9, 10**18, 0) + bytes(6) + bomb
    tracemalloc.start()
    decode_samples([payload], 0, 100)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
