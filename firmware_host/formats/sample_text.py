"""Samples as lines of text, made by whole columns: tens of millions of numbers a night."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Texts = npt.NDArray[np.uint8]
"""(n, width) characters of n texts; 0 is no character and falls away when they are joined."""
Numbers = npt.NDArray[np.int16] | npt.NDArray[np.float32]


def number_texts(step: float, kind: str) -> Callable[[Numbers], Texts]:
    """Return what writes a column of a sensor's own numbers in a unit of which one count is `step`.

    int16 have a text each, made once, with two digits more than the step needs; floats have seven digits,
    and n/a where they are no number.
    """
    if kind != "int16":
        return lambda values: _characters(
            [f"{value:.7g}" if value == value else "n/a" for value in (values * step).tolist()]
        )
    every = _every_count(step)
    return lambda values: every[values.astype(np.int32) + (1 << 15)]


@functools.lru_cache(maxsize=4)
def _every_count(step: float) -> Texts:
    digits = max(0, int(np.ceil(-np.log10(step)))) + 2
    return _characters([f"{count * step:.{digits}f}" for count in range(-(1 << 15), 1 << 15)])


def second_texts(micros: npt.NDArray[np.int64]) -> Texts:
    """Write times of whole microseconds, zero and more, as seconds with six decimals."""
    digits = max(7, len(str(int(micros.max(initial=0)))))
    out = np.zeros((len(micros), digits + 1), np.uint8)
    rest = micros
    for place in range(digits):  # from the last digit on
        rest, digit = np.divmod(rest, 10)
        column = digits - place if place < 6 else digits - place - 1
        out[:, column] = digit + ord("0")
        if place >= 6 + 1:  # zeros that lead
            out[(rest == 0) & (digit == 0), column] = 0
    out[:, digits - 6] = ord(".")
    return out


def lines(columns: list[Texts]) -> bytes:
    """Join columns to lines, with tabs between."""
    tab = np.full((len(columns[0]), 1), ord("\t"), np.uint8)
    parts = [part for column in columns for part in (column, tab)]
    parts[-1] = np.full_like(tab, ord("\n"))
    flat = np.concatenate(parts, axis=1).ravel()
    kept: Texts = flat[flat != 0]
    return kept.tobytes()


def _characters(texts: list[str]) -> Texts:
    array = np.array([text.encode("ascii") for text in texts] or [b""])
    return array.view(np.uint8).reshape(len(array), -1)
