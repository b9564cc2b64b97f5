"""The last word on a candidate: which count, and how probable each is.

A model is a checked bundle that travels with everything it needs to be right. Kind "threshold" counts what
reaches the operating point of the candidate statistic and gives no probability.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadValueError

FRAME_VERSION = 1
"""Number of the candidate frame (bands, templates, floor, features): a model is made for one."""

OperatingPoint = Literal["specific", "balanced", "sensitive"]


class OperatingPoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lowest score that counts, from the fewest false alarms to the fewest missed twitches."""

    specific: float
    balanced: float
    sensitive: float


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A detector model: name, version, the frame it is for, operating points and how it was made."""

    name: str
    version: str
    frame: int
    kind: Literal["threshold"]
    operating_points: OperatingPoints
    made: str

    @property
    def lowest_score(self) -> float:
        """The score below which nothing is worth keeping as a candidate."""
        return self.operating_points.sensitive

    def probability(self, candidates: npt.NDArray[np.void]) -> npt.NDArray[np.float32]:
        """Return the probability of a twitch for each candidate; NaN, as a threshold knows none."""
        return np.full(len(candidates), np.nan, np.float32)

    def threshold(self, operating_point: str) -> float:
        """Return the lowest score that counts at an operating point.

        Raises
        ------
        BadValueError
            If there is no such operating point.
        """
        points = msgspec.structs.asdict(self.operating_points)
        if operating_point not in points:
            raise BadValueError(f"{operating_point!r} is no operating point; there are {', '.join(points)}.")
        return float(points[operating_point])

    def counted(
        self, candidates: npt.NDArray[np.void], operating_point: str = "balanced"
    ) -> npt.NDArray[np.bool_]:
        """Tell which candidates reach an operating point; raises as `threshold`."""
        return np.asarray(candidates["score"] >= self.threshold(operating_point))


def model_from_dict(bundle: Mapping[str, Any]) -> Model:
    """Make a model from the content of its file.

    Raises
    ------
    BadValueError
        If a field is missing, unknown or of the wrong type, a number is not finite, the operating points are
        not in order, or the model was made for another candidate frame.
    """
    try:
        model = msgspec.convert(dict(bundle), Model)
    except msgspec.ValidationError as error:
        raise BadValueError(f"The detector model cannot be used: {error}.") from error
    points = msgspec.structs.astuple(model.operating_points)
    if not all(math.isfinite(point) and point > 0 for point in points):
        raise BadValueError(
            f"The model {model.name!r} has an operating point that is no positive number: {points}."
        )
    if list(points) != sorted(points, reverse=True):
        raise BadValueError(
            f"The operating points of the model {model.name!r} must fall from specific to sensitive, "
            f"not be {points}."
        )
    if model.frame != FRAME_VERSION:
        raise BadValueError(
            f"The model {model.name!r} was made for candidate frame {model.frame}; this twitchmap has frame "
            f"{FRAME_VERSION}. Use a model shipped with this version or train yours again."
        )
    return model
