"""What the simulated body, the sensors and the radio are like, each figure with where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]

DEFAULT_SITES = ("left_calf", "right_thigh", "left_forearm", "right_shin")


@dataclass(frozen=True)
class Parameters:
    """The ranges that a night is drawn from.

    A pair is the lower and upper end of a uniform draw; of whole numbers the upper end is left out.
    """

    # The twitch of one motor unit.
    units_per_site: tuple[int, int] = (3, 6)
    """Jahanmiri-Nezhad 2014 sorted about 24 shapes a surface recording; most of them are small."""
    rise_median_s: float = 0.060
    """Contraction times of single units: 35-98 ms (Sica & McComas 1971)."""
    rise_sigma_ln: float = 0.35
    rise_limits_s: Range = (0.030, 0.180)
    gamma_orders: tuple[int, ...] = (3, 4, 5)
    """Order 4 with a rise of 50 ms gives the spectrum of an evoked thigh twitch, peak near 10 Hz."""
    decay_stretch: Range = (1.0, 3.0)
    """Relaxation is slower than contraction by this factor (tensiomyography: Tr 20-177 ms)."""
    resonance_hz: Range = (10.0, 40.0)
    """Soft tissue rings after a jolt (Wakeling & Nigg 2001); the figures are an assumption."""
    resonance_damping: Range = (0.1, 0.5)
    resonance_share: Range = (0.0, 0.5)
    amplitude_median_mg: float = 10.0
    """Single units at the skin 1.1-3.3 mg (Cescon 2004), fasciculating ones about three times the force
    (Buchthal & Schmalbruch 1970); the whole muscle gives 660-730 mg (Barry 1992)."""
    amplitude_sigma_ln: float = 1.0
    amplitude_limits_mg: Range = (1.0, 700.0)
    amplitude_cv_within_unit: float = 0.15

    # When it fires.
    rates_per_min: tuple[float, ...] = (4.0, 1.0, 0.5, 0.05)
    """Mean rate of the sites in order, over again for more sites: a spread that shows many, few and none."""
    rate_cv: float = 0.7
    """Slow change of the rate from ten minutes to ten minutes; no overnight series is published."""
    doublet_share: float = 0.15
    """Doublets 5-35 ms apart are one movement of the skin (Kleine 2008, 2012)."""
    doublet_s: Range = (0.005, 0.035)
    run_unit_share: float = 0.25
    """7 of 30 units fired in runs at a preferred interval of about 80 ms (Kleine 2008)."""
    run_share: float = 0.2
    run_lengths: tuple[int, int] = (2, 6)
    run_interval_s: Range = (0.070, 0.100)

    # The body around it.
    heart_hz: Range = (0.85, 1.1)
    heart_variation: float = 0.04
    heart_mg_chest: Range = (18.0, 36.0)
    """Quartiles of 492 recordings of a phone on the chest of supine people (MSCardio)."""
    heart_mg_arm: Range = (2.0, 5.0)
    heart_mg_leg: Range = (0.5, 2.0)
    """Pulse at the limbs is seen in a part of the quiet time only (Zschocke 2019, Moebus 2024)."""
    heart_burst_hz: Range = (6.0, 12.0)
    breath_hz: Range = (0.2, 0.3)
    breath_mg_trunk: Range = (8.0, 20.0)
    breath_mg_limb: Range = (0.5, 3.0)
    movements_per_h: float = 20.0
    """21.4 an hour asleep, measured on the body (Sicbaldi 2025)."""
    movement_s: Range = (1.5, 15.0)
    movement_mg: Range = (60.0, 700.0)
    turn_degrees: Range = (5.0, 60.0)
    small_movements_per_h: float = 4.0
    small_movement_s: Range = (0.6, 3.0)
    small_movement_mg: Range = (10.0, 100.0)

    # The sensor and the radio.
    noise_ug_per_sqrt_hz: Range = (70.0, 230.0)
    """Data sheets: ICM-42688-P 70, LSM6DS3TR-C 90, BMI270 160, ICM-20948 230."""
    mg_per_count: tuple[float, ...] = (0.061, 0.122)
    """16 bit at a range of 2 or 4 g."""
    rate_error: Range = (-0.03, 0.03)
    """Accelerometers run on their own RC clock: nominal 400 Hz was measured at 379 Hz on a RuuviTag."""
    block_s: float = 5.0
    """The recorder's blocks are shorter; longer ones make a simulated night quicker to write."""
    jitter_s: float = 0.030
    """Arrival times over the radio scatter by up to about 30 ms."""
    stall_share: float = 0.01
    stall_s: Range = (0.1, 2.0)
    losses_per_h: float = 1.0
    loss_s: Range = (0.5, 20.0)
    lost_share: float = 1 / 16
    """The second sensor is out of reach for this share of the night: half an hour of eight."""
    off_share: float = 1 / 12
    """The third sensor lies on the table for this share of the night: forty minutes of eight hours."""
