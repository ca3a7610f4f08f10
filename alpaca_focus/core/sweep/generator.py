"""The sweep as a generator: answers in, actions out. It never touches a device.

With a V-curve known from earlier runs, and rings enabled and calibrated, one frame of *rings* finds focus. With a known
curve alone, a *pair* of frames, one on each arm, finds it. Otherwise, or if the pair is not certain enough, a full
curve is taken: *locate* finds the distance and the side of focus, *sweep* takes the curve, always arriving from the
same side. *Verify* takes one more frame at the fitted vertex, which must match the curve's prediction. If it does not,
the backlash setting is suspected, and there is one corrective curve. The runner restores the start if the plan raises
`RunFailed`.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from alpaca_focus.core.curves.hyperbola import POWERS, SEEING_SCATTER
from alpaca_focus.core.curves.known_curve import KnownCurve
from alpaca_focus.core.curves.ring_mode import NEAREST_CFZ, agrees, is_calibrated, ring_fit
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.metrics import METRICS, Metric, blur_width, relative_width_error, result_text, value_text
from alpaca_focus.core.sweep.full_curve import expected_shape, full_curve_focus, shape_of, take_curve
from alpaca_focus.core.sweep.pair import PAIR_RISE, PAIR_STDERR_CFZ, agreed, more_frames, pair_focus
from alpaca_focus.core.sweep.plan import NothingLeft, Plan, Settle, SweepProgress, SweepResult, SweepSettings
from alpaca_focus.core.sweep.sampler import Sampler
from alpaca_focus.core.values import Fit, Measurement, Position, Sample

SIGMAS = 3.0
PIXEL_ERROR_PX = 0.3
"""How much stars smaller than two pixels exceed the prediction from the arms of their curve."""
WIDEST_JUDGED = 1 / 0.75
"""Largest width of the verification over the best of the run by the judging metric: it must have three quarters of the
best signal, of which the air alone may take a tenth."""


def matches_prediction(measurement: Measurement, fit: Fit) -> bool:
    """Return whether a frame at the vertex is as good as the curve predicts, within its error and the seeing's."""
    if not measurement.usable:
        return False
    predicted = fit.best_value ** POWERS[fit.model]
    measured = blur_width(measurement)
    error = math.hypot(
        relative_width_error(measurement) * measured,
        SEEING_SCATTER * predicted,
        fit.parameters.get("least_stderr", 0.0),
        PIXEL_ERROR_PX if measurement.unit == "px" else 0.0,
    )
    return bool(measured <= predicted + SIGMAS * error)


def better_earlier_frame(verification: Sample, samples: Sequence[Sample]) -> Sample | None:
    """Return an earlier frame that is clearly better than the verification, if there is one."""
    usable = [each for each in samples if each is not verification and each.measurement.usable]
    if not usable:
        return None
    row = METRICS.get(verification.measurement.metric)
    if row is not None and row.judge:
        judge = METRICS[row.judge]
        judged_best = min(usable, key=lambda each: _judged_width(each.measurement, judge))
        widest = WIDEST_JUDGED * _judged_width(judged_best.measurement, judge)
        if _judged_width(verification.measurement, judge) > widest:
            return judged_best
    best = min(usable, key=lambda each: blur_width(each.measurement))
    least, seen = blur_width(best.measurement), blur_width(verification.measurement)
    error = math.hypot(
        relative_width_error(verification.measurement) * seen,
        relative_width_error(best.measurement) * least,
        math.sqrt(2) * SEEING_SCATTER * least,
    )
    return best if seen > least + SIGMAS * error else None


def _judged_width(measurement: Measurement, judge: Metric) -> float:
    """Return the width of the blur by the judging metric of a measurement; infinite without signal."""
    value = measurement.details.get(judge.column, math.nan)
    return float(value**judge.blur.power) if value > 0 else math.inf


RETRY_PAUSE_S = 20.0
"""Wait before a failed curve is taken again: a gust or a small cloud has passed by then."""
CLOUDED = 0.5
"""Share of the stars' first light below which clouds are noted."""
MOST_PAIR_RUN = 9
"""Frames after which a known curve is given up."""
WORTH_A_MOVE_CFZ = 0.1
"""Change of the best position, as a share of the critical focus zone, that is worth a move and another frame."""


def sweep(settings: SweepSettings, start: Position, progress: SweepProgress) -> Plan[SweepResult]:
    """Find focus from `start` and verify it.

    The direction of the focuser's last movement is not known. `progress` is filled with every sample and the newest
    fit during the sweep.

    Returns:
        The verified focus, where the focuser is left.

    Raises:
        RunFailed: No usable stars, no V, limits or the number of exposures reached, or the verification failed.
    """
    try:
        for attempt in range(1, settings.retries + 1):
            try:
                return (yield from _Attempt(settings, start, progress, generous=attempt > 1).run())
            except NothingLeft:
                raise
            except RunFailed as failure:
                progress.notes.append(f"Attempt {attempt} of {settings.retries + 1} failed: {failure}")
            # The known curve led nowhere: the next attempt begins at the start without it.
            settings = replace(settings, known=None)
            yield from Sampler(settings, start, progress).go_back()
            yield Settle(RETRY_PAUSE_S)
        return (yield from _Attempt(settings, start, progress, generous=settings.retries > 0).run())
    finally:
        least = min((each.measurement.details.get("transmission", 1.0) for each in progress.samples), default=1.0)
        if least < CLOUDED:
            progress.notes.append(f"Clouds: the stars lost up to {100 * (1 - least):.0f} % of their light.")


class _Attempt:
    """One attempt to find and verify focus; a generous one takes up far more backlash than the setting."""

    def __init__(self, settings: SweepSettings, start: Position, progress: SweepProgress, *, generous: bool) -> None:
        self._settings = settings
        self._progress = progress
        self._sampler = Sampler(settings, start, progress)
        self._sampler.forget()
        if generous:
            self._sampler.distrust_backlash()

    def run(self) -> Plan[SweepResult]:
        known = self._settings.known
        if known is not None:
            side = -self._sampler.arrival
            if self._settings.by_rings and is_calibrated(known.ring_offset(side)):
                result = yield from self._by_rings(known, side)
                if result is not None:
                    return result
            result = yield from self._by_pair(known)
            if result is not None:
                return result
        fit = yield from full_curve_focus(self._sampler)
        return (yield from self._verified(fit))

    # With a known curve

    def _by_rings(self, known: KnownCurve, side: int) -> Plan[SweepResult | None]:
        """Focus by one frame of rings on a known side; `None` if that fails."""
        sampler = self._sampler
        zone_steps = sampler.critical_focus_zone_steps
        away = max(known.distance(PAIR_RISE * known.least, side), NEAREST_CFZ * zone_steps)
        target = sampler.targets.clamp(round(known.expected_position + side * away))
        # Focus is ahead in the direction of arrival, most of that distance away at least.
        ahead = round(target - side * 0.3 * away)
        sample = yield from sampler.sample(target, "ring", ahead=ahead)
        fit = ring_fit(sample, side, known)
        if fit is None or fit.best_position_stderr > PAIR_STDERR_CFZ * zone_steps:
            sampler.forget()
            return None
        fit = sampler.accept(fit)
        verification = yield from sampler.sample(self._target(fit), "verify")
        if matches_prediction(verification.measurement, fit) and agrees(fit, sampler.samples, known):
            return self._result(fit, verification)
        sampler.forget()
        return None

    def _by_pair(self, known: KnownCurve) -> Plan[SweepResult | None]:
        """Focus by a pair; `None` if the known curve does not lead to focus."""
        sampler = self._sampler
        fit = yield from pair_focus(sampler, known)
        while fit is not None and len(sampler.samples) < MOST_PAIR_RUN:
            sample = yield from sampler.sample(self._target(fit), "verify")
            if matches_prediction(sample.measurement, fit):
                together = agreed(sampler.samples, known)
                if together is not None and not better_earlier_frame(sample, sampler.samples):
                    away = abs(together.best_position - sample.position)
                    worth_steps = WORTH_A_MOVE_CFZ * sampler.critical_focus_zone_steps
                    if away <= max(worth_steps, 3 * together.best_position_stderr, 1):
                        return self._result(fit, sample)
                    fit = sampler.accept(together)
                    continue
            # A frame was disturbed, or the known curve is wrong: another frame shows which.
            fit = yield from more_frames(sampler, known, fit.best_position)
        sampler.forget()
        return None

    # With a full curve

    def _verified(self, fit: Fit) -> Plan[SweepResult]:
        """Verify a curve's best position, with one corrective curve if it is wrong.

        Raises:
            RunFailed: Both are wrong.
        """
        sample = yield from self._verify(fit)
        if sample is not None:
            return self._result(fit, sample)
        missed = self._sampler.samples[-1]
        if not missed.measurement.usable:
            raise RunFailed(_verification_failed(missed, fit))
        taken_up = self._sampler.backlash.steps
        self._sampler.distrust_backlash()
        # The corrective curve has the same centre, far more overshoot, and only frames of its own.
        self._sampler.forget()
        shape = expected_shape(self._settings) or shape_of(fit)
        corrected = yield from take_curve(self._sampler, fit.best_position, shape)
        sample = yield from self._verify(corrected)
        if sample is None:
            raise RunFailed(_verification_failed(self._sampler.samples[-1], corrected))
        self._note_lost_steps(taken_up, missed, corrected)
        return self._result(corrected, sample, doubtful=True)

    def _verify(self, fit: Fit) -> Plan[Sample | None]:
        """Return a frame at a curve's best position that matches the prediction; bad seeing gets a second chance."""
        for _ in range(2):
            sample = yield from self._sampler.sample(self._target(fit), "verify")
            if matches_prediction(sample.measurement, fit) and not better_earlier_frame(sample, self._sampler.samples):
                return sample
        return None

    def _result(self, fit: Fit, verification: Sample, *, doubtful: bool = False) -> SweepResult:
        self._note_step_size()
        return SweepResult(
            fit=fit,
            position=verification.position,
            samples=tuple(self._progress.samples),
            verification=verification,
            doubtful=doubtful,
            critical_focus_zone_steps=self._sampler.critical_focus_zone_steps,
        )

    def _target(self, fit: Fit) -> Position:
        return self._sampler.targets.clamp(round(fit.best_position))

    def _note_step_size(self) -> None:
        """Note that the step size seems wrong, with the one that the frames have shown."""
        factor, step_um = self._sampler.seen_step_size_factor, self._settings.step_size_um
        advice = "" if step_um is None else f" Set focuser.step_size_um to {factor * step_um:.2g}."
        if not self._settings.step_size_is_known:
            self._progress.notes.append(f"The focuser does not report its step size; the frames show it.{advice}")
        elif self._sampler.step_size_factor != 1.0:
            compared = f"{factor:.2g} times as large as" if factor > 1 else f"{1 / factor:.2g} times smaller than"
            self._progress.notes.append(f"A step of the focuser seems {compared} set or reported.{advice}")

    def _note_lost_steps(self, taken_up: int, missed: Sample, corrected: Fit) -> None:
        """Note the steps that the focuser really loses at a reversal, if that explains the wrong focus."""
        away = shape_of(corrected).distance(blur_width(missed.measurement))
        # Too little overshoot leaves the tube short in the direction of arrival.
        missing = away - (missed.position - corrected.best_position) * self._sampler.arrival
        error = math.hypot(corrected.best_position_stderr, 0.15 * away)
        if missing <= 2 * error:
            return
        self._progress.notes.append(
            f"The focuser seems to lose {taken_up + missing:.0f} +- {error:.0f} steps at a reversal, but "
            f"focuser.backlash.steps is {self._settings.backlash.steps}. Measure it with `alpaca-focus calibrate "
            "backlash`."
        )


def _verification_failed(sample: Sample, fit: Fit) -> str:
    measurement = sample.measurement
    return (
        f"The verification at position {sample.position} failed: the curve predicted "
        f"{value_text(measurement, fit.best_value)}, and the frame there shows {result_text(measurement)}. The "
        "backlash setting may be too small."
    )
