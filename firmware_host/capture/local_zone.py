"""The computer's own time zone, by its IANA name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from firmware_host.errors import BadValueError
from firmware_host.recording.night import zone


def local_zone(environment: Mapping[str, str] = os.environ, root: Path = Path("/")) -> str | None:
    """Return the name of the computer's time zone, None where it cannot be found (Windows, bare containers).

    Asked in this order: the variable TZ, the link /etc/localtime, the file /etc/timezone.
    """
    for name in (environment.get("TZ", "").removeprefix(":"), _linked(root), _written(root)):
        if name:
            try:
                return zone(name).key
            except BadValueError:  # TZ also takes rules such as CET-1CEST, which are no zone of the map
                continue
    return None


def _linked(root: Path) -> str:
    try:
        target = os.fspath((root / "etc/localtime").readlink())
    except OSError:
        return ""
    return target.partition("zoneinfo/")[2]


def _written(root: Path) -> str:
    try:
        return (root / "etc/timezone").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
