"""The table of members against alpyca, which was written by the authors of the standard."""

import inspect
import re

import pytest
from alpaca.camera import Camera
from alpaca.device import Device
from alpaca.filterwheel import FilterWheel
from alpaca.focuser import Focuser
from alpaca.observingconditions import ObservingConditions
from alpaca.safetymonitor import SafetyMonitor
from alpaca.telescope import Telescope

from alpaca_focus.alpaca.standard import INTERFACES, DeviceType

CLIENTS = {
    DeviceType.CAMERA: Camera,
    DeviceType.FOCUSER: Focuser,
    DeviceType.FILTERWHEEL: FilterWheel,
    DeviceType.TELESCOPE: Telescope,
    DeviceType.OBSERVINGCONDITIONS: ObservingConditions,
    DeviceType.SAFETYMONITOR: SafetyMonitor,
}
CALL = re.compile(r"self\._(get|put|get_imagedata|get_imagedata_as_array)\(\s*[\"'](\w+)[\"']([^)]*)\)")
# alpyca leaves out the deprecated blocking slews, the variant of an image, and setting the averaging period.
NOT_IN_ALPYCA = {"slewtoaltaz", "slewtocoordinates", "slewtotarget", "imagearrayvariant", "averageperiod"}
# alpyca spells this parameter in its own way; names do not mind.
RESPELT = {"SubexposureDuration": "SubExposureDuration"}


def calls_of(client: type) -> set[tuple[str, str, tuple[str, ...]]]:
    """What alpyca sends: HTTP method, member, names of the parameters."""
    found = set()
    for kind, member, arguments in CALL.findall(inspect.getsource(client)):
        names = tuple(RESPELT.get(name, name) for name in re.findall(r"(\w+)\s*=", arguments))
        found.add(("PUT" if kind == "put" else "GET", member, names))
    return found


@pytest.mark.parametrize("device_type", DeviceType)
def test_everything_alpyca_sends_is_in_the_table(device_type: DeviceType) -> None:
    table = INTERFACES[device_type].members
    for method, member, names in calls_of(CLIENTS[device_type]) | calls_of(Device):
        assert (method, member) in table
        assert tuple(parameter.name for parameter in table[method, member].parameters) == names


@pytest.mark.parametrize("device_type", DeviceType)
def test_everything_in_the_table_is_sent_by_alpyca(device_type: DeviceType) -> None:
    sent = {(method, member) for method, member, _ in calls_of(CLIENTS[device_type]) | calls_of(Device)}
    missing = {member for method, member in INTERFACES[device_type].members if (method, member) not in sent}
    assert missing <= NOT_IN_ALPYCA


def test_interface_versions_are_those_alpyca_knows() -> None:
    assert {
        str(kind): interface.version for kind, interface in INTERFACES.items()
    }.items() <= Device._plat7_intvers.items()


def test_only_commands_that_answer_return_a_value_from_a_put() -> None:
    answering = {
        name
        for interface in INTERFACES.values()
        for (method, name), member in interface.members.items()
        if method == "PUT" and member.returns_value
    }
    assert answering == {"action", "commandbool", "commandstring"}


def test_common_members_are_in_every_table() -> None:
    common = {"connected", "connect", "disconnect", "devicestate", "action", "commandblind", "supportedactions", "name"}
    for interface in INTERFACES.values():
        assert {name for _, name in interface.members} >= common
