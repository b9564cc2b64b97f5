"""Detection while a night is recorded: final, causal, and the same as a replay of the log."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_host.analysis import detect_night, find_candidates, load_model
from firmware_host.analysis.findings import Findings
from firmware_host.analysis.live import LiveDetector
from firmware_host.analysis.live_count import LiveCount
from firmware_host.analysis.replay import replay_candidates
from firmware_host.capture.asked import Order, wanted_sensors
from firmware_host.capture.ends import PlannedEnd
from firmware_host.capture.recorder import record
from firmware_host.capture.stop import Stop
from firmware_host.capture.told import View
from firmware_host.recording import open_night
from firmware_host.recording.blocks import BlockKind
from firmware_host.recording.stretch import read_blocks
from firmware_host.simulation import NightSpec, simulate_night
from firmware_host.simulation.time_lapse import TimeLapseLoop
from firmware_host.simulation.virtual_radio import VirtualSensor, VirtualWorld
from firmware_host.twitches import Table, check_coverage

pytestmark = pytest.mark.lasts_s(20)

SITES = ("left_calf", "right_thigh", "left_chest")
LOWEST = 5.5
LATEST_S = 165.0
"""Filter block, floor and gate (120 s), 30 s of context behind an event, and what the sites differ."""


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a simulated night with reconnects, loss and repeated blocks."""
    path = tmp_path_factory.mktemp("live") / "a.night"
    simulate_night(path, spec=NightSpec(seed=3, hours=0.45, sites=SITES, fs_hz=100.0, profile="many"))
    return path


Fed = tuple[LiveDetector, list[tuple[float, Table]]]


def fed(path: Path, stop: int | None = None) -> Fed:
    """Feed the blocks of a log as a recorder would; return what came out, with the time it came at."""
    opened = open_night(path)
    detector = LiveDetector(opened.meta.sensors, LOWEST)
    kinds = {row: content["kind"] for row, kind, content in opened.notes if kind == BlockKind.EVENT}
    out = []
    with (path / "samples.log").open("rb") as stream:
        for number, row in enumerate(opened.scan.index[:stop]):
            if row["kind"] == BlockKind.SAMPLES:
                (counts,) = read_blocks(stream, opened.scan.index[number : number + 1])
                told = detector.block(int(row["sensor"]), int(row["first"]), counts, int(row["mono_ns"]))
                out.append((float(row["mono_ns"]) / 1e9, told))
            elif number in kinds:
                sensor = int(row["sensor"]) if int(row["sensor"]) in detector.sites else None
                out.append((0.0, detector.event(sensor, kinds[number])))
    return detector, out


@pytest.fixture(scope="module")
def whole(night: Path) -> Fed:
    """Feed the whole night; the detector is not closed."""
    return fed(night)


@pytest.fixture(scope="module")
def replayed(night: Path) -> Findings:
    """Find the night's candidates as `detect --pass 1` does."""
    return replay_candidates(open_night(night), LOWEST)


@pytest.mark.long
def test_live_events_equal_a_replay_of_the_log(night: Path, whole: Fed, replayed: Findings) -> None:
    """What came out while recording is what `detect --pass 1` finds: samples, features, probabilities."""
    detector, out = whole
    live = np.concatenate([*(rows for _, rows in out), copy.deepcopy(detector).close()])
    again = replayed.rows
    model = load_model("standard", night.parent)[0]
    order = np.lexsort((live["peak_s"], [SITES.index(site) for site in live["site"]]))
    live = live[order]

    assert len(live) == len(again) > 200
    assert live["site"].tolist() == again["site"].tolist()
    np.testing.assert_allclose(model.probability(live), model.probability(again), atol=1e-6)
    apart = live["peak_s"] - again["peak_s"]
    assert np.quantile(np.abs(apart - np.median(apart)), 0.99) < 0.03


def test_what_is_told_never_changes(night: Path, whole: Fed) -> None:
    """Events that came out by some moment are the first of those that come out in the end."""
    _, half = fed(night, len(open_night(night).scan.index) // 2)
    told = np.concatenate([rows for _, rows in half])

    assert len(told) > 50
    assert np.concatenate([rows for _, rows in whole[1]])[: len(told)].tobytes() == told.tobytes()


def test_events_are_final_soon(whole: Fed) -> None:
    """While all sensors stream an event is out 165 s after its peak."""
    waits = np.concatenate([at_s - rows["peak_s"] for at_s, rows in whole[1] if at_s])

    assert len(waits) > 200
    assert np.quantile(waits, 0.95) < LATEST_S


def test_memory_is_bounded(whole: Fed) -> None:
    """Rows, coverage and cells of long ago are let go of."""
    detector, _ = whole

    assert len(detector._rows) < 400
    assert all(np.ptp(part["end_s"]) < 600 for part in detector._coverage.values() if len(part))
    assert all(len(site._kinds) < 1200 for site in detector.sites.values())
    assert detector.covered == []


def test_pass_1_alone_finds_what_the_whole_detector_finds(night: Path, replayed: Findings) -> None:
    """Where wear makes no difference a replay has the candidates of the whole night's detection.

    But for some beats: over ten minutes or one, what a beat is like is not quite the same.
    """
    found = find_candidates(night, LOWEST)
    apart = [np.abs(replayed.rows["peak_s"] - peak_s).min() for peak_s in found.rows["peak_s"]]

    assert len(found.rows) > 200
    assert np.mean(np.array(apart) < 1e-3) > 0.96
    check_coverage(replayed.coverage)


def test_detect_stores_a_run_of_pass_1(night: Path) -> None:
    """`detect --pass 1` is a run like others; its valid time does not claim that sensors were worn."""
    run = detect_night(night, as_live=True)
    valid = run.coverage["kind"] == 0

    assert '"as_live": true' in run.info.settings
    assert run.coverage["wear_unconfirmed"][valid].all()
    assert run.counted["site"].tolist().count("left_calf") > 50


def test_a_counter_that_starts_again_begins_a_stretch(night: Path) -> None:
    """A sensor that counts anew without a word is a new stretch, and no event is invented there."""
    info = open_night(night).meta.sensors[0]
    detector = LiveDetector([info], LOWEST)
    rng = np.random.default_rng(1)
    still = rng.normal(0, 5, (100, 3)).astype(np.int16) + np.array([0, 0, 4000], np.int16)
    for second in range(300):
        first = 100 * second if second < 150 else 100 * (second - 150)
        detector.block(info.index, first, still, (second + 1) * 10**9)
    left = detector.close()

    assert detector.sites[info.index].stretch == 1
    assert len(left) == 0


class Beside:
    """Listens to a writer as `record --count` does, and keeps what comes out."""

    def __init__(self) -> None:
        self._detector = LiveDetector((), LOWEST)
        self.sensor = self._detector.sensor
        self.rows: list[Table] = []

    def block(self, *block: Any) -> None:
        """Take a block."""
        self.rows.append(self._detector.block(*block))

    def event(self, *event: Any) -> None:
        """Take an event."""
        self.rows.append(self._detector.event(*event))

    def close(self) -> Table:
        """Return all."""
        return np.concatenate([*self.rows, self._detector.close()])


class Nobody:
    """Is told, and says nothing."""

    def say(self, sentence: str) -> None:
        """Take a sentence."""

    def show(self, view: View) -> None:
        """Take a look."""

    def ring(self) -> None:
        """Make no sound."""


@pytest.mark.long
def test_recording_finds_live_what_the_log_replays(tmp_path: Path) -> None:
    """With drops and a silent sensor, what was found while recording is what `detect --pass 1` finds."""
    world = VirtualWorld(
        [VirtualSensor("left_calf", "oba"), VirtualSensor("right_thigh", "witmotion")],
        profile="many",
        hours=0.1,
    )
    beside = Beside()

    async def evening() -> Path:
        order = Order(tmp_path, wanted_sensors([("left_calf", "oba"), ("right_thigh", "witmotion")]),
                      plan=PlannedEnd(None, 0.08), virtual=world, listener=beside)  # fmt: skip
        recording = asyncio.create_task(record(order, Nobody(), Stop()))
        await asyncio.sleep(120)
        world.sensors["left_calf"].drop()
        await asyncio.sleep(40)
        world.sensors["right_thigh"].silence(True)
        await asyncio.sleep(20)
        world.sensors["right_thigh"].silence(False)
        return (await recording).path

    with asyncio.Runner(loop_factory=TimeLapseLoop) as runner:
        path = runner.run(evening())
    live, replayed = beside.close(), replay_candidates(open_night(path), LOWEST).rows
    live = live[np.lexsort((live["peak_s"], live["site"] != "left_calf"))]
    model = load_model("standard", tmp_path)[0]

    assert len(live) == len(replayed) > 30
    np.testing.assert_allclose(model.probability(live), model.probability(replayed), atol=1e-6)


def test_hours_without_a_sensor_end_no_counting(tmp_path: Path) -> None:
    """Whatever is logged before the first samples, as of a sensor that is looked for, does not pile up."""
    count = LiveCount(tmp_path)
    for _ in range(10_000):
        count.event(0, "trouble")
    assert count.trouble is None
    count.close()
