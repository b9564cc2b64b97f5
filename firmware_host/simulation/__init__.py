"""Made-up nights with known truth, for trying things out, for teaching and for tests.

Everything that it makes is marked `simulated`; its figures come from published measurements, named beside
each parameter, and none of it is a patient's recording.
"""

from __future__ import annotations

from firmware_host.simulation.night import START_NS, TIME_ZONE, TRUTH_COLUMNS, simulate_night, write_truth
from firmware_host.simulation.parameters import DEFAULT_SITES, Parameters

__all__ = [
    "DEFAULT_SITES",
    "START_NS",
    "TIME_ZONE",
    "TRUTH_COLUMNS",
    "Parameters",
    "simulate_night",
    "write_truth",
]
