"""The planner spreads sensors, counts what adapters carry, and forecasts batteries, in plain numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware_host.body import SITES
from firmware_host.capture.plan import Asked, Charge, Lasted, Plan, plan_night
from firmware_host.sensors import models
from firmware_host.sensors.protocol import Model

H = 3600 * 10**9
EVENING = 1_795_896_000 * 10**9  # 2026-11-28 20:00 UTC
MODEL = next(iter(models().values()))


def model(
    *, rates: tuple[float, ...] = (100.0, 200.0), packet: int = 10, battery_h: float | None = 10.0
) -> Model:
    """Return a model of given rates, samples a notification and battery; it is set to its highest rate."""
    return replace(
        MODEL, label="Test sensor", rates_hz=rates, fs_hz=max(rates), samples_per_packet=packet,
        battery_h=battery_h,
    )  # fmt: skip


def plan(sensors: list[Asked], *adapters: str, hours: float | None = 8.0) -> Plan:
    """Plan from 20:00 UTC for some hours."""
    end_ns = None if hours is None else EVENING + round(hours * H)
    return plan_night(sensors, adapters, now_ns=EVENING, end_ns=end_ns)


def sensors(n: int, **of_model: object) -> list[Asked]:
    """Return so many sensors of one model."""
    return [Asked(tuple(SITES)[i], model(**of_model)) for i in range(n)]  # type: ignore[arg-type]


def test_sensors_are_spread_over_adapters() -> None:
    """Each adapter gets as many as the others, and the sensors that send most are parted."""
    busy, calm = model(packet=2), model()
    asked = [
        Asked("left_calf", busy),
        Asked("right_calf", busy),
        Asked("left_thigh", calm),
        Asked("right_thigh", calm),
    ]
    made = plan(asked, "hci0", "hci1")
    assert {made.adapter_of("left_calf"), made.adapter_of("right_calf")} == {"hci0", "hci1"}
    assert sorted(str(one.adapter) for one in made.sensors) == ["hci0", "hci0", "hci1", "hci1"]
    assert [one.site for one in made.sensors] == ["left_calf", "right_calf", "left_thigh", "right_thigh"]
    assert "hci0 carries 2 sensors with 120 notifications a second." in made.statements


def test_a_sensor_keeps_the_adapter_that_it_is_given() -> None:
    """Whoever names an adapter gets it, and the others make room."""
    asked = [replace(one, adapter="hci1") for one in sensors(2)] + [Asked("left_calf", model())]
    made = plan(asked, "hci0", "hci1")
    assert [one.adapter for one in made.sensors] == ["hci1", "hci1", "hci0"]


def test_the_systems_adapter_has_no_name() -> None:
    """Where no adapter is named, all sensors are on the default one, and that is said so."""
    made = plan(sensors(3))
    assert {one.adapter for one in made.sensors} == {None}
    assert made.statements[0] == "The Bluetooth adapter carries 3 sensors with 60 notifications a second."
    assert made.fits


@pytest.mark.parametrize(
    ("n", "fits", "said"),
    [(4, True, ""), (5, True, "more than the 4"), (6, True, "more than the 4"), (7, False, "6 are the most")],
)
def test_four_sensors_an_adapter_are_planned_and_six_the_most(n: int, fits: bool, said: str) -> None:
    """Up to four pass in silence, up to six with advice, more do not."""
    made = plan(sensors(n, battery_h=40.0))
    assert made.fits is fits
    assert bool(made.short) is not fits
    assert said in " ".join(made.statements)
    assert ("adapter" in " ".join(made.statements[1:])) is bool(said)


def test_too_many_notifications_bring_the_offer_of_a_lower_rate() -> None:
    """The sensor that sends most is offered a lower rate; nothing is changed without being asked for."""
    asked = [Asked("left_calf", model(packet=1, battery_h=40.0)), *sensors(2, packet=2, battery_h=40.0)]
    made = plan(asked)
    assert not made.fits
    assert [one.fs_hz for one in made.sensors] == [200.0, 200.0, 200.0]
    assert [one.offered_hz for one in made.sensors] == [100.0, None, None]
    assert (
        "400 notifications a second are more than the 300 planned: with left calf at 100 Hz it is 300. "
        "Or plug in a second adapter." in made.statements
    )
    assert plan([replace(asked[0], fs_hz=100.0), *asked[1:]]).fits


def test_where_no_rate_helps_another_adapter_is_asked_for() -> None:
    """Five sensors of one sample a notification are too many at their lowest rate too."""
    made = plan(sensors(5, packet=1, battery_h=40.0))
    assert (
        made.statements[-6]
        == "1000 notifications a second are more than the 300 planned: plug in a second adapter."
    )
    assert plan(sensors(2, packet=1), "hci0", "hci1").sensors[0].offered_hz is None


def test_a_battery_that_lasts_is_told_with_its_end() -> None:
    """Hours of the model times charge, and the time on the wall clock."""
    made = plan_night(
        [Asked("left_calf", model(), readings=(Charge(EVENING, 90),))],
        now_ns=EVENING, end_ns=EVENING + 8 * H, time_zone="Europe/Berlin",
    )  # fmt: skip
    assert made.fits
    assert made.sensors[0].battery_ends_ns == EVENING + 9 * H
    assert made.statements[-1] == "left calf: its battery, at 90 %, lasts about 9.0 h, until 06:00."


def test_a_battery_that_falls_short_is_told_with_what_to_do() -> None:
    """How far it is short, to charge it, and the rate at which it would last."""
    made = plan([Asked("left_calf", model(), readings=(Charge(EVENING, 70),))])
    assert not made.fits
    assert made.sensors[0].offered_hz == 100.0
    assert made.statements[-1] == (
        "left calf: its battery, at 70 %, lasts about 7.0 h, until 03:00: 1.0 h short of 04:00. "
        "Charge it, or record at 100 Hz."
    )
    assert made.short == made.statements[-1:]
    hopeless = plan([Asked("left_calf", model(), readings=(Charge(EVENING, 20),))])
    assert hopeless.sensors[0].offered_hz is None
    assert hopeless.statements[-1].endswith("until 22:00: 6.0 h short of 04:00. Charge it.")


def test_a_full_battery_that_is_too_small_is_told() -> None:
    """Nobody is told to charge a full battery."""
    made = plan([Asked("left_calf", model(battery_h=7.0), readings=(Charge(EVENING, 100),))])
    assert made.statements[-1].endswith("1.0 h short of 04:00. At 100 Hz it would last.")
    made = plan([Asked("left_calf", model(battery_h=2.0))])
    assert made.statements[-1].endswith(
        "once full, lasts about 2.0 h, until 22:00: 6.0 h short of 04:00. Its last hours will be missing."
    )


def test_two_readings_tell_the_true_drain() -> None:
    """Ten percent an hour end a battery that its model's hours would not; too close ones say nothing."""
    early = Charge(EVENING - H, 60)
    made = plan([Asked("left_calf", model(battery_h=40.0), readings=(early, Charge(EVENING, 50)))])
    assert made.sensors[0].battery_ends_ns == EVENING + 5 * H
    for one in (Charge(EVENING - H, 51), Charge(EVENING - H // 6, 60), Charge(EVENING - H, 20)):
        made = plan([Asked("left_calf", model(battery_h=40.0), readings=(one, Charge(EVENING, 50)))])
        assert made.sensors[0].battery_ends_ns == EVENING + 20 * H
    made = plan([Asked("left_calf", model(battery_h=None), readings=(early, Charge(EVENING, 50)))])
    assert made.sensors[0].battery_ends_ns == EVENING + 5 * H


def test_an_earlier_night_tells_a_worn_battery() -> None:
    """What its own battery lasted counts, not what its model's should; readings of now count more."""
    half = (Charge(EVENING, 50),)
    asked = Asked("left_calf", model(battery_h=40.0), readings=half, lasted=Lasted(6.0, 200.0))
    assert plan([asked]).sensors[0].battery_ends_ns == EVENING + 3 * H
    assert plan([replace(asked, readings=())]).sensors[0].battery_ends_ns == EVENING + 6 * H
    falling = (Charge(EVENING - H, 60), Charge(EVENING, 50))
    assert plan([replace(asked, readings=falling)]).sensors[0].battery_ends_ns == EVENING + 5 * H


def test_what_is_not_known_of_a_battery_is_said() -> None:
    """A model whose hours nobody published gets no number."""
    made = plan([Asked("left_calf", model(battery_h=None), readings=(Charge(EVENING, 80),))])
    assert made.fits
    assert made.sensors[0].battery_ends_ns is None
    assert made.statements[-1] == (
        "left calf: how long its battery of 80 % lasts is not known (Test sensor): begin with a full charge."
    )


def test_without_a_planned_end_nothing_is_short() -> None:
    """A forecast is still given; days away it has no time of day."""
    made = plan(
        [Asked("left_calf", model(battery_h=1.0)), Asked("right_calf", model(battery_h=50.0))], hours=None
    )
    assert made.fits
    assert made.statements[1:] == (
        "left calf: its battery, once full, lasts about 1.0 h, until 21:00.",
        "right calf: its battery, once full, lasts about 50.0 h.",
    )


def test_every_model_can_be_planned() -> None:
    """Each model gives sentences that end, at each of its rates."""
    for one in models().values():
        for rate in one.rates_hz:
            made = plan([Asked("left_calf", one, rate, readings=(Charge(EVENING, 1),))])
            assert made.sensors[0].packets_per_s == pytest.approx(rate / one.samples_per_packet)
            assert all(said.endswith(".") for said in made.statements)
