"""EDF+: every sample has a slot of its own near its time, and what is filled is marked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counted_nights import AUTUMN_NS
from hypothesis import given, settings
from hypothesis import strategies as st
from made_exports import store_run, troubled_night
from made_nights import MONO_NS, meta

from firmware_host import body
from firmware_host.errors import BadValueError
from firmware_host.formats.edf_axis import Axis, Piece, Scale, placed, scale_of
from firmware_host.formats.edf_records import Note, packed_notes
from firmware_host.formats.export_edf import short_labels
from firmware_host.formats.exporting import export
from firmware_host.formats.foreign import ImportOptions
from firmware_host.formats.importing import import_night
from firmware_host.formats.leaving import Choices
from firmware_host.formats.understanding import Understanding
from firmware_host.recording import SensorInfo, create_night, open_night
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, Kind, table

pyedflib = pytest.importorskip("pyedflib")

S_NS = 10**9


def drifting_night(
    folder: Path, sample_type: str = "int16", start_ns: int = AUTUMN_NS, **changes: Any
) -> Path:
    """Write 20 min of a sensor that runs at 101.3 Hz and slows down to 100.1, and of one at exactly 52 Hz."""
    step = 0.061e-3 if sample_type == "int16" else 1.0
    sensors = tuple(
        SensorInfo(index=i, site=site, fs_hz=fs, g_per_count=step, sample_type=sample_type, range_g=2.0)  # type: ignore[arg-type]
        for i, (site, fs) in enumerate((("left_calf", 100.0), ("right_shoulder_blade.2", 52.0)))
    )
    fields = {"origin": "imported", "start_ns": start_ns, "sensors": sensors} | changes
    rng = np.random.default_rng(5)
    with create_night(folder, meta(1, **fields)) as writer:
        for sensor, times_s in enumerate((drift_s(), np.arange(1200 * 52) / 52)):
            for first in range(0, len(times_s) - 99, 100):
                at_ns = round(times_s[first + 99] * 1e9)
                counts = rng.integers(-32_768, 32_768, (100, 3))
                values = (
                    counts.astype(np.int16)
                    if sample_type == "int16"
                    else (counts / 17_000).astype(np.float32)
                )
                writer.append_samples(
                    sensor, values, first, arrival_mono_ns=MONO_NS + at_ns, arrival_utc_ns=start_ns + at_ns
                )
    events = table(EVENT_DTYPE, 0)
    sites = [info.site for info in sensors]
    coverage = table(COVERAGE_DTYPE, 2, site=sites, start_s=0.0, end_s=1100.0, kind=Kind.VALID)
    store_run(folder, events, coverage)
    return folder


def drift_s() -> np.ndarray[Any, Any]:
    """Return the times of the samples of a sensor that slows down."""
    at_s = np.arange(0.0, 1200.0, 0.01)
    counted = np.cumsum(np.linspace(101.3, 100.1, len(at_s))) * 0.01
    return np.interp(np.arange(1.0, counted[-1]), counted, at_s)


def signals(path: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, float]]:
    """Return the signals of a file by label, and their rates."""
    with pyedflib.EdfReader(str(path)) as file:
        labels = file.getSignalLabels()
        found = {label: file.readSignal(i) for i, label in enumerate(labels)}
        return found, {label: float(file.getSampleFrequency(i)) for i, label in enumerate(labels)}


@pytest.mark.parametrize("sample_type", ["int16", "float32"])
def test_a_drifting_sensor_loses_nothing_and_keeps_its_times(sample_type: str, tmp_path: Path) -> None:
    """All samples are there in order within half a step, each within a slot of its fitted time."""
    night = open_night(drifting_night(tmp_path / "a.night", sample_type))
    (path,) = export([night], tmp_path / "out", "edf").files
    found, rates = signals(path)
    assert [rate for label, rate in rates.items() if label.startswith("R")] == [52.0] * 4
    for site, label in short_labels(list(night.sites)).items():
        parts = night.read(site)
        expected_g = np.concatenate([one.acc_g for one in parts])
        times_s = (np.concatenate([one.time_ns for one in parts]) - AUTUMN_NS // S_NS * S_NS) / 1e9
        there = found[f"{label} ok"] > 0.5
        acc_g = np.stack([found[f"{label} {axis}"] for axis in "xyz"], axis=1)
        step = 0.061e-3 if sample_type == "int16" else np.abs(expected_g).max() / 32_767
        assert there.sum() == len(expected_g)
        assert (
            np.abs(acc_g[there] - expected_g).max()
            <= step / 2 * (1 + 1e-6) + (sample_type == "float32") * 1e-5
        )
        assert np.abs(np.flatnonzero(there) / rates[f"{label} x"] - times_s).max() <= 1 / rates[f"{label} x"]
        inside = slice(0, int(np.flatnonzero(there)[-1]) + 1)
        repeated = np.flatnonzero(~there[inside])
        assert np.array_equal(acc_g[repeated], acc_g[repeated - 1])
        share = len(repeated) / len(expected_g)
        assert share < (0.012 if site == "left_calf" else 1e-4)
        assert np.abs(acc_g[inside.stop :]).max(initial=0) < step / 2  # 0, as digital values


def test_gaps_are_marked_zeros(tmp_path: Path) -> None:
    """In a gap all axes are 0 and the mark is 0; before and behind it are samples."""
    night = troubled_night(tmp_path / "a.night", AUTUMN_NS)
    (path,) = export([night], tmp_path / "out", "edf").files
    found, rates = signals(path)
    asleep = slice(round(1200.1 * rates["L calf x"]), round(8399.9 * rates["L calf x"]))
    assert not any(np.abs(found[f"L calf {axis}"][asleep]).max() > 0.122e-3 / 2 for axis in "xyz")
    assert not found["L calf ok"][asleep].any()
    assert found["L calf ok"][asleep.start - 20 : asleep.start - 10].all()
    assert found["L calf ok"][asleep.stop + 15 : asleep.stop + 30].all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(-3, 60), st.booleans()), min_size=1, max_size=8),
    st.integers(3, 50),
)
def test_placing_never_loses_or_moves_far(parts: list[tuple[int, int, bool]], window: int) -> None:
    """Whatever the pieces, gaps and windows, all samples are there once and in order."""
    axis, at_ns, pieces, number = Axis(10, 1), 0, [], 1
    for n, gap, follows in parts:
        at_ns += max(gap, -2) * 30_000_000
        times = at_ns + np.arange(n) * 102_000_000
        counts = np.repeat(np.arange(number, number + n), 3).reshape(n, 3).astype(np.int16)
        pieces.append((times, counts, follows and bool(pieces)))
        number, at_ns = number + n, int(times[-1]) + 102_000_000
    blocks = list(placed(pieces, 0, axis, window, 1.0))
    assert {len(block) for block in blocks} == {window}
    whole = np.concatenate(blocks)
    there = whole[:, 3] == 1
    assert whole[there, 0].tolist() == list(range(1, number))
    slots_s = np.flatnonzero(there) / axis.rate_hz
    times_s = np.concatenate([piece[0] for piece in pieces]) / 1e9
    assert np.all(slots_s - times_s >= -0.05 - 1e-9)


def test_numbers_that_are_none_are_marked_as_missing() -> None:
    """A sample of floats that is not a number becomes a marked zero."""

    def pieces() -> Iterator[Piece]:
        yield (
            np.array([0, S_NS, 2 * S_NS]),
            np.array([[1, 1, 1], [np.nan, 0, 1], [2, 2, 2]], np.float32),
            False,
        )

    (block,) = placed(pieces(), 0, Axis(1, 1), 3, 100.0)
    assert block.tolist() == [[100, 100, 100, 1], [0, 0, 0, 0], [200, 200, 200, 1]]


@pytest.mark.parametrize("outlier", [655.0, 1e6, 1e30])
def test_one_value_that_no_sensor_gives_costs_no_other(outlier: float) -> None:
    """It is marked as missing, and the others keep a step of 2 mg at most."""
    info = SensorInfo(index=0, site="left_calf", fs_hz=1.0, g_per_count=1.0, sample_type="float32")
    counts = np.array([[0.001, -0.02, 1.0], [outlier, 0, 1.0], [0.004, 0.02, 0.9]], np.float32)
    scale = scale_of(info, outlier)
    assert scale.step_g < 0.002

    def pieces() -> Iterator[Piece]:
        yield S_NS * np.arange(3), counts, False

    (block,) = placed(pieces(), 0, Axis(1, 1), 3, 1.0 / scale.step_g)
    assert block[:, 3].tolist() == [1, 0, 1]
    np.testing.assert_allclose(block[[0, 2], :3] * scale.step_g, counts[[0, 2]], atol=scale.step_g)


def test_values_somewhat_beyond_the_range_are_kept() -> None:
    """A calibrated sensor of 8 g may give 8.3 g; twice its range it cannot give."""
    info = SensorInfo(
        index=0, site="left_calf", fs_hz=1.0, g_per_count=1.0, sample_type="float32", range_g=8.0
    )
    assert scale_of(info, 8.3).step_g * 32_767 == pytest.approx(8.3)
    assert scale_of(info, 655.0).step_g * 32_767 == pytest.approx(16.0)


@given(st.floats(1e-8, 0.5))
def test_any_step_comes_back_within_half_of_it(step_g: float) -> None:
    """Eight characters in the header tell every digital value to less than half a step."""
    scale = Scale(step_g)
    low, high = (value / (1000 if scale.unit == "mg" else 1) for value in scale.physical)
    digital = np.array([-32_768, -1, 0, 1, 32_767])
    back = low + (digital + 32_768) * (high - low) / 65_535
    assert np.abs(back - digital * step_g).max() < step_g / 2
    assert all(len(f"{value:.6f}".rstrip("0").rstrip(".")) <= 8 for value in scale.physical)


def test_annotations_of_a_dense_minute_do_not_widen_all_records() -> None:
    """A thousand annotations in one record go on into the next ones, and none is lost."""
    notes = [Note(500 + i / 1000, 0.05, f"twitch left_calf {i}") for i in range(1000)]
    laid = packed_notes(notes, 1000, 1)
    assert len({len(record) for record in laid}) == 1
    assert len(laid[0]) < 1000
    assert sum(record.count(b"twitch left_calf") for record in laid) == 1000
    assert all(record.startswith(f"+{number}\x14\x14\0".encode()) for number, record in enumerate(laid))
    last = packed_notes([Note(999.5, None, f"x{i}") for i in range(1000)], 1000, 1)
    assert sum(record.count(b"\x14x") for record in last) == 1000
    assert len(packed_notes([], 3, 10)) == 3


def test_labels_are_short_and_tell_all_sites_apart() -> None:
    """Every site, and a second sensor there, has a label of its own that leaves room for the axis."""
    sites = [*body.SITES, *(f"{site}.2" for site in body.SITES), *(f"{site}.13" for site in body.SITES)]
    labels = short_labels(sites)
    assert len(set(labels.values())) == len(sites)
    assert max(map(len, labels.values())) <= 13
    assert labels["left_calf"] == "L calf"


def test_names_and_dates_that_edf_cannot_hold(tmp_path: Path) -> None:
    """A pseudonym in another script becomes underscores, and a night without a date starts on X."""
    path = drifting_night(tmp_path / "a.night", start_ns=0, start_known=False, participant="Jürgen Ö 日本")
    (file_path,) = export([path], tmp_path / "out", "edf").files
    head = file_path.read_bytes()[:256].decode("ascii")
    assert head[8:88].startswith("J_rgen_____ X X X")
    assert head[88:168].startswith("Startdate X X X X")
    with pyedflib.EdfReader(str(file_path)) as file:
        assert "the date is not known" in file.readAnnotations()[2]
        assert file.getSignalHeader(0)["transducer"].split()[:2] == ["acceleration", "left_calf"]


def test_simulated_nights_say_so(tmp_path: Path) -> None:
    """An annotation at the start tells that a night was simulated."""
    path = drifting_night(tmp_path / "a.night", origin="simulated")
    (file_path,) = export([path], tmp_path / "out", "edf").files
    with pyedflib.EdfReader(str(file_path)) as file:
        onset_s, _, text = file.readAnnotations()
    assert onset_s[list(text).index("simulated")] == 0


@pytest.mark.long
@pytest.mark.parametrize("origin", ["simulated", "imported"])
@pytest.mark.parametrize("share", [False, True])
def test_a_simulated_night_stays_one(tmp_path: Path, origin: str, share: bool) -> None:
    """A night that nobody slept is marked as simulated when its file is imported again, and no other is."""
    path = drifting_night(tmp_path / "a.night", origin=origin, time_zone="America/Argentina/ComodRivadavia")
    (file_path,) = export([path], tmp_path / "out", "edf", Choices(share=share)).files
    shown: list[Understanding] = []
    made = import_night(
        tmp_path / "b.night",
        {"left_calf": f"{file_path}:L calf"},
        ImportOptions(timezone="UTC" if share else None),
        show=shown.append,
    )
    assert open_night(made).meta.origin == origin
    assert ("simulated" in " ".join(shown[0].files[0].remarks)) == (origin == "simulated")


def test_a_night_of_weeks_is_refused(tmp_path: Path) -> None:
    """Where a gap of weeks would have to be filled there is a sentence, and no file."""
    path = tmp_path / "a.night"
    with create_night(path, meta(1, origin="imported", start_ns=AUTUMN_NS)) as writer:
        for later_s in (0, 30 * 86_400):
            at_ns = later_s * S_NS
            for first in range(0, 1000, 100):
                block_ns = at_ns + (first + 99) * 10**7
                writer.append_samples(
                    0, np.zeros((100, 3), np.int16), first + later_s * 100,
                    arrival_mono_ns=MONO_NS + block_ns, arrival_utc_ns=AUTUMN_NS + block_ns,
                )  # fmt: skip
    store_run(path, table(EVENT_DTYPE, 0), table(COVERAGE_DTYPE, 1, site="left_calf", end_s=10.0))
    with pytest.raises(BadValueError, match="30 days"):
        export([path], tmp_path / "out", "edf")
    assert not (tmp_path / "out").exists()
