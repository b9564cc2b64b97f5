"""Candidates that were cut out of the signal, and the rows that their measures fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from firmware_host.detection import features, heart, lobes, waves
from firmware_host.detection.candidates import Int64, Picked
from firmware_host.detection.signals import Plan
from firmware_host.twitches import Flag, Table


class Cut(NamedTuple):
    """Candidates whose features are still to be measured; `at` counts internal samples of the stretch."""

    at: Int64
    picked: Picked
    train: Table
    snippets: features.Snippets


def measure_cuts(cuts: Sequence[Cut], plan: Plan, rows: Table) -> None:
    """Fill in what is measured of candidates.

    Parameters
    ----------
    cuts : sequence of Cut
        One at least.
    plan : Plan
    rows : table of `CANDIDATE_DTYPE`
        Zeros, one row a candidate.
    """
    parts = [cut.snippets for cut in cuts]
    bursts = features.make_bursts(
        features.Snippets(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in features.Snippets.__match_args__
            )
        ),
        plan.fs_internal_hz,
        plan.bandwidth_hz,
    )
    index = np.concatenate([cut.at for cut in cuts])
    middle = len(bursts.time_s) // 2
    for name in ("peak", "onset", "end"):
        offset = (getattr(bursts, name) - middle) / features.OVERSAMPLING
        rows[f"{name}_index"] = (index + offset) * plan.decimation
    rows["peak_to_peak_mg"] = features.peak_to_peak_mg(bursts)
    rows["snr"] = features.snr(bursts)
    rows["dominant_cps"] = features.dominant_hz(bursts) / plan.fs_hz
    rows["score"] = np.concatenate([cut.picked.score for cut in cuts])
    for flag, is_so in (
        (Flag.COMPLEX, [cut.picked.merged for cut in cuts]),
        (Flag.SIDE_LOBE, [cut.picked.lobe["side_lobe"] > 0 for cut in cuts]),
    ):
        rows["flags"] |= np.concatenate(is_so) * np.uint32(flag)
    rows["wave_mg"] = waves.on_grid(bursts.cut.band_mg, plan.fs_internal_hz)
    rows["floor_mg"] = np.sqrt(bursts.cut.floor)
    for name, function in features.FEATURES.items():
        rows[name] = function(bursts)
    for column in heart.HEART_COLUMNS:
        rows[column.name] = np.concatenate([cut.train[column.name] for cut in cuts])
    for column in lobes.LOBE_COLUMNS:
        rows[column.name] = np.concatenate([cut.picked.lobe[column.name] for cut in cuts])
