"""Foreign recordings to a night: parse, understand, show, write. All went well, or nothing is left."""

from __future__ import annotations

import contextlib
import heapq
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_host import __version__, body, formats
from firmware_host.errors import BadFileError, BadValueError, NotEmptyError, NotFoundError, StorageError
from firmware_host.formats.columns import UNITS
from firmware_host.formats.foreign import (
    HEAD_BYTES,
    Beginning,
    ForeignRecording,
    ImportOptions,
    Ints,
    Source,
    Spool,
)
from firmware_host.formats.iso_time import parse_iso
from firmware_host.formats.survey import Survey, survey_samples
from firmware_host.formats.time_axis import DAY_NS, LONGEST_DAYS, TimeAxis, understand_time
from firmware_host.formats.understanding import FileUnderstanding, Understanding
from firmware_host.formats.zones import utc_from_local
from firmware_host.recording import (
    NightMeta,
    NightWriter,
    SensorInfo,
    create_night,
    local_time,
)
from firmware_host.recording.night import zone

Progress = Callable[[str, float], None]
"""Told what is going on, and the share of it that is done (0 to 1)."""
Counts = npt.NDArray[np.int16] | npt.NDArray[np.float32]

BLOCK_S = 15.0
_BLOCKS_AT_LEAST = 12  # the clock fit needs several, of a short recording too
_MAX_BLOCK_ROWS = 60_000
SIMULATED = "the file says that it was simulated, and so will the night"


@dataclass(frozen=True)
class _Sensor:
    """One file, understood."""

    site: str
    recording: ForeignRecording
    time: TimeAxis
    samples: Survey

    def info(self, index: int) -> SensorInfo:
        return SensorInfo(
            index=index,
            site=self.site,
            fs_hz=self.time.fs_hz,
            g_per_count=self.samples.g_per_count,
            sample_type=self.samples.sample_type,
            range_g=self.samples.range_g,
            model=_plain(self.recording.model[:64]),
            serial=_plain(self.recording.serial[:64]),
            firmware=_plain(self.recording.firmware[:64]),
            clock="arrival" if self.time.kind == "arrivals" else "stamps",
        )

    def kept(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Tell which rows of [start, stop) become samples: they have all numbers, and repeat no other."""
        has_all = ~np.isnan(self.recording.spool.acc(start, stop)[:, 0])
        return np.asarray(has_all & ~self.time.losses.repeats(start, stop))

    def understanding(self, twin: str | None = None) -> FileUnderstanding:
        """Return what was understood of the file; `twin` is another site that it is given for."""
        again = [f"the same recording is given for {twin}: a sensor sits at one site"] if twin else []
        recording, time, samples = self.recording, self.time, self.samples
        return FileUnderstanding(
            site=self.site,
            file=_plain(recording.source.name),
            rows=recording.spool.rows,
            skipped=sum(int(np.count_nonzero(~self.kept(a, b))) for a, b in recording.spool.blocks()),
            repeated=time.losses.repeated,
            columns=recording.used,
            ignored=recording.ignored,
            time=time.said,
            time_kind=time.kind,
            rate_hz=time.rate_hz,
            fs_hz=time.fs_hz,
            duration_s=(time.last_ns - time.first_ns) / 1e9,
            unit=samples.unit,
            gravity_g=samples.gravity_g,
            gaps=int(np.count_nonzero(time.losses.lost > 0)),
            missing=time.losses.missing,
            sample_type=samples.sample_type,
            g_per_count=samples.g_per_count,
            range_g=samples.range_g,
            warnings=(*time.warnings, *samples.warnings, *again),
            remarks=(*recording.remarks, *time.remarks, *[SIMULATED][: recording.made_up]),
            sensor=_plain(
                f"{recording.model} {recording.serial}".strip()
                + (f", firmware {recording.firmware}" if recording.firmware else "")
            ),
        )


def import_night(
    target: Path,
    sources: Mapping[str, str],
    options: ImportOptions,
    *,
    show: Callable[[Understanding], None],
    progress: Progress | None = None,
) -> Path:
    """Make a night of foreign recordings.

    Parameters
    ----------
    target : folder of the night, empty or not there yet.
    sources : site to FILE or FILE:KEY.
    options : what the user says about the files.
    show : is handed what was understood, before anything is written to the target; may raise to stop.
    progress : is told what is going on.

    Returns
    -------
    The folder of the night.

    Raises
    ------
    BadFileError, NotFoundError, BadValueError, MissingExtraError
        If a file is not what it should be, or the user must say more; nothing is left behind.
    NotEmptyError, StorageError
        If the target holds something, or the disk refuses; nothing is left behind.
    """
    _check(target, sources, options)
    with ExitStack() as stack:
        try:
            folder = _nearest(target)
            sensors = []
            for site, text in sources.items():
                spool = stack.enter_context(Spool(folder))
                sensors.append(_understand(site, Source.parse(text), options, spool, progress))
        except OSError as error:
            raise StorageError(
                f"the import cannot be written beside {folder}: {error.strerror or error}"
            ) from error
        plan = _plan(target, sensors, options)
        show(plan.understanding)
        _write(plan, sensors, progress)
        return plan.folder


def _check(target: Path, sources: Mapping[str, str], options: ImportOptions) -> None:
    if not sources:
        raise BadValueError("no file to import; name at least one as SITE=FILE")
    for site in sources:
        body.site(site)
    if options.unit is not None and options.unit not in UNITS:
        raise BadValueError(f"{options.unit!r} is no unit of acceleration; there are {', '.join(UNITS)}")
    if options.rate_hz is not None and not 0 < options.rate_hz < 1e6:
        raise BadValueError(f"A rate of {options.rate_hz:g} Hz cannot be: give --rate as samples a second.")
    if options.timezone is not None:
        zone(options.timezone)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise NotEmptyError(f"{target} is there already and not empty; name a folder that is not there yet")


def _plain(text: str) -> str:
    """Return a file's words as one line of letters, whatever stands in the file."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _nearest(target: Path) -> Path:
    """Return the nearest folder above the target that is there, for temporary files on the same disk."""
    return next(parent for parent in target.absolute().parents if parent.is_dir())


def _understand(
    site: str, source: Source, options: ImportOptions, spool: Spool, progress: Progress | None
) -> _Sensor:
    def tell(share: float) -> None:
        if progress is not None:
            progress(f"reading {_plain(source.path.name)}", min(share, 1.0))

    recording = _importer_of(source, options).read(source, options, spool, tell)
    time = understand_time(recording, options)
    return _Sensor(site, recording, time, survey_samples(recording, options, time.rate_hz))


def _importer_of(source: Source, options: ImportOptions) -> formats.Importer:
    """Return the module that reads a file: the one named, else the one that recognises it."""
    path = source.path
    try:
        if path.is_dir():
            raise BadFileError(f"{path} is a folder, not a file", path=path)
        if path.exists() and not path.is_file():
            raise BadFileError(f"{path} is a pipe or a device; save what it gives as a file", path=path)
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {source.name}") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadFileError(f"{path} cannot be read: {why}", path=path) from error
    if options.format is not None:
        return formats.importer(options.format)
    beginning = Beginning(head, _members(path) if head.startswith(b"PK\x03\x04") else ())
    others = (formats.importer(name) for name in formats.names("import") if name != "csv")
    return next((one for one in others if one.recognises(beginning)), formats.importer("csv"))


def _members(path: Path) -> tuple[str, ...]:
    """Return the names in a zip archive; none of a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error):
        return ()


@dataclass(frozen=True)
class _Plan:
    """The night that will be written."""

    folder: Path
    meta: NightMeta
    offsets_ns: tuple[int, ...]
    """What makes each sensor's ns UTC."""
    understanding: Understanding


def _plan(target: Path, sensors: Sequence[_Sensor], options: ImportOptions) -> _Plan:
    time_zone = options.timezone or next((s.time.zone for s in sensors if s.time.zone), None) or "UTC"
    offsets_ns, known = _offsets(sensors, options, time_zone)
    starts_ns = [s.time.first_ns + offset for s, offset in zip(sensors, offsets_ns, strict=True)]
    start_ns = min(starts_ns)
    days = (max(starts_ns) - start_ns) / DAY_NS
    if days > LONGEST_DAYS:
        raise BadValueError(
            f"the files begin {days:,.0f} days apart, a night is up to {LONGEST_DAYS} days: "
            "one is of another night"
        )
    meta = NightMeta(
        participant=options.participant,
        label="imported",
        origin="simulated" if any(sensor.recording.made_up for sensor in sensors) else "imported",
        time_zone=time_zone,
        start_ns=start_ns,
        sensors=tuple(sensor.info(i) for i, sensor in enumerate(sensors)),
        twitchmap=__version__,
        start_known=known,
        note="imported from " + ", ".join(_plain(sensor.recording.source.path.name) for sensor in sensors),
    )
    local = local_time(start_ns, time_zone).isoformat(timespec="milliseconds")
    given: dict[Source, str] = {}
    files = []
    for sensor in sensors:
        source = sensor.recording.source
        first = given.setdefault(replace(source, path=source.path.absolute()), sensor.site)
        files.append(sensor.understanding(None if first == sensor.site else first))
    return _Plan(
        target, meta, offsets_ns, Understanding(str(target), start_ns, local, known, time_zone, tuple(files))
    )


def _offsets(
    sensors: Sequence[_Sensor], options: ImportOptions, time_zone: str
) -> tuple[tuple[int, ...], bool]:
    """Return what to add to each sensor's ns, and if the start is known; elapsed times share one zero."""
    elapsed = [sensor for sensor in sensors if not sensor.time.absolute]
    if not elapsed:
        if options.start is not None:
            raise BadValueError("the files know their own time; --start is for files with elapsed time only")
        return (0,) * len(sensors), True
    if options.start is None and len(elapsed) < len(sensors):
        raise BadValueError(
            f"{elapsed[0].recording.source.name} knows only elapsed time and another file the time of day; "
            "give the start of the former with --start"
        )
    start_ns = (
        0 if options.start is None else _start_ns(options.start, time_zone, options.timezone is not None)
    )
    zero_ns = start_ns - min(sensor.time.first_ns for sensor in elapsed)
    return tuple(0 if s.time.absolute else zero_ns for s in sensors), options.start is not None


def _start_ns(start: str, time_zone: str, zone_given: bool) -> int:
    try:
        stamp = parse_iso(np.array([start.encode()]))
        if stamp.offset_s is not None:
            return int(stamp.utc_ns[0])
        if not zone_given:
            raise BadValueError(f"--start {start} has no offset from UTC; add one, or give --timezone")
        return int(utc_from_local(stamp.ns, zone(time_zone))[0][0])
    except ValueError as error:
        raise BadValueError(f"--start: {error}") from error


def _write(plan: _Plan, sensors: Sequence[_Sensor], progress: Progress | None) -> None:
    """Write the night, block by block in the order of time; take everything away again if that fails."""
    folder = plan.folder.absolute()
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    total = sum(sensor.recording.spool.rows for sensor in sensors)
    done, writer = 0, None
    try:
        writer = create_night(plan.folder, plan.meta)  # takes away what it made if it fails
        with writer:
            blocks = [
                _blocks(i, s, offset)
                for i, (s, offset) in enumerate(zip(sensors, plan.offsets_ns, strict=True))
            ]
            for block in heapq.merge(*blocks, key=lambda block: block.last_ns):
                block.append_to(writer)
                if writer.trouble is not None:
                    raise StorageError(
                        f"the disk of {plan.folder} is full or refuses; free some space and import again"
                    )
                done += len(block.counts)
                if progress is not None:
                    progress("writing", done / total)
    except BaseException:
        _remove(None if writer is None else folder, made)
        raise


def _remove(night: Path | None, made: Sequence[Path]) -> None:
    """Remove the files of a night that was begun, and the folders that were made for it."""
    with contextlib.suppress(OSError):
        for entry in night.iterdir() if night is not None else ():
            entry.unlink()
    for path in made:
        with contextlib.suppress(OSError):
            path.rmdir()


@dataclass(frozen=True)
class _Block:
    """Samples that follow each other, of one sensor."""

    sensor: int
    last_ns: int
    first: int
    counts: Counts
    stamps_ns: Ints | None

    def append_to(self, writer: NightWriter) -> None:
        writer.append_samples(
            self.sensor,
            self.counts,
            self.first,
            arrival_mono_ns=self.last_ns,
            arrival_utc_ns=self.last_ns,
            stamps_ns=self.stamps_ns,
        )


def _blocks(index: int, sensor: _Sensor, offset_ns: int) -> Iterator[_Block]:
    spool, time, samples = sensor.recording.spool, sensor.time, sensor.samples
    duration_s = (time.last_ns - time.first_ns) / 1e9
    block_s = min(BLOCK_S, max(duration_s / _BLOCKS_AT_LEAST, 0.5))
    for start, stop in spool.blocks(min(max(round(block_s * time.rate_hz), 1), _MAX_BLOCK_ROWS)):
        acc = spool.acc(start, stop)
        counters = time.losses.counters(start, stop)
        if time.kind == "none":
            stamps = np.rint(counters / time.rate_hz * 1e9).astype(np.int64) + offset_ns
        else:
            stamps = spool.times_ns(start, stop) + offset_ns
        keep = sensor.kept(start, stop)
        acc, counters, stamps = acc[keep], counters[keep], stamps[keep]
        edges = [0, *(np.flatnonzero(np.diff(counters) != 1) + 1).tolist(), len(acc)]
        for a, b in pairwise(edges):
            if a < b:
                kept = np.ascontiguousarray(stamps[a:b]) if time.kind == "arrivals" else None
                yield _Block(index, int(stamps[b - 1]), int(counters[a]), _as_counts(acc[a:b], samples), kept)


def _as_counts(acc: npt.NDArray[np.float32], samples: Survey) -> Counts:
    if samples.grid is not None:
        return samples.grid.counts(acc)
    return (acc.astype(np.float64) * samples.g_per_unit).astype(np.float32)
