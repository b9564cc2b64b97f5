"""Examines a board that speaks our own profile, OBA/1, rule by rule."""

from __future__ import annotations

from firmware_host.capture.ble import Radio
from firmware_host.capture.hearing import Seen
from firmware_host.capture.visit import visiting
from firmware_host.recording.writer import Clock
from firmware_host.sensors.oba_rules import Finding, conformance
from firmware_host.sensors.oba_run import Examination
from firmware_host.sensors.protocol import Model

OBA = "oba"
"""The model that has rules."""


async def examine(
    radio: Radio, seen: Seen, model: Model, clock: Clock, fs_hz: float | None
) -> tuple[Finding, ...]:
    """Return what is found of each rule of OBA/1; takes ten seconds.

    Raises
    ------
    RadioError, SensorError
        If the sensor cannot be connected, or does not take part.
    """
    examination = Examination(model, fs_hz)
    examination.advertisement = seen.advertisement
    async with visiting(radio, seen, model, clock, examination.receive, examination) as visit:
        await visit.run(examination.start())
        return conformance(examination.run)  # before it is stopped once more
