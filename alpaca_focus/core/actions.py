"""What a plan can ask for. A plan yields one of these and is sent the answer.

| action  | answer |
| ------- | ------ |
| MoveTo  | `Position` at which the focuser came to rest |
| Settle  | `None` |
| Expose  | `int`, a ticket for the frame, once the shutter is closed |
| Measure | `Measurement` of the frame with that ticket |

Exposing and measuring are two actions so that the next move can begin while a frame is still being read and measured.
"""

from dataclasses import dataclass
from typing import TypeAlias

from alpaca_focus.core.values import ExposureSettings, Measurement, Position


@dataclass(frozen=True, slots=True)
class MoveTo:
    """Go to a position in one leg, straight; how to approach a target is the plan's business."""

    position: Position


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait after a move."""

    duration_s: float


@dataclass(frozen=True, slots=True)
class Expose:
    """Take one frame; `purpose` says what for: "locate", "sweep", "verify"."""

    settings: ExposureSettings
    purpose: str


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure the frame with this ticket."""

    ticket: int


Action: TypeAlias = MoveTo | Settle | Expose | Measure
Answer: TypeAlias = Position | Measurement | None
