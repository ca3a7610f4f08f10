"""A worker thread for blocking calls that can be abandoned without waiting for it."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from alpaca_focus.core.errors import DeviceTimeout, DeviceUnreachable
from alpaca_focus.devices.requester import Call, current_call
from alpaca_focus.devices.translate import DeviceRequest, invalid_reply, timed_out
from alpaca_focus.devices.transport import Deadline

T = TypeVar("T")

MAX_ABANDONED = 4
"""Calls that may hang in the operating system (for example in name resolution) before new ones are refused."""

_GRACE_S = 0.25
"""Time that a thread has to report its own missed deadline, whose message is better, before it is abandoned."""

_LONGEST_CLOSE_S = 1.0


class Worker:
    """One thread that executes one call after the other.

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
        """Accept calls again after a `close`."""
        self._is_closed = False

    async def run(self, request: DeviceRequest, work: Callable[[], T], *, timeout_s: float) -> T:
        """Run `work` in the thread; its time starts when earlier calls are done.

        Raises:
            DeviceUnreachable: The worker is closed.
            DeviceTimeout: The deadline has passed.
            DeviceMisbehaved: `work` raised ValueError, as the conversions and alpyca's enumerations do.
        """
        async with self._turn:
            if self._is_closed:
                raise _closed(request)
            self._abandoned = {future for future in self._abandoned if not future.done()}
            if len(self._abandoned) >= MAX_ABANDONED:
                raise DeviceTimeout(
                    request.device,
                    f"{request.text} was not requested from {request.device}: {len(self._abandoned)} earlier calls"
                    " still hang in the operating system. Check the network and its name server.",
                )
            return await self._run(Call(request, Deadline(timeout_s)), work)

    async def _run(self, call: Call, work: Callable[[], T]) -> T:
        def work_under_deadline() -> T:
            current_call.set(call)
            try:
                return work()
            except ValueError as error:
                raise invalid_reply(call.request, str(error)) from error

        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._name)
        future = self._executor.submit(work_under_deadline)
        self._running = (call, future)
        try:
            async with asyncio.timeout(call.deadline.duration_s + _GRACE_S):
                return await asyncio.wrap_future(future)
        except DeviceUnreachable as error:
            if self._is_closed:
                raise _closed(call.request) from error
            raise
        except TimeoutError as error:
            self._abandon(call, future)
            raise timed_out(call.request, call.deadline.duration_s) from error
        except asyncio.CancelledError:
            self._abandon(call, future)
            raise
        finally:
            self._running = None

    def _abandon(self, call: Call, future: Future[Any]) -> None:
        call.deadline.cut()
        self._release_thread()
        if not future.done():
            self._abandoned.add(future)

    def _release_thread(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)

    async def close(self) -> None:
        """Cut the running call, release the thread, and wait up to a second for it to end. May be called twice."""
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
                wait.exception()  # already reported to the caller, or the caller was cancelled
            for wait in pending:
                wait.cancel()


def _closed(request: DeviceRequest) -> DeviceUnreachable:
    return DeviceUnreachable(
        request.device, f"{request.text} of {request.device} was given up: its connection has been closed."
    )


async def shield_until_done(coroutine: Coroutine[object, object, None]) -> None:
    """Run a short, bounded coroutine to its end, even if the calling task is cancelled meanwhile.

    Raises:
        asyncio.CancelledError: The task was cancelled; raised once the coroutine has ended.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
