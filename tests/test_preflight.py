"""What the check before a night measures, says and advises, without a radio."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason

from firmware_host.capture import computer, permissions
from firmware_host.capture.ble import Backend, Radio
from firmware_host.capture.computer import disk_said
from firmware_host.capture.measures import Measured, Part, band_hz, measure, noise_ug
from firmware_host.capture.permissions import ASKED, NOT_ALLOWED, radio_trouble, system_adapters
from firmware_host.capture.report import Rule, advice_on
from firmware_host.sensors import model_named
from firmware_host.sensors.protocol import Facts

ROOT = Path(__file__).parents[1]
FACTS = Facts(fs_hz=200.0, g_per_count=0.0005, sample_type="int16", range_g=16.0)


def white(density_ug: float, fs_hz: float, n: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return white noise of a density on three axes, g."""
    return np.random.default_rng(seed).normal(0, 1e-6 * density_ug * np.sqrt(fs_hz / 2), (n, 3))


def parts(counts: np.ndarray[Any, Any], *, lost: tuple[int, ...] = (), true_hz: float = 198.4) -> list[Part]:
    """Return samples as they arrive in packets, without some of these."""
    found = []
    size = 10
    for number, first in enumerate(range(0, len(counts) - size + 1, size)):
        if number not in lost:
            at_ns = round((first + size) / true_hz * 1e9)
            found.append(Part(first, counts[first : first + size], at_ns))
    return found


def counts_of(acc_g: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return counts of half a mg."""
    return np.clip(np.rint(acc_g / 0.0005), -32768, 32767).astype(np.int16)


def still(n: int = 5000, density_ug: float = 200.0) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Return counts of a sensor on a table."""
    return counts_of(white(density_ug, 200.0, n) + np.array([0.0, 0.6, -0.8]))


@pytest.mark.parametrize("fs_hz", [45.0, 52.0, 104.0, 200.0, 416.0])
@pytest.mark.parametrize("density_ug", [70.0, 400.0])
def test_the_noise_of_white_noise_is_its_density(fs_hz: float, density_ug: float) -> None:
    """Within a tenth, on each axis, at every rate."""
    found = noise_ug(white(density_ug, fs_hz, round(25 * fs_hz)), fs_hz)
    assert found == pytest.approx([density_ug] * 3, rel=0.1)


def test_knocks_turns_and_the_heart_are_no_noise() -> None:
    """A turn, two knocks and a slow sway leave the density as it was."""
    n, fs_hz = 5000, 200.0
    t = np.arange(n)[:, None] / fs_hz
    sway = 0.02 * np.sin(2 * np.pi * 1.2 * t) + 0.2 * (t > 12)
    knocks = 0.5 * np.exp(-(t % 12.0) / 0.02)
    found = noise_ug(white(100.0, fs_hz, n) + sway + knocks, fs_hz)
    assert found == pytest.approx([100.0] * 3, rel=0.15)


def test_the_band_follows_the_rate() -> None:
    """20 to 90 Hz where the rate allows, lower for slow sensors."""
    assert band_hz(416.0) == band_hz(200.0) == (20.0, 90.0)
    assert band_hz(100.0) == (20.0, 45.0)
    assert band_hz(50.0) == (11.25, 22.5)


def test_a_still_sensor_is_measured() -> None:
    """Rate by this computer's clock, packets, loss, gravity, and the smallest twitch of its noise."""
    found = measure(parts(still()), FACTS)
    assert found is not None
    assert found.fs_hz == pytest.approx(198.4, rel=1e-6)
    assert found.packets_per_s == pytest.approx(19.84, rel=1e-6)
    assert found.lost_share == 0
    assert found.gravity_g == pytest.approx(1.0, abs=1e-3)
    assert found.clipped_share == 0
    assert found.stuck_axes == ()
    assert found.seconds == 25.0
    density = float(np.sqrt(np.mean(np.square(found.noise_ug))))
    assert density == pytest.approx(200.0, rel=0.1)
    assert found.smallest_twitch_mg == pytest.approx(53 * density / 1000)


def test_lost_packets_are_counted_and_shift_no_rate() -> None:
    """Five of 500 packets: one percent, and the rate is still the true one."""
    found = measure(parts(still(), lost=(100, 101, 200, 300, 400)), FACTS)
    assert found is not None
    assert found.lost_share == pytest.approx(0.01, abs=1e-4)
    assert found.fs_hz == pytest.approx(198.4, rel=1e-6)


def test_stuck_and_clipped_axes_are_seen() -> None:
    """An axis that says one number, and samples at either end of the range."""
    counts = still()
    counts[:, 2] = -1600
    counts[1000:1010, 0] = 32767
    counts[1010:1020, 1] = -32768
    found = measure(parts(counts), FACTS)
    assert found is not None
    assert found.stuck_axes == ("z",)
    assert found.clipped_share == pytest.approx(20 / 5000)


def test_too_few_samples_are_not_measured() -> None:
    """No number is made of nothing, of one packet, or of a second."""
    assert measure([], FACTS) is None
    assert measure(parts(still(10)), FACTS) is None
    assert measure(parts(still(200)), FACTS) is None


def measured(**changes: Any) -> Measured:
    """Return a sensor that is well, but for what is changed."""
    well = Measured(
        seconds=20.0, fs_hz=198.4, packets_per_s=20.0, lost_share=0.0, noise_ug=(90.0, 92.0, 95.0),
        band_hz=(20.0, 90.0), smallest_twitch_mg=4.9, gravity_g=1.01, clipped_share=0.0, stuck_axes=(),
    )  # fmt: skip
    return msgspec.structs.replace(well, **changes)


OBA = model_named("oba")
BROKEN = (
    Rule("O4", "Unknown requests", False, "It was silent."),
    Rule("O12", "PING", None, "It was not asked."),
)


@pytest.mark.parametrize(
    ("changes", "rssi_dbm", "findings", "said"),
    [
        ({}, -60, (), None),
        ({}, -127, (), None),
        ({"stuck_axes": ("y", "z")}, -60, (), "Its y and z axis does not change"),
        ({"clipped_share": 0.02}, -60, (), "2.0% of its samples are at the end of its range"),
        ({"noise_ug": (90.0, 310.0, 95.0)}, -60, (), "Its noise on y is 310 µg/√Hz, 90 are published"),
        ({"lost_share": 0.03}, -60, (), "3.0% of its samples were lost"),
        ({}, -91, (), "Its signal is weak (-91 dBm)"),
        ({"fs_hz": 99.3}, -60, (), "It samples at 99.3 Hz, not at 208 Hz"),
        ({"gravity_g": 0.5}, -60, (), "At rest it shows 0.50 g"),
        ({}, -60, BROKEN, "O4 Unknown requests: It was silent."),
    ],
)
def test_each_trouble_has_its_advice(
    changes: dict[str, Any], rssi_dbm: int, findings: tuple[Rule, ...], said: str | None
) -> None:
    """One sentence for what is wrong, none for what is well or not tested."""
    advice = advice_on(OBA, measured(**changes), rssi_dbm, 208.0, findings)
    assert len(advice) == (0 if said is None else 1)
    if said is not None:
        assert advice[0].startswith(said)
        assert advice[0].endswith(".")


def test_noise_that_nobody_published_is_not_judged() -> None:
    """A model without a number gets none held against it."""
    witmotion = model_named("witmotion")
    assert witmotion.noise_ug is None
    assert advice_on(witmotion, measured(noise_ug=(900.0, 900.0, 900.0)), -60, 200.0, ()) == ()


def test_disk_space_is_told_with_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """15 MB a sensor and eight hours, of the folder that is there; too little is not enough."""
    free = shutil.disk_usage(tmp_path)._replace(free=150_000_000)
    monkeypatch.setattr(computer.shutil, "disk_usage", lambda path: free if path == tmp_path else None)
    enough, said = disk_said(tmp_path / "not" / "yet", 3, 8.0)
    assert enough
    assert said == "The disk has 0.1 GB free; a night of 8 h with 3 sensors needs up to 145 MB."
    enough, said = disk_said(tmp_path, 4, 8.0)
    assert not enough
    assert said.endswith("needs up to 160 MB: free some space.")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_nothing_is_told(tmp_path: Path) -> None:
    """Where nothing can be written, no space helps."""
    tmp_path.chmod(0o500)
    enough, said = disk_said(tmp_path / "nights", 1, 8.0)
    assert not enough
    assert "Nothing can be written" in said


def test_a_file_is_no_folder_for_nights(tmp_path: Path) -> None:
    """A file in the way is said as what it is: nothing can be written there."""
    (tmp_path / "nights").write_text("", encoding="utf-8")
    enough, said = disk_said(tmp_path / "nights", 1, 8.0)
    assert not enough
    assert said.startswith(f"Nothing can be written to {tmp_path / 'nights'}")


class Scanner:
    """A scanner whose start says what it is told to."""

    fails: BaseException | None = None

    def __init__(self, *_: object, **__: object) -> None:
        self.seen_devices: dict[str, Any] = {}

    async def start(self) -> None:
        """Begin, or fail."""
        if self.fails is not None:
            raise self.fails

    async def stop(self) -> None:
        """End."""


def radio(fails: BaseException | None = None) -> Radio:
    """Return a radio whose scans fail so."""
    return Radio(Backend(type("Failing", (Scanner,), {"fails": fails}), object))


def trouble(a_radio: Radio, *child: str) -> str | None:
    """Ask what stands in a radio's way; the child's command is run first."""
    return asyncio.run(radio_trouble(a_radio, child=child or None))


def test_a_radio_that_scans_has_no_trouble() -> None:
    """Nothing is said where nothing is wrong, of the child or of the radio itself."""
    assert trouble(radio()) is None
    assert trouble(radio(), sys.executable, "-c", "") is None
    assert trouble(radio(), sys.executable, "-c", "raise SystemExit(1)") is None  # its own fault, not macOS's


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (BleakBluetoothNotAvailableReason.NO_BLUETOOTH, "has no Bluetooth adapter"),
        (BleakBluetoothNotAvailableReason.POWERED_OFF, "Bluetooth is off: switch it on."),
        (BleakBluetoothNotAvailableReason.DENIED_BY_USER, "may not use Bluetooth"),
    ],
)
def test_a_radio_that_cannot_be_used_says_why(reason: BleakBluetoothNotAvailableReason, said: str) -> None:
    """No adapter, switched off, not allowed: a sentence each."""
    found = trouble(radio(BleakBluetoothNotAvailableError("no", reason)))
    assert found is not None
    assert said in found


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os.abort()", NOT_ALLOWED),
        ("import sys; sys.exit(134)", NOT_ALLOWED),
        ("import sys; sys.stdout.write('Bluetooth is off.\\n'); sys.exit(3)", "Bluetooth is off."),
    ],
)
def test_a_child_that_macos_ends_becomes_a_sentence(code: str, said: str) -> None:
    """An abort names the setting; a sentence that the child says is handed on."""
    assert trouble(radio(), sys.executable, "-c", code) == said


def test_a_child_that_waits_for_a_question_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """While macOS asks the user, nothing answers: the sentence says so, and no child is left."""
    monkeypatch.setattr(permissions, "CHILD_S", 0.2)
    assert trouble(radio(), sys.executable, "-c", "import time; time.sleep(60)") == ASKED


def test_only_macos_tries_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own radio is tried in the child first; a virtual one never is, nor any on other systems."""
    tried: list[Any] = []

    async def note(child: Any) -> str | None:
        tried.append(child)
        return "of the child"

    monkeypatch.setattr(permissions, "_tried", note)
    systems = radio()
    systems.is_systems = True
    monkeypatch.setattr(permissions.sys, "platform", "linux")
    assert trouble(systems) is None
    monkeypatch.setattr(permissions.sys, "platform", "darwin")
    assert trouble(radio()) is None
    assert tried == []
    assert trouble(systems) == "of the child"
    assert tried == [permissions.CHILD]


def test_the_child_says_in_a_sentence_what_the_systems_radio_lacks() -> None:
    """The real child, wherever this runs, ends well or with a sentence; never with a traceback."""
    done = subprocess.run(
        permissions.CHILD,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode in {0, permissions.SAID}, done.stderr
    assert (done.returncode == 0) == (done.stdout == "")
    assert "Traceback" not in done.stderr
    assert done.stdout == "" or done.stdout.endswith(".")


def test_adapters_are_listed_where_linux_tells_them(tmp_path: Path) -> None:
    """Adapters by name; connections, which stand beside them, are none."""
    for name in ("hci1", "hci0", "hci0:64"):
        (tmp_path / name).mkdir()
    assert system_adapters(tmp_path) == ("hci0", "hci1")
    assert system_adapters(tmp_path / "none") == ()


def test_the_evening_starts_light() -> None:
    """Scan, set-up and check load neither scipy nor scikit-learn, and bleak only once it is used."""
    script = (
        "import sys\nfrom firmware_host.capture import finding, placing, preflight, raw\n"
        "heavy = {'scipy', 'sklearn', 'bleak', 'bumble', 'dbus_fast', 'wakepy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
