"""A night's run as the map that the charts draw."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware_host.analysis import Run
    from firmware_host.recording import Night
    from firmware_host.review.charts.map_data import MapData


def map_data(night: Night, run: Run, bin_s: float) -> MapData:
    """Return the counts of a run as the charts take them."""
    from firmware_host.review.charts.map_data import map_of

    return map_of(night, run, bin_s)


def as_text(data: MapData) -> str:
    """Return the map as text, as wide as the terminal."""
    from firmware_host.review.charts.terminal import terminal_map

    return terminal_map(data, shutil.get_terminal_size().columns)


def write_svg(data: MapData, file: Path) -> None:
    """Draw the map into an SVG file."""
    from firmware_host.review.charts.night_map import night_map
    from firmware_host.review.charts.scene import to_svg

    _write(file, to_svg(night_map(data)).encode())


def write_png(data: MapData, file: Path) -> None:
    """Draw the map into a PNG file."""
    from firmware_host.review.charts.night_map import night_map
    from firmware_host.review.charts.scene import to_png

    _write(file, to_png(night_map(data)))


def _write(file: Path, content: bytes) -> None:
    from firmware_host.formats.replacing import Replacing

    with Replacing(file.parent) as folder:
        folder.file(file.name).write_bytes(content)
