"""The first settings file: finds the devices, asks a person for what no device says, and puts it together."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alpaca_focus.alpaca.discovery import DISCOVERY_PORT, DiscoveredServer, discover
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.asking import Given, Person
from alpaca_focus.core.errors import ConfigurationError, DeviceError
from alpaca_focus.core.found import (
    KIND_NAMES,
    FoundDevice,
    FoundFocuser,
    FoundObservatory,
    FoundServer,
    distinct_servers,
    servers_with_focuser,
)
from alpaca_focus.core.wording import one_line
from alpaca_focus.devices.address import DEFAULT_PORT, DeviceAddress, parse_address
from alpaca_focus.devices.survey import (
    look_at_camera,
    look_at_focuser,
    look_at_mount,
    look_at_wheel,
    survey_server,
)
from alpaca_focus.gateway.server import IN_FRONT
from alpaca_focus.settings.address import checked_address
from alpaca_focus.settings.first_answers import Answers
from alpaca_focus.settings.first_file import first_file
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.yaml_file import parse_yaml

DISCOVERY_S = 2.0
NO_DEVICE = "none of them"


async def find_servers(
    address: str | None, tell: Callable[[str], None], *, port: int = DISCOVERY_PORT
) -> tuple[FoundServer, ...]:
    """List the devices of one server, or of all that answer discovery.

    Raises:
        ConfigurationError: There is none, or nothing that can be used.
        DeviceError: The server at the address does not answer as one.
    """
    if address is not None:
        server = await survey_server(_authority(parse_address(address)))
        _tell_notes(tell, server.notes)
        if _is_own_gateway(server):
            raise ConfigurationError(
                f"At {server.address} is the gateway of alpaca-focus itself. Name the server of the real devices."
            )
        return (server,)
    tell(f"Looking for Alpaca servers for {DISCOVERY_S:g} s ...")
    answered = await asyncio.to_thread(discover, DISCOVERY_S, port=port)
    places = usable_places(answered)
    surveyed = await asyncio.gather(*(_surveyed(place, tell) for place in places))
    found = distinct_servers([server for server in surveyed if server is not None])
    if not found:
        raise ConfigurationError(
            f"No Alpaca server can be used{', though some answered' if answered else ': none answered'}. Is it running?"
            " Name it with --address HOST:PORT: discovery (UDP port 32227) finds no server in another network, behind"
            " a firewall, or without discovery."
        )
    for server in found:
        tell(f"{server.address} has {server.words}.")
        _tell_notes(tell, server.notes)
    return found


def usable_places(answered: Sequence[DiscoveredServer]) -> list[DeviceAddress]:
    """Leave out link-local addresses, which the settings cannot hold, of servers that answered from another as well."""
    ports = {server.port for server in answered if "%" not in server.host}
    return [
        DeviceAddress(server.host, server.port, 0)
        for server in answered
        if "%" not in server.host or server.port not in ports
    ]


def _authority(place: DeviceAddress) -> str:
    try:
        return checked_address(place.authority, f"192.168.1.20:{DEFAULT_PORT}")
    except ValueError as error:
        raise ConfigurationError(f"The address cannot be used: {error}.") from error


async def _surveyed(place: DeviceAddress, tell: Callable[[str], None]) -> FoundServer | None:
    try:
        server = await survey_server(_authority(place))
    except (ConfigurationError, DeviceError) as error:
        tell(f"{place.authority} answers discovery, and is left out. {error}")
        return None
    if _is_own_gateway(server):
        tell(f"{server.address} is the gateway of alpaca-focus itself, and is left out.")
        return None
    return server


def _is_own_gateway(server: FoundServer) -> bool:
    return bool(server.devices) and all(device.name.endswith(IN_FRONT) for device in server.devices)


def _tell_notes(tell: Callable[[str], None], notes: Sequence[str]) -> None:
    for note in notes:
        tell(f"  {note}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The devices of one telescope, before they are looked at."""

    server: str
    camera: FoundDevice
    focuser: FoundDevice
    filter_wheel: FoundDevice | None
    mount: FoundDevice | None
    observing_conditions: FoundDevice | None
    safety_monitor: FoundDevice | None


def choose_devices(servers: Sequence[FoundServer], given: Given, person: Person) -> Chosen:
    """Choose a server and one device of each type.

    Raises:
        ConfigurationError: There is none, or there are several and nobody to ask.
    """
    able = servers_with_focuser(servers)
    server = able[0]
    if len(able) > 1:
        places = ", ".join(each.address for each in able)
        _needs_person(person, f"{len(able)} servers have a focuser ({places}): say which with --address HOST:PORT.")
        server = able[_choice(person, "Which server?", [f"{s.address}: {s.words}" for s in able])]
    return Chosen(
        server=server.address,
        camera=_required(_cameras(server, servers), DeviceType.CAMERA, given.camera, person),
        focuser=_required(server.of_kind(DeviceType.FOCUSER), DeviceType.FOCUSER, given.focuser, person),
        filter_wheel=_optional(server, DeviceType.FILTERWHEEL, person),
        mount=_optional(server, DeviceType.TELESCOPE, person),
        observing_conditions=_optional(server, DeviceType.OBSERVINGCONDITIONS, person),
        safety_monitor=_optional(server, DeviceType.SAFETYMONITOR, person),
    )


def _cameras(server: FoundServer, servers: Sequence[FoundServer]) -> tuple[FoundDevice, ...]:
    """Return the cameras of the server, or else of the others: cameras often hang on a computer of their own."""
    own = server.of_kind(DeviceType.CAMERA)
    others = (camera for other in servers for camera in other.of_kind(DeviceType.CAMERA))
    cameras = own or tuple(others)
    if not cameras:
        raise ConfigurationError(
            f"There is no camera: {server.address} has {server.words}. Add the camera to its Alpaca server. If it is on"
            " another one, leave out --address: then all of them are looked at."
        )
    return cameras


def _required(devices: Sequence[FoundDevice], kind: str, number: int | None, person: Person) -> FoundDevice:
    words = ", ".join(f"{device.words} at {device.server}" for device in devices)
    if number is not None:
        devices = [device for device in devices if device.number == number]
        if not devices:
            raise ConfigurationError(f"There is no {kind} {number}. There are: {words}. Correct --{kind}.")
    if len(devices) > 1:
        how = f"say which with --{kind} NUMBER" if number is None else "leave out --yes, and choose at a terminal"
        _needs_person(person, f"There are several ({words}): {how}.")
        return devices[_choice(person, f"Which {kind}?", [f"{d.words} at {d.server}" for d in devices])]
    return devices[0]


def _optional(server: FoundServer, kind: str, person: Person) -> FoundDevice | None:
    devices = server.of_kind(kind)
    if len(devices) < 2:
        return devices[0] if devices else None
    if not person.is_there:
        person.tell(f"Of {', '.join(device.words for device in devices)} the first is taken.")
        return devices[0]
    question = f"Which {KIND_NAMES.get(kind, kind)}?"
    index = _choice(person, question, [*(device.words for device in devices), NO_DEVICE])
    return devices[index] if index < len(devices) else None


def _needs_person(person: Person, sentence: str) -> None:
    if not person.is_there:
        raise ConfigurationError(sentence)


def _choice(person: Person, question: str, choices: Sequence[str]) -> int:
    """Have one of several chosen by its number in the list, from 1."""
    person.tell(question)
    for number, text in enumerate(choices, start=1):
        person.tell(f"  {number}  {text}")
    while True:
        text = person.answer(f"Number, 1 to {len(choices)}", "1")
        if text.isascii() and text.isdigit() and 1 <= int(text) <= len(choices):
            return int(text) - 1
        person.tell(f"  {text!r} is none of them.")


async def look_at(chosen: Chosen, tell: Callable[[str], None]) -> FoundObservatory:
    """Read what the chosen devices say of themselves; one that was not connected before is disconnected again.

    Raises:
        ConfigurationError: The focuser is a relative one.
    """
    camera, focuser = await look_at_camera(chosen.camera), await look_at_focuser(chosen.focuser)
    wheel = None if chosen.filter_wheel is None else await look_at_wheel(chosen.filter_wheel)
    mount = None if chosen.mount is None else await look_at_mount(chosen.mount)
    for each in (camera, focuser, wheel, mount):
        if each is not None and each.notes:
            tell(
                f"{each.device.words[:1].upper()}{each.device.words[1:]} goes into the file without some of its facts:"
            )
            _tell_notes(tell, each.notes)
    if focuser.absolute is False:
        raise ConfigurationError(
            f"{focuser.device.words} at {focuser.device.server} is a relative focuser: it does not know its position. "
            "Set it to absolute positions in its own server if it can do that, or choose another with --focuser NUMBER."
        )
    _warn(focuser, tell)
    return FoundObservatory(
        server=chosen.server,
        camera=camera,
        focuser=focuser,
        filter_wheel=wheel,
        mount=mount,
        observing_conditions=chosen.observing_conditions,
        safety_monitor=chosen.safety_monitor,
    )


def _warn(focuser: FoundFocuser, tell: Callable[[str], None]) -> None:
    if focuser.compensating:
        tell(
            f"{focuser.device.words} has its own temperature compensation switched on: switch it off in its server, or "
            "two will move it."
        )


def settings_text(found: FoundObservatory, answers: Answers, *, file_name: str, beside_schema: bool) -> str:
    """Return the settings file, which has been read back.

    Raises:
        SettingsError: It would be no valid settings file.
    """
    text = first_file(found, answers, file_name=file_name, beside_schema=beside_schema)
    parse_yaml(text, Settings, source=file_name)
    return text


def found_lines(found: FoundObservatory) -> tuple[str, ...]:
    """Return what was found, one line a device."""
    camera, focuser, wheel, mount = found.camera, found.focuser, found.filter_wheel, found.mount
    size = f"{camera.width_px} x {camera.height_px} pixels" if camera.width_px and camera.height_px else ""
    pixels = f"{camera.pixel_size_um:g} um a pixel" if camera.pixel_size_um else ""
    elsewhere = "" if camera.device.server == found.server else f"at {camera.device.server}"
    travel = f"positions 0 to {focuser.max_step}" if focuser.max_step else ""
    step = f"{focuser.step_size_um:g} um a step" if focuser.step_size_um else ""
    sensor = f"{focuser.temperature_c:.1f} C" if focuser.temperature_c is not None else "no thermometer"
    lines = [_line(camera.device, elsewhere, size, pixels), _line(focuser.device, travel, step, sensor)]
    if wheel is not None:
        lines.append(_line(wheel.device, one_line(", ".join(wheel.filters))))
    if mount is not None:
        optics = f"{mount.focal_length_mm:g} mm, aperture {mount.aperture_mm:g} mm" if mount.focal_length_mm else ""
        site = (
            f"at {mount.latitude_deg:.4g}, {mount.longitude_deg:.4g} degrees" if mount.latitude_deg is not None else ""
        )
        lines.append(_line(mount.device, optics, site))
    lines += [_line(each) for each in (found.observing_conditions, found.safety_monitor) if each is not None]
    return tuple(lines)


def _line(device: FoundDevice, *facts: str) -> str:
    said = ", ".join(filter(None, facts))
    return f"{device.words}: {said}" if said else device.words
