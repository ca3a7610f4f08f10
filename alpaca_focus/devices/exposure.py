"""Decides whether an exposure is over, from the camera's state and the time. Pure.

`ImageReady` decides, `CameraState` is only a hint: on some servers both are stale for 0.2 s after `StartExposure`, and
the state stays at Download after a frame, or is Idle for 1.4 s before the frame is ready.
"""

from dataclasses import dataclass
from enum import Enum

from alpaca.camera import CameraStates


class ExposureProgress(Enum):
    """The state of an exposure."""

    UNDER_WAY = "under way"
    READY = "ready"
    FAILED = "failed"
    LOST = "lost"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureRules:
    """Tolerances for the end of an exposure.

    Attributes:
        earliest_fraction: Part of the exposure time before which `ImageReady` is ignored.
        stale_s: Time after the exposure during which `ImageReady` is ignored if it has never been false: it may still
            mean the frame before.
        idle_timeout_s: Time for which a camera may be idle without a frame after the exposure: large frames take a slow
            computer more than 10 s.
        error_readings: Readings in a row of the state Error that count as a failure.
        readout_timeout_s: Time for the read-out, after the exposure.
    """

    earliest_fraction: float = 0.95
    stale_s: float = 0.5
    idle_timeout_s: float = 30.0
    error_readings: int = 3
    readout_timeout_s: float = 60.0


class ExposureWatch:
    """Watches one exposure; all times are seconds of one clock."""

    def __init__(self, exposure_s: float, now_s: float, rules: ExposureRules, *, was_ready_before: bool) -> None:
        self._exposure_s = exposure_s
        self._started_s = now_s
        self._rules = rules
        self._may_be_stale = was_ready_before
        self._errors = 0
        self._idle_since_s: float | None = None

    @property
    def was_unready(self) -> bool:
        """Whether ImageReady has been false since the frame before: then a frame that is ready now is a new one."""
        return not self._may_be_stale

    def update(self, state: CameraStates | None, now_s: float, *, is_ready: bool) -> ExposureProgress:
        """Return the progress after one more reading of the camera; `state` is `None` if it was invalid."""
        rules = self._rules
        elapsed_s = now_s - self._started_s
        overtime_s = elapsed_s - self._exposure_s
        self._errors = self._errors + 1 if state == CameraStates.cameraError else 0
        if not is_ready:
            self._may_be_stale = False
        if self._errors >= rules.error_readings:
            return ExposureProgress.FAILED
        if is_ready and elapsed_s >= rules.earliest_fraction * self._exposure_s:
            if not self._may_be_stale or overtime_s >= rules.stale_s:
                return ExposureProgress.READY
        elif self._idle_s(state, now_s, overtime_s) >= rules.idle_timeout_s:
            return ExposureProgress.LOST
        return ExposureProgress.OVERDUE if overtime_s >= rules.readout_timeout_s else ExposureProgress.UNDER_WAY

    def _idle_s(self, state: CameraStates | None, now_s: float, overtime_s: float) -> float:
        """Return for how long the camera has been idle: since the first such reading after the exposure."""
        if state != CameraStates.cameraIdle or overtime_s < 0:
            self._idle_since_s = None
            return 0.0
        if self._idle_since_s is None:
            self._idle_since_s = now_s
        return now_s - self._idle_since_s

    def next_poll_in_s(self, now_s: float) -> float:
        """Return the time until the next reading: up to 1 s during the exposure, 0.1 s at its end."""
        left_s = self._exposure_s - (now_s - self._started_s)
        return min(max(0.1, left_s), 1.0)
