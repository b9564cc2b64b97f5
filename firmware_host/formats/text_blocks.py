"""The text of a table in blocks of bytes: through gzip, from UTF-16, without byte order mark."""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterator
from typing import IO

HEAD_BYTES = 1 << 18
BLOCK_BYTES = 1 << 22


def as_text(raw: IO[bytes]) -> Iterator[bytes]:
    """Yield the file in blocks of UTF-8: through gzip, from UTF-16, without byte order mark."""
    stream: IO[bytes] = raw
    if raw.read(2) == b"\x1f\x8b":
        raw.seek(0)
        stream = io.BufferedReader(gzip.GzipFile(fileobj=raw))
    else:
        raw.seek(0)
    start = stream.read(HEAD_BYTES)
    decoder = None
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        decoder = codecs.getincrementaldecoder("utf-16")()
    elif start.startswith(codecs.BOM_UTF8):
        start = start[3:]
    old_mac = b"\r" in start and b"\n" not in start and decoder is None
    while start:
        block = decoder.decode(start).encode() if decoder else start
        if block:
            yield block.replace(b"\r", b"\n") if old_mac else block
        start = stream.read(BLOCK_BYTES)


def decoded(head: bytes) -> str:
    """Decode the beginning of a file, which may end inside a character, as UTF-8, else as Latin-1."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return head.decode("latin-1")


def blanks_as_nan(text: bytes, delimiter: str | None) -> bytes:
    """Write nan into blank cells, so that numpy's reader takes them."""
    if delimiter is None:
        return text
    mark = delimiter.encode()
    for _ in range(2):  # of three delimiters in a row the middle one is met in the second round
        text = text.replace(mark + mark, mark + b"nan" + mark)
    text = text.replace(b"\n" + mark, b"\nnan" + mark).replace(mark + b"\r", mark + b"nan\r")
    return text.replace(mark + b"\n", mark + b"nan\n")
