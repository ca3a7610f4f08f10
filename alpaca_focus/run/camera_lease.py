"""The lease of the camera: acquired in a gap of the imaging program, released with the camera's settings restored."""

import math
from dataclasses import dataclass
from typing import Self

import structlog

from alpaca_focus.core.errors import ConfigurationError, DeviceError
from alpaca_focus.ports import CameraSharing, FilterWheel
from alpaca_focus.run.camera_marker import CameraSettingsGuard
from alpaca_focus.run.restore_path import Abort

TRIES = 3
"""Attempts to turn the wheel back: a wheel that sticks often moves at the second one."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterTurn:
    """A change of filter for the duration of a lease.

    Attributes:
        slot: Slot during the lease.
        back_to: Slot before and after the lease.
    """

    wheel: FilterWheel
    slot: int
    back_to: int


def filter_turn(wheel: FilterWheel | None, name: str | None, back_to: str | None) -> FilterTurn | None:
    """Return the turn from the filter `back_to` to the filter `name`; `None` if nothing has to turn.

    Raises:
        ConfigurationError: The wheel has no such filter.
    """
    if wheel is None or name is None or back_to is None or name == back_to:
        return None
    return FilterTurn(wheel=wheel, slot=slot_of(wheel, name), back_to=slot_of(wheel, back_to))


def slot_of(wheel: FilterWheel, name: str) -> int:
    """Return the slot of a filter.

    Raises:
        ConfigurationError: The wheel has no such filter.
    """
    if name not in wheel.names:
        raise ConfigurationError(f"{wheel.name} has no filter {name}; its filters are {', '.join(wheel.names)}.")
    return wheel.names.index(name)


class CameraLease:
    """The right of one focus run to use the camera, and the filter wheel with it; an async context manager.

    Entering acquires it, leaving releases it on every path. Inside, a run hands the camera over by `release` and
    `acquire`. Without an imaging program the lease is granted at once and without a limit.

    Args:
        settings: Saves and restores the camera's settings.
        abort: Records a cancellation during a release.
        sharing: Shares the camera with the imaging program; `None`: nobody else uses it.
        turn: To the filter of the run; `None`: the current filter.
    """

    def __init__(
        self,
        settings: CameraSettingsGuard,
        abort: Abort,
        *,
        sharing: CameraSharing | None = None,
        turn: FilterTurn | None = None,
    ) -> None:
        self._settings = settings
        self._abort = abort
        self._sharing = sharing
        self._turn = turn
        self._is_requested = self._is_turned = self._may_differ = False
        self.is_held = False

    async def __aenter__(self) -> Self:
        """Acquire it."""
        await self.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Release it.

        Raises:
            asyncio.CancelledError: An abort was requested, perhaps during the release.
        """
        await self.release()
        self._abort.check()

    @property
    def left_s(self) -> float:
        """Seconds of the clock until the lease must be released; infinite while the imaging program does not wait."""
        return math.inf if self._sharing is None else self._sharing.left_s

    async def acquire(self) -> None:
        """Wait for the next gap, acquire the camera, turn to the filter, and save the camera's settings.

        A call that fails or is cancelled releases everything.

        Raises:
            DeviceError: The camera cannot be acquired, or the wheel does not turn.
        """
        try:
            if self._sharing is not None:
                # Set before the call: a call cancelled at its very end may have acquired the camera.
                self._is_requested = True
                await self._sharing.acquire()
            if self._turn is not None:
                self._is_turned = True
                await self._turn.wheel.move_to(self._turn.slot)
            await self._settings.save()
        except BaseException:
            await self.release()
            self._abort.check()
            raise
        self.is_held = self._may_differ = True

    async def restore_settings(self) -> None:
        """Restore the camera's settings if they may have changed since the camera was acquired.

        Raises:
            DeviceError: They could not be restored; another call tries again.
        """
        if self._may_differ:
            await self._settings.restore()
            self._may_differ = False

    async def release(self) -> None:
        """Turn the filter wheel back and release the camera; does nothing if that has been done.

        Runs to its end also when the run is aborted meanwhile. Never raises a `DeviceError`.
        """
        # From here on another program may use the camera.
        self.is_held = False
        await self._abort.shield(self._release())

    async def _release(self) -> None:
        try:
            # The wheel first: once released, the imaging program exposes through whatever filter is current.
            if self._turn is not None and self._is_turned:
                self._is_turned = False
                await _turn_back(self._turn)
        finally:
            if self._sharing is not None and self._is_requested:
                await self._sharing.release()
                self._is_requested = False


async def _turn_back(turn: FilterTurn) -> None:
    """Turn the wheel back, with retries; a failure is logged."""
    for attempt in range(1, TRIES + 1):
        try:
            await turn.wheel.move_to(turn.back_to)
        except DeviceError as error:
            if attempt == TRIES:
                name = turn.wheel.names[turn.back_to]
                _log.error(f"The filter wheel could not be turned back to {name}: {error} Turn it by hand.")
        else:
            return
