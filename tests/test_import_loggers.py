"""Axivity, GENEActiv and ActiGraph: what is imported equals what was encoded from the descriptions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from made_loggers import (
    counts_of,
    cwa_header,
    cwa_sectors,
    genea,
    genea_g,
    gt3x,
    gt3x_info,
    gt3x_pack,
    gt3x_record,
    wall_ns,
    write,
)
from made_tables import bring, refusal, samples, times_ns, times_s

from firmware_host.errors import BadValueError

Counts = npt.NDArray[np.int64]
SET_AT = datetime(2026, 3, 20, 12, tzinfo=UTC)


def drifting(n: int, rate: float, start_ns: int, *, share: float = -0.003, bend_s: float = 0.02) -> Counts:
    """Return times of samples of a sensor whose rate is off and bends over hours, in whole ns."""
    seconds = np.arange(n) / (rate * (1 + share))
    return start_ns + np.rint((seconds + bend_s * np.sin(seconds / 3000)) * 1e9).astype(np.int64)


@pytest.mark.parametrize(
    ("mode", "rate_code", "scale", "per_g", "range_g"),
    [
        ("packed", 0x4A, 0, 256, 8),
        ("packed", 0x0B, 0, 256, 16),
        ("unpacked", 0x4A, 0, 256, 8),
        ("unpacked", 0x8A, 5, 8192, 4),
        ("gyro", 0x0A, 3, 2048, 16),
    ],
)
def test_cwa_samples_come_back_exactly(
    tmp_path: Path,
    mode: Literal["packed", "unpacked", "gyro"],
    rate_code: int,
    scale: int,
    per_g: int,
    range_g: float,
) -> None:
    """Each packing of an AX3 and AX6 gives each count, the step, the range, serial and firmware."""
    counts = counts_of(2400, per_g)
    if mode == "packed":
        counts[300:303] = [[-4096, 4088, 8], [1022, -1024, 2], [0, 0, 0]]  # with each exponent
    rate = 3200 >> (15 - (rate_code & 15))
    stamps = wall_ns("2026-03-20T22:00:00.25") + np.arange(2400) * (10**9 // rate)
    sectors = cwa_sectors(counts, stamps, mode=mode, rate_code=rate_code, scale=scale)
    head = cwa_header(set_at=SET_AT, ax6=mode != "packed", rate_code=rate_code)
    night, found = bring(tmp_path, write(tmp_path / "a.cwa", head, *sectors), timezone="Europe/Berlin")
    assert np.array_equal(np.rint(samples(night) * per_g), counts)
    sensor = night.meta.sensors[0]
    assert (found.sample_type, found.g_per_count, found.range_g) == ("int16", 1 / per_g, range_g)
    assert (sensor.model, sensor.firmware) == ("Axivity AX3" if mode == "packed" else "Axivity AX6", "45")
    assert sensor.serial == ("39434" if mode == "packed" else "6011834")
    assert ("gyroscope" in found.ignored) == (mode == "gyro")
    assert np.abs(times_ns(night) - (stamps - 3600 * 10**9)).max() < 1e6


@pytest.mark.parametrize("month", [3, 10])
def test_a_cwa_night_with_drift_gaps_and_a_change_of_the_clocks(tmp_path: Path, month: int) -> None:
    """Over four hours with a drifting rate, a lost hour and damage each sample keeps its time within 1 ms.

    The logger's clock was set before and runs on: neither the missing nor the double hour moves a sample.
    """
    day = {3: "2026-03-29", 10: "2026-10-25"}[month]
    n = 4 * 3600 * 50
    stamps = drifting(n, 50, wall_ns(f"{day}T00:10:00"))
    counts = counts_of(n, 256)
    sectors = cwa_sectors(counts, stamps, rate_code=0x49)
    lost = [*range(2000, 2000 + 1500), 4000]  # an hour, and one sector whose bytes are damaged
    sectors[4000] = sectors[4000][:100] + bytes([sectors[4000][100] ^ 1]) + sectors[4000][101:]
    kept = [s for i, s in enumerate(sectors) if i not in lost[:-1]]
    head = cwa_header(set_at=SET_AT.replace(month=month), rate_code=0x49)
    night, found = bring(tmp_path, write(tmp_path / "a.cwa", head, *kept), timezone="Europe/Berlin")
    there = ~np.isin(np.arange(n) // 120, lost)
    offset_h = {3: 1, 10: 2}[month]
    truth = stamps[there] - offset_h * 3600 * 10**9
    assert np.array_equal(np.rint(samples(night) * 256), counts[there])
    assert np.abs(times_ns(night) - truth).max() < 1e6
    assert found.gaps == 2
    assert f"kept at UTC+{offset_h}" in found.time
    assert any("1 sectors of 512 bytes are damaged" in remark for remark in found.remarks)


def test_a_cwa_needs_the_zone_of_its_clock(tmp_path: Path) -> None:
    """The logger knows only local time: without --timezone it is refused with what to do."""
    stamps = wall_ns("2026-03-20T22:00:00") + np.arange(1200) * 10**7
    path = write(tmp_path / "a.cwa", cwa_header(set_at=SET_AT), *cwa_sectors(counts_of(1200, 256), stamps))
    with pytest.raises(BadValueError, match="--timezone Europe/Berlin"):
        bring(tmp_path, path)


def test_a_cwa_that_began_anew(tmp_path: Path) -> None:
    """A restart counts sectors from zero again: the pause is a gap, whatever the numbers say."""
    counts = counts_of(2400, 256)
    first = wall_ns("2026-03-20T22:00:00") + np.arange(1200) * 10**7
    again = wall_ns("2026-03-20T22:01:30.123") + np.arange(1200) * 10**7
    sectors = cwa_sectors(counts[:1200], first) + cwa_sectors(counts[1200:], again)
    night, found = bring(
        tmp_path, write(tmp_path / "a.cwa", cwa_header(set_at=SET_AT), *sectors), timezone="UTC"
    )
    assert found.gaps == 1
    assert np.abs(times_ns(night) - np.concatenate([first, again])).max() < 6e6  # half a period at the seam


def test_sectors_of_another_recording_are_left_out(tmp_path: Path) -> None:
    """What stands behind the end, left from an earlier recording, is not taken, and said."""
    counts = counts_of(1200, 256)
    stamps = wall_ns("2026-03-20T22:00:00") + np.arange(1200) * 10**7
    old = cwa_sectors(counts, stamps - 10**15, session=25)
    sectors = cwa_sectors(counts, stamps) + old
    path = write(tmp_path / "a.cwa", cwa_header(set_at=SET_AT), *sectors)
    night, found = bring(tmp_path, path, timezone="UTC")
    assert len(samples(night)) == 1200
    assert any("10 sectors of 512 bytes are of another recording" in remark for remark in found.remarks)


@pytest.mark.parametrize("eol", ["\r\n", "\n"])
def test_geneactiv_samples_are_calibrated(tmp_path: Path, eol: str) -> None:
    """Hexadecimal counts become g by the calibration of each axis; the file's own zone gives the time."""
    counts = counts_of(3000, 256)
    counts[500] = [-2048, 2047, 0]
    stamps = wall_ns("2026-03-20T22:00:00.5") + np.arange(3000) * 10**7
    path = write(tmp_path / "a.bin", genea(counts, stamps, 100.0, eol=eol))
    night, found = bring(tmp_path, path)
    assert np.abs(samples(night) - genea_g(counts)).max() < 1e-6
    assert np.abs(times_ns(night) - (stamps - 3600 * 10**9)).max() < 1e6
    sensor = night.meta.sensors[0]
    assert (sensor.model, sensor.serial, sensor.range_g) == ("GENEActiv 1.1", "012967", 8.0)
    assert (night.meta.time_zone, found.ignored[0]) == ("Etc/GMT-1", "light")
    assert any("-1.459 s off" in remark for remark in found.remarks)


def test_geneactiv_of_a_computer_that_writes_decimal_commas(tmp_path: Path) -> None:
    """Numbers with a comma are read as those with a dot; GGIR meets such files too."""
    counts = counts_of(3000, 256)
    stamps = wall_ns("2026-03-20T22:00:00.5") + np.rint(np.arange(3000) / 85.7 * 1e9).astype(np.int64)
    content = genea(counts, stamps, 85.7)
    for number in (b"85.7", b"-1.459", b"21.5", b"4.1493", b"0.0039"):
        assert number in content
        content = content.replace(number, number.replace(b".", b","))
    night, found = bring(tmp_path, write(tmp_path / "a.bin", content))
    assert np.abs(samples(night) - genea_g(counts)).max() < 1e-6
    assert found.fs_hz == pytest.approx(85.7)
    assert any("-1,459 s off" in remark for remark in found.remarks)


def test_geneactiv_pages_that_are_missing_are_gaps(tmp_path: Path) -> None:
    """Page times are half a second coarse: within a run samples are counted, a jump of them is a gap."""
    n = 300 * 40
    counts = counts_of(n, 256)
    stamps = wall_ns("2026-03-20T22:00:00.25") + np.arange(n) * 10**7
    path = write(tmp_path / "a.bin", genea(counts, stamps, 100.0, zone="-05:30", skip=(3, 10, 11)))
    night, found = bring(tmp_path, path)
    there = ~np.isin(np.arange(n) // 300, [3, 10, 11])
    assert found.gaps == 2
    assert np.abs(samples(night) - genea_g(counts)[there]).max() < 1e-6
    assert np.abs(times_ns(night) - (stamps[there] + 19_800 * 10**9)).max() < 0.3e9
    assert np.diff(times_s(night)[:900]).max() < 0.011


@pytest.mark.long
def test_geneactiv_drift_over_hours_is_followed(tmp_path: Path) -> None:
    """Where page times over hours show another rate than the nominal one, samples follow them."""
    n = 300 * 1400  # 2 h 20 min at 50 Hz
    stamps = drifting(n, 50, wall_ns("2026-03-20T22:00:00"), share=2e-4, bend_s=0)
    night, _ = bring(tmp_path, write(tmp_path / "a.bin", genea(counts_of(n, 256), stamps, 50.0)))
    off = times_ns(night) - (stamps - 3600 * 10**9)
    assert np.abs(off).max() < 0.5e9
    assert np.ptp(off) < 0.1e9  # the nominal rate would be 1.7 s off at the end


OFFSETS = [("+14:00", 50_400), ("-12:00", -43_200), ("+05:45", 20_700), ("+14:01", None), ("-12:01", None),
           ("+01:60", None), ("-99:00", None)]  # fmt: skip


@pytest.mark.parametrize(("zone", "east_s"), OFFSETS)
@pytest.mark.parametrize("logger", ["GENEActiv", "ActiGraph"])
def test_a_clock_that_is_nowhere_on_earth_is_refused(
    tmp_path: Path, logger: str, zone: str, east_s: int | None
) -> None:
    """An offset from UTC of a header moves all times if it can be, and is told in a sentence if it cannot."""
    stamps = wall_ns("2026-03-20T22:00:00") + np.arange(1200) * 10**7
    counts = counts_of(1200, 256)
    if logger == "GENEActiv":
        path = write(tmp_path / "a.bin", genea(counts, stamps, 100.0, zone=zone))
    else:
        seconds = [counts[first : first + 100] for first in range(0, 1200, 100)]
        log = [gt3x_record(0, int(stamps[0]) // 10**9 + i, gt3x_pack(part)) for i, part in enumerate(seconds)]
        info = gt3x_info(rate=100, start_ns=int(stamps[0]), zone=f"{zone}:00")
        path = gt3x(tmp_path / "a.gt3x", {"info.txt": info, "log.bin": b"".join(log)})
    if east_s is None:
        said = refusal(tmp_path, path)
        assert f"between -12:00 and +14:00: {zone}" in said
    else:
        night, _ = bring(tmp_path, path)
        assert np.abs(times_ns(night) - (stamps - east_s * 10**9)).max() < 1e6


@pytest.mark.parametrize("kind", [0, 26])
def test_gt3x_records(tmp_path: Path, kind: int) -> None:
    """Packed and plain activity give each count; seconds that the logger slept are a gap, in UTC."""
    start = wall_ns("2026-03-20T22:00:00")
    counts = counts_of(3000, 256)
    log = gt3x_record(6, start // 10**9, b"{}") + b"\0\0\0"
    for i in range(30):
        second = start // 10**9 + i + (600 if i >= 12 else 0)
        part = counts[100 * i : 100 * i + 100]
        log += gt3x_record(kind, second, gt3x_pack(part) if kind == 0 else part.astype("<i2").tobytes())
    log += gt3x_record(kind, start // 10**9 + 700, b"\1") + gt3x_record(3, start // 10**9, b"\x08")
    path = gt3x(tmp_path / "a.gt3x", {"info.txt": gt3x_info(rate=100, start_ns=start), "log.bin": log})
    night, found = bring(tmp_path, path)
    assert np.array_equal(np.rint(samples(night) * 256), counts)
    truth = start + 5 * 3600 * 10**9 + np.arange(3000) * 10**7 + (np.arange(3000) >= 1200) * 600 * 10**9
    assert np.abs(times_ns(night) - truth).max() < 1e6
    assert (found.gaps, found.missing, found.range_g) == (1, 60_000, 8.0)
    sensor = night.meta.sensors[0]
    assert (sensor.model, sensor.serial, sensor.firmware) == ("ActiGraph Link", "TAS1H30182785", "1.7.2")


def test_a_damaged_gt3x_record_is_a_gap(tmp_path: Path) -> None:
    """A record whose checksum does not fit is left out, and the next one is found."""
    start = wall_ns("2026-03-20T22:00:00")
    counts = counts_of(3000, 256)
    records = [
        gt3x_record(0, start // 10**9 + i, gt3x_pack(counts[100 * i : 100 * i + 100])) for i in range(30)
    ]
    records[7] = records[7][:50] + bytes([records[7][50] ^ 4]) + records[7][51:]
    info = gt3x_info(rate=100, start_ns=start)
    path = gt3x(tmp_path / "a.gt3x", {"info.txt": info, "log.bin": b"".join(records)})
    night, found = bring(tmp_path, path)
    assert (len(samples(night)), found.missing) == (2900, 100)
    assert any("damaged" in remark for remark in found.remarks)


def test_gt3x_scale_of_the_parameters(tmp_path: Path) -> None:
    """ACCEL_SCALE of the parameters record (256.0 as the description writes it) counts before the model's."""
    start = wall_ns("2026-03-20T22:00:00")
    counts = counts_of(1000, 256)
    log = gt3x_record(21, start // 10**9, bytes.fromhex("0000370000004009"))
    for i in range(10):
        log += gt3x_record(0, start // 10**9 + i, gt3x_pack(counts[100 * i : 100 * i + 100]))
    info = gt3x_info(rate=100, start_ns=start, serial="CLE2A14151617").replace(
        "Acceleration Scale: 256.0\n", ""
    )
    night, _ = bring(tmp_path, gt3x(tmp_path / "a.gt3x", {"info.txt": info, "log.bin": log}))
    assert np.array_equal(np.rint(samples(night) * 256), counts)


def test_a_byte_order_mark_before_the_serial_number(tmp_path: Path) -> None:
    """The serial number, which tells the scale of the first models, is read behind a byte order mark."""
    start = wall_ns("2026-03-20T22:00:00")
    counts = counts_of(1000, 341)
    info = gt3x_info(rate=100, start_ns=start, serial="CLE2A14151617").replace("Scale: 256.0", "Scale:")
    log = b"".join(
        gt3x_record(0, start // 10**9 + i, gt3x_pack(counts[100 * i : 100 * i + 100])) for i in range(10)
    )
    path = gt3x(tmp_path / "a.gt3x", {"info.txt": "\ufeff" + info, "log.bin": log})
    night, _ = bring(tmp_path, path)
    assert night.meta.sensors[0].serial == "CLE2A14151617"
    assert np.array_equal(np.rint(samples(night) * 341), counts)


def test_the_first_gt3x_firmware(tmp_path: Path) -> None:
    """activity.bin is read from the start date on, by the description's own example of bytes."""
    example = bytes.fromhex("006008EBD007009EBF007008EBF0")
    assert gt3x_pack(np.array([[8, 6, -323], [9, 7, -321], [8, 7, -321]])) == example
    start = wall_ns("2026-03-20T22:00:00")
    counts = counts_of(1201, 341)
    info = gt3x_info(rate=100, start_ns=start, zone=None, serial="NEO1C04110003")
    path = gt3x(tmp_path / "a.gt3x", {"info.txt": info, "activity.bin": gt3x_pack(counts)})
    night, found = bring(tmp_path, path, timezone="America/New_York")
    assert np.array_equal(np.rint(samples(night) * 341), counts)
    assert np.abs(times_ns(night) - (start + 4 * 3600 * 10**9 + np.arange(1201) * 10**7)).max() < 1e6
    assert found.g_per_count == pytest.approx(1 / 341)
