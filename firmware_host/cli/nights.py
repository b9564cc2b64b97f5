"""`twitchmap nights`: the list of nights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from firmware_host.cli._nights import dir_option
from firmware_host.cli._terminal import aligned, json_option, note, show
from firmware_host.errors import TwitchmapError


@click.command()
@dir_option
@json_option
def command(directory: Path, as_json: bool) -> None:
    """List the nights of a folder."""
    from firmware_host.recording import list_nights

    listed = []
    for path in list_nights(directory):
        try:
            listed.append(_listed(path))
        except TwitchmapError as error:  # one bad night does not hide the others
            note(str(error))
    lines = [
        (
            one["night"],
            one["start"].partition(".")[0].replace("T", " ")[:16],
            f"{one['hours']:.1f}",
            " ".join(one["sites"]),
            one["origin"],
            "-" if one["valid_share"] is None else f"{one['valid_share']:.0%}",
            str(one["runs"]),
        )
        for one in listed
    ]
    header = ("night", "start", "hours", "sites", "origin", "valid", "runs")
    show(listed, lambda: aligned(header, lines) if lines else f"No nights in {directory}.", as_json=as_json)


def _listed(path: Path) -> dict[str, Any]:
    """Return what is known of a night without reading its samples."""
    from firmware_host.analysis import load_run, runs_of
    from firmware_host.recording import local_time, open_night

    night = open_night(path)
    runs = runs_of(path)
    known = [site.seconds for site in load_run(night).summary.sites] if runs else []
    seconds = sum(sum(site.values()) for site in known)
    return {
        "night": path.name,
        "participant": night.meta.participant,
        "start": local_time(night.start_ns, night.meta.time_zone).isoformat(),
        "hours": (night.end_ns - night.start_ns) / 3.6e12,
        "sites": night.sites,
        "origin": night.meta.origin,
        "valid_share": sum(site.get("valid", 0.0) for site in known) / seconds if seconds else None,
        "runs": len(runs),
    }
