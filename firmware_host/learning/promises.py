"""What a model must show, and whether the figures of an evaluation show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from firmware_host.learning.recordings import KEPT_ASIDE

Data = dict[str, Any]


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
    by_chip = [own["judges"][balanced]["per_h"] for own in noise.get("alarms", {}).get("chip", {}).values()]
    over = [row["judges"][balanced]["over_bank"] for row in noise.get("sizes", ())]
    known = [one for one in over if one is not None]
    wear = nights.get("wear", {})
    equal = (real.get("equal_recall", {}).get(KEPT_ASIDE, {}).get(balanced) or [None])[0] or {}
    still = [own for name, own in real.get("rest", {}).items() if name.endswith("motionless sensor")]
    return [
        _promise("white noise, worst chip (simulated): false alarms per h",
                 max((one for one in by_chip if one is not None), default=None), 0.1, at_most),
        _promise("white noise (simulated): size found 9 in 10 over the bank's, worst chip and rise",
                 None if len(known) < len(over) else max(known, default=None), 1.25, at_most),
        _promise("held-out nights (simulated): F1 for d >= 10",
                 _figure(nights, "mixed", balanced, "F1 d>=10"), 0.85, at_least),
        _promise("nights without twitches (simulated): false alarms per valid h",
                 _figure(nights, "no twitches", balanced, "false alarms per valid h"), 6.0, at_most),
        _promise("an hour or more on a table (simulated): share called valid",
                 wear.get("on_a_table_an_hour_or_more", {}).get("called_valid"), 0.05, at_most),
        _promise("truly worn still time (simulated): share called not worn",
                 wear.get("still_called_not_worn"), 0.05, at_most),
        _promise("chest at rest, people kept aside: times fewer false alarms than the plain detector "
                 "at equal recall of added twitches of 25 mg and up",
                 (equal.get("rest") or {}).get("fewer"), 20.0, at_least),
        # Few false alarms at next to no recall would be no merit, so the recall stands beside.
        _promise("the same recordings: share of the twitches of 25 mg and up that is found",
                 equal["found"] / equal["truths"] if equal else None, 0.5, at_least),
        _promise("motionless sensors: events, but for the one touch",
                 float(sum(own["events"][balanced] for own in still)) if still else None, 1.0, at_most),
    ]  # fmt: skip


def at_most(value: float, limit: float) -> bool:
    """Tell whether a value keeps under its limit."""
    return value <= limit


def at_least(value: float, limit: float) -> bool:
    """Tell whether a value reaches its limit."""
    return value >= limit


def _figure(nights: Data, situation: str, judge: str, name: str) -> float | None:
    own = nights.get(situation)
    value: float | None = own["judges"][judge]["figures"][name][0] if own else None
    return value


def _promise(text: str, value: float | None, limit: float, rule: Callable[[float, float], bool]) -> Promise:
    asked = f"at {'most' if rule is at_most else 'least'} {limit:g}"
    if value is None:
        return Promise(text, "-", asked, None)
    return Promise(text, f"{value:.3g}", asked, rule(value, limit))
