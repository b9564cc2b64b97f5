"""Made-up nights with known truth, for trying things out, for teaching and for tests.

Everything that it makes is marked `simulated`; its figures come from published measurements, named beside
each parameter, and none of it is a patient's recording.
"""

from __future__ import annotations

from firmware_host.simulation.cohort import NightSpec, demonstration, subject
from firmware_host.simulation.families import EVERYDAY, HELD_OUT, TRAINED, Families
from firmware_host.simulation.night import START_NS, TIME_ZONE, simulate_night
from firmware_host.simulation.parameters import DEFAULT_SITES, SIMULATOR_VERSION, Parameters
from firmware_host.simulation.truth import (
    HAPPENING_COLUMNS,
    TRUTH_COLUMNS,
    Truth,
    write_happenings,
    write_truth,
)

__all__ = [
    "DEFAULT_SITES",
    "EVERYDAY",
    "HAPPENING_COLUMNS",
    "HELD_OUT",
    "SIMULATOR_VERSION",
    "START_NS",
    "TIME_ZONE",
    "TRAINED",
    "TRUTH_COLUMNS",
    "Families",
    "NightSpec",
    "Parameters",
    "Truth",
    "demonstration",
    "simulate_night",
    "subject",
    "write_happenings",
    "write_truth",
]
