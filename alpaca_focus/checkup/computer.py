"""The computer that the program runs on: its clock, its disk, its memory, its power. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alpaca_focus.checkup.checks import Check, Subject
from alpaca_focus.checkup.others import place_words

LEAST_FREE_BYTES, FEW_FREE_BYTES = 20_000_000, 500_000_000
LITTLE_MEMORY_BYTES = 200_000_000
HOT_C = 80.0
"""A Raspberry Pi slows itself down from here on."""
OLD_TABLE = timedelta(days=730)
MOST_ZONE_ERROR_H = 4.0
"""Time zones follow borders, and daylight saving time adds an hour: they are up to so far from the sun's time."""

_COMPUTER, _STORAGE = Subject("computer"), Subject("storage")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputerFacts:
    """What the kernel and Python tell; `None` where they do not.

    Attributes:
        now: Time of the computer, in its own time zone.
        synchronised: Whether the clock is kept by a time server.
        clock_error_s: By how much it may be wrong, as the kernel reckons.
        available_bytes: Memory that is left.
        total_bytes: All of it.
        hottest_c: Temperature of its hottest part.
        undervoltage: Whether its power supply was too weak since it was started.
        table_date: Of astropy's table of the Earth's rotation.
        versions: Of the program, of Python and of the platform.
    """

    now: datetime
    synchronised: bool | None
    clock_error_s: float | None
    available_bytes: int | None
    total_bytes: int | None
    hottest_c: float | None
    undervoltage: bool | None
    table_date: datetime | None
    versions: Sequence[str]


def judge_computer(facts: ComputerFacts) -> tuple[Check, ...]:
    """Judge a computer."""
    return (_clock(facts), _memory(facts), *_heat(facts), *_power(facts), _table(facts), _versions(facts))


def _clock(facts: ComputerFacts) -> Check:
    now = f"{facts.now:%Y-%m-%d %H:%M:%S} {facts.now.tzname() or ''}".strip()
    if facts.synchronised is None:
        return _COMPUTER.note(
            "clock", f"{now}; the kernel does not tell whether it is synchronised", "Compare it with a clock you trust."
        )
    if not facts.synchronised:
        return _COMPUTER.note(
            "clock",
            f"{now}, not synchronised with a time server",
            "Switch synchronisation on (`timedatectl set-ntp true`), or give the computer a GPS receiver.",
        )
    error = "" if facts.clock_error_s is None else f", within {max(facts.clock_error_s, 0.001):.3f} s"
    return _COMPUTER.ok("clock", f"{now}, synchronised{error}")


def _memory(facts: ComputerFacts) -> Check:
    if facts.available_bytes is None or facts.total_bytes is None:
        return _COMPUTER.ok("memory", "the kernel does not tell")
    seen = f"{facts.available_bytes / 1e6:.0f} of {facts.total_bytes / 1e6:.0f} MB are left"
    if facts.available_bytes < LITTLE_MEMORY_BYTES:
        return _COMPUTER.note("memory", seen, "End other programs: a large frame needs several times its size.")
    return _COMPUTER.ok("memory", seen)


def _heat(facts: ComputerFacts) -> tuple[Check, ...]:
    if facts.hottest_c is None:
        return ()
    seen = f"{facts.hottest_c:.0f} deg C inside"
    if facts.hottest_c >= HOT_C:
        return (_COMPUTER.note("temperature", f"{seen}: it slows itself down", "Give it air, or a heat sink."),)
    return (_COMPUTER.ok("temperature", seen),)


def _power(facts: ComputerFacts) -> tuple[Check, ...]:
    if facts.undervoltage is None:
        return ()
    if facts.undervoltage:
        return (
            _COMPUTER.fails(
                "power",
                "the voltage is too low, as its sensor says",
                "Use a stronger power supply, or a shorter cable.",
            ),
        )
    return (_COMPUTER.ok("power", "the voltage is high enough"),)


def _table(facts: ComputerFacts) -> Check:
    if facts.table_date is None:
        return _COMPUTER.ok("tables", "astropy does not tell the age of its tables")
    seen = f"astropy's tables of the Earth's rotation are of {facts.table_date:%Y-%m-%d}"
    if facts.now - facts.table_date > OLD_TABLE:
        return _COMPUTER.note(
            "tables", seen, "Nothing is wrong by that yet; a later version of astropy-iers-data has newer ones."
        )
    return _COMPUTER.ok("tables", seen)


def _versions(facts: ComputerFacts) -> Check:
    return _COMPUTER.ok("versions", ", ".join(facts.versions))


def judge_place(now: datetime, latitude_deg: float, longitude_deg: float, sun_altitude_deg: float | None) -> Check:
    """Judge the computer's clock and time zone against the site.

    Args:
        now: Time of the computer, in its own time zone.
        latitude_deg: Of the site.
        longitude_deg: Of the site.
        sun_altitude_deg: Of the sun over it just now; `None`: not known.
    """
    zone_h = (now.utcoffset() or timedelta()).total_seconds() / 3600
    off_h = abs((zone_h - longitude_deg / 15 + 12) % 24 - 12)
    place = place_words(latitude_deg, longitude_deg)
    sun = "" if sun_altitude_deg is None else f", where the sun is at {sun_altitude_deg:+.0f} deg now"
    # Computers that keep Universal Time tell nothing of where they stand.
    if zone_h != 0 and off_h > MOST_ZONE_ERROR_H:
        return _COMPUTER.note(
            "site",
            f"{place}{sun}; this computer's time zone is UTC{zone_h:+g}, {off_h:.0f} hours from the sun's time",
            "Look at the sign of site.longitude_deg, which is positive in the east, and at the time zone.",
        )
    return _COMPUTER.ok("site", f"{place}{sun}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFacts:
    """What was seen of the storage.directory.

    Attributes:
        directory: The folder.
        exists: Whether it is there; if not, the rest is of the nearest folder above it.
        writable: Whether this user may write there.
        free_bytes: Room that is left.
        history: What became of the look at the database: empty: whole; `None`: there is none yet; else what is wrong.
    """

    directory: str
    exists: bool
    writable: bool
    free_bytes: int | None
    history: str | None


def judge_storage(facts: StorageFacts) -> tuple[Check, ...]:
    """Judge the folder of the history."""
    return _folder(facts), _room(facts), _history(facts)


def _folder(facts: StorageFacts) -> Check:
    if not facts.writable:
        return _STORAGE.fails(
            "folder",
            f"this user may not {'write in' if facts.exists else 'make'} {facts.directory}",
            "Make it writable for the user that the daemon runs as, or choose another storage.directory.",
        )
    if not facts.exists:
        return _STORAGE.ok("folder", f"{facts.directory} is not there yet; the first run makes it")
    return _STORAGE.ok("folder", f"{facts.directory} can be written")


def _room(facts: StorageFacts) -> Check:
    if facts.free_bytes is None:
        return _STORAGE.ok("room", "not known")
    seen = f"{facts.free_bytes / 1e9:.1f} GB are free"
    if facts.free_bytes < LEAST_FREE_BYTES:
        return _STORAGE.fails("room", seen, "Make room on that disk: nothing can be kept.")
    if facts.free_bytes < FEW_FREE_BYTES:
        return _STORAGE.note("room", seen, "Make room on that disk.")
    return _STORAGE.ok("room", seen)


def _history(facts: StorageFacts) -> Check:
    if facts.history is None:
        return _STORAGE.ok("history", "none yet")
    if facts.history:
        return _STORAGE.fails(
            "history",
            facts.history,
            "Keep a copy of it; the next run puts it aside if it is damaged, and begins a new one.",
        )
    return _STORAGE.ok("history", "the database is whole")
