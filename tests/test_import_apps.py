"""Files of phone apps: Polar, Movesense, WitMotion, phyphox and Sensor Logger."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from made_loggers import Counts, movesense, movesense_json, polar, table, wall_ns, zipped
from made_tables import acceleration, bring, refusal, samples, times_ns

from firmware_host.errors import BadFileError, BadValueError

N = 1200
G = 9.80665
ACC = acceleration(N)
STEPS = np.arange(N) * 10**7
MS2 = np.round(ACC * G, 3)
PHYPHOX_TIME = table(
    '"event","experiment time","system time","system time text"',
    [
        ('"START"', "0.000000000E0", "1759650000.000", '"2025-10-05 10:20:00.000 UTC+02:00"'),
        ('"PAUSE"', "6.000000000E0", "1759650006.000", '"2025-10-05 10:20:06.000 UTC+02:00"'),
        ('"START"', "6.000000000E0", "1759650021.500", '"2025-10-05 10:20:21.500 UTC+02:00"'),
    ],
)


def file(folder: Path, name: str, content: str | bytes) -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def polar_night(n: int, rate: float, start: str) -> tuple[Counts, Counts, Counts]:
    """Return mg, the sensor's stamps, and arrivals on the phone in packets that are late by up to 0.4 s.

    The sensor's clock, set to another day, is 40 ppm slow against the phone's.
    """
    rng = np.random.default_rng(4)
    mg = np.rint(acceleration(n) * 1000).astype(np.int64)
    true_ns = np.rint(np.arange(n) / rate * 1e9).astype(np.int64)
    sensor = 599_628_005_694_359_040 + np.rint(true_ns * (1 - 40e-6)).astype(np.int64)
    packet = np.minimum((np.arange(n) // 36 + 1) * 36, n) - 1
    late = np.rint(rng.exponential(0.05, n // 36 + 1).clip(0, 0.4) * 1e9).astype(np.int64)[np.arange(n) // 36]
    return mg, sensor, wall_ns(start) + true_ns[packet] + late


@pytest.mark.parametrize(("month", "turn_h"), [(3, 1), (10, -1)])
def test_polar_over_a_change_of_the_phones_clock(tmp_path: Path, month: int, turn_h: int) -> None:
    """Samples stand at the sensor's stamps, laid on the phone's clock; that the phone turns it moves none."""
    rate = 51.8
    n = int({3: 0.5, 10: 1.2}[month] * 3600 * rate)  # the hour that is there twice, and some minutes more
    start = {3: "2026-03-29T01:45:00", 10: "2026-10-25T01:55:00"}[month]
    mg, sensor, phone = polar_night(n, rate, start)
    turned = phone >= wall_ns({3: "2026-03-29T02:00:00", 10: "2026-10-25T03:00:00"}[month])
    path = file(tmp_path, "acc.txt", polar(mg, sensor, phone + turned * turn_h * 3600 * 10**9))
    night, found = bring(tmp_path, path, timezone="Europe/Berlin")
    assert np.array_equal(np.rint(samples(night) * 1000), mg)
    utc = wall_ns(start) - {3: 1, 10: 2}[month] * 3600 * 10**9 + np.arange(n) / rate * 1e9
    off = times_ns(night) - utc
    assert np.abs(off - np.median(off)).max() < 2e6
    assert -1e6 <= np.median(off) < 0.05e9  # the phone cuts to ms; even the earliest arrival is a little late
    assert (found.time_kind, found.gaps, found.sample_type) == ("samples", 0, "int16")


def test_polar_sensor_that_began_anew(tmp_path: Path) -> None:
    """Where the sensor's clock jumps each part is laid on the phone's, and the pause is a gap."""
    mg, sensor, phone = polar_night(6000, 100.0, "2026-03-20T22:00:00")
    again = np.arange(6000) >= 3000
    sensor, phone = sensor - again * 10**17, phone + again * 90 * 10**9
    night, found = bring(tmp_path, file(tmp_path, "a.txt", polar(mg, sensor, phone)), timezone="UTC")
    truth = wall_ns("2026-03-20T22:00:00") + np.arange(6000) * 10**7 + again * 90 * 10**9
    assert np.abs(times_ns(night) - truth).max() < 0.4e9
    assert (found.gaps, len(samples(night))) == (1, 6000)
    assert any("began anew 1 x" in remark for remark in found.remarks)


def test_polar_needs_the_zone(tmp_path: Path) -> None:
    """The phone's stamps have no zone: it is asked for; files of heart rate are no acceleration."""
    path = file(tmp_path, "a.txt", polar(*polar_night(600, 50.0, "2026-03-20T22:00:00")))
    with pytest.raises(BadValueError, match="--timezone"):
        bring(tmp_path, path)
    beats = table("Phone timestamp;HR [bpm]", [(f"2026-03-20T22:00:{i:02d}.000", 60) for i in range(50)], ";")
    assert refusal(tmp_path, file(tmp_path, "hr.txt", beats), timezone="UTC")


@pytest.mark.parametrize("clock", [None, {"relativeTime": 1000, "utcTime": 1_759_650_000_000_000}])
@pytest.mark.parametrize("lines", [False, True])
def test_movesense_json(tmp_path: Path, clock: dict[str, int] | None, lines: bool) -> None:
    """Packets give all samples between their stamps, in UTC where the file says what the clock was."""
    stamps = 2_000_000_000 + np.rint(np.arange(N) / 104 * 1e9).astype(np.int64)
    packets = movesense(MS2, stamps, clock=clock)
    path = tmp_path / "a.json"
    if lines:
        file(tmp_path, "a.json", "\n".join(map(json.dumps, packets)))
    else:
        movesense_json(path, packets)
    night, found = bring(tmp_path, path)
    assert np.abs(samples(night) - MS2 / G).max() < 0.0006 / G
    truth = stamps - stamps[0] if clock is None else stamps - 10**9 + 1_759_650_000 * 10**9
    assert np.abs(times_ns(night) - truth).max() < 1e6
    assert (found.sample_type, found.ignored, night.meta.start_known) == (
        "int16",
        ("ArrayGyro",),
        clock is not None,
    )
    assert night.meta.sensors[0].model == "Movesense"


def test_movesense_streams_are_picked_by_a_key(tmp_path: Path) -> None:
    """A file with two streams of acceleration is refused with their names, and read with one of them."""
    stamps = np.rint(np.arange(N) / 104 * 1e9).astype(np.int64)
    both = [*movesense(MS2, stamps), *movesense(MS2 + 1, stamps, stream="MeasAcc")]
    path = movesense_json(tmp_path / "a.json", both)
    with pytest.raises(BadFileError, match="MeasAcc, MeasIMU6"):
        bring(tmp_path, path)
    night, _ = bring(tmp_path, f"{path}:MeasAcc")
    assert np.abs(samples(night) - (MS2 + 1) / G).max() < 0.0006 / G


def test_movesense_lines_of_several_sensors_are_refused(tmp_path: Path) -> None:
    """Notifications of two sensors in one file would be one sensor of twice the rate: they are named."""
    lines = [
        json.dumps(
            {
                "Body": {
                    "Timestamp": 1000 + 30 * device + 77 * k,
                    "ArrayAcc": [{"x": 0, "y": k % 3, "z": 9.8}] * 8,
                },
                "Uri": f"17443000005{device}/Meas/Acc/104",
            }
        )
        for k in range(200)
        for device in (1, 2)
    ]
    path = file(tmp_path, "a.json", "\n".join(lines))
    assert "several sensors stand in it (174430000051, 174430000052)" in (refusal(tmp_path, path) or "")
    night, _ = bring(tmp_path, file(tmp_path, "b.json", "\n".join(lines[::2])))
    assert night.meta.sensors[0].fs_hz == pytest.approx(104, rel=0.01)


def test_movesense_packets_that_are_lost_or_damaged(tmp_path: Path) -> None:
    """A lost packet is a gap, one that is no JSON too, and it is said."""
    stamps = np.rint(np.arange(N) / 104 * 1e9).astype(np.int64)
    packets = movesense(MS2, stamps)
    text = json.dumps({"Samples": packets[:60] + packets[70:]}).replace(
        '"Timestamp": 769,', '"Timestamp": no,'
    )
    night, found = bring(tmp_path, file(tmp_path, "a.json", text))
    assert (found.gaps, found.missing, len(samples(night))) == (2, 88, N - 88)
    assert any("1 packets are damaged" in remark for remark in found.remarks)


def clock_of(ns: npt.NDArray[np.int64], form: str) -> list[str]:
    """Return stamps as WitMotion's programs write them."""
    texts = np.datetime_as_string(ns.astype("datetime64[ns]"), unit="ms").tolist()
    if form == "day":
        return [text[11:] for text in texts]
    return [f"{text[:10]} {text[11:19]}:{text[20:]}" for text in texts]


def test_witmotion_of_the_pc_program(tmp_path: Path) -> None:
    """Times of day take their date from the line above, and go on past midnight."""
    stamps = wall_ns("2026-03-20T23:59:55") + STEPS
    rows = [
        (" 0x50", f" {t}", *a, 0, 0, 0) for t, a in zip(clock_of(stamps, "day"), ACC.tolist(), strict=True)
    ]
    names = "Address\tTime(s)\tax(g)\tay(g)\taz(g)\twx(deg/s)\twy(deg/s)\twz(deg/s)"
    head = f"StartTime: 2026-03-20 23:59:54.100\n{names}"
    night, found = bring(tmp_path, file(tmp_path, "a.txt", table(head, rows, "\t")), timezone="Europe/Berlin")
    assert np.abs(samples(night) - ACC).max() < 1e-6
    assert np.abs(times_ns(night) - (stamps - 3600 * 10**9)).max() < 1e6
    assert "wx(deg/s)" in found.ignored


def test_a_time_of_day_without_a_date_is_refused(tmp_path: Path) -> None:
    """Times of day are no moments where no line has the date."""
    rows = [(t, *a) for t, a in zip(clock_of(STEPS, "day"), ACC.tolist(), strict=True)]
    path = file(tmp_path, "a.txt", table("Time(s)\tax(g)\tay(g)\taz(g)", rows, "\t"))
    assert "no line above it has the date" in (refusal(tmp_path, path, timezone="UTC") or "")


def test_witmotion_of_the_app_with_two_sensors(tmp_path: Path) -> None:
    """Rows of two sensors in one file are told apart by the key, a part of the name; bursts are arrivals."""
    arrived = wall_ns("2026-03-20T22:00:00") + STEPS // 10**8 * 10**8 + 10**8
    rows = [
        (t, f"WT901BLE68({name})", "2026-3-20 22:00:00:000", *(a + shift), 0.1, 25.3, "")
        for t, a in zip(clock_of(arrived, "full"), ACC, strict=True)
        for name, shift in (("d6-a8", 0), ("c0-11", 0.01))
    ]
    head = (
        "time\tDeviceName\tChip Time()\tAcceleration X(g)\tAcceleration Y(g)\tAcceleration Z(g)\t"
        "Angular velocity X(°/s)\tTemperature(°C)\t"
    )
    path = file(tmp_path, "a.txt", table(head, rows, "\t"))
    said = refusal(tmp_path, path, timezone="UTC") or ""
    assert "several devices (WT901BLE68(c0-11), WT901BLE68(d6-a8))" in said
    night, found = bring(tmp_path, f"{path}:c0-11", timezone="UTC")
    assert np.abs(samples(night) - (ACC + 0.01)).max() < 1e-6
    assert (found.time_kind, found.rate_hz) == ("arrivals", pytest.approx(100, abs=0.2))
    assert "no parts" in (
        refusal(tmp_path / "b", f"{file(tmp_path, 'b.csv', table('t,x,y,z', [(0, 0, 0, 1)] * 9))}:k") or ""
    )


def phyphox(kind: str = "Acceleration") -> str:
    """Return a table of phyphox."""
    head = ",".join(f'"{kind} {axis} (m/s^2)"' for axis in "xyz")
    rows = [(f"{i / 100:.9E}", *(f"{v:.9E}" for v in a), "9.8E0") for i, a in enumerate(MS2.tolist())]
    return table(f'"Time (s)",{head},"Absolute acceleration (m/s^2)"', rows)


def test_phyphox_archive_with_a_pause(tmp_path: Path) -> None:
    """Experiment time is laid on the phone's clock; a pause, in which it stands still, is a gap."""
    members = {
        "Raw Data.csv": phyphox(),
        "meta/time.csv": PHYPHOX_TIME,
        "meta/device.csv": table(
            '"property","value"', [('"deviceBrand"', '"google"'), ('"deviceModel"', '"Pixel 6a"')]
        ),
    }
    night, found = bring(tmp_path, file(tmp_path, "a.zip", zipped(members)))
    truth = 1_759_650_000 * 10**9 + STEPS + (np.arange(N) >= 600) * 15_500_000_000
    assert np.abs(times_ns(night) - truth).max() < 1e6
    assert np.abs(samples(night) - MS2 / G).max() < 1e-6
    assert (found.gaps, night.meta.time_zone, night.meta.sensors[0].model) == (
        1,
        "Etc/GMT-2",
        "google Pixel 6a",
    )


def test_phyphox_single_table(tmp_path: Path) -> None:
    """A table alone knows only elapsed time; --start gives the moment."""
    night, found = bring(tmp_path, file(tmp_path, "a.csv", phyphox()), start="2026-03-20T22:00:00+01:00")
    assert night.start_ns == wall_ns("2026-03-20T21:00:00")
    assert found.unit == "m/s2"


def test_acceleration_without_gravity_is_taken_with_a_warning(tmp_path: Path) -> None:
    """Twitches are in it, wear and posture are not: it is said; of both the one with gravity is read."""
    linear = phyphox("Linear Acceleration").replace("9.", "0.")
    free = table(
        '"Time (s)",' + ",".join(f'"Linear Acceleration {a} (m/s^2)"' for a in "xyz"),
        [(i / 100, *a) for i, a in enumerate((MS2 - MS2.mean(axis=0)).tolist())],
    )
    _, found = bring(tmp_path, file(tmp_path, "a.csv", free))
    assert any("posture and wear" in warning for warning in found.warnings)
    both = zipped({"Linear Accelerometer.csv": linear, "Accelerometer.csv": phyphox()})
    night, _ = bring(tmp_path / "b", file(tmp_path, "b.zip", both))
    assert np.abs(samples(night) - MS2 / G).max() < 1e-6


def test_phyphox_archives_packed_again_keep_their_clocks(tmp_path: Path) -> None:
    """Of folders in an archive each table has the clock beside it; a key names folder and table."""
    late = PHYPHOX_TIME.replace("17596500", "17596600")
    members = {
        "Größe/Raw Data.csv": phyphox(),
        "Größe/meta/time.csv": PHYPHOX_TIME,
        "right/Raw Data.csv": phyphox(),
        "right/meta/time.csv": late,
    }
    path = file(tmp_path, "a.zip", zipped(members))
    assert "FILE:KEY: Größe Raw Data, right Raw Data" in (refusal(tmp_path, path) or "")
    for number, (key, start_s) in enumerate(
        (("gro\u0308ße raw data", 1_759_650_000), ("right Raw Data", 1_759_660_000))
    ):
        night, found = bring(tmp_path / str(number), f"{path}:{key}")
        assert night.start_ns == start_s * 10**9
        assert found.gaps == 1


POLISH = ",".join(f"przyspieszenie {axis} (g)" for axis in "xyz")
PLAIN = {
    names: table(f"time_s,{names}", [(i / 100, *row) for i, row in enumerate(ACC.tolist())])
    for names in ("ax_g,ay_g,az_g", "ax,ay,az", "x,y,z", POLISH)
}


@pytest.mark.parametrize("names", [name for name in PLAIN if name != "x,y,z"])
def test_an_archive_of_one_plain_table(tmp_path: Path, names: str) -> None:
    """A table that somebody packed is read where its columns name acceleration."""
    path = file(tmp_path, "a.zip", zipped({"night.csv": PLAIN[names], "other.csv": PLAIN["x,y,z"]}))
    night, _ = bring(tmp_path, path)
    assert np.abs(samples(night) - ACC).max() < 1e-6


def test_an_archive_of_tables_that_do_not_say_what_they_are(tmp_path: Path) -> None:
    """Columns x, y, z may be of any sensor, gravity is no measurement: the user picks the table."""
    gravity = PLAIN["ax,ay,az"].replace("ax,ay,az", "gravity x (g),gravity y (g),gravity z (g)")
    path = file(tmp_path, "a.zip", zipped({"left.csv": PLAIN["x,y,z"], "right.csv": gravity}))
    assert "none of its tables names three axes of acceleration; pick one with FILE:KEY: left, right" in (
        refusal(tmp_path, path) or ""
    )
    night, _ = bring(tmp_path / "b", f"{path}:left")
    assert np.abs(samples(night) - ACC).max() < 1e-6


def sensor_logger(acc: npt.NDArray[np.float64]) -> str:
    """Return a table of Sensor Logger: the axes stand backwards, times are ns since 1970."""
    rows = [
        (1_698_501_144_401_773_000 + i * 10**7, 0.2 + i / 100, z, y, x)
        for i, (x, y, z) in enumerate(acc.tolist())
    ]
    return table("time,seconds_elapsed,z,y,x", rows)


def test_sensor_logger_archive(tmp_path: Path) -> None:
    """Of an Android phone's archive the table with gravity is read, at its own times since 1970."""
    members = {
        "Accelerometer.csv": sensor_logger(MS2 - MS2.mean(axis=0)),
        "TotalAcceleration.csv": sensor_logger(MS2),
        "Gyroscope.csv": sensor_logger(MS2),
        "Gravity.csv": sensor_logger(MS2 * 0 + G),
        "Metadata.csv": table("version,device name", [(3, "Pixel 6a")]),
    }
    path = file(tmp_path, "a.zip", zipped(members))
    night, found = bring(tmp_path, path)
    assert np.abs(samples(night) - MS2 / G).max() < 1e-6
    assert np.abs(times_ns(night) - (1_698_501_144_401_773_000 + STEPS)).max() < 1e6
    assert "TotalAcceleration.csv of the archive is read" in found.remarks
    _, found = bring(tmp_path / "b", f"{path}:Accelerometer")
    assert any("posture and wear" in warning for warning in found.warnings)
    assert "there are Accelerometer, TotalAcceleration" in (
        refusal(tmp_path / "c", f"{path}:Barometer") or ""
    )
