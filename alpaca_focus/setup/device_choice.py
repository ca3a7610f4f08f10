"""Chooses the devices of the telescope among the discovered ones, and asks a person where there are several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alpaca_focus.core.device_kinds import DEVICE_KINDS, DeviceKind, DiscoveredDevice
from alpaca_focus.core.discovered import SurveyedServer, servers_with_focuser
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.setup.questions import Given, Person

NO_DEVICE = "none of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenDevices:
    """The devices of one telescope, before they are surveyed.

    Attributes:
        server: "host:port" of the server that most of them are on.
        devices: The devices by section of the settings, in the order of `DEVICE_KINDS`.
    """

    server: str
    devices: Mapping[str, DiscoveredDevice]


def choose_devices(servers: Sequence[SurveyedServer], given: Given, person: Person) -> ChosenDevices:
    """Choose a server and one device of each type.

    Raises:
        ConfigurationError: There is none, or there are several and nobody to ask.
    """
    with_focuser = servers_with_focuser(servers)
    server = with_focuser[0]
    if len(with_focuser) > 1:
        addresses = ", ".join(each.address for each in with_focuser)
        _needs_person(
            person, f"{len(with_focuser)} servers have a focuser ({addresses}): name one with --address HOST:PORT."
        )
        server = with_focuser[_choice(person, "Which server?", [f"{s.address}: {s.words}" for s in with_focuser])]
    devices: dict[str, DiscoveredDevice] = {}
    for section, kind in DEVICE_KINDS.items():
        candidates = _cameras(server, servers) if section == "camera" else server.of_kind(kind.alpaca_type)
        if kind.required:
            devices[section] = _required(candidates, kind, given.numbers.get(section), person)
        elif (chosen := _optional(candidates, kind, person)) is not None:
            devices[section] = chosen
    return ChosenDevices(server=server.address, devices=devices)


def _cameras(server: SurveyedServer, servers: Sequence[SurveyedServer]) -> tuple[DiscoveredDevice, ...]:
    """Return the cameras of the server, or else of the others: a camera often has a computer of its own."""
    own = server.of_kind("camera")
    others = (camera for other in servers for camera in other.of_kind("camera"))
    cameras = own or tuple(others)
    if not cameras:
        raise ConfigurationError(
            f"There is no camera: {server.address} has {server.words}. Add the camera to its Alpaca server. If it is on"
            " another one, leave out --address: then all servers are searched."
        )
    return cameras


def _required(
    devices: Sequence[DiscoveredDevice], kind: DeviceKind, number: int | None, person: Person
) -> DiscoveredDevice:
    words = ", ".join(f"{device.words} at {device.server}" for device in devices)
    if number is not None:
        devices = [device for device in devices if device.number == number]
        if not devices:
            raise ConfigurationError(f"There is no {kind.name} {number}. There are: {words}. Correct --{kind.section}.")
    if len(devices) > 1:
        how = f"choose with --{kind.section} NUMBER" if number is None else "leave out --yes, and choose at a terminal"
        _needs_person(person, f"There are several ({words}): {how}.")
        return devices[_choice(person, f"Which {kind.name}?", [f"{d.words} at {d.server}" for d in devices])]
    return devices[0]


def _optional(devices: Sequence[DiscoveredDevice], kind: DeviceKind, person: Person) -> DiscoveredDevice | None:
    if len(devices) < 2:
        return devices[0] if devices else None
    if not person.is_there:
        person.echo(f"Of {', '.join(device.words for device in devices)} the first is used.")
        return devices[0]
    index = _choice(person, f"Which {kind.name}?", [*(device.words for device in devices), NO_DEVICE])
    return devices[index] if index < len(devices) else None


def _needs_person(person: Person, sentence: str) -> None:
    if not person.is_there:
        raise ConfigurationError(sentence)


def _choice(person: Person, question: str, choices: Sequence[str]) -> int:
    """Let the person choose from a list; return the index."""
    person.echo(question)
    for number, text in enumerate(choices, start=1):
        person.echo(f"  {number}  {text}")
    while True:
        text = person.answer(f"Number, 1 to {len(choices)}", "1")
        if text.isascii() and text.isdigit() and 1 <= int(text) <= len(choices):
            return int(text) - 1
        person.echo(f"  {text!r} is none of them.")
