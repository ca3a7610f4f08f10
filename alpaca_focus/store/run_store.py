"""The history: every focus run with all of its frames, the learned curves, light frames and the night's state.

One SQLite file. Each write is one transaction, on disk before it returns, so that a power cut loses nothing that was
reported as saved. A damaged file is renamed, never deleted, and a new one is created.
"""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from alpaca_focus.core.curves.learned_curve import LearnedCurve
from alpaca_focus.core.errors import StorageError
from alpaca_focus.core.values import FocusResult, Light, SavedNotice, SavedRun

FILE_NAME = "alpaca-focus.sqlite3"
BUSY_S = 5.0
MIGRATIONS = (
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        started_at TEXT NOT NULL,
        trigger TEXT NOT NULL,
        outcome TEXT NOT NULL,
        filter_name TEXT,
        result TEXT NOT NULL
    );
    CREATE TABLE profiles (
        train TEXT NOT NULL,
        filter_name TEXT NOT NULL,
        profile TEXT NOT NULL,
        PRIMARY KEY (train, filter_name)
    );
    """,
    "CREATE TABLE night (number INTEGER PRIMARY KEY CHECK (number = 1), state TEXT NOT NULL);",
    """
    CREATE TABLE lights (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        ended_at TEXT NOT NULL,
        hfd_px REAL NOT NULL,
        position INTEGER,
        filter_name TEXT,
        temperature_c REAL
    );
    """,
    """
    CREATE TABLE notices (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        title TEXT NOT NULL,
        text TEXT NOT NULL
    );
    """,
)
"""Each brings a file from one version to the next; a released one is never changed."""

_RESULT = TypeAdapter(FocusResult)
_PROFILE = TypeAdapter(LearnedCurve)
_LIGHT = TypeAdapter(Light)


class RunStore:
    """The history in a folder; use it as a context manager.

    Args:
        directory: Folder of the file; created if it is missing.
        read_only: Whether the file must exist; nothing is created or repaired then.

    Attributes:
        notice: A sentence if the file was damaged and renamed; else empty.

    Raises:
        StorageError: The folder or the file cannot be used.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.path = directory / FILE_NAME
        self.notice = ""
        if read_only:
            if not self.path.is_file():
                raise StorageError(f"There is no history in {directory}: no run has been saved there yet.")
            self._connection = self._open()
            return
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The folder {directory} for the history cannot be created ({error.strerror}). Create it, or choose "
                "another storage.directory."
            ) from error
        try:
            self._connection = self._open()
        except StorageError:
            if not self.path.is_file() or not self._is_damaged():
                raise
            self.notice = self._rename_damaged()
            self._connection = self._open()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def save(self, result: FocusResult, *, trigger: str) -> int:
        """Save a run and return its number.

        Raises:
            StorageError: It could not be written.
        """
        number = self._write(
            "INSERT INTO runs (started_at, trigger, outcome, filter_name, result) VALUES (?, ?, ?, ?, ?)",
            (_utc(result.started_at), trigger, result.outcome.value, result.filter_name, _as_json(result)),
        ).lastrowid
        assert number is not None  # noqa: S101 - SQLite numbers every row
        return number

    def runs(self, *, last: int | None = None, since: datetime | None = None) -> tuple[SavedRun, ...]:
        """Return the runs, the newest first.

        Args:
            last: At most so many; `None`: all.
            since: Only runs that began then or later; `None`: all.

        Raises:
            StorageError: They could not be read.
        """
        query = "SELECT number, trigger, result FROM runs WHERE started_at >= ? ORDER BY number DESC LIMIT ?"
        begin = "" if since is None else _utc(since)
        return tuple(_saved_run(row) for row in self._rows(query, (begin, -1 if last is None else last)))

    def run(self, number: int) -> SavedRun | None:
        """Return one run; `None` if there is no such number."""
        rows = self._rows("SELECT number, trigger, result FROM runs WHERE number = ?", (number,))
        return _saved_run(rows[0]) if rows else None

    def save_light(self, light: Light) -> None:
        """Save the measurement of a light frame of the imaging program.

        Raises:
            StorageError: It could not be written.
        """
        self._write(
            "INSERT INTO lights (ended_at, hfd_px, position, filter_name, temperature_c) VALUES (?, ?, ?, ?, ?)",
            (_utc(light.ended_at), light.hfd_px, light.position, light.filter_name, light.temperature_c),
        )

    def lights(self, *, last: int) -> tuple[Light, ...]:
        """Return the latest light frames, the newest first.

        Raises:
            StorageError: They could not be read.
        """
        query = "SELECT ended_at, hfd_px, position, filter_name, temperature_c FROM lights ORDER BY number DESC LIMIT ?"
        names = ("ended_at", "hfd_px", "position", "filter_name", "temperature_c")
        return tuple(_LIGHT.validate_python(dict(zip(names, row, strict=True))) for row in self._rows(query, (last,)))

    def save_notice(self, notice: SavedNotice) -> None:
        """Save a notice of the night.

        Raises:
            StorageError: It could not be written.
        """
        self._write(
            "INSERT INTO notices (at, kind, title, text) VALUES (?, ?, ?, ?)",
            (_utc(notice.at), notice.kind, notice.title, notice.text),
        )

    def notices(self, *, since: datetime) -> tuple[SavedNotice, ...]:
        """Return the notices since then, the oldest first.

        Raises:
            StorageError: They could not be read.
        """
        rows = self._rows("SELECT at, kind, title, text FROM notices WHERE at >= ? ORDER BY number", (_utc(since),))
        return tuple(
            SavedNotice(at=datetime.fromisoformat(str(at)), kind=str(kind), title=str(title), text=str(text))
            for at, kind, title, text in rows
        )

    def save_profile(self, train: str, filter_name: str | None, profile: LearnedCurve) -> None:
        """Save the learned curve of an optical train and filter in place of the previous one.

        Raises:
            StorageError: It could not be written.
        """
        self._write(
            "INSERT OR REPLACE INTO profiles (train, filter_name, profile) VALUES (?, ?, ?)",
            (train, filter_name or "", _as_json(profile)),
        )

    def profile(self, train: str, filter_name: str | None) -> LearnedCurve | None:
        """Return the learned curve of an optical train and filter; `None`: there is none."""
        rows = self._rows(
            "SELECT profile FROM profiles WHERE train = ? AND filter_name = ?", (train, filter_name or "")
        )
        try:
            return _PROFILE.validate_json(str(rows[0][0])) if rows else None
        except ValidationError:
            # Probably written by a later version: the curve is learned again.
            return None

    def shift_profiles(self, steps: int, *, learned_before: datetime) -> None:
        """Shift best focus of the curves learned before a time: the focuser counts from another zero since then.

        Raises:
            StorageError: They could not be read or written.
        """
        for train, filter_name in self._rows("SELECT train, filter_name FROM profiles", ()):
            profile = self.profile(str(train), str(filter_name))
            if profile is not None and profile.learned_at < learned_before:
                shifted = replace(profile, best_position=profile.best_position + steps)
                self.save_profile(str(train), str(filter_name), shifted)

    def save_night(self, state: str) -> None:
        """Save the state of the night, a text, in place of the previous one.

        Raises:
            StorageError: It could not be written.
        """
        self._write("INSERT OR REPLACE INTO night (number, state) VALUES (1, ?)", (state,))

    def night(self) -> str | None:
        """Return the state of the night; `None`: none was saved.

        Raises:
            StorageError: It could not be read.
        """
        rows = self._rows("SELECT state FROM night WHERE number = 1", ())
        return str(rows[0][0]) if rows else None

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        except sqlite3.Error as error:
            raise StorageError(f"The history {self.path} cannot be opened ({error}).") from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            self._migrate(connection)
        except (sqlite3.Error, StorageError) as error:
            connection.close()
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"The history {self.path} cannot be used ({error}). Check that the disk is neither full nor read-only."
            ) from error
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StorageError(
                f"The history {self.path} was written by a later version of alpaca-focus. Use that one, or choose "
                "another storage.directory."
            )
        for step, script in enumerate(MIGRATIONS[version:], start=version + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {step}; COMMIT;")

    def _is_damaged(self) -> bool:
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_S)) as connection:
                return bool(connection.execute("PRAGMA quick_check").fetchone() != ("ok",))
        except sqlite3.OperationalError:
            # Locked, unreadable, or the disk is full: the file itself may be good.
            return False
        except sqlite3.DatabaseError:
            return True

    def _rename_damaged(self) -> str:
        renamed = self.path.with_name(f"{self.path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
        try:
            self.path.rename(renamed)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"The history {self.path} is damaged and cannot be renamed ({error.strerror}). Move it away."
            ) from error
        return f"The history was damaged. It was renamed to {renamed}, and a new one was created."

    def _write(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        # Without an open transaction, SQLite makes one of each statement.
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise StorageError(
                f"The history {self.path} could not be written ({error}); the run itself is not affected. Check that "
                "the disk is neither full nor read-only."
            ) from error

    def _rows(self, query: str, parameters: tuple[object, ...]) -> list[tuple[object, ...]]:
        try:
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"The history {self.path} could not be read ({error}).") from error


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _as_json(value: FocusResult | LearnedCurve) -> str:
    # NaN stays NaN, which is not valid JSON: only this module reads the file.
    return to_json(value, inf_nan_mode="constants", fallback=dict).decode()


def _saved_run(row: tuple[object, ...]) -> SavedRun:
    number, trigger, result = row
    try:
        return SavedRun(number=int(str(number)), trigger=str(trigger), result=_RESULT.validate_json(str(result)))
    except ValidationError as error:
        raise StorageError(
            f"Run {number} of the history cannot be read: another version of alpaca-focus wrote it."
        ) from error
