"""`twitchmap score`: detections against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firmware_host.cli._nights import dir_option, find_all, nights_argument, run_option
from firmware_host.cli._showing import each_shown, run_head, show_option
from firmware_host.cli._terminal import json_option, note, show
from firmware_host.errors import BadValueError, numbered

if TYPE_CHECKING:
    from firmware_host.analysis import Run
    from firmware_host.recording import Night
    from firmware_host.twitches import Table


@click.command()
@nights_argument
@click.option(
    "--truth",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="True twitches: site,peak_s.",
)
@click.option(
    "--happenings",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="What else happened: site,kind,start_s,end_s. Names the causes of false alarms.",
)
@click.option("--labels", "with_labels", is_flag=True, help="With what a reviewer said of the nights.")
@run_option
@show_option
@dir_option
@json_option
def command(
    nights: tuple[str, ...],
    truth: Path,
    happenings: Path | None,
    with_labels: bool,
    run_id: str | None,
    asked: bool,
    directory: Path,
    as_json: bool,
) -> int:
    """Score detections against known twitches: recall, precision, F1 and false alarms an hour, by size.

    It is the detector that is scored: what a reviewer said of a night is left out, but for --labels.
    """
    from firmware_host.learning.causes import counted_causes, read_happenings
    from firmware_host.learning.score import outcome_of, read_truth, score_of

    known = read_truth(truth)
    others = None if happenings is None else read_happenings(happenings)

    def tell(night: Night, run: Run) -> tuple[dict[str, Any], list[str]]:
        floors = {
            site.site: site.noise_mg_per_sqrt_hz
            for site in run.summary.sites
            if site.noise_mg_per_sqrt_hz is not None
        }
        name = night.path.name
        outcome = outcome_of(run.events, run.coverage, _at_sites(known, run, night.path, truth), floors)
        scored = score_of(outcome)
        document = {"night": name, "origin": night.meta.origin, "run": run.info.run_id, **scored.as_dict()}
        lines = [run_head(night, run.info), *scored.lines()]
        if others is not None:
            document["false_alarms_by_cause"] = why = counted_causes(outcome, others)
            lines.append(
                f"false alarms by cause: {', '.join(f'{name} {n}' for name, n in why.items()) or 'none'}"
            )
        return document, lines

    told, _, code = each_shown(
        find_all(nights, directory), run_id, tell, asked=asked, with_labels=with_labels
    )
    text = "\n\n".join("\n".join(lines) for _, lines in told)
    show([document for document, _ in told], text, as_json=as_json)
    return code


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
        left = numbered(int((~here).sum()), "true twitch", "true twitches")
        note(f"{path.name} has no sensor at {elsewhere}: {left} there left out.")
    return known[here]
