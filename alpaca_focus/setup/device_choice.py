"""Chooses the devices of the telescope among the discovered ones, and asks a person where there are several."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from alpaca_focus.core.device_kinds import DEVICE_KINDS, DeviceKind, DiscoveredDevice, DiscoveredFacts, DiscoveredMount
from alpaca_focus.core.discovered import SurveyedServer, servers_with_focuser
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.setup.questions import Given, Person

NO_DEVICE = "none of them"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenDevices:
    """The devices of one telescope by section, in the order of `DEVICE_KINDS`, and the server of most of them."""

    server: str
    devices: Mapping[str, DiscoveredDevice]


def choose_devices(
    servers: Sequence[SurveyedServer],
    given: Given,
    person: Person,
    read: Callable[[DiscoveredDevice, DeviceKind], DiscoveredFacts],
) -> ChosenDevices:
    """Choose a server and one device of each kind; `read` reads the facts of a device.

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
        number = given.numbers.get(section)
        if section == "mount" and number is None:
            candidates = tuple(each for each in candidates if not _is_guider(read(each, kind), person))
        if (chosen := _chosen(candidates, kind, number, person)) is not None:
            devices[section] = chosen
    return ChosenDevices(server=server.address, devices=devices)


def _cameras(server: SurveyedServer, servers: Sequence[SurveyedServer]) -> tuple[DiscoveredDevice, ...]:
    """Return the cameras of the server, or else of the others: a camera often has a computer of its own."""
    others = (camera for other in servers for camera in other.of_kind("camera"))
    cameras = server.of_kind("camera") or tuple(others)
    if not cameras:
        raise ConfigurationError(
            f"There is no camera: {server.address} has {server.words}. Add the camera to its Alpaca server. If it is on"
            " another one, leave out --address: then all servers are searched."
        )
    return cameras


def _is_guider(facts: DiscoveredFacts, person: Person) -> bool:
    if not isinstance(facts, DiscoveredMount) or not facts.is_idle:
        return False
    person.echo(
        f"{facts.device.words} can neither slew, track nor park, and is left out as a guider. If it is the mount, add "
        f"--mount {facts.device.number}."
    )
    return True


def _chosen(
    devices: Sequence[DiscoveredDevice], kind: DeviceKind, number: int | None, person: Person
) -> DiscoveredDevice | None:
    """Return the device with the number, the only one, the one that the person chooses, or the first."""
    option = f"--{kind.section.replace('_', '-')}"
    words = ", ".join(f"{device.words} at {device.server}" for device in devices)
    if number is not None:
        devices = [device for device in devices if device.number == number]
        if not devices:
            raise ConfigurationError(
                f"There is no {kind.name} {number}. {f'There are: {words}' if words else 'There is none'}. Correct "
                f"{option}."
            )
    if len(devices) < 2:
        return devices[0] if devices else None
    if not kind.required and not person.is_there:
        person.echo(f"Of {words} the first is used; {option} NUMBER chooses another.")
        return devices[0]
    how = f"choose with {option} NUMBER" if number is None else "leave out --yes, and choose at a terminal"
    _needs_person(person, f"There are several ({words}): {how}.")
    choices = [f"{device.words} at {device.server}" for device in devices]
    index = _choice(person, f"Which {kind.name}?", choices if kind.required else [*choices, NO_DEVICE])
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
