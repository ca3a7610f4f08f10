"""Events of a focus run, for the terminal, the log and other listeners."""

from dataclasses import dataclass
from typing import TypeAlias

from alpaca_focus.core.values import Fit, FocusResult, Position, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run begins; `belongs_at` is the position to restore after an interrupted run, `None` the start."""

    start_position: Position
    belongs_at: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The focuser came to rest."""

    position: Position
    target: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameMeasured:
    """A frame was taken and measured."""

    sample: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveFitted:
    """A curve was fitted to all samples so far."""

    fit: Fit


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraHandover:
    """The run is interrupted: the focuser is restored, and the imaging program gets the camera.

    Attributes:
        number: 1 for the first of the run.
        left_s: How much longer the imaging program waits.
        needed_s: Time for one more exposure and the restore.
    """

    number: int
    restore_position: Position
    left_s: float
    needed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The run goes on after the handover with this number, which lasted `lasted_s`."""

    number: int
    position: Position
    lasted_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreStarted:
    """The run failed, and the focuser goes back to its start."""

    position: Position
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The run is over and the camera is free."""

    result: FocusResult


Event: TypeAlias = (
    RunStarted | Moved | FrameMeasured | CurveFitted | CameraHandover | Resumed | RestoreStarted | RunEnded
)
