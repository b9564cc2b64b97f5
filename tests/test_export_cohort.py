"""A folder of many nights becomes one set of tables, ready for a model of rates with an offset of time."""

from __future__ import annotations

import csv
import gc
import shutil
import tracemalloc
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_exports import store_run
from made_nights import MONO_NS, meta, numbers

from firmware_host.cli import main
from firmware_host.formats.exporting import export
from firmware_host.formats.leaving import Choices
from firmware_host.recording import create_night
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Kind, table

START_NS = 1_792_877_400 * 10**9
DAY_NS = 86_400 * 10**9
NIGHT_S = 600.0
SITES = ("left_calf", "right_calf")
RATE_PER_H = 60.0
CALF_RATIO, CAFFEINE_RATIO = 3.0, 1.5


def made_night(folder: Path, start_ns: int, participant: str, day: int, rng: np.random.Generator) -> None:
    """Make a night of a participant: 10 minutes of two sites, twitches at a known rate in what is valid."""
    with create_night(
        folder, meta(2, origin="imported", start_ns=start_ns, participant=participant)
    ) as writer:
        for first in range(0, 60_000, 6_000):
            for sensor in range(2):
                at_ns = (first + 5_999) * 10**7
                writer.append_samples(
                    sensor, numbers(sensor, first, 6_000), first,
                    arrival_mono_ns=MONO_NS + at_ns, arrival_utc_ns=start_ns + at_ns,
                )  # fmt: skip
    caffeine = day % 2
    events, coverage = [], []
    for site in SITES:
        valid_s = float(rng.uniform(100, NIGHT_S))
        expected = (
            RATE_PER_H
            * (CALF_RATIO if site == "left_calf" else 1)
            * CAFFEINE_RATIO**caffeine
            * valid_s
            / 3600
        )
        peak_s = np.sort(rng.uniform(0.2, valid_s, rng.poisson(expected)))
        events.append(
            table(EVENT_DTYPE, len(peak_s), site=site, peak_s=peak_s, onset_s=peak_s - 0.05, duration_ms=90.0,
                  peak_to_peak_mg=20.0, snr=9.0, dominant_hz=9.0, probability=0.9, counted=True)
        )  # fmt: skip
        coverage.append(
            table(COVERAGE_DTYPE, 2, site=site, start_s=[0, valid_s], end_s=[valid_s, NIGHT_S],
                  kind=[Kind.VALID, Kind.MOVEMENT])
        )  # fmt: skip
    rows = np.concatenate(events)
    rows["event_id"] = np.arange(len(rows))
    store_run(folder, rows, np.concatenate(coverage), run_id=f"{participant}-{day}-{caffeine}")


def cohort(root: Path, people: int, nights: int) -> Path:
    """Make a folder of so many nights each of so many participants, that begin a second apart."""
    rng = np.random.default_rng(3)
    for person in range(people):
        for day in range(nights):
            start_ns = START_NS + (person * nights + day) * 10**9
            made_night(root / f"P{person:02d}-{day:02d}.night", start_ns, f"P{person:02d}", day, rng)
    return root


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


@pytest.mark.long
def test_the_tables_fit_a_poisson_model_with_an_offset(tmp_path: Path) -> None:
    """A regression on counts.csv with the log of valid time finds the ratios that nights were made with."""
    from sklearn.linear_model import PoissonRegressor

    root = cohort(tmp_path / "nights", 8, 5)
    done = export(sorted(root.iterdir()), tmp_path / "out", choices=Choices(bin_s=3600))
    assert done.nights == 40
    rows = [row for row in rows_of(tmp_path / "out" / "counts.csv") if float(row["valid_s"]) > 0]
    assert len({row["participant"] for row in rows}) == 8
    twitches = np.array([int(row["twitches"]) for row in rows])
    assert twitches.sum() == sum(row["counted"] == "1" for row in rows_of(tmp_path / "out" / "events.csv"))
    hours = np.array([float(row["valid_s"]) for row in rows]) / 3600
    known = np.array(
        [[row["site"] == "left_calf", row["run_id"].endswith("-1")] for row in rows], float
    )  # fmt: skip
    # y / exposure with the exposure as weight is the likelihood of an offset log(exposure).
    fit = PoissonRegressor(alpha=0, max_iter=1000, tol=1e-8).fit(known, twitches / hours, sample_weight=hours)
    error = 3 / np.sqrt(twitches.sum() / 4)
    assert np.exp(fit.intercept_) == pytest.approx(RATE_PER_H, rel=error)
    np.testing.assert_allclose(np.exp(fit.coef_), [CALF_RATIO, CAFFEINE_RATIO], rtol=error)


def test_one_damaged_night_is_named_and_does_not_end_the_others(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nights that are damaged or have no run are named; the others are exported, and the exit code is 1."""
    root = cohort(tmp_path / "nights", 2, 3)
    (root / "P00-01.night" / "results.sqlite").write_bytes(b"no database at all, but long enough to look")
    (root / "P01-00.night" / "results.sqlite").unlink()
    for form in ("csv", "parquet", "edf", "bids"):
        with pytest.raises(SystemExit) as end:
            main(["export", str(root), "--out", str(tmp_path / form), "--format", form])
        assert end.value.code == 1
        said = capfd.readouterr().err
        assert "P00-01.night: " in said
        assert "P01-00.night: " in said
        assert "no detection run" in said
        assert "4 of 6 nights were exported." in said
    assert {row["night"] for row in rows_of(tmp_path / "csv" / "coverage.csv")} == {
        "P00-00.night", "P00-02.night", "P01-01.night", "P01-02.night"
    }  # fmt: skip
    assert len(list((tmp_path / "edf").iterdir())) == 4
    assert len(list((tmp_path / "bids").glob("sub-*/ses-*"))) == 4


def test_copies_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A copy of a night under any name, or in another folder under the same, is named and exported too."""
    root = cohort(tmp_path / "nights", 1, 2)
    copies = [root / "a copy.night", tmp_path / "old" / "P00-00.night"]
    for path in copies:
        shutil.copytree(root / "P00-00.night", path)
    for form in ("csv", "parquet", "edf", "bids"):
        out = tmp_path / form
        with pytest.raises(SystemExit) as end:
            main(["export", str(root), str(copies[1]), "--out", str(out), "--format", form])
        assert end.value.code == 0
        assert capfd.readouterr().err.count(f"has the same samples as {root / 'P00-00.night'}: ") == 2
    coverage = rows_of(tmp_path / "csv" / "coverage.csv")
    assert sum(row["run_id"] == "P00-0-0" for row in coverage) == 12


def test_a_night_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written of a night's own files goes when its samples turn out to be damaged."""
    from firmware_host.errors import DamagedNightError
    from firmware_host.formats.leaving import Leaving

    root = cohort(tmp_path / "nights", 1, 3)
    samples = Leaving.samples

    def broken(self: Leaving, site: str, most: int = 60_000) -> Any:
        if self.name == "P00-01.night" and site == "right_calf":
            raise DamagedNightError("samples.log changed while it was read")
        return samples(self, site, most)

    monkeypatch.setattr(Leaving, "samples", broken)
    for form, choices in (("parquet", Choices(samples=True)), ("edf", Choices()), ("bids", Choices())):
        done = export(sorted(root.iterdir()), tmp_path / form, form, choices)
        assert (done.nights, len(done.problems)) == (2, 1)
        assert "P00-01.night: samples.log changed" in done.problems[0]
        assert not [
            path for path in (tmp_path / form).rglob("*") if "P00-01" in path.name or ".part" in path.name
        ]
    assert {row["night"] for row in _parquet(tmp_path / "parquet" / "events.parquet")} == {
        "P00-00.night", "P00-02.night"
    }  # fmt: skip


def _parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


@pytest.mark.long
def test_nights_are_let_go_one_after_the_other(tmp_path: Path) -> None:
    """Three times as many nights need no more memory at the peak."""
    root = cohort(tmp_path / "nights", 2, 6)
    paths = sorted(root.iterdir())
    export(paths[:2], tmp_path / "warm")
    peaks = []
    for count in (4, 12):
        gc.collect()
        tracemalloc.start()
        export(paths[:count], tmp_path / f"out{count}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 200_000


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_560_nights_of_40_participants(tmp_path: Path, form: str) -> None:
    """The whole cohort becomes one set of tables, every night in it once."""
    root = cohort(tmp_path / "nights", 40, 14)
    told: list[float] = []
    done = export(sorted(root.iterdir()), tmp_path / "out", form, progress=told.append)
    assert (done.nights, done.problems) == (560, ())
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    if form == "csv":
        found = {(row["participant"], row["night"]) for row in rows_of(tmp_path / "out" / "coverage.csv")}
    else:
        rows = _parquet(tmp_path / "out" / "coverage.parquet")
        found = {(row["participant"], row["night"]) for row in rows}
        assert {row["night_date"] for row in rows} == {date(2026, 10, 24)}
    assert len(found) == 560
    assert len({participant for participant, _ in found}) == 40
