"""EDF and BDF of other libraries: what is imported equals what was written; gaps and dates are told."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

import edfio
import numpy as np
import numpy.typing as npt
import pytest
from made_loggers import counts_of, cwa_header, cwa_sectors, genea, wall_ns, write
from made_tables import bring, refusal, samples, times_ns

from firmware_host.errors import BadFileError

Counts = npt.NDArray[np.int64]
SET_AT = datetime(2026, 3, 20, 12, tzinfo=UTC)


def edf(
    counts: Counts, *, labels: str = "ACC {}", ok: Counts | None = None, dimension: str = "mg"
) -> edfio.Edf:
    """Return an EDF+ file of 0.25 mg a count, with an EMG beside it."""
    reach = (-8192.0, 8191.75)
    signals = [
        edfio.EdfSignal.from_digital(
            np.ascontiguousarray(counts[:, i], np.int16), 100.0, label=labels.format("XYZ"[i]),
            physical_dimension=dimension, physical_range=reach, digital_range=(-32768, 32767),
        )
        for i in range(3)
    ]  # fmt: skip
    signals.append(
        edfio.EdfSignal(np.sin(np.arange(len(counts) * 2)), 200, label="EMG Z", physical_dimension="uV")
    )
    if ok is not None:
        signals.append(
            edfio.EdfSignal.from_digital(
                ok.astype(np.int16), 100.0, label=f"{labels.removesuffix(' {}')} ok", digital_range=(0, 1),
                physical_range=(0, 1),
            )
        )  # fmt: skip
    return edfio.Edf(
        signals,
        starttime=time(22, 0, 0, 500_000),
        recording=edfio.Recording(startdate=date(2026, 3, 28), equipment_code="Logger_7"),
        annotations=[edfio.EdfAnnotation(3, None, "felt one")],
    )


def test_edf_samples_and_start(tmp_path: Path) -> None:
    """Three signals written by another library come back count by count, from the start's own fraction on."""
    counts = counts_of(6000, 4000)
    edf(counts).write(tmp_path / "a.edf")
    night, found = bring(tmp_path, tmp_path / "a.edf", timezone="Europe/Berlin")
    assert np.array_equal(np.rint(samples(night) * 4000), counts)
    truth = wall_ns("2026-03-28T21:00:00.5") + np.arange(6000) * 10**7
    assert np.abs(times_ns(night) - truth).max() < 1e6
    assert (found.unit, found.ignored, found.sample_type) == ("mg", ("EMG Z",), "int16")
    assert night.meta.sensors[0].model == "Logger_7"


def test_edf_that_does_not_tell_its_date_says_so(tmp_path: Path) -> None:
    """An EDF+ whose date was taken out has 1985 as a stand-in, which is told, never silently believed."""
    made = edf(counts_of(6000, 4000))
    made.recording = edfio.Recording(startdate=None)
    made.write(tmp_path / "a.edf")
    _, found = bring(tmp_path, tmp_path / "a.edf", timezone="Europe/Berlin")
    assert any("does not tell its date" in remark for remark in found.remarks)


def test_edf_that_marks_filled_samples(tmp_path: Path) -> None:
    """Samples that a signal `ok` marks as filled are gaps, not data."""
    counts = counts_of(6000, 4000)
    ok = np.ones(6000, np.int64)
    ok[2000:2500] = 0
    edf(counts, labels="L calf {}", ok=ok).write(tmp_path / "a.edf")
    night, found = bring(tmp_path, f"{tmp_path / 'a.edf'}:L calf", timezone="UTC")
    assert np.array_equal(np.rint(samples(night) * 4000), counts[ok > 0])
    assert (found.gaps, found.missing) == (1, 500)


def test_edf_with_gaps_between_records(tmp_path: Path) -> None:
    """EDF+D says of each record when it begins; what lies between is a gap."""
    counts = counts_of(6000, 4000)
    edf(counts).write(tmp_path / "a.edf")
    data = bytearray((tmp_path / "a.edf").read_bytes())
    data[192:197] = b"EDF+D"
    for record in reversed(range(20, 60)):
        told = f"+{record}.5\x14\x14".encode()
        assert data.count(told) == 1
        data = data.replace(told, f"+{record + 30}.5\x14\x14".encode())
    (tmp_path / "a.edf").write_bytes(data)
    night, found = bring(tmp_path, tmp_path / "a.edf", timezone="UTC")
    assert (found.gaps, found.missing) == (1, 3000)
    assert np.array_equal(np.rint(samples(night) * 4000), counts)


def test_bdf_of_another_library(tmp_path: Path) -> None:
    """24-bit samples come back within half a step."""
    pyedflib = pytest.importorskip("pyedflib")
    acc = counts_of(6000, 256) / 256
    with pyedflib.EdfWriter(str(tmp_path / "a.bdf"), 3, file_type=pyedflib.FILETYPE_BDFPLUS) as writer:
        for i in range(3):
            writer.setSignalHeader(
                i,
                {
                    "label": f"Acc {'xyz'[i]}", "dimension": "g", "sample_frequency": 100, "physical_max": 8,
                    "physical_min": -8, "digital_max": 8388607, "digital_min": -8388608, "transducer": "",
                    "prefilter": "",
                },
            )  # fmt: skip
        writer.setStartdatetime(datetime(2026, 3, 28, 22, tzinfo=UTC))
        writer.writeSamples([np.ascontiguousarray(acc[:, i]) for i in range(3)])
    night, _ = bring(tmp_path, tmp_path / "a.bdf", timezone="UTC")
    assert np.abs(samples(night) - acc).max() < 16 / 2**24
    assert night.start_ns == wall_ns("2026-03-28T22:00:00")


def test_files_that_hold_one_sensor_refuse_a_key(tmp_path: Path) -> None:
    """A key is answered, not ignored; of several sensors in an EDF the keys are listed."""
    stamps = wall_ns("2026-03-20T22:00:00") + np.arange(1200) * 10**7
    counts = counts_of(1200, 256)
    cwa = write(tmp_path / "a.cwa", cwa_header(set_at=SET_AT), *cwa_sectors(counts, stamps))
    bin_file = write(tmp_path / "a.bin", genea(counts, stamps, 100.0))
    for path in (cwa, bin_file):
        with pytest.raises(BadFileError, match="one sensor"):
            bring(tmp_path, f"{path}:left", timezone="UTC")
    both = edf(counts, labels="L {}")
    both.append_signals(edf(counts, labels="R {}").signals[:3])
    both.write(tmp_path / "a.edf")
    assert "the keys are L, R" in (refusal(tmp_path, tmp_path / "a.edf", timezone="UTC") or "")
    night, _ = bring(tmp_path, f"{tmp_path / 'a.edf'}:r", timezone="UTC")
    assert np.array_equal(np.rint(samples(night) * 4000), counts)
