"""Whether a command shows counts: as the folder's settings say, or as somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from firmware_host.analysis import Summary
    from firmware_host.recording import Night, RunInfo

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


def summary_document(summary: Summary, *, shown: bool) -> dict[str, Any]:
    """Return a run's summary for JSON; counts that are not shown are null."""
    import msgspec

    document: dict[str, Any] = msgspec.to_builtins(summary)
    if not shown:
        document["sites"] = [site | dict.fromkeys(_COUNTS) for site in document["sites"]]
    return document


def run_document(info: RunInfo, *, shown: bool) -> dict[str, Any]:
    """Return what made a run for JSON; counts in its summary that are not shown are null."""
    import msgspec

    document: dict[str, Any] = msgspec.to_builtins(info)
    if not shown:
        summary = msgspec.json.decode(info.summary)
        for site in summary.get("sites", ()):
            site.update(dict.fromkeys(_COUNTS))
        document["summary"] = msgspec.json.encode(summary).decode()
    return document
