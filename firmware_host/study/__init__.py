"""Many nights judged alike, several at once: by processes here, or by a Dask cluster that is there."""

from __future__ import annotations

from firmware_host.study.night import NightDone, Order, study_night
from firmware_host.study.nights import Studied, study_nights

__all__ = ["NightDone", "Order", "Studied", "study_night", "study_nights"]
