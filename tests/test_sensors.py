"""What every sensor model keeps to, whichever file it comes from: a new one is tested without an edit here.

What is special to one stands in test_sensors_<file>.py, which also tests the captured and documented bytes of
sensor_vectors.json.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sensor_talk import NAMES, Talk, connect, distinct, going_on, rows_of, whole

from firmware_host.errors import BadValueError, SensorError
from firmware_host.sensors import identify, model_named, models
from firmware_host.sensors.protocol import Advertisement, Batch, Battery, Counts, Garbled, Restarted, Stopped

HERE = Path(__file__).parent
VECTORS: list[dict[str, Any]] = json.loads((HERE / "sensor_vectors.json").read_text(encoding="utf-8"))
NUMBERED = [name for name, model in models().items() if model.counts != "none"]
RATES = [(name, hz) for name, model in models().items() for hz in model.rates_hz]
FOREIGN = [
    Advertisement(),
    Advertisement("ITE Remote", ("0000ffe5-0000-1000-8000-00805f9a34fb",)),
    Advertisement("BT-TH-6A1B", ("0000ffe5-0000-1000-8000-00805f9b34fb",)),
    Advertisement("SolarLink", ("0000ffe5-0000-1000-8000-00805f9a34fb",), {0x07E0: b"\x01"}),
    Advertisement("MyWT901 clone"),
    Advertisement("WT Speaker"),
    Advertisement("Movesens"),
    Advertisement("Suunto 9", ("0000fe06-0000-1000-8000-00805f9b34fb",), {0x009F: b"\x01\x02"}),
    Advertisement("Polar Vantage V 12345678", ("0000180d-0000-1000-8000-00805f9b34fb",), {0x006B: b"\x33"}),
    Advertisement("HRM-Dual:123456", ("0000180d-0000-1000-8000-00805f9b34fb",)),
    Advertisement("Nordic_UART", ("6e400001-b5a3-f393-e0a9-e50e24dcca9e",)),
    Advertisement("Bangle.js a1b2", ("6e400001-b5a3-f393-e0a9-e50e24dcca9e",)),
    Advertisement("OBA-12ab", ("0000180f-0000-1000-8000-00805f9b34fb",)),
    Advertisement("CIRCUITPY", manufacturer={0x0822: b"\x04\x01\x00\x72\x80"}),
    Advertisement("MuseS-1234", ("0000fe8d-0000-1000-8000-00805f9b34fb",)),
]


# The models.


def test_models_are_found() -> None:
    """Discovery finds the models that are promised, and a wrong name is told in a sentence."""
    promised = {"witmotion", "movesense", "oba", "puckjs", "polar_h10", "polar_verity", "polar_oh1"}
    promised |= {"metamotion_r", "metamotion_s", "capture2go", "thingy52"}
    assert promised <= set(NAMES)
    with pytest.raises(BadValueError, match="Did you mean witmotion"):
        model_named("witmotoin")


@pytest.mark.parametrize("name", NAMES)
def test_what_a_model_says_of_itself(name: str) -> None:
    """Rates rise from 45 Hz, the default is one of them, counts fill the range, limits are sentences."""
    model = model_named(name)
    assert list(model.rates_hz) == sorted(set(model.rates_hz))
    assert model.rates_hz[0] >= 45
    assert model.fs_hz in model.rates_hz
    assert model.samples_per_packet >= 1
    assert model.noise_ug is None or 10 < model.noise_ug < 1000
    if model.sample_type == "int16":
        assert 32768 * model.g_per_count >= 0.99 * model.range_g
    assert all(limit[0].isupper() and limit.endswith(".") for limit in model.limits)
    assert model.counts != "none" or any("lost" in limit for limit in model.limits)


def test_every_vector_is_tested() -> None:
    """Each vector has a source, a provenance, as many bytes as it says, and a test that names it."""
    tests = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_sensor*.py"))
    assert len(VECTORS) == len({vector["id"] for vector in VECTORS}) > 80
    for vector in VECTORS:
        assert vector["source"]
        assert vector["provenance"]
        assert vector["confidence"] in {"high", "medium", "low"}
        assert len(bytes.fromhex(vector["hex"])) == vector["length"]
        assert f'"{vector["id"]}"' in tests, f"no test uses {vector['id']}"


@pytest.mark.parametrize("name", NAMES)
def test_a_model_knows_its_own_advertisement_alone(name: str) -> None:
    """What a model's sensor advertises is matched by that model and by no other."""
    model = model_named(name)
    told = model.peripheral(model, "0123456789AB").advertisement()
    assert [other for other in NAMES if model_named(other).matches(told)] == [name]
    assert identify(told) is model


@pytest.mark.parametrize("told", FOREIGN, ids=lambda told: told.name or "nothing")
def test_foreign_devices_match_no_model(told: Advertisement) -> None:
    """Remote controls, solar monitors and watches that share a service or half a name are left alone."""
    assert identify(told) is None


# Starting, stopping, asking.


@pytest.mark.parametrize(("name", "fs_hz"), RATES)
def test_the_start_script_runs_to_its_end(name: str, fs_hz: float) -> None:
    """At every listed rate the sensor streams, the facts are what it sends, and all arrives in order."""
    talk = connect(name, fs_hz)
    talk.run(talk.driver.start())
    facts, sensor = talk.driver.facts, talk.peripheral
    assert facts is not None
    assert sensor.streaming
    assert facts.fs_hz == sensor.fs_hz == pytest.approx(fs_hz, rel=0.06)
    assert facts.g_per_count == pytest.approx(sensor.g_per_count)
    assert facts.sample_type == sensor.sample_type == talk.driver.model.sample_type
    talk.stream(3.0)
    sent = np.concatenate(talk.sent)
    assert len(talk.counts) >= len(sent) - fs_hz
    assert b"".join(rows_of(talk.counts)) in b"".join(rows_of(sent))
    assert talk.counts.dtype == facts.sample_type
    firsts = [batch.first for batch in talk.batches]
    sizes = [len(batch.counts) for batch in talk.batches]
    assert np.array_equal(np.diff(firsts), sizes[:-1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("payload", [20, 50, 61, 100, 158, 182, 244, 509])
def test_any_length_of_packets_works_or_is_refused(name: str, payload: int) -> None:
    """Over a connection of any MTU a sensor streams within it, or the start ends with a sentence."""
    talk = connect(name)
    talk.peripheral.payload = min(payload, talk.peripheral.mtu - 3)
    with contextlib.suppress(SensorError):
        talk.run(talk.driver.start())
    talk.stream(2.0)
    if talk.driver.facts is not None:
        assert len(talk.counts) > 60
    else:
        assert payload < 229


@pytest.mark.parametrize("name", NAMES)
def test_stopping_twice_does_no_harm(name: str) -> None:
    """The stop script ends the stream of those that can be stopped, and may be run before and after."""
    talk = connect(name)
    talk.run(talk.driver.stop())
    talk.run(talk.driver.start())
    talk.run(talk.driver.stop())
    assert not talk.peripheral.streaming or name == "witmotion"
    talk.run(talk.driver.stop())


@pytest.mark.parametrize("name", NAMES)
def test_the_battery_is_told(name: str) -> None:
    """After it was asked for, the charge comes with the samples."""
    talk = going_on(name)
    talk.peripheral.percent = 40
    talk.run(talk.driver.poll())
    talk.stream(2.0)
    levels = [item for item in talk.received if isinstance(item, Battery)]
    assert levels
    assert levels[-1].percent == 40
    assert levels[-1].volts is None or 2 < levels[-1].volts < 5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ends", ["disconnected", "reboot"])
def test_a_sensor_can_be_started_again(name: str, ends: str) -> None:
    """After a lost link and after a power cut the same script makes it stream as before."""
    before = going_on(name)
    getattr(before.peripheral, ends)()
    model = model_named(name)
    talk = Talk(model.driver(model), before.peripheral, now_ns=before.now_ns)
    talk.run(talk.driver.start())
    talk.stream(2.0)
    assert talk.driver.facts == before.driver.facts
    assert b"".join(rows_of(talk.counts)) in b"".join(rows_of(np.concatenate(talk.sent)))


# Samples.


@st.composite
def any_counts(draw: st.DrawFn) -> tuple[str, Counts]:
    """Draw a model and random samples of its kind, often at the ends of their range."""
    name = draw(st.sampled_from(NAMES))
    shape = st.tuples(st.integers(1, 120), st.just(3))
    if model_named(name).sample_type == "int16":
        ends = st.sampled_from([-32768, 32767, 0, -1])
        return name, draw(arrays.arrays(np.int16, shape, elements=ends | st.integers(-32768, 32767)))
    values = st.sampled_from([-157.0, 157.0, 0.0, -0.0]) | st.floats(-157, 157, width=32)
    return name, draw(arrays.arrays(np.float32, shape, elements=values))


@given(any_counts())
@example(("witmotion", np.array([[0x6155, 0x7155, -32768]] * 90, np.int16)))
@example(("puckjs", np.full((4, 3), -11265, np.int16)))
@settings(max_examples=60, deadline=None)
def test_samples_go_through_bit_for_bit(drawn: tuple[str, Counts]) -> None:
    """Whatever is sampled, extremes and all, is what the decoder gives of the peripheral's notifications."""
    name, counts = drawn
    talk = going_on(name)
    padding = np.zeros((300, 3), counts.dtype)
    talk.stream(0, np.concatenate([counts, padding]))
    got = b"".join(rows_of(talk.counts))
    assert b"".join(rows_of(counts)) in got
    assert not any(isinstance(item, Garbled | Restarted) for item in talk.received)


@pytest.mark.parametrize("name", NUMBERED)
@pytest.mark.parametrize("fault", ["lost", "repeated", "swapped"])
def test_numbers_tell_what_is_missing(name: str, fault: str) -> None:
    """With a counter or stamps every sample that arrives has its own number, whatever happens to others."""
    talk = whole(name, 6000)
    rng = np.random.default_rng(7)
    kept = list(talk.kept)
    if fault == "lost":
        kept = [note for k, note in enumerate(kept) if k == 0 or rng.random() > 0.1]
    elif fault == "repeated":
        kept = [note for note in kept for _ in range(1 + (rng.random() < 0.1))]
    else:
        for k in range(5, len(kept) - 1, 7):
            kept[k], kept[k + 1] = kept[k + 1], kept[k]
    talk.hand_over(kept)
    true = {row: k for k, row in enumerate(rows_of(distinct(name, 6000)))}
    offsets = set()
    for batch in talk.batches:
        numbers = np.array([true.get(row, -1) for row in rows_of(batch.counts)])
        known = numbers >= 0  # the first ones were played before
        offsets |= set((batch.first + np.arange(len(numbers)) - numbers)[known].tolist())
    received = sum(len(batch.counts) for batch in talk.batches)
    assert received > 2000
    assert len(offsets) == 1
    assert not any(isinstance(item, Restarted | Stopped) for item in talk.received)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NUMBERED])
def test_without_a_counter_samples_are_counted(name: str) -> None:
    """Where the protocol tells no loss, numbers go on with what arrives."""
    talk = whole(name, 2000)
    talk.hand_over(talk.kept[:20] + talk.kept[30:])
    firsts = [batch.first for batch in talk.batches]
    sizes = [len(batch.counts) for batch in talk.batches]
    assert np.array_equal(np.diff(firsts), sizes[:-1])


@pytest.mark.parametrize("name", NUMBERED)
@pytest.mark.parametrize("rate_error", [-0.05, 0.05])
def test_the_devices_time_is_that_of_the_last_sample(name: str, rate_error: float) -> None:
    """On the device's clock samples lie where they were taken, to the rounding of its stamps."""
    talk = going_on(name)
    talk.rate_error = rate_error
    talk.stream(0, distinct(name, 6000))
    batches = talk.batches[len(talk.batches) // 4 :]
    last = np.array([batch.first + len(batch.counts) for batch in batches], float)
    at_s = np.array([(batch.device_ns or 0) - (batches[0].device_ns or 0) for batch in batches]) / 1e9
    true_hz = talk.peripheral.fs_hz * (1 + rate_error)
    late_s = at_s - (last - last[0]) / true_hz
    assert np.ptp(late_s) < 0.0035


@pytest.mark.parametrize("name", NUMBERED)
def test_a_device_that_counts_anew_is_noticed(name: str) -> None:
    """When counter and clock begin anew under a standing connection, that is told and no sample is lost."""
    talk = going_on(name)
    talk.now_ns += 40_000_000_000
    talk.stream(0, distinct(name, 2000))
    again = connect(name)
    again.run(again.driver.start())
    again.kept = []
    again.stream(0, distinct(name, 4000)[2000:])
    before = talk.batches[-1]
    talk.received.clear()
    talk.hand_over(again.kept)
    told = [item for item in talk.received if isinstance(item, Batch | Restarted)]
    restarts = [k for k, item in enumerate(told) if isinstance(item, Restarted)]
    assert len(restarts) == 1
    assert talk.batches[-1].first > before.first
    tail = rows_of(distinct(name, 4000)[2000:])
    arrived = [row for row in rows_of(talk.counts) if row in set(tail)]
    assert len(arrived) > 1500
    assert arrived == tail[tail.index(arrived[0]) :][: len(arrived)]
