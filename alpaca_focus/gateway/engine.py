"""The engine that keeps the telescope in focus, as the gateway uses it.

The gateway runs in its own thread and calls these methods there; none of them blocks. If the engine fails, the gateway
goes on passing requests through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alpaca_focus.core.values import Position
from alpaca_focus.gateway.passed_images import PassedImage

ACTIONS = ("refocus", "pause", "resume", "status")
"""Actions that the virtual devices add to those of the real ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LightFrame:
    """A light frame that the imaging program has downloaded.

    Attributes:
        image: The image; to be released after the measurement.
        exposure_s: Requested exposure time.
        started_at: Time of StartExposure, UTC.
        facts: The camera's properties of the frame by ASCOM name in lower case (binx, maxadu ...), those it reports.
    """

    image: PassedImage
    exposure_s: float
    started_at: datetime
    facts: Mapping[str, float]


class Engine(Protocol):
    """Decides what is due, and does it."""

    @property
    def measures_stars(self) -> bool:
        """Whether focus runs measure stars and want the whole sensor; a spectrum needs the program's subframe."""
        ...

    @property
    def wants_gap(self) -> bool:
        """Whether something that is due waits for a gap between two exposures."""
        ...

    @property
    def correcting(self) -> bool:
        """Whether a correction move of the focuser is under way."""
        ...

    @property
    def focusing(self) -> bool:
        """Whether a focus run is under way, interrupted or not."""
        ...

    async def decide(self) -> None:
        """Decide anew whether something is due; returns soon, and never raises except when cancelled."""
        ...

    async def use_gap(self) -> None:
        """Do what waits for a gap, and return when it is finished. Never raises except when cancelled."""
        ...

    async def wait_until_idle(self) -> None:
        """Wait until neither a focus run nor a correction move is under way. Never raises except when cancelled."""
        ...

    def give_way(self, why: str) -> None:
        """End a focus run soon, in favour of the imaging program."""
        ...

    @property
    def compensates_moves(self) -> bool:
        """Whether `move_focuser` makes the imaging program's moves."""
        ...

    async def move_focuser(self, target: Position) -> bool:
        """Move the focuser for the imaging program, with its backlash taken up; a call that is cancelled halts it.

        Returns:
            False if the move has to be passed on instead.

        Raises:
            AlpacaFocusError: The move failed; the engine finishes it when it can.
        """
        ...

    def program_moves(self) -> None:
        """Leave the focuser to the imaging program until `program_has_moved`."""
        ...

    def program_has_moved(self, position: Position | None) -> None:
        """Adopt the position to which the imaging program has moved the focuser; `None` if it is unknown."""
        ...

    def measure_frame(self, frame: LightFrame) -> None:
        """Measure a frame in the background and release it; a frame that comes too soon is only released."""
        ...

    async def run_action(self, action: str) -> str:
        """Run one of `ACTIONS` and return its result.

        Raises:
            AlpacaFocusError: It failed; the message is for the user of the imaging program.
        """
        ...
