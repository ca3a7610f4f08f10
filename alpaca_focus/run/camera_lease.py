"""The camera of a focus run: acquired in a gap of the imaging program, and released as it was found."""

import math
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from alpaca_focus.core.errors import ConfigurationError, DeviceError
from alpaca_focus.ports import Camera, CameraSharing, FilterWheel
from alpaca_focus.run.restore_path import Abort

TRIES = 3
"""To turn the wheel back: a wheel that sticks often moves at the second try."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterTurn:
    """A filter that is in the light path only during a lease.

    Attributes:
        wheel: Is turned.
        slot: During the lease.
        back_to: Slot before the lease and after it.
    """

    wheel: FilterWheel
    slot: int
    back_to: int


def filter_turn(wheel: FilterWheel | None, name: str | None, back_to: str | None) -> FilterTurn | None:
    """Return the turn to a filter and back; `None` where there is nothing to turn.

    Args:
        wheel: The wheel.
        name: Filter of the run.
        back_to: The current filter.

    Raises:
        ConfigurationError: The wheel has no such filter.
    """
    if wheel is None or name is None or back_to is None or name == back_to:
        return None
    return FilterTurn(wheel=wheel, slot=slot_of(wheel, name), back_to=slot_of(wheel, back_to))


def slot_of(wheel: FilterWheel, name: str) -> int:
    """Return the slot of a filter.

    Raises:
        ConfigurationError: There is no such filter.
    """
    if name not in wheel.names:
        raise ConfigurationError(f"{wheel.name} has no filter {name}: it has {', '.join(wheel.names)}.")
    return wheel.names.index(name)


class CameraLease:
    """The right of one focus run to use the camera, and the filter wheel with it; an async context manager.

    Entering acquires it, leaving releases it on every path. Inside, a run hands the camera over by `release` and
    `acquire`. Without an imaging program it is there at once, and nobody asks for it back.

    Args:
        camera: The camera.
        abort: Of the run; a cancellation during a release is noted there.
        sharing: Shares the camera with the imaging program; `None`: nobody else uses it.
        turn: To the filter of the run; `None`: the current one.
    """

    def __init__(
        self, camera: Camera, abort: Abort, *, sharing: CameraSharing | None = None, turn: FilterTurn | None = None
    ) -> None:
        self._camera = camera
        self._abort = abort
        self._sharing = sharing
        self._turn = turn
        self._is_asked_for = self._is_turned = self._may_differ = False
        self.is_held = False

    async def __aenter__(self) -> Self:
        """Acquire it."""
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release it.

        Raises:
            asyncio.CancelledError: The run was asked to stop, perhaps during the release.
        """
        await self.release()
        self._abort.check()

    @property
    def left_s(self) -> float:
        """Seconds of the clock until it has to be released; infinite while nobody waits for it."""
        return math.inf if self._sharing is None else self._sharing.left_s

    async def acquire(self) -> None:
        """Wait for the next gap, acquire the camera, turn to the filter, note the camera's own settings.

        A call that fails or is cancelled has released everything.

        Raises:
            DeviceError: The camera cannot be had, or the wheel does not turn.
        """
        try:
            if self._sharing is not None:
                # Before the call: one that is cancelled at its very end may have acquired the camera.
                self._is_asked_for = True
                await self._sharing.acquire()
            if self._turn is not None:
                self._is_turned = True
                await self._turn.wheel.move_to(self._turn.slot)
            await self._camera.save_settings()
        except BaseException:
            await self.release()
            self._abort.check()
            raise
        self.is_held = self._may_differ = True

    async def restore_settings(self) -> None:
        """Put the camera's own settings back, if they may have been changed since it was acquired.

        Raises:
            DeviceError: They could not be put back; another call tries again.
        """
        if self._may_differ:
            await self._camera.restore_settings()
            self._may_differ = False

    async def release(self) -> None:
        """Turn back to the filter and let the imaging program have the camera; harmless when it has it already.

        It is carried out to its end even when the run is asked to stop meanwhile. Never raises a `DeviceError`.
        """
        # From here on another program may use the camera.
        self.is_held = False
        await self._abort.see_through(self._release())

    async def _release(self) -> None:
        try:
            if self._turn is not None and self._is_turned:
                self._is_turned = False
                await _turn_back(self._turn)
        finally:
            if self._sharing is not None and self._is_asked_for:
                await self._sharing.release()
                self._is_asked_for = False


async def _turn_back(turn: FilterTurn) -> None:
    """Turn the wheel back, patiently; a failure is logged, for a person to turn it."""
    for attempt in range(1, TRIES + 1):
        try:
            await turn.wheel.move_to(turn.back_to)
        except DeviceError as error:
            if attempt == TRIES:
                name = turn.wheel.names[turn.back_to]
                _log.error(f"The filter {name} could not be put back: {error} Turn the wheel by hand.")
        else:
            return
