"""Every format says the same of a night, read back by readers that share no code with its writer."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from counted_nights import AUTUMN_NS, counted_night
from made_exports import READERS, SIGNAL_FORMATS, SLEPT_S, troubled_night
from made_tables import bring, refusal

from firmware_host import formats
from firmware_host.analysis import detect_night, load_run
from firmware_host.cli import main
from firmware_host.errors import BadValueError, MissingExtraError, NotFoundError, StorageError
from firmware_host.formats import export_parquet
from firmware_host.formats.exporting import export
from firmware_host.formats.leaving import Choices
from firmware_host.recording import Night, open_night
from firmware_host.simulation import demonstration, simulate_night

pytestmark = pytest.mark.lasts_s(25)

pytest.importorskip("pyarrow")

FORMATS = formats.names("export")
SPRING_NS = 1_774_737_000 * 10**9
"""2026-03-28 23:30 in Berlin; in this night clocks are put forward from 02:00 to 03:00."""
ALL = Choices(samples=True)


def choices_of(form: str, **changes: object) -> Choices:
    """Return choices with samples where a format has to be asked for them."""
    return Choices(samples=form == "parquet", **changes)  # type: ignore[arg-type]


def folders(out: Path) -> set[str]:
    """Return the names of all that lies in a folder."""
    return {str(path.relative_to(out)) for path in out.rglob("*")}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Make a short demonstration night and find its twitches."""
    folder = tmp_path_factory.mktemp("demo") / "demo.night"
    simulate_night(folder, spec=demonstration(1, 0.1))
    detect_night(folder)
    return open_night(folder)


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Make a night with a two-hour suspend, a sensor that dies and 5 s that are lost."""
    return open_night(troubled_night(tmp_path_factory.mktemp("troubled") / "bad.night", AUTUMN_NS))


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Make nights in which clocks are put back and put forward."""
    return {
        start_ns: counted_night(tmp_path_factory.mktemp("changing") / "a.night", start_ns=start_ns)
        for start_ns in (AUTUMN_NS, SPRING_NS)
    }


def samples_of(night: Night, site: str) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Return times (s) and g of all samples of a site."""
    parts = night.read(site)
    return np.concatenate([one.time_ns for one in parts]) / 1e9, np.concatenate([one.acc_g for one in parts])


def test_every_format_has_a_reader() -> None:
    """A new format is read back here too."""
    assert set(FORMATS) == set(READERS)


@pytest.mark.parametrize("form", FORMATS)
def test_the_demonstration_reads_back_equal(demo: Night, form: str, tmp_path: Path) -> None:
    """Counts come back exactly, events to a millisecond, samples to half a step at their times."""
    export([demo], tmp_path, form, choices_of(form))
    back = READERS[form](tmp_path, demo.path.name)
    run = load_run(demo)
    for site in demo.sites:
        counted = run.counted[run.counted["site"] == site]
        assert len(back.onsets.get(site, [])) == len(counted)
        expected = demo.start_ns / 1e9 + counted["onset_s"]
        np.testing.assert_allclose(back.onsets.get(site, []), expected, rtol=0, atol=1e-3)
    assert len(run.counted) > 5
    if form not in SIGNAL_FORMATS:
        return
    assert list(back.samples) == list(demo.sites)
    for site, (times_s, acc_g) in back.samples.items():
        expected_s, expected_g = samples_of(demo, site)
        step = demo.meta.sensor(site).g_per_count
        assert acc_g.shape == expected_g.shape
        assert np.abs(acc_g - expected_g).max() <= step / 2
        assert np.abs(times_s - expected_s).max() <= (
            1.0 / demo.meta.sensor(site).fs_hz if form == "edf" else 1e-5
        )


@pytest.mark.parametrize("form", FORMATS)
def test_a_suspend_and_a_dead_sensor_are_right_to_the_second(
    troubled: Night, form: str, tmp_path: Path
) -> None:
    """Events after two hours asleep stand at their time, and gaps begin and end where samples did."""
    export([troubled], tmp_path, form, choices_of(form))
    back = READERS[form](tmp_path, troubled.path.name)
    start_s = AUTUMN_NS / 1e9
    assert back.onsets == {
        "left_calf": pytest.approx([start_s + 60, start_s + 1100.2, start_s + 8500.45], abs=1e-3),
        "right_calf": pytest.approx([start_s + 200.7], abs=1e-3),
    }
    assert back.stretches["left_calf", "gap"] == [pytest.approx((start_s + 1200, start_s + 8400), abs=1e-3)]
    if form not in SIGNAL_FORMATS:
        return
    calf_s, _ = back.samples["left_calf"]
    assert len(calf_s) == 2395 * 100
    assert not np.any((calf_s > start_s + 1200.01) & (calf_s < start_s + 8399.99)), "a sample was invented"
    assert not np.any((calf_s > start_s + 600.01) & (calf_s < start_s + 604.98))
    died_s, _ = back.samples["right_calf"]
    assert len(died_s) == 300 * 100
    assert died_s.max() == pytest.approx(start_s + 300, abs=0.02)
    if form != "parquet":  # which has only what is there
        lost, asleep = back.stretches["left_calf", "no_samples"]
        assert lost == pytest.approx((start_s + 600, start_s + 605), abs=0.02)
        assert asleep == pytest.approx((start_s + 1200, start_s + 1200 + SLEPT_S), abs=0.02)
        assert back.stretches["right_calf", "no_samples"] == [
            pytest.approx((start_s + 300, start_s + 2400 + SLEPT_S), abs=0.02)
        ]


@pytest.mark.long
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("start_ns", [AUTUMN_NS, SPRING_NS])
def test_clock_changes_are_right_to_the_second(
    changing: dict[int, Path], form: str, start_ns: int, tmp_path: Path
) -> None:
    """Events on both sides of a change of clocks stand at their UTC, and at the time of the wall's clock."""
    export([changing[start_ns]], tmp_path, form, choices_of(form))
    back = READERS[form](tmp_path, "a.night")
    thigh_s = np.arange(100.0, 14_400, 300) - 0.04 + start_ns / 1e9
    np.testing.assert_allclose(back.onsets["right_thigh"], thigh_s, atol=1e-3)
    berlin = ZoneInfo("Europe/Berlin")
    first, last = (datetime.fromtimestamp(float(at_s), berlin) for at_s in (thigh_s[0], thigh_s[-1]))
    assert first.utcoffset() != last.utcoffset()
    if form in {"csv", "parquet"}:
        thigh = back.local[: len(thigh_s)]
        assert thigh[0] == first.isoformat(timespec="milliseconds")
        assert thigh[-1] == last.isoformat(timespec="milliseconds")
    if form == "edf":  # one clock for the file, and a note where that of the wall is changed
        changes = [key for key in back.stretches if key[0].startswith("UTC") and "change" in key[1]]
        assert [site for site, _ in changes] == ["UTC+01:00" if start_ns == AUTUMN_NS else "UTC+02:00"]
        ((at_s, _),) = back.stretches[changes[0]]
        assert (
            datetime.fromtimestamp(at_s - 1, berlin).utcoffset()
            != datetime.fromtimestamp(at_s, berlin).utcoffset()
        )


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_takes_the_place_of_the_one_before(troubled: Night, form: str, tmp_path: Path) -> None:
    """A second export of the same nights replaces the files; nothing else is left in the folder."""
    first = export([troubled], tmp_path / "out", form)
    there = folders(tmp_path / "out")
    second = export([troubled], tmp_path / "out", form)
    assert first.files == second.files
    assert folders(tmp_path / "out") == there
    assert not [name for name in there if name.endswith(".part")]
    assert all(file.stat().st_size for file in first.files)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_left_of_an_export_that_fails(
    troubled: Night, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk is full in the middle there is one sentence, no file and no folder."""
    writer = formats.load("export", form).Writer

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "finish", full)
    with pytest.raises(StorageError, match="No space left"):
        export([troubled], tmp_path / "new" / "deep", form)
    assert not (tmp_path / "new").exists()


@pytest.mark.long
@pytest.mark.parametrize("form", FORMATS)
def test_a_night_without_a_date_says_so(
    troubled: Night, form: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever exports or reads is told of which night nobody knows when it began, and of no other night."""
    undated = troubled_night(tmp_path / "lost.night", 0, start_known=False)
    arguments = [str(troubled.path), str(undated), "--out", str(tmp_path / "out"), "--format", form, "--json"]
    with pytest.raises(SystemExit) as end:
        main(["export", *arguments])
    assert end.value.code == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["undated"] == ["lost.night"]
    assert "lost.night: nobody knows when it began" in err
    assert "bad.night" not in err
    if form in {"csv", "parquet"}:
        words = (tmp_path / "out" / "data_dictionary.md").read_text()
        assert "Such nights here: `lost.night`.\n" in words
        assert export([troubled], tmp_path / "dated", form).undated == ()
        assert "Such nights here: none.\n" in (tmp_path / "dated" / "data_dictionary.md").read_text()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("earlier", [True, False], ids=["over another", "new"])
def test_what_was_put_in_place_is_taken_back(
    troubled: Night, form: str, earlier: bool, tmp_path: Path
) -> None:
    """When one of the files cannot have its name none of them is left, and those of before stand there."""
    good = tmp_path / "good"
    names = [file.relative_to(good) for file in export([troubled], good, form).files]
    out = tmp_path / "out"
    (out / names[-1] / "in the way").mkdir(parents=True)
    for name in names[:-1] if earlier else ():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(f"before: {name}")
    there = folders(out)
    with pytest.raises(StorageError, match="could not be written to"):
        export([troubled], out, form)
    assert folders(out) == there
    assert all((out / name).read_text() == f"before: {name}" for name in names[:-1] if earlier)


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_exports_every_format(
    troubled: Night, form: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`--json` names the files, and they are there."""
    with pytest.raises(SystemExit) as end:
        main(["export", str(troubled.path), "--out", str(tmp_path / "out"), "--format", form, "--json"])
    assert end.value.code == 0
    document = json.loads(capfd.readouterr().out)
    assert document["files"]
    assert all(Path(name).is_file() for name in document["files"])
    assert document["problems"] == []


def test_formats_and_choices_that_there_are_not_are_refused(
    troubled: Night, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An unknown format is a sentence with those that are known; a choice of another format is one too."""
    with pytest.raises(SystemExit) as end:
        main(["export", str(troubled.path), "--out", str(tmp_path / "out"), "--format", "spss"])
    assert end.value.code == 1
    said = capfd.readouterr().err
    assert all(name in said for name in (*FORMATS, "spss"))
    with pytest.raises(BadValueError, match="--excel is for csv, not for edf"):
        export([troubled], tmp_path / "out", "edf", Choices(excel=True))
    with pytest.raises(BadValueError, match="--samples is for parquet"):
        export([troubled], tmp_path / "out", "csv", Choices(samples=True))
    with pytest.raises(NotFoundError, match="no night"):
        export([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_pyarrow_there_is_a_sentence(
    troubled: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where pyarrow is not installed the sentence says what to install before a night is looked for."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"Parquet needs pyarrow.*twitchmap\[parquet\]"):
        export([troubled], tmp_path / "out", "parquet")
    with pytest.raises(SystemExit) as end:
        main(["export", str(tmp_path / "no.night"), "--out", str(tmp_path / "out"), "--format", "parquet"])
    assert end.value.code == 1
    assert "twitchmap[parquet]" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_pyarrow_that_is_not_whole_is_told(
    troubled: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some packages of pyarrow have no Parquet: that is a sentence, and nothing is made."""
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r"pyarrow, which cannot be used here: .*parquet"):
        export([troubled], tmp_path / "out", "parquet")
    assert not (tmp_path / "out").exists()


def test_two_nights_of_one_name_do_not_meet_in_a_file(tmp_path: Path) -> None:
    """Nights that are called alike have files of their own, and tables hold both."""
    paths = [troubled_night(tmp_path / place / "a.night", AUTUMN_NS + day * 86_400 * 10**9)
             for day, place in enumerate(("x", "y"))]  # fmt: skip
    done = export(paths, tmp_path / "edf", "edf")
    assert [file.name for file in done.files] == ["a.edf", "a-2.edf"]
    names = {file.name for file in export(paths, tmp_path / "parquet", "parquet", ALL).files}
    assert {"samples_a.parquet", "samples_a-2.parquet"} <= names


def test_names_that_differ_only_by_case_do_not_meet_on_any_disk(tmp_path: Path) -> None:
    """Files of nights whose names are one to many disks have a number, whatever their letters."""
    paths = [
        troubled_night(tmp_path / name, AUTUMN_NS + number * 10**9)
        for number, name in enumerate(("Ära.night", "äRA.night", "other.night"))
    ]
    files = export(paths, tmp_path / "edf", "edf").files
    assert [file.name for file in files] == ["Ära.edf", "äRA-2.edf", "other.edf"]
    names = [file.name for file in export(paths, tmp_path / "parquet", "parquet", ALL).files]
    assert len({name.casefold() for name in names}) == len(names)


def test_parquet_tables_have_types_and_nulls(tmp_path: Path) -> None:
    """What is not known is null, numbers are numbers, and rows come in few groups."""
    import pyarrow.parquet as pq

    path = counted_night(tmp_path / "a.night")
    export([path], tmp_path / "out", "parquet")
    counts = pq.read_table(tmp_path / "out" / "counts.parquet")
    blind = counts.filter(counts["valid_s"].to_numpy() == 0)
    assert blind.num_rows
    assert blind["rate_per_h"].null_count == blind.num_rows
    events = pq.ParquetFile(tmp_path / "out" / "events.parquet")
    assert {str(events.schema_arrow.field(name).type) for name in ("counted", "unit", "night_date")} == {
        "bool", "int32", "date32[day]",
    }  # fmt: skip
    assert events.num_row_groups == 1
    assert export_parquet.GROUP_ROWS > 10_000
    assert "samples_NIGHT.parquet" in (tmp_path / "out" / "data_dictionary.md").read_text()


@pytest.mark.parametrize("origin", ["simulated", "imported"])
def test_samples_of_a_simulated_night_stay_simulated(tmp_path: Path, origin: str) -> None:
    """Sites of a Parquet file are imported one by one, and a night that nobody slept stays one."""
    path = troubled_night(tmp_path / "a.night", AUTUMN_NS, origin=origin)
    export([path], tmp_path / "out", "parquet", Choices(samples=True))
    file = tmp_path / "out" / "samples_a.parquet"
    assert "several devices (left_calf, right_calf); pick one" in (refusal(tmp_path, file) or "")
    night, found = bring(tmp_path, f"{file}:right_calf")
    there, back = samples_of(open_night(path), "right_calf"), samples_of(night, "left_calf")
    assert np.abs(there[0] - back[0]).max() < 1e-3
    assert np.abs(there[1] - back[1]).max() < 1e-6
    assert night.meta.origin == origin
    assert any("simulated" in remark for remark in found.remarks) == (origin == "simulated")


def test_exports_start_light() -> None:
    """The help of export imports no library of a format."""
    script = (
        "import sys\nfrom firmware_host.cli import main\n"
        "try:\n    main(['export', '--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'pyarrow', 'edfio', 'scipy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.parametrize("form", SIGNAL_FORMATS)
def test_signals_pass_through_in_pieces(changing: dict[int, Path], form: str, tmp_path: Path) -> None:
    """The samples of a night are never in memory at once: the peak is far below what they take there."""
    night = open_night(changing[AUTUMN_NS])
    export([night], tmp_path / "warm", form, choices_of(form))
    tracemalloc.start()
    export([night], tmp_path / "out", form, choices_of(form))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    samples = 4 * 3600 * 50 * 3
    assert peak < 0.6 * samples * 3 * 8


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_left_of_an_export_that_is_interrupted(
    troubled: Night, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of a night ends the export, and leaves neither file nor folder."""

    def stopped(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export([troubled], tmp_path / "out", form, choices_of(form), progress=stopped)
    assert not (tmp_path / "out").exists()
