"""What a reviewer said, laid over the tables of a detection run: counts follow from it at once.

A verdict is ascribed to the event nearest in time, one to one, within 75 ms; so it holds for every run of the
night. What was last said of an event counts. A twitch that no candidate lies near becomes a row of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.recording.labels import Item, Labels, SpotCheck
from firmware_host.recording.labels import Label as Decision
from firmware_host.recording.night import NightMeta
from firmware_host.twitch_map import inside
from firmware_host.twitches import EVENT_DTYPE, Flag, Kind, Label, Table, table, tiled

Int64 = npt.NDArray[np.int64]

MATCH_S = 0.075
"""A label and an event farther apart are not of one twitch (design, section 3)."""
SAME_S = 0.030
"""Two labels closer than this are of one twitch: events of one run are 60 ms apart and more."""
_MEANS = {
    "twitch": Label.TWITCH,
    "added": Label.TWITCH,
    "not_twitch": Label.NOT_TWITCH,
    "no_verdict": Label.NONE,
}
EXCLUDE, INCLUDE, WORN, NOT_WORN = "exclude", "include", "worn", "not_worn"


@dataclass(frozen=True)
class Said:
    """What the labels say of one site, in order of time."""

    peak_ns: Int64
    verdict: npt.NDArray[np.uint8]
    """`twitches.Label` of each; one event comes once."""
    by: Int64
    """Which of the labels said it: its place in `Labels.active`."""
    stretches: tuple[tuple[str, int, int], ...]
    """What is said of stretches (exclude, include, worn, not_worn), start and end, in the order given."""


def said_of(labels: Labels, meta: NightMeta) -> dict[str, Said]:
    """Return what a night's labels say, by site; sites that were corrected since have their new names."""
    peaks: dict[str, list[tuple[Int64, int, int]]] = {}
    stretches: dict[str, list[tuple[str, int, int]]] = {}
    active = named_now(labels, meta).active
    put_right = _put_right(active)
    for number, one in enumerate(active):
        if one.what in _MEANS and number not in put_right:
            for site, peaks_ns in one.peaks_ns.items():
                part = (np.array(peaks_ns, np.int64), int(_MEANS[one.what]), number)
                peaks.setdefault(site, []).append(part)
        for site in one.sites:
            stretches.setdefault(site, []).append((one.what, one.start_ns, one.end_ns))
    none = (np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int64))
    return {
        site: Said(*(_last_said(peaks[site]) if site in peaks else none), tuple(stretches.get(site, ())))
        for site in {*peaks, *stretches}
    }


def _put_right(given: Sequence[Decision]) -> set[int]:
    """Return which labels are answers of a spot check that was answered anew for the same event."""
    known: set[tuple[object, ...]] = set()
    found = set()
    for number in range(len(given) - 1, -1, -1):
        one = given[number]
        if one.spot_check:
            item = (one.spot_check, *((site, *peaks) for site, peaks in one.peaks_ns.items()))
            if item in known:
                found.add(number)
            known.add(item)
    return found


def named_now(labels: Labels, meta: NightMeta) -> Labels:
    """Return labels and spot checks with the names that sites have now, corrected since or not."""

    def now(site: str, utc_ns: int) -> str:
        for corrected in meta.renamed_since(utc_ns):
            site = corrected.get(site, site)
        return site

    def label(one: Decision) -> Decision:
        peaks_ns = {now(site, one.utc_ns): peaks for site, peaks in one.peaks_ns.items()}
        sites = tuple(now(site, one.utc_ns) for site in one.sites)
        return msgspec.structs.replace(one, peaks_ns=peaks_ns, sites=sites)

    def check(one: SpotCheck) -> SpotCheck:
        items = (Item(now(item.site, one.utc_ns), item.peak_ns, item.counted) for item in one.items)
        return msgspec.structs.replace(one, items=tuple(items))

    if not meta.renamed_since():
        return labels
    return replace(
        labels,
        active=tuple(map(label, labels.active)),
        undone=tuple(map(label, labels.undone)),
        spot_checks=tuple(map(check, labels.spot_checks)),
    )


def _last_said(parts: Sequence[tuple[Int64, int, int]]) -> tuple[Int64, npt.NDArray[np.uint8], Int64]:
    """Return times, verdicts and who said them, by time; of several within `SAME_S` the last that holds."""
    size = [len(peaks) for peaks, *_ in parts]
    peak_ns = np.concatenate([peaks for peaks, *_ in parts])
    verdict = np.repeat(np.array([means for _, means, _ in parts], np.uint8), size)
    by = np.repeat(np.array([number for *_, number in parts], np.int64), size)
    given = np.argsort(peak_ns, kind="stable")
    peak_ns, verdict, by = peak_ns[given], verdict[given], by[given]
    apart = np.diff(peak_ns) >= SAME_S * 1e9
    if not apart.all():
        group = np.concatenate([[0], np.cumsum(apart)])
        last = np.lexsort((given, group))
        last = last[np.append(group[last][1:] != group[last][:-1], True)]
        peak_ns, verdict, by = peak_ns[last], verdict[last], by[last]
    return peak_ns, verdict, by


def nearest_pairs(one_ns: Int64, other_ns: Int64, tolerance_s: float = MATCH_S) -> tuple[Int64, Int64]:
    """Pair two sorted series of times one to one, the nearest first.

    Returns
    -------
    one, other : int64, (pairs,)
        Indices of the paired times, in order of the first.
    """
    free, others = np.arange(len(one_ns)), np.arange(len(other_ns))
    found = [(free[:0], others[:0])]
    while len(free) and len(others):
        to, back = _nearest(one_ns[free], other_ns[others]), _nearest(other_ns[others], one_ns[free])
        each = np.arange(len(free))
        close = np.abs(one_ns[free] - other_ns[others[to]]) <= tolerance_s * 1e9
        both = close & (back[to] == each)
        if not both.any():
            break
        found.append((free[both], others[to[both]]))
        if close.sum() == both.sum():  # who is left has nobody near
            break
        others = np.delete(others, to[both])
        free = free[~both]
    one, other = (np.concatenate(part) for part in zip(*found, strict=True))
    in_order = np.argsort(one, kind="stable") if len(found) > 2 else slice(None)
    return one[in_order], other[in_order]


def _nearest(times_ns: Int64, among_ns: Int64) -> Int64:
    """Return the index of the nearest of some sorted times, of two equally near the earlier."""
    after = np.searchsorted(among_ns, times_ns)
    before = np.maximum(after - 1, 0)
    after = np.minimum(after, len(among_ns) - 1)
    return np.where(times_ns - among_ns[before] <= among_ns[after] - times_ns, before, after)


def labelled(
    events: Table, coverage: Table, said: Mapping[str, Said], start_ns: int, duration_s: float
) -> tuple[Table, Table]:
    """Return a run's events and coverage with what was said of them.

    Parameters
    ----------
    events : EVENT_DTYPE, (n,)
        As the detector left them.
    coverage : COVERAGE_DTYPE, (k,)
    said
        By site; what is said of a site that has no coverage is left out.
    start_ns, duration_s
        The night's; labels outside of it are left out.

    Returns
    -------
    events : EVENT_DTYPE, (n + added,)
        A twitch counts, wherever it stands to the operating point, and is no longer `REJECTED`; one that is
        none is `REJECTED` and does not count; neither does what lies outside valid time, whoever added it.
        Rows for twitches without a candidate have `event_id` after all others, and NaN for what was not
        measured.
    coverage : COVERAGE_DTYPE
    """
    events = events.copy()  # the detector's stay what they are
    of_site, covered = site_slices(events), site_slices(coverage)
    added: dict[str, Table] = {}
    for site, what in said.items():
        if site not in covered:
            continue
        rows = events[of_site.get(site, slice(0, 0))]
        own = covered[site]
        laid = _overlaid(coverage[own], what.stretches, start_ns, duration_s)
        valid = coverage[own] if laid is None else laid
        valid = valid[valid["kind"] == Kind.VALID]
        added[site] = _judge(rows, what, start_ns, duration_s)
        added[site]["site"] = site
        for some in (rows, added[site]):
            some["counted"] &= inside(some["peak_s"], valid)
        if laid is not None:
            coverage = np.concatenate([coverage[: own.start], laid, coverage[own.stop :]])
            covered = site_slices(coverage)
    return _with_added(events, of_site, added), coverage


def site_slices(rows: Table) -> dict[str, slice]:
    """Return where the rows of each site stand, in their order; the rows of one site stand together."""
    sites, found, first = rows["site"], {}, 0
    while first < len(rows):
        site = str(sites[first])
        # The first row of another site, by halving: to compare all names would take longer than all else.
        low, high = first, len(rows)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if sites[middle] == site else (low, middle)
        found[site] = slice(first, high)
        first = high
    return found


def _judge(rows: Table, said: Said, start_ns: int, duration_s: float) -> Table:
    """Write verdicts into a site's rows, in place; return rows for twitches that have none."""
    within = (said.peak_ns >= start_ns) & (said.peak_ns <= start_ns + duration_s * 1e9)
    peak_ns, verdict = said.peak_ns[within], said.verdict[within]
    known, at = nearest_pairs(peak_ns, start_ns + np.rint(rows["peak_s"] * 1e9).astype(np.int64))
    spoken = verdict[known]
    judged = np.zeros(len(rows), np.uint8)
    judged[at] = spoken
    rows["label"] = judged
    yes, no = judged == Label.TWITCH, judged == Label.NOT_TWITCH
    rows["counted"] = (rows["counted"] | yes) & ~no
    rows["flags"] = np.where(yes, rows["flags"] & ~np.uint32(Flag.REJECTED), rows["flags"])
    rows["flags"] |= np.where(no, np.uint32(Flag.REJECTED), np.uint32(0))
    without = verdict == Label.TWITCH
    without[known] = False
    peak_s = (peak_ns[without] - start_ns) / 1e9
    new = table(EVENT_DTYPE, len(peak_s), peak_s=peak_s, onset_s=peak_s, counted=True, label=Label.TWITCH)
    for name in ("duration_ms", "peak_to_peak_mg", "snr", "dominant_hz"):
        new[name] = np.nan
    return new


def _overlaid(
    rows: Table, stretches: Sequence[tuple[str, int, int]], start_ns: int, duration_s: float
) -> Table | None:
    """Lay what was said of stretches over a site's coverage; None where nothing was said within the night."""
    spoken = [
        (what, max(0.0, (start - start_ns) / 1e9), min(duration_s, (end - start_ns) / 1e9))
        for what, start, end in stretches
    ]
    spoken = [(what, start_s, end_s) for what, start_s, end_s in spoken if start_s < end_s]
    if not spoken:
        return None
    edges = np.unique(np.concatenate([rows["start_s"], rows["end_s"], *([a, b] for _, a, b in spoken)]))
    middle = (edges[1:] + edges[:-1]) / 2
    at = np.searchsorted(rows["start_s"], middle, side="right") - 1
    known = (at >= 0) & (middle < rows["end_s"][at])
    cut: Table = rows[at[known]]
    cut["start_s"], cut["end_s"], middle = edges[:-1][known], edges[1:][known], middle[known]
    excluded, answer = np.zeros(len(cut), bool), np.zeros(len(cut), np.int8)
    for what, start_s, end_s in spoken:
        meant = (middle >= start_s) & (middle < end_s)
        if what in {EXCLUDE, INCLUDE}:
            excluded[meant] = what == EXCLUDE
        else:
            answer[meant] = 1 if what == WORN else -1
    bare = cut["wear_unconfirmed"] & (cut["kind"] == Kind.VALID) & (answer < 0)
    cut["kind"] = np.select([excluded, bare], [Kind.EXCLUDED, Kind.NOT_WORN], cut["kind"])
    cut["wear_unconfirmed"] &= (answer == 0) & ~excluded
    return tiled(cut, str(rows["site"][0]), duration_s)


def _with_added(events: Table, of_site: Mapping[str, slice], added: Mapping[str, Table]) -> Table:
    """Put rows at their places; they have the numbers after all others."""
    if not any(map(len, added.values())):
        return events
    number = int(events["event_id"].max(initial=-1)) + 1
    parts = []
    for site in dict.fromkeys([*of_site, *added]):
        rows, new = events[of_site.get(site, slice(0, 0))], added.get(site, events[:0])
        if len(new):
            new["event_id"] = number + np.arange(len(new))
            number += len(new)
            rows = np.concatenate([rows, new])
            rows = rows[np.argsort(rows["peak_s"], kind="stable")]
        parts.append(rows)
    return np.concatenate(parts)
