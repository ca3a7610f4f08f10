"""Recognises an imaging program's own autofocus by its moves of the focuser and the short exposures between them."""

from dataclasses import dataclass, replace

SERIES = 3
SERIES_WITHIN_S = 120.0
"""This many moves in this time are taken for an autofocus."""
SERIES_PAUSE_S = 40.0
"""Longer than the pause between two moves of an autofocus: N.I.N.A.'s line exposes 5 to 12 s and settles 3 s."""
LONGEST_FRAME_S = 30.0
"""A longer exposure is never taken for a frame of an autofocus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramAutofocus:
    """The imaging program's latest moves of the focuser, on a clock that never jumps.

    Attributes:
        moves_s: Times of the last `SERIES` moves, the latest last.
        frame_s: Length of the short exposures that have followed them; `None`: none has.
    """

    moves_s: tuple[float, ...] = ()
    frame_s: float | None = None

    @property
    def is_series(self) -> bool:
        """Whether the latest moves are those of an autofocus."""
        return len(self.moves_s) == SERIES and self.moves_s[-1] - self.moves_s[0] < SERIES_WITHIN_S

    def is_under_way(self, now_s: float) -> bool:
        """Return whether an autofocus is under way, or has just taken its last frame."""
        return self.is_series and now_s - self.moves_s[-1] < SERIES_PAUSE_S

    def moved(self, now_s: float) -> "ProgramAutofocus":
        """Return the moves with one more."""
        is_new = not self.moves_s or now_s - self.moves_s[-1] > SERIES_WITHIN_S
        return ProgramAutofocus(moves_s=(*self.moves_s, now_s)[-SERIES:], frame_s=None if is_new else self.frame_s)

    def has_moved_since(self, then_s: float) -> bool:
        """Return whether the imaging program has moved the focuser since then."""
        return bool(self.moves_s) and self.moves_s[-1] > then_s

    def is_frame(self, exposure_s: float, now_s: float) -> bool:
        """Return whether an exposure that begins now belongs to an autofocus under way, its last frame included."""
        return self.is_under_way(now_s) and exposure_s == self.frame_s

    def exposed(self, exposure_s: float) -> "ProgramAutofocus":
        """Return the moves after an exposure that may belong to an autofocus."""
        return replace(self, frame_s=exposure_s)
