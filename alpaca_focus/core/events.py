"""What happened, with the numbers: for the terminal, the log and whoever else listens."""

from dataclasses import dataclass
from typing import TypeAlias

from alpaca_focus.core.values import Fit, FocusResult, Position, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run begins.

    Attributes:
        start_position: Where the focuser stands.
        belongs_at: Where it goes if this run fails, because an earlier one was cut off; `None`: back to the start.
    """

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
        restore_position: Where the focuser waits.
        left_s: How much longer the imaging program waits.
        needed_s: What one more exposure and the way back may take.
    """

    number: int
    restore_position: Position
    left_s: float
    needed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The run goes on after a handover.

    Attributes:
        number: Which handover has ended.
        position: Where the focuser stands now.
        lasted_s: How long the imaging program had the camera.
    """

    number: int
    position: Position
    lasted_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreStarted:
    """Something went wrong, and the focuser goes back to where the run began."""

    position: Position
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The run is over and the camera is free."""

    result: FocusResult


Event: TypeAlias = (
    RunStarted | Moved | FrameMeasured | CurveFitted | CameraHandover | Resumed | RestoreStarted | RunEnded
)
