"""Prints a focus run: as text with a line per frame, the curve and the result, or as JSON."""

import math
from collections.abc import Sequence

from pydantic_core import to_json
from rich.console import Console
from rich.text import Text

from alpaca_focus.core.curves.hyperbola import KNOWN
from alpaca_focus.core.events import CameraHandover, Event, FrameMeasured, RestoreStarted, Resumed, RunEnded, RunStarted
from alpaca_focus.core.metrics import heading, label_of
from alpaca_focus.core.sweep.full_curve import shape_of
from alpaca_focus.core.values import Fit, FocusResult, Outcome, Sample
from alpaca_focus.files.chart import v_curve
from alpaca_focus.files.chart_drawing import chart_text

POINTS = 6
"""Points of a full curve by default, for which a step size is proposed."""
UNWRAPPED_COLUMNS = 10_000
STYLES = {Outcome.FOCUSED: "bold green", Outcome.RESTORED: "bold yellow", Outcome.STRANDED: "bold red"}


def text_console() -> Console:
    """Return a console for text; output to a file or a pipe is not wrapped."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=UNWRAPPED_COLUMNS)


class RunPrinter:
    """Prints the events of a run as they are emitted."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._frames = 0

    def show(self, event: Event) -> None:
        """Print an event that a reader needs."""
        match event:
            case RunStarted(start_position=position, belongs_at=home):
                self._console.print(f"Focusing from position {position}.")
                if home is not None:
                    self._console.print(
                        f"An earlier run was cut off. If this one fails, the focuser goes to its position, {home}."
                    )
                self._console.print()
            case FrameMeasured(sample=sample):
                if not self._frames:
                    self._console.print(Text(_headings(sample), style="bold"))
                self._frames += 1
                self._console.print(Text(_row(self._frames, sample)))
            case CameraHandover(restore_position=position, left_s=left_s):
                self._console.print(
                    f"The imaging program waits {left_s:.0f} s more for the camera. Moving to position {position} "
                    "until the next gap."
                )
            case Resumed(position=position, lasted_s=lasted_s):
                self._console.print(f"Resuming at position {position} after {lasted_s:.0f} s.")
            case RestoreStarted(position=position, reason=reason):
                self._console.print(Text(f"\n{reason} Going back to position {position}.", style="yellow"))
            case RunEnded(result=result):
                self._result(result)

    def _result(self, result: FocusResult) -> None:
        if result.fit is not None:
            self._console.print()
            self._console.print(Text(chart_text(v_curve(result.samples, result.fit))), no_wrap=True, crop=False)
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
    # Frames far from focus have no residual: the model does not hold there, so they are no outliers.
    outliers = [str(index + 1) for index in fit.rejected if not math.isnan(fit.residuals[index])]
    left_out = f"; left out as outliers: {', '.join(outliers)}" if outliers else ""
    r_squared = "" if math.isnan(fit.r_squared) else f", R^2 {fit.r_squared:.4f}"
    step = max(1, round(2 * shape_of(fit).half_width / (POINTS - 1)))
    advice = "" if fit.model == KNOWN else f"\nFor {POINTS} points, a step size of {step} fits this curve."
    unit = next((each.measurement.unit for each in samples if each.measurement.usable), "")
    metric = next((label_of(each.measurement.metric) for each in samples), "")
    return (
        f"{fit.model}: best {fit.best_position:.1f} +- {fit.best_position_stderr:.1f} steps, "
        f"{metric} {fit.best_value:.2f} {unit}{r_squared}{left_out}{advice}"
    )


def result_json(result: FocusResult) -> str:
    """Return the result as one JSON object on one line: NaN as null, times in ISO 8601."""
    return to_json(result, inf_nan_mode="null", fallback=dict).decode()
