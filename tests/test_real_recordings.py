"""Recordings of real sensors, from the file to the events; skipped where TWITCHMAP_REAL_DATA names none.

What is known of them: nothing twitches in any (healthy people, motionless sensors), so every event is false.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from made_tables import bring

import firmware_host as tm
from firmware_host.analysis import load_model
from firmware_host.learning.cohort_score import Judge
from firmware_host.learning.real_score import search
from firmware_host.learning.recordings import ADDED_HERE, DEVELOPED, EVOKED, read_source
from firmware_host.twitches import Kind, valid_s

FOLDER = os.environ.get("TWITCHMAP_REAL_DATA", "")
pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="TWITCHMAP_REAL_DATA names no folder of real recordings"),
    pytest.mark.lasts_s(25),
]


def run_of(tmp_path: Path, source: str, **options: float) -> tuple[tm.Night, tm.Run]:
    """Import a real recording and detect on it, or skip."""
    if not Path(FOLDER, source.partition(":")[0]).exists():
        pytest.skip(f"{source} is not in TWITCHMAP_REAL_DATA")
    night, _ = bring(tmp_path, f"{FOLDER}/{source}", **options)
    return night, tm.detect(night)


@pytest.mark.parametrize("key", ["r0", "r1", "r2", "r3"])
def test_a_still_sensor_gives_no_event(tmp_path: Path, key: str) -> None:
    """A motionless sensor gives no event, but for the touch at the start of r1, nor is it said to be worn."""
    night, run = run_of(tmp_path, f"mpu6050_static.npz:{key}")
    assert all(peak_s < 2.0 for peak_s in run.counted["peak_s"])
    assert key == "r1" or not len(run.counted)
    assert valid_s(run.coverage) > 0.95 * night.duration_s
    assert run.coverage["wear_unconfirmed"][run.coverage["kind"] == Kind.VALID].all()


@pytest.mark.parametrize(
    ("source", "rate_hz", "most_valid_share", "most_events"),
    [
        ("loggers_movement.npz:ax3_200hz", None, 0.15, 20),
        ("loggers_movement.npz:ax6_100hz", None, 0.05, 0),
        ("loggers_movement.npz:ax3_100hz", None, 0.05, 2),
        ("wrist_activities_geneactiv_gpl.npz:geneactiv_100hz", None, 0.01, 0),
        ("lowerback_activities.npz", 100.0, 0.40, 8),
        ("plux_acc.npz:hand_shake", 1000.0, 0.01, 0),
    ],
)
def test_movement_is_not_valid_time(
    tmp_path: Path, source: str, rate_hz: float | None, most_valid_share: float, most_events: int
) -> None:
    """Worn or handled sensors that move nearly all the time have little valid time and next to no events."""
    night, run = run_of(tmp_path, source, **({"rate_hz": rate_hz} if rate_hz else {}))
    assert valid_s(run.coverage) <= most_valid_share * night.duration_s
    assert len(run.counted) <= most_events


def test_hearts_of_real_chests_hardly_count_and_added_twitches_do() -> None:
    """Chests at rest of people developed on, as they are and with real twitch shapes added: the standard
    model gives few false alarms, and finds most of the twitches of 25 mg and up."""
    judges = [Judge(load_model(name)[0], "balanced") for name in ("plain", "standard")]
    plain, ours = (one.name for one in judges)
    for file, group, most_per_h in (
        ("chest_rest_mscardio", DEVELOPED, 30),
        (EVOKED, DEVELOPED + ADDED_HERE, 120),
    ):
        if not Path(FOLDER, f"{file}.npz").exists():
            pytest.skip(f"{file} is not in TWITCHMAP_REAL_DATA")
        some = [one for one in read_source(Path(FOLDER), file) if one.group == group][::5]
        told = [search(one, file, judges).outcomes for one in some]
        hours = sum(each[ours].valid_h for each in told)
        false, by_plain = (sum(int(each[who].false.sum()) for each in told) for who in (ours, plain))
        assert hours > 0.2
        assert false < most_per_h * hours < by_plain / 20
        if file == EVOKED:
            large = [each[ours].truth_in & (each[ours].truth["peak_to_peak_mg"] >= 25) for each in told]
            hits = np.concatenate([each[ours].found[own] for each, own in zip(told, large, strict=True)])
            assert len(hits) > 80
            assert hits.mean() > 0.8
