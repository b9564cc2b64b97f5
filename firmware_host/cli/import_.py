"""`twitchmap import`: recordings of other devices to a night."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from firmware_host import formats
from firmware_host.cli._terminal import Progress, json_option, note, show
from firmware_host.cli._values import once, pair

if TYPE_CHECKING:
    from firmware_host.formats.understanding import Understanding


@click.command()
@click.argument("night", metavar="NIGHT", type=click.Path(path_type=Path))
@click.argument("sources", metavar="SITE=FILE[:KEY]...", nargs=-1, required=True, type=pair)
@click.option(
    "--format", "form", type=click.Choice(formats.names("import")), help="Format; else found in the file."
)
@click.option("--unit", type=click.Choice(["g", "mg", "m/s2"]), help="Unit of the acceleration.")
@click.option("--rate", type=float, metavar="HZ", help="Sampling rate, where the file has no times.")
@click.option("--start", metavar="ISO", help="When it began, where the file has elapsed times only.")
@click.option("--timezone", metavar="TZ", help="Time zone of the night, such as Europe/Berlin.")
@click.option("--columns", metavar="t,x,y,z", help="Names or numbers (from 1) of the columns.")
@click.option(
    "--stamps",
    type=click.Choice(["auto", "sample", "arrival"]),
    default="auto",
    show_default=True,
    help="What the times are: of the samples, or of their arrival in bursts.",
)
@click.option(
    "--date-order", type=click.Choice(["dmy", "mdy"]), help="Order of dates such as 05/11/2026, if need be."
)
@click.option("--participant", default="", metavar="NAME", help="Pseudonym of the person.")
@json_option
def command(
    night: Path,
    sources: tuple[tuple[str, str], ...],
    form: str | None,
    unit: str | None,
    rate: float | None,
    start: str | None,
    timezone: str | None,
    columns: str | None,
    stamps: Literal["auto", "sample", "arrival"],
    date_order: Literal["dmy", "mdy"] | None,
    participant: str,
    as_json: bool,
) -> None:
    """Make a night of recordings of other devices, one file a site."""
    from firmware_host.formats.foreign import ImportOptions
    from firmware_host.formats.importing import import_night

    options = ImportOptions(
        format=form,
        unit=unit,
        rate_hz=rate,
        start=start,
        timezone=timezone,
        columns=None if columns is None else tuple(columns.split(",")),
        stamps=stamps,
        date_order=date_order,
        participant=participant,
    )
    understood: list[Understanding] = []

    def tell_user(understanding: Understanding) -> None:
        understood.append(understanding)
        note("\n".join(understanding.lines()))

    with Progress("importing") as progress:
        made = import_night(
            night, once(sources), options, show=tell_user, progress=lambda what, share: progress(share, what)
        )
    show(understood[0], str(made), as_json=as_json)
