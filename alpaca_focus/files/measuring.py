"""Measuring frames in files: each file gives a report, whatever is in it, and many files keep all cores busy."""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from alpaca_focus.core.errors import FileUnreadable
from alpaca_focus.core.metrics import COLUMNS, MEASUREMENTS, MetricKind
from alpaca_focus.files.file_access import open_regular
from alpaca_focus.files.file_report import AUTO, FileReport
from alpaca_focus.files.fits_file import FileFrame, read_content
from alpaca_focus.files.parallel import Lost, in_parallel, usable_cores
from alpaca_focus.imaging.frame_kind import looks_like_spectrum
from alpaca_focus.imaging.measuring_functions import measure_all
from alpaca_focus.imaging.spectrum import SpectrumSettings

FEW_FILES = 4
"""So many are measured sooner than further processes have started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """How to measure.

    Attributes:
        metric: What to measure: a name in `core.metrics.MEASUREMENTS`, or `AUTO`.
        spectrum: How to measure spectra.
    """

    metric: str = AUTO
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
    measured_as = options.metric
    if measured_as == AUTO:
        measured_as = MetricKind.SPECTRUM if looks_like_spectrum(file.frame.pixels) else MetricKind.STARS
    measurements = measure_all(measured_as, file.frame, options.spectrum)
    first = measurements[0]
    known: dict[str, float] = {**first.details, "stars": first.star_count}
    for metric, measurement in zip(MEASUREMENTS[measured_as], measurements, strict=True):
        known |= {metric.column: measurement.value, metric.error_column: measurement.stderr}
    return FileReport(
        path=file.path,
        metric=measured_as,
        numbers={name: known.get(name, math.nan) for name in COLUMNS[measured_as]},
        usable=first.usable,
        reason=first.reason,
        position=file.position,
        flags=dict(first.flags),
    )


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
