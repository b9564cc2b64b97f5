"""Importing text tables: what loggers write, in whatever form, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_tables import FS, SITE, N, acceleration, bring, refusal, rows, samples, seconds, times_s
from written_tables import ACC, START, TABLES, iso


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_many_loggers_are_read(tmp_path: Path, name: str) -> None:
    """Each form gives back the samples it was made of, their times, and the start where the file knows it."""
    content, options = TABLES[name]
    path = tmp_path / "night.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    night, found = bring(tmp_path, path, **options)
    assert np.allclose(samples(night), ACC, rtol=0, atol=2e-7)
    assert np.allclose(times_s(night), np.arange(N) / FS, rtol=0, atol=1e-4)
    assert found.fs_hz == pytest.approx(FS)
    assert (found.gaps, found.skipped, found.warnings) == (0, 0, ())
    dated = any(word in name for word in ("ISO", "1970", "Sensor Logger", "GENEActiv"))
    assert night.meta.start_known == dated
    assert night.meta.start_ns == (round(START.timestamp() * 1e9) if dated else 0)
    assert night.meta.origin == "imported"


def test_blank_cells_are_left_out_and_said(tmp_path: Path) -> None:
    """A few blank, NaN or infinite cells cost their rows, no more, and the count goes on over them."""
    lines = rows(seconds(), ACC).splitlines()
    for row, cell in ((100, ""), (101, "nan"), (500, "inf"), (700, "NA")):
        lines[row] = f"{row / 100:.4f},{cell},0.1,0.9"
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax,ay,az\n" + "\n".join(lines) + "\n")
    night, found = bring(tmp_path, path)
    assert found.skipped == 4
    kept = np.delete(np.arange(N), [100, 101, 500, 700])
    assert np.allclose(samples(night), ACC[kept], atol=2e-7)
    assert np.allclose(times_s(night), kept / FS, atol=1e-4)
    assert night.stretches(SITE)[0].pieces.tolist() == [[0, 100], [102, 500], [501, 700], [701, N]]


@pytest.mark.parametrize("n", [1, 2])
def test_samples_that_no_sensor_measures_are_told(tmp_path: Path, n: int) -> None:
    """Where the range is not known, a value that no worn sensor reaches is imported and gets a sentence."""
    acc = ACC.copy()
    acc[[300, 400][:n], 0] = 655.35
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax_g,ay_g,az_g\n" + rows(seconds(), acc))
    night, found = bring(tmp_path, path)
    (warning,) = found.warnings
    reach = "1 sample reaches" if n == 1 else "2 samples reach"
    assert warning.startswith(f"{reach} up to 655 g, which no sensor that is worn measures")
    assert len(samples(night)) == N


def test_missing_stamps_cost_their_rows_only(tmp_path: Path) -> None:
    """A row without a stamp is left out; those around it keep their times."""
    lines = rows(iso(), ACC).splitlines()
    lines[300] = ",0.1,0.2,0.9"
    path = tmp_path / "night.csv"
    path.write_text("timestamp,ax,ay,az\n" + "\n".join(lines) + "\n")
    night, found = bring(tmp_path, path)
    assert found.skipped == 1
    assert np.allclose(times_s(night), np.delete(np.arange(N), 300) / FS, atol=1e-4)


@pytest.mark.parametrize("row", [0, N - 1])
def test_a_missing_stamp_at_an_end_costs_no_neighbour(tmp_path: Path, row: int) -> None:
    """The first or last row without a stamp does not take the stamp of the row beside it."""
    lines = rows(seconds(), ACC).splitlines()
    lines[row] = "," + lines[row].partition(",")[2]
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax,ay,az\n" + "\n".join(lines) + "\n")
    night, found = bring(tmp_path, path)
    kept = np.delete(np.arange(N), row)
    assert found.skipped == 1
    assert np.allclose(samples(night), ACC[kept], atol=2e-7)
    assert np.allclose(times_s(night), kept / FS, atol=1e-4)


def test_stamps_that_are_missing_for_long(tmp_path: Path) -> None:
    """Where whole blocks of a file have no stamps, the sentence says how many rows."""
    line = ",0.1000000000,0.2000000000,0.9000000000\n"
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax,ay,az\n" + rows(seconds(), ACC) + line * 250_000)
    assert "250,000 of 251,200 rows have a blank" in (refusal(tmp_path, path) or "")


@pytest.mark.parametrize("blank", [",,,", "0.0000,,,", "0.0000,nan,nan,nan"])
def test_rows_before_the_sensor_began_hide_no_header(tmp_path: Path, blank: str) -> None:
    """Rows without numbers between the names and the data are left out, and the names still count."""
    path = tmp_path / "night.csv"
    text = rows(seconds(), ACC[:, ::-1]).partition("\n")[2]
    path.write_text(f"time_s,az,ay,ax\n{blank}\n{text}")
    night, found = bring(tmp_path, path)
    assert found.columns == ("time_s", "ax", "ay", "az")
    assert np.allclose(samples(night), ACC[1:], atol=2e-7)


@pytest.mark.parametrize(("header", "row"), [(",", ";"), (",", " "), ("\t", ","), (" ", "\t")])
def test_a_header_with_another_delimiter(tmp_path: Path, header: str, row: str) -> None:
    """Names are read where they are delimited in another way than the rows."""
    path = tmp_path / "night.csv"
    path.write_text(
        header.join(["time_s", "az", "ay", "ax"]) + "\n" + rows(seconds(), ACC[:, ::-1], delimiter=row)
    )
    assert np.allclose(samples(bring(tmp_path, path)[0]), ACC, atol=2e-7)


def test_rows_of_another_form_above_the_rest_are_no_preamble(tmp_path: Path) -> None:
    """A file that changes its form is refused; its first rows are not skipped as if they were settings."""
    text = "time_s;ax;ay;az\n" + rows(seconds(), ACC, delimiter=";")
    path = tmp_path / "night.csv"
    path.write_text(text.replace(".", ",", 2000))
    assert "500 rows above line 502 are written in another way" in (refusal(tmp_path, path) or "")


def test_a_column_of_sites_tells_sensors_apart(tmp_path: Path) -> None:
    """Rows of two sites that take turns are not one sensor of twice the rate; a key picks one."""
    path = tmp_path / "night.csv"
    lines = [
        f"{i / 200:.3f},{('left_calf', 'right_calf')[i % 2]},{x:.4f},{y:.4f},{z:.4f}"
        for i, (x, y, z) in enumerate(ACC)
    ]
    path.write_text("time_s,site,ax_g,ay_g,az_g\n" + "\n".join(lines) + "\n")
    assert "several devices (left_calf, right_calf)" in (refusal(tmp_path, path) or "")
    none = "no such device; there are left_calf, right_calf"
    assert none in (refusal(tmp_path, f"{path}:chest") or "")
    night, found = bring(tmp_path, f"{path}:right")
    assert found.fs_hz == FS
    assert np.allclose(samples(night), ACC[1::2], atol=2e-7)


def test_names_of_devices_too_long_to_tell_apart_are_refused(tmp_path: Path) -> None:
    """Two names that differ behind 200 letters are not taken for one sensor of twice the rate."""
    path = tmp_path / "night.csv"
    lines = [f"{i / 200:.3f},{'x' * 200}{'ab'[i % 2]},{x},{y},{z}" for i, (x, y, z) in enumerate(ACC)]
    path.write_text("time_s,device_id,ax_g,ay_g,az_g\n" + "\n".join(lines) + "\n")
    assert "a name of a device has 128 letters or more" in (refusal(tmp_path, path) or "")


def test_ignored_columns_are_named(tmp_path: Path) -> None:
    """What was understood says which columns are not read."""
    path = tmp_path / "night.csv"
    path.write_bytes(str(TABLES["extra columns of text"][0]).encode())
    _, found = bring(tmp_path, path)
    assert found.columns == ("time_s", "ax", "ay", "az")
    assert found.ignored == ("what", "gyro_x", "gyro_y", "gyro_z", "°C")


def test_the_start_of_elapsed_time_can_be_given(tmp_path: Path) -> None:
    """--start is the moment of the first row; without an offset it is a clock time of --timezone."""
    path = tmp_path / "night.csv"
    path.write_text("time_s,ax,ay,az\n" + rows([f"{5 + i / 100:.2f}" for i in range(N)], ACC))
    night, _ = bring(tmp_path, path, start="2026-11-22T23:30", timezone="Europe/Berlin")
    assert night.meta.start_known
    assert night.meta.time_zone == "Europe/Berlin"
    assert night.start_ns == round(START.timestamp() * 1e9)
    assert abs(times_s(night)[0]) < 1e-4


def test_the_zone_of_a_constant_offset_is_kept(tmp_path: Path) -> None:
    """Stamps with one offset of whole hours give the night that zone, whose hours are those of the person."""
    path = tmp_path / "night.csv"
    path.write_text("timestamp,ax,ay,az\n" + rows(iso(zone=timezone(timedelta(hours=2))), ACC))
    night, _ = bring(tmp_path, path)
    assert night.meta.time_zone == "Etc/GMT-2"


@pytest.mark.parametrize(("day", "month", "hours"), [(25, 10, 25), (29, 3, 23)])
def test_nights_when_the_clocks_change(tmp_path: Path, day: int, month: int, hours: int) -> None:
    """Clock times without offset rise by the true time through an hour that comes twice or not at all."""
    from zoneinfo import ZoneInfo

    berlin, fs_hz = ZoneInfo("Europe/Berlin"), 50
    start = datetime(2026, month, day, 1, 59, 50, tzinfo=berlin).astimezone(UTC)
    n = (3620 if hours == 25 else 60) * fs_hz  # behind the hour that is there twice, or is not
    stamps = [
        (start + timedelta(seconds=i / fs_hz))
        .astimezone(berlin)
        .replace(tzinfo=None)
        .isoformat(" ", "milliseconds")
        for i in range(n)
    ]
    acc = acceleration(n)
    path = tmp_path / "night.csv"
    path.write_text("timestamp,ax,ay,az\n" + rows(stamps, acc))
    night, found = bring(tmp_path, path, timezone="Europe/Berlin")
    assert night.start_ns == round(start.timestamp() * 1e9)
    assert found.gaps == 0
    assert np.allclose(times_s(night)[:: fs_hz * 60], np.arange(n)[:: fs_hz * 60] / fs_hz, atol=1e-3)
    assert any("twice" in remark for remark in found.remarks) == (hours == 25)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_way_of_writing_gives_the_same_samples(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever delimiter, decimal mark, unit, names, rate and gaps: samples and times come back."""
    draw = data.draw
    delimiter, decimal = draw(
        st.sampled_from(
            [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", "."), (" ", ".")]
        )
    )
    unit, factor, digits = draw(st.sampled_from([("g", 1.0, 4), ("mg", 1000.0, 1), ("m/s2", 9.80665, 6)]))
    axis = draw(st.sampled_from(["a{}", "acc_{}", "accel{}", "{}", "Accelerometer {}", "{}-axis"]))
    style = draw(st.sampled_from(["{}", "{} ({})", "{} [{}]"]))
    blank_in_names = delimiter == " " and (" " in style + axis)
    fs_hz = draw(st.sampled_from([50.0, 64.0, 99.38, 100.0, 208.0, 400.0]))
    n = draw(st.integers(round(2.5 * fs_hz), 1500))
    gaps = draw(
        st.lists(
            st.tuples(st.integers(20, n - 20), st.integers(1, 400)),
            max_size=4,
            unique_by=lambda gap: gap[0] // 12,
        )
    )
    counter = np.arange(n)
    for row, lost in gaps:
        counter[row:] += lost
    acc = acceleration(n, seed=draw(st.integers(0, 99)))
    time = [f"{c / fs_hz:.5f}".replace(".", decimal) for c in counter.tolist()]
    header = ""
    if draw(st.booleans()) and not blank_in_names:
        header = delimiter.join(["time_s", *(style.format(axis.format(name), unit) for name in "xyz")]) + "\n"
    path = tmp_path_factory.mktemp("any") / "night.txt"
    path.write_text(header + rows(time, acc * factor, delimiter=delimiter, decimal=decimal, digits=digits))
    night, found = bring(path.parent, path)
    assert found.unit == unit
    assert np.allclose(samples(night), acc, rtol=0, atol=3e-7)
    assert found.rate_hz == pytest.approx(fs_hz, rel=2e-3)
    (stretch,) = night.stretches(SITE)
    held = np.concatenate([np.arange(a, b) for a, b in stretch.pieces])
    assert held.tolist() == counter.tolist()
    assert np.abs(times_s(night) - counter / fs_hz).max() < 0.3 / fs_hz
