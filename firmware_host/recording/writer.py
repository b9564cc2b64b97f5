"""Writing a night, once it is begun (`sessions`).

*Acknowledged* means that the write of a block returned its full length. What was acknowledged outlives the
end of the program in any way; a power cut may cost what came after the last sync, two seconds at most.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from firmware_host.errors import StorageError, TwitchmapError
from firmware_host.recording.blocks import BlockKind, pack_frame
from firmware_host.recording.coding import MAX_SAMPLES, encode_samples
from firmware_host.recording.listener import Counts, Listener
from firmware_host.recording.log import AppendLog
from firmware_host.recording.night import META_FILE, NightMeta, SensorInfo, check_meta, read_meta, write_meta
from firmware_host.recording.reader import LOG_FILE

HEADER_EVERY_S = 600.0
SYNC_EVERY_S = 2.0

Clock = Callable[[], tuple[int, int]]


class _Loss(msgspec.Struct):
    """What had to be given up of one sensor while the disk took nothing."""

    blocks: int
    samples: int
    start_utc_ns: int
    end_utc_ns: int


class NightWriter:
    """A night that is being written; made by `create_night` and `continue_night`.

    A context manager. All methods are for one thread or event loop; none waits for the disk to confirm, which
    a thread of the writer's own sees to every two seconds.
    """

    def __init__(
        self,
        folder: Path,
        meta: NightMeta,
        lock: FileLock,
        clock: Clock,
        *,
        session: int,
        sequence: int,
        heard: frozenset[int] = frozenset(),
    ) -> None:
        self.path = folder
        self._clock = clock
        self.meta = meta
        self._lock = lock
        self._session = session
        self._sequence = sequence
        self._sensors: dict[int, SensorInfo] = {info.index: info for info in meta.sensors}
        self._heard = set(heard)
        self._meta_trouble: StorageError | None = None
        self._lost: dict[int, _Loss] = {}
        self.lost_s: dict[str, float] = {}
        """By site, what had to be given up so far because the disk took nothing, s."""
        self.restored = 0
        """How often the log was removed while it was written, and made again."""
        self._log: AppendLog[tuple[int, int, int]] = AppendLog(folder / LOG_FILE, self._note_loss)
        self._header_due = 0.0
        self._stop_sync = threading.Event()
        self._sync_thread = threading.Thread(
            target=self._sync_now_and_then, name="twitchmap sync", daemon=True
        )
        self._closed = False
        self._listener: Listener | None = None
        self._write_header()
        self._sync_thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StorageError:
            if kind is None:  # else the error that is on its way says more
                raise

    @property
    def trouble(self) -> str | None:
        """The sentence to show while the disk refuses; None when all is on disk."""
        return self._log.trouble or (None if self._meta_trouble is None else str(self._meta_trouble))

    def has_samples(self, sensor: int) -> bool:
        """Tell whether the night holds samples of a sensor, of this session or of an earlier one."""
        return sensor in self._heard

    def listen(self, listener: Listener) -> None:
        """Tell somebody of the sensors, and from now on of all that is written."""
        self._listener = listener
        for info in self.meta.sensors:
            listener.sensor(info)

    def set_sensor(self, info: SensorInfo) -> None:
        """Replace what is known of a sensor that has no samples yet; the log's next header says so too.

        Site and placement stay as they are in `night.toml`, where somebody may have corrected them
        meanwhile. A disk that refuses the new `night.toml` is asked again with every `poll`; in the log the
        header stands in front of the sensor's samples in any case.

        Raises
        ------
        ValueError
            If the sensor is none of the night, or the night holds samples of it, which it would misread.
        """
        if info.index not in self._sensors or info.index in self._heard:
            raise ValueError(f"sensor {info.index} is none of the night, or has samples in it")
        meta = self._amended(self._sensors | {info.index: info})
        if meta.sensors == self.meta.sensors:
            return
        check_meta(meta)
        self.meta, self._sensors = meta, {one.index: one for one in meta.sensors}
        if self._listener is not None:
            self._listener.sensor(self._sensors[info.index])
        self._write_header()
        self._write_meta()

    def _amended(self, sensors: dict[int, SensorInfo]) -> NightMeta:
        """Return what is known with what `night.toml` may have been corrected in, if it can be read.

        What a sensor sends is never taken from there: the disk may have refused what was learnt since.
        """
        known = self.meta
        with contextlib.suppress(OSError, TwitchmapError):  # a newer program's may be there meanwhile, too
            known = read_meta(self.path)
        own = (
            msgspec.structs.replace(sensors.get(one.index, one), site=one.site, placement=one.placement)
            for one in known.sensors
        )
        return msgspec.structs.replace(known, sensors=tuple(own))

    def append_samples(
        self,
        sensor: int,
        counts: Counts,
        first: int,
        *,
        arrival_mono_ns: int,
        arrival_utc_ns: int,
        device_ns: int | None = None,
        stamps_ns: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Append one block of a sensor's samples; recorders do so once a second, importers every 10-20 s.

        Parameters
        ----------
        sensor
            Its number in the night's metadata.
        counts
            (n, 3) of the sensor's sample type, 1 <= n <= 65,536.
        first
            The sensor's own counter of the first sample; a jump is a gap.
        arrival_mono_ns, arrival_utc_ns
            When the *last* sample arrived, read together from the monotonic and the UTC clock. Importers give
            the last stamp for both.
        device_ns
            The sensor's own time of the last sample.
        stamps_ns
            (n,) UTC stamps of all samples, where an importer must keep irregular ones.

        Raises
        ------
        ValueError
            If the sensor, the shape or the dtype is not what the metadata say.
        """
        self._check(sensor, counts, stamps_ns)
        coding, payload = encode_samples(counts, first, arrival_mono_ns, arrival_utc_ns, device_ns, stamps_ns)
        self._heard.add(sensor)
        self._append(BlockKind.SAMPLES, payload, coding, sensor, (sensor, len(counts), arrival_utc_ns))
        if self._listener is not None:
            self._listener.block(sensor, first, counts, arrival_mono_ns)

    def append_event(
        self,
        kind: str,
        sensor: int | None,
        utc_ns: int,
        mono_ns: int,
        **details: Any,  # noqa: ANN401 - whatever JSON holds
    ) -> None:
        """Append what happened: connected, lost, restarted, suspended, clock_stepped, battery, mark ..."""
        event = {"kind": kind, "utc_ns": utc_ns, "mono_ns": mono_ns, **details}
        self._append(BlockKind.EVENT, msgspec.json.encode(event), 0, sensor, None)
        if self._listener is not None:
            self._listener.event(sensor, kind)

    def poll(self) -> bool:
        """Offer what waits to the disk again, and return whether it took all; else it is in memory alone.

        To be called about once a second; every append does it too.
        """
        self._look_at_place()
        if self._meta_trouble is not None:
            self._write_meta()
        if written := self._log.flush():
            self._report_losses()
        return written

    def _look_at_place(self, *, at_once: bool = False) -> None:
        """Make the rest of the night again, too, where its log had to be."""
        if not self._log.check_place(at_once=at_once):
            return
        self.restored += 1
        self.meta = self._amended(self._sensors)
        if not (self.path / META_FILE).exists():
            self._write_meta()
        self._lock.release()  # that of a removed folder keeps nobody out
        with contextlib.suppress(Timeout, OSError):
            self._lock.acquire(timeout=1.0)
        mono_ns, utc_ns = self._clock()
        self.append_event("restored", None, utc_ns, mono_ns)

    def sync(self) -> bool:
        """Have the disk confirm what was written, now; may be called from any thread."""
        return self._log.sync()

    def close(self) -> None:
        """End the session and let go of the night.

        Raises
        ------
        StorageError
            If the disk still refuses what is kept in memory: it is lost then.
        """
        if self._closed:
            return
        self._closed = True
        self._stop_sync.set()
        self._sync_thread.join()
        try:
            self._look_at_place(at_once=True)
            self.poll()
            self._log.close()
        finally:
            self._lock.release()

    def _append(
        self,
        kind: BlockKind,
        payload: bytes,
        coding: int,
        sensor: int | None,
        tag: tuple[int, int, int] | None,
    ) -> None:
        if time.monotonic() >= self._header_due and kind is not BlockKind.HEADER:
            self._write_header()
        frame = pack_frame(
            kind, payload, sequence=self._sequence, session=self._session, coding=coding, sensor=sensor
        )
        self._sequence += 1
        if self._log.append(frame, tag):
            self._report_losses()

    def _write_header(self) -> None:
        self._header_due = time.monotonic() + HEADER_EVERY_S
        mono_ns, utc_ns = self._clock()
        header = {"night": self.meta, "session": self._session, "utc_ns": utc_ns, "mono_ns": mono_ns}
        self._append(BlockKind.HEADER, msgspec.json.encode(header), 0, None, None)

    def _write_meta(self) -> None:
        try:
            write_meta(self.path, self.meta)
        except StorageError as error:
            self._meta_trouble = error
        else:
            self._meta_trouble = None

    def _note_loss(self, tag: tuple[int, int, int]) -> None:
        sensor, n, utc_ns = tag
        loss = self._lost.setdefault(sensor, _Loss(0, 0, utc_ns, utc_ns))
        loss.blocks += 1
        loss.samples += n
        info = self._sensors[sensor]
        self.lost_s[info.site] = self.lost_s.get(info.site, 0.0) + n / info.fs_hz
        loss.end_utc_ns = utc_ns

    def _report_losses(self) -> None:
        """Log what had to be given up, once the disk takes data again."""
        lost, self._lost = self._lost, {}
        for sensor, loss in lost.items():
            mono_ns, utc_ns = self._clock()
            self.append_event("lost_data", sensor, utc_ns, mono_ns, **msgspec.structs.asdict(loss))

    def _sync_now_and_then(self) -> None:
        while not self._stop_sync.wait(SYNC_EVERY_S):
            self._log.sync()

    def _check(self, sensor: int, counts: Counts, stamps_ns: npt.NDArray[np.int64] | None) -> None:
        info = self._sensors.get(sensor)
        if info is None:
            raise ValueError(f"the night has no sensor {sensor}; its sensors are {sorted(self._sensors)}")
        if counts.ndim != 2 or counts.shape[1] != 3 or not 1 <= len(counts) <= MAX_SAMPLES:
            raise ValueError(f"samples are (n, 3) with n of 1 to {MAX_SAMPLES}, not {counts.shape}")
        if counts.dtype != np.dtype(info.sample_type):
            raise ValueError(f"sensor {sensor} sends {info.sample_type}, not {counts.dtype}")
        if stamps_ns is not None and (stamps_ns.shape != (len(counts),) or stamps_ns.dtype != np.int64):
            raise ValueError(f"stamps are ({len(counts)},) int64, not {stamps_ns.shape} {stamps_ns.dtype}")


def system_clock() -> tuple[int, int]:
    """Return the computer's time: monotonic and UTC, ns."""
    return time.monotonic_ns(), time.time_ns()
