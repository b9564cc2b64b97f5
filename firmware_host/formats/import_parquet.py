"""Parquet tables: columns ax, ay, az or a list column acc_g, with a time column, `fs_hz` or --rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, BadValueError, MissingExtraError
from firmware_host.formats.columns import device_column
from firmware_host.formats.devices import LONGEST_DEVICE, Devices
from firmware_host.formats.foreign import (
    MAX_ROWS,
    Beginning,
    ForeignRecording,
    ImportOptions,
    Source,
    Spool,
)
from firmware_host.formats.iso_time import NO_TIME
from firmware_host.formats.keyed import Arrays, find_arrays, keys_of

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BATCH_ROWS = 1 << 16
MADE_UP_NOTE = "simulated"
"""Stands in the notes of our own files of nights that nobody slept."""


def recognises(beginning: Beginning) -> bool:
    """Tell a Parquet file."""
    return beginning.head.startswith(b"PAR1")


def read(
    source: Source, options: ImportOptions, spool: Spool, progress: Callable[[float], None]
) -> ForeignRecording:
    """Read a Parquet table into the spool, a batch of rows at a time.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    BadFileError
        If the file is damaged or its columns are not what they should be.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(
            "Parquet files are read with pyarrow, which is not installed: pip install 'twitchmap[parquet]'"
        ) from error
    recording = ForeignRecording(source, spool)
    try:
        with pq.ParquetFile(source.path, pre_buffer=False) as file:
            _read_file(file, recording, options, progress)
    except (pa.ArrowException, OSError, ValueError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise recording.fault(f"the Parquet file is damaged or cut off ({what})") from error
    return recording


def _read_file(
    file: pq.ParquetFile,
    recording: ForeignRecording,
    options: ImportOptions,
    progress: Callable[[float], None],
) -> None:
    names, rows = file.schema_arrow.names, file.metadata.num_rows
    by_device = device_column(names)
    devices = None if by_device is None else Devices(recording, by_device)
    device = [] if by_device is None else [names[by_device]]
    arrays = _find(names, None if device else recording.source.key, recording, options)
    if arrays.time is None and not options.columns:  # an index of pandas has no name that says time
        dated = [field.name for field in file.schema_arrow if str(field.type).startswith("timestamp")]
        arrays = replace(arrays, time=dated[0] if len(dated) == 1 else None)
    recording.used = arrays.used
    recording.ignored = tuple(name for name in names if name not in arrays.used)
    recording.unit, recording.time_unit, recording.arrival = arrays.unit, arrays.time_unit, arrays.arrival
    if rows > MAX_ROWS:
        raise recording.fault(f"the file declares {rows:,} rows: that is no night")
    recording.fs_hz = _rate(file, recording)
    made_up = (file.schema_arrow.metadata or {}).get(MADE_UP_NOTE.encode(), b"false")
    recording.made_up = made_up.lower() not in {b"false", b"no", b"0", b""}
    for batch in file.iter_batches(_BATCH_ROWS, columns=[*arrays.used, *device]):
        acc = np.concatenate([_numbers(batch, name, recording) for name in arrays.acc], axis=1)
        if acc.shape[1] != 3:
            raise recording.fault(f"{', '.join(arrays.acc)} hold {acc.shape[1]} axes; three are needed")
        stamps = None if arrays.time is None else _stamps(batch, arrays.time, recording)
        if arrays.rate is not None and recording.spool.rows == 0 and batch.num_rows:
            recording.fs_hz = float(_numbers(batch, arrays.rate, recording)[0, 0])
        if devices is not None:
            own = devices.own(_texts(batch, device[0], recording))
            acc, stamps = acc[own], None if stamps is None else stamps[own]
        recording.spool.append(stamps, acc)
        progress(recording.spool.rows / max(rows, 1))
    if devices is not None:
        devices.check()


def _find(names: list[str], key: str | None, recording: ForeignRecording, options: ImportOptions) -> Arrays:
    from firmware_host.formats.columns import find_roles

    try:
        if key is None and not options.columns and not keys_of(names):  # named as in a CSV: x, y, z ...
            roles = find_roles(names, unit=options.unit)
            picked = tuple(names[i] for i in roles.used)
            found = find_arrays(names, None, picked, unit=options.unit)
        else:
            found = find_arrays(names, key, options.columns, unit=options.unit)
    except BadValueError as error:
        raise BadFileError(f"{recording.source.name}: {error}", path=recording.source.path) from error
    return found


def _rate(file: pq.ParquetFile, recording: ForeignRecording) -> float | None:
    """Return the sampling rate from the file's own notes, where it stands as fs_hz."""
    written = (file.schema_arrow.metadata or {}).get(b"fs_hz")
    if written is None:
        return None
    try:
        return float(written)
    except ValueError:
        raise recording.fault(f"its note fs_hz is {written!r}, no number") from None


def _texts(batch: pa.RecordBatch, name: str, recording: ForeignRecording) -> npt.NDArray[np.bytes_]:
    import pyarrow as pa

    column = batch.column(name)
    try:
        texts = column.cast(pa.string()).fill_null("").to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise recording.fault(f"{name} holds {column.type}, not the name of a sensor in each row") from None
    return np.array([text.encode() for text in texts], f"S{LONGEST_DEVICE}")


def _numbers(batch: pa.RecordBatch, name: str, recording: ForeignRecording) -> npt.NDArray[np.float64]:
    """Return a column as (rows, 1), or a column of lists as (rows, 3)."""
    import pyarrow as pa

    column = batch.column(name)
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        fixed = pa.types.is_fixed_size_list(kind)
        threes = kind.list_size == 3 if fixed else bool(np.all(np.diff(column.offsets.to_numpy()) == 3))
        if column.null_count or not threes:
            raise recording.fault(f"{name} should hold three numbers in each row")
        flat = _numeric(column.flatten(), name, recording)
        return flat.reshape(-1, 3)
    return _numeric(column, name, recording).reshape(-1, 1)


def _numeric(column: Any, name: str, recording: ForeignRecording) -> npt.NDArray[np.float64]:  # noqa: ANN401
    import pyarrow as pa

    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise recording.fault(f"{name} holds {column.type}, not numbers")
    numbers: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False).astype(np.float64)
    return numbers


def _stamps(
    batch: pa.RecordBatch, name: str, recording: ForeignRecording
) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
    import pyarrow as pa

    column = batch.column(name)
    if pa.types.is_timestamp(column.type):
        recording.meaning = "local" if column.type.tz is None else "utc"
        ns = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
        return _int64(ns.fill_null(int(NO_TIME)))
    recording.meaning = "number"
    if pa.types.is_integer(column.type) and not column.null_count:
        return _int64(column)
    return _numeric(column, name, recording)


def _int64(column: Any) -> npt.NDArray[np.int64]:  # noqa: ANN401
    import pyarrow as pa

    numbers: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return numbers
