"""Focus from a frame on each arm of a V-curve that is known from earlier runs."""

from collections.abc import Sequence

from alpaca_focus.core.curves.known_curve import CHANCE, KnownCurve, fit_known_curve
from alpaca_focus.core.sweep.plan import Plan
from alpaca_focus.core.sweep.sampler import Sampler
from alpaca_focus.core.values import Fit, Sample

PAIR_RISE = 3.0
"""Value at the frames of a pair over the minimum: there one frame constrains the vertex best."""
PAIR_STDERR_CFZ = 0.1
"""Standard error at which a pair, with any further frames, is enough, as a share of the critical focus zone."""
MOST_FRAMES = 6
LEAST_CHANCE = 0.001
"""Probability of frames this far from the known curve below which they contradict it."""


def pair_focus(sampler: Sampler, curve: KnownCurve) -> Plan[Fit | None]:
    """Find focus from a frame on each arm of the known curve, and further ones if these are not enough.

    The first frame is on the side towards which targets are approached, so that only the move to the second one takes
    up backlash, and the move from there to focus needs no reversal.

    Returns:
        The fit, or `None` if the known curve does not lead to focus.
    """
    side = sampler.arrival
    rise = PAIR_RISE * curve.least
    first_target = sampler.targets.clamp(round(curve.expected_position + side * curve.distance(rise, side)))
    first = yield from sampler.sample(first_target, "pair", ahead=round(curve.expected_position))
    if not first.measurement.usable:
        return None
    vertex = first.position - side * curve.distance(first.measurement.value, side)
    return (yield from more_frames(sampler, curve, vertex))


def more_frames(sampler: Sampler, curve: KnownCurve, vertex: float) -> Plan[Fit | None]:
    """Add frames on the arm that has fewer until they agree and focus is certain enough.

    The sampler has at least one usable frame; the vertex is the expected focus.

    Returns:
        The fit, or `None` if the known curve does not lead to focus.
    """
    side = sampler.arrival
    rise = PAIR_RISE * curve.least
    while len(sampler.samples) < MOST_FRAMES:
        usable = [sample for sample in sampler.samples if sample.measurement.usable]
        beyond = sum((sample.position - vertex) * side > 0 for sample in usable)
        before = sum((sample.position - vertex) * side < 0 for sample in usable)
        sign = -side if beyond >= before else side
        target = sampler.targets.clamp(round(vertex + sign * curve.distance(rise, sign)))
        if target == sampler.here:
            return None
        # On the way to the vertex, short of the vertex by as much as the frame may still shift it.
        sample = yield from sampler.sample(target, "pair", ahead=round(target + 0.6 * (vertex - target)))
        if not sample.measurement.usable:
            return None
        fit = agreed(sampler.samples, curve)
        if fit is None:
            continue
        fit = sampler.accept(fit)
        vertex = fit.best_position
        positions = [each.position for each in sampler.samples if each.measurement.usable]
        on_both_arms = min(positions) < vertex < max(positions)
        if on_both_arms and fit.best_position_stderr <= PAIR_STDERR_CFZ * sampler.critical_focus_zone_steps:
            return fit
    return None


def agreed(samples: Sequence[Sample], curve: KnownCurve) -> Fit | None:
    """Return the fit of the known curve, or `None` if the frames contradict it.

    Of four frames or more, one that contradicts the others is left out.
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
