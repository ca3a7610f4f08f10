"""Looks at the devices that are never told anything: the wheel, the mount, the thermometers, the safety monitor."""

import math
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.checkup.checks import Subject
from alpaca_focus.checkup.others import (
    MountFacts,
    ThermometerFacts,
    WheelFacts,
    judge_guider,
    judge_mount,
    judge_safety,
    judge_thermometer,
    judge_wheel,
)
from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.filter_wheel import AlpacaFilterWheel
from alpaca_focus.devices.text_thermometers import FileThermometer, UrlThermometer
from alpaca_focus.devices.translate import WrongValue, as_float
from alpaca_focus.devices.watched import AlpacaMount, AlpacaSafetyMonitor, AlpacaThermometer
from alpaca_focus.examining.aside import aside
from alpaca_focus.examining.bench import Bench, using
from alpaca_focus.examining.focuser import temperature_counts
from alpaca_focus.guiding.phd2_wire import as_text as phd2_text
from alpaca_focus.guiding.phd2_wire import connected
from alpaca_focus.settings.models import Settings

FILE, URL = Subject("temperature file"), Subject("temperature page")


async def look_at_wheel(bench: Bench) -> None:
    """Look at the filter wheel; it is not turned."""
    section = bench.settings.filter_wheel
    if section is None:
        return
    wheel = AlpacaFilterWheel(bench.address(section), bench.clock, timeout_s=bench.timeout_s)

    async def look(_: Connection) -> None:
        async with using(wheel):
            facts = WheelFacts(names=wheel.names, slot=await wheel.slot(), asked=_asked_filters(bench.settings))
        bench.found.extend(judge_wheel(facts))

    await bench.look_at(Subject("filter wheel"), DeviceType.FILTERWHEEL, section, look)


def _asked_filters(settings: Settings) -> dict[str, list[str]]:
    """Return the filters that the settings name, by section."""
    focus_filters = settings.focus.filters
    through = [each.focus_through for each in focus_filters.values() if each.focus_through is not None]
    offsets = {} if settings.filter_wheel is None else settings.filter_wheel.focus_offsets_steps
    return {
        "focus.filters": [*focus_filters, *through],
        "filter_wheel.focus_offsets_steps": list(offsets),
        "compensation.steps_per_c_through": list(settings.compensation.steps_per_c_through),
    }


async def look_at_mount(bench: Bench) -> None:
    """Look at the mount."""
    section = bench.settings.mount
    if section is None:
        return
    mount = AlpacaMount(bench.address(section), bench.clock, timeout_s=bench.timeout_s)

    async def look(connection: Connection) -> None:
        async with using(mount):
            state = await mount.state()
        settings, site = bench.settings, bench.settings.site
        asked_at = bench.clock.wall()
        clock = await connection.get_or("UTCDate", _as_utc, default=None)
        # The answer was made in the middle of the exchange, as far as anybody knows.
        now = asked_at + (bench.clock.wall() - asked_at) / 2
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
        bench.found.extend(judge_mount(facts))

    await bench.look_at(Subject("mount"), DeviceType.TELESCOPE, section, look)


async def _number(connection: Connection, member: str) -> float | None:
    value = await connection.get_or(member, as_float, default=math.nan)
    return value if math.isfinite(value) else None


def _as_utc(value: Any) -> datetime:
    """Take a time, which alpyca has read from its text already; one without a time zone is Universal Time."""
    if not isinstance(value, datetime):
        raise WrongValue(f"{value!r} is not a time")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


async def look_at_weather(bench: Bench) -> None:
    """Look at the weather station's thermometer."""
    section = bench.settings.observing_conditions
    if section is None:
        return
    subject = Subject("weather station")
    station = AlpacaThermometer(bench.address(section), bench.clock, timeout_s=bench.timeout_s)
    thermometer = bench.settings.thermometer
    counts = external_counts(bench.settings) and thermometer.file is None and thermometer.url is None

    async def look(connection: Connection) -> None:
        async with using(station):
            temperature_c = await station.temperature_c()
        try:
            age_s: float | None = await connection.call(
                "TimeSinceLastUpdate(Temperature)",
                lambda device: as_float(device.TimeSinceLastUpdate("Temperature")),
                repeatable=True,
            )
        except AlpacaFocusError:
            # Many stations do not tell.
            age_s = None
        facts = ThermometerFacts(temperature_c=temperature_c, age_s=age_s, counts=counts)
        bench.found.append(judge_thermometer(subject, facts))

    await bench.look_at(subject, DeviceType.OBSERVINGCONDITIONS, section, look)


def external_counts(settings: Settings) -> bool:
    """Tell whether the night is kept by a thermometer outside of the focuser."""
    return settings.thermometer.source != "focuser" and temperature_counts(settings)


async def look_at_temperature_file(bench: Bench) -> None:
    """Read the file with the temperature."""
    wanted = bench.settings.thermometer.file
    if wanted is None:
        return
    path = Path(wanted).expanduser()  # noqa: ASYNC240 - the environment is asked, not the disk
    # Here a disk that hangs is noticed; the thermometer's own thread would be waited for in the end.
    await aside(partial(_age_s, path), bench.timeout_s)
    async with using(FileThermometer(path)) as thermometer:
        temperature_c = await thermometer.temperature_c()
        facts = ThermometerFacts(
            temperature_c=temperature_c,
            age_s=None if temperature_c is None else await aside(partial(_age_s, path), bench.timeout_s),
            counts=external_counts(bench.settings),
            why_none=f"{path}: {thermometer.trouble}",
        )
    bench.found.append(judge_thermometer(FILE, facts))


def _age_s(path: Path) -> float | None:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        # Gone since it was read.
        return None


async def look_at_temperature_page(bench: Bench) -> None:
    """Read the page with the temperature."""
    wanted = bench.settings.thermometer.url
    if wanted is None:
        return
    async with using(UrlThermometer(wanted, timeout_s=bench.timeout_s)) as thermometer:
        facts = ThermometerFacts(
            temperature_c=await thermometer.temperature_c(),
            age_s=None,
            counts=external_counts(bench.settings),
            why_none=thermometer.trouble,
        )
    bench.found.append(judge_thermometer(URL, facts))


async def look_at_safety(bench: Bench) -> None:
    """Ask the safety monitor."""
    section = bench.settings.safety_monitor
    if section is None:
        return
    monitor = AlpacaSafetyMonitor(bench.address(section), bench.clock, timeout_s=bench.timeout_s)

    async def look(_: Connection) -> None:
        async with using(monitor):
            bench.found.append(judge_safety(is_safe=await monitor.is_safe()))

    await bench.look_at(Subject("safety monitor"), DeviceType.SAFETYMONITOR, section, look)


async def look_at_guider(bench: Bench) -> None:
    """Ask PHD2 what it does."""
    section = bench.settings.guider
    if section is None:
        return
    async with connected(section.address, f"PHD2 at {section.address}") as connection:
        state = phd2_text(await connection.ask("get_app_state"))
    bench.found.append(judge_guider(state))
