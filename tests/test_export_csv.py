"""CSV export: what is written reads back as what was found, in any locale, all of it or nothing."""

from __future__ import annotations

import csv
import errno
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_host.analysis import SiteSummary, Summary, load_run, night_counts
from firmware_host.errors import BadValueError, NotFoundError, StorageError
from firmware_host.formats import export_csv
from firmware_host.formats.exporting import export
from firmware_host.formats.leaving import Choices
from firmware_host.formats.tables import TABLES, data_dictionary
from firmware_host.formats.written_times import local_text, utc_text
from firmware_host.recording import Night, NightMeta, SensorInfo, create_night, open_night
from firmware_host.recording.results import ResultsStore, RunInfo
from firmware_host.twitches import (
    COVERAGE_COLUMNS,
    COVERAGE_DTYPE,
    EVENT_COLUMNS,
    EVENT_DTYPE,
    Flag,
    Kind,
    Table,
    table,
)

FILES = [f"{name}.csv" for name in TABLES]
LEADING = ["participant", "night", "night_date", "run_id", "site", "side", "region"]
HOURS = 1.0


def make_events(n: int, *, seed: int = 1) -> Table:
    """Return events of two sites within the night, with everything that a row can hold."""
    rng = np.random.default_rng(seed)
    peak_s = np.concatenate(
        [np.sort(rng.uniform(5, 3600 * HOURS - 5, part)) for part in (n // 2, n - n // 2)]
    )
    counted = rng.random(n) < 0.7
    return table(
        EVENT_DTYPE, n,
        event_id=np.arange(n), site=np.repeat(["left_calf", "right_hand.2"], [n // 2, n - n // 2]),
        unit=rng.integers(-1, 4, n), peak_s=peak_s, onset_s=peak_s - rng.uniform(0, 0.1, n),
        duration_ms=rng.uniform(20, 300, n), peak_to_peak_mg=rng.lognormal(2, 1, n),
        snr=rng.uniform(4, 90, n),
        dominant_hz=rng.uniform(4, 40, n), probability=np.where(rng.random(n) < 0.5, np.nan, rng.random(n)),
        counted=counted, label=rng.integers(0, 3, n) * (rng.random(n) < 0.1),
        flags=np.where(counted, rng.integers(0, 2, n), int(Flag.REJECTED | Flag.BELOW_FLOOR)),
    )  # fmt: skip


def make_coverage() -> Table:
    """Return coverage of two sites: the calf valid but for a movement, the hand later not worn."""
    end = 3600 * HOURS
    return table(
        COVERAGE_DTYPE, 5,
        site=["left_calf"] * 3 + ["right_hand.2"] * 2,
        start_s=[0, 600, 612.25, 0, end / 2], end_s=[600, 612.25, end, end / 2, end],
        kind=[Kind.VALID, Kind.MOVEMENT, Kind.VALID, Kind.VALID, Kind.NOT_WORN],
        wear_unconfirmed=[False, False, True, False, False],
    )  # fmt: skip


def make_night(
    folder: Path, events: Table, *, start: str = "2026-11-22T22:31:05+01:00", zone: str = "Europe/Berlin",
    participant: str = "P1", run_id: str = "run1", model: str = "plain 1",
) -> Night:  # fmt: skip
    """Make a night of an hour with one stored run."""
    start_ns = round(datetime.fromisoformat(start).timestamp()) * 10**9
    sensors = tuple(
        SensorInfo(index=i, site=site, fs_hz=50.0, g_per_count=0.001, sample_type="int16")
        for i, site in enumerate(("left_calf", "right_hand.2"))
    )
    meta = NightMeta(participant=participant, label="x", origin="simulated", time_zone=zone,
                     start_ns=start_ns, sensors=sensors, twitchmap="0")  # fmt: skip
    with create_night(folder, meta) as writer:
        for sensor in (0, 1):
            for first in range(0, round(3600 * HOURS * 50), 36_000):
                at_ns = round((first + 36_000) / 50 * 1e9)
                counts = np.tile(np.array([0, 0, 1000], np.int16), (36_000, 1))
                writer.append_samples(
                    sensor, counts, first, arrival_mono_ns=at_ns, arrival_utc_ns=start_ns + at_ns
                )
    sites = tuple(SiteSummary(info.site, 50, 50, {}, 0, None) for info in sensors)
    summary = Summary(
        start_ns=start_ns, duration_s=3600.0 * HOURS, sites=sites, warnings=(),
        samples_sha256=open_night(folder).log_sha256(),
    )  # fmt: skip
    info = RunInfo(
        run_id=run_id, created_utc="2026-11-23T08:00:00+00:00", detector="twitchmap 0", model=model,
        model_sha256=model, operating_point="balanced", passes=1, settings="{}",
        summary=msgspec.json.encode(summary).decode(),
    )  # fmt: skip
    store = ResultsStore(folder)
    store.write_run(info, EVENT_COLUMNS, events, COVERAGE_COLUMNS, make_coverage())
    return open_night(folder)


def read(path: Path, *, excel: bool = False) -> list[dict[str, str]]:
    """Read a table back with the csv module."""
    with path.open(encoding="utf-8-sig" if excel else "utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";" if excel else ","))


def numbers(rows: list[dict[str, str]], name: str, decimal: str = ".") -> list[float]:
    """Return a column as floats, NaN where a cell is empty."""
    return [float(row[name].replace(decimal, ".") or "nan") for row in rows]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Make a night with 400 events."""
    return make_night(tmp_path_factory.mktemp("nights") / "a.night", make_events(400))


def test_the_columns_are_those_of_the_promise(tmp_path: Path, night: Night) -> None:
    """Headers are fixed: other programs read them."""
    export([night], tmp_path)
    headers = {name: (tmp_path / name).read_text(encoding="utf-8").split("\n")[0].split(",")
               for name in FILES}  # fmt: skip
    assert headers["events.csv"] == [
        *LEADING, "event_id", "unit", "peak_s", "onset_utc", "onset_local", "duration_ms",
        "peak_to_peak_mg", "snr", "dominant_hz", "probability", "counted", "label", "flags", "detector",
        "model",
    ]  # fmt: skip
    assert headers["counts.csv"] == [
        *LEADING, "bin_start_utc", "bin_start_local", "bin_s", "valid_s", "twitches",
        "rate_raw_per_h", "rate_per_h", "rate_low", "rate_high", "expected_false", "detection_limit_mg",
    ]  # fmt: skip
    assert headers["coverage.csv"] == [*LEADING, "start_s", "end_s", "kind", "wear_unconfirmed"]
    assert headers["diary.csv"] == [
        *LEADING, "caffeine", "alcohol", "exercise", "exercise_what", "exercise_limb", "stress", "fatigue",
        "cramps", "magnesium", "medicines", "physiotherapy", "sleep", "note",
    ]  # fmt: skip


@pytest.mark.parametrize("excel", [False, True])
def test_events_read_back(tmp_path: Path, night: Night, excel: bool) -> None:
    """Every counted or labelled event is there once, with its numbers, times to 1 ms, in both dialects."""
    files = export([night], tmp_path, choices=Choices(excel=excel)).files
    assert {file.name for file in files} == {*FILES, "night.json", "data_dictionary.md"}
    assert (tmp_path / "events.csv").read_bytes().startswith(b"\xef\xbb\xbf") == excel
    found = make_events(400)
    found = found[found["counted"] | (found["label"] > 0)]
    rows = read(tmp_path / "events.csv", excel=excel)
    decimal = "," if excel else "."
    assert [int(row["event_id"]) for row in rows] == found["event_id"].tolist()
    assert numbers(rows, "peak_s", decimal) == pytest.approx(found["peak_s"].tolist(), abs=1e-3)
    for name in ("duration_ms", "peak_to_peak_mg", "snr", "dominant_hz", "probability"):
        assert numbers(rows, name, decimal) == pytest.approx(found[name].tolist(), rel=1e-5, nan_ok=True)
    assert [row["unit"] for row in rows] == ["" if unit < 0 else str(unit) for unit in found["unit"]]
    assert [row["counted"] for row in rows] == [str(int(value)) for value in found["counted"]]
    assert [row["label"] for row in rows] == [["", "twitch", "not_twitch"][value] for value in found["label"]]
    flags = {" ".join(set(row["flags"].split()) - {"sure_unit", "side_lobe"}) for row in rows}
    assert flags <= {"", "complex", "rejected below_floor", "below_floor rejected"}
    onset_ns = night.start_ns + found["onset_s"] * 1e9
    for name in ("onset_utc", "onset_local"):
        times = [datetime.fromisoformat(row[name]).timestamp() * 1e9 for row in rows]
        assert np.max(np.abs(np.array(times) - onset_ns)) <= 1e6
    assert all(row["onset_local"].endswith("+01:00") and row["onset_utc"].endswith("+00:00") for row in rows)
    assert {(row["site"], row["side"], row["region"]) for row in rows} == {
        ("left_calf", "left", "lumbosacral"), ("right_hand.2", "right", "cervical"),
    }  # fmt: skip


def test_candidates_adds_the_rest(tmp_path: Path, night: Night) -> None:
    """With candidates every event of the run is there, and only then."""
    export([night], tmp_path, choices=Choices(candidates=True))
    assert len(read(tmp_path / "events.csv")) == 400
    export([night], tmp_path)
    assert 200 < len(read(tmp_path / "events.csv")) < 400


def test_counts_read_back_exactly(tmp_path: Path, night: Night) -> None:
    """Counts are those of the map, and a bin that was not observed has empty rates instead of zero."""
    export([night], tmp_path, choices=Choices(bin_s=600))
    rows = read(tmp_path / "counts.csv")
    run = load_run(night)
    expected = night_counts(night, run, bin_s=600)
    assert [int(row["twitches"]) for row in rows] == expected["twitches"].tolist()
    assert numbers(rows, "valid_s") == pytest.approx(expected["valid_s"].tolist(), abs=1e-3)
    assert numbers(rows, "rate_per_h") == pytest.approx(
        expected["rate_per_h"].tolist(), rel=1e-5, nan_ok=True
    )
    blind = [row for row in rows if float(row["valid_s"]) == 0]
    assert blind
    assert all(
        row[name] == "" for row in blind for name in ("rate_raw_per_h", "rate_per_h", "rate_low", "rate_high")
    )
    starts = [datetime.fromisoformat(row["bin_start_utc"]).timestamp() for row in rows]
    assert all(start % 600 == 0 for start in starts)
    assert starts == [datetime.fromisoformat(row["bin_start_local"]).timestamp() for row in rows]


def test_coverage_reads_back(tmp_path: Path, night: Night) -> None:
    """Every stretch is there with its kind by name."""
    export([night], tmp_path)
    rows = read(tmp_path / "coverage.csv")
    assert numbers(rows, "start_s") == make_coverage()["start_s"].tolist()
    assert numbers(rows, "end_s") == make_coverage()["end_s"].tolist()
    assert [row["kind"] for row in rows] == ["valid", "movement", "valid", "valid", "not_worn"]
    assert [row["wear_unconfirmed"] for row in rows] == ["0", "0", "1", "0", "0"]


def test_metadata_lies_beside_the_tables(tmp_path: Path, night: Night) -> None:
    """night.json holds metadata, run, settings, summary and the hash of the samples."""
    export([night], tmp_path)
    document = json.loads((tmp_path / "night.json").read_text(encoding="utf-8"))
    (one,) = document["nights"]
    assert one["meta"]["participant"] == "P1"
    assert one["run"]["run_id"] == "run1"
    assert one["run"]["summary"]["samples_sha256"] == night.log_sha256()


def test_every_column_is_in_the_dictionary() -> None:
    """The data dictionary explains each column of each table, and nothing is left without a meaning."""
    sections = re.split(r"^## ", data_dictionary(".csv", "An empty cell"), flags=re.MULTILINE)[1:]
    assert [section.split("\n")[0] for section in sections] == FILES
    for section, columns in zip(sections, TABLES.values(), strict=True):
        explained = re.findall(r"^\| (\w+) \|[^|]*\| (.+) \|$", section, flags=re.MULTILINE)[1:]
        assert [name for name, _ in explained] == [column.name for column in columns]


def test_several_nights_share_a_table(tmp_path: Path, night: Night) -> None:
    """Rows of all nights follow each other under one header, each with its own night and evening."""
    early = make_night(
        tmp_path / "b.night", make_events(50, seed=2), start="2026-11-24T02:10:00+01:00", run_id="r2"
    )
    export([night, early], tmp_path / "out")
    rows = read(tmp_path / "out" / "coverage.csv")
    assert [(row["night"], row["night_date"], row["run_id"]) for row in rows] == [
        *[("a.night", "2026-11-22", "run1")] * 5, *[("b.night", "2026-11-23", "r2")] * 5,
    ]  # fmt: skip


def test_different_detectors_are_not_mixed_unasked(tmp_path: Path, night: Night) -> None:
    """Rows of different models are refused, nothing is written, and mixed allows them."""
    other = make_night(
        tmp_path / "b.night", make_events(50), start="2026-11-23T22:10:00+01:00", model="other 2"
    )
    with pytest.raises(BadValueError, match="different detectors"):
        export([night, other], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    export([night, other], tmp_path / "out", choices=Choices(mixed=True))
    assert {row["model"] for row in read(tmp_path / "out" / "events.csv")} == {"plain 1", "other 2"}


def test_a_night_without_a_run_is_refused(tmp_path: Path, night: Night) -> None:
    """An unknown run gets a sentence, and files of an earlier export stay."""
    export([night], tmp_path / "out")
    before = (tmp_path / "out" / "events.csv").read_bytes()
    with pytest.raises(NotFoundError, match="no run"):
        export([night], tmp_path / "out", choices=Choices(run_id="nonsense"))
    assert (tmp_path / "out" / "events.csv").read_bytes() == before
    assert len(list((tmp_path / "out").iterdir())) == 6


@pytest.mark.parametrize("text", ["=1+1", "+49", "-P", "@x", "\tx"])
def test_text_never_becomes_a_formula(tmp_path: Path, text: str) -> None:
    """A pseudonym that a spreadsheet would run is written so that it does not."""
    export([make_night(tmp_path / "a.night", make_events(4), participant=text)], tmp_path / "out")
    assert {row["participant"] for row in read(tmp_path / "out" / "events.csv")} == {"'" + text}


def test_commas_quotes_and_other_scripts_survive(tmp_path: Path) -> None:
    """Text with separators, quotes, line ends and any script reads back as it was."""
    text = 'Ä "quoted", 日本;\nsecond line'
    night = make_night(tmp_path / "a.night", make_events(4), participant=text)
    for excel in (False, True):
        export([night], tmp_path / "out", choices=Choices(excel=excel))
        assert {row["participant"] for row in read(tmp_path / "out" / "events.csv", excel=excel)} == {text}


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full there is one sentence, no part of a file, and the earlier export is untouched."""
    export([night], tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export_csv, "_rows", full)
    with pytest.raises(StorageError, match="No space left"):
        export([night], tmp_path / "out")
    with pytest.raises(StorageError, match="No space left"):
        export([night], tmp_path / "new" / "deep")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert not (tmp_path / "new").exists()


def test_a_file_in_the_way_is_named(tmp_path: Path, night: Night) -> None:
    """A file where the folder should be is a sentence."""
    (tmp_path / "out").write_text("mine")
    with pytest.raises(StorageError, match="out"):
        export([night], tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("zone", "around"),
    [
        ("Europe/Berlin", "2026-03-29T01:00:00+00:00"),
        ("Europe/Berlin", "2026-10-25T01:00:00+00:00"),
        ("America/New_York", "2026-11-01T06:00:00+00:00"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00+00:00"),
        ("Asia/Kathmandu", "2026-01-01T00:00:00+00:00"),
        ("America/St_Johns", "2026-03-08T05:30:00+00:00"),
    ],
)
def test_local_times_are_those_of_the_zone(zone: str, around: str) -> None:
    """Around every clock change local times agree with the zone and differ where an hour comes twice."""
    centre = round(datetime.fromisoformat(around).timestamp() * 1000)
    millis = centre + np.arange(-5 * 3_600_000, 5 * 3_600_000, 61_007)
    texts = local_text(millis * 10**6, zone).tolist()
    expected = [datetime.fromtimestamp(ms / 1000, UTC).astimezone(ZoneInfo(zone)) for ms in millis.tolist()]
    assert texts == [moment.isoformat(timespec="milliseconds") for moment in expected]
    assert len(set(texts)) == len(texts)


@given(st.integers(-(10**9) * 10**9, 4 * 10**9 * 10**9))
def test_utc_times_keep_the_millisecond(time_ns: int) -> None:
    """A formatted time is the nearest millisecond."""
    (text,) = utc_text(np.array([time_ns])).tolist()
    assert abs(datetime.fromisoformat(text).timestamp() * 1000 - time_ns / 1e6) <= 0.51


@pytest.mark.long
def test_a_great_night_is_written_whole(tmp_path: Path) -> None:
    """A hundred thousand events are all there, the last as the first."""
    night = make_night(tmp_path / "a.night", make_events(100_000))
    export([night], tmp_path / "out", choices=Choices(candidates=True))
    with (tmp_path / "out" / "events.csv").open(encoding="utf-8", newline="") as file:
        ids = [int(row[7]) for row in list(csv.reader(file))[1:]]
    assert ids == list(range(100_000))


def test_an_empty_run_gives_empty_tables(tmp_path: Path) -> None:
    """A night without events has headers, no event rows, and its counts are zero where it was observed."""
    export([make_night(tmp_path / "a.night", make_events(0))], tmp_path / "out", choices=Choices(bin_s=1800))
    assert read(tmp_path / "out" / "events.csv") == []
    rows = read(tmp_path / "out" / "counts.csv")
    assert {row["twitches"] for row in rows} == {"0"}
    assert any(row["rate_per_h"] == "0" for row in rows)
