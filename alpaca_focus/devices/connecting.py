"""Connecting a device: find it by number or unique id, connect its hardware, and explain a failure."""

import logging

from alpaca_focus.alpaca.errors import ErrorNumber
from alpaca_focus.alpaca.management import describe, find_device
from alpaca_focus.alpaca.standard import INTERFACES
from alpaca_focus.core.errors import ConfigurationError, DeviceError, DeviceMisbehaved, DeviceRefused
from alpaca_focus.devices.channel import DeviceChannel
from alpaca_focus.devices.translate import as_bool, as_int, as_text, refusal
from alpaca_focus.ports import Clock

CONNECT_TIMEOUT_S = 30.0
"""Real seconds for a call that connects hardware, and for the first replies after it: some servers take that long."""

CONNECTING_TIMEOUT_S = 60.0
"""Clock seconds that `Connecting` may last."""

_CONNECTED_TIMEOUT_S = 5.0
_CONNECTING_POLL_S = 0.25

_log = logging.getLogger(__name__)


async def connect_device(channel: DeviceChannel, clock: Clock) -> None:
    """Find the device, connect it to its hardware unless it is connected, and read its name.

    Raises:
        ConfigurationError: The server has no such device.
        DeviceError: No answer, or the device does not connect.
    """
    if not await is_connected(channel):
        if await _start_connecting(channel):
            await _wait_until(channel, clock, "Connecting", value=False, within_s=CONNECTING_TIMEOUT_S)
        else:
            await set_connected(channel, value=True)
        await _wait_until(channel, clock, "Connected", value=True, within_s=_CONNECTED_TIMEOUT_S)
    try:
        channel.own_name = await channel.read("Name", as_text, timeout_s=CONNECT_TIMEOUT_S)
    except (DeviceRefused, DeviceMisbehaved) as error:
        _log.debug("The device has no name: %s", error)


async def is_connected(channel: DeviceChannel) -> bool:
    """Find the device, and return whether it is connected to its hardware.

    Raises:
        ConfigurationError: The server has no such device.
        DeviceError: No answer, a refusal, or an invalid reply.
    """
    if channel.address.unique_id:
        channel.use_number(await _number_of(channel, channel.address.unique_id))
    return await channel.read("Connected", as_bool)


async def set_connected(channel: DeviceChannel, *, value: bool) -> None:
    """Connect or disconnect the hardware by the property `Connected`.

    Raises:
        DeviceError: The device does not answer, or refuses.
    """
    await channel.call(
        f"Connected = {value}", lambda device: setattr(device, "Connected", value), timeout_s=CONNECT_TIMEOUT_S
    )


async def _start_connecting(channel: DeviceChannel) -> bool:
    """Call `Connect()`; False if the device has only the older `Connected = True`."""
    try:
        if await channel.read("InterfaceVersion", as_int) < INTERFACES[channel.kind].version:
            return False
        await channel.call("Connect()", lambda device: device.Connect(), timeout_s=CONNECT_TIMEOUT_S)
    except (DeviceRefused, DeviceMisbehaved) as error:
        _log.debug("%s is connected by Connected = True: %s", channel.name, error)
        return False
    return True


async def _wait_until(channel: DeviceChannel, clock: Clock, member: str, *, value: bool, within_s: float) -> None:
    ends_at = clock.monotonic() + within_s
    while await channel.read(member, as_bool, timeout_s=CONNECT_TIMEOUT_S) is not value:
        if clock.monotonic() > ends_at:
            text = f"{member} has not become {value} within {within_s:g} s"
            raise refusal(channel.request("Connect()"), ErrorNumber.NOT_CONNECTED, text)
        await clock.sleep(_CONNECTING_POLL_S)


async def _number_of(channel: DeviceChannel, unique_id: str) -> int:
    """Return the current number of the device with that unique id or name."""
    server = channel.address.authority
    try:
        devices = await channel.list_devices()
    except (DeviceRefused, DeviceMisbehaved) as error:
        raise ConfigurationError(
            f'The {channel.kind} is to be found by its unique id or name "{unique_id}", but the server at {server}'
            f" gives no list of its devices. {error} Set the device's number instead."
        ) from error
    device = find_device(devices, channel.kind, unique_id)
    if device is None:
        raise ConfigurationError(
            f'There is no {channel.kind} with the unique id or name "{unique_id}" at {server}; the server has:'
            f" {describe(devices)}. Correct the setting, or add the device to the server."
        )
    return device.number


async def explain_failure(channel: DeviceChannel, error: DeviceRefused | DeviceMisbehaved) -> ConfigurationError:
    """Return why the device does not connect: no Alpaca server, no such device, or its hardware."""
    kind, number, server = channel.kind, channel.number, channel.address.authority
    try:
        devices = await channel.list_devices()
    except DeviceError as no_list:
        if isinstance(no_list, DeviceMisbehaved) and isinstance(error, DeviceMisbehaved):
            return ConfigurationError(
                f"What answers at {server} is not an Alpaca server. {error} Check host and port of the {kind}."
            )
        return ConfigurationError(
            f"{channel.name} cannot be used. {error} The server gives no list of its devices: check that the device's"
            f" type and number ({kind} {number}) are right, and its power and cable."
        )
    if not any(device.device_type == kind and device.number == number for device in devices):
        return ConfigurationError(
            f"There is no {kind} {number} at {server}; the server has: {describe(devices)}."
            " Correct the device's number, or add the device to the server."
        )
    return ConfigurationError(
        f"{channel.name} does not connect to its hardware. {error} Check its power and cable, and whether another"
        " program uses it."
    )
