"""A camera that is shared, and a filter of its own for the focus run: the imaging program gets its own filter back."""

from alpaca_focus.core.errors import DeviceError
from alpaca_focus.ports import CameraShare, FilterWheel
from alpaca_focus.runtime.wheel import slot_of, turn_back


class FilteredShare:
    """Turns to a filter when the camera is taken, and back before it is given back; implements `ports.CameraShare`.

    Args:
        share: Of the camera.
        wheel: The wheel.
        name: Filter of the run.
        back_to: Filter of the imaging program.

    Raises:
        ConfigurationError: The wheel has no such filter.
    """

    def __init__(self, share: CameraShare, wheel: FilterWheel, *, name: str, back_to: str) -> None:
        self._share = share
        self._wheel = wheel
        self._slot, self._home = slot_of(wheel, name), slot_of(wheel, back_to)
        self._is_turned = False

    async def take(self) -> None:
        """Wait for the next gap, take the camera, turn to the filter.

        Raises:
            DeviceError: The camera cannot be had, or the wheel does not turn.
        """
        await self._share.take()
        self._is_turned = True
        try:
            await self._wheel.move_to(self._slot)
        except DeviceError:
            await self.give_back()
            raise

    def left_s(self) -> float:
        """Return the seconds of the clock until it has to be given back."""
        return self._share.left_s()

    async def give_back(self) -> None:
        """Turn back, then let the imaging program have the camera again. Never raises a `DeviceError`."""
        try:
            if self._is_turned:
                self._is_turned = False
                await turn_back(self._wheel, self._home)
        finally:
            await self._share.give_back()
