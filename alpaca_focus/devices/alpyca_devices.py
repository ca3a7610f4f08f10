"""alpyca's device classes on this program's transport.

alpyca gives the members, their types and enumerations. Its own transport holds one lock of the class during every
request of every device in the process, so that a camera that hangs keeps a focuser from halting; it knows deadlines
only between two bytes, and it fails on replies that several servers send. `_get` and `_put` are the two methods
through which all its members go, so these are replaced.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from alpaca.camera import Camera
from alpaca.device import Device
from alpaca.filterwheel import FilterWheel
from alpaca.focuser import Focuser
from alpaca.observingconditions import ObservingConditions
from alpaca.safetymonitor import SafetyMonitor
from alpaca.telescope import Telescope

from alpaca_focus.alpaca.standard import DeviceType
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


class OwnCamera(OwnTransport, Camera):
    """alpyca's camera on this program's transport."""


class OwnFocuser(OwnTransport, Focuser):
    """alpyca's focuser on this program's transport."""


class OwnFilterWheel(OwnTransport, FilterWheel):
    """alpyca's filter wheel on this program's transport."""


class OwnTelescope(OwnTransport, Telescope):
    """alpyca's telescope on this program's transport."""


class OwnObservingConditions(OwnTransport, ObservingConditions):
    """alpyca's weather station on this program's transport."""


class OwnSafetyMonitor(OwnTransport, SafetyMonitor):
    """alpyca's safety monitor on this program's transport."""


_CLASSES: Mapping[DeviceType, type[Any]] = MappingProxyType(
    {
        DeviceType.CAMERA: OwnCamera,
        DeviceType.FOCUSER: OwnFocuser,
        DeviceType.FILTERWHEEL: OwnFilterWheel,
        DeviceType.TELESCOPE: OwnTelescope,
        DeviceType.OBSERVINGCONDITIONS: OwnObservingConditions,
        DeviceType.SAFETYMONITOR: OwnSafetyMonitor,
    }
)


def make_alpyca_device(kind: DeviceType, address: DeviceAddress, device_number: int) -> Device:
    """Return an alpyca device whose members go through a `Requester` of its own.

    They raise `DeviceError`s instead of alpyca's exceptions, and need a `current_call`.
    """
    device = cast("OwnTransport", _CLASSES[kind](address.authority, device_number))
    device.requester = Requester(address, kind, device_number)
    return device
