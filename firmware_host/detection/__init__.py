"""Finding twitches in the samples of one sensor, stage by stage.

Nothing here reads files or clocks: all stages work on the sample index of one stretch, and the nominal rate
alone designs the filters, so that the same samples give the same events however they arrive.
"""

from __future__ import annotations

from firmware_host.detection.classifier import Model, model_from_dict
from firmware_host.detection.cover import Found
from firmware_host.detection.detector import CANDIDATE_DTYPE, SiteDetector, detect_stretch
from firmware_host.detection.signals import RATE_REFUSED_BELOW_HZ, RATE_WARNED_BELOW_HZ, check_rate

__all__ = [
    "CANDIDATE_DTYPE",
    "RATE_REFUSED_BELOW_HZ",
    "RATE_WARNED_BELOW_HZ",
    "Found",
    "Model",
    "SiteDetector",
    "check_rate",
    "detect_stretch",
    "model_from_dict",
]
