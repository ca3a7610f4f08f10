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
        power: Power of the metric that is proportional to that width, to which a hyperbola is fitted.
        suffix: What the name of such a fitted curve ends with.
    """

    WIDTH = (1.0, "")
    RECIPROCAL = (-1.0, " of the reciprocal")
    """A signal: what the slit of a spectrograph lets through goes as slit over width."""
    AREA = (0.5, " of the square root")

    def __init__(self, power: float, suffix: str) -> None:
        self.power = power
        self.suffix = suffix


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measure of focus.

    Attributes:
        name: Its name in the settings, in the store and in the API.
        label: Its name for people.
        unit: Unit of its values.
        kind: What it is measured on.
        description: What it is, for the manual.
        explanation: What it is, beside the others in the settings file.
        blur: How the width of the blur enters it.
        judge: Metric of the same measurement that has the last word on a verification; its value stands in `details`.
        stem: What its columns in tables begin with; empty: its name.
        detail_columns: Further columns, which are details of the measurement.
        value_format: How a value is written.
        error_format: How its standard error is written.
        is_measured: Whether it is measured here, and not only read from files of other programs.
        is_star_diameter: Whether half of it is the half-flux radius of a star.
        is_predicted: Whether the optics predict its V-curve, see `OpticalTrain.hfd_slope_px_per_step`.
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
        """The name of its V-curve, which its columns in tables begin with."""
        return self.stem or self.name

    @property
    def column(self) -> str:
        """The column of its values."""
        return f"{self.curve}{self._column_unit}"

    @property
    def error_column(self) -> str:
        """The column of their standard errors."""
        return f"{self.curve}_stderr{self._column_unit}"

    @property
    def table_unit(self) -> str:
        """The unit that the name of its column carries; empty for values in ADU."""
        return self._column_unit.removeprefix("_")

    @property
    def _column_unit(self) -> str:
        return "_px" if self.unit == "px" else ""

    @property
    def measured_as(self) -> str:
        """What a frame is measured as to have it: all metrics of stars, or of a spectrum, come from one measurement."""
        return self.name if self.kind is MetricKind.FRAME else self.kind.value


STAR_SIZE = "hfd"
"""The metric by default, and that of light frames: of the trigger hfd_rise_percent, the store and MQTT."""

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
"""By name of a V-curve in tables: its metric, that of stars where there are two."""

MEASUREMENTS: Mapping[str, tuple[Metric, ...]] = MappingProxyType(
    {
        name: tuple(row for row in METRICS.values() if row.measured_as == name)
        for name in dict.fromkeys(row.measured_as for row in _BY_KIND)
    }
)
"""By what a frame is measured as: the metrics that come from it. The first decides whether the frame is usable."""
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
"""By what a frame is measured as: the numbers in its row of a table, in their order."""


def fitted_curves(measured_as: str) -> tuple[str, ...]:
    """Return the V-curves that are fitted to frames measured so: of the first metric, and of what judges it."""
    first = MEASUREMENTS[measured_as][0]
    return (first.curve, METRICS[first.judge].curve) if first.judge else (first.curve,)


def label_of(name: str) -> str:
    """Return the name of a metric, or of a column of another program's table, as it is written for people."""
    row = next((row for row in ROWS if row.name == name), None)
    if row is not None:
        return row.label
    return " ".join(label_of(word) for word in name.split("_")) if "_" in name else name


def heading(metric: str, unit: str) -> str:
    """Return a metric with its unit as an axis or a column shows it, for example "HFD px"."""
    return f"{label_of(metric)} {unit}".strip()


def value_text(measurement: Measurement, value: float | None = None) -> str:
    """Return a value of a measurement's metric with its name and unit, for example "HFD 2.31 px".

    Args:
        measurement: The measurement.
        value: The value; by default the measured one.
    """
    row = METRICS.get(measurement.metric)
    number = format(measurement.value if value is None else value, ".2f" if row is None else row.value_format)
    return f"{label_of(measurement.metric)} {number} {measurement.unit}".rstrip()


def result_text(measurement: Measurement) -> str:
    """Return what a frame showed, for example "HFD 2.31 px", or why it showed nothing."""
    return value_text(measurement) if measurement.usable else f"nothing ({measurement.reason})"


def blur_of(measurement: Measurement) -> Blur:
    """Return how the blur enters a measurement; columns of other programs' tables count as widths or as signals."""
    row = METRICS.get(measurement.metric)
    if row is not None:
        return row.blur
    return Blur.WIDTH if measurement.lower_is_better else Blur.RECIPROCAL


def blur_width(measurement: Measurement) -> float:
    """Return a measurement as a width of the blur, so that one sweep serves every metric.

    It is infinite where the frame is not usable or shows no light at all.
    """
    if not measurement.usable or measurement.value <= 0:
        return math.inf
    return float(measurement.value ** blur_of(measurement).power)


def relative_width_error(measurement: Measurement) -> float:
    """Return the standard error of `blur_width`, as a fraction of it."""
    return abs(blur_of(measurement).power) * measurement.stderr / measurement.value
