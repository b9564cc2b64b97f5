"""Made-up acceleration for the tests of the detector: noise, gravity, twitches, movement."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_host.detection import Found, Model, detect_stretch, model_from_dict
from firmware_host.detection.signals import twitch_acceleration
from firmware_host.twitches import Kind

Samples = npt.NDArray[np.float32]
MODEL_FILE = Path(__file__).parents[1] / "models" / "plain" / "model.json"


def plain_model() -> Model:
    """Return the shipped plain model."""
    return model_from_dict(json.loads(MODEL_FILE.read_text(encoding="utf-8")))


LOWEST_SCORE = plain_model().lowest_score


class Signal:
    """Acceleration of one sensor in g, to which things are added; times in seconds."""

    def __init__(self, seconds: float, fs_hz: float = 100.0, *, density: float = 0.1, seed: int = 0) -> None:
        self.fs_hz = fs_hz
        self.rng = np.random.default_rng(seed)
        self.time_s = np.arange(round(seconds * fs_hz)) / fs_hz
        self.mg = self.rng.standard_normal((len(self.time_s), 3)) * density * np.sqrt(fs_hz / 2)
        self.mg[:, 2] += 1000.0

    def twitch(
        self,
        peak_to_peak_mg: float,
        onset_s: float,
        rise_s: float = 0.05,
        direction: npt.ArrayLike | None = None,
    ) -> Signal:
        """Add a gamma-shaped twitch along a direction (random unless given)."""
        along = self.rng.standard_normal(3) if direction is None else np.asarray(direction, float)
        near = slice(*np.searchsorted(self.time_s, [onset_s, onset_s + 8 * rise_s]))
        shape = twitch_acceleration(self.time_s[near] - onset_s, rise_s)
        full = twitch_acceleration(np.arange(0, 6 * rise_s, 1e-4), rise_s)
        self.mg[near] += (peak_to_peak_mg / np.ptp(full) * shape)[:, None] * (along / np.linalg.norm(along))
        return self

    def sway(
        self, mg: float, hz: float, start_s: float = 0.0, stop_s: float = np.inf, axis: int = 0
    ) -> Signal:
        """Add a sine along one axis."""
        near = (self.time_s >= start_s) & (self.time_s < stop_s)
        self.mg[near, axis] += mg * np.sin(2 * np.pi * hz * (self.time_s[near] - start_s))
        return self

    def noise(self, density: float, start_s: float, stop_s: float) -> Signal:
        """Add white noise for a while."""
        near = (self.time_s >= start_s) & (self.time_s < stop_s)
        shape = (int(near.sum()), 3)
        self.mg[near] += self.rng.standard_normal(shape) * density * np.sqrt(self.fs_hz / 2)
        return self

    def turn(self, at_s: float, seconds: float = 2.0, shake_mg: float = 400.0) -> Signal:
        """Move the sensor to a new position: gravity goes from one axis to another, with shaking."""
        share = np.clip((self.time_s - at_s) / seconds, 0, 1) * np.pi / 2
        gravity = self.mg[:, 2].copy()
        self.mg[:, 1] += 1000.0 * np.sin(share)
        self.mg[:, 2] = gravity - 1000.0 + 1000.0 * np.cos(share)
        return self.sway(shake_mg, 5.0, at_s, at_s + seconds)

    @property
    def acc_g(self) -> Samples:
        """The samples (n, 3) in g."""
        return (self.mg / 1000.0).astype(np.float32)


def detect(acc_g: Samples, fs_hz: float = 100.0, *, range_g: float | None = None) -> Found:
    """Run the shipped detector over one stretch without gaps."""
    return detect_stretch([(0, acc_g)], len(acc_g), fs_hz, LOWEST_SCORE, range_g=range_g)


def counted_s(
    found: Found, fs_hz: float = 100.0, operating_point: str = "balanced"
) -> npt.NDArray[np.float64]:
    """Return the peak times of the counted events."""
    rows = found.candidates[plain_model().counted(found.candidates, operating_point)]
    return np.asarray(rows["peak_index"] / fs_hz)


def kind_s(found: Found, kind: Kind, fs_hz: float = 100.0) -> float:
    """Return how many seconds of a stretch are of a kind."""
    rows = found.coverage[found.coverage["kind"] == kind]
    return float(np.sum(rows["stop_index"] - rows["start_index"]) / fs_hz)


def kind_at(found: Found, time_s: float, fs_hz: float = 100.0) -> Kind:
    """Return the kind of the time at one moment."""
    row = np.searchsorted(found.coverage["start_index"], time_s * fs_hz, side="right") - 1
    return Kind(found.coverage["kind"][row])
