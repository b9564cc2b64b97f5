"""`twitchmap demo`: a simulated night from the sensors to the map."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from firmware_host.cli._terminal import Progress, has_screen, json_option, note, show
from firmware_host.cli._values import Number
from firmware_host.errors import NotEmptyError

DEFAULT_OUT = "twitchmap-demo"


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=f"Folder of the results, else {DEFAULT_OUT}.",
)
@click.option(
    "--open/--no-open", "look", default=None, help="Show the map; default: where there is a screen."
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Another number, another night."
)
@click.option("--hours", type=Number(0.05, 24), default=8.0, hidden=True)
@json_option
def command(out: Path | None, look: bool | None, seed: int, hours: float, as_json: bool) -> None:
    """Simulate a night on 4 sites, find its twitches, draw the map and export the tables."""
    from firmware_host.analysis import detect_night
    from firmware_host.cli._pictures import as_text, map_data, write_svg
    from firmware_host.formats.exporting import export
    from firmware_host.recording import night_folder_name, open_night
    from firmware_host.simulation import START_NS, TIME_ZONE, demonstration, simulate_night, write_truth

    folder = _folder(out)
    path = folder / night_folder_name(START_NS, TIME_ZONE, "simulated")
    note(f"Simulating {hours:g} hours on 4 sites ...")
    with _emptied_on_error(folder):
        with Progress("simulating") as tell:
            truth = simulate_night(path, spec=demonstration(seed, hours), progress=tell)
        note("Finding twitches ...")
        with Progress("detecting") as tell:
            run = detect_night(path, progress=tell)
        night = open_night(path)
        data = map_data(night, run, 900.0)
        write_svg(data, folder / "map.svg")
        files = [*export([night], folder).files, folder / "map.svg", folder / "truth.csv"]
        write_truth(folder / "truth.csv", truth.twitches)
    document = {
        "out": folder,
        "night": path,
        "files": files,
        "sites": {site.site: site.twitches for site in run.summary.sites},
        "simulated": True,
    }
    show(document, lambda: f"{as_text(data)}\n\n{_where(folder, path)}", as_json=as_json)
    if look if look is not None else has_screen():
        click.launch(str(folder / "map.svg"))


def _folder(out: Path | None) -> Path:
    """Return the folder to write to: the one asked for, which must be empty, or the first free default."""
    if out is None:
        names = itertools.chain([DEFAULT_OUT], (f"{DEFAULT_OUT}-{number}" for number in itertools.count(2)))
        return next(Path(name) for name in names if not Path(name).exists())
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NotEmptyError(f"{out} already holds something: choose another folder.")
    return out


@contextlib.contextmanager
def _emptied_on_error(folder: Path) -> Iterator[None]:
    """Remove a demonstration that did not come to its end; the folder was empty or not there before."""
    existed = folder.exists()
    try:
        yield
    except BaseException:
        for entry in folder.iterdir() if folder.exists() else ():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if not existed and folder.exists():
            folder.rmdir()
        raise


def _where(folder: Path, night: Path) -> str:
    return (
        f"All of this is simulated. In {folder}:\n"
        "  map.svg            the map as a picture\n"
        "  events.csv         every twitch that was counted\n"
        "  counts.csv         twitches and valid time by site and quarter hour\n"
        "  coverage.csv       what every minute was good for\n"
        "  truth.csv          the twitches that were really made\n"
        "  data_dictionary.md, night.json\n"
        "Try next:\n"
        f"  twitchmap info {night}\n"
        f"  twitchmap score {night} --truth {folder / 'truth.csv'}"
    )
