"""The results store: runs whole or not at all, columns as they are declared, and a file that may be lost."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from firmware_host.errors import BadFileError, NewerFormatError, NightBusyError, NotFoundError, StorageError
from firmware_host.recording import ResultsStore, RunInfo, results
from firmware_host.twitches import (
    COVERAGE_COLUMNS,
    COVERAGE_DTYPE,
    EVENT_COLUMNS,
    EVENT_DTYPE,
    Column,
    Kind,
    Table,
    dtype_of,
    table,
)

TESTS = Path(__file__).parent


def info(run_id: str, *, complete: bool = True) -> RunInfo:
    """Return what a run says of itself."""
    return RunInfo(
        run_id=run_id, created_utc="2026-11-23T07:00:00+00:00", detector="twitchmap 0.1.0", model="plain 1",
        model_sha256="ab" * 32, operating_point="balanced", passes=1, settings="{}", summary='{"n": 3}',
        complete=complete,
    )  # fmt: skip


def events(n: int, seed: int = 0) -> Table:
    """Return random events."""
    rng = np.random.default_rng(seed)
    made = table(
        EVENT_DTYPE, n, event_id=np.arange(n), site=np.where(np.arange(n) < n // 2, "neck", "right_calf.2"),
        peak_s=rng.uniform(0, 3e4, n), onset_s=rng.uniform(0, 3e4, n), duration_ms=rng.uniform(20, 200, n),
        peak_to_peak_mg=rng.lognormal(1, 1, n), snr=rng.lognormal(2, 1, n), dominant_hz=rng.uniform(5, 40, n),
        counted=rng.random(n) < 0.5, flags=rng.integers(0, 2**32, n), label=rng.integers(0, 3, n),
    )  # fmt: skip
    made["probability"][::3] = rng.random(len(made[::3]))
    return made


def as_of_schema_1(folder: Path, *columns: Column) -> None:
    """Make a file of results what it was before events were packed: a row of SQL each."""
    store = ResultsStore(folder)
    tables = {run.run_id: store.read_events(run.run_id, columns) for run in store.runs()}
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("DROP TABLE packed")
        for number, rows in enumerate(tables.values(), 1):
            results._insert(connection, "events", columns, rows, number)
        connection.execute("PRAGMA user_version = 1")
        connection.commit()


def coverage() -> Table:
    """Return coverage of three kinds."""
    return table(
        COVERAGE_DTYPE, 3, site="left_calf", start_s=[0, 10, 20.5], end_s=[10, 20.5, 1e5],
        kind=[Kind.VALID, Kind.GAP, Kind.NOT_WORN], wear_unconfirmed=[True, False, False],
    )  # fmt: skip


def write(folder: Path, run: RunInfo, rows: Table) -> None:
    """Store a run."""
    store = ResultsStore(folder)
    store.write_run(run, EVENT_COLUMNS, rows, COVERAGE_COLUMNS, coverage())


@pytest.mark.parametrize("n", [0, 1, 257])
def test_round_trip(tmp_path: Path, n: int) -> None:
    """Every column comes back as it was, empty probabilities too, in the order in which it was written."""
    rows = events(n)
    write(tmp_path, info("one"), rows)
    store = ResultsStore(tmp_path)
    assert store.runs() == [info("one")]
    assert store.read_events("one", EVENT_COLUMNS).tobytes() == rows.tobytes()
    assert store.read_coverage("one", COVERAGE_COLUMNS).tobytes() == coverage().tobytes()
    assert len(store.read_events("other", EVENT_COLUMNS)) == 0


def test_a_busy_night(tmp_path: Path) -> None:
    """100,000 events are written and read back, and another run beside them does not mix in."""
    rows = events(100_000, 1)
    write(tmp_path, info("small"), events(5, 2))
    write(tmp_path, info("large"), rows)
    store = ResultsStore(tmp_path)
    assert store.read_events("large", EVENT_COLUMNS).tobytes() == rows.tobytes()
    assert store.read_events("small", EVENT_COLUMNS).tobytes() == events(5, 2).tobytes()


def test_the_newest_complete_run_is_the_one_shown(tmp_path: Path) -> None:
    """Without an id the newest complete run is meant; a wrong id lists those that are there."""
    store = ResultsStore(tmp_path)
    assert store.runs() == []
    assert not store.path.exists()
    with pytest.raises(NotFoundError, match="no detection run yet"):
        store.run()
    write(tmp_path, info("0", complete=False), events(2))
    with pytest.raises(NotFoundError, match="while it was being recorded"):
        store.run()
    for name, complete in (("a", True), ("b", True), ("c", False)):
        write(tmp_path, info(name, complete=complete), events(2))

    assert store.run().run_id == "b"
    assert store.run("c").complete is False
    assert [one.run_id for one in store.runs()] == ["0", "a", "b", "c"]
    with pytest.raises(NotFoundError, match="no run 'x'; its runs are: 0, a, b, c"):
        store.run("x")


def test_columns_of_another_version(tmp_path: Path) -> None:
    """Runs that know different columns live in one file; what a run does not know is empty."""
    more = (*EVENT_COLUMNS, Column("skew", "f4", "", "of shape"), Column("cluster", "i4", "", "number"),
            Column("comment", "U8", "", "words"))  # fmt: skip
    write(tmp_path, info("old"), events(3))
    rows = np.zeros(2, dtype_of(more))
    rows["site"], rows["skew"] = "chest", [0.5, np.nan]
    rows["cluster"], rows["comment"] = [7, -8], ["a", "ö"]
    store = ResultsStore(tmp_path)
    store.write_run(info("new"), more, rows, COVERAGE_COLUMNS, coverage())
    old, new = store.read_events("old", more), store.read_events("new", more)
    narrow = store.read_events("new", EVENT_COLUMNS)

    assert new.tobytes() == rows.tobytes()
    assert np.all(np.isnan(old["skew"]))
    assert old["cluster"].tolist() == [0, 0, 0]
    assert old["comment"].tolist() == ["", "", ""]
    assert narrow["site"].tolist() == ["chest", "chest"]
    assert len(ResultsStore(tmp_path).read_events("old", EVENT_COLUMNS)) == 3


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_results_store import events, info, write
for i in range(1000):
    write(Path(sys.argv[1]), info(sys.argv[2] + str(i)), events(3000, i))
    print(i, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_killed_run_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """A process killed while it writes leaves whole runs and no others."""
    rng = np.random.default_rng(4)
    for attempt in "abc":
        command = [sys.executable, "-c", KILLED.format(tests=str(TESTS)), str(tmp_path), attempt]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            written = [child.stdout.readline() for _ in range(3)]
            threading.Timer(float(rng.uniform(0, 0.08)), child.kill).start()
            written += child.stdout.readlines()
        store = ResultsStore(tmp_path)
        runs = [run.run_id for run in store.runs() if run.run_id[0] == attempt]
        assert runs[: len(written)] == [f"{attempt}{int(line)}" for line in written]
        assert len(runs) <= len(written) + 1
        for run_id in runs[-2:]:
            assert (
                store.read_events(run_id, EVENT_COLUMNS).tobytes() == events(3000, int(run_id[1:])).tobytes()
            )


def test_reading_while_a_run_is_written(tmp_path: Path) -> None:
    """A reader sees the runs that are complete and never waits for the writer."""
    write(tmp_path, info("first"), events(10))
    with closing(sqlite3.connect(tmp_path / "results.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM packed")
        assert len(ResultsStore(tmp_path).read_events("first", EVENT_COLUMNS)) == 10
        other.execute("ROLLBACK")


def test_two_writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another process does not let go of gets a sentence."""
    monkeypatch.setattr(results, "BUSY_S", 0.05)
    write(tmp_path, info("first"), events(10))
    with closing(sqlite3.connect(tmp_path / "results.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NightBusyError, match="Another process is writing"):
            write(tmp_path, info("second"), events(10))
        other.execute("ROLLBACK")
    write(tmp_path, info("second"), events(10))


def test_damaged_files_get_a_sentence_and_may_be_deleted(tmp_path: Path) -> None:
    """Garbage in place of results says what to do; deleted, the file is made again."""
    rng = np.random.default_rng(3)
    write(tmp_path, info("one"), events(2000))
    path = tmp_path / "results.sqlite"
    good = path.read_bytes()
    for hurt in (rng.bytes(5000), b"x" * 100, good[:1000] + rng.bytes(len(good) - 1000)):
        path.write_bytes(hurt)
        with pytest.raises(BadFileError, match="delete it and detect again"):
            ResultsStore(tmp_path).read_events(ResultsStore(tmp_path).run().run_id, EVENT_COLUMNS)
    path.unlink()
    write(tmp_path, info("one"), events(5))

    assert len(ResultsStore(tmp_path).read_events("one", EVENT_COLUMNS)) == 5


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """Results of a later version are not misread."""
    write(tmp_path, info("one"), events(5))
    with closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
        connection.execute(f"PRAGMA user_version = {len(results.MIGRATIONS) + 1}")
    with pytest.raises(NewerFormatError, match="made by a newer twitchmap"):
        ResultsStore(tmp_path).runs()


def test_migrations_run_once_each_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older file is brought to the newest schema step by step, also by a reader."""
    write(tmp_path, info("one"), events(5))
    steps: list[int] = []

    def step(number: int) -> results.Callable[[sqlite3.Connection], None]:
        return lambda connection: steps.append(number)

    monkeypatch.setattr(results, "MIGRATIONS", (*results.MIGRATIONS, step(3), step(4)))
    for _ in range(2):
        assert ResultsStore(tmp_path).run().run_id == "one"
    assert steps == [3, 4]


def test_an_older_file_is_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    """Results of schema 1 on a full or read-only disk are read, and the file stays as it is."""
    resource = pytest.importorskip("resource")
    write(tmp_path, info("one"), events(5))
    path = tmp_path / "results.sqlite"
    as_of_schema_1(tmp_path, *EVENT_COLUMNS)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        read = ResultsStore(tmp_path).read_events("one", EVENT_COLUMNS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert read.tobytes() == events(5).tobytes()
    assert path.read_bytes() == before


def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    """Events of schema 1 are the same once they are packed; words for numbers are damage."""
    for number, name in enumerate("abc"):
        write(tmp_path, info(name), events(300 * number, number))
    as_of_schema_1(tmp_path, *EVENT_COLUMNS)
    store = ResultsStore(tmp_path)
    for _ in range(2):
        for number, name in enumerate("abc"):
            read = store.read_events(name, EVENT_COLUMNS)
            assert read.tobytes() == events(300 * number, number).tobytes()
    as_of_schema_1(tmp_path, *EVENT_COLUMNS)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("UPDATE events SET peak_s = 'two' WHERE event_id = 2")
        connection.commit()
    with pytest.raises(BadFileError, match="delete it and detect again"):
        store.runs()


def test_only_some_events_are_read(tmp_path: Path) -> None:
    """Those that count are the rows that are true in `counted`, in their order."""
    rows = events(200)
    write(tmp_path, info("one"), rows)
    some = ResultsStore(tmp_path).read_events("one", EVENT_COLUMNS[:4], only="counted")
    assert some["event_id"].tolist() == rows["event_id"][rows["counted"]].tolist()
    assert some["site"].tolist() == rows["site"][rows["counted"]].tolist()


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    """A folder that is not there gets a sentence, not a traceback."""
    with pytest.raises(StorageError, match=r"results\.sqlite could not be made"):
        write(tmp_path / "nothing", info("one"), events(1))


def test_results_are_private_and_need_nothing_beside_them(tmp_path: Path) -> None:
    """The file is the user's alone, and closed it holds everything: it can be copied by itself."""
    write(tmp_path, info("one"), events(5))

    assert [path.name for path in tmp_path.iterdir()] == ["results.sqlite"]
    assert stat.S_IMODE((tmp_path / "results.sqlite").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE runs",
        "UPDATE runs SET passes = 'two'",
        "UPDATE packed SET kind = 'numbers' WHERE name = 'peak_s'",
        "UPDATE packed SET data = x'00' WHERE name = 'unit'",
        "UPDATE packed SET kind = 'text' WHERE name = 'unit'",
        "UPDATE packed SET data = x'5b5d0a070007000700' WHERE name = 'site'",
    ],
)
def test_values_that_cannot_be_are_damage(tmp_path: Path, change: str) -> None:
    """A file of results without its tables, or with words for numbers, gets the sentence of a damaged one."""
    write(tmp_path, info("one"), events(3))
    with closing(sqlite3.connect(ResultsStore(tmp_path).path)) as connection:
        connection.execute(change)
        connection.commit()
    store = ResultsStore(tmp_path)
    with pytest.raises(BadFileError, match="delete it and detect again"):
        store.read_events(store.run().run_id, EVENT_COLUMNS)


@pytest.mark.parametrize("data", ["x'0000803f'", "x'00'", "'words'"])
def test_packed_numbers_that_cannot_be_are_damage(tmp_path: Path, data: str) -> None:
    """Measured columns that do not hold one number an event get the sentence of a damaged file."""
    more = (*EVENT_COLUMNS, Column("skew", "f4", "", "of shape"))
    store = ResultsStore(tmp_path)
    for name, count in (("none", 0), ("three", 3)):
        store.write_run(info(name), more, np.zeros(count, dtype_of(more)), COVERAGE_COLUMNS, coverage())
        assert len(store.read_events(name, more)) == count
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute(f"UPDATE packed SET data = {data} WHERE name = 'skew'")
        connection.commit()
    with pytest.raises(BadFileError, match="delete it and detect again"):
        store.read_events("three", more)
    assert len(store.read_events("three", EVENT_COLUMNS)) == 3


FULL = """
import resource, sys
from pathlib import Path
from test_results_store import events, info, write
from firmware_host.errors import StorageError
from firmware_host.recording import ResultsStore

folder, room = Path(sys.argv[1]), int(sys.argv[2])
limit = room and (folder / "results.sqlite").stat().st_size + room
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write(folder, info("second"), events(3000))
except StorageError as error:
    print(error)
print(len(ResultsStore(folder).runs()))
"""


@pytest.mark.parametrize("room", [0, 5_000, 60_000])
def test_a_full_disk(tmp_path: Path, room: int) -> None:
    """A disk without room for a run gets a sentence of the disk, and what is there can still be read."""
    pytest.importorskip("resource")
    write(tmp_path, info("first"), events(500))
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(room)],
        cwd=TESTS, capture_output=True, text=True, check=True,
    )  # fmt: skip
    said, runs = done.stdout.splitlines()
    assert said.startswith("The disk refuses")
    assert runs == "1"
    assert len(ResultsStore(tmp_path).read_events("first", EVENT_COLUMNS)) == 500
