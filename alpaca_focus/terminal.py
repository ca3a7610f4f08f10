"""What the terminal shows: for a person a line for each frame, the curve and the result; for a machine JSON."""

import math
from collections.abc import Sequence

import numpy as np
import plotille
from pydantic_core import to_json
from rich.console import Console
from rich.text import Text

from alpaca_focus.core.curve_models import curve_value
from alpaca_focus.core.events import CameraHandover, Event, FrameMeasured, RestoreStarted, Resumed, RunEnded, RunStarted
from alpaca_focus.core.values import Fit, FocusResult, Outcome, Sample
from alpaca_focus.core.vcurve import KNOWN
from alpaca_focus.core.whole_curve import shape_of
from alpaca_focus.core.wording import metric_name
from alpaca_focus.files.best_focus import heading

POINTS = 6
"""Points of a whole curve by default, for which a step is proposed."""
PLOT_WIDTH, PLOT_HEIGHT = 52, 14
UNWRAPPED_COLUMNS = 10_000
STYLES = {Outcome.FOCUSED: "bold green", Outcome.RESTORED: "bold yellow", Outcome.STRANDED: "bold red"}


def for_people() -> Console:
    """Return where text for people is printed; a file or another program gets its sentences in one line each."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=UNWRAPPED_COLUMNS)


class RunPrinter:
    """Prints a run while it goes on; give `tell` to whoever emits its events."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._frames = 0

    def tell(self, event: Event) -> None:
        """Print what happened, if a person wants to see it."""
        match event:
            case RunStarted(start_position=position, belongs_at=home):
                self._console.print(f"Focusing from position {position}.")
                if home is not None:
                    self._console.print(
                        f"An earlier run was cut off: if this one fails, the focuser goes to position {home}, where it "
                        "belongs."
                    )
                self._console.print()
            case FrameMeasured(sample=sample):
                if not self._frames:
                    self._console.print(Text(_headings(sample), style="bold"))
                self._frames += 1
                self._console.print(Text(_row(self._frames, sample)))
            case CameraHandover(restore_position=position, left_s=left_s):
                self._console.print(
                    f"The imaging program waits for the camera, {left_s:.0f} s more: going to position {position} "
                    "until the next gap."
                )
            case Resumed(position=position, lasted_s=lasted_s):
                self._console.print(f"Going on at position {position} after {lasted_s:.0f} s.")
            case RestoreStarted(position=position, reason=reason):
                self._console.print(Text(f"\n{reason} Going back to position {position}.", style="yellow"))
            case RunEnded(result=result):
                self._result(result)
            case _:
                pass

    def _result(self, result: FocusResult) -> None:
        if result.fit is not None:
            self._console.print()
            self._console.print(Text(curve_plot(result.samples, result.fit)), no_wrap=True, crop=False)
            self._console.print(Text(_fit_line(result.fit, result.samples)))
        self._console.print()
        self._console.print(Text(result.reason, style=STYLES[result.outcome]))
        exposures = "exposure" if result.exposures == 1 else "exposures"
        self._console.print(f"{result.exposures} {exposures} in {result.duration_s:.0f} s.")


def _headings(sample: Sample) -> str:
    measured = sample.measurement
    name = heading(measured.metric, measured.unit)
    return f"{'#':>3}  {'position':>8}  {name:>7}  {'+-':>5}  {'stars':>5}  {'for':<7}"


def _row(number: int, sample: Sample) -> str:
    measurement = sample.measurement
    if not measurement.usable:
        value, error, note = "-", "-", f"  not used: {measurement.reason}"
    else:
        value, error, note = f"{measurement.value:.2f}", f"{measurement.stderr:.2f}", ""
    return (
        f"{number:>3}  {sample.position:>8}  {value:>7}  {error:>5}  {measurement.star_count:>5}  "
        f"{sample.purpose:<7}{note}"
    )


def _fit_line(fit: Fit, samples: Sequence[Sample]) -> str:
    # Frames very far from focus have no residual: the curve is not meant for them, which is no fault of theirs.
    outliers = [str(index + 1) for index in fit.rejected if not math.isnan(fit.residuals[index])]
    left_out = f"; left out as outliers: {', '.join(outliers)}" if outliers else ""
    r_squared = "" if math.isnan(fit.r_squared) else f", R^2 {fit.r_squared:.4f}"
    step = max(1, round(2 * shape_of(fit).half_width / (POINTS - 1)))
    suits = "" if fit.model == KNOWN else f"\nSteps of {step} suit {POINTS} points of this curve."
    unit = next((each.measurement.unit for each in samples if each.measurement.usable), "")
    metric = next((metric_name(each.measurement.metric) for each in samples), "")
    return (
        f"{fit.model}: best {fit.best_position:.1f} +- {fit.best_position_stderr:.1f} steps, "
        f"{metric} {fit.best_value:.2f} {unit}{r_squared}{left_out}{suits}"
    )


def curve_plot(
    samples: Sequence[Sample], fit: Fit | None, *, width: int = PLOT_WIDTH, height: int = PLOT_HEIGHT
) -> str:
    """Draw a V-curve in characters: the fit as a line, the frames as `o`, those left out as `x`.

    Args:
        samples: Points of one metric, at least one of them usable.
        fit: The curve through them, or `None` when there is none yet.
        width: Characters inside the axes.
        height: Lines inside the axes.
    """
    kept, left_out = _points(samples, fit)
    low, high = _limits([position for position, _ in kept], fit)
    line = np.linspace(low, high, 4 * width)
    curve = [] if fit is None else [curve_value(float(position), fit) for position in line]
    highest = max([*curve[:1], *curve[-1:], *(value for _, value in kept), *([fit.best_value] if fit else [])])
    figure = plotille.Figure()
    figure.width, figure.height = width, height
    figure.with_colors = False
    figure.x_label, figure.y_label = "position", _heading(samples)
    figure.set_x_limits(min_=low, max_=high)
    figure.set_y_limits(min_=0.0, max_=1.05 * highest)
    figure.register_label_formatter(float, _label)
    if curve:
        figure.plot(line.tolist(), curve)
    for points, marker in ((kept, "o"), (left_out, "x")):
        visible = [point for point in points if low <= point[0] <= high and point[1] <= 1.05 * highest]
        if visible:
            figure.scatter([x for x, _ in visible], [y for _, y in visible], marker=marker)
    return str(figure.show())


def _limits(positions: Sequence[int], fit: Fit | None) -> tuple[float, float]:
    """Span the points kept, evenly to both sides of the best position where there is one."""
    if fit is None:
        margin = max(1.0, 0.05 * (max(positions) - min(positions)))
        return min(positions) - margin, max(positions) + margin
    reach = max(1.0, *(abs(position - fit.best_position) for position in positions))
    return fit.best_position - 1.1 * reach, fit.best_position + 1.1 * reach


def _heading(samples: Sequence[Sample]) -> str:
    measurement = next(sample.measurement for sample in samples if sample.measurement.usable)
    return heading(measurement.metric, measurement.unit)


def _points(samples: Sequence[Sample], fit: Fit | None) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Split the usable frames into those the fit kept, later ones included, and those it left out."""
    kept: list[tuple[int, float]] = []
    left_out: list[tuple[int, float]] = []
    for index, sample in enumerate(samples):
        if sample.measurement.usable:
            point = (sample.position, sample.measurement.value)
            (left_out if fit is not None and index in fit.rejected else kept).append(point)
    return kept, left_out


def _label(value: float, chars: int, delta: float, *, left: bool = False) -> str:
    """Format a number at an axis of length `delta`; the names are plotille's."""
    text = f"{value:.0f}" if delta >= 100 else f"{value:.1f}" if delta >= 1 else f"{value:.2g}"
    return text.ljust(chars) if left else text.rjust(chars)


def result_json(result: FocusResult) -> str:
    """Return the whole result as one JSON object on one line; NaN becomes null, times are ISO 8601."""
    return to_json(result, inf_nan_mode="null", fallback=dict).decode()
