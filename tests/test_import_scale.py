"""The unit of samples, by name and by gravity, and the step they lie on: stored as the sensor had them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import FS, N, acceleration, bring, rows, samples, seconds

from firmware_host.errors import BadValueError
from firmware_host.formats.steps import find_grid
from firmware_host.formats.units import choose_unit


@pytest.mark.parametrize(
    ("step", "to_g", "decimals"),
    [
        (1 / 4096, 1.0, None),
        (1 / 4096, 1.0, 6),
        (1 / 4096, 1.0, 5),
        (1 / 16384, 1.0, None),
        (1 / 16384, 1.0, 6),
        (0.0039, 1.0, None),
        (0.0039, 1.0, 4),
        (0.0039, 1.0, 6),
        (0.000244, 1.0, None),
        (0.000244, 1.0, 6),
        (0.061, 1e-3, None),
        (0.061, 1e-3, 3),
        (1.0, 1e-3, None),
        (1.0, 1e-3, 0),
        (9.80665 / 1024, 1 / 9.80665, None),
        (9.80665 / 1024, 1 / 9.80665, 6),
        (9.80665 / 8192, 1 / 9.80665, 6),
    ],
)
def test_uniform_steps_are_stored_as_int16(
    tmp_path: Path, step: float, to_g: float, decimals: int | None
) -> None:
    """Samples on a sensor's step come back within the file's rounding, in two bytes each."""
    acc = np.round(acceleration(decimals=9) / to_g / step) * step
    path = tmp_path / ("night.npz" if decimals is None else "night.csv")
    if decimals is None:
        np.savez(path, t_s=np.arange(N) / FS, acc=acc.astype(np.float32))
    else:
        path.write_text("time_s,x,y,z\n" + rows(seconds(), acc, digits=decimals))
    night, found = bring(tmp_path, path)
    rounding = 2e-7 if decimals is None else 0.51 * 10.0**-decimals * to_g + 2e-7
    assert found.sample_type == "int16"
    assert np.abs(samples(night) - acc * to_g).max() <= rounding


def test_samples_without_a_step_stay_floats(tmp_path: Path) -> None:
    """Float samples on no step come back bit by bit."""
    acc = acceleration(decimals=12).astype(np.float32)
    path = tmp_path / "night.npz"
    np.savez(path, t_s=np.arange(N) / FS, acc_g=acc)
    night, found = bring(tmp_path, path)
    assert (found.sample_type, found.g_per_count) == ("float32", 1.0)
    assert samples(night).tobytes() == acc.tobytes()


def test_one_sample_off_the_step_is_kept_exactly(tmp_path: Path) -> None:
    """A step must hold for all samples, not for those that were looked at."""
    acc = (np.round(acceleration(60_000, decimals=9) * 4096) / 4096).astype(np.float32)
    acc[31_234, 1] += np.float32(0.00007)
    path = tmp_path / "night.npz"
    np.savez(path, t_s=np.arange(60_000) / FS, acc_g=acc)
    night, found = bring(tmp_path, path)
    assert found.sample_type == "float32"
    assert samples(night).tobytes() == acc.tobytes()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_step_that_is_found_holds_its_values(data: st.DataObject) -> None:
    """Whatever the values, a step gives them back within rounding, as int16."""
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    step = data.draw(st.floats(1e-5, 0.02))
    values = np.round(rng.normal(0, data.draw(st.floats(0.002, 1.0)), 3000) / step) * step
    decimals = data.draw(st.sampled_from([None, 3, 4, 5, 6]))
    shown = decimals
    if decimals is not None:
        values = np.round(values, decimals)
        tenths = (d for d in range(decimals + 1) if np.allclose(np.round(values, d), values, 0, 1e-12))
        shown = next(tenths)  # a step of 0.00005 has no sixth decimal
    values = values.astype(np.float32)
    grid = find_grid(values)
    if grid is not None:
        back = grid.counts(values) * grid.step
        assert np.abs(back - values).max() <= grid.slack + 2.0**-22 * np.abs(values).max()
        if shown is not None:  # else steps such as 1/64 or 0.00125 may be decimals themselves
            assert grid.slack <= 0.5 * 10.0**-shown


@pytest.mark.parametrize(
    ("length", "named", "given", "unit"),
    [
        (1.0, None, None, "g"),
        (998.0, None, None, "mg"),
        (9.81, None, None, "m/s2"),
        (0.5, "g", None, "g"),
        (9.81, "g", "m/s2", "m/s2"),
    ],
)
def test_units_by_gravity(length: float, named: str | None, given: str | None, unit: str) -> None:
    """The user's word counts before the file's, and the file's before gravity's."""
    assert choose_unit(length, named=named, given=given).unit == unit


@pytest.mark.parametrize(
    ("length", "named", "given"),
    [(0.5, None, None), (9.81, "g", None), (9.81, None, "g"), (16384.0, "g", None)],
)
def test_units_that_cannot_be(length: float, named: str | None, given: str | None) -> None:
    """No unit, or one under which gravity is no gravity, is refused."""
    with pytest.raises(BadValueError, match="gravity"):
        choose_unit(length, named=named, given=given)


def test_a_unit_that_only_just_fits_is_a_guess() -> None:
    """Raw counts that look like 1.17 g in mg are imported with a warning; not where the unit was named."""
    assert "a guess" in choose_unit(1170.0, named=None, given=None).warning
    assert not choose_unit(1170.0, named="mg", given=None).warning
    assert not choose_unit(1050.0, named=None, given=None).warning


def test_the_unit_of_the_user_is_doubted_but_used() -> None:
    """A unit given by the user is refused only where it cannot be; else the doubt is a warning."""
    choice = choose_unit(0.1, named="g", given="m/s2")
    assert choice.unit == "m/s2"
    assert "taken out" in choice.warning
