"""What docs/sensors.md says of all models: `python -m firmware_host.sensors` prints it."""

from __future__ import annotations

import sys
import textwrap

from firmware_host.sensors import models
from firmware_host.sensors.protocol import Model

LOSS = {"counter": "counter", "stamps": "its clock", "none": "not for sure"}


def cells(model: Model) -> dict[str, str]:
    """Return what the table says of a model, by column."""
    whole = model.sample_type == "int16"
    return {
        "model": f"`{model.name}`",
        "sensor": model.label,
        "Hz": ", ".join(f"**{hz:g}**" if hz == model.fs_hz else f"{hz:g}" for hz in model.rates_hz),
        "± g": f"{model.range_g:g}",
        "step, mg": _known(1000 * model.g_per_count) if whole else "float",
        "noise, µg/√Hz": _known(model.noise_ug),
        "smallest twitch, mg": _known(model.smallest_twitch_mg),
        "battery, h": _known(model.battery_h),
        "packets/s": _known(model.fs_hz / model.samples_per_packet),
        "loss shows by": LOSS[model.counts],
    }


def listing() -> str:
    """Return the table of all models as Markdown."""
    known = list(models().values())
    heads = list(cells(known[0]))
    rows = [heads, ["---"] * len(heads), *(list(cells(model).values()) for model in known)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def sections() -> str:
    """Return a section for each model: how to get it ready, and what its users must know."""
    return "\n".join(_section(model) for model in models().values())


def _section(model: Model) -> str:
    ready = textwrap.fill(model.preparing, 116, break_long_words=False, break_on_hyphens=False)
    limits = "".join(f"- {limit}\n" for limit in model.limits)
    return f"### {model.label} (`{model.name}`)\n\n{ready}\n\n{limits}"


def _known(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    sys.stdout.write(f"{listing()}\n{sections()}")
