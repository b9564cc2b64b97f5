"""What of this computer may end a night: a full disk, sleep, an empty battery."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from firmware_host.capture.awake import keep_awake, power_warnings

MB_A_NIGHT = 15.0
"""Of one sensor in eight hours, measured at 200 Hz and 0.061 mg a count."""
SPARE_MB = 100.0
"""For detection's results and what else needs the disk."""
NIGHT_H = 8.0


async def computer_said(directory: Path, sensors: int, hours: float | None) -> tuple[bool, tuple[str, ...]]:
    """Return whether a night fits on the disk, and sentences on disk, sleep and power, the disk's first."""
    enough, disk = disk_said(directory, sensors, NIGHT_H if hours is None else hours)
    async with keep_awake() as proof:
        sleep = proof.sentence
    return enough, (disk, sleep, *power_warnings())


def disk_said(directory: Path, sensors: int, hours: float) -> tuple[bool, str]:
    """Return whether a night fits on the disk, and a sentence with the numbers."""
    there = nearest(directory)
    if (trouble := folder_trouble(directory)) is not None:
        return False, trouble
    free_mb = shutil.disk_usage(there).free / 1e6
    needed_mb = sensors * MB_A_NIGHT * hours / NIGHT_H + SPARE_MB
    numbers = (
        f"The disk has {free_mb / 1000:.1f} GB free; a night of {round(hours, 1):g} h with {sensors} sensor"
        f"{'s' if sensors != 1 else ''} needs up to {needed_mb:.0f} MB"
    )
    return (True, f"{numbers}.") if free_mb >= needed_mb else (False, f"{numbers}: free some space.")


def nearest(folder: Path) -> Path:
    """Return a folder, or of those that it would lie in the next one that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def folder_trouble(folder: Path) -> str | None:
    """Return why nothing can be kept in a folder, which need not be there yet; None if it can."""
    there = nearest(folder)
    if there.is_dir() and os.access(there, os.W_OK):
        return None
    return f"Nothing can be written to {there}: choose another folder with --dir."
