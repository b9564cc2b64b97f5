"""`detect --pass 1`: the log of a night through the same detector that ran while it was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from firmware_host.analysis.findings import Findings, Progress, SiteFacts, row_columns
from firmware_host.analysis.live import LiveDetector
from firmware_host.errors import BadValueError
from firmware_host.recording import Night, Stretch
from firmware_host.recording.blocks import BlockKind, place
from firmware_host.recording.listener import Counts
from firmware_host.recording.reader import LOG_FILE
from firmware_host.recording.stretch import read_blocks
from firmware_host.twitches import COVERAGE_DTYPE, Table, dtype_of, table, tiled

BLOCKS_AT_ONCE = 512


def replay_candidates(night: Night, lowest_score: float, *, progress: Progress | None = None) -> Findings:
    """Find what live detection found, or would have found, while the night was recorded.

    Sample indices and features are those of live detection; times are those of the whole night's clock fit.
    Wear is not judged, so that all valid time is `wear_unconfirmed`.

    Parameters
    ----------
    night
        An open night.
    lowest_score
        Candidates are kept from this score on.
    progress
        Called with the share done, 0 to 1.

    Raises
    ------
    BadValueError
        If a site was sampled too slowly, or the night holds no samples.
    """
    tell = progress or (lambda _: None)
    rows, coverage = [], []
    for session in _sessions(night):
        played = _Played(night, lowest_score)
        for share in played.play(session):
            tell(share)
        rows.append(played.timed_rows())
        coverage += played.timed_coverage()
    if not coverage:
        raise BadValueError(f"{night.path.name} holds no samples.")
    found = np.concatenate(rows)
    site_of = np.array([night.sites.index(name) for name in found["site"].tolist()], np.int64)
    found = found[np.lexsort((found["peak_s"], site_of))]
    found["event_id"] = np.arange(len(found))
    covered = np.concatenate(coverage)
    tiles = []
    for site in night.sites:
        own = covered[covered["site"] == site]
        tiles.append(tiled(own[np.argsort(own["start_s"], kind="stable")], site, night.duration_s))
    return Findings(found, np.concatenate(tiles), tuple(_facts(night, site) for site in night.sites))


def _sessions(night: Night) -> list[npt.NDArray[np.void]]:
    """Return the rows of the log's index of each session."""
    index = night.scan.index
    cuts = np.flatnonzero(np.diff(index["session"].astype(np.int64))) + 1
    return [part for part in np.split(index, cuts) if np.any(part["kind"] == BlockKind.SAMPLES)]


def _facts(night: Night, site: str) -> SiteFacts:
    fs_hz = max(night.stretches(site), key=lambda stretch: stretch.n).fs_hz if night.stretches(site) else 0.0
    return SiteFacts(site, fs_hz, night.meta.sensor(site).fs_hz)


class _Played:
    """One session of a log, played to a live detector; remembers where in the log each stretch began."""

    def __init__(self, night: Night, lowest_score: float) -> None:
        self._night = night
        self._detector = LiveDetector(night.meta.sensors, lowest_score, keep_coverage=True)
        self._rows: list[Table] = []
        self._kinds = {
            int(night.scan.index["offset"][row]): content["kind"]
            for row, kind, content in night.notes
            if kind == BlockKind.EVENT
        }
        self._starts: dict[tuple[int, int], tuple[Stretch, int]] = {}

    def play(self, session: npt.NDArray[np.void]) -> Iterator[float]:
        """Play rows of the log's index; yields the share of the log done."""
        with (self._night.path / LOG_FILE).open("rb") as stream:
            for begin in range(0, len(session), BLOCKS_AT_ONCE):
                some = session[begin : begin + BLOCKS_AT_ONCE]
                blocks = iter(read_blocks(stream, some[some["kind"] == BlockKind.SAMPLES]))
                for row in some:
                    if row["kind"] == BlockKind.SAMPLES:
                        self._block(row, next(blocks))
                    elif row["kind"] == BlockKind.EVENT:
                        self._event(row)
                yield float(some["offset"][-1]) / self._night.scan.size
        self._rows.append(self._detector.close())

    def _block(self, row: np.void, counts: Counts) -> None:
        sensor, first = int(row["sensor"]), int(row["first"])
        site = self._detector.sites.get(sensor)
        if site is None:
            return
        self._rows.append(self._detector.block(sensor, first, counts, int(row["mono_ns"])))
        if (sensor, site.stretch) not in self._starts:
            stretch = _stretch_at(self._night.stretches(site.info.site), int(place(np.array([row]))[0]))
            self._starts[sensor, site.stretch] = stretch, first - stretch.run.first

    def _event(self, row: np.void) -> None:
        sensor = int(row["sensor"]) if int(row["sensor"]) in self._detector.sites else None
        self._rows.append(self._detector.event(sensor, self._kinds.get(int(row["offset"]), "")))

    def timed_rows(self) -> Table:
        """Return all candidates with the times of the night: `row_columns()`."""
        live = np.concatenate(self._rows)
        rows = table(dtype_of(row_columns()), len(live))
        for name in rows.dtype.names or ():
            rows[name] = live[name]
        for (sensor, number), (stretch, _) in self._starts.items():
            own = (live["site"] == stretch.site) & (live["stretch"] == number)
            for name in ("peak", "onset"):
                rows[f"{name}_s"][own] = self._time_s((sensor, number), live[f"{name}_index"][own])
        return rows

    def timed_coverage(self) -> list[Table]:
        """Return all coverage with the times of the night (`COVERAGE_DTYPE`)."""
        parts = []
        for sensor, live in self._detector.covered:
            for stretch in np.unique(live["stretch"]).tolist():
                covered = live["covered"][live["stretch"] == stretch]
                parts.append(
                    table(
                        COVERAGE_DTYPE,
                        len(covered),
                        site=self._detector.sites[sensor].info.site,
                        start_s=self._time_s((sensor, stretch), covered["start_index"]),
                        end_s=self._time_s((sensor, stretch), covered["stop_index"]),
                        kind=covered["kind"],
                        wear_unconfirmed=covered["wear_unconfirmed"],
                    )
                )
        return parts

    def _time_s(self, key: tuple[int, int], index: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return when samples of a live stretch were taken, s from the night's start."""
        stretch, shift = self._starts[key]
        return np.asarray((stretch.time_ns(index + shift) - self._night.start_ns) / 1e9)


def _stretch_at(stretches: Sequence[Stretch], at: int) -> Stretch:
    """Return the stretch that a block at some `place` of the log belongs to."""
    starts = [int(place(stretch.run.rows[:1])[0]) for stretch in stretches]
    return stretches[max(int(np.searchsorted(starts, at, side="right")) - 1, 0)]
