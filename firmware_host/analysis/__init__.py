"""The one room that joins recording, detection and results: a night in, events and coverage out.

Detection works on sample indices and knows no clock; here its findings get their times, site after site, and
the whole run is stored beside the night, where it can be deleted and made again at will.
"""

from __future__ import annotations

from firmware_host.analysis.findings import Findings, SiteFacts, events_of, find_candidates, row_columns
from firmware_host.analysis.models import (
    DEFAULT_MODEL,
    DEFAULT_POINT,
    current_model,
    load_model,
    model_folders,
    own_models,
    take_model_back,
    unusual_way,
    use_model,
)
from firmware_host.analysis.recount import last_threshold, recount_night, run_by
from firmware_host.analysis.run_summary import SiteSummary, Summary, summary_of
from firmware_host.analysis.runs import (
    Run,
    detect_night,
    judge,
    load_run,
    night_counts,
    passes_of,
    reviewed,
    run_counts,
    runs_of,
    unit_templates,
    units_of,
    with_rates,
)

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_POINT",
    "Findings",
    "Run",
    "SiteFacts",
    "SiteSummary",
    "Summary",
    "current_model",
    "detect_night",
    "events_of",
    "find_candidates",
    "judge",
    "last_threshold",
    "load_model",
    "load_run",
    "model_folders",
    "night_counts",
    "own_models",
    "passes_of",
    "recount_night",
    "reviewed",
    "row_columns",
    "run_by",
    "run_counts",
    "runs_of",
    "summary_of",
    "take_model_back",
    "unit_templates",
    "units_of",
    "unusual_way",
    "use_model",
    "with_rates",
]
