"""Recordings of real sensors for the evaluation: read, searched, scored, compared at equal recall."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import signal

from firmware_host.analysis import load_model
from firmware_host.errors import BadFileError, NotFoundError
from firmware_host.learning.added import add_evoked
from firmware_host.learning.cohort_score import Judge
from firmware_host.learning.real_score import NAIVE, equal_recall, naive_detector, search
from firmware_host.learning.recordings import (
    ADDED_HERE,
    DEVELOPED,
    EVOKED,
    INJECTED,
    KEPT_ASIDE,
    SITE,
    SOURCES,
    STATIC,
    Recording,
    read_source,
)
from firmware_host.learning.score import score_of
from firmware_host.learning.summaries import real_summary

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


def read_recordings(folder: Path) -> list[Recording]:
    """Read the recordings with added twitches."""
    return read_source(folder, INJECTED)


def test_large_twitches_in_noise_are_found_end_to_end(tmp_path: Path) -> None:
    """Through night, detector and score, large twitches in noise are found in all groups."""
    judge = Judge(load_model("plain")[0], "balanced")
    searched = [search(one, INJECTED, [judge]) for one in read_recordings(made_folder(tmp_path))]
    for one in searched:
        ours, naive = score_of(one.outcomes[judge.name]), score_of(one.outcomes[NAIVE])
        assert naive.truths == len(PEAKS_S)
        assert naive.recall == 1
        assert ours.recall is not None
        assert ours.recall >= 0.9
        assert ours.false_alarms == 0
        assert ours.valid_h == pytest.approx(1 / 60, rel=0.15)
    summary = json.loads(json.dumps(real_summary(searched, [judge.name]), allow_nan=False))
    assert set(summary["added"]) == {DEVELOPED, KEPT_ASIDE, STATIC}
    assert summary["added"][STATIC]["naive 5 sigma"]["recall"] == 1


def test_equal_recall_lowers_the_score_until_as_many_are_found(tmp_path: Path) -> None:
    """The bare score is taken where it finds as many added twitches, with the false alarms that it costs."""
    judge = Judge(load_model("plain")[0], "balanced")
    one = search(read_recordings(made_folder(tmp_path))[0], INJECTED, [judge])
    near = np.abs(one.peak_s[:, None] - PEAKS_S).min(axis=1) < 0.15
    score = np.where(near, 20.0 + np.arange(len(near)), 10.0)
    extra = np.array([30.0 + 0.5, 40.0 + 0.5])
    changed = replace(
        one,
        peak_s=np.concatenate([one.peak_s, extra]),
        score=np.concatenate([score, [50.0, 5.0]]),
        is_valid=np.concatenate([one.is_valid, [True, True]]),
    )
    order = np.argsort(changed.peak_s)
    changed = replace(
        changed, **{name: getattr(changed, name)[order] for name in ("peak_s", "score", "is_valid")}
    )
    compared = equal_recall([changed], [changed], judge.name, 25.0)

    assert compared is not None
    assert compared["reached"]
    assert compared["plain_found"] == compared["found"] == compared["truths"]
    assert compared["score"] == score[near].min()
    assert compared["added"]["plain_alarms"] == 1
    assert compared["rest"]["plain_alarms"] == near.sum() + 1
    assert (compared["added"]["fewer"], compared["added"]["at_least"]) == (1.0, True)  # ours has none
    assert equal_recall([changed], [], judge.name, 500.0) is None


def test_recall_by_chance_is_taken_off(tmp_path: Path) -> None:
    """Events at random times that meet a part of the twitches reach nobody's recall beyond chance."""
    judge = Judge(load_model("plain")[0], "balanced")
    one = search(read_recordings(made_folder(tmp_path))[0], INJECTED, [judge])
    assert len(one.elsewhere_s) > 500
    assert np.abs(one.elsewhere_s[:, None] - PEAKS_S).min() >= 0.3
    every = np.arange(5.0, 60.0, 0.41)  # three in four times have one of these near
    blind = replace(one, peak_s=every, score=np.full(len(every), 9.0), is_valid=np.ones(len(every), bool))
    raw, beyond = (equal_recall([blind], [], judge.name, 0.0, beyond_chance=kind) for kind in (False, True))
    assert raw is not None
    assert beyond is not None
    assert raw["plain_recall"] > 0.5
    assert beyond["plain_recall"] < raw["plain_recall"] - 0.2
    assert beyond["recall"] == pytest.approx(raw["recall"], abs=0.02)
    assert not beyond["reached"]


def test_people_are_kept_aside_by_their_number(tmp_path: Path) -> None:
    """A person whose number is a multiple of 3 is kept aside; a sensor on a table is nobody."""
    groups = {each.key: each.group for each in read_recordings(made_folder(tmp_path))}
    assert groups == dict(zip(KEYS, (DEVELOPED, KEPT_ASIDE, STATIC), strict=True))


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


def test_the_real_recordings_are_as_described() -> None:
    """Every file that the evaluation knows is read; motionless sensors have even times."""
    folder = Path(os.environ.get("TWITCHMAP_REAL_DATA", ""))
    if not (folder / f"{INJECTED}.npz").is_file():
        pytest.skip("the folder of real recordings (TWITCHMAP_REAL_DATA) is not here")
    counts = {file: len(read_source(folder, file)) for file in SOURCES}
    assert counts[INJECTED] == 16
    assert counts["chest_rest_mscardio"] == 115
    assert min(counts.values()) >= 1
    still = read_source(folder, "mpu6050_static")[0]
    assert np.allclose(np.diff(still.time_s), 0.01)


def test_evoked_twitches_are_added_where_and_as_large_as_the_truth_says() -> None:
    """Added to silence, each twitch peaks at its time with its size in 3-45 Hz, and none lies at an edge."""
    time_s = np.arange(12_000) / 200
    still = np.tile(np.float32([0, 0, 1]), (len(time_s), 1))
    after_s = np.arange(1000) / 1000
    displaced = (after_s / 0.05) ** 4 * np.exp(4 - after_s / 0.0125)
    acc_g, truth = add_evoked(np.random.default_rng(1), time_s, still, displaced[None], SITE)
    band = signal.butter(2, (3.0, 45.0), "bandpass", fs=200.0, output="sos")
    heard = signal.sosfiltfilt(band, acc_g - still, axis=0)
    assert len(truth) > 3
    assert truth["peak_to_peak_mg"].min() >= 10
    assert truth["peak_to_peak_mg"].max() <= 150
    for one in truth:
        near = np.abs(time_s - one["peak_s"]) < 0.3
        assert time_s[near][np.argmax(np.linalg.norm(heard[near], axis=1))] == pytest.approx(
            one["peak_s"], abs=0.006
        )
        main = np.linalg.svd(heard[near], full_matrices=False)[2][0]
        assert np.ptp(heard[near] @ main) * 1000 == pytest.approx(one["peak_to_peak_mg"], rel=0.04)


def test_twitches_of_people_kept_aside_meet_only_chests_of_people_kept_aside(tmp_path: Path) -> None:
    """Every resting chest is scored with evoked twitches too, each set of people by itself."""
    rng = np.random.default_rng(2)
    after_s = np.arange(1000) / 1000
    shapes = [np.exp(-0.5 * ((after_s - 0.1) / width_s) ** 2) for width_s in (0.02, 0.03)]
    np.savez(tmp_path / "tmg_twitches.npz", disp_mm=np.float32(shapes), subject=np.int16([3, 4]))
    time_s = np.arange(12_000) / 100
    np.savez(
        tmp_path / "chest_rest_mscardio.npz", rec_offsets=np.array([0, 6000, 12_000]),
        rec_subject=np.int16([6, 7]), t_s=np.tile(time_s[:6000], 2),
        acc_g=0.001 * rng.standard_normal((12_000, 3)) + np.array([0, 0, 1]),
    )  # fmt: skip
    for name in ("tmg_twitches", "chest_rest_mscardio"):
        (tmp_path / f"{name}.json").write_text("{}")
    aside, other = read_source(tmp_path, EVOKED)
    assert (aside.group, other.group) == (KEPT_ASIDE + ADDED_HERE, DEVELOPED + ADDED_HERE)
    widths = []
    for one in (aside, other):
        largest = one.truth[np.argmax(one.truth["peak_to_peak_mg"])]
        near = np.abs(one.time_s - largest["peak_s"]) < 0.2
        heard = one.acc_g[near] - one.acc_g.mean(axis=0)
        power = np.abs(np.fft.rfft(heard, axis=0)) ** 2
        widths.append(float(power.sum(axis=1) @ np.arange(len(power)) / power.sum()))
    assert widths[0] > 1.2 * widths[1]  # the sharper shape is of the person kept aside
    (tmp_path / "chest_rest_mscardio.npz").unlink()
    with pytest.raises(NotFoundError, match="chest_rest_mscardio"):
        read_source(tmp_path, EVOKED)
