"""The guider PHD2, paused while the focuser moves."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from alpaca_focus.core.errors import DeviceError, DeviceMisbehaved, DeviceRefused, DeviceTimeout, DeviceUnreachable
from alpaca_focus.devices.phd2_wire import Message, Phd2Connection, connected, one_line

_GUIDING = frozenset({"Guiding", "LostLock"})
_CALIBRATING, _PAUSED = "Calibrating", "Paused"
_RETRY_PAUSE_S = 0.5
_STAR_EVENTS = frozenset(
    {"GuideStep", "StarLost", "SettleBegin", "Settling", "SettleDone", "Paused", "GuidingStopped", "LoopingExposures"}
)


class Phd2Guider:
    """PHD2 over its event server; implements `ports.Guider`.

    Each method has a connection of its own, so that no events pile up during a run and a restart of PHD2 does no harm.

    Whether the star is steady is read from PHD2's events. `guide` with settle parameters would report it as well, but
    locks PHD2 against the imaging program's dither meanwhile. A dither is left to settle before a pause or a move: PHD2
    counts its time on in a pause, and reports a star as settled that never moved.

    Args:
        address: "host:port" of PHD2's server.
        pauses: Whether guiding is paused; otherwise it goes on, and the run only waits for a steady star.
        settle_px: The star is steady within that distance, in pixels of the guide camera.
        settle_s: ... for that many seconds.
        timeout_s: Real seconds for all of `pause`, for all of `resume`, and for each `after_move`.
    """

    def __init__(self, address: str, *, pauses: bool, settle_px: float, settle_s: float, timeout_s: float) -> None:
        self._address = address
        self._pauses = pauses
        self._settle_px = settle_px
        self._settle_s = settle_s
        self._timeout_s = timeout_s
        self._was_not_guiding = False
        self._is_paused = False
        self._in_pause = False
        self._timeout_reason: DeviceError = self._late("did not answer within")

    @property
    def name(self) -> str:
        """Name of the guider in messages."""
        return f"PHD2 at {self._address}"

    async def pause(self) -> None:
        """Pause guiding, after the end of a calibration; does nothing if PHD2 does not guide.

        Raises:
            DeviceUnreachable: PHD2 does not answer, or its calibration does not end in time.
            DeviceRefused: PHD2 returned an error.
            DeviceMisbehaved: Its answer is invalid.
        """
        self._was_not_guiding = False
        if not self._pauses:
            return
        self._in_pause = True
        async with self._deadline(), connected(self._address, self.name) as connection:
            while (state := await self._state_after(connection, _CALIBRATING)) in _GUIDING:
                if not await self._is_settling(connection):
                    break
                self._timeout_reason = self._late("was still settling after a dither for")
                await asyncio.sleep(_RETRY_PAUSE_S)
            if state in _GUIDING:
                # Set before the call: PHD2 may be paused even if the response gets lost.
                self._is_paused = True
                await connection.call("set_paused", [True, "full"])
            elif state != _PAUSED:
                self._is_paused = False
            # A pause by the user is left to the user; one left over from our last run is resumed.
            self._was_not_guiding = not self._is_paused

    async def resume(self) -> None:
        """Resume guiding after `pause`, and return when the star is steady again.

        Does nothing if PHD2 did not guide. After a pause it retries over new connections until guiding resumes or the
        time is up.

        Raises:
            DeviceUnreachable: PHD2 does not answer, or the star is not steady in time.
            DeviceRefused: PHD2 returned an error.
            DeviceMisbehaved: PHD2 guided before and does not now.
        """
        self._in_pause = False
        if self._was_not_guiding:
            return
        was_paused = self._is_paused
        async with self._deadline():
            while True:
                if await self._has_resumed(was_paused=was_paused):
                    return
                await asyncio.sleep(_RETRY_PAUSE_S)

    async def is_dithering(self) -> bool:
        """Return whether PHD2 settles after a dither, which a move of the focuser would spoil.

        Raises:
            DeviceUnreachable: PHD2 does not answer.
        """
        if self._in_pause:
            return False
        async with self._deadline(), connected(self._address, self.name) as connection:
            return await self._is_settling(connection)

    async def after_move(self) -> None:
        """Wait until the star is steady after a move of the focuser, which shifts it.

        Does nothing if PHD2 does not guide, and nothing between `pause` and `resume` if guiding is paused.

        Raises:
            DeviceUnreachable: PHD2 does not answer, or the star is not steady in time.
            DeviceRefused: PHD2 returned an error.
            DeviceMisbehaved: Its answer is invalid.
        """
        if self._in_pause:
            return
        async with self._deadline(), connected(self._address, self.name) as connection:
            await self._wait_for_star(connection, _CALIBRATING)

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        """Limit the block to `timeout_s`, and raise the reason for the last wait when the time is up."""
        self._timeout_reason = self._late("did not answer within")
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError:
            raise self._timeout_reason from None

    async def _has_resumed(self, *, was_paused: bool) -> bool:
        """Try once over a new connection, and return whether there is nothing left to try."""
        try:
            async with connected(self._address, self.name) as connection:
                await self._resume(connection, was_paused=was_paused)
        except DeviceUnreachable as error:
            if not was_paused and not self._pauses:
                raise
            self._timeout_reason = error
            # If `pause` did not get through it has raised, and nothing was changed.
            return not was_paused
        return True

    async def _resume(self, connection: Phd2Connection, *, was_paused: bool) -> None:
        if self._is_paused:
            await connection.call("set_paused", [False])
            self._is_paused = False
        transient = (_CALIBRATING, _PAUSED) if was_paused else (_CALIBRATING,)
        state = await self._wait_for_star(connection, *transient)
        if was_paused and state not in _GUIDING:
            raise DeviceMisbehaved(
                self.name, f"{self.name} guided before the run and does not any more: its state is {one_line(state)}."
            )

    async def _wait_for_star(self, connection: Phd2Connection, *transient: str) -> str:
        """Return the state once PHD2 guides on a steady star, or does not guide."""
        while (state := await self._state_after(connection, *transient)) in _GUIDING:
            if await self._becomes_steady(connection):
                break
        return state

    async def _becomes_steady(self, connection: Phd2Connection) -> bool:
        """Return True once the star has been steady for `settle_s`, False when guiding has ended or is paused."""
        is_settling, since_s = await self._is_settling(connection), math.inf
        self._timeout_reason = self._late("guides, but its star was not steady within")
        while True:
            event = await connection.event(*_STAR_EVENTS)
            now_s = asyncio.get_running_loop().time()
            match event["Event"]:
                case "GuideStep":
                    is_near = _distance_px(event) <= self._settle_px and not is_settling
                    since_s = min(since_s, now_s) if is_near else math.inf
                    self._timeout_reason = self._late("guides, but its star was not steady within")
                    if now_s - since_s >= self._settle_s:
                        return True
                case "StarLost":
                    since_s = math.inf
                    self._timeout_reason = self._late("has lost its guide star, and did not find it within")
                case "SettleBegin" | "Settling":
                    is_settling, since_s = True, math.inf
                case "SettleDone":
                    is_settling = False
                case _:
                    return False

    async def _is_settling(self, connection: Phd2Connection) -> bool:
        try:
            return bool(await connection.call("get_settling"))
        except DeviceRefused:  # a PHD2 before 2.6.6 does not know the method
            return False

    async def _state_after(self, connection: Phd2Connection, *transient: str) -> str:
        """Return the state once it is none of the transient ones."""
        while True:
            state = await connection.call("get_app_state")
            if not isinstance(state, str):
                raise DeviceMisbehaved(self.name, f"{self.name} did not report its state, but {one_line(state)}.")
            if state not in transient:
                return state
            self._timeout_reason = self._late(f"was still {state.lower()} after")
            await asyncio.sleep(_RETRY_PAUSE_S)

    def _late(self, what: str) -> DeviceTimeout:
        return DeviceTimeout(self.name, f"{self.name} {what} {self._timeout_s:g} s.")


def _distance_px(step: Message) -> float:
    """Return the star's distance from its lock position; infinite if the event has none."""
    dx, dy = step.get("dx"), step.get("dy")
    if isinstance(dx, int | float) and isinstance(dy, int | float) and math.isfinite(dx) and math.isfinite(dy):
        return math.hypot(dx, dy)
    return math.inf
