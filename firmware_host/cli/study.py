"""`twitchmap study`: finds the twitches of many nights, several at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._judging import model_option, point_option
from firmware_host.cli._nights import dir_option, find_all, nights_argument, note_damage
from firmware_host.cli._showing import show_option
from firmware_host.cli._terminal import Progress, aligned, json_option, note, show

if TYPE_CHECKING:
    from firmware_host.study import NightDone, Studied


@click.command()
@nights_argument
@model_option
@point_option
@click.option("--again", is_flag=True, help="Also nights that were judged so already.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Processes at once; else one a processor, fewer where memory is small.",
)
@click.option("--dask", metavar="ADDRESS", help="Scheduler of a Dask cluster that does the work.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder for tables of them all.")
@show_option
@dir_option
@json_option
def command(
    nights: tuple[str, ...],
    model: str | None,
    operating_point: str,
    again: bool,
    jobs: int | None,
    dask: str | None,
    out: Path | None,
    asked: bool,
    directory: Path,
    as_json: bool,
) -> int:
    """Find the twitches of many nights, several at once; nights that were judged so already are left."""
    from firmware_host.study import study_nights

    if dask is not None and jobs is not None:
        raise click.UsageError("--jobs is for processes here: it goes without --dask.")
    paths = find_all(nights, directory)
    with Progress("detecting") as tell:

        def told(share: float, night: NightDone) -> None:
            tell.wipe()
            note_damage(label(night.path), night.damage)
            for sentence in filter(None, (night.why, *night.warnings)):
                note(f"{label(night.path)}: {sentence}")
            tell(share)

        studied = study_nights(
            paths, model=model, operating_point=operating_point, again=again, asked=asked, jobs=jobs,
            dask=dask, out=out, told=told,
        )  # fmt: skip
    tables = studied.exported
    for problem in tables.problems if tables else ():
        note(problem)
    if kept_back := [night.kept_back for night in studied.nights if night.kept_back]:
        others = f" So are those of {len(kept_back) - 1} more." if len(kept_back) > 1 else ""
        note(kept_back[0] + others)
    files = tables.files if tables else ()
    document = {"nights": studied.nights, "files": files, "undated": tables.undated if tables else ()}
    show(document, lambda: "\n".join([described(studied), *map(str, files)]), as_json=as_json)
    return 0 if studied.whole else 1


def label(path: Path) -> str:
    """Return what a night is called here: those of two folders may have one name."""
    return f"{path.parent.name}/{path.name}"


def described(studied: Studied) -> str:
    """Return what became of a study as text."""
    rows = [
        (
            label(night.path),
            night.done.replace("_", " "),
            "not shown" if night.kept_back else _number(night.twitches, ""),
            _number(night.valid_h, ".2f"),
            _number(night.seconds, ".1f"),
        )
        for night in studied.nights
    ]
    return aligned(("night", "", "twitches", "valid h", "seconds"), rows)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
