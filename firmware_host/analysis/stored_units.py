"""The units of a run as the results store holds them: a row each, its template as plain bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firmware_host.twitches import UNIT_COLUMNS, UNIT_DTYPE, UNIT_SAMPLES, Column, Table, dtype_of, table

_BYTES = 4 * 3 * UNIT_SAMPLES
STORED_UNIT_COLUMNS = (
    *UNIT_COLUMNS,
    Column("template", f"V{_BYTES}", "mg", "its mean wave, (3, UNIT_SAMPLES) float32 little-endian"),
)

Templates = npt.NDArray[np.float32]


def no_units() -> tuple[Table, Templates]:
    """Return the units of a run that tells none apart."""
    return table(UNIT_DTYPE, 0), np.zeros((0, 3, UNIT_SAMPLES), np.float32)


def stored_units(units: Table, templates: Templates) -> Table:
    """Return rows of `STORED_UNIT_COLUMNS`."""
    rows = np.zeros(len(units), dtype_of(STORED_UNIT_COLUMNS))
    for name in UNIT_DTYPE.names or ():
        rows[name] = units[name]
    flat = np.ascontiguousarray(templates, "<f4").reshape(len(units), 3 * UNIT_SAMPLES)
    rows["template"] = flat.view(f"V{_BYTES}")[:, 0]
    return rows


def read_units(rows: Table) -> tuple[Table, Templates]:
    """Return units (`UNIT_DTYPE`) and their templates, (units, 3, UNIT_SAMPLES), of stored rows."""
    units: Table = rows[list(UNIT_DTYPE.names or ())].astype(UNIT_DTYPE)
    flat = np.ascontiguousarray(rows["template"]).view("<f4").reshape(-1, 3, UNIT_SAMPLES)
    return units, flat.astype(np.float32)
