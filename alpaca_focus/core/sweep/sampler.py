"""The sampler of a sweep: it moves with backlash compensated, settles, exposes, and collects the measurements."""

import math
from dataclasses import replace

from alpaca_focus.core.sweep.backlash import ApproachMethod, approach, reachable
from alpaca_focus.core.sweep.plan import (
    Expose,
    Measure,
    MoveTo,
    NothingLeft,
    Plan,
    Settle,
    SweepProgress,
    SweepSettings,
)
from alpaca_focus.core.values import Fit, Measurement, Position, Sample

USUAL_FACTOR = 2
"""Overshoot over the backlash setting: too far costs a second, too short costs the focus."""
GENEROUS_FACTOR, GENEROUS_CFZ = 4, 4
"""An overshoot that takes up any backlash: at least so many times the setting, and so many critical focus zones."""
SHORTER, LONGER = 0.25, 3.0
"""Factors by which the exposure is changed, once, if the stars are saturated or too faint."""
WRONG_SCALE = 1.6
"""A slope that differs from the predicted one by this factor replaces it: seeing and optics explain less."""
FEWEST_STARS = 3
LARGEST_ERROR = 0.03
"""Relative error of a frame with few stars above which a longer exposure is worth another frame."""


class Sampler:
    """Moves the focuser, takes frames, and keeps every one of them in the progress.

    The direction of the focuser's last movement before the start is not known.

    Attributes:
        here: Where the focuser stands; with the absolute method as counted in the direction of arrival.
        targets: Allowed targets, with room for the overshoot.
        backlash: Compensation at present, with the steps taken up at a reversal.
        trusts_backlash: Whether the backlash setting is still trusted.
        seen_step_size_factor: How many times larger than predicted the focuser's step is, by the slope of the frames.
    """

    def __init__(self, settings: SweepSettings, start: Position, progress: SweepProgress) -> None:
        self.settings = settings
        self.start = start
        self.here = self._target = start
        self.progress = progress
        self.targets = reachable(settings.limits, settings.backlash)
        # The absolute method needs exact steps.
        factor = USUAL_FACTOR if settings.backlash.method is ApproachMethod.OVERSHOOT else 1
        self.backlash = replace(settings.backlash, steps=factor * settings.backlash.steps)
        self.trusts_backlash = True
        self.seen_step_size_factor = 1.0
        if settings.known is not None:
            self.note_slope(math.sqrt(settings.known.slope_in * settings.known.slope_out))
        self._exposure = settings.exposure
        self._exposure_changed = False
        self._first = 0
        self._backlash_taken_up = False
        self._settled = True

    @property
    def arrival(self) -> int:
        """Sign of the direction in which targets are arrived at: +1 out, -1 in."""
        return self.settings.backlash.arrive.sign

    @property
    def samples(self) -> list[Sample]:
        """The frames of the present attempt."""
        return self.progress.samples[self._first :]

    @property
    def critical_focus_zone_steps(self) -> float:
        """Full width of the critical focus zone, with the step size that frames have shown."""
        return self.settings.critical_focus_zone_steps / self.step_size_factor

    def note_slope(self, slope_per_step: float) -> None:
        """Note the slope that the frames show, which rules over the step size (decision 0029)."""
        if self.settings.slope_per_step is not None:
            self.seen_step_size_factor = slope_per_step / self.settings.slope_per_step

    @property
    def step_size_factor(self) -> float:
        """The factor of the step size if it is wrong; 1 where optics and seeing may explain it."""
        factor = self.seen_step_size_factor
        return 1.0 if 1 / WRONG_SCALE <= factor <= WRONG_SCALE else factor

    def forget(self) -> None:
        """Begin a new attempt: earlier frames stay in the progress, but no curve is fitted to them any more."""
        self._first = len(self.progress.samples)

    def accept(self, fit: Fit) -> Fit:
        """Convert a fit of the present attempt's samples to one of all samples, store and return it."""
        shifted = replace(
            fit,
            residuals=(math.nan,) * self._first + fit.residuals,
            rejected=(
                *(index for index in range(self._first) if self.progress.samples[index].measurement.usable),
                *(self._first + index for index in fit.rejected),
            ),
        )
        self.progress.fit = shifted
        return shifted

    def distrust_backlash(self) -> None:
        """From now on take up far more backlash than the setting, whatever the method."""
        generous = generous_overshoot_steps(self.settings, self.step_size_factor)
        self.backlash = replace(self.backlash, steps=generous, method=ApproachMethod.OVERSHOOT)
        self._backlash_taken_up = False
        self.trusts_backlash = False

    def sample(self, target: Position, purpose: str, *, ahead: Position | None = None) -> Plan[Sample]:
        """Go to a target and measure a frame there.

        If the stars are saturated or far too faint, the frame is repeated, once in a run, with another exposure.

        Args:
            target: Position of the frame.
            purpose: Its part in the run, for reports.
            ahead: Position to move to during readout and measurement; every possible next move must pass it.

        Raises:
            NothingLeft: The run has used up its exposures.
        """
        while True:
            self.check_budget("focus is not found yet")
            yield from self.approach(target)
            position = self.here
            ticket = yield Expose(self._exposure, purpose)
            assert isinstance(ticket, int)  # noqa: S101 - the contract of `Expose`, for the type checker
            if ahead is not None:
                yield from self._head_for(ahead)
            measurement = yield Measure(ticket)
            assert isinstance(measurement, Measurement)  # noqa: S101 - as above
            sample = Sample(position=position, measurement=measurement, purpose=purpose)
            self.progress.samples.append(sample)
            if self._change_exposure(measurement):
                continue
            if self.settings.subframe and measurement.region is not None and self._exposure.subframe is None:
                self._exposure = replace(self._exposure, subframe=measurement.region)
            return sample

    def approach(self, target: Position) -> Plan[None]:
        """Go to a target with the backlash taken up, and settle."""
        legs = approach(
            # A focuser that stopped a little off the same target would stop there again.
            target if target == self._target else self.here,
            target,
            backlash=self.backlash,
            limits=self.settings.limits,
            backlash_taken_up=self._backlash_taken_up,
        )
        for leg in legs:
            reached = yield MoveTo(leg)
            assert isinstance(reached, int)  # noqa: S101 - the contract of `MoveTo`, for the type checker
            self.here = target + reached - leg
            self._settled = False
        self._target = target
        if legs:
            self._backlash_taken_up = True
        if not self._settled:
            yield Settle(self.settings.settle_s)
            self._settled = True

    def go_back(self) -> Plan[None]:
        """Go back to the start."""
        yield MoveTo(self.targets.clamp(self.start - self.arrival * self.backlash.steps))
        yield MoveTo(self.start)
        self.here = self._target = self.start

    def check_budget(self, why: str) -> None:
        """Raise `NothingLeft`, with the reason, if there is no exposure left."""
        taken = len(self.progress.samples)
        if taken >= self.settings.max_exposures:
            raise NothingLeft(
                f"The run gave up after {taken} exposures: {why}. Wind or a wrong setting of the optics can cause this."
            )

    def _head_for(self, position: Position) -> Plan[None]:
        """Go straight to a position, whatever the backlash."""
        position = self.settings.limits.clamp(position)
        if position == self.here:
            return
        self._backlash_taken_up &= (position - self.here) * self.arrival > 0
        self._target = position
        self._settled = False
        reached = yield MoveTo(position)
        assert isinstance(reached, int)  # noqa: S101 - as above
        self.here = reached

    def _change_exposure(self, measurement: Measurement) -> bool:
        """Change the exposure once if the frame needs it; return whether to repeat the frame."""
        if self._exposure_changed:
            return False
        few = not measurement.usable or measurement.star_count < FEWEST_STARS
        uncertain = not measurement.usable or measurement.stderr > LARGEST_ERROR * measurement.value
        if few and measurement.flags.get("saturated", 0):
            factor = SHORTER
        elif few and uncertain and measurement.flags.get("faint", 0):
            factor = LONGER
        else:
            return False
        shortest_s, longest_s = self.settings.exposure_limits_s
        exposure_s = min(max(self._exposure.exposure_s * factor, shortest_s), longest_s)
        if exposure_s == self._exposure.exposure_s:
            return False
        why = "the stars were saturated" if factor < 1 else "there were too few stars"
        self.progress.notes.append(f"The exposure was changed to {exposure_s:g} s because {why}.")
        self._exposure = replace(self._exposure, exposure_s=exposure_s)
        self._exposure_changed = True
        return True


def generous_overshoot_steps(settings: SweepSettings, step_size_factor: float = 1.0) -> int:
    """Return an overshoot that takes up any backlash, even if the setting is wrong."""
    zones_steps = GENEROUS_CFZ * settings.critical_focus_zone_steps / step_size_factor
    return max(GENEROUS_FACTOR * settings.backlash.steps, round(zones_steps))
