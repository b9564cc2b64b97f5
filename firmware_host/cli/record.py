"""`twitchmap record`: records a night from its sensors."""

from __future__ import annotations

from contextlib import closing
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._nights import dir_option
from firmware_host.cli._sensors import (
    adapter_option,
    config_option,
    hours_option,
    rate_option,
    sensor_option,
    until_option,
    virtual_option,
    world_of,
)
from firmware_host.cli._showing import kept_back, run_document, summary_document
from firmware_host.cli._terminal import Progress, json_option, note, show

if TYPE_CHECKING:
    from firmware_host.analysis import Run
    from firmware_host.recording import Night


@click.command()
@sensor_option
@until_option
@hours_option
@config_option
@adapter_option
@rate_option
@click.option("--new", is_flag=True, help="Begin a new night though one is not finished.")
@virtual_option
@click.option("--participant", default="", metavar="NAME", help="Pseudonym of the person.")
@click.option("--label", default="", metavar="TEXT", help="Ends the night's name.")
@click.option("--timezone", metavar="TZ", help="Time zone of the night; else the computer's.")
@click.option("--count", "counting", is_flag=True, help="Count twitches while recording, and show how many.")
@click.option("--no-detect", is_flag=True, help="Do not look for twitches at the end.")
@dir_option
@json_option
def command(
    sensors: tuple[tuple[str, str], ...],
    until: time | None,
    hours: float | None,
    config: Path | None,
    adapters: tuple[str, ...],
    rate: float | None,
    new: bool,
    virtual: tuple[tuple[str, str], ...],
    participant: str,
    label: str,
    timezone: str | None,
    counting: bool,
    no_detect: bool,
    directory: Path,
    as_json: bool,
) -> None:
    """Record a night; it goes on by itself until the time given, q and Enter, or Ctrl-C.

    A night that was not finished, of the same sites, is continued.
    """
    from firmware_host.analysis.live_count import LiveCount
    from firmware_host.capture.asked import order_for
    from firmware_host.capture.recorder import record_night
    from firmware_host.capture.stop import Stop, outliving_terminal
    from firmware_host.capture.summary import summarise, text
    from firmware_host.cli._night_status import NightStatus, q_asks

    click.get_current_context().with_resource(outliving_terminal())  # which may be closed in the search, too
    if virtual and (sensors or config or adapters):
        raise click.UsageError("--virtual plays made-up sensors: leave out --sensor, --config and --adapter.")
    count = LiveCount(directory) if counting and may_count(directory, virtual=bool(virtual)) else None
    stop, status = Stop(), NightStatus(count)
    order = order_for(
        directory,
        virtual or sensors,
        config=config,
        virtual=world_of(virtual) if virtual else None,
        play=world_of,
        until=until,
        hours=hours,
        adapters=adapters,
        fs_hz=rate,
        new=new,
        participant=participant,
        label=label,
        time_zone=timezone,
        listener=count,
    )
    with closing(status), q_asks(stop.ask, status.typed):
        recorded = record_night(order, status, stop)
    if count is not None:
        count.close()
        if count.trouble is not None:
            note(count.trouble)
    if not recorded.kept:
        ended = {"night": None, "continued": False, "ended": recorded.ended}
        show(ended, "The recording was ended before the first sample: no night was kept.", as_json=as_json)
        return
    summary = summarise(recorded.path)
    found = None if no_detect else _detect(recorded.path)
    hidden = found and kept_back(found[0], asked=False)
    document = {
        "night": recorded.path,
        "continued": recorded.continued,
        "ended": recorded.ended,
        "summary": summary,
        "counted_live": count and count.counts,
        "run": found and run_document(found[1].info, shown=not hidden),
        "detection": found and summary_document(found[1], shown=not hidden),
    }
    show(document, lambda: f"{text(summary)}\n\n{_found(recorded.path, found, hidden)}", as_json=as_json)


def may_count(directory: Path, *, virtual: bool) -> bool:
    """Tell whether counts of tonight may be shown to somebody who asks for them; say it if not."""
    from firmware_host.recording.settings import read_settings

    if virtual or read_settings(directory).show != "weekly":
        return True
    note("Nothing is counted while recording: the folder's settings keep counts back until the week is over.")
    return False


def _detect(path: Path) -> tuple[Night, Run] | None:
    """Find the night's twitches; whoever wants to wait no longer ends that, and the night is whole anyhow."""
    from firmware_host.analysis import detect_night
    from firmware_host.cli import TerminatedError
    from firmware_host.errors import TwitchmapError
    from firmware_host.recording import open_night

    later = f"`twitchmap detect {path}` looks for twitches later."
    note("The night is on disk. Looking for twitches; Ctrl-C leaves that for later.")
    try:
        night = open_night(path)
        with Progress(f"detecting {path.name}") as tell:
            run = detect_night(night, progress=tell)
    except (KeyboardInterrupt, TerminatedError):
        note(f"Detection was broken off; {later}")
        return None
    except TwitchmapError as error:
        note(f"{error} {later}")
        return None
    for warning in run.summary.warnings:
        note(warning)
    return night, run


def _found(path: Path, found: tuple[Night, Run] | None, hidden: str | None) -> str:
    from firmware_host.cli.detect import described

    if found is None:
        return f"The night is in {path}."
    return f"{described(*found, hidden)}\n\n`twitchmap map {path}` shows the map of the night."
