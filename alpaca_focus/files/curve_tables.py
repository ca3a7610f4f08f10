"""Reads V-curves from tables: those that `alpaca-focus measure` writes, and plain tables of positions and values."""

import csv
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.metrics import CURVES, MEASUREMENTS, STAR_SIZE, fitted_curves
from alpaca_focus.core.values import Measurement, Sample
from alpaca_focus.files.best_focus import OF_SPECTRA, Curve
from alpaca_focus.files.file_access import read_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a curve.

    Attributes:
        value: The metric; NaN if it is missing.
        stderr: Standard error of the value; 0 or NaN if unknown.
        reason: Why the value may not be used; empty if it may.
        name: File of the point, if each point has its own.
    """

    position: int
    value: float
    stderr: float = 0.0
    reason: str = ""
    name: str = ""


def make_curve(metric: str, unit: str, points: Sequence[Point]) -> Curve:
    """Return the curve of some points.

    A point without an error among others with one gets their median: a missing error does not mean a perfect point.
    Where no point has one, the errors are 0 and the fit goes by the scatter alone.
    """
    known = [point.stderr for point in points if not point.reason and 0 < point.stderr < math.inf]
    usual = statistics.median(known) if known else 0.0
    samples = tuple(_sample(metric, unit, point, usual) for point in points)
    names = tuple(point.name for point in points)
    return Curve(metric=metric, unit=unit, samples=samples, names=names if any(names) else ())


def _sample(metric: str, unit: str, point: Point, usual_error: float) -> Sample:
    reason = point.reason or ("" if math.isfinite(point.value) else "no value")
    stderr = point.stderr if 0 < point.stderr < math.inf else usual_error
    measurement = Measurement(
        metric=metric,
        value=math.nan if reason else point.value,
        stderr=math.nan if reason else stderr,
        unit=unit,
        lower_is_better=metric not in CURVES or CURVES[metric].lower_is_better,
        usable=not reason,
        reason=reason,
    )
    return Sample(position=point.position, measurement=measurement, purpose="sweep")


LATEST_FRAMES = 40
"""Earlier frames are left out: after many frames, temperature and focus have changed."""

Row = Mapping[str, object]
"""One row: values by column, as text or as `FileReport.as_dict` returns them."""

LINE = "line of the file"
"""Key of a row's line number; no column has this name."""
POSITIONS = ("position", "focuser_position", "focuspos", "focpos", "pos", "steps")
ANY_ERROR = ("error", "stderr", "err", "sigma", "uncertainty")


def read_csv(path: Path) -> tuple[Curve, ...]:
    """Return the curves of a table: a header line, a column of positions, one of values, and optionally one of errors.

    Columns are separated by comma, semicolon or tab; with the latter two, decimal commas are accepted. Lines that start
    with `#` are comments. `alpaca-focus measure --csv` writes such a table.

    Returns:
        FWHM and NSIG for spectra, else one curve.

    Raises:
        ConfigurationError: It cannot be read, lacks a column, or has a cell that is no number.
    """
    numbered = enumerate(read_text(path).splitlines(), start=1)
    lines = [(number, line) for number, line in numbered if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) < 2:
        raise ConfigurationError(f"{path} holds no table: a header line and at least one row are needed.")
    header = lines[0][1]
    delimiter = max(",;\t", key=header.count)
    names = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter))]
    rows: list[Row] = []
    for number, line in lines[1:]:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
        if len(cells) != len(names):
            raise ConfigurationError(
                f"{path}, line {number}: it has {len(cells)} columns, and the header line has {len(names)}."
            )
        if delimiter != ",":
            cells = [cell.replace(",", ".") for cell in cells]
        rows.append({LINE: number, **dict(zip(names, cells, strict=True))})
    return curves_of_rows(rows, source=str(path))


def curves_of_rows(rows: Sequence[Row], *, source: str) -> tuple[Curve, ...]:
    """Return the curves of at least one row, from a table or from `FileReport.as_dict`.

    Rows without a position are left out. `source` is the name of the table in messages.

    Raises:
        ConfigurationError: Positions or values are missing, a cell is no number, or the frames are of two kinds.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row if name != LINE))
    position = _first_in(columns, POSITIONS)
    if not position:
        raise ConfigurationError(f"{source} has no column position; it has {', '.join(columns)}.")
    positioned = [row for row in rows if not _empty(row.get(position))]
    if not positioned:
        raise ConfigurationError(f"{source}: no row has a focuser position.")
    return tuple(
        make_curve(metric, unit, [_point(row, position, value, errors, source) for row in positioned])
        for metric, unit, value, errors in _values(positioned, columns, position, source)
    )


def _values(
    rows: Sequence[Row], columns: Sequence[str], position: str, source: str
) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Return the curves to fit: metric, unit, column, and the columns that may hold its error."""
    known = _curves_measured(rows, source)
    if known is None:
        present = [curve for curve, metric in CURVES.items() if _first_in(columns, (metric.column, curve))]
        is_spectrum = set(OF_SPECTRA) <= set(present) and STAR_SIZE not in present
        known = OF_SPECTRA if is_spectrum else tuple(present[:1])
    if known:
        any_error = ANY_ERROR if len(known) == 1 else ()
        return [
            (curve, metric.table_unit, name, (metric.error_column, f"{curve}_stderr", *any_error))
            for curve, metric in ((curve, CURVES[curve]) for curve in known)
            if (name := _first_in(columns, (metric.column, curve)))
        ]
    others = [name for name in columns if name not in {position, "usable", "reason", "file", *ANY_ERROR}]
    if len(others) != 1:
        raise ConfigurationError(
            f"{source} has no column called {', '.join(CURVES)}, and it is not clear which other one to fit: "
            f"it has {', '.join(columns)}."
        )
    return [(others[0], "", others[0], (f"{others[0]}_stderr", f"{others[0]}_error", *ANY_ERROR))]


def _first_in(columns: Sequence[str], names: Iterable[str]) -> str:
    """Return the first of some names that is a column; empty if none is."""
    return next((name for name in names if name in columns), "")


def _curves_measured(rows: Sequence[Row], source: str) -> tuple[str, ...] | None:
    """Return the curves of the metric named in the column `metric`; `None` if none is named."""
    kinds = {str(row["metric"]) for row in rows if not _empty(row.get("metric"))} & MEASUREMENTS.keys()
    measured = {fitted_curves(kind) for kind in kinds}
    if len(measured) > 1:
        raise ConfigurationError(
            f"{source}: these frames were measured in different ways ({', '.join(sorted(kinds))}). One curve needs one "
            "metric: select it with --metric."
        )
    return next(iter(measured), None)


def _point(row: Row, position: str, value: str, errors: tuple[str, ...], source: str) -> Point:
    at = _number(row, position, source)
    if not math.isfinite(at):
        raise ConfigurationError(f"{_row_name(row, source)}: the position {row[position]!r} is not finite.")
    usable = str(row.get("usable", "true")).lower() not in {"false", "0", "no"}
    reason = str(row.get("reason") or "") or "marked as not usable"
    return Point(
        position=round(at),
        value=_number(row, value, source),
        stderr=next((_number(row, name, source) for name in errors if name in row), 0.0),
        reason="" if usable else reason,
        name=str(row.get("file") or ""),
    )


def _number(row: Row, name: str, source: str) -> float:
    """Return a number; NaN for an empty cell."""
    cell = row.get(name)
    try:
        return math.nan if _empty(cell) else float(str(cell))
    except ValueError as error:
        raise ConfigurationError(f"{_row_name(row, source)}: {cell!r} in column {name} is not a number.") from error


def _row_name(row: Row, source: str) -> str:
    return f"{source}, line {row[LINE]}" if LINE in row else source


def _empty(cell: object) -> bool:
    return cell is None or cell == ""


class CollectedFrames:
    """The measured frames by name; a frame that is written again replaces its earlier measurement."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    def add(self, name: str, row: Row) -> None:
        """Add a frame's row, as `FileReport.as_dict` returns it; leave it out without a position."""
        self._rows.pop(name, None)
        if row.get("position") is not None:
            self._rows[name] = {**row, "file": name}

    def curves(self) -> tuple[Curve, ...]:
        """Return the curves with a usable value of the latest frames with the metric of the last one."""
        usable = [row for row in self._rows.values() if row.get("usable")]
        if not usable:
            return ()
        latest = [row for row in usable if row.get("metric") == usable[-1].get("metric")][-LATEST_FRAMES:]
        curves = curves_of_rows(latest, source="The frames")
        return tuple(curve for curve in curves if any(sample.measurement.usable for sample in curve.samples))
