"""Arguments of the notebook functions: a wrong type is told in a sentence, before anything is done."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from firmware_host.errors import BadValueError


def path_of(value: object, what: str) -> Path:
    """Return a path; raises `BadValueError` for what is none, in a sentence that begins with `what`."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str):
        raise BadValueError(f"{what} is given as a path, not as {kind_of(value)}.")
    if "\0" in path:
        raise BadValueError(f"{what} is given as a path, which {path!r} is not.")
    return Path(path)


def number_of(value: object, what: str) -> float:
    """Return a number, also one of numpy; raises `BadValueError` for anything else, truth values among it."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise BadValueError(f"{what} is given as a number, not as {kind_of(value)}.")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def whole_of(value: object, what: str) -> int:
    """Return a whole number; raises `BadValueError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise BadValueError(f"{what} is given as a whole number, not as {kind_of(value)}.")
    return int(value)


def text_of(value: object, what: str) -> str:
    """Return a text; raises `BadValueError` for anything else."""
    if not isinstance(value, str):
        raise BadValueError(f"{what} is given as a text, not as {kind_of(value)}.")
    return str(value)


def texts_of(value: object, what: str) -> tuple[str, ...]:
    """Return several texts; raises `BadValueError` for anything else, a single text among it."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise BadValueError(f"{what} are given as a list of texts, not as {kind_of(value)}.")
    return tuple(text_of(one, f"Each of the {what.lower()}") for one in value)


def name_of(value: object, names: Collection[str], what: str) -> str:
    """Return one of several names; raises `BadValueError`, which lists them, for anything else."""
    if isinstance(value, str) and value in names:
        return value
    asked = repr(value) if isinstance(value, str | int) else f"that is {kind_of(value)}"
    raise BadValueError(f"There is no {what} {asked}; the {what}s are {', '.join(names)}.")


def kind_of(value: object) -> str:
    """Return what a sentence calls a value of the wrong type."""
    return "None" if value is None else f"something of type {type(value).__name__}"
