"""`twitchmap evaluate`: everything that is known of how well a model does, in one run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._nights import dir_option
from firmware_host.cli._terminal import Progress, json_option, note, show
from firmware_host.cli._values import Number
from firmware_host.errors import StorageError

if TYPE_CHECKING:
    from firmware_host.learning.evaluate import Part


@click.command()
@click.option("--model", metavar="NAME", help="Model bundle to evaluate, the plain one beside it.")
@click.option(
    "--real-data", type=click.Path(path_type=Path), metavar="FOLDER", help="Folder of real recordings."
)
@click.option(
    "--subjects", type=click.IntRange(1), metavar="N", help="Virtual people of mixed nights; else 20."
)
@click.option("--hours", type=Number(0.05, 24), hidden=True)
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes at once; else one a processor.")
@click.option("--quick", is_flag=True, help="A few short nights and hours, to see that all is well.")
@click.option(
    "--only",
    type=click.Choice(["nights", "noise", "real"]),
    multiple=True,
    help="Only this part; several are possible.",
)
@click.option(
    "--card", type=click.Path(path_type=Path), metavar="FILE.md", help="Writes the model card into a file."
)
@dir_option
@json_option
def command(
    model: str | None,
    real_data: Path | None,
    subjects: int | None,
    hours: float | None,
    jobs: int | None,
    quick: bool,
    only: tuple[Part, ...],
    card: Path | None,
    directory: Path,
    as_json: bool,
) -> None:
    """Evaluate a model on virtual people that training never saw, on noise and on real recordings."""
    from joblib import cpu_count

    from firmware_host.analysis import DEFAULT_MODEL
    from firmware_host.learning import card as cards
    from firmware_host.learning.evaluate import FULL, PARTS, QUICK, evaluate

    effort = QUICK if quick else FULL
    if subjects is not None:
        effort = replace(effort, subjects=subjects)
    if hours is not None:
        effort = replace(effort, hours=hours, extra_hours=hours)
    if card is not None and (card.is_dir() or not os.access(card if card.exists() else card.parent, os.W_OK)):
        raise StorageError(f"{card} cannot be written: --card needs a file in a folder that takes files.")
    with Progress("evaluating") as tell:
        result = evaluate(
            model or DEFAULT_MODEL, real_data=real_data, effort=effort, parts=only or PARTS,
            jobs=jobs or cpu_count(), models=directory, progress=tell,
        )  # fmt: skip
    for name, reason in result["skipped"].items():
        note(f"Skipped, {name}: {reason}")
    text = cards.card(result)
    if card is not None:
        card.write_text(text, encoding="utf-8")
    show(result, text, as_json=as_json)
