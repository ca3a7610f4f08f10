"""What measuring one file gave, for a person, for a table and for a machine."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType


class Kind(StrEnum):
    """How a frame is measured."""

    STARS = "stars"
    SPECTRUM = "spectrum"
    INVPOWER = "invpower"
    AUTO = "auto"
    """As a spectrum where a frame looks like one, else by its stars."""


NUMBERS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.STARS: (
            "hfd_px",
            "hfd_stderr_px",
            "fwhm_px",
            "fwhm_stderr_px",
            "stars",
            "eccentricity",
            "sky_adu",
            "median_snr",
        ),
        Kind.SPECTRUM: ("fwhm_px", "fwhm_stderr_px", "fwhm_arcsec", "nsig", "nsig_stderr", "trace_row", "snr"),
        Kind.INVPOWER: ("invpower", "invpower_stderr"),
    }
)
"""The numbers of each kind of measurement, in the order in which they are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What measuring one file gave.

    Attributes:
        path: The file.
        metric: What was measured; `AUTO` when the file could not be read and nobody said what to measure.
        numbers: The numbers that `NUMBERS` lists for the metric; one that is missing is not known.
        usable: Whether the numbers may take part in a fit.
        reason: Why not: a clause, or a whole sentence that names the file when it could not be read; else empty.
        readable: Whether there was a frame in the file.
        position: Where the focuser stood; `None` where nothing tells.
        flags: Count by kind of what was noticed or left out.
    """

    path: Path
    metric: Kind
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
        names = NUMBERS[Kind.STARS if self.metric is Kind.AUTO else self.metric]
        return {
            "file": str(self.path),
            "metric": self.metric.value,
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
    match report.metric:
        case Kind.SPECTRUM:
            return _spectrum_parts(report)
        case Kind.INVPOWER:
            return [f"InvPower = {report.number('invpower'):.6g} +- {report.number('invpower_stderr'):.2g}"]
        case _:
            return _star_parts(report)


def _star_parts(report: FileReport) -> list[str]:
    parts = [f"HFD = {report.number('hfd_px'):.2f} +- {report.number('hfd_stderr_px'):.2f} px"]
    if math.isfinite(report.number("fwhm_px")):
        parts.append(f"FWHM = {report.number('fwhm_px'):.2f} px")
    stars = round(report.number("stars"))
    return [*parts, f"{stars} star{'' if stars == 1 else 's'}"]


def _spectrum_parts(report: FileReport) -> list[str]:
    width = f"FWHM = {report.number('fwhm_px'):.2f}px"
    if math.isfinite(report.number("fwhm_arcsec")):
        width += f' -> {report.number("fwhm_arcsec"):.2f}"'
    nsig = report.number("nsig")
    return [width, f"NSIG = {nsig:.2f}"] if math.isfinite(nsig) else [width]
