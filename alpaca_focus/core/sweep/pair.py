"""Focus from a frame on each arm of a V-curve that is known from earlier runs."""

from collections.abc import Sequence

from alpaca_focus.core.curves.known_curve import CHANCE, KnownCurve, fit_known_curve
from alpaca_focus.core.sweep.plan import Plan
from alpaca_focus.core.sweep.sampler import Sampler
from alpaca_focus.core.values import Fit, Position, Sample

PAIR_RISE = 3.0
"""Where the frames of a pair are taken, in times the least value: there one frame tells most about the vertex."""
PAIR_STDERR_CFZ = 0.1
"""Standard error at which a pair, or what it has grown to, is enough, as a share of the critical focus zone."""
MOST_FRAMES = 6
LEAST_CHANCE = 0.001
"""Probability by which frames may be so far from the known curve below which they contradict it."""


def pair_focus(walk: Sampler, curve: KnownCurve) -> Plan[Fit | None]:
    """Find focus from a frame on each arm of the known curve, and further ones where these are not enough.

    The first frame is on the side on which targets are arrived at without turning round, so that only the way to
    the second one takes up slack, and the way on to focus needs no turn.

    Returns:
        The fit, or `None` when the known curve does not lead to focus.
    """
    side = walk.arrival
    rise = PAIR_RISE * curve.least
    first_target = walk.targets.clamp(round(curve.expected_position + side * curve.distance(rise, side)))
    first = yield from walk.sample(first_target, "pair", ahead=round(curve.expected_position))
    if not first.measurement.usable:
        return None
    vertex = first.position - side * curve.distance(first.measurement.value, side)
    return (yield from more_frames(walk, curve, vertex))


def more_frames(walk: Sampler, curve: KnownCurve, vertex: float) -> Plan[Fit | None]:
    """Go on with frames on the arm that has fewer until they agree and say focus well enough.

    Args:
        walk: With at least one usable frame.
        curve: What is known.
        vertex: Where focus is expected by now.

    Returns:
        The fit, or `None` when the known curve does not lead to focus.
    """
    side = walk.arrival
    rise = PAIR_RISE * curve.least
    while len(walk.samples) < MOST_FRAMES:
        usable = [sample for sample in walk.samples if sample.measurement.usable]
        beyond = sum((sample.position - vertex) * side > 0 for sample in usable)
        before = sum((sample.position - vertex) * side < 0 for sample in usable)
        sign = -side if beyond >= before else side
        target = walk.targets.clamp(round(vertex + sign * curve.distance(rise, sign)))
        if target == walk.here:
            return None
        sample = yield from walk.sample(target, "pair", ahead=_towards(vertex, target))
        if not sample.measurement.usable:
            return None
        fit = agreed(walk.samples, curve)
        if fit is None:
            continue
        fit = walk.accept(fit)
        vertex = fit.best_position
        kept = [each.position for each in walk.samples if each.measurement.usable]
        both = min(kept) < vertex < max(kept)
        if both and fit.best_position_stderr <= PAIR_STDERR_CFZ * walk.settings.critical_focus_zone_steps:
            return fit
    return None


def agreed(samples: Sequence[Sample], curve: KnownCurve) -> Fit | None:
    """Fit the known curve; with four frames or more, one that contradicts the others is left out.

    Returns:
        The fit, or `None` when the frames contradict the curve, or one another.
    """
    fit = fit_known_curve(samples, curve)
    if fit.parameters[CHANCE] >= LEAST_CHANCE:
        return fit
    usable = [index for index, sample in enumerate(samples) if sample.measurement.usable]
    if len(usable) < 4:
        return None
    without = [fit_known_curve(samples, curve, leave_out=(index,)) for index in usable]
    best = max(without, key=lambda each: each.parameters[CHANCE])
    return best if best.parameters[CHANCE] >= LEAST_CHANCE else None


def _towards(vertex: float, position: Position) -> Position:
    """Return a place on the way back to the vertex, short of it by what the frame may still move it."""
    return round(position + 0.6 * (vertex - position))
