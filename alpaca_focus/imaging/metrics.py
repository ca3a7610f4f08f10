"""The table of metrics: one row each, so that a new one is one function and one row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.imaging.stars import measure_stars


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """How one measure of focus is taken from a frame.

    Attributes:
        function: From a frame to its measurement; never raises for what a frame holds.
        unit: Unit of the value.
        lower_is_better: Sense of the metric.
        description: What it is.
    """

    function: Callable[[Frame], Measurement]
    unit: str
    lower_is_better: bool
    description: str


def _hfd(frame: Frame) -> Measurement:
    return measure_stars(frame.pixels, saturation_adu=frame.saturation_adu, bayer=frame.bayer)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {"hfd": Metric(function=_hfd, unit="px", lower_is_better=True, description="half-flux diameter of the stars")}
)
