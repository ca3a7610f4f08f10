"""The table of metrics: one row a metric, from which settings, reports, tables and pictures derive.

The measuring function of each stands under the same name in `imaging.measuring_functions`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType

from alpaca_focus.core.values import Measurement


class MetricKind(StrEnum):
    """What a metric is measured on, in the order in which tables list them."""

    STARS = "stars"
    SPECTRUM = "spectrum"
    FRAME = "frame"
    """The frame as a whole."""


class Blur(Enum):
    """How the width of the blur enters a metric.

    Attributes:
        power: Power of the metric that is proportional to that width; a hyperbola is fitted to it.
        suffix: End of such a curve's name.
    """

    WIDTH = (1.0, "")
    RECIPROCAL = (-1.0, " of the reciprocal")
    """A signal: the light through the slit of a spectrograph goes as slit over width."""
    AREA = (0.5, " of the square root")

    def __init__(self, power: float, suffix: str) -> None:
        self.power = power
        self.suffix = suffix


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measure of focus.

    Attributes:
        name: Name in the settings, the store and the API.
        label: Name for people.
        description: Explanation in the manual.
        explanation: Explanation in the settings file, beside the other metrics.
        judge: Metric of the same measurement that decides on a verification; its value is in `details`.
        stem: First part of the names of its table columns; empty: the metric's name.
        detail_columns: Further columns, which are details of the measurement.
        is_measured: False if the metric only occurs in files of other programs.
        is_star_diameter: Whether half of the value is the half-flux radius of a star.
        is_predicted: Whether the optics predict the V-curve, see `OpticalTrain.hfd_slope_px_per_step`.
    """

    name: str
    label: str
    unit: str
    kind: MetricKind
    description: str
    explanation: str = ""
    blur: Blur = Blur.WIDTH
    judge: str = ""
    stem: str = ""
    detail_columns: tuple[str, ...] = ()
    value_format: str = ".2f"
    error_format: str = ".2f"
    is_measured: bool = True
    is_star_diameter: bool = False
    is_predicted: bool = False

    @property
    def lower_is_better(self) -> bool:
        """Whether a lower value means a better focus."""
        return self.blur.power > 0

    @property
    def curve(self) -> str:
        """The name of the V-curve, with which the metric's table columns begin."""
        return self.stem or self.name

    @property
    def column(self) -> str:
        """The column of the values."""
        return f"{self.curve}{self._column_unit}"

    @property
    def error_column(self) -> str:
        """The column of the standard errors."""
        return f"{self.curve}_stderr{self._column_unit}"

    @property
    def table_unit(self) -> str:
        """The unit in the name of the column; empty for values in ADU."""
        return self._column_unit.removeprefix("_")

    @property
    def _column_unit(self) -> str:
        return "_px" if self.unit == "px" else ""

    @property
    def measured_as(self) -> str:
        """The key of `MEASUREMENTS`: all metrics of stars, or of a spectrum, come from one measurement."""
        return self.name if self.kind is MetricKind.FRAME else self.kind.value


STAR_SIZE = "hfd"
"""The default metric, and the one of light frames: the trigger hfd_rise_percent, the store and MQTT use it."""

ROWS = (
    Metric(
        name=STAR_SIZE,
        label="HFD",
        unit="px",
        kind=MetricKind.STARS,
        description="half-flux diameter of the stars",
        explanation="the half-flux diameter of stars",
        is_star_diameter=True,
        is_predicted=True,
    ),
    Metric(
        name="hfr",
        label="HFR",
        unit="px",
        kind=MetricKind.STARS,
        description="half-flux radius of the stars, in files of other programs",
        is_measured=False,
    ),
    Metric(
        name="fwhm",
        label="FWHM",
        unit="px",
        kind=MetricKind.STARS,
        description="full width at half maximum of the stars",
        explanation="their full width at half maximum",
        is_star_diameter=True,
    ),
    Metric(
        name="invpower",
        label="InvPower",
        unit="1/ADU^2",
        kind=MetricKind.FRAME,
        description="inverse power of the whole frame, where stars cannot be separated",
        explanation="the inverse power of a crowded frame",
        blur=Blur.AREA,
        value_format=".6g",
        error_format=".2g",
    ),
    Metric(
        name="spectrum_fwhm",
        label="spectrum FWHM",
        unit="px",
        kind=MetricKind.SPECTRUM,
        description="full width at half maximum of a spectrum across its trace",
        explanation="the width of a slit spectrum, judged by its signal",
        judge="nsig",
        stem="fwhm",
        detail_columns=("fwhm_arcsec",),
    ),
    Metric(
        name="nsig",
        label="NSIG",
        unit="ADU/s",
        kind=MetricKind.SPECTRUM,
        description="signal of a spectrum above its background, to a second",
        explanation="that signal",
        blur=Blur.RECIPROCAL,
    ),
)
METRICS: Mapping[str, Metric] = MappingProxyType({row.name: row for row in ROWS if row.is_measured})
"""The metrics that can be measured, by name."""

_BY_KIND = tuple(row for kind in MetricKind for row in ROWS if row.kind is kind)
CURVES: Mapping[str, Metric] = MappingProxyType(
    {
        curve: next(row for row in _BY_KIND if row.curve == curve)
        for curve in dict.fromkeys(row.curve for row in _BY_KIND)
    }
)
"""The metric of each V-curve in tables; of two with the same name, the one of stars."""
MEASUREMENTS: Mapping[str, tuple[Metric, ...]] = MappingProxyType(
    {
        name: tuple(row for row in METRICS.values() if row.measured_as == name)
        for name in dict.fromkeys(row.measured_as for row in _BY_KIND)
    }
)
"""The metrics that come from each measurement of a frame; the first decides whether the frame is usable."""
_FURTHER_COLUMNS: Mapping[MetricKind, tuple[str, ...]] = MappingProxyType(
    {
        MetricKind.STARS: ("stars", "eccentricity", "sky_adu", "median_snr"),
        MetricKind.SPECTRUM: ("trace_row", "snr"),
        MetricKind.FRAME: (),
    }
)
COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        name: (
            *(column for row in rows for column in (row.column, row.error_column, *row.detail_columns)),
            *_FURTHER_COLUMNS[rows[0].kind],
        )
        for name, rows in MEASUREMENTS.items()
    }
)
"""The columns of a frame's row in a table for each measurement, in their order."""


def fitted_curves(measured_as: str) -> tuple[str, ...]:
    """Return the V-curves to fit for a measurement: that of the first metric, and that of its judge."""
    first = MEASUREMENTS[measured_as][0]
    return (first.curve, METRICS[first.judge].curve) if first.judge else (first.curve,)


def label_of(name: str) -> str:
    """Return a metric's label, or a readable name for a column of another program's table."""
    row = next((row for row in ROWS if row.name == name), None)
    if row is not None:
        return row.label
    return " ".join(label_of(word) for word in name.split("_")) if "_" in name else name


def heading(metric: str, unit: str) -> str:
    """Return a metric with its unit for an axis or a column, for example "HFD px"."""
    return f"{label_of(metric)} {unit}".strip()


def value_text(measurement: Measurement, value: float | None = None) -> str:
    """Return the measured or another value of a measurement's metric, for example "HFD 2.31 px"."""
    row = METRICS.get(measurement.metric)
    number = format(measurement.value if value is None else value, ".2f" if row is None else row.value_format)
    return f"{label_of(measurement.metric)} {number} {measurement.unit}".rstrip()


def result_text(measurement: Measurement) -> str:
    """Return a frame's value, for example "HFD 2.31 px", or why there is none."""
    return value_text(measurement) if measurement.usable else f"nothing ({measurement.reason})"


def blur_of(measurement: Measurement) -> Blur:
    """Return how the blur enters a measurement; columns of other programs' tables count as widths or as signals."""
    row = METRICS.get(measurement.metric)
    if row is not None:
        return row.blur
    return Blur.WIDTH if measurement.lower_is_better else Blur.RECIPROCAL


def blur_width(measurement: Measurement) -> float:
    """Return a measurement as a width of the blur, so that one sweep serves every metric; infinite if not usable."""
    if not measurement.usable or measurement.value <= 0:
        return math.inf
    return float(measurement.value ** blur_of(measurement).power)


def relative_width_error(measurement: Measurement) -> float:
    """Return the standard error of `blur_width` as a fraction."""
    return abs(blur_of(measurement).power) * measurement.stderr / measurement.value
