"""What pass 2 looks at of a training night, as plain arrays: its units, without their templates.

Which candidates are alike does not depend on any model. What pass 1 says of them does, and comes later.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from firmware_host.analysis import Findings
from firmware_host.detection.unit_features import POOLED, UNIT_FEATURES, unit_features
from firmware_host.detection.units import Grouped, group
from firmware_host.detection.waves import WAVE_SHAPE

_KEPT = tuple(name for name in Grouped._fields if name != "templates")


class Repeats(NamedTuple):
    """The units of a night: of each site their number and valid hours; of each candidate, (n, ...), the rest.

    `site` (n,) is the number of a candidate's site; `near` counts within the site.
    """

    units: npt.NDArray[np.int64]
    hours: npt.NDArray[np.float64]
    site: npt.NDArray[np.int64]
    peak_s: npt.NDArray[np.float64]
    side_lobe: npt.NDArray[np.float32]
    pooled: npt.NDArray[np.float32]
    unit: npt.NDArray[Any]
    member: npt.NDArray[Any]
    like: npt.NDArray[Any]
    second: npt.NDArray[Any]
    fit: npt.NDArray[Any]
    lag: npt.NDArray[Any]
    size: npt.NDArray[Any]
    near: npt.NDArray[Any]
    near_like: npt.NDArray[Any]
    beside_left: npt.NDArray[Any]

    def features(self, log_odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Return `UNIT_FEATURES` of all candidates, (n, features), given what pass 1 says of them."""
        out = np.full((len(self.site), len(UNIT_FEATURES)), np.nan, np.float32)
        for number, (units, hours) in enumerate(zip(self.units.tolist(), self.hours.tolist(), strict=True)):
            own = np.flatnonzero(self.site == number)
            templates = np.zeros((units, 3, 0), np.float32)
            grouped = Grouped(templates, **{name: getattr(self, name)[own] for name in _KEPT})
            rows = {name: self.pooled[own, column] for column, name in enumerate(POOLED)}
            rows["side_lobe"] = self.side_lobe[own]
            told = unit_features(grouped, rows, self.peak_s[own], log_odds[own], hours)
            out[own] = np.stack([told[column.name] for column in UNIT_FEATURES], axis=1)
        return out


def repeats_of(findings: Findings, lowest_score: float) -> Repeats:
    """Group the candidates of a night, all of which have at least the lowest score, site by site."""
    rows = findings.rows
    sites = list(dict.fromkeys(rows["site"].tolist()))
    grouped = [findings.grouped(site, lowest_score) for site in sites]
    empty = _group_of_none()
    return Repeats(
        np.array([len(one.templates) for one in grouped], np.int64),
        np.array([findings.valid_h(site) for site in sites], np.float64),
        np.array([sites.index(site) for site in rows["site"].tolist()], np.int64),
        rows["peak_s"].astype(float),
        rows["side_lobe"].astype(np.float32),
        np.stack([rows[name].astype(np.float32) for name in POOLED], axis=1),
        *(np.concatenate([getattr(one, name) for one in (empty, *grouped)]) for name in _KEPT),
    )


def _group_of_none() -> Grouped:
    """Return the units of a site without candidates."""

    none = np.zeros(0, np.float32)
    return group(np.zeros((0, *WAVE_SHAPE), np.float32), none, none, np.zeros(0), none > 0)
