"""What measuring one file gave, for a person, for a table and for a machine."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alpaca_focus.core.metrics import COLUMNS, MEASUREMENTS, Metric, MetricKind, label_of

AUTO = "auto"
"""What to measure: as a spectrum where a frame looks like one, else by its stars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What measuring one file gave.

    Attributes:
        path: The file.
        metric: What it was measured as, a name in `core.metrics.MEASUREMENTS`; `AUTO` when the file could not be read
            and `auto` was asked for.
        numbers: The numbers that `core.metrics.COLUMNS` lists for it; one that is missing is not known.
        usable: Whether the numbers may take part in a fit.
        reason: Why not: a clause, or a whole sentence that names the file when it could not be read; else empty.
        readable: Whether there was a frame in the file.
        position: Where the focuser stood; `None` where nothing tells.
        flags: Count by kind of what was noticed or left out.
    """

    path: Path
    metric: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    usable: bool = True
    reason: str = ""
    readable: bool = True
    position: int | None = None
    flags: Mapping[str, int] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """Return a number by name; NaN when it is not known."""
        return self.numbers.get(name, math.nan)

    def as_dict(self) -> dict[str, object]:
        """Return what a machine is told; `None` for what is not known."""
        names = COLUMNS[MetricKind.STARS if self.metric == AUTO else self.metric]
        return {
            "file": str(self.path),
            "metric": str(self.metric),
            **{name: _known(self.number(name)) for name in names},
            "usable": self.usable,
            "reason": self.reason,
            "position": self.position,
            "flags": dict(self.flags),
        }

    def line(self) -> str:
        """Return what a person is told, on one line."""
        if not self.readable:
            return self.reason
        if not self.usable:
            return f"{self.path.name}: not usable: {self.reason}"
        return f"{self.path.name}: {' | '.join(_parts(self))}"


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _parts(report: FileReport) -> list[str]:
    metrics = MEASUREMENTS[report.metric]
    if metrics[0].kind is MetricKind.SPECTRUM:
        return [_spectrum_part(report, metric) for metric in metrics if math.isfinite(report.number(metric.column))]
    first, *others = metrics
    error = f" +- {report.number(first.error_column):{first.error_format}}"
    parts = [_part(report, first, error)]
    parts += [_part(report, metric) for metric in others if math.isfinite(report.number(metric.column))]
    if first.kind is MetricKind.FRAME:
        return parts
    stars = round(report.number("stars"))
    return [*parts, f"{stars} star{'' if stars == 1 else 's'}"]


def _part(report: FileReport, metric: Metric, error: str = "") -> str:
    value = f"{report.number(metric.column):{metric.value_format}}"
    return f"{metric.label} = {value}{error} {metric.table_unit}".rstrip()


def _spectrum_part(report: FileReport, metric: Metric) -> str:
    """Return a number in the form that users of spectrographs know, an angle behind the pixels where it is known."""
    part = f"{label_of(metric.curve)} = {report.number(metric.column):{metric.value_format}}{metric.table_unit}"
    angle = report.number(f"{metric.curve}_arcsec")
    return f'{part} -> {angle:.2f}"' if math.isfinite(angle) else part
