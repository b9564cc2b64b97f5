"""`twitchmap export`: nights as files for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_host import formats
from firmware_host.cli._nights import dir_option, find_all, nights_argument, open_with_run, run_option
from firmware_host.cli._terminal import Progress, json_option, note, show
from firmware_host.cli._values import seconds


@click.command()
@nights_argument
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder of the files."
)
@click.option(
    "--format",
    "form",
    metavar="NAME",
    default="csv",
    show_default=True,
    help=f"Format: {', '.join(formats.names('export'))}.",
)
@click.option("--bin", "bin_s", type=seconds, metavar="TIME", default="15min", show_default=True,
              help="Time bins of counts.")  # fmt: skip
@click.option("--candidates", is_flag=True, help="Also the events that are neither counted nor labelled.")
@click.option("--excel", is_flag=True, help="CSV: byte order mark, semicolons and decimal commas.")
@click.option("--samples", is_flag=True, help="Parquet: the samples too.")
@click.option("--mixed", is_flag=True, help="Allow rows of different detectors together.")
@click.option(
    "--share", is_flag=True, help="Shift dates secretly; no serials, addresses, notes or free text."
)
@run_option
@dir_option
@json_option
def command(
    nights: tuple[str, ...],
    out: Path,
    form: str,
    bin_s: float,
    candidates: bool,
    excel: bool,
    samples: bool,
    mixed: bool,
    share: bool,
    run_id: str | None,
    directory: Path,
    as_json: bool,
) -> int:
    """Write events, counts, coverage, diary or signals of nights for other programs."""
    from firmware_host.formats.exporting import export, writer_of
    from firmware_host.formats.leaving import Choices

    choices = Choices(
        run_id=run_id, bin_s=bin_s, candidates=candidates, mixed=mixed, share=share, excel=excel,
        samples=samples,
    )  # fmt: skip
    writer_of(form, choices)
    paths = find_all(nights, directory)
    with Progress("exporting") as tell:
        done = export(paths, out, form, choices, opener=open_with_run, progress=tell)
    for problem in done.problems:
        note(problem)
    if done.problems:
        note(f"{done.nights} of {len(paths)} nights were exported.")
    for copy in done.copies:
        note(copy)
    if done.undated:
        note(f"{', '.join(done.undated)}: nobody knows when it began; dates and times of day are made up.")
    document = {
        "format": form, "files": done.files, "nights": done.nights, "problems": done.problems,
        "undated": done.undated, "copies": done.copies, "shared": share,
    }  # fmt: skip
    show(document, "\n".join(map(str, done.files)), as_json=as_json)
    return 1 if done.problems else 0
