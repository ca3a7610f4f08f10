"""Reaching a device: found by its number or unique id, connected to its hardware, and what is wrong where it is not."""

import logging

from alpaca_focus.alpaca.errors import ErrorNumber
from alpaca_focus.alpaca.management import describe, find_device
from alpaca_focus.alpaca.standard import INTERFACES
from alpaca_focus.core.errors import ConfigurationError, DeviceError, DeviceMisbehaved, DeviceRefused
from alpaca_focus.devices.line import Line
from alpaca_focus.devices.translate import as_bool, as_int, as_text, refusal
from alpaca_focus.ports import Clock

CONNECT_TIMEOUT_S = 30.0
"""Real seconds for a call that connects hardware, and for the first answers after it, which can be slow."""

CONNECTING_TIMEOUT_S = 60.0
"""Seconds of the clock that `Connecting` may last."""

_CONNECTED_TIMEOUT_S = 5.0
_CONNECTING_POLL_S = 0.25

_log = logging.getLogger(__name__)


async def establish(line: Line, clock: Clock) -> None:
    """Find the device, connect it to its hardware unless it is, and learn its name.

    Raises:
        ConfigurationError: The server has no such device.
        DeviceError: No answer, or the device does not let itself be connected.
    """
    if not await has_hardware(line):
        await _connect_hardware(line, clock)
    try:
        line.own_name = await line.read("Name", as_text, timeout_s=CONNECT_TIMEOUT_S)
    except (DeviceRefused, DeviceMisbehaved) as error:
        _log.debug("The device goes without a name: %s", error)


async def has_hardware(line: Line) -> bool:
    """Find the device, and ask whether it is connected to its hardware.

    Raises:
        ConfigurationError: The server has no such device.
        DeviceError: No answer, a refusal, or nonsense.
    """
    if line.address.unique_id:
        line.use_number(await _number_of(line, line.address.unique_id))
    return await line.read("Connected", as_bool)


async def part(line: Line) -> None:
    """Part the device from its hardware.

    Raises:
        DeviceError: It does not answer, or refuses.
    """
    await _set_connected(line, value=False)


async def _set_connected(line: Line, *, value: bool) -> None:
    await line.once(
        f"Connected = {value}", lambda device: setattr(device, "Connected", value), timeout_s=CONNECT_TIMEOUT_S
    )


async def _connect_hardware(line: Line, clock: Clock) -> None:
    if await _begin_to_connect(line):
        await _poll(line, clock, "Connecting", until=False, within_s=CONNECTING_TIMEOUT_S)
    else:
        await _set_connected(line, value=True)
    await _poll(line, clock, "Connected", until=True, within_s=_CONNECTED_TIMEOUT_S)


async def _begin_to_connect(line: Line) -> bool:
    """Connect the way of the newer interfaces; False if the device does not know it."""
    try:
        version = await line.read("InterfaceVersion", as_int)
        if version < INTERFACES[line.kind].version:
            return False
        await line.once("Connect()", lambda device: device.Connect(), timeout_s=CONNECT_TIMEOUT_S)
    except (DeviceRefused, DeviceMisbehaved) as error:
        _log.debug("%s is connected the old way: %s", line.name, error)
        return False
    return True


async def _poll(line: Line, clock: Clock, member: str, *, until: bool, within_s: float) -> None:
    ends_at = clock.monotonic() + within_s
    while await line.read(member, as_bool, timeout_s=CONNECT_TIMEOUT_S) is not until:
        if clock.monotonic() > ends_at:
            text = f"{member} has not become {until} within {within_s:g} s"
            raise refusal(line.question("Connect()"), ErrorNumber.NOT_CONNECTED, text)
        await clock.sleep(_CONNECTING_POLL_S)


async def _number_of(line: Line, unique_id: str) -> int:
    """Return the present number of the device with that unique id or name."""
    place = line.address.authority
    try:
        devices = await line.list_devices()
    except (DeviceRefused, DeviceMisbehaved) as error:
        raise ConfigurationError(
            f'The {line.kind} is to be found by its unique id or name "{unique_id}", but the server at {place}'
            f" gives no list of its devices. {error} Set the device's number instead."
        ) from error
    found = find_device(devices, line.kind, unique_id)
    if found is None:
        raise ConfigurationError(
            f'There is no {line.kind} with the unique id or name "{unique_id}" at {place}; the server has:'
            f" {describe(devices)}. Correct the setting, or add the device to the server."
        )
    return found.number


async def what_is_wrong(line: Line, error: DeviceRefused | DeviceMisbehaved) -> ConfigurationError:
    """Find out what is wrong when the device does not let itself be connected."""
    place = line.address.authority
    try:
        devices = await line.list_devices()
    except DeviceMisbehaved:
        if isinstance(error, DeviceMisbehaved):
            return ConfigurationError(
                f"What answers at {place} is not an Alpaca server. {error} Check host and port of the {line.kind}."
            )
        return _no_list_error(line, error)
    except DeviceError:
        return _no_list_error(line, error)
    if not any(device.device_type == line.kind and device.number == line.number for device in devices):
        return ConfigurationError(
            f"There is no {line.kind} {line.number} at {place}; the server has: {describe(devices)}."
            " Correct the device's number, or add the device to the server."
        )
    return ConfigurationError(
        f"{line.name} does not connect to its hardware. {error} Check its power and cable, and whether another"
        " program holds it."
    )


def _no_list_error(line: Line, error: DeviceError) -> ConfigurationError:
    return ConfigurationError(
        f"{line.name} cannot be used. {error} The server gives no list of its devices: check that the device's type"
        f" and number ({line.kind} {line.number}) are right, and its power and cable."
    )
