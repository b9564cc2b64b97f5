"""The setting `show`: whose counts are shown when, on the command line; the pages have tests of their own."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import made_nights
import numpy as np
import pytest
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st

from firmware_host.analysis import detect_night
from firmware_host.cli.record import may_count
from firmware_host.recording.settings import Settings, read_settings, showing, write_settings

MONDAY = date(2026, 11, 23)
REAL = "recorded"


@given(st.dates(date(2020, 1, 1), date(2030, 1, 1)), st.integers(0, 20))
def test_a_week_is_shown_once_it_is_over(evening: date, days: int) -> None:
    """Weekly: nothing of a week until the evening after its Sunday, then each night on request."""
    today = evening + timedelta(days)
    over = today.isocalendar()[:2] > evening.isocalendar()[:2]
    assert showing("weekly", REAL, evening, today) == ("on_request" if over else "later")


def test_what_is_not_about_a_person_is_always_shown() -> None:
    """Simulated and virtual nights are shown whatever the setting; so is all where nobody was asked."""
    for origin in ("simulated", "virtual"):
        for show in (None, "nightly", "weekly", "on_request"):
            assert showing(show, origin, MONDAY, MONDAY) == "now"
    assert showing(None, REAL, MONDAY, MONDAY) == "now"
    assert showing("nightly", "imported", MONDAY, MONDAY) == "now"
    assert showing("on_request", "imported", MONDAY, MONDAY) == "on_request"
    assert showing("weekly", REAL, None, MONDAY) == "on_request"


def test_settings_are_kept_beside_the_nights(tmp_path: Path) -> None:
    """What is written is read again, by this user only; a folder without settings has the defaults."""
    folder = tmp_path / "new"
    assert read_settings(folder) == Settings()
    write_settings(folder, Settings("weekly"))
    assert read_settings(folder) == Settings("weekly")
    assert (folder / "settings.toml").stat().st_mode & 0o077 == 0


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Give a night of ten minutes that somebody slept, with a run."""
    path = tmp_path / "a.night"
    made_nights.quiet_night(path)
    detect_night(path)
    return path


@pytest.mark.parametrize("show", ["on_request", "weekly"])
def test_the_map_waits_until_it_is_asked_for(run: Run, night: Path, show: str) -> None:
    """Exit 1 and a sentence in place of counts; with --show the counts, as the week of this night is over."""
    (night.parent / "settings.toml").write_text(f'show = "{show}"\n')
    code, out, err = run("map", night)
    assert (code, out) == (1, "")
    assert "on request" in err
    code, out, _ = run("map", night, "--show")
    assert code == 0
    assert "left calf" in out.lower()


def test_no_command_lets_a_count_slip(run: Run, night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a week that is not over no command tells a count, in text or JSON, even when it is asked for."""
    monkeypatch.setattr("time.time_ns", lambda: made_nights.START_NS + 3600 * 10**9)
    write_settings(night.parent, Settings("weekly"))
    assert run("map", night, "--show")[0] == 1
    for arguments in (("detect", night, "--show"), ("info", night)):
        code, out, _ = run(*arguments, "--json")
        assert code == 0
        found = json.loads(out)
        runs = found["runs"] if arguments[0] == "info" else [one["run"] for one in found]
        sites = [site for one in runs for site in json.loads(one["summary"])["sites"]]
        if arguments[0] == "detect":
            sites += [site for one in found for site in one["summary"]["sites"]]
        assert sites
        assert {(site["twitches"], site["rate_per_h"]) for site in sites} == {(None, None)}
    code, out, _ = run("detect", night)
    assert "not shown" in out
    assert "2026-11-23" in out


def test_tonight_is_not_counted_where_weeks_are_awaited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`record --count` asks by itself; only where counts wait for the week's end is nothing counted."""
    for show, counts in ((None, True), ("nightly", True), ("on_request", True), ("weekly", False)):
        write_settings(tmp_path, Settings(show))  # type: ignore[arg-type]
        assert may_count(tmp_path, virtual=False) == counts
        assert may_count(tmp_path, virtual=True)
    assert "until the week is over" in capsys.readouterr().err


def test_settings_that_cannot_be_read_show_nothing(run: Run, night: Path) -> None:
    """A settings file that is broken is said so in a sentence; counts are not shown instead."""
    noise = np.random.default_rng(1).bytes(50)
    for content in (b'show = "always"', b"show = ", b'shown = "weekly"', noise, b"show = " + b"[" * 5000):
        (night.parent / "settings.toml").write_bytes(content)
        code, out, err = run("map", night)
        assert (code, out) == (1, "")
        assert "settings.toml" in err
