import math

import pytest

from alpaca_focus.core.temperature import plausible_temperature_c, temperature_of_text


@pytest.mark.parametrize(
    ("text", "temperature_c"),
    [
        ("-3.4", -3.4),
        ("-3.4 C", -3.4),
        ("-3,4 °C", -3.4),
        ("-3.4°C\n", -3.4),
        ("\ufeff  +12\r\n", 12.0),
        ("\u22127.25 \u2103", -7.25),
        ("5 deg C", 5.0),
        ("5.5 degrees Celsius", 5.5),
        ("5.5 celsius", 5.5),
        ("-.5", -0.5),
        ("1e-05", 1e-05),
        ("0", 0.0),
        ("-80", -80.0),
        ("70", 70.0),
        ("4.5;81;1013", 4.5),
        ("4.5, 81, 1013", 4.5),
        ("4.5 C, 81 %", 4.5),
        ("4.5\n2026-11-21", 4.5),
        ("\n4.5\nread by the station", 4.5),
        ("4.5\t81", 4.5),
        ('{"temperature_c": -3.4, "humidity": 80}', -3.4),
        ('{"temperature": 7}', 7.0),
        ('{"temperature": "7,5 °C"}', 7.5),
        ('{"temperature": 41, "temperature_c": 5}', 5.0),
    ],
)
def test_a_temperature_is_read(text: str, temperature_c: float) -> None:
    assert temperature_of_text(text) == temperature_c


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "n/a",
        "NaN",
        "inf",
        "-",
        "nan C",
        "-80.1",
        "70.1",
        "-127.0",
        "1e999",
        "41 F",
        "41  F",
        "41 ° F",
        "41 °" + " " * 60_000 + "F",
        "41 °F",
        "41°F",
        "280 K",
        "41 fahrenheit",
        "5 km/h",
        "5 cm",
        "12:05 3.4",
        "21.11.2026 3.4",
        "2026-11-21 3.4",
        "5.2.1",
        "<html>5 C</html>",
        '<meta content="initial-scale=1.0">',
        "Error 42: no sensor",
        "5x",
        "[5]",
        "true",
        "{}",
        '{"temperature": null}',
        '{"temperature": true}',
        '{"temperature": NaN}',
        '{"temperature": -Infinity}',
        '{"temperature": [5]}',
        '{"temperature": "41 F"}',
        '{"temperature_c": null, "temperature": 41}',
        '{"temperature": ' + "9" * 400 + "}",
        '{"temperature": ' + "9" * 5000 + "}",
        "[" * 100_000,
    ],
)
def test_what_is_no_temperature_in_degrees_celsius_is_none(text: str) -> None:
    assert temperature_of_text(text) is None


@pytest.mark.parametrize("reading_c", [math.nan, math.inf, -math.inf, -273.15, -127.0, 85.0])
def test_absurd_temperatures_are_none(reading_c: float) -> None:
    assert plausible_temperature_c(reading_c) is None


@pytest.mark.parametrize("reading_c", [-40.0, 0.0, 35.5])
def test_real_temperatures_stay(reading_c: float) -> None:
    assert plausible_temperature_c(reading_c) == reading_c
