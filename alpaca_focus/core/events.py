"""What happened, with the numbers: for the terminal, the log and whoever else listens."""

from dataclasses import dataclass
from typing import TypeAlias

from alpaca_focus.core.values import Fit, FocusResult, Position, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run begins at `start_position`."""

    start_position: Position


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
class RestoreStarted:
    """Something went wrong, and the focuser goes back to where the run began."""

    position: Position
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The run is over and the camera is free."""

    result: FocusResult


Event: TypeAlias = RunStarted | Moved | FrameMeasured | CurveFitted | RestoreStarted | RunEnded
