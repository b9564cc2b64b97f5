"""Made-up recordings as files of other loggers, and their import, for the tests of the importers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_host.errors import TwitchmapError
from firmware_host.formats.foreign import ImportOptions
from firmware_host.formats.importing import import_night
from firmware_host.formats.understanding import FileUnderstanding, Understanding
from firmware_host.recording import Night, open_night

SITE = "left_calf"
FS = 100.0
N = 1200


def acceleration(n: int = N, *, seed: int = 0, decimals: int = 4) -> npt.NDArray[np.float64]:
    """Return (n, 3) g of a sensor at rest, rounded to decimals."""
    noise = np.random.default_rng(seed).normal(0, 0.003, (n, 3))
    return np.round(noise + np.array([0.12, -0.34, 0.93]), decimals)


def rows(
    time: Sequence[str] | None,
    acc: npt.NDArray[np.float64],
    *,
    delimiter: str = ",",
    decimal: str = ".",
    digits: int = 4,
) -> str:
    """Return rows of text: time, if any, and three numbers."""
    lines = []
    for i, values in enumerate(acc):
        cells = [f"{value:.{digits}f}".replace(".", decimal) for value in values]
        lines.append(delimiter.join(cells if time is None else [time[i], *cells]))
    return "\n".join(lines) + "\n"


def seconds(n: int = N, fs_hz: float = FS, *, decimal: str = ".") -> list[str]:
    """Return the text of elapsed seconds."""
    return [f"{i / fs_hz:.4f}".replace(".", decimal) for i in range(n)]


def bring(tmp_path: Path, source: Path | str, **options: object) -> tuple[Night, FileUnderstanding]:
    """Import one file, and return the night and what was understood of the file."""
    night, found = bring_all(tmp_path, {SITE: str(source)}, **options)
    return night, found.files[0]


def bring_all(tmp_path: Path, sources: dict[str, str], **options: object) -> tuple[Night, Understanding]:
    """Import files, and return the night and what was understood."""
    shown: list[Understanding] = []
    target = tmp_path / "made" / "night.night"

    def show(found: Understanding) -> None:
        assert not target.exists()  # it is shown before anything is written
        assert found.lines()
        shown.append(found)

    path = import_night(target, sources, ImportOptions(**options), show=show)  # type: ignore[arg-type]
    assert path == target
    assert sorted(entry.name for entry in target.parent.iterdir()) == ["night.night"]
    return open_night(path), shown[0]


def refusal(tmp_path: Path, source: Path | str, **options: object) -> str | None:
    """Import one file; returns the sentence with which it is refused, if it is."""
    try:
        bring(tmp_path, source, **options)
    except TwitchmapError as error:
        return str(error)
    return None


def samples(night: Night, site: str = SITE) -> npt.NDArray[np.float32]:
    """Return all samples of a site, (n, 3) g."""
    return np.concatenate([part.acc_g for part in night.read(site)])


def times_s(night: Night, site: str = SITE) -> npt.NDArray[np.float64]:
    """Return the times of all samples of a site, from the night's start."""
    return np.concatenate([(part.time_ns - night.start_ns) / 1e9 for part in night.read(site)])


def times_ns(night: Night, site: str = SITE) -> npt.NDArray[np.int64]:
    """Return the UTC times of all samples of a site."""
    return np.concatenate([part.time_ns for part in night.read(site)])
