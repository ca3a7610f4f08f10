"""The whole diagnosis, subject by subject; one that fails does not stop the others."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from alpaca_focus.core.device_kinds import DEVICE_KINDS
from alpaca_focus.core.errors import AlpacaFocusError, ConfigurationError
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.doctor.camera_checks import probe_camera
from alpaca_focus.doctor.checks import Check, Subject
from alpaca_focus.doctor.computer_checks import (
    CHECK_WITHIN_S,
    check_computer,
    computer_facts,
    probe_computer,
    probe_storage,
)
from alpaca_focus.doctor.conditions_checks import (
    probe_safety_monitor,
    probe_temperature_file,
    probe_temperature_page,
    probe_weather_station,
)
from alpaca_focus.doctor.focuser_checks import probe_focuser
from alpaca_focus.doctor.mount_checks import probe_mount
from alpaca_focus.doctor.probe_context import ProbeContext, run_in_thread
from alpaca_focus.doctor.program_checks import probe_broker, probe_daemon, probe_guider, probe_messages, probe_ports
from alpaca_focus.doctor.server_checks import probe_server, servers_of
from alpaca_focus.doctor.settings_checks import check_settings, others_may_read, settings_refused
from alpaca_focus.doctor.wheel_checks import probe_wheel
from alpaca_focus.ports import Clock
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings

Probe = Callable[[ProbeContext], Awaitable[None]]

_PROBES: dict[str, Probe] = {
    "camera": probe_camera,
    "focuser": probe_focuser,
    "filter wheel": probe_wheel,
    "mount": probe_mount,
    "weather station": probe_weather_station,
    "temperature file": probe_temperature_file,
    "temperature page": probe_temperature_page,
    "safety monitor": probe_safety_monitor,
    "guider": probe_guider,
    "mqtt": probe_broker,
    "dashboard": probe_ports,
    "messages": probe_messages,
    "storage": probe_storage,
    "computer": probe_computer,
}
PROBES: Mapping[str, Probe] = MappingProxyType(_PROBES)
"""The probe of each subject, in the order of the output; a device has the name of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticOptions:
    """The settings file to diagnose, whether a frame and a move are allowed, and the callbacks for the results.

    Attributes:
        on_checks: Called with the checks of each subject.
        on_subject: Called with the name of the subject that is probed next.
        on_stranded: Called when the focuser could not be brought back.
    """

    file: Path
    frame_allowed: bool
    move_allowed: bool
    on_checks: Callable[[Sequence[Check]], None]
    on_subject: Callable[[str], None]
    on_stranded: Callable[[], None]


async def run_diagnostics(options: DiagnosticOptions, clock: Clock | None = None) -> None:
    """Probe everything that the settings name.

    Raises:
        asyncio.CancelledError: Aborted; every device is left unchanged.
    """
    options.on_subject("settings")
    misplaced: list[str] = []
    try:
        settings = load_yaml(options.file, Settings, warn=misplaced.append)
    except ConfigurationError as error:
        options.on_checks([settings_refused(str(options.file), str(error))])
        options.on_checks(check_computer(await run_in_thread(computer_facts, CHECK_WITHIN_S)))
        return
    is_public = others_may_read(options.file)
    options.on_checks(check_settings(str(options.file), settings, misplaced, is_public=is_public))
    context = ProbeContext(
        settings=settings,
        clock=clock or SystemClock(),
        frame_allowed=options.frame_allowed,
        move_allowed=options.move_allowed,
    )
    absent = {kind.name for section, kind in DEVICE_KINDS.items() if getattr(settings, section) is None}
    with ExitStack() as locks:
        subjects: dict[str, Probe] = {"daemon": partial(probe_daemon, locks=locks)}
        for address in servers_of(context):
            subjects[f"server {address.authority}"] = partial(probe_server, address=address)
        subjects |= {name: probe for name, probe in PROBES.items() if name not in absent}
        for name, probe in subjects.items():
            await _probe_subject(options, context, name, probe)


async def _probe_subject(options: DiagnosticOptions, context: ProbeContext, name: str, probe: Probe) -> None:
    options.on_subject(name)
    subject = Subject(name)
    try:
        await probe(context)
    except AlpacaFocusError as error:
        what = "settings" if isinstance(error, ConfigurationError) else "answers"
        context.add(subject.failed(what, str(error)))
    except TimeoutError:
        context.add(subject.fails("answers", "no answer in time", "Check whether the disk or the network hangs."))
    finally:
        # After an abort, the checks made until then are reported too.
        options.on_checks(tuple(context.checks))
        if context.is_stranded:
            options.on_stranded()
        context.checks.clear()
