"""Text tables of loggers that lost their power or began anew: what they wrote before is not lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_tables import FS, N, acceleration, bring, refusal, rows, samples, seconds, times_s

ACC = acceleration()
TABLE = "time_s,ax,ay,az\n" + rows(seconds(), ACC)


@pytest.mark.parametrize("cut", [8, 12, 20, 27])
@pytest.mark.parametrize("zeros", [0, 9_000_000])
def test_a_line_that_was_cut_costs_no_other(tmp_path: Path, cut: int, zeros: int) -> None:
    """A last line that was cut is left out and said, also where zero bytes stand behind it."""
    path = tmp_path / "night.csv"
    path.write_bytes(TABLE[:-cut].encode() + bytes(zeros))
    night, found = bring(tmp_path, path)
    assert np.allclose(samples(night), ACC[:-1], rtol=0, atol=2e-7)
    assert np.allclose(times_s(night), np.arange(N - 1) / FS, rtol=0, atol=1e-4)
    assert found.remarks == ("the file ends in the middle of a line, which is left out",)


def test_zero_bytes_behind_whole_lines(tmp_path: Path) -> None:
    """Reserved room behind the last line costs nothing and says nothing."""
    path = tmp_path / "night.csv"
    path.write_bytes(TABLE.encode() + bytes(9_000_000))
    night, found = bring(tmp_path, path)
    assert np.allclose(samples(night), ACC, rtol=0, atol=2e-7)
    assert found.remarks == ()


def test_a_cut_line_above_others_is_an_error(tmp_path: Path) -> None:
    """Only the end of a file may be cut: elsewhere the line is named."""
    path = tmp_path / "night.csv"
    path.write_text(TABLE.replace("\n5.0000,", "\n5.00\n5.0000,", 1))
    assert "line 502: there is 1 column" in (refusal(tmp_path, path) or "")


def test_a_logger_that_began_anew_writes_its_header_again(tmp_path: Path) -> None:
    """Headers between rows are no rows; the pause of the restart is a gap."""
    stamps = [str(1_795_390_200_000 + 10 * i + 60_000 * (i >= 700)) for i in range(N)]
    lines = rows(stamps, ACC).splitlines()
    header = "timestamp,ax,ay,az"
    path = tmp_path / "night.csv"
    path.write_text("\n".join([header, *lines[:700], header, *lines[700:]]) + "\n")
    night, found = bring(tmp_path, path)
    assert np.allclose(samples(night), ACC, rtol=0, atol=2e-7)
    assert (found.rows, found.gaps, found.missing) == (N, 1, 6000)
