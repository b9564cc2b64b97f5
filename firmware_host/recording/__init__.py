"""The night on disk: written as it arrives, read around whatever damage there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firmware_host.recording.blocks import Damage
from firmware_host.recording.condition import Check, Gap, gaps, verify
from firmware_host.recording.night import (
    Amendment,
    NightMeta,
    SensorInfo,
    evening_of,
    local_time,
    nearest_second,
)
from firmware_host.recording.nights import (
    amend_night,
    find_night,
    known_meta,
    list_nights,
    night_folder_name,
    night_folders,
    night_named,
    start_and_date,
)
from firmware_host.recording.reader import LogEvent, Night, Samples, open_night
from firmware_host.recording.stretch import Stretch

if TYPE_CHECKING:
    from firmware_host.recording.results import ResultsStore, RunInfo
    from firmware_host.recording.sessions import continue_night, create_night
    from firmware_host.recording.writer import NightWriter

__all__ = [
    "Amendment",
    "Check",
    "Damage",
    "Gap",
    "LogEvent",
    "Night",
    "NightMeta",
    "NightWriter",
    "ResultsStore",
    "RunInfo",
    "Samples",
    "SensorInfo",
    "Stretch",
    "amend_night",
    "continue_night",
    "create_night",
    "evening_of",
    "find_night",
    "gaps",
    "known_meta",
    "list_nights",
    "local_time",
    "nearest_second",
    "night_folder_name",
    "night_folders",
    "night_named",
    "open_night",
    "start_and_date",
    "verify",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import the writer and the results when they are asked for: readers do without filelock and sqlite3."""
    if name in {"NightWriter", "continue_night", "create_night"}:
        from firmware_host.recording import sessions

        return getattr(sessions, name)
    if name in {"ResultsStore", "RunInfo"}:
        from firmware_host.recording import results

        return getattr(results, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
