"""Imports as a whole: several files, what is understood and doubted, and that nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from made_tables import FS, SITE, N, acceleration, bring, bring_all, rows, samples, seconds, times_s

from firmware_host import formats
from firmware_host.errors import BadFileError, BadValueError, NotEmptyError, StorageError, TwitchmapError
from firmware_host.formats.columns import find_roles
from firmware_host.formats.foreign import Beginning, ImportOptions, Source
from firmware_host.formats.importing import import_night
from firmware_host.formats.understanding import duration_words
from firmware_host.recording import NightWriter

ACC = acceleration()


def table(
    folder: Path, name: str = "night.csv", acc: npt.NDArray[np.float64] = ACC, fs_hz: float = FS
) -> Path:
    """Write a plain CSV."""
    path = folder / name
    path.write_text("time_s,ax_g,ay_g,az_g\n" + rows(seconds(len(acc), fs_hz), acc))
    return path


def test_several_files_make_one_night(tmp_path: Path) -> None:
    """Files of different rates and starts lie on one time axis, each sensor with its own rate and step."""
    left = table(tmp_path, "left.csv")
    right = tmp_path / "right.npz"
    acc = acceleration(3000, seed=5).astype(np.float32)
    np.savez(right, acc_g=acc, t_s=1.5 + np.arange(3000) / 208)
    night, found = bring_all(tmp_path, {"left_calf": str(left), "right_calf.2": str(right)})
    assert night.sites == ("left_calf", "right_calf.2")
    assert [sensor.fs_hz for sensor in night.meta.sensors] == [100.0, 208.0]
    assert times_s(night, "left_calf")[0] == pytest.approx(0, abs=1e-4)
    assert times_s(night, "right_calf.2")[0] == pytest.approx(1.5, abs=1e-3)
    assert np.allclose(samples(night, "right_calf.2"), acc, atol=1e-7)
    assert not found.start_known
    assert "1970-01-01" in found.start
    assert night.meta.label == "imported"


def test_a_file_without_date_beside_one_with_a_date(tmp_path: Path) -> None:
    """Elapsed time cannot be laid beside the time of day without --start."""
    dated = tmp_path / "dated.npz"
    np.savez(dated, acc_g=ACC.astype(np.float32), timestamp=1_795_386_600.0 + np.arange(N) / FS)
    sources = {"left_calf": str(table(tmp_path)), "right_calf": str(dated)}
    with pytest.raises(BadValueError, match="--start"):
        bring_all(tmp_path, sources)
    night, found = bring_all(tmp_path, sources, start="2026-11-22T22:30:01.000Z")
    assert found.start_known
    assert times_s(night, "left_calf")[0] == pytest.approx(1.0, abs=1e-4)
    assert times_s(night, "right_calf")[0] == pytest.approx(0.0, abs=1e-4)


def test_what_was_understood_is_shown_in_words_and_as_json(tmp_path: Path) -> None:
    """Rate, duration, unit, gravity, gaps and storage stand in the lines and in the JSON."""
    lines = rows(seconds(), ACC).splitlines()
    path = tmp_path / "night.csv"
    path.write_text(
        "time_s,ax_g,ay_g,az_g,gyro_x\n" + "".join(f"{line},7\n" for line in lines[:500] + lines[540:])
    )
    _, found = bring_all(tmp_path, {SITE: str(path)})
    text = "\n".join(found.lines())
    for part in (
        "100 Hz",
        "11.99 s",
        "unit g; gravity 0.99",
        "1 gap, 0.4 s missing",
        "not read: gyro_x",
        "0.1 mg per count",
    ):
        assert part in text
    decoded = msgspec.json.decode(msgspec.json.encode(found))
    assert decoded["files"][0]["missing"] == 40


@pytest.mark.parametrize("moment", ["reading", "showing", "writing", "closing"])
@pytest.mark.parametrize("fault", [KeyboardInterrupt, StorageError])
@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, fault: type[BaseException], there: bool
) -> None:
    """Ctrl-C or an error at any moment takes away all that was made, and only that."""
    path = table(tmp_path)
    target = tmp_path / "a" / "b" / "night.night"
    if there:
        target.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))

    def stop(*_: object, **__: object) -> None:
        raise fault("stop")

    def progress(what: str, share: float) -> None:
        if moment == "reading" or (moment == "writing" and what == "writing" and share > 0.5):
            stop()

    if moment == "closing":
        close = NightWriter.close
        monkeypatch.setattr(NightWriter, "close", lambda self: (close(self), stop()))
    show = stop if moment == "showing" else lambda found: None
    with pytest.raises(fault):
        import_night(target, {SITE: str(path)}, ImportOptions(), show=show, progress=progress)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_disk_that_refuses_stops_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the writer says that the disk refuses, the import ends with a sentence and leaves nothing."""
    monkeypatch.setattr(NightWriter, "trouble", property(lambda self: "The disk is full."))
    path = table(tmp_path)
    with pytest.raises(StorageError, match="is full or refuses"):
        bring(tmp_path, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["night.csv"]


def test_what_is_there_already_is_never_touched(tmp_path: Path) -> None:
    """A target that holds something, or is a file, is refused before anything is read."""
    path = table(tmp_path)
    target = tmp_path / "made" / "night.night"
    bring(tmp_path, path)
    held = {entry: entry.read_bytes() for entry in target.iterdir()}
    for taken in (target, path):
        with pytest.raises(NotEmptyError, match=r"not empty|already"):
            import_night(taken, {SITE: str(path)}, ImportOptions(), show=lambda found: None)
    assert {entry: entry.read_bytes() for entry in target.iterdir()} == held


@pytest.mark.parametrize(
    ("sources", "sentence"),
    [({}, "no file"), ({"left_claf": "x.csv"}, "left_calf"), ({"left_calf": "x.csv"}, "x.csv")],
)
def test_wrong_sources(tmp_path: Path, sources: dict[str, str], sentence: str) -> None:
    """No file, no such site and a missing file are said."""
    with pytest.raises(TwitchmapError, match=sentence):
        bring_all(tmp_path, sources)
    assert not list(tmp_path.iterdir())


def test_one_recording_for_two_sites_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip of the hand would make two sites that twitch together; two recordings of one file are two."""
    monkeypatch.chdir(tmp_path)
    name = table(tmp_path).name
    _, told = bring_all(tmp_path / "slip", {"left_calf": str(tmp_path / name), "right_calf": name})
    first, second = (one.warnings for one in told.files)
    assert "the same recording is given for left_calf: a sensor sits at one site" in second
    assert not first
    np.savez(tmp_path / "two.npz", a_acc_g=ACC, b_acc_g=ACC[::-1], a_fs_hz=100.0, b_fs_hz=100.0)
    night, told = bring_all(tmp_path, {"left_calf": "two.npz:a", "right_calf": "two.npz:b"})
    assert not any("the same recording" in text for one in told.files for text in one.warnings)
    assert night.sites == ("left_calf", "right_calf")


@pytest.mark.skipif(os.name != "posix", reason="names of other bytes are there only on POSIX")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    """A file whose name is of another encoding, or holds a line end, is imported, and noted in letters."""
    for number, name in enumerate((b"n\xff\xe4.csv", b"two\nlines.csv")):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / os.fsdecode(name)
        table(folder).rename(path)
        night, found = bring_all(folder, {"left_calf": str(path)})
        assert night.meta.note.isprintable()
        assert "".join(found.lines()).isprintable()


def test_files_of_different_nights_are_refused(tmp_path: Path) -> None:
    """Files that begin months apart are no night."""
    sources = {}
    for site, year in (("left_calf", 2025), ("right_calf", 2026)):
        stamps = [f"{year}-11-22T22:{30 + i // 6000}:{i // 100 % 60:02d}.{i % 100:02d}Z" for i in range(N)]
        path = tmp_path / f"{year}.csv"
        path.write_text("timestamp,ax,ay,az\n" + rows(stamps, ACC))
        sources[site] = str(path)
    with pytest.raises(BadValueError, match="365 days apart"):
        bring_all(tmp_path, sources)


def test_a_key_is_told_from_a_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The colon of a Windows drive, and of a file whose name holds one, is no key."""
    assert Source.parse(r"C:\data\a.npz") == Source(Path(r"C:\data\a.npz"))
    assert Source.parse("C:a.npz:r0") == Source(Path("C:a.npz"), "r0")
    assert Source.parse("C:/data/a.npz:r0") == Source(Path("C:/data/a.npz"), "r0")
    assert Source.parse("a.npz:r0") == Source(Path("a.npz"), "r0")
    assert Source.parse("a.npz") == Source(Path("a.npz"))
    monkeypatch.chdir(tmp_path)
    Path("22:30.csv").touch()
    assert Source.parse("22:30.csv") == Source(Path("22:30.csv"))


def test_formats_are_found_by_their_files() -> None:
    """Importers are listed and loaded by name; an unknown one is answered with the list."""
    assert set(formats.names("import")) >= {"csv", "npz", "parquet"}
    for name in formats.names("import"):
        assert not formats.importer(name).recognises(Beginning(b"time_s,ax,ay,az\n0,0,0,1\n"))
    with pytest.raises(BadValueError, match="csv, cwa, edf"):
        formats.importer("tape")


def test_data_that_clip_show_their_range(tmp_path: Path) -> None:
    """Samples that stand at 2 g give the sensor a range of 2 g, and a warning."""
    acc = ACC.copy()
    acc[300:320] += 5
    night, found = bring(tmp_path, table(tmp_path, acc=np.clip(acc, -2, 1.9999)))
    assert night.meta.sensors[0].range_g == 2.0
    assert any("clip at 2 g" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("change", "options", "warning"),
    [
        (lambda acc: acc * [1, 0, 1], {"unit": "g"}, "y axis never changes"),
        (lambda acc: acc - acc.mean(axis=0), {}, "gravity was taken out"),
        (lambda acc: acc * 1.4, {}, "out of calibration"),
        (lambda acc: acc, {"rate_hz": 50.0}, "given as 50 Hz"),
    ],
)
def test_doubts_are_warnings(
    tmp_path: Path, change: object, options: dict[str, object], warning: str
) -> None:
    """What may be right or wrong is imported, and what was understood shows the doubt."""
    assert callable(change)
    _, found = bring(tmp_path, table(tmp_path, acc=change(ACC)), **options)
    assert any(warning in line for line in found.warnings)


def test_slow_sensors_are_warned_about(tmp_path: Path) -> None:
    """Below 90 Hz the shortest twitches lose part of their size: it is said."""
    _, found = bring(tmp_path, table(tmp_path, fs_hz=52.0))
    assert any("52 Hz is slow" in line for line in found.warnings)


@pytest.mark.parametrize(
    "names",
    [
        "time_s,ax,ay,az",
        "x,y,z",
        "Timestamp,X,Y,Z",
        "t,acc_x_mg,acc_y_mg,acc_z_mg",
        "t,accelX,accelY,accelZ",
        "time,AccX,AccY,AccZ,GyrX,GyrY,GyrZ",
        "Time (s),Acceleration x (m/s^2),Acceleration y (m/s^2),Acceleration z (m/s^2)",
        "epoch,x-axis (g),y-axis (g),z-axis (g)",
        "Accelerometer X,Accelerometer Y,Accelerometer Z",
        "time,gx,gy,gz,ax,ay,az,mx,my,mz",
        "t,x_acc,y_acc,z_acc,gyro_x,gyro_y,gyro_z",
        "date_time,Acc.X,Acc.Y,Acc.Z",
        "loggingTime(txt),accelerometerAccelerationX(G),accelerometerAccelerationY(G),accelerometerAccelerationZ(G)",
        "time,x [m/s²],y [m/s²],z [m/s²]",
        "Czas (s),Przyspieszenie x (m/s^2),Przyspieszenie y (m/s^2),Przyspieszenie z (m/s^2),Żyroskop x",
        "время (ms),ускорение x (mg),ускорение y (mg),ускорение z (mg)",
    ],
)
def test_names_of_many_loggers(names: str) -> None:
    """The axes are found whatever they are called, and turning sensors are not taken for them."""
    split = names.split(",")
    roles = find_roles(split)
    for axis, index in zip("xyz", roles.axes, strict=True):
        name = split[index].lower()
        assert axis in name
        assert "g" + axis not in name
        assert "gyr" not in name
        assert "m" + axis not in name
    timed = any(word in names for word in ("ime", "t,", "epoch", "Czas", "время"))
    assert (roles.time == 0) == timed


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No place for temporary files is said with the folder."""
    path = table(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        bring(tmp_path, path)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is said with its name."""
    path = table(tmp_path)
    plain = Path.open

    def refuse(self: Path, *arguments: object, **options: object) -> object:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return plain(self, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadFileError, match=r"night\.csv cannot be read: Permission denied"):
        bring(tmp_path, path)


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (119.96, "119.96 s"),
        (299.99, "5 min 00.0 s"),
        (28_799.996, "8 h 00 min 00.0 s"),
        (3725.04, "1 h 02 min 05.0 s"),
    ],
)
def test_durations_are_rounded_before_they_are_split(duration_s: float, text: str) -> None:
    """A length just under a full minute is shown as the minute, never as 60 seconds."""
    assert duration_words(duration_s) == text
