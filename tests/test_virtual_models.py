"""Every sensor model is played over the virtual radio, and its body is felt as it was simulated."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from bleak import BleakClient
from virtual_worlds import MADE_UP, TINY, Charged, connected, counts_of, lapse, world

from firmware_host.errors import BadValueError, MissingExtraError
from firmware_host.sensors import models
from firmware_host.sensors.protocol import (
    Await,
    Batch,
    Driver,
    Model,
    NoAnswerError,
    Pause,
    Read,
    Received,
    Script,
    Step,
    Subscribe,
    Write,
)
from firmware_host.simulation import virtual_radio
from firmware_host.simulation.chips import part_of
from firmware_host.simulation.virtual_body import VirtualBody
from firmware_host.simulation.virtual_chip import VirtualChip
from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld

pytestmark = pytest.mark.lasts_s(15)


@pytest.fixture(autouse=True)
def _made_up_models(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**models(), **MADE_UP}
    monkeypatch.setattr(virtual_radio, "model_named", lambda name: known[name])


class _Host:
    """The host's side of one connection through bleak: runs a driver's scripts, keeps what it receives."""

    def __init__(self, driver: Driver, client: BleakClient) -> None:
        self.driver, self.client = driver, client
        self.received: list[Received] = []
        self._news = asyncio.Event()

    def _notified(self, characteristic: str, data: bytes) -> None:
        self.received += self.driver.receive(characteristic, data)
        self._news.set()

    async def run(self, script: Script) -> None:
        with contextlib.suppress(StopIteration):
            step = next(script)
            while True:
                try:
                    result = await self._do(step)
                except NoAnswerError as error:
                    step = script.throw(error)
                else:
                    step = script.send(result)

    async def _do(self, step: Step) -> bytes:
        match step:
            case Subscribe(uuid):
                await self.client.start_notify(uuid, lambda _, data: self._notified(uuid, bytes(data)))
            case Read(uuid):
                if self.client.services.get_characteristic(uuid) is not None:
                    return bytes(await self.client.read_gatt_char(uuid))
            case Write(uuid, data, response):
                await self.client.write_gatt_char(uuid, data, response=response)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Await(done, what, within_s):
                try:
                    async with asyncio.timeout(within_s):
                        while not done():
                            self._news.clear()
                            await self._news.wait()
                except TimeoutError:
                    raise NoAnswerError(what) from None
        return b""


@pytest.mark.long
@pytest.mark.parametrize("model", models().values(), ids=models())
def test_every_model_plays(model: Model) -> None:
    """Of every model at every rate, what its driver decodes from bleak's callbacks is what was sent."""

    async def work(fs_hz: float) -> None:
        async with world(model.name, seed=5) as here:
            sensor = here.sensors["left_calf"]
            for _ in range(1 + (fs_hz == model.fs_hz)):
                async with connected(here, sensor) as client:
                    host = _Host(model.driver(model, fs_hz), client)
                    await host.run(host.driver.start())
                    assert host.driver.facts is not None
                    assert host.driver.facts.fs_hz == pytest.approx(sensor.peripheral.fs_hz)
                    assert host.driver.facts.g_per_count == pytest.approx(sensor.peripheral.g_per_count)
                    await asyncio.sleep(4.0)
                    await host.run(host.driver.poll())
                    await host.run(host.driver.stop())
                    await asyncio.sleep(1.0)
                    batches = [item for item in host.received if isinstance(item, Batch)]
                    counts = np.concatenate([batch.counts for batch in batches])
                    sent, sensor.sent = counts_of(sensor.sent), []
                    assert len(counts) > 3 * fs_hz
                    assert counts.dtype == sent.dtype
                    assert np.array_equal(counts, sent[-len(counts) :])
                    assert len(sent) - len(counts) <= 0.5 * fs_hz
                    size = np.linalg.norm(counts * host.driver.facts.g_per_count, axis=1)
                    assert 0.8 < np.median(size) < 1.2

    for fs_hz in model.rates_hz:
        lapse(lambda fs_hz=fs_hz: work(fs_hz))


def test_pieces_fit_together() -> None:
    """A body felt in pieces is the body felt in one go, and its twitches are where the truth says."""
    body = VirtualBody(("left_calf", "left_chest"), hours=0.5, seed=4, profile="many")
    for site in ("left_calf", "left_chest"):
        chip = VirtualChip(site, TINY, body, seed=4, beside=False)
        chip.set_to(Charged(TINY), 1.0)
        grid = chip._tracks[0].grid
        silent = replace(
            chip._tracks[0].specimen,
            density_ug=np.zeros(3),
            offset_mg=np.zeros(3),
            drift_mg_per_k=np.zeros(3),
        )
        edges = [0, *(int(grid.index(body.edge_s(site, at_s))) for at_s in (50.0, 63.0, 200.0, 600.0))]
        whole = body.piece(site, part_of(grid, slice(0, edges[-1])), silent)
        parts = [
            body.piece(site, part_of(grid, slice(start, stop)), silent) for start, stop in pairwise(edges)
        ]
        assert np.abs(whole - np.concatenate(parts)).max() < 1e-4
    truth = body.truth("left_calf", 0.1)
    largest = truth[np.argmax(np.where(truth["peak_s"] < 590, truth["peak_to_peak_mg"], 0))]
    assert largest["peak_to_peak_mg"] > 30


def test_what_cannot_be_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong word, site or length is said in a sentence, as is that bumble is missing, and how to get it."""
    monkeypatch.undo()
    name = next(iter(models()))
    assert VirtualSensor.parse(f"left_calf={name}") == VirtualSensor("left_calf", name)
    for text, match in [("left_calf", "SITE=MODEL"), ("tail=" + name, "tail"), ("left_calf=brick", "brick")]:
        with pytest.raises(BadValueError, match=match):
            VirtualSensor.parse(text)
    with pytest.raises(BadValueError, match="48 hours"):
        VirtualWorld([VirtualSensor("left_calf", name)], hours=100)
    monkeypatch.setitem(sys.modules, "bumble", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'twitchmap\[virtual\]'"):
        VirtualWorld([VirtualSensor("left_calf", name)])
