"""From nights to a report's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import firmware_host
from firmware_host.analysis import Run, run_counts
from firmware_host.formats.replacing import Replacing
from firmware_host.recording import Night
from firmware_host.review.charts.map_data import MapData
from firmware_host.review.report.night_report import night_report, plain
from firmware_host.review.report.nights_report import Compared, check_one_judge, compared, nights_report
from firmware_host.review.report.pages import Paper, Sheet, report_html, sheet

BIN_S = 900.0


class Report:
    """A report in the making: nights are added one after the other, so that no more than one is held.

    Parameters
    ----------
    mixed
        Allow nights that different detectors judged.
    """

    def __init__(self, *, mixed: bool = False) -> None:
        self._mixed = mixed
        self._nights: list[tuple[Compared, Sheet]] = []

    def add(self, night: Night, run: Run) -> None:
        """Add a night with its run.

        Raises
        ------
        BadValueError
            If another detector judged it than the night before, unless that is allowed.
        """
        report = night_report(night, run, f"twitchmap {firmware_host.__version__}")
        one = compared(night, run, report)
        if self._nights and not self._mixed:
            check_one_judge([self._nights[-1][0], one])
        data = MapData(
            title=report.title,
            start_ns=report.start_ns,
            end_ns=report.start_ns + round(report.duration_s * 1e9),
            time_zone=night.meta.time_zone,
            origin=night.meta.origin,
            bins=run_counts(run, BIN_S),
            totals=run_counts(run),
            coverage=run.coverage,
            start_known=report.start_known,
        )
        self._nights.append((one, sheet(report, data, len(self._nights) + 1)))

    def write(
        self, out: Path, *, paper: Paper | None = None, kept_back: int = 0, failed: int = 0
    ) -> dict[str, Any]:
        """Write the report, HTML or PDF by the file's ending; return it as a document.

        Raises
        ------
        MissingExtraError
            If a PDF is asked for and the libraries are not there.
        StorageError
            If the disk refuses; what was there before is then untouched.
        """
        ordered = sorted(self._nights, key=lambda one: (one[0].report.start_ns, one[0].report.night))
        sheets = [one for _, one in ordered]
        together = nights_report([one for one, _ in ordered]) if len(ordered) > 1 else None
        pdf = out.suffix.lower() == ".pdf"
        paper = paper or ("a4" if pdf else None)
        html = report_html(sheets, together, kept_back=kept_back, failed=failed, paper=paper)
        content = html.encode()
        if pdf:
            from firmware_host.review.report.pdf import report_pdf

            content = report_pdf(html)
        with Replacing(out.parent) as folder:
            folder.file(out.name).write_bytes(content)
        return {
            "nights": [plain(one.night) for one in sheets],
            "together": None if together is None else plain(together),
        }
