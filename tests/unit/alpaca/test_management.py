import pytest

from alpaca_focus.alpaca.management import describe, find_device, parse_devices
from alpaca_focus.alpaca.standard import DeviceType

LIST = [
    {"DeviceName": "ASI1600", "DeviceType": "Camera", "DeviceNumber": 1, "UniqueID": "focuser-id"},
    {"DeviceName": "Moonlite", "DeviceType": "Focuser", "DeviceNumber": 2, "UniqueID": "Focuser-ID"},
    {"DeviceName": "focuser-id", "DeviceType": "Focuser", "DeviceNumber": 3, "UniqueID": "other"},
    {"DeviceName": "An extra type", "DeviceType": "Espresso", "DeviceNumber": 0, "UniqueID": ""},
    {"DeviceName": "no number", "DeviceType": "Focuser"},
    "nonsense",
]


def test_the_unique_id_goes_before_the_name_and_the_type_counts() -> None:
    found = find_device(parse_devices(LIST), DeviceType.FOCUSER, "FOCUSER-id")
    assert found is not None
    assert found.number == 2


def test_a_device_is_found_by_its_name() -> None:
    found = find_device(parse_devices(LIST), DeviceType.FOCUSER, " moonlite ")
    assert found is not None
    assert found.number == 2


def test_a_device_of_another_type_is_not_found() -> None:
    assert find_device(parse_devices(LIST), DeviceType.FILTERWHEEL, "Moonlite") is None


def test_the_list_is_put_into_words() -> None:
    assert describe(parse_devices(LIST[:2])) == 'camera 1 "ASI1600", focuser 2 "Moonlite"'
    assert describe(()) == "no devices at all"


def test_what_is_no_list_is_not_taken() -> None:
    with pytest.raises(ValueError, match="not a list"):
        parse_devices({"Value": []})
