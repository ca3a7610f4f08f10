"""A whole V-curve, for when nothing is known: find out where focus is, then take points on both arms."""

import math
from dataclasses import dataclass

from alpaca_focus.core.curves.hyperbola import POWERS, fit_hyperbola
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.metrics import blur_width, relative_width_error
from alpaca_focus.core.sweep.plan import NothingLeft, Plan, SweepSettings
from alpaca_focus.core.sweep.sampler import Sampler
from alpaca_focus.core.values import Fit, Position, Sample

FAR_OUT = 3.0
"""Stars this many times larger than in focus: measure how far away focus is before taking the curve."""
CLEAR_FALL = 0.85
"""On the way to focus stars become smaller at least by this factor, half of the way: less is noise, or lost steps."""
ARM_RISE = 1.25
"""An arm counts as seen when the curve at its end is this many times its minimum."""
POINTS_ON_AN_ARM = 2
"""Points that must lie on each side of the vertex."""
ACCEPTED_STDERR_CFZ = 0.25
"""Largest standard error of the best position, as a share of the critical focus zone."""
PROBE_CFZ = 2.0
"""First step, in critical focus zones, where the optics are not known."""
CLEAR_RISE = 1.6
"""Rise on both sides that shows where the vertex is."""
CLEAR_SIGMAS = 4.0
NEAR = 0.25
"""Distance of the best frame from the vertex, in half widths, at which the search is over."""
FLAT_RISE = 1.25
"""A step that raises the metric by less is doubled."""
LONGEST_SEARCH = 14
"""Frames after which a search without a minimum is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a V-curve looks like: the width of the blur in focus, and its rise with each step far from it."""

    least: float
    slope: float

    @property
    def half_width(self) -> float:
        """Distance from focus in steps at which the width is `FAR_OUT` times its least."""
        return math.sqrt(FAR_OUT**2 - 1) * self.least / self.slope

    def distance(self, value: float) -> float:
        """Return how far from focus a width lies, in steps."""
        return self.blur(value) / self.slope

    def blur(self, value: float) -> float:
        """Take the seeing out of a width, in quadrature."""
        return math.sqrt(max(value**2 - self.least**2, 0.0))


def whole_curve_focus(walk: Sampler) -> Plan[Fit]:
    """Find focus with nothing known of the V-curve but, perhaps, what the optics say."""
    shape = expected_shape(walk.settings)
    if shape is None:
        vertex, shape = yield from _bracket(walk)
    else:
        vertex = yield from _locate(walk, shape)
    return (yield from take_curve(walk, vertex, shape))


def expected_shape(settings: SweepSettings) -> Shape | None:
    """Return the shape that the optics promise; `None` where they are not known."""
    if settings.slope_per_step is None or settings.least is None:
        return None
    return Shape(least=settings.least, slope=settings.slope_per_step)


def take_curve(walk: Sampler, vertex: float, shape: Shape) -> Plan[Fit]:
    """Take a V-curve about a vertex, and go on until both arms are seen and the best position is known well enough.

    Raises:
        NothingLeft: The exposures are used up, or a limit of the focuser hides an arm.
        RunFailed: The frames do not form a V.
    """
    settings = walk.settings
    step = settings.step_steps or max(1, round(2 * shape.half_width / (settings.points - 1)))
    positions = _around(walk, vertex, step)
    extended = False
    while True:
        for position, following in zip(positions, [*positions[1:], None], strict=True):
            yield from walk.sample(position, "sweep", ahead=following)
        fit = walk.accept(fit_hyperbola(walk.samples))
        missing = _missing_positions(walk, fit, step)
        if missing:
            positions = missing
            continue
        if not _bottom_is_seen(walk, fit):
            walk.check_budget("the bottom of the V is still missing")
            positions = _around(walk, fit.best_position, step)
            continue
        allowed = ACCEPTED_STDERR_CFZ * settings.critical_focus_zone_steps
        if fit.best_position_stderr <= allowed:
            return fit
        # More frames between those there are: the error falls with their number.
        walk.check_budget(
            f"the best position is still uncertain by {fit.best_position_stderr:.0f} steps, where {allowed:.0f} "
            "is a quarter of the critical focus zone"
        )
        if extended and walk.trusts_slack:
            # That did not help: the frames contradict one another, as they do where steps are lost.
            walk.progress.notes.append(
                "The frames contradicted one another until far more slack was taken up: focuser.backlash.steps may be "
                "too small."
            )
            walk.distrust_slack()
            walk.forget()
        extended = True
        positions = _around(walk, fit.best_position + step / 2, step)


def shape_of(fit: Fit) -> Shape:
    """Return the shape that a fitted curve shows, of widths."""
    slope = fit.parameters.get("slope") or math.sqrt(fit.parameters["slope_in"] * fit.parameters["slope_out"])
    return Shape(least=fit.best_value ** POWERS[fit.model], slope=slope)


# Where focus is, when the optics say how large stars are


def _locate(walk: Sampler, shape: Shape) -> Plan[float]:
    """Return where focus probably is, within about the width of the curve to be taken."""
    first = yield from _first_usable(walk, shape)
    seen = blur_width(first.measurement)
    distance = shape.distance(seen)
    if seen < FAR_OUT * shape.least:
        return float(first.position)
    for direction in (walk.arrival, -walk.arrival):
        # Half of the way: on the right side the stars shrink to half, on the wrong one they do not grow too large.
        target = walk.targets.clamp(first.position + direction * round(distance / 2))
        if target == first.position:
            continue
        probe = yield from walk.sample(target, "locate")
        if blur_width(probe.measurement) < CLEAR_FALL * seen:
            return _foot_of_the_arm(shape, first, probe)
    raise RunFailed(
        f"The stars are {first.measurement.value:.0f} px across at position {first.position}, and become no "
        f"smaller within {round(distance / 2)} steps on either side. Is the telescope covered, dewed up or very "
        "far from focus?"
    )


def _first_usable(walk: Sampler, shape: Shape) -> Plan[Sample]:
    """Measure here; where there is nothing to measure, look further and further away on both sides."""
    sample = yield from walk.sample(walk.here, "locate")
    first_reason = sample.measurement.reason
    stride = 10 * shape.half_width
    for reach in (1, 2):
        for sign in (walk.arrival, -walk.arrival):
            if sample.measurement.usable:
                return sample
            target = walk.targets.clamp(walk.start + sign * round(reach * stride))
            if target != sample.position:
                sample = yield from walk.sample(target, "locate")
    if sample.measurement.usable:
        return sample
    raise RunFailed(
        f"No frame could be used, neither at the start, position {walk.start} ({first_reason}), nor within "
        f"{round(2 * stride)} steps on either side ({sample.measurement.reason}). Are there clouds, is the "
        "telescope covered, or is the exposure too short?"
    )


def _foot_of_the_arm(shape: Shape, further: Sample, nearer: Sample) -> float:
    """Continue the straight line through two points of one arm down to zero."""
    far, near = shape.blur(blur_width(further.measurement)), shape.blur(blur_width(nearer.measurement))
    if far <= near:
        return float(nearer.position)
    return nearer.position + near / (far - near) * (nearer.position - further.position)


# Where focus is, when nothing says how large stars are


def _bracket(walk: Sampler) -> Plan[tuple[float, Shape]]:
    """Go on to both sides, in growing steps, until the metric has clearly risen on either side of its best.

    Returns:
        Where focus probably is, and the shape of the curve.
    """
    step = max(1, round(PROBE_CFZ * walk.settings.critical_focus_zone_steps))
    yield from walk.sample(walk.here, "locate")
    while len(walk.samples) < LONGEST_SEARCH:
        best = min(walk.samples, key=lambda sample: blur_width(sample.measurement))
        open_sides = [sign for sign in (walk.arrival, -walk.arrival) if not _has_risen(walk.samples, best, sign)]
        if not open_sides and math.isfinite(blur_width(best.measurement)):
            target, shape = _narrowed(walk.samples, best)
            if shape is not None and abs(target - best.position) <= NEAR * shape.half_width:
                return target, shape
            yield from walk.sample(walk.targets.clamp(round(target)), "locate")
            continue
        target = _next_place(walk.samples, best, open_sides or [walk.arrival, -walk.arrival], step)
        reached = walk.targets.clamp(target)
        if any(reached == sample.position for sample in walk.samples):
            raise NothingLeft(
                f"The frames become no worse towards position {reached}, which is the limit of the focuser: focus "
                "lies too close to it or beyond. Move the camera or widen the limits."
            )
        yield from walk.sample(reached, "locate")
    raise RunFailed(
        f"After {LONGEST_SEARCH} frames between {min(each.position for each in walk.samples)} and "
        f"{max(each.position for each in walk.samples)} there is still no best focus between worse ones. Is there "
        "light on the camera?"
    )


def _has_risen(samples: list[Sample], best: Sample, sign: int) -> bool:
    """Whether some frame on a side of the best one is clearly worse; one that shows nothing at all counts."""
    beyond = (each for each in samples if (each.position - best.position) * sign > 0)
    return any(_is_clearly_worse(each, best) for each in beyond)


def _is_clearly_worse(sample: Sample, best: Sample) -> bool:
    worse, least = blur_width(sample.measurement), blur_width(best.measurement)
    if not math.isfinite(worse):
        return True
    error = math.hypot(worse * relative_width_error(sample.measurement), least * relative_width_error(best.measurement))
    return worse > CLEAR_RISE * least and worse - least > CLEAR_SIGMAS * error


def _next_place(samples: list[Sample], best: Sample, open_sides: list[int], step: int) -> Position:
    """Return where to look next when a side of the best frame is still open."""
    places = sorted({sample.position for sample in samples})
    index = places.index(best.position)
    for sign in open_sides:
        if (index == 0 and sign < 0) or (index == len(places) - 1 and sign > 0):
            return best.position + sign * _stride(samples, best, -sign, step)
    sign = open_sides[0]
    gap = abs(places[index + sign] - best.position)
    if 0 <= index - sign < len(places) and gap >= abs(places[index - sign] - best.position):
        # Nearly as good on both ends of the wider gap: the vertex may lie between.
        return round((best.position + places[index + sign]) / 2)
    edge = places[-1] if sign > 0 else places[0]
    return edge + sign * max(2 * step, abs(edge - best.position))


def _stride(samples: list[Sample], best: Sample, behind: int, step: int) -> int:
    """Return how far to go beyond the best frame: to the foot of the arm where there is one, else twice as far."""
    before = [each for each in samples if (each.position - best.position) * behind > 0]
    if not before:
        return step
    nearest = min(before, key=lambda each: abs(each.position - best.position))
    way = abs(nearest.position - best.position)
    fall = blur_width(nearest.measurement) / blur_width(best.measurement)
    if not math.isfinite(fall) or fall < FLAT_RISE:
        return 2 * way
    return min(max(round(way / (fall - 1)), step), 4 * way)


def _narrowed(samples: list[Sample], best: Sample) -> tuple[float, Shape | None]:
    """Return where the vertex probably is between the nearest worse frames on both sides, and the curve's shape.

    Where a side shows nothing at all, it is the middle of the way to there, and the shape is not known yet.
    """
    least = blur_width(best.measurement)
    arms = []
    for sign in (-1, 1):
        beyond = [each for each in samples if (each.position - best.position) * sign > 0]
        worse = [each for each in beyond if _is_clearly_worse(each, best)]
        nearest = min(worse, key=lambda each: abs(each.position - best.position))
        if not math.isfinite(blur_width(nearest.measurement)):
            return (nearest.position + best.position) / 2, None
        arms.append(nearest)
    inner, outer = arms
    blur_in, blur_out = (math.sqrt(blur_width(each.measurement) ** 2 - least**2) for each in arms)
    slope = (blur_in + blur_out) / (outer.position - inner.position)
    return inner.position + blur_in / slope, Shape(least=least, slope=slope)


# Points of the curve


def _around(walk: Sampler, vertex: float, step: int) -> list[Position]:
    """Points around a vertex in the order in which they are reached without turning back."""
    points = walk.settings.points
    middle = (points - 1) / 2
    return _in_order(walk, {walk.targets.clamp(round(vertex + (k - middle) * step)) for k in range(points)})


def _in_order(walk: Sampler, positions: set[Position]) -> list[Position]:
    return sorted(positions, key=lambda position: position * walk.arrival)


def _bottom_is_seen(walk: Sampler, fit: Fit) -> bool:
    """Whether some frame is near the vertex: from the arms alone nobody knows how small the stars become."""
    half_width = max(shape_of(fit).half_width, walk.settings.critical_focus_zone_steps)
    return any(
        abs(sample.position - fit.best_position) <= half_width for sample in walk.samples if sample.measurement.usable
    )


def _missing_positions(walk: Sampler, fit: Fit, step: int) -> list[Position]:
    """Return where to go on so that both arms are seen; empty when they are.

    Raises:
        NothingLeft: A limit of the focuser hides an arm, or the exposures are used up.
    """
    kept = [
        sample
        for index, sample in enumerate(walk.progress.samples)
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
        beyond = {walk.targets.clamp(edge + sign * step * k) for k in (1, 2)} - {edge}
        if not beyond:
            side = "inside" if sign < 0 else "outside"
            raise NothingLeft(
                f"Focus seems to lie near position {fit.best_position:.0f}, too close to the limit of the focuser "
                f"at {edge} to see the arm of the V on its {side}. Move the camera or widen the limits."
            )
        needed |= beyond
    if needed:
        walk.check_budget("an arm of the V is still missing")
    return _in_order(walk, needed)
