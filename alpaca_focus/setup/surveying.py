"""Surveys the chosen devices: reads their facts, for the terminal and for the settings file."""

from collections.abc import Callable

from alpaca_focus.core.device_kinds import DEVICE_KINDS, DiscoveredFacts
from alpaca_focus.core.discovered import DiscoveredObservatory
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.devices.survey import survey_device
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.setup.device_choice import ChosenDevices
from alpaca_focus.setup.first_devices import Answers
from alpaca_focus.setup.first_file import first_file
from alpaca_focus.setup.server_discovery import echo_notes


async def survey(chosen: ChosenDevices, echo: Callable[[str], None]) -> DiscoveredObservatory:
    """Read the facts of the chosen devices; one that was not connected before is disconnected again.

    Raises:
        ConfigurationError: The focuser is a relative one.
    """
    devices = {
        section: await survey_device(chosen.devices[section], kind)
        for section, kind in DEVICE_KINDS.items()
        if section in chosen.devices
    }
    for each in devices.values():
        if each.notes:
            words = each.device.words
            echo(f"{words[:1].upper()}{words[1:]} is written without some of its facts:")
            echo_notes(echo, each.notes)
    observatory = DiscoveredObservatory(server=chosen.server, devices=devices)
    focuser = observatory.focuser
    if focuser.absolute is False:
        raise ConfigurationError(
            f"{focuser.device.words} at {focuser.device.server} is a relative focuser: it does not know its position. "
            "Set it to absolute positions in its own server if it can do that, or choose another with --focuser NUMBER."
        )
    if focuser.compensating:
        echo(
            f"{focuser.device.words} has its own temperature compensation switched on. Switch it off in its server, or "
            "both programs move the focuser."
        )
    return observatory


def settings_text(observatory: DiscoveredObservatory, answers: Answers, *, file_name: str, beside_schema: bool) -> str:
    """Return the text of the settings file, checked by loading it.

    Raises:
        SettingsError: The text is not valid.
    """
    text = first_file(observatory, answers, file_name=file_name, beside_schema=beside_schema)
    parse_yaml(text, Settings, source=file_name)
    return text


def device_lines(observatory: DiscoveredObservatory) -> tuple[str, ...]:
    """Return the devices and their facts, one line per device."""
    return tuple(_line(each, observatory.server) for each in observatory.devices.values())


def _line(facts: DiscoveredFacts, server: str) -> str:
    device = facts.device
    details = ", ".join(filter(None, ("" if device.server == server else f"at {device.server}", *facts.words)))
    return f"{device.words}: {details}" if details else device.words
