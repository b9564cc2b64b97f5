"""What is left of a night after cuts, zeros, garbage, flipped bits: every whole block, nothing false."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from made_nights import MONO_NS, START_NS, append, counters, meta, small_night

from firmware_host.recording import Night, continue_night, create_night, open_night, verify
from firmware_host.recording.blocks import FRAME, MAGIC, BlockKind

BLOCKS = 20
SITES = ("left_calf", "right_calf")
S = 1_000_000_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the night that the tests hurt copies of."""
    return small_night(tmp_path_factory.mktemp("whole") / "a.night", BLOCKS)


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """Copy the night."""
    return Path(shutil.copytree(whole, tmp_path / "b.night"))


def frames(folder: Path) -> list[tuple[int, int, int, set[int]]]:
    """Return offset, end, sensor (-1: no samples) and counters of each frame of an undamaged night."""
    index = open_night(folder).scan.index
    found = []
    for row in index:
        begin = int(row["offset"])
        is_samples = row["kind"] == BlockKind.SAMPLES
        held = set(range(int(row["first"]), int(row["first"]) + int(row["n"]))) if is_samples else set()
        found.append(
            (begin, begin + FRAME.size + int(row["length"]), int(row["sensor"]) if is_samples else -1, held)
        )
    return found


def expect(night: Night, kept: list[tuple[int, int, int, set[int]]]) -> None:
    """Check that a night gives the samples of these frames and no others."""
    for sensor, site in enumerate(SITES):
        wanted: set[int] = set().union(*(held for _, _, of, held in kept if of == sensor))
        assert counters(night, site) == wanted


def test_undamaged(whole: Path) -> None:
    """A whole night comes back sample by sample, without damage."""
    night = open_night(whole)

    assert night.damage == ()
    expect(night, frames(whole))
    assert counters(night, SITES[0]) == set(range(100 * BLOCKS))
    assert [event.details for event in night.events()] == [{"percent": 90 - block} for block in (5, 15)]


def random_cuts(size: int) -> list[int]:
    """Return where to cut: all of the first bytes, then anywhere."""
    return [*range(30), *np.random.default_rng(1).integers(0, size, 170).tolist()]


def test_cut_at_any_byte(whole: Path, folder: Path) -> None:
    """Cut anywhere, the log gives every block before the cut, and says where it is cut inside a block."""
    data, all_frames = (whole / "samples.log").read_bytes(), frames(whole)
    for cut in random_cuts(len(data)):
        (folder / "samples.log").write_bytes(data[:cut])
        night = open_night(folder)
        expect(night, [frame for frame in all_frames if frame[1] <= cut])
        edges = {0, *(end for _, end, _, _ in all_frames)}
        assert bool(night.damage) == (cut == 0 or cut not in edges)
        assert sum(one.length for one in night.damage) == cut - max(edge for edge in edges if edge <= cut)


@pytest.mark.parametrize("kind", ["zeros", "garbage", "magic"])
def test_tails(whole: Path, folder: Path, kind: str) -> None:
    """Zeros or garbage behind a cut, which a power cut leaves, give nothing false and hide nothing."""
    rng = np.random.default_rng(2)
    data, all_frames = (whole / "samples.log").read_bytes(), frames(whole)
    for cut in rng.integers(0, len(data), 60).tolist():
        n = int(rng.integers(1, 20_000))
        tail = {"zeros": bytes(n), "garbage": rng.bytes(n), "magic": (MAGIC + rng.bytes(9)) * (n // 13 + 1)}[
            kind
        ]
        (folder / "samples.log").write_bytes(data[:cut] + tail)
        night = open_night(folder)
        expect(night, [frame for frame in all_frames if frame[1] <= cut])
        assert sum(one.length for one in night.damage) >= len(tail)


def test_flipped_bits(whole: Path, folder: Path) -> None:
    """One flipped bit costs the block it is in, wherever it is (a length too), and is reported there."""
    data, all_frames = (whole / "samples.log").read_bytes(), frames(whole)
    rng = np.random.default_rng(3)
    heads = [begin + byte for begin, _, _, _ in all_frames[3:6] for byte in range(FRAME.size)]
    for at in [*heads, *rng.integers(0, len(data), 150).tolist()]:
        flipped = bytearray(data)
        flipped[at] ^= 1 << int(rng.integers(8))
        (folder / "samples.log").write_bytes(flipped)
        hit = next(frame for frame in all_frames if frame[0] <= at < frame[1])
        night = open_night(folder)
        expect(night, [frame for frame in all_frames if frame is not hit])
        assert [(one.offset, one.length) for one in night.damage] == [(hit[0], hit[1] - hit[0])]


def test_many_flipped_bits_and_holes(whole: Path, folder: Path) -> None:
    """Damage in many places at once: every block that it does not touch comes back."""
    data, all_frames = (whole / "samples.log").read_bytes(), frames(whole)
    rng = np.random.default_rng(4)
    for _ in range(60):
        hurt, touched = bytearray(data), set()
        for at in rng.integers(0, len(data), int(rng.integers(2, 12))).tolist():
            n = min(int(rng.integers(1, 3000)), len(data) - at)
            hurt[at : at + n] = bytes(n) if rng.random() < 0.5 else rng.bytes(n)
            touched |= {begin for begin, end, _, _ in all_frames if begin < at + n and end > at}
        (folder / "samples.log").write_bytes(hurt)
        night = open_night(folder)
        expect(night, [frame for frame in all_frames if frame[0] not in touched])
        assert night.damage


def test_missing_pieces_and_copies(whole: Path, folder: Path) -> None:
    """Pieces cut out of the log, or standing in it twice, give each sample once and only what was written."""
    data, all_frames = (whole / "samples.log").read_bytes(), frames(whole)
    rng = np.random.default_rng(5)
    for _ in range(40):
        a, b = sorted(rng.integers(0, len(data), 2).tolist())
        (folder / "samples.log").write_bytes(data[:a] + data[b:])
        expect(open_night(folder), [frame for frame in all_frames if frame[1] <= a or frame[0] >= b])
        b = min(b, a + 4000)
        (folder / "samples.log").write_bytes(data[:b] + data[a:])  # within one block, it is whole in neither
        expect(open_night(folder), [frame for frame in all_frames if frame[1] <= b or frame[0] >= a])


def edges(night: Night) -> list[int]:
    """Return where the blocks of an undamaged night begin, and its end."""
    return [*night.scan.index["offset"].tolist(), night.scan.size]


def read(night: Night) -> list[tuple[bytes, bytes]]:
    """Return times and numbers of all that a night gives back."""
    return [(one.time_ns.tobytes(), one.counts.tobytes()) for site in SITES for one in night.read(site)]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a night of two sessions, in the first of which a sensor was lost and found again."""
    folder = tmp_path_factory.mktemp("interrupted") / "a.night"
    parts = ((0, (0, 1)), (20, (0,)), (50, (0, 1)))  # seconds, and who counts anew then
    writer = create_night(folder, meta(2), lambda: (MONO_NS, START_NS))
    begun = [0, 0]
    for at_s, anew in parts:
        if at_s == 50:
            writer.close()
            writer = continue_night(folder, lambda: (MONO_NS + 50 * S, START_NS + 50 * S))
        for sensor in anew:
            begun[sensor] = at_s
            writer.append_event("connected", sensor, START_NS + at_s * S, MONO_NS + at_s * S)
        for second in range(at_s, at_s + 20):
            for sensor in (0, 1):
                after = (second + 1) * S
                append(writer, sensor, 100 * (second - begun[sensor]),
                       arrival_mono_ns=MONO_NS + after, arrival_utc_ns=START_NS + after)  # fmt: skip
    writer.close()
    return folder


def test_copies_across_a_reconnect_or_a_session(interrupted: Path, folder: Path) -> None:
    """Blocks that stand twice, with a session or a reconnect between, are read once, which is said."""
    whole, data = open_night(interrupted), (interrupted / "samples.log").read_bytes()
    rng = np.random.default_rng(9)
    for _ in range(25):
        a, b = np.sort(rng.choice(edges(whole), 2, replace=False)).tolist()
        (folder / "samples.log").write_bytes(data[:b] + data[a:])
        night = open_night(folder)

        assert read(night) == read(whole)
        assert [event.kind for event in night.events()] == [event.kind for event in whole.events()]
        n = edges(whole).index(b) - edges(whole).index(a)
        (damage,) = verify(folder).damage
        assert damage.what == (
            f"samples.log holds blocks twice ({n}, the first at byte {b}): each is read once"
        )


def test_parts_of_the_log_in_another_order(interrupted: Path, folder: Path) -> None:
    """Parts of the log that changed places are read in the order of their writing, which is said."""
    whole, data = open_night(interrupted), (interrupted / "samples.log").read_bytes()
    rng = np.random.default_rng(10)
    for _ in range(25):
        a, b, c = np.sort(rng.choice(edges(whole), 3, replace=False)).tolist()
        (folder / "samples.log").write_bytes(data[:a] + data[b:c] + data[a:b] + data[c:])

        assert read(open_night(folder)) == read(whole)
        check = verify(folder)
        assert check.missing_blocks == 0
        (damage,) = check.damage
        assert damage.what == (
            f"samples.log steps back in the order of its blocks (1, the first at byte {a + c - b}): "
            "they are read in order"
        )


def test_another_log_behind_this_one(whole: Path, folder: Path, tmp_path: Path) -> None:
    """Blocks of another log under the same numbers are not taken for copies; the night stays what it was."""
    other = small_night(tmp_path / "other.night", 3, 1)
    data = (whole / "samples.log").read_bytes()
    (folder / "samples.log").write_bytes(data + (other / "samples.log").read_bytes())

    assert read(open_night(folder)) == read(open_night(whole))
    assert any("under the numbers of others" in one.what for one in verify(folder).damage)


@pytest.mark.parametrize("lost", ["renumbered", "deleted"])
def test_a_sensor_that_the_metadata_do_not_know(folder: Path, lost: str) -> None:
    """Samples that belong to no sensor of night.toml are told as damage: how many, and what to do."""
    path = folder / "night.toml"
    said = path.read_text()
    if lost == "renumbered":
        path.write_text(said.replace("index = 1", "index = 7"))
    else:
        path.write_text(said[: said.rindex("[[sensors]]")])
    check = verify(folder)

    (damage,) = check.damage
    assert "night.toml" in damage.what
    assert f"knows no sensor 1, but samples.log holds {100 * BLOCKS} samples of it" in damage.what
    assert sum(check.samples.values()) == 100 * BLOCKS
    path.unlink()  # as the sentence advises
    assert open_night(folder).sites == SITES
    assert counters(open_night(folder), SITES[1]) == set(range(100 * BLOCKS))


def test_random_bytes_are_no_night(folder: Path) -> None:
    """A log of anything at all gives no sample and no traceback."""
    rng = np.random.default_rng(6)
    for n in (0, 1, 3, 21, 22, 100, 5000, 100_000):
        (folder / "samples.log").write_bytes(rng.bytes(n))
        night = open_night(folder)
        assert [len(night.read(site)) for site in SITES] == [0, 0]
        assert sum(one.length for one in night.damage) == n


def test_reads_go_over_the_edges_of_what_is_read_at_once(
    whole: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scan finds the same blocks and the same damage however few bytes it reads at a time."""
    hurt = bytearray((whole / "samples.log").read_bytes())
    for at in np.random.default_rng(7).integers(0, len(hurt), 6).tolist():
        hurt[at] ^= 0x40
    (folder / "samples.log").write_bytes(hurt)
    expected = open_night(folder)
    for size in (1, 2, 3, 7, 21, 22, 23, 400, 1009):
        monkeypatch.setattr("firmware_host.recording.blocks.READ_BYTES", size)
        night = open_night(folder)
        assert night.damage == expected.damage
        np.testing.assert_array_equal(night.scan.index, expected.scan.index)


def test_torn_last_block_then_another_session(whole: Path, folder: Path) -> None:
    """A session appended behind a torn block leaves it as it is; both sessions come back."""
    data, all_frames = (whole / "samples.log").read_bytes(), frames(whole)
    for cut in np.random.default_rng(8).integers(2000, len(data), 12).tolist():
        (folder / "samples.log").write_bytes(data[:cut])
        before = open_night(folder)
        with continue_night(folder) as writer:
            append(writer, 0, 1_000_000)
        night = open_night(folder)
        assert (folder / "samples.log").read_bytes()[:cut] == data[:cut]
        assert counters(night, SITES[0]) == counters(before, SITES[0]) | set(range(1_000_000, 1_000_100))
        assert len(night.damage) == len(before.damage) == (cut not in {end for _, end, _, _ in all_frames})
        assert [stretch.cause for stretch in night.stretches(SITES[0])][-1] == "session"


def test_verify_counts(whole: Path, folder: Path) -> None:
    """`verify` counts blocks and samples, and the blocks that damage swallowed."""
    good = verify(whole)
    assert (good.damage, good.sessions, good.missing_blocks) == ((), 1, 0)
    assert good.samples == dict.fromkeys(SITES, 100 * BLOCKS)
    assert good.blocks == 2 * BLOCKS + 2 + 1

    log = folder / "samples.log"
    hurt = bytearray(log.read_bytes())
    hurt[frames(whole)[10][0] + 50] ^= 1
    log.write_bytes(hurt)
    bad = verify(folder)
    assert (len(bad.damage), bad.missing_blocks, bad.blocks) == (1, 1, good.blocks - 1)
    assert sum(bad.samples.values()) == sum(good.samples.values()) - 100
