"""Every kind of device has all that the rooms of the program key on its row."""

from inspect import iscoroutinefunction
from typing import get_args

import pytest
from pydantic.fields import FieldInfo

from alpaca_focus.alpaca.standard import INTERFACES, DeviceType
from alpaca_focus.core.device_kinds import DEVICE_KINDS, DeviceKind, DiscoveredDevice
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.devices.requester import make_alpyca_device
from alpaca_focus.doctor.diagnostics import PROBES
from alpaca_focus.run.device_adapters import ADAPTERS
from alpaca_focus.settings.models import DeviceSection, Settings

each_kind = pytest.mark.parametrize("kind", DEVICE_KINDS.values(), ids=lambda kind: kind.section)


def is_of_a_device(field: FieldInfo) -> bool:
    classes = {*get_args(field.annotation), field.annotation}
    return any(isinstance(each, type) and issubclass(each, DeviceSection) for each in classes)


def test_no_room_knows_a_kind_that_has_no_row() -> None:
    assert {DeviceType(kind.alpaca_type) for kind in DEVICE_KINDS.values()} == set(DeviceType) == set(INTERFACES)
    assert set(ADAPTERS) == set(DEVICE_KINDS)
    assert {name for name, field in Settings.model_fields.items() if is_of_a_device(field)} == set(DEVICE_KINDS)


@each_kind
def test_a_kind_has_a_section_of_its_own_that_may_be_left_out_unless_it_is_required(kind: DeviceKind) -> None:
    default = Settings.model_fields[kind.section].default
    assert isinstance(default, DeviceSection) if kind.required else default is None


@each_kind
def test_a_kind_has_an_adapter_that_is_made_from_its_section(kind: DeviceKind) -> None:
    settings = Settings.model_validate(
        {"telescope": {"focal_length_mm": 530, "aperture_mm": 106}, kind.section: {"device_number": 3}}
    )
    device = ADAPTERS[kind.section](settings, SystemClock())
    assert device.name == f"{kind.alpaca_type} 3 at {settings.alpaca.address}"
    assert iscoroutinefunction(device.connect)
    assert iscoroutinefunction(device.close)


@each_kind
def test_a_kind_is_examined_by_its_name(kind: DeviceKind) -> None:
    assert iscoroutinefunction(PROBES[kind.name])


@each_kind
def test_what_is_surveyed_of_a_kind_is_in_the_standard_and_may_all_be_missing(kind: DeviceKind) -> None:
    device_type = DeviceType(kind.alpaca_type)
    members = kind.facts.MEMBERS
    assert {("GET", member.lower()) for member in members} <= set(INTERFACES[device_type].members)
    alpyca = type(make_alpyca_device(device_type, DeviceAddress("127.0.0.1", 9, 0), 0))
    assert all(isinstance(getattr(alpyca, member), property) for member in members)
    device = DiscoveredDevice(kind=kind.alpaca_type, number=0, name="", server="127.0.0.1:9")
    assert kind.facts.of(device, {}, ["odd"]) == kind.facts(device=device, notes=("odd",))
    assert device.words == f"{kind.name} 0"
