"""Measures of a burst, for many candidates at once, from its zero-phase 3-45 Hz snippet.

Bursts are oversampled four times within their band before anything is measured, so that a recording at 100,
200 or 416 Hz gives the same numbers. A shape feature is one function, found by its decorator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import fft

from firmware_host.detection.candidates import norm_squared
from firmware_host.detection.signals import Bool, Float32, Float64
from firmware_host.twitches import MERGE_S, Column

SNIPPET_S = 0.5
OVERSAMPLING = 4
FREQUENCY_STEPS = 2
"""How much finer than one over the snippet's length the spectrum is laid out."""
PEAK_REACH_S = 0.060
"""How far from the statistic's maximum the burst's own maximum is looked for."""
EDGE_OF_PEAK = 0.05
"""Share of the peak power at which a burst begins and ends, unless the floor is higher."""
EDGE_OF_FLOOR = 2.0
"""The same over the floor's power."""
EDGE_MARGIN_S = 0.02
"""The burst's energy and amplitude are measured from so long before its onset to so long after its end."""


@dataclass(frozen=True)
class Snippets:
    """What is cut out around each of k candidates, from the internal rate.

    `band_mg` (k, 3, samples), the candidate at the middle sample; `left` to `near_right` (k,) as of
    `lobes.Room`; `floor` (k,) power of the band-pass per axis in mg^2; `template` and
    `step_mg` (k,).
    """

    band_mg: Float32
    left: Float32
    right: Float32
    near_left: Float32
    near_right: Float32
    floor: Float32
    template: Float32
    step_mg: Float32


@dataclass(frozen=True)
class Bursts:
    """Oversampled snippets with what all features share; times in seconds from the statistic's maximum."""

    time_s: Float64
    axes_mg: Float32
    power: Float32
    spectrum: Float32
    freq_hz: Float64
    peak: Float32
    onset: Float32
    end: Float32
    inside: Bool
    main_mg: Float32
    shares: Float32
    cut: Snippets
    density: Float32

    @property
    def dt_s(self) -> float:
        """Time between oversampled samples."""
        return float(self.time_s[1] - self.time_s[0])

    @cached_property
    def lag_s(self) -> Float64:
        """Times from each burst's own peak, (k, samples)."""
        return np.asarray(np.arange(len(self.time_s), dtype=float) - self.peak[:, None]) * self.dt_s

    @cached_property
    def spectrum_sum(self) -> Float32:
        """Sum of each power spectrum, (k,), never zero."""
        return np.asarray(np.maximum(self.spectrum.sum(axis=1), 1e-30))


Feature = Callable[[Bursts], Float32]
FEATURES: dict[str, Feature] = {}
FEATURE_COLUMNS: list[Column] = []


def feature(unit: str) -> Callable[[Feature], Feature]:
    """Declare a shape feature: one number a burst; the function's name and docstring describe the column."""

    def add(function: Feature) -> Feature:
        FEATURES[function.__name__] = function
        meaning = (function.__doc__ or "").rstrip(".")
        FEATURE_COLUMNS.append(Column(function.__name__, "f4", unit, meaning[:1].lower() + meaning[1:]))
        return function

    return add


def snippet_half(fs_internal_hz: float) -> int:
    """Return the samples of a snippet before its middle; it has as many from the middle on."""
    return round(SNIPPET_S * fs_internal_hz / 2)


def make_bursts(cut: Snippets, fs_internal_hz: float, bandwidth_hz: float) -> Bursts:
    """Oversample snippets and measure what all features share: peak, onset, end and main direction.

    The envelope is that of the analytic signal, so it does not fall to zero between the swings of one burst.
    """
    size = cut.band_mg.shape[2]
    half = size // 2
    fine = size * OVERSAMPLING
    dt_s = 1.0 / (fs_internal_hz * OVERSAMPLING)
    offset = np.arange(size) - half
    own = (offset >= -cut.left[:, None]) & (offset <= cut.right[:, None])
    axes, quadrature, spectrum = _oversample(cut.band_mg * (own * _taper(size))[:, None, :], fine)
    power = norm_squared(axes)
    middle = half * OVERSAMPLING
    time_s = (np.arange(fine) - middle) * dt_s
    # Half the merging time from the middle to each neighbour: the maxima of two events stay 60 ms apart.
    left_s, right_s = (
        np.minimum(side / fs_internal_hz - MERGE_S / 2, PEAK_REACH_S)
        for side in (cut.near_left, cut.near_right)
    )
    reachable = (time_s >= -left_s[:, None] - dt_s) & (time_s <= right_s[:, None] + dt_s)
    top = np.argmax(np.where(reachable, power, -1.0), axis=1)
    peak = np.clip(_sub_sample(power, top), middle - left_s / dt_s, middle + right_s / dt_s)
    envelope = (power + norm_squared(quadrature)) * np.float32(0.5)
    onset, end = _edges(envelope, top, cut.floor)
    onset, end = np.minimum(onset, peak), np.maximum(end, peak)  # the peak lies between samples
    index = np.arange(fine)
    margin = round(EDGE_MARGIN_S / dt_s)
    inside = (index >= onset[:, None] - margin) & (index <= end[:, None] + margin)
    main, shares = _main_direction(axes, inside)
    return Bursts(
        time_s=time_s,
        axes_mg=axes,
        power=power,
        spectrum=spectrum,
        freq_hz=np.arange(spectrum.shape[1]) * fs_internal_hz / (size * FREQUENCY_STEPS),
        peak=peak.astype(np.float32),
        onset=onset.astype(np.float32),
        end=end.astype(np.float32),
        inside=inside,
        main_mg=main,
        shares=shares,
        cut=cut,
        density=np.sqrt(cut.floor / bandwidth_hz).astype(np.float32),
    )


def _taper(size: int) -> Float32:
    """Return a window that falls to zero over the outer tenths, so that the snippet's ends do not ring."""
    edge = max(2, size // 10)
    window = np.ones(size)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    window[:edge] = ramp
    window[-edge:] = ramp[::-1]
    return window.astype(np.float32)


def _oversample(snippets: Float32, fine: int) -> tuple[Float32, Float32, Float32]:
    """Return the oversampled axes, the same a quarter of a period later, and the power spectrum over them."""
    size = snippets.shape[2]
    spectrum = fft.rfft(snippets, axis=2)
    spectrum[:, :, -1] = 0.0
    scaled = spectrum * np.float32(fine / size)
    finer = fft.rfft(snippets, size * FREQUENCY_STEPS, axis=2)
    parts = norm_squared(finer.view(np.float32))
    power = parts[:, ::2] + parts[:, 1::2]
    return fft.irfft(scaled, fine, axis=2), fft.irfft(scaled * np.complex64(-1j), fine, axis=2), power


def _sub_sample(values: Float32, top: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Float64:
    """Return the position of a maximum between samples, by the parabola through three of them."""
    row = np.arange(len(top))
    middle = np.clip(top, 1, values.shape[1] - 2)
    one, two, three = (values[row, middle + step].astype(float) for step in (-1, 0, 1))
    bend = one - 2 * two + three
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(bend < 0, 0.5 * (one - three) / bend, 0.0)
    return np.asarray(top + np.clip(shift, -0.5, 0.5))


def _edges(
    envelope: Float32, top: np.ndarray[tuple[int, ...], np.dtype[np.intp]], floor: Float32
) -> tuple[Float64, Float64]:
    """Return where the envelope's power rises out of the floor before the peak and falls into it after."""
    row, width = np.arange(len(top)), envelope.shape[1] + 2
    limit = np.maximum(EDGE_OF_FLOOR * 3 * floor, EDGE_OF_PEAK * envelope[row, top])
    # The snippet's ends count as below; then the last below before the peak, and the first after it, of all.
    below = np.ones((len(top), width), bool)
    np.less(envelope, limit[:, None], out=below[:, 1:-1])
    at, start = np.flatnonzero(below), row * width + 1
    before = at[np.searchsorted(at, start + top, side="right") - 1] - start + 1
    after = at[np.searchsorted(at, start + top)] - start - 1
    return np.minimum(before, top).astype(float), np.maximum(after, top).astype(float)


def _main_direction(axes: Float32, inside: Bool) -> tuple[Float32, Float32]:
    """Return the movement along the burst's own main direction, and the share of each principal direction."""
    burst = axes * inside[:, None, :]
    covariance = (burst @ burst.transpose(0, 2, 1)).astype(float)
    values, vectors = np.linalg.eigh(covariance)
    main = np.einsum("ka,kam->km", vectors[:, :, 2].astype(np.float32), axes)
    total = np.maximum(values.sum(axis=1), 1e-30)
    return main, (values / total[:, None]).astype(np.float32)


def peak_to_peak_mg(bursts: Bursts) -> Float32:
    """Return the peak-to-peak acceleration along the main direction."""
    high = np.where(bursts.inside, bursts.main_mg, -np.inf).max(axis=1)
    low = np.where(bursts.inside, bursts.main_mg, np.inf).min(axis=1)
    return np.asarray(high - low, np.float32)


def snr(bursts: Bursts) -> Float32:
    """Return d = sqrt(2 E) / nd, with the energy of the burst less what the floor has in the same time."""
    energy = ((bursts.power - 3 * bursts.cut.floor[:, None]) * bursts.inside).sum(axis=1) * bursts.dt_s
    return np.asarray(np.sqrt(2 * np.maximum(energy, 0.0)) / bursts.density, np.float32)


def dominant_hz(bursts: Bursts) -> Float32:
    """Return the frequency of the largest power."""
    top = np.argmax(bursts.spectrum, axis=1)
    return np.asarray(_sub_sample(bursts.spectrum, top) * bursts.freq_hz[1], np.float32)


@feature("ms")
def rise_ms(bursts: Bursts) -> Float32:
    """Time from the onset to the peak."""
    return np.asarray((bursts.peak - bursts.onset) * bursts.dt_s * 1e3, np.float32)


@feature("ms")
def decay_ms(bursts: Bursts) -> Float32:
    """Time from the peak to the end."""
    return np.asarray((bursts.end - bursts.peak) * bursts.dt_s * 1e3, np.float32)


@feature("")
def linearity(bursts: Bursts) -> Float32:
    """Share of the burst's energy along its main direction."""
    return bursts.shares[:, 2]


@feature("")
def low_share(bursts: Bursts) -> Float32:
    """Share of the power below 8 Hz."""
    return _share(bursts, 0.0, 8.0)


@feature("")
def high_share(bursts: Bursts) -> Float32:
    """Share of the power above 20 Hz."""
    return _share(bursts, 20.0, np.inf)


@feature("Hz")
def centroid_hz(bursts: Bursts) -> Float32:
    """Mean frequency of the power."""
    return np.asarray(bursts.spectrum @ bursts.freq_hz / bursts.spectrum_sum, np.float32)


@feature("")
def swings(bursts: Bursts) -> Float32:
    """Sign changes of the main movement within the burst."""
    sign = bursts.main_mg > 0
    changes = (sign[:, 1:] != sign[:, :-1]) & bursts.inside[:, 1:] & bursts.inside[:, :-1]
    return np.asarray(changes.sum(axis=1), np.float32)


@feature("")
def concentration(bursts: Bursts) -> Float32:
    """Share of the snippet's energy within 50 ms of the peak."""
    near = np.abs(bursts.lag_s) <= 0.05
    return np.asarray(
        (bursts.power * near).sum(axis=1) / np.maximum(bursts.power.sum(axis=1), 1e-30), np.float32
    )


@feature("")
def before_ratio(bursts: Bursts) -> Float32:
    """Mean power over the floor from 0.2 s to 0.08 s before the peak."""
    return _beside(bursts, -0.20, -0.08)


@feature("")
def after_ratio(bursts: Bursts) -> Float32:
    """Mean power over the floor from 0.08 s to 0.2 s after the peak."""
    return _beside(bursts, 0.08, 0.20)


@feature("")
def template(bursts: Bursts) -> Float32:
    """Index of the matched template that answered most, from the fastest."""
    return bursts.cut.template


@feature("mg")
def step_mg(bursts: Bursts) -> Float32:
    """Change of the slow acceleration from before the burst to after it."""
    return bursts.cut.step_mg


def _share(bursts: Bursts, low_hz: float, high_hz: float) -> Float32:
    part = (bursts.freq_hz >= low_hz) & (bursts.freq_hz < high_hz)
    return np.asarray(bursts.spectrum[:, part].sum(axis=1) / bursts.spectrum_sum, np.float32)


def _beside(bursts: Bursts, from_s: float, to_s: float) -> Float32:
    part = (bursts.lag_s >= from_s) & (bursts.lag_s < to_s)
    mean = (bursts.power * part).sum(axis=1) / np.maximum(part.sum(axis=1), 1)
    return np.asarray(mean / np.maximum(3 * bursts.cut.floor, 1e-30), np.float32)
