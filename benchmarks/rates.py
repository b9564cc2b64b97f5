"""Print the counts of the same simulated bodies at three sampling rates: `python benchmarks/rates.py`.

It takes some minutes. Three nights of an hour on three sites that twitch often, all confounders, no trouble
with the radio.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from firmware_host.analysis import find_candidates, judge, load_model
from firmware_host.simulation import simulate_night
from firmware_host.simulation.cohort import NightSpec

RATES_HZ = (100.0, 200.0, 416.0)
SEEDS = (1, 2, 3)
SITES = ("left_calf", "right_forearm", "left_chest")


def counted(seed: int, fs_hz: float) -> int:
    """Return how many events of one night count."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "rates.night")
        chips = ("LSM6DSOX",) * len(SITES)
        spec = NightSpec(
            seed=seed, hours=1.0, fs_hz=fs_hz, profile="many", sites=SITES, chips=chips, troubles=False
        )
        simulate_night(path, spec=spec)
        model, _ = load_model("standard")
        return int(judge(find_candidates(path, model.search_score), model, "balanced")["counted"].sum())


if __name__ == "__main__":
    totals = [sum(counted(seed, fs_hz) for seed in SEEDS) for fs_hz in RATES_HZ]
    for fs_hz, total in zip(RATES_HZ, totals, strict=True):
        change = total / totals[0] - 1
        print(f"{fs_hz:g} Hz: {total} events (simulated), {change:+.2%} against {RATES_HZ[0]:g} Hz")
