"""Measures the frames of files, many files on all cores; a file that cannot be measured gets a report too."""

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
"""Up to this number, one process is faster, because further ones take time to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """How to measure; `metric` is a name in `core.metrics.MEASUREMENTS`, or `AUTO`."""

    metric: str = AUTO
    spectrum: SpectrumSettings = SpectrumSettings()  # noqa: RUF009 - it is frozen


DEFAULT = MeasureOptions()


def measure_file(path: Path, options: MeasureOptions = DEFAULT) -> FileReport:
    """Return the report of one file; the reason, if it cannot be read or measured."""
    try:
        with open_regular(path) as file:
            return measure_content(path, file, options)
    except FileUnreadable as error:
        return _unreadable(path, options, str(error))


def measure_content(path: Path, file: BinaryIO, options: MeasureOptions = DEFAULT) -> FileReport:
    """Return the report of an ordinary file that is open at its start; `path` is its name in the report."""
    try:
        return measure_frame(read_content(path, file), options)
    except FileUnreadable as error:
        return _unreadable(path, options, str(error))


def measure_frame(file: FileFrame, options: MeasureOptions = DEFAULT) -> FileReport:
    """Return the report of a frame."""
    # Pixels of a damaged file can make a fit overflow; its result is judged, so numpy's warnings are not needed.
    with np.errstate(all="ignore"):
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
    """Yield the report of each file as it is finished.

    `workers` is the number of processes; by default one for each core, or this one alone for a few files.
    """
    count = min(usable_cores(), len(paths)) if workers is None else workers
    if count < 2 or (workers is None and len(paths) <= FEW_FILES):
        yield from (measure_file(path, options) for path in paths)
        return
    for path, outcome in in_parallel(partial(measure_file, options=options), paths, workers=count):
        yield lost_report(path, options) if isinstance(outcome, Lost) else outcome


def lost_report(path: Path, options: MeasureOptions) -> FileReport:
    """Return the report of a file over which the measuring process was killed."""
    reason = f"The process that measured {path} was killed, perhaps because memory ran out."
    return _unreadable(path, options, f"{reason} Measure the file alone, or check it with another program.")


def _unreadable(path: Path, options: MeasureOptions, reason: str) -> FileReport:
    return FileReport(path=path, metric=options.metric, usable=False, readable=False, reason=reason)
