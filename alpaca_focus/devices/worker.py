"""A worker thread for blocking calls, that can be given up without waiting for it."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from alpaca_focus.core.errors import DeviceTimeout, DeviceUnreachable
from alpaca_focus.devices.requester import Call, current_call
from alpaca_focus.devices.translate import timed_out

T = TypeVar("T")

MAX_ABANDONED = 4
"""Calls that may be stuck in the system (name resolution, say) before no more are begun."""

_GRACE_S = 0.25
"""Time that a thread has to report its own missed deadline, whose message is better, before it is given up."""

_LONGEST_CLOSE_S = 1.0


class Worker:
    """One thread that carries out one call after the other.

    A call that is cancelled or misses its deadline is cut: its connection is shut down, its thread ends as soon as
    it notices, and the next call gets a new thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn = asyncio.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._running: tuple[Call, Future[Any]] | None = None
        self._abandoned: set[Future[Any]] = set()
        self._is_closed = False

    def open(self) -> None:
        """Accept calls, after a `close` again."""
        self._is_closed = False

    async def run(self, work: Callable[[], T], make_call: Callable[[], Call]) -> T:
        """Carry out `work` in the thread; `make_call` starts the deadline once it is its turn.

        Raises:
            DeviceUnreachable: The worker is closed.
            DeviceTimeout: The deadline has passed.
        """
        async with self._turn:
            call = make_call()
            self._check_usable(call)
            return await self._run(work, call)

    def _check_usable(self, call: Call) -> None:
        device, text = call.question.device, call.question.text
        if self._is_closed:
            raise _closed(call)
        self._abandoned = {future for future in self._abandoned if not future.done()}
        if len(self._abandoned) >= MAX_ABANDONED:
            raise DeviceTimeout(
                device,
                f"{device} was not asked for {text}: {len(self._abandoned)} earlier calls still hang in the operating"
                " system. Check the network and its name server.",
            )

    async def _run(self, work: Callable[[], T], call: Call) -> T:
        def work_under_deadline() -> T:
            current_call.set(call)
            return work()

        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._name)
        future = self._executor.submit(work_under_deadline)
        self._running = (call, future)
        try:
            async with asyncio.timeout(call.deadline.duration_s + _GRACE_S):
                return await asyncio.wrap_future(future)
        except DeviceUnreachable as error:
            if self._is_closed:
                raise _closed(call) from error
            raise
        except TimeoutError as error:
            self._abandon(future, call)
            raise timed_out(call.question, call.deadline.duration_s) from error
        except asyncio.CancelledError:
            self._abandon(future, call)
            raise
        finally:
            self._running = None

    def _abandon(self, future: Future[Any], call: Call) -> None:
        call.deadline.cut()
        self._release_thread()
        if not future.done():
            self._abandoned.add(future)

    def _release_thread(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)

    async def close(self) -> None:
        """Cut the running call, let the thread go, and wait a moment for it to end. May be called twice."""
        self._is_closed = True
        ending = set(self._abandoned)
        if self._running is not None:
            call, future = self._running
            call.deadline.cut()
            ending.add(future)
        self._release_thread()
        waits = [asyncio.wrap_future(future) for future in ending if not future.done()]
        if waits:
            done, pending = await asyncio.wait(waits, timeout=_LONGEST_CLOSE_S)
            for wait in done:
                wait.exception()  # it has been reported to the caller, or its caller has gone
            for wait in pending:
                wait.cancel()


def _closed(call: Call) -> DeviceUnreachable:
    device, text = call.question.device, call.question.text
    return DeviceUnreachable(device, f"{text} of {device} was given up: its connection has been closed.")


async def see_through(coroutine: Coroutine[object, object, None]) -> None:
    """Carry out a short, bounded coroutine to its end, also when the calling task is cancelled meanwhile.

    Raises:
        asyncio.CancelledError: The task was cancelled; raised once the coroutine has ended.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
