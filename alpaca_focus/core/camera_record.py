"""What must survive a kill while a focus run has the camera or an exposure waits (decision 0027)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

CameraValues = Mapping[str, bool | int | float | str]
"""Values of a camera's members by ASCOM name; a camera that has no such member has no entry."""

_LEVEL_TOLERANCE = 1
"""Drivers that store gain and offset in other units read back 1 off (seen with one of the five servers)."""
_LEVELS = ("Gain", "Offset")
_EXPOSING = frozenset({1, 2, 3})  # Waiting, Exposing and Reading; some servers stay at Download


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingExposure:
    """An exposure of the imaging program that the camera has not been seen to start.

    Attributes:
        at: Time of its StartExposure, UTC.
        is_accepted: Whether the imaging program waits for it; otherwise its StartExposure was never answered.
        sent_at: When it was sent to the camera; `None`: it was not.
        last_start: The camera's LastExposureStartTime before that; empty if it reported none.
    """

    exposure_s: float
    light: bool
    at: datetime
    is_accepted: bool = True
    sent_at: datetime | None = None
    last_start: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRecord:
    """The camera as the imaging program left it, and its exposure that waits.

    Attributes:
        settings: Settings from before the run; `None`: no run has used the camera since the imaging program.
        last_exposure: LastExposureDuration and LastExposureStartTime from before the run.
        changes: Settings that the imaging program has requested during the run, in its order.
        used: Settings that the run uses, where they are known.
        is_changed: Whether the camera may still have the run's settings.
        exposure: `None`: none waits.
    """

    settings: CameraValues | None = None
    last_exposure: CameraValues = field(default_factory=dict)
    changes: CameraValues = field(default_factory=dict)
    used: CameraValues = field(default_factory=dict)
    is_changed: bool = False
    exposure: PendingExposure | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to restore, to hide or to begin."""
        return self.settings is None and self.exposure is None

    def is_set_by_others(self, found: CameraValues) -> bool:
        """Return whether another program has set the camera since: a setting is neither the run's nor the one before.

        Args:
            found: The camera's present settings.
        """
        before = self.settings or {}
        return any(
            not _is_equal(member, found[member], value) and not _is_equal(member, found[member], before.get(member))
            for member, value in self.used.items()
            if member in found
        )


def _is_equal(member: str, found: object, value: object) -> bool:
    if member in _LEVELS and isinstance(found, int) and isinstance(value, int):
        return abs(found - value) <= _LEVEL_TOLERANCE
    return found == value


def has_begun(pending: PendingExposure, *, state: int, is_ready: bool, last_start: str) -> bool:
    """Return whether the camera shows that it has started an exposure which was sent to it.

    Args:
        pending: The exposure.
        state: The camera's CameraState; the run's own exposures have ended before the exposure was sent.
        is_ready: Its ImageReady.
        last_start: Its LastExposureStartTime; empty if it reports none.
    """
    return state in _EXPOSING or (is_ready and last_start not in {"", pending.last_start})
