"""`twitchmap detect`: finds the twitches of nights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._judging import model_option, point_option
from firmware_host.cli._nights import about, dir_option, find_all, nights_argument, note_changed, open_noted
from firmware_host.cli._showing import kept_back, run_document, run_head, show_option, summary_document
from firmware_host.cli._terminal import Progress, aligned, json_option, note, show
from firmware_host.errors import TwitchmapError
from firmware_host.twitch_map import State

if TYPE_CHECKING:
    from firmware_host.analysis import Run
    from firmware_host.recording import Night


@click.command()
@nights_argument
@model_option
@point_option
@click.option(
    "--pass",
    "passes",
    type=click.Choice(["1"]),
    help="Pass 1 alone, as it finds while the night is recorded; whether sensors were worn is not judged.",
)
@click.option(
    "--stored", is_flag=True, help="Judge what an earlier run found again, without looking at the samples."
)
@show_option
@dir_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    nights: tuple[str, ...],
    model: str | None,
    operating_point: str,
    passes: str | None,
    stored: bool,
    asked: bool,
    directory: Path,
    as_json: bool,
) -> None:
    """Find the twitches of nights and add a detection run to each."""
    from firmware_host.analysis import detect_night, recount_night

    if stored and passes is not None:
        raise click.UsageError("--stored looks at no samples: it goes without --pass.")
    runs: list[tuple[Night, Run, str | None]] = []
    paths = find_all(nights, directory)
    for path in paths:
        try:
            night = open_noted(path)
            hidden = kept_back(night, asked=asked)
            if stored:
                run = recount_night(night, model=model, operating_point=operating_point)
                note_changed(night, run)
            else:
                with Progress(f"detecting {path.name}") as tell:
                    run = detect_night(
                        night,
                        model=model,
                        operating_point=operating_point,
                        as_live=passes is not None,
                        progress=tell,
                    )
        except TwitchmapError as error:
            if len(paths) == 1:
                raise
            note(about(path, error))  # one bad night does not stop the others
            continue
        for warning in run.summary.warnings:
            note(warning if len(paths) == 1 else f"{path.name}: {warning}")
        runs.append((night, run, hidden))
    document = [
        {
            "night": night.path.name,
            "origin": night.meta.origin,
            "run": run_document(run.info, shown=not hidden),
            "summary": summary_document(run, shown=not hidden),
        }
        for night, run, hidden in runs
    ]
    show(document, lambda: "\n\n".join(described(*one) for one in runs), as_json=as_json)
    if len(runs) < len(paths):
        ctx.exit(1)


def described(night: Night, run: Run, hidden: str | None = None) -> str:
    """Return a run as text: what was found at each site, and in how much valid time.

    `hidden` is why the counts are not shown.
    """
    from firmware_host.analysis import night_counts

    rates_hz = {site.site: site.fs_hz for site in run.summary.sites}
    lines = [
        (
            str(row["site"]),
            f"{rates_hz[str(row['site'])]:.1f}",
            f"{row['valid_s'] / 3600:.2f}",
            _limit(float(row["detection_limit_mg"])),
            _found(State(int(row["state"])), None if hidden else int(row["twitches"])),
        )
        for row in night_counts(night, run)
    ]
    table = aligned(("site", "Hz", "valid h", "limit mg", "twitches"), lines)
    return "\n".join(filter(None, (run_head(night, run.info), table, hidden)))


def _limit(limit_mg: float) -> str:
    """Return the amplitude found 9 times in 10."""
    if math.isfinite(limit_mg):
        return f"{limit_mg:.1f}"
    return "-" if math.isnan(limit_mg) else "not reached"


def _found(state: State, twitches: int | None) -> str:
    """Return a site's number in words that keep none, not observed and not worn apart."""
    if state in {State.NOT_OBSERVED, State.NOT_WORN}:
        return state.name.lower().replace("_", " ")
    doubt = ", wearing not confirmed" if state == State.WEAR_UNCONFIRMED else ""
    if twitches is None:
        return "not shown" + doubt
    return (str(twitches) if twitches else "none") + doubt
