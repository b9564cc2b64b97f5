"""A user's own model: the shipped one, corrected by labels, and whether it agrees with the user more often.

How often a model agrees is told only from events that were drawn at random and judged blind (spot checks),
and only by models that have seen no label of the same unit, or of the same site and time.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import special

import firmware_host
from firmware_host.analysis import DEFAULT_MODEL, last_threshold, load_model, model_folders
from firmware_host.analysis.own_model import CORRECTIONS_FILE, Agreement, Made
from firmware_host.detection.classifier import BoostedModel, CorrectedModel, looked_at, model_from_dict
from firmware_host.detection.sure_units import reaches
from firmware_host.detection.trees import Tree
from firmware_host.errors import BadValueError, StorageError
from firmware_host.learning.bundle import MODEL_FILE
from firmware_host.learning.corrections import Corrections, corrections_of
from firmware_host.learning.small_trees import grow

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MOST_LOG_ODDS = 4.0
"""What was learnt from many nights is never turned over completely."""
ANCHOR_WEIGHT = 0.1
"""Of a candidate that nobody labelled, about which the shipped model is believed."""
FOLDS = 5
FEWEST_OF_KIND = 5
"""Labels of one kind alone would only make every event more, or less, probable."""
FEWEST_RANDOM, FEWEST_OF_EACH = 40, 8
"""Events drawn at random, and twitches and others among them, below which nothing is told."""
BY_CHANCE = 0.05
"""A model agrees more often if tosses of a coin would less often than this seem to say so."""
NAME = "mine"
POINT = "balanced"


def train_from_labels(nights: Sequence[Path], recordings: Path, name: str | None = None) -> tuple[Path, Made]:
    """Make a model from the labels of some nights, and keep it beside the others.

    Parameters
    ----------
    nights
        Folders of nights with labels.
    recordings
        The folder whose `models` the new one goes to.
    name
        Of the model; None: `mine`, `mine-2` and so on.

    Returns
    -------
    Its folder, and how it was made.

    Raises
    ------
    BadValueError
        If the name is taken or is none, or nearly all labels say the same.
    NotFoundError
        If no night has labels, or a night has no run of the shipped model.
    StorageError
        If the disk refuses.
    """
    name = free_name(recordings, name)
    base, sha256 = load_model(DEFAULT_MODEL, recordings)
    if not isinstance(base, BoostedModel):
        raise BadValueError(f"The model {DEFAULT_MODEL!r} gives no probability that labels could correct.")
    known = corrections_of(nights, DEFAULT_MODEL, sha256)
    twitches = int(known.is_twitch.sum())
    if min(twitches, len(known.rows) - twitches) < FEWEST_OF_KIND:
        raise BadValueError(
            f"Of {len(known.rows)} labelled events {twitches} are twitches: label {FEWEST_OF_KIND} twitches"
            f" and {FEWEST_OF_KIND} others at least, so that what parts them can be learnt."
        )
    made = _made(name, base, known)
    model = _corrected(name, base, sha256, _fit(base, known, np.ones(len(known.rows), bool)), made)
    content = msgspec.to_builtins(model)
    model_from_dict(content)
    folder = recordings / "models" / name
    _write(folder, {CORRECTIONS_FILE: msgspec.json.format(msgspec.json.encode(made)).decode() + "\n",
                    MODEL_FILE: json.dumps(content, separators=(",", ":")) + "\n"})  # fmt: skip
    return folder, made


def free_name(recordings: Path, name: str | None = None) -> str:
    """Return the name of a new model; raises `BadValueError` if it is none, or taken."""
    taken = {
        path.name for folder in model_folders(recordings) if folder.is_dir() for path in folder.iterdir()
    }
    if name is None:
        return next(n for n in (NAME, *(f"{NAME}-{k}" for k in range(2, 10_000))) if n not in taken)
    if not re.fullmatch(r"\w[\w.-]{0,60}", name, re.ASCII):
        raise BadValueError(f"{name[:60]!r} is no name of a model: use letters, digits, - and _.")
    if name in taken:
        raise BadValueError(f"There is a model {name!r} already: choose another --name.")
    return name


def _fit(base: BoostedModel, known: Corrections, use: Bools) -> tuple[Tree, ...]:
    rows = np.concatenate([known.rows[use], known.anchors])
    told = looked_at(rows, base.features, rows["probability"])
    wanted = np.concatenate([known.is_twitch[use], known.anchors["probability"]])
    weight = np.concatenate([known.weight[use], np.full(len(known.anchors), ANCHOR_WEIGHT)])
    return grow(told, told[:, -1], wanted, weight)


def _corrected(
    name: str, base: BoostedModel, sha256: str, trees: tuple[Tree, ...], made: Made | None
) -> CorrectedModel:
    told = (
        f"Corrected by {made.labels} labels of {len(made.nights)} nights; see {CORRECTIONS_FILE}."
        if made
        else ""
    )
    fields = {field: getattr(base, field) for field in base.__struct_fields__}
    return CorrectedModel(
        **fields | {"name": name, "version": "1", "made": told},
        corrects=f"{base.name} {base.version}",
        corrects_sha256=sha256,
        correction=trees,
        most_log_odds=MOST_LOG_ODDS,
    )


def _made(name: str, base: BoostedModel, known: Corrections) -> Made:
    before, after, gained, lost = _agreements(base, known)
    more = after.f1 > before.f1 and surely_more(gained, lost) if before and after else None
    return Made(
        model=name,
        corrects=f"{base.name} {base.version}",
        nights=known.nights,
        labels=len(known.rows),
        twitches=int(known.is_twitch.sum()),
        random=int(known.random.sum()),
        not_found=known.not_found,
        before=before,
        after=after,
        gained=gained,
        lost=lost,
        agrees_more=more,
        made_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        twitchmap=str(firmware_host.__version__),
    )


def surely_more(gained: int, lost: int) -> bool:
    """Tell whether so many are gained that as many tosses of a coin would seldom give it."""
    return gained > lost and float(special.bdtrc(gained - 1, gained + lost, 0.5)) <= BY_CHANCE


def _agreements(
    base: BoostedModel, known: Corrections
) -> tuple[Agreement | None, Agreement | None, int, int]:
    """Compare the model and its correction on random labels, each judged by a fit that never saw its group.

    Returns
    -------
    before, after
    gained, lost
        Random events that only the correction, and only the model, judges as the user does.
    """
    drawn = known.random
    yes, no = (int((drawn & (known.answer == each)).sum()) for each in (True, False))
    if yes + no < FEWEST_RANDOM or min(yes, no) < FEWEST_OF_EACH:
        return None, None, 0, 0
    fold = _folds(known)
    before = known.rows["probability"].astype(float)
    after = before.copy()
    for number in range(FOLDS):
        mine = fold == number
        if (mine & drawn).any():
            model = _corrected("", base, "", _fit(base, known, ~mine), None)
            after[mine] = model.corrected(known.rows[mine], before[mine])
    least = last_threshold(base, POINT, known.passes)
    said, stands_for = known.answer[drawn], known.stands_for[drawn]
    was, is_now = (reaches(p, known.rows["flags"], least)[drawn] for p in (before, after))
    return (
        _agreement(before[drawn], was, said, stands_for),
        _agreement(after[drawn], is_now, said, stands_for),
        int(((is_now == said) & (was != said)).sum()),
        int(((was == said) & (is_now != said)).sum()),
    )


def _folds(known: Corrections) -> npt.NDArray[np.int64]:
    """Deal whole groups into folds, the largest first, so that all folds are about as large."""
    size = np.bincount(known.group, known.random + 0.01)
    fold, filled = np.zeros(len(size), np.int64), np.zeros(FOLDS)
    for group in np.argsort(-size, kind="stable").tolist():
        fold[group] = int(np.argmin(filled))
        filled[fold[group]] += size[group]
    return fold[known.group]


def _agreement(probability: Floats, counts: Bools, is_twitch: Bools, weight: Floats) -> Agreement:
    found, false, missed = (
        float(weight[some].sum()) for some in (counts & is_twitch, counts & ~is_twitch, ~counts & is_twitch)
    )
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    loss = -np.where(is_twitch, np.log(p), np.log(1 - p))
    return Agreement(
        found / max(found + false, 1e-9),
        missed / max(found + missed, 1e-9),
        2 * found / max(2 * found + false + missed, 1e-9),
        float((weight * loss).sum() / weight.sum()),
    )


def _write(folder: Path, contents: dict[str, Any]) -> None:
    """Write a model's folder whole: it has its name only when all is in it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as part:
            made = Path(part) / folder.name
            made.mkdir(mode=0o700)
            for name, content in contents.items():
                (made / name).write_text(content, encoding="utf-8")
            made.rename(folder)
    except OSError as error:
        raise StorageError(
            f"The model could not be written to {folder}: {error.strerror or error}."
        ) from error
