"""The tables of docs/simulator.md, from what the simulator knows; `python -m` this module prints them."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from firmware_host.simulation.chips import CHIPS
from firmware_host.simulation.families import HELD_OUT, TRAINED
from firmware_host.simulation.happenings import Kind, kinds
from firmware_host.simulation.parameters import Range
from firmware_host.simulation.shapes import SHAPES

ALL_NIGHT = ("heart", "breath", "unrest")


def kinds_table() -> str:
    """Return every kind of confounder with how often it happens, as a Markdown table."""
    rows = [
        (kind.origin, name, f"{100 * kind.nights:g} %", _often(kind), *_ranges(kind), kind.source)
        for name, kind in sorted(kinds().items(), key=lambda item: (item[1].origin, item[0]))
    ]
    return _table(("from", "kind", "nights", "an hour", "lasts, s", "size, mg", "source"), rows)


def chips_table() -> str:
    """Return every chip as a Markdown table."""
    rows = [
        (
            chip.name,
            f"{chip.noise_ug_per_sqrt_hz:g}",
            f"{chip.mg_per_count:g}",
            f"{chip.range_g:g}",
            ", ".join(f"{rate:g}" for rate in chip.rates_hz),
            "crystal" if chip.clock == "crystal" else "RC",
            "yes" if chip.filtered else "no",
            "held out" if chip.name not in TRAINED.chips else "",
            chip.source,
        )
        for chip in CHIPS.values()
    ]
    names = ("chip", "noise, ug per root Hz", "step, mg", "range, g", "rates, Hz", "clock", "low-pass",
             "training", "source")  # fmt: skip
    return _table(names, rows)


def families_table() -> str:
    """Return what training sees and what is kept from it, as a Markdown table."""
    unseen = [name for name in kinds() if name not in TRAINED.confounders]
    rows = [
        ("twitch shapes", _names(TRAINED.shapes), _names([one for one in SHAPES if one in HELD_OUT.shapes])),
        ("confounders", "all others", _names(unseen)),
        ("chips", _names(TRAINED.chips), _names(HELD_OUT.chips)),
        (
            "rates, Hz",
            _names(f"{rate:g}" for rate in sorted(TRAINED.rates_hz)),
            _names(f"{rate:g}" for rate in sorted(HELD_OUT.rates_hz)),
        ),
    ]
    return _table(("family", "trained on", "only in the evaluation"), rows)


def _often(kind: Kind) -> str:
    if kind.name in ALL_NIGHT:
        return "all night"
    if not kind.per_hour:
        return "once"
    return f"{kind.per_hour:g}" + ("" if kind.when == "any" else f" {kind.when}")


def _ranges(kind: Kind) -> tuple[str, str]:
    return ("" if kind.name in ALL_NIGHT else _range(kind.duration_s)), _range(kind.size_mg)


def _range(limits: Range) -> str:
    return f"{limits[0]:g}-{limits[1]:g}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [names, ("---",) * len(names), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    sys.stdout.write("\n\n".join((kinds_table(), chips_table(), families_table())) + "\n")
