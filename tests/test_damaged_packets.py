"""Bytes that should not be, for every sensor model: none raises, none becomes a sample that was not sent."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_talk import NAMES, connect, distinct, going_on, rows_of, streaming, whole

from firmware_host.sensors.protocol import Batch, Battery, Garbled, Notify, Restarted, Stopped, Warned


@given(
    name=st.sampled_from(NAMES),
    data=st.lists(st.binary(max_size=260), min_size=1, max_size=8),
    fresh=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_random_bytes_never_raise(name: str, data: list[bytes], fresh: bool) -> None:
    """Any bytes on any characteristic give something that the session knows, and no more samples than fit."""
    talk = connect(name) if fresh else going_on(name)
    places = [one.uuid for service in talk.peripheral.services() for one in service.characteristics]
    for place in [*places, "00002a37-0000-1000-8000-00805f9b34fb"]:
        for part in data:
            for item in talk.driver.receive(place, part):
                assert isinstance(item, Batch | Battery | Restarted | Stopped | Garbled | Warned)
                if isinstance(item, Batch):
                    assert item.counts.ndim == 2
                    assert item.counts.shape[1] == 3
                    assert len(item.counts) > 0


@given(
    name=st.sampled_from(NAMES),
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["flip", "cut", "noise"]),
)
@settings(max_examples=60, deadline=None)
def test_a_damaged_packet_does_not_last(name: str, seed: int, kind: str) -> None:
    """After damaged packets the stream is decoded again: nearly all later samples arrive, in order."""
    talk = whole(name, 3000)
    rng = np.random.default_rng(seed)
    kept = list(talk.kept)
    for at in rng.choice(len(kept) // 4, 3, replace=False) + 1:
        kept[at] = Notify(kept[at].characteristic, damaged(kept[at].data, kind, rng))
    talk.hand_over(kept)
    rows = rows_of(distinct(name, 3000))
    later = set(rows[1500:])
    arrived = [row for row in rows_of(talk.counts) if row in later]
    sent = len(later) - 400  # what does not fill a packet yet
    assert len(arrived) >= sent
    assert arrived == rows[1500 : 1500 + len(arrived)]


@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_cut_packet_gives_no_sample_that_was_not_sent(name: str, seed: int) -> None:
    """Every sample that comes out of a stream with packets cut short was sampled, each at most once."""
    talk = whole(name, 2000)
    rng = np.random.default_rng(seed)
    kept = list(talk.kept)
    for at in rng.choice(len(kept), max(3, len(kept) // 20), replace=False):
        kept[at] = Notify(kept[at].characteristic, damaged(kept[at].data, "cut", rng))
    before = set(rows_of(streaming(name).sent[-1])) | {
        row for part in streaming(name).sent for row in rows_of(part)
    }
    talk.hand_over(kept)
    sent = set(rows_of(distinct(name, 2000))) | before
    rows = rows_of(talk.counts) if talk.batches else []
    assert set(rows) <= sent
    assert len(rows) == len(set(rows))


def damaged(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """Return bytes with a bit flipped, cut short, or replaced."""
    if kind == "cut":
        return data[: int(rng.integers(len(data)))]
    if kind == "noise":
        return rng.bytes(len(data))
    at = int(rng.integers(len(data)))
    return data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
