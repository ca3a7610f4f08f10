"""The virtual camera: the real one, but that a focus run may come between two exposures."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.replies import ApiRequest
from alpaca_focus.alpaca.standard import DeviceType, Scalar
from alpaca_focus.gateway.camera_program import HIDDEN, SETTINGS, ProgramSettings
from alpaca_focus.gateway.engine import Engine
from alpaca_focus.gateway.fronts import PASS_ON, WAY_HOME_S, Front
from alpaca_focus.gateway.shutter import CAMERA_ERROR, CAMERA_IDLE, CAMERA_WAITING, Shutter
from alpaca_focus.gateway.upstream import Upstream


class CameraFront(Front):
    """The camera as the imaging program sees it.

    While an exposure waits the camera is waiting; while a focus run has it and no exposure waits it is idle. What a
    focus run does with it is not to be seen: settings and last exposure are those of the imaging program.
    """

    device_type = DeviceType.CAMERA

    def __init__(self, upstream: Upstream, engine: Engine, shutter: Shutter) -> None:
        super().__init__(upstream, engine)
        self._shutter = shutter
        self._answers |= {
            ("PUT", "startexposure"): self._start,
            ("PUT", "abortexposure"): self._abort,
            ("PUT", "stopexposure"): self._stop,
            ("GET", "camerastate"): self._state,
            ("GET", "imageready"): self._image_ready,
            ("GET", "percentcompleted"): self._percent_completed,
            ("GET", "imagearray"): self._image,
            ("GET", "imagearrayvariant"): self._image,
        }
        self._answers |= {("GET", member): self._hidden for member in HIDDEN}
        self._answers |= {("PUT", member): self._set for member in SETTINGS}

    @override
    async def leave(self) -> None:
        """Drop the exposure that waits, and let the focuser go home."""
        if self._shutter.drop("the imaging program disconnects from the camera"):
            await self._shutter.until_given_back(WAY_HOME_S)

    # Exposures

    async def _start(self, request: ApiRequest, arguments: list[Scalar]) -> object:
        exposure_s, light = float(arguments[0]), bool(arguments[1])
        if await self._shutter.hold(exposure_s=exposure_s, light=light):
            return None
        return await self._carried_out(request, lambda: self._shutter.began(exposure_s=exposure_s, light=light))

    async def _abort(self, request: ApiRequest, _arguments: list[Scalar]) -> object:
        if self._shutter.drop("the imaging program has aborted its exposure"):
            self._shutter.aborted()
            if self._shutter.taken:
                return None
        # The camera itself is asked in any case: the exposure may be beginning in this very moment.
        async with self._shutter.beginning:
            return await self._carried_out(request, self._shutter.aborted)

    async def _stop(self, request: ApiRequest, _arguments: list[Scalar]) -> object:
        if self._shutter.held or self._shutter.taken:
            return await self._abort(request, _arguments)
        return await self._carried_out(request, self._shutter.stopped)

    # What there is to see

    async def _state(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        state = self._own_state()
        return PASS_ON if state is None else state

    def _own_state(self) -> int | None:
        if self._shutter.held:
            return CAMERA_WAITING
        if self._shutter.trouble is not None:
            return CAMERA_ERROR
        return CAMERA_IDLE if self._shutter.taken or self._shutter.is_hidden else None

    async def _image_ready(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        self._raise_trouble()
        return False if self._has_no_image() else PASS_ON

    async def _percent_completed(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        return 0 if self._has_no_image() else PASS_ON

    async def _image(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        self._raise_trouble()
        if self._has_no_image():
            why = "the exposure has not begun yet" if self._shutter.held else "the camera has been used for focusing"
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, f"There is no image: {why}.")
        return PASS_ON

    def _has_no_image(self) -> bool:
        return self._shutter.held or self._shutter.taken or self._shutter.is_hidden

    def _raise_trouble(self) -> None:
        if self._shutter.trouble is not None:
            raise self._shutter.trouble

    @override
    def _state_that_differs(self) -> Mapping[str, Any]:
        state = self._own_state()
        if state is None:
            return {}
        return {"CameraState": state, "ImageReady": False, "PercentCompleted": 0}

    # Settings

    def _program(self) -> ProgramSettings | None:
        return self._shutter.program

    async def _hidden(self, request: ApiRequest, _arguments: list[Scalar]) -> object:
        program = self._program()
        if program is None or (request.member in SETTINGS and not self._shutter.taken):
            return PASS_ON
        return program.get(request.member)

    async def _set(self, request: ApiRequest, arguments: list[Scalar]) -> object:
        program = self._program()
        if program is None or not self._shutter.taken:
            return PASS_ON
        value = arguments[0]
        assert isinstance(value, bool | int)  # noqa: S101 - the table of members says so of all of them
        await program.change(self.upstream, request.member, value)
        return None
