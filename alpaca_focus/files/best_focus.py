"""The best focus of one or two curves: a star's size, or FWHM and NSIG of a spectrum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from alpaca_focus.core.curves.curve_models import CurveModel, fit_curve
from alpaca_focus.core.curves.hyperbola import MIN_POINTS, compromise
from alpaca_focus.core.errors import ConfigurationError, RunFailed
from alpaca_focus.core.metrics import MetricKind, fitted_curves, heading, label_of
from alpaca_focus.core.values import Fit, Sample

OF_SPECTRA = fitted_curves(MetricKind.SPECTRUM)
"""The two curves of a spectrograph: the width, which scatters less, and the signal through the slit, which is to be
maximised but depends on centring and transparency too."""
COMPROMISE = "compromise"
"""The mean of both optima, each weighted by the inverse of its variance."""
DECIDERS = (*OF_SPECTRA, COMPROMISE)
"""The curves that can decide the best focus of a spectrograph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The points of one metric, to which one curve is fitted.

    Attributes:
        unit: Empty when the metric has none.
        names: The file of each point; empty when the points came out of one file.
    """

    metric: str
    unit: str
    samples: tuple[Sample, ...]
    names: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The metric as it is written for people, for example "HFD"."""
        return label_of(self.metric)

    @property
    def heading(self) -> str:
        """The metric with its unit as an axis or a column shows it, for example "HFD px"."""
        return heading(self.metric, self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedCurve:
    """A curve with its fit, or with a sentence that explains why there is none."""

    curve: Curve
    fit: Fit | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestFocus:
    """The best focus with the fits behind it.

    Attributes:
        position: Best position in steps, not rounded.
        position_stderr: Its standard error in steps.
        by: Name of the metric that decided, or "compromise".
        fitted: The curves; the first one decided, unless it is a compromise.
    """

    position: float
    position_stderr: float
    by: str
    fitted: tuple[FittedCurve, ...]

    @property
    def offset(self) -> tuple[float, float] | None:
        """Distance in steps from the best FWHM to the best NSIG of a spectrum and its standard error; else `None`."""
        fits = {each.curve.metric: each.fit for each in self.fitted}
        width, signal = (fits.get(curve) for curve in OF_SPECTRA)
        if width is None or signal is None:
            return None
        error = math.hypot(width.best_position_stderr, signal.best_position_stderr)
        return signal.best_position - width.best_position, error


def fitted_curve(curve: Curve, model: CurveModel = CurveModel.HYPERBOLA) -> FittedCurve:
    """Fit one curve; a failure is returned as `problem`."""
    try:
        return FittedCurve(curve=curve, fit=fit_curve(curve.samples, model))
    except RunFailed as failure:
        return FittedCurve(curve=curve, fit=None, problem=str(failure))


def find_best_focus(
    curves: Sequence[Curve], by: str | None = None, model: CurveModel = CurveModel.HYPERBOLA
) -> BestFocus:
    """Fit every curve and take the best position from the requested one.

    Args:
        curves: One curve, or FWHM and NSIG of the same spectra; one that does not decide may have no fit.
        by: The curve that decides, one of `DECIDERS`; by default the first curve.
        model: The model to fit.

    Raises:
        ConfigurationError: There is no such curve, or it has fewer positions than a fit needs.
        RunFailed: The points of a curve that has to decide form no V.
    """
    wanted = _wanted(curves, by)
    decided = [FittedCurve(curve=curve, fit=fit_curve(curve.samples, model)) for curve in wanted]
    fitted = (*decided, *(fitted_curve(curve, model) for curve in curves if curve not in wanted))
    first, *others = [each.fit for each in decided if each.fit is not None]
    by, position, error = wanted[0].metric, first.best_position, first.best_position_stderr
    if others:
        by, (position, error) = COMPROMISE, compromise(first, *others)
    return BestFocus(position=position, position_stderr=error, by=by, fitted=fitted)


def _wanted(curves: Sequence[Curve], by: str | None) -> list[Curve]:
    """Return the curves that decide, each with enough positions for a fit."""
    named = {curve.metric: curve for curve in curves}
    metrics = OF_SPECTRA if by == COMPROMISE else (curves[0].metric if by is None else by,)
    for metric in metrics:
        if metric not in named:
            have = " and ".join(curve.heading for curve in curves)
            raise ConfigurationError(f"--by {by} needs {label_of(metric)}, and these points have {have} only.")
    wanted = [named[metric] for metric in metrics]
    for curve in wanted:
        count = len({sample.position for sample in curve.samples if sample.measurement.usable})
        if count < MIN_POINTS:
            raise ConfigurationError(
                f"A V-curve needs at least {MIN_POINTS} positions with a usable {curve.label}, and there "
                f"{'is' if count == 1 else 'are'} {count or 'none'}: give more frames or points."
            )
    return wanted
