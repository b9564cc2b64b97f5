"""The evening before a night, over the virtual radio: scan, setup by tapping, check, record."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from firmware_host.capture import awake, finding, raw
from firmware_host.capture.asked import Order, wanted_sensors
from firmware_host.capture.placing import PlacingOrder, place
from firmware_host.capture.preflight import check_all
from firmware_host.capture.report import Report, report_text
from firmware_host.capture.setups import Setup, SetupSensor, load_setup, save_setup
from firmware_host.cli import main
from firmware_host.errors import BadValueError, SensorError
from firmware_host.sensors import model_named, models
from firmware_host.sensors.protocol import BATTERY_LEVEL, Await, Batch, Driver, Pause, Read, Received
from firmware_host.simulation.time_lapse import TimeLapseLoop
from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld

pytestmark = [pytest.mark.lasts_s(25), pytest.mark.usefixtures("short_pieces")]

Run = Callable[..., tuple[int, str, str]]
FOUR = {"left_calf": "witmotion", "right_calf": "movesense", "left_thigh": "oba", "right_chest": "polar_h10"}
TWO = {"left_calf": "oba", "right_calf": "movesense"}
VECTORS = Path(__file__).parent / "sensor_vectors.json"


def in_time_lapse(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end in a loop in which time passes quickly."""
    with asyncio.Runner(loop_factory=TimeLapseLoop) as runner:
        return runner.run(work)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass quickly in commands, too, and ask nobody to keep this computer awake."""
    monkeypatch.setattr(asyncio, "run", in_time_lapse)
    monkeypatch.setattr(awake, "_ways", lambda: ())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, out, err

    return call


def virtual(sensors: dict[str, str]) -> list[str]:
    """Return the options that play sensors."""
    return [word for site, model in sensors.items() for word in ("--virtual", f"{site}={model}")]


class World(VirtualWorld):
    """A world in which something is amiss when a command comes to it."""

    def __init__(self, sensors: dict[str, str], amiss: Callable[[World], object] = lambda _: None) -> None:
        super().__init__([VirtualSensor(*one) for one in sensors.items()], hours=0.2)
        self.amiss, self.asked = amiss, 0
        self.instead: list[tuple[str, ...]] = []
        """Who is tapped the first, second ... time that a tap is asked for, instead of who should be."""

    async def __aenter__(self) -> World:
        await super().__aenter__()
        self.amiss(self)
        return self

    def tap(self, site: str) -> None:
        """Tap whoever it is this time."""
        sites = self.instead[self.asked] if self.asked < len(self.instead) else (site,)
        self.asked += 1
        for one in sites:
            super().tap(one)


# scan


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


# scan --raw


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


# setup


def test_setup_tells_sensors_by_their_taps(run: Run, tmp_path: Path) -> None:
    """Each site gets the sensor that was tapped for it, with its serial, and what else was given."""
    code, out, err = run(
        "setup", *virtual(FOUR), "--dir", tmp_path, "--placement", "left_calf=strap, below the knee",
        "--participant", "P01", "--until", "07:00", "--timezone", "Europe/Berlin",
    )  # fmt: skip
    assert code == 0
    setup = load_setup(tmp_path)
    assert [(one.site, one.model, one.address[-2:]) for one in setup.sensors] == [
        (site, model, f"0{n}") for n, (site, model) in enumerate(FOUR.items(), 1)
    ]
    assert all(one.serial for one in setup.sensors)
    assert setup.placements() == {"left_calf": "strap, below the knee"}
    assert (setup.participant, setup.until, setup.time_zone, setup.virtual) == (
        "P01",
        "07:00",
        "Europe/Berlin",
        True,
    )
    assert err.count("now, three times.") == 4
    assert "Tap the sensor for the right chest now, three times." in err
    assert "left_calf" in out


def test_a_new_setup_keeps_what_is_not_given_anew(run: Run, tmp_path: Path) -> None:
    """Who sleeps and until when stay; the sensors are those of now."""
    one = virtual({"left_calf": "thingy52"})
    assert run("setup", *one, "--dir", tmp_path, "--participant", "P01", "--until", "07:00")[0] == 0
    code, out, _ = run("setup", *virtual({"left_foot": "oba"}), "--dir", tmp_path, "--hours", "8", "--json")
    assert code == 0
    setup = load_setup(tmp_path)
    assert [sensor.site for sensor in setup.sensors] == ["left_foot"]
    assert (setup.participant, setup.until, setup.hours) == ("P01", "", 8.0)
    assert json.loads(out)["sensors"][0]["site"] == "left_foot"


def test_made_up_sensors_do_not_replace_real_ones(run: Run, tmp_path: Path) -> None:
    """Whoever tries the virtual sensors out loses no set-up by it."""
    real = Setup(sensors=(SetupSensor(site="left_calf", address="A"),))
    save_setup(tmp_path, real)
    code, _, err = run("setup", *virtual({"left_calf": "thingy52"}), "--dir", tmp_path)
    assert code == 1
    assert "made-up ones do not replace" in err
    assert load_setup(tmp_path) == real


def test_setup_says_what_is_wrong(run: Run, tmp_path: Path) -> None:
    """Unknown sites and models, a chest strap on a leg, a placement of nobody, nothing asked for."""
    for arguments, code, said in (
        ([*virtual({"left_knee": "oba"})], 1, "no body site 'left_knee'"),
        ([*virtual({"left_calf": "obi"})], 1, "no sensor model 'obi'"),
        ([*virtual({"left_calf": "oba"}), "--placement", "left_foot=x"], 1, "No sensor sits at left_foot"),
        ([*virtual({"left_calf": "oba"}), "left_foot"], 2, "leave out SITE"),
        ([*virtual({"left_calf": "oba"}), "--until", "25"], 2, "no time of day"),
    ):
        found, _, err = run("setup", *arguments, "--dir", tmp_path)
        assert (found, said in err) == (code, True), err
    assert not list(tmp_path.iterdir())


class Terminal(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        """Be one."""
        return True


def test_in_a_terminal_what_is_missing_is_asked_for(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How a sensor sits, and, where no place was named, which places there are: the keyboard is enough."""
    monkeypatch.setattr("sys.stdin", Terminal("below the knee\n\n"))
    assert run("setup", *virtual(TWO), "--dir", tmp_path)[0] == 0
    assert load_setup(tmp_path).placements() == {"left_calf": "below the knee"}
    orders: list[PlacingOrder] = []

    def place_them(order: PlacingOrder, say: Callable[[str], None]) -> tuple[SetupSensor, ...]:
        orders.append(order)
        raise SensorError("No sensor is in range.")

    monkeypatch.setattr("firmware_host.capture.placing.place_sensors", place_them)
    monkeypatch.setattr("sys.stdin", Terminal("left_calf  right_foot\n"))
    assert run("setup", "--dir", tmp_path)[0] == 1
    assert orders[0].sites == ("left_calf", "right_foot")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run("setup", "--dir", tmp_path)[0] == 2


def placed(world: World, *sites: str, **named: str) -> tuple[tuple[SetupSensor, ...], list[str]]:
    """Place sensors of a world: sites by tapping, others by name; return them and what was said."""
    said: list[str] = []
    wanted = wanted_sensors(list(named.items()))
    order = PlacingOrder(sites=sites, named=wanted, virtual=world)
    return in_time_lapse(place(order, said.append)), said


def test_doubt_is_asked_again() -> None:
    """Two sensors that feel it alike, none, and one that sits elsewhere: asked until it is clear."""
    world = World(TWO)
    world.instead = [("left_calf", "right_calf"), (), ("left_calf",), ("left_calf",)]
    sensors, said = placed(world, "left_calf", "right_calf")
    assert [(one.site, one.model) for one in sensors] == list(TWO.items())
    text = "\n".join(said)
    assert text.count("Tap the sensor for the left calf now") == 3
    assert text.count("Tap the sensor for the right calf now") == 2
    assert "felt that alike: hold the one that you tap, and tap again." in text
    assert "No three taps were felt." in text
    assert "It sits at the left calf already: tap another." in text


@pytest.mark.parametrize("name", sorted(models()))
def test_every_model_is_told_by_its_tap_and_measured(name: str, tmp_path: Path) -> None:
    """At its rate and range, beside another sensor; and the check measures what the virtual chip does."""
    model = model_named(name)
    site = f"left_{model.places[0]}" if model.places else "left_calf"
    sensors, _ = placed(World({"right_calf": "oba", site: name}), site)
    assert [(one.site, one.model) for one in sensors] == [(site, name)]
    report = checked(tmp_path, {site: name})
    assert report.ready, report.to_do
    measured = report.sensors[0].measured
    assert measured is not None
    assert measured.fs_hz == pytest.approx(model.fs_hz, rel=0.07)
    assert measured.gravity_g == pytest.approx(1.0, abs=0.15)
    assert 30 < measured.smallest_twitch_mg / 53e-3 < 800


def test_sensors_are_told_by_the_tap_not_by_their_order() -> None:
    """Whoever is tapped for a site gets it, wherever the world has it."""
    world = World(TWO)
    world.instead = [("right_calf",), ("left_calf",)]
    sensors, _ = placed(world, "left_calf", "right_calf")
    assert [(one.site, one.model) for one in sensors] == [("left_calf", "movesense"), ("right_calf", "oba")]


def test_what_stays_unclear_is_said_with_a_way_out() -> None:
    """Nobody taps: after four times asking, naming the sensor is offered."""
    world = World(TWO)
    world.instead = [()] * 9
    with pytest.raises(SensorError, match="name it with --sensor left_calf=NAME_OR_ADDRESS"):
        placed(world, "left_calf")
    assert world.asked == 4


def test_a_chest_strap_is_not_taken_for_a_leg() -> None:
    """The tap is refused with the reason, and the right sensor is taken after."""
    world = World({"left_chest": "polar_h10", "left_calf": "oba"})
    world.instead = [("left_chest",)]
    sensors, said = placed(world, "left_calf")
    assert [one.model for one in sensors] == ["oba"]
    assert any("can be worn at the chest only, not at left_calf" in one for one in said)


def test_too_few_sensors_are_counted() -> None:
    """Three places need three sensors; one that does not come to stream is named."""
    world = World(TWO, lambda world: world.sensors["right_calf"].silence())
    with pytest.raises(SensorError, match="2 places need 2 sensors, and 1 streams"):
        placed(World({"left_calf": "oba"}), "left_calf", "right_calf")
    assert placed(world, "left_calf")[0][0].model == "oba"
    empty = World({"left_calf": "oba"}, lambda world: world.sensors["left_calf"].vanish())
    with pytest.raises(SensorError, match="No sensor is in range"):
        placed(empty, "left_calf")


def test_a_named_sensor_needs_no_tap() -> None:
    """By address or name, beside one that is tapped; who it is comes from itself."""
    sensors, said = placed(World(TWO), "right_calf", left_calf="D0:5E:00:00:01:01")
    assert [(one.site, one.model) for one in sensors] == [("right_calf", "movesense"), ("left_calf", "oba")]
    assert sensors[1].serial
    assert sum("three times" in one for one in said) == 1
    sensors, _ = placed(World(TWO), left_calf="OBA-00a1")
    assert (sensors[0].address, sensors[0].name) == ("D0:5E:00:00:01:01", "OBA-00a1")


def test_named_sensors_that_cannot_be_are_refused() -> None:
    """One that is not there, a strap at a leg, one sensor for two sites."""
    with pytest.raises(SensorError, match="left_calf: nobody is not heard"):
        placed(World(TWO), left_calf="nobody")
    with pytest.raises(BadValueError, match="chest only"):
        placed(World({"left_chest": "polar_h10"}), left_calf="D0:5E:00:00:01:01")
    with pytest.raises((BadValueError, SensorError), match=r"one sensor|not heard"):
        placed(World(TWO), left_calf="D0:5E:00:00:01:01", right_calf="OBA-00a1")
    with pytest.raises(BadValueError, match="left_calf is given twice"):
        placed(World(TWO), "left_calf", left_calf="OBA-00a1")


# check


def checked(
    folder: Path, sensors: dict[str, str], amiss: Callable[[World], object] = lambda _: None
) -> Report:
    """Check sensors of a world in which something may be amiss."""
    order = Order(
        directory=folder, wanted=wanted_sensors(list(sensors.items())), virtual=World(sensors, amiss),
        time_zone="UTC",
    )  # fmt: skip
    report: Report = in_time_lapse(check_all(order, 10.0))
    text = report_text(report, "UTC")
    assert all(site in text for site in sensors) or report.radio
    return report


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


def test_setup_tells_programs_where_it_stands(run: Run, tmp_path: Path) -> None:
    """With --steps stderr is lines of JSON: what it says, whose sensor is to be tapped, whose is known."""
    code, out, err = run("setup", *virtual(TWO), "--steps", "--dir", tmp_path, "--json")
    assert code == 0
    assert [one["site"] for one in json.loads(out)["sensors"]] == ["left_calf", "right_calf"]
    steps = [json.loads(line) for line in err.splitlines()]
    stages = [(kind, value) for step in steps for kind, value in step.items() if kind != "say"]
    assert stages == [(kind, site) for site in TWO for kind in ("tap", "placed")]
    assert {"say": "Tap the sensor for the left calf now, three times."} in steps
