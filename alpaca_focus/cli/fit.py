"""`alpaca-focus fit`: fits V-curves from frames, a table or an autofocus report of N.I.N.A."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import to_json

from alpaca_focus.cli.common import JsonOption
from alpaca_focus.cli.curve_text import best_line, curve_lines, draw, offset_line
from alpaca_focus.cli.measure import WILD, AxisOption, Decider, EndOption, FirstOption, MetricOption, find_files
from alpaca_focus.core.curves.curve_models import CurveModel
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.files.best_focus import COMPROMISE, OF_SPECTRA, BestFocus, Curve, FittedCurve, find_best_focus
from alpaca_focus.files.curve_tables import curves_of_rows, read_csv
from alpaca_focus.files.file_report import AUTO
from alpaca_focus.files.folder_watch import SUFFIXES, is_frame_name
from alpaca_focus.files.measuring import MeasureOptions, measure_files
from alpaca_focus.files.nina import ERRORS_NOTE, read_nina_report
from alpaca_focus.files.pictures import check_picture_path
from alpaca_focus.imaging.spectrum import SpectrumSettings, TraceAxis

TABLES, REPORTS = (".csv", ".tsv", ".txt"), (".json",)


def fit(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="FITS frames, folders of them, or patterns; or one CSV table; or one autofocus report of N.I.N.A.",
        ),
    ],
    *,
    metric: MetricOption = AUTO,
    by: Annotated[
        Decider | None,
        typer.Option(
            help="What decides for spectra: fwhm (the default), nsig, or compromise, the mean of both optima, each "
            "weighted by the inverse of its variance.",
        ),
    ] = None,
    model: Annotated[
        CurveModel,
        typer.Option(
            help="Curve model: hyperbola (the default), unequal hyperbola (each arm its own slope), parabola (near "
            "focus), trend lines (of the two arms), or mean (of hyperbola and trend lines)."
        ),
    ] = CurveModel.HYPERBOLA,
    json: JsonOption = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Draw the curve as a picture (.png, .svg, .pdf).")
    ] = None,
    x0: FirstOption = None,
    x1: EndOption = None,
    axis: AxisOption = TraceAxis.AUTO,
) -> None:
    """Fit a V-curve and print the best focus.

    Exit code 0 if there is a best focus, 1 if the points form no V, 2 if there are too few.
    """
    if plot is not None:
        check_picture_path(plot)
    options = MeasureOptions(metric=metric, spectrum=SpectrumSettings(x0=x0, x1=x1, axis=axis))
    curves, note = _read(files, options)
    best = find_best_focus(curves, by, model)
    if plot is not None:
        draw(plot, best)
    typer.echo(_as_json(best, note) if json else "\n".join(_text(best, note)))


def _read(files: Sequence[str], options: MeasureOptions) -> tuple[Sequence[Curve], str]:
    """Return the curves in the files, and a note about their standard errors."""
    first = Path(files[0])
    if len(files) == 1 and first.suffix.lower() in TABLES:
        return read_csv(first), ""
    if len(files) == 1 and first.suffix.lower() in REPORTS:
        return (read_nina_report(first),), ERRORS_NOTE
    for name in files:
        _check_frame(Path(name))
    return _measured(find_files(files), options), ""


def _check_frame(path: Path) -> None:
    if path.is_dir() or not WILD.isdisjoint(str(path)):
        return
    if not is_frame_name(path.name):
        raise ConfigurationError(
            f"{path} is no FITS file by its name ({', '.join(SUFFIXES)}). A table ({', '.join(TABLES)}) or a report "
            "(.json) is fitted alone."
        )
    if not path.exists():
        raise ConfigurationError(f"There is no file {path}.")


def _measured(frames: Sequence[Path], options: MeasureOptions) -> Sequence[Curve]:
    reports = list(measure_files(frames, options))
    for report in reports:
        if not report.readable:
            typer.echo(f"alpaca-focus: {report.line()}", err=True)
    with_position = [report for report in reports if report.position is not None]
    if not with_position:
        raise ConfigurationError(
            "No frame has a focuser position. It needs FOCUSPOS or FOCPOS in its header, or a number in its name."
        )
    with_position.sort(key=lambda report: (report.position or 0, report.path.name))
    rows = [{**report.as_dict(), "file": report.path.name} for report in with_position]
    return curves_of_rows(rows, source="The frames")


def _text(best: BestFocus, note: str) -> list[str]:
    lines = [line for each in best.fitted for line in (*curve_lines(each), "")]
    if (offset := offset_line(best)) is not None:
        lines += [offset, best_line(best) + "."]
    if note:
        lines.append(note)
    return lines if lines[-1] else lines[:-1]


def _as_json(best: BestFocus, note: str) -> str:
    """Return one JSON object on one line; NaN becomes null."""
    deciding = best.fitted[:2] if best.by == COMPROMISE else best.fitted[:1]
    fits = [each.fit for each in deciding if each.fit is not None]
    single = len(fits) == 1
    report: dict[str, Any] = {
        "best_position": best.position,
        "best_position_stderr": best.position_stderr,
        "best_value": fits[0].best_value if single else None,
        "metric": best.by,
        "unit": deciding[0].curve.unit if single else None,
        "model": fits[0].model if single else best.by,
        "r_squared": min(each.r_squared for each in fits),
        "rejected": sorted({index for each in fits for index in each.rejected}),
        "residuals": fits[0].residuals if single else None,
        "point_count": len(deciding[0].curve.samples),
        "curves": {each.curve.metric: _curve_dict(each) for each in best.fitted},
    }
    if best.offset is not None:
        signal = OF_SPECTRA[1]
        report[f"{signal}_offset_steps"], report[f"{signal}_offset_stderr_steps"] = best.offset
    if note:
        report["note"] = note
    return to_json(report, inf_nan_mode="null").decode()


def _curve_dict(fitted: FittedCurve) -> dict[str, Any]:
    curve, result = fitted.curve, fitted.fit
    residuals = (None,) * len(curve.samples) if result is None else result.residuals
    names = curve.names or (None,) * len(curve.samples)
    return {
        "unit": curve.unit,
        "best_position": result and result.best_position,
        "best_position_stderr": result and result.best_position_stderr,
        "best_value": result and result.best_value,
        "model": result and result.model,
        "r_squared": result and result.r_squared,
        "rejected": result and result.rejected,
        "problem": fitted.problem or None,
        "points": [
            {
                "file": name,
                "position": sample.position,
                "value": sample.measurement.value,
                "stderr": sample.measurement.stderr,
                "residual": residual,
                "usable": sample.measurement.usable,
                "reason": sample.measurement.reason or None,
            }
            for name, sample, residual in zip(names, curve.samples, residuals, strict=True)
        ],
    }
