"""Whether an exposure is over, from what the camera says and from the time. Pure.

`ImageReady` counts, `CameraState` is only a hint: both are stale for a moment after `StartExposure`, and several
cameras never leave the state Download, or are Idle for a second before the frame is ready.
"""

from dataclasses import dataclass
from enum import Enum

from alpaca.camera import CameraStates


class Exposure(Enum):
    """What can be said of an exposure."""

    UNDER_WAY = "under way"
    READY = "ready"
    FAILED = "failed"
    LOST = "lost"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureRules:
    """How an exposure is judged.

    Attributes:
        earliest_fraction: Part of the exposure time before which no frame can be ready, whatever the camera says.
        stale_s: Time after the end of the exposure during which a camera that has said nothing but "ready" is not
            believed: it may still speak of the frame before.
        idle_patience_s: Time after the end of the exposure during which a camera may be idle without a frame.
        error_readings: Readings in a row of the state Error that count.
        readout_timeout_s: Time for reading out, after the end of the exposure.
    """

    earliest_fraction: float = 0.95
    stale_s: float = 0.5
    idle_patience_s: float = 6.0
    error_readings: int = 3
    readout_timeout_s: float = 60.0


class ExposureWatch:
    """Follows one exposure; all times are seconds of one clock."""

    def __init__(self, exposure_s: float, now_s: float, rules: ExposureRules, *, was_ready_before: bool) -> None:
        self._exposure_s = exposure_s
        self._started_s = now_s
        self._rules = rules
        self._may_be_stale = was_ready_before
        self._errors = 0

    def update(self, state: CameraStates | None, now_s: float, *, is_ready: bool) -> Exposure:
        """Take one reading of the camera and judge; `state` is `None` if it makes no sense."""
        rules = self._rules
        elapsed_s = now_s - self._started_s
        overtime_s = elapsed_s - self._exposure_s
        self._errors = self._errors + 1 if state == CameraStates.cameraError else 0
        if not is_ready:
            self._may_be_stale = False
        if self._errors >= rules.error_readings:
            return Exposure.FAILED
        if is_ready and elapsed_s >= rules.earliest_fraction * self._exposure_s:
            if not self._may_be_stale or overtime_s >= rules.stale_s:
                return Exposure.READY
        elif state == CameraStates.cameraIdle and overtime_s >= rules.idle_patience_s:
            return Exposure.LOST
        return Exposure.OVERDUE if overtime_s >= rules.readout_timeout_s else Exposure.UNDER_WAY

    def next_look_s(self, now_s: float) -> float:
        """Return how long to wait for the next reading: seldom during the exposure, often at its end."""
        left_s = self._exposure_s - (now_s - self._started_s)
        return min(max(0.1, left_s), 1.0)
