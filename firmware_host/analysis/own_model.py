"""What is known of a user's own model: what it corrects, from which labels, how it agrees with the user."""

from __future__ import annotations

from pathlib import Path

import msgspec

from firmware_host.analysis.models import model_hash
from firmware_host.analysis.runs import runs_of
from firmware_host.errors import TwitchmapError
from firmware_host.recording import list_nights

CORRECTIONS_FILE = "corrections.json"
"""Beside the model's own file."""


class Agreement(msgspec.Struct, frozen=True):
    """How a model agrees with a user, from random events, each weighed by how many it stands for."""

    precision: float
    """Of what it counts, the share that the user calls a twitch."""
    missed: float
    """Of what the user calls a twitch, the share that it does not count."""
    f1: float
    log_loss: float


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """How a user's model was made."""

    model: str
    corrects: str
    nights: tuple[str, ...]
    labels: int
    twitches: int
    random: int
    """Labels of events that were drawn at random and judged blind."""
    not_found: int
    """Labels where no candidate is: nothing could be learnt from them."""
    before: Agreement | None
    """On labels kept aside; None where too few were drawn at random to tell."""
    after: Agreement | None
    gained: int
    """Random events that it judges as the user does, and the model that it corrects does not."""
    lost: int
    """The other way round."""
    agrees_more: bool | None
    """Whether it agrees with the user more often than the model that it corrects, beyond chance; None: cannot
    be told."""
    made_utc: str
    twitchmap: str


def read_made(recordings: Path, name: str) -> Made | None:
    """Return how a user's model was made; None for one that was not made from labels, or does not say."""
    try:
        content = (recordings / "models" / name / CORRECTIONS_FILE).read_bytes()
        return msgspec.json.decode(content, type=Made)
    except (OSError, msgspec.DecodeError):
        return None


def judged_by_others(recordings: Path, name: str) -> list[str]:
    """Return the nights whose newest run another model than this one, as its file is now, has judged."""
    sha256, found = model_hash(name, recordings), []
    for path in list_nights(recordings):
        try:
            runs = runs_of(path)
        except TwitchmapError:
            continue
        if runs and runs[-1].model_sha256 != sha256:
            found.append(path.name)
    return found
