"""The virtual camera: the real one, with focus runs hidden between its exposures."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.replies import ApiRequest, Reply, done_reply
from alpaca_focus.alpaca.standard import Scalar
from alpaca_focus.gateway.camera_arbiter import (
    AT_REST,
    CAMERA_ERROR,
    CAMERA_EXPOSING,
    CAMERA_IDLE,
    CAMERA_WAITING,
    CameraArbiter,
)
from alpaca_focus.gateway.engine import Engine
from alpaca_focus.gateway.saved_camera_settings import SAVED_MEMBERS, SETTING_MEMBERS
from alpaca_focus.gateway.upstream import Upstream
from alpaca_focus.gateway.virtual_devices import PASS_ON, RESTORE_WITHIN_S, VirtualDevice, has_succeeded


class VirtualCamera(VirtualDevice):
    """The camera with the imaging program's own settings and last exposure.

    Its state is Waiting while an exposure is held, and Idle while a focus run has the camera and none is held.
    """

    def __init__(self, upstream: Upstream, engine: Engine, arbiter: CameraArbiter) -> None:
        super().__init__(upstream, engine)
        self._arbiter = arbiter
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
        self._answers |= {("GET", member): self._hidden for member in SAVED_MEMBERS}
        self._answers |= {("PUT", member): self._set for member in SETTING_MEMBERS}

    @override
    async def before_disconnect(self) -> None:
        """Drop the exposure that waits, and end a run, so that it restores the focuser."""
        await self._arbiter.before_disconnect("the imaging program disconnects from the camera", RESTORE_WITHIN_S)

    # Exposures

    async def _start(self, request: ApiRequest, arguments: list[Scalar]) -> object:
        exposure_s, light = float(arguments[0]), bool(arguments[1])
        if await self._arbiter.hold(exposure_s=exposure_s, light=light):
            return None
        return await self._finish(self._passed_on(request, exposure_s, light=light))

    async def _passed_on(self, request: ApiRequest, exposure_s: float, *, light: bool) -> Reply:
        begun: bool | None = False
        try:
            await self._arbiter.saved.restore()
            self._arbiter.exposures.sending()
            reply = await self._sent(request)
            begun = has_succeeded(reply)
        finally:
            self._arbiter.passed_on(exposure_s=exposure_s, light=light, begun=begun)
        return reply

    async def _abort(self, request: ApiRequest, _arguments: list[Scalar]) -> object:
        is_beginning = self._arbiter.is_beginning
        if self._arbiter.drop("the imaging program has aborted its exposure") and not is_beginning:
            return None
        return await self._finish(self._aborted(request))

    async def _aborted(self, request: ApiRequest) -> Reply:
        async with self._arbiter.beginning:
            return await self._execute(request, self._arbiter.aborted)

    async def _stop(self, request: ApiRequest, arguments: list[Scalar]) -> object:
        if self._arbiter.held or self._arbiter.leased:
            return await self._abort(request, arguments)
        return await self._finish(self._execute(request, self._arbiter.exposures.stopped))

    # State and image

    async def _state(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        state = self._own_state()
        if state is None and self._arbiter.exposures.may_be_stale:
            state = await self.upstream.get("camerastate")
            return CAMERA_EXPOSING if state in AT_REST else state
        return PASS_ON if state is None else state

    def _own_state(self) -> int | None:
        if self._arbiter.held:
            return CAMERA_WAITING
        if self._arbiter.failure is not None:
            return CAMERA_ERROR
        return CAMERA_IDLE if self._arbiter.leased or self._arbiter.saved.is_hidden else None

    async def _image_ready(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        self._raise_failure()
        return False if self._has_no_image() or self._arbiter.exposures.may_be_stale else PASS_ON

    async def _percent_completed(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        return 0 if self._has_no_image() else PASS_ON

    async def _image(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        self._raise_failure()
        if self._has_no_image():
            why = "the exposure has not begun yet" if self._arbiter.held else "the camera has been used for focusing"
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, f"There is no image: {why}.")
        if self._arbiter.exposures.may_be_stale:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, "There is no image: the exposure is still under way.")
        self._arbiter.exposures.busy_now()
        return PASS_ON

    def _has_no_image(self) -> bool:
        return self._arbiter.held or self._arbiter.leased or self._arbiter.saved.is_hidden

    def _raise_failure(self) -> None:
        if self._arbiter.failure is not None:
            raise self._arbiter.failure

    @override
    def _state_overrides(self) -> Mapping[str, Any]:
        state = self._own_state()
        if state is not None:
            return {"CameraState": state, "ImageReady": False, "PercentCompleted": 0}
        return {"ImageReady": False} if self._arbiter.exposures.may_be_stale else {}

    # Settings

    async def _hidden(self, request: ApiRequest, _arguments: list[Scalar]) -> object:
        program = self._arbiter.saved.program
        if program is None or (request.member in SETTING_MEMBERS and not self._arbiter.saved.is_changed):
            return PASS_ON
        return program.get(request.member)

    async def _set(self, request: ApiRequest, arguments: list[Scalar]) -> object:
        return await self._finish(self._set_alone(request, arguments[0]))

    async def _set_alone(self, request: ApiRequest, value: Scalar) -> Reply:
        # A write between the read and the run's changes, or during a restore, would be lost.
        async with self._arbiter.saved.lock:
            program = self._arbiter.saved.program
            if program is None or not self._arbiter.saved.is_changed:
                return await self._sent(request)
            assert isinstance(value, bool | int)  # noqa: S101 - all settings are, by the table of members
            await program.change(request.member, value)
            return done_reply(request)
