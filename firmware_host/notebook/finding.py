"""Twitches as a notebook gets at them: found, loaded, counted and scored; and the samples behind them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firmware_host import analysis
from firmware_host.errors import BadValueError
from firmware_host.notebook.arguments import kind_of, number_of, path_of, text_of
from firmware_host.notebook.opening import NightLike
from firmware_host.notebook.opening import open as open_night
from firmware_host.notebook.results import Floats, SiteSamples, Twitches, TwitchMap
from firmware_host.recording import Night
from firmware_host.twitches import Table

if TYPE_CHECKING:
    from firmware_host.learning.score import Score
    from firmware_host.twitch_map.comparison import Comparison, SiteNight

LONGEST_S = 1e9
"""No time of a night is farther from its start: nanoseconds of UTC would not hold it."""


def detect(
    night: NightLike, *, model: str | None = None, operating_point: str = analysis.DEFAULT_POINT
) -> Twitches:
    """Find the twitches of a night and store them beside it as a new run; as `twitchmap detect`.

    Parameters
    ----------
    night
        What `open` takes or returned.
    model
        Name of a model; None: the one in use.
    operating_point
        "specific", "balanced" or "sensitive".

    Raises
    ------
    BadValueError, NotFoundError, StorageError
        If a name is unknown, no site was sampled fast enough, or the results cannot be stored.
    """
    night = open_night(night)
    if model is not None:
        text_of(model, "The model")
    text_of(operating_point, "The operating point")
    return _with_night(analysis.detect_night(night, model=model, operating_point=operating_point), night)


def load_run(night: NightLike, run_id: str | None = None, *, with_labels: bool = True) -> Twitches:
    """Return what was found before: the newest complete run, or the one of that id.

    Parameters
    ----------
    with_labels
        Lay over it what a reviewer said; else it is what the detector found.

    Raises
    ------
    NotFoundError
        If there is none yet.
    """
    night = open_night(night)
    return _with_night(analysis.load_run(night, run_id, with_labels=with_labels), night)


def twitch_map(twitches: Twitches, bin_s: float | None = 900.0) -> TwitchMap:
    """Count twitches by site and time bin, over the time in which they could be seen.

    Parameters
    ----------
    twitches
        What `detect` or `load_run` returned.
    bin_s
        Length of the bins in s, multiples of it in UTC; None makes one bin of the whole night.

    Raises
    ------
    BadValueError
        If the bins cannot be made.
    """
    _check_twitches(twitches)
    bin_s = _bin(bin_s)
    return TwitchMap(twitches, analysis.night_counts(twitches.night, twitches, bin_s), bin_s)


def counts(night: NightLike, run: analysis.Run, bin_s: float | None = None) -> Table:
    """Count as `twitch_map`, as a numpy table alone; None makes one bin of the whole night.

    Returns
    -------
    (sites x bins,) `COUNT_DTYPE`, site by site, in order of time.

    Raises
    ------
    BadValueError
        If the bins cannot be made, or the twitches are of another night.
    """
    _check_twitches(run, analysis.Run)
    night = open_night(night)
    if isinstance(run, Twitches) and run.night.path.resolve() != night.path.resolve():
        raise BadValueError(f"These are twitches of {run.night.path.name}, not of {night.path.name}.")
    return analysis.night_counts(night, run, _bin(bin_s))


def compare(
    first: Iterable[NightLike], second: Iterable[NightLike], site: str, other_site: str | None = None
) -> Comparison:
    """Compare a site in two groups of nights, above the largest of their detection limits.

    Parameters
    ----------
    first, second
        The nights, five a side for a ratio; of each the newest complete run, as it is labelled.
    other_site
        The site in the second group; None: the same. Then the same nights may stand on both sides.

    Returns
    -------
    Comparison
        `ratio`: the second's rate over the first's, None with the reason in `no_ratio`; `ratio_low`,
        `ratio_high`: its 95 % interval; `limit_mg`; `warnings`; `left_out`: nights that do not compare.

    Raises
    ------
    BadValueError, NotFoundError
        If nights were judged by different detectors, simulated ones stand beside recorded ones, a night
        stands on both sides, or one has no run or no such site.
    """
    from firmware_host.analysis.comparing import site_night
    from firmware_host.twitch_map.comparison import compare as compare_sides

    def side(nights: Iterable[NightLike], at: str) -> list[SiteNight]:
        if isinstance(nights, str | Path | Night) or not isinstance(nights, Iterable):
            raise BadValueError(f"The nights of a side are given as a list, not as {kind_of(nights)}.")
        opened = [open_night(night) for night in nights]
        return [site_night(night, analysis.load_run(night), text_of(at, "The site")) for night in opened]

    return compare_sides(side(first, site), side(second, site if other_site is None else other_site))


def samples(
    night: NightLike,
    site: str,
    start_s: float | None = None,
    end_s: float | None = None,
    *,
    nan_at_gaps: bool = True,
) -> SiteSamples:
    """Return the samples of one site as arrays.

    Parameters
    ----------
    start_s, end_s
        From where to where, in s from the night's start, the end left out; None: all.
    nan_at_gaps
        Put a row of NaN where samples are missing, so that a drawn line breaks there. Without it only what
        the sensor sent is returned, and a filter must be told where it may not run on.

    Raises
    ------
    BadValueError
        If the night has no such site, or the end is not after the start.
    """
    night = open_night(night)
    start_s, end_s = (None if at_s is None else _time(at_s) for at_s in (start_s, end_s))
    if start_s is not None and end_s is not None and not start_s < end_s:
        raise BadValueError(
            f"The samples are to end at {end_s:g} s and begin at {start_s:g} s: give end_s above it."
        )
    edges = [None if at_s is None else night.start_ns + round(at_s * 1e9) for at_s in (start_s, end_s)]
    times: list[Floats] = []
    values: list[npt.NDArray[np.float32]] = []
    for piece in night.read(site, *edges):
        time_s = (piece.time_ns - night.start_ns) / 1e9
        if times and nan_at_gaps:
            times.append(np.array([(times[-1][-1] + time_s[0]) / 2]))
            values.append(np.full((1, 3), np.nan, np.float32))
        times.append(time_s)
        values.append(piece.acc_g)
    rates = [(len(time_s) - 1) / (time_s[-1] - time_s[0]) for time_s in times if len(time_s) > 1]
    return SiteSamples(
        site=site,
        start_ns=night.start_ns,
        fs_hz=float(np.median(rates)) if rates else float("nan"),
        time_s=np.concatenate([np.zeros(0), *times]),
        acc_g=np.concatenate([np.zeros((0, 3), np.float32), *values]),
    )


def score(twitches: Twitches, truth: Path | str) -> Score:
    """Compare what the detector found, labels left out, with a CSV of known twitches; as `twitchmap score`.

    Raises
    ------
    NotFoundError, BadFileError
        If the truth is not there or cannot be read.
    """
    from firmware_host.learning.score import outcome_of, read_truth, score_of

    _check_twitches(twitches)
    known = read_truth(path_of(truth, "The file of the truth"))
    run = analysis.load_run(twitches.night, twitches.info.run_id, with_labels=False)
    noise = {site.site: site.noise_mg_per_sqrt_hz for site in run.summary.sites}
    floors = {site: density for site, density in noise.items() if density is not None}
    return score_of(outcome_of(run.events, run.coverage, known, floors))


def _with_night(run: analysis.Run, night: Night) -> Twitches:
    return Twitches(**vars(run), night=night)


def _bin(bin_s: object) -> float | None:
    return None if bin_s is None else number_of(bin_s, "The length of a bin in seconds")


def _time(at_s: object) -> float:
    known = number_of(at_s, "A time in seconds from the night's start")
    if not abs(known) < LONGEST_S:
        raise BadValueError(f"Samples lie between seconds from the night's start, not at {known:g} s.")
    return known


def _check_twitches(twitches: object, kind: type[analysis.Run] = Twitches) -> None:
    if not isinstance(twitches, kind):
        raise BadValueError(
            f"This needs what `detect(night)` or `load_run(night)` returns, not {kind_of(twitches)}."
        )
