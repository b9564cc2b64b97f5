"""How honest limits and intervals prove on simulated site-nights that nothing was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from firmware_host.learning.rate_fit import BESIDE_S, BIN_S, LEAST_VALID_S, Known, counts, gaps, truly
from firmware_host.twitch_map import RateModel
from firmware_host.twitch_map.limits import limit_over

NEAR = (0.9, 1.1)
MANY = 20
"""Twitches of one unit that count in full near the limit."""


def coverage(nights: Sequence[Known], model: RateModel, bin_s: float | None) -> dict[str, Any]:
    """Return how often intervals hold the true twitches above the limit, by how many those are."""
    rows = []
    for one in nights:
        for row in counts(one, model, bin_s):
            if row["valid_s"] < LEAST_VALID_S or not np.isfinite(row["detection_limit_mg"]):
                continue
            there = truly(one, row)
            hours = row["valid_s"] / 3600
            low, guess, high = (float(row[name]) * hours for name in ("rate_low", "rate_per_h", "rate_high"))
            rows.append((there, low, guess, high, int(row["twitches"])))
    table = np.array(rows)
    there, low, guess, high = table[:, :4].T
    held = (there >= low - 0.01) & (there <= high + 0.01)
    groups = {"all": np.ones(len(table), bool)}
    edges = (0, 1, 3, 10, 30, 100, 1000, np.inf)
    for a, b in pairwise(edges):
        groups[f"{a:g}-{b - 1:g}" if b > a + 1 else f"{a:g}"] = (there >= a) & (there < b)
    return {
        name: {
            "site_bins": int(own.sum()), "held": float(held[own].mean()),
            "below": float((there < low - 0.01)[own].mean()),
            "above": float((there > high + 0.01)[own].mean()),
            "truths": int(there[own].sum()), "estimated": float(guess[own].sum()),
            "width": float(np.median((high - low)[own])),
        }
        for name, own in groups.items() if own.any()
    }  # fmt: skip


def near_limit(nights: Sequence[Known], *, alone: bool = False) -> dict[str, Any]:
    """Return the share found of true twitches of 0.9-1.1 times their hour's limit, all units alike.

    `alone`: only those that are farther than a second from any other counted event.
    """
    shares, weights, twitches = [], [], 0
    for one in nights:
        hours = one.limit.noise_at(one.truth["peak_s"])
        limits = {noise: limit_over(one.limit.share, np.array([noise]), np.ones(1), one.limit.largest_mg)
                  for noise in np.unique(hours).tolist()}  # fmt: skip
        ratio = one.truth["peak_to_peak_mg"] / np.array([limits[noise] for noise in hours.tolist()])
        near = (ratio > NEAR[0]) & (ratio < NEAR[1])
        if alone:
            near &= gaps(one) > BESIDE_S
        for unit in np.unique(one.truth["unit"][near]).tolist():
            own = near & (one.truth["unit"] == unit)
            twitches += int(own.sum())
            shares.append(float(one.found[own].mean()))
            weights.append(min(float(own.sum()), float(MANY)))
    if not shares:
        return {"units": 0, "twitches": 0, "share": None, "median": None}
    share = float(np.average(shares, weights=weights))
    return {"units": len(shares), "twitches": twitches, "share": share, "median": float(np.median(shares))}


def shown(nights: Sequence[Known], model: RateModel) -> dict[str, Any]:
    """Return the figures of the limit and of the intervals."""
    return {
        "site_nights_with_limit": len(nights),
        "found_near_limit": near_limit(nights),
        "found_near_limit_alone": near_limit(nights, alone=True),
        "night": coverage(nights, model, None),
        "bins_of_15_min": coverage(nights, model, BIN_S),
    }
