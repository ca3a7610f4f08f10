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
from alpaca_focus.doctor.probe_context import ProbeContext, run_in_thread, using
from alpaca_focus.settings.contradictions import external_temperature_needed

OLD_S = 600.0
"""An older reading is reported."""
STATION, FILE, URL = Subject("weather station"), Subject("temperature file"), Subject("temperature page")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermometerFacts:
    """A reading of a thermometer; `None` if there is no plausible one, which `why_none` explains in a clause."""

    temperature_c: float | None
    age_s: float | None
    needed: bool
    why_none: str = ""


async def probe_weather_station(context: ProbeContext) -> None:
    """Probe the weather station's thermometer."""
    thermometer = context.settings.thermometer
    needed = external_temperature_needed(context.settings) and thermometer.file is None and thermometer.url is None

    async def read(connection: Connection) -> None:
        async with context.connected("observing_conditions", AlpacaThermometer) as station:
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
        facts = ThermometerFacts(temperature_c=temperature_c, age_s=age_s, needed=needed)
        context.add(check_thermometer(STATION, facts))

    await context.probe_device("observing_conditions", read)


async def probe_temperature_file(context: ProbeContext) -> None:
    """Probe the temperature file."""
    wanted = context.settings.thermometer.file
    if wanted is None:
        return
    path = Path(wanted)
    # A hanging disk is noticed here; the thermometer's own thread would delay the end of the program.
    await run_in_thread(partial(_age_s, path), context.timeout_s)
    async with using(FileThermometer(path)) as thermometer:
        temperature_c = await thermometer.temperature_c()
        facts = ThermometerFacts(
            temperature_c=temperature_c,
            age_s=None if temperature_c is None else await run_in_thread(partial(_age_s, path), context.timeout_s),
            needed=external_temperature_needed(context.settings),
            why_none=f"{path}: {thermometer.problem}",
        )
    context.add(check_thermometer(FILE, facts))


def _age_s(path: Path) -> float | None:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        # Gone since it was read.
        return None


async def probe_temperature_page(context: ProbeContext) -> None:
    """Probe the temperature page."""
    wanted = context.settings.thermometer.url
    if wanted is None:
        return
    async with using(UrlThermometer(wanted, timeout_s=context.timeout_s)) as thermometer:
        facts = ThermometerFacts(
            temperature_c=await thermometer.temperature_c(),
            age_s=None,
            needed=external_temperature_needed(context.settings),
            why_none=thermometer.problem,
        )
    context.add(check_thermometer(URL, facts))


async def probe_safety_monitor(context: ProbeContext) -> None:
    """Probe the safety monitor."""

    async def read(_: Connection) -> None:
        async with context.connected("safety_monitor", AlpacaSafetyMonitor) as monitor:
            context.add(check_safety(is_safe=await monitor.is_safe()))

    await context.probe_device("safety_monitor", read)


# The rules.


def check_thermometer(subject: Subject, facts: ThermometerFacts) -> Check:
    """Check the reading of a thermometer."""
    if facts.temperature_c is None:
        seen = f"no plausible temperature{f': {facts.why_none}' if facts.why_none else ''}"
        if facts.needed:
            remedy = "Check the source, or set thermometer.source to focuser if the focuser has a sensor."
            return subject.fails("temperature", seen, remedy)
        return subject.note("temperature", seen, "Check the source, or remove it from the settings.")
    age = "" if facts.age_s is None or facts.age_s < 0 else f", {duration(facts.age_s)} old"
    seen = f"{facts.temperature_c:.1f} deg C{age}"
    if facts.age_s is not None and facts.age_s > OLD_S:
        return subject.note("temperature", seen, "Check whether the thermometer still works.")
    return subject.ok("temperature", seen)


def check_safety(*, is_safe: bool) -> Check:
    """Check the state of a safety monitor."""
    subject = Subject("safety monitor")
    if is_safe:
        return subject.ok("state", "safe")
    return subject.note("state", "not safe: no focus run starts", "Nothing needs doing if that is true.")
