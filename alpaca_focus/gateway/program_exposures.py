"""Tracks the imaging program's exposures: the last one, whether one is under way, and how many images there were."""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alpaca_focus.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """An exposure and the time of its StartExposure, by the wall clock and by the monotonic clock."""

    exposure_s: float
    light: bool
    at: datetime
    at_s: float


class ProgramExposures:
    """Tracks exposures by their duration, without polling the camera.

    Attributes:
        images: Number of finished light frames of at least `least_image_s`.
        last: The last exposure; `None` if there was none yet, or it was aborted.
        is_known: Whether the imaging program has exposed since the gateway was started.
        passing: How many StartExposure requests the camera has not answered yet.
    """

    def __init__(self, clock: Clock, *, least_image_s: float) -> None:
        self._clock = clock
        self._least_image_s = least_image_s
        self.images = 0
        self.last: Exposed | None = None
        self.is_known = False
        self.passing = 0
        self._is_passing_aborted = False
        self._is_counted = True
        self._is_measured = True
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

    def began(self, *, exposure_s: float, light: bool, may_be_stale: bool, ago_s: float = 0.0) -> None:
        """Note that the camera has started an exposure, `ago_s` seconds ago."""
        self.count()
        now_s = self._clock.monotonic() - ago_s
        ends_s = now_s + exposure_s
        self._not_ready_before_s = ends_s if may_be_stale else -math.inf
        self.last = Exposed(
            exposure_s=exposure_s, light=light, at=self._clock.wall() - timedelta(seconds=ago_s), at_s=now_s
        )
        self._is_counted = self._is_measured = not self.is_image(exposure_s, light=light)
        self._busy_until_s = ends_s
        self.is_known = True

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
        if self._is_measured or self._clock.monotonic() < self._busy_until_s:
            return None
        self._is_measured = True
        return self.last

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
            self.images += 1

    def _ended_early(self) -> None:
        self._busy_until_s = min(self._busy_until_s, self._clock.monotonic())
        self._not_ready_before_s = -math.inf
