"""`twitchmap check` over the virtual radio: what is measured, what is amiss, and the set-up repeated."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from conftest import Run
from virtual_evenings import FOUR, TWO, checked, in_time_lapse, virtual

from firmware_host.capture import awake
from firmware_host.capture.report import report_text
from firmware_host.sensors import model_named

pytestmark = pytest.mark.usefixtures("short_pieces")


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass quickly in commands, too, and ask nobody to keep this computer awake."""
    monkeypatch.setattr(asyncio, "run", in_time_lapse)
    monkeypatch.setattr(awake, "_ways", lambda: ())


def test_check_measures_every_sensor(run: Run, tmp_path: Path) -> None:
    """Rate, packets, loss, signal, battery, noise and what can be seen with it; all ready is exit code 0."""
    code, out, err = run("check", *virtual(FOUR), "--hours", "8", "--dir", tmp_path, "--json")
    assert code == 0
    report = json.loads(out)
    assert report["ready"]
    assert report["to_do"] == []
    assert err.count(" streams.") == 4
    for one in report["sensors"]:
        model = model_named(FOUR[one["site"]])
        measured = one["measured"]
        assert (one["model"], one["battery_percent"]) == (model.name, 100)
        assert measured["fs_hz"] == pytest.approx(model.fs_hz, rel=0.07)
        assert measured["packets_per_s"] == pytest.approx(model.fs_hz / model.samples_per_packet, rel=0.15)
        assert measured["lost_share"] == 0
        assert one["rssi_dbm"] == -60
        assert measured["stuck_axes"] == []
        assert 30 < min(measured["noise_ug"]) <= max(measured["noise_ug"]) < 700
        assert measured["smallest_twitch_mg"] == pytest.approx(
            53e-3 * (sum(value**2 for value in measured["noise_ug"]) / 3) ** 0.5
        )
        assert (one["noise_expected_ug"], one["serial"] != "") == (model.noise_ug, True)
    assert "The Bluetooth adapter carries 4 sensors" in report["plan"][0]
    assert len(report["plan"]) == 5
    assert "GB free; a night of 8 h with 4 sensors needs up to 160 MB" in report["computer"][0]


def test_check_examines_oba_boards_rule_by_rule(tmp_path: Path) -> None:
    """Every rule is listed, and our own virtual board keeps all that can be tested."""
    report = checked(tmp_path, {"left_calf": "oba"})
    findings = report.sensors[0].conformance
    assert len(findings) > 15
    assert [finding for finding in findings if finding.passed is False] == []
    text = report_text(report, "UTC")
    assert all(
        f"{finding.rule} {finding.title}, not tested" in text
        for finding in findings
        if finding.passed is None
    )
    assert f"of {len(findings)} rules kept (O1 O2 O3 " in text


def test_check_says_which_sensor_is_missing(tmp_path: Path) -> None:
    """One that is off is not heard; the others are measured all the same."""
    report = checked(tmp_path, TWO, lambda world: world.sensors["right_calf"].vanish())
    well, missing = report.sensors
    assert well.ready
    assert (missing.found, missing.ready) == (False, False)
    assert not report.ready
    assert report.to_do[0].startswith("right_calf: it was not heard: switch it on")
    assert "right_calf: Movesense" in report_text(report, "UTC")


def test_check_says_which_sensor_is_silent(tmp_path: Path) -> None:
    """One that connects and sends nothing is not ready, whatever the system says of its link."""
    report = checked(tmp_path, TWO, lambda world: world.sensors["right_calf"].silence())
    assert [one.ready for one in report.sensors] == [True, False]
    assert report.to_do[0].startswith("right_calf: ")


def test_check_forecasts_a_battery_that_is_low(tmp_path: Path) -> None:
    """It can start, and the end of its battery is told."""
    report = checked(
        tmp_path, {"left_calf": "witmotion"}, lambda world: world.sensors["left_calf"].battery(40)
    )
    assert report.ready
    assert report.sensors[0].battery_percent == 40
    assert report.sensors[0].battery_ends_ns is not None
    assert "at 40 %, lasts about 3.2 h" in report.plan[-1]


def test_check_says_that_bluetooth_is_off(tmp_path: Path) -> None:
    """Without a radio no sensor is looked for, and what to do comes first."""
    report = checked(tmp_path, TWO, lambda world: world.power(on=False))
    assert (report.ready, report.sensors) == (False, ())
    assert report.radio == "Bluetooth is off: switch it on."
    assert report.to_do == (report.radio,)
    assert report_text(report, "UTC").endswith("\nBluetooth is off: switch it on.")


def test_check_repeats_the_setup(run: Run, tmp_path: Path) -> None:
    """After `setup`, `check` needs no arguments; where there is no set-up it says how to make one."""
    code, _, err = run("check", "--dir", tmp_path)
    assert code == 1
    assert "run `twitchmap setup`" in err
    assert run("setup", *virtual(TWO), "--dir", tmp_path)[0] == 0
    code, out, _ = run("check", "--dir", tmp_path, "--seconds", "5")
    assert code == 0
    assert out.rstrip().endswith("All sensors can start: `twitchmap record` begins the night.")
    assert "left_calf: OBA/1 board" in out
    assert run("check", "--dir", tmp_path, *virtual(TWO), "--config", "x.toml")[0] == 2


def test_record_repeats_the_setup(run: Run, tmp_path: Path) -> None:
    """After `setup`, `record` needs no arguments: the night has its sites, placement and person."""
    arguments = ("--placement", "left_calf=strap", "--participant", "P01")
    assert run("setup", *virtual(TWO), "--dir", tmp_path, *arguments)[0] == 0
    code, out, err = run("record", "--dir", tmp_path, "--hours", "0.01", "--no-detect", "--json")
    assert code == 0, err
    from firmware_host.recording import open_night

    night = open_night(Path(json.loads(out)["night"]))
    assert night.meta.origin == "virtual"
    assert night.meta.participant == "P01"
    assert [(info.site, info.model, info.placement) for info in night.meta.sensors] == [
        ("left_calf", "oba", "strap"), ("right_calf", "movesense", ""),
    ]  # fmt: skip
    assert all(sum(one.n for one in night.stretches(site)) > 2000 for site in TWO)
