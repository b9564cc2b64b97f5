"""What surrounds a candidate in time and on the body: its neighbours, its site's movement, other sites."""

from __future__ import annotations

from firmware_host.twitches import Column, Table

CANDIDATE_SCORE = 5.5
"""Candidates are found from this score on, and only such are neighbours to others."""

CONTEXT_COLUMNS: tuple[Column, ...] = ()


def add_context(rows: Table, coverage: Table) -> Table:
    """Return the candidates of all sites with the columns of `CONTEXT_COLUMNS` filled in."""
    return rows
