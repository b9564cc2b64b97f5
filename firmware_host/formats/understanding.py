"""What an import understood of its files: shown to the user before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

TimeKind = Literal["samples", "arrivals", "none"]


@dataclass(frozen=True)
class FileUnderstanding:
    """What was understood of one file.

    Attributes
    ----------
    site, file : where the sensor sat, and FILE or FILE:KEY.
    sensor : model, serial and firmware, as far as the file tells them.
    rows, skipped, repeated : rows of samples, how many of them are left out (blank, not finite, repeated),
        and how many of these repeat the stamp of the row before.
    columns, ignored : names of the columns that are read, and of those that are not.
    time : how the stamps were read: "time_s: seconds", "timestamp: ISO 8601 with offset" ...
    time_kind : what the stamps are.
    rate_hz, fs_hz : measured sampling rate, and the nominal rate that is stored.
    duration_s : from the first to the last sample.
    unit, gravity_g : unit of the file, and the length of gravity under it.
    gaps, missing : number of gaps, and of samples missing in them.
    sample_type, g_per_count, range_g : how samples are stored.
    warnings : what a user should look at.
    remarks : what else was done.
    """

    site: str
    file: str
    rows: int
    skipped: int
    repeated: int
    columns: tuple[str, ...]
    ignored: tuple[str, ...]
    time: str
    time_kind: TimeKind
    rate_hz: float
    fs_hz: float
    duration_s: float
    unit: str
    gravity_g: float
    gaps: int
    missing: int
    sample_type: Literal["int16", "float32"]
    g_per_count: float
    range_g: float | None
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]
    sensor: str = ""

    def lines(self) -> Iterator[str]:
        """Yield what was understood, a line each."""
        yield f"{self.site}: {self.file}"
        if self.sensor:
            yield f"  {self.sensor}"
        yield f"  {self.rows:,} rows, {duration_words(self.duration_s)}, columns {', '.join(self.columns)}"
        if self.ignored:
            yield f"  not read: {', '.join(self.ignored)}"
        yield f"  time: {self.time}"
        stored = f" (stored as {self.fs_hz:g} Hz)" if abs(self.fs_hz / self.rate_hz - 1) > 1e-4 else ""
        yield f"  rate {self.rate_hz:.6g} Hz{stored}; {self._gaps()}"
        yield f"  unit {self.unit}; gravity {self.gravity_g:.3f} g"
        if self.sample_type == "int16":
            yield f"  stored as int16, {self.g_per_count * 1000:.6g} mg per count"
        else:
            yield "  stored as float32 (no uniform step that int16 holds)"
        if self.skipped:
            repeat = "repeats" if self.repeated == 1 else "repeat"
            why = f" ({self.repeated:,} {repeat} the stamp of the row before)" if self.repeated else ""
            yield f"  {self.skipped:,} row{'s' * (self.skipped > 1)} left out{why}"
        yield from (f"  {remark}" for remark in self.remarks)
        yield from (f"  warning: {warning}" for warning in self.warnings)

    def _gaps(self) -> str:
        if not self.gaps:
            return "no gaps"
        return f"{self.gaps:,} gap{'s' * (self.gaps > 1)}, {self.missing / self.rate_hz:.4g} s missing in all"


@dataclass(frozen=True)
class Understanding:
    """What was understood of all files of an import.

    Attributes
    ----------
    night : the folder that will be written.
    start_ns, start : the earliest stamp, UTC ns and ISO 8601 local time.
    start_known : False where only elapsed time is known and the start is made up.
    time_zone : IANA name, in which people will see the night.
    files : one a site.
    """

    night: str
    start_ns: int
    start: str
    start_known: bool
    time_zone: str
    files: tuple[FileUnderstanding, ...]

    def lines(self) -> list[str]:
        """Return the whole as text, a line each."""
        known = "" if self.start_known else " (made up: the files know only elapsed time; --start gives it)"
        text = [line for file in self.files for line in file.lines()]
        return [*text, f"start {self.start}, zone {self.time_zone}{known}", f"to {self.night}"]


def duration_words(seconds: float) -> str:
    """Return a length of time as a person reads it."""
    if seconds < 120:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours} h {minutes:02d} min {rest:04.1f} s" if hours else f"{minutes} min {rest:04.1f} s"
