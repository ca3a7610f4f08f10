"""The sweep as a generator: answers in, actions out. It never touches a device.

Where the V-curve is known from earlier runs, a *pair* of frames, one on each arm, tells where focus is, and a last
one verifies it. Otherwise, or when the pair does not tell it well enough, a run has three parts. *Locate* finds out,
from how large the stars are, how far away focus is and on which side. *Sweep* takes the V-curve around the expected
vertex, always arriving from the same side, and goes on where an arm is missing or the vertex is not known well enough.
*Verify* goes to the fitted vertex and takes one more frame, which must show what the curve promised. Whoever runs the
plan goes back to the start when it raises `RunFailed`.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeVar

from alpaca_focus.core.actions import Action, Answer, Expose, Measure, MoveTo, Settle
from alpaca_focus.core.backlash import Backlash, Limits, approach, reachable
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.known_curve import KnownCurve, fit_known_curve
from alpaca_focus.core.values import ExposureSettings, Fit, Measurement, Position, Sample
from alpaca_focus.core.vcurve import SEEING_SCATTER, fit_hyperbola

T = TypeVar("T")
Plan = Generator[Action, Answer, T]

FAR_OUT = 3.0
"""Stars this many times larger than in focus: measure how far away focus is before taking the curve."""
ARM_RISE = 1.25
"""An arm counts as seen when the curve at its end is this many times its minimum."""
POINTS_ON_AN_ARM = 2
"""Points that must lie on each side of the vertex."""
PAIR_RISE = 3.0
"""Where the frames of a pair are taken, in times the least value: there one frame tells most about the vertex."""
PAIR_STDERR_CFZ = 0.1
"""Standard error at which a pair, or what it has grown to, is enough, as a share of the critical focus zone."""
MOST_PAIR_FRAMES = 6
ACCEPTED_STDERR_CFZ = 0.25
"""Largest standard error of the best position, as a share of the critical focus zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSettings:
    """What a sweep must know.

    Attributes:
        exposure: How each frame is taken.
        points: Frames of the V-curve proper.
        step_steps: Distance of neighbouring points; `None`: from the optics.
        critical_focus_zone_steps: Full width of the critical focus zone.
        hfd_slope_px_per_step: Expected rise of the HFD far from focus.
        hfd_in_focus_px: Expected HFD in focus.
        backlash: How targets are approached.
        limits: Where the focuser may be sent.
        settle_s: Wait after each approach.
        max_exposures: The run gives up when it would need more.
        known: The V-curve as earlier runs showed it; `None`: nothing is known.
    """

    exposure: ExposureSettings
    points: int
    step_steps: int | None
    critical_focus_zone_steps: float
    hfd_slope_px_per_step: float
    hfd_in_focus_px: float
    backlash: Backlash
    limits: Limits
    settle_s: float
    max_exposures: int
    known: KnownCurve | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """A verified focus."""

    fit: Fit
    position: Position
    samples: tuple[Sample, ...]
    verification: Sample


@dataclass(slots=True)
class SweepProgress:
    """What a plan has seen so far; whoever runs it may look, and only the plan writes."""

    samples: list[Sample] = field(default_factory=list)
    fit: Fit | None = None


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
    return _Sweep(settings, start, progress).run()


class _Sweep:
    """The state of one sweep: where the focuser stands and what was seen."""

    def __init__(self, settings: SweepSettings, start: Position, progress: SweepProgress) -> None:
        self._settings = settings
        self._start = start
        self._here = start
        self._slack_taken_up = False
        self._progress = progress
        self._targets = reachable(settings.limits, settings.backlash)

    def run(self) -> Plan[SweepResult]:
        vertex: float | None = None
        if self._settings.known is not None:
            fit = yield from self._known_focus(self._settings.known)
            if fit is not None:
                best = self._targets.clamp(round(fit.best_position))
                sample = yield from self._sample(best, "verify")
                if _keeps_promise(sample.measurement, fit):
                    samples = tuple(self._progress.samples)
                    return SweepResult(fit=fit, position=best, samples=samples, verification=sample)
                vertex = fit.best_position
        if vertex is None:
            vertex = yield from self._locate()
        fit = yield from self._take_curve(vertex)
        best = self._targets.clamp(round(fit.best_position))
        verification = yield from self._verify(best, fit)
        return SweepResult(fit=fit, position=best, samples=tuple(self._progress.samples), verification=verification)

    # Pair

    def _known_focus(self, curve: KnownCurve) -> Plan[Fit | None]:
        """Find focus from a frame on each arm of the known curve, and further ones where these are not enough.

        The first frame is on the side on which targets are arrived at without turning round, so that only the way to
        the second one takes up slack.

        Returns:
            The fit, or `None` when the known curve does not lead to focus.
        """
        side = self._settings.backlash.arrive.sign
        rise = PAIR_RISE * curve.least
        first = yield from self._sample(
            self._targets.clamp(round(curve.expected_position + side * curve.distance(rise, side))), "pair"
        )
        if not first.measurement.usable:
            return None
        samples = [first]
        vertex = first.position - side * curve.distance(first.measurement.value, side)
        while len(samples) < MOST_PAIR_FRAMES:
            # Next on the arm that has fewer frames.
            beyond = sum((sample.position - vertex) * side > 0 for sample in samples)
            sign = -side if 2 * beyond >= len(samples) else side
            target = self._targets.clamp(round(vertex + sign * curve.distance(rise, sign)))
            if target == self._here:
                return None
            sample = yield from self._sample(target, "pair")
            if not sample.measurement.usable:
                return None
            samples.append(sample)
            fit = fit_known_curve(samples, curve)
            self._progress.fit = fit
            vertex = fit.best_position
            both = min(each.position for each in samples) < vertex < max(each.position for each in samples)
            if both and fit.best_position_stderr <= PAIR_STDERR_CFZ * self._settings.critical_focus_zone_steps:
                return fit
        return None

    # Locate

    def _locate(self) -> Plan[float]:
        """Return where focus probably is, within about the width of the curve to be taken."""
        first = yield from self._first_usable()
        distance = self._distance(first)
        if first.measurement.value < FAR_OUT * self._settings.hfd_in_focus_px:
            return float(first.position)
        towards_arrival = self._settings.backlash.arrive.sign
        for direction in (towards_arrival, -towards_arrival):
            # Half of the way: on the right side the stars shrink to half, on the wrong one they do not grow too large.
            target = self._targets.clamp(first.position + direction * round(distance / 2))
            if target == first.position:
                continue
            probe = yield from self._sample(target, "locate")
            if probe.measurement.usable and probe.measurement.value < first.measurement.value:
                return self._foot_of_the_arm(first, probe)
        raise RunFailed(
            f"The stars are {first.measurement.value:.0f} px across at position {first.position}, and become no "
            f"smaller within {round(distance / 2)} steps on either side. Is the telescope covered, dewed up or very "
            "far from focus?"
        )

    def _first_usable(self) -> Plan[Sample]:
        """Measure here; where there is nothing to measure, look further and further away on both sides."""
        sample = yield from self._sample(self._here, "locate")
        first_reason = sample.measurement.reason
        stride = 10 * self._half_width(self._settings.hfd_in_focus_px)
        for reach in (1, 2):
            for sign in (self._settings.backlash.arrive.sign, -self._settings.backlash.arrive.sign):
                if sample.measurement.usable:
                    return sample
                target = self._targets.clamp(self._start + sign * round(reach * stride))
                if target != sample.position:
                    sample = yield from self._sample(target, "locate")
        if sample.measurement.usable:
            return sample
        raise RunFailed(
            f"No frame could be used, neither at the start, position {self._start} ({first_reason}), nor within "
            f"{round(2 * stride)} steps on either side ({sample.measurement.reason}). Are there clouds, is the "
            "telescope covered, or is the exposure too short?"
        )

    def _distance(self, sample: Sample) -> float:
        """Estimate the distance from focus in steps from the size of the stars and the slope of the optics."""
        return self._blur(sample.measurement.value) / self._settings.hfd_slope_px_per_step

    def _blur(self, hfd_px: float) -> float:
        """Take the seeing out of an HFD, in quadrature."""
        return math.sqrt(max(hfd_px**2 - self._settings.hfd_in_focus_px**2, 0.0))

    def _foot_of_the_arm(self, further: Sample, nearer: Sample) -> float:
        """Continue the straight line through two points of one arm down to zero."""
        fall = self._blur(further.measurement.value) - self._blur(nearer.measurement.value)
        if fall <= 0:
            return float(nearer.position)
        share = self._blur(nearer.measurement.value) / fall
        return nearer.position + share * (nearer.position - further.position)

    # Sweep

    def _take_curve(self, vertex: float) -> Plan[Fit]:
        step = self._settings.step_steps or max(
            1, round(2 * self._half_width(self._settings.hfd_in_focus_px) / (self._settings.points - 1))
        )
        positions = self._around(vertex, step)
        while True:
            for position in positions:
                yield from self._sample(position, "sweep")
            fit = self._fit()
            missing = self._missing_positions(fit, step)
            if missing:
                positions = missing
                continue
            allowed = ACCEPTED_STDERR_CFZ * self._settings.critical_focus_zone_steps
            if fit.best_position_stderr <= allowed:
                return fit
            # More frames between those there are: the error falls with their number.
            self._check_budget(
                f"the best position is still uncertain by {fit.best_position_stderr:.0f} steps, where {allowed:.0f} "
                "is a quarter of the critical focus zone"
            )
            positions = self._around(fit.best_position + step / 2, step)

    def _half_width(self, hfd_in_focus_px: float) -> float:
        """Distance from focus at which the HFD is three times its minimum."""
        return math.sqrt(FAR_OUT**2 - 1) * hfd_in_focus_px / self._settings.hfd_slope_px_per_step

    def _around(self, vertex: float, step: int) -> list[Position]:
        """Points around a vertex in the order in which they are reached without turning back."""
        middle = (self._settings.points - 1) / 2
        wanted = {self._targets.clamp(round(vertex + (k - middle) * step)) for k in range(self._settings.points)}
        return self._in_order(wanted)

    def _in_order(self, positions: set[Position]) -> list[Position]:
        return sorted(positions, key=lambda position: position * self._settings.backlash.arrive.sign)

    def _fit(self) -> Fit:
        fit = fit_hyperbola(self._progress.samples)
        self._progress.fit = fit
        return fit

    def _missing_positions(self, fit: Fit, step: int) -> list[Position]:
        """Return where to go on so that both arms are seen; empty when they are.

        Raises:
            RunFailed: A limit of the focuser hides an arm.
        """
        kept = [
            sample
            for index, sample in enumerate(self._progress.samples)
            if sample.measurement.usable and index not in fit.rejected
        ]
        needed: set[Position] = set()
        for sign in (-1, +1):
            on_arm = [sample for sample in kept if (sample.position - fit.best_position) * sign > 0]
            reach = max((abs(sample.position - fit.best_position) for sample in on_arm), default=0.0)
            rise = math.hypot(fit.best_value, fit.parameters["slope"] * reach) / fit.best_value
            if len(on_arm) >= POINTS_ON_AN_ARM and rise >= ARM_RISE:
                continue
            edge = max(sample.position * sign for sample in kept) * sign
            beyond = {self._targets.clamp(edge + sign * step * k) for k in (1, 2)} - {edge}
            if not beyond:
                side = "inside" if sign < 0 else "outside"
                raise RunFailed(
                    f"Focus seems to lie near position {fit.best_position:.0f}, too close to the limit of the focuser "
                    f"at {edge} to see the arm of the V on its {side}. Move the camera or widen the limits."
                )
            needed |= beyond
        if needed:
            self._check_budget("an arm of the V is still missing")
        return self._in_order(needed)

    def _check_budget(self, why: str) -> None:
        if len(self._progress.samples) + 1 >= self._settings.max_exposures:
            raise RunFailed(
                f"The run gave up after {len(self._progress.samples)} exposures: {why}. Clouds, wind or a wrong "
                "setting of the optics can cause this."
            )

    # Verify

    def _verify(self, best: Position, fit: Fit) -> Plan[Sample]:
        """Go there and look; a frame hit by the moment's seeing gets a second chance.

        Raises:
            RunFailed: Two frames at the fitted position are worse than the curve promised.
        """
        sample = yield from self._sample(best, "verify")
        if not _keeps_promise(sample.measurement, fit):
            sample = yield from self._sample(best, "verify")
        if _keeps_promise(sample.measurement, fit):
            return sample
        measurement = sample.measurement
        found = f"{measurement.value:.2f} px" if measurement.usable else f"nothing ({measurement.reason})"
        raise RunFailed(
            f"The verification at position {best} failed: the curve promised an HFD of {fit.best_value:.2f} px, and "
            f"the frame there shows {found}. The backlash setting may be too small, or clouds came."
        )

    # Frames

    def _sample(self, target: Position, purpose: str) -> Plan[Sample]:
        if len(self._progress.samples) >= self._settings.max_exposures:
            self._check_budget("focus is not found yet")
        yield from self._approach(target)
        ticket = yield Expose(self._settings.exposure, purpose)
        assert isinstance(ticket, int)  # noqa: S101 - the contract of actions.py, for the type checker
        measurement = yield Measure(ticket)
        assert isinstance(measurement, Measurement)  # noqa: S101 - as above
        sample = Sample(position=target, measurement=measurement, purpose=purpose)
        self._progress.samples.append(sample)
        return sample

    def _approach(self, target: Position) -> Plan[None]:
        legs = approach(
            self._here,
            target,
            backlash=self._settings.backlash,
            limits=self._settings.limits,
            slack_taken_up=self._slack_taken_up,
        )
        for leg in legs:
            yield MoveTo(leg)
        self._here = target
        if legs:
            self._slack_taken_up = True
            yield Settle(self._settings.settle_s)


def _keeps_promise(measurement: Measurement, fit: Fit) -> bool:
    """Whether a frame at the vertex is as good as the curve says, within its error and the moment's seeing."""
    if not measurement.usable:
        return False
    least_error = fit.parameters.get("least_stderr", 0.0)
    allowed = 3 * math.hypot(measurement.stderr, SEEING_SCATTER * fit.best_value, least_error)
    return measurement.value <= fit.best_value + allowed
