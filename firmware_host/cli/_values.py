"""Values as a person types them: numbers, lengths of time, and pairs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import click

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """Return the seconds of a length of time such as 15min."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h)", text.strip())
    if not match:
        raise click.BadParameter(f"{text!r} is no length of time; write 15min, 90s or 1h.")
    return float(match[1]) * _SECONDS[match[2]]


class Number(click.FloatRange):
    """A number in a range; `nan` lies in every range of click's and is refused here."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """Return what was typed as a number."""
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is no number.", param, ctx)
        return number


def pair(text: str) -> tuple[str, str]:
    """Split LEFT=RIGHT; neither may be empty."""
    left, _, right = text.partition("=")
    if not (left and right):
        raise click.BadParameter(f"{text!r} needs an equals sign with something on both sides.")
    return left, right


def pair_or_empty(text: str) -> tuple[str, str]:
    """Split LEFT=RIGHT; nothing on the right takes back what was said of the left."""
    left, equals, right = text.partition("=")
    if not (left and equals):
        raise click.BadParameter(f"{text!r} needs an equals sign with something before it.")
    return left, right


def once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return pairs as a dict, each name given once."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise click.UsageError(f"{name} is given twice.")
        found[name] = value
    return found
