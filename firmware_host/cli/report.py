"""`twitchmap report`: nights on paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._nights import dir_option, find_all, nights_argument, open_with_run, run_option
from firmware_host.cli._showing import kept_back, show_option
from firmware_host.cli._terminal import Progress, json_option, note, show
from firmware_host.errors import NotShownError

if TYPE_CHECKING:
    from firmware_host.review.report.pages import Paper

SUFFIXES = (".html", ".pdf")


@click.command()
@nights_argument
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html|FILE.pdf",
    help="The report; a file that is there is replaced.",
)
@click.option(
    "--paper",
    type=click.Choice(["a4", "letter"]),
    help="Size of the sheets; else A4 for PDF, the printer's for HTML.",
)
@click.option("--mixed", is_flag=True, help="Allow nights that different detectors judged in one report.")
@run_option
@show_option
@dir_option
@json_option
def command(
    nights: tuple[str, ...],
    out: Path,
    paper: Paper | None,
    mixed: bool,
    run_id: str | None,
    asked: bool,
    directory: Path,
    as_json: bool,
) -> None:
    """Write a report to print: a page for each night, and one of all of them together."""
    from firmware_host.review.report.making import Report
    from firmware_host.review.report.pdf import check_libraries

    if out.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"{out.name} must end in .html or .pdf.", param_hint="--out")
    if out.suffix.lower() == ".pdf":
        check_libraries()
    made = Report(mixed=mixed)
    hidden: list[str] = []
    paths = find_all(nights, directory)
    with Progress("reporting") as tell:
        for number, path in enumerate(paths):
            night, run = open_with_run(path, run_id)
            if sentence := kept_back(night, asked=asked):
                hidden.append(sentence)
            else:
                made.add(night, run)
            tell((number + 1) / (len(paths) + 1))
        if len(hidden) == len(paths):
            raise NotShownError(" ".join(hidden))
        for sentence in hidden:
            note(sentence)
        tell(len(paths) / (len(paths) + 1), "writing the report")
        document = made.write(out, paper=paper, kept_back=len(hidden))
    show({"file": out, **document}, f"Written: {out}", as_json=as_json)
