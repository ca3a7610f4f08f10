"""alpyca's device classes on this program's transport.

alpyca gives the members, their types and enumerations. Its own transport holds one lock of the class during every
request of every device in the process, so that a camera that hangs keeps a focuser from halting; it knows deadlines
only between two bytes, and it fails on replies that several servers send. `_get` and `_put` are the two methods
through which all its members go, so these are replaced.
"""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from alpaca.device import Device

from alpaca_focus.alpaca.standard import INTERFACES, DeviceType
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.requester import Requester


class OwnTransport:
    """Takes the place of alpyca's transport in a subclass of an alpyca device."""

    requester: Requester

    def _get(self, attribute: str, **data: object) -> object:
        return self.requester.get(attribute, data)

    def _put(self, attribute: str, **data: object) -> Mapping[str, object]:
        return {"Value": self.requester.put(attribute, data)}

    # alpyca emulates these three for older devices in a thread of its own and takes any failure for version 1. Here
    # they say what the device says.

    @property
    def InterfaceVersion(self) -> object:  # noqa: N802 - the standard's spelling
        """The version of the device interface."""
        return self._get("interfaceversion")

    @property
    def Connecting(self) -> object:  # noqa: N802 - the standard's spelling
        """Whether `Connect` is still at work."""
        return self._get("connecting")

    def Connect(self) -> None:  # noqa: N802 - the standard's spelling
        """Begin to connect."""
        self._put("connect")


@cache
def _class_of(kind: DeviceType) -> type[Any]:
    """Return alpyca's class for a device type, on this program's transport; its name is the type's own."""
    name = INTERFACES[kind].display_name
    return type(f"Own{name}", (OwnTransport, getattr(import_module(f"alpaca.{kind}"), name)), {})


def make_alpyca_device(kind: DeviceType, address: DeviceAddress, device_number: int) -> Device:
    """Return an alpyca device whose members go through a `Requester` of its own.

    They raise `DeviceError`s instead of alpyca's exceptions, and need a `current_call`.
    """
    device: Any = _class_of(kind)(address.authority, device_number)
    device.requester = Requester(address, kind, device_number)
    return device
