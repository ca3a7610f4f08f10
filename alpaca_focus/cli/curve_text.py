"""Formats curves and their fits as text for `fit` and `watch`."""

import math
from pathlib import Path

from alpaca_focus.core.metrics import label_of
from alpaca_focus.core.values import Sample
from alpaca_focus.files.best_focus import COMPROMISE, OF_SPECTRA, BestFocus, FittedCurve
from alpaca_focus.files.chart import v_curve
from alpaca_focus.files.chart_drawing import chart_text
from alpaca_focus.files.pictures import write_picture


def best_line(best: BestFocus) -> str:
    """Return the best focus in one line."""
    return f"Best focus by {label_of(best.by)}: {best.position:.1f} +- {best.position_stderr:.1f} steps"


def curve_line(fitted: FittedCurve) -> str:
    """Return a curve's optimum in one line, or why it has none."""
    curve, result = fitted.curve, fitted.fit
    name = curve.label
    if result is None:
        return f"{name}: {fitted.problem}"
    outliers = [str(index + 1) for index in result.rejected if not math.isnan(result.residuals[index])]
    left_out = f"; left out as outliers: {', '.join(outliers)}" if outliers else ""
    return (
        f"{result.model}: best {result.best_position:.1f} +- {result.best_position_stderr:.1f} steps, "
        f"{name} {number(result.best_value, result.best_value)}{f' {curve.unit}' if curve.unit else ''}, "
        f"R^2 {result.r_squared:.4f}{left_out}"
    )


def offset_line(best: BestFocus) -> str | None:
    """Return the distance between the two optima of a spectrograph in one line; `None` unless there are two."""
    if best.offset is None:
        return None
    offset, error = best.offset
    width, signal = (label_of(curve) for curve in OF_SPECTRA)
    return f"{signal} is best {offset:+.1f} +- {error:.1f} steps from the best {width}."


def optimum_line(fitted: FittedCurve) -> str:
    """Return a curve's best position in one line, or without a fit its best frame so far."""
    curve, fit = fitted.curve, fitted.fit
    name, unit = curve.label, f" {curve.unit}" if curve.unit else ""
    count = len(curve.samples)
    if fit is not None:
        frames = "frame" if count == 1 else "frames"
        return (
            f"{name}: best position {fit.best_position:.1f} +- {fit.best_position_stderr:.1f} steps "
            f"({fit.best_value:.4g}{unit} from {count} {frames}, R^2 {fit.r_squared:.4f})."
        )
    choose = min if curve.samples[0].measurement.lower_is_better else max
    best = choose(range(count), key=lambda index: curve.samples[index].measurement.value)
    sample = curve.samples[best]
    return (
        f"{name}: the best frame so far is {curve.names[best]} at position {sample.position} "
        f"({sample.measurement.value:.4g}{unit}). {fitted.problem}"
    )


def curve_lines(fitted: FittedCurve) -> list[str]:
    """Return the table of points, the text plot and the optimum."""
    curve = fitted.curve
    lines = [f"{'#':>3}  {'position':>8}  {curve.heading:>9}  {'+-':>8}  {'residual':>9}"]
    lines += [_row(index, fitted) for index in range(len(curve.samples))]
    if any(sample.measurement.usable for sample in curve.samples):
        lines += ["", chart_text(v_curve(curve.samples, fitted.fit))]
    return [*lines, curve_line(fitted)]


def _row(index: int, fitted: FittedCurve) -> str:
    sample, result = fitted.curve.samples[index], fitted.fit
    measurement = sample.measurement
    residual = math.nan if result is None else result.residuals[index]
    value = number(measurement.value, measurement.value)
    error = number(measurement.stderr, measurement.value) if measurement.stderr else "-"
    row = (
        f"{index + 1:>3}  {sample.position:>8}  {value:>9}  {error:>8}  "
        f"{number(residual, measurement.value, sign=True):>9}"
    )
    name = fitted.curve.names[index] if fitted.curve.names else ""
    return "  ".join(filter(None, (row, _note(index, sample, fitted), name)))


def _note(index: int, sample: Sample, fitted: FittedCurve) -> str:
    if not sample.measurement.usable:
        return f"not used: {sample.measurement.reason}"
    if fitted.fit is None or index not in fitted.fit.rejected:
        return ""
    return "left out: too far from the best value" if math.isnan(fitted.fit.residuals[index]) else "left out as outlier"


def number(value: float, scale: float, *, sign: bool = False) -> str:
    """Format a metric's value, NaN as `-`: two decimals, or an exponent where `scale` is very small or large."""
    if math.isnan(value):
        return "-"
    form = ".2f" if 0.05 <= abs(scale) < 1e6 else ".2e"
    return format(value, f"+{form}" if sign else form)


def draw(path: Path, best: BestFocus) -> None:
    """Write a picture of the curves with their best focus."""
    compromise_at = best.position if best.by == COMPROMISE else None
    shown = [each for each in best.fitted if any(sample.measurement.usable for sample in each.curve.samples)]
    write_picture(path, shown, title=best_line(best).replace("+-", "\u00b1"), compromise_at=compromise_at)
