"""What to make of sensor readings. Pure."""

import math

COLDEST_C = -60.0
WARMEST_C = 70.0
"""No telescope is used beyond these temperatures; sensors that are not plugged in read -127, -273 or 85 degrees."""


def believable_temperature(reading_c: float) -> float | None:
    """Return the reading in degrees Celsius, or `None` if no telescope can be that cold or warm, or it is NaN."""
    return reading_c if math.isfinite(reading_c) and COLDEST_C <= reading_c <= WARMEST_C else None
