"""Scan, set-up and check with unmodified bleak, on a D-Bus that behaves like BlueZ."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform != "linux" or not shutil.which("dbus-daemon"):
    pytest.skip("needs a D-Bus daemon", allow_module_level=True)

from fake_bleak import FakeSensor
from fake_bluez import FakeBluez, start_bus

from firmware_host.capture import finding, raw
from firmware_host.capture.asked import Order, wanted_sensors
from firmware_host.capture.ble import Radio
from firmware_host.capture.permissions import radio_trouble
from firmware_host.capture.placing import PlacingOrder, place
from firmware_host.capture.preflight import check_all
from firmware_host.sensors import model_named

OBA = "C0:00:00:00:00:01"
THINGY = "C0:00:00:00:00:02"


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the test a system bus of its own."""
    daemon, address = start_bus(tmp_path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    yield address
    daemon.terminate()
    daemon.wait()
    assert daemon.stdout is not None
    daemon.stdout.close()


def two() -> list[FakeSensor]:
    """Return an OBA board and a Thingy to put into the air."""
    return [
        FakeSensor(model_named(name).peripheral(model_named(name), "0000000000A1"), address)
        for name, address in (("oba", OBA), ("thingy52", THINGY))
    ]


@pytest.mark.long
def test_an_evening_on_bluez(bus: str, tmp_path: Path) -> None:
    """What is in range, which is where by name, and whether all stream: nothing virtual is between."""

    async def go() -> None:
        async with FakeBluez(bus, *two()):
            assert await radio_trouble(Radio()) is None
            seen = await finding.hear(Radio(), 1.0)
            assert {(one.address, finding.found_from(one).model) for one in seen} == {
                (OBA, "oba"), (THINGY, "thingy52"),
            }  # fmt: skip
            named = wanted_sensors([("left_calf", OBA), ("right_calf", "Thingy")])
            sensors = await place(PlacingOrder(named=named))
            assert [(one.site, one.model, one.address) for one in sensors] == [
                ("left_calf", "oba", OBA), ("right_calf", "thingy52", THINGY),
            ]  # fmt: skip
            wanted = tuple(one.wanted() for one in sensors)
            report = await check_all(Order(directory=tmp_path, wanted=wanted, time_zone="UTC"), 3.0)
            assert report.ready, report.to_do
            assert all(one.measured and one.measured.packets_per_s > 5 for one in report.sensors)
            assert report.sensors[0].conformance

    asyncio.run(go())


@pytest.mark.long
def test_a_sensor_is_saved_in_the_raw_on_bluez(bus: str, tmp_path: Path) -> None:
    """Its table and its notifications come over the real bus as over the virtual radio."""

    async def go() -> None:
        async with FakeBluez(bus, *two()):
            await raw._save(THINGY, tmp_path / "raw.json", 1.0, (), None)

    asyncio.run(go())
    vectors = json.loads((tmp_path / "raw.json").read_text(encoding="utf-8"))
    assert {one["provenance"] for one in vectors} == {"real-capture"}
    assert sum(one["direction"] == "notify" and one["length"] == 18 for one in vectors) > 20


def test_no_adapter_is_said(bus: str, tmp_path: Path) -> None:
    """An adapter that is unplugged, and one that is off, are sentences of the check."""

    async def go() -> None:
        async with FakeBluez(bus, *two()) as bluez:
            order = Order(directory=tmp_path, wanted=wanted_sensors([("left_calf", OBA)]), time_zone="UTC")
            bluez.power(on=False)
            assert (await check_all(order)).radio == "Bluetooth is off: switch it on."
            bluez.unplug()
            assert "no Bluetooth adapter" in ((await check_all(order)).radio or "")

    asyncio.run(go())
