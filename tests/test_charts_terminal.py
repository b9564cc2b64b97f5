"""A night in the terminal: gaps apart from zero, in any width, encoding and length of bins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_nights import night

from firmware_host.review.charts.terminal import terminal_map
from firmware_host.twitch_map import twitch_map
from firmware_host.twitches import EVENT_DTYPE


def test_the_terminal_shows_gaps_apart_from_zero() -> None:
    """Each site is a strip of the width asked for, with its number, gaps and time without the sensor."""
    text = terminal_map(night("left_calf", "right_calf"), 80, "utf-8")
    lines = text.splitlines()
    strips = [line for line in lines if line.startswith("│")]
    assert [len(line) for line in strips] == [80, 80]
    assert 6 <= strips[0].count("░") <= 12
    assert 25 <= strips[1].count("·") <= 32
    assert any(
        line.startswith("left calf") and line.endswith(")") and "per valid hour" in line for line in lines
    )
    assert "23:00" in text
    assert "none seen" in text


@pytest.mark.parametrize("width", [1, 40, 57, 80, 500])
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8", "no-such-encoding"])
def test_the_terminal_fits_its_width_and_encoding(width: int, encoding: str) -> None:
    """Lines never exceed the width, and only characters of the encoding are used."""
    if encoding == "no-such-encoding":
        encoding = "ascii"
    text = terminal_map(night("left_tongue.2", "right_calf", title="Núit " * 20), width, encoding)
    assert max(map(len, text.splitlines())) <= min(max(width, 40), 160)
    assert text.encode(encoding).decode(encoding) == text
    assert ("░" in text) == (encoding == "utf-8")


@pytest.mark.parametrize("bin_s", [60.0, 900.0, 1800.0])
def test_the_terminal_takes_bins_of_any_length(bin_s: float) -> None:
    """Bins shorter or longer than a column give the same silent hour and the same strip length."""
    data = night("left_calf")
    empty = np.zeros(0, EVENT_DTYPE)
    data = replace(
        data, bins=twitch_map(empty, data.coverage, ["left_calf"], data.start_ns, bin_s, data.night_s)
    )
    strip = next(line for line in terminal_map(data, 80, "utf-8").splitlines() if line.startswith("│"))
    assert set(strip) == {"│", "░", " "}
    assert len(strip) == 80


def test_the_terminal_tells_none_where_wearing_is_not_confirmed() -> None:
    """Quiet hours of a sensor that may lie on the nightstand do not look like hours without twitches."""
    data = night("left_calf")
    data.coverage["wear_unconfirmed"] = data.coverage["start_s"] >= 3 * 3600
    empty = np.zeros(0, EVENT_DTYPE)
    data = replace(
        data, bins=twitch_map(empty, data.coverage, ["left_calf"], data.start_ns, 900, data.night_s)
    )
    for encoding, mark, edge in (("utf-8", "╌", "│"), ("ascii", "~", "|")):
        text = terminal_map(data, 80, encoding)
        strip = next(line for line in text.splitlines() if line.startswith(edge))
        assert strip.count(mark) == pytest.approx(78 * 5 / 8, abs=1)
        assert strip.count(" ") == pytest.approx(78 * 2 / 8, abs=3)
        assert f"{mark} none seen, wearing not confirmed" in text
    assert "not confirmed" not in terminal_map(night("right_calf"), 80, "utf-8")
