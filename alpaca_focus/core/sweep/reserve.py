"""Estimate of the time that a focus run still needs before it can release the camera."""

FIRST_OVERHEAD_S = 10.0
"""Moves, settling, download and measuring about one exposure, before the first one."""
FIRST_RESTORE_S = 10.0
"""The restore, before the first move."""
RESTORE_FACTOR = 2.0
"""The restore over the longest move: it has two legs."""
MARGIN_S = 2.0
"""Restoring the camera's settings, and a margin."""


class Reserve:
    """Estimates, from the run so far, the time for one more exposure and the restore.

    `guiding_s` is the longest time until the guider was steady.
    """

    def __init__(self, exposure_s: float) -> None:
        self.guiding_s = 0.0
        self._exposure_s = exposure_s
        self._began_s: float | None = None
        self._rested_s = 0.0
        self._overhead_s: float | None = None
        self._move_s: float | None = None
        self._move_steps = 0

    def exposing(self, exposure_s: float, at_s: float) -> None:
        """Note the start of an exposure, which ends the cycle of the one before."""
        if self._began_s is not None:
            overhead_s = at_s - self._began_s - self._exposure_s - self._rested_s
            self._overhead_s = max(self._overhead_s or 0.0, overhead_s)
        self._exposure_s, self._began_s, self._rested_s = exposure_s, at_s, 0.0

    def rested(self, duration_s: float) -> None:
        """Note a wait that belongs to no exposure."""
        self._rested_s += duration_s

    def interrupted(self) -> None:
        """Leave the cycle under way out of the estimate: it was interrupted."""
        self._began_s = None

    def moved(self, steps: int, duration_s: float) -> None:
        """Note a move."""
        self._move_s = max(self._move_s or 0.0, duration_s)
        self._move_steps = max(self._move_steps, steps)

    def guided(self, duration_s: float) -> None:
        """Note how long the guider took until its star was steady."""
        self.guiding_s = max(self.guiding_s, duration_s)

    def needed_s(self, restore_steps: int, exposure_s: float | None = None) -> float:
        """Return the time for one more exposure and the release of the camera after it.

        Args:
            restore_steps: Distance to restore from the position of the exposure.
            exposure_s: Its exposure time; `None`: that of the last one.
        """
        overhead_s = FIRST_OVERHEAD_S if self._overhead_s is None else self._overhead_s
        exposure_s = self._exposure_s if exposure_s is None else exposure_s
        return exposure_s + overhead_s + self._restore_s(restore_steps) + self.guiding_s + MARGIN_S

    def _restore_s(self, steps: int) -> float:
        if self._move_s is None:
            return FIRST_RESTORE_S
        # A run that leaves the start in several moves has a longer way to restore than any of them.
        moves = max(1.0, steps / self._move_steps) if self._move_steps else 1.0
        return RESTORE_FACTOR * self._move_s * moves
