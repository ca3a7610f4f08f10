"""Carries out a focus plan on real devices, and brings the focuser home when it fails.

Whatever happens, a run ends in one of two places: at a verified focus, or back at the position it started from.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from alpaca_focus.core.actions import Action, Answer, Expose, Measure, MoveTo, Settle
from alpaca_focus.core.backlash import Method, approach
from alpaca_focus.core.errors import CameraTaken, DeviceError, DeviceMisbehaved, RunFailed
from alpaca_focus.core.events import CurveFitted, Event, FrameMeasured, Moved, RestoreStarted, RunEnded, RunStarted
from alpaca_focus.core.plan import Plan, SweepProgress, SweepResult, SweepSettings
from alpaca_focus.core.sweep import sweep
from alpaca_focus.core.values import FocusResult, Frame, Measurement, Outcome, Position
from alpaca_focus.core.wording import told
from alpaca_focus.ports import Camera, Clock, Focuser, Guider
from alpaca_focus.runtime.home_mark import HomeMark

T = TypeVar("T")

RESTORE_PAUSES_S = (0.0, 2.0, 5.0, 15.0, 30.0)
"""Waits before each try to bring the focuser home: a device that is restarting gets most of a minute."""
RESUME_WITHIN_S = 2.0
"""After an abort nobody waits for a steady star, only that guiding goes on; in real seconds, as guiders have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The devices of one run, how a frame is measured, and where is noted where the focuser belongs.

    Attributes:
        camera: Takes the frames.
        focuser: Is moved.
        clock: Time.
        measure: From a frame to its measurement; may remember the frames of the run.
        home_mark: Where the focuser belongs, on disk.
        guider: Paused during the run; `None`: there is none.
    """

    camera: Camera
    focuser: Focuser
    clock: Clock
    measure: Callable[[Frame], Measurement]
    home_mark: HomeMark = field(default_factory=lambda: HomeMark(None, ""))
    guider: Guider | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """How things were when the run began; `None` where nothing tells.

    Attributes:
        temperature_c: Goes into the result.
        filter_name: Filter that the frames are taken through; goes into the result.
        offset_steps: Added to the best position in the end, for a filter that is in the light afterwards.
        altitude_deg: Where the telescope points; goes into the result.
        temperatures_c: By the name of the sensor; goes into the result.
    """

    temperature_c: float | None = None
    filter_name: str | None = None
    offset_steps: int = 0
    altitude_deg: float | None = None
    temperatures_c: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


async def run_focus(
    bench: Bench,
    settings: SweepSettings,
    *,
    circumstances: Circumstances,
    max_duration_s: float,
    emit: Callable[[Event], None],
) -> FocusResult:
    """Find focus and stay there, or go back to the start and say why.

    Where an earlier run was cut off by a crash, the place to go back to is the one that it noted.

    Args:
        bench: Connected devices.
        settings: What the sweep must know.
        circumstances: Goes into the result.
        max_duration_s: The run is given up when it takes longer.
        emit: Told everything that happens.

    Returns:
        The result; failures of devices and of the sky are results, not exceptions.

    Raises:
        DeviceError: The focuser or the camera failed before anything was moved.
        asyncio.CancelledError: The run was aborted; the focuser was brought home first, and `emit` was told.
    """
    start = await bench.focuser.position()
    run = _Run(bench, settings, circumstances, max_duration_s=max_duration_s, emit=emit, start=start)
    return await run.run()


async def _let_go(work: asyncio.Task[None], within_s: float) -> None:
    """Wait a while for the end of something, then cancel it."""
    await asyncio.wait({work}, timeout=within_s)
    work.cancel()
    await asyncio.wait({work})


class _Run:
    """One run: what it has done so far, and how to undo it."""

    def __init__(
        self,
        bench: Bench,
        settings: SweepSettings,
        circumstances: Circumstances,
        *,
        max_duration_s: float,
        emit: Callable[[Event], None],
        start: Position,
    ) -> None:
        self._bench = bench
        self._settings = settings
        self._circumstances = circumstances
        self._max_duration_s = max_duration_s
        self._emit = emit
        self._start = start
        left_behind = bench.home_mark.left_by_a_cut_run()
        self._home = start if left_behind is None else left_behind
        self._here: Position | None = start
        self._progress = SweepProgress()
        self._exposures = 0
        self._moved = False
        self._aborted = False
        self._camera_taken = False
        self._notes: list[str] = []
        self._measuring: asyncio.Task[Measurement] | None = None
        self._guiding_paused = False
        self._began_s = bench.clock.monotonic()
        self._began_at: datetime = bench.clock.wall()

    async def run(self) -> FocusResult:
        camera, focuser = self._bench.camera, self._bench.focuser
        await camera.remember_settings()
        device_compensates = focuser.info.has_temperature_compensation and await focuser.temperature_compensation()
        self._emit(RunStarted(start_position=self._start))
        try:
            if device_compensates:
                # The device would move the focuser under the sweep.
                await focuser.set_temperature_compensation(enabled=False)
            await self._pause_guiding()
            found = await self._carry_out()
            await self._add_offset(found)
        except (RunFailed, DeviceError) as error:
            self._camera_taken = isinstance(error, CameraTaken)
            result = await self._to_the_end(self._restore(str(error)))
        except asyncio.CancelledError:
            self._aborted = True
            result = await self._to_the_end(self._restore("The run was aborted."))
        except Exception as error:
            reason = f"The run met an error in the program itself ({type(error).__name__}: {error})."
            await self._end(await self._to_the_end(self._restore(reason)), device_compensates=device_compensates)
            raise
        else:
            sentence = self._focused_sentence(found)
            result = self._result(Outcome.FOCUSED, sentence, found=found)
        return await self._end(result, device_compensates=device_compensates)

    async def _end(self, result: FocusResult, *, device_compensates: bool) -> FocusResult:
        if result.outcome is Outcome.FOCUSED and self._here is not None:
            # Whatever cuts the program off from here on, the new place is where the focuser belongs.
            self._bench.home_mark.set(self._here)
        await self._to_the_end(self._tidy(device_compensates=device_compensates))
        await self._resume_guiding()
        result = replace(
            result,
            reason=" ".join([result.reason, *self._progress.notes, *self._notes]),
            duration_s=self._bench.clock.monotonic() - self._began_s,
        )
        self._emit(RunEnded(result=result))
        if result.outcome is not Outcome.STRANDED:
            self._bench.home_mark.clear()
        if self._aborted:
            raise asyncio.CancelledError
        return result

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry something out to its end even when asked to stop meanwhile, once or many times."""
        task = asyncio.create_task(work)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                self._aborted = True
        return task.result()

    async def _carry_out(self) -> SweepResult:
        plan = sweep(self._settings, self._start, self._progress)
        answer: Answer = None
        try:
            while True:
                self._check_time()
                answer = await self._act(self._next_action(plan, answer))
        except StopIteration as end:
            found: SweepResult = end.value
            return found
        finally:
            plan.close()
            await self._to_the_end(self._drop_frame())

    def _next_action(self, plan: Plan[SweepResult], answer: Answer) -> Action:
        """Send the plan its answer, and tell what it made of it."""
        told, fit = len(self._progress.samples), self._progress.fit
        try:
            return plan.send(answer)
        finally:
            for sample in self._progress.samples[told:]:
                self._emit(FrameMeasured(sample=sample))
            if self._progress.fit is not None and self._progress.fit is not fit:
                self._emit(CurveFitted(fit=self._progress.fit))

    def _check_time(self) -> None:
        elapsed_s = self._bench.clock.monotonic() - self._began_s
        if elapsed_s > self._max_duration_s:
            raise RunFailed(
                f"The run took {elapsed_s:.0f} s, longer than the {self._max_duration_s:.0f} s allowed by "
                "focus.max_duration_s."
            )

    async def _act(self, action: Action) -> Answer:
        match action:
            case MoveTo(position):
                return await self._move(position)
            case Settle(duration_s):
                await self._bench.clock.sleep(duration_s)
                return None
            case Expose(settings):
                self._exposures += 1
                await self._bench.camera.expose(settings)
                # The plan may move on meanwhile: the shutter is closed.
                self._measuring = asyncio.create_task(self._measure())
                return self._exposures
            case Measure():
                return await self._measured()

    async def _move(self, position: Position) -> Position:
        if not self._moved:
            self._bench.home_mark.set(self._home)
        self._moved = True
        self._here = None
        self._here = await self._bench.focuser.move_to(position)
        self._emit(Moved(position=self._here, target=position))
        return self._here

    async def _measured(self) -> Measurement:
        assert self._measuring is not None  # noqa: S101 - a plan measures what it has exposed
        task, self._measuring = self._measuring, None
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _drop_frame(self) -> None:
        """Let go of a frame that nobody waits for any more."""
        if self._measuring is None:
            return
        task, self._measuring = self._measuring, None
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, DeviceError):
            self._note(f"A frame was lost as well: {outcome}")

    async def _measure(self) -> Measurement:
        frame = await self._bench.camera.download()
        return await asyncio.to_thread(self._bench.measure, frame)

    async def _pause_guiding(self) -> None:
        if self._bench.guider is None:
            return
        self._guiding_paused = True
        try:
            await self._bench.guider.pause()
        except DeviceError as error:
            # Focusing while guiding works, if less well.
            self._note(f"Guiding could not be paused: {error}")

    async def _resume_guiding(self) -> None:
        if self._bench.guider is None or not self._guiding_paused:
            return
        resuming = asyncio.create_task(self._bench.guider.resume())
        try:
            if not self._aborted:
                await asyncio.wait({resuming})
        except asyncio.CancelledError:
            self._aborted = True
        await self._to_the_end(_let_go(resuming, RESUME_WITHIN_S))
        if resuming.cancelled():
            self._note(f"After the abort nobody waited until {self._bench.guider.name} guided steadily again.")
            return
        try:
            resuming.result()
        except DeviceError as error:
            self._note(f"Guiding could not be resumed: {error} Look after {self._bench.guider.name}.")

    async def _add_offset(self, found: SweepResult) -> None:
        """Go on to where another filter is in focus."""
        if not self._circumstances.offset_steps:
            return
        legs = approach(
            found.position,
            self._settings.limits.clamp(found.position + self._circumstances.offset_steps),
            backlash=self._settings.backlash,
            limits=self._settings.limits,
            slack_taken_up=True,
        )
        for leg in legs:
            await self._move(leg)

    # The way home

    async def _restore(self, reason: str) -> FocusResult:
        """Bring the focuser back to the start, patiently: its device may be restarting."""
        if not self._moved and self._home == self._start:
            return self._result(Outcome.RESTORED, f"{reason} The focuser was not moved.")
        self._emit(RestoreStarted(position=self._home, reason=reason))
        if not self._camera_taken:
            await self._stop_exposing()
        trouble = ""
        for pause_s in RESTORE_PAUSES_S:
            await self._bench.clock.sleep(pause_s)
            try:
                await self._go_home()
            except DeviceError as error:
                trouble = str(error)
            else:
                return self._result(
                    Outcome.RESTORED, f"{reason} The focuser is back at position {self._home}, {self._whence}."
                )
        return self._result(
            Outcome.STRANDED,
            f"{reason} The focuser could not be brought back to position {self._home}: {trouble} "
            f"Move it there by hand, or focus again.",
        )

    async def _stop_exposing(self) -> None:
        try:
            await self._bench.camera.abort()
        except DeviceError as error:
            # The camera may be what failed; the focuser has to come home all the same.
            self._note(f"The exposure could not be aborted: {error}")

    async def _go_home(self) -> None:
        self._here = await self._bench.focuser.position()
        legs = approach(
            self._here,
            self._home,
            # The position the device itself shows is what counts here, hence the overshoot.
            backlash=replace(self._settings.backlash, method=Method.OVERSHOOT),
            limits=self._settings.limits,
            slack_taken_up=False,
        )
        for leg in legs[:-1]:
            try:
                await self._move(leg)
            except DeviceMisbehaved as error:
                # Home is home, also with the slack on the other side.
                self._note(f"On the way home the slack could not be taken up: {error}")
        if legs:
            await self._move(legs[-1])

    @property
    def _whence(self) -> str:
        return "where it started" if self._home == self._start else "where a run that was cut off had started"

    def _note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes.append(sentence)

    async def _tidy(self, *, device_compensates: bool) -> None:
        """Give the camera and the focuser back as they were found."""
        try:
            await self._bench.camera.restore_settings()
        except DeviceError as error:
            self._note(f"The camera's settings could not be put back: {error}")
        if device_compensates:
            try:
                await self._bench.focuser.set_temperature_compensation(enabled=True)
            except DeviceError as error:
                self._note(f"The focuser's own temperature compensation is still off: {error}")

    def _result(self, outcome: Outcome, reason: str, *, found: SweepResult | None = None) -> FocusResult:
        return FocusResult(
            outcome=outcome,
            reason=reason,
            start_position=self._start,
            final_position=self._here,
            fit=self._progress.fit,
            samples=tuple(self._progress.samples),
            verification=None if found is None else found.verification,
            doubtful=found is not None and found.doubtful,
            started_at=self._began_at,
            duration_s=self._bench.clock.monotonic() - self._began_s,
            exposures=self._exposures,
            temperature_c=self._circumstances.temperature_c,
            filter_name=self._circumstances.filter_name,
            altitude_deg=self._circumstances.altitude_deg,
            temperatures_c=self._circumstances.temperatures_c,
            camera_taken=self._camera_taken,
        )

    def _focused_sentence(self, found: SweepResult) -> str:
        offset = self._circumstances.offset_steps
        through = f", {offset:+d} steps from where {self._circumstances.filter_name} is," if offset else ""
        zone_steps = self._settings.critical_focus_zone_steps
        return (
            f"Focused at position {self._here}{through} with a standard error of "
            f"{found.fit.best_position_stderr:.0f} steps, where the critical focus zone has {zone_steps:.0f}; "
            f"{told(found.verification.measurement)}."
        )
