"""`twitchmap nights`: the list of nights."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from firmware_host.cli._nights import dir_option, note_damage
from firmware_host.cli._terminal import aligned, json_option, note, sentence, show
from firmware_host.errors import BadValueError, TwitchmapError


@click.command()
@dir_option
@json_option
def command(directory: Path, as_json: bool) -> None:
    """List the nights of a folder."""
    from firmware_host.recording import list_nights, nearest_second

    if directory.exists() and not directory.is_dir():
        raise BadValueError(f"{directory} is a file: --dir names the folder that nights lie in.")
    listed = []
    for path in list_nights(directory):
        try:
            listed.append(_listed(path))
        except (TwitchmapError, OSError) as error:  # one bad night does not hide the others
            note(sentence(error))
    lines = [
        (
            one["night"],
            f"{nearest_second(datetime.fromisoformat(one['start'])):%Y-%m-%d %H:%M:%S}"
            if one["start_known"]
            else "not known",
            f"{one['hours']:.1f}",
            " ".join(one["sites"]),
            one["origin"],
            "-" if one["valid_share"] is None else f"{one['valid_share']:.0%}",
            str(one["runs"]),
        )
        for one in listed
    ]
    header = ("night", "start", "hours", "sites", "origin", "valid", "runs")
    show(
        listed,
        lambda: aligned(header, lines) if lines else f"No nights in {directory.absolute()}.",
        as_json=as_json,
    )


def _listed(path: Path) -> dict[str, Any]:
    """Return what is known of a night; one with a run is not opened for it, as its log may be long."""
    from firmware_host.analysis import runs_of, summary_of
    from firmware_host.recording import local_time, open_night
    from firmware_host.recording.labels import read_labels
    from firmware_host.recording.nights import meta_and_damage

    runs, summary = [], None
    try:
        runs = runs_of(path)
        if runs and read_labels(path).active:
            from firmware_host.review.opened import brief_run

            summary = brief_run(path, runs[-1].run_id).summary
        elif runs:
            summary = summary_of(runs[-1])
    except TwitchmapError as error:  # results can be made again: the night is there all the same
        note(str(error))
    meta, damage = meta_and_damage(path)
    note_damage(path.name, damage)
    seconds: list[dict[str, float]] = []
    if summary:
        start_ns, duration_s = summary.start_ns, summary.duration_s
        seconds = [site.seconds for site in summary.sites]
    else:
        night = open_night(path)
        start_ns, duration_s = night.start_ns, night.duration_s
    total = sum(sum(site.values()) for site in seconds)
    return {
        "night": path.name,
        "participant": meta.participant,
        "start": local_time(start_ns, meta.time_zone).isoformat(),
        "start_known": meta.start_known,
        "hours": duration_s / 3600,
        "sites": [info.site for info in meta.sensors],
        "origin": meta.origin,
        "valid_share": sum(site.get("valid", 0.0) for site in seconds) / total if total else None,
        "runs": len(runs),
    }
