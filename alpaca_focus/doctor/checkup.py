"""The whole checkup, subject by subject; one that fails does not stop the others."""

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
    computer_facts,
    judge_computer,
    probe_computer,
    probe_storage,
)
from alpaca_focus.doctor.conditions_checks import (
    probe_safety_monitor,
    probe_temperature_file,
    probe_temperature_page,
    probe_weather_station,
)
from alpaca_focus.doctor.examination import Examination, run_in_thread
from alpaca_focus.doctor.focuser_checks import probe_focuser
from alpaca_focus.doctor.mount_checks import probe_mount
from alpaca_focus.doctor.program_checks import probe_broker, probe_daemon, probe_guider, probe_messages, probe_ports
from alpaca_focus.doctor.server_checks import probe_server, servers_of
from alpaca_focus.doctor.settings_checks import judge_settings, settings_facts, settings_refused
from alpaca_focus.doctor.wheel_checks import probe_wheel
from alpaca_focus.ports import Clock
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings

Probe = Callable[[Examination], Awaitable[None]]

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
"""What examines each subject, in this order; a device goes by the name of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckupOrder:
    """A checkup as it is asked for.

    Attributes:
        file: The settings.
        takes_frame: Whether the camera may take a frame.
        moves: Whether the focuser may be moved.
        report: Takes the checks of each subject.
        waits_for: Takes the subject that is examined next.
        stranded: Called when the focuser could not be brought back.
    """

    file: Path
    takes_frame: bool
    moves: bool
    report: Callable[[Sequence[Check]], None]
    waits_for: Callable[[str], None]
    stranded: Callable[[], None]


async def examine(order: CheckupOrder, clock: Clock | None = None) -> None:
    """Examine everything that the settings name.

    Raises:
        asyncio.CancelledError: Aborted; everything is left as it was found.
    """
    order.waits_for("settings")
    try:
        settings = load_yaml(order.file, Settings)
    except ConfigurationError as error:
        order.report([settings_refused(str(order.file), str(error))])
        order.report(judge_computer(await run_in_thread(computer_facts, CHECK_WITHIN_S)))
        return
    order.report(judge_settings(settings_facts(order.file, settings)))
    examination = Examination(
        settings=settings, clock=clock or SystemClock(), takes_frame=order.takes_frame, moves=order.moves
    )
    absent = {kind.name for section, kind in DEVICE_KINDS.items() if getattr(settings, section) is None}
    with ExitStack() as held:
        subjects: dict[str, Probe] = {"daemon": partial(probe_daemon, held=held)}
        for address in servers_of(examination):
            subjects[f"server {address.authority}"] = partial(probe_server, address=address)
        subjects |= {name: probe for name, probe in PROBES.items() if name not in absent}
        for name, probe in subjects.items():
            await _examine_subject(order, examination, name, probe)


async def _examine_subject(order: CheckupOrder, examination: Examination, name: str, probe: Probe) -> None:
    order.waits_for(name)
    subject = Subject(name)
    try:
        await probe(examination)
    except AlpacaFocusError as error:
        what = "settings" if isinstance(error, ConfigurationError) else "answers"
        examination.add(subject.failed(what, str(error)))
    except TimeoutError:
        examination.add(subject.fails("answers", "no answer in time", "Check whether the disk or the network hangs."))
    finally:
        # Also what was found before a person stopped it.
        order.report(tuple(examination.found))
        if examination.is_stranded:
            order.stranded()
        examination.found.clear()
