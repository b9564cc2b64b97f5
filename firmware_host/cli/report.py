"""`twitchmap report`: nights on paper."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._nights import dir_option, find_all, nights_argument, run_option
from firmware_host.cli._showing import each_shown, show_option
from firmware_host.cli._terminal import Progress, json_option, show

if TYPE_CHECKING:
    from firmware_host.analysis import Run
    from firmware_host.recording import Night
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
) -> int:
    """Write a report to print: a page for each night, and one of all of them together."""
    from firmware_host.review.report.making import Report
    from firmware_host.review.report.pdf import check_libraries

    if out.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"{out.name} must end in .html or .pdf.", param_hint="--out")
    if out.suffix.lower() == ".pdf":
        check_libraries()
    made = Report(mixed=mixed)
    paths = find_all(nights, directory)
    number, steps = itertools.count(1), len(paths) + 1
    with Progress("reporting") as progress:

        def tell(night: Night, run: Run) -> None:
            made.add(night, run)
            progress(next(number) / steps)

        told, hidden, code = each_shown(paths, run_id, tell, asked=asked)
        if not told:
            return code
        progress(len(paths) / steps, "writing the report")
        failed = len(paths) - len(told) - len(hidden)
        document = made.write(out, paper=paper, kept_back=len(hidden), failed=failed)
    show({"file": out, **document}, f"Written: {out}", as_json=as_json)
    return code
