"""`twitchmap scan` over the virtual radio: who is in range, and raw notifications as test vectors."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from virtual_evenings import FOUR, World, in_time_lapse, virtual

from firmware_host.capture import awake, finding, raw
from firmware_host.capture.setups import Setup, SetupSensor, save_setup
from firmware_host.sensors import model_named
from firmware_host.sensors.protocol import BATTERY_LEVEL, Await, Batch, Driver, Pause, Read, Received

pytestmark = pytest.mark.usefixtures("short_pieces")

VECTORS = Path(__file__).parent / "sensor_vectors.json"


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass quickly in commands, too, and ask nobody to keep this computer awake."""
    monkeypatch.setattr(asyncio, "run", in_time_lapse)
    monkeypatch.setattr(awake, "_ways", lambda: ())


def test_scan_lists_what_is_in_range(run: Run, tmp_path: Path) -> None:
    """Name, address, model and signal of each, and the site that the set-up has it at."""
    sensor = SetupSensor(site="left_calf", address="d0:5e:00:00:01:01", model="witmotion")
    save_setup(tmp_path, Setup(sensors=(sensor,)))
    code, out, _ = run("scan", *virtual(FOUR), "--dir", tmp_path, "--json")
    assert code == 0
    found = {one["address"][-2:]: one for one in json.loads(out)["found"]}
    assert [found[f"0{n}"]["model"] for n in (1, 2, 3, 4)] == list(FOUR.values())
    assert {one["rssi_dbm"] for one in found.values()} == {-60}
    assert [found[f"0{n}"]["site"] for n in (1, 2, 3, 4)] == ["left_calf", None, None, None]
    code, out, _ = run("scan", *virtual(FOUR), "--dir", tmp_path)
    assert code == 0
    assert out.splitlines()[0].split() == ["name", "address", "model", "dBm", "site"]
    assert "other device" not in out


def test_scan_hides_what_is_no_sensor(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other devices are counted, and shown when asked for."""
    monkeypatch.setattr(finding, "identify", lambda _: None)
    arguments = ("scan", *virtual({"left_calf": "thingy52"}), "--dir", tmp_path)
    assert run(*arguments)[1] == "No known sensor is in range. 1 other device in range; --all lists them.\n"
    assert "Thingy" in run(*arguments, "--all")[1]


def test_scan_says_why_the_radio_cannot_be_used(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, exit code 1."""
    monkeypatch.setattr(
        "firmware_host.simulation.virtual_radio.VirtualWorld.backend",
        property(lambda world: world.power(on=False) or (world._central.scanner, world._central.client)),
    )
    assert run("scan", *virtual(FOUR), "--dir", tmp_path) == (1, "", "Bluetooth is off: switch it on.\n")


def replay(driver: Driver, vectors: list[dict[str, Any]]) -> list[Received]:
    """Have a driver meet once more what was saved of its sensor."""
    reads = {one["characteristic"]: one["hex"] for one in vectors if one["direction"] == "read"}
    notes = [one for one in vectors if one["direction"] == "notify"]
    received: list[Received] = []

    def hear(until_s: float = float("inf")) -> bool:
        if not notes or notes[0]["context"]["seconds"] > until_s:
            return False
        note = notes.pop(0)
        received.extend(driver.receive(note["characteristic"], bytes.fromhex(note["hex"])))
        return True

    script, answer = driver.start(), None
    while True:
        try:
            step = script.send(answer)
        except StopIteration:
            break
        while isinstance(step, Await) and not step.done():
            assert hear(), step.what
        if isinstance(step, Pause) and notes:
            until_s = notes[0]["context"]["seconds"] + step.seconds
            while hear(until_s):
                pass
        answer = bytes.fromhex(reads.get(step.characteristic, "")) if isinstance(step, Read) else b""
    while hear():
        pass
    return received


@pytest.mark.parametrize("model", ["witmotion", "polar_h10", "oba"])
def test_raw_notifications_are_test_vectors(model: str, run: Run, tmp_path: Path) -> None:
    """They have the vectors' form, and the model's decoder makes samples of them."""
    out = tmp_path / "raw.json"
    arguments = ("--raw", "D0:5E:00:00:01:01", "--out", out, "--seconds", "3", "--json")
    code, said, _ = run("scan", *virtual({"right_chest": model}), *arguments)
    assert code == 0
    vectors = json.loads(out.read_text(encoding="utf-8"))
    assert json.loads(said)["entries"] == len(vectors)
    known = json.loads(VECTORS.read_text(encoding="utf-8"))
    needed = {"id", "device", "characteristic", "direction", "hex", "length", "source"} & set(known[0])
    assert needed | {"expected", "confidence", "provenance"} <= set(vectors[0])
    assert len({one["id"] for one in vectors}) == len(vectors)
    assert all(len(bytes.fromhex(one["hex"])) == one["length"] for one in vectors)
    assert {one["expected"] for one in vectors} == {None}
    advertised, *others = vectors
    assert advertised["characteristic"] == "advertisement"
    assert advertised["context"]["name"] == advertised["device"]
    table = {one["characteristic"] for one in others if one["direction"] == "read"}
    peripheral = model_named(model).peripheral(model_named(model))
    assert table >= {one.uuid for service in peripheral.services() for one in service.characteristics}
    notes = [one for one in others if one["direction"] == "notify"]
    received = replay(model_named(model).driver(model_named(model)), others)
    assert sum(len(what.counts) for what in received if isinstance(what, Batch)) > 400
    assert notes[-1]["context"]["seconds"] - notes[0]["context"]["seconds"] > 2.5


def test_an_unknown_sensor_is_listened_to(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that it has is read, all that it sends by itself is kept, and nothing is written to it."""
    monkeypatch.setattr(raw, "identify", lambda _: None)
    out = tmp_path / "raw.json"
    world = World({"left_calf": "movesense"})

    async def both() -> None:
        saving = asyncio.create_task(raw._save("D0:5E:00:00:01:01", out, 5.0, (), world))
        while not (world.sensors and world.sensors["left_calf"].connected):
            await asyncio.sleep(0.1)
        await asyncio.sleep(2.0)
        world.sensors["left_calf"].battery(70)
        await saving

    in_time_lapse(both())
    vectors = json.loads(out.read_text(encoding="utf-8"))
    assert {one["direction"] for one in vectors} == {"read", "notify"}
    assert [(one["characteristic"], one["hex"]) for one in vectors if one["direction"] == "notify"] == [
        (BATTERY_LEVEL, "46")
    ]
    assert {one["provenance"] for one in vectors} == {"constructed"}


def test_raw_says_what_is_wrong(run: Run, tmp_path: Path) -> None:
    """A sensor that is not there, a place that cannot be written to, half of the options."""
    sensors = virtual({"left_calf": "witmotion"})
    code, _, err = run("scan", *sensors, "--raw", "nobody", "--out", tmp_path / "a.json")
    assert (code, err[:30]) == (1, "nobody is not in range; `twitc")
    assert not (tmp_path / "a.json").exists()
    code, _, err = run("scan", *sensors, "--raw", "WT901BLE67", "--out", tmp_path / "no" / "a.json")
    assert code == 1
    assert "could not be written" in err
    assert run("scan", *sensors, "--raw", "WT901BLE67")[0] == 2
