"""`twitchmap setup` over the virtual radio: sensors are told by tapping or by name, and kept for nights."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run
from virtual_evenings import FOUR, TWO, World, checked, in_time_lapse, virtual

from firmware_host.capture import awake
from firmware_host.capture.asked import wanted_sensors
from firmware_host.capture.placing import PlacingOrder, place
from firmware_host.capture.setups import Setup, SetupSensor, load_setup, save_setup
from firmware_host.errors import BadValueError, SensorError
from firmware_host.sensors import model_named, models

pytestmark = [pytest.mark.lasts_s(15), pytest.mark.usefixtures("short_pieces")]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass quickly in commands, too, and ask nobody to keep this computer awake."""
    monkeypatch.setattr(asyncio, "run", in_time_lapse)
    monkeypatch.setattr(awake, "_ways", lambda: ())


@pytest.mark.long
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


def test_what_cannot_be_kept_is_said_before_the_taps(run: Run, tmp_path: Path) -> None:
    """Nobody taps sensors for a set-up that is refused afterwards."""
    (tmp_path / "file").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "setup.toml").write_text("untill = '07:00'\n")
    for folder, more, words in (
        ("file", (), "choose another folder with --dir"),
        ("broken", (), "there is no key 'untill'"),
        ("new", ("--timezone", "Mars"), "no time zone"),
    ):
        code, _, err = run("setup", *virtual({"left_calf": "oba"}), *more, "--dir", tmp_path / folder)
        assert (code, words in err, "Tap the sensor" in err) == (1, True, False), err


def test_setup_says_what_is_wrong(run: Run, tmp_path: Path) -> None:
    """Unknown sites and models, a chest strap on a leg, a placement of nobody, nothing asked for."""
    for arguments, code, said in (
        ([*virtual({"left_knee": "oba"})], 1, "no body site 'left_knee'"),
        ([*virtual({"left_calf": "obi"})], 1, "no sensor model 'obi'"),
        ([*virtual({"left_calf": "oba"}), "--placement", "left_foot=x"], 1, "No sensor sits at left_foot"),
        ([*virtual({"left_calf": "oba"}), "left_foot"], 2, "leave out SITE"),
        ([*virtual({"left_calf": "oba"}), "--until", "25"], 2, "no time of day"),
        ([*virtual({"left_calf": "oba"}), "--until", "07:00:30"], 2, "write it as 07:00"),
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


@pytest.mark.long
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


@pytest.mark.long
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


def test_setup_tells_programs_where_it_stands(run: Run, tmp_path: Path) -> None:
    """With --steps stderr is lines of JSON: what it says, whose sensor is to be tapped, whose is known."""
    code, out, err = run("setup", *virtual(TWO), "--steps", "--dir", tmp_path, "--json")
    assert code == 0
    assert [one["site"] for one in json.loads(out)["sensors"]] == ["left_calf", "right_calf"]
    steps = [json.loads(line) for line in err.splitlines()]
    stages = [(kind, value) for step in steps for kind, value in step.items() if kind != "say"]
    assert stages == [(kind, site) for site in TWO for kind in ("tap", "placed")]
    assert {"say": "Tap the sensor for the left calf now, three times."} in steps
