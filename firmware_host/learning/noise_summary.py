"""White noise summed up: how often each chip gives false alarms, and sizes found 9 times in 10.

Events are rare and hours few: that the worst of fifteen chips looks bad may be chance, and that none does
only shows that none is bad enough to be noticed. Both are told here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import special

from firmware_host.learning import bounds
from firmware_host.learning.found_size import found_9_in_10
from firmware_host.learning.intervals import LEVEL, chance_of, least_per_h, most_per_h, noticed_per_h
from firmware_host.learning.noise_score import BUDGET_PER_H, NoiseResult, band_of
from firmware_host.learning.summaries import JudgeName, label

MOST_OVER_BANK = 1.15
RATES_HZ = ((45.0, 60.0), (90.0, 110.0), (190.0, 240.0), (390.0, 510.0))
"""Groups of rates that are told together."""


def noise_summary(results: Sequence[NoiseResult], judges: Sequence[JudgeName]) -> dict[str, Any]:
    """Sum up recordings of noise by chip and by rate, and sizes found 9 times in 10 beside the limits."""
    silent = [one for one in results if not one.case.with_twitches]
    twitching = [one for one in results if one.case.with_twitches]
    chips = list(dict.fromkeys(one.case.chip for one in results))
    of_chip = {chip: [one for one in silent if one.case.chip == chip] for chip in chips}
    of_rate = {
        f"{low:g}-{high:g} Hz": [one for one in silent if low <= one.case.fs_hz <= high]
        for low, high in RATES_HZ
    }
    alarms = {
        "all": _alarms(silent, judges, 1),
        "chip": {chip: _alarms(own, judges, len(chips)) for chip, own in of_chip.items()},
        "rate": {rate: _alarms(own, judges, len(RATES_HZ)) for rate, own in of_rate.items() if own},
    }
    compared_at = {judge: _compared_at(silent, twitching, judge) for judge in judges}
    rows = [
        row
        for chip in chips
        for row in _sizes([one for one in twitching if one.case.chip == chip], compared_at)
    ]
    return {
        "alarms": alarms,
        "compared_at_per_h": {label(judge): rate for judge, rate in compared_at.items()},
        "sizes": rows,
        "over_bank": {label(judge): over_bank(rows, label(judge)) for judge in judges},
    }


def _alarms(results: Sequence[NoiseResult], judges: Sequence[JudgeName], beside: int) -> dict[str, Any]:
    """Count false alarms; `above` is beyond what chance gives one of so many groups at the limit."""
    hours = sum(one.valid_h for one in results)
    counts = {judge: sum(one.false_alarms[judge] for one in results) for judge in judges}
    chance = (1 - LEVEL) / beside
    return {
        "valid_h": hours,
        "hours": sum(one.case.hours for one in results),
        "density": float(np.median([np.sqrt(np.mean(one.density**2)) for one in results])),
        "noticed_from_per_h": noticed_per_h(BUDGET_PER_H, hours, chance),
        "judges": {
            label(judge): {
                "count": count,
                "per_h": count / hours if hours else None,
                "at_least_per_h": least_per_h(count, hours),
                "at_most_per_h": most_per_h(count, hours),
                "above": chance_of(count, BUDGET_PER_H * hours) < chance,
            }
            for judge, count in counts.items()
        },
    }


def _compared_at(silent: Sequence[NoiseResult], twitching: Sequence[NoiseResult], judge: JudgeName) -> float:
    """Return the false alarms an hour at which sizes are compared with the limits.

    A model that knows its site may count more where it twitches: false alarms there, away from any twitch,
    count where they are more.
    """
    pairs = (
        (sum(one.false_alarms[judge] for one in silent), sum(one.valid_h for one in silent)),
        (sum(one.alone[judge] for one in twitching), sum(one.alone_h for one in twitching)),
    )
    return max(BUDGET_PER_H, *(count / hours if hours else 0.0 for count, hours in pairs))


def _sizes(results: Sequence[NoiseResult], compared_at: dict[JudgeName, float]) -> Iterable[dict[str, Any]]:
    """Yield for each rise what one chip needs, beside the limits for its measured density."""
    if not results:
        return
    case = results[0].case
    band = band_of(case.fs_hz)
    density = np.sqrt(np.mean([one.density**2 for one in results], axis=0))
    rise_s, size_mg = (
        np.concatenate([getattr(one, name) for one in results]) for name in ("rise_s", "size_mg")
    )
    for rise in bounds.BANK_RISE_S:
        own = rise_s == rise
        judged = {}
        for judge, rate in compared_at.items():
            found = np.concatenate([one.found[judge] for one in results])[own]
            size = found_9_in_10(size_mg[own], found) if own.any() else None
            bank = bounds.bank_mg(rise, band, density, rate)
            judged[label(judge)] = {
                "mg": size.mg if size else None,
                "error_mg": size.error_mg if size else None,
                "bank_mg": bank,
                "known_shape_mg": bounds.known_shape_mg(rise, band, density, rate),
                "over_bank": size.mg / bank if size and size.mg else None,
                "over_bank_error": size.error_mg / bank if size and size.error_mg else None,
            }
        yield {
            "chip": case.chip, "fs_hz": case.fs_hz, "rise_ms": 1000 * rise, "twitches": int(own.sum()),
            "density": density.tolist(), "judges": judged,
        }  # fmt: skip


def over_bank(rows: Sequence[dict[str, Any]], judge: str) -> dict[str, Any] | None:
    """Sum up sizes over the bank's: the mean of the chips for each rise, and the largest of all.

    The largest of many uncertain figures is too large, so the means are what is asked about (`most`: the
    largest mean's upper 95 % limit), and of single ones only whether any is `above` the limit beyond chance.
    """
    if not rows:
        return None
    single = [(row["chip"], row["rise_ms"], row["judges"][judge]) for row in rows]
    known = [
        (each["over_bank"], each["over_bank_error"], chip, rise)
        for chip, rise, each in single
        if each["over_bank"]
    ]
    rises: dict[str, Any] = {}
    for rise in dict.fromkeys(rise for _, rise, _ in single):
        own = np.array([(ratio, error) for ratio, error, _, at in known if at == rise])
        if len(own):
            error = float(np.sqrt((own[:, 1] ** 2).sum())) / len(own)
            rises[f"{rise:g}"] = {"mean": float(own[:, 0].mean()), "error": error, "chips": len(own)}
    beyond = float(special.ndtri(1 - (1 - LEVEL) / len(single)))
    return {
        "rises": rises,
        "most": max(
            (one["mean"] + special.ndtri(LEVEL) * one["error"] for one in rises.values()), default=None
        ),
        "largest": dict(zip(("ratio", "error", "chip", "rise_ms"), max(known), strict=True))
        if known
        else None,
        "above": sum(ratio - beyond * error > MOST_OVER_BANK for ratio, error, _, _ in known),
        "not_reached": len(single) - len(known),
    }
