"""The camera of a focus run, which an imaging program may use as well: whose it is, and how it is given back."""

import math

from alpaca_focus.ports import Camera, CameraShare
from alpaca_focus.runtime.abort import Abort


class SharedCamera:
    """A camera that is taken, used and given back as it was found; without a share it is always there.

    Args:
        camera: The camera.
        share: Whose turn it is; `None`: nobody else uses it.
        abort: Of the run.
    """

    def __init__(self, camera: Camera, share: CameraShare | None, abort: Abort) -> None:
        self._camera = camera
        self._share = share
        self._abort = abort
        self._asked_for = False
        self._is_ours = False
        self._has_its_own_settings = True

    @property
    def is_ours(self) -> bool:
        """Whether it may be touched."""
        return self._is_ours

    def left_s(self) -> float:
        """Return the seconds of the clock until it has to be given back; infinite while nobody waits for it."""
        return math.inf if self._share is None else self._share.left_s()

    async def take(self) -> None:
        """Wait for the next gap in the imaging, and take it."""
        if self._share is not None:
            self._asked_for = True
            await self._share.take()
        self._is_ours = True

    async def remember_settings(self) -> None:
        """Note its own settings, before the first exposure after it was taken."""
        await self._camera.remember_settings()
        self._has_its_own_settings = False

    async def restore_settings(self) -> None:
        """Put its own settings back, if they may have been changed since it was taken."""
        if self._has_its_own_settings:
            return
        await self._camera.restore_settings()
        self._has_its_own_settings = True

    async def stop_exposing(self) -> None:
        """End an exposure of the run."""
        await self._camera.abort()

    async def give_back(self) -> None:
        """Let the imaging program have it again, to the end even when asked to stop; that is only noted."""
        # From here on it may be in use elsewhere.
        self._is_ours = False
        if self._share is not None and self._asked_for:
            await self._abort.see_through(self._share.give_back())
            self._asked_for = False
