"""Training of the classifier: trees, calibration, operating points, and scores on subjects kept apart.

Everything follows from the seed: which virtual subjects there are, what they are used for, and the trees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import brier_score_loss, roc_auc_score
from threadpoolctl import threadpool_limits

import firmware_host
from firmware_host import body
from firmware_host.detection.classifier import MODEL_FEATURES, model_from_dict
from firmware_host.detection.context import CANDIDATE_SCORE
from firmware_host.errors import BadValueError
from firmware_host.learning.bundle import Trained, Training
from firmware_host.learning.calibrate import LARGE_D, Judged, calibration, operating_points
from firmware_host.learning.dataset import NEITHER, NOT, TWITCH, Labelled, Subject, collect
from firmware_host.learning.export_trees import export_trees
from firmware_host.simulation.cohort import TRAIN_NUMBERS, subject
from firmware_host.simulation.families import TRAINED
from firmware_host.simulation.parameters import SIMULATOR_VERSION, Parameters

Floats = npt.NDArray[np.float64]

SUBJECTS = 350
HOURS = 0.8
FEWEST = 35
"""With fewer subjects some part would lack a situation."""
MOST = 10_000

MIX = ("body", "silent", "trunk", "noise", "body", "silent trunk", "empty")
"""What subject i stands for, over and over: a body as drawn; the same without a twitch; a sensor on the
trunk, alone or with another, where each heartbeat is as large as a twitch, with and without twitches; no
body, so that weak twitches of a quiet sensor are learnt; nothing but white noise, long, of one chip."""
PARTS = ("fit", "calibrate", "fit", "held", "fit")
"""What subject i is used for; as 5 and 7 have no common divisor, every part gets every situation."""
TRUNK_SITES = tuple(name for name, place in body.SITES.items() if place.region == "thoracic")
NOISE_BODY = ("breath",)
"""Breath lies below the band; without it a sensor that shows no twitch would not be taken for worn."""
EMPTY_TIMES = 4.0
"""White noise is cheap and its false alarms are rare: nights so many times longer."""

MOST_ROWS = 1000.0
"""Weight of one night's twitches together, and of its other candidates: a night of ten thousand heartbeats or
twitches teaches no more than a thousand. The calibration puts the true shares back."""
RATE_SCALES = (0.3, 1.0, 3.0)
"""Times the rates of the subject's profile: nights with next to none, few and very many twitches."""
MEDIANS_MG = (5.0, 10.0, 20.0, 40.0)
"""Median amplitude of a subject's motor units: nobody has measured it, so the model must not learn one."""
TRUNK_AWAKE_SHARE = (0.05, 0.7)
"""Trunks are learnt with much time awake, when they are restless between the beats."""
ALONE_SHARE = 0.4
"""Share of nights with one sensor only, which has no other site to compare with."""
LEFT_OUT = ("peak_to_peak_mg", "probability", "other_sites", "far_sites")
"""How many mg twitches have, and how many sensors go with a kind of night, is the simulator's assumption: the
model must not learn it."""
LEARNT = tuple(name for name in MODEL_FEATURES if name not in LEFT_OUT)

TREES: dict[str, Any] = {
    "learning_rate": 0.08,
    "max_iter": 200,
    "max_leaf_nodes": 24,
    "min_samples_leaf": 40,
    "l2_regularization": 5.0,
    "max_features": 0.4,
    "early_stopping": False,
}
RISING = ("score",)
"""With all else equal a larger answer of the template bank is never less likely a twitch."""


def train(
    *,
    name: str,
    seed: int = 1,
    subjects: int = SUBJECTS,
    hours: float = HOURS,
    jobs: int = 2,
    cache: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> Trained:
    """Make a model from virtual subjects.

    Parameters
    ----------
    name
        Of the model.
    seed
        Another number, other subjects and other trees.
    subjects, hours
        How many virtual subjects, and how long the night of each is.
    jobs
        Processes at once.
    cache
        See `dataset.collect`.
    progress
        Called with the share done, 0 to 1.

    Raises
    ------
    BadValueError
        If there are too few subjects.
    """
    if not FEWEST <= subjects <= MOST:
        raise BadValueError(f"A model needs {FEWEST} to {MOST} virtual subjects, not {subjects}.")
    drawn = draw_subjects(seed, subjects, hours)
    tell = None if progress is None else (lambda share: progress(0.9 * share))
    nights = collect(drawn, LEARNT, jobs=jobs, cache=cache, progress=tell)
    with threadpool_limits(jobs):
        return make_model(name, seed, drawn, nights)


def draw_subjects(seed: int, count: int, hours: float = HOURS) -> list[Subject]:
    """Draw the virtual subjects of a training: of trained families only, each with its situation and part."""
    rng = np.random.default_rng(seed)
    numbers = rng.choice(len(TRAIN_NUMBERS), count, replace=False) + TRAIN_NUMBERS.start
    drawn = []
    for i, number in enumerate(numbers.tolist()):
        situation, part = MIX[i % len(MIX)], PARTS[i % len(PARTS)]
        units = replace(Parameters(), amplitude_median_mg=float(rng.choice(MEDIANS_MG)))
        spec = replace(subject(number, TRAINED), hours=hours, parameters=units)
        spec = replace(spec, rate_scale=float(rng.choice(RATE_SCALES)))
        if rng.random() < ALONE_SHARE:
            spec = replace(spec, sites=spec.sites[:1], chips=(spec.chips or ())[:1] or None)
        if "trunk" in situation:
            trunk = str(rng.choice(TRUNK_SITES))
            sites = (trunk, *(site for site in spec.sites[1:2] if site != trunk))
            spec = replace(spec, sites=sites, chips=(spec.chips or ())[: len(sites)] or None)
            spec = replace(spec, parameters=replace(units, awake_share=TRUNK_AWAKE_SHARE))
        if situation in {"noise", "empty"}:
            spec = replace(spec, confounders=NOISE_BODY)
        if situation in {"silent", "silent trunk", "empty"}:
            spec = replace(spec, rate_scale=0.0)
        if situation == "empty":
            chip = TRAINED.chips[i // (len(MIX) * len(PARTS)) % len(TRAINED.chips)]
            spec = replace(spec, hours=EMPTY_TIMES * hours, chips=(chip,) * len(spec.sites))
        drawn.append(Subject(number, situation, part, spec))
    return drawn


def make_model(name: str, seed: int, subjects: Sequence[Subject], nights: Sequence[Labelled]) -> Trained:
    """Fit, calibrate, choose operating points and score, each on subjects of its own."""
    trees = fit([night for one, night in zip(subjects, nights, strict=True) if one.part == "fit"], seed)
    log_odds = [
        np.asarray(trees.decision_function(night.features), np.float64) if len(night.label) else np.empty(0)
        for night in nights
    ]
    apart = [i for i, one in enumerate(subjects) if one.part == "calibrate"]
    label = np.concatenate([nights[i].label for i in apart])
    known = label != NEITHER
    at, value = calibration(np.concatenate([log_odds[i] for i in apart])[known], label[known] == TWITCH)
    cohort = Cohort(subjects, nights, [1 / (1 + np.exp(-np.interp(each, at, value))) for each in log_odds])
    points = operating_points(
        cohort.judged("calibrate", "body"),
        cohort.judged("calibrate", "silent"),
        {chip: cohort.judged("calibrate", "empty", chip) for chip in TRAINED.chips},
    )
    model = export_trees(
        trees,
        LEARNT,
        name=name,
        version="1",
        made=f"Trained on {len(subjects)} virtual subjects, seed {seed}, all simulated; see training.json.",
        candidate_score=CANDIDATE_SCORE,
        operating_points=points,
        calibration=(at.tolist(), value.tolist()),
    )
    model_from_dict(model)
    return Trained(model, _training(seed, cohort, points))


@dataclass(frozen=True)
class Cohort:
    """Virtual subjects, what their nights gave, and the probability of each candidate."""

    subjects: Sequence[Subject]
    nights: Sequence[Labelled]
    probability: Sequence[Floats]

    def judged(self, part: str, situation: str, chip: str | None = None) -> Judged:
        """Put together the judged candidates of a part's nights of one situation and, if given, one chip."""
        own = [
            (night, probability)
            for one, night, probability in zip(self.subjects, self.nights, self.probability, strict=True)
            if (one.part, one.situation) == (part, situation) and chip in {None, *(one.spec.chips or ())}
        ]
        label = np.concatenate([np.zeros(0, np.int8), *(night.label for night, _ in own)])
        d = np.concatenate([np.zeros(0, np.float32), *(night.d for night, _ in own)])
        return Judged(
            np.concatenate([np.zeros(0), *(probability for _, probability in own)]),
            d >= LARGE_D,
            label == NOT,
            sum(int((night.truths_d >= LARGE_D).sum()) for night, _ in own),
            sum(night.valid_h for night, _ in own),
        )

    def candidates(self, part: str) -> int:
        """Count the candidates of a part's subjects."""
        nights = zip(self.subjects, self.nights, strict=True)
        return sum(len(night.label) for one, night in nights if one.part == part)


def _training(seed: int, cohort: Cohort, points: Mapping[str, float]) -> Training:
    """Say how a model was made, and score it on the subjects that were held back."""
    held = [i for i, one in enumerate(cohort.subjects) if one.part == "held"]
    label = np.concatenate([cohort.nights[i].label for i in held])
    probability = np.concatenate([cohort.probability[i] for i in held])
    known = label != NEITHER
    scores = _scores(cohort.judged("held", "body"), points) | _honesty(probability[known], label[known])
    balanced = np.array([points["balanced"]])
    groups = {
        f"{part}, {situation}": cohort.judged(part, situation)
        for part in ("calibrate", "held")
        for situation in sorted({*MIX})
    }
    return Training(
        simulated=True,
        twitchmap=str(firmware_host.__version__),
        simulator=str(SIMULATOR_VERSION),
        seed=seed,
        subjects=len(cohort.subjects),
        hours=float(min(one.spec.hours for one in cohort.subjects)),
        families=asdict(TRAINED),
        candidates={part: cohort.candidates(part) for part in sorted({*PARTS})},
        scores={name: round(float(value), 4) for name, value in scores.items()},
        false_alarms_per_h={
            name: round(float(group.alarms_per_h(balanced)[0]), 3) for name, group in groups.items()
        },
        valid_h={name: round(group.valid_h, 2) for name, group in groups.items()},
    )


def _scores(held: Judged, points: Mapping[str, float]) -> dict[str, float]:
    """Return recall, precision and F1 for d >= 10 on nights with twitches, at each operating point."""
    scores = {}
    for name, least in points.items():
        at = np.array([least])
        found, alarms = held.found(at)[0], held.alarms_per_h(at)[0] * held.valid_h
        scores[f"{name}: recall at d >= 10"] = found / max(held.truths, 1)
        scores[f"{name}: precision at d >= 10"] = found / max(found + alarms, 1)
        scores[f"{name}: F1 at d >= 10"] = held.f1(at)[0]
    return scores


def _honesty(probability: Floats, label: npt.NDArray[np.int8]) -> dict[str, float]:
    """Return how well probabilities rank and how true they are, over all situations."""
    is_twitch = label == TWITCH
    tenth = np.minimum((probability * 10).astype(int), 9)
    told, true = (np.bincount(tenth, weights=each, minlength=10) for each in (probability, is_twitch))
    return {
        "area under the ROC curve": float(roc_auc_score(is_twitch, probability)),
        "Brier score": float(brier_score_loss(is_twitch, probability)),
        "expected calibration error": float(np.abs(told - true).sum() / len(probability)),
    }


def fit(nights: Sequence[Labelled], seed: int) -> HistGradientBoostingClassifier:
    """Grow the trees from the nights' candidates that are surely twitches or surely not."""
    rows = np.concatenate([night.features[night.label != NEITHER] for night in nights])
    # scikit-learn cannot bin a column without any value, as few and short nights may give; none splits on it.
    rows[:, np.isnan(rows).all(axis=0)] = 0.0
    label = [night.label[night.label != NEITHER] for night in nights]
    rising = [int(name in RISING) for name in LEARNT]
    trees = HistGradientBoostingClassifier(**TREES, monotonic_cst=rising, random_state=seed)
    weight = np.concatenate([weights(one) for one in label])
    return trees.fit(rows, np.concatenate(label) == TWITCH, sample_weight=weight)


def weights(label: npt.NDArray[np.int8]) -> Floats:
    """Weigh one night's candidates: 1 each, but its twitches, and its others, not more than `MOST_ROWS`."""
    weight = np.ones(len(label))
    for kind in (NOT, TWITCH):
        own = label == kind
        weight[own] = min(1.0, MOST_ROWS / max(int(own.sum()), 1))
    return weight
