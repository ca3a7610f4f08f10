"""Decides who uses the camera: the imaging program or a focus run (decision 0019).

While a focus run is due or under way, an exposure that the imaging program starts is accepted and held; the program
sees a waiting camera. When the run ends, or `gateway.patience_s` is over, the camera gets the program's settings back
and exposes for the full time.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.gateway.background import BackgroundTasks, run_within
from alpaca_focus.gateway.engine import Engine
from alpaca_focus.gateway.program_exposures import ProgramExposures
from alpaca_focus.gateway.saved_camera_settings import SavedCameraSettings
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost
from alpaca_focus.ports import Clock

CHECK_S = 0.5
"""Seconds between two checks whether the camera has been idle for long enough."""
GRACE_S = 10.0
"""Seconds beyond its patience that the imaging program waits for a run that is just restoring the focuser.

The run is asked to stop only after half of them, because stopping costs it its frames. Imaging programs give up an
image some time after the end of its exposure: Ekos after 30 s, N.I.N.A.'s line after 60 s.
"""
ADVISED_TEST_SHOTS = 10
"""After so many test shots in a row they are probably the images."""
CAMERA_IDLE, CAMERA_WAITING, CAMERA_EXPOSING, CAMERA_DOWNLOADING, CAMERA_ERROR = 0, 1, 2, 4, 5

AT_REST = frozenset({CAMERA_IDLE, CAMERA_DOWNLOADING})
"""States in which the camera can start an exposure: some of the five servers stay at Download."""
ABORT_S = 2.0
"""Longest wait for an idle camera after a hanging run's exposure was aborted: some servers stay at Exposing."""
_POLL_S = 0.5

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True, eq=False)
class HeldExposure:
    """An exposure that was accepted and waits, since `since_s` of the monotonic clock.

    Attributes:
        gap_task: Lets the engine use this gap.
        patience_task: Starts the exposure when the patience is over.
    """

    exposure_s: float
    light: bool
    since_s: float
    gap_task: asyncio.Task[None] | None = None
    patience_task: asyncio.Task[None] | None = None


class CameraArbiter:
    """Lends the camera to focus runs between the imaging program's exposures; belongs to the gateway's loop.

    Attributes:
        leased: Whether a focus run has the camera.
        waits_for_gap: Whether a focus run waits for the camera.
        failure: Why a held exposure could not be started.
        beginning: Locked while a held exposure is being started.
        exposures: The imaging program's exposures.
        saved: The imaging program's camera settings while a run has the camera.
    """

    def __init__(
        self, camera: Upstream, engine: Engine, clock: Clock, *, patience_s: float, idle_s: float, least_image_s: float
    ) -> None:
        self._camera = camera
        self._engine = engine
        self._clock = clock
        self._patience_s = patience_s
        self._idle_s = idle_s
        self.leased = self.waits_for_gap = False
        self.exposures = ProgramExposures(clock, least_image_s=least_image_s)
        self.saved = SavedCameraSettings(camera)
        self.failure: AlpacaError | None = None
        self.beginning = asyncio.Lock()
        self._held: HeldExposure | None = None
        self._is_check_due = True
        self._check_after: Callable[[], Awaitable[None]] | None = None
        self._releasing: asyncio.Task[None] | None = None
        self._overdue: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._background = BackgroundTasks()

    def close(self) -> None:
        """Cancel all tasks; an exposure that waits is never started."""
        if self._held is not None:
            _log.warning("The gateway closes: an exposure that waits is not started")
        self._held = None
        self._background.cancel()

    # State, for the virtual devices

    @property
    def held(self) -> bool:
        """Whether an exposure waits."""
        return self._held is not None

    @property
    def is_beginning(self) -> bool:
        """Whether the held exposure is just being started, so that it can only be aborted, not dropped."""
        return self._held is not None and self.beginning.locked()

    @property
    def is_free(self) -> bool:
        """Whether a focus run may have the camera: an exposure waits, or there was none for `idle_s`."""
        if self.exposures.passing or self.is_beginning:
            return False
        return self._held is not None or self.exposures.idle_s >= self._idle_s

    @property
    def exposing(self) -> bool:
        """Whether the imaging program's exposure is known to be under way."""
        if self.exposures.passing or self.is_beginning:
            return True
        return self._held is None and self.exposures.under_way

    def request_check(self, after: Callable[[], Awaitable[None]] | None = None) -> None:
        """Let the engine check the triggers before the next exposure: the filter has changed, or the mount moved.

        The check and the exposure come after `after`, which waits for a moving device and has to end in time.
        """
        self._is_check_due = True
        self._check_after = after or self._check_after

    # The imaging program's exposures

    async def hold(self, *, exposure_s: float, light: bool) -> bool:
        """Hold an exposure if a focus run is due or under way.

        Returns:
            False if the caller has to pass it on at once and report the outcome to `passed_on`.

        Raises:
            AlpacaError: An exposure waits already.
        """
        self._refuse_second()
        self.failure = None
        if self._needs_decision(exposure_s, light=light):
            # An image that has just been downloaded may make a refocus due; the daemon's next poll would come too late.
            self.exposures.count()
            self.exposures.settle_uncertain()
            await self._engine.decide()
            self._refuse_second()
        may_wait = self._has_to_wait(exposure_s, light=light) and (
            self.leased or await _would_begin(self._camera, exposure_s)
        )
        # Each await above lets others in: another client may have started an exposure, or a run acquired the camera.
        self._refuse_second()
        if not self.leased and (not may_wait or self.exposures.passing):
            self.exposures.passes()
            return False
        self.exposures.count()
        held = HeldExposure(exposure_s=exposure_s, light=light, since_s=self._clock.monotonic())
        self._held = held
        self._changed.set()
        held.gap_task = self._background.start(self._use_gap(held))
        held.patience_task = self._background.start(self._enforce_patience(held))
        return True

    def passed_on(self, *, exposure_s: float, light: bool, begun: bool | None) -> None:
        """Note whether the camera has started an exposure that was passed on at once; `begun` is `None` if unknown."""
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
        self.failure = None

    def drop(self, why: str) -> bool:
        """Drop the exposure that waits and end the focus run; return whether there was either.

        An exposure that `is_beginning` is not dropped: it has to be aborted at the camera.
        """
        was_ours = self._held is not None or self.leased
        if self._held is not None and not self.is_beginning:
            self._end_wait(self._held)
        self.failure = None
        if was_ours:
            # A refocus that is still due waits for the next gap, or until the program is idle for `idle_s` again.
            self.exposures.busy_now()
        if self.leased:
            self._engine.give_way(why)
        return was_ours

    async def before_disconnect(self, why: str, within_s: float) -> None:
        """Drop the exposure that waits, end the focus run, and wait up to `within_s` until it releases the camera.

        An exposure that was just beginning is aborted.
        """
        was_beginning = self.is_beginning
        if self.drop(why) and not was_beginning:
            ends_s = self._clock.monotonic() + within_s
            while self.leased and self._clock.monotonic() < ends_s:
                await self._wait_for_change()
        if not was_beginning:
            return
        # The lock is free once StartExposure has been answered: a camera cannot abort what it has not started.
        async with self.beginning:
            if self.exposing:
                try:
                    await self._camera.put("abortexposure")
                except AlpacaError as error:
                    _log.warning("The camera refused to abort an exposure at a disconnect", why=str(error))
                else:
                    self.aborted()

    async def _wait_for_change(self) -> None:
        """Wait until the camera's user changes, at most `CHECK_S`: nothing signals that the camera has become idle."""
        self._changed.clear()
        await run_within(CHECK_S, self._clock, self._changed.wait())

    def _refuse_second(self) -> None:
        if self._held is not None:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, "An exposure waits already: abort it first.")

    def _needs_decision(self, exposure_s: float, *, light: bool) -> bool:
        return self._may_wait(exposure_s, light=light) and not (self.leased or self._wants_gap)

    def _has_to_wait(self, exposure_s: float, *, light: bool) -> bool:
        return self.leased or (self._may_wait(exposure_s, light=light) and self._wants_gap)

    def _may_wait(self, exposure_s: float, *, light: bool) -> bool:
        if not self.exposures.is_image(exposure_s, light=light) or self.exposures.passing:
            return False
        # If the engine still hangs in an earlier gap, the imaging program does not wait for it twice.
        return self._overdue is None or self._overdue.done()

    @property
    def _wants_gap(self) -> bool:
        engine = self._engine
        return self._is_check_due or engine.wants_gap or engine.correcting or engine.focusing

    def _began(self, *, exposure_s: float, light: bool, has_waited: bool) -> None:
        """Note an exposure that the camera has started."""
        self.exposures.began(
            exposure_s=exposure_s, light=light, may_be_stale=has_waited or self.saved.program is not None
        )
        self.saved.program = None
        self.failure = None
        if self.exposures.test_shots == ADVISED_TEST_SHOTS:
            _log.warning(
                "Only exposures shorter than night.least_image_s are coming: they do not count, and no refocus comes "
                "between them. Set night.least_image_s below the length of the images.",
                exposure_s=exposure_s,
            )

    async def _use_gap(self, held: HeldExposure) -> None:
        """Let the engine do what waits for this gap, then start the exposure."""
        self._is_check_due = False
        after, self._check_after = self._check_after, None
        try:
            if after is not None:
                await after()
            await self._engine.use_gap()
        except asyncio.CancelledError:
            # Either the gateway closes and cancels this task, or the engine's loop ended and cancelled only the call.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            _log.warning("The engine stopped while an exposure waited. The exposure starts now.")
        except Exception:  # noqa: BLE001 - the log has it whole
            _log.exception("The engine failed while an exposure waited. The exposure starts now.")
        # A run that still has the camera starts the exposure itself when it releases the camera, after the settings.
        if not self.leased:
            await self._begin(held)

    async def _enforce_patience(self, held: HeldExposure) -> None:
        """Start the exposure when the patience is over, whatever the engine does."""
        await self._clock.sleep(self._patience_s + GRACE_S / 2)
        self._engine.give_way("the imaging program has waited for longer than gateway.patience_s allows")
        await self._clock.sleep(GRACE_S / 2)
        if self.is_beginning:
            return
        _log.error(
            "A focus run did not release the camera in time. It loses the camera, and the imaging program's exposure"
            " starts now.",
            waited_s=round(self._clock.monotonic() - held.since_s),
        )
        self._overdue = held.gap_task
        if self.leased:
            await self._release_once(abort=True)
        await self._begin(held)

    async def _begin(self, held: HeldExposure) -> None:
        """Start a held exposure, unless it was dropped or started meanwhile.

        Three tasks may come here for one exposure: the gap, the patience and the release of the camera. The lock lets
        one of them start it; the others then find another exposure or none.
        """
        async with self.beginning:
            if self._held is held:
                try:
                    await self._expose(held)
                finally:
                    # Only now, so that the camera is never seen idle between waiting and exposing.
                    self._end_wait(held)

    async def _expose(self, held: HeldExposure) -> None:
        try:
            # A restore that failed after the run is repeated here: the frame must not have the run's settings.
            await self.saved.restore()
            self.exposures.sending()
            await self._camera.put("startexposure", Duration=held.exposure_s, Light=held.light)
        except (AlpacaError, UpstreamLost) as error:
            _log.error("A held exposure could not be started", why=str(error))
            if isinstance(error, AlpacaError):
                self.failure = error
            else:
                self.failure = AlpacaError(ErrorNumber.UNSPECIFIED, f"The exposure could not be started: {error}")
                self.exposures.may_have_begun(held.exposure_s)
        else:
            self._began(exposure_s=held.exposure_s, light=held.light, has_waited=True)

    def _end_wait(self, held: HeldExposure) -> None:
        if self._held is held:
            self._held = None
        # The patience task may be what started the exposure: it must not cancel itself.
        if held.patience_task is not None and held.patience_task is not asyncio.current_task():
            held.patience_task.cancel()

    # The lease, for `camera_access`

    async def acquire(self) -> None:
        """Wait for a gap and acquire the camera; a call that is cancelled has not acquired it.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        self.waits_for_gap = True
        try:
            while self.leased or not self.is_free:
                await self._wait_for_change()
        finally:
            self.waits_for_gap = False
        # No await since the check above, so no exposure can be passed on in between. From here on exposures are held,
        # also while the settings are being read: otherwise the program's next frame could start with the run's.
        self.leased = True
        try:
            await self.saved.save(use_whole_sensor=self._engine.measures_stars)
        except BaseException:
            self._end_lease()
            held = self._held
            if held is not None and held.gap_task is not None and held.gap_task.done():
                # `_use_gap` left the start to the release of the camera, which will not come.
                self._background.start(self._begin(held))
            raise

    @property
    def left_s(self) -> float:
        """Seconds until the camera has to be released; infinite while no exposure waits."""
        held = self._held
        return math.inf if held is None else held.since_s + self._patience_s - self._clock.monotonic()

    async def release(self) -> None:
        """Restore the program's settings and return the camera to it; harmless when it has it already.

        The camera is returned even if the call is cancelled.
        """
        if self.leased:
            await self._release_once(abort=False)

    async def _release_once(self, *, abort: bool) -> None:
        # The run and the patience may both release; the second one waits for the first. In a task of its own and
        # shielded, because a run that is cancelled would otherwise leave the camera with its own settings.
        if self._releasing is None:
            self._releasing = self._background.start(self._restore_and_end_lease(abort=abort))
        await asyncio.shield(self._releasing)

    async def _restore_and_end_lease(self, *, abort: bool) -> None:
        try:
            # The abort comes first: many cameras refuse settings while they expose.
            if abort:
                await _end_exposure(self._camera, self._clock)
            await self.saved.restore()
        except UpstreamLost as error:
            _log.error("The camera's settings were not restored. Retrying before the next exposure.", why=str(error))
        finally:
            self._releasing = None
            self._end_lease()
        held = self._held
        if held is not None:
            await self._begin(held)

    def _end_lease(self) -> None:
        self.leased = False
        self._changed.set()


async def _would_begin(camera: Upstream, exposure_s: float) -> bool:
    """Return whether the camera could expose now; if not, the exposure is passed on for the camera to refuse."""
    try:
        least_s, most_s = await _limit(camera, "exposuremin", 0.0), await _limit(camera, "exposuremax", math.inf)
        is_connected, state = await camera.get("connected"), await camera.get("camerastate")
    except (AlpacaError, UpstreamLost):
        return False
    return bool(is_connected) and state in AT_REST and least_s <= exposure_s <= most_s


async def _limit(camera: Upstream, member: str, default: float) -> float:
    try:
        return float(await camera.get(member))
    except (AlpacaError, TypeError, ValueError):
        return default


async def _end_exposure(camera: Upstream, clock: Clock) -> None:
    """Abort the exposure of a run that hangs, and wait up to `ABORT_S` until the camera is at rest."""
    try:
        await camera.put("abortexposure")
        ends_s = clock.monotonic() + ABORT_S
        while await camera.get("camerastate") not in AT_REST and clock.monotonic() < ends_s:
            await clock.sleep(_POLL_S)
    except AlpacaError as error:
        _log.warning("The exposure of a focus run could not be aborted", why=str(error))
