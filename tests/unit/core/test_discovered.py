"""What is accepted of what servers and devices say, and which of them are one."""

import math
from dataclasses import replace

import pytest

from alpaca_focus.core.device_kinds import plausible_optics_mm, plausible_site_deg, plausible_size_um
from alpaca_focus.core.discovered import distinct_servers, servers_with_focuser
from alpaca_focus.core.errors import ConfigurationError
from tests.discovered import device, server


@pytest.mark.parametrize(
    ("reported", "accepted"), [(3.76, 3.76), (0.0, None), (-1.0, None), (1001.0, None), (None, None)]
)
def test_the_size_of_a_pixel(reported: float | None, accepted: float | None) -> None:
    assert plausible_size_um(reported, 1000.0) == accepted
    assert plausible_size_um(math.nan, 1000.0) is None


@pytest.mark.parametrize(
    ("focal_length_m", "aperture_m", "accepted"),
    [
        (0.53, 0.106, (530.0, 106.0)),
        (2.032, 0.2032, (2032.0, 203.2)),
        (530.0, 106.0, None),  # millimetres
        (0.0, 0.0, None),
        (0.53, 0.0, None),
        (0.53, None, None),
        (None, 0.106, None),
        (math.nan, 0.106, None),
        (math.inf, 0.106, None),
        (0.05, 0.106, None),  # f/0.5
        (8.0, 0.106, None),  # f/75
    ],
)
def test_the_optics_of_a_mount(
    focal_length_m: float | None, aperture_m: float | None, accepted: tuple[float, float] | None
) -> None:
    assert plausible_optics_mm(focal_length_m, aperture_m) == accepted


@pytest.mark.parametrize(
    ("latitude", "longitude", "accepted"),
    [
        (47.0, 8.0, (47.0, 8.0)),
        (-30.0, 289.0, (-30.0, -71.0)),
        (0.0, 8.0, (0.0, 8.0)),
        (0.0, 0.0, None),
        (91.0, 8.0, None),
        (47.0, 361.0, None),
        (math.nan, 8.0, None),
        (47.0, None, None),
    ],
)
def test_the_site_of_a_mount(
    latitude: float | None, longitude: float | None, accepted: tuple[float, float] | None
) -> None:
    assert plausible_site_deg(latitude, longitude) == accepted


def test_a_server_that_answers_from_two_addresses_is_one() -> None:
    four = server("camera", "focuser", unique=True)
    six = replace(four, address="[2001:db8::1]:11111")
    assert distinct_servers([six, four]) == (four,)


def test_servers_alike_without_unique_ids_may_be_two() -> None:
    one, other = server("camera"), server("camera", address="192.168.1.21:11111")
    assert distinct_servers([other, one]) == (one, other)


def test_only_servers_with_a_focuser_are_of_use() -> None:
    camera, both = server("camera", address="10.0.0.1:1"), server("camera", "focuser")
    assert servers_with_focuser([camera, both]) == (both,)
    with pytest.raises(ConfigurationError, match=r'no focuser: 10\.0\.0\.1:1 has camera 0 "My camera"\. Add the foc'):
        servers_with_focuser([camera])


def test_devices_are_called_as_people_call_them_on_one_line() -> None:
    assert device("telescope", 1, "EQ6\x1b[2J\n(old)").words == 'mount 1 "EQ6 [2J (old)"'
    assert device("dome\n", 0, " ").words == "dome 0"
