"""Nights as a notebook gets at them: opened, listed, made up, or made of files and arrays."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firmware_host import body, recording
from firmware_host.errors import BadFileError, BadValueError, NotFoundError, StorageError
from firmware_host.notebook.arguments import kind_of, number_of, path_of, text_of, texts_of, whole_of
from firmware_host.recording import Night

NightLike = Night | Path | str


def open(night: NightLike = "last", folder: Path | str | None = None) -> Night:  # noqa: A001
    """Open a night.

    Parameters
    ----------
    night
        The path of its folder, "last", or the date of its evening ("2026-11-22").
    folder
        Of the nights; None: that of the commands, TWITCHMAP_DIR or `recordings`.

    Raises
    ------
    NotFoundError, BadValueError, BadFileError, NewerFormatError
        If there is none, several go by the date, or it cannot be read.
    """
    if isinstance(night, Night):
        return night
    if not isinstance(night, Path | str):
        raise BadValueError(
            f"A night is given as a path, `last`, a date or what `open` returned, not as {kind_of(night)}."
        )
    return recording.open_night(recording.find_night(os.fspath(night), _folder(folder)))


def nights(folder: Path | str | None = None) -> list[Path]:
    """Return the folders of all nights, oldest first; `open` and `load_run` take them.

    Raises
    ------
    NotFoundError
        If the folder is not there.
    """
    where = _folder(folder)
    if not where.is_dir():
        raise NotFoundError(f"There is no folder {where}.")
    return recording.list_nights(where)


def simulate(
    target: Path | str,
    *,
    hours: float = 8.0,
    sites: Sequence[str] | None = None,
    profile: str = "few",
    seed: int = 1,
    fs_hz: float = 100.0,
    truth: Path | str | None = None,
) -> Night:
    """Make up a night of which everything is known, and open it; as `twitchmap simulate`.

    Parameters
    ----------
    target
        Folder of the night, empty or not there yet.
    hours, sites, profile, seed, fs_hz
        Length, sites (None: those of the demonstration), how often they twitch ("many", "few", "quiet" or
        "mix"), another night, nominal rate.
    truth
        CSV file for the twitches that were really made.

    Raises
    ------
    BadValueError, NotEmptyError, StorageError
        If a value cannot be used, the target holds something, or the disk refuses.
    """
    from firmware_host.simulation import DEFAULT_SITES, NightSpec, simulate_night, write_truth

    if isinstance(sites, str):
        raise BadValueError(f"Sites are a list: sites=[{sites!r}].")
    folder = path_of(target, "The folder of the night")
    file = None if truth is None else path_of(truth, "The file of the truth")
    if file is not None and not file.absolute().parent.is_dir():
        raise BadValueError(f"There is no folder {file.absolute().parent} to write the truth to.")
    spec = NightSpec(
        seed=whole_of(seed, "The seed"),
        hours=number_of(hours, "The length in hours"),
        sites=DEFAULT_SITES if sites is None else texts_of(sites, "Sites"),
        fs_hz=number_of(fs_hz, "The rate in Hz"),
        profile=text_of(profile, "The profile"),
    )
    made = simulate_night(folder, spec=spec)
    if file is not None:
        try:
            write_truth(file, made.twitches)
        except OSError as error:
            raise StorageError(
                f"The night is made, but its truth could not be written to {file}: {error.strerror or error}."
            ) from error
    return recording.open_night(folder)


def import_night(
    target: Path | str,
    sources: Mapping[str, Path | str | npt.NDArray[Any]],
    *,
    fs_hz: float | None = None,
    unit: Literal["g", "mg", "m/s2"] | None = None,
    start: str | None = None,
    time_zone: str | None = None,
    date_order: Literal["dmy", "mdy"] | None = None,
    participant: str = "",
) -> Night:
    """Make a night of files of other loggers, or of arrays, and open it; as `twitchmap import`.

    Parameters
    ----------
    target
        Folder of the night, empty or not there yet.
    sources
        Site to file ("calf.csv", "all.npz:calf") or to an array (n, 3) with gravity, which needs `fs_hz`.
    unit
        Of the numbers; None: what the file says, else the only unit that puts gravity at 0.8-1.2 g.
    start, time_zone
        ISO 8601 start of what has no times of its own, and IANA zone of the night.
    date_order
        Whether 05/11/2026 is 5 November or 11 May, where nothing in a file tells.

    Raises
    ------
    BadFileError, BadValueError, NotFoundError, NotEmptyError, MissingExtraError, StorageError
        If something cannot be read or must be said; nothing is left behind.
    """
    from firmware_host.formats.foreign import ImportOptions
    from firmware_host.formats.importing import import_night as make

    if not isinstance(sources, Mapping):
        raise BadValueError(f'Sources are given by site, {{"left_calf": ...}}, not as {kind_of(sources)}.')
    night = path_of(target, "The folder of the night")
    if date_order is not None and text_of(date_order, "The order of dates") not in {"dmy", "mdy"}:
        raise BadValueError(f'The order of dates is "dmy" or "mdy", not {date_order[:40]!r}.')
    moment = "The start, such as 2026-11-22T23:30:00+01:00,"
    options = ImportOptions(
        unit=None if unit is None else text_of(unit, "The unit"),
        rate_hz=None if fs_hz is None else number_of(fs_hz, "The rate in Hz"),
        start=None if start is None else text_of(start, moment),
        timezone=None if time_zone is None else text_of(time_zone, "The time zone"),
        date_order=date_order,
        participant=text_of(participant, "The participant"),
    )
    texts_of(sources, "Sites")
    with tempfile.TemporaryDirectory() as folder:
        files, arrays = {}, {}
        for site, source in sources.items():
            if isinstance(source, str | os.PathLike):
                files[site] = str(path_of(source, f"The file for {site}"))
                continue
            acc = _samples(source, site)
            if options.rate_hz is None:
                raise BadValueError(f"The array for {site} has no times: give fs_hz, its sampling rate.")
            files[site] = arrays[site] = str(Path(folder) / f"{body.site(site).name}.npz")
            np.savez(files[site], acc=acc, fs_hz=options.rate_hz)
        try:
            return recording.open_night(make(night, files, options, show=lambda _: None))
        except (BadFileError, BadValueError) as error:
            sentence = str(error)
            for site, file in arrays.items():
                sentence = sentence.replace(file, f"The array for {site}")
            raise type(error)(sentence) from error


def _samples(source: object, site: str) -> npt.NDArray[Any]:
    """Return an array of samples (n, 3); a number that is masked in one is none."""
    if isinstance(source, np.ma.MaskedArray) and source.dtype.kind in "fiu":
        source = np.ma.filled(source.astype(np.float64), np.nan)
    try:
        acc = np.asarray(source)
    except (TypeError, ValueError):  # rows of different lengths
        acc = np.array(None)
    if acc.ndim != 2 or acc.shape[1] != 3 or acc.dtype.kind not in "fiu":
        got = f"shape {acc.shape}" if acc.ndim else kind_of(source)
        got += f" and type {acc.dtype}" if acc.ndim and acc.dtype.kind not in "fiu" else ""
        raise BadValueError(f"What is imported for {site} is a file, or numbers of shape (n, 3), not {got}.")
    return acc


def _folder(folder: Path | str | None) -> Path:
    if folder is None:
        return Path(os.environ.get("TWITCHMAP_DIR", "recordings"))
    return path_of(folder, "The folder of the nights")
