"""Motion-BIDS: the dataset follows the official schema, and the official validator finds no error."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from counted_nights import AUTUMN_NS, counted_night
from hypothesis import given, settings
from hypothesis import strategies as st
from made_exports import read_tsv, troubled_night

from firmware_host.errors import BadValueError
from firmware_host.formats.exporting import export
from firmware_host.formats.leaving import Choices
from firmware_host.formats.sample_text import lines, number_texts, second_texts

DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export nights of people whose pseudonyms differ in what BIDS or a disk does not tell; two undated."""
    root = tmp_path_factory.mktemp("bids")
    nights = [
        troubled_night(root / "a.night", AUTUMN_NS, participant="P 1"),
        troubled_night(root / "b.night", AUTUMN_NS + DAY_NS, participant="P 1"),
        troubled_night(root / "c.night", AUTUMN_NS, participant="P-1"),
        troubled_night(root / "d.night", 0, participant="p1", start_known=False),
        troubled_night(root / "e.night", 0, participant="p1", start_known=False),
    ]
    export(nights, root / "out", "bids")
    return root / "out"


def test_every_path_is_one_of_the_schema(dataset: Path) -> None:
    """The schema has a rule for each file, and the files that it demands are there."""
    validator = pytest.importorskip("bidsschematools.validator")
    found = validator.validate_bids(str(dataset))
    assert len(found["path_listing"]) > 20
    assert found["path_tracking"] == []
    assert [rule["regex"] for rule in found["schema_tracking"] if rule.get("mandatory")] == []


def test_sidecars_have_what_the_schema_requires(dataset: Path) -> None:
    """Required fields of sidecars and required columns of tables, as the schema lists them, are there."""
    schema = pytest.importorskip("bidsschematools.schema").load_schema()
    fields = {
        name
        for group in schema.rules.sidecars.motion.values()
        for name, level in group.fields.items()
        if (level if isinstance(level, str) else level["level"]) == "required"
    }
    columns = schema.rules.tabular_data.motion.motionChannels["columns"]
    needed = [name.split("__")[0] for name, level in columns.items() if level == "required"]
    sidecars = list(dataset.rglob("*_motion.json"))
    assert len(sidecars) == 10
    for path in sidecars:
        assert fields <= set(json.loads(path.read_text()))
    for path in dataset.rglob("*_channels.tsv"):
        assert list(read_tsv(path)[0])[: len(needed)] == needed


def test_the_official_validator_finds_no_error(dataset: Path, tmp_path: Path) -> None:
    """The validator of the BIDS project itself accepts the dataset; what it recommends is left open."""
    program = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [program, "--json", str(dataset)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    codes = {issue["code"] for issue in issues}
    assert codes <= {"SIDECAR_KEY_RECOMMENDED", "JSON_KEY_RECOMMENDED", "TOO_FEW_AUTHORS", "NO_AUTHORS"}
    assert done.returncode == 0


def test_participants_and_sessions_are_told_apart(dataset: Path) -> None:
    """Pseudonyms with one label, or one to many disks, get a number, and the table says which is whose."""
    rows = read_tsv(dataset / "participants.tsv")
    assert rows == [
        {"participant_id": "sub-P1", "pseudonym": "P 1"},
        {"participant_id": "sub-P1x2", "pseudonym": "P-1"},
        {"participant_id": "sub-p1x3", "pseudonym": "p1"},
    ]
    assert len(list(dataset.glob("sub-P1/ses-*"))) == 2
    assert len(list(dataset.glob("sub-P1x2/ses-*"))) == 1
    scans = [row for path in dataset.rglob("*_scans.tsv") for row in read_tsv(path)]
    assert len(scans) == 10


def test_a_session_without_a_date_has_none(dataset: Path) -> None:
    """Of a night of which nobody knows when it began no date is told, and its events say so."""
    sessions = sorted(path.name for path in dataset.glob("sub-p1x3/ses-*"))
    assert sessions == ["ses-undated", "ses-undatedx2"]
    for path in dataset.rglob("*_scans.tsv"):
        undated = "ses-undated" in path.name
        assert {row["acq_time"] == "n/a" for row in read_tsv(path)} == {undated}
        (events,) = path.parent.glob("motion/*_events.json")
        assert json.loads(events.read_text())["StartKnown"] == (not undated)
    assert not [path for path in dataset.rglob("*") if "1970" in path.name]
    assert "ses-undated" in (dataset / "README.md").read_text()


def test_events_come_in_order_with_what_is_known(dataset: Path) -> None:
    """Onsets rise, every column is explained, and what is not known is n/a."""
    for path in dataset.rglob("*_events.tsv"):
        rows = read_tsv(path)
        onsets = [float(row["onset"]) for row in rows]
        assert onsets == sorted(onsets)
        explained = json.loads(path.with_suffix(".json").read_text())
        assert set(rows[0]) <= set(explained)
        (mark,) = [row for row in rows if row["trial_type"] == "mark"]
        assert (mark["duration"], mark["site"], mark["text"]) == ("0.0000", "n/a", "MARKSECRET felt one")
        lost = [row["text"] for row in rows if row["trial_type"] == "no_samples"]
        assert "computer asleep" in lost


def test_a_dataset_is_not_mixed_with_another(dataset: Path, tmp_path: Path) -> None:
    """A folder with sessions that are not exported again is refused, and stays as it was."""
    night = counted_night(tmp_path / "x.night", participant="Q")
    shutil.copytree(dataset, tmp_path / "out")
    before = {path: path.stat().st_size for path in (tmp_path / "out").rglob("*")}
    with pytest.raises(BadValueError, match="sub-P1/ses-"):
        export([night], tmp_path / "out", "bids", Choices())
    assert {path: path.stat().st_size for path in (tmp_path / "out").rglob("*")} == before


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(-(1 << 15), (1 << 15) - 1)] * 3, st.integers(0, 10**12)), min_size=1),
    st.sampled_from([1e-6, 0.061e-3 * 9.80665, 0.122e-3, 0.0039, 1.0]),
)
def test_lines_of_samples_read_back(rows: list[tuple[int, int, int, int]], step: float) -> None:
    """Every count is written within a tenth of a step, and every time exactly."""
    counts = np.array([row[:3] for row in rows], np.int16)
    micros = np.array([row[3] for row in rows], np.int64)
    to_text = number_texts(step, "int16")
    text = lines([*(to_text(counts[:, axis]) for axis in range(3)), second_texts(micros)]).decode()
    assert text.endswith("\n")
    back = [line.split("\t") for line in text.splitlines()]
    assert len(back) == len(rows)
    assert [round(float(line[3]) * 1e6) for line in back] == micros.tolist()
    assert all(len(line[3].split(".")[1]) == 6 and (line[3][0] != "0" or line[3][1] == ".") for line in back)
    found = np.array([[float(cell) for cell in line[:3]] for line in back])
    assert np.abs(found - counts * step).max() <= step / 10


def test_floats_are_written_with_seven_digits() -> None:
    """Sensors that send floats keep them; what is no number is n/a."""
    to_text = number_texts(2.0, "float32")
    values = np.array([0.5, -1.25e-3, np.nan], np.float32)
    assert lines([to_text(values)]).decode().splitlines() == ["1", "-0.0025", "n/a"]
