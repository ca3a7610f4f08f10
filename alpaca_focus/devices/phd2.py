"""PHD2, paused while the focus moves."""

import asyncio

from alpaca_focus.core.errors import DeviceError, DeviceMisbehaved, DeviceRefused, DeviceTimeout, DeviceUnreachable
from alpaca_focus.devices.phd2_wire import Phd2Connection, as_text, connected

_GUIDES = frozenset({"Guiding", "LostLock"})
_CALIBRATES, _PAUSED = "Calibrating", "Paused"
_AGAIN_AFTER_S = 0.5
_SHARE_FOR_PHD2 = 0.8
"""Of the time that is left: PHD2 gives up first, so that it can say why."""


class Phd2Guider:
    """PHD2 over its event server; implements `ports.Guider`.

    Each call has a connection of its own: in the minutes of a run nobody has to read PHD2's events, and a PHD2 that was
    started anew meanwhile is found again.

    Whether the star is steady is asked of PHD2 itself, by `guide` with the settle parameters: while it guides, that
    begins no new guiding and calibrates nothing, and it knows best about lost stars and its own exposures. Resuming
    alone tells nothing of it.

    Args:
        address: "host:port" of PHD2's server.
        pauses: Whether guiding is paused; else it goes on during the run, and is only waited for.
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
        self._did_not_guide = False
        self._paused = False
        self._rests = False
        self._trouble: DeviceError = self._late("did not answer within")

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return f"PHD2 at {self._address}"

    async def pause(self) -> None:
        """Stop correcting, after the end of a calibration; harmless when it does not guide.

        Raises:
            DeviceUnreachable: There is no PHD2, it does not answer, or its calibration does not end in time.
            DeviceRefused: It does not want to.
            DeviceMisbehaved: Its answer makes no sense.
        """
        self._did_not_guide = False
        if not self._pauses:
            return
        self._rests = True
        self._trouble = self._late("did not answer within")
        try:
            async with asyncio.timeout(self._timeout_s), connected(self._address, self.name) as connection:
                state = await self._state_after(connection, _CALIBRATES)
                if state in _GUIDES:
                    # From here on it may be paused, whatever comes of the question.
                    self._paused = True
                    await connection.ask("set_paused", [True, "full"])
                elif state != _PAUSED:
                    self._paused = False
                # What somebody else has paused, he resumes; what was left paused after the last run is ours.
                self._did_not_guide = not self._paused
        except TimeoutError:
            raise self._trouble from None

    async def resume(self) -> None:
        """Go on where `pause` interrupted it, and return once the star is steady again.

        Does nothing where it did not guide. What was paused is tried again over new connections until it goes on or the
        time is up.

        Raises:
            DeviceUnreachable: PHD2 is gone or does not answer, or the star is not steady in time.
            DeviceRefused: It does not want to.
            DeviceMisbehaved: It guided before and does not now, or says that the star does not become steady.
        """
        self._rests = False
        if self._did_not_guide:
            return
        was_paused = self._paused
        self._trouble = self._late("did not answer within")
        try:
            async with asyncio.timeout(self._timeout_s) as deadline:
                while True:
                    if await self._has_gone_on(was_paused=was_paused, deadline=deadline):
                        return
                    await asyncio.sleep(_AGAIN_AFTER_S)
        except TimeoutError:
            raise self._trouble from None

    async def after_move(self) -> None:
        """Wait until the star is steady after a move of the focuser, which shifts it.

        Does nothing where it does not guide, and nothing between `pause` and `resume` where guiding is paused.

        Raises:
            DeviceUnreachable: There is no PHD2, it does not answer, or the star is not steady in time.
            DeviceRefused: It does not want to.
            DeviceMisbehaved: It says that the star does not become steady, or its answer makes no sense.
        """
        if self._rests:
            return
        self._trouble = self._late("did not answer within")
        try:
            async with asyncio.timeout(self._timeout_s) as deadline, connected(self._address, self.name) as connection:
                await self._wait_for_star(connection, deadline, _CALIBRATES)
        except TimeoutError:
            raise self._trouble from None

    async def _has_gone_on(self, *, was_paused: bool, deadline: asyncio.Timeout) -> bool:
        """Try once over a connection; whether there is nothing left to try."""
        try:
            async with connected(self._address, self.name) as connection:
                await self._go_on(connection, was_paused=was_paused, deadline=deadline)
        except DeviceUnreachable as error:
            if not was_paused and not self._pauses:
                raise
            self._trouble = error
            # Where `pause` did not get through it has told so, and nothing was changed.
            return not was_paused
        return True

    async def _go_on(self, connection: Phd2Connection, *, was_paused: bool, deadline: asyncio.Timeout) -> None:
        if self._paused:
            await connection.ask("set_paused", [False])
            self._paused = False
        passing = (_CALIBRATES, _PAUSED) if was_paused else (_CALIBRATES,)
        state = await self._wait_for_star(connection, deadline, *passing)
        if was_paused and state not in _GUIDES:
            raise DeviceMisbehaved(
                self.name, f"{self.name} guided before the run and does not any more: it says {as_text(state)}."
            )

    async def _wait_for_star(self, connection: Phd2Connection, deadline: asyncio.Timeout, *passing: str) -> str:
        """Return what PHD2 does: it guides, and its star is steady, or it does not guide."""
        # Asked before each `guide`, which would begin to guide where somebody has just stopped it.
        while (state := await self._state_after(connection, *passing)) in _GUIDES:
            try:
                await self._settle(connection, deadline)
            except DeviceRefused as error:
                # It may still be settling after a dither.
                self._trouble = error
                await asyncio.sleep(_AGAIN_AFTER_S)
            else:
                break
        return state

    async def _settle(self, connection: Phd2Connection, deadline: asyncio.Timeout) -> None:
        ends_at = deadline.when()
        left_s = self._timeout_s if ends_at is None else ends_at - asyncio.get_running_loop().time()
        settle = {"pixels": self._settle_px, "time": self._settle_s, "timeout": round(_SHARE_FOR_PHD2 * left_s, 3)}
        await connection.ask("guide", {"settle": settle, "recalibrate": False})
        self._trouble = self._late("guides, but its star was not steady within")
        done = await connection.event("SettleDone")
        if done.get("Status") != 0:
            raise DeviceMisbehaved(
                self.name, f"{self.name} guides, but its star is not steady: {as_text(done.get('Error'))}."
            )

    async def _state_after(self, connection: Phd2Connection, *passing: str) -> str:
        """Return what PHD2 does, once it is none of the passing states."""
        while True:
            state = await connection.ask("get_app_state")
            if not isinstance(state, str):
                raise DeviceMisbehaved(self.name, f"{self.name} does not say what it does, but {as_text(state)}.")
            if state not in passing:
                return state
            self._trouble = self._late(f"was still {state.lower()} after")
            await asyncio.sleep(_AGAIN_AFTER_S)

    def _late(self, what: str) -> DeviceTimeout:
        return DeviceTimeout(self.name, f"{self.name} {what} {self._timeout_s:g} s.")
