"""`twitchmap detect`: finds the twitches of nights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._nights import dir_option, find_all, nights_argument, open_noted
from firmware_host.cli._terminal import Progress, aligned, json_option, note, show
from firmware_host.errors import TwitchmapError

if TYPE_CHECKING:
    from firmware_host.analysis import Run


@click.command()
@nights_argument
@click.option(
    "--model",
    metavar="NAME",
    help="Model bundle that judges; without it standard, or plain where there is no other.",
)
@click.option(
    "--operating-point",
    type=click.Choice(["specific", "balanced", "sensitive"]),
    default="balanced",
    show_default=True,
    help="How much has to speak for a twitch.",
)
@dir_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    nights: tuple[str, ...],
    model: str | None,
    operating_point: str,
    directory: Path,
    as_json: bool,
) -> None:
    """Find the twitches of nights and add a detection run to each."""
    from firmware_host.analysis import DEFAULT_MODEL, detect_night

    runs: list[tuple[Path, Run]] = []
    paths = find_all(nights, directory)
    for path in paths:
        try:
            night = open_noted(path)
            with Progress(f"detecting {path.name}") as tell:
                run = detect_night(
                    night, model=model or DEFAULT_MODEL, operating_point=operating_point, progress=tell
                )
        except TwitchmapError as error:
            if len(paths) == 1:
                raise
            note(f"{path.name}: {error}")  # one bad night does not stop the others
            continue
        for warning in run.summary.warnings:
            note(warning)
        runs.append((path, run))
    document = [{"night": path.name, "run": run.info, "summary": run.summary} for path, run in runs]
    show(document, lambda: "\n\n".join(described(path, run) for path, run in runs), as_json=as_json)
    if len(runs) < len(paths):
        ctx.exit(1)


def described(path: Path, run: Run) -> str:
    """Return a run as text: what was found at each site, and in how much valid time."""
    lines = [
        (
            site.site,
            f"{site.fs_hz:.1f}",
            f"{site.seconds.get('valid', 0) / 3600:.2f}",
            "not observed"
            if not site.seconds.get("valid")
            else str(site.twitches)
            if site.twitches
            else "none",
        )
        for site in run.summary.sites
    ]
    table = aligned(("site", "Hz", "valid h", "twitches"), lines)
    return f"{path.name}: run {run.info.run_id}, {run.info.model}, {run.info.operating_point}\n{table}"
