"""Measuring frames in files: each file gives a report, whatever is in it, and many files keep all cores busy."""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from alpaca_focus.core.errors import FileUnreadable
from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.files.file_access import open_regular
from alpaca_focus.files.file_report import FileReport, Kind
from alpaca_focus.files.fits_file import FileFrame, read_content
from alpaca_focus.files.parallel import Lost, in_parallel, usable_cores
from alpaca_focus.imaging.frame_kind import looks_like_spectrum
from alpaca_focus.imaging.invpower import inverse_power
from alpaca_focus.imaging.spectrum import SpectrumReport, SpectrumSettings, measure_spectrum
from alpaca_focus.imaging.stars import measure_stars

FEW_FILES = 4
"""So many are measured sooner than further processes have started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """How to measure.

    Attributes:
        metric: What to measure.
        spectrum: How to measure spectra.
    """

    metric: Kind = Kind.AUTO
    spectrum: SpectrumSettings = SpectrumSettings()  # noqa: RUF009 - it is frozen


DEFAULT = MeasureOptions()


def measure_file(path: Path, options: MeasureOptions = DEFAULT) -> FileReport:
    """Measure one file. A file that cannot be read or measured gives a report that says why."""
    try:
        with open_regular(path) as file:
            return measure_content(path, file, options)
    except FileUnreadable as error:
        return _unreadable(path, options, str(error))


def measure_content(path: Path, file: BinaryIO, options: MeasureOptions = DEFAULT) -> FileReport:
    """Measure a file that is open, as `measure_file` does.

    Args:
        path: What the file is called.
        file: An ordinary file, at its start.
        options: How to measure it.
    """
    try:
        frame = read_content(path, file)
    except FileUnreadable as error:
        return _unreadable(path, options, str(error))
    return measure_frame(frame, options)


def measure_frame(file: FileFrame, options: MeasureOptions = DEFAULT) -> FileReport:
    """Measure the frame of a file."""
    # Pixels out of a damaged file can lead a fit far astray; what comes of it is judged by its result.
    with np.errstate(all="ignore"):
        return _measured(file, options)


def _measured(file: FileFrame, options: MeasureOptions) -> FileReport:
    match kind_of(file.frame, options):
        case Kind.SPECTRUM:
            return spectrum_report(file, measure_spectrum(file.frame, options.spectrum))
        case Kind.INVPOWER:
            return _invpower_report(file, inverse_power(file.frame))
        case _:
            frame = file.frame
            measurement = measure_stars(
                frame.pixels,
                saturation_adu=frame.saturation_adu,
                bayer=frame.bayer,
                electrons_per_adu=frame.electrons_per_adu,
            )
            return _stars_report(file, measurement)


def kind_of(frame: Frame, options: MeasureOptions) -> Kind:
    """Return what to measure a frame as: what was asked for, or what it looks like."""
    if options.metric is not Kind.AUTO:
        return options.metric
    return Kind.SPECTRUM if looks_like_spectrum(frame.pixels) else Kind.STARS


def measure_files(
    paths: Sequence[Path], options: MeasureOptions = DEFAULT, workers: int | None = None
) -> Generator[FileReport, None, None]:
    """Measure files, each reported as it is finished, on as many cores as there are.

    Args:
        paths: The files.
        options: How to measure them.
        workers: Processes to use; by default one a core, and none but this one for a few files.
    """
    count = min(usable_cores(), len(paths)) if workers is None else workers
    if count < 2 or (workers is None and len(paths) <= FEW_FILES):
        for path in paths:
            yield measure_file(path, options)
        return
    for path, outcome in in_parallel(partial(measure_file, options=options), paths, workers=count):
        yield lost_report(path, options) if isinstance(outcome, Lost) else outcome


def lost_report(path: Path, options: MeasureOptions) -> FileReport:
    """Return the report of a file over which the measuring process was killed."""
    return _unreadable(
        path,
        options,
        f"The process that measured {path} was killed, perhaps because memory ran out: the file was left out; measure "
        "it alone, or look at it with another program.",
    )


def _unreadable(path: Path, options: MeasureOptions, reason: str) -> FileReport:
    return FileReport(path=path, metric=options.metric, usable=False, readable=False, reason=reason)


def _stars_report(file: FileFrame, measurement: Measurement) -> FileReport:
    names = ("fwhm_px", "fwhm_stderr_px", "eccentricity", "sky_adu", "median_snr")
    return FileReport(
        path=file.path,
        metric=Kind.STARS,
        numbers={
            "hfd_px": measurement.value,
            "hfd_stderr_px": measurement.stderr,
            "stars": measurement.star_count,
            **{name: measurement.details.get(name, math.nan) for name in names},
        },
        usable=measurement.usable,
        reason=measurement.reason,
        position=file.position,
        flags=dict(measurement.flags),
    )


def _invpower_report(file: FileFrame, measurement: Measurement) -> FileReport:
    return FileReport(
        path=file.path,
        metric=Kind.INVPOWER,
        numbers={"invpower": measurement.value, "invpower_stderr": measurement.stderr},
        usable=measurement.usable,
        reason=measurement.reason,
        position=file.position,
        flags=dict(measurement.flags),
    )


def spectrum_report(file: FileFrame, spectrum: SpectrumReport) -> FileReport:
    """Return the report of a file whose spectrum has been measured."""
    names = ("fwhm_px", "fwhm_stderr_px", "fwhm_arcsec", "nsig", "nsig_stderr", "trace_row", "snr")
    values = {name: getattr(spectrum, name) for name in names}
    return FileReport(
        path=file.path,
        metric=Kind.SPECTRUM,
        numbers={name: math.nan if value is None else value for name, value in values.items()},
        usable=spectrum.usable,
        reason=spectrum.reason,
        position=file.position,
        flags=dict(spectrum.flags),
    )
