"""Blocking work that may hang in the operating system, and that nobody has to wait for."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T], within_s: float) -> T:
    """Carry out something blocking in a thread of its own; one that hangs does not hold up the end of the program.

    Raises:
        TimeoutError: It has not ended in time.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def deliver(done: Future[T]) -> None:
        if outcome.done():
            return
        error = done.exception()
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(done.result())

    def carry_out() -> None:
        done: Future[T] = Future()
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - it is raised again in the loop
            done.set_exception(error)
        try:
            loop.call_soon_threadsafe(deliver, done)
        except RuntimeError:
            # The loop has ended: nobody waits any more.
            return

    threading.Thread(target=carry_out, name="aside", daemon=True).start()
    async with asyncio.timeout(within_s):
        return await outcome
