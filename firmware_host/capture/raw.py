"""`scan --raw`: what an unknown sensor has and sends, in the form of the test vectors of sensor models."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from firmware_host import __version__
from firmware_host.capture.asked import Virtual
from firmware_host.capture.ble import Connection
from firmware_host.capture.finding import SCAN_S, hear
from firmware_host.capture.hearing import Seen
from firmware_host.capture.surroundings import surroundings
from firmware_host.capture.visit import Visit, visiting
from firmware_host.errors import NotFoundError, RadioError, SensorError, StorageError
from firmware_host.sensors import identify

LISTEN_S = 10.0
MOST = 5000
"""Notifications that are kept."""


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that a sensor sent or was sent, as tests of its model take them."""

    id: str
    device: str
    characteristic: str
    direction: str
    """notify, read or write."""
    hex: str
    length: int
    expected: None = None
    """For whoever writes the model."""
    source: str
    confidence: str = "high"
    provenance: str = "real-capture"
    context: dict[str, Any]


class _Notes:
    """Collects vectors."""

    def __init__(self, seen: Seen, *, virtual: bool) -> None:
        self.vectors: list[Vector] = []
        self._name = seen.advertisement.name or seen.address
        self._provenance = "constructed" if virtual else "real-capture"
        self._source = f"twitchmap {__version__} scan --raw, {datetime.now(UTC):%Y-%m-%d}"

    def add(self, direction: str, characteristic: str, data: bytes, **context: object) -> None:
        """Note some bytes."""
        if len(self.vectors) < MOST:
            self.vectors.append(
                Vector(
                    id=f"raw-{len(self.vectors):04d}",
                    device=self._name,
                    characteristic=characteristic,
                    direction=direction,
                    hex=data.hex(),
                    length=len(data),
                    source=self._source,
                    provenance=self._provenance,
                    context=context,
                )
            )


def save_raw(
    address: str,
    path: Path,
    *,
    seconds: float = LISTEN_S,
    adapters: Sequence[str] = (),
    virtual: Virtual | None = None,
) -> list[Vector]:
    """Read all that a sensor lets read, listen to all that it sends, and write it to a JSON file.

    A sensor whose model is known is started, so that it sends samples.

    Returns
    -------
    What was written, a list of vectors.

    Raises
    ------
    RadioError, SensorError, NotFoundError
        If Bluetooth cannot be used, or the sensor is not in range or cannot be connected.
    StorageError
        If the file cannot be written.
    """
    return asyncio.run(_save(address, path, seconds, adapters, virtual))


async def _save(
    address: str, path: Path, seconds: float, adapters: Sequence[str], virtual: Virtual | None
) -> list[Vector]:
    async with surroundings(virtual, adapters) as here:
        wanted = address.casefold()
        for seen in await hear(here.radio, SCAN_S):
            if wanted in {seen.address.casefold(), seen.advertisement.name.casefold()}:
                break
        else:
            raise NotFoundError(
                f"{address} is not in range; `twitchmap scan --all` lists what is. A sensor that another "
                "program has connected cannot be seen."
            )
        notes = _Notes(seen, virtual=virtual is not None)
        loop = asyncio.get_running_loop()
        begin_s = loop.time()

        model = identify(seen.advertisement)
        driver = model.driver(model) if model else None

        def received(characteristic: str, data: bytes) -> None:
            notes.add("notify", characteristic, data, seconds=round(loop.time() - begin_s, 4))
            if driver is not None:
                driver.receive(characteristic, data)

        async with visiting(here.radio, seen, model, here.clock, received, driver) as visit:
            await _read_all(visit.connection, notes, seen)
            if driver is not None:
                await visit.run(driver.start())
            else:
                await _subscribe_all(visit, notes)
            await asyncio.sleep(seconds)
    _write(path, notes.vectors)
    return notes.vectors


async def _read_all(connection: Connection, notes: _Notes, seen: Seen) -> None:
    """Note what it advertises, and each characteristic with what it reads as, if it can be read."""
    said = seen.advertisement
    notes.add(
        "read",
        "advertisement",
        b"",
        name=said.name,
        services=said.services,
        manufacturer={f"{company:04x}": data.hex() for company, data in said.manufacturer.items()},
        rssi_dbm=seen.rssi,
    )
    for service, characteristic, properties in connection.table:
        data = b""
        if "read" in properties:
            with contextlib.suppress(SensorError):  # some refuse until they are paired or configured
                data = await connection.read(characteristic)
        notes.add("read", characteristic, data, service=service, properties=properties)


async def _subscribe_all(visit: Visit, notes: _Notes) -> None:
    for _, characteristic, properties in visit.connection.table:
        if {"notify", "indicate"} & set(properties):
            try:
                await visit.connection.subscribe(characteristic, partial(visit.inbox.put, characteristic))
            except RadioError:
                raise
            except SensorError as error:
                notes.add("read", characteristic, b"", refused=str(error))


def _write(path: Path, vectors: list[Vector]) -> None:
    content = msgspec.json.format(msgspec.json.encode(vectors), indent=1)
    try:
        path.write_bytes(content + b"\n")
    except OSError as error:
        raise StorageError(f"{path} could not be written ({error.strerror or error}).") from error
