"""A full V-curve for an unknown focus: locate focus, then take points on both arms.

The optics and the focuser's step size predict the curve's shape. Both may be wrong, the step size even by a factor of
20: so a prediction that the frames contradict is given up for a search that knows no scale, and the step between points
follows the slope that the frames show (decision 0029).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from alpaca_focus.core.curves.hyperbola import POWERS, fit_hyperbola
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.metrics import blur_width, relative_width_error
from alpaca_focus.core.sweep.plan import NothingLeft, Plan, SweepSettings
from alpaca_focus.core.sweep.sampler import WRONG_SCALE, Sampler
from alpaca_focus.core.values import Fit, Position, Sample

FAR_OUT = 3.0
"""If the stars are this many times larger than in focus, the distance of focus is measured before the curve."""
CLEAR_FALL = 0.85
"""Half of the way to focus, stars are smaller at least by this factor: less is noise, or lost steps."""
ARM_RISE = 1.25
"""An arm is complete if the curve at its end is this many times its minimum."""
POINTS_ON_AN_ARM = 2
"""Points needed on each side of the vertex."""
ACCEPTED_STDERR_CFZ = 0.25
"""Largest standard error of the best position, as a share of the critical focus zone."""
PROBE_CFZ = 2.0
"""First step, in critical focus zones, for unknown optics."""
CLEAR_RISE = 1.6
"""Rise on both sides that brackets the vertex."""
CLEAR_SIGMAS = 4.0
NEAR = 0.25
"""Distance of the best frame from the vertex, in half widths, at which the search ends."""
FLAT_RISE = 1.25
"""A step that raises the metric by less is doubled."""
LONGEST_SEARCH = 18
"""Largest number of frames of a search for the minimum."""
TRUE_LEAST = 4.5
"""Stars this many times larger than predicted are not in focus: far out, pieces of rings may look like a small star."""
NARROWEST = 1 / 128
"""An island of usable frames narrower than this share of the search, with stars that large, is no focus."""
FLAT_FRAMES = 3
"""This many frames without a clear difference are a flat bottom: the search goes far beyond them."""
FAR_FACTOR = 4
"""How many times further the search goes beyond a flat bottom."""
WRONG_BY_TWO_FRAMES = 2.5
"""The same for the first two frames, between which a part of the move may have been lost to backlash."""
KNOWN_WITHIN = 0.5
"""A fit whose standard error is a larger share of its frames' span does not determine the position."""
GHOST = 1.5
"""A repeated frame this many times wider shows that the first one was spoiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A V-curve's shape: the width of the blur in focus, and its rise with each step far from focus."""

    least: float
    slope: float

    @property
    def half_width(self) -> float:
        """Distance from focus in steps at which the width is `FAR_OUT` times its least."""
        return math.sqrt(FAR_OUT**2 - 1) * self.least / self.slope

    def distance(self, value: float) -> float:
        """Return the distance from focus of a width, in steps."""
        return self.blur(value) / self.slope

    def blur(self, value: float) -> float:
        """Return a width without the seeing, subtracted in quadrature."""
        return math.sqrt(max(value**2 - self.least**2, 0.0))


def full_curve_focus(sampler: Sampler) -> Plan[Fit]:
    """Find focus without a known V-curve, by the optics' prediction if there is one."""
    expected = expected_shape(sampler.settings)
    located = None if expected is None else (yield from _locate(sampler, expected))
    vertex, shape = located or (yield from _bracket(sampler))
    return (yield from take_curve(sampler, vertex, shape))


def expected_shape(settings: SweepSettings) -> Shape | None:
    """Return the shape that the optics predict; `None` for unknown optics."""
    if settings.slope_per_step is None or settings.least is None:
        return None
    return Shape(least=settings.least, slope=settings.slope_per_step)


def take_curve(sampler: Sampler, vertex: float, shape: Shape) -> Plan[Fit]:
    """Take a V-curve about a vertex until both arms are complete and the best position is certain enough.

    Raises:
        NothingLeft: The exposures are used up, or a limit of the focuser hides an arm.
        RunFailed: The frames do not form a V.
    """
    settings = sampler.settings
    step = settings.step_steps or _step_of(shape, settings.points)
    positions = _around(sampler, vertex, step)
    extended = searched = False
    while True:
        for position, following in zip(positions, [*positions[1:], None], strict=True):
            yield from sampler.sample(position, "sweep", ahead=following)
        fit = _explaining_fit(sampler)
        if not searched and (fit is None or (yield from _best_frame_left_out(sampler, fit))):
            # The points are much too far apart, or much too near: the step size is not the reported one.
            searched = True
            vertex, shape = yield from _bracket(sampler)
            step = _step_of(shape, settings.points)
            positions = _around(sampler, vertex, step)
            continue
        if fit is None:
            # Also where no curve goes through them, which is reported as that.
            fit_hyperbola(sampler.samples)
            raise RunFailed("The frames form no V: the curve through them does not determine the best position.")
        fit = sampler.accept(fit)
        seen = _seen_shape(fit, sampler.samples)
        sampler.note_slope(seen.slope)
        if not 1 / WRONG_SCALE <= (new_step := _step_of(seen, settings.points)) / step <= WRONG_SCALE:
            step = new_step
        missing = _missing_positions(sampler, fit, step)
        contradicted = bool(missing) and {each.position for each in sampler.samples}.issuperset(missing)
        if missing and not contradicted:
            positions = missing
            continue
        if not contradicted and not _bottom_is_seen(sampler, fit, seen):
            sampler.check_budget("the bottom of the V is still missing")
            positions = _around(sampler, fit.best_position, step)
            continue
        allowed = ACCEPTED_STDERR_CFZ * sampler.critical_focus_zone_steps
        if not contradicted and fit.best_position_stderr <= allowed:
            return fit
        # More frames between the present ones: the error falls with their number.
        sampler.check_budget(
            f"the best position is still uncertain by {fit.best_position_stderr:.0f} steps, where {allowed:.0f} "
            "is a quarter of the critical focus zone"
        )
        if (extended or contradicted) and sampler.trusts_backlash:
            # That did not help, or an arm that was taken is left out of the curve: the frames contradict one another,
            # as they do when steps are lost (decision 0013).
            sampler.progress.notes.append(
                "The frames contradicted one another, and the rest were taken with a larger overshoot: "
                "focuser.backlash.steps may be too small."
            )
            sampler.distrust_backlash()
            sampler.forget()
        extended = True
        positions = _around(sampler, fit.best_position + step / 2, step)


def _step_of(shape: Shape, points: int) -> int:
    return max(1, round(2 * shape.half_width / (points - 1)))


def _explaining_fit(sampler: Sampler) -> Fit | None:
    """Return the fit of the frames; `None` without a V through them, or with one that does not determine focus."""
    try:
        fit = fit_hyperbola(sampler.samples)
    except RunFailed:
        return None
    positions = [sample.position for sample in sampler.samples if sample.measurement.usable]
    span = max(positions) - min(positions)
    beyond = max(min(positions) - fit.best_position, fit.best_position - max(positions), 0.0)
    return fit if beyond <= span and fit.best_position_stderr <= KNOWN_WITHIN * span else None


def _seen_shape(fit: Fit, samples: Sequence[Sample]) -> Shape:
    """Return the shape that the frames show: a curve of arms alone leaves its least value open."""
    shape = shape_of(fit)
    smallest = min(blur_width(sample.measurement) for sample in samples if sample.measurement.usable)
    return replace(shape, least=min(max(shape.least, smallest / FAR_OUT), smallest))


def _best_frame_left_out(sampler: Sampler, fit: Fit) -> Plan[bool]:
    """Return whether the fit left out a frame that is clearly the best, and is so once more: a V between two points."""
    usable = [index for index, sample in enumerate(sampler.samples) if sample.measurement.usable]
    best = min(usable, key=lambda index: blur_width(sampler.samples[index].measurement))
    others = [sampler.samples[index] for index in usable if index != best]
    frame = sampler.samples[best]
    if best not in fit.rejected or not all(_is_clearly_worse(each, frame) for each in others):
        return False
    again = yield from sampler.sample(frame.position, "locate")
    return blur_width(again.measurement) <= GHOST * blur_width(frame.measurement)


def shape_of(fit: Fit) -> Shape:
    """Return the shape of a fitted curve, in widths."""
    slope = fit.parameters.get("slope") or math.sqrt(fit.parameters["slope_in"] * fit.parameters["slope_out"])
    return Shape(least=fit.best_value ** POWERS[fit.model], slope=slope)


# Locate focus with the optics' prediction of the stars' size


def _locate(sampler: Sampler, shape: Shape) -> Plan[tuple[float, Shape] | None]:
    """Return the probable focus, within about the width of the curve to be taken, and the curve's shape.

    `None` if the frames contradict the prediction.
    """
    first = yield from _first_usable(sampler, shape)
    seen = blur_width(first.measurement)
    distance = shape.distance(seen)
    if seen < FAR_OUT * shape.least:
        return float(first.position), shape
    for direction in (sampler.arrival, -sampler.arrival):
        # Half of the way: on the right side the stars shrink to half, on the wrong one they do not grow too large.
        target = sampler.targets.clamp(first.position + direction * round(distance / 2))
        if target == first.position:
            continue
        probe = yield from sampler.sample(target, "locate")
        if blur_width(probe.measurement) < CLEAR_FALL * seen:
            return _foot_of_the_arm(shape, first, probe)
    return None


def _first_usable(sampler: Sampler, shape: Shape) -> Plan[Sample]:
    """Return the first usable frame: here, or else further and further away on both sides."""
    sample = yield from sampler.sample(sampler.here, "locate")
    first_reason = sample.measurement.reason
    stride = 10 * shape.half_width
    for reach in (1, 2):
        for sign in (sampler.arrival, -sampler.arrival):
            if sample.measurement.usable:
                return sample
            target = sampler.targets.clamp(sampler.start + sign * round(reach * stride))
            if target != sample.position:
                sample = yield from sampler.sample(target, "locate")
    if sample.measurement.usable:
        return sample
    raise RunFailed(
        f"No frame could be used, neither at the start, position {sampler.start} ({first_reason}), nor within "
        f"{round(2 * stride)} steps on either side ({sample.measurement.reason}). Is the telescope "
        "covered, or the exposure too short?"
    )


def _foot_of_the_arm(shape: Shape, further: Sample, nearer: Sample) -> tuple[float, Shape]:
    """Extrapolate the straight line through two points of one arm to zero; return that position, and the shape."""
    far, near = shape.blur(blur_width(further.measurement)), shape.blur(blur_width(nearer.measurement))
    if far <= near:
        return float(nearer.position), shape
    slope = (far - near) / abs(nearer.position - further.position)
    if not 1 / WRONG_BY_TWO_FRAMES <= slope / shape.slope <= WRONG_BY_TWO_FRAMES:
        shape = replace(shape, slope=slope)
    return nearer.position + near / (far - near) * (nearer.position - further.position), shape


# Locate focus without a prediction


def _bracket(sampler: Sampler) -> Plan[tuple[float, Shape]]:
    """Search on both sides, in growing steps, until the metric has clearly risen on either side of its best.

    It goes on from the frames that there are; without any, it begins where the focuser stands.

    Returns:
        The probable focus, and the shape of the curve.
    """
    step = max(1, round(PROBE_CFZ * sampler.critical_focus_zone_steps))
    if not sampler.samples:
        yield from sampler.sample(sampler.here, "locate")
    begun = len(sampler.samples)
    expected = expected_shape(sampler.settings)
    false: set[Position] = set()
    while len(sampler.samples) - begun < LONGEST_SEARCH:
        samples = [_unusable(each) if each.position in false else each for each in sampler.samples]
        best = min(samples, key=lambda sample: blur_width(sample.measurement))
        # Unusable frames count as worse.
        open_sides = [
            sign
            for sign in (sampler.arrival, -sampler.arrival)
            if not any(_is_clearly_worse(each, best) for each in _beyond(samples, best, sign))
        ]
        if not open_sides and math.isfinite(blur_width(best.measurement)):
            target, shape = _narrowed(samples, best)
            is_credible = expected is None or blur_width(best.measurement) <= TRUE_LEAST * expected.least
            if shape is not None and abs(target - best.position) <= NEAR * shape.half_width and is_credible:
                return target, shape
            position = sampler.targets.clamp(round(target))
            span = max(each.position for each in samples) - min(each.position for each in samples)
            is_narrow = abs(position - best.position) < NARROWEST * span
            if position in {each.position for each in samples} or (is_narrow and not is_credible):
                false.add(best.position)
            else:
                yield from sampler.sample(position, "locate")
            continue
        target = _next_position(samples, best, open_sides or [sampler.arrival, -sampler.arrival], step)
        reached = sampler.targets.clamp(target)
        if any(reached == sample.position for sample in samples):
            raise NothingLeft(
                f"The frames become no worse towards position {reached}, which is the limit of the focuser: focus "
                "lies too close to it or beyond. Move the camera or widen the limits."
            )
        yield from sampler.sample(reached, "locate")
    raise RunFailed(
        f"After {LONGEST_SEARCH} frames between {min(each.position for each in sampler.samples)} and "
        f"{max(each.position for each in sampler.samples)} there is still no best focus between worse ones. Is there "
        "light on the camera?"
    )


def _unusable(sample: Sample) -> Sample:
    return replace(sample, measurement=replace(sample.measurement, usable=False))


def _beyond(samples: list[Sample], best: Sample, sign: int) -> list[Sample]:
    return [each for each in samples if (each.position - best.position) * sign > 0]


def _is_clearly_worse(sample: Sample, best: Sample) -> bool:
    worse, least = blur_width(sample.measurement), blur_width(best.measurement)
    if not math.isfinite(worse):
        return True
    error = math.hypot(worse * relative_width_error(sample.measurement), least * relative_width_error(best.measurement))
    return worse > CLEAR_RISE * least and worse - least > CLEAR_SIGMAS * error


def _next_position(samples: list[Sample], best: Sample, open_sides: list[int], step: int) -> Position:
    """Return the next position to measure while a side of the best frame is still open."""
    positions = sorted({sample.position for sample in samples})
    index = positions.index(best.position)
    highest = FLAT_RISE * blur_width(best.measurement)
    flat = {each.position for each in samples if blur_width(each.measurement) <= highest}
    if len(flat) >= FLAT_FRAMES:
        # The step is far too small for this V: go far beyond the flat bottom, and beyond all frames.
        sign, span = open_sides[0], max(flat) - min(flat)
        bottom, edge = (max(sign * position for position in some) for some in (flat, positions))
        return sign * max(bottom + FAR_FACTOR * span, edge + FAR_FACTOR // 2 * span)
    for sign in open_sides:
        if (index == 0 and sign < 0) or (index == len(positions) - 1 and sign > 0):
            return best.position + sign * _stride(samples, best, -sign, step)
    sign = open_sides[0]
    gap = abs(positions[index + sign] - best.position)
    if 0 <= index - sign < len(positions) and gap >= abs(positions[index - sign] - best.position):
        # Both ends of the wider gap are nearly as good: the vertex may lie between.
        return round((best.position + positions[index + sign]) / 2)
    edge = positions[-1] if sign > 0 else positions[0]
    return edge + sign * max(2 * step, abs(edge - best.position))


def _stride(samples: list[Sample], best: Sample, behind: int, step: int) -> int:
    """Return the steps to go beyond the best frame: to the foot of the arm if there is one, else twice as far."""
    before = _beyond(samples, best, behind)
    if not before:
        return step
    nearest = min(before, key=lambda each: abs(each.position - best.position))
    distance = abs(nearest.position - best.position)
    fall = blur_width(nearest.measurement) / blur_width(best.measurement)
    if not math.isfinite(fall) or fall < FLAT_RISE:
        return 2 * distance
    return min(max(round(distance / (fall - 1)), step), 4 * distance)


def _narrowed(samples: list[Sample], best: Sample) -> tuple[float, Shape | None]:
    """Return the probable vertex between the nearest worse frames on both sides, and the curve's shape.

    If the frame on a side is unusable, it is the middle between it and the last good one before it, and the shape is
    still unknown.
    """
    least = blur_width(best.measurement)
    arms = []
    for sign in (-1, 1):
        beyond = sorted(_beyond(samples, best, sign), key=lambda each: abs(each.position - best.position))
        index = next(index for index, each in enumerate(beyond) if _is_clearly_worse(each, best))
        nearest, before = beyond[index], [best, *beyond][index]
        if not math.isfinite(blur_width(nearest.measurement)):
            return (nearest.position + before.position) / 2, None
        arms.append(nearest)
    inner, outer = arms
    blur_in, blur_out = (math.sqrt(blur_width(each.measurement) ** 2 - least**2) for each in arms)
    slope = (blur_in + blur_out) / (outer.position - inner.position)
    return inner.position + blur_in / slope, Shape(least=least, slope=slope)


# Points of the curve


def _around(sampler: Sampler, vertex: float, step: int) -> list[Position]:
    """Return the positions of a curve about a vertex in the order of arrival, without a reversal."""
    points = sampler.settings.points
    middle = (points - 1) / 2
    positions = {sampler.targets.clamp(round(vertex + (k - middle) * step)) for k in range(points)}
    return sorted(positions, key=lambda position: position * sampler.arrival)


def _bottom_is_seen(sampler: Sampler, fit: Fit, shape: Shape) -> bool:
    """Return whether some frame is near the vertex: the arms alone do not show how small the stars become."""
    half_width = max(shape.half_width, sampler.critical_focus_zone_steps)
    usable = (sample for sample in sampler.samples if sample.measurement.usable)
    return any(abs(sample.position - fit.best_position) <= half_width for sample in usable)


def _missing_positions(sampler: Sampler, fit: Fit, step: int) -> list[Position]:
    """Return the positions that complete both arms; empty if they are complete.

    Raises:
        NothingLeft: A limit of the focuser hides an arm, or the exposures are used up.
    """
    kept = [
        sample
        for index, sample in enumerate(sampler.progress.samples)
        if sample.measurement.usable and index not in fit.rejected
    ]
    shape = shape_of(fit)
    needed: set[Position] = set()
    for sign in (-1, +1):
        on_arm = [sample for sample in kept if (sample.position - fit.best_position) * sign > 0]
        reach = max((abs(sample.position - fit.best_position) for sample in on_arm), default=0.0)
        rise = math.hypot(shape.least, shape.slope * reach) / shape.least
        if len(on_arm) >= POINTS_ON_AN_ARM and rise >= ARM_RISE:
            continue
        edge = max(sample.position * sign for sample in kept) * sign
        beyond = {sampler.targets.clamp(edge + sign * step * k) for k in (1, 2)} - {edge}
        if not beyond:
            side = "inside" if sign < 0 else "outside"
            raise NothingLeft(
                f"Focus seems to lie near position {fit.best_position:.0f}, too close to the limit of the focuser "
                f"at {edge} to see the arm of the V on its {side}. Move the camera or widen the limits."
            )
        needed |= beyond
    if needed:
        sampler.check_budget("an arm of the V is still missing")
    return sorted(needed, key=lambda position: position * sampler.arrival)
