"""`view.cache`: what the signal view draws is what was recorded, and a file that is wrong is made again."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import made_nights
import numpy as np
import numpy.typing as npt
import pytest
from made_nights import FS_HZ, START_NS

from firmware_host.detection.signals import BlockFilter, make_plan
from firmware_host.recording import Night, NightWriter, SensorInfo, create_night, open_night
from firmware_host.review.view_cache import band, levels
from firmware_host.review.view_cache.file import VIEW_FILE, read_cache
from firmware_host.review.view_cache.making import cache_of, is_of, make_cache
from firmware_host.review.view_cache.samples import samples_between
from firmware_host.review.view_cache.views import Views

rng = np.random.default_rng(7)


def silent(_: float) -> None:
    """Take a progress and say nothing."""


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Give a night of 90 s at 100 Hz on two sites, the second with a gap of 10 s."""
    with create_night(tmp_path / "a.night", made_nights.meta(2, origin="imported")) as writer:
        for second in range(90):
            made_nights.append(writer, 0, 100 * second)
            if not 30 <= second < 40:
                made_nights.append(writer, 1, 100 * second)
    return open_night(tmp_path / "a.night")


def expected(night: Night, site: str, length_ns: int) -> npt.NDArray[np.float32]:
    """Return the smallest and largest value of each bin and axis in mg, sample by sample."""
    bins = -(-(night.end_ns - night.start_ns) // length_ns)
    out = np.full((bins, 3, 2), np.nan, np.float32)
    for part in night.read(site):
        for at, row in zip((part.time_ns - night.start_ns) // length_ns, part.acc_g * 1000, strict=True):
            if 0 <= at < bins:
                out[at, :, 0] = np.fmin(out[at, :, 0], row)
                out[at, :, 1] = np.fmax(out[at, :, 1], row)
    return out


def test_every_level_holds_the_extremes_of_its_samples(night: Night) -> None:
    """Bins are the smallest and largest samples of their time, on every level; a gap has none."""
    cache = make_cache(night, silent)
    for site in night.sites:
        sensor = night.meta.sensor(site).index
        for level in range(len(cache.part(sensor).levels)):  # type: ignore[union-attr]
            wanted = expected(night, site, levels.BASE_NS * levels.FACTOR**level)
            found = cache.read(sensor, level, 0, len(wanted))
            np.testing.assert_allclose(found[:, :3], wanted, atol=0.01)
            np.testing.assert_array_equal(np.isnan(found[:, 3, 0]), np.isnan(wanted[:, 0, 0]))
    holes = np.isnan(cache.read(1, 0, 0, 1407)[:, 0, 0])
    assert 10 / 0.064 - 3 <= holes.sum() <= 10 / 0.064 + 3


def test_bins_beyond_the_night_are_empty(night: Night) -> None:
    """What is asked for before the night or after it, or of a level or sensor that is not there, is NaN."""
    cache = make_cache(night, silent)
    assert np.isnan(cache.read(0, 0, 10_000, 5)).all()
    assert np.isnan(cache.read(0, 19, 0, 5)).all()
    assert np.isnan(cache.read(7, 0, 0, 5)).all()
    early = cache.read(0, 0, -3, 5)
    assert np.isnan(early[:3]).all()
    assert not np.isnan(early[3:]).any()


@pytest.mark.parametrize("fs_hz", [50.0, 104.0, 170.0])
def test_the_band_is_the_detectors(fs_hz: float) -> None:
    """The drawn trace is the size of what the detector's own band-pass gives."""
    plan = make_plan(fs_hz)
    acc_g = rng.normal((0.1, -0.2, 0.97), 0.002, (2 * plan.block, 3)).astype(np.float32)
    block = next(BlockFilter(plan).push(0, acc_g))
    theirs = np.linalg.norm(block.filtered[0], axis=0)
    half = band.margin(fs_hz)
    first = block.first + half
    last = min(block.first + plan.hop, len(acc_g) - half)
    ours = band.band_size(1000 * acc_g[first - half : last + half], fs_hz, half, half)
    np.testing.assert_allclose(ours, theirs[half : last - block.first], atol=0.01)


def test_the_band_does_not_depend_on_pieces() -> None:
    """Cut into pieces with their margins, a signal has the same band-passed trace."""
    acc_mg = rng.normal((100, -200, 970), 3, (9000, 3)).astype(np.float32)
    whole = band.band_size(acc_mg, 200.0, 0, 0)
    half = band.margin(200.0)
    for first in range(0, 9000, 2113):
        last = min(first + 2113, 9000)
        before, after = min(half, first), min(half, 9000 - last)
        piece = band.band_size(acc_mg[first - before : last + after], 200.0, before, after)
        np.testing.assert_allclose(piece, whole[first:last], atol=0.01)


def test_gravity_is_not_in_the_band() -> None:
    """A sensor at rest has nothing in its band, however it lies."""
    still = np.tile(np.array([[300.0, -500.0, 812.0]], np.float32), (1000, 1))
    assert band.band_size(still, 100.0, 0, 0).max() < 0.01


def test_a_long_night_has_longer_bins() -> None:
    """Memory does not grow with the length of a night: bins get longer."""
    assert levels.base_ns(8 * 3600 * 10**9) == levels.BASE_NS
    two_weeks = levels.base_ns(14 * 86_400 * 10**9)
    assert 14 * 86_400 * 10**9 / two_weeks <= levels.MOST_BINS


@pytest.mark.parametrize("where", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("what", ["cut", "flipped"])
def test_a_damaged_file_is_made_again(night: Night, where: float, what: str) -> None:
    """A file that was cut or in which a byte changed is as good as not there, and is made anew the same."""
    path = make_cache(night, silent).path
    whole = path.read_bytes()
    at = int(where * len(whole))
    path.write_bytes(whole[:at] if what == "cut" else whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert read_cache(path) is None
    assert cache_of(night) is None
    make_cache(night, silent)
    assert path.read_bytes() == whole


def test_a_file_of_another_log_does_not_serve(night: Night, tmp_path: Path) -> None:
    """A view belongs to the log that it was made of, by its length and its ends."""
    cache = make_cache(night, silent)
    assert is_of(cache, night)
    other = open_night(made_nights.small_night(tmp_path / "b.night"))
    cache.path.rename(other.path / VIEW_FILE)
    assert cache_of(other) is None


def test_the_file_is_private(night: Night) -> None:
    """Only the user can read it, and nothing else is left beside it."""
    path = make_cache(night, silent).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(night.path.glob(".view.cache*"))


def test_a_growing_night_is_gone_on_with(tmp_path: Path) -> None:
    """While a night is recorded the view is lengthened; what it shows is what a new one would."""
    folder = tmp_path / "grows.night"
    with create_night(folder, made_nights.meta(1, origin="imported")) as writer:
        for second in range(200):
            made_nights.append(writer, 0, 100 * second)
        first = make_cache(open_night(folder), silent)
        for second in range(200, 330):
            made_nights.append(writer, 0, 100 * second)
        grown = open_night(folder)
        assert cache_of(grown) is None
        second_view = make_cache(grown, silent)
        bins = second_view.contents.sensors[0].levels[0].bins
        assert bins > first.contents.sensors[0].levels[0].bins
        found = second_view.read(0, 0, 0, bins)
    np.testing.assert_allclose(found[:, :3], expected(grown, "left_calf", levels.BASE_NS), atol=0.01)
    assert not np.isnan(found[:-1]).any()
    ended = open_night(folder)
    assert cache_of(ended) is None, "when the recording has ended all is made anew"


def floats(writer: NightWriter, values: npt.NDArray[np.float32], first: int) -> None:
    """Append samples of a sensor that sends floats."""
    after = round((first + len(values)) / FS_HZ * 1e9)
    times: dict[str, Any] = {
        "arrival_mono_ns": made_nights.MONO_NS + after, "arrival_utc_ns": START_NS + after,
    }  # fmt: skip
    writer.append_samples(0, values, first, **times)


def test_floats_that_are_no_numbers_leave_the_rest(tmp_path: Path) -> None:
    """A sensor that once sends no number has its other samples drawn, also the band around it."""
    info = SensorInfo(index=0, site="left_calf", fs_hz=FS_HZ, g_per_count=1.0, sample_type="float32")
    values = rng.normal(0, 0.003, (100, 3)).astype(np.float32)
    with create_night(
        tmp_path / "f.night", made_nights.meta(1, origin="imported", sensors=(info,))
    ) as writer:
        for second in range(20):
            floats(writer, np.where(second == 7, np.float32(np.nan), values), 100 * second)
    night = open_night(tmp_path / "f.night")
    rows = make_cache(night, silent).read(0, 0, 0, 312)
    gone = np.isnan(rows[:, 0, 0])
    assert 13 <= gone.sum() <= 18
    assert rows[~gone, 3, 1].max() < 20


def test_samples_are_those_of_the_night(night: Night) -> None:
    """A close view gives the samples themselves at their times, and marks the gap between them."""
    rows = samples_between(night, "right_calf", 25.0, 45.0)
    gap = np.isnan(rows[:, 0])
    assert gap.sum() == 1
    (before, after) = night.read("right_calf", START_NS + 25 * 10**9, START_NS + 45 * 10**9)
    np.testing.assert_allclose(rows[~gap, 1:4], 1000 * np.concatenate([before.acc_g, after.acc_g]), rtol=1e-6)
    times = np.concatenate([before.time_ns, after.time_ns])
    np.testing.assert_allclose(rows[~gap, 0], (times - night.start_ns) / 1e9 - 25, atol=1e-5)
    assert len(samples_between(night, "left_calf", 500.0, 510.0)) == 0


def test_views_are_made_in_the_background(night: Night) -> None:
    """The first to ask hears that the view is being made; it is made once, and deleted it is made again."""
    views = Views(night.path.parent)
    ready, _, problem = views.ask(night)
    assert ready is None
    assert problem == ""
    views.wait(night)
    ready, _, _ = views.ask(night)
    assert ready is not None
    ready.path.unlink()
    assert views.ask(night)[0] is None
    views.wait(night)
    assert views.ask(night)[0] is not None
    views.close()


def test_a_view_that_cannot_be_kept_says_why(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk refuses, one sentence says so, and nothing is left of the attempt."""

    def refuse(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    views = Views(night.path.parent)
    views.wait(night)
    ready, _, problem = views.ask(night)
    assert ready is None
    assert "No space left" in problem
    assert not list(night.path.glob(".view.cache*"))
    views.close()


def test_what_cannot_be_made_is_said_and_tried_again(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of any kind ends the waiting with a sentence; later, when it is mended, the view is made."""
    name = "firmware_host.review.view_cache.views"

    def fails(*_: object) -> None:
        raise ValueError

    views = Views(night.path.parent)
    with monkeypatch.context() as patch:
        patch.setattr(f"{name}.make_cache", fails)
        views.wait(night)
        cache, _, sentence = views.ask(night)
        assert cache is None
        assert sentence
    assert views.ask(night)[2] == sentence
    monkeypatch.setattr(f"{name}.AGAIN_AFTER_S", -1.0)
    views.wait(night)
    assert views.ask(night)[0] is not None
    views.close()
