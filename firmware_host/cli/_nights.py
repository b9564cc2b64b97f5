"""How commands are told which nights they are about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from firmware_host.cli._terminal import note
from firmware_host.errors import numbered

if TYPE_CHECKING:
    from firmware_host.analysis import Run
    from firmware_host.recording import Damage, Night

SAME_LENGTH_S = 1.0
"""A run of a night whose length has changed by more was made before samples were added or lost."""

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
    return list({path.resolve(): path for path in found}.values())


def open_noted(path: Path) -> Night:
    """Open a night; damage is told on stderr, as everything that is shown comes from the rest."""
    from firmware_host.recording import open_night

    night = open_night(path)
    note_damage(path.name, night.damage)
    return night


def about(path: Path, error: Exception) -> str:
    """Return what is wrong with one night of several, which it names."""
    text = str(error)
    return text if path.name in text else f"{path.name}: {text}"


def note_damage(name: str, damage: Sequence[Damage]) -> None:
    """Tell what could not be read of a night."""
    for one in damage:
        if not one.length:
            note(f"{name}: {one.what}")
    if lost := [one.length for one in damage if one.length]:
        note(
            f"{name}: {numbered(len(lost), 'damaged place')} in its log, "
            f"{numbered(sum(lost), 'byte')}; what can be read is used (`twitchmap verify` lists them)."
        )


def open_with_run(path: Path, run_id: str | None, *, with_labels: bool = True) -> tuple[Night, Run]:
    """Open a night and one of its runs; tell damage, and that the night has changed since the run."""
    from firmware_host.analysis import load_run

    night = open_noted(path)
    run = load_run(night, run_id, with_labels=with_labels)
    for one in run.labels.damage:
        note(f"{path.name}: {one.file}: {one.what}; the others are used.")
    note_changed(night, run)
    return night, run


def note_changed(night: Night, run: Run) -> None:
    """Tell that a night holds other samples than when its run was made: more, fewer, or damaged ones."""
    from firmware_host.recording.reader import LOG_FILE

    if not (night.path / LOG_FILE).exists():
        return  # that there are none was told, and detection would find none
    was = run.summary
    longer = abs(night.duration_s - was.duration_s) > SAME_LENGTH_S
    if longer or was.samples_sha256 not in {"", night.log_sha256()}:
        what = "samples were added or lost" if longer else f"its {LOG_FILE} has changed"
        note(f"{night.path.name}: {what} since its run was made; run `twitchmap detect` again.")
