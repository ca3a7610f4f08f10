"""What two usual programs do, written anew from published descriptions of it: the lines to beat.

Both drive the same devices as our own runs, and measure stars with the same core.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from alpaca_focus.core.values import ExposureSettings, Frame
from alpaca_focus.imaging.star_field import find_stars
from tests.bench.observatory import Observatory

Array = NDArray[np.float64]
Radii = Callable[[Frame], Array]
"""Half-flux radii of the stars of a frame, empty where there are none."""

EXPOSURE = ExposureSettings(exposure_s=3.0)
SETTLE_S = 1.0
RISE = 3.5
"""HFR of the outermost point in times that at focus, as the manual advises 3 to 4."""


def star_radii(frame: Frame) -> Array:
    field = find_stars(
        frame.pixels, saturation_adu=frame.saturation_adu, electrons_per_adu=frame.electrons_per_adu or 1.0
    )
    return np.array([star.hfd_px / 2 for star in field.stars])


@dataclass(frozen=True)
class Usual:
    """How such a run ended; `accepted` is false when it went back to the start."""

    accepted: bool
    exposures: int
    duration_s: float


@dataclass
class _Bench:
    observatory: Observatory
    overshoot_steps: int
    radii: Radii

    async def go(self, position: float) -> None:
        """Go there; outward moves go past it and come back in."""
        focuser = self.observatory.focuser
        if position > await focuser.position() and self.overshoot_steps:
            await focuser.move_to(round(position) + self.overshoot_steps)
        await focuser.move_to(round(position))
        await self.observatory.clock.sleep(SETTLE_S)

    async def look(self) -> Array:
        await self.observatory.camera.expose(EXPOSURE)
        return self.radii(await self.observatory.camera.download())

    def ended(self, *, accepted: bool, exposures: int, began_s: float) -> Usual:
        return Usual(accepted, exposures, self.observatory.clock.monotonic() - began_s)


def outermost_steps(hfd_in_focus_px: float, slope_px_per_step: float) -> float:
    """Return the distance from focus at which the HFR is `RISE` times that at focus."""
    return math.sqrt(RISE**2 - 1) * hfd_in_focus_px / slope_px_per_step


async def nina(observatory: Observatory, *, outermost: float, overshoot_steps: int, radii: Radii = star_radii) -> Usual:
    """The default run of N.I.N.A. 3: 4 steps to each side, star-to-star scatter as error, hyperbola."""
    bench = _Bench(observatory, overshoot_steps, radii)
    began_s, start = observatory.clock.monotonic(), await observatory.focuser.position()
    each_side, step = 4, round(outermost / 4)
    points: dict[int, tuple[float, float]] = {}

    async def take(position: int) -> None:
        await bench.go(position)
        found = await bench.look()
        points[position] = (float(found.mean()), max(float(found.std()), 0.001)) if len(found) else (0.0, 1000.0)

    for k in range(each_side, -1, -1):
        await take(start + k * step)
    while len(points) < 40 and 0 not in points:
        x = sorted(points)
        least = min(x, key=lambda position: sum(points[position]))
        y_least = points[least][0]
        left = [p for p in x if p < least and points[p][0] > y_least + 0.1]
        right = [p for p in x if p > least and points[p][0] > y_least + 0.1]
        dark_left = sum(points[p][0] == 0 for p in x if p < least)
        dark_right = sum(points[p][0] == 0 for p in x if p > least)
        wants_left, wants_right = len(left) + dark_left < each_side, len(right) + dark_right < each_side
        if not (wants_left or wants_right):
            break
        if not left and not right:
            await bench.go(start)
            return bench.ended(accepted=False, exposures=len(points), began_s=began_s)
        await take(x[0] - step if wants_left else x[-1] + step)
    x = np.array(sorted(points), dtype=float)
    y, sigma = np.array([points[int(p)] for p in x]).T
    vertex, r_squared = _grid_searched(x, y, sigma)
    if r_squared < 0.70 or not x[0] <= vertex <= x[-1]:
        await bench.go(start)
        return bench.ended(accepted=False, exposures=len(points), began_s=began_s)
    await bench.go(round(vertex))
    await bench.look()
    return bench.ended(accepted=True, exposures=len(points) + 1, began_s=began_s)


def _grid_searched(x: Array, y: Array, sigma: Array) -> tuple[float, float]:
    """Fit y = a cosh(asinh((p - x) / b)) by a shrinking grid; return p and the unweighted R^2."""
    weight = 1 / sigma
    lit = y > 0
    p, a = float(x[lit][np.argmin(y[lit])]), float(y[lit].min())
    b = a / max(float((y[lit].max() - a) / max(np.ptp(x[lit]), 1.0)), 1e-6)
    ranges = np.array([float(np.ptp(x)), a, b])
    centre = np.array([p, a, b])
    for _ in range(30):
        grids = [np.linspace(c - r / 2, c + r / 2, 21) for c, r in zip(centre, ranges, strict=True)]
        ps, as_, bs = np.meshgrid(*grids, indexing="ij")
        with np.errstate(divide="ignore", invalid="ignore"):
            curve = as_[..., None] * np.sqrt(1 + ((ps[..., None] - x) / bs[..., None]) ** 2)
            cost = np.nansum((weight * (curve - y)) ** 2, axis=-1)
        cost[(as_ <= 0) | (bs <= 0)] = np.inf
        best = np.unravel_index(int(np.argmin(cost)), cost.shape)
        centre = np.array([ps[best], as_[best], bs[best]])
        ranges = ranges / 2
    p, a, b = (float(value) for value in centre)
    fitted = a * np.sqrt(1 + ((p - x) / b) ** 2)
    return p, 1 - float(np.sum((y - fitted) ** 2)) / float(np.sum((y - y.mean()) ** 2))


async def ekos(observatory: Observatory, *, outermost: float, overshoot_steps: int, radii: Radii = star_radii) -> Usual:
    """Ekos' Linear 1 Pass with fixed steps: 11 points inward, hyperbola, one rerun, then accepted."""
    bench = _Bench(observatory, overshoot_steps, radii)
    began_s, start = observatory.clock.monotonic(), await observatory.focuser.position()
    step, exposures = round(outermost / 5), 0
    for attempt in (1, 2):
        x = np.array([start + k * step for k in range(5, -6, -1)], dtype=float)
        y = np.zeros_like(x)
        for index, position in enumerate(x):
            await bench.go(position)
            found = await bench.look()
            exposures += 1
            y[index] = float(found.mean()) if len(found) else np.nan
        vertex, r_squared = _levenberg(x[~np.isnan(y)], y[~np.isnan(y)])
        valid = vertex is not None and 0 <= vertex <= 60000
        await bench.go(round(vertex) if vertex is not None and valid else start)
        await bench.look()
        exposures += 1
        if valid and (r_squared >= 0.8 or attempt == 2):
            return bench.ended(accepted=True, exposures=exposures, began_s=began_s)
        await bench.go(start)
    return bench.ended(accepted=False, exposures=exposures, began_s=began_s)


def _levenberg(x: Array, y: Array) -> tuple[float | None, float]:
    if len(x) < 5:
        return None, 0.0
    lowest = int(np.argmin(y))
    c, half = float(x[lowest]), float(y[lowest]) / 2
    widest = int(np.argmax(np.abs(x - c)))
    rise = max((y[widest] - half) / half, 1.1)
    a = abs(x[widest] - c) / math.sqrt(rise**2 - 1)

    def away(parameters: Array) -> Array:
        a, b, c, d = parameters
        return np.asarray(b * np.sqrt(1 + ((x - c) / a) ** 2) + d - y)

    found = least_squares(away, [a, half, c, half], method="lm", x_scale=[abs(a), half, abs(a), half])
    _, b, c, d = (float(value) for value in found.x)
    if b <= 0 or b + d <= 0:
        return None, 0.0
    return c, 1 - float(np.sum(found.fun**2)) / float(np.sum((y - y.mean()) ** 2))
