"""The mount: its state, where it points, its clock and its site."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from alpaca_focus.core.night.state import PierSide
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.read_only import AlpacaMount
from alpaca_focus.devices.translate import WrongValue, as_float
from alpaca_focus.doctor.checks import Check, Subject, duration, place_words
from alpaca_focus.doctor.examination import Examination

WRONG_CLOCK_S = 5.0
WRONG_PLACE_DEG = 0.5

_MOUNT = Subject("mount")


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFacts:
    """The state of a mount; `None` where it reports nothing.

    Attributes:
        tracking: Whether it follows the sky.
        parked: Whether it is parked.
        slewing: Whether it moves fast.
        pier_side: Side of the pier.
        pier_side_counts: Whether the settings ask for a refocus after a meridian flip.
        right_ascension_h: Where it points.
        declination_deg: Where it points.
        altitude_deg: Where it points.
        altitude_counts: Whether the settings need it.
        clock_ahead_s: By how much its clock is ahead of the computer's.
        clock: Its clock.
        place_deg: Its latitude and longitude.
        set_place_deg: Those of the settings.
    """

    tracking: bool | None = None
    parked: bool | None = None
    slewing: bool | None = None
    pier_side: PierSide = PierSide.UNKNOWN
    pier_side_counts: bool = False
    right_ascension_h: float | None = None
    declination_deg: float | None = None
    altitude_deg: float | None = None
    altitude_counts: bool = False
    clock_ahead_s: float | None = None
    clock: datetime | None = None
    place_deg: tuple[float, float] | None = None
    set_place_deg: tuple[float, float] | None = None


async def probe_mount(examination: Examination) -> None:
    """Examine the mount."""

    async def read(connection: Connection) -> None:
        async with examination.connected("mount", AlpacaMount) as mount:
            state = await mount.state()
        settings, site = examination.settings, examination.settings.site
        asked_at = examination.clock.wall()
        clock = await connection.get_or("UTCDate", _as_utc, default=None)
        # The answer was made in the middle of the exchange, as far as anybody knows.
        now = asked_at + (examination.clock.wall() - asked_at) / 2
        latitude = await _number(connection, "SiteLatitude")
        longitude = await _number(connection, "SiteLongitude")
        facts = MountFacts(
            tracking=state.tracking,
            parked=state.parked,
            slewing=state.slewing,
            pier_side=state.pier_side,
            pier_side_counts=settings.triggers.meridian_flip,
            right_ascension_h=await _number(connection, "RightAscension"),
            declination_deg=await _number(connection, "Declination"),
            altitude_deg=state.altitude_deg,
            altitude_counts=settings.triggers.altitude_deg is not None or bool(settings.compensation.altitude_steps),
            clock_ahead_s=None if clock is None else (clock - now).total_seconds(),
            clock=clock,
            place_deg=None if latitude is None or longitude is None else (latitude, longitude),
            set_place_deg=None if site is None else (site.latitude_deg, site.longitude_deg),
        )
        examination.add(*judge_mount(facts))

    await examination.visit("mount", read)


async def _number(connection: Connection, member: str) -> float | None:
    value = await connection.get_or(member, as_float, default=math.nan)
    return value if math.isfinite(value) else None


def _as_utc(value: Any) -> datetime:
    """Take a time, which alpyca has read from its text already; one without a time zone is Universal Time."""
    if not isinstance(value, datetime):
        raise WrongValue(f"{value!r} is not a time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# The rules.


def judge_mount(facts: MountFacts) -> tuple[Check, ...]:
    """Judge a mount."""
    return _state(facts), _pointing(facts), _clock(facts), _place(facts)


def _state(facts: MountFacts) -> Check:
    words = ["parked"] if facts.parked else []
    words += {True: ["tracking"], False: ["not tracking"], None: ["does not report whether it tracks"]}[facts.tracking]
    words += ["slewing"] if facts.slewing else []
    side = facts.pier_side
    known = side is not PierSide.UNKNOWN
    seen = ", ".join([*words, f"pier side {side.value}" if known else "does not report its pier side"])
    if facts.pier_side_counts and not known:
        return _MOUNT.note(
            "state", seen, "Check its driver: without the pier side no meridian flip is seen; or `alpaca-focus flip`."
        )
    return _MOUNT.ok("state", seen)


def _pointing(facts: MountFacts) -> Check:
    parts = [
        "" if facts.right_ascension_h is None else f"RA {facts.right_ascension_h:.3f} h",
        "" if facts.declination_deg is None else f"Dec {facts.declination_deg:+.2f} deg",
        "" if facts.altitude_deg is None else f"altitude {facts.altitude_deg:.1f} deg",
    ]
    seen = ", ".join(part for part in parts if part) or "it does not report where it points"
    if facts.altitude_counts and facts.altitude_deg is None:
        return _MOUNT.fails(
            "pointing",
            f"{seen}; the altitude is needed, and it does not report it",
            "Set the site in its driver, or take triggers.altitude_deg and compensation.altitude_steps out.",
        )
    return _MOUNT.ok("pointing", seen)


def _clock(facts: MountFacts) -> Check:
    ahead_s = facts.clock_ahead_s
    if ahead_s is None or facts.clock is None:
        return _MOUNT.ok("clock", "it does not report its time")
    if abs(ahead_s) > WRONG_CLOCK_S:
        return _MOUNT.note(
            "clock",
            f"it has {facts.clock:%Y-%m-%d %H:%M:%S} UTC, {duration(abs(ahead_s))} "
            f"{'ahead of' if ahead_s > 0 else 'behind'} this computer",
            "Check which is right: the mount points by its clock, and the sun is reckoned by the computer's.",
        )
    return _MOUNT.ok("clock", f"within {max(abs(ahead_s), 0.1):.1f} s of this computer's")


def _place(facts: MountFacts) -> Check:
    if facts.place_deg is None:
        return _MOUNT.ok("site", "it does not report its site")
    place = place_words(*facts.place_deg)
    if facts.set_place_deg is None:
        return _MOUNT.ok("site", place)
    (latitude, longitude), (set_latitude, set_longitude) = facts.place_deg, facts.set_place_deg
    apart = abs((longitude - set_longitude + 180) % 360 - 180) * math.cos(math.radians(set_latitude))
    if abs(latitude - set_latitude) > WRONG_PLACE_DEG or apart > WRONG_PLACE_DEG:
        return _MOUNT.note(
            "site",
            f"it has {place}, and the settings have {place_words(set_latitude, set_longitude)}",
            "Correct the one that is wrong; longitudes east of Greenwich are positive.",
        )
    return _MOUNT.ok("site", f"{place}, as in the settings")
