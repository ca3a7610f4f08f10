"""The survey of the chosen devices: their facts, for the person and for the settings file."""

from collections.abc import Callable

from alpaca_focus.core.device_kinds import DEVICE_KINDS, DiscoveredFacts, DiscoveredFocuser
from alpaca_focus.core.discovered import DiscoveredObservatory
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.devices.survey import survey_device
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.setup.device_choice import Chosen
from alpaca_focus.setup.first_devices import Answers
from alpaca_focus.setup.first_file import first_file
from alpaca_focus.setup.server_discovery import tell_notes


async def survey(chosen: Chosen, tell: Callable[[str], None]) -> DiscoveredObservatory:
    """Read what the chosen devices report of themselves; one that was not connected before is disconnected again.

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
            tell(f"{words[:1].upper()}{words[1:]} goes into the file without some of its facts:")
            tell_notes(tell, each.notes)
    found = DiscoveredObservatory(server=chosen.server, devices=devices)
    focuser = found.focuser
    if focuser.absolute is False:
        raise ConfigurationError(
            f"{focuser.device.words} at {focuser.device.server} is a relative focuser: it does not know its position. "
            "Set it to absolute positions in its own server if it can do that, or choose another with --focuser NUMBER."
        )
    _warn(focuser, tell)
    return found


def _warn(focuser: DiscoveredFocuser, tell: Callable[[str], None]) -> None:
    if focuser.compensating:
        tell(
            f"{focuser.device.words} has its own temperature compensation switched on: switch it off in its server, or "
            "two will move it."
        )


def settings_text(found: DiscoveredObservatory, answers: Answers, *, file_name: str, beside_schema: bool) -> str:
    """Return the settings file, which has been read back.

    Raises:
        SettingsError: It would be no valid settings file.
    """
    text = first_file(found, answers, file_name=file_name, beside_schema=beside_schema)
    parse_yaml(text, Settings, source=file_name)
    return text


def found_lines(found: DiscoveredObservatory) -> tuple[str, ...]:
    """Return what was found, one line a device."""
    return tuple(_line(each, found.server) for each in found.devices.values())


def _line(found: DiscoveredFacts, server: str) -> str:
    device = found.device
    facts = ", ".join(filter(None, ("" if device.server == server else f"at {device.server}", *found.words)))
    return f"{device.words}: {facts}" if facts else device.words
