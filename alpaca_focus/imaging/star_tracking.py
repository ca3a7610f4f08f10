"""Tracks the same stars through the frames of a run, which shows when clouds dim them.

The stars are matched by their positions, which guiding errors shift all alike.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.curves.ring_mode import DEFOCUS, STDERR
from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.robust import robust_sigma
from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.imaging.ring_fit import fit_rings
from alpaca_focus.imaging.star_field import Flag, MeasuredStars
from alpaca_focus.imaging.stars import find_frame_stars, summarise_stars

Array = NDArray[np.float64]

LARGEST_SHIFT_PX = 60.0
"""Largest shift of the whole field, on either axis, at which stars are matched."""
NEAR_PX, NEAR_HFD = 2.0, 0.35
"""Largest distance of a star from its expected position: so many pixels plus so much of its size."""
FEWEST_SAME = 6
"""Matched stars needed to measure a frame by them alone."""
SAME_SHARE = 0.5
"""Share of a frame's stars that must be matched to measure the frame by them alone."""
TOGETHER = 0.25
"""Largest relative scatter of the light that matched stars lose: a cloud dims all alike, another field does not."""
FEW_SATURATED = 0.2
"""Share of saturated candidates above which the light of the others is not judged, since it may be clipped as well."""


@dataclass(frozen=True, slots=True)
class Stars:
    """Positions on the full sensor and light of stars, each array of shape (n,)."""

    x_px: Array
    y_px: Array
    flux_per_s: Array

    @classmethod
    def of(cls, field: MeasuredStars, frame: Frame) -> "Stars":
        """Return the positions and the light of a frame's stars."""
        return cls(
            np.array([star.x_px + frame.left_px for star in field.stars]),
            np.array([star.y_px + frame.top_px for star in field.stars]),
            np.array([star.flux_adu for star in field.stars]) / frame.exposure_s,
        )


class StarTracker:
    """Measures the HFD of the frames of one run, by their common stars where there are enough.

    The details of a measurement have `transmission`, the median light of the matched stars relative to the first frame
    with stars, where enough stars are matched, all have lost the same share, and few are saturated in either frame.
    With `rings`, the details of frames with rings also have the defocus fitted to them.

    Args:
        rings: The optics, if rings are to be fitted.
    """

    def __init__(self, rings: OpticalTrain | None = None) -> None:
        self._first: Stars | None = None
        self._is_first_saturated = False
        self._rings = rings

    def __call__(self, frame: Frame) -> Measurement:
        """Measure one frame; never raises."""
        field = find_frame_stars(frame)
        measured = self._tracked(frame, field)
        rings = None if self._rings is None or field is None else fit_rings(frame, field, self._rings)
        if self._rings is None or rings is None:
            return measured
        steps = {
            DEFOCUS: rings.defocus_um / self._rings.step_size_um,
            STDERR: rings.stderr_um / self._rings.step_size_um,
        }
        return replace(measured, details=MappingProxyType({**measured.details, **steps}))

    def _tracked(self, frame: Frame, field: MeasuredStars | None) -> Measurement:
        if field is None or not field.stars or not frame.exposure_s > 0:
            return summarise_stars(frame, field)
        stars = Stars.of(field, frame)
        if self._first is None:
            measured = summarise_stars(frame, field)
            if measured.usable:
                self._first, self._is_first_saturated = stars, _is_saturated(field)
            return measured
        hfd_px = float(np.median([star.hfd_px for star in field.stars]))
        there, here = matched(self._first, stars, NEAR_PX + NEAR_HFD * hfd_px)
        if not len(here):
            return summarise_stars(frame, field)
        shares = stars.flux_per_s[here] / self._first.flux_per_s[there]
        if len(here) >= FEWEST_SAME and len(here) >= SAME_SHARE * len(field.stars):
            field = replace(field, stars=tuple(field.stars[index] for index in here))
        measured = summarise_stars(frame, field)
        if len(here) < FEWEST_SAME or self._is_first_saturated or _is_saturated(field) or not _are_alike(shares):
            return measured
        details = {**measured.details, "transmission": float(np.median(shares))}
        return replace(measured, details=MappingProxyType(details))


def _is_saturated(field: MeasuredStars) -> bool:
    saturated = field.left_out.get(Flag.SATURATED, 0)
    return saturated > FEW_SATURATED * (saturated + len(field.stars))


def _are_alike(shares: Array) -> bool:
    middle = float(np.median(shares))
    return robust_sigma([float(share) for share in shares], middle) <= TOGETHER * middle


def matched(first: Stars, second: Stars, near_px: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Match the stars of two frames by the shift that most pairs of stars agree on.

    Args:
        first: Stars of one frame.
        second: Stars of the other.
        near_px: Largest distance of a star from its shifted position.

    Returns:
        Indices into both, of equal length; empty if no shift matches three stars, or all of fewer.
    """
    nothing = np.zeros(0, dtype=np.intp)
    if not len(first.x_px) or not len(second.x_px):
        return nothing, nothing
    dx = second.x_px[None, :] - first.x_px[:, None]
    dy = second.y_px[None, :] - first.y_px[:, None]
    candidates = np.argwhere((np.abs(dx) <= LARGEST_SHIFT_PX) & (np.abs(dy) <= LARGEST_SHIFT_PX))
    if not len(candidates):
        return nothing, nothing
    shift_x, shift_y = dx[tuple(candidates.T)], dy[tuple(candidates.T)]
    apart = np.hypot(shift_x[:, None] - shift_x, shift_y[:, None] - shift_y)
    agree = apart <= near_px
    best = int(np.argmax(agree.sum(axis=1)))
    same = agree[best]
    centre_x, centre_y = np.median(shift_x[same]), np.median(shift_y[same])
    away = np.hypot(dx - centre_x, dy - centre_y)
    nearest = np.argmin(away, axis=1)
    there = np.flatnonzero((away[np.arange(len(nearest)), nearest] <= near_px) & _mutual(away, nearest))
    if len(there) < min(3, len(first.x_px), len(second.x_px)):
        return nothing, nothing
    return there, nearest[there]


def _mutual(away: Array, nearest: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return for each first star whether it is also the nearest one to its nearest star."""
    return np.asarray(np.argmin(away, axis=0)[nearest] == np.arange(len(nearest)))
