"""What false alarms were: each gets the cause that was there at the time, from the table of happenings."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_host.body import site
from firmware_host.errors import BadFileError, BadValueError, NotFoundError
from firmware_host.learning.score import Outcome
from firmware_host.simulation.truth import HAPPENING_DTYPE
from firmware_host.twitches import Table

Strings = npt.NDArray[np.str_]

SECOND_MAXIMUM = "second maximum"
UNEXPLAINED = "unexplained"
BESIDE_S = 0.4
"""A smaller event this near to a found twitch is taken for a part of it."""
GUARD_S = 0.2
"""A filtered burst begins before and ends after what made it."""
LEAST_SHARE = 0.2
"""What lasts for minutes (the pulse, a snore) explains an event only if it is not much smaller."""
BRIEF_S = 60.0
TINY = 1e-6
SILENT = frozenset({"breath"})
"""Below the band: it makes no events."""


def causes(outcome: Outcome, happenings: Table) -> Strings:
    """Name the cause of each false alarm.

    The smaller neighbour of a found twitch is its second maximum. Else it is the shortest of the happenings
    that overlap it at its site; of what lasts long and is large enough, that nearest to its size. Else it is
    unexplained.

    Parameters
    ----------
    outcome
        Of the events and the truth.
    happenings : HAPPENING_DTYPE, (k,)

    Returns
    -------
    str, (false alarms,)
        In the order of `outcome.events[outcome.false]`.
    """
    false = outcome.events[outcome.false]
    names = np.full(len(false), UNEXPLAINED, "U32")
    for name in np.unique(false["site"]):
        at = np.flatnonzero(false["site"] == name)
        here = happenings[(happenings["site"] == name) & ~np.isin(happenings["kind"], list(SILENT))]
        names[at] = _overlapping(false[at], here)
        hits = outcome.events[outcome.true & (outcome.events["site"] == name)]
        names[at[_beside(false[at], hits)]] = SECOND_MAXIMUM
    return names


def counted_causes(outcome: Outcome, happenings: Table) -> dict[str, int]:
    """Return how many false alarms each cause has, the commonest first."""
    names, counts = np.unique(causes(outcome, happenings), return_counts=True)
    pairs = zip(names.tolist(), counts.tolist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def _overlapping(false: Table, happenings: Table) -> Strings:
    names = np.full(len(false), UNEXPLAINED, "U32")
    size_off = np.full(len(false), np.inf)
    length_s = happenings["end_s"] - happenings["start_s"]
    # The longest first, so that the shortest has the last word.
    for each, lasts_s in sorted(zip(happenings, length_s, strict=True), key=lambda pair: -pair[1]):
        over = (false["peak_s"] >= each["start_s"] - GUARD_S) & (false["peak_s"] <= each["end_s"] + GUARD_S)
        if lasts_s > BRIEF_S:
            ratio = false["peak_to_peak_mg"].astype(float) / max(float(each["size_mg"]), TINY)
            off = np.abs(np.log(np.maximum(ratio, TINY)))
            over &= (ratio * LEAST_SHARE <= 1) & (off <= size_off)
            size_off[over] = off[over]
        names[over] = each["kind"]
    return names


def _beside(false: Table, hits: Table) -> npt.NDArray[np.bool_]:
    """Tell false alarms that have a larger match near; both in order of time."""
    beside = np.zeros(len(false), bool)
    hits = hits[np.argsort(hits["peak_s"], kind="stable")]
    first, stop = (np.searchsorted(hits["peak_s"], false["peak_s"] + side) for side in (-BESIDE_S, BESIDE_S))
    for number, (low, high) in enumerate(zip(first.tolist(), stop.tolist(), strict=True)):
        beside[number] = high > low and hits["snr"][low:high].max() > false["snr"][number]
    return beside


def read_happenings(path: Path) -> Table:
    """Read a CSV of happenings as the simulator writes it: `site,kind,start_s,end_s`, and `size_mg` if known.

    Raises
    ------
    NotFoundError, BadFileError
        The latter with the line that cannot be understood.
    """
    rows = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, strict=True)
            if not {"site", "kind", "start_s", "end_s"} <= set(lines.fieldnames or []):
                raise BadFileError(
                    f"{path.name}, line 1: a file of happenings has the columns site,kind,start_s,end_s.",
                    path=path, line=1,
                )  # fmt: skip
            for line in lines:
                try:
                    values = [float(line[name] or "nan") for name in ("start_s", "end_s")]
                    if not all(map(math.isfinite, values)):
                        raise ValueError("a time is missing")
                    row = dict.fromkeys(HAPPENING_DTYPE.names or (), "") | line
                    row |= {"start_s": values[0], "end_s": values[1], "site": site(line["site"] or "").name}
                    row["size_mg"] = float(line.get("size_mg") or "inf")
                    rows.append(tuple(row[name] for name in HAPPENING_DTYPE.names or ()))
                except (ValueError, BadValueError) as error:
                    text = f"{path.name}, line {lines.line_num}: {str(error).rstrip('.')}."
                    raise BadFileError(text, path=path, line=lines.line_num) from None
    except FileNotFoundError:
        raise NotFoundError(f"There is no file of happenings {path}.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise BadFileError(f"{path} cannot be read as a CSV file: {why}.", path=path) from None
    return np.array(rows, HAPPENING_DTYPE)
