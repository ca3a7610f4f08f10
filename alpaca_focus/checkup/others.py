"""The devices that are only looked at: the wheel, the mount, the thermometers and the safety monitor. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from alpaca_focus.checkup.checks import Check, Subject
from alpaca_focus.core.night import PierSide

OLD_S = 600.0
WRONG_CLOCK_S = 5.0
WRONG_PLACE_DEG = 0.5

_WHEEL, _MOUNT = Subject("filter wheel"), Subject("mount")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """What a filter wheel has.

    Attributes:
        names: Of its filters by slot.
        slot: The one in the light; `None`: it turns.
        asked: Names of filters by the section of the settings that has them.
    """

    names: Sequence[str]
    slot: int | None
    asked: Mapping[str, Sequence[str]]


def judge_wheel(facts: WheelFacts) -> tuple[Check, ...]:
    """Judge a filter wheel."""
    return _names(facts), _slot(facts)


def _names(facts: WheelFacts) -> Check:
    names = ", ".join(facts.names)
    if not facts.names or not all(name.strip() for name in facts.names):
        return _WHEEL.fails(
            "names", f"filters without names: {names or 'none'}", "Name the filters in the wheel's server."
        )
    twice = [name for name, count in Counter(facts.names).items() if count > 1]
    if twice:
        return _WHEEL.fails(
            "names", f"{names}: {', '.join(twice)} is there twice", "Give each filter a name of its own in its server."
        )
    for where, asked in facts.asked.items():
        missing = [name for name in asked if name not in facts.names]
        if missing:
            return _WHEEL.fails(
                "names",
                f"{where} names {', '.join(missing)}, and the wheel has {names}",
                f"Write the names in {where} as the wheel has them, capitals as well.",
            )
    return _WHEEL.ok("names", names)


def _slot(facts: WheelFacts) -> Check:
    if facts.slot is None or facts.slot >= len(facts.names):
        return _WHEEL.note("position", "it turns, or does not know where it is", "Wait, and look again.")
    return _WHEEL.ok("position", f"slot {facts.slot}: {facts.names[facts.slot]} is in the light")


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFacts:
    """What a mount says; `None` where it does not.

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


def judge_mount(facts: MountFacts) -> tuple[Check, ...]:
    """Judge a mount."""
    return _state(facts), _pointing(facts), _clock(facts), _place(facts)


def _state(facts: MountFacts) -> Check:
    words = ["parked"] if facts.parked else []
    words += {True: ["tracking"], False: ["not tracking"], None: ["does not tell whether it tracks"]}[facts.tracking]
    words += ["slewing"] if facts.slewing else []
    side = facts.pier_side
    known = side is not PierSide.UNKNOWN
    seen = ", ".join([*words, f"pier side {side.value}" if known else "does not tell its pier side"])
    if facts.pier_side_counts and not known:
        return _MOUNT.note(
            "state", seen, "Look at its driver: without the pier side no meridian flip is seen; or `alpaca-focus flip`."
        )
    return _MOUNT.ok("state", seen)


def _pointing(facts: MountFacts) -> Check:
    parts = [
        "" if facts.right_ascension_h is None else f"RA {facts.right_ascension_h:.3f} h",
        "" if facts.declination_deg is None else f"Dec {facts.declination_deg:+.2f} deg",
        "" if facts.altitude_deg is None else f"altitude {facts.altitude_deg:.1f} deg",
    ]
    seen = ", ".join(part for part in parts if part) or "it does not tell where it points"
    if facts.altitude_counts and facts.altitude_deg is None:
        return _MOUNT.fails(
            "pointing",
            f"{seen}; the altitude is needed, and it does not tell it",
            "Set the site in its driver, or take triggers.altitude_deg and compensation.altitude_steps out.",
        )
    return _MOUNT.ok("pointing", seen)


def _clock(facts: MountFacts) -> Check:
    ahead_s = facts.clock_ahead_s
    if ahead_s is None or facts.clock is None:
        return _MOUNT.ok("clock", "it does not tell its time")
    if abs(ahead_s) > WRONG_CLOCK_S:
        return _MOUNT.note(
            "clock",
            f"it has {facts.clock:%Y-%m-%d %H:%M:%S} UTC, {duration(abs(ahead_s))} "
            f"{'ahead of' if ahead_s > 0 else 'behind'} this computer",
            "Look which is right: the mount points by its clock, and the sun is reckoned by the computer's.",
        )
    return _MOUNT.ok("clock", f"within {max(abs(ahead_s), 0.1):.1f} s of this computer's")


def _place(facts: MountFacts) -> Check:
    if facts.place_deg is None:
        return _MOUNT.ok("site", "it does not tell where it stands")
    told = place_words(*facts.place_deg)
    if facts.set_place_deg is None:
        return _MOUNT.ok("site", told)
    (latitude, longitude), (set_latitude, set_longitude) = facts.place_deg, facts.set_place_deg
    apart = abs((longitude - set_longitude + 180) % 360 - 180) * math.cos(math.radians(set_latitude))
    if abs(latitude - set_latitude) > WRONG_PLACE_DEG or apart > WRONG_PLACE_DEG:
        return _MOUNT.note(
            "site",
            f"it has {told}, and the settings have {place_words(set_latitude, set_longitude)}",
            "Correct the one that is wrong; longitudes east of Greenwich are positive.",
        )
    return _MOUNT.ok("site", f"{told}, as in the settings")


def place_words(latitude_deg: float, longitude_deg: float) -> str:
    """Return a place on Earth in words."""
    return (
        f"{abs(latitude_deg):.2f} {'north' if latitude_deg >= 0 else 'south'}, "
        f"{abs(longitude_deg):.2f} {'east' if longitude_deg >= 0 else 'west'}"
    )


def duration(duration_s: float) -> str:
    """Return a duration in the unit that suits it."""
    for unit, length_s in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if duration_s >= 2 * length_s:
            return f"{duration_s / length_s:.0f} {unit}"
    return f"{duration_s:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermometerFacts:
    """What a source of temperature says.

    Attributes:
        temperature_c: The reading; `None`: none that makes sense.
        age_s: How old it is; `None`: it does not say.
        counts: Whether the settings need it.
        why_none: Why there is none, as a clause.
    """

    temperature_c: float | None
    age_s: float | None
    counts: bool
    why_none: str = ""


def judge_thermometer(subject: Subject, facts: ThermometerFacts) -> Check:
    """Judge a source of temperature."""
    if facts.temperature_c is None:
        seen = f"no temperature that makes sense{f': {facts.why_none}' if facts.why_none else ''}"
        if facts.counts:
            return subject.fails(
                "temperature", seen, "Look at the source; or set thermometer.source to focuser, if that has a sensor."
            )
        return subject.note("temperature", seen, "Look at the source, or take it out of the settings.")
    age = "" if facts.age_s is None or facts.age_s < 0 else f", {duration(facts.age_s)} old"
    seen = f"{facts.temperature_c:.1f} deg C{age}"
    if facts.age_s is not None and facts.age_s > OLD_S:
        return subject.note("temperature", seen, "Look whether it still measures.")
    return subject.ok("temperature", seen)


def judge_safety(*, is_safe: bool) -> Check:
    """Judge what a safety monitor says."""
    subject = Subject("safety monitor")
    if is_safe:
        return subject.ok("state", "safe")
    return subject.note("state", "not safe: nothing is focused meanwhile", "Nothing has to be done if that is true.")


def judge_guider(state: str) -> Check:
    """Judge what PHD2 says of itself."""
    subject = Subject("guider")
    if state == "LostLock":
        return subject.note("state", "PHD2 has lost its star", "Look at PHD2.")
    return subject.ok("state", f"PHD2 says: {state}")
