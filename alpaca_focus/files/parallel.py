"""Applies a function to many files in several processes, and survives the death of a process."""

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
    """The result for a file over which two processes were killed."""


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(
    function: Callable[[Path], Result], paths: Sequence[Path], *, workers: int
) -> Iterator[tuple[Path, Result | Lost]]:
    """Yield each file with its result, in the order in which they are finished.

    When a process is killed, the files in progress are tried again, each alone; the one that kills its process again is
    lost. When the caller stops, the processes are ended at once. The function is pickled by name.
    """
    _start_server()
    waiting = deque(paths)
    while waiting:
        for path in (yield from _until_broken(function, waiting, workers)):
            for lost in (yield from _until_broken(function, deque([path]), 1)):
                yield lost, Lost()


def _until_broken(
    function: Callable[[Path], Result], waiting: deque[Path], workers: int
) -> Generator[tuple[Path, Result], None, list[Path]]:
    """Yield results until all files are done or a process is killed; return the files it may have had."""
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
    """Start the process that all others are forked from, with their imports done.

    It and its children ignore Ctrl-C, which they would answer with tracebacks; this process ends them itself.
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
