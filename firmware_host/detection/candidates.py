"""From filter outputs to candidates: whitening, the statistic, its maxima.

The statistic is the norm over three axes of each template's output in units of the local density, and of
these the largest: for a burst of a template's own shape it is d = sqrt(2 E) / nd plus noise. In white noise
its square is chi-square with three degrees of freedom for each template, so false alarms follow Rice's
crossing rate.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from firmware_host.detection.lobes import LOBE_DTYPE, Maxima, bursts
from firmware_host.detection.signals import CELL_S, Bool, Float32, Float64, Plan, make_plan, windows_at
from firmware_host.twitches import Table

LEARN_LEAST = round(5.0 / CELL_S)
"""With fewer usable cells a block says nothing of the noise's shape."""
LEARN_EACH = 4
"""Blocks of which one is used to learn the noise's shape, after the first ones: it changes slowly."""
BETWEEN_SAMPLES = 0.87
"""A maximum between samples stands at most so little above them, for the fastest twitches."""
FINE_STEPS = 3
"""Places between two samples at which the templates are laid to a maximum."""
FINE_REACH_S = 0.4
"""What of a template counts there."""
SWING_S = 0.025
"""The largest swing is looked for so far around a maximum of the statistic."""
LOOK_S = 0.06
"""What a maximum looks like is its band-pass over that time."""

Int64 = npt.NDArray[np.int64]


class Whitener:
    """Follows the shape of the noise over the axes: z is often noisier, and the body prefers directions.

    The 3 x 3 covariance of the quietest third of a block's cells, pooled with the blocks before, makes the
    statistic equally sensitive in all directions; it turns with the sensor, where per-axis scaling would not.

    Parameters
    ----------
    least : (series,) float32
        Power per axis that is added to what is seen: an axis that rests between two steps of a coarse sensor
        is not as quiet as it looks.
    """

    def __init__(self, least: Float32) -> None:
        self._blocks = 0
        self._least = least[:, None, None] * np.eye(3)
        self._pool: Float64 = np.zeros((len(least), 3, 3))
        self._root: Float32 = np.tile(np.eye(3, dtype=np.float32), (len(least), 1, 1))

    @property
    def root(self) -> Float32:
        """What whitens each series now, (series, 3, 3)."""
        return self._root

    def whiten(self, filtered: Float32, usable: Bool, cell: int) -> tuple[Float32, Float32, Float64]:
        """Return the whitened powers of a block, by what was learnt of the noise's shape before; learn on.

        Parameters
        ----------
        filtered : (series, 3, samples) float32
            Band-pass first, then templates.
        usable : (cells,) bool
        cell : int
            Samples in a cell.

        Returns
        -------
        white : (series - 1, samples) float32
            Whitened norm squared of the templates.
        energy : (series, cells) float32
            Means of the whitened norms squared over cells.
        variance : (3,) float64
            Variance of the band-pass per axis in the quietest third of cells, NaN where not learnt.
        """
        if not self._pool.any():
            self._learn(filtered, cell_means(norm_squared(filtered[0]), cell), usable, cell)
        white = norm_squared(self._root @ filtered)
        energy = cell_means(white, cell)
        variance = np.full(3, np.nan)
        if self._blocks < LEARN_EACH or self._blocks % LEARN_EACH == 0:
            # Quiet is judged in the whitened band: else a noisier axis would choose, and be underrated.
            variance = self._learn(filtered, energy[0], usable, cell)
        self._blocks += 1
        return white[1:], energy, variance

    def _learn(self, filtered: Float32, band_energy: Float32, usable: Bool, cell: int) -> Float64:
        """Learn each series' covariance from the quietest third of cells; return the band-pass's variance."""
        if np.count_nonzero(usable) < LEARN_LEAST:
            return np.full(3, np.nan)
        cells = np.flatnonzero(usable)
        cells = np.sort(cells[np.argsort(band_energy[cells], kind="stable")[: len(cells) // 3]])
        rows = (
            filtered.reshape(-1, filtered.shape[2] // cell, cell)
            .take(cells, axis=1)
            .reshape(len(filtered), 3, -1)
        )
        covariance = np.einsum("san,sbn->sab", rows, rows).astype(float)
        if np.all(np.einsum("saa->s", covariance) > 0):
            seen = covariance + rows.shape[2] * self._least
            self._pool = 0.5 * (self._pool + seen * (3.0 / np.einsum("saa->s", seen)[:, None, None]))
            shape = self._pool * (3.0 / np.einsum("saa->s", self._pool))[:, None, None]
            values, vectors = np.linalg.eigh(shape)
            # The symmetric root keeps the mean power; an axis that hardly moves must not be blown up.
            root = (vectors / np.sqrt(np.maximum(values, 0.05))[:, None, :]) @ vectors.transpose(0, 2, 1)
            self._root = root.astype(np.float32)
        return np.asarray(np.diagonal(covariance[0]) / rows.shape[2])


def norm_squared(vectors: Float32) -> Float32:
    """Return the squared norm over the second last axis of (..., 3, samples)."""
    out, other = np.square(vectors[..., 0, :]), np.square(vectors[..., 1, :])
    out += other
    np.square(vectors[..., 2, :], out=other)
    out += other
    return np.asarray(out)


def cell_means(values: Float32, cell: int) -> Float32:
    """Return the means over cells of (..., samples).

    By einsum: of finite values, the product of BLAS has raised the warning "invalid value encountered".
    """
    cells = values.reshape(*values.shape[:-1], -1, cell)
    return np.asarray(np.einsum("...ij,j->...i", cells, np.full(cell, 1.0 / cell, np.float32)))


class Picked(NamedTuple):
    """Candidates in order of time.

    Attributes
    ----------
    sample, template : (k,) int64
    score : (k,) float32
        Height of the statistic's maximum, between samples.
    merged : (k,) bool
        Another maximum within 60 ms that is no side lobe: more than one burst.
    place : (k,) float64
        Where the maximum lies between samples, at most half a sample from `sample`.
    lobe : table of LOBE_DTYPE, (k,)
        Whether it may be a swing of another.
    """

    sample: Int64
    template: Int64
    score: Float32
    merged: Bool
    place: Float64
    lobe: Table

    def at(self, own: npt.NDArray[Any]) -> Picked:
        """Return some of them."""
        return Picked(*(values[own] for values in self))


def pick(
    square: Float32,
    white: Float32,
    band: Float32,
    floor: Float32,
    root: Float32,
    plan: Plan,
    shadow: Float64,
    lowest: float,
    asked: Bool,
) -> Picked:
    """Find the maxima of the statistic that are candidates.

    Parameters
    ----------
    square : (samples,) float32
        Largest normalised square of the bank.
    white : (templates, samples) float32
        Whitened norm squared of each template.
    band : (3, samples) float32
        The band-pass, whose direction at a maximum is that of the swing.
    floor : (templates, cells) float32
        Noise power per axis.
    root : (templates, 3, 3) float32
        What whitens each template's answers.
    shadow : (templates, lags) float64
        See `lobes.shadow_of`.
    lowest : float
        Score below which nothing is looked at.
    asked : (cells,) bool
        Where maxima are looked for: what is wanted, and the seconds around it that may hide something in it.
    """
    high = np.flatnonzero(square > (BETWEEN_SAMPLES * lowest) ** 2)
    high = high[(high > 0) & (high < len(square) - 1) & asked[high // plan.cell]]
    here = square[high]
    peaks = high[(here > square[high - 1]) & (here >= square[high + 1])]
    if not len(peaks):
        none = np.zeros(0, np.float32)
        return Picked(peaks, peaks, none, none.astype(bool), none.astype(float), np.zeros(0, LOBE_DTYPE))
    height, template, place = _between(peaks, white, band, floor, root, plan)
    top = height >= lowest**2
    peaks, template, score, place = peaks[top], template[top], np.sqrt(height[top]), place[top]
    swing, look = _swings(band, peaks, plan.fs_internal_hz), _looks(band, peaks, plan.fs_internal_hz)
    keep, merged, lobe = bursts(Maxima(place, score, swing, look, template), shadow, plan)
    return Picked(peaks[keep], template[keep], score[keep], merged, place[keep], lobe)


def _between(
    peaks: Int64, white: Float32, band: Float32, floor: Float32, root: Float32, plan: Plan
) -> tuple[Float32, Int64, Float64]:
    """Return (k,) the height of the statistic at each maximum, the template it is of, and its place.

    Without it scores would depend on where the samples fall: the statistic has twice the bandwidth of the
    templates' answers, so the answers are what can be known between samples.
    """
    kernels = _fine_kernels(plan.fs_hz)
    reach, fine = kernels.shape[0] // 2, 2 * FINE_STEPS + 1
    vectors = (windows_at(band, peaks - reach, 2 * reach + 1) @ kernels).reshape(3, len(peaks), -1, fine)
    answers = norm_squared(root @ vectors.transpose(1, 2, 0, 3))
    # What whitened this block may have been learnt on: the size is that of the three samples as they were.
    known = white[:, peaks[:, None] + np.arange(-1, 2)].sum(axis=2).T / floor[:, peaks // plan.cell].T
    scale = known / np.maximum(answers[:, :, ::FINE_STEPS].sum(axis=2), np.float32(1e-30))
    heights = np.asarray(answers * scale[:, :, None])
    each, best = np.arange(len(peaks)), np.argmax(heights.reshape(len(peaks), -1), axis=1)
    template, at = best // fine, np.clip(best % fine, 1, fine - 2)
    before, here, after = (heights[each, template, at + step] for step in (-1, 0, 1))
    bend = np.maximum(2 * here - before - after, np.float32(1e-9))
    inner = (here >= before) & (here >= after)
    height = np.where(inner, here + (after - before) ** 2 / (8 * bend), np.maximum(before, after))
    step = (at - FINE_STEPS + np.where(inner, (after - before) / (2 * bend), 0.0)) / FINE_STEPS
    # No further than half a sample, so that maxima stay in order.
    return height, template, peaks + np.clip(step, -0.5, 0.5)


@lru_cache(maxsize=16)
def _fine_kernels(fs_hz: float) -> Float32:
    """Return (samples, templates * places): the kernels of the answers from one sample before to after.

    They are laid to the band-pass around a maximum.
    """
    plan = make_plan(fs_hz)
    reach = round(FINE_REACH_S * plan.fs_internal_hz)
    places = np.arange(-FINE_STEPS, FINE_STEPS + 1) / FINE_STEPS
    turns = np.exp(2j * np.pi * np.arange(plan.response.shape[1]) / plan.block * places[:, None])
    kernels = fft.irfft(plan.response[1:, None, :] * turns, plan.block)
    return np.ascontiguousarray(
        kernels[:, :, -np.arange(-reach, reach + 1)].reshape(-1, 2 * reach + 1).T.astype(np.float32)
    )


def _swings(band: Float32, peaks: Int64, fs_hz: float) -> Float32:
    """Return (k, 3) unit vectors: where the largest swing near each maximum points."""
    reach = round(SWING_S * fs_hz)
    near = windows_at(band, peaks - reach, 2 * reach + 1)
    size = norm_squared(near.transpose(1, 0, 2))
    top = np.argmax(size, axis=1)
    each = np.arange(len(peaks))
    return np.asarray((near[:, each, top] / np.sqrt(np.maximum(size[each, top], 1e-9))).T)


def _looks(band: Float32, peaks: Int64, fs_hz: float) -> Float32:
    """Return (k, values) unit vectors: the band-pass over `LOOK_S` around each maximum."""
    reach = round(LOOK_S / 2 * fs_hz)
    near = windows_at(band, peaks - reach, 2 * reach + 1).transpose(1, 0, 2)
    near = near.reshape(len(peaks), near.shape[1] * near.shape[2])
    size = np.einsum("ij,ij->i", near, near)
    return np.asarray(near / np.sqrt(np.maximum(size, 1e-9))[:, None])
