"""The conditions: weather station, temperature file and page, safety monitor."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.read_only import AlpacaSafetyMonitor, AlpacaThermometer
from alpaca_focus.devices.text_thermometers import FileThermometer, UrlThermometer
from alpaca_focus.devices.translate import as_float
from alpaca_focus.doctor.checks import Check, Subject, duration
from alpaca_focus.doctor.examination import Examination, run_in_thread, using
from alpaca_focus.doctor.focuser_checks import temperature_counts
from alpaca_focus.settings.models import Settings

OLD_S = 600.0
STATION, FILE, URL = Subject("weather station"), Subject("temperature file"), Subject("temperature page")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermometerFacts:
    """A reading of a source of temperature.

    Attributes:
        temperature_c: The reading; `None`: none that makes sense.
        age_s: How old it is; `None`: unknown.
        counts: Whether the settings need it.
        why_none: Why there is none, as a clause.
    """

    temperature_c: float | None
    age_s: float | None
    counts: bool
    why_none: str = ""


async def probe_weather_station(examination: Examination) -> None:
    """Examine the weather station's thermometer."""
    thermometer = examination.settings.thermometer
    counts = external_counts(examination.settings) and thermometer.file is None and thermometer.url is None

    async def read(connection: Connection) -> None:
        async with examination.connected("observing_conditions", AlpacaThermometer) as station:
            temperature_c = await station.temperature_c()
        try:
            age_s: float | None = await connection.call(
                "TimeSinceLastUpdate(Temperature)",
                lambda device: as_float(device.TimeSinceLastUpdate("Temperature")),
                repeatable=True,
            )
        except AlpacaFocusError:
            # Many stations do not report it.
            age_s = None
        facts = ThermometerFacts(temperature_c=temperature_c, age_s=age_s, counts=counts)
        examination.add(judge_thermometer(STATION, facts))

    await examination.visit("observing_conditions", read)


def external_counts(settings: Settings) -> bool:
    """Return whether the night is kept by a thermometer outside of the focuser."""
    return settings.thermometer.source != "focuser" and temperature_counts(settings)


async def probe_temperature_file(examination: Examination) -> None:
    """Read the file with the temperature."""
    wanted = examination.settings.thermometer.file
    if wanted is None:
        return
    path = Path(wanted).expanduser()  # noqa: ASYNC240 - the environment is asked, not the disk
    # Here a disk that hangs is noticed; the thermometer's own thread would be waited for in the end.
    await run_in_thread(partial(_age_s, path), examination.timeout_s)
    async with using(FileThermometer(path)) as thermometer:
        temperature_c = await thermometer.temperature_c()
        facts = ThermometerFacts(
            temperature_c=temperature_c,
            age_s=None if temperature_c is None else await run_in_thread(partial(_age_s, path), examination.timeout_s),
            counts=external_counts(examination.settings),
            why_none=f"{path}: {thermometer.problem}",
        )
    examination.add(judge_thermometer(FILE, facts))


def _age_s(path: Path) -> float | None:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        # Gone since it was read.
        return None


async def probe_temperature_page(examination: Examination) -> None:
    """Read the page with the temperature."""
    wanted = examination.settings.thermometer.url
    if wanted is None:
        return
    async with using(UrlThermometer(wanted, timeout_s=examination.timeout_s)) as thermometer:
        facts = ThermometerFacts(
            temperature_c=await thermometer.temperature_c(),
            age_s=None,
            counts=external_counts(examination.settings),
            why_none=thermometer.problem,
        )
    examination.add(judge_thermometer(URL, facts))


async def probe_safety_monitor(examination: Examination) -> None:
    """Read the safety monitor."""

    async def read(_: Connection) -> None:
        async with examination.connected("safety_monitor", AlpacaSafetyMonitor) as monitor:
            examination.add(judge_safety(is_safe=await monitor.is_safe()))

    await examination.visit("safety_monitor", read)


# The rules.


def judge_thermometer(subject: Subject, facts: ThermometerFacts) -> Check:
    """Judge a source of temperature."""
    if facts.temperature_c is None:
        seen = f"no temperature that makes sense{f': {facts.why_none}' if facts.why_none else ''}"
        if facts.counts:
            return subject.fails(
                "temperature", seen, "Check the source; or set thermometer.source to focuser, if that has a sensor."
            )
        return subject.note("temperature", seen, "Check the source, or take it out of the settings.")
    age = "" if facts.age_s is None or facts.age_s < 0 else f", {duration(facts.age_s)} old"
    seen = f"{facts.temperature_c:.1f} deg C{age}"
    if facts.age_s is not None and facts.age_s > OLD_S:
        return subject.note("temperature", seen, "Check whether it still measures.")
    return subject.ok("temperature", seen)


def judge_safety(*, is_safe: bool) -> Check:
    """Judge a safety monitor's state."""
    subject = Subject("safety monitor")
    if is_safe:
        return subject.ok("state", "safe")
    return subject.note("state", "not safe: nothing is focused meanwhile", "Nothing has to be done if that is true.")
