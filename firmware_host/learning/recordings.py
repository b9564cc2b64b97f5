"""Recordings of real sensors that the evaluation knows: what each file holds, by group.

Nothing twitches in any but where twitches were added. People whose number is a multiple of 3 are kept aside:
nothing was developed on them. A file is a function here; one that is absent is skipped with the reason.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, NotFoundError
from firmware_host.learning.added import add_evoked
from firmware_host.learning.one_site import write_one_site
from firmware_host.learning.score import TRUTH_DTYPE
from firmware_host.twitches import Table, table

Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]

INJECTED, EVOKED = "injected_twitches", "tmg_twitches"
"""Files whose twitches were added to rest: those that come added, and those that are added here."""
DEVELOPED, KEPT_ASIDE, STATIC = "chest, developed on", "chest, kept aside", "static"
ADDED_HERE = ", all recordings"
"""Ending of the group of recordings to which twitches are added here."""
SITE = "left_chest"
_STILL_HZ = 100.0
"""What the motionless sensors were set to."""
_TOUCHED = {"r1": 2.0}
"""The first seconds of a motionless sensor that are left out: somebody touched it at 0.8 s."""


@dataclass(frozen=True)
class Recording:
    """One recording; `truth` (TRUTH_DTYPE) holds the twitches that were added, none in most."""

    key: str
    group: str
    time_s: Floats
    acc_g: npt.NDArray[np.float32]
    truth: Table

    @property
    def fs_hz(self) -> float:
        """Mean sampling rate."""
        return float((len(self.time_s) - 1) / (self.time_s[-1] - self.time_s[0]))

    def write(self, path: Path) -> Path:
        """Write it as a night of one site, its times from the recording's own."""
        fs_hz = float(round(self.fs_hz))
        return write_one_site(path, self.acc_g, self.time_s, site=SITE, fs_hz=fs_hz)


Source = Callable[[Arrays, dict[str, Any]], Iterator[Recording]]
SOURCES: dict[str, tuple[Source, tuple[str, ...]]] = {}
"""By file: what reads it, and the other files that it needs."""


def source(file: str, *others: str) -> Callable[[Source], Source]:
    """Declare how the recordings of `file`.npz and `file`.json are taken out, with arrays of others."""

    def declare(read: Source) -> Source:
        SOURCES[file] = read, others
        return read

    return declare


def read_source(folder: Path, file: str) -> list[Recording]:
    """Read all recordings of one file.

    Raises
    ------
    NotFoundError, BadFileError
        If the file or its .json is not there, or not what it should be.
    """
    read, others = SOURCES[file]
    found: Arrays = {}
    try:
        for name in (*others, file):
            array_file, text_file = folder / f"{name}.npz", folder / f"{name}.json"
            if not (array_file.is_file() and text_file.is_file()):
                raise NotFoundError(f"{folder} has no {name}.npz with its {name}.json.")
            about = json.loads(text_file.read_bytes())
            with array_file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                found |= {key: arrays[key] for key in arrays.files}
        return [_checked(one) for one in read(found, about)]
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadFileError(f"{array_file} cannot be read as {file}: {error}.", path=array_file) from None


def _checked(one: Recording) -> Recording:
    if len(one.time_s) < 2 or one.acc_g.shape != (len(one.time_s), 3):
        raise ValueError(f"{one.key} has {len(one.time_s)} times and samples of the shape {one.acc_g.shape}")
    return one


def _recording(key: str, group: str, acc_g: npt.NDArray[Any], at: Floats | float) -> Recording:
    """Make a recording without twitches from its times, or from its rate."""
    time_s = np.arange(len(acc_g)) / at if isinstance(at, float) else at - at[0]
    return Recording(key, group, time_s, acc_g.astype(np.float32), table(TRUTH_DTYPE, 0))


def _chest_group(person: int) -> str:
    return KEPT_ASIDE if person % 3 == 0 else DEVELOPED


@source(INJECTED)
def _injected(arrays: Arrays, about: dict[str, Any]) -> Iterator[Recording]:
    for number, key in enumerate(record["key"] for record in about["records"]):
        person = re.fullmatch(r"chest\d+_s(\d+)", key)
        time_s = arrays[f"{key}_t_s"]
        own = arrays["ev_rec"] == number
        truth = table(TRUTH_DTYPE, int(own.sum()), site=SITE, d=np.nan, energy_mg2s=np.nan)
        truth["peak_s"] = arrays["ev_t_peak_s"][own] - time_s[0]
        truth["peak_to_peak_mg"] = arrays["ev_pp_mg"][own]
        acc_g = arrays[f"{key}_acc_g"].astype(np.float32)
        group = _chest_group(int(person[1])) if person else STATIC
        yield Recording(key, group, time_s - time_s[0], acc_g, truth)


@source("chest_rest_mscardio")
def _chest_rest(arrays: Arrays, _: dict[str, Any]) -> Iterator[Recording]:
    offsets = arrays["rec_offsets"]
    for number, person in enumerate(arrays["rec_subject"].tolist()):
        rows = slice(int(offsets[number]), int(offsets[number + 1]))
        name = f"chest_rest{number:03d}_s{person:04d}"
        yield _recording(name, _chest_group(person), arrays["acc_g"][rows], arrays["t_s"][rows])


@source(EVOKED, "chest_rest_mscardio")
def _evoked(arrays: Arrays, about: dict[str, Any]) -> Iterator[Recording]:
    aside = arrays["subject"] % 3 == 0
    for number, rest in enumerate(_chest_rest(arrays, about)):
        displaced = arrays["disp_mm"][aside if rest.group == KEPT_ASIDE else ~aside]
        rng = np.random.default_rng([1, number])
        acc_g, truth = add_evoked(rng, rest.time_s, rest.acc_g, displaced, SITE)
        yield Recording(f"{rest.key}_evoked", rest.group + ADDED_HERE, rest.time_s, acc_g, truth)


@source("mpu6050_static")
def _still(arrays: Arrays, _: dict[str, Any]) -> Iterator[Recording]:
    for name in sorted(name for name in arrays if re.fullmatch(r"r\d+_acc_g", name)):
        # Arrivals come in bursts; the sensor sampled evenly, so that the count of samples is its clock.
        first = round(_TOUCHED.get(name[:2], 0.0) * _STILL_HZ)
        yield _recording(f"mpu6050_{name[:2]}", "motionless sensor", arrays[name][first:], _STILL_HZ)


@source("plux_acc")
def _handled(arrays: Arrays, about: dict[str, Any]) -> Iterator[Recording]:
    yield _recording("hand_shake", "moved by hand", arrays["hand_shake_acc_g"], float(about["fs_hz"]))


@source("loggers_movement")
def _loggers(arrays: Arrays, about: dict[str, Any]) -> Iterator[Recording]:
    for key in (record["key"] for record in about["records"]):
        yield _recording(key, "loggers, mostly moved", arrays[f"{key}_acc_g"], arrays[f"{key}_t_s"])


@source("lowerback_activities")
def _lower_back(arrays: Arrays, about: dict[str, Any]) -> Iterator[Recording]:
    yield _recording("lowerback", "lower back, activities", arrays["acc_g"], float(about["fs_hz"]))


@source("wrist_activities_geneactiv_gpl")
def _wrist(arrays: Arrays, about: dict[str, Any]) -> Iterator[Recording]:
    key = about["records"][0]["key"]
    yield _recording(key, "wrist, activities", arrays[f"{key}_acc_g"], arrays[f"{key}_t_s"])
