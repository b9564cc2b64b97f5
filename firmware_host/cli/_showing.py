"""Whether a command shows counts: as the folder's settings say, or as somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from firmware_host.cli._nights import about, open_with_run
from firmware_host.cli._terminal import note
from firmware_host.errors import BadValueError, NotShownError, TwitchmapError

if TYPE_CHECKING:
    from firmware_host.analysis import Run
    from firmware_host.recording import Night, RunInfo

T = TypeVar("T")

_COUNTS = ("twitches", "rate_per_h")
"""What a site's summary says of how many there were."""
show_option = click.option(
    "--show",
    "asked",
    is_flag=True,
    help="Show counts that are shown on request only.",
)


def kept_back(night: Night, *, asked: bool) -> str | None:
    """Return why a night's counts are not shown, a sentence; None if they are."""
    from firmware_host.recording.settings import kept_back

    return kept_back(night.path, night.meta, night.start_ns, asked=asked)


def each_shown(
    paths: Sequence[Path],
    run_id: str | None,
    tell: Callable[[Night, Run], T],
    *,
    asked: bool,
    with_labels: bool = True,
) -> tuple[list[T], list[str], int]:
    """Tell of nights with a run whose counts may be shown; what is wrong with one does not stop the others.

    Returns
    -------
    told
        What `tell` returned of each.
    kept_back
        Sentences about the nights whose counts are not shown; they are on stderr already, as is what was
        wrong with the nights that are in neither list.
    code
        The exit code: 1 where something is wrong with a night, or none is shown.

    Raises
    ------
    BadValueError
        What the user gave is wrong whatever the night.
    TwitchmapError
        As of a single night.
    """
    told: list[T] = []
    hidden: list[str] = []
    for path in paths:
        try:
            night, run = open_with_run(path, run_id, with_labels=with_labels)
            if sentence := kept_back(night, asked=asked):
                raise NotShownError(sentence)
            told.append(tell(night, run))
        except BadValueError:
            raise
        except TwitchmapError as error:
            if len(paths) == 1:
                raise
            note(about(path, error))
            if isinstance(error, NotShownError):
                hidden.append(str(error))
    return told, hidden, 0 if told and len(told) + len(hidden) == len(paths) else 1


def summary_document(run: Run, *, shown: bool) -> dict[str, Any]:
    """Return a run's summary, with the rates of what a reviewer left, for JSON; what is not shown is null."""
    import msgspec

    from firmware_host.analysis import with_rates

    document: dict[str, Any] = msgspec.to_builtins(with_rates(run).summary)
    if not shown:
        document["sites"] = [site | dict.fromkeys(_COUNTS) for site in document["sites"]]
    return document


def run_document(info: RunInfo, *, shown: bool) -> dict[str, Any]:
    """Return what made a run for JSON, and how; counts in its summary that are not shown are null."""
    import msgspec

    from firmware_host.analysis import unusual_way

    document: dict[str, Any] = msgspec.to_builtins(info) | {"way": unusual_way(info)}
    if not shown:
        summary = msgspec.json.decode(info.summary)
        for site in summary.get("sites", ()):
            site.update(dict.fromkeys(_COUNTS))
        document["summary"] = msgspec.json.encode(summary).decode()
    return document


def run_head(night: Night, info: RunInfo) -> str:
    """Return which run of which night something is of: "a.night (simulated): run 42645b77, standard 1"."""
    from firmware_host.analysis import unusual_way

    made = "" if night.meta.origin in {"recorded", "imported"} else f" ({night.meta.origin})"
    judged = (f"run {info.run_id}", info.model, info.operating_point, unusual_way(info))
    return f"{night.path.name}{made}: {', '.join(filter(None, judged))}"
