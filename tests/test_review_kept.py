"""What requests share is kept in bounds, and what cannot be made leaves nothing behind."""

from __future__ import annotations

import pytest

from firmware_host.review.kept import Kept


def test_what_cannot_be_made_leaves_nothing() -> None:
    """Requests for a thousand runs that are not there keep nothing in memory; the next may go well."""
    kept = Kept(2)

    def fails() -> int:
        raise ValueError

    for number in range(1000):
        with pytest.raises(ValueError):
            kept.get(number, 1, fails)
    assert kept.get(7, 1, lambda: 5) == 5
    assert len(kept._locks) == 1
    for number in range(10):
        kept.get(number, 2, lambda: 6)
    assert len(kept._locks) == len(kept._kept) == 2
