"""Work on many files in several processes: results as they come, an end at once, no loss when one is killed."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


class Lost:
    """Stands for the result of a file whose process was killed twice over it."""


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(
    function: Callable[[Path], Result], paths: Sequence[Path], *, workers: int
) -> Iterator[tuple[Path, Result | Lost]]:
    """Apply a function to files in several processes, each with its result as it is finished.

    When a process is killed, the files that were being worked on are tried again, each alone; the one that kills its
    process again is lost, and the others go on. When the caller stops, the processes are ended at once.

    Args:
        function: What to do; a process is sent it by name.
        paths: The files.
        workers: Number of processes.
    """
    _start_server()
    waiting = deque(paths)
    while waiting:
        suspects = yield from _until_broken(function, waiting, workers)
        for path in suspects:
            lost = yield from _until_broken(function, deque([path]), 1)
            for each in lost:
                yield each, Lost()


def _until_broken(
    function: Callable[[Path], Result], waiting: deque[Path], workers: int
) -> Generator[tuple[Path, Result], None, list[Path]]:
    """Take files from those that wait until all are done or a process is killed; return those it may have had."""
    running: dict[Future[Result], Path] = {}
    with _pool(workers) as pool:
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                path = waiting.popleft()
                try:
                    running[pool.submit(function, path)] = path
                except BrokenProcessPool:
                    return [path, *running.values()]
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    return list(running.values())
                yield running.pop(future), result
    return []


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("forkserver"))
    finished = False
    try:
        yield pool
        finished = True
    finally:
        if not finished:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
        pool.shutdown(cancel_futures=True)


def _start_server() -> None:
    """Start the process that all others are forked from; it holds what they need, so that they start at once.

    It must not hear Ctrl-C, nor must its children, which this process ends itself: they would say it in tracebacks.
    """
    forkserver.set_forkserver_preload(["__main__", "alpaca_focus.files.measuring"])
    if threading.current_thread() is not threading.main_thread():
        forkserver.ensure_running()
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)
