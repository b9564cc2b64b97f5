"""Tables of a model card that tell causes: of false alarms, and of candidates that do not count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from firmware_host.twitches import Reason

CAUSES_SHOWN = 10
REJECTED_SHOWN = 20

Rows = list[Sequence[str]]


def causes_table(nights: dict[str, Any], judges: Sequence[str]) -> tuple[Sequence[str], Rows]:
    """Return header and rows: false alarms a valid hour by cause, in nights with and without twitches."""
    columns = [
        (f"{situation}: {judge}", nights[situation]["judges"][judge]["causes_per_valid_h"])
        for situation in ("mixed", "no twitches")
        if situation in nights
        for judge in judges
    ]
    largest: dict[str, float] = {}
    for _, by_cause in columns:
        for cause, per_h in by_cause.items():
            largest[cause] = max(largest.get(cause, 0.0), per_h)
    names = sorted(largest, key=lambda name: (-largest[name], name))
    rows: Rows = [
        (cause.replace("_", " "), *(f"{by_cause.get(cause, 0):.2f}" for _, by_cause in columns))
        for cause in names[:CAUSES_SHOWN]
    ]
    if rest := names[CAUSES_SHOWN:]:
        sums = [sum(by_cause.get(cause, 0) for cause in rest) for _, by_cause in columns]
        rows.append((f"{len(rest)} others", *(f"{each:.2f}" for each in sums)))
    rows.append(("all", *(f"{sum(by_cause.values()):.2f}" for _, by_cause in columns)))
    return ("per valid hour of a site", *(name for name, _ in columns)), rows


def rejected_table(by_cause: dict[str, dict[str, int]]) -> tuple[Sequence[str], Rows]:
    """Return header and rows: of each cause how many candidates, and the percentage given each reason."""
    told = [reason.name.lower() for reason in Reason if reason]
    rows: Rows = []
    for cause, by_reason in list(by_cause.items())[:REJECTED_SHOWN]:
        count = sum(by_reason.values())
        shares = (f"{100 * by_reason.get(reason, 0) / count:.0f}" for reason in told)
        rows.append((cause.replace("_", " "), str(count), *shares))
    return ("cause", "candidates", *(reason.replace("_", " ") for reason in told)), rows
