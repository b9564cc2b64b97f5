"""Which rows of a table are of the device that is meant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError
from firmware_host.formats.foreign import ForeignRecording

LONGEST_DEVICE = 128
"""Names are kept up to so many bytes: two that begin alike for that long could not be told apart."""
_LISTED = 6


class Devices:
    """The column that names the device of each row, where there is one: a file may hold several.

    Raises
    ------
    BadFileError
        If several devices are met and no key picks one, a name is too long, or the key fits none (`check`).
    """

    def __init__(self, recording: ForeignRecording, column: int | None) -> None:
        self.column = column
        self._recording = recording
        self._met: set[str] = set()
        self._others: set[str] = set()
        key = recording.source.key
        if key is not None and column is None:
            raise BadFileError(
                f"{recording.source.path} is read as text, which has no parts to pick with :{key}",
                path=recording.source.path,
            )

    def own(self, names: npt.NDArray[np.bytes_]) -> npt.NDArray[np.bool_]:
        """Tell which rows, by the names in them, are of the device that is meant."""
        if np.char.str_len(names).max(initial=0) >= LONGEST_DEVICE:
            raise self._recording.fault(
                f"a name of a device has {LONGEST_DEVICE} letters or more: shorten the names in that column"
            )
        unique, which = np.unique(np.char.strip(names), return_inverse=True)
        texts = [name.decode("utf-8", "replace") for name in unique.tolist()]
        key = self._recording.source.key
        self._met |= {text for text in texts if text and (key is None or key in text)}
        if len(self._others) < _LISTED:
            self._others |= set(texts) - self._met - {""}
        if len(self._met) > 1 and key not in self._met:
            listed = ", ".join(sorted(self._met)[:_LISTED])
            raise self._recording.fault(
                f"it holds several devices ({listed}); pick one with FILE:KEY, a part of its name"
            )
        wanted = [key is None or text == key or (key in text and key not in self._met) for text in texts]
        return np.array(wanted, bool)[which]

    def check(self) -> None:
        """Refuse, behind the last row, a key that fitted none."""
        if self._others and not self._met:
            listed = ", ".join(sorted(self._others)[:_LISTED])
            raise self._recording.fault(f"it holds no such device; there are {listed}")
