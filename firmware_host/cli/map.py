"""`twitchmap map`: the twitch map of nights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from firmware_host.cli._nights import dir_option, find_all, nights_argument, run_option
from firmware_host.cli._showing import each_shown, show_option
from firmware_host.cli._terminal import json_option, note, rows, show
from firmware_host.cli._values import seconds
from firmware_host.twitch_map import State, limit_kind

if TYPE_CHECKING:
    from firmware_host.analysis import Run
    from firmware_host.recording import Night
    from firmware_host.review.charts.map_data import MapData
    from firmware_host.twitches import Table

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@nights_argument
@click.option(
    "--bin", "bin_s", type=seconds, metavar="TIME", default="15min", show_default=True, help="Time bins."
)
@click.option("--svg", type=_FILE, metavar="FILE", help="Draw it into an SVG file.")
@click.option("--png", type=_FILE, metavar="FILE", help="Draw it into a PNG file.")
@run_option
@show_option
@dir_option
@json_option
def command(
    nights: tuple[str, ...],
    bin_s: float,
    svg: Path | None,
    png: Path | None,
    run_id: str | None,
    asked: bool,
    directory: Path,
    as_json: bool,
) -> int:
    """Show where on the body and when in the night twitches were seen, and what was not observed."""
    from firmware_host.cli._pictures import as_text, map_data, write_png, write_svg

    paths = find_all(nights, directory)
    if (svg or png) and len(paths) > 1:
        raise click.UsageError("A picture shows one night: name one.")

    def tell(night: Night, run: Run) -> tuple[str, Run, MapData]:
        return night.path.name, run, map_data(night, run, bin_s)

    maps, _, code = each_shown(paths, run_id, tell, asked=asked)
    for file, write in ((svg, write_svg), (png, write_png)):
        if file:
            write(maps[0][2], file)
            note(f"Written: {file}")
    document = [
        {"night": name, "origin": data.origin, "run": run.info.run_id, "sites": _named(data.totals),
         "bins": _named(data.bins)}
        for name, run, data in maps
    ]  # fmt: skip
    show(document, lambda: "\n\n".join(as_text(data) for _, _, data in maps), as_json=as_json)
    return code


def _named(counts: Table) -> list[dict[str, Any]]:
    """Return counts as one dict a row, their state and what their limit is in words."""
    return [
        row | {"state": State(row["state"]).name.lower(), "limit_kind": limit_kind(row["detection_limit_mg"])}
        for row in rows(counts)
    ]
