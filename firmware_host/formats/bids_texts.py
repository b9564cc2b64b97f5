"""The texts and sidecars of a Motion-BIDS dataset (Jeung et al. 2024, Scientific Data 11:716; BIDS 1.10)."""

from __future__ import annotations

import json
from typing import Any

import firmware_host
from firmware_host.formats.leaving import Leaving
from firmware_host.recording import SensorInfo
from firmware_host.twitches import EVENT_COLUMNS

BIDS_VERSION = "1.10.0"
TASK = "sleep"
CHANNEL_KINDS = ("ACCEL", "ANGACCEL", "GYRO", "JNTANG", "LATENCY", "MAGN", "Misc", "ORNT", "POS", "VEL")
"""All kinds that a sidecar counts."""
EVENT_NUMBERS = ("peak_to_peak_mg", "snr", "dominant_hz", "probability")
_MEANINGS = {column.name: column for column in EVENT_COLUMNS}

README = """# Nights of motion sensors

Exported by twitchmap {version}. Sensors lay on the skin over muscles while the person slept.

- `motion/*_tracksys-<site>_motion.tsv`: one sensor each, no header; columns as in its `_channels.tsv`. One
  row a sample that arrived. The column of type LATENCY is its fitted time, in seconds from the `acq_time`
  in `*_scans.tsv`, or from the first second of a night that has no `acq_time`: nobody knows when that one
  began (`ses-undated`). Rows are missing where the sensor sent nothing: nothing is filled in.
- `motion/*_events.tsv`: what was found, and what could be seen when. `trial_type` is `twitch` (counted),
  `not_counted`, the kind of a stretch (`valid`, `movement`, `gap`, `clipped`, `not_worn`, `noisy`,
  `excluded`), `no_samples`, or `mark` (made by the person). Only in `valid` time could a twitch have been
  found: a time without twitches outside of it was not observed.
- Times are {clock}.

Counts of twitches are no diagnosis.
"""


def as_json(content: dict[str, Any]) -> str:
    """Return a sidecar's text."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def readme(*, shared: bool) -> str:
    """Return the README of a dataset."""
    clock = (
        "those of the clock on the wall in the evening; dates are shifted by weeks that are not told"
        if shared
        else "UTC in `*_scans.tsv`; the time zone of a night is in its `_events.json`"
    )
    return README.format(version=firmware_host.__version__, clock=clock)


def description() -> dict[str, Any]:
    """Return dataset_description.json."""
    return {
        "Name": "Nights of motion sensors",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": "twitchmap", "Version": firmware_host.__version__}],
    }


def participants() -> dict[str, Any]:
    """Return participants.json."""
    return {"pseudonym": {"Description": "the pseudonym as it was written when the night was recorded"}}


def motion(leaving: Leaving, info: SensorInfo, rate_hz: float, length_s: float) -> dict[str, Any]:
    """Return the sidecar of one sensor's samples."""
    known = {"DeviceSerialNumber": info.serial, "ManufacturersModelName": info.model}
    return {
        "TaskName": TASK,
        "TaskDescription": "A night's sleep with sensors on the skin over muscles",
        "SamplingFrequency": info.fs_hz,
        "SamplingFrequencyEffective": round(rate_hz, 4),
        "TrackingSystemName": info.site,
        "TrackedPointsCount": 1,
        "MotionChannelCount": 4,
        **{f"{kind}ChannelCount": {"ACCEL": 3, "LATENCY": 1}.get(kind, 0) for kind in CHANNEL_KINDS},
        "RecordingDuration": round(length_s, 3),
        "MissingValues": "rows of samples that never arrived are left out; the LATENCY channel tells where",
        "Origin": leaving.night.meta.origin,
    } | {name: value for name, value in known.items() if value}


def events(leaving: Leaving) -> dict[str, Any]:
    """Return the sidecar of a night's events."""
    run = leaving.run.info
    numbers = {
        name: {"Description": _MEANINGS[name].meaning}
        | ({"Units": _MEANINGS[name].unit} if _MEANINGS[name].unit else {})
        for name in EVENT_NUMBERS
    }
    return {
        "onset": {"Description": "start of the burst or stretch, from acq_time", "Units": "s"},
        "duration": {"Description": "its length; 0 for a mark", "Units": "s"},
        "trial_type": {"Description": "twitch, not_counted, a kind of coverage, no_samples or mark"},
        "site": {"Description": "where the sensor sat; left and right are the person's own"},
        "peak": {"Description": "maximum of the burst, from acq_time", "Units": "s"},
        **numbers,
        "label": {"Description": "the reviewer's verdict: twitch or not_twitch"},
        "wear_unconfirmed": {"Description": _WEAR},
        "text": {"Description": "what a mark says, or why there are no samples"},
        "Detector": run.detector,
        "Model": leaving.model,
        "OperatingPoint": run.operating_point,
        "Passes": run.passes,
        "RunID": run.run_id,
        "Night": leaving.name,
        "StartKnown": leaving.start_known,
        "TimeZone": "not told" if leaving.shared else leaving.time_zone,
    }


_WEAR = "1 where the sensor lay so still that wearing it cannot be shown"
