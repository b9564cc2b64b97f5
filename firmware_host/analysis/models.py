"""Where model bundles lie, and how one is loaded by its name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import firmware_host
from firmware_host.errors import BadFileError, BadValueError, NotFoundError
from firmware_host.twitch_map import RateFile, RateModel

if TYPE_CHECKING:  # detection brings scipy, which lists and pages can do without
    from firmware_host.detection.classifier import Model


def model_folders(recordings: Path | None = None) -> list[Path]:
    """Return the folders that hold model bundles, the shipped ones first so that no other shadows them."""
    package = Path(firmware_host.__file__).parent
    shipped = package / "_models"
    folders = [shipped if shipped.is_dir() else package.parent / "models"]
    return folders if recordings is None else [*folders, recordings / "models"]


DEFAULT_MODEL = "standard" if (model_folders()[0] / "standard" / "model.json").is_file() else "plain"
DEFAULT_POINT = "balanced"


RATES_FILE = "rates.json"


def load_rates(name: str, model_sha256: str, recordings: Path | None = None) -> dict[str, RateModel]:
    """Load what a model's counts are worth, by operating point; empty where that is not known of this model.

    Raises
    ------
    BadFileError
        If the bundle has such a file that cannot be used.
    """
    files = [folder / name / RATES_FILE for folder in model_folders(recordings)]
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        return {}
    try:
        rates = msgspec.json.decode(path.read_bytes(), type=RateFile)
    except (OSError, msgspec.DecodeError) as error:
        raise BadFileError(f"{path} cannot be used: {str(error).rstrip('.')}.", path=path) from error
    fault = rates.fault()
    if fault is not None:
        raise BadFileError(f"{path} {fault}.", path=path)
    return rates.points if rates.model_sha256 == model_sha256 else {}


def load_model(name: str = DEFAULT_MODEL, recordings: Path | None = None) -> tuple[Model, str]:
    """Load a model bundle by its name; return it with the SHA-256 of its file.

    Raises
    ------
    NotFoundError
        If no folder holds a bundle of that name; the sentence lists those that are there.
    BadFileError
        If the bundle is not what a bundle must be.
    """
    from firmware_host.detection.classifier import model_from_dict

    found = {
        path.parent.name: path
        for folder in reversed(model_folders(recordings))
        for path in folder.glob("*/model.json")
    }
    if name not in found:
        raise NotFoundError(
            f"There is no model called {name!r}; there are: {', '.join(sorted(found)) or 'none'}."
        )
    try:
        content = found[name].read_bytes()
        return model_from_dict(json.loads(content)), hashlib.sha256(content).hexdigest()
    except (OSError, ValueError, RecursionError, BadValueError) as error:
        sentence = f"The model file {found[name]} cannot be used: {str(error).rstrip('.')}."
        raise BadFileError(sentence, path=found[name]) from error
