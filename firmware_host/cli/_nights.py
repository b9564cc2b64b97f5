"""How commands are told which nights they are about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

night_argument = click.argument("night", metavar="NIGHT")
nights_argument = click.argument("nights", nargs=-1, required=True, metavar="NIGHT...")
dir_option = click.option(
    "--dir",
    "directory",
    envvar="TWITCHMAP_DIR",
    default="recordings",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the nights (or the environment variable TWITCHMAP_DIR).",
)
run_option = click.option(
    "--run", "run_id", metavar="ID", help="A detection run; else the newest complete one."
)


def find(night: str, directory: Path) -> Path:
    """Return the folder of one night, given as a path, `last` or a date."""
    from firmware_host.recording import find_night

    return find_night(night, directory)


def find_all(nights: Sequence[str], directory: Path) -> list[Path]:
    """Return the folders of several nights, each once; a folder of nights stands for all that are in it."""
    from firmware_host.errors import NotFoundError
    from firmware_host.recording import find_night, list_nights

    found: list[Path] = []
    for night in nights:
        path = Path(night)
        if path.is_dir() and path.suffix != ".night" and (inside := list_nights(path)):
            found += inside
        else:
            found.append(find_night(night, directory))
    if not found:
        raise NotFoundError(f"There is no night in {', '.join(nights)}.")
    return list(dict.fromkeys(found))
