"""Where model bundles lie, and how one is loaded by its name."""

from __future__ import annotations

import hashlib
import json
import secrets
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import firmware_host
from firmware_host.errors import BadFileError, BadValueError, NotFoundError, StorageError
from firmware_host.twitch_map import RateFile, RateModel

if TYPE_CHECKING:  # detection brings scipy, which lists and pages can do without
    from firmware_host.detection.classifier import Model
    from firmware_host.recording import NightMeta, RunInfo


def model_folders(recordings: Path | None = None) -> list[Path]:
    """Return the folders that hold model bundles, the shipped ones first so that no other shadows them."""
    package = Path(firmware_host.__file__).parent
    shipped = package / "_models"
    folders = [shipped if shipped.is_dir() else package.parent / "models"]
    return folders if recordings is None else [*folders, recordings / "models"]


DEFAULT_MODEL = "standard" if (model_folders()[0] / "standard" / "model.json").is_file() else "plain"
DEFAULT_POINT = "balanced"
CURRENT_FILE = "current.json"
MOST_REMEMBERED = 50


def own_models(recordings: Path) -> list[str]:
    """Return the names of a user's own models."""
    return sorted(path.parent.name for path in (recordings / "models").glob("*/model.json"))


class _Current(msgspec.Struct, frozen=True):
    """The model in use, and those that were in use before it, the last one last."""

    model: str
    before: tuple[str, ...] = ()


def current_model(recordings: Path) -> str:
    """Return the name of the model that judges where none is named: the shipped one, or what a user chose.

    A choice whose model is no longer there is none.
    """
    chosen = _read_current(recordings).model
    return chosen if chosen in own_models(recordings) else DEFAULT_MODEL


def use_model(recordings: Path, name: str) -> None:
    """Choose the model that judges from now on; the one before is remembered.

    Raises
    ------
    NotFoundError, BadFileError
        As `load_model`.
    StorageError
        If the disk refuses.
    """
    load_model(name, recordings)
    was = _read_current(recordings)
    if name != was.model:
        _write_current(recordings, _Current(name, (*was.before, was.model)[-MOST_REMEMBERED:]))


def take_model_back(recordings: Path) -> str:
    """Choose the model that was in use before, and return its name; the shipped one is before all others."""
    was = _read_current(recordings)
    known = [name for name in was.before if name in {DEFAULT_MODEL, *own_models(recordings)}]
    now = _Current(known[-1], tuple(known[:-1])) if known else _Current(DEFAULT_MODEL)
    _write_current(recordings, now)
    return current_model(recordings)


def _read_current(recordings: Path) -> _Current:
    try:
        return msgspec.json.decode((recordings / "models" / CURRENT_FILE).read_bytes(), type=_Current)
    except (OSError, msgspec.DecodeError):
        return _Current(DEFAULT_MODEL)


def _write_current(recordings: Path, current: _Current) -> None:
    file = recordings / "models" / CURRENT_FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{secrets.token_hex(4)}.part")
        part.write_bytes(msgspec.json.encode(current))
        part.replace(file)
    except OSError as error:
        raise StorageError(f"{file} could not be written ({error.strerror or error}).") from error


RATES_FILE = "rates.json"
MEND_RATES = "Fit it anew, or take it away: rates are then those of counting alone."


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
        sentence = f"{path} cannot be used: {str(error).rstrip('.')}. {MEND_RATES}"
        raise BadFileError(sentence, path=path) from error
    fault = rates.fault()
    if fault is not None:
        raise BadFileError(f"{path} {fault}. {MEND_RATES}", path=path)
    return rates.points if rates.model_sha256 == model_sha256 else {}


def settings_of(info: RunInfo) -> dict[str, Any]:
    """Return the settings that are stored with a run: its model without the trees, and how it was used.

    Raises
    ------
    BadFileError
        If they are no settings.
    """
    try:
        settings = json.loads(info.settings)
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise BadFileError(f"The run {info.run_id} has settings that cannot be read: detect again.")
    return settings


def unusual_way(info: RunInfo) -> str:
    """Return in which way a run was made, in words, where it was not `detect` as it is; else nothing."""
    with suppress(BadFileError):
        settings = settings_of(info)
        if settings.get("as_live"):
            return "pass 1 alone"
        if base := settings.get("recounted"):
            return f"counted anew from run {base}"
    return ""


def stored_settings(
    model: Model,
    rates: RateModel | None,
    meta: NightMeta,
    **more: Any,  # noqa: ANN401 - whatever JSON holds
) -> str:
    """Return what is stored with a run, as JSON: what `settings_of` and `renamed_since` read."""
    known = {"rates": msgspec.to_builtins(rates), "known_changes": len(meta.history)}
    return json.dumps(model.settings() | known | more)


def renamed_since(meta: NightMeta, info: RunInfo) -> list[dict[str, str]]:
    """Return the corrections of sites that a run does not know: `NightMeta.renamed_since`.

    A run says how many changes of its night it knew; those of earlier programs are told by their time.

    Raises
    ------
    BadFileError, ValueError
        If the run's settings or its time cannot be read.
    """
    made_ns = round(datetime.fromisoformat(info.created_utc).timestamp() * 1e9)
    known = settings_of(info).get("known_changes")
    if isinstance(known, int) and known >= 0:
        return meta.renamed_since(known=known)
    return meta.renamed_since(made_ns)


def load_model(name: str = DEFAULT_MODEL, recordings: Path | None = None) -> tuple[Model, str]:
    """Load a model bundle by its name; return it with the SHA-256 of its file.

    Raises
    ------
    NotFoundError
        If no folder holds a bundle of that name; the sentence lists those that are there.
    BadFileError
        If the bundle is not what a bundle must be.
    """
    path = _file_of(name, recordings)
    try:
        content = path.read_bytes()
        return _model_of(content), hashlib.sha256(content).hexdigest()
    except (OSError, ValueError, RecursionError, BadValueError) as error:
        sentence = f"The model file {path} cannot be used: {str(error).rstrip('.')}."
        raise BadFileError(sentence, path=path) from error


def model_hash(name: str, recordings: Path) -> str:
    """Return the SHA-256 of a model's file, by which a run says who judged; empty if it cannot be read.

    Raises
    ------
    NotFoundError
        As `load_model`.
    """
    path = _file_of(name, recordings)
    with suppress(OSError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


def _file_of(name: str, recordings: Path | None) -> Path:
    found = {
        path.parent.name: path
        for folder in reversed(model_folders(recordings))
        for path in folder.glob("*/model.json")
    }
    if name not in found:
        raise NotFoundError(
            f"There is no model called {name!r}; there are: {', '.join(sorted(found)) or 'none'}."
        )
    return found[name]


@lru_cache(maxsize=2)  # checking a bundle and making its trees ready takes as long as judging a short night
def _model_of(content: bytes) -> Model:
    from firmware_host.detection.classifier import model_from_dict

    return model_from_dict(json.loads(content))
