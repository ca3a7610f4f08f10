"""Figures of one focus run: what they show is computed by the program's own functions."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.curves.curve_models import curve_value
from alpaca_focus.core.curves.hyperbola import fit_hyperbola, point_errors
from alpaca_focus.core.curves.known_curve import KnownCurve, fit_known_curve
from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.values import Measurement, Sample
from alpaca_focus.imaging.ring_template import RingTemplates
from alpaca_focus.imaging.stars import measure_stars
from tools.manual.drawing import BLUE, GREEN, INK, ORANGE, RED, SEED, TRAIN, Drawing

Array = NDArray[np.float64]

OBSTRUCTED = OpticalTrain(
    focal_length_mm=1624, aperture_mm=203, central_obstruction=0.35, pixel_size_um=3.76, step_size_um=1.0
)
BEST, SEEING_PX = 25000, 2.4


def _measured(value: float, stderr: float = 0.03) -> Measurement:
    return Measurement(metric="hfd", value=value, stderr=stderr, star_count=40)


def _curve(positions: Array, seeing_px: float = SEEING_PX, vertex: float = BEST) -> Array:
    return np.hypot(seeing_px, TRAIN.hfd_slope_px_per_step * (positions - vertex))


def _hyperbola(figure: Any) -> None:
    chance = np.random.default_rng(SEED)
    positions = np.linspace(BEST - 250, BEST + 250, 9)
    seeing_px = SEEING_PX * (1 + 0.08 * chance.standard_normal(len(positions)))
    values = np.hypot(seeing_px, TRAIN.hfd_slope_px_per_step * (positions - BEST))
    values[6] += 3.4
    samples = [
        Sample(position=round(position), measurement=_measured(float(value)), purpose="sweep")
        for position, value in zip(positions, values, strict=True)
    ]
    fit = fit_hyperbola(samples)
    errors = point_errors(values, np.full(len(values), 0.03), fit.best_value)
    axes = figure.subplots()
    along = np.linspace(BEST - 290, BEST + 290, 200)
    axes.plot(along, [curve_value(each, fit) for each in along], color=BLUE, label="hyperbola through the points")
    slope = fit.parameters["slope"]
    axes.plot(along, slope * np.abs(along - fit.best_position), color=INK, lw=0.8, ls="--", label="defocus alone")
    axes.axhline(fit.best_value, color=INK, lw=0.8, ls=":", label=f"seeing alone, {fit.best_value:.2f} px")
    kept = [index for index in range(len(samples)) if index not in fit.rejected]
    out = list(fit.rejected)
    axes.errorbar(positions[kept], values[kept], errors[kept], fmt="o", ms=5, color=ORANGE, label="frames")
    axes.plot(positions[out], values[out], "x", ms=8, mew=2, color=RED, label="left out: a gust of wind")
    axes.axvspan(
        fit.best_position - 1.96 * fit.best_position_stderr,
        fit.best_position + 1.96 * fit.best_position_stderr,
        color=GREEN,
        alpha=0.35,
        lw=0,
        label=f"best {fit.best_position:.1f} ± {fit.best_position_stderr:.1f} (95 % within the band)",
    )
    axes.set(xlabel="position, steps of 1 µm", ylabel="HFD, px", ylim=(0, 12))
    figure.legend(loc="outside upper center", fontsize=8.5, ncols=2)


def _errors(figure: Any) -> None:
    positions = np.linspace(BEST - 300, BEST + 300, 200)
    values = _curve(positions)
    own = np.full(len(values), 0.03)
    defocus = (positions - BEST) / TRAIN.critical_focus_zone_steps
    axes = figure.subplots()
    axes.plot(defocus, point_errors(values, own, SEEING_PX), color=BLUE, label="what the weights use")
    axes.plot(defocus, 0.1 * SEEING_PX**2 / values, color=ORANGE, ls="--", label="10 % of scatter of the seeing")
    axes.plot(defocus, 0.006 * values, color=GREEN, ls="--", label="0.6 % that no hyperbola describes")
    axes.plot(defocus, own, color=RED, ls="--", label="noise of the stars, here 0.03 px")
    axes.set(xlabel="distance from focus, critical focus zones", ylabel="error of a point, px", ylim=(0, 0.29))
    axes.legend(fontsize=8.5, loc="upper right", ncols=2)


def _stars(fwhm_px: float, chance: np.random.Generator) -> tuple[Array, float]:
    """Return a frame of Gaussian stars on square pixels, and their true HFD, which is the FWHM."""
    size, cells, sigma = 384, 5, fwhm_px / 2.3548
    frame = chance.normal(400.0, 5.0, (size, size))
    half = math.ceil(5 * sigma) + 2
    for y in range(32, size - 31, 40):
        for x in range(32, size - 31, 40):
            centre_x, centre_y = (each + chance.uniform(-0.5, 0.5) for each in (x, y))
            fine = (np.arange((2 * half + 1) * cells) + 0.5) / cells - half - 0.5
            along = [np.exp(-0.5 * ((fine - (c - round(c))) / sigma) ** 2) for c in (centre_x, centre_y)]
            light = [each.reshape(-1, cells).mean(axis=1) / (sigma * math.sqrt(2 * math.pi)) for each in along]
            stamp = 40_000 * np.outer(light[1], light[0])
            rows = slice(round(centre_y) - half, round(centre_y) + half + 1)
            frame[rows, round(centre_x) - half : round(centre_x) + half + 1] += stamp
    return frame, fwhm_px


def _hfd(figure: Any) -> None:
    chance = np.random.default_rng(SEED)
    truths, ours, plain = [], [], []
    for fwhm_px in (1.5, 1.8, 2.2, 2.7, 3.3, 4.0, 5.0, 6.5, 8.0):
        frame, truth = _stars(fwhm_px, chance)
        measured = measure_stars(np.clip(frame, 0, 65535).astype(np.uint16), saturation_adu=65535.0)
        truths.append(truth)
        ours.append(100 * (measured.value / truth - 1))
        # A pixel spreads its light evenly: 1/12 px^2 in each direction, once on the sensor and once in the sum.
        plain.append(100 * (math.hypot(truth, 2.3548 * math.sqrt(2 / 12)) / truth - 1))
    axes = figure.subplots()
    axes.plot(truths, plain, "o-", color=ORANGE, label="on the pixels as they are")
    axes.plot(truths, ours, "s-", color=BLUE, label="of the light, as alpaca-focus measures it")
    axes.axhline(0, color=INK, lw=0.8)
    axes.set(xlabel="true HFD before any pixel, px", ylabel="measured too large by, %", ylim=(-3, 22))
    axes.legend(fontsize=9)


def _zone(figure: Any) -> None:
    ratios = np.linspace(3, 12, 100)
    axes = figure.subplots()

    def of(ratio: float) -> OpticalTrain:
        return OpticalTrain(
            focal_length_mm=200 * ratio, aperture_mm=200, central_obstruction=0, pixel_size_um=3.76, step_size_um=1
        )

    axes.plot(ratios, [of(each).critical_focus_zone_um for each in ratios], color=BLUE, label="classic")
    for seeing, dashes in ((2.0, "--"), (4.0, ":")):
        zone = [of(each).seeing_focus_zone_um(seeing_fwhm_arcsec=seeing, tolerance_percent=10) for each in ratios]
        axes.plot(ratios, zone, color=ORANGE, ls=dashes, label=f'seeing {seeing:g}", 10 % growth, 200 mm of aperture')
    axes.set(xlabel="focal ratio N", ylabel="full width of the zone, µm", ylim=(0, 450))
    axes.legend(fontsize=9)


def _pair(figure: Any) -> None:
    slope = TRAIN.hfd_slope_px_per_step
    known = KnownCurve(slope_in=slope, slope_out=slope, slope_error=0.01, least=SEEING_PX, expected_position=BEST + 40)
    axes = figure.subplots()
    along = np.linspace(BEST - 230, BEST + 230, 200)
    places = np.array([BEST - 110, BEST + 190])
    for seeing_px, colour, name in ((SEEING_PX, BLUE, "usual seeing"), (1.6 * SEEING_PX, ORANGE, "seeing 60 % worse")):
        values = _curve(places.astype(float), seeing_px)
        samples = [
            Sample(position=int(position), measurement=_measured(float(value)), purpose="pair")
            for position, value in zip(places, values, strict=True)
        ]
        fit = fit_known_curve(samples, known)
        axes.plot(along, _curve(along, seeing_px), color=colour, lw=1.2)
        error = fit.best_position_stderr
        label = f"{name}: pair gives {fit.best_position:.1f} ± {error:.1f}"
        axes.plot(places, values, "o", color=colour, label=label)
        # One frame alone, with the seeing taken for the usual one.
        alone = places[1] - known.distance(float(values[1]), 1)
        axes.plot([alone], [0.5], "v", color=colour, label=f"{name}: right frame alone gives {alone:.1f}")
    axes.axvline(BEST, color=GREEN, lw=1.2, label=f"the truth, {BEST}")
    axes.set(xlabel="position, steps of 1 µm", ylabel="HFD, px", ylim=(0, 10))
    figure.legend(loc="outside upper center", fontsize=8.5, ncols=2)


def _rings(figure: Any) -> None:
    radii_px = np.linspace(0, 24, 150)
    zone_um = OBSTRUCTED.critical_focus_zone_um
    templates = RingTemplates(OBSTRUCTED, largest_defocus_um=6 * zone_um).at(radii_px)
    axes = figure.subplots()
    for zones, colour in ((0.0, INK), (2.0, BLUE), (4.0, ORANGE), (6.0, GREEN)):
        profile = templates.profile(zones * zone_um, 2.5)
        scale = 0.25 if zones == 0 else 1.0
        label = "in focus, a quarter as high" if zones == 0 else f"{zones:.0f} critical focus zones away"
        axes.plot(radii_px, 1000 * scale * profile, color=colour, label=label)
    axes.set(xlabel="distance from the star's centre, px", ylabel="light in a pixel, ‰ of the star", ylim=(0, None))
    axes.legend(fontsize=9)


DRAWINGS: Mapping[str, Drawing] = MappingProxyType(
    {
        "hyperbola": Drawing(
            "A V-curve of nine frames with error bars. A hyperbola goes through eight of them; one that lies far above "
            "it is left out. Its least value is the seeing's, its arms approach two straight lines. A narrow band "
            "marks the best position with its error.",
            _hyperbola,
            3.9,
        ),
        "errors": Drawing(
            "The error of a point against its distance from focus. Near focus the scatter of the seeing makes almost "
            "all of it, a quarter of a pixel; on the arms it is less than half of that.",
            _errors,
        ),
        "hfd": Drawing(
            "By how much the HFD is measured too large against the true one. On the pixels as they are 18 per cent at "
            "1.5 pixels and 1 per cent at 8. As alpaca-focus measures it, within about one per cent everywhere.",
            _hfd,
        ),
        "zone": Drawing(
            "The critical focus zone against the focal ratio. The classic one grows from 24 micrometres at f/3 to 390 "
            "at f/12. For 200 mm of aperture that of 2 arcseconds of seeing is hardly wider, that of 4 twice as wide.",
            _zone,
        ),
        "pair": Drawing(
            "Two V-curves, one in usual seeing, one in worse. A frame on each arm gives the same best position. "
            "A single frame is 16 steps off where the seeing is worse.",
            _pair,
            3.9,
        ),
        "rings": Drawing(
            "Light against the distance from a star's centre for an obstructed telescope: a narrow peak in focus, and "
            "rings that become wider and fainter 2, 4 and 6 critical focus zones away.",
            _rings,
        ),
    }
)
