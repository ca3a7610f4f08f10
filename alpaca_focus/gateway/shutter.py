"""Whose turn it is with the camera: the imaging program's, or a focus run's.

An exposure that the imaging program asks for while a focus run is due or under way is accepted and held back; for the
program the camera is waiting. When the run is over, or has lasted as long as the program is patient, the camera is
exactly as the program left it, and exposes for the full time.
"""

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.gateway.camera_program import ProgramSettings, use_whole_sensor
from alpaca_focus.gateway.engine import Engine
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost
from alpaca_focus.ports import Clock

LOOK_S = 0.5
"""Seconds between two looks at whether the camera has been idle for long enough."""
GRACE_S = 10.0
"""Seconds beyond its patience that the imaging program is kept waiting by a run that is on its way home."""
CAMERA_IDLE, CAMERA_WAITING, CAMERA_ERROR = 0, 1, 5

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Held:
    """An exposure that was accepted and waits."""

    exposure_s: float
    light: bool
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """The imaging program's last exposure, from the moment at which the camera was told to expose."""

    exposure_s: float
    light: bool
    at: datetime
    at_s: float


class Shutter:
    """Lets the imaging program and the focus runs take turns; everything here happens in the gateway's loop.

    Attributes:
        taken: Whether a focus run has the camera.
        waits_for_gap: Whether one waits for it.
        images: Light frames of the imaging program that have ended.
        exposed: Its last exposure; `None`: there was none yet, or it was aborted.
        trouble: Why an exposure that was held back could not be begun after all.
        program: What the camera was like for the imaging program when it was taken; kept until its next exposure.
        beginning: Held while an exposure begins that had to wait.
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
        whole_sensor: bool,
    ) -> None:
        self._camera = camera
        self._engine = engine
        self._clock = clock
        self._patience_s = patience_s
        self._idle_s = idle_s
        self._least_image_s = least_image_s
        self._whole_sensor = whole_sensor
        self.taken = self.waits_for_gap = False
        self.images = 0
        self.exposed: Exposed | None = None
        self.trouble: AlpacaError | None = None
        self.program: ProgramSettings | None = None
        self._held: Held | None = None
        self._is_counted = True
        self._must_look = True
        self._busy_until_s = clock.monotonic()
        self.beginning = asyncio.Lock()
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # What the fronts ask

    @property
    def held(self) -> bool:
        """Whether an exposure waits."""
        return self._held is not None

    @property
    def is_hidden(self) -> bool:
        """Whether the camera's last exposure is a focus run's, which the imaging program must not see."""
        return self.program is not None

    @property
    def is_free(self) -> bool:
        """Whether a focus run may have the camera: an exposure waits, or there was none for long."""
        if self._held is not None:
            return True
        return self._clock.monotonic() - self._busy_until_s >= self._idle_s

    @property
    def exposing(self) -> bool:
        """Whether the imaging program's exposure is under way, as far as is known."""
        return self._held is None and self._clock.monotonic() < self._busy_until_s

    def look_again(self) -> None:
        """Have the engine look before the next exposure: the filter has changed, or the mount has moved."""
        self._must_look = True

    # The imaging program's exposures

    async def hold(self, *, exposure_s: float, light: bool) -> bool:
        """Accept an exposure and hold it back, if that is called for; False: it is to be passed on at once.

        Raises:
            AlpacaError: The camera could not begin it, and would say so.
        """
        if self._held is not None:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, "An exposure waits already: abort it first.")
        self.trouble = None
        if not self._calls_for_wait(exposure_s, light=light):
            return False
        if not self.taken and not await self._camera_would_begin(exposure_s):
            return False
        # Somebody else may have been quicker.
        if self._held is not None:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, "An exposure waits already: abort it first.")
        held = Held(exposure_s=exposure_s, light=light, since_s=self._clock.monotonic())
        self._held = held
        self._news.set()
        self._spawn(self._served(held))
        self._spawn(self._watched(held))
        return True

    def began(self, *, exposure_s: float, light: bool) -> None:
        """Take note of an exposure that the camera has begun."""
        self._count()
        now_s = self._clock.monotonic()
        self.exposed = Exposed(exposure_s=exposure_s, light=light, at=self._clock.wall(), at_s=now_s)
        self._is_counted = not light or exposure_s < self._least_image_s
        self._busy_until_s = now_s + exposure_s
        self.program = None
        self.trouble = None

    def passed(self) -> None:
        """Take note that the imaging program has its image."""
        self._count()
        self._busy_until_s = max(self._busy_until_s, self._clock.monotonic())

    def stopped(self) -> None:
        """Take note that the imaging program has ended its exposure early, with an image."""
        self._busy_until_s = min(self._busy_until_s, self._clock.monotonic())

    def aborted(self) -> None:
        """Take note that the imaging program has aborted its exposure."""
        self._is_counted = True
        self._busy_until_s = min(self._busy_until_s, self._clock.monotonic())
        self.trouble = None

    def drop(self, why: str) -> bool:
        """Forget the exposure that waits, and end the focus run: the imaging program wins; whether there was any."""
        was_ours = self._held is not None or self.taken
        if not self.beginning.locked():
            self._held = None
        self._busy_until_s = self._clock.monotonic()
        if self.taken:
            self._engine.give_way(why)
        return was_ours

    async def until_given_back(self, within_s: float) -> None:
        """Wait until no focus run has the camera, but not for long."""
        ends_s = self._clock.monotonic() + within_s
        while self.taken and self._clock.monotonic() < ends_s:
            await self._wait(LOOK_S)

    def _calls_for_wait(self, exposure_s: float, *, light: bool) -> bool:
        if self.taken:
            return True
        if not light or exposure_s < self._least_image_s:
            return False
        engine = self._engine
        return self._must_look or engine.wants_gap or engine.moves or engine.focusing

    async def _camera_would_begin(self, exposure_s: float) -> bool:
        """Ask the camera whether it could expose now; if not, it is to say so itself."""
        try:
            least_s, most_s = await self._limit("exposuremin", 0.0), await self._limit("exposuremax", math.inf)
            is_idle = await self._camera.get("connected") and await self._camera.get("camerastate") == CAMERA_IDLE
        except (AlpacaError, UpstreamLost):
            return False
        return bool(is_idle) and least_s <= exposure_s <= most_s

    async def _limit(self, member: str, default: float) -> float:
        try:
            return float(await self._camera.get(member))
        except (AlpacaError, TypeError, ValueError):
            return default

    def _count(self) -> None:
        exposed = self.exposed
        if self._is_counted or exposed is None:
            return
        if self._clock.monotonic() >= min(self._busy_until_s, exposed.at_s + exposed.exposure_s):
            self._is_counted = True
            self.images += 1

    async def _served(self, held: Held) -> None:
        """Let the engine do what waits for this gap, then let the exposure begin."""
        self._must_look = False
        try:
            await self._engine.use_gap()
        finally:
            if self._held is held and not self.taken:
                await self._begin(held)

    async def _watched(self, held: Held) -> None:
        """See that the exposure begins in time, whatever becomes of the engine."""
        await self._clock.sleep(self._patience_s)
        if self._held is not held:
            return
        self._engine.give_way("the imaging program has waited for as long as gateway.patience_s allows")
        await self._clock.sleep(GRACE_S)
        if self._held is not held:
            return
        _log.error(
            "A focus run does not give the camera back; it is taken from it, and the imaging program exposes",
            waited_s=round(self._clock.monotonic() - held.since_s),
        )
        await self._leave_camera(abort=True)
        await self._begin(held)

    async def _begin(self, held: Held) -> None:
        """Let an exposure begin that was held back; the camera waits for the imaging program until it has."""
        async with self.beginning:
            if self._held is held:
                await self._expose(held)
                self._held = None

    async def _expose(self, held: Held) -> None:
        try:
            await self._camera.put("startexposure", Duration=held.exposure_s, Light=held.light)
        except (AlpacaError, UpstreamLost) as error:
            _log.error("An exposure that was held back could not be begun", why=str(error))
            self.trouble = (
                error
                if isinstance(error, AlpacaError)
                else AlpacaError(ErrorNumber.UNSPECIFIED, f"The exposure could not be begun: {error}")
            )
        else:
            self.began(exposure_s=held.exposure_s, light=held.light)

    # The focus run; `gateway.share` brings its calls here

    async def take(self) -> None:
        """Wait for a gap, and take the camera.

        Raises:
            AlpacaError: The camera does not say what it is set to.
            UpstreamLost: It does not answer.
        """
        self.waits_for_gap = True
        try:
            while not self.is_free or self.taken:
                await self._wait(LOOK_S)
            self.taken = True
        finally:
            self.waits_for_gap = False
        try:
            self.program = await ProgramSettings.read(self._camera, before=self.program)
            if self._whole_sensor:
                await use_whole_sensor(self._camera)
        except BaseException:
            self._release()
            raise

    def left_s(self) -> float:
        """Return the seconds until the camera has to be given back; infinite while nobody waits for it."""
        held = self._held
        return math.inf if held is None else held.since_s + self._patience_s - self._clock.monotonic()

    async def give_back(self) -> None:
        """Let the imaging program have the camera again, as it was."""
        if not self.taken:
            return
        await self._leave_camera(abort=False)
        held = self._held
        if held is not None:
            await self._begin(held)

    async def _leave_camera(self, *, abort: bool) -> None:
        try:
            if abort:
                await self._camera.put("abortexposure")
            if self.program is not None:
                await self.program.put_back(self._camera)
        except (AlpacaError, UpstreamLost) as error:
            _log.error("The camera could not be given back as it was", why=str(error))
        finally:
            self._release()

    def _release(self) -> None:
        self.taken = False
        self._news.set()

    # Loop

    async def _wait(self, within_s: float) -> None:
        """Wait for news, but not for long."""
        self._news.clear()
        sleeping = asyncio.create_task(self._clock.sleep(within_s))
        waiting = asyncio.create_task(self._news.wait())
        try:
            await asyncio.wait({sleeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waiting.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("The gateway failed", why=repr(task.exception()))
