"""From samples to band-passed acceleration and the outputs of a small bank of matched twitch templates.

Everything is done by overlap-save FFT in blocks that are fixed on the sample index, so a stretch gives the
same bits however it is cut into chunks. The kernels are zero-phase (the band-pass) or aligned to the peak
of the burst (the templates), and the rate is lowered by a whole factor by keeping only the transform's low
bins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided
from scipy import fft, special

from firmware_host.errors import BadValueError

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

RATE_REFUSED_BELOW_HZ = 45.0
"""Below it less than two thirds of a twitch's energy is left between 3 Hz and the end of the band."""
RATE_WARNED_BELOW_HZ = 90.0
"""Below it the band ends under 45 Hz and fast twitches are seen weakened."""
BAND_HZ = (3.0, 45.0)
"""Half a percent of the energy of an evoked thigh twitch lies above 45 Hz and two percent below 5 Hz."""
TEMPLATE_RISE_S = (0.034, 0.062, 0.120)
"""Motor units take 30-90 ms to contract (Sica and McComas 1971); slow events on video take longer. Over rises
of 30-180 ms these three keep 96 % of a known shape's d on average; with a fourth it is 97 % at a fifth
more cost, and a fourth has false alarms of its own."""
CELL_S = 0.25
"""Quality and floor are judged in cells this long: shorter than the pauses between frequent twitches."""
KERNEL_HALF_S = 1.0
STOP_BAND_DB = 60.0
BLOCK_S = 72.0
"""What a filter block gives: long, so that its cost is spread, yet live events are final within 120 s."""
IMPOSSIBLE_G = 1000.0
"""No sensor for the body measures so much: a number beyond it is no sample."""
HELD_FROM_S = 5.0
"""A gap from here on is bridged by a step in its middle, out of the filters' reach (1.6 s). A line to another
position is judged as movement only if it is steep, yet where it begins and ends it bends like a twitch."""
GROUP = 32
"""Cells that share a value of the floor: 8 s, little beside the 60 s that it looks at."""
SERIES = 1 + len(TEMPLATE_RISE_S)
"""The band-pass comes first, then the templates."""


def check_rate(fs_hz: float, what: str = "The recording") -> bool:
    """Check that twitches can be found at a sampling rate; tell whether to warn that fast ones are weakened.

    Parameters
    ----------
    fs_hz : float
        Measured (or, where that is not known, nominal) sampling rate.
    what : str
        What the sentence speaks of: the site or the sensor.

    Raises
    ------
    BadValueError
        Below 45 Hz, where too little of a twitch is left.
    """
    if not np.isfinite(fs_hz) or fs_hz < RATE_REFUSED_BELOW_HZ:
        raise BadValueError(
            f"{what} has {fs_hz:.4g} samples a second; finding twitches needs at least "
            f"{RATE_REFUSED_BELOW_HZ:.0f}, and 100 is recommended."
        )
    return fs_hz < RATE_WARNED_BELOW_HZ


def twitch_acceleration(t_s: Float64, rise_s: float, order: int = 4) -> Float64:
    """Return the acceleration of a gamma-shaped twitch of unit displacement at times after its onset.

    The displacement is (t/tp)^n exp(n(1 - t/tp)). With n = 4 and tp = 50 ms its second derivative has the
    spectrum of an evoked thigh twitch (peak 10 Hz, 95 % below 28 Hz); n below 3 would have a jump in
    velocity.
    """
    u = np.maximum(t_s / rise_s, 0.0)
    shape = u ** (order - 2) * np.exp(order * (1.0 - u))
    bracket = (order - 1) - 2.0 * order * u + order * u**2
    return np.asarray(order * shape * bracket / rise_s**2)


@dataclass(frozen=True)
class Plan:
    """The fixed filter of one nominal sampling rate.

    `response` (SERIES, nfft / 2 + 1) takes the transform of g to mg for the band-pass, and to mg/sqrt(Hz) for
    the templates: white noise of one-sided density nd gives each axis of a template's output the standard
    deviation nd, and a burst of the template's own shape with energy E gives the peak sqrt(2 E).
    """

    fs_hz: float
    decimation: int
    fs_internal_hz: float
    block: int
    cell: int
    hop: int
    pad: int
    response: npt.NDArray[np.complex64]
    turn: npt.NDArray[np.complex64]
    bandwidth_hz: float
    shadow: Float64
    cell_dof: Float64

    @property
    def cells(self) -> int:
        """Cells in a block."""
        return self.hop // self.cell


@lru_cache(maxsize=16)
def make_plan(fs_hz: float) -> Plan:
    """Design the filters for a nominal rate, once: a night with many reconnects has many stretches.

    Raises
    ------
    BadValueError
        Below 45 Hz.
    """
    check_rate(fs_hz)
    decimation = max(1, int(fs_hz // RATE_WARNED_BELOW_HZ))
    fs = fs_hz / decimation
    cell = int(CELL_S * fs)  # rounded up, blocks would last too long for live events
    half = round(KERNEL_HALF_S * fs)
    pad = half + round(0.6 * fs)
    hop = int(BLOCK_S / GROUP / CELL_S) * GROUP * cell
    block = fft.next_fast_len((hop + 2 * pad) // 2, real=True) * 2
    band = _band_pass(fs, half, block)
    df = fs / block
    responses = [_template(fs, band, rise_s) for rise_s in TEMPLATE_RISE_S]
    to_mg = 1000.0 / decimation
    phases = np.arange(decimation)[:, None] * np.arange(block // 2 + 1) / (block * decimation)
    response = np.stack([band.astype(complex), *responses])
    spectra = np.abs(response) ** 2
    return Plan(
        fs_hz=fs_hz,
        decimation=decimation,
        fs_internal_hz=fs,
        block=block,
        cell=cell,
        hop=hop,
        pad=pad,
        response=(response * to_mg).astype(np.complex64),
        turn=np.exp(-2j * np.pi * phases).astype(np.complex64),
        bandwidth_hz=float(np.sum(band**2) * df),
        shadow=_shadow(fs, np.stack(responses)),
        cell_dof=_degrees_of_freedom(spectra, cell),
    )


def _band_pass(fs: float, half: int, block: int) -> Float64:
    """Return the real (zero-phase) response of the band-pass FIR on the bins of a block."""
    high = min(BAND_HZ[1], 0.45 * fs)
    # Kaiser's window and the ideal response, to the digit as scipy.signal has them: to import that, which
    # brings scipy.stats along, takes most of a second, and a page that shows a signal waits for it.
    beta = 0.1102 * (STOP_BAND_DB - 8.7)
    at = np.arange(-half, half + 1)
    window = special.i0(beta * np.sqrt(1 - (at / half) ** 2)) / special.i0(beta)
    low, high = BAND_HZ[0] / (fs / 2), high / (fs / 2)
    taps = (high * np.sinc(high * at) - low * np.sinc(low * at)) * window
    # Gravity is a thousand times larger than what is looked for: the response at 0 Hz is exactly none.
    taps -= window * (taps.sum() / window.sum())
    ring = np.zeros(block)
    ring[: half + 1] = taps[half:]
    ring[-half:] = taps[:half]
    return np.asarray(fft.rfft(ring).real)


def _template(fs: float, band: Float64, rise_s: float) -> npt.NDArray[np.complex128]:
    """Return the response of the filter matched to a band-passed twitch, aligned to its largest sample."""
    fine = 16
    block = 2 * (len(band) - 1)
    t_s = np.arange(block * fine) / (fs * fine)
    spectrum = fft.rfft(twitch_acceleration(t_s, rise_s))[: block // 2 + 1] * band
    spectrum[-1] = 0.0
    burst = fft.irfft(np.concatenate([spectrum, np.zeros(block * (fine - 1) // 2)]), block * fine)
    peak_s = float(np.argmax(np.abs(burst))) / (fs * fine)
    if peak_s > block / fs / 2:
        peak_s -= block / fs
    f_hz = np.arange(block // 2 + 1) * fs / block
    matched = np.conj(spectrum * np.exp(2j * np.pi * f_hz * peak_s))
    return np.asarray(matched / np.sqrt(np.sum(np.abs(matched) ** 2) * fs / block))


def _shadow(fs: float, templates: npt.NDArray[np.complex128]) -> Float64:
    """Return (templates, lags): what share of its peak a burst leaves in the bank at each lag or later.

    Lags are internal samples up to 0.6 s. A smaller maximum below this curve is a side lobe of the larger
    one.
    """
    lags = round(0.6 * fs)
    scale = fs / 2.0
    out = np.zeros((len(templates), lags + 1))
    for k, burst in enumerate(templates):
        answers = np.abs(fft.irfft(np.conj(burst) * templates)).max(axis=0) * scale
        both = np.maximum(answers[: lags + 1], answers[-np.arange(lags + 1)])
        out[k] = np.maximum.accumulate(both[::-1])[::-1] / both[0]
    return out


def _degrees_of_freedom(spectra: Float64, cell: int) -> Float64:
    """Return the degrees of freedom of each series' mean square over three axes and a cell of white noise."""
    covariance = fft.irfft(spectra)
    correlation = covariance[:, :cell] / covariance[:, :1]
    weight = np.where(np.arange(cell) == 0, 1.0, 2.0) * (cell - np.arange(cell))
    return np.asarray(3.0 * cell**2 / (correlation**2 @ weight))


@dataclass(frozen=True)
class Block:
    """One filtered block: `first` is the internal index of its first output sample.

    `raw_g` (3, hop * decimation) holds the samples themselves with gaps bridged, `missing` the samples that
    are not there, `filtered` (SERIES, 3, hop) the band-pass in mg and the templates in mg/sqrt(Hz).
    """

    first: int
    raw_g: Float32
    missing: Bool
    filtered: Float32


class BlockFilter:
    """Collects samples and gives filtered blocks; what is missing is bridged, never filled with zeros."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        q = plan.decimation
        self._buffer: Float32 = np.full((plan.block * q, 3), np.nan, np.float32)
        self._start = -plan.pad * q  # the sample index of the buffer's first row
        self._next = 0
        self._filled = plan.pad * q

    @property
    def next_index(self) -> int:
        """The index that follows the last sample."""
        return self._next

    def push(self, first: int, acc_g: Float32) -> Iterator[Block]:
        """Take samples that start at `first`; yield the blocks that are complete with them.

        Raises
        ------
        ValueError
            If `first` lies before the end of what was pushed.
        """
        if first < self._next:
            raise ValueError(f"samples from {first} were pushed after sample {self._next - 1}")
        yield from self._skip(first - self._next)
        done = 0
        while done < len(acc_g):
            room = min(len(self._buffer) - self._filled, len(acc_g) - done)
            self._buffer[self._filled : self._filled + room] = acc_g[done : done + room]
            self._filled += room
            self._next += room
            done += room
            if self._filled == len(self._buffer):
                yield self._emit()

    def finish(self, n: int) -> Iterator[Block]:
        """Yield the blocks up to the end of a stretch of `n` samples."""
        q, hop = self.plan.decimation, self.plan.hop * self.plan.decimation
        blocks = -(-(n - self._start - self.plan.pad * q) // hop)
        if blocks > 0:
            yield from self._skip(self._start + (blocks - 1) * hop + len(self._buffer) - self._next)

    def _skip(self, count: int) -> Iterator[Block]:
        """Leave `count` samples missing."""
        while count > 0:
            room = min(len(self._buffer) - self._filled, count)
            self._buffer[self._filled : self._filled + room] = np.nan
            self._filled += room
            self._next += room
            count -= room
            if self._filled == len(self._buffer):
                yield self._emit()

    def _emit(self) -> Block:
        plan, q = self.plan, self.plan.decimation
        samples = np.ascontiguousarray(self._buffer.T)
        missing = np.zeros(samples.shape[1], bool)
        if not np.vdot(samples, samples) < IMPOSSIBLE_G**2:  # cheap first: nearly always all are there
            missing |= ~(np.abs(samples) < IMPOSSIBLE_G).all(axis=0)
            _bridge(samples, missing, HELD_FROM_S * plan.fs_hz)
        inside = slice(plan.pad * q, (plan.pad + plan.hop) * q)
        if missing.all():
            filtered = np.zeros((SERIES, 3, plan.hop), np.float32)
        else:
            spectrum = _low_spectrum(samples, plan.turn)
            filtered = fft.irfft(spectrum * plan.response[:, None, :], plan.block)
            filtered = filtered[:, :, plan.pad : plan.pad + plan.hop]
        block = Block((self._start // q) + plan.pad, samples[:, inside], missing[inside], filtered)
        keep = len(self._buffer) - plan.hop * q
        self._buffer[:keep] = self._buffer[plan.hop * q :]
        self._filled = keep
        self._start += plan.hop * q
        return block


def windows_at(rows: Float32, first: npt.NDArray[np.int64], size: int) -> Float32:
    """Return (axes, k, size): `size` samples of (axes, n) from some places on; those at the ends go on."""
    last = rows.shape[1] - size
    # One alone is laid out by axis last: products of a single row would else be rounded in another way.
    if len(first) < 2 or last < 0 or np.any((first < 0) | (first > last)):
        return np.asarray(rows[:, np.clip(first[:, None] + np.arange(size), 0, rows.shape[1] - 1)])
    # Rows of neighbours are copied much faster than single samples.
    return np.asarray(
        as_strided(rows, (len(rows), last + 1, size), (*rows.strides, rows.strides[1]))[:, first]
    )


def spectra(rows: Float32, size: int) -> npt.NDArray[np.complex64]:
    """Return the transforms of (k, n) real rows, filled up with zeros to `size` samples.

    Transforms run four at a time: empty rows to the next four cost less than the odd ones alone.
    """
    filled = np.zeros((-(-len(rows) // 4) * 4, size), np.float32)
    filled[: len(rows), : rows.shape[1]] = rows
    return np.asarray(fft.rfft(filled)[: len(rows)])


def largest_within(values: Float32, reach: int) -> Float32:
    """Return (n,) the largest value up to `reach` samples before and after each."""
    count, size, span = len(values), 2 * reach + 1, 1
    out = np.full(count + 2 * reach, -np.inf, np.float32)
    out[reach : reach + count] = values
    # Windows of twice the length are made of two that overlap or touch: far fewer steps than samples.
    while 2 * span <= size:
        out = np.maximum(out[:-span], out[span:])
        span *= 2
    return np.asarray(np.maximum(out[:count], out[size - span :]))


def _low_spectrum(samples: Float32, turn: npt.NDArray[np.complex64]) -> npt.NDArray[np.complex64]:
    """Return the transform of (3, n) real samples up to the Nyquist rate of every k-th of them.

    `turn` (k, bins) delays each of the k phases to its place. Each phase is transformed by itself: shorter
    transforms, several at once, and no bin above the new rate is made.
    """
    decimation = len(turn)
    phases = samples.reshape(3, -1, decimation).swapaxes(1, 2)
    # Transforms run four at a time: empty rows to the next four cost less than the odd ones alone.
    rows = np.zeros((-(-3 * decimation // 4) * 4, phases.shape[2]), np.float32)
    # Without its 1 g of gravity the signal has all bits for the few mg that matter.
    np.subtract(phases, samples[:, :1, None], out=rows[: 3 * decimation].reshape(phases.shape))
    spectra = fft.rfft(rows)[: 3 * decimation].reshape(3, decimation, -1)
    spectrum = spectra[:, 0]
    for phase in range(1, decimation):
        spectrum += spectra[:, phase] * turn[phase]
    return np.asarray(spectrum)


def _bridge(samples: Float32, missing: Bool, held_from: float) -> None:
    """Draw straight lines over missing samples, or where `held_from` are missing hold the nearest value.

    Before the first and after the last sample the value is held.
    """
    there, gone = np.flatnonzero(~missing), np.flatnonzero(missing)
    if not len(there):
        samples[:] = 0.0
        return
    after = np.searchsorted(there, gone)
    one, two = there[np.maximum(after - 1, 0)], there[np.minimum(after, len(there) - 1)]
    nearest = np.where(gone - one < two - gone, one, two)
    held = two - one >= held_from
    length, since = np.maximum(two - one, 1), gone - one
    for axis in samples:
        start = axis[one].astype(float)
        line = (axis[two] - start) / length * since + start
        axis[gone] = np.where(held, axis[nearest], line)
