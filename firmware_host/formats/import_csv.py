"""Text tables of any delimiter: CSV, TSV and what loggers call so."""

from __future__ import annotations

from collections.abc import Callable

from firmware_host.formats.foreign import Beginning, ForeignRecording, ImportOptions, Source, Spool
from firmware_host.formats.text_table import read_text


def recognises(_: Beginning) -> bool:
    """Tell nothing: what no other format recognises is read as a table."""
    return False


def read(
    source: Source, options: ImportOptions, spool: Spool, progress: Callable[[float], None]
) -> ForeignRecording:
    """Read a text table into the spool.

    Raises
    ------
    BadFileError
        With the line, if the file is no table or a cell is not what its column should hold.
    BadValueError
        If the columns cannot be told apart without the user.
    """
    size = max(source.path.stat().st_size, 1)
    with source.path.open("rb") as raw:
        return read_text(source, options, spool, raw, lambda: progress(raw.tell() / size))
