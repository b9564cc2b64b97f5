"""`twitchmap export`: nights as tables for other programs."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_host import formats
from firmware_host.cli._nights import dir_option, find_all, nights_argument, open_with_run, run_option
from firmware_host.cli._terminal import Progress, json_option, show
from firmware_host.cli._values import seconds


@click.command()
@nights_argument
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the files.")
@click.option(
    "--format",
    "form",
    type=click.Choice(formats.names("export")),
    default="csv",
    show_default=True,
    help="Format.",
)
@click.option("--bin", "bin_s", type=seconds, metavar="TIME", default="15min", show_default=True,
              help="Time bins of counts.csv.")  # fmt: skip
@click.option("--candidates", is_flag=True, help="Also the events that are neither counted nor labelled.")
@click.option("--excel", is_flag=True, help="Byte order mark, semicolons and decimal commas.")
@click.option("--mixed", is_flag=True, help="Allow rows of different detectors in one table.")
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
    mixed: bool,
    run_id: str | None,
    directory: Path,
    as_json: bool,
) -> None:
    """Write events, counts, coverage and diary of nights, with a data dictionary."""
    opened = [open_with_run(path, run_id)[0] for path in find_all(nights, directory)]
    with Progress("exporting") as tell:
        files = formats.load("export", form).export(
            opened,
            out,
            run_id=run_id,
            bin_s=bin_s,
            candidates=candidates,
            excel=excel,
            mixed=mixed,
            progress=tell,
        )
    show({"files": files}, "\n".join(map(str, files)), as_json=as_json)
