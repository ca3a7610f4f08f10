"""Monitors whether an imaging program that is only watched leaves gaps that a focus run can use."""

import math
from dataclasses import dataclass, replace

from alpaca_focus.core.night.save_marks import AtOnce, AtOnceIfLowered

IMAGES_WITHOUT_A_GAP = 3
NIGHT_S = 12 * 3600.0
"""The advice is logged once in this time."""
ADVICE = (
    "The imaging program leaves no gap between its exposures that a focus run could use. Let it work through the "
    "gateway (imaging.way: gateway), or let its script call `alpaca-focus refocus --if-due --wait` after each exposure."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GapMonitor:
    """Counts the exposures and runs for which the gap was too short.

    Attributes:
        images: Exposures in a row without a gap in between while a refocus waited for a gap only; `None`: none waits.
        lost_gaps: Runs since the last refocus for which the gap was too short.
        advised_s: Seconds since the advice was logged.
    """

    images: AtOnce[int | None] = None
    lost_gaps: AtOnce[int] = 0
    advised_s: AtOnceIfLowered[float] = math.inf

    @property
    def needs_advice(self) -> bool:
        """Whether gaps are missing and the advice was not logged this night."""
        is_tight = self.lost_gaps > 0 or (self.images or 0) >= IMAGES_WITHOUT_A_GAP
        return is_tight and not self.is_advised

    @property
    def is_advised(self) -> bool:
        """Whether the advice was logged this night."""
        return self.advised_s < NIGHT_S

    def later(self, passed_s: float) -> "GapMonitor":
        """Return the monitor some time later."""
        return replace(self, advised_s=self.advised_s + passed_s)

    def polled(self, *, waits: bool, exposures: int) -> "GapMonitor":
        """Return the monitor after a poll.

        Args:
            waits: Whether a refocus is due and waits for the end of an exposure, and for nothing else.
            exposures: Exposures that have followed another one since the previous poll.
        """
        if not waits:
            return replace(self, images=None)
        return replace(self, images=0 if self.images is None else self.images + exposures)

    def refocused(self) -> "GapMonitor":
        """Return the monitor after a good focus."""
        return GapMonitor(advised_s=self.advised_s)
