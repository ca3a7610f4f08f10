"""The night so far: one look at the observatory, and what has come together since the last refocus.

Everything here is frozen and can be written to disk as it is; time comes in with each look as seconds passed, so that a
clock that is put right does nothing to any counter.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from alpaca_focus.core.averaging import Sieve, Window
from alpaca_focus.core.gaps import Squeeze
from alpaca_focus.core.values import Position

MOST_HFDS = 60


class PierSide(StrEnum):
    """Side of the pier as Alpaca defines it."""

    EAST = "east"
    WEST = "west"
    UNKNOWN = "unknown"


class Plan(StrEnum):
    """What the imaging program is taking."""

    LIGHT = "light"
    DARK = "dark"
    FLAT = "flat"
    BIAS = "bias"
    IDLE = "idle"
    UNKNOWN = "unknown"
    """It has not told."""


NO_LIGHTS = frozenset({Plan.DARK, Plan.FLAT, Plan.BIAS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one look at the observatory showed; `None` where nothing tells.

    Attributes:
        at: Time of day, UTC.
        passed_s: Seconds since the look before.
        temperature_c: Reading of the chosen thermometer.
        filter_name: Filter in the light.
        filter_is_told: Whether a script has told it, and no wheel.
        pier_side: Side of the pier the mount says it is on.
        tracking: Whether the mount tracks.
        parked: Whether it is parked.
        slewing: Whether it slews.
        altitude_deg: Where it points above the horizon.
        exposing: Whether the imaging program exposes, reads out or is about to expose.
        camera_free: Whether the imaging program leaves the camera to a focus run, as far as it is not exposing.
        somebody_moves: Whether the imaging program moves the focuser.
        images: Light frames that ended since the look before.
        exposures: Exposures that have followed another one since then, as far as the camera tells them apart.
        plan: What the imaging program is taking.
        safe: What the safety monitor says.
        sun_altitude_deg: The sun above the horizon.
        probable_defocus_steps: How far from focus the focus model thinks the telescope probably is.
        silent: Names of devices that did not answer and without which nothing can be done.
    """

    at: datetime
    passed_s: float = 0.0
    temperature_c: float | None = None
    filter_name: str | None = None
    filter_is_told: bool = False
    pier_side: PierSide = PierSide.UNKNOWN
    tracking: bool | None = None
    parked: bool | None = None
    slewing: bool | None = None
    altitude_deg: float | None = None
    exposing: bool = False
    camera_free: bool = True
    somebody_moves: bool = False
    images: int = 0
    exposures: int = 0
    plan: Plan = Plan.UNKNOWN
    safe: bool | None = None
    sun_altitude_deg: float | None = None
    probable_defocus_steps: float | None = None
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The last good focus.

    Attributes:
        at: When, UTC.
        position: Where the focuser stood then.
        trigger: Why.
        metric: Name of the metric.
        value: The metric in focus.
        temperature_c: Average temperature; `None`: not known.
        altitude_deg: Where the telescope pointed; `None`: not known.
        filter_name: Filter in the light; `None`: not known.
        stderr_steps: Standard error of the position.
    """

    at: datetime
    position: Position
    trigger: str = ""
    metric: str = ""
    value: float = math.nan
    temperature_c: float | None = None
    altitude_deg: float | None = None
    filter_name: str | None = None
    stderr_steps: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the thermometer is read.

    Attributes:
        every_s: Seconds from reading to reading.
        count: Readings to a window of the trigger.
        followed_count: Readings to a window of the compensation.
    """

    every_s: float = 10.0
    count: int = 60
    followed_count: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the triggers know of the time since the last refocus.

    Attributes:
        baseline: The last good focus; `None`: there was none.
        reference_c: Temperature that drifts are counted from; `None`: not known yet.
        altitude_deg: Where the telescope points now.
        reference_altitude_deg: Altitude that changes are counted from.
        probable_defocus_steps: What the focus model says now.
        since_s: Seconds since the last refocus, or since the beginning.
        images: Light frames since then.
        window: Averages of the temperature for the trigger.
        followed: Averages of the temperature for the compensation.
        sieve: Which readings are believed.
        reading_s: Seconds since the last reading.
        filter_name: Filter last seen.
        filter_changed: Whether it has changed since the last refocus.
        by_hand: Whether that was outside of the imaging plan.
        asked_s: Seconds since a person was asked about it.
        pier_side: Side of the pier last seen while tracking.
        flipped: Whether it has changed, or a flip was told.
        asap: Whether somebody wants a refocus as soon as possible.
        hfds_px: Sizes of the stars on the latest frames since the last refocus.
        idle_s: Seconds since the imaging program last exposed.
        failures: Failed runs in a row.
        hold_s: Seconds to go until the triggers may act again after a failed run.
        blocked_by: Reasons for which a due refocus waits right now.
        ignored: How often a due refocus had to wait, by reason, this night.
        squeeze: How little room the imaging program leaves.
    """

    baseline: Baseline | None = None
    reference_c: float | None = None
    altitude_deg: float | None = None
    reference_altitude_deg: float | None = None
    probable_defocus_steps: float | None = None
    since_s: float = 0.0
    images: int = 0
    window: Window = field(default_factory=Window)
    followed: Window = field(default_factory=Window)
    sieve: Sieve = field(default_factory=Sieve)
    reading_s: float = math.inf
    filter_name: str | None = None
    filter_changed: bool = False
    by_hand: bool = False
    asked_s: float = 0.0
    pier_side: PierSide = PierSide.UNKNOWN
    flipped: bool = False
    asap: bool = False
    hfds_px: tuple[float, ...] = ()
    idle_s: float = math.inf
    failures: int = 0
    hold_s: float = 0.0
    blocked_by: tuple[str, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    squeeze: Squeeze = field(default_factory=Squeeze)


BY_HAND_AFTER_S = 900.0
"""Without a word of the imaging program a filter change counts as one by hand when nothing was exposed for so long."""


def advanced(history: History, snapshot: Snapshot, reading: Reading) -> History:
    """Return the history with one look more."""
    passed_s = max(0.0, snapshot.passed_s)
    history = replace(
        history,
        since_s=history.since_s + passed_s,
        images=history.images + snapshot.images,
        idle_s=0.0 if snapshot.exposing else history.idle_s + passed_s,
        hold_s=max(0.0, history.hold_s - passed_s),
        asked_s=history.asked_s + passed_s if history.filter_changed else 0.0,
        altitude_deg=history.altitude_deg if snapshot.altitude_deg is None else snapshot.altitude_deg,
        probable_defocus_steps=snapshot.probable_defocus_steps,
        squeeze=history.squeeze.later(passed_s),
    )
    history = _with_temperature(history, snapshot.temperature_c, passed_s, reading)
    if history.reference_altitude_deg is None:
        history = replace(history, reference_altitude_deg=snapshot.altitude_deg)
    return _with_pier_side(_with_filter(history, snapshot), snapshot)


def _with_temperature(history: History, reading_c: float | None, passed_s: float, reading: Reading) -> History:
    reading_s = history.reading_s + passed_s
    if reading_s < reading.every_s:
        return replace(history, reading_s=reading_s)
    sieve = history.sieve.take(reading_c)
    if sieve.trouble or sieve.last_c is None:
        return replace(history, reading_s=0.0, sieve=sieve)
    window = history.window.take(sieve.last_c, size=reading.count)
    # Where no focus has told the temperature that it belongs to, drifts are counted from the first average.
    reference_c = window.mean_c if history.reference_c is None else history.reference_c
    followed = history.followed.take(sieve.last_c, size=reading.followed_count)
    return replace(history, reading_s=0.0, sieve=sieve, window=window, followed=followed, reference_c=reference_c)


def _with_filter(history: History, snapshot: Snapshot) -> History:
    name = snapshot.filter_name
    if name is None or name == history.filter_name:
        return history
    seen_before = history.filter_name is not None
    focused_through = None if history.baseline is None else history.baseline.filter_name
    if name == focused_through:
        return replace(history, filter_name=name, filter_changed=False, by_hand=False, asked_s=0.0)
    untold = snapshot.plan is Plan.UNKNOWN and history.idle_s > BY_HAND_AFTER_S and not snapshot.filter_is_told
    return replace(
        history,
        filter_name=name,
        filter_changed=history.filter_changed or seen_before,
        by_hand=seen_before and (snapshot.plan is Plan.IDLE or untold),
        asked_s=0.0,
    )


def _with_pier_side(history: History, snapshot: Snapshot) -> History:
    side = snapshot.pier_side
    if side is PierSide.UNKNOWN or snapshot.tracking is False or snapshot.parked or snapshot.slewing:
        return history
    flipped = history.pier_side not in {PierSide.UNKNOWN, side}
    return replace(history, pier_side=side, flipped=history.flipped or flipped)


def told_image(history: History, hfd_px: float | None) -> History:
    """Return the history with one light frame more, that the imaging program has told of.

    Args:
        history: So far.
        hfd_px: Size of its stars; `None`: not told.
    """
    history = replace(history, images=history.images + 1)
    return history if hfd_px is None else told_hfd(history, hfd_px)


def told_hfd(history: History, hfd_px: float) -> History:
    """Return the history with the size of the stars on one more frame, which is counted otherwise."""
    return replace(history, hfds_px=(*history.hfds_px, hfd_px)[-MOST_HFDS:])


def belongs_to_focus(history: History, ended_at: datetime | None) -> bool:
    """Tell whether a frame was exposed since the last refocus, so that its stars say something of it.

    Args:
        history: So far.
        ended_at: End of the exposure, UTC; `None`: not known, and believed to be of late.
    """
    return history.baseline is None or ended_at is None or ended_at >= history.baseline.at


def taken_over(history: History, position: Position, at: datetime) -> History:
    """Return the history after the imaging program has moved the focuser by itself.

    Where it stands now is where it belongs: drifts are counted from here, and what the stars looked like before says
    nothing any more. Whether that is a good focus nobody knows, so images and time go on being counted.
    """
    baseline = replace(
        history.baseline or Baseline(at=at, position=position, trigger="imaging program"),
        position=position,
        temperature_c=history.followed.latest_c,
        altitude_deg=history.altitude_deg,
        filter_name=history.filter_name,
    )
    return replace(
        history,
        baseline=baseline,
        reference_c=baseline.temperature_c,
        reference_altitude_deg=baseline.altitude_deg,
        hfds_px=(),
    )


def refocused(history: History, baseline: Baseline) -> History:
    """Return the history after a good focus: whatever the reason was, all counting begins anew."""
    return History(
        baseline=baseline,
        reference_c=baseline.temperature_c,
        altitude_deg=history.altitude_deg,
        reference_altitude_deg=baseline.altitude_deg,
        window=Window(filled=history.window.filled),
        followed=history.followed,
        sieve=history.sieve,
        reading_s=history.reading_s,
        filter_name=baseline.filter_name or history.filter_name,
        pier_side=history.pier_side,
        idle_s=history.idle_s,
        ignored=history.ignored,
        squeeze=history.squeeze.refocused(),
    )


def offset_applied(history: History, steps: int) -> History:
    """Return the history after the focuser has moved by the offset of the filter that is in the light now.

    The baseline goes with it; nothing else begins anew.
    """
    baseline = history.baseline
    if baseline is not None:
        baseline = replace(baseline, position=baseline.position + steps, filter_name=history.filter_name)
    # Stars have another size through another filter.
    return replace(history, baseline=baseline, filter_changed=False, by_hand=False, asked_s=0.0, hfds_px=())


def declined(history: History) -> History:
    """Return the history after a person has said that a filter change by hand needs no refocus."""
    return replace(history, filter_changed=False, by_hand=False, asked_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the triggers wait after failed runs.

    Attributes:
        first_s: After the first one; doubled with each more.
        longest_s: At most.
    """

    first_s: float = 600.0
    longest_s: float = 4800.0


def failed(history: History, patience: Patience) -> History:
    """Return the history after a run that failed: what was due stays due, and waits."""
    hold_s = min(patience.first_s * 2.0**history.failures, patience.longest_s)
    return replace(history, asap=False, failures=history.failures + 1, hold_s=hold_s)


def aborted(history: History, patience: Patience) -> History:
    """Return the history after a run that somebody aborted: the triggers wait once."""
    return replace(history, asap=False, hold_s=max(history.hold_s, patience.first_s))
