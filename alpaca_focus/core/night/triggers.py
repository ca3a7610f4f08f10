"""Triggers: each judges from the history whether a refocus is due, how near it is, and why.

None has priority, and none has a state: a refocus restarts the counting of all (decision 0014).
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from alpaca_focus.core.night.state import History
from alpaca_focus.core.robust import robust_sigma
from alpaca_focus.core.status import Verdict

HFD_SIGMAS = 3.0
POSITION = "position"
"""Name of the trigger after which positions may count from another zero."""


Trigger: TypeAlias = Callable[[History], Verdict]
"""Returns the verdict on the night so far, the latest poll included."""


@dataclass(frozen=True, slots=True)
class TemperatureChange:
    """The temperature, averaged over full windows of so many readings, has drifted since the last refocus."""

    limit_c: float
    readings: int

    def __call__(self, history: History) -> Verdict:
        """Due once the mean of the last full window has drifted by `limit_c`; a short gust of wind has no effect."""
        window = history.window
        number = f"#{len(window.readings_c):0{len(str(self.readings))}d}{'*' if window.filled else ''}"
        if history.reference_c is None or window.latest_c is None:
            return Verdict(trigger="temperature", due=False, state=f"[? {number}]")
        state = f"[{window.latest_c - history.reference_c:+.1f} {number}]"
        if window.mean_c is None:
            return Verdict(trigger="temperature", due=False, state=state)
        drift_c = window.mean_c - history.reference_c
        reason = f"the temperature has changed by {drift_c:+.2f} degrees since the last refocus"
        # The tolerance covers rounding, so that a drift of exactly the limit is due.
        return Verdict(trigger="temperature", due=abs(drift_c) >= self.limit_c - 1e-9, state=state, reason=reason)


@dataclass(frozen=True, slots=True)
class AfterImages:
    """Enough light frames since the last refocus."""

    count: int

    def __call__(self, history: History) -> Verdict:
        """Due once `count` images have been taken since the last refocus."""
        state, reason = f"[{history.images}/{self.count}]", f"{history.images} images since the last refocus"
        return Verdict(trigger="images", due=history.images >= self.count, state=state, reason=reason)


@dataclass(frozen=True, slots=True)
class AfterTime:
    """Enough time since the last refocus."""

    limit_s: float

    def __call__(self, history: History) -> Verdict:
        """Due once `limit_s` have passed since the last refocus, and at once if there was none."""
        minutes, limit = history.since_s / 60, self.limit_s / 60
        if history.baseline is None:
            reason = "no focus of this night is known yet"
            return Verdict(trigger="time", due=True, state=f"[-/{limit:.0f} min]", reason=reason)
        state, reason = f"[{minutes:.0f}/{limit:.0f} min]", f"{minutes:.0f} min since the last refocus"
        return Verdict(trigger="time", due=history.since_s >= self.limit_s, state=state, reason=reason)


@dataclass(frozen=True, slots=True)
class FilterChange:
    """The filter has changed since the last refocus.

    Attributes:
        ask_s: How long an operator can decline a refocus after a change by hand.
        by_hand: Whether to refocus when that time is over.
    """

    ask_s: float = 0.0
    by_hand: bool = True

    def __call__(self, history: History) -> Verdict:
        """Due at once after a change by the imaging plan; after one by hand, unless an operator declines in time."""
        if not history.filter_changed:
            return Verdict(trigger="filter", due=False, state=f"[{history.filter_name or '-'}]")
        reason = f"the filter has changed to {history.filter_name}"
        if not history.by_hand:
            return Verdict(trigger="filter", due=True, state=f"[{history.filter_name}!]", reason=reason)
        left_s = self.ask_s - history.asked_s
        if left_s > 0:
            then = "refocus" if self.by_hand else "nothing"
            state = f"[{history.filter_name} by hand? {left_s:.0f} s, then {then}]"
            return Verdict(trigger="filter", due=False, state=state)
        state = f"[{history.filter_name} by hand]"
        return Verdict(trigger="filter", due=self.by_hand, state=state, reason=f"{reason} by hand")


def meridian_flip(history: History) -> Verdict:
    """Due after the mount has changed the side of the pier while tracking, or a reported flip."""
    state = f"[{history.pier_side}{'!' if history.flipped else ''}]"
    reason = f"the mount has flipped to the {history.pier_side} side of the pier"
    return Verdict(trigger="flip", due=history.flipped, state=state, reason=reason)


def as_soon_as_possible(history: History) -> Verdict:
    """Due after a request by an operator or a script; the refocus clears the request."""
    state = "[!]" if history.asap else "[-]"
    return Verdict(trigger="asap", due=history.asap, state=state, reason="a refocus was requested")


def unverified_position(history: History) -> Verdict:
    """Due after the focuser was moved by others, has lost its zero, or was brought back after a cut-off move."""
    watch = history.focuser
    jump = "" if watch.jump is None else f"{watch.jump.expected} -> {watch.jump.found}"
    state = f"[{jump}!]" if watch.unverified else "[-]"
    return Verdict(trigger=POSITION, due=bool(watch.unverified), state=state, reason=watch.unverified)


def position_problem_of(verdicts: Sequence[Verdict]) -> str:
    """Return why the focuser's position needs a refocus, as a clause; empty: it needs none."""
    return next((each.reason for each in verdicts if each.trigger == POSITION), "")


@dataclass(frozen=True, slots=True)
class HfdRise:
    """The stars on the frames have grown since the first frames after the last refocus.

    Medians keep one bad frame from having an effect, and the growth must exceed the scatter from frame to frame, which
    the seeing causes. The reference is reset at each refocus, so worse seeing triggers only once.

    Attributes:
        share: Growth as a share of the first size.
        frames: Frames in each median.
    """

    share: float
    frames: int

    def __call__(self, history: History) -> Verdict:
        """Due once the latest frames exceed the first ones by `share`, and significantly."""
        hfds_px = history.hfds_px
        if len(hfds_px) < 2 * self.frames:
            return Verdict(trigger="hfd", due=False, state=f"[{len(hfds_px)}/{2 * self.frames} frames]")
        first, last = hfds_px[: self.frames], hfds_px[-self.frames :]
        before, now = statistics.median(first), statistics.median(last)
        growth = now / before - 1
        scatter = max(robust_sigma(first, before), robust_sigma(last, now))
        # The standard error of a median is 1.25 times that of a mean; the difference of two has twice the variance.
        error = scatter / before * 1.25 * math.sqrt(2 / self.frames)
        return Verdict(
            trigger="hfd",
            due=growth >= self.share and growth > HFD_SIGMAS * error,
            state=f"[{100 * growth:+.0f}/{100 * self.share:.0f} %]",
            reason=f"the stars have grown by {100 * growth:.0f} % to {now:.2f} px",
        )


@dataclass(frozen=True, slots=True)
class AltitudeChange:
    """The telescope points higher or lower than at the last refocus."""

    limit_deg: float

    def __call__(self, history: History) -> Verdict:
        """Due once the altitude has changed by `limit_deg` since the last refocus."""
        before, now = history.reference_altitude_deg, history.altitude_deg
        if before is None or now is None:
            return Verdict(trigger="altitude", due=False, state="[?]")
        change = now - before
        state = f"[{change:+.0f}/{self.limit_deg:.0f} deg]"
        reason = f"the telescope points {abs(change):.0f} degrees {'higher' if change > 0 else 'lower'}"
        return Verdict(trigger="altitude", due=abs(change) >= self.limit_deg, state=state, reason=reason)


@dataclass(frozen=True, slots=True)
class FocusUncertainty:
    """By the focus model, the telescope is probably out of focus by now, the error of the model included."""

    limit_steps: float

    def __call__(self, history: History) -> Verdict:
        """Due once the probable defocus reaches `limit_steps`."""
        probable = history.probable_defocus_steps
        if probable is None or history.baseline is None:
            return Verdict(trigger="uncertainty", due=False, state="[?]")
        state = f"[{probable:.0f}/{self.limit_steps:.0f} steps]"
        reason = f"the telescope is probably {probable:.0f} steps out of focus by now"
        return Verdict(trigger="uncertainty", due=probable >= self.limit_steps, state=state, reason=reason)
