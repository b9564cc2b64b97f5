"""`night.toml`: who, when, where on the body, with which sensors.

Written before the first sample, replaced only atomically, amended with its history.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import tempfile
import time
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from firmware_host import body
from firmware_host.errors import BadFileError, BadValueError, NewerFormatError, StorageError

META_FILE = "night.toml"
FORMAT = 1
LATEST_START_NS = 7_258_118_400 * 10**9
"""2200: what is later was not given in nanoseconds."""
SITE_FIELD = "site of sensor "
"""How the history names the field, before the number of the sensor."""


class SensorInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One sensor of a night: where it sat and what its numbers mean."""

    index: int
    """Number of the sensor in the log."""
    site: str
    """Where it sat: "left_calf"; a second sensor there is "left_calf.2"."""
    fs_hz: float
    """Nominal sampling rate."""
    g_per_count: float
    """g of one count; 1.0 where the sensor sends floats in g."""
    sample_type: Literal["int16", "float32"]
    range_g: float | None = None
    """Full scale in g; None where it is not known."""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    placement: str = ""
    clock: Literal["arrival", "stamps"] = "arrival"
    """What the times of its samples are fitted to; an arrival is late, never early."""


class Amendment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One correction of a night's metadata, made afterwards."""

    utc_ns: int
    field: str
    old: str
    new: str


class NightMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that a night knows besides what arrived."""

    participant: str
    """A pseudonym."""
    label: str
    origin: Literal["recorded", "imported", "virtual", "simulated"]
    time_zone: str
    """IANA name; local time exists only where a person reads it."""
    start_ns: int
    """UTC; recording: the start of the first session; import and simulation: the earliest stamp."""
    sensors: tuple[SensorInfo, ...]
    twitchmap: str
    """Version of the program that made the night."""
    format: int = FORMAT
    start_known: bool = True
    """False where only elapsed time is known and `start_ns` is made up."""
    note: str = ""
    history: tuple[Amendment, ...] = ()

    def sensor(self, site: str) -> SensorInfo:
        """Return the sensor at a site; raises `BadValueError` where none was."""
        for info in self.sensors:
            if info.site == site:
                return info
        sites = ", ".join(info.site for info in self.sensors) or "none"
        raise BadValueError(f"The night has no sensor at {site!r}; its sites are {sites}.")

    def renamed_since(self, utc_ns: int = 0, *, known: int = 0) -> list[dict[str, str]]:
        """Return the corrections of sites, in order: old name to new name, each at once.

        Parameters
        ----------
        utc_ns
            Only what was corrected since.
        known
            The first so many changes of `history` are left out: whoever asks knew them.
        """
        corrections: dict[int, dict[str, str]] = {}
        for change in self.history[known:]:
            if change.utc_ns >= utc_ns and change.field.startswith(SITE_FIELD):
                corrections.setdefault(change.utc_ns, {})[change.old] = change.new
        return [corrections[at_ns] for at_ns in sorted(corrections)]


def check_meta(meta: NightMeta) -> None:
    """Check what a night is made with.

    Raises
    ------
    BadValueError
        For an unknown time zone or site, a start before 1970 or after 2200, no sensor, two sensors of one
        number or site, or a rate, scale or range that cannot be.
    """
    zone(meta.time_zone)
    if not 0 <= meta.start_ns < LATEST_START_NS:
        raise BadValueError(f"The night cannot start at {meta.start_ns} ns: give ns since 1970, before 2200.")
    if not meta.sensors:
        raise BadValueError("A night needs at least one sensor.")
    for name in ("index", "site"):
        values = [getattr(info, name) for info in meta.sensors]
        twice = sorted({str(value) for value in values if values.count(value) > 1})
        if twice:
            raise BadValueError(f"Two sensors have the {name} {twice[0]}; each needs its own.")
    for info in meta.sensors:
        body.site(info.site)
        if not 0 <= info.index < 0xFFFF:
            raise BadValueError(
                f"The sensor at {info.site} has the number {info.index}; 0 to 65534 are possible."
            )
        if not (0 < info.fs_hz < 1e6 and 0 < info.g_per_count < 1e6):
            raise BadValueError(
                f"The sensor at {info.site} has a rate of {info.fs_hz} Hz and {info.g_per_count} g a count: "
                "both must be above zero."
            )
        if info.range_g is not None and not 0 < info.range_g < 1e6:
            raise BadValueError(
                f"The sensor at {info.site} has a range of {info.range_g} g: give it above zero."
            )


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; raises `BadValueError` for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadValueError(
            f"{name!r} is no time zone; give an IANA name such as Europe/Berlin or UTC."
        ) from None


def local_time(utc_ns: int, time_zone: str) -> datetime:
    """Return a UTC time in ns as local time, to the microsecond."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=utc_ns // 1000)).astimezone(
        zone(time_zone)
    )


def nearest_second(when: datetime) -> datetime:
    """Return a time as people read it, in all that tells it."""
    return datetime.fromtimestamp(math.floor(when.timestamp() + 0.5), when.tzinfo)


def evening_of(start_ns: int, time_zone: str) -> date:
    """Return the date a night goes by: a start before noon belongs to the evening before."""
    return (local_time(start_ns, time_zone).replace(tzinfo=None) - timedelta(hours=12)).date()


def write_meta(folder: Path, meta: NightMeta) -> None:
    """Write `night.toml` as `write_toml` does."""
    write_toml(folder / META_FILE, _without_none(msgspec.to_builtins(meta)))


def write_toml(path: Path, content: Mapping[str, Any]) -> None:
    """Write a TOML file, private to the user: the old or the new one is there whole, whatever happens.

    Raises
    ------
    StorageError
        If the disk refuses; the old file is then untouched.
    """
    import tomli_w  # reading does not need it

    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(  # 0600
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(tomli_w.dumps(content).encode())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"{path} could not be written ({error.strerror or error}).") from error
    finally:
        if temporary is not None:  # gone by then, unless something went wrong
            with contextlib.suppress(OSError):
                Path(temporary).unlink(missing_ok=True)


def set_meta_aside(folder: Path) -> None:
    """Keep a `night.toml` that cannot be read beside the one that takes its place: somebody may mend it.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    names = (f"night.unreadable-{number}.toml" for number in itertools.count(1))
    aside = next(folder / name for name in names if not (folder / name).exists())
    try:
        (folder / META_FILE).rename(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"{folder / META_FILE} could not be kept ({error.strerror or error}).") from error


def check_is_file(path: Path) -> None:
    """Refuse what is there and no file, such as a named pipe, which would be waited for."""
    if path.exists() and not path.is_file():
        raise BadFileError(f"{path} is no file: put the night's own there.", path=path)


def read_meta(folder: Path) -> NightMeta:
    """Read `night.toml`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    BadFileError
        If it is not what it should be; the sentence says where.
    NewerFormatError
        If a newer program made the night.
    """
    path = folder / META_FILE
    check_is_file(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadFileError(f"{path} cannot be read as TOML: {error}.", path=path) from error
    return meta_from(content, path)


def meta_from(content: Mapping[str, Any], path: Path) -> NightMeta:
    """Make a night's metadata from what `night.toml` or a header block holds; raises as `read_meta`."""
    version = content.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise NewerFormatError(
            f"{path.parent.name} was made by a newer twitchmap (night format {version}, here {FORMAT}): "
            "update twitchmap to open it."
        )
    try:
        meta = msgspec.convert(content, NightMeta)
        check_meta(meta)
    except (msgspec.ValidationError, BadValueError) as error:
        raise BadFileError(
            f"{path} does not describe a night: {str(error).rstrip('.')}.", path=path
        ) from error
    return meta


def amended(
    meta: NightMeta,
    *,
    participant: str | None = None,
    sites: Mapping[str, str] | None = None,
    placements: Mapping[str, str] | None = None,
    note: str | None = None,
) -> NightMeta:
    """Return corrected metadata with the history of what changed.

    Parameters
    ----------
    sites
        Old site to new site.
    placements
        Site (the new one) to placement.

    Raises
    ------
    BadValueError
        If a site is not in the night, or two sensors would have one site.
    """
    now = time.time_ns()
    changes: list[Amendment] = []

    def change(field: str, old: str, new: str) -> str:
        if new != old:
            changes.append(Amendment(now, field, old, new))
        return new

    for site in sites or {}:
        meta.sensor(site)
    renamed = [
        msgspec.structs.replace(info, site=change(f"{SITE_FIELD}{info.index}", info.site, new))
        for info in meta.sensors
        for new in [(sites or {}).get(info.site, info.site)]
    ]
    meta = msgspec.structs.replace(meta, sensors=tuple(renamed))
    for site in placements or {}:
        meta.sensor(site)
    placed = [
        msgspec.structs.replace(info, placement=change(f"placement of {info.site}", info.placement, new))
        for info in meta.sensors
        for new in [(placements or {}).get(info.site, info.placement)]
    ]
    meta = msgspec.structs.replace(
        meta,
        sensors=tuple(placed),
        participant=change(
            "participant", meta.participant, meta.participant if participant is None else participant
        ),
        note=change("note", meta.note, meta.note if note is None else note),
    )
    meta = msgspec.structs.replace(meta, history=(*meta.history, *changes))
    check_meta(meta)
    return meta


def _without_none(value: Any) -> Any:  # noqa: ANN401
    """TOML has no null: a missing key is None."""
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_without_none(inner) for inner in value]
    return value


def sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system lets a folder be synced."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
