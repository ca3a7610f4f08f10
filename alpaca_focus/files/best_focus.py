"""The best focus that one or two curves say: a star's size, or FWHM and NSIG of a spectrum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from alpaca_focus.core.curve_models import CurveModel, fit_curve
from alpaca_focus.core.errors import ConfigurationError, RunFailed
from alpaca_focus.core.values import Fit, Sample
from alpaca_focus.core.vcurve import MIN_POINTS, compromise
from alpaca_focus.core.wording import metric_name


class By(StrEnum):
    """What decides the best focus of a spectrograph."""

    FWHM = "fwhm"
    """The spatial width: the steadier one."""
    NSIG = "nsig"
    """The signal: what comes through the slit, but it feels centring and transparency."""
    COMPROMISE = "compromise"
    """The mean of both optima, each weighted by the inverse of its variance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The points of one metric, which one curve is fitted to.

    Attributes:
        metric: Name of the metric, for example "hfd".
        unit: Unit of its values; empty when it has none.
        samples: The points, in the order in which they were given.
        names: The file of each point; empty when the points came out of one file.
    """

    metric: str
    unit: str
    samples: tuple[Sample, ...]
    names: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """The metric with its unit as an axis or a column shows it, for example "HFD px"."""
        return heading(self.metric, self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedCurve:
    """A curve with its fit, or with one sentence why there is none."""

    curve: Curve
    fit: Fit | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestFocus:
    """The best focus and all that it comes from.

    Attributes:
        position: Best position in steps, not rounded.
        position_stderr: Its standard error in steps.
        by: Name of the metric that decided, or "compromise".
        fitted: The curves; the first is the one that decided, where one did.
    """

    position: float
    position_stderr: float
    by: str
    fitted: tuple[FittedCurve, ...]

    @property
    def offset(self) -> tuple[float, float] | None:
        """From FWHM's optimum to NSIG's, and the standard error of it, in steps; `None` without the two fits."""
        fits = {each.curve.metric: each.fit for each in self.fitted}
        fwhm, nsig = fits.get(By.FWHM), fits.get(By.NSIG)
        if fwhm is None or nsig is None:
            return None
        error = math.hypot(fwhm.best_position_stderr, nsig.best_position_stderr)
        return nsig.best_position - fwhm.best_position, error


def heading(metric: str, unit: str) -> str:
    """Return a metric with its unit as an axis or a column shows it, for example "HFD px"."""
    return f"{metric_name(metric)} {unit}".strip()


def fitted_curve(curve: Curve, model: CurveModel = CurveModel.HYPERBOLA) -> FittedCurve:
    """Fit one curve; never raises, the problem is told instead."""
    try:
        return FittedCurve(curve=curve, fit=fit_curve(curve.samples, model))
    except RunFailed as failure:
        return FittedCurve(curve=curve, fit=None, problem=str(failure))


def find_best_focus(
    curves: Sequence[Curve], by: By | None = None, model: CurveModel = CurveModel.HYPERBOLA
) -> BestFocus:
    """Fit every curve and take the best position from the one asked for.

    Args:
        curves: One curve, or FWHM and NSIG of the same spectra.
        by: Which decides; by default the first curve.
        model: Which curve is fitted.

    Returns:
        The best focus with every curve's fit. A curve that did not decide may have none.

    Raises:
        ConfigurationError: There is no such curve, or it has fewer positions than a fit needs.
        RunFailed: The points of a curve that has to decide form no V.
    """
    wanted = _wanted(curves, by)
    for curve in wanted:
        _check_number(curve)
    decided = [FittedCurve(curve=curve, fit=fit_curve(curve.samples, model)) for curve in wanted]
    fitted = (*decided, *(fitted_curve(curve, model) for curve in curves if curve not in wanted))
    fits = [each.fit for each in decided if each.fit is not None]
    if len(fits) == 1:
        position, error = fits[0].best_position, fits[0].best_position_stderr
        return BestFocus(position=position, position_stderr=error, by=wanted[0].metric, fitted=fitted)
    position, error = compromise(*fits)
    return BestFocus(position=position, position_stderr=error, by=By.COMPROMISE, fitted=fitted)


def _wanted(curves: Sequence[Curve], by: By | None) -> list[Curve]:
    if by is None:
        return [curves[0]]
    named = {curve.metric: curve for curve in curves}
    metrics = [By.FWHM, By.NSIG] if by is By.COMPROMISE else [by]
    for metric in metrics:
        if metric not in named:
            have = " and ".join(curve.heading for curve in curves)
            raise ConfigurationError(f"--by {by} needs {metric.upper()}, and these points have {have} only.")
    return [named[metric] for metric in metrics]


def _check_number(curve: Curve) -> None:
    positions = {sample.position for sample in curve.samples if sample.measurement.usable}
    if len(positions) < MIN_POINTS:
        raise ConfigurationError(
            f"A V-curve needs at least {MIN_POINTS} positions with a usable {curve.heading.split()[0]}, and there "
            f"{'is' if len(positions) == 1 else 'are'} {len(positions) or 'none'}: give more frames or points."
        )
