"""The guider during a focus run: its troubles are reported with the result, and stop nothing."""

import asyncio
import math
from collections.abc import Callable

from alpaca_focus.core.errors import DeviceError
from alpaca_focus.ports import Clock, Guider
from alpaca_focus.run.restore_path import Abort

RESUME_WITHIN_S = 2.0
"""Wait for guiding to go on where a steady star is not waited for; in real seconds, as guiders have."""


class PausedGuider:
    """Pauses a guider while the focus moves, or only waits for it.

    Args:
        guider: The guider; `None`: there is none.
        clock: Time.
        abort: After an abort a steady star is not waited for.
        note: Adds a trouble to the result, as a sentence.
    """

    def __init__(self, guider: Guider | None, clock: Clock, abort: Abort, note: Callable[[str], None]) -> None:
        self._guider = guider
        self._clock = clock
        self._abort = abort
        self._note = note
        self._is_paused = False
        self._waited_in_vain = False

    async def pause(self) -> None:
        """Pause guiding."""
        if self._guider is None:
            return
        self._is_paused = True
        try:
            await self._guider.pause()
        except DeviceError as error:
            # Focusing while guiding works, if less well.
            self._note(f"Guiding could not be paused: {error}")

    async def after_move(self) -> None:
        """Wait for a steady star before an exposure; no more in this run once that was in vain."""
        if self._guider is None or self._waited_in_vain:
            return
        try:
            await self._guider.after_move()
        except DeviceError as error:
            self._waited_in_vain = True
            self._note(f"From then on the run did not wait for the guide star any more: {error}")

    async def resume(self, *, within_s: float = math.inf) -> None:
        """Resume guiding if it is paused, and wait for a steady star; an abort meanwhile is only noted.

        Args:
            within_s: Seconds of the clock until the imaging program gets the camera.
        """
        if self._guider is None or not self._is_paused:
            return
        resuming = asyncio.create_task(self._guider.resume())
        try:
            if not self._abort.asked:
                await self._ended(resuming, within_s - RESUME_WITHIN_S)
        except asyncio.CancelledError:
            self._abort.asked = True
        await self._abort.see_through(_let_go(resuming, RESUME_WITHIN_S))
        self._is_paused = False
        if resuming.cancelled():
            why = "After the abort nobody" if self._abort.asked else "For the sake of the imaging program nobody"
            self._note(f"{why} waited until {self._guider.name} guided steadily again.")
            return
        try:
            resuming.result()
        except DeviceError as error:
            self._note(f"Guiding could not be resumed: {error} Look after {self._guider.name}.")

    async def _ended(self, resuming: asyncio.Task[None], within_s: float) -> None:
        if math.isinf(within_s):
            await asyncio.wait({resuming})
            return
        late = asyncio.create_task(self._clock.sleep(within_s))
        try:
            await asyncio.wait({resuming, late}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._abort.see_through(_let_go(late, 0.0))


async def _let_go(work: asyncio.Task[None], within_s: float) -> None:
    """Wait a while for the end of something, then cancel it."""
    await asyncio.wait({work}, timeout=within_s)
    work.cancel()
    await asyncio.wait({work})
