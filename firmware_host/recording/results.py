"""`results.sqlite`: the detection runs of a night. Derived: it can be deleted and made again at will.

All SQL of the project is in this module. It knows no column of events or coverage by name: it is handed their
declarations and makes its tables of them. Events are packed, one row a run and column: as numbers of SQL
tens of thousands of candidates take longer to write than to find, and a page waits for them for seconds.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from firmware_host.errors import BadFileError, NewerFormatError, NightBusyError, NotFoundError, StorageError
from firmware_host.recording.packing import packed, unpacked
from firmware_host.twitches import Column, Table, dtype_of, in_parts

RESULTS_FILE = "results.sqlite"
BUSY_S = 30.0
REFUSED = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
"""What SQLite says of a disk that is full or takes no writing."""
ROWS_AT_ONCE = 1 << 13
"""Rows that are Python numbers at the same time: as such they take ten times the room."""


class RunInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What made a detection run, and with what."""

    run_id: str
    created_utc: str
    """ISO 8601."""
    detector: str
    model: str
    model_sha256: str
    operating_point: str
    passes: int
    settings: str
    """JSON."""
    summary: str
    """JSON."""
    complete: bool = True
    """False: made of a night that was still being recorded."""


def _make_runs(connection: sqlite3.Connection) -> None:
    columns = ", ".join(f"{field.name} NOT NULL" for field in msgspec.structs.fields(RunInfo))
    connection.execute(f"CREATE TABLE runs (run INTEGER PRIMARY KEY, {columns}, UNIQUE (run_id))")


def _make_packed(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE packed (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, name NOT NULL, "
        "data BLOB NOT NULL)"
    )
    connection.execute("CREATE INDEX packed_of_run ON packed (run)")


def _pack_events(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE packed ADD COLUMN kind NOT NULL DEFAULT '<f4'")
    columns = {row[1]: row[2] for row in connection.execute("PRAGMA table_info(events)") if row[1] != "run"}
    names = ", ".join(f'"{name}"' for name in columns)
    for (run,) in connection.execute("SELECT run FROM runs").fetchall() if columns else ():
        select = f"SELECT {names} FROM events WHERE run = ? ORDER BY rowid"  # noqa: S608 - names of the file
        rows = connection.execute(select, (run,)).fetchall()
        for index, (name, kind) in enumerate(columns.items()):
            values = [row[index] for row in rows]
            try:
                column = np.array(values, {"REAL": "f8", "INTEGER": "i8"}.get(kind, "U"))
            except (ValueError, TypeError, OverflowError) as error:
                raise sqlite3.DatabaseError(f"{name}: {error}") from error
            _pack(connection, run, name, column)
    connection.execute("DROP TABLE IF EXISTS events")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_make_runs, _make_packed, _pack_events)
"""Step n brings a file of schema n to schema n + 1; the number is kept in user_version."""


class ResultsStore:
    """The runs of one night. Nothing is made on the disk before the first run is written.

    Every method opens and closes the file by itself.

    Parameters
    ----------
    night
        The night's folder.

    Raises
    ------
    BadFileError, NewerFormatError
        By any method, if the file is damaged or of a newer program.
    """

    def __init__(self, night: Path) -> None:
        self.path = night / RESULTS_FILE

    def prepare(self) -> None:
        """Make the file if it is not there; raises now what `write_run` would raise after hours of work."""
        with self._opened(for_writing=True):
            pass

    def write_run(
        self,
        info: RunInfo,
        event_columns: Sequence[Column],
        events: Table,
        coverage_columns: Sequence[Column],
        coverage: Table,
        more: Mapping[str, tuple[Sequence[Column], Table]] | None = None,
    ) -> None:
        """Store a run whole, or not at all; `more` are other tables of it by name.

        Raises
        ------
        NightBusyError, StorageError
            If another process does not let go of the file, or the disk refuses.
        """
        with self._opened(for_writing=True) as connection, _transaction(connection):
            fields = msgspec.structs.asdict(info)
            names, marks = ", ".join(fields), ", ".join("?" * len(fields))
            insert = f"INSERT INTO runs ({names}) VALUES ({marks})"  # noqa: S608 - names of our own
            run = connection.execute(insert, tuple(fields.values())).lastrowid
            for column in event_columns:
                _pack(connection, run, column.name, events[column.name])
            _insert(connection, "coverage", coverage_columns, coverage, run)
            for name, (columns, rows) in (more or {}).items():
                _insert(connection, name, columns, rows, run)

    def runs(self) -> list[RunInfo]:
        """Return all runs, oldest first."""
        names = [field.name for field in msgspec.structs.fields(RunInfo)]
        with self._opened() as connection:
            if connection is None:
                return []
            select = f"SELECT {', '.join(names)} FROM runs ORDER BY run"  # noqa: S608 - names of our own
            rows = connection.execute(select).fetchall()
        try:
            return [
                msgspec.convert(dict(zip(names, row, strict=True)), RunInfo, strict=False) for row in rows
            ]
        except msgspec.ValidationError as error:
            raise damaged(self.path, error) from error

    def run(self, run_id: str | None = None) -> RunInfo:
        """Return a run by its id, or the newest complete one.

        Raises
        ------
        NotFoundError
            If there is none; the sentence says what to do.
        """
        runs = self.runs()
        name = self.path.parent.name
        if run_id is None:
            complete = [run for run in runs if run.complete]
            if runs and not complete:
                raise NotFoundError(
                    f"{name} has only runs made while it was being recorded: run `twitchmap detect` "
                    f"on it again, or name one of {', '.join(run.run_id for run in runs)}."
                )
            if not complete:
                raise NotFoundError(f"{name} has no detection run yet: run `twitchmap detect` on it first.")
            return complete[-1]
        for run in runs:
            if run.run_id == run_id:
                return run
        known = ", ".join(run.run_id for run in runs) or "none"
        raise NotFoundError(f"{name} has no run {run_id!r}; its runs are: {known}.")

    def read_events(self, run_id: str, columns: Sequence[Column], *, only: str | None = None) -> Table:
        """Return a run's events in the order of writing, or `only` those for which a column is true."""
        wanted = [*(column.name for column in columns), *([only] if only else ())]
        with self._opened() as connection:
            found = _packed(connection, run_id, wanted) if connection else {}
        try:
            known = {name: unpacked(*one) for name, one in found.items()}
            if len({len(values) for values in known.values()}) > 1:
                raise ValueError("its columns are of different lengths")
            some = known[only].astype(bool) if only in known else slice(None)
            table = _empty(len(next(iter(known.values()), ())[some]), columns)
            for column in columns:
                if column.name in known:
                    table[column.name] = known[column.name][some]
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            raise damaged(self.path, error) from error
        return table

    def read_coverage(self, run_id: str, columns: Sequence[Column]) -> Table:
        """Return a run's coverage, in the order in which it was written."""
        return self._read("coverage", run_id, columns)

    def read_table(self, name: str, run_id: str, columns: Sequence[Column]) -> Table:
        """Return another table of a run; no rows where its program stored none."""
        return self._read(name, run_id, columns)

    def _read(self, name: str, run_id: str, columns: Sequence[Column]) -> Table:
        with self._opened() as connection:
            if connection is None:
                return _table([], [], columns)
            known = _columns(connection, name)
            wanted = [column for column in columns if column.name in known]
            rows: list[tuple[Any, ...]] = []
            if known:
                names = ", ".join((f"{name}.run", *(f'"{column.name}"' for column in wanted)))
                select = f"SELECT {names} FROM {name} JOIN runs USING (run)"  # noqa: S608 - names of our own
                order = f" WHERE run_id = ? ORDER BY {name}.rowid"
                rows = connection.execute(select + order, (run_id,)).fetchall()
        try:
            return _table(rows, wanted, columns)
        except (ValueError, TypeError, OverflowError) as error:
            raise damaged(self.path, error) from error

    @contextmanager
    def _opened(self, *, for_writing: bool = False) -> Iterator[Any]:
        """Open the file; None where it is not there and nothing is to be written."""
        if not for_writing and not self.path.exists():
            yield None
            return
        try:
            with closing(_connect(self.path, for_writing=for_writing)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise _sentence(error, self.path) from error
        except OSError as error:
            raise StorageError(f"{self.path} could not be made ({error.strerror or error}).") from error


def damaged(path: Path, error: Exception) -> BadFileError:
    """Return what a user should read of a file of results that does not hold what it must."""
    return BadFileError(
        f"{path} is damaged ({error}); it holds only results: delete it and detect again.", path=path
    )


def _table(rows: Sequence[tuple[Any, ...]], read: Sequence[Column], columns: Sequence[Column]) -> Table:
    """Make a table of rows of a number and some of its columns; the others are what `_sql_type` says."""
    table = _empty(len(rows), columns)
    for index, column in enumerate(read, 1):
        values = [row[index] for row in rows]  # far quicker than to turn all rows at once
        kind = table.dtype[column.name].kind
        if kind == "U":  # a few names for many rows
            codes = {name: code for code, name in enumerate(dict.fromkeys(values))}
            names = np.array(list(codes), table.dtype[column.name])
            table[column.name] = names[[codes[name] for name in values]]
        elif kind == "V" and any(len(value) != table.dtype[column.name].itemsize for value in values):
            raise ValueError(f"a value of {column.name} has not the length that it must have")
        elif kind == "V":
            table[column.name] = np.array(values, column.dtype)
        else:
            table[column.name] = np.array(values, np.float64) if kind == "f" else values
    return table


def _empty(n: int, columns: Sequence[Column]) -> Table:
    """Make a table of what is read of columns that a run's program did not know: NaN, 0, or no text."""
    table = np.zeros(n, dtype_of(columns))
    for column in columns:
        if table.dtype[column.name].kind == "f":
            table[column.name] = np.nan
    return table


def _connect(path: Path, *, for_writing: bool) -> sqlite3.Connection:
    if for_writing and not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    # SQLite's own journal, not WAL: readers write nothing, so a full or read-only disk can be read.
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=BUSY_S)
    try:
        connection.isolation_level = None  # transactions are written out
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise NewerFormatError(
                f"{path} was made by a newer twitchmap: update twitchmap, or delete it and detect again."
            )
        if for_writing:
            connection.execute("PRAGMA foreign_keys = ON")
            _migrate(connection)
        elif version < len(MIGRATIONS):
            return _migrated_to_read(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrated_to_read(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Bring an older file up to date for a reader: in memory where the disk takes no writing."""
    try:
        _migrate(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in REFUSED:
            raise
    else:
        return connection
    copy = sqlite3.connect(":memory:", isolation_level=None)
    with closing(connection):
        connection.backup(copy)
    _migrate(copy)
    return copy


def _migrate(connection: sqlite3.Connection) -> None:
    with _transaction(connection):
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for step in MIGRATIONS[version:]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _insert(
    connection: sqlite3.Connection, name: str, columns: Sequence[Column], rows: Table, run: int | None
) -> None:
    known = _columns(connection, name)
    if not known:
        connection.execute(f"CREATE TABLE {name} (run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE)")
        connection.execute(f"CREATE INDEX {name}_of_run ON {name} (run)")
    for column in columns:
        if column.name not in known:
            connection.execute(f'ALTER TABLE {name} ADD COLUMN "{column.name}" {_sql_type(column)}')
    names = ", ".join(f'"{column.name}"' for column in columns)
    marks = ", ".join("?" * len(columns))
    insert = f"INSERT INTO {name} (run, {names}) VALUES ({run}, {marks})"  # noqa: S608 - names of our own
    for part in (rows[each] for each in in_parts(len(rows), ROWS_AT_ONCE)):
        connection.executemany(insert, zip(*(part[column.name].tolist() for column in columns), strict=True))


def _pack(connection: sqlite3.Connection, run: int | None, name: str, values: npt.NDArray[Any]) -> None:
    insert = "INSERT INTO packed (run, name, kind, data) VALUES (?, ?, ?, ?)"
    connection.execute(insert, (run, name, *packed(values)))


def _packed(
    connection: sqlite3.Connection, run_id: str, names: Sequence[str]
) -> dict[str, tuple[str, bytes]]:
    """Return kinds and data of what is packed of some columns of a run, and of one that every run has."""
    marks = ", ".join("?" * len(names))
    select = (
        "SELECT name, kind, data FROM packed JOIN runs USING (run) WHERE run_id = ? "  # noqa: S608 - marks
        f"AND (name IN ({marks}) OR packed.rowid = (SELECT min(rowid) FROM packed WHERE run = runs.run))"
    )
    return {name: (kind, data) for name, kind, data in connection.execute(select, (run_id, *names))}


def _columns(connection: sqlite3.Connection, name: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}


def _sql_type(column: Column) -> str:
    """Numbers keep their kind; what an older run does not know of is empty text, 0, or NULL read as NaN."""
    kind = np.dtype(column.dtype).kind
    return {"U": "TEXT DEFAULT ''", "f": "REAL", "V": "BLOB"}.get(kind, "INTEGER DEFAULT 0")


def _sentence(error: sqlite3.Error, path: Path) -> Exception:
    """Return what a user should read of an error of the database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return NightBusyError(f"Another process is writing {path}; try again when it is done.")
    if code in REFUSED:
        return StorageError(f"The disk refuses {path} ({error}): free some space or mend its permissions.")
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):  # a fault of ours
        return error
    return damaged(path, error)
