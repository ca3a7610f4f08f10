"""The mount: its state, pointing, clock and site."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from alpaca_focus.core.device_kinds import MOUNT_ABILITIES, is_idle_mount
from alpaca_focus.core.night.state import PierSide
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.read_only import AlpacaMount
from alpaca_focus.devices.translate import WrongValue, as_bool
from alpaca_focus.doctor.checks import Check, Subject, duration, site_text
from alpaca_focus.doctor.probe_context import ProbeContext, number_or_none
from alpaca_focus.settings.contradictions import altitude_needed

WRONG_CLOCK_S = 5.0
WRONG_SITE_DEG = 0.5

_MOUNT = Subject("mount")


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFacts:
    """The state of a mount; `None` where it reports nothing.

    Attributes:
        is_idle: Whether it can neither slew, track nor park.
        pier_side_needed: Whether the settings request a refocus after a meridian flip.
        clock_ahead_s: How far its clock is ahead of the computer's.
        site_deg: Latitude and longitude; `set_site_deg` is of the settings.
    """

    is_idle: bool = False
    tracking: bool | None = None
    parked: bool | None = None
    slewing: bool | None = None
    pier_side: PierSide = PierSide.UNKNOWN
    pier_side_needed: bool = False
    right_ascension_h: float | None = None
    declination_deg: float | None = None
    altitude_deg: float | None = None
    altitude_needed: bool = False
    clock_ahead_s: float | None = None
    clock: datetime | None = None
    site_deg: tuple[float, float] | None = None
    set_site_deg: tuple[float, float] | None = None


async def probe_mount(context: ProbeContext) -> None:
    """Probe the mount."""

    async def read(connection: Connection) -> None:
        async with context.connected("mount", AlpacaMount) as mount:
            state = await mount.state()
        settings, site = context.settings, context.settings.site
        requested_at = context.clock.wall()
        clock = await connection.get_or("UTCDate", _as_utc, default=None)
        # The mount is taken to read its clock halfway between request and reply.
        now = requested_at + (context.clock.wall() - requested_at) / 2
        abilities = [await connection.get_or(name, as_bool, default=None) for name in MOUNT_ABILITIES]
        latitude = await number_or_none(connection, "SiteLatitude")
        longitude = await number_or_none(connection, "SiteLongitude")
        facts = MountFacts(
            is_idle=is_idle_mount(abilities),
            tracking=state.tracking,
            parked=state.parked,
            slewing=state.slewing,
            pier_side=state.pier_side,
            pier_side_needed=settings.triggers.meridian_flip,
            right_ascension_h=await number_or_none(connection, "RightAscension"),
            declination_deg=await number_or_none(connection, "Declination"),
            altitude_deg=state.altitude_deg,
            altitude_needed=altitude_needed(settings),
            clock_ahead_s=None if clock is None else (clock - now).total_seconds(),
            clock=clock,
            site_deg=None if latitude is None or longitude is None else (latitude, longitude),
            set_site_deg=None if site is None else (site.latitude_deg, site.longitude_deg),
        )
        context.add(*check_mount(facts))

    await context.probe_device("mount", read)


def _as_utc(value: Any) -> datetime:
    """Check a time, which alpyca has parsed already; one without a time zone is Universal Time."""
    if not isinstance(value, datetime):
        raise WrongValue(f"{value!r} is not a time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# The rules.


def check_mount(facts: MountFacts) -> tuple[Check, ...]:
    """Check a mount."""
    return _state(facts), _pointing(facts), _clock(facts), _site(facts)


def _state(facts: MountFacts) -> Check:
    parts = ["parked"] if facts.parked else []
    parts += {True: ["tracking"], False: ["not tracking"], None: ["does not report whether it tracks"]}[facts.tracking]
    parts += ["slewing"] if facts.slewing else []
    side = facts.pier_side
    known = side is not PierSide.UNKNOWN
    seen = ", ".join([*parts, f"pier side {side.value}" if known else "does not report its pier side"])
    if facts.is_idle:
        seen += "; it can neither slew, track nor park, like a guider"
        return _MOUNT.note("state", seen, "Check mount.device_number.")
    if facts.pier_side_needed and not known:
        return _MOUNT.note(
            "state",
            seen,
            "Check its driver, or report flips by `alpaca-focus flip`: without the pier side no meridian flip is "
            "detected.",
        )
    return _MOUNT.ok("state", seen)


def _pointing(facts: MountFacts) -> Check:
    parts = [
        "" if facts.right_ascension_h is None else f"RA {facts.right_ascension_h:.3f} h",
        "" if facts.declination_deg is None else f"Dec {facts.declination_deg:+.2f} deg",
        "" if facts.altitude_deg is None else f"altitude {facts.altitude_deg:.1f} deg",
    ]
    seen = ", ".join(filter(None, parts)) or "it does not report its pointing"
    if facts.altitude_needed and facts.altitude_deg is None:
        remedy = "Set the site in its driver, or remove triggers.altitude_deg and compensation.altitude_steps."
        return _MOUNT.fails("pointing", f"{seen}; the settings need the altitude, which it does not report", remedy)
    return _MOUNT.ok("pointing", seen)


def _clock(facts: MountFacts) -> Check:
    ahead_s = facts.clock_ahead_s
    if ahead_s is None or facts.clock is None:
        return _MOUNT.ok("clock", "it does not report its time")
    if abs(ahead_s) > WRONG_CLOCK_S:
        return _MOUNT.note(
            "clock",
            f"its clock is at {facts.clock:%Y-%m-%d %H:%M:%S} UTC, {duration(abs(ahead_s))} "
            f"{'ahead of' if ahead_s > 0 else 'behind'} this computer",
            "Check which is right: the mount points by its own, and the Sun's altitude is computed by the computer's.",
        )
    return _MOUNT.ok("clock", f"within {max(abs(ahead_s), 0.1):.1f} s of this computer's")


def _site(facts: MountFacts) -> Check:
    if facts.site_deg is None:
        return _MOUNT.ok("site", "it does not report its site")
    site = site_text(*facts.site_deg)
    if facts.set_site_deg is None:
        return _MOUNT.ok("site", site)
    (latitude, longitude), (set_latitude, set_longitude) = facts.site_deg, facts.set_site_deg
    apart = abs((longitude - set_longitude + 180) % 360 - 180) * math.cos(math.radians(set_latitude))
    if abs(latitude - set_latitude) > WRONG_SITE_DEG or apart > WRONG_SITE_DEG:
        seen = f"it reports {site}, and the settings have {site_text(set_latitude, set_longitude)}"
        return _MOUNT.note("site", seen, "Correct the wrong one; longitudes east of Greenwich are positive.")
    return _MOUNT.ok("site", f"{site}, as in the settings")
