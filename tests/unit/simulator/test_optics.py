"""Ray optics of the simulator against sums over pixels and rays that are counted one by one."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from alpaca_focus.simulator.psf import geometric_point_spread
from alpaca_focus.simulator.settings import SensorSettings, TelescopeSettings
from alpaca_focus.simulator.telescope_optics import (
    Defocus,
    collecting_area_cm2,
    focus_offset_range_um,
    focus_offset_um,
    local_defocus,
    photons_per_s,
    plate_scale_arcsec_per_px,
)

PIXEL_UM = 4.0


def point(
    defocus: Defocus | float,
    *,
    seeing_px: float = 3.0,
    beta: float = 3.5,
    obstruction: float = 0.35,
    at: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float64]:
    """The image of a star at f/5, `at` px below and right of the middle of its middle pixel."""
    if isinstance(defocus, float):
        defocus = Defocus(x_um=defocus, y_um=defocus)
    spread = geometric_point_spread(
        defocus=defocus,
        focal_ratio=5.0,
        obstruction=obstruction,
        pixel_um=PIXEL_UM,
        seeing_fwhm_px=seeing_px,
        moffat_beta=beta,
    )
    return spread.stamp(*at).astype(float)


def offsets(image: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.indices(image.shape)
    return y - image.shape[0] // 2, x - image.shape[1] // 2


def half_flux_radius(image: NDArray[np.float64]) -> float:
    y, x = offsets(image)
    radius = np.hypot(y, x).ravel()
    order = np.argsort(radius)
    return float(np.interp(0.5 * image.sum(), np.cumsum(image.ravel()[order]), radius[order]))


def rays(
    rng: np.random.Generator, *, defocus_um: float, obstruction: float, seeing_px: float, beta: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where 400 000 photons land, px: drawn over the pupil, then thrown by the air (radius from the Moffat law)."""
    count = 400_000
    pupil = np.sqrt(rng.uniform(obstruction**2, 1.0, count)) * defocus_um / 5.0 / PIXEL_UM / 2.0
    angle = rng.uniform(0.0, 2.0 * math.pi, count)
    core = seeing_px / 2.0 / math.sqrt(2.0 ** (1.0 / beta) - 1.0)
    air = core * np.sqrt(rng.uniform(size=count) ** (-1.0 / (beta - 1.0)) - 1.0)
    turn = rng.uniform(0.0, 2.0 * math.pi, count)
    return pupil * np.sin(angle) + air * np.sin(turn), pupil * np.cos(angle) + air * np.cos(turn)


@pytest.mark.parametrize("defocus_um", [0.0, 30.0, -200.0, 1500.0])
@pytest.mark.parametrize("seeing_px", [0.6, 1.5, 6.0])
def test_a_star_keeps_its_light_wherever_it_stands(
    defocus_um: float, seeing_px: float, rng: np.random.Generator
) -> None:
    for at in [(0.0, 0.0), (1.0, 1.0), *rng.uniform(size=(5, 2))]:
        image = point(defocus_um, seeing_px=seeing_px, at=(float(at[0]), float(at[1])))
        assert image.sum() == pytest.approx(1.0, abs=2e-3)
        assert image.min() >= 0.0


@pytest.mark.parametrize("beta", [2.5, 3.5, 8.0])
def test_the_disc_in_focus_is_a_moffat_disc_seen_by_square_pixels(beta: float) -> None:
    image = point(0.0, seeing_px=2.2, beta=beta)
    # The profile at 20 x 20 points of each of the middle pixels.
    fine = (np.arange(9 * 20) + 0.5) / 20 - 4.5
    core = 2.2 / 2.0 / math.sqrt(2.0 ** (1.0 / beta) - 1.0)
    profile = (1.0 + (fine[:, None] ** 2 + fine**2) / core**2) ** -beta * (beta - 1.0) / (math.pi * core**2)
    expected = profile.reshape(9, 20, 9, 20).mean(axis=(1, 3))
    middle = image.shape[0] // 2
    np.testing.assert_allclose(image[middle - 4 : middle + 5, middle - 4 : middle + 5], expected, rtol=0.01, atol=2e-5)


@pytest.mark.parametrize("seeing_px", [1.5, 2.5, 4.0])
@pytest.mark.parametrize("defocus_um", [0.0, 150.0])
def test_the_centre_of_light_is_where_the_star_stands(
    seeing_px: float, defocus_um: float, rng: np.random.Generator
) -> None:
    for at in rng.uniform(size=(5, 2)):
        image = point(defocus_um, seeing_px=seeing_px, beta=20.0, at=(float(at[0]), float(at[1])))
        y, x = offsets(image)
        assert (y * image).sum() == pytest.approx(at[0], abs=0.01)
        assert (x * image).sum() == pytest.approx(at[1], abs=0.01)


@pytest.mark.parametrize("obstruction", [0.0, 0.35])
@pytest.mark.parametrize("defocus_um", [0.0, 60.0, 250.0, 800.0])
def test_light_within_any_radius_is_that_of_rays_counted_one_by_one(
    obstruction: float, defocus_um: float, rng: np.random.Generator
) -> None:
    image = point(defocus_um, obstruction=obstruction)
    y, x = rays(rng, defocus_um=defocus_um, obstruction=obstruction, seeing_px=3.0, beta=3.5)
    # Photons are counted in pixels, as the stamp has them.
    ray_radius = np.hypot(np.rint(y), np.rint(x))
    radius = np.hypot(*offsets(image))
    for share in (0.1, 0.3, 0.5, 0.8, 0.95):
        limit = float(np.quantile(ray_radius, share)) + 0.3
        assert image[radius < limit].sum() == pytest.approx((ray_radius < limit).mean(), abs=0.006)


def test_second_moments_add_up() -> None:
    # Uniform disc of diameter d: d^2/16 on an axis; annulus: times 1 + obstruction^2; a pixel: 1/12.
    # The Moffat disc is taken so steep that its moment lies within the stamp: alpha^2 / (2 beta - 4).
    beta, seeing_px, diameter_px = 12.0, 3.0, 500.0 / 5.0 / PIXEL_UM
    image = point(500.0, beta=beta, seeing_px=seeing_px)
    _, x = offsets(image)
    core2 = (seeing_px / 2.0) ** 2 / (2.0 ** (1.0 / beta) - 1.0)
    expected = diameter_px**2 / 16.0 * (1.0 + 0.35**2) + 1.0 / 12.0 + core2 / (2.0 * beta - 4.0)
    assert (x**2 * image).sum() == pytest.approx(expected, rel=0.005)


def test_the_ring_has_sharp_edges_where_geometry_puts_them() -> None:
    image = point(2000.0, seeing_px=1.0, beta=8.0)
    middle = image.shape[0] // 2
    across = image[middle, middle:]
    level = np.median(across[across > 0.5 * across.max()])
    bright = np.flatnonzero(across > 0.5 * level)
    outer_px = 2000.0 / (2.0 * 5.0) / PIXEL_UM
    assert bright[-1] == pytest.approx(outer_px, abs=1.0)
    assert bright[0] == pytest.approx(0.35 * outer_px, abs=1.0)
    assert across[: int(0.35 * outer_px) - 4].max() < 0.02 * level


@pytest.mark.parametrize("defocus_um", [10.0, 80.0, 1200.0])
def test_both_sides_of_focus_are_the_same(defocus_um: float) -> None:
    np.testing.assert_array_equal(point(defocus_um), point(-defocus_um))


def test_the_star_grows_steadily_with_defocus() -> None:
    radii = [half_flux_radius(point(d)) for d in (0.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0)]
    assert all(later > earlier for earlier, later in itertools.pairwise(radii))
    # Far out half of the light lies within the circle that halves the annulus' area.
    far_px = 1600.0 / 10.0 / PIXEL_UM * math.sqrt((1.0 + 0.35**2) / 2.0)
    assert radii[-1] == pytest.approx(far_px, rel=0.02)


def test_an_astigmatic_star_is_long_in_one_direction_and_turns_through_focus() -> None:
    telescope = TelescopeSettings(astigmatism_um=200.0)

    def moments(defocus_um: float) -> tuple[float, float]:
        image = point(local_defocus(telescope, defocus_um, 0.0), beta=8.0)
        y, x = offsets(image)
        return float((x**2 * image).sum()), float((y**2 * image).sum())

    x2, y2 = moments(100.0)
    assert x2 > 3.0 * y2
    turned_x2, turned_y2 = moments(-100.0)
    assert (turned_x2, turned_y2) == pytest.approx((y2, x2), rel=1e-3)


def test_plate_scale_and_light_grasp_are_those_of_the_tables() -> None:
    # 1 um at 1000 mm sees 0.206 arcsec; Vega (V = 0) gives some 880 000 photons/s/cm^2 in V.
    telescope = TelescopeSettings(aperture_mm=200.0, focal_length_mm=1000.0, central_obstruction=0.5)
    assert plate_scale_arcsec_per_px(telescope, SensorSettings(pixel_size_um=5.0)) == pytest.approx(1.0313, rel=1e-3)
    assert collecting_area_cm2(telescope) == pytest.approx(235.6, rel=1e-3)
    rates = photons_per_s(telescope, [0.0, 2.5, 5.0])
    np.testing.assert_allclose(rates, 8.8e5 * 235.6 * np.array([1.0, 0.1, 0.01]), rtol=0.01)


def test_curvature_reaches_its_setting_in_the_corners_and_tilt_half_its_setting_at_the_edges() -> None:
    sensor = SensorSettings(width_px=300, height_px=200)
    curved = TelescopeSettings(field_curvature_um=90.0)
    assert focus_offset_um(curved, sensor, 149.5, 99.5) == pytest.approx(0.0, abs=1e-9)
    for corner in ((-0.5, -0.5), (299.5, -0.5), (-0.5, 199.5), (299.5, 199.5)):
        assert focus_offset_um(curved, sensor, *corner) == pytest.approx(90.0)
    tilted = TelescopeSettings(tilt_um_x=60.0, tilt_um_y=-20.0)
    assert focus_offset_um(tilted, sensor, 299.5, 99.5) == pytest.approx(30.0)
    assert focus_offset_um(tilted, sensor, 149.5, -0.5) == pytest.approx(10.0)
    assert focus_offset_range_um(tilted, sensor) == pytest.approx((-40.0, 40.0))


@pytest.mark.parametrize(("width_px", "height_px"), [(400, 400), (600, 200)])
def test_best_focus_of_a_curved_and_tilted_field_is_where_the_mean_square_defocus_is_least(
    width_px: int, height_px: int
) -> None:
    telescope = TelescopeSettings(field_curvature_um=120.0, tilt_um_x=50.0, tilt_um_y=30.0)
    sensor = SensorSettings(width_px=width_px, height_px=height_px)
    y, x = np.mgrid[:height_px, :width_px]
    offset = focus_offset_um(telescope, sensor, x, y)
    positions = np.linspace(-120.0, 120.0, 481)
    mean_square = [np.mean((position + offset) ** 2) for position in positions]
    assert -telescope.field_curvature_um / 3 == pytest.approx(positions[np.argmin(mean_square)], abs=0.5)


def test_a_huge_blur_of_undersampled_stars_stays_small_in_memory_and_exact_in_flux() -> None:
    spread = geometric_point_spread(
        defocus=Defocus(x_um=20000.0, y_um=20000.0),
        focal_ratio=2.0,
        obstruction=0.0,
        pixel_um=4.0,
        seeing_fwhm_px=0.45,
        moffat_beta=3.5,
    )
    assert spread.phases.nbytes < 150e6
    assert spread.stamp(0.4, 0.3).sum(dtype=float) == pytest.approx(1.0, abs=2e-3)
