"""Exposures that the scripts of an imaging program report."""

from dataclasses import dataclass

import structlog

from alpaca_focus.ports import Clock

LONGEST_UNKNOWN_S = 2 * 3600.0
"""An exposure of unknown length counts as ended after this time: its script has died."""
SPARE_S = 60.0
"""Added to the exposure and its download before the exposure counts as ended."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedExposure:
    """An exposure as its script has reported it; `seconds` of `None`: not reported. A dark one shows no stars."""

    seconds: float | None = None
    dark: bool = False


class ReportedExposures:
    """Tracks whether a reported exposure is under way. Independent of devices, so it outlives their connections."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._exposure: ReportedExposure | None = None
        self._over_s = 0.0
        self._given_up = False

    def begin(self, exposure: ReportedExposure, *, download_s: float) -> None:
        """Record that an exposure begins; its download takes `download_s` at most."""
        lasts_s = LONGEST_UNKNOWN_S if exposure.seconds is None else exposure.seconds + download_s + SPARE_S
        self._exposure, self._over_s, self._given_up = exposure, self._clock.monotonic() + lasts_s, False

    def end(self) -> ReportedExposure:
        """Record the end of the exposure and return it; if no begin was reported, a light frame of unknown length."""
        exposure, self._exposure = self._exposure, None
        return exposure or ReportedExposure()

    @property
    def busy(self) -> bool:
        """Whether an exposure is under way; the first call after its longest time logs that its end is missing."""
        if self._exposure is None or self._given_up:
            return False
        if self._clock.monotonic() < self._over_s:
            return True
        self._given_up = True
        _log.warning(
            "The end of an exposure was never reported: the camera counts as free again. Check the script that calls "
            "`alpaca-focus exposure end`.",
            reported_seconds=self._exposure.seconds,
        )
        return False
