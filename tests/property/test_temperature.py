"""Whatever a file or a page holds, it is a temperature that makes sense or none."""

import json

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.core.temperature import COLDEST_C, WARMEST_C, temperature_of_text

NUMBERISH = st.text('0123456789+-.,eE° CcFfKk\n\t:;{}[]"\u2212\ufeff')
JSON_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | NUMBERISH
PAGES = st.dictionaries(st.sampled_from(["temperature", "temperature_c", "humidity"]), JSON_VALUES).map(json.dumps)


@given(st.text() | NUMBERISH | PAGES)
def test_no_text_raises_or_gives_a_temperature_that_makes_no_sense(text: str) -> None:
    reading_c = temperature_of_text(text)
    assert reading_c is None or COLDEST_C <= reading_c <= WARMEST_C


@given(
    st.decimals(COLDEST_C, WARMEST_C, places=2),
    st.sampled_from([".", ","]),
    st.sampled_from(["", " C", "C", "°C", " °C", " ℃", " deg C"]),
    st.sampled_from(["", "\n", "\r\n"]),
)
def test_every_sensible_temperature_is_read_as_it_was_written(number: object, mark: str, unit: str, end: str) -> None:
    assert temperature_of_text(str(number).replace(".", mark) + unit + end) == float(str(number))
