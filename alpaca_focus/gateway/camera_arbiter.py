"""Who has the camera: the imaging program, or a focus run.

An exposure that the imaging program asks for while a focus run is due or under way is accepted and held back; for the
program the camera is waiting. When the run is over, or has lasted as long as the program is patient, the camera is
exactly as the program left it, and exposes for the full time.
"""

import asyncio
import math
from dataclasses import dataclass

import structlog

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.gateway.background import Background, News
from alpaca_focus.gateway.engine import Engine
from alpaca_focus.gateway.program_exposures import ProgramExposures
from alpaca_focus.gateway.saved_camera_settings import SavedCameraSettings
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost
from alpaca_focus.ports import Clock

CHECK_S = 0.5
"""Seconds between two checks whether the camera has been idle for long enough."""
GRACE_S = 10.0
"""Seconds beyond its patience that the imaging program is kept waiting by a run that is just restoring the focuser.

Only after half of them the run is asked to give way: it loses its frames by that.
"""
CAMERA_IDLE, CAMERA_WAITING, CAMERA_EXPOSING, CAMERA_DOWNLOADING, CAMERA_ERROR = 0, 1, 2, 4, 5

_AT_REST = frozenset({CAMERA_IDLE, CAMERA_DOWNLOADING})
"""Some cameras stay downloading for ever."""
ABORT_S = 2.0
"""Longest wait for a camera to be idle after the exposure of a run that hangs was aborted."""
_POLL_S = 0.5

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True, eq=False)
class Held:
    """An exposure that was accepted and waits.

    Attributes:
        exposure_s: Exposure time that was asked for.
        light: Whether the shutter is to open.
        since_s: When it was accepted, by the monotonic clock.
        serving: Lets the engine do what waits for this gap.
        watching: Begins it when the patience is over.
    """

    exposure_s: float
    light: bool
    since_s: float
    serving: asyncio.Task[None] | None = None
    watching: asyncio.Task[None] | None = None


class CameraArbiter:
    """Gives the camera to the imaging program or to a focus run; everything here happens in the gateway's loop.

    Attributes:
        leased: Whether a focus run has the camera.
        waits_for_gap: Whether one waits for it.
        trouble: Why an exposure that was held back could not be begun after all.
        beginning: Held while an exposure begins that had to wait.
        exposures: Those of the imaging program.
        saved: The imaging program's camera settings while a run has the camera.
    """

    def __init__(
        self,
        camera: Upstream,
        engine: Engine,
        clock: Clock,
        *,
        patience_s: float,
        idle_s: float,
        least_image_s: float,
    ) -> None:
        self._camera = camera
        self._engine = engine
        self._clock = clock
        self._patience_s = patience_s
        self._idle_s = idle_s
        self.leased = self.waits_for_gap = False
        self.exposures = ProgramExposures(clock, least_image_s=least_image_s)
        self.saved = SavedCameraSettings(camera)
        self.trouble: AlpacaError | None = None
        self.beginning = asyncio.Lock()
        self._held: Held | None = None
        self._must_look = True
        self._releasing: asyncio.Task[None] | None = None
        self._overdue: asyncio.Task[None] | None = None
        self._news = News(clock)
        self._background = Background()

    def close(self) -> None:
        """Stop all work, in the gateway's loop; an exposure that waits is not begun any more."""
        if self._held is not None:
            _log.warning("The gateway closes while an exposure waits; the camera does not begin it")
        self._held = None
        self._background.cancel()

    # Asked by the virtual devices

    @property
    def held(self) -> bool:
        """Whether an exposure waits."""
        return self._held is not None

    @property
    def is_beginning(self) -> bool:
        """Whether the exposure that has waited is just being begun: it cannot be dropped any more."""
        return self._held is not None and self.beginning.locked()

    @property
    def is_free(self) -> bool:
        """Whether a focus run may have the camera: an exposure waits, or there was none for long."""
        if self.exposures.passing or self.is_beginning:
            return False
        if self._held is not None:
            return True
        return self.exposures.idle_s >= self._idle_s

    @property
    def exposing(self) -> bool:
        """Whether the imaging program's exposure is under way, as far as is known."""
        if self.exposures.passing or self.is_beginning:
            return True
        return self._held is None and self.exposures.under_way

    def look_again(self) -> None:
        """Have the engine look before the next exposure: the filter has changed, or the mount has moved."""
        self._must_look = True

    # The imaging program's exposures

    async def hold(self, *, exposure_s: float, light: bool) -> bool:
        """Accept an exposure and hold it back, if that is called for.

        Returns:
            False: it is to be passed on at once, and its outcome reported to `passed_on`.

        Raises:
            AlpacaError: One waits already.
        """
        self._refuse_second()
        self.trouble = None
        may_wait = self._calls_for_wait(exposure_s, light=light) and (
            self.leased or await _would_begin(self._camera, exposure_s)
        )
        # Meanwhile another client may have been quicker, or a run may have acquired the camera.
        self._refuse_second()
        if not self.leased and (not may_wait or self.exposures.passing):
            self.exposures.passes()
            return False
        self.exposures.count()
        held = Held(exposure_s=exposure_s, light=light, since_s=self._clock.monotonic())
        self._held = held
        self._news.tell()
        held.serving = self._background.start(self._served(held))
        held.watching = self._background.start(self._watched(held))
        return True

    def passed_on(self, *, exposure_s: float, light: bool, begun: bool | None) -> None:
        """Note the outcome of an exposure that was passed on at once.

        Args:
            exposure_s: Exposure time.
            light: Whether the shutter was to open.
            begun: Whether the camera has begun it; `None`: not known.
        """
        was_aborted = self.exposures.passed_on()
        if begun is None:
            self.exposures.may_have_begun(exposure_s)
        elif begun:
            self._began(exposure_s=exposure_s, light=light, has_waited=False)
        if begun is not False and was_aborted:
            self.aborted()

    def aborted(self) -> None:
        """Note that the imaging program has aborted its exposure."""
        self.exposures.aborted()
        self.trouble = None

    def drop(self, why: str) -> bool:
        """Forget the exposure that waits, and end the focus run: the imaging program wins.

        An exposure that `is_beginning` is not forgotten: it has to be aborted at the camera.

        Returns:
            Whether there was any of both.
        """
        was_ours = self._held is not None or self.leased
        if self._held is not None and not self.is_beginning:
            self._end_wait(self._held)
        self.trouble = None
        if was_ours:
            # What is still due has to wait until the program is idle for long again.
            self.exposures.busy_now()
        if self.leased:
            self._engine.give_way(why)
        return was_ours

    async def leave(self, why: str, within_s: float) -> None:
        """Drop everything because the imaging program disconnects, and wait until the camera is its own; not for long.

        An exposure that was just beginning is aborted.
        """
        was_beginning = self.is_beginning
        if self.drop(why) and not was_beginning:
            await self._until_released(within_s)
        if not was_beginning:
            return
        async with self.beginning:
            if self.exposing:
                try:
                    await self._camera.put("abortexposure")
                except AlpacaError as error:
                    _log.warning("An exposure could not be aborted for a program that disconnects", why=str(error))
                else:
                    self.aborted()

    async def _until_released(self, within_s: float) -> None:
        ends_s = self._clock.monotonic() + within_s
        while self.leased and self._clock.monotonic() < ends_s:
            await self._news.wait(CHECK_S)

    def _refuse_second(self) -> None:
        if self._held is not None:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, "An exposure waits already: abort it first.")

    def _calls_for_wait(self, exposure_s: float, *, light: bool) -> bool:
        if self.leased:
            return True
        if not self.exposures.is_image(exposure_s, light=light) or self.exposures.passing:
            return False
        if self._overdue is not None and not self._overdue.done():
            # The engine hangs: the imaging program does not wait for it twice.
            return False
        engine = self._engine
        return self._must_look or engine.wants_gap or engine.moves or engine.focusing

    def _began(self, *, exposure_s: float, light: bool, has_waited: bool) -> None:
        """Note an exposure that the camera has begun."""
        self.exposures.began(
            exposure_s=exposure_s, light=light, may_be_stale=has_waited or self.saved.program is not None
        )
        self.saved.program = None
        self.trouble = None

    async def _served(self, held: Held) -> None:
        """Let the engine do what waits for this gap, then let the exposure begin."""
        self._must_look = False
        try:
            await self._engine.use_gap()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            _log.warning("The engine ended while an exposure waited; the imaging program goes on without it")
        except Exception:  # noqa: BLE001 - the log has it whole
            _log.exception("The engine failed; the imaging program goes on without it")
        if not self.leased:
            await self._begin(held)

    async def _watched(self, held: Held) -> None:
        """Begin the exposure when the patience is over, whatever the engine does."""
        await self._clock.sleep(self._patience_s + GRACE_S / 2)
        self._engine.give_way("the imaging program has waited for longer than gateway.patience_s allows")
        await self._clock.sleep(GRACE_S / 2)
        if self.is_beginning:
            return
        _log.error(
            "A focus run does not release the camera; it is taken from the run, and the imaging program exposes",
            waited_s=round(self._clock.monotonic() - held.since_s),
        )
        self._overdue = held.serving
        if self.leased:
            await self._release_once(abort=True)
        await self._begin(held)

    async def _begin(self, held: Held) -> None:
        """Let an exposure begin that was held back; the camera waits for the imaging program until it has."""
        async with self.beginning:
            if self._held is held:
                try:
                    await self._expose(held)
                finally:
                    self._end_wait(held)

    async def _expose(self, held: Held) -> None:
        try:
            await self.saved.restore()
            await self._camera.put("startexposure", Duration=held.exposure_s, Light=held.light)
        except AlpacaError as error:
            _log.error("An exposure that was held back could not be begun", why=str(error))
            self.trouble = error
        except UpstreamLost as error:
            _log.error("An exposure that was held back could not be begun", why=str(error))
            self.trouble = AlpacaError(ErrorNumber.UNSPECIFIED, f"The exposure could not be begun: {error}")
            self.exposures.may_have_begun(held.exposure_s)
        else:
            self._began(exposure_s=held.exposure_s, light=held.light, has_waited=True)

    def _end_wait(self, held: Held) -> None:
        if self._held is held:
            self._held = None
        if held.watching is not None and held.watching is not asyncio.current_task():
            held.watching.cancel()

    # The focus run; `gateway.camera_access` brings its calls here

    async def acquire(self) -> None:
        """Wait for a gap, and acquire the camera; a call that is cancelled has not acquired it.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        self.waits_for_gap = True
        try:
            while self.leased or not self.is_free:
                await self._news.wait(CHECK_S)
        finally:
            self.waits_for_gap = False
        self.leased = True
        try:
            await self.saved.save(use_whole_sensor=self._engine.of_stars)
        except BaseException:
            self._free()
            held = self._held
            if held is not None and held.serving is not None and held.serving.done():
                # The engine has finished, so that nothing else would begin it.
                self._background.start(self._begin(held))
            raise

    @property
    def left_s(self) -> float:
        """Seconds until the camera has to be released; infinite while no exposure waits."""
        held = self._held
        return math.inf if held is None else held.since_s + self._patience_s - self._clock.monotonic()

    async def release(self) -> None:
        """Let the imaging program have the camera again, as it was; harmless when it has it already.

        A call that is cancelled releases it all the same.
        """
        if self.leased:
            await self._release_once(abort=False)

    async def _release_once(self, *, abort: bool) -> None:
        if self._releasing is None:
            self._releasing = self._background.start(self._restore_and_free(abort=abort))
        await asyncio.shield(self._releasing)

    async def _restore_and_free(self, *, abort: bool) -> None:
        try:
            if abort:
                await _end_exposure(self._camera, self._clock)
            await self.saved.restore()
        except UpstreamLost as error:
            _log.error(
                "The camera's settings could not be put back; that is tried again before the next exposure",
                why=str(error),
            )
        finally:
            self._releasing = None
            self._free()
        held = self._held
        if held is not None:
            await self._begin(held)

    def _free(self) -> None:
        self.leased = False
        self._news.tell()


async def _would_begin(camera: Upstream, exposure_s: float) -> bool:
    """Return whether the camera could expose now; if not, it is left to refuse the exposure itself."""
    try:
        least_s, most_s = await _limit(camera, "exposuremin", 0.0), await _limit(camera, "exposuremax", math.inf)
        is_connected, state = await camera.get("connected"), await camera.get("camerastate")
    except (AlpacaError, UpstreamLost):
        return False
    return bool(is_connected) and state in _AT_REST and least_s <= exposure_s <= most_s


async def _limit(camera: Upstream, member: str, default: float) -> float:
    try:
        return float(await camera.get(member))
    except (AlpacaError, TypeError, ValueError):
        return default


async def _end_exposure(camera: Upstream, clock: Clock) -> None:
    """Abort the exposure of a run that hangs, and wait until the camera is idle, but not for long.

    Raises:
        UpstreamLost: The camera does not answer.
    """
    try:
        await camera.put("abortexposure")
        ends_s = clock.monotonic() + ABORT_S
        while await camera.get("camerastate") != CAMERA_IDLE and clock.monotonic() < ends_s:
            await clock.sleep(_POLL_S)
    except AlpacaError as error:
        _log.warning("The exposure of a focus run could not be aborted", why=str(error))
