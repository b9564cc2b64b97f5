"""The baseline: recordings with added twitches, imported, detected and scored end to end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_host.errors import BadFileError, NotFoundError
from firmware_host.learning.baseline import GROUPS, baseline, naive_detector, read_recordings

KEYS = ("chest00_s0004", "chest01_s0003", "static_r0")
PEAKS_S = np.arange(8.0, 52.0, 4.0)


def made_folder(folder: Path, **changes: Any) -> Path:
    """Make a folder as the real one: a minute each of noise, with bursts of 100 mg every 4 s."""
    rng = np.random.default_rng(1)
    time_s = np.arange(6000) / 100
    arrays: dict[str, Any] = {}
    for key in KEYS:
        acc_g = 0.001 * rng.standard_normal((6000, 3)) + np.array([0, 0, 1])
        for peak_s in PEAKS_S:
            at = time_s - peak_s
            acc_g[:, 2] += 0.05 * np.cos(2 * np.pi * 11 * at) * np.exp(-((at / 0.03) ** 2))
        arrays |= {f"{key}_t_s": time_s + 5, f"{key}_acc_g": acc_g.astype(np.float32)}
    arrays["ev_rec"] = np.repeat(np.arange(len(KEYS)), len(PEAKS_S)).astype(np.int16)
    arrays["ev_t_peak_s"] = np.tile(PEAKS_S + 5, len(KEYS))
    arrays["ev_pp_mg"] = np.full(len(arrays["ev_rec"]), 90.0)
    np.savez(folder / "injected_twitches.npz", **(arrays | changes))
    (folder / "injected_twitches.json").write_text(json.dumps({"records": [{"key": key} for key in KEYS]}))
    return folder


def test_large_twitches_in_noise_are_found_end_to_end(tmp_path: Path) -> None:
    """Through night, detector and score, large twitches in noise are found in all groups."""
    seen: list[float] = []
    result = baseline(made_folder(tmp_path), progress=seen.append)

    assert tuple(result.detector) == tuple(result.naive) == GROUPS
    for ours, naive in zip(result.detector.values(), result.naive.values(), strict=True):
        assert naive.truths == len(PEAKS_S)
        assert naive.recall == 1
        assert ours.recall is not None
        assert ours.recall >= 0.9
        assert ours.false_alarms == 0
        assert ours.valid_h == pytest.approx(1 / 60, rel=0.15)
    assert seen[-1] == 1
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["static"]["naive"]["recall"] == 1
    assert any(line.startswith("  70-150 mg") and "(11/11)" in line for line in result.lines())


def test_people_are_kept_aside_by_their_number(tmp_path: Path) -> None:
    """A person whose number is a multiple of 3 is kept aside; a sensor on a table is nobody."""
    groups = {each.key: each.group for each in read_recordings(made_folder(tmp_path))}
    assert groups == dict(zip(KEYS, GROUPS, strict=True))


def test_the_naive_detector_is_as_described(tmp_path: Path) -> None:
    """It gives one event a burst at its peak, and calls the whole recording valid."""
    recording = read_recordings(made_folder(tmp_path))[2]
    events, coverage = naive_detector(recording)
    near = np.abs(events["peak_s"][:, None] - PEAKS_S).min(axis=0)
    assert np.all(near < 0.02)
    assert coverage["end_s"][0] == pytest.approx(59.99)


@pytest.mark.parametrize("damage", ["no file", "no json", "cut", "missing array", "no object"])
def test_a_folder_that_is_not_the_data_gets_a_sentence(tmp_path: Path, damage: str) -> None:
    """Missing, cut or other files are refused with their name."""
    npz, text = tmp_path / "injected_twitches.npz", tmp_path / "injected_twitches.json"
    if damage != "no file":
        made_folder(tmp_path)
    if damage == "no json":
        text.unlink()
    elif damage == "cut":
        npz.write_bytes(npz.read_bytes()[:5000])
    elif damage == "missing array":
        np.savez(npz, ev_rec=np.zeros(3))
    elif damage == "no object":
        text.write_text("[]")
    with pytest.raises((NotFoundError, BadFileError), match="injected_twitches"):
        read_recordings(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"static_r0_t_s": np.zeros(0)},
        {"static_r0_t_s": np.arange(5000) / 100},
        {"static_r0_acc_g": np.zeros(6000)},
        {"ev_t_peak_s": np.zeros(2)},
    ],
    ids=["no times", "fewer times", "one axis", "fewer peaks"],
)
def test_arrays_that_do_not_fit_get_a_sentence(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Arrays of wrong lengths or shapes are refused with the name of the file."""
    with pytest.raises(BadFileError, match="injected_twitches"):
        read_recordings(made_folder(tmp_path, **changes))


def test_the_baseline_on_the_real_recordings() -> None:
    """On real rest, large added twitches are found, with fewer false alarms than the naive detector gives."""
    folder = Path(os.environ.get("TWITCHMAP_REAL_DATA", ""))
    if not (folder / "injected_twitches.npz").is_file():
        pytest.skip("the folder of real recordings (TWITCHMAP_REAL_DATA) is not here")
    result = baseline(folder)
    for group in GROUPS:
        ours, naive = result.detector[group], result.naive[group]
        large = ours.recall_by_amplitude_mg[-2]
        assert (large.low, large.recall is not None and large.recall >= 0.9) == (70, True)
        assert (ours.false_alarms_per_h or 0) < (naive.false_alarms_per_h or 0)
