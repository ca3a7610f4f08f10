"""Wave optics of the simulator against textbook figures and direct integration."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, special

from alpaca_focus.simulator.psf import PointSpread
from alpaca_focus.simulator.telescope_optics import ARCSEC_PER_RADIAN, Defocus
from alpaca_focus.simulator.wavefront import (
    Wave,
    diffraction_point_spread,
    fried_parameter_m,
    noll_indices,
    structure_function,
    zernike,
)

FOCAL_RATIO = 8.0
WAVELENGTH_UM = 0.55
APERTURE_M = 0.4
SPHERICAL = 11


def spread(
    defocus_um: float = 0.0,
    *,
    pixel_um: float = 4.0,
    seeing_arcsec: float = 2.0,
    obstruction: float = 0.3,
    zernike_waves: dict[int, float] | None = None,
    bandwidth_um: float = 0.0,
    aperture_m: float = APERTURE_M,
    outer_scale_m: float | None = None,
) -> PointSpread:
    wave = Wave(
        aperture_m=aperture_m,
        focal_ratio=FOCAL_RATIO,
        obstruction=obstruction,
        zernike=zernike_waves or {},
        wavelength_um=WAVELENGTH_UM,
        bandwidth_um=bandwidth_um,
        fried_m=fried_parameter_m(seeing_arcsec / ARCSEC_PER_RADIAN, WAVELENGTH_UM),
        outer_scale_m=outer_scale_m,
    )
    seeing_px = seeing_arcsec / ARCSEC_PER_RADIAN * aperture_m * FOCAL_RATIO * 1e6 / pixel_um
    return diffraction_point_spread(
        defocus=Defocus(x_um=defocus_um, y_um=defocus_um), wave=wave, pixel_um=pixel_um, seeing_fwhm_px=seeing_px
    )


def image_of(point: PointSpread, at: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float64]:
    return point.stamp(*at).astype(float)


def offsets(image: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.indices(image.shape)
    return y - image.shape[0] // 2, x - image.shape[1] // 2


def fwhm_px(image: NDArray[np.float64]) -> float:
    """Full width at half maximum of the row through the middle."""
    middle = image.shape[0] // 2
    right = image[middle, middle:]
    outside = int(np.argmax(right < 0.5 * right[0]))
    return 2.0 * (outside - (0.5 * right[0] - right[outside]) / (right[outside - 1] - right[outside]))


def half_flux_radius(image: NDArray[np.float64]) -> float:
    radius = np.hypot(*offsets(image)).ravel()
    order = np.argsort(radius)
    return float(np.interp(0.5 * image.sum(), np.cumsum(image.ravel()[order]), radius[order]))


@pytest.mark.parametrize("defocus_um", [0.0, 120.0, -900.0])
def test_a_star_keeps_its_light(defocus_um: float, rng: np.random.Generator) -> None:
    point = spread(defocus_um)
    for at in rng.uniform(size=(4, 2)):
        image = image_of(point, (float(at[0]), float(at[1])))
        y, x = offsets(image)
        assert image.sum() == pytest.approx(1.0, abs=5e-3)
        near = np.hypot(y, x) < 0.7 * image.shape[0] / 2
        assert (y * image)[near].sum() / image[near].sum() == pytest.approx(at[0], abs=0.03)
        assert (x * image)[near].sum() / image[near].sum() == pytest.approx(at[1], abs=0.03)


def long_exposure_fwhm_rad(aperture_m: float, fried_m: float) -> float:
    """FWHM behind a clear pupil by the Hankel integral of its transfer function times that of the air (Fried 1966)."""
    wavelength_m = WAVELENGTH_UM * 1e-6
    separation_m = np.linspace(0.0, aperture_m, 4001)
    share = separation_m / aperture_m
    telescope = 2.0 / math.pi * (np.arccos(share) - share * np.sqrt(1.0 - share**2))
    transfer = telescope * np.exp(-3.44 * (separation_m / fried_m) ** (5.0 / 3.0)) * separation_m
    angle = np.linspace(0.0, 1.5 * wavelength_m / fried_m, 1500)
    kernel = special.j0(2.0 * math.pi * angle[:, np.newaxis] * separation_m / wavelength_m)
    profile = integrate.trapezoid(kernel * transfer, separation_m, axis=1)
    return 2.0 * float(np.interp(-0.5 * profile[0], -profile, angle))


@pytest.mark.parametrize("aperture_m", [0.2, 1.0])
@pytest.mark.parametrize("seeing_arcsec", [1.5, 3.0])
def test_a_long_exposure_is_as_wide_as_the_seeing_and_the_telescope_make_it(
    seeing_arcsec: float, aperture_m: float
) -> None:
    pixel_um = 0.08 * seeing_arcsec / ARCSEC_PER_RADIAN * aperture_m * FOCAL_RATIO * 1e6
    point = spread(aperture_m=aperture_m, seeing_arcsec=seeing_arcsec, pixel_um=pixel_um, obstruction=0.0)
    fwhm_arcsec = fwhm_px(image_of(point)) * 0.08 * seeing_arcsec
    fried_m = 0.98 * WAVELENGTH_UM * 1e-6 * ARCSEC_PER_RADIAN / seeing_arcsec
    assert fwhm_arcsec == pytest.approx(long_exposure_fwhm_rad(aperture_m, fried_m) * ARCSEC_PER_RADIAN, rel=0.015)
    if aperture_m == 1.0:
        assert fwhm_arcsec == pytest.approx(seeing_arcsec, rel=0.04)


def test_without_seeing_the_image_is_the_airy_disc() -> None:
    # 84 % of the light is within the first dark ring, at 1.22 lambda N; a stamp has not room for all of the wings.
    image = image_of(spread(seeing_arcsec=0.02, obstruction=0.0, pixel_um=1.0))
    radius = np.hypot(*offsets(image))
    first_dark_px = 1.22 * WAVELENGTH_UM * FOCAL_RATIO
    assert image[radius < first_dark_px].sum() == pytest.approx(0.838, abs=0.03)
    ring = (radius > first_dark_px - 0.5) & (radius < first_dark_px + 0.5)
    assert image[ring].mean() < 0.015 * image.max()


def test_pixels_larger_than_the_disc_gather_what_small_pixels_would() -> None:
    # A large pixel is the sum of small ones, whatever the frequencies that it aliases.
    coarse = image_of(spread(pixel_um=20.0, seeing_arcsec=0.3, obstruction=0.0))
    fine = image_of(spread(pixel_um=4.0, seeing_arcsec=0.3, obstruction=0.0))
    middle = fine.shape[0] // 2
    expected = fine[middle - 17 : middle + 18, middle - 17 : middle + 18].reshape(7, 5, 7, 5).sum(axis=(1, 3))
    middle = coarse.shape[0] // 2
    np.testing.assert_allclose(coarse[middle - 3 : middle + 4, middle - 3 : middle + 4], expected, rtol=0.03, atol=1e-3)


@pytest.mark.parametrize("bandwidth_um", [0.0, 0.1])
def test_the_ring_has_the_size_given_by_ray_optics(bandwidth_um: float) -> None:
    image = image_of(spread(4000.0, seeing_arcsec=0.6, bandwidth_um=bandwidth_um))
    middle = image.shape[0] // 2
    across = image[middle - 3 : middle + 4, middle:].mean(axis=0)
    outer_px = 4000.0 / (2.0 * FOCAL_RATIO) / 4.0
    plateau = np.median(across[int(0.45 * outer_px) : int(0.8 * outer_px)])
    # Light falls to a quarter at the edge of a shadow (Fresnel), not to a half. Poisson's spot is in the middle.
    dark = np.flatnonzero(across < 0.25 * plateau)
    assert dark[dark < 0.6 * outer_px].max() == pytest.approx(0.3 * outer_px, abs=2.0)
    assert dark[dark > 0.6 * outer_px].min() == pytest.approx(outer_px, abs=2.0)


def test_without_aberrations_both_sides_of_focus_are_the_same() -> None:
    inside, outside = image_of(spread(-300.0)), image_of(spread(300.0))
    assert half_flux_radius(inside) == pytest.approx(half_flux_radius(outside), rel=1e-3)
    np.testing.assert_allclose(inside, outside, atol=1e-5)


def test_spherical_aberration_parts_the_two_sides_of_focus() -> None:
    inside = image_of(spread(-600.0, seeing_arcsec=1.0, zernike_waves={SPHERICAL: 0.4}))
    outside = image_of(spread(600.0, seeing_arcsec=1.0, zernike_waves={SPHERICAL: 0.4}))
    assert abs(half_flux_radius(inside) / half_flux_radius(outside) - 1.0) > 0.05
    assert np.abs(inside - outside).sum() > 0.2


def test_coma_makes_a_star_lopsided_along_one_axis_only() -> None:
    image = image_of(spread(seeing_arcsec=0.5, zernike_waves={8: 0.3}))
    left_right = np.abs(image - image[:, ::-1]).sum()
    up_down = np.abs(image - image[::-1]).sum()
    assert left_right > 0.2
    assert up_down < 0.01


def test_zernike_defocus_is_undone_by_moving_the_sensor() -> None:
    # 1 wave rms of Noll 4 is 2 sqrt(3) waves from centre to edge; the wavefront of defocus d is d / (8 N^2) there.
    shift_um = 2.0 * math.sqrt(3.0) * WAVELENGTH_UM * 8.0 * FOCAL_RATIO**2
    sharp = image_of(spread(seeing_arcsec=0.5)).max()
    moved = {
        sign: image_of(spread(sign * shift_um, seeing_arcsec=0.5, zernike_waves={4: 1.0})).max() for sign in (-1, 1)
    }
    assert moved[-1] == pytest.approx(sharp, rel=0.01)
    assert moved[1] < 0.2 * sharp


def test_nolls_order_of_the_polynomials() -> None:
    # Noll 1976, table 1; sine terms negative.
    table = {1: (0, 0), 2: (1, 1), 3: (1, -1), 4: (2, 0), 5: (2, -2), 6: (2, 2), 7: (3, -1), 8: (3, 1)}
    table |= {9: (3, -3), 10: (3, 3), 11: (4, 0), 12: (4, 2), 13: (4, -2), 14: (4, 4), 15: (4, -4), 22: (6, 0)}
    assert {j: noll_indices(j) for j in table} == table


def test_zernike_polynomials_are_orthonormal_on_the_disc() -> None:
    # Gauss points along the radius squared and even steps in angle integrate these polynomials exactly.
    node, weight = np.polynomial.legendre.leggauss(20)
    radius = np.sqrt((node + 1.0) / 2.0)[:, np.newaxis]
    angle = (np.arange(32) * 2.0 * math.pi / 32)[np.newaxis, :]
    radius, angle = np.broadcast_arrays(radius, angle)
    area = np.broadcast_to(weight[:, np.newaxis] / 2.0 / 32, radius.shape)
    values = np.array([zernike(j, radius, angle) for j in range(1, 37)])
    gram = np.einsum("iab,jab,ab->ij", values, values, area)
    np.testing.assert_allclose(gram, np.eye(36), atol=1e-9)


def test_the_structure_function_is_the_integral_over_the_power_spectrum() -> None:
    # von Karman: W(k) = 0.0229 r0^(-5/3) (k^2 + 1/L0^2)^(-11/6), D(r) = 4 pi int W k (1 - J0(2 pi k r)) dk.
    fried_m, outer_scale_m = 0.1, 20.0

    def spectrum(k: float, r: float) -> float:
        strength = 0.0229 * fried_m ** (-5.0 / 3.0) * (k**2 + outer_scale_m**-2) ** (-11.0 / 6.0)
        return float(4.0 * math.pi * strength * k * (1.0 - special.j0(2.0 * math.pi * k * r)))

    for separation_m in (0.05, 0.4, 3.0):
        low, _ = integrate.quad(spectrum, 0.0, 10.0 / separation_m, args=(separation_m,), limit=500)
        high, _ = integrate.quad(spectrum, 10.0 / separation_m, 4000.0 / separation_m, args=(separation_m,), limit=4000)
        computed = structure_function(np.array([separation_m]), fried_m, outer_scale_m)[0]
        assert computed == pytest.approx(low + high, rel=0.01)


def test_a_very_large_outer_scale_is_kolmogorov_and_a_small_one_sharpens_the_star() -> None:
    separation_m = np.array([0.005, 0.01, 0.02])
    kolmogorov = structure_function(separation_m, 0.1, None)
    np.testing.assert_allclose(structure_function(separation_m, 0.1, 1000.0), kolmogorov, rtol=0.06)
    sizes = [half_flux_radius(image_of(spread(outer_scale_m=scale))) for scale in (5.0, 30.0, None)]
    assert sizes[0] < sizes[1] < sizes[2]
