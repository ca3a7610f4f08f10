"""An abort of a focus run, which must not keep it from tidying up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Abort:
    """Whether a run was asked to stop.

    Attributes:
        asked: Whether it was, once or many times.
    """

    def __init__(self) -> None:
        self.asked = False

    def check(self) -> None:
        """Stop here if the run was asked to.

        Raises:
            asyncio.CancelledError: It was.
        """
        if self.asked:
            raise asyncio.CancelledError

    async def see_through(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry something out to its end even when asked to stop meanwhile; that is noted."""
        task = asyncio.create_task(work)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                self.asked = True
        return task.result()
