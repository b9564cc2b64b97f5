"""One sensor's way into the night: its samples in blocks, what happened to it in order with them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from firmware_host.capture.blocks import Block, Gathering
from firmware_host.errors import BadValueError, SensorError
from firmware_host.recording import NightWriter, SensorInfo
from firmware_host.sensors.protocol import Batch, Facts, Model

if TYPE_CHECKING:
    from firmware_host.capture.hearing import Seen
    from firmware_host.capture.identity import Wanted

RATE_TOLERANCE = 0.08
"""Nominal rates further apart are two rates: no true one is so far from its nominal."""
STRETCH_EVENTS = frozenset({"lost", "restarted"})
"""What was received before them is written before them: a reader begins a new stretch there."""
UNKNOWN = SensorInfo(index=0, site="", fs_hz=100.0, g_per_count=1.0, sample_type="float32")
"""What `night.toml` says of a sensor whose model is not known until it is seen; it has no samples by then."""

_log = logging.getLogger(__name__)


def expected_info(index: int, wanted: Wanted, placement: str = "") -> SensorInfo:
    """Return what is known of a sensor before it is seen, from its model."""
    info = msgspec.structs.replace(UNKNOWN, index=index, site=wanted.site, placement=placement)
    model = wanted.model
    if model is None:
        return info
    return msgspec.structs.replace(
        info,
        fs_hz=wanted.fs_hz or model.fs_hz,
        g_per_count=model.g_per_count,
        sample_type=model.sample_type,
        range_g=model.range_g,
        model=model.name,
    )


class SiteOutlet:
    """Where the link of one site delivers.

    Parameters
    ----------
    writer, info
        The night, and what it says of the sensor.
    happened
        Told of each event: kind and details.
    look
        Called before samples are taken.
    """

    def __init__(
        self,
        writer: NightWriter,
        info: SensorInfo,
        happened: Callable[[str, Mapping[str, Any]], None],
        look: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._info = info
        self._happened = happened
        self._look = look
        self._gathering = Gathering()
        self.last_data_mono_ns: int | None = None

    def connected(self, facts: Facts, model: Model, seen: Seen, mono_ns: int, utc_ns: int) -> None:
        """Begin a new stretch.

        Raises
        ------
        SensorError
            If the night holds samples of this site whose numbers mean something else.
        """
        info = msgspec.structs.replace(
            self._info,
            fs_hz=facts.fs_hz,
            g_per_count=facts.g_per_count,
            sample_type=facts.sample_type,
            range_g=facts.range_g,
            model=model.name,
            serial=facts.serial or seen.address,
            firmware=facts.firmware,
        )
        self.write(self._gathering.take())
        self._gathering.numbered = model.counts != "none"
        if not self._writer.has_samples(info.index):
            try:
                self._writer.set_sensor(info)
            except BadValueError as error:  # a rate or scale that cannot be
                raise SensorError(str(error)) from error
            self._info = info
        elif model.name != self._info.model:
            raise SensorError(
                f"The sensor is a {model.label}, but the samples of this night from {info.site} are of "
                f"another model ({self._info.model}): they cannot be mixed. Use the sensor that the night "
                "began with, or begin a new night with --new."
            )
        elif _means(info) != _means(self._info) or not _alike(info.fs_hz, self._info.fs_hz):
            raise SensorError(
                f"The sensor sends {_meaning(info)}, but the samples of this night from {info.site} are "
                f"{_meaning(self._info)}: they cannot be mixed. Use the sensor that the night began with, or "
                "begin a new night with --new."
            )
        self._log(
            "connected",
            mono_ns,
            utc_ns,
            model=model.name,
            label=model.label,
            name=seen.advertisement.name,
            address=seen.address,
            adapter=seen.adapter,
            rssi=seen.rssi,
            fs_hz=facts.fs_hz,
            serial=facts.serial,
            firmware=facts.firmware,
        )

    def samples(self, batch: Batch, mono_ns: int, utc_ns: int) -> None:
        """Take samples in order, each once."""
        self._look()
        self.last_data_mono_ns = mono_ns
        self.write(self._gathering.add(batch, mono_ns, utc_ns))

    def event(self, kind: str, mono_ns: int, utc_ns: int, **details: Any) -> None:  # noqa: ANN401 - JSON
        """Take what happened."""
        if kind in STRETCH_EVENTS:
            self.write(self._gathering.take())
        self._log(kind, mono_ns, utc_ns, **details)

    def overdue(self, mono_ns: int) -> None:
        """Write what has waited too long."""
        self.write(self._gathering.overdue(mono_ns))

    def flush(self) -> None:
        """Write all that was received."""
        self.write(self._gathering.take())

    def write(self, blocks: list[Block]) -> None:
        """Append blocks to the night; never raises, as whoever looks after all sensors calls it."""
        for block in blocks:
            try:
                self._append(block)
            except Exception as error:  # noqa: BLE001 - a fault of ours, which must not cost the night
                _log.exception("a block of %s could not be kept", self._info.site)
                n = len(block.counts)
                self._log("fault", block.mono_ns, block.utc_ns, samples=n, reason=repr(error))

    def _append(self, block: Block) -> None:
        if block.device_ns is not None and not self._writer.has_samples(self._info.index):
            self._info = msgspec.structs.replace(self._info, clock="stamps")
            self._writer.set_sensor(self._info)
        if block.lost_ns is not None:  # a reader begins a new stretch with its own times
            why = "samples lost on the way, which this model does not count"
            self._log("gap", *block.lost_ns, cause=why)
            self._log("restarted", *block.lost_ns, reason=why)
        self._writer.append_samples(
            self._info.index,
            block.counts,
            block.first,
            arrival_mono_ns=block.mono_ns,
            arrival_utc_ns=block.utc_ns,
            device_ns=block.device_ns,
        )

    def _log(self, kind: str, mono_ns: int, utc_ns: int, **details: Any) -> None:  # noqa: ANN401 - JSON
        self._writer.append_event(kind, self._info.index, utc_ns, mono_ns, **details)
        self._happened(kind, details)


def _means(info: SensorInfo) -> tuple[str, float]:
    return info.sample_type, info.g_per_count


def _alike(one_hz: float, other_hz: float) -> bool:
    return abs(one_hz - other_hz) <= RATE_TOLERANCE * other_hz


def _meaning(info: SensorInfo) -> str:
    return f"{info.fs_hz:g} Hz, {info.sample_type}, {info.g_per_count * 1000:.4g} mg a count"
