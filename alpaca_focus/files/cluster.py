"""Measures many files on an existing Dask cluster, with the same reports in the order of the files.

Imported only when a cluster is requested, for `distributed` is an optional dependency.
"""

import asyncio
import logging
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from distributed import CancelledError, Client, Future
from distributed.comm.core import connect
from distributed.core import send_recv
from distributed.scheduler import KilledWorker

from alpaca_focus import __version__
from alpaca_focus.core.errors import ConfigurationError, FileUnreadable
from alpaca_focus.files.file_access import open_regular
from alpaca_focus.files.file_report import FileReport
from alpaca_focus.files.folder_watch import Stamp, file_stamp
from alpaca_focus.files.measuring import MeasureOptions, lost_report, measure_content, measure_file

CONNECTED_WITHIN_S = 10
PACKAGE = "alpaca_focus"
FILES_A_THREAD, MOST_FILES = 2, 200
"""Files in progress: per thread of the workers, and at most."""
MOST_SENT_BYTES = 256_000_000
"""Of all files being sent together; one file may exceed it alone."""
STAMPS_APART_NS = 2_000_000_000
"""Network shares may round the modification time of a file."""
CHECK_S, WORKERLESS_CHECKS = 5.0, 12
LOGGERS = ("distributed", "distributed.client", "distributed.core", "tornado", "tornado.application")


def measure_shared(
    path: str, absolute_path: str, stamp: Stamp, options: MeasureOptions, version: str
) -> FileReport | None:
    """Measure a file in a worker's own file system; return `None` if it is not the client's file.

    `path` is the one that the user named, for the report. The stamp and the version of this program are the client's.
    """
    _check_version(version)
    here = file_stamp(Path(absolute_path))
    if here is None or here.size_bytes != stamp.size_bytes or abs(here.changed_ns - stamp.changed_ns) > STAMPS_APART_NS:
        return None
    with suppress(FileUnreadable), open_regular(Path(absolute_path)) as file:
        return measure_content(Path(path), file, options)
    return None


def measure_sent(path: str, content: bytes, options: MeasureOptions, version: str) -> FileReport:
    """Measure a file whose content was sent to a worker; see `measure_shared`."""
    _check_version(version)
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return measure_content(Path(path), file, options)


def _check_version(version: str) -> None:
    if version != __version__:
        raise ConfigurationError(
            f"A worker that has joined the Dask cluster has alpaca-focus {__version__}, this computer {version}. "
            "Install the same version there."
        )


@dataclass(slots=True)
class _Task:
    """A file in progress; `sent_bytes` is 0 if the worker reads the file itself."""

    path: Path
    future: "Future[Any]"
    sent_bytes: int = 0


class Cluster:
    """A connection to a Dask cluster; a context manager. `address` has the form tcp://HOST:8786."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._closing = ExitStack()
        self._client: Any = None

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            ConfigurationError: There is no scheduler, or no worker, or one of another version.
        """
        try:
            self._closing.enter_context(_quiet())
            # Without a scheduler, a distributed.Client leaves threads behind: it is created only after an answer.
            asyncio.run(asyncio.wait_for(_greeted(self._address), CONNECTED_WITHIN_S))
            with warnings.catch_warnings():
                # distributed warns of different versions of any package; those that matter are checked here.
                warnings.simplefilter("ignore")
                self._client = Client(  # type: ignore[no-untyped-call]
                    self._address, timeout=CONNECTED_WITHIN_S, set_as_default=False
                )
            self._closing.enter_context(suppress(OSError))
            self._closing.callback(self._client.close)
            self._check_workers()
        except BaseException as error:
            self._closing.close()
            if not isinstance(error, OSError | ValueError):
                raise
            why = next(iter(str(error).splitlines()), "") or f"no answer within {CONNECTED_WITHIN_S} s"
            raise ConfigurationError(
                f"There is no Dask scheduler at {self._address} ({why}). Check that `dask scheduler` "
                "runs there, and that its address has the form tcp://HOST:8786."
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self._closing.close()

    def _check_workers(self) -> None:
        versions = self._client.get_versions(packages=[PACKAGE])
        if not versions["workers"]:
            raise ConfigurationError(
                f"The Dask cluster at {self._address} has no workers. Start some with `dask worker {self._address}`."
            )
        nodes = {"scheduler": versions["scheduler"], **versions["workers"]}
        for name, answer in nodes.items():
            version = (answer or {}).get("packages", {}).get(PACKAGE)
            if version == __version__:
                continue
            who = f"scheduler {self._address}" if name == "scheduler" else f"worker {name}"
            has = f"alpaca-focus {version}" if version else "no alpaca-focus"
            raise ConfigurationError(
                f"The Dask {who} has {has}, this computer {__version__}. Install the same version there, so that the "
                "results are the same."
            )

    def measure_files(
        self, paths: Sequence[Path], options: MeasureOptions, notify: Callable[[str], None]
    ) -> Generator[FileReport, None, None]:
        """Yield the reports of files in their order; cancel the work in progress when the caller stops.

        `notify` is called once, with a sentence, if the content of files has to be sent.

        Raises:
            ConfigurationError: The scheduler or all workers have gone.
        """
        threads = sum(self._client.nthreads().values())
        work = _Work(self._client, self._address, options, notify)
        most = min(MOST_FILES, max(2, FILES_A_THREAD * threads))
        waiting = deque(paths)
        try:
            while waiting or len(work):
                # The first file goes alone: it shows whether the workers see the files.
                while waiting and len(work) < (most if work.has_reported else 1) and work.has_room_for(waiting[0]):
                    work.begin(waiting.popleft())
                yield work.next_report()
        finally:
            work.cancel()


class _Work:
    """The files in progress, in their order."""

    def __init__(self, client: Any, address: str, options: MeasureOptions, notify: Callable[[str], None]) -> None:
        self._client, self._address, self._options, self._notify = client, address, options, notify
        self._tasks: deque[_Task | FileReport] = deque()
        self._sends = False
        self.has_reported = False

    def __len__(self) -> int:
        return len(self._tasks)

    def has_room_for(self, path: Path) -> bool:
        """Return whether a file can be started without sending too many bytes together."""
        if not self._sends or not self._tasks:
            return True
        stamp = file_stamp(path)
        sent_bytes = sum(task.sent_bytes for task in self._tasks if isinstance(task, _Task))
        return sent_bytes + (0 if stamp is None else stamp.size_bytes) <= MOST_SENT_BYTES

    def begin(self, path: Path) -> None:
        """Submit a file to the cluster; report it here if it is unreadable here."""
        if self._sends:
            self._tasks.append(self._sent(path))
        elif (stamp := file_stamp(path)) is None or not path.is_file():
            self._tasks.append(measure_file(path, self._options))
        else:
            self._tasks.append(_Task(path, self._submit(measure_shared, path, str(path.absolute()), stamp)))

    def next_report(self) -> FileReport:
        """Wait for the file that was started first."""
        while isinstance(task := self._tasks[0], _Task):
            report = self._outcome(task)
            self.has_reported = True
            if report is None and not self._sends:
                self._notify("The workers have no files under these paths. Sending their content.")
                self._sends = True
            # The task stays the first one in the queue until it has a report, so that `cancel` includes it.
            self._tasks[0] = self._sent(task.path) if report is None else report
        self._tasks.popleft()
        return task

    def cancel(self) -> None:
        """Cancel the work in progress."""
        futures = [task.future for task in self._tasks if isinstance(task, _Task)]
        self._tasks.clear()
        if futures and self._client.status == "running":
            with suppress(OSError):
                self._client.cancel(futures)

    def _sent(self, path: Path) -> _Task | FileReport:
        try:
            content = path.read_bytes()
        except OSError:
            return measure_file(path, self._options)
        return _Task(path, self._submit(measure_sent, path, content), len(content))

    def _submit(self, function: Callable[..., FileReport | None], path: Path, *arguments: object) -> "Future[Any]":
        arguments = (str(path), *arguments, self._options, __version__)
        with warnings.catch_warnings():
            # distributed warns of large arguments; MOST_SENT_BYTES bounds them.
            warnings.filterwarnings("ignore", "Sending large graph")
            return cast("Future[Any]", self._client.submit(function, *arguments, pure=False))

    def _outcome(self, task: _Task) -> FileReport | None:
        workerless = 0
        while True:
            try:
                return cast("FileReport | None", task.future.result(timeout=CHECK_S))
            except KilledWorker:
                return lost_report(task.path, self._options)
            except CancelledError:
                raise ConfigurationError(
                    f"The Dask scheduler {self._address} has stopped, or the work was cancelled. The files from "
                    f"{task.path} on were not measured."
                ) from None
            except TimeoutError:
                has_workers = False
                # Without its scheduler, the client reconnects; if that fails, it cancels the work.
                with suppress(OSError):
                    has_workers = bool(self._client.nthreads())
                workerless = 0 if has_workers else workerless + 1
                if workerless > WORKERLESS_CHECKS:
                    raise ConfigurationError(
                        f"All workers of the Dask cluster at {self._address} have stopped. The files from {task.path} "
                        "on were not measured."
                    ) from None


async def _greeted(address: str) -> None:
    """Request the identity of a scheduler, to check that it answers."""
    comm = await connect(address, timeout=CONNECTED_WITHIN_S)  # type: ignore[no-untyped-call]
    try:
        await send_recv(comm, op="identity", reply=True)
    finally:
        comm.abort()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the library's log; failures are raised as sentences."""
    levels = {logger: logger.level for logger in map(logging.getLogger, LOGGERS)}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
