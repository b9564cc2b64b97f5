"""What a model must show, and whether the figures of an evaluation show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from firmware_host.learning.noise_score import BUDGET_PER_H
from firmware_host.learning.noise_summary import MOST_OVER_BANK
from firmware_host.learning.recordings import ADDED_HERE, KEPT_ASIDE

Data = dict[str, Any]
Rule = Callable[[float, float], bool]

LEAST_VALID = 0.6
"""Of the time without movement and gaps so much must be valid: whoever looks away is seldom wrong."""


@dataclass(frozen=True)
class Promise:
    """A figure, what was measured, what is asked for, and whether it is met; None where not measured."""

    text: str
    value: str
    limit: str
    met: bool | None


def promises(result: Data) -> list[Promise]:
    """Compare an evaluation of a model at its balanced point with what it must show."""
    balanced = f"{result['model']['name']} balanced"
    nights, noise, real = result["nights"] or {}, result["noise"] or {}, result["real"] or {}
    wear = nights.get("wear", {})
    table = wear.get("on_a_table_an_hour_or_more", {})
    still = [own for name, own in real.get("rest", {}).items() if name.endswith("motionless sensor")]
    return [
        *_noise(noise, balanced),
        _figure("held-out nights (simulated): F1 for d >= 10",
                nights, "mixed", balanced, "F1 d>=10", 0.90, at_least),
        _figure("held-out nights (simulated): F1 for d >= 6.6",
                nights, "mixed", balanced, "F1 d>=6.6", 0.80, at_least),
        _figure("nights without twitches (simulated): false alarms per valid h",
                nights, "no twitches", balanced, "false alarms per valid h", 3.0, at_most),
        _figure("chest with only heartbeats (simulated): false alarms per valid h",
                nights, "only heartbeats", balanced, "false alarms per valid h", 1.0, at_most),
        *_of_units(nights.get("mixed", {}), result["model"]["name"]),
        _promise("an hour or more on a table (simulated): share called valid",
                 table.get("called_valid"), 0.05, at_most, f"{table.get('spells')} times"),
        _promise("truly worn still time (simulated): share called not worn",
                 wear.get("still_called_not_worn"), 0.05, at_most, f"{wear.get('still_h', 0):.0f} h"),
        *_rest(real.get("equal_recall", {}).get(KEPT_ASIDE + ADDED_HERE, {}).get(balanced, {})),
        *_chest(real, balanced),
        _promise("motionless sensors: events",
                 float(sum(own["events"][balanced] for own in still)) if still else None, 0.0, at_most),
    ]  # fmt: skip


def _of_units(mixed: Data, name: str) -> list[Promise]:
    """Judge units that fire often, and the honesty of probabilities, on mixed nights."""
    often = mixed.get("often_firing", {}).get(f"{name} balanced", {})
    error = mixed.get("calibration", {}).get(name, {}).get("expected_error")
    basis = f"{often.get('found')} of {often.get('truths')} found, the filter {often.get('bound') or 0:.0f}"
    return [
        _promise(
            "units of 50 twitches a night and more (simulated): found over what a filter of the known unit "
            "would find at 1 false alarm an hour", often.get("over_bound"), 0.9, at_least, basis,
        ),
        _promise("mixed nights (simulated): expected calibration error", error, 0.02, at_most),
    ]  # fmt: skip


def _chest(real: Data, balanced: str) -> list[Promise]:
    """Judge the chest of people kept aside by its own false alarms at rest, and what is found beside."""
    rest = real.get("rest", {}).get(f"chest_rest_mscardio: {KEPT_ASIDE}", {})
    bins = real.get("added", {}).get(KEPT_ASIDE + ADDED_HERE, {}).get(balanced, {})
    found = [
        _seen(
            "chest at rest, people kept aside: events per valid h",
            rest.get("per_valid_h", {}).get(balanced), 10.0, at_most,
            f"{rest.get('events', {}).get(balanced)} events", {"valid": rest.get("valid_share", 0.0)},
        )
    ]  # fmt: skip
    for low, high, least in ((25.0, 40.0, 0.6), (40.0, 150.0, 0.9)):
        own = [one for one in bins.get("recall_by_amplitude_mg", ()) if low <= one["low"] < high]
        truths, hits = (sum(one[name] for one in own) for name in ("truths", "found"))
        text = f"the same recordings: share of the added twitches of {low:g}-{high:g} mg that is found"
        share = hits / truths if truths else None
        found.append(_promise(text, share, least, at_least, f"{hits} of {truths}"))
    return found


def _noise(noise: Data, balanced: str) -> list[Promise]:
    """Judge white noise: all chips by the upper limit, each by whether it is too bad for chance."""
    alarms, over = noise.get("alarms", {}), noise.get("over_bank", {}).get(balanced)
    every = alarms["all"] if alarms else {}
    own = every["judges"][balanced] if alarms else {}
    chips = {chip: one["judges"][balanced] for chip, one in alarms.get("chip", {}).items()}
    above = [chip for chip, one in chips.items() if one["above"]]
    below = sum((one["at_most_per_h"] or 1.0) <= BUDGET_PER_H for one in chips.values())
    worst = max(chips.items(), key=lambda pair: pair[1]["per_h"] or 0.0, default=None)
    each = worst and (
        f"highest {worst[0]} {worst[1]['per_h'] or 0:.2g}; {below} of {len(chips)} surely below, "
        f"{len(above)} above beyond chance"
    )
    rises = (
        [f"{rise} ms {one['mean']:.3f} +- {one['error']:.3f}" for rise, one in over["rises"].items()]
        if over
        else []
    )
    largest = (over or {}).get("largest")
    single = largest and (
        f"largest {largest['ratio']:.2f} +- {largest['error']:.2f} "
        f"({largest['chip']}, {largest['rise_ms']:.0f} ms); "
        f"{over['above']} above beyond chance, {over['not_reached']} not reached"
    )
    return [
        _promise("white noise, all chips (simulated): false alarms per h, upper 95 % limit",
                 own.get("at_most_per_h"), BUDGET_PER_H, at_most,
                 f"{own.get('count')} in {every.get('valid_h', 0):.0f} h"),
        Promise("white noise, each chip (simulated): false alarms per h", each or "-",
                f"none above {BUDGET_PER_H:g} beyond chance", None if not chips else not above),
        _promise("white noise (simulated): size found 9 in 10 over the bank's, mean of chips, worst rise, "
                 "upper 95 % limit", (over or {}).get("most"), MOST_OVER_BANK, at_most, ", ".join(rises)),
        Promise("the same, each chip and rise", single or "-",
                f"all reached, none above {MOST_OVER_BANK:g} beyond chance",
                None if not over else not over["above"] and not over["not_reached"]),
    ]  # fmt: skip


def _rest(equal: Data) -> list[Promise]:
    """Judge the chest at rest of people kept aside at equal recall, as it is and without chance."""
    found = []
    for name, text in (
        ("raw", "chest at rest, people kept aside: times fewer false alarms than the plain detector at equal "
                "recall of all added twitches"),
        ("beyond_chance", "the same, recall without what is met by chance"),
    ):  # fmt: skip
        every = (equal.get(name) or [None])[0] or {}
        rest = every.get("rest") or {}
        minutes = 60 * rest.get("valid_h", 0.0)
        against = f"{rest.get('alarms')} against {rest.get('plain_alarms')} in {minutes:.0f} min"
        found.append(_promise(text, rest.get("fewer"), 20.0, at_least, against))
    large = (equal.get("raw") or [None, None])[1]
    # Few false alarms at next to no recall would be no merit, so the recall stands beside.
    share = large["found"] / large["truths"] if large else None
    text = "the same recordings: share of the added twitches of 25 mg and up that is found"
    return [
        *found,
        _promise(text, share, 0.5, at_least, f"{large['found']} of {large['truths']}" if large else ""),
    ]


def at_most(value: float, limit: float) -> bool:
    """Tell whether a value keeps under its limit."""
    return value <= limit


def at_least(value: float, limit: float) -> bool:
    """Tell whether a value reaches its limit."""
    return value >= limit


def _figure(
    text: str, nights: Data, situation: str, judge: str, name: str, limit: float, rule: Rule
) -> Promise:
    own = nights.get(situation)
    value, low, high = own["judges"][judge]["figures"][name] if own else (None, None, None)
    interval = "" if low is None else f"95 %: {low:.3g} to {high:.3g}"
    return _seen(text, value, limit, rule, interval, own["time_share"] if own else {})


def _seen(
    text: str, value: float | None, limit: float, rule: Rule, basis: str, time_share: dict[str, float]
) -> Promise:
    """Judge a score beside the share of time that it is of; of too little quiet time it does not count."""
    valid = time_share.get("valid", 0.0)
    quiet = 1.0 - time_share.get("movement", 0.0) - time_share.get("gap", 0.0)
    told = _promise(
        text, value, limit, rule, f"{basis}{'; ' * bool(basis)}{100 * valid:.1f} % of the time valid"
    )
    return replace(told, met=False) if told.met and valid < LEAST_VALID * quiet else told


def _promise(text: str, value: float | None, limit: float, rule: Rule, basis: str = "") -> Promise:
    asked = f"at {'most' if rule is at_most else 'least'} {limit:g}"
    if value is None:
        return Promise(text, "-", asked, None)
    return Promise(text, f"{value:.3g}" + f" ({basis})" * bool(basis), asked, rule(value, limit))
