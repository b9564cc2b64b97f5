"""`twitchmap score`: detections against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._nights import dir_option, find_all, open_with_run, run_option
from firmware_host.cli._terminal import json_option, note, show
from firmware_host.errors import BadValueError

if TYPE_CHECKING:
    from firmware_host.analysis import Run
    from firmware_host.twitches import Table


@click.command()
@click.argument("nights", nargs=-1, metavar="[NIGHT...]")
@click.option(
    "--truth", type=click.Path(path_type=Path), metavar="FILE.csv", help="True twitches: site,peak_s."
)
@click.option(
    "--happenings",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="What else happened: site,kind,start_s,end_s. Names the causes of false alarms.",
)
@click.option("--labels", "with_labels", is_flag=True, help="With what a reviewer said of the nights.")
@run_option
@dir_option
@json_option
def command(
    nights: tuple[str, ...],
    truth: Path | None,
    happenings: Path | None,
    with_labels: bool,
    run_id: str | None,
    directory: Path,
    as_json: bool,
) -> None:
    """Score detections against known twitches: recall, precision, F1 and false alarms an hour, by size.

    It is the detector that is scored: what a reviewer said of a night is left out, but for --labels.
    """
    if not nights or truth is None:
        raise click.UsageError("Give nights and --truth FILE.csv.")
    from firmware_host.learning.causes import counted_causes, read_happenings
    from firmware_host.learning.score import outcome_of, read_truth, score_of

    known = read_truth(truth)
    others = None if happenings is None else read_happenings(happenings)
    documents, texts = [], []
    for path in find_all(nights, directory):
        _, run = open_with_run(path, run_id, with_labels=with_labels)
        floors = {
            site.site: site.noise_mg_per_sqrt_hz
            for site in run.summary.sites
            if site.noise_mg_per_sqrt_hz is not None
        }
        outcome = outcome_of(run.events, run.coverage, _at_sites(known, run, path, truth), floors)
        scored = score_of(outcome)
        document, lines = {"night": path.name, **scored.as_dict()}, [path.name, *scored.lines()]
        if others is not None:
            document["false_alarms_by_cause"] = why = counted_causes(outcome, others)
            lines += [
                f"false alarms by cause: {', '.join(f'{name} {n}' for name, n in why.items()) or 'none'}"
            ]
        documents.append(document)
        texts.append("\n".join(lines))
    show(documents, "\n\n".join(texts), as_json=as_json)


def _at_sites(known: Table, run: Run, path: Path, truth: Path) -> Table:
    """Return the truths at the sites of a night; those elsewhere are told of."""
    import numpy as np

    here = np.isin(known["site"], [one.site for one in run.summary.sites])
    elsewhere = ", ".join(sorted(set(known["site"][~here].tolist())))
    if elsewhere and not here.any():
        raise BadValueError(
            f"{truth.name} is of other sites ({elsewhere}) than {path.name}: give each night its own truth."
        )
    if elsewhere:
        note(f"{path.name} has no sensor at {elsewhere}: {(~here).sum()} true twitches there are left out.")
    return known[here]
