"""The result of measuring one file, as text, as a table row and as JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alpaca_focus.core.metrics import COLUMNS, MEASUREMENTS, Metric, MetricKind, label_of

AUTO = "auto"
"""Measure a frame as a spectrum if it looks like one, else by its stars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """The result of measuring one file.

    Attributes:
        metric: The metric measured, a name in `core.metrics.MEASUREMENTS`; `AUTO` if it was requested and the file
            could not be read.
        numbers: The numbers that `core.metrics.COLUMNS` lists for the metric; a missing one is unknown.
        usable: Whether the numbers may take part in a fit.
        reason: Why not: a clause, or a whole sentence that names the file when it could not be read; else empty.
        readable: Whether the file contains a frame.
        position: Position of the focuser; `None` if unknown.
        flags: Number of stars or pixels left out, by reason.
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
        """Return a number by name; NaN if it is unknown."""
        return self.numbers.get(name, math.nan)

    def as_dict(self) -> dict[str, object]:
        """Return the report for JSON; `None` stands for unknown values."""
        names = COLUMNS[MetricKind.STARS if self.metric == AUTO else self.metric]
        return {
            "file": str(self.path),
            "metric": str(self.metric),
            **{name: number if math.isfinite(number := self.number(name)) else None for name in names},
            "usable": self.usable,
            "reason": self.reason,
            "position": self.position,
            "flags": dict(self.flags),
        }

    def line(self) -> str:
        """Return the report as one line of text."""
        if not self.readable:
            return self.reason
        if not self.usable:
            return f"{self.path.name}: not usable: {self.reason}"
        return f"{self.path.name}: {' | '.join(_parts(self))}"


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
