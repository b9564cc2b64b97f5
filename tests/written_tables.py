"""One recording as many loggers write it: text tables that differ in everything else."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta, timezone

from made_tables import N, acceleration, rows, seconds

ACC = acceleration()
MS2 = ACC * 9.80665
START = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)


def iso(n: int = N, *, zone: timezone | None = UTC, sep: str = "T", start: datetime = START) -> list[str]:
    """Return ISO 8601 stamps, 10 ms apart."""
    local = start if zone is None else start.astimezone(zone)
    plain = [local + timedelta(milliseconds=10 * i) for i in range(n)]
    return [
        stamp.replace(tzinfo=stamp.tzinfo if zone else None).isoformat(sep, "milliseconds") for stamp in plain
    ]


def epoch(unit_per_s: int, n: int = N) -> list[str]:
    """Return whole numbers since 1970."""
    return [str(round(START.timestamp() * unit_per_s) + i * unit_per_s // 100) for i in range(n)]


TABLES: dict[str, tuple[str | bytes, dict[str, object]]] = {
    "the plain form": ("time_s,ax,ay,az\n" + rows(seconds(), ACC), {}),
    "a row of units in brackets": (
        "time,ax,ay,az\n(s),(mg),(mg),[mg]\n" + rows(seconds(), ACC * 1000, digits=1),
        {},
    ),
    "units in names": ("time_s,ax_g,ay_g,az_g\n" + rows(seconds(), ACC), {}),
    "mg": ("time_s,ax_mg,ay_mg,az_mg\n" + rows(seconds(), ACC * 1000, digits=1), {}),
    "mg found by gravity": ("time_s,ax,ay,az\n" + rows(seconds(), ACC * 1000, digits=1), {}),
    "m/s2": ("time_s,ax_ms2,ay_ms2,az_ms2\n" + rows(seconds(), MS2, digits=6), {}),
    "m/s2 found by gravity": ("time_s;ax;ay;az\n" + rows(seconds(), MS2, delimiter=";", digits=6), {}),
    "phyphox": (
        '"Time (s)","Acceleration x (m/s^2)","Acceleration y (m/s^2)","Acceleration z (m/s^2)"\n'
        + rows(seconds(), MS2, digits=6),
        {},
    ),
    "Sensor Logger: z first, two times": (
        "time,seconds_elapsed,z,y,x\n"
        + "".join(
            f"{t},{i / 100:.3f},{z:.4f},{y:.4f},{x:.4f}\n"
            for i, (t, (x, y, z)) in enumerate(zip(epoch(10**9), ACC, strict=True))
        ),
        {},
    ),
    "Shimmer: a row of units": (
        "Timestamp\tAccel_LN_X\tAccel_LN_Y\tAccel_LN_Z\nms\tm/(s^2)\tm/(s^2)\tm/(s^2)\n"
        + rows([str(10 * i) for i in range(N)], MS2, delimiter="\t", digits=6),
        {},
    ),
    "ActiGraph: settings before, no time": (
        "------------ Data File Created By a logger at 100 Hz -----\nSerial Number: X1\nStart Time 22:30:00\n"
        "Accelerometer X,Accelerometer Y,Accelerometer Z\n" + rows(None, ACC),
        {"rate_hz": 100.0},
    ),
    "GENEActiv: a colon before the milliseconds": (
        "Device Type,Some\nSerial,7\n\nTimestamp,x,y,z,lux,button\n"
        + "".join(
            f"{t.replace('.', ':')},{x:.4f},{y:.4f},{z:.4f},12,0\n"
            for t, (x, y, z) in zip(iso(zone=None, sep=" "), ACC, strict=True)
        ),
        {"timezone": "UTC"},
    ),
    "headerless": (rows(seconds(), ACC), {}),
    "headerless without time": (rows(None, ACC), {"rate_hz": 100.0}),
    "blanks": ("t x y z\n" + rows(seconds(), ACC, delimiter="   "), {}),
    "bars": ("t|x|y|z\n" + rows(seconds(), ACC, delimiter="|"), {}),
    "decimal comma": ("t;x;y;z\n" + rows(seconds(decimal=","), ACC, delimiter=";", decimal=","), {}),
    "decimal comma, tabs": (rows(seconds(decimal=","), ACC, delimiter="\t", decimal=","), {}),
    "quoted": ('"time_s","ax","ay","az"\n' + rows([f'"{t}"' for t in seconds()], ACC), {}),
    "a comment as header": ("# logger 3\n# time_s,ax,ay,az\n" + rows(seconds(), ACC), {}),
    "comments between": (
        "time_s,ax,ay,az\n" + rows(seconds(), ACC).replace("\n0.5000,", "\n# a note, here\n\n0.5000,"),
        {},
    ),
    "CRLF and BOM": (
        b"\xef\xbb\xbf" + ("time_s,ax,ay,az\n" + rows(seconds(), ACC)).replace("\n", "\r\n").encode(),
        {},
    ),
    "UTF-16": (("time_s\tax\tay\taz\n" + rows(seconds(), ACC, delimiter="\t")).encode("utf-16"), {}),
    "old Mac lines": (("time_s,ax,ay,az\n" + rows(seconds(), ACC)).replace("\n", "\r").encode(), {}),
    "Latin-1 unit": (
        ("t,x (m/s²),y (m/s²),z (m/s²)\n" + rows(seconds(), MS2, digits=6)).encode("latin-1"),
        {},
    ),
    "gzip": (gzip.compress(("time_s,ax,ay,az\n" + rows(seconds(), ACC)).encode()), {}),
    "no line end at the end": ("time_s,ax,ay,az\n" + rows(seconds(), ACC).rstrip("\n"), {}),
    "extra columns of text": (
        "time_s,what,ax,ay,az,gyro_x,gyro_y,gyro_z,°C\n"
        + "".join(f"{i / 100:.2f},rest,{x:.4f},{y:.4f},{z:.4f},1,2,3,\n" for i, (x, y, z) in enumerate(ACC)),
        {},
    ),
    "columns by number": (
        "".join(f"7,{z:.4f},{y:.4f},{x:.4f},{i / 100:.2f}\n" for i, (x, y, z) in enumerate(ACC)),
        {"columns": ("5", "4", "3", "2")},
    ),
    "columns by name": (
        "s,u,v,w\n" + rows(seconds(), ACC),
        {"columns": ("s", "U", "v", "w")},
    ),
    "milliseconds": ("time_ms,ax,ay,az\n" + rows([str(10 * i) for i in range(N)], ACC), {}),
    "microseconds without a name": (rows([str(10_000 * i) for i in range(N)], ACC), {}),
    "rows that end with a delimiter": ("time_s,ax,ay,az\n" + rows(seconds(), ACC).replace("\n", ",\n"), {}),
    "ISO with Z": ("timestamp,ax,ay,az\n" + rows([t.replace("+00:00", "Z") for t in iso()], ACC), {}),
    "ISO with an offset": (
        "timestamp,ax,ay,az\n" + rows(iso(zone=timezone(timedelta(hours=-5)), sep=" "), ACC),
        {},
    ),
    "ISO with a comma": (
        "timestamp;ax;ay;az\n" + rows([t.replace(".", ",") for t in iso()], ACC, delimiter=";", decimal=","),
        {},
    ),
    "ISO in an index without a name": (",ax,ay,az\n" + rows(iso(), ACC), {}),
    "a count in an index without a name": (
        ",x,y,z\n" + rows([str(i) for i in range(N)], ACC),
        {"rate_hz": 100.0},
    ),
    "ISO of a clock": ("timestamp,ax,ay,az\n" + rows(iso(zone=None), ACC), {"timezone": "UTC"}),
    "seconds since 1970": (
        "timestamp,ax,ay,az\n" + rows([f"{START.timestamp() + i / 100:.3f}" for i in range(N)], ACC),
        {},
    ),
    "milliseconds since 1970": ("timestamp,ax,ay,az\n" + rows(epoch(10**3), ACC), {}),
    "microseconds since 1970": ("timestamp,ax,ay,az\n" + rows(epoch(10**6), ACC), {}),
    "nanoseconds since 1970": ("timestamp,ax,ay,az\n" + rows(epoch(10**9), ACC), {}),
    "Physics Toolbox": (
        "time,gFx,gFy,gFz,TgF\n" + rows(seconds(), ACC).replace("\n", ",1.0\n"),
        {},
    ),
    "LabVIEW: a header of its own": (
        "LabVIEW Measurement\t\nSeparator\tTab\nDate\t2026/11/22\n***End_of_Header***\t\n\t\nChannels\t3\n"
        "Samples\t1200\t1200\t1200\nX0\t0.0\t0.0\t0.0\nDelta_X\t0.01\t0.01\t0.01\n***End_of_Header***\t\t\t\n"
        "X_Value\tX\tY\tZ\tComment\n" + rows(seconds(), ACC, delimiter="\t"),
        {},
    ),
    "Shimmer: four rows of names": (
        "sep=\t\nShimmer\tShimmer\tShimmer\tShimmer\t\nTimestamp\tAccel_LN_X\tAccel_LN_Y\tAccel_LN_Z\t\n"
        "CAL\tCAL\tCAL\tCAL\t\nms\tm/(s^2)\tm/(s^2)\tm/(s^2)\t\n"
        + rows([str(10 * i) for i in range(N)], MS2, delimiter="\t", digits=6).replace("\n", "\t\n"),
        {},
    ),
    "Shimmer: ISO with a form among the units": (
        "S_Timestamp_FormattedUnix_CAL\tS_Accel_LN_X_CAL\tS_Accel_LN_Y_CAL\tS_Accel_LN_Z_CAL\n"
        "yyyy/mm/dd hh:mm:ss.000\tm/(s^2)\tm/(s^2)\tm/(s^2)\n"
        + rows([t.replace("-", "/") for t in iso(zone=None, sep=" ")], MS2, delimiter="\t", digits=6),
        {"timezone": "UTC"},
    ),
    "SensorLog: ISO, acceleration with and without gravity": (
        "loggingTime(txt),accelerometerAccelerationX(G),accelerometerAccelerationY(G),accelerometerAccelerationZ(G),"
        "motionUserAccelerationX(G),motionUserAccelerationY(G),motionUserAccelerationZ(G)\n"
        + rows(iso(), ACC).replace("\n", ",0.01,0.02,0.03\n"),
        {},
    ),
    "GENEActiv: no names": (
        "Device Type,GENEActiv\nMeasurement Frequency,100.0 Hz\n,,,,,,\n"
        + rows([t.replace(".", ":") for t in iso(zone=None, sep=" ")], ACC).replace("\n", ",12,0,24.1\n"),
        {"timezone": "UTC"},
    ),
    "ActiGraph: the rate in the first line": (
        "------------ Data File Created By ActiGraph GT3X+ ActiLife v6.13.3 Firmware v3.2.1 "
        "date format M/d/yyyy at 100 Hz  Filter Normal -----------\nSerial Number: X1\nStart Time 22:30:00\n"
        "Accelerometer X,Accelerometer Y,Accelerometer Z\n" + rows(None, ACC),
        {},
    ),
}
