"""The folder of a trained model: written at once, and compared with one that was trained again."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from firmware_host.errors import BadFileError, NotFoundError, StorageError

MODEL_FILE, TRAINING_FILE = "model.json", "training.json"
TOLERANCE = 0.005
"""Scores of a model that was trained again, with other versions of the libraries, may differ by so much."""


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model was made, and what it scores on virtual subjects that were held back; all simulated."""

    simulated: bool
    twitchmap: str
    simulator: str
    seed: int
    subjects: int
    hours: float
    families: dict[str, tuple[str | float, ...]]
    candidates: dict[str, int]
    """Candidates by part of the subjects."""
    scores: dict[str, float]
    """Shares: 0 to 1."""
    false_alarms_per_h: dict[str, float]
    """By part and situation, per valid hour, at the balanced point."""
    valid_h: dict[str, float]


class Trained(NamedTuple):
    """A bundle: the content of `model.json`, and of `training.json`: how it was made, and its scores."""

    model: dict[str, Any]
    training: Training


@contextlib.contextmanager
def place(folder: Path | None) -> Iterator[Path | None]:
    """Make sure of the folder of a bundle before the long work; after an error no new folder is left.

    Raises
    ------
    StorageError
        If the folder takes no files.
    """
    if folder is None:
        yield None
        return
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise StorageError(f"{folder} takes no files: {error.strerror}.") from error
        yield folder
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def write(trained: Trained, folder: Path) -> None:
    """Write a bundle's files into a folder, each whole, in place of what was there before."""
    contents = {
        TRAINING_FILE: json.dumps(msgspec.to_builtins(trained.training), indent=2) + "\n",
        MODEL_FILE: json.dumps(trained.model, separators=(",", ":")) + "\n",
    }
    with contextlib.ExitStack() as cleared:
        for name, content in contents.items():
            part = folder / f".{name}.part"
            cleared.callback(part.unlink, missing_ok=True)
            part.write_text(content, encoding="utf-8")
        for name in contents:
            (folder / f".{name}.part").replace(folder / name)


def read_training(folder: Path) -> Training:
    """Read how a model was made.

    Raises
    ------
    NotFoundError, BadFileError
        If the folder has no such file, or it is not what it should be.
    """
    path = folder / TRAINING_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Training)
    except FileNotFoundError:
        raise NotFoundError(
            f"{folder} has no {TRAINING_FILE}: how its model was made is not known."
        ) from None
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BadFileError(f"{path} does not say how a model was made: {error}.", path=path) from None


def differences(was: Training, now: Training) -> dict[str, tuple[float | None, float | None]]:
    """Return the scores that differ by more than `TOLERANCE`, or that one of both lacks."""
    names = sorted({*was.scores, *now.scores})
    pairs = {name: (was.scores.get(name), now.scores.get(name)) for name in names}
    return {
        name: (a, b) for name, (a, b) in pairs.items() if a is None or b is None or abs(a - b) > TOLERANCE
    }
