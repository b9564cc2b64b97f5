"""What the check before a night found, sensor by sensor, with what to do."""

from __future__ import annotations

import msgspec

from firmware_host.capture.measures import Measured
from firmware_host.recording.night import local_time
from firmware_host.sensors.protocol import Model

NOISY = 1.5
"""Times what the model should have: more is told."""
WEAK_DBM = -85
"""Links of weaker signals lose packets (receivers reach about -95)."""
OFF_RATE = 0.1
LOSSY = 0.01
OFF_GRAVITY = 0.1
CLIPPED = 0.001


class Rule(msgspec.Struct, frozen=True):
    """What was found of one rule of OBA/1."""

    rule: str
    title: str
    passed: bool | None
    """None: not tested."""
    sentence: str


class SensorReport(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor as it was found."""

    site: str
    model: str | None
    label: str | None
    name: str | None
    """As advertised."""
    address: str | None
    adapter: str | None
    serial: str | None
    firmware: str | None
    found: bool
    streams: bool
    rssi_dbm: int | None
    battery_percent: int | None
    battery_ends_ns: int | None
    """Forecast, UTC; None: not known."""
    fs_set_hz: float | None
    measured: Measured | None
    noise_expected_ug: float | None
    """Published for its model; None: not published."""
    conformance: tuple[Rule, ...]
    """Rules of OBA/1, for sensors that speak it."""
    trouble: str | None
    """Why it does not stream, or could not be examined."""
    advice: tuple[str, ...]
    """What to do, a sentence each."""

    @property
    def ready(self) -> bool:
        """Whether a night can be recorded with it."""
        return self.streams and self.measured is not None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The check before a night."""

    ready: bool
    """Whether all can start."""
    sensors: tuple[SensorReport, ...]
    radio: str | None
    """Why Bluetooth cannot be used."""
    plan: tuple[str, ...]
    """Radio load and batteries."""
    computer: tuple[str, ...]
    """Disk, sleep and power."""
    to_do: tuple[str, ...]
    """What keeps the night from starting."""


def advice_on(
    model: Model, measured: Measured, rssi_dbm: int | None, fs_hz: float, rules: tuple[Rule, ...]
) -> tuple[str, ...]:
    """Return what to do about a sensor that streams."""
    noise_ug, worst = max(zip(measured.noise_ug, "xyz", strict=True))
    off = abs(measured.fs_hz / fs_hz - 1)
    said = [
        (
            bool(measured.stuck_axes),
            f"Its {' and '.join(measured.stuck_axes)} axis does not change at all: switch it off and on; if "
            "that does not help, use another sensor.",
        ),
        (
            measured.clipped_share > CLIPPED,
            f"{measured.clipped_share:.1%} of its samples are at the end of its range: lay it still.",
        ),
        (
            model.noise_ug is not None and noise_ug > NOISY * model.noise_ug,
            f"Its noise on {worst} is {noise_ug:.0f} µg/√Hz, {model.noise_ug or 0:g} are published for its "
            "model: check it once more lying on a firm table; strapped on, the body adds to it.",
        ),
        (
            measured.lost_share > LOSSY,
            f"{measured.lost_share:.1%} of its samples were lost: bring the computer nearer.",
        ),
        (
            rssi_dbm is not None and -127 < rssi_dbm < WEAK_DBM,
            f"Its signal is weak ({rssi_dbm} dBm): bring the computer nearer.",
        ),
        (
            off > OFF_RATE,
            f"It samples at {measured.fs_hz:.1f} Hz, not at {fs_hz:g} Hz: its times are right "
            "nonetheless, as they are measured.",
        ),
        (
            abs(measured.gravity_g - 1) > OFF_GRAVITY and not measured.stuck_axes,
            f"At rest it shows {measured.gravity_g:.2f} g, gravity is 1: lay it still, and if it stays so, "
            "its sizes of twitches are off by as much.",
        ),
        *((rule.passed is False, f"{rule.rule} {rule.title}: {rule.sentence}") for rule in rules),
    ]
    return tuple(sentence for is_so, sentence in said if is_so)


def report_text(report: Report, time_zone: str) -> str:
    """Return a report as a person reads it."""
    lines: list[str] = []
    for one in report.sensors:
        lines += [_headline(one), *(f"  {line}" for line in (*_facts(one, time_zone), *one.advice))]
    lines += [*report.plan, *report.computer]
    lines += ["", *(report.to_do or ("All sensors can start: `twitchmap record` begins the night.",))]
    return "\n".join(lines)


def _headline(one: SensorReport) -> str:
    what = " ".join(filter(None, (one.label, one.serial))) or one.name or one.address or "sensor"
    state = "streams" if one.ready else "does not stream" if one.found else "was not found"
    return f"{one.site}: {what} {state}."


def _facts(one: SensorReport, time_zone: str) -> list[str]:
    measured = one.measured
    if measured is None:
        return []
    noise = " ".join(f"{value:.0f}" for value in measured.noise_ug)
    expected = "not published" if one.noise_expected_ug is None else f"published {one.noise_expected_ug:g}"
    low, high = measured.band_hz
    battery = "" if one.battery_percent is None else f", battery {one.battery_percent} %"
    if one.battery_ends_ns is not None:
        battery += f", until about {local_time(one.battery_ends_ns, time_zone):%a %H:%M}"
    signal = "" if one.rssi_dbm in {None, -127} else f", signal {one.rssi_dbm} dBm"
    return [
        f"{measured.fs_hz:.2f} Hz (set to {one.fs_set_hz:g}), {measured.packets_per_s:.1f} packets/s, "
        f"{measured.lost_share:.2%} lost{signal}{battery}",
        f"noise x y z {noise} µg/√Hz at {low:.0f}-{high:.0f} Hz ({expected}); smallest twitch in white noise "
        f"of this size: {measured.smallest_twitch_mg:.1f} mg",
        *_rules(one.conformance),
    ]


def _rules(found: tuple[Rule, ...]) -> list[str]:
    """Return what a person reads of OBA/1's rules; those that are broken are told with the advice."""
    if not found:
        return []
    kept = [rule.rule for rule in found if rule.passed]
    untested = (rule for rule in found if rule.passed is None)
    return [
        f"OBA/1: {len(kept)} of {len(found)} rules kept ({' '.join(kept)})",
        *(f"OBA/1: {rule.rule} {rule.title}, not tested: {rule.sentence}" for rule in untested),
    ]
