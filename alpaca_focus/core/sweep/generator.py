"""The sweep as a generator: answers in, actions out. It never touches a device.

Where the V-curve is known from earlier runs, and rings are calibrated and wanted, one frame of *rings* tells where
focus is. Where only the curve is known, a *pair* of frames, one on each arm, tells where focus is, and a last
one verifies it. Otherwise, or when the pair does not tell it well enough, a whole curve is taken: *locate* finds out
how far away focus is and on which side, *sweep* takes the curve, always arriving from the same side. *Verify* goes to
the fitted vertex and takes one more frame, which must show what the curve promised. If it does not, the slack of the
focuser is suspected, and there is one corrective curve. Whoever runs the plan goes back to the start when it raises
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
from alpaca_focus.core.sweep.full_curve import expected_shape, shape_of, take_curve, whole_curve_focus
from alpaca_focus.core.sweep.pair import PAIR_RISE, PAIR_STDERR_CFZ, agreed, more_frames, pair_focus
from alpaca_focus.core.sweep.plan import NothingLeft, Plan, Settle, SweepProgress, SweepResult, SweepSettings
from alpaca_focus.core.sweep.sampler import Sampler
from alpaca_focus.core.values import Fit, Measurement, Position, Sample

SIGMAS = 3.0
PIXEL_ERROR_PX = 0.3
"""What stars smaller than two pixels are larger than the arms of their curve promise."""
WIDEST_JUDGED = 1 / 0.75
"""How many times wider than the best of the run the verifying frame may be by the metric that judges it: of the best
signal it must have three quarters, and the air alone takes a tenth."""


def keeps_promise(measurement: Measurement, fit: Fit) -> bool:
    """Tell whether a frame at the vertex is as good as the curve says, within its error and the moment's seeing."""
    if not measurement.usable:
        return False
    promised = fit.best_value ** POWERS[fit.model]
    seen = blur_width(measurement)
    error = math.hypot(
        relative_width_error(measurement) * seen,
        SEEING_SCATTER * promised,
        fit.parameters.get("least_stderr", 0.0),
        PIXEL_ERROR_PX if measurement.unit == "px" else 0.0,
    )
    return bool(seen <= promised + SIGMAS * error)


def better_before(verification: Sample, samples: Sequence[Sample]) -> Sample | None:
    """Return an earlier frame that was clearly better than the verifying one, if there was one.

    A focus that is worse than the start, or than any other place that was seen, is none.
    """
    usable = [each for each in samples if each is not verification and each.measurement.usable]
    if not usable:
        return None
    row = METRICS.get(verification.measurement.metric)
    if row is not None and row.judge:
        judge = METRICS[row.judge]
        judged_best = min(usable, key=lambda each: _judged_width(each.measurement, judge))
        if _judged_width(verification.measurement, judge) > WIDEST_JUDGED * _judged_width(
            judged_best.measurement, judge
        ):
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
    """Return the width of the blur by the metric that judges a measurement; infinite where it shows nothing."""
    value = measurement.details.get(judge.column, math.nan)
    return float(value**judge.blur.power) if value > 0 else math.inf


RETRY_PAUSE_S = 20.0
"""Wait before a failed curve is taken again: a gust or a small cloud has passed by then."""
CLOUDED = 0.5
"""Share of the stars' light at the beginning below which clouds are spoken of."""
MOST_PAIR_RUN = 9
"""Frames after which a known curve is given up."""
WORTH_A_MOVE_CFZ = 0.1
"""Change of the best position, as a share of the critical focus zone, that is worth a move and another frame."""


def sweep(settings: SweepSettings, start: Position, progress: SweepProgress) -> Plan[SweepResult]:
    """Find focus from `start` and verify it.

    Args:
        settings: What the sweep must know.
        start: Where the focuser stands; the direction of its last movement is not known.
        progress: Filled with every sample and the newest fit as they come.

    Returns:
        The verified focus, with the focuser standing there.

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
            # What was believed of the curve led nowhere: the next attempt begins at the start with nothing.
            settings = replace(settings, known=None)
            yield from Sampler(settings, start, progress).go_back()
            yield Settle(RETRY_PAUSE_S)
        return (yield from _Attempt(settings, start, progress, generous=settings.retries > 0).run())
    finally:
        _note_clouds(progress)


def _note_clouds(progress: SweepProgress) -> None:
    seen = [each.measurement.details.get("transmission", 1.0) for each in progress.samples]
    if seen and min(seen) < CLOUDED:
        progress.notes.append(f"The stars lost up to {100 * (1 - min(seen)):.0f} % of their light meanwhile: clouds.")


class _Attempt:
    """One try to find focus and to verify it; a generous one trusts the setting of the backlash no more."""

    def __init__(self, settings: SweepSettings, start: Position, progress: SweepProgress, *, generous: bool) -> None:
        self._settings = settings
        self._progress = progress
        self._walk = Sampler(settings, start, progress)
        self._walk.forget()
        if generous:
            self._walk.distrust_slack()

    def run(self) -> Plan[SweepResult]:
        known = self._settings.known
        if known is not None:
            side = -self._walk.arrival
            if self._settings.by_rings and is_calibrated(known.ring_offset(side)):
                found = yield from self._by_rings(known, side)
                if found is not None:
                    return found
            found = yield from self._by_pair(known)
            if found is not None:
                return found
        fit = yield from whole_curve_focus(self._walk)
        return (yield from self._verified(fit))

    # With a known curve

    def _by_rings(self, known: KnownCurve, side: int) -> Plan[SweepResult | None]:
        """Focus by one frame of rings on a known side; `None` when they do not say where focus is."""
        walk = self._walk
        zone_steps = self._settings.critical_focus_zone_steps
        away = max(known.distance(PAIR_RISE * known.least, side), NEAREST_CFZ * zone_steps)
        target = walk.targets.clamp(round(known.expected_position + side * away))
        # Focus lies in the direction of arrival, most of that way off at least.
        ahead = round(target - side * 0.3 * away)
        sample = yield from walk.sample(target, "ring", ahead=ahead)
        fit = ring_fit(sample, side, known)
        if fit is None or fit.best_position_stderr > PAIR_STDERR_CFZ * zone_steps:
            walk.forget()
            return None
        fit = walk.accept(fit)
        verification = yield from walk.sample(self._place(fit), "verify")
        if keeps_promise(verification.measurement, fit) and agrees(fit, walk.samples, known):
            return self._result(fit, verification)
        walk.forget()
        return None

    def _by_pair(self, known: KnownCurve) -> Plan[SweepResult | None]:
        """Focus by a pair; `None` when the known curve does not lead to focus."""
        walk = self._walk
        fit = yield from pair_focus(walk, known)
        while fit is not None and len(walk.samples) < MOST_PAIR_RUN:
            sample = yield from walk.sample(self._place(fit), "verify")
            if keeps_promise(sample.measurement, fit):
                together = agreed(walk.samples, known)
                if together is not None and not better_before(sample, walk.samples):
                    if not self._is_worth_a_move(together, sample):
                        return self._result(fit, sample)
                    fit = walk.accept(together)
                    continue
            # One of the frames was hit by something, or the known curve is wrong: another frame shows which.
            fit = yield from more_frames(walk, known, fit.best_position)
        walk.forget()
        return None

    def _is_worth_a_move(self, fit: Fit, verification: Sample) -> bool:
        away = abs(fit.best_position - verification.position)
        return away > max(WORTH_A_MOVE_CFZ * self._settings.critical_focus_zone_steps, 3 * fit.best_position_stderr, 1)

    # With a whole curve

    def _verified(self, fit: Fit) -> Plan[SweepResult]:
        """Verify a curve's best position, with one corrective curve if it turns out wrong.

        Raises:
            RunFailed: Both are wrong.
        """
        sample = yield from self._verify(fit)
        if sample is not None:
            return self._result(fit, sample)
        missed = self._walk.samples[-1]
        if not missed.measurement.usable:
            raise RunFailed(_verification_failed(missed, fit))
        taken_up = self._walk.overshoot_steps
        self._walk.distrust_slack()
        # The corrective curve lies about the same place, taken with far more overshoot, from frames of its own.
        self._walk.forget()
        shape = expected_shape(self._settings) or shape_of(fit)
        corrected = yield from take_curve(self._walk, fit.best_position, shape)
        sample = yield from self._verify(corrected)
        if sample is None:
            raise RunFailed(_verification_failed(self._walk.samples[-1], corrected))
        self._note_lost_steps(taken_up, missed, corrected)
        return self._result(corrected, sample, doubtful=True)

    def _verify(self, fit: Fit) -> Plan[Sample | None]:
        """Go to a curve's best position and look; a frame hit by the moment's seeing gets a second chance.

        Returns:
            The frame that keeps the promise; `None` when none does.
        """
        for _ in range(2):
            sample = yield from self._walk.sample(self._place(fit), "verify")
            if keeps_promise(sample.measurement, fit) and not better_before(sample, self._walk.samples):
                return sample
        return None

    def _result(self, fit: Fit, verification: Sample, *, doubtful: bool = False) -> SweepResult:
        return SweepResult(
            fit=fit,
            position=verification.position,
            samples=tuple(self._progress.samples),
            verification=verification,
            doubtful=doubtful,
        )

    def _place(self, fit: Fit) -> Position:
        return self._walk.targets.clamp(round(fit.best_position))

    def _note_lost_steps(self, taken_up: int, missed: Sample, corrected: Fit) -> None:
        """Say how many steps the focuser really loses at a reversal, if that explains the wrong focus."""
        away = shape_of(corrected).distance(blur_width(missed.measurement))
        # Too little overshoot leaves the tube short in the direction of arrival.
        missing = away - (missed.position - corrected.best_position) * self._walk.arrival
        error = math.hypot(corrected.best_position_stderr, 0.15 * away)
        if missing <= 2 * error:
            return
        self._progress.notes.append(
            f"The focuser seems to lose {taken_up + missing:.0f} +- {error:.0f} steps at a reversal, where "
            f"focuser.backlash.steps says {self._settings.backlash.steps}: measure it with `alpaca-focus calibrate "
            "backlash`."
        )


def _verification_failed(sample: Sample, fit: Fit) -> str:
    measurement = sample.measurement
    return (
        f"The verification at position {sample.position} failed: the curve promised "
        f"{value_text(measurement, fit.best_value)}, and the frame there shows {result_text(measurement)}. The "
        "backlash setting may be too small, or clouds came."
    )
