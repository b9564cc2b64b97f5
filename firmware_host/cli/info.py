"""`twitchmap info`: what a night holds, sensor by sensor."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firmware_host.cli._nights import dir_option, find, night_argument
from firmware_host.cli._showing import kept_back, run_document
from firmware_host.cli._terminal import aligned, json_option, note, show
from firmware_host.errors import TwitchmapError, numbered

if TYPE_CHECKING:
    from firmware_host.recording import Night, SensorInfo

SHOWN_GAPS = 5
"""Longest gaps of a sensor in the text; --json has all of them."""


@click.command()
@night_argument
@dir_option
@json_option
def command(night: str, directory: Path, as_json: bool) -> None:
    """Show a night's sensors, rates, gaps and their causes, damage and detection runs."""
    from firmware_host.recording import local_time, open_night

    opened = open_night(find(night, directory))
    document = {
        "night": opened.path.name,
        "start": local_time(opened.start_ns, opened.meta.time_zone).isoformat(),
        "end": local_time(opened.end_ns, opened.meta.time_zone).isoformat(),
        "hours": (opened.end_ns - opened.start_ns) / 3.6e12,
        "meta": opened.meta,
        "being_written": opened.being_written,
        "sensors": [_sensor(opened, info) for info in opened.meta.sensors],
        "damage": opened.damage,
        "runs": _runs(opened),
    }
    show(document, lambda: _text(document), as_json=as_json)


def _runs(night: Night) -> list[dict[str, Any]]:
    """Return a night's runs; none, with a note, where they cannot be read: all else can be shown."""
    from firmware_host.analysis import runs_of

    try:
        shown = kept_back(night, asked=False) is None
        return [run_document(info, shown=shown) for info in runs_of(night.path)]
    except TwitchmapError as error:
        note(str(error))
        return []


def _sensor(night: Night, info: SensorInfo) -> dict[str, Any]:
    """Return a sensor's rates, the share of the night without its samples, and its gaps with their causes."""
    from firmware_host.capture.summary import unsure_ms
    from firmware_host.recording import gaps, local_time

    stretches = night.stretches(info.site)
    found = gaps(night, info.site)
    away_ns = sum(gap.end_ns - gap.start_ns for gap in found)
    return {
        "site": info.site,
        "fs_nominal_hz": info.fs_hz,
        "fs_hz": max(stretches, key=lambda stretch: stretch.n).fs_hz if stretches else None,
        "missing_share": away_ns / max(1, night.end_ns - night.start_ns),
        "unsure_ms": unsure_ms(night, info),
        "gaps": [
            {
                "start": local_time(gap.start_ns, night.meta.time_zone).isoformat(),
                "seconds": (gap.end_ns - gap.start_ns) / 1e9,
                "cause": gap.cause,
            }
            for gap in found
        ],
    }


def _text(document: dict[str, Any]) -> str:
    from firmware_host.capture.summary import unsure_sentence

    meta = document["meta"]
    start = f"{_clock(document['start'], document)} {meta.time_zone}" if meta.start_known else "not known"
    lines = [
        f"{document['night']} ({meta.origin}{', being recorded' if document['being_written'] else ''})",
        f"participant {meta.participant or '-'}, start {start}, {document['hours']:.2f} h",
        *([f"note: {meta.note}"] if meta.note else []),
        "",
        aligned(
            ("site", "sensor", "Hz set", "Hz measured", "missing"),
            [
                (
                    sensor["site"],
                    " ".join(filter(None, (info.model, info.serial))) or "-",
                    f"{sensor['fs_nominal_hz']:g}",
                    "-" if sensor["fs_hz"] is None else f"{sensor['fs_hz']:.2f}",
                    f"{sensor['missing_share']:.2%}",
                )
                for sensor, info in zip(document["sensors"], meta.sensors, strict=True)
            ],
        ),
    ]
    lines += [
        f"{info.site}: {unsure_sentence(info.model, sensor['unsure_ms'])}"
        for sensor, info in zip(document["sensors"], meta.sensors, strict=True)
        if sensor["unsure_ms"] is not None
    ]
    for sensor in document["sensors"]:
        gaps = sorted(sensor["gaps"], key=lambda gap: -float(gap["seconds"]))
        lines += [
            f"{sensor['site']}: gap of {gap['seconds']:.1f} s at {_clock(gap['start'], document)}, "
            f"{gap['cause']}"
            for gap in gaps[:SHOWN_GAPS]
        ]
        if len(gaps) > SHOWN_GAPS:
            lines.append(f"{sensor['site']}: {numbered(len(gaps) - SHOWN_GAPS, 'shorter gap')}")
    lines += [
        f"damage: {one.what}"
        + (f", {numbered(one.length, 'byte')} at byte {one.offset}" if one.length else "")
        for one in document["damage"]
    ]
    lines += [
        f"run {run['run_id']}: "
        + ", ".join(filter(None, (run["created_utc"], run["model"], run["operating_point"], run["way"])))
        for run in document["runs"]
    ]
    return "\n".join(lines)


def _clock(iso: str, document: dict[str, Any]) -> str:
    """Return a local time to the nearest second, with its offset from UTC where clocks change in the night.

    Of a night that began nobody knows when it is the time since then.
    """
    from firmware_host.recording import nearest_second

    at, start, end = (datetime.fromisoformat(one) for one in (iso, document["start"], document["end"]))
    if not document["meta"].start_known:
        return str(timedelta(seconds=round((at - start).total_seconds())))
    at = nearest_second(at)
    told = at if start.utcoffset() != end.utcoffset() else at.replace(tzinfo=None)
    return told.isoformat(" ")
