"""docs/sensors.md says of every sensor what the program says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from firmware_host.sensors import models
from firmware_host.sensors.__main__ import cells

PAGE = (Path(__file__).parents[1] / "docs" / "sensors.md").read_text(encoding="utf-8")


def test_every_model_says_how_it_is_got_ready() -> None:
    """A model's own file says how it is got ready; the page is made from that."""
    assert all(model.preparing.endswith(".") for model in models().values())


def test_every_model_has_its_section() -> None:
    """A heading names each model, and no heading one that there is not."""
    named = re.findall(r"`(\w+)`", " ".join(re.findall(r"^### .*$", PAGE, flags=re.MULTILINE)))
    assert sorted(named) == sorted(models())


def test_smallest_twitch() -> None:
    """A chip of 90 ug per root Hz shows twitches of 4.8 mg; without a known noise nothing is promised."""
    model = replace(models()["thingy52"], noise_ug=90.0)
    assert model.smallest_twitch_mg == pytest.approx(4.8, abs=0.05)
    unknown = replace(model, noise_ug=None, battery_h=None)
    assert unknown.smallest_twitch_mg is None
    assert [cells(unknown)[name] for name in ("noise, µg/√Hz", "smallest twitch, mg", "battery, h")] == [
        "?"
    ] * 3
