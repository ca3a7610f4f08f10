"""The computer: its clock, disk, memory, temperature and power, as an ordinary user can read them."""

import ctypes
import importlib.metadata
import os
import platform
import re
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from alpaca_focus import __version__
from alpaca_focus.devices.sun import AstropySun
from alpaca_focus.doctor.checks import Check, Subject, site_text
from alpaca_focus.doctor.probe_context import ProbeContext, run_in_thread
from alpaca_focus.store.run_store import BUSY_S, FILE_NAME

SUN_WITHIN_S = 30.0
"""A Raspberry Pi takes seconds to load astropy."""
CHECK_WITHIN_S = 60.0
TABLES = "astropy-iers-data"
TIMESYNCD_MARKER = Path("/run/systemd/timesync/synchronized")
_UNSYNCHRONISED, _NOT_SYNCHRONISED = 0x40, 5
"""STA_UNSYNC and TIME_ERROR of adjtimex(2)."""
LEAST_FREE_BYTES, FEW_FREE_BYTES = 20_000_000, 500_000_000
LITTLE_MEMORY_BYTES = 200_000_000
HOT_C = 80.0
"""From here on a Raspberry Pi throttles itself."""
OLD_TABLE = timedelta(days=730)
MOST_ZONE_ERROR_H = 4.0
"""Largest difference of zone time from solar time: zones follow borders, and daylight saving time adds an hour."""

_COMPUTER, _STORAGE = Subject("computer"), Subject("storage")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputerFacts:
    """What the kernel and Python report; `None` where they report nothing.

    Attributes:
        now: In the computer's own time zone.
        synchronised: Whether a time server keeps the clock.
        clock_error_s: The kernel's estimate.
        hottest_c: Temperature of the hottest part.
        undervoltage: Whether the power supply has been too weak since the start.
        table_date: Date of astropy's table of the Earth's rotation.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFacts:
    """The state of the storage.directory.

    Attributes:
        exists: If not, the rest describes its nearest existing parent.
        writable: Whether this user may write there.
        history: The problem of the database; empty if it is intact, `None` if there is none yet.
    """

    directory: str
    exists: bool
    writable: bool
    free_bytes: int | None
    history: str | None


class _Timex(ctypes.Structure):
    """The beginning of the kernel's struct timex, padded to its full size."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 64),
    )


def clock_state() -> tuple[bool | None, float | None]:
    """Return whether the clock is synchronised and its estimated error in seconds; `None` for unknown."""
    timex = _Timex()
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        answer = -1
    if answer < 0:
        # Some containers forbid the call.
        return (True, None) if TIMESYNCD_MARKER.exists() else (None, None)
    if answer == _NOT_SYNCHRONISED or timex.status & _UNSYNCHRONISED:
        return False, None
    return True, timex.esterror / 1e6


def memory_bytes(text: str) -> Mapping[str, int]:
    """Return the sizes in the text of /proc/meminfo, by name."""
    return {name: 1024 * int(size) for name, size in re.findall(r"^(\w+): +([0-9]+) kB$", text, re.MULTILINE)}


def hottest_c(folder: Path) -> float | None:
    """Return the highest temperature that the kernel reports, or `None`."""
    readings = [_number(file) for file in folder.glob("thermal_zone*/temp")]
    return max((milli / 1000 for milli in readings if milli is not None), default=None)


def undervoltage(folder: Path) -> bool | None:
    """Return whether a Raspberry Pi reports undervoltage; `None` on other computers."""
    for chip in folder.glob("hwmon*"):
        if _text(chip / "name") == "rpi_volt":
            alarm = _number(chip / "in0_lcrit_alarm")
            return None if alarm is None else bool(alarm)
    return None


def table_date(version: str) -> datetime | None:
    """Return the date in the version of astropy's tables: 0.2026.11.2.0.34.55."""
    match = re.fullmatch(r"0\.(\d{4})\.(\d{1,2})\.(\d{1,2})(\..*)?", version)
    if match is None:
        return None
    try:
        return datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC)
    except ValueError:
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        # Not every kernel has the file, and not every sensor answers.
        return ""


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else None


def computer_facts() -> ComputerFacts:
    """Return what the kernel and Python report."""
    synchronised, error_s = clock_state()
    memory = memory_bytes(_text(Path("/proc/meminfo")))
    try:
        tables = importlib.metadata.version(TABLES)
    except importlib.metadata.PackageNotFoundError:
        tables = ""
    return ComputerFacts(
        now=datetime.now(UTC).astimezone(),
        synchronised=synchronised,
        clock_error_s=error_s,
        available_bytes=memory.get("MemAvailable"),
        total_bytes=memory.get("MemTotal"),
        hottest_c=hottest_c(Path("/sys/class/thermal")),
        undervoltage=undervoltage(Path("/sys/class/hwmon")),
        table_date=table_date(tables),
        versions=(
            f"alpaca-focus {__version__}",
            f"Python {platform.python_version()}",
            f"{platform.system()} {platform.release()} on {platform.machine()}",
        ),
    )


async def probe_computer(context: ProbeContext) -> None:
    """Probe the computer, and the Sun's altitude at the site."""
    facts = await run_in_thread(computer_facts, CHECK_WITHIN_S)
    context.add(*check_computer(facts))
    site = context.settings.site
    if site is None:
        return
    sun = AstropySun(site.latitude_deg, site.longitude_deg)
    try:
        altitude_deg: float | None = await run_in_thread(partial(sun.altitude_deg, facts.now), SUN_WITHIN_S)
    except TimeoutError:
        altitude_deg = None
    context.add(check_time_zone(facts.now, site.latitude_deg, site.longitude_deg, altitude_deg))


async def probe_storage(context: ProbeContext) -> None:
    """Probe the folder of the history."""
    directory = context.settings.storage.folder
    if directory is not None:
        context.add(*check_storage(await run_in_thread(partial(storage_facts, directory), CHECK_WITHIN_S)))


def storage_facts(directory: Path) -> StorageFacts:
    """Return the state of the folder of the history, without creating or repairing anything."""
    nearest = directory
    while not _exists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        free_bytes: int | None = shutil.disk_usage(nearest).free
    except OSError:
        free_bytes = None
    return StorageFacts(
        directory=str(directory),
        exists=nearest == directory,
        writable=nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK),
        free_bytes=free_bytes,
        history=history_problem(directory / FILE_NAME),
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        # A parent is not readable, or no file can have that name.
        return False


def history_problem(path: Path) -> str | None:
    """Return the problem of the database as a clause; empty if it is intact, `None` if there is none."""
    if not _exists(path):
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return f"{path} cannot be read: {error}"
    return "" if answer == "ok" else f"{path} is damaged: {' '.join(str(answer).split())}"


# The rules.


def check_computer(facts: ComputerFacts) -> tuple[Check, ...]:
    """Check the computer."""
    checks = (_clock(facts), _memory(facts), _heat(facts), _power(facts), _table(facts))
    versions = _COMPUTER.ok("versions", ", ".join(facts.versions))
    return tuple(check for check in (*checks, versions) if check is not None)


def _clock(facts: ComputerFacts) -> Check:
    now = f"{facts.now:%Y-%m-%d %H:%M:%S} {facts.now.tzname() or ''}".strip()
    if facts.synchronised is None:
        seen = f"{now}; unknown whether it is synchronised"
        return _COMPUTER.note("clock", seen, "Compare it with a clock you trust.")
    if not facts.synchronised:
        remedy = "Switch synchronisation on (`timedatectl set-ntp true`), or give the computer a GPS receiver."
        return _COMPUTER.note("clock", f"{now}, not synchronised with a time server", remedy)
    error = "" if facts.clock_error_s is None else f", within {max(facts.clock_error_s, 0.001):.3f} s"
    return _COMPUTER.ok("clock", f"{now}, synchronised{error}")


def _memory(facts: ComputerFacts) -> Check:
    if facts.available_bytes is None or facts.total_bytes is None:
        return _COMPUTER.ok("memory", "unknown")
    seen = f"{facts.available_bytes / 1e6:.0f} of {facts.total_bytes / 1e6:.0f} MB are left"
    if facts.available_bytes < LITTLE_MEMORY_BYTES:
        return _COMPUTER.note("memory", seen, "End other programs: a large frame needs several times its size.")
    return _COMPUTER.ok("memory", seen)


def _heat(facts: ComputerFacts) -> Check | None:
    if facts.hottest_c is None:
        return None
    seen = f"{facts.hottest_c:.0f} deg C"
    if facts.hottest_c >= HOT_C:
        remedy = "Improve its ventilation, or fit a heat sink."
        return _COMPUTER.note("temperature", f"{seen}: it throttles itself", remedy)
    return _COMPUTER.ok("temperature", seen)


def _power(facts: ComputerFacts) -> Check | None:
    if facts.undervoltage:
        remedy = "Use a stronger power supply, or a shorter cable."
        return _COMPUTER.fails("power", "the voltage is too low", remedy)
    return None if facts.undervoltage is None else _COMPUTER.ok("power", "the voltage is high enough")


def _table(facts: ComputerFacts) -> Check:
    if facts.table_date is None:
        return _COMPUTER.ok("tables", "the age of astropy's tables is unknown")
    seen = f"astropy's tables of the Earth's rotation are of {facts.table_date:%Y-%m-%d}"
    if facts.now - facts.table_date > OLD_TABLE:
        return _COMPUTER.note("tables", seen, "They still work; a later version of astropy-iers-data has newer ones.")
    return _COMPUTER.ok("tables", seen)


def check_time_zone(now: datetime, latitude_deg: float, longitude_deg: float, sun_altitude_deg: float | None) -> Check:
    """Check the computer's time zone, that of `now`, against the site; the altitude is `None` if unknown."""
    zone_h = (now.utcoffset() or timedelta()).total_seconds() / 3600
    off_h = abs((zone_h - longitude_deg / 15 + 12) % 24 - 12)
    site = site_text(latitude_deg, longitude_deg)
    sun = "" if sun_altitude_deg is None else f"; the Sun is at {sun_altitude_deg:+.0f} deg"
    # A computer that keeps Universal Time may stand anywhere.
    if zone_h != 0 and off_h > MOST_ZONE_ERROR_H:
        seen = f"{site}{sun}; this computer's time zone is UTC{zone_h:+g}, {off_h:.0f} hours from solar time"
        remedy = "Check the sign of site.longitude_deg, which is positive in the east, and the time zone."
        return _COMPUTER.note("site", seen, remedy)
    return _COMPUTER.ok("site", f"{site}{sun}")


def check_storage(facts: StorageFacts) -> tuple[Check, ...]:
    """Check the folder of the history."""
    return _folder(facts), _room(facts), _history(facts)


def _folder(facts: StorageFacts) -> Check:
    if not facts.writable:
        seen = f"this user may not {'write in' if facts.exists else 'create'} {facts.directory}"
        remedy = "Make it writable for the user that the daemon runs as, or choose another storage.directory."
        return _STORAGE.fails("folder", seen, remedy)
    if not facts.exists:
        return _STORAGE.ok("folder", f"{facts.directory} does not exist yet; the first run creates it")
    return _STORAGE.ok("folder", f"{facts.directory} is writable")


def _room(facts: StorageFacts) -> Check:
    if facts.free_bytes is None:
        return _STORAGE.ok("room", "unknown")
    seen = f"{facts.free_bytes / 1e9:.1f} GB are free"
    if facts.free_bytes < LEAST_FREE_BYTES:
        return _STORAGE.fails("room", seen, "Free space on that disk: nothing can be saved.")
    if facts.free_bytes < FEW_FREE_BYTES:
        return _STORAGE.note("room", seen, "Free space on that disk.")
    return _STORAGE.ok("room", seen)


def _history(facts: StorageFacts) -> Check:
    if facts.history is None:
        return _STORAGE.ok("history", "none yet")
    if facts.history:
        remedy = "Keep a copy; the next run renames a damaged database, and starts a new one."
        return _STORAGE.fails("history", facts.history, remedy)
    return _STORAGE.ok("history", "the database is intact")
