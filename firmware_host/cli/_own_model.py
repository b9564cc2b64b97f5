"""A user's own model: made from labels, put to use, taken back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firmware_host.cli._nights import find_all
from firmware_host.cli._terminal import aligned, note, show
from firmware_host.errors import numbered

if TYPE_CHECKING:
    from firmware_host.analysis.own_model import Made


def run(
    nights: Sequence[str],
    name: str | None,
    directory: Path,
    *,
    learn: bool,
    use: str | None,
    take_back: bool,
    as_json: bool,
) -> None:
    """Do one of three things, and say what came of it."""
    if sum((learn, use is not None, take_back)) != 1 or (nights and not learn):
        raise click.UsageError("Give one of --from-labels NIGHT..., --use NAME and --take-back.")
    if learn and not nights:
        raise click.UsageError("--from-labels needs the nights whose labels are to be learnt from.")
    from firmware_host.analysis import current_model, take_model_back, use_model
    from firmware_host.analysis.own_model import judged_by_others

    if learn:
        _learn(nights, name, directory, as_json=as_json)
        return
    if use is not None:
        use_model(directory, use)
    else:
        take_model_back(directory)
    now = current_model(directory)
    document = {"in_use": now, "other_nights": judged_by_others(directory, now)}
    show(document, lambda: "\n".join([f"{now} judges from now on.", *_offer(document)]), as_json=as_json)


def _learn(nights: Sequence[str], name: str | None, directory: Path, *, as_json: bool) -> None:
    import msgspec

    from firmware_host.analysis import current_model, use_model
    from firmware_host.analysis.own_model import judged_by_others
    from firmware_host.learning.own_model import train_from_labels

    folder, made = train_from_labels(find_all(nights, directory), directory, name)
    document: dict[str, Any] = {
        "folder": folder, **msgspec.to_builtins(made), "in_use": current_model(directory), "other_nights": [],
    }  # fmt: skip
    if not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        note(_text(made, folder))
        if click.confirm(f"Let {made.model} judge from now on?", default=False):
            use_model(directory, made.model)
            document["in_use"] = made.model
            document["other_nights"] = judged_by_others(directory, made.model)
            note("\n".join(_offer(document)))
        return
    text = f"{_text(made, folder)}\nTo let it judge from now on: twitchmap train --use {made.model}"
    show(document, text, as_json=as_json)


def _offer(document: dict[str, Any]) -> list[str]:
    others = document["other_nights"]
    if not others:
        return []
    return [
        f"{numbered(len(others), 'night was', 'nights were')} judged by another model. To count anew:",
        *(f"  twitchmap detect --stored {name}" for name in others),
    ]


def _text(made: Made, folder: Path) -> str:
    lines = [
        f"{folder}",
        f"{made.corrects}, corrected by {numbered(made.labels, 'labelled event')} "
        f"({numbered(made.twitches, 'twitch', 'twitches')}) of {numbered(len(made.nights), 'night')}.",
    ]
    if made.not_found:
        where = numbered(made.not_found, "label is", "labels are")
        lines.append(f"{where} where no candidate is: nothing could be learnt there.")
    if made.before is None or made.after is None:
        lines.append(
            f"Drawn at random and judged blind: {made.random} of these events, too few to tell which"
            " of the two models agrees with you more often. A spot check in `twitchmap review` gives 120."
        )
        return "\n".join(lines)
    rows = [
        (what, f"{getattr(made.before, field):.1%}", f"{getattr(made.after, field):.1%}")
        for what, field in (
            ("counted events that you call twitches", "precision"),
            ("your twitches that are not counted", "missed"),
        )
    ]
    how = "agrees with you more often" if made.agrees_more else "agrees with you no more often than by chance"
    lines += [
        f"On {made.random} events drawn at random, judged by fits that never saw their unit and time:",
        aligned(("", made.corrects, made.model), rows),
        f"As you do judge {made.gained} of them only {made.model}, and {made.lost} only {made.corrects}: "
        f"{made.model} {how}.",
    ]
    return "\n".join(lines)
