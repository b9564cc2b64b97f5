"""The one module that joins recording, detection and results: a night in, events and coverage out.

Detection works on sample indices and knows no clock; here its findings get their times, site after site, and
the whole run is stored beside the night, where it can be deleted and made again at will.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

import firmware_host
from firmware_host.errors import BadFileError, BadValueError, NotFoundError
from firmware_host.recording import Night, ResultsStore, RunInfo, Stretch, open_night
from firmware_host.recording.results import damaged
from firmware_host.twitch_map import twitch_map
from firmware_host.twitches import (
    COVERAGE_COLUMNS,
    COVERAGE_DTYPE,
    EVENT_COLUMNS,
    EVENT_DTYPE,
    Column,
    Kind,
    Table,
    check_coverage,
    check_events,
    dtype_of,
    table,
    tiled,
)

if TYPE_CHECKING:  # detection brings scipy, which lists and pages can do without
    from firmware_host.detection.classifier import Model
    from firmware_host.detection.detector import Found

DEFAULT_MODEL = "plain"
DEFAULT_POINT = "balanced"
Progress = Callable[[float], None]


class SiteSummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one site's night held: rates, what it was good for in seconds, counted twitches and noise."""

    site: str
    fs_hz: float
    fs_nominal_hz: float
    seconds: dict[str, float]
    twitches: int
    noise_mg_per_sqrt_hz: float | None


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run in brief; stored with it as JSON."""

    start_ns: int
    duration_s: float
    sites: tuple[SiteSummary, ...]
    warnings: tuple[str, ...]
    samples_sha256: str


@dataclass(frozen=True)
class Run:
    """One detection run over a night: its events (`EVENT_DTYPE`), coverage (`COVERAGE_DTYPE`) and summary."""

    info: RunInfo
    events: Table
    coverage: Table
    summary: Summary

    @property
    def counted(self) -> Table:
        """The events that count: at or above the operating point and not rejected."""
        counted: Table = self.events[self.events["counted"]]
        return counted


def model_folders(recordings: Path | None = None) -> list[Path]:
    """Return the folders that hold model bundles, the shipped ones first so that no other shadows them."""
    package = Path(firmware_host.__file__).parent
    shipped = package / "_models"
    folders = [shipped if shipped.is_dir() else package.parent / "models"]
    return folders if recordings is None else [*folders, recordings / "models"]


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
    except (OSError, ValueError, BadValueError) as error:
        raise BadFileError(
            f"The model file {found[name]} cannot be used: {error}.", path=found[name]
        ) from error


def detect_night(
    night: Night | Path,
    *,
    model: str = DEFAULT_MODEL,
    operating_point: str = DEFAULT_POINT,
    progress: Progress | None = None,
) -> Run:
    """Find the twitches of a whole night and store them as a new run beside it.

    Parameters
    ----------
    night
        An open night or its folder.
    model
        Name of a model bundle.
    operating_point
        "specific", "balanced" or "sensitive".
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    The stored run.

    Raises
    ------
    BadValueError
        If the operating point is unknown or no site was sampled fast enough.
    NotFoundError
        If the model or the night is not there.
    StorageError, BadFileError
        If the results cannot be stored; known before the work begins.
    """
    night = open_night(night) if isinstance(night, Path) else night
    bundle, model_sha256 = load_model(model, night.path.parent)
    bundle.threshold(operating_point)
    store = ResultsStore(night.path)
    store.prepare()
    found = []
    for number, site in enumerate(night.sites):
        tell = _part(progress, number, len(night.sites))
        found.append(_detect_site(night, site, bundle, operating_point, tell))
    if found and not any(len(site.coverage) for site in found):
        raise BadValueError(
            next((site.warning for site in found if site.warning), f"{night.path.name} holds no samples.")
        )
    columns = (*EVENT_COLUMNS, *_feature_columns())
    rows = np.concatenate([np.zeros(0, dtype_of(columns)), *(site.events for site in found)])
    rows["event_id"] = np.arange(len(rows))
    events = rows[list(EVENT_DTYPE.names or ())].astype(EVENT_DTYPE)
    coverage = np.concatenate([np.zeros(0, COVERAGE_DTYPE), *(site.coverage for site in found)])
    check_events(events)
    check_coverage(coverage)
    summary = Summary(
        start_ns=night.start_ns,
        duration_s=night.duration_s,
        sites=tuple(site.summary() for site in found),
        warnings=tuple(site.warning for site in found if site.warning),
        samples_sha256=night.log_sha256(),
    )
    info = RunInfo(
        run_id=secrets.token_hex(4),
        created_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
        detector=f"twitchmap {firmware_host.__version__}",
        model=f"{bundle.name} {bundle.version}",
        model_sha256=model_sha256,
        operating_point=operating_point,
        passes=1,
        settings=json.dumps(msgspec.to_builtins(bundle)),
        summary=msgspec.json.encode(summary).decode(),
        complete=not night.being_written,
    )
    store.write_run(info, columns, rows, COVERAGE_COLUMNS, coverage)
    return Run(info, events, coverage, summary)


def load_run(night: Night, run_id: str | None = None) -> Run:
    """Load a stored run: the newest complete one, or the one of that id.

    Sites that were corrected since the run was made have their new names in it.

    Raises
    ------
    NotFoundError
        If there is none.
    BadFileError
        If what is stored cannot be a run, or is one of other sites than the night has.
    """
    store = ResultsStore(night.path)
    info = store.run(run_id)
    events = store.read_events(info.run_id, EVENT_COLUMNS)
    coverage = store.read_coverage(info.run_id, COVERAGE_COLUMNS)
    summary = summary_of(info)
    try:
        check_events(events)
        check_coverage(coverage)
        json.loads(info.settings)
        since_ns = round(datetime.fromisoformat(info.created_utc).timestamp() * 1e9)
    except ValueError as error:
        raise damaged(store.path, error) from error
    for renamed in night.meta.renamed_since(since_ns):
        for rows in (events, coverage):
            names, of_row = np.unique(rows["site"], return_inverse=True)
            rows["site"] = np.array([renamed.get(name, name) for name in names.tolist()], "U32")[of_row]
        sites = (msgspec.structs.replace(one, site=renamed.get(one.site, one.site)) for one in summary.sites)
        summary = msgspec.structs.replace(summary, sites=tuple(sites))
    if {one.site for one in summary.sites} != set(night.sites):
        text = f"The run {info.run_id} of {night.path.name} is of other sites than the night: detect again."
        raise BadFileError(text, path=store.path)
    return Run(info, events, coverage, summary)


def runs_of(path: Path) -> list[RunInfo]:
    """Return the complete runs of a night, oldest first."""
    return [info for info in ResultsStore(path).runs() if info.complete]


def summary_of(info: RunInfo) -> Summary:
    """Return the summary that is stored with a run.

    Raises
    ------
    BadFileError
        If a program that knows other summaries made it.
    """
    try:
        return msgspec.json.decode(info.summary, type=Summary)
    except msgspec.DecodeError as error:
        raise BadFileError(f"The run {info.run_id} is of another twitchmap: detect again.") from error


def night_counts(night: Night, run: Run, bin_s: float | None = None) -> Table:
    """Count a run's twitches per site and time bin (`COUNT_DTYPE`); None makes one bin of the whole night."""
    return twitch_map(run.events, run.coverage, night.sites, night.start_ns, bin_s, night.duration_s)


@dataclass(frozen=True)
class _SiteFound:
    """What was found at one site, in seconds from the night's start."""

    site: str
    fs_hz: float
    fs_nominal_hz: float
    noise_mg_per_sqrt_hz: float | None = None
    warning: str | None = None
    events: Table = field(default_factory=lambda: table(dtype_of((*EVENT_COLUMNS, *_feature_columns())), 0))
    coverage: Table = field(default_factory=lambda: table(COVERAGE_DTYPE, 0))

    def summary(self) -> SiteSummary:
        lengths_s = self.coverage["end_s"] - self.coverage["start_s"]
        seconds = {kind.name.lower(): float(lengths_s[self.coverage["kind"] == kind].sum()) for kind in Kind}
        return SiteSummary(
            self.site,
            self.fs_hz,
            self.fs_nominal_hz,
            seconds,
            int(self.events["counted"].sum()),
            self.noise_mg_per_sqrt_hz,
        )


def _detect_site(night: Night, site: str, model: Model, operating_point: str, tell: Progress) -> _SiteFound:
    """Detect in each stretch of a site, and tile its night with coverage: what is in no stretch is a gap."""
    from firmware_host.detection.detector import detect_stretch
    from firmware_host.detection.signals import RATE_WARNED_BELOW_HZ, check_rate

    stretches = night.stretches(site)
    info = night.meta.sensor(site)
    longest = max(stretches, key=lambda stretch: stretch.n, default=None)
    if longest is None:
        return _SiteFound(site, 0.0, info.fs_hz, warning=f"{site}: the sensor sent nothing.")
    fs_hz = longest.fs_hz
    warning = f"{site}: below {RATE_WARNED_BELOW_HZ:.0f} samples a second fast twitches are seen weakened."
    try:
        slow = check_rate(min(fs_hz, info.fs_hz), site)
    except BadValueError as error:
        return _SiteFound(site, fs_hz, info.fs_hz, warning=str(error))
    parts, noise, done = [], None, 0
    step_g = info.g_per_count if info.sample_type == "int16" else None
    for stretch in stretches:
        chunks = _told(stretch, tell, done, sum(stretch.n for stretch in stretches))
        found = detect_stretch(
            chunks, stretch.n, info.fs_hz, model.lowest_score, range_g=info.range_g, step_g=step_g
        )
        events = _events(found, stretch, night.start_ns)
        events["counted"] = model.counted(found.candidates, operating_point)
        parts.append((events, _coverage(found, stretch, night.start_ns)))
        if stretch is longest and np.isfinite(found.density).all():
            noise = float(np.sqrt(np.mean(found.density**2)))
        done += stretch.n
    events, coverage = (np.concatenate(tables) for tables in zip(*parts, strict=True))
    return _SiteFound(
        site,
        fs_hz,
        info.fs_hz,
        noise,
        warning if slow else None,
        events[np.argsort(events["peak_s"], kind="stable")],
        tiled(coverage, site, night.duration_s),
    )


def _feature_columns() -> tuple[Column, ...]:
    """Return what is stored of a candidate beside the columns of an event: its score and shape."""
    from firmware_host.detection.detector import CANDIDATE_COLUMNS

    known = {column.name for column in EVENT_COLUMNS}
    return tuple(
        c for c in CANDIDATE_COLUMNS if c.name not in known and c.unit not in {"samples", "1/sample"}
    )


def _told(
    stretch: Stretch, tell: Progress, done: int, total: int
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    for first, acc_g in stretch.chunks():
        yield first, acc_g
        tell((done + first + len(acc_g)) / total)


def _events(found: Found, stretch: Stretch, start_ns: int) -> Table:
    """Give candidates their times: from the stretch's sample grid to seconds of the night."""
    rows = found.candidates
    peak_s, onset_s, end_s = (
        (stretch.time_ns(rows[name]) - start_ns) / 1e9 for name in ("peak_index", "onset_index", "end_index")
    )
    events = table(
        dtype_of((*EVENT_COLUMNS, *_feature_columns())),
        len(rows),
        site=stretch.site,
        peak_s=peak_s,
        onset_s=onset_s,
        duration_ms=1e3 * (end_s - onset_s),
        dominant_hz=rows["dominant_cps"] * stretch.fs_hz,
    )
    for name in set(rows.dtype.names or ()) & set(events.dtype.names or ()):
        events[name] = rows[name]
    return events


def _coverage(found: Found, stretch: Stretch, start_ns: int) -> Table:
    rows = found.coverage
    start_s, end_s = (
        (stretch.time_ns(rows[name]) - start_ns) / 1e9 for name in ("start_index", "stop_index")
    )
    return table(
        COVERAGE_DTYPE,
        len(rows),
        site=stretch.site,
        start_s=start_s,
        end_s=end_s,
        kind=rows["kind"],
        wear_unconfirmed=rows["wear_unconfirmed"],
    )


def _part(progress: Progress | None, number: int, of: int) -> Progress:
    """Return what tells the progress of one of several equal parts."""
    return (lambda share: progress((number + share) / of)) if progress else (lambda _: None)
