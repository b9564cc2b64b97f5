"""Importing numpy archives and Parquet tables, whole, keyed, odd, damaged."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_tables import FS, N, acceleration, bring, refusal, rows, samples, seconds, times_s

from firmware_host.errors import TwitchmapError

ACC = acceleration().astype(np.float32)
T = np.arange(N) / FS
EPOCH_NS = 1_795_386_600_000_000_000

ARCHIVES: dict[str, tuple[dict[str, Any], str, dict[str, object]]] = {
    "acc_g and t_s": ({"acc_g": ACC, "t_s": T}, "", {}),
    "acc_g and fs_hz": ({"acc_g": ACC, "fs_hz": FS}, "", {}),
    "acc_g and --rate": ({"acc_g": ACC}, "", {"rate_hz": FS}),
    "axes": ({"ax": ACC[:, 0], "ay": ACC[:, 1], "az": ACC[:, 2], "t_s": T}, "", {}),
    "axes in mg": (
        {"ax_mg": ACC[:, 0] * 1000, "ay_mg": ACC[:, 1] * 1000, "az_mg": ACC[:, 2] * 1000, "t_s": T},
        "",
        {},
    ),
    "acc_mg": ({"acc_mg": ACC * np.float32(1000), "t_s": T}, "", {}),
    "acc without a unit": ({"acc": ACC.astype(np.float64) * 9.80665, "time_s": T}, "", {}),
    "one key": ({"leg_acc_g": ACC, "leg_t_s": T, "leg_gyro_dps": ACC}, "", {}),
    "a key of two": ({"a_acc_g": ACC, "a_t_s": T, "b_acc_g": -ACC, "b_fs_hz": 50.0}, ":a", {}),
    "a key with underscores": ({"a_b_acc_g": ACC, "a_b_fs_hz": FS, "acc_g": -ACC, "t_s": T}, ":a_b", {}),
    "a key with axes": ({"a_ax": ACC[:, 0], "a_ay": ACC[:, 1], "a_az": ACC[:, 2], "a_t_s": T}, ":a", {}),
    "without key beside a key": ({"acc_g": ACC, "t_s": T, "b_acc_g": -ACC}, "", {}),
    "Fortran order": ({"acc_g": np.asfortranarray(ACC), "t_s": T}, "", {}),
    "other byte order": ({"acc_g": ACC.astype(">f8"), "t_s": T.astype(">f4")}, "", {}),
    "float16": ({"acc_g": (np.round(ACC * 256) / 256).astype(np.float16), "t_s": T}, "", {}),
    "whole numbers": ({"acc_mg": np.round(ACC * 1000).astype(np.int16), "t_s": T}, "", {}),
    "dates": (
        {"acc_g": ACC, "timestamp": (EPOCH_NS + np.arange(N) * 10**7).astype("datetime64[ns]")},
        "",
        {"timezone": "UTC"},
    ),
    "ns since 1970": ({"acc_g": ACC, "timestamp": EPOCH_NS + np.arange(N) * 10**7}, "", {}),
    "columns by name": (
        {"u": ACC[:, 0], "v": ACC[:, 1], "w": ACC[:, 2], "s": T},
        "",
        {"columns": ("s", "u", "v", "w")},
    ),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_are_read(tmp_path: Path, name: str, packed: bool) -> None:
    """Each archive gives back its samples and times."""
    arrays, key, options = ARCHIVES[name]
    path = tmp_path / "night.npz"
    (np.savez_compressed if packed else np.savez)(path, **arrays)
    night, found = bring(tmp_path, f"{path}{key}", **options)
    coarse = {"float16": 2e-3, "whole numbers": 6e-4}.get(name, 2e-7)
    assert np.abs(samples(night) - ACC).max() < coarse
    assert np.abs(times_s(night) - T).max() < 1e-3
    assert (found.fs_hz, found.gaps, found.warnings) == (FS, 0, ())
    assert night.start_ns == (EPOCH_NS if name in {"dates", "ns since 1970"} else 0)


def zipped(**members: bytes) -> bytes:
    """Return none of its tables."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return file.getvalue()


def archive(**arrays: Any) -> bytes:
    """Return an npz archive."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def claiming(rows_claimed: int) -> bytes:
    """Return an array file whose header claims rows that are not behind it."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"shape": (rows_claimed, 3), "fortran_order": False, "descr": "<f4"}
    )
    return file.getvalue() + bytes(100_000)


BAD: dict[str, tuple[bytes, str, dict[str, object], str]] = {
    "two recordings": (archive(a_acc_g=ACC, b_acc_g=ACC), "", {}, "the keys are a, b"),
    "another key": (archive(a_acc_g=ACC, b_acc_g=ACC), ":c", {}, "no c_acc_g; the keys are a, b"),
    "a key where there is none": (archive(acc_g=ACC, t_s=T), ":c", {}, "no c_acc_g"),
    "other arrays": (archive(mass_kg=T, height_m=T), "", {}, "there are mass_kg, height_m"),
    "no arrays": (zipped(readme__txt=b"hello"), "", {}, "none of its tables"),
    "one axis": (archive(acc_g=ACC[:, 0], t_s=T), "", {}, "three axes"),
    "axes first": (archive(acc_g=ACC.T, t_s=T), "", {}, "three axes"),
    "axes of two lengths": (archive(ax=ACC[:, 0], ay=ACC[:, 1], az=ACC[5:, 2], t_s=T), "", {}, "three axes"),
    "fewer times": (archive(acc_g=ACC, t_s=T[5:]), "", {}, "t_s should hold one time"),
    "times of text": (archive(acc_g=ACC, t_s=T.astype("U6")), "", {}, "t_s should hold one time"),
    "text": (archive(acc_g=ACC.astype("U8"), t_s=T), "", {}, "not numbers"),
    "complex numbers": (archive(acc_g=ACC.astype(complex), t_s=T), "", {}, "not numbers"),
    "Python objects": (archive(acc_g=ACC.astype(object), t_s=T), "", {}, "Python objects"),
    "no time": (archive(acc_g=ACC), "", {}, "--rate"),
    "many rates": (archive(acc_g=ACC, fs_hz=np.array([100.0, 50.0])), "", {}, "fs_hz should be one number"),
    "a rate of 0": (archive(acc_g=ACC, fs_hz=0.0), "", {}, "its sampling rate is 0 Hz"),
    "a rate of NaN": (archive(acc_g=ACC, fs_hz=np.nan), "", {}, "its sampling rate is nan Hz"),
    "dates without zone": (
        archive(acc_g=ACC, timestamp=(EPOCH_NS + np.arange(N) * 10**7).astype("datetime64[ns]")),
        "",
        {},
        "--timezone",
    ),
    "no rows": (archive(acc_g=ACC[:0], t_s=T[:0]), "", {}, "0 rows"),
    "all NaN": (archive(acc_g=ACC * np.nan, t_s=T), "", {}, "1,200 of 1,200 rows"),
    "times of NaN": (archive(acc_g=ACC, t_s=T * np.nan), "", {}, "1,200 of 1,200 rows|time does not go on"),
    "a header that lies": (
        zipped(acc_g__npy=claiming(9_999_999)),
        "",
        {"rate_hz": 100.0},
        "damaged or cut off",
    ),
    "a bomb": (zipped(acc_g__npy=claiming(99_999_999_999)), "", {"rate_hz": 100.0}, "99,999,999,999 rows"),
    "no header": (zipped(acc_g__npy=b"hello" * 50), "", {"rate_hz": 100.0}, "damaged"),
    "half of an archive": (archive(acc_g=ACC, t_s=T)[:9000], "", {}, "damaged or cut off"),
    "a stub": (b"PK\x03\x04", "", {}, "damaged or cut off"),
    "an array alone": (b"\x93NUMPY\x01\x00" + bytes(90), "", {}, "numpy.savez"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_archives_get_a_sentence(tmp_path: Path, name: str) -> None:
    """The sentence says what is wrong with the archive; nothing is left behind."""
    content, key, options, sentence = BAD[name]
    path = tmp_path / "night.npz"
    path.write_bytes(content)
    with pytest.raises(TwitchmapError, match=sentence) as error:
        bring(tmp_path, f"{path}{key}", **options)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["night.npz"]


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    """An archive called .csv is read as what it is, and so is a table called .npz."""
    (tmp_path / "a.csv").write_bytes(archive(acc_g=ACC, t_s=T))
    (tmp_path / "b.npz").write_text(rows(seconds(), ACC.astype(float)))
    for number, name in enumerate(("a.csv", "b.npz")):
        folder = tmp_path / str(number)
        folder.mkdir()
        night, _ = bring(folder, tmp_path / name)
        assert len(samples(night)) == N


def _parquet(path: Path, columns: dict[str, Any], **metadata: str) -> None:
    pa = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    import pyarrow.parquet as pq

    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata(metadata or None), path, row_group_size=500)


def _axes(acc: Any = ACC, names: str = "a{}") -> dict[str, Any]:
    return {names.format(axis): acc[:, i] for i, axis in enumerate("xyz")}


def _lists() -> Any:
    pa = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    return pa.FixedSizeListArray.from_arrays(pa.array(ACC.ravel()), 3)


TABLES: dict[str, tuple[Callable[[Path], None], str, dict[str, object]]] = {
    "axes": (lambda path: _parquet(path, {"t_s": T, **_axes()}), "", {}),
    "names as in a CSV": (
        lambda path: _parquet(path, {"Time (s)": T, **_axes(names="accel_{} (g)")}),
        "",
        {},
    ),
    "lists": (lambda path: _parquet(path, {"t_s": T, "acc_g": list(ACC)}), "", {}),
    "lists of a fixed size": (lambda path: _parquet(path, {"t_s": T, "acc_g": _lists()}), "", {}),
    "a column fs_hz": (lambda path: _parquet(path, {"fs_hz": np.full(N, FS), **_axes()}), "", {}),
    "a note fs_hz": (lambda path: _parquet(path, _axes(), fs_hz="100"), "", {}),
    "a key": (
        lambda path: _parquet(path, {"r0_t_s": T, "r0_acc_g": list(ACC), "r1_acc_g": list(-ACC)}),
        ":r0",
        {},
    ),
    "mg": (lambda path: _parquet(path, {"t": T, **_axes(ACC.astype(float) * 1000, "a{}_mg")}), "", {}),
    "dates": (
        lambda path: _parquet(
            path, {"timestamp": (EPOCH_NS + np.arange(N) * 10**7).astype("datetime64[ns]"), **_axes()}
        ),
        "",
        {"timezone": "UTC"},
    ),
    "ms since 1970": (
        lambda path: _parquet(path, {"timestamp": EPOCH_NS // 10**6 + np.arange(N) * 10, **_axes()}),
        "",
        {},
    ),
    "dates in an index without a name": (
        lambda path: _parquet(
            path,
            {**_axes(), "__index_level_0__": (EPOCH_NS + np.arange(N) * 10**7).astype("datetime64[ns]")},
        ),
        "",
        {"timezone": "UTC"},
    ),
    "columns by name": (
        lambda path: _parquet(path, {"s": T, **_axes(names="q{}")}),
        "",
        {"columns": ("1", "qx", "qy", "qz")},
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_parquet_tables_are_read(tmp_path: Path, name: str) -> None:
    """Each table gives back its samples and times."""
    make, key, options = TABLES[name]
    path = tmp_path / "night.parquet"
    make(path)
    night, found = bring(tmp_path, f"{path}{key}", **options)
    assert np.abs(samples(night) - ACC).max() < 2e-7
    assert np.abs(times_s(night) - T).max() < 1e-3
    assert (found.fs_hz, found.gaps, found.warnings) == (FS, 0, ())
    assert night.start_ns == (EPOCH_NS if "dates" in name or "1970" in name else 0)


def test_missing_values_of_parquet_are_left_out(tmp_path: Path) -> None:
    """Nulls cost their rows."""
    axes = {name: values.tolist() for name, values in _axes(ACC.astype(float)).items()}
    axes["ay"][7] = None
    path = tmp_path / "night.parquet"
    _parquet(path, {"t_s": T, **axes})
    night, found = bring(tmp_path, path)
    assert found.skipped == 1
    assert len(samples(night)) == N - 1


@pytest.mark.parametrize(
    ("columns", "key", "sentence"),
    [
        ({"t_s": T, "ax": ACC[:, 0], "ay": ACC[:, 1]}, "", "z axis"),
        ({"t_s": T, **_axes(ACC.astype("U6"))}, "", "not numbers"),
        ({"t_s": T.astype("U6"), **_axes()}, "", "not numbers"),
        ({"t_s": T, "acc_g": list(ACC[:, :2])}, "", "three numbers in each row"),
        ({"t_s": T, "acc_g": [[1.0, 2.0], [1.0, 2.0, 3.0, 4.0]] * (N // 2)}, "", "three numbers in each row"),
        ({"r0_acc_g": list(ACC), "r1_acc_g": list(ACC)}, "", "the keys are r0, r1"),
        ({"t_s": T, **_axes(), "device_id": [["left"]] * N}, "", "device_id holds list.*, not the name"),
        ({"t_s": T, **_axes(), "device_id": [{"at": "left"}] * N}, "", "device_id holds struct"),
        ({"t_s": T, **_axes(), "device_id": [b"\xff\xfe"] * N}, "", "device_id holds binary"),
        ({"t_s": T, **_axes(), "device_id": ["x" * 200 + end for end in "ab"] * (N // 2)}, "", "shorten"),
        (
            {"timestamp": (EPOCH_NS + np.arange(N) * 10**7).astype("datetime64[ns]"), **_axes()},
            "",
            "--timezone",
        ),
        (_axes(), "", "--rate"),
    ],
)
def test_bad_parquet_gets_a_sentence(
    tmp_path: Path, columns: dict[str, Any], key: str, sentence: str
) -> None:
    """The sentence says what is wrong with the table; nothing is left behind."""
    path = tmp_path / "night.parquet"
    _parquet(path, columns)
    with pytest.raises(TwitchmapError, match=sentence):
        bring(tmp_path, f"{path}{key}")
    assert [entry.name for entry in tmp_path.iterdir()] == ["night.parquet"]


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyarrow is not installed, the sentence names the command that installs it."""
    (tmp_path / "night.parquet").write_bytes(b"PAR1" + bytes(100))
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(TwitchmapError, match=r"pip install 'twitchmap\[parquet\]'"):
        bring(tmp_path, tmp_path / "night.parquet")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_archive_gives_a_traceback(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Archives and Parquet tables cut or altered anywhere are imported or refused with a sentence."""
    folder = tmp_path_factory.mktemp("any")
    path = folder / "night.bin"
    if data.draw(st.booleans()):
        _parquet(path, {"t_s": T[:300], **_axes(ACC[:300])})
        whole = path.read_bytes()
    else:
        whole = archive(acc_g=ACC[:300], t_s=T[:300])
    at = data.draw(st.one_of(st.integers(0, 400), st.integers(len(whole) - 700, len(whole) - 1)))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:at])
    else:
        path.write_bytes(whole[:at] + data.draw(st.binary(min_size=1, max_size=4)) + whole[at + 1 :])
    if refusal(folder, path) is not None:
        assert [entry.name for entry in folder.iterdir()] == ["night.bin"]
