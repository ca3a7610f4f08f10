"""Carries out a focus plan on real devices, and restores the focuser if the plan fails.

A run ends at a verified focus or back at its start, unless the focuser itself fails (`Outcome.STRANDED`). It acquires
the camera lease, switches off the focuser's own temperature compensation, pauses the guider, and sweeps; `_end` undoes
these steps. Before any action of the plan the camera may be handed over to the imaging program (decision 0019).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from alpaca_focus.core.errors import CameraTaken, DeviceError, FrameLost, RunFailed
from alpaca_focus.core.events import CurveFitted, Event, FrameMeasured, RestoreStarted, RunEnded, RunStarted
from alpaca_focus.core.metrics import result_text
from alpaca_focus.core.sweep.backlash import Direction, approach
from alpaca_focus.core.sweep.generator import sweep
from alpaca_focus.core.sweep.plan import (
    Action,
    Answer,
    Expose,
    Measure,
    MoveTo,
    Plan,
    Settle,
    SweepProgress,
    SweepResult,
    SweepSettings,
)
from alpaca_focus.core.sweep.reserve import Reserve
from alpaca_focus.core.values import FocusResult, Frame, Measurement, Outcome, Position
from alpaca_focus.ports import Camera, CameraMarker, CameraSharing, Clock, Focuser, Guider
from alpaca_focus.run.camera_handover import CameraHandovers
from alpaca_focus.run.camera_lease import CameraLease, FilterTurn
from alpaca_focus.run.camera_marker import CameraSettingsGuard, used_settings
from alpaca_focus.run.paused_guider import PausedGuider
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.run.restore_path import Abort, RestorePath, position_at_rest

RESTORE_PAUSES_S = (0.0, 2.0, 5.0, 15.0, 30.0)
"""Waits before each attempt to restore the focuser: a server that restarts needs most of a minute."""


async def always_valid() -> str:
    """Default: frames taken before a handover stay valid."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDevices:
    """The devices and dependencies of one run.

    Attributes:
        measure: Measures a frame, in a worker thread.
        camera_marker: Written while the camera has the run's settings; `None`: by whom the camera is shared.
        sharing: Shares the camera with an imaging program; `None`: nobody else uses it.
        turn: To the filter of the run; `None`: the current filter.
        still_valid: Returns, after a handover, why earlier frames are no longer valid; empty if they are.
    """

    camera: Camera
    focuser: Focuser
    clock: Clock
    measure: Callable[[Frame], Measurement]
    restore_marker: RestoreMarker = field(default_factory=lambda: RestoreMarker(None, ""))
    camera_marker: CameraMarker | None = None
    guider: Guider | None = None
    sharing: CameraSharing | None = None
    turn: FilterTurn | None = None
    still_valid: Callable[[], Awaitable[str]] = always_valid


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConditions:
    """The conditions at the beginning of a run, for its result; `None` where they are unknown.

    Attributes:
        filter_name: Filter that the frames are taken through.
        offset_steps: Added to the best position in the end, for the filter that is current after the run.
        temperatures_c: By the name of the sensor.
    """

    temperature_c: float | None = None
    filter_name: str | None = None
    offset_steps: int = 0
    altitude_deg: float | None = None
    temperatures_c: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


async def run_focus(
    devices: RunDevices,
    settings: SweepSettings,
    *,
    conditions: RunConditions,
    max_duration_s: float,
    emit: Callable[[Event], None],
) -> FocusResult:
    """Find best focus and stay there, or return to the start and report the reason.

    If a crash interrupted an earlier run, the restore position is that of its restore marker.

    Args:
        devices: Connected devices.
        settings: Settings of the sweep.
        conditions: Conditions for the result.
        max_duration_s: A longer run fails; time in which the imaging program has the camera does not count.
        emit: Publishes the events of the run.

    Returns:
        The result; failures of devices and of the sky are results, not exceptions.

    Raises:
        DeviceError: The focuser or the camera failed before anything was moved, or the camera cannot be acquired.
        RunFailed: Somebody else moves the focuser; this run has moved nothing.
        asyncio.CancelledError: The run was aborted; the focuser was restored first and the end published. If the run
            was still waiting for the camera, nothing was moved or published.
    """
    abort = Abort()
    guard = CameraSettingsGuard(devices.camera, devices.camera_marker, used_settings(settings.exposure))
    async with CameraLease(guard, abort, sharing=devices.sharing, turn=devices.turn) as lease:
        # Where a move by others ends is the start, not a place on its way.
        start = await position_at_rest(devices.focuser, devices.clock)
        run = _Run(
            devices=devices,
            lease=lease,
            abort=abort,
            settings=settings,
            conditions=conditions,
            max_duration_s=max_duration_s,
            emit=emit,
            start=start,
        )
        return await run.run()


@dataclass(frozen=True, slots=True)
class _Taken:
    """The last exposure: how and where it was taken, and the direction in which the slack was taken up."""

    action: Expose
    position: Position
    direction: Direction


@dataclass(kw_only=True)
class _Run:
    """One run: its progress, and the state it has to restore."""

    devices: RunDevices
    lease: CameraLease
    abort: Abort
    settings: SweepSettings
    conditions: RunConditions
    max_duration_s: float
    emit: Callable[[Event], None]
    start: Position

    def __post_init__(self) -> None:
        devices, clock = self.devices, self.devices.clock
        self._progress = SweepProgress()
        self._exposures = 0
        self._camera_taken = False
        self._notes: list[str] = []
        self._measuring: asyncio.Task[Measurement] | None = None
        self._taken: _Taken | None = None
        reserve = Reserve(self.settings.exposure.exposure_s)
        self._guider = PausedGuider(devices.guider, clock, self.abort, self._note)
        self._path = RestorePath(
            focuser=devices.focuser,
            clock=clock,
            settings=self.settings,
            start=self.start,
            restore_marker=devices.restore_marker,
            reserve=reserve,
            note=self._note,
            emit=self.emit,
        )
        self._handovers = CameraHandovers(
            lease=self.lease,
            path=self._path,
            guider=self._guider,
            reserve=reserve,
            clock=clock,
            settle_s=self.settings.settle_s,
            abort=self.abort,
            still_valid=devices.still_valid,
            finish_frame=self._finish_frame,
            emit=self.emit,
        )
        self._began_s, self._began_at = clock.monotonic(), clock.wall()

    async def run(self) -> FocusResult:
        focuser = self.devices.focuser
        device_compensates = focuser.info.has_temperature_compensation and await focuser.temperature_compensation()
        start, belongs_at = self._path.start, self._path.restore_position
        self.emit(RunStarted(start_position=start, belongs_at=None if belongs_at == start else belongs_at))
        try:
            if device_compensates:
                # It would move the focuser during the sweep.
                await focuser.set_temperature_compensation(enabled=False)
            await self._guider.pause()
            found = await self._carry_out()
            await self._add_offset(found)
        except (RunFailed, DeviceError) as error:
            # A camera that another program has taken must not be stopped: the exposure is not ours.
            self._camera_taken = isinstance(error, CameraTaken)
            result = await self.abort.shield(self._restore(str(error)))
        except asyncio.CancelledError:
            self.abort.requested = True
            result = await self.abort.shield(self._restore("The run was aborted."))
        except Exception as error:
            reason = f"The run failed because of an error in alpaca-focus itself ({type(error).__name__}: {error})."
            restored = await self.abort.shield(self._restore(reason))
            await self._end(restored, device_compensates=device_compensates)
            raise
        else:
            sentence = self._focused_sentence(found)
            result = self._result(Outcome.FOCUSED, sentence, found=found)
        return await self._end(result, device_compensates=device_compensates)

    async def _end(self, result: FocusResult, *, device_compensates: bool) -> FocusResult:
        if result.outcome is Outcome.FOCUSED and self._path.here is not None:
            # After a crash from here on, the focuser belongs at the new position (decision 0015).
            self.devices.restore_marker.set(self._path.here)
        # The lease is released last: its settings need the camera, and the next image needs a settled guide star.
        await self.abort.shield(self._put_back_settings(device_compensates=device_compensates))
        await self._guider.resume(within_s=self.lease.left_s)
        await self.lease.release()
        sentences = [result.reason, self._handovers.summary, *self._progress.notes, *self._notes]
        result = replace(
            result,
            reason=" ".join(each for each in sentences if each),
            duration_s=self.devices.clock.monotonic() - self._began_s,
        )
        self.emit(RunEnded(result=result))
        # A stranded focuser keeps its marker, so that the next start or run restores it.
        if result.outcome is not Outcome.STRANDED:
            self.devices.restore_marker.clear()
        self.abort.check()
        return result

    async def _carry_out(self) -> SweepResult:
        plan = sweep(self.settings, self._path.start, self._progress)
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
            await self.abort.shield(self._drop_frame())

    def _next_action(self, plan: Plan[SweepResult], answer: Answer) -> Action:
        """Send the plan the answer to its last action, publish its new samples and fit, and return the next action."""
        published, fit = len(self._progress.samples), self._progress.fit
        try:
            return plan.send(answer)
        finally:
            for sample in self._progress.samples[published:]:
                self.emit(FrameMeasured(sample=sample))
            if self._progress.fit is not None and self._progress.fit is not fit:
                self.emit(CurveFitted(fit=self._progress.fit))

    def _check_time(self) -> None:
        elapsed_s = self.devices.clock.monotonic() - self._began_s - self._handovers.without_camera_s
        if elapsed_s > self.max_duration_s:
            raise RunFailed(
                f"The run took {elapsed_s:.0f} s, longer than the {self.max_duration_s:.0f} s allowed by "
                "focus.max_duration_s."
            )

    async def _act(self, action: Action) -> Answer:
        was_interrupted = await self._handovers.make_room_for(action)
        match action:
            case MoveTo(position):
                return await self._path.move(position)
            case Settle(duration_s):
                # A handover has lasted longer than the pause.
                await self.devices.clock.sleep(0.0 if was_interrupted else duration_s)
                return None
            case Expose():
                await self._expose(action)
                # In a task: the plan may move the focuser meanwhile, because the shutter is closed.
                self._measuring = asyncio.create_task(self._measure())
                return self._exposures
            case Measure():
                try:
                    return await self._measured()
                except FrameLost as error:
                    return await self._measured_again(error)

    async def _expose(self, action: Expose) -> None:
        self._exposures += 1
        self._handovers.exposing(action.settings.exposure_s)
        if self._path.has_moved_since:
            await self._guider.after_move()
            self._path.has_moved_since = False
        assert self._path.here is not None  # noqa: S101 - a move that left it unknown has ended the run
        self._taken = _Taken(action, self._path.here, self._path.last_direction)
        await self.devices.camera.expose(action.settings)

    async def _measured(self) -> Measurement:
        assert self._measuring is not None  # noqa: S101 - plans expose before they measure
        task, self._measuring = self._measuring, None
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _measured_again(self, lost: FrameLost) -> Measurement:
        """Take the last exposure again where it was taken, once, and return to where the plan expects the focuser.

        Raises:
            DeviceError: This frame is lost, too, or another device failed.
        """
        taken, path = self._taken, self._path
        self._note(f"A frame was taken again: {lost}")
        assert taken is not None  # noqa: S101 - plans expose before they measure
        here, direction = path.here, path.last_direction
        assert here is not None  # noqa: S101 - as in `_expose`
        await self._go(taken.position, taken.direction)
        await self._handovers.make_room_for(taken.action)
        await self._expose(taken.action)
        measurement = await self._measure()
        await self._go(here, direction)
        return measurement

    async def _go(self, position: Position, direction: Direction) -> None:
        """Move to a position, outside of the plan, with the slack taken up in a direction; not if it is there."""
        if (position, direction) != (self._path.here, self._path.last_direction):
            await self._handovers.make_room_for(MoveTo(position))
            await self._handovers.return_to_sweep(position, direction)

    async def _finish_frame(self) -> None:
        """Wait until the frame is measured; the plan gets the result later, but most errors fail the run now."""
        if self._measuring is None:
            return
        await asyncio.wait({self._measuring})
        error = self._measuring.exception()
        if error is not None and not isinstance(error, FrameLost):
            await self._measured()

    async def _drop_frame(self) -> None:
        """Cancel the measurement of a frame that is no longer needed."""
        if self._measuring is None:
            return
        task, self._measuring = self._measuring, None
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, DeviceError):
            self._note(f"A frame was lost, too: {outcome}")

    async def _measure(self) -> Measurement:
        frame = await self.devices.camera.download()
        return await asyncio.to_thread(self.devices.measure, frame)

    async def _add_offset(self, found: SweepResult) -> None:
        """Move by the focus offset to the best position of the filter that is current after the run."""
        if not self.conditions.offset_steps:
            return
        legs = approach(
            found.position,
            self.settings.limits.clamp(found.position + self.conditions.offset_steps),
            backlash=self.settings.backlash,
            limits=self.settings.limits,
            backlash_taken_up=True,
        )
        for leg in legs:
            await self._path.move(leg)

    # The restore path

    async def _restore(self, reason: str) -> FocusResult:
        """Restore the focuser, with retries: its server may be restarting."""
        path = self._path
        if not path.has_moved and path.restore_position == path.start:
            return self._result(Outcome.RESTORED, f"{reason} The focuser was not moved.")
        if not self.lease.is_held:
            # Restored before the handover (decision 0019); it must not move while the imaging program exposes.
            return self._restored(reason)
        self.emit(RestoreStarted(position=path.restore_position, reason=reason))
        if not self._camera_taken:
            await self._stop_exposing()
        problem = ""
        for pause_s in RESTORE_PAUSES_S:
            await self.devices.clock.sleep(pause_s)
            try:
                await path.restore()
            except DeviceError as error:
                problem = str(error)
            else:
                return self._restored(reason)
        return self._result(
            Outcome.STRANDED,
            f"{reason} The focuser could not be brought back to position {path.restore_position}: {problem} "
            "Move it there by hand, or focus again.",
        )

    def _restored(self, reason: str) -> FocusResult:
        return self._result(Outcome.RESTORED, f"{reason} The focuser is back at {self._path.restored_place}.")

    async def _stop_exposing(self) -> None:
        try:
            await self.devices.camera.abort()
        except DeviceError as error:
            # The camera may be the device that failed; the focuser is restored all the same.
            self._note(f"The exposure could not be aborted: {error}")

    def _note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes.append(sentence)

    async def _put_back_settings(self, *, device_compensates: bool) -> None:
        """Restore the camera's settings and the focuser's own temperature compensation."""
        try:
            await self.lease.restore_settings()
        except DeviceError as error:
            self._note(f"The camera's settings could not be restored: {error}")
        if device_compensates:
            try:
                await self.devices.focuser.set_temperature_compensation(enabled=True)
            except DeviceError as error:
                self._note(f"The focuser's own temperature compensation could not be switched on again: {error}")

    def _result(self, outcome: Outcome, reason: str, *, found: SweepResult | None = None) -> FocusResult:
        return FocusResult(
            outcome=outcome,
            reason=reason,
            start_position=self._path.start,
            final_position=self._path.here,
            fit=self._progress.fit,
            samples=tuple(self._progress.samples),
            verification=None if found is None else found.verification,
            doubtful=found is not None and found.doubtful,
            started_at=self._began_at,
            duration_s=self.devices.clock.monotonic() - self._began_s,
            exposures=self._exposures,
            temperature_c=self.conditions.temperature_c,
            filter_name=self.conditions.filter_name,
            altitude_deg=self.conditions.altitude_deg,
            temperatures_c=self.conditions.temperatures_c,
            camera_taken=self._camera_taken,
        )

    def _focused_sentence(self, found: SweepResult) -> str:
        offset = self.conditions.offset_steps
        through = f" ({offset:+d} steps from the best focus of {self.conditions.filter_name})" if offset else ""
        zone_steps = found.critical_focus_zone_steps
        return (
            f"Focused at position {self._path.here}{through} with a standard error of "
            f"{found.fit.best_position_stderr:.1f} steps (critical focus zone: {zone_steps:.0f} steps); "
            f"{result_text(found.verification.measurement)}."
        )
