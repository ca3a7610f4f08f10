"""Which temperatures are plausible, and the temperature in the text of a file or a page. Pure."""

import json
import math
import re
from collections.abc import Mapping

COLDEST_C, WARMEST_C = -80.0, 70.0
"""No observatory has colder or warmer air; an unplugged sensor reads -127, -273 or 85 degrees."""

_READING = re.compile(
    r"""
    (?P<number> [+-]? (?: [0-9]+ (?: [.,][0-9]+ )? | [.,][0-9]+ ) (?: e[+-]?[0-9]+ )? )
    (?: [ ]? (?: °[ ]?c? | deg(?:rees?)?[ ]?(?: c | celsius )? | c | celsius ) )?
    (?: $ | [ ]?[;,|] | [ ](?! °?[ ]?[a-z] ) )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ALIKE = str.maketrans({"\u2212": "-", "\u00ba": "°", "\u2103": "°C", "\ufeff": " "})
"""The true minus sign, the ordinal indicator used as a degree sign, the one-character °C, the byte order mark."""


def plausible_temperature_c(reading_c: float | None) -> float | None:
    """Return the reading in degrees Celsius, or `None` if it is NaN or implausible."""
    return reading_c if reading_c is not None and COLDEST_C <= reading_c <= WARMEST_C else None


def temperature_of_text(text: str) -> float | None:
    """Return the temperature in degrees Celsius in a text, or `None` if it holds no plausible one; never raises.

    The first line begins with the number, which may have a decimal comma and a unit: "-3.4", "-3,4 °C" or
    "-3.4 C; 80 %". Or the text is a JSON object with a number, or such a text, as `temperature_c` or else
    `temperature`. Another unit, a date and a time of day are no temperature.
    """
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or nested without end
        content = text
    if not isinstance(content, Mapping):
        return plausible_temperature_c(_number(text))
    reading = next((content[key] for key in ("temperature_c", "temperature") if key in content), None)
    return plausible_temperature_c(_number(reading))


def _number(content: object) -> float:
    if isinstance(content, str):
        first_line = content.translate(_ALIKE).strip().partition("\n")[0]
        reading = _READING.match(" ".join(first_line.split()))
        return float(reading["number"].replace(",", ".")) if reading else math.nan
    if isinstance(content, bool) or not isinstance(content, int | float):
        return math.nan
    return float(content) if abs(content) <= WARMEST_C - COLDEST_C else math.nan
