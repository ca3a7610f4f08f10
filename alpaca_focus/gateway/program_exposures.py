"""Tracks the imaging program's exposures: the last one, whether one is under way, and how many images there were."""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alpaca_focus.core.night.program_autofocus import LONGEST_FRAME_S, ProgramAutofocus
from alpaca_focus.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """An exposure and the time at which its StartExposure was sent, by the wall clock and by the monotonic clock.

    The camera has begun later than that, but perhaps long before its reply came.
    """

    exposure_s: float
    light: bool
    at: datetime
    at_s: float


class ProgramExposures:
    """Tracks exposures by their duration, without polling the camera.

    Attributes:
        images: Number of finished light frames of at least `least_image_s`, without those of the imaging program's own
            autofocus. A short one after a move of the focuser is counted once the next exposure shows what it was.
        autofocus: The imaging program's moves of the focuser.
        test_shots: Number of light frames below `least_image_s` in a row.
        last: The last exposure; `None` if there was none yet, or it was aborted.
        is_known: Whether the imaging program has exposed since the gateway was started.
        passing: How many StartExposure requests the camera has not answered yet.
    """

    def __init__(self, clock: Clock, *, least_image_s: float) -> None:
        self._clock = clock
        self._least_image_s = least_image_s
        self.images = 0
        self.autofocus = ProgramAutofocus()
        self.test_shots = 0
        self.last: Exposed | None = None
        self.is_known = False
        self.passing = 0
        self._sent_s = clock.monotonic()
        self._is_passing_aborted = False
        self._is_counted = True
        self._is_measured = True
        self._is_uncertain = False
        self._uncertain_images = 0
        self._began_s = -math.inf
        self._busy_until_s = clock.monotonic()
        self._not_ready_before_s = -math.inf

    @property
    def under_way(self) -> bool:
        """Whether an exposure is known to be under way."""
        return self.passing > 0 or self._clock.monotonic() < self._busy_until_s

    @property
    def idle_s(self) -> float:
        """Seconds since the imaging program was last busy with the camera; negative while it is."""
        return self._clock.monotonic() - self._busy_until_s

    @property
    def may_be_stale(self) -> bool:
        """Whether the camera's ImageReady and CameraState may still be those of the previous exposure.

        Some of the five servers update them 0.2 s late. A program that polls while its exposure
        waits would take the focus run's frame for its own.
        """
        return self._clock.monotonic() < self._not_ready_before_s

    def is_image(self, exposure_s: float, *, light: bool) -> bool:
        """Return whether an exposure counts as an image."""
        return light and exposure_s >= self._least_image_s

    def passes(self) -> None:
        """Note that a StartExposure is being passed on; `passed_on` follows with its outcome."""
        self.passing += 1

    def passed_on(self) -> bool:
        """Note that a StartExposure was answered; return whether the imaging program has aborted it meanwhile."""
        self.passing -= 1
        was_aborted = self._is_passing_aborted
        if not self.passing:
            self._is_passing_aborted = False
        return was_aborted

    def sending(self) -> None:
        """Note that a StartExposure is just being sent to the camera; `began` may follow."""
        self._sent_s = self._clock.monotonic()

    def began(self, *, exposure_s: float, light: bool, may_be_stale: bool) -> None:
        """Note that the camera has started the exposure that was sent."""
        self.count()
        self.settle_uncertain()
        now_s, sent_s = self._clock.monotonic(), self._sent_s
        ends_s = now_s + exposure_s
        self._not_ready_before_s = ends_s if may_be_stale else -math.inf
        at = self._clock.wall() - timedelta(seconds=now_s - sent_s)
        self.last = Exposed(exposure_s=exposure_s, light=light, at=at, at_s=sent_s)
        autofocus, is_image = self.autofocus, self.is_image(exposure_s, light=light)
        is_frame = autofocus.is_frame(exposure_s, sent_s)
        self._is_uncertain = exposure_s <= LONGEST_FRAME_S and autofocus.has_moved_since(self._began_s)
        if self._is_uncertain:
            self.autofocus = autofocus.exposed(exposure_s)
        self._is_counted = not is_image or is_frame
        self._is_measured = self._is_counted or self._is_uncertain
        self.test_shots = self.test_shots + 1 if light and not (is_image or is_frame) else 0
        self._began_s = sent_s
        self._busy_until_s = ends_s
        self.is_known = True

    def focuser_moved(self) -> None:
        """Note that the imaging program moves the focuser."""
        self.count()
        self.autofocus = self.autofocus.moved(self._clock.monotonic())
        if self.autofocus.is_series:
            self._uncertain_images, self._is_counted = 0, self._is_counted or self._is_uncertain

    def settle_uncertain(self) -> None:
        """Count the frames that might have belonged to an autofocus if an exposure follows without a move."""
        now_s = self._clock.monotonic()
        if not self.autofocus.has_moved_since(self._began_s) and not self.autofocus.is_under_way(now_s):
            self.images, self._uncertain_images = self.images + self._uncertain_images, 0

    def may_have_begun(self, exposure_s: float) -> None:
        """Note that the camera may be exposing."""
        self.is_known = True
        self._busy_until_s = max(self._busy_until_s, self._clock.monotonic() + exposure_s)

    def busy_now(self) -> None:
        """Note that the imaging program uses the camera just now."""
        self._busy_until_s = max(self._busy_until_s, self._clock.monotonic())

    def passed(self) -> Exposed | None:
        """Note that the imaging program has downloaded an image; return its exposure if it is to be measured.

        That is a finished light frame which is downloaded for the first time.
        """
        self.count()
        self.busy_now()
        last = self.last
        if self._is_measured or last is None or self._clock.monotonic() < last.at_s + last.exposure_s:
            return None
        self._is_measured = True
        return last

    def stopped(self) -> None:
        """Note that the imaging program has stopped its exposure early, with an image."""
        now_s, last = self._clock.monotonic(), self.last
        if last is not None and now_s < last.at_s + last.exposure_s:
            self.last = replace(last, exposure_s=now_s - last.at_s)
            if self.last.exposure_s < self._least_image_s:
                self._is_counted = self._is_measured = True
        self._ended_early()

    def aborted(self) -> None:
        """Note that the imaging program has aborted its exposure."""
        self.is_known = True
        self.last = None
        self._is_counted = self._is_measured = True
        self._is_passing_aborted = self.passing > 0
        self._ended_early()

    def count(self) -> None:
        """Count the last exposure if it has ended."""
        last = self.last
        if self._is_counted or last is None:
            return
        if self._clock.monotonic() >= min(self._busy_until_s, last.at_s + last.exposure_s):
            self._is_counted = True
            if self._is_uncertain:
                self._uncertain_images += 1
            else:
                self.images += 1

    def _ended_early(self) -> None:
        self._busy_until_s = min(self._busy_until_s, self._clock.monotonic())
        self._not_ready_before_s = -math.inf
