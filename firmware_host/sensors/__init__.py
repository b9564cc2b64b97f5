"""Sensor models, one file each, found by discovery: bytes to samples and back, without input or output.

A file holds `MODELS`, a tuple of `Model`, with their drivers and peripherals; a new sensor is a new file.
"""

from __future__ import annotations

import difflib
import pkgutil
from functools import cache
from importlib import import_module

from firmware_host.errors import BadValueError
from firmware_host.sensors.protocol import Advertisement, Model


@cache
def models() -> dict[str, Model]:
    """Return every known model by its name, sorted."""
    found: dict[str, Model] = {}
    for module in pkgutil.iter_modules(__path__):
        for model in getattr(import_module(f"{__name__}.{module.name}"), "MODELS", ()):
            found[model.name] = model
    return dict(sorted(found.items()))


def model_named(name: str) -> Model:
    """Return a model by its name.

    Raises
    ------
    BadValueError
        If there is none; the sentence lists the nearest, or all.
    """
    known = models()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=3)
    raise BadValueError(
        f"There is no sensor model {name!r}. "
        + (f"Did you mean {' or '.join(near)}?" if near else f"Models: {', '.join(known)}.")
    )


def identify(advertisement: Advertisement) -> Model | None:
    """Return the model that advertises so, None where no model does."""
    return next((model for model in models().values() if model.matches(advertisement)), None)
