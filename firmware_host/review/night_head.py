"""What the pages about one night have in common: its title, and its samples, read while a page loads."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from firmware_host.analysis import runs_of
from firmware_host.errors import TwitchmapError
from firmware_host.recording import known_meta
from firmware_host.review.charts.map_data import night_title
from firmware_host.review.endpoints import Context
from firmware_host.review.judged import Judged


def night_head(context: Context, night: str) -> Mapping[str, Any]:
    """Return what the head of a night's page needs; raises `NotFoundError` if there is no such night."""
    path = context.night(night)
    meta = known_meta(path)
    title = night_title(meta, meta.start_ns)
    return {"title": title, "origin": meta.origin, "counted": is_counted(path)}


def is_counted(path: Path) -> bool:
    """Tell whether there is a run to show; where that cannot be read, the answer of the API says why."""
    with suppress(TwitchmapError, OSError):
        return bool(runs_of(path))
    return True


def read_ahead(context: Context, night: str) -> None:
    """Begin to make what the page will ask for, in the order in which it will; last the samples."""
    path = context.night(night)

    def read() -> None:
        with suppress(TwitchmapError, OSError):
            opened = context.shared(Judged).night(path)
            _ = opened.counts(opened.run), opened.piles, opened.samples

    threading.Thread(target=read, daemon=True).start()
