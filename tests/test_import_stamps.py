"""Time stamps of samples and of arrivals: told apart, rates, bursts, gaps, repeats and disorder."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import acceleration, bring, rows, samples, times_s

from firmware_host.errors import BadFileError
from firmware_host.formats import stamps

FS = 100.0
PERIOD_NS = 10_000_000


def even(n: int) -> npt.NDArray[np.float64]:
    """Return n sample times at 100 Hz, s."""
    return np.arange(n) / FS


def in_bursts(at_s: npt.NDArray[np.float64], seed: int = 1) -> npt.NDArray[np.float64]:
    """Return arrivals as a radio makes them: several samples together, up to 70 ms late, and stalls."""
    rng = np.random.default_rng(seed)
    opens = np.cumsum(rng.uniform(0.006, 0.067, round(at_s[-1] * 40) + 100))
    for stall in rng.integers(0, len(opens), len(opens) // 400):
        opens[stall:] += 0.0
        opens[stall : stall + 8] = opens[min(stall + 8, len(opens) - 1)]
    arrival = opens[np.minimum(np.searchsorted(opens, at_s + 0.003), len(opens) - 1)]
    return arrival + np.cumsum(rng.uniform(0, 0.0002, len(at_s))) % 0.001


def save(tmp_path: Path, t: npt.NDArray[np.float64], acc: npt.NDArray[np.float64], name: str = "t_s") -> Path:
    """Write times and samples as an archive."""
    path = tmp_path / "night.npz"
    np.savez(path, **{name: t, "acc_g": acc.astype(np.float32)})
    return path


def judged(t_s: npt.NDArray[np.float64]) -> stamps.Judgement:
    """Judge stamps as a whole."""
    ns = np.rint(t_s * 1e9).astype(np.int64)
    rows = stamps.window_rows(len(ns))
    return stamps.judge([ns[i : i + rows] for i in range(0, len(ns), rows)])


@pytest.mark.parametrize("jitter_ms", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("fs_hz", [50.0, 99.38, 100.0, 128.0, 200.0])
def test_even_stamps_are_of_samples(fs_hz: float, jitter_ms: float) -> None:
    """Stamps with a jitter well below the period are sample times, and show the rate."""
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, 6000) * jitter_ms / 1000
    found = judged(np.arange(6000) / fs_hz + jitter)
    assert found.clock == "sample"
    assert 1e9 / found.period_ns == pytest.approx(fs_hz, rel=2e-3)


@pytest.mark.parametrize("step_ms", [1, 2, 5])
@pytest.mark.parametrize("fs_hz", [50.0, 64.0, 100.0])
def test_stamps_rounded_to_milliseconds_show_the_rate(fs_hz: float, step_ms: int) -> None:
    """Rounded stamps give the true rate, whether they pass as sample times or are counted."""
    found = judged(np.round(np.arange(6000) / fs_hz * 1000 / step_ms) * step_ms / 1000)
    assert 1e9 / found.period_ns == pytest.approx(fs_hz, rel=5e-3)


PACKETS: dict[str, Callable[[int], npt.NDArray[np.float64]]] = {
    "a radio": lambda n: in_bursts(even(n)),
    "nine share a stamp": lambda n: even(n) // 0.09 * 0.09,
    "pairs": lambda n: np.repeat(even(n)[1::2], 2)[:n] + np.tile([0.0, 0.0003], n // 2),
    "a millisecond apart in bursts": lambda n: even(n) // 0.1 * 0.1 + np.arange(n) % 10 * 0.001,
    "once a second": lambda n: np.floor(even(n)) + np.arange(n) % 100 * 0.0001,
}


@pytest.mark.parametrize("name", PACKETS)
def test_bursts_are_of_arrivals(name: str) -> None:
    """Stamps that come in bursts are arrivals, and their mean step shows the rate."""
    found = judged(PACKETS[name](12_000))
    assert found.clock == "arrival"
    assert 1e9 / found.period_ns == pytest.approx(FS, rel=0.05)


@pytest.mark.parametrize("name", PACKETS)
def test_bursts_give_an_even_time_axis(tmp_path: Path, name: str) -> None:
    """Samples of bursts lie evenly on the rebuilt axis, none is lost, and the stamps are kept in the log."""
    t, acc = PACKETS[name](12_000), acceleration(12_000)
    night, found = bring(tmp_path, save(tmp_path, t, acc))
    assert (found.time_kind, found.gaps, found.missing) == ("arrivals", 0, 0)
    assert night.meta.sensors[0].clock == "arrival"
    assert np.allclose(samples(night), acc, rtol=0, atol=1e-7)
    assert found.fs_hz == pytest.approx(FS, rel=0.012)
    step_s = np.diff(times_s(night))
    assert step_s.min() > 0.97 / FS
    assert step_s.max() < 1.03 / FS


@pytest.mark.parametrize("seed", range(4))
def test_lost_notifications_are_gaps_and_stalls_are_not(tmp_path: Path, seed: int) -> None:
    """A pause after which the count never catches up is a gap of the right length; a stall is none."""
    rng = np.random.default_rng(seed)
    counter = np.arange(30_000)
    lost = sorted(
        (int(row), int(n))
        for row, n in zip(rng.integers(2000, 28_000, 3), rng.integers(40, 900, 3), strict=True)
    )
    for row, n in lost:
        counter[row:] += n
    t = in_bursts(counter / FS, seed)
    night, found = bring(tmp_path, save(tmp_path, t, acceleration(len(counter))))
    assert found.time_kind == "arrivals"
    assert found.gaps == 3
    assert found.missing == pytest.approx(sum(n for _, n in lost), abs=15)
    assert np.abs(times_s(night) - times_s(night)[0] - counter / FS).max() < 0.15


@pytest.mark.parametrize(("n", "size"), [(12_000, 1000), (14_000, 1300), (100_000, 1000), (100_000, 900)])
def test_batches_many_seconds_apart_are_refused(tmp_path: Path, n: int, size: int) -> None:
    """Stamps of whole batches show neither sample times nor losses, and are not guessed at."""
    t = np.arange(n) // size * (size / FS) + np.arange(n) % size * 0.001
    path = save(tmp_path, t, acceleration(n))
    with pytest.raises(BadFileError, match=r"batches.*--rate|rate changes"):
        bring(tmp_path, path)


def test_a_name_or_an_option_says_arrival(tmp_path: Path) -> None:
    """Even stamps are arrivals where their name or the user says so; the user has the last word."""
    acc = acceleration(1000)
    for number, (name, options, kind) in enumerate(
        [
            ("t_arrival_s", {}, "arrivals"),
            ("t_s", {"stamps": "arrival"}, "arrivals"),
            ("t_arrival_s", {"stamps": "sample"}, "samples"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, found = bring(folder, save(folder, even(1000), acc, name), **options)
        assert found.time_kind == kind


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_counters_of_sample_stamps_are_exact(data: st.DataObject) -> None:
    """Whatever is lost, under a jitter up to a fifth of the period the counters are the true ones."""
    n = data.draw(st.integers(300, 3000))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    kept = rng.random(n) > data.draw(st.sampled_from([0.0, 0.001, 0.02, 0.1]))
    counter = np.flatnonzero(kept)
    for _ in range(data.draw(st.integers(0, 3))):
        counter[int(rng.integers(1, len(counter))) :] += int(rng.integers(1, 5000))
    drift = 1 + data.draw(st.floats(-0.0005, 0.0005))
    jitter = rng.uniform(-0.1, 0.1, len(counter))
    ns = np.rint((counter * drift + jitter) * PERIOD_NS).astype(np.int64)
    judgement = stamps.Judgement("sample", PERIOD_NS * drift, 0.0)
    rows, lost = stamps.find_losses(ns, 0, judgement, 1.5 * PERIOD_NS, 0, len(ns))
    found = stamps.Losses(rows, lost).counters(0, len(ns))
    assert np.array_equal(found, counter - counter[0])


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_losses_do_not_depend_on_blocks(data: st.DataObject) -> None:
    """Any split of the rows finds the same losses, of samples and of arrivals."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    arrival = data.draw(st.booleans())
    counter = np.arange(4000)
    for row in rng.integers(100, 3900, 3):
        counter[row:] += int(rng.integers(50, 300))
    t = in_bursts(counter / FS) if arrival else counter / FS
    ns = np.rint(t * 1e9).astype(np.int64)
    judgement = stamps.Judgement("arrival" if arrival else "sample", PERIOD_NS, 0.0)
    pause_ns = stamps.pause_from([ns], judgement)
    whole = stamps.find_losses(ns, 0, judgement, pause_ns, 0, len(ns))
    cuts = sorted({0, len(ns), *data.draw(st.lists(st.integers(1, len(ns) - 1), max_size=4))})
    around = stamps.reach(judgement)
    parts = []
    for a, b in pairwise(cuts):
        begin = max(a - around, 0)
        parts.append(stamps.find_losses(ns[begin : b + around], begin, judgement, pause_ns, a, b))
    assert np.concatenate([rows for rows, _ in parts]).tolist() == whole[0].tolist()
    if not arrival:
        assert np.concatenate([lost for _, lost in parts]).tolist() == whole[1].tolist()


def test_swapped_rows_are_sorted(tmp_path: Path) -> None:
    """Whole rows that changed places go back by their stamps, and it is said how many did."""
    acc = acceleration(3000)
    order = np.arange(3000)
    order[[100, 101]] = [101, 100]
    order[1000:1500] = np.concatenate([np.arange(1250, 1500), np.arange(1000, 1250)])
    night, found = bring(tmp_path, save(tmp_path, even(3000)[order], acc[order]))
    assert np.allclose(samples(night), acc, rtol=0, atol=1e-7)
    assert (found.gaps, found.skipped) == (0, 0)
    assert "251 rows were out of order and are sorted by their stamps" in found.remarks


def test_microseconds_of_32_bits_run_over(tmp_path: Path) -> None:
    """A counter that starts again from zero goes on, also where a row from before the turn comes late."""
    n, acc = 3000, acceleration(3000)
    order = np.arange(n)
    order[[1000, 1001]] = [1001, 1000]
    us = (order * 10_000 + 2**32 - 10_005_000) % 2**32
    path = tmp_path / "night.csv"
    path.write_text("time_us,ax,ay,az\n" + rows([str(t) for t in us], acc[order]))
    night, found = bring(tmp_path, path)
    assert np.allclose(samples(night), acc, rtol=0, atol=1e-7)
    assert np.allclose(times_s(night), even(n), atol=1e-4)
    assert any("ran over" in remark for remark in found.remarks)


def test_two_recordings_in_one_file_are_not_sorted_into_one(tmp_path: Path) -> None:
    """Elapsed time that begins anew is refused, even where its rows would sort into a steady rate."""
    t = np.concatenate([even(2000) + 60, even(2000)])
    with pytest.raises(BadFileError, match=r"back by 79\.99 s at row 2,001 .* one by one"):
        bring(tmp_path, save(tmp_path, t, acceleration(4000)))


@pytest.mark.parametrize("times", [2, 3])
def test_rows_that_are_all_there_twice_count_once(tmp_path: Path, times: int) -> None:
    """A file that repeats every row is no burst of twice the rate."""
    acc = acceleration(2000)
    night, found = bring(
        tmp_path, save(tmp_path, np.repeat(even(2000), times), np.repeat(acc, times, axis=0))
    )
    assert np.allclose(samples(night), acc, rtol=0, atol=1e-7)
    assert np.allclose(times_s(night), even(2000), atol=1e-4)
    assert found.time_kind == "samples"


@pytest.mark.parametrize("begin_s", [0.0, 0.37])
def test_stamps_cut_to_whole_seconds(tmp_path: Path, begin_s: float) -> None:
    """Rows that share a second's stamp come back at their own times, to half a sample."""
    t, acc = even(12_000) + begin_s, acceleration(12_000)
    night, found = bring(tmp_path, save(tmp_path, np.floor(t), acc))
    assert np.allclose(samples(night), acc, rtol=0, atol=1e-7)
    assert np.allclose(times_s(night), t, rtol=0, atol=0.5 / FS)
    assert found.rate_hz == pytest.approx(FS, rel=5e-3)


def test_a_count_of_rows_is_no_time(tmp_path: Path) -> None:
    """Numbers that go up by 1 may be rows or milliseconds: the user is asked."""
    path = tmp_path / "night.csv"
    path.write_text(rows([str(i) for i in range(5000)], acceleration(5000)))
    with pytest.raises(BadFileError, match="count of rows; give the rate with --rate"):
        bring(tmp_path, path)


def test_arrivals_out_of_order_keep_the_order_of_the_file(tmp_path: Path) -> None:
    """Stamps of arrivals may step back a little without moving samples."""
    t, acc = in_bursts(even(6000)), acceleration(6000)
    t[3000:3010] -= 0.4
    night, found = bring(tmp_path, save(tmp_path, t, acc))
    assert np.allclose(samples(night), acc, rtol=0, atol=1e-7)
    assert any("order of the file" in remark for remark in found.remarks)
    assert np.diff(times_s(night)).min() > 0.9 / FS


@pytest.mark.parametrize("burst", [False, True])
def test_a_clock_that_was_set_back_is_refused(tmp_path: Path, burst: bool) -> None:
    """Time that runs back by minutes cannot be mended, and is not guessed at."""
    t = in_bursts(even(20_000)) if burst else even(20_000)
    t[10_000:] -= 80.0
    with pytest.raises(BadFileError, match=r"time runs back by (80|79\.99) s"):
        bring(tmp_path, save(tmp_path, t, acceleration(20_000)))


def test_repeated_rows_are_left_out(tmp_path: Path) -> None:
    """A row that came twice counts once, and is said."""
    order = np.sort(np.concatenate([np.arange(2000), [500, 900, 901]]))
    acc = acceleration(2000)
    night, found = bring(tmp_path, save(tmp_path, even(2000)[order], acc[order]))
    assert np.allclose(samples(night), acc, rtol=0, atol=1e-7)
    assert (found.skipped, found.repeated) == (3, 3)
    assert [line for line in found.lines() if "3" in line and "left out" in line] == [
        "  3 rows left out (3 repeat the stamp of the row before)"
    ]


def test_a_row_is_left_out_once_whatever_speaks_against_it(tmp_path: Path) -> None:
    """A row that repeats a stamp and has no number is one row in the count of those left out."""
    order = np.sort(np.concatenate([np.arange(2000), [500, 900]]))
    acc = acceleration(2000)[order]
    acc[np.flatnonzero(order == 500)[1]] = np.nan
    _, found = bring(tmp_path, save(tmp_path, even(2000)[order], acc))
    assert (found.skipped, found.repeated) == (2, 2)


def test_a_tick_that_was_repeated_and_made_up_for_loses_nothing(tmp_path: Path) -> None:
    """A device clock that stands for one sample and skips the next tick makes no gap."""
    t, acc = even(3000), acceleration(3000)
    t[np.arange(50, 2900, 300)] -= 1 / FS
    night, found = bring(tmp_path, save(tmp_path, t, acc))
    assert (found.gaps, found.skipped) == (0, 0)
    assert np.allclose(samples(night), acc, rtol=0, atol=1e-7)


def test_a_gap_of_hours_keeps_both_sides_in_place(tmp_path: Path) -> None:
    """A sensor that was off for two hours lies on both sides where its stamps say."""
    t = np.concatenate([even(6000), 7200.3 + even(6000)]) * 1.00007
    night, found = bring(tmp_path, save(tmp_path, t, acceleration(12_000)))
    assert found.gaps == 1
    assert np.abs(times_s(night) - t).max() < 0.02
    assert len(samples(night)) == 12_000


def test_a_rate_that_wanders_is_followed(tmp_path: Path) -> None:
    """A sensor whose rate drifts by 300 ppm over 40 minutes shows no gap, and its times follow."""
    n = 240_000
    t = np.cumsum(1 + 3e-4 * np.sin(np.arange(n) / n * 6)) / FS
    night, found = bring(tmp_path, save(tmp_path, t - t[0], acceleration(n)))
    assert (found.gaps, found.skipped) == (0, 0)
    assert np.abs(times_s(night) - (t - t[0]))[::1000].max() < 0.01
