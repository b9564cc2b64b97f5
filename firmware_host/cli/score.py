"""`twitchmap score`: detections against the truth."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_host.cli._nights import dir_option, find_all, open_with_run, run_option
from firmware_host.cli._terminal import Progress, json_option, show


@click.command()
@click.argument("nights", nargs=-1, metavar="[NIGHT...]")
@click.option(
    "--truth", type=click.Path(path_type=Path), metavar="FILE.csv", help="True twitches: site,peak_s."
)
@click.option(
    "--real-data",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Instead of nights: the baseline on the folder of real recordings.",
)
@run_option
@dir_option
@json_option
def command(
    nights: tuple[str, ...],
    truth: Path | None,
    real_data: Path | None,
    run_id: str | None,
    directory: Path,
    as_json: bool,
) -> None:
    """Score detections against known twitches: recall, precision, F1 and false alarms an hour, by size."""
    if real_data is not None:
        if nights or truth:
            raise click.UsageError("--real-data takes no nights and no --truth.")
        _real(real_data, as_json=as_json)
        return
    if not nights or truth is None:
        raise click.UsageError("Give nights and --truth FILE.csv, or --real-data FOLDER.")
    from firmware_host.learning.score import read_truth, score

    known = read_truth(truth)
    scores = []
    for path in find_all(nights, directory):
        _, run = open_with_run(path, run_id)
        floors = {
            site.site: site.noise_mg_per_sqrt_hz
            for site in run.summary.sites
            if site.noise_mg_per_sqrt_hz is not None
        }
        scores.append((path.name, score(run.events, run.coverage, known, floors)))
    show(
        [{"night": name, **one.as_dict()} for name, one in scores],
        lambda: "\n\n".join("\n".join([name, *one.lines()]) for name, one in scores),
        as_json=as_json,
    )


def _real(folder: Path, *, as_json: bool) -> None:
    from firmware_host.learning.baseline import baseline

    with Progress("scoring") as tell:
        result = baseline(folder, progress=tell)
    show(result.as_dict(), lambda: "\n".join(result.lines()), as_json=as_json)
