"""A battery's true hours are read from the levels of earlier nights, and from nothing that does not tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from made_nights import MONO_NS, START_NS, meta

from firmware_host.capture.drain import measured_hours
from firmware_host.capture.plan import Asked, Lasted, battery_ends_ns
from firmware_host.recording import create_night
from firmware_host.sensors import models

H = 3600 * 10**9


def night(folder: Path, *levels: Sequence[tuple[float, int]], name: str = "a") -> Path:
    """Write a night with battery levels of its sensors: hours since the start, and percent."""
    made = meta(len(levels))
    sensors = tuple(msgspec.structs.replace(info, serial=f"S{info.index}") for info in made.sensors)
    path = folder / f"{name}.night"
    with create_night(path, msgspec.structs.replace(made, sensors=sensors)) as writer:
        for sensor, its in enumerate(levels):
            for hours, percent in its:
                after = round(hours * H)
                writer.append_event(
                    "battery", sensor, START_NS + after, MONO_NS + after, percent=percent, volts=None
                )
    return path


def test_levels_of_a_night_tell_the_hours(tmp_path: Path) -> None:
    """Ten percent an hour is ten hours, twelve and a half is eight; each sensor by its serial number."""
    night(tmp_path, [(0, 100), (4, 60), (8, 20)], [(0, 90), (2, 65)])
    assert measured_hours(tmp_path) == {"S0": Lasted(10.0, 100.0), "S1": Lasted(8.0, 100.0)}


@pytest.mark.parametrize(
    "levels",
    [[], [(0, 100)], [(0, 100), (8, 95)], [(0, 100), (0.5, 60)], [(0, 20), (8, 100)], [(0, 50), (8, 50)]],
)
def test_what_tells_nothing_is_left_out(levels: list[tuple[float, int]], tmp_path: Path) -> None:
    """No levels, one, too small a fall, too short a time, a battery that was charged or stands still."""
    night(tmp_path, levels)
    assert measured_hours(tmp_path) == {}


def test_a_charge_in_between_begins_anew(tmp_path: Path) -> None:
    """Levels before it do not count; a percent up and down is only the meter's."""
    night(tmp_path, [(0, 40), (2, 10), (3, 100), (4, 91), (4.5, 92), (6, 70)])
    assert measured_hours(tmp_path) == {"S0": Lasted(pytest.approx(10.0), 100.0)}


def test_the_newest_night_that_tells_counts(tmp_path: Path) -> None:
    """A newer one takes its place; one that cannot be read, or tells nothing, does not."""
    night(tmp_path, [(0, 100), (8, 20)], name="a")
    night(tmp_path, [(0, 100), (8, 0)], name="b")
    night(tmp_path, [(0, 100)], name="c")
    broken = night(tmp_path, [(0, 100), (8, 60)], name="d")
    (broken / "night.toml").write_bytes(b"\xff")
    (broken / "samples.log").write_bytes(b"")
    assert measured_hours(tmp_path) == {"S0": Lasted(8.0, 100.0)}
    assert measured_hours(tmp_path / "none") == {}


@pytest.mark.parametrize(("fs_hz", "lasts_h"), [(50.0, 10.0), (200.0, 6.25)])
def test_what_lasted_at_one_rate_is_told_for_another(fs_hz: float, lasts_h: float) -> None:
    """Ten hours at 50 Hz are fewer at 200 Hz, by the rule that half of the current goes with the rate."""
    asked = Asked("left_calf", models()["witmotion"], fs_hz, lasted=Lasted(10.0, 50.0))
    assert battery_ends_ns(asked, START_NS) == START_NS + round(lasts_h * H)
