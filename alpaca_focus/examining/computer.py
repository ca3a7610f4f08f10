"""Looks at the computer: what its kernel tells an ordinary user of clock, memory, heat and power."""

import ctypes
import importlib.metadata
import os
import platform
import re
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from alpaca_focus import __version__
from alpaca_focus.checkup.computer import ComputerFacts, StorageFacts, judge_computer, judge_place, judge_storage
from alpaca_focus.devices.sun import AstropySun
from alpaca_focus.examining.aside import aside
from alpaca_focus.examining.bench import Bench
from alpaca_focus.runtime.store import BUSY_S, FILE_NAME

SUN_WITHIN_S = 30.0
"""A Raspberry Pi takes seconds to load astropy."""
CHECK_WITHIN_S = 60.0
TABLES = "astropy-iers-data"
MARK_OF_TIMESYNCD = Path("/run/systemd/timesync/synchronized")
_UNSYNCHRONISED, _NOT_SYNCHRONISED = 0x40, 5
"""STA_UNSYNC and TIME_ERROR of adjtimex(2)."""


class _Timex(ctypes.Structure):
    """The beginning of the kernel's struct timex, with room for all of it."""

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
    """Return whether the clock is synchronised, and how wrong it may be in seconds; `None`: the kernel does not say."""
    timex = _Timex()
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        answer = -1
    if answer < 0:
        # Some containers keep the question from the kernel.
        return (True, None) if MARK_OF_TIMESYNCD.exists() else (None, None)
    if answer == _NOT_SYNCHRONISED or timex.status & _UNSYNCHRONISED:
        return False, None
    return True, timex.esterror / 1e6


def memory_bytes(text: str) -> Mapping[str, int]:
    """Return the sizes in the text of /proc/meminfo, by name."""
    return {name: 1024 * int(size) for name, size in re.findall(r"^(\w+): +([0-9]+) kB$", text, re.MULTILINE)}


def hottest_c(folder: Path) -> float | None:
    """Return the highest temperature that the kernel tells; `None`: it tells none."""
    found = [_number(file) for file in folder.glob("thermal_zone*/temp")]
    return max((milli / 1000 for milli in found if milli is not None), default=None)


def undervoltage(folder: Path) -> bool | None:
    """Return whether a Raspberry Pi has noticed that its power supply is too weak; `None`: this is none."""
    for chip in folder.glob("hwmon*"):
        if _text(chip / "name") == "rpi_volt":
            alarm = _number(chip / "in0_lcrit_alarm")
            return None if alarm is None else bool(alarm)
    return None


def table_date(version: str) -> datetime | None:
    """Return the day of astropy's tables, which their version holds: 0.2026.11.2.0.34.55."""
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
        # Not every kernel has it, and not every sensor answers.
        return ""


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else None


def computer_facts() -> ComputerFacts:
    """Gather what the kernel and Python tell."""
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


async def look_at_computer(bench: Bench) -> None:
    """Look at the computer, and at the sun over the site."""
    facts = await aside(computer_facts, CHECK_WITHIN_S)
    bench.found.extend(judge_computer(facts))
    site = bench.settings.site
    if site is None:
        return
    sun = AstropySun(site.latitude_deg, site.longitude_deg)
    try:
        altitude_deg: float | None = await aside(partial(sun.altitude_deg, facts.now), SUN_WITHIN_S)
    except TimeoutError:
        altitude_deg = None
    bench.found.append(judge_place(facts.now, site.latitude_deg, site.longitude_deg, altitude_deg))


async def look_at_storage(bench: Bench) -> None:
    """Look at the folder of the history."""
    directory = bench.settings.storage.folder
    if directory is not None:
        bench.found.extend(judge_storage(await aside(partial(storage_facts, directory), CHECK_WITHIN_S)))


def storage_facts(directory: Path) -> StorageFacts:
    """Look at the folder of the history; nothing is made or mended."""
    nearest = directory
    while not _is_there(nearest) and nearest != nearest.parent:
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
        history=history_trouble(directory / FILE_NAME),
    )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        # Not even that may be known, or no file can have that name.
        return False


def history_trouble(path: Path) -> str | None:
    """Return what is wrong with the database, as a clause; empty: nothing; `None`: there is none."""
    if not _is_there(path):
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as connection:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return f"{path} cannot be read: {error}"
    return "" if said == "ok" else f"{path} is damaged: {' '.join(str(said).split())}"
