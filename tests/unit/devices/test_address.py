import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.devices.address import DeviceAddress, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port", "authority"),
    [
        ("192.168.1.20:11111", "192.168.1.20", 11111, "192.168.1.20:11111"),
        ("observatory.local", "observatory.local", 11111, "observatory.local:11111"),
        (" http://pi:80/ ", "pi", 80, "pi:80"),
        ("HTTP://pi:80", "pi", 80, "pi:80"),
        ("[::1]:32323", "::1", 32323, "[::1]:32323"),
        ("[::1]", "::1", 11111, "[::1]:11111"),
        ("::1", "::1", 11111, "[::1]:11111"),
        ("http://[fe80::1%eth0]:5000", "fe80::1%eth0", 5000, "[fe80::1%eth0]:5000"),
    ],
)
def test_addresses_as_people_write_them(text: str, host: str, port: int, authority: str) -> None:
    address = parse_address(text, 3)
    assert address == DeviceAddress(host, port, 3)
    assert address.authority == authority


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", 'The address "" names no host.'),
        (":11111", 'The address ":11111" names no host.'),
        ("pi:0", "a port is 1 to 65535"),
        ("pi:65536", "a port is 1 to 65535"),
        ("pi:http", "a port is 1 to 65535"),
        ("pi:\u0661", "a port is 1 to 65535"),
        ("https://pi:443", "asks for https, which is not supported. Use http://pi:443"),
        ("ftp://pi", "is not an http address"),
        ("http://pi:80/api/v1", 'Leave out "/api/v1"'),
        ("[::1:11111", "has a bracket that is not closed"),
        ("[::1]11111", "has a bracket that is not closed"),
        ("[::zz]:11111", "is not a valid IPv6 address"),
        ("my telescope:11111", 'has no valid host name ("my telescope")'),
        ("-pi", 'has no valid host name ("-pi")'),
    ],
)
def test_wrong_addresses_are_explained(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_address(text)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_impossible_device_numbers_are_explained(number: int) -> None:
    with pytest.raises(ConfigurationError, match="Alpaca counts from 0"):
        parse_address("pi", number)
