"""What is kept from night to night: every focus run with all of its frames, and the learned V-curves.

One SQLite file. Each write is one transaction, on disk before it returns, so that a power cut loses nothing that was
reported as kept. A file that is damaged is put aside, never deleted, and a new one is begun.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from alpaca_focus.core.curves.learned_curve import LearnedCurve
from alpaca_focus.core.errors import StorageError
from alpaca_focus.core.values import FocusResult, Light

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
)
"""Each brings a file from one version to the next; what has once been released is never changed."""

_RESULT = TypeAdapter(FocusResult)
_PROFILE = TypeAdapter(LearnedCurve)
_LIGHT = TypeAdapter(Light)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """A run as it was kept.

    Attributes:
        number: Its number, counted up.
        trigger: Why it was started.
        result: All of it.
    """

    number: int
    trigger: str
    result: FocusResult


class RunStore:
    """The kept runs and profiles; use it as a context manager.

    Args:
        directory: Folder of the file; made if it is missing.
        read_only: Whether only to look: nothing is made or mended then.

    Attributes:
        notice: A sentence when the file was damaged and put aside; else empty.

    Raises:
        StorageError: The folder or the file cannot be used.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        self.path = directory / FILE_NAME
        self.notice = ""
        if read_only:
            if not self.path.is_file():
                raise StorageError(f"There is no history in {directory}: no run has been kept there yet.")
            self._connection = self._open()
            return
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"The folder {directory} for the history cannot be made ({error.strerror}). Make it, or choose another "
                "one as storage.directory."
            ) from error
        try:
            self._connection = self._open()
        except StorageError:
            if not self.path.is_file() or not self._is_damaged():
                raise
            self.notice = self._put_aside()
            self._connection = self._open()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._connection.close()

    def save(self, result: FocusResult, *, trigger: str) -> int:
        """Keep a run.

        Returns:
            Its number.

        Raises:
            StorageError: It could not be written.
        """
        with self._transaction():
            cursor = self._connection.execute(
                "INSERT INTO runs (started_at, trigger, outcome, filter_name, result) VALUES (?, ?, ?, ?, ?)",
                (
                    result.started_at.astimezone(UTC).isoformat(),
                    trigger,
                    result.outcome.value,
                    result.filter_name,
                    _as_json(result),
                ),
            )
        number = cursor.lastrowid
        assert number is not None  # noqa: S101 - SQLite numbers every row
        return number

    def runs(self, *, last: int | None = None, since: datetime | None = None) -> tuple[KeptRun, ...]:
        """Return the runs, the newest first.

        Args:
            last: At most so many; `None`: all.
            since: Those that have begun then or later; `None`: all.

        Raises:
            StorageError: They could not be read.
        """
        query = "SELECT number, trigger, result FROM runs WHERE started_at >= ? ORDER BY number DESC LIMIT ?"
        begin = "" if since is None else since.astimezone(UTC).isoformat()
        return tuple(_kept(row) for row in self._rows(query, (begin, -1 if last is None else last)))

    def run(self, number: int) -> KeptRun | None:
        """Return one run; `None` if there is no such number."""
        rows = self._rows("SELECT number, trigger, result FROM runs WHERE number = ?", (number,))
        return _kept(rows[0]) if rows else None

    def save_light(self, light: Light) -> None:
        """Keep what a light frame of the imaging program has said.

        Raises:
            StorageError: It could not be written.
        """
        with self._transaction():
            self._connection.execute(
                "INSERT INTO lights (ended_at, hfd_px, position, filter_name, temperature_c) VALUES (?, ?, ?, ?, ?)",
                (
                    light.ended_at.astimezone(UTC).isoformat(),
                    light.hfd_px,
                    light.position,
                    light.filter_name,
                    light.temperature_c,
                ),
            )

    def lights(self, *, last: int) -> tuple[Light, ...]:
        """Return the latest light frames, the newest first.

        Raises:
            StorageError: They could not be read.
        """
        query = "SELECT ended_at, hfd_px, position, filter_name, temperature_c FROM lights ORDER BY number DESC LIMIT ?"
        names = ("ended_at", "hfd_px", "position", "filter_name", "temperature_c")
        rows = self._rows(query, (last,))
        return tuple(_LIGHT.validate_python(dict(zip(names, row, strict=True))) for row in rows)

    def save_profile(self, train: str, filter_name: str | None, profile: LearnedCurve) -> None:
        """Keep what is known of the V-curve of an optical train and filter, in place of what was known before.

        Raises:
            StorageError: It could not be written.
        """
        with self._transaction():
            self._connection.execute(
                "INSERT INTO profiles (train, filter_name, profile) VALUES (?, ?, ?) "
                "ON CONFLICT (train, filter_name) DO UPDATE SET profile = excluded.profile",
                (train, filter_name or "", _as_json(profile)),
            )

    def profile(self, train: str, filter_name: str | None) -> LearnedCurve | None:
        """Return what is known of the V-curve of an optical train and filter; `None`: nothing."""
        query = "SELECT profile FROM profiles WHERE train = ? AND filter_name = ?"
        rows = self._rows(query, (train, filter_name or ""))
        try:
            return _PROFILE.validate_json(str(rows[0][0])) if rows else None
        except ValidationError:
            # Written by a later version, perhaps: the curve is learned anew.
            return None

    def save_night(self, state: str) -> None:
        """Keep the state of the night, a text, in place of the one before.

        Raises:
            StorageError: It could not be written.
        """
        with self._transaction():
            self._connection.execute(
                "INSERT INTO night (number, state) VALUES (1, ?) ON CONFLICT (number) DO UPDATE SET state = "
                "excluded.state",
                (state,),
            )

    def night(self) -> str | None:
        """Return the state of the night; `None`: none was kept.

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
        except sqlite3.Error as error:
            connection.close()
            raise StorageError(
                f"The history {self.path} cannot be used ({error}). If the disk is full or read-only, mend that."
            ) from error
        except StorageError:
            connection.close()
            raise
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
            # Locked, unreadable, or no room: the file itself may be good.
            return False
        except sqlite3.DatabaseError:
            return True

    def _put_aside(self) -> str:
        aside = self.path.with_name(f"{self.path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
        try:
            self.path.rename(aside)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"The history {self.path} is damaged and cannot be put aside ({error.strerror}). Move it away."
            ) from error
        return f"The history was damaged. It is kept as {aside}, and a new one was begun."

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(
                f"The history {self.path} could not be written ({error}). The run itself is not touched by that; look "
                "whether the disk is full or read-only."
            ) from error

    def _rows(self, query: str, parameters: tuple[object, ...]) -> list[tuple[object, ...]]:
        try:
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"The history {self.path} could not be read ({error}).") from error


def _as_json(value: FocusResult | LearnedCurve) -> str:
    # NaN is kept as NaN, which JSON itself does not know: the file is read back by this module alone.
    return to_json(value, inf_nan_mode="constants", fallback=dict).decode()


def _kept(row: tuple[object, ...]) -> KeptRun:
    number, trigger, result = row
    try:
        return KeptRun(number=int(str(number)), trigger=str(trigger), result=_RESULT.validate_json(str(result)))
    except ValidationError as error:
        raise StorageError(
            f"Run {number} of the history cannot be read: it is not what this version writes."
        ) from error
