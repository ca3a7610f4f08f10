"""The guider during a focus run: its errors are added to the result and do not end the run."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from alpaca_focus.core.errors import DeviceError
from alpaca_focus.ports import Clock, Guider
from alpaca_focus.run.restore_path import Abort

RESUME_WITHIN_S = 2.0
"""Wait for the resume command alone, without a settled star; real seconds, since guiders know no other clock."""


@dataclass(slots=True)
class PausedGuider:
    """Pauses guiding during a run, or only waits for it to settle after each move.

    Attributes:
        abort: After an abort `resume` does not wait for the star to settle.
        note: Adds a sentence to the result.
    """

    guider: Guider | None
    clock: Clock
    abort: Abort
    note: Callable[[str], None]
    _is_paused: bool = field(default=False, init=False)
    _has_failed_to_settle: bool = field(default=False, init=False)

    async def pause(self) -> None:
        """Pause guiding."""
        if self.guider is None:
            return
        self._is_paused = True
        try:
            await self.guider.pause()
        except DeviceError as error:
            # A run with active guiding is less accurate, but better than none.
            self.note(f"Guiding could not be paused: {error}")

    async def after_move(self) -> None:
        """Wait until guiding has settled, before an exposure; after one failure the run does not wait again."""
        if self.guider is None or self._has_failed_to_settle:
            return
        try:
            await self.guider.after_move()
        except DeviceError as error:
            self._has_failed_to_settle = True
            self.note(f"Guiding did not settle, so that later exposures did not wait for it: {error}")

    async def resume(self, *, within_s: float = math.inf) -> None:
        """Resume guiding if it is paused and wait until it has settled; an abort meanwhile is only recorded.

        Args:
            within_s: Seconds of the clock until the imaging program gets the camera.
        """
        if self.guider is None or not self._is_paused:
            return
        resuming = asyncio.create_task(self.guider.resume())
        try:
            if not self.abort.requested:
                await self._wait_for(resuming, within_s - RESUME_WITHIN_S)
        except asyncio.CancelledError:
            self.abort.requested = True
        await self.abort.shield(_finish_or_cancel(resuming, RESUME_WITHIN_S))
        self._is_paused = False
        if resuming.cancelled():
            why = "the run was aborted" if self.abort.requested else "the imaging program needed the camera"
            self.note(f"{self.guider.name} was resumed without waiting until it settled: {why}.")
            return
        try:
            resuming.result()
        except DeviceError as error:
            self.note(f"Guiding could not be resumed: {error} Check {self.guider.name}.")

    async def _wait_for(self, resuming: asyncio.Task[None], within_s: float) -> None:
        if math.isinf(within_s):
            await asyncio.wait({resuming})
            return
        late = asyncio.create_task(self.clock.sleep(within_s))
        try:
            await asyncio.wait({resuming, late}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self.abort.shield(_finish_or_cancel(late, 0.0))


async def _finish_or_cancel(work: asyncio.Task[None], within_s: float) -> None:
    """Wait for a task for a limited time, then cancel it."""
    await asyncio.wait({work}, timeout=within_s)
    work.cancel()
    await asyncio.wait({work})
