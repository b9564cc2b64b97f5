"""numpy archives: `acc_g` (n, 3) or ax, ay, az, with `t_s`, `t_arrival_s` or `fs_hz`, with or without a key.

Arrays are read from the archive block by block, never as a whole, and never unpickled.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, BadValueError
from firmware_host.formats.foreign import (
    BLOCK_ROWS,
    MAX_ROWS,
    Beginning,
    ForeignRecording,
    ImportOptions,
    Source,
    Spool,
)
from firmware_host.formats.keyed import Arrays, find_arrays

_DAMAGED = (  # what zipfile and numpy raise on bytes that are not theirs
    struct.error,
    OverflowError,
    TypeError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    OSError,
)


@dataclass(frozen=True)
class _Head:
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    size: int
    """Bytes before the numbers."""


def recognises(beginning: Beginning) -> bool:
    """Tell an archive of arrays."""
    return beginning.head.startswith(b"PK\x03\x04") and (
        not beginning.members or any(name.endswith(".npy") for name in beginning.members)
    )


def read(
    source: Source, options: ImportOptions, spool: Spool, progress: Callable[[float], None]
) -> ForeignRecording:
    """Read one recording of a numpy archive into the spool.

    Raises
    ------
    BadFileError
        If the archive is damaged or its arrays are not of the shapes and types that they should be.
    BadValueError
        If it holds several recordings and no key picks one.
    """
    recording = ForeignRecording(source, spool)
    try:
        with zipfile.ZipFile(source.path) as archive:
            _Archive(archive, recording).read(options, progress)
    except BadFileError:
        raise
    except _DAMAGED as error:
        raise recording.fault(f"the archive is damaged or cut off ({error})") from error
    return recording


class _Archive:
    """An archive that is being read."""

    def __init__(self, archive: zipfile.ZipFile, recording: ForeignRecording) -> None:
        self._zip = archive
        self._recording = recording

    def read(self, options: ImportOptions, progress: Callable[[float], None]) -> None:
        names = [name.removesuffix(".npy") for name in self._zip.namelist() if name.endswith(".npy")]
        if not names:
            raise self._recording.fault(
                "this zip archive holds no numpy arrays (an Excel workbook? save it as CSV)"
            )
        try:
            arrays = find_arrays(names, self._recording.source.key, options.columns, unit=options.unit)
        except BadValueError as error:
            raise BadFileError(
                f"{self._recording.source.name}: {error}", path=self._recording.source.path
            ) from error
        self._recording.used = arrays.used
        self._recording.ignored = tuple(
            name for name in names if name not in arrays.used and name.startswith(arrays.prefix)
        )
        self._recording.unit, self._recording.time_unit = arrays.unit, arrays.time_unit
        self._recording.arrival = arrays.arrival
        if arrays.rate is not None:
            self._recording.fs_hz = self._scalar(arrays.rate)
        self._stream(arrays, progress)

    def _stream(self, arrays: Arrays, progress: Callable[[float], None]) -> None:
        n = self._check_shapes(arrays)
        with ExitStack() as stack:
            columns = [stream for name in arrays.acc for stream in self._open(name, stack)]
            stamps = self._open_stamps(arrays.time, n, stack)
            for start in range(0, n, BLOCK_ROWS):
                rows = min(BLOCK_ROWS, n - start)
                acc = np.concatenate([column(rows) for column in columns], axis=1)
                self._recording.spool.append(stamps(rows) if stamps else None, acc)
                progress((start + rows) / n)

    def _check_shapes(self, arrays: Arrays) -> int:
        heads = {name: self._head(name) for name in arrays.acc}
        shapes = {head.shape for head in heads.values()}
        shape = next(iter(shapes))
        good = len(shapes) == 1 and (
            len(shape) == 1 if len(heads) == 3 else len(shape) == 2 and shape[1] == 3
        )
        if not good:
            found = ", ".join(f"{name} {head.shape}" for name, head in heads.items())
            raise self._recording.fault(f"three axes are needed, (n, 3) or three times (n,), not {found}")
        if shape[0] > MAX_ROWS:
            raise self._recording.fault(f"{arrays.acc[0]} declares {shape[0]:,} rows: that is no night")
        for name, head in heads.items():
            if head.dtype.kind not in "fiu":
                raise self._recording.fault(f"{name} holds {head.dtype}, not numbers")
        return shape[0]

    def _open(self, name: str, stack: ExitStack) -> list[Callable[[int], npt.NDArray[Any]]]:
        """Return readers of (rows, width) blocks: one of an array in C order, one an axis in Fortran."""
        head = self._head(name)
        width = head.shape[1] if len(head.shape) == 2 else 1
        parts = width if head.fortran and width > 1 else 1
        readers = []
        for part in range(parts):
            stream = stack.enter_context(self._zip.open(f"{name}.npy"))
            stream.seek(head.size + part * head.shape[0] * head.dtype.itemsize)
            readers.append(_reader(stream, head.dtype, width // parts))
        return readers

    def _open_stamps(
        self, name: str | None, n: int, stack: ExitStack
    ) -> Callable[[int], npt.NDArray[np.float64] | npt.NDArray[np.int64]] | None:
        if name is None:
            return None
        head = self._head(name)
        if head.shape != (n,) or head.dtype.kind not in "fiuM":
            raise self._recording.fault(
                f"{name} should hold one time for each of {n:,} rows, not {head.dtype} {head.shape}"
            )
        block = self._open(name, stack)[0]
        if head.dtype.kind == "M":
            self._recording.meaning = "local"  # numpy's times have no zone
            return lambda rows: block(rows)[:, 0].astype("datetime64[ns]").astype(np.int64)
        self._recording.meaning = "number"
        if head.dtype.kind == "f":
            return lambda rows: block(rows)[:, 0].astype(np.float64)
        return lambda rows: block(rows)[:, 0].astype(np.int64)

    def _scalar(self, name: str) -> float:
        head = self._head(name)
        if int(np.prod(head.shape)) != 1 or head.dtype.kind not in "fiu":
            raise self._recording.fault(f"{name} should be one number, not {head.dtype} {head.shape}")
        with ExitStack() as stack:
            stream = stack.enter_context(self._zip.open(f"{name}.npy"))
            stream.seek(head.size)
            return float(_reader(stream, head.dtype, 1)(1)[0, 0])

    def _head(self, name: str) -> _Head:
        with self._zip.open(f"{name}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            reader = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            if version not in reader:
                raise self._recording.fault(f"{name} is no array of numbers")
            shape, fortran, dtype = reader[version](stream)
            if dtype.hasobject:
                raise self._recording.fault(
                    f"{name} holds Python objects, which are not read: they could run programs"
                )
            return _Head(shape, dtype, fortran, stream.tell())


def _reader(stream: IO[bytes], dtype: np.dtype[Any], width: int) -> Callable[[int], npt.NDArray[Any]]:
    def read_rows(rows: int) -> npt.NDArray[Any]:
        wanted = rows * width * dtype.itemsize
        data = stream.read(wanted)
        if len(data) < wanted:
            raise EOFError("an array ends too early")
        return np.frombuffer(data, dtype).reshape(rows, width)

    return read_rows
