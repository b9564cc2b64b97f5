"""A simulated night, and a made-up user who labels it by an opinion of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

import firmware_host as tm
from firmware_host import analysis
from firmware_host.analysis.piles import make_piles
from firmware_host.analysis.spot_check import draw_spot_check
from firmware_host.recording import ResultsStore
from firmware_host.recording.labels import add_label
from firmware_host.simulation import demonstration, simulate_night
from firmware_host.twitches import Table

NIGHT = "short.night"


def simulated(folder: Path, hours: float) -> Path:
    """Make a folder with a simulated night, and a run of the shipped model."""
    simulate_night(folder / NIGHT, spec=demonstration(5, hours))
    tm.detect(tm.open(folder / NIGHT))
    return folder


def raw(night: Path) -> analysis.Run:
    """Load what the detector found."""
    return tm.load_run(tm.open(night), with_labels=False)


def features(night: Path) -> Table:
    """Return all candidates of the newest run, with all that is known of them."""
    return ResultsStore(night).read_events(raw(night).info.run_id, analysis.row_columns())


def opinion(events: Table) -> npt.NDArray[np.bool_]:
    """Return what a made-up user calls a twitch: what counts at half the point, but for slow ones."""
    return np.asarray((events["probability"] >= 0.4) & (events["dominant_hz"] > 9.0))


def label(night: Path, *, checks: int = 1, piles: bool = True) -> None:
    """Label a night as that user would: spot checks, and piles that are clear."""
    run = raw(night)
    at_ns = run.summary.start_ns + np.rint(run.events["peak_s"] * 1e9).astype(np.int64)
    says = opinion(run.events)
    said = dict(
        zip(zip(run.events["site"].tolist(), at_ns.tolist(), strict=True), says.tolist(), strict=True)
    )
    for number in range(checks):
        check = draw_spot_check(night, run, seed=number)
        for item in check.items:
            add_label(
                night, what="twitch" if said[item.site, item.peak_ns] else "not_twitch", drawn="spot_check",
                blind=True, peaks_ns={item.site: [item.peak_ns]}, spot_check=check.id,
            )  # fmt: skip
    for pile in make_piles(ResultsStore(night), run) if piles else ():
        share = says[pile.rows].mean()
        if not 0.1 < share < 0.9:
            add_label(
                night, what="twitch" if share > 0.5 else "not_twitch", drawn="pile",
                peaks_ns={pile.site: at_ns[pile.rows].tolist()},
            )  # fmt: skip
