"""The last word on a candidate: which count, and how probable each is.

A model is a checked bundle that travels with everything it needs to be right. Kind "threshold" counts what
reaches the operating point of the candidate statistic and gives no probability; kind "boosted" gives a
calibrated probability from trees over the candidate's shape, its heartbeat and its surroundings, and counts
what reaches the operating point of that. Kind "corrected" is such a model with what labels of a user add.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import special

from firmware_host.detection.context import CANDIDATE_SCORE, CONTEXT_COLUMNS
from firmware_host.detection.detector import CANDIDATE_COLUMNS
from firmware_host.detection.lobes import are_bursts
from firmware_host.detection.signals import Bool, Float64
from firmware_host.detection.trees import MOST_LOG_ODDS, Forest, Tree, are_log_odds
from firmware_host.detection.unit_features import UNIT_FEATURES
from firmware_host.errors import BadValueError
from firmware_host.twitches import Table

FRAME_VERSION = 6
"""Number of the candidate frame (bands, templates, floor, features): a model is made for one."""

MODEL_FEATURES: tuple[str, ...] = (
    "duration_ms",
    "dominant_hz",
    *(c.name for c in CANDIDATE_COLUMNS if c.name != "flags" and c.unit not in {"samples", "1/sample"}),
    *(c.name for c in CONTEXT_COLUMNS),
)
"""All that a model may look at in pass 1, by the names of the columns of a candidate."""
SECOND_FEATURES: tuple[str, ...] = (*MODEL_FEATURES, *(c.name for c in UNIT_FEATURES))
"""The same in pass 2."""

OperatingPoint = Literal["specific", "balanced", "sensitive"]


class OperatingPoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The least score or probability that counts, from the fewest false alarms to the fewest missed."""

    specific: float
    balanced: float
    sensitive: float


def _fault_of_order(operating_points: OperatingPoints) -> str | None:
    points = msgspec.structs.astuple(operating_points)
    if not all(math.isfinite(point) and point > 0 for point in points):
        return f"has an operating point that is no positive number: {points}"
    if list(points) != sorted(points, reverse=True):
        return f"has operating points that do not fall from specific to sensitive: {points}"
    return None


class _Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every model has: name, version, the frame it is for, operating points and how it was made."""

    name: str
    version: str
    frame: int
    operating_points: OperatingPoints
    made: str

    @property
    def kind(self) -> str:
        """Return "threshold", "boosted" or "corrected"."""
        return str(self.__struct_config__.tag)

    def threshold(self, operating_point: str) -> float:
        """Return the lowest score, or probability, that counts at an operating point.

        Raises
        ------
        BadValueError
            If there is no such operating point.
        """
        points = msgspec.structs.asdict(self.operating_points)
        if operating_point not in points:
            raise BadValueError(f"{operating_point!r} is no operating point; there are {', '.join(points)}.")
        return float(points[operating_point])

    def settings(self) -> dict[str, Any]:
        """Return what is worth storing with each run: the bundle without its trees."""
        content: dict[str, Any] = msgspec.to_builtins(self)
        for name in ("trees", "correction"):
            content.pop(name, None)
        return content

    def fault(self) -> str | None:
        """Say what no check of types finds wrong; None if all is right."""
        return _fault_of_order(self.operating_points)


class ThresholdModel(_Bundle, frozen=True, tag="threshold"):
    """Counts by the candidate statistic alone; its operating points are scores."""

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return ("score",)

    @property
    def lowest_score(self) -> float:
        """The score below which nothing is worth keeping as a candidate."""
        return self.operating_points.sensitive

    @property
    def second(self) -> None:
        """None: it has one pass."""

    @property
    def search_score(self) -> float:
        """The same: it has one pass."""
        return self.lowest_score

    def probability(self, candidates: Table) -> Float64:
        """Return NaN for each candidate: a threshold knows no probability."""
        return np.full(len(candidates), np.nan)

    def counted(
        self,
        candidates: Table,
        operating_point: str = "balanced",
        probability: Float64 | None = None,  # noqa: ARG002 - as of the other kind
    ) -> Bool:
        """Tell which candidates reach an operating point, no side lobes; raises as `threshold`."""
        return np.asarray((candidates["score"] >= self.threshold(operating_point)) & are_bursts(candidates))


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From the trees' log-odds to honest ones: straight between knots, flat beyond the first and last."""

    log_odds: tuple[float, ...]
    calibrated: tuple[float, ...]

    def fault(self) -> str | None:
        """Say what is wrong; None if it is a map that never falls."""
        if len(self.log_odds) != len(self.calibrated) or not self.log_odds:
            return "has a calibration without knots, or of unequal columns"
        if not are_log_odds(self.log_odds + self.calibrated):
            return "has a calibration with a number that is not finite or far too large"
        if any(a >= b for a, b in pairwise(self.log_odds)) or any(
            a > b for a, b in pairwise(self.calibrated)
        ):
            return "has a calibration that does not rise"
        return None


class _ByTrees:
    """What trees and their calibration say of candidates; mixed into what has them."""

    features: tuple[str, ...]
    baseline: float
    trees: tuple[Tree, ...]
    calibration: Calibration

    @cached_property
    def _forest(self) -> Forest:
        return Forest(self.trees, len(self.features))

    def log_odds(self, features: Float64) -> Float64:
        """Return the trees' log-odds of a twitch, not calibrated, for rows (n, features)."""
        return self._forest.sum(features, self.baseline)

    def honest(self, log_odds: Float64) -> Float64:
        """Return the calibrated log-odds of log-odds as `log_odds` gives them."""
        return np.interp(log_odds, self.calibration.log_odds, self.calibration.calibrated)

    def calibrated(self, log_odds: Float64) -> Float64:
        """Return the probabilities of log-odds as `log_odds` gives them."""
        return np.asarray(special.expit(self.honest(log_odds)))

    def _fault_of_trees(self, known: Sequence[str]) -> str | None:
        unknown = [name for name in self.features if name not in known]
        if unknown:
            return f"asks for {unknown[0]!r}, which no candidate has"
        if len(set(self.features)) != len(self.features) or not self.features:
            return "names no feature, or one twice"
        if not are_log_odds([self.baseline]):
            return f"has a baseline of {self.baseline}, which is no log-odds"
        for number, tree in enumerate(self.trees):
            fault = tree.fault(len(self.features))
            if fault is not None:
                return f"holds a tree, number {number}, that {fault}"
        return self.calibration.fault()


def _fault_of_points(points: OperatingPoints, candidate_score: float) -> str | None:
    if points.specific >= 1:
        return "has an operating point that is no probability below 1"
    if not 0 < candidate_score <= CANDIDATE_SCORE:
        return f"keeps candidates from {candidate_score}, not from a score of at most {CANDIDATE_SCORE}"
    return None


class SideLobes(_ByTrees, msgspec.Struct, frozen=True, dict=True, forbid_unknown_fields=True):
    """What judges side lobes in pass 2: trees of their own; from where on they count, `sure_units` says."""

    features: tuple[str, ...]
    baseline: float
    trees: tuple[Tree, ...]
    calibration: Calibration

    def fault(self) -> str | None:
        """Say what no check of types finds wrong; None if all is right."""
        return self._fault_of_trees(SECOND_FEATURES)


class SecondPass(_ByTrees, msgspec.Struct, frozen=True, dict=True, forbid_unknown_fields=True):
    """What judges in pass 2: trees over what pass 1 measured and over the candidate's unit.

    Candidates are looked at from `candidate_score` on, which may be lower than in pass 1. `first_share` is
    the weight of pass 1's calibrated log-odds in the sum with those of its own trees, before calibration.
    `lobes` judges side lobes.
    """

    candidate_score: float
    operating_points: OperatingPoints
    features: tuple[str, ...]
    baseline: float
    trees: tuple[Tree, ...]
    calibration: Calibration
    lobes: SideLobes
    first_share: float = 0.0

    def fault(self) -> str | None:
        """Say what no check of types finds wrong; None if all is right."""
        if not 0 <= self.first_share <= 1:
            return f"gives pass 1 a share of {self.first_share}"
        lobes = self.lobes.fault()
        return (
            self._fault_of_trees(SECOND_FEATURES)
            or _fault_of_points(self.operating_points, self.candidate_score)
            or _fault_of_order(self.operating_points)
            or (lobes and f"{lobes}, of its side lobes")
        )


class BoostedModel(_ByTrees, _Bundle, frozen=True, dict=True, tag="boosted"):
    """Counts by a calibrated probability; its operating points are probabilities.

    `features` are names of columns, numbered by the trees; `baseline` is where their sum, the log-odds of a
    twitch, begins; candidates are kept from `candidate_score` on. `second` judges in pass 2; without it pass
    1 has the last word.
    """

    candidate_score: float
    features: tuple[str, ...]
    baseline: float
    trees: tuple[Tree, ...]
    calibration: Calibration
    second: SecondPass | None = None

    @property
    def lowest_score(self) -> float:
        """The score below which nothing is worth keeping as a candidate in pass 1."""
        return self.candidate_score

    @property
    def search_score(self) -> float:
        """The score from which on either pass looks at candidates."""
        return min(self.candidate_score, self.second.candidate_score if self.second else np.inf)

    def probability(self, candidates: Table) -> Float64:
        """Return the probability of a twitch for each candidate, as pass 1 sees it."""
        return self.calibrated(self.log_odds(matrix_of(candidates, self.features)))

    def probability_again(self, candidates: Table, again: Float64) -> Float64:  # noqa: ARG002 - a corrected model looks
        """Return the probability of candidates in pass 2, given what its trees say."""
        return again

    def counted(
        self, candidates: Table, operating_point: str = "balanced", probability: Float64 | None = None
    ) -> Bool:
        """Tell which candidates reach an operating point of pass 1, no side lobes; raises as `threshold`.

        `probability` spares the trees where `probability` was asked for these candidates before.
        """
        least = self.threshold(operating_point)
        known = self.probability(candidates) if probability is None else probability
        return np.asarray((known >= least) & are_bursts(candidates))

    def settings(self) -> dict[str, Any]:
        """Return what is worth storing with each run: the bundle without its trees."""
        content = super().settings()
        if content["second"] is not None:
            for judge in (content["second"], content["second"]["lobes"]):
                del judge["trees"]
        return content

    def fault(self) -> str | None:
        """Say what no check of types finds wrong; None if all is right."""
        second = self.second.fault() if self.second else None
        return (
            self._fault_of_trees(MODEL_FEATURES)
            or _fault_of_points(self.operating_points, self.candidate_score)
            or super().fault()
            or (second and f"{second}, in its pass 2")
        )


class CorrectedModel(BoostedModel, frozen=True, dict=True, kw_only=True, tag="corrected"):
    """A boosted model with a user's corrections: few small trees that add to its calibrated log-odds.

    The trees look at the model's features and, numbered after them, at the log-odds that it gives in the end;
    together they add or take away `most_log_odds` at most. All else is that of the model which was corrected:
    without any tree it judges as that model does.
    """

    corrects: str
    """The model that was corrected: its name and version."""
    corrects_sha256: str
    correction: tuple[Tree, ...]
    most_log_odds: float

    @cached_property
    def _corrections(self) -> Forest:
        return Forest(self.correction, len(self.features) + 1)

    def probability(self, candidates: Table) -> Float64:
        """Return the probability of a twitch for each candidate."""
        return self.corrected(candidates, super().probability(candidates))

    def probability_again(self, candidates: Table, again: Float64) -> Float64:
        """Return the probability of candidates in pass 2: what it says, corrected."""
        return self.corrected(candidates, again)

    def corrected(self, candidates: Table, probability: npt.NDArray[np.floating]) -> Float64:
        """Return the probability of candidates, given what the model says that was corrected."""
        told = looked_at(candidates, self.features, probability)
        added = self._corrections.sum(told, 0.0)
        return np.asarray(
            special.expit(told[:, -1] + np.clip(added, -self.most_log_odds, self.most_log_odds))
        )

    def fault(self) -> str | None:
        """Say what no check of types finds wrong; None if all is right."""
        if not 0 < self.most_log_odds <= MOST_LOG_ODDS:
            return f"lets corrections add {self.most_log_odds}, which is no log-odds above 0"
        for number, tree in enumerate(self.correction):
            fault = tree.fault(len(self.features) + 1)
            if fault is not None:
                return f"holds a correction, number {number}, that {fault}"
        return super().fault()


Model = ThresholdModel | BoostedModel | CorrectedModel


def matrix_of(candidates: Table, features: Sequence[str]) -> Float64:
    """Return the columns of candidates, (n, features), as a model looks at them."""
    out = np.empty((len(features), len(candidates)))  # trees look at it column by column
    for column, name in zip(out, features, strict=True):
        column[:] = candidates[name]
    return out.T


def looked_at(candidates: Table, features: Sequence[str], probability: npt.NDArray[np.floating]) -> Float64:
    """Return what corrections look at: features, and the log-odds of a probability as a run stores it."""
    stored = np.asarray(probability, np.float32).astype(np.float64)
    return np.column_stack([matrix_of(candidates, features), special.logit(stored)])


def model_from_dict(bundle: Mapping[str, Any]) -> Model:
    """Make a model from the content of its file.

    Raises
    ------
    BadValueError
        If a field is missing, unknown or of the wrong type, a number is not finite, the operating points are
        not in order, the trees are none, or the model was made for another candidate frame.
    """
    try:
        # Before all else: a model of another frame may have other fields, too.
        _check_frame(msgspec.convert(bundle, dict[str, Any]))
        model: Model = msgspec.convert(bundle, ThresholdModel | BoostedModel | CorrectedModel)
    except msgspec.ValidationError as error:
        raise BadValueError(f"The detector model cannot be used: {error}.") from error
    fault = model.fault()
    if fault is not None:
        raise BadValueError(f"The model {model.name!r} {fault}.")
    return model


def _check_frame(fields: Mapping[str, Any]) -> None:
    name, frame = fields.get("name"), fields.get("frame")
    if isinstance(frame, int) and frame != FRAME_VERSION:
        raise BadValueError(
            f"The model {name!r} was made for candidate frame {frame}; this twitchmap has frame "
            f"{FRAME_VERSION}. Use a model shipped with this version or train yours again."
        )
