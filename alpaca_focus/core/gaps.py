"""Whether an imaging program that is only watched leaves gaps that a focus run can use."""

import math
from dataclasses import dataclass, replace

IMAGES_WITHOUT_A_GAP = 3
NIGHT_S = 12 * 3600.0
"""It is told once in so long."""
ADVICE = (
    "The imaging program leaves no gap between its exposures that a focus run could use. Let it work through the "
    "gateway (imaging.way: gateway), or let its script call `alpaca-focus refocus --if-due --wait` after each exposure."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Squeeze:
    """How little room the imaging program leaves.

    Attributes:
        images: Exposures in a row that followed each other without a gap while a refocus was due and waited for
            nothing else; `None`: none waits for that.
        lost_gaps: Runs since the last refocus for which the gap was too short.
        told_s: Seconds since it was told.
    """

    images: int | None = None
    lost_gaps: int = 0
    told_s: float = math.inf

    @property
    def is_to_be_told(self) -> bool:
        """Whether a person has to know, and was not told this night."""
        is_tight = self.lost_gaps > 0 or (self.images or 0) >= IMAGES_WITHOUT_A_GAP
        return is_tight and not self.is_told

    @property
    def is_told(self) -> bool:
        """Whether it was told this night."""
        return self.told_s < NIGHT_S

    def later(self, passed_s: float) -> "Squeeze":
        """Return it when some time has passed."""
        return replace(self, told_s=self.told_s + passed_s)

    def looked(self, *, waits: bool, exposures: int) -> "Squeeze":
        """Return it after one look more.

        Args:
            waits: Whether a refocus is due and waits for the end of an exposure, and for nothing else.
            exposures: Exposures that have followed another since the look before.
        """
        if not waits:
            return replace(self, images=None)
        return replace(self, images=0 if self.images is None else self.images + exposures)

    def gap_lost(self) -> "Squeeze":
        """Return it after a run that the imaging program's next exposure has ended."""
        return replace(self, lost_gaps=self.lost_gaps + 1)

    def told(self) -> "Squeeze":
        """Return it once it was told."""
        return replace(self, told_s=0.0)

    def refocused(self) -> "Squeeze":
        """Return it after a good focus."""
        return Squeeze(told_s=self.told_s)
