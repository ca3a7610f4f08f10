"""What keeps the telescope in focus, as the gateway sees it.

The gateway runs in a thread of its own: its methods here are called in that thread, and none of them blocks. Should the
engine fail, the gateway goes on passing through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alpaca_focus.core.values import Position
from alpaca_focus.gateway.passed_images import PassedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class LightFrame:
    """A light frame of the imaging program that has passed.

    Attributes:
        image: The image, to be released when it is not needed any more.
        exposure_s: Exposure time that the imaging program asked for.
        started_at: When the camera was told to expose, UTC.
        facts: What the camera says of the frame, by the standard's names in lower case: BinX, MaxADU and so on; what it
            does not say is left out.
    """

    image: PassedImage
    exposure_s: float
    started_at: datetime
    facts: Mapping[str, float]


class Engine(Protocol):
    """Decides what is due, and does it."""

    @property
    def of_stars(self) -> bool:
        """Whether focus runs look at stars, and want the whole sensor; a spectrum lies where the subframe was put."""
        ...

    @property
    def wants_gap(self) -> bool:
        """Whether something waits for nothing but a gap between two exposures."""
        ...

    @property
    def moves(self) -> bool:
        """Whether a small move of the focuser is under way."""
        ...

    @property
    def focusing(self) -> bool:
        """Whether a focus run is under way, interrupted or not."""
        ...

    async def use_gap(self) -> None:
        """Do what waits for a gap; returns when nothing is under way any more. Never raises but when cancelled."""
        ...

    async def still(self) -> None:
        """Wait until neither a focus run nor a small move is under way. Never raises but when cancelled."""
        ...

    def give_way(self, why: str) -> None:
        """End a focus run soon: the imaging program comes first."""
        ...

    def somebody_moves(self) -> None:
        """Keep away from the focuser until `somebody_has_moved`: the imaging program moves it."""
        ...

    def somebody_has_moved(self, position: Position | None) -> None:
        """Take up where the imaging program has moved the focuser to; `None`: nobody knows."""
        ...

    def light_frame(self, frame: LightFrame) -> None:
        """Measure a frame in the background, and release it; or leave it, where there is no time for it."""
        ...

    async def act(self, action: str) -> str:
        """Carry out one of `ACTIONS` and return what there is to say.

        Raises:
            AlpacaFocusError: It cannot be done; the message is for the user of the imaging program.
        """
        ...


ACTIONS = ("refocus", "pause", "resume", "status")
"""What the virtual devices can do besides what the real ones can."""
