"""A column of numbers or of names as plain bytes, and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

TEXT = "text"


def packed(values: npt.NDArray[Any]) -> tuple[str, bytes]:
    """Return kind and bytes of a column.

    Of numbers the kind is their numpy type, little-endian. Of names, a few for many rows, it is `TEXT`: a
    line of JSON with the different ones, then the place of each row's in it, <u2.
    """
    if values.dtype.kind != "U":
        plain = values.astype(values.dtype.newbyteorder("<"))
        return plain.dtype.str, plain.tobytes()
    texts = values.tolist()
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    names = json.dumps(list(places)).encode()
    return TEXT, names + b"\n" + np.array([places[text] for text in texts], "<u2").tobytes()


def unpacked(kind: str, data: bytes) -> npt.NDArray[Any]:
    """Return the column of which `packed` made bytes; ValueError, TypeError or LookupError if none was."""
    if kind != TEXT:
        return np.frombuffer(data, np.dtype(kind))
    names, _, places = data.partition(b"\n")
    known: npt.NDArray[Any] = np.array([*json.loads(names), ""], "U")
    return np.asarray(known[np.frombuffer(places, "<u2")])
