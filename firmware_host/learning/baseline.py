"""The baseline to beat: real rest with real twitch shapes added at known times, scored end to end.

The folder holds `injected_twitches.npz` and its `.json`: recordings of resting chests and of motionless
sensors, to which twitches of 4 to 150 mg were added. Each becomes a night on disk and is detected as any
other. People whose number is a multiple of 3 are kept aside: nothing was developed on them.
"""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal

from firmware_host import __version__
from firmware_host.analysis import DEFAULT_MODEL, DEFAULT_POINT, detect_night
from firmware_host.errors import BadFileError, NotFoundError
from firmware_host.learning.score import TRUTH_DTYPE, Score, score
from firmware_host.recording import NightMeta, SensorInfo, create_night
from firmware_host.twitches import COVERAGE_DTYPE, EVENT_DTYPE, MERGE_S, Kind, Table, table

Floats = npt.NDArray[np.float64]

FILE = "injected_twitches"
GROUPS = ("chest, developed on", "chest, kept aside", "static")
_SITE = "left_chest"
_BLOCK = 1000
_NAIVE_SIGMA = 5.0
_NAIVE_BAND_HZ = (5.0, 45.0)


@dataclass(frozen=True)
class Recording:
    """One recording with its twitches."""

    key: str
    time_s: Floats
    acc_g: npt.NDArray[np.float32]
    truth: Table

    @property
    def group(self) -> str:
        """Whether people's recordings were developed on or kept aside, or nobody wore the sensor."""
        person = re.fullmatch(r"chest\d+_s(\d+)", self.key)
        return GROUPS[2] if person is None else GROUPS[int(person[1]) % 3 == 0]

    @property
    def fs_hz(self) -> float:
        """Mean sampling rate."""
        return float((len(self.time_s) - 1) / (self.time_s[-1] - self.time_s[0]))


@dataclass(frozen=True)
class Baseline:
    """Scores by group of recordings: our detector's and the naive one's."""

    detector: dict[str, Score]
    naive: dict[str, Score]

    def as_dict(self) -> dict[str, Any]:
        """Return all scores as JSON can hold them."""
        return {
            group: {"detector": self.detector[group].as_dict(), "naive": self.naive[group].as_dict()}
            for group in self.detector
        }

    def lines(self) -> list[str]:
        """Return recall by amplitude and false alarms as a table."""
        lines = [
            "Recall by amplitude and false alarms an hour of valid time; twitches are added to real rest."
        ]
        for group, ours in self.detector.items():
            naive = self.naive[group]
            lines += ["", f"{group:<24}{'twitchmap':>16}{'5 sigma, naive':>18}"]
            for a, b in zip(ours.recall_by_amplitude_mg, naive.recall_by_amplitude_mg, strict=True):
                if a.truths or b.truths:
                    span = f"  {a.low:g}-{a.high:g} mg"
                    lines.append(f"{span:<24}{_found(a.found, a.truths):>16}{_found(b.found, b.truths):>18}")
            alarms = [f"{each.false_alarms_per_h or 0:.0f}" for each in (ours, naive)]
            lines.append(f"{'  false alarms an hour':<24}{alarms[0]:>16}{alarms[1]:>18}")
            hours = [f"{each.valid_h * 60:.1f} min" for each in (ours, naive)]
            lines.append(f"{'  valid time':<24}{hours[0]:>16}{hours[1]:>18}")
            outside = [f"{each.outside_found} of {each.outside_truths}" for each in (ours, naive)]
            lines.append(f"{'  found outside it':<24}{outside[0]:>16}{outside[1]:>18}")
        return lines


def baseline(
    folder: Path,
    *,
    model: str = DEFAULT_MODEL,
    operating_point: str = DEFAULT_POINT,
    progress: Callable[[float], None] | None = None,
) -> Baseline:
    """Score the detector, and a naive one beside it, on the recordings of the folder.

    Raises
    ------
    NotFoundError, BadFileError
        If the folder has no such recordings, or they cannot be read.
    """
    recordings = read_recordings(folder)
    ours, naive = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for number, recording in enumerate(recordings):
            path = write_night(recording, Path(scratch) / f"{recording.key}.night")
            run = detect_night(path, model=model, operating_point=operating_point)
            ours.append((run.events, run.coverage))
            naive.append(naive_detector(recording))
            if progress is not None:
                progress((number + 1) / len(recordings))
    return Baseline(_scores(recordings, ours), _scores(recordings, naive))


def read_recordings(folder: Path) -> list[Recording]:
    """Read the recordings with injected twitches.

    Raises
    ------
    NotFoundError, BadFileError
        If the files are not there or not what they should be.
    """
    array_file, text_file = folder / f"{FILE}.npz", folder / f"{FILE}.json"
    if not (array_file.is_file() and text_file.is_file()):
        raise NotFoundError(f"{folder} has no {FILE}.npz with its {FILE}.json.")
    try:
        keys = [record["key"] for record in json.loads(text_file.read_bytes())["records"]]
        with array_file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        recordings = []
        for number, key in enumerate(keys):
            time_s = found[f"{key}_t_s"] - found[f"{key}_t_s"][0]
            own = found["ev_rec"] == number
            truth = table(TRUTH_DTYPE, int(own.sum()), site=_SITE, d=np.nan, energy_mg2s=np.nan)
            truth["peak_s"] = found["ev_t_peak_s"][own] - found[f"{key}_t_s"][0]
            truth["peak_to_peak_mg"] = found["ev_pp_mg"][own]
            acc_g = found[f"{key}_acc_g"].astype(np.float32)
            if len(time_s) < 2 or acc_g.shape != (len(time_s), 3):
                raise ValueError(f"{key} has {len(time_s)} times and samples of the shape {acc_g.shape}")
            recordings.append(Recording(key, time_s, acc_g, truth))
    except (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadFileError(f"{array_file} cannot be read as {FILE}: {error}.", path=array_file) from None
    return recordings


def write_night(recording: Recording, path: Path) -> Path:
    """Write a recording as a night on disk, its times from the device's own stamps."""
    fs_hz = float(round(recording.fs_hz))
    sensor = SensorInfo(
        index=0, site=_SITE, fs_hz=fs_hz, g_per_count=1.0, sample_type="float32", clock="stamps"
    )
    meta = NightMeta(
        participant="", label=recording.key, origin="imported", time_zone="UTC", start_ns=0,
        sensors=(sensor,), twitchmap=__version__, start_known=False,
    )  # fmt: skip
    with create_night(path, meta) as writer:
        for first in range(0, len(recording.acc_g), _BLOCK):
            block = np.ascontiguousarray(recording.acc_g[first : first + _BLOCK])
            last_ns = round(float(recording.time_s[first + len(block) - 1]) * 1e9)
            writer.append_samples(0, block, first, arrival_mono_ns=last_ns, arrival_utc_ns=last_ns)
    return path


def naive_detector(recording: Recording) -> tuple[Table, Table]:
    """Find what any axis shows above 5 robust sigma in 5-45 Hz; it knows no movement, heart or floor."""
    fs_hz = recording.fs_hz
    sos = signal.butter(4, _NAIVE_BAND_HZ, "bandpass", fs=fs_hz, output="sos")
    filtered = signal.sosfiltfilt(sos, recording.acc_g.astype(np.float64), axis=0)
    sigma = 1.4826 * np.median(np.abs(filtered - np.median(filtered, axis=0)), axis=0)
    height = np.max(np.abs(filtered) / sigma, axis=1)
    peaks, _ = signal.find_peaks(height, height=_NAIVE_SIGMA, distance=max(round(MERGE_S * fs_hz), 1))
    peak_s = recording.time_s[peaks]
    events = table(EVENT_DTYPE, len(peaks), site=_SITE, peak_s=peak_s, onset_s=peak_s, counted=True)
    end_s = float(recording.time_s[-1])
    return events, table(COVERAGE_DTYPE, 1, site=_SITE, end_s=end_s, kind=Kind.VALID)


def _scores(recordings: list[Recording], found: list[tuple[Table, Table]]) -> dict[str, Score]:
    """Score the recordings of each group together; each stands as a site of its own."""
    scores = {}
    for group in GROUPS:
        own = [
            [_at(recording.key, rows) for rows in (events, coverage, recording.truth)]
            for recording, (events, coverage) in zip(recordings, found, strict=True)
            if recording.group == group
        ]
        if own:
            events, coverage, truth = (np.concatenate(rows) for rows in zip(*own, strict=True))
            scores[group] = score(events, coverage, truth)
    return scores


def _at(name: str, rows: Table) -> Table:
    rows = rows.copy()
    rows["site"] = name
    return rows


def _found(found: int, truths: int) -> str:
    return f"{100 * found / truths:.0f} % ({found}/{truths})" if truths else "-"
