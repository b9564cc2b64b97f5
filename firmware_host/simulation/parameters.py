"""What the simulated body, the sensors and the radio are like, each figure with where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]

SIMULATOR_VERSION = 7
"""Changes whenever the same seed gives another night; stands in the night's note and the truth's files."""

PROFILES = ("many", "few", "quiet", "mix")
MIX_PER_MIN = (4.0, 1.0, 0.5, 0.05)
"""Mean rate of the sites in order, over again for more sites: a spread that shows many, few and none."""
DEFAULT_SITES = ("left_calf", "right_thigh", "left_forearm", "right_shin")


@dataclass(frozen=True)
class Parameters:
    """The ranges that a night is drawn from.

    A pair is the lower and upper end of a uniform draw; of whole numbers the upper end is left out.
    """

    # The motor units under one sensor.
    units_per_site: tuple[int, int] = (1, 26)
    """Jahanmiri-Nezhad 2014 sorted 11 891 potentials of 10 recordings into 235 shapes."""
    polyphasic_share: Range = (0.10, 0.25)
    """10.5-22.6 % of potentials (de Carvalho & Swash 2013)."""
    slow_share: float = 0.15
    resonance_hz: Range = (10.0, 40.0)
    """Soft tissue rings after a jolt (Wakeling & Nigg 2001); the figures are an assumption."""
    resonance_damping: Range = (0.1, 0.5)
    resonance_share: Range = (0.0, 0.5)
    amplitude_median_mg: float = 10.0
    """Single units at the skin 1.1-3.3 mg (Cescon 2004), fasciculating ones about three times the force
    (Buchthal & Schmalbruch 1970); the whole muscle gives 660-730 mg (Barry 1992)."""
    amplitude_sigma_ln: float = 1.0
    amplitude_limits_mg: Range = (1.0, 700.0)
    amplitude_cv_within_unit: Range = (0.10, 0.20)
    aside: float = 0.35
    """How far units move the skin aside of its normal: standard deviation over the part along it (assumption:
    ringing is larger normal to the skin, Wakeling & Nigg 2001)."""

    # When they fire.
    rate_cv: Range = (0.3, 1.0)
    """Slow change of the rate within 5 to 30 minutes; no overnight series is published."""
    rate_span_s: Range = (300.0, 1800.0)
    trend: float = 0.5
    """Change from evening to morning, at most this share up or down (assumption)."""
    axonal_share: float = 0.75
    """23 of 30 units: Poisson after a refractory time of 3-4 ms; 5 of them fire doublets (Kleine 2008)."""
    axonal_refractory_s: float = 0.004
    doublet_unit_share: float = 0.2
    doublet_share: float = 0.4
    doublet_s: Range = (0.004, 0.007)
    neuronal_refractory_s: Range = (0.017, 0.046)
    """7 of 30 units fire in runs at a preferred interval of about 80 ms (Kleine 2008)."""
    run_share: float = 0.3
    run_lengths: tuple[int, int] = (1, 6)
    """Firings that follow the first: runs of 2-6."""
    run_interval_s: float = 0.080
    run_interval_sd_s: float = 0.010
    late_pair_share: float = 0.05
    """Pairs 32-35 ms apart, like F-waves, in most patients (Kleine 2012); the share is an assumption."""
    late_pair_s: Range = (0.029, 0.038)
    same_muscle_share: Range = (0.14, 0.44)
    """Of the twitches at two places of one muscle so many come together (de Carvalho & Swash 2013)."""
    same_muscle_s: Range = (-0.005, 0.005)
    """How much earlier or later the second sensor feels them (assumption)."""

    # The body around it.
    heart_hz: Range = (0.8, 1.4)
    """Chests at rest: median 67 a minute (MSCardio); 0.7-1.6 Hz over people."""
    heart_variation: Range = (0.03, 0.16)
    """Spread of the interval of beats within minutes, even in the logarithm: 3-6 % usual; 5-20 % in chests at
    rest (MSCardio)."""
    irregular_share: float = 0.05
    """People whose beats follow no rhythm, as in atrial fibrillation (share: assumption)."""
    irregular: float = 0.2
    """Spread of their interval (assumption)."""
    early_beat_shares: tuple[float, ...] = (0.0, 0.0005, 0.002, 0.01, 0.04)
    """One of these for each person; most have few (assumption)."""
    breath_hz: Range = (0.18, 0.32)
    awake_share: Range = (0.04, 0.125)
    """20 to 60 minutes of eight hours."""
