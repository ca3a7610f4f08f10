import math

import pytest

from alpaca_focus.core.optics import OpticalTrain


def train(**changes: float) -> OpticalTrain:
    values = {
        "focal_length_mm": 530.0,
        "aperture_mm": 106.0,
        "central_obstruction": 0.0,
        "pixel_size_um": 3.76,
        "step_size_um": 1.0,
    }
    return OpticalTrain(**(values | changes))


def test_critical_focus_zone_of_an_f5_telescope_is_67_micrometres() -> None:
    assert train().critical_focus_zone_um == pytest.approx(67.1, abs=0.05)
    assert train(step_size_um=4.0).critical_focus_zone_steps == pytest.approx(16.8, abs=0.05)


def test_seeing_focus_zone_of_an_f5_telescope() -> None:
    # 0.00225 x 3 x sqrt(10) x 106 x 25, worked out by hand.
    zone_um = train().seeing_focus_zone_um(seeing_fwhm_arcsec=3.0, tolerance_percent=10.0)
    assert zone_um == pytest.approx(56.57, abs=0.01)


@pytest.mark.parametrize(("aperture_mm", "focal_length_mm"), [(106.0, 530.0), (300.0, 1200.0), (80.0, 640.0)])
def test_stars_at_the_edge_of_the_seeing_focus_zone_have_grown_by_the_tolerance(
    aperture_mm: float, focal_length_mm: float
) -> None:
    """Seeing and the blur of defocus add in quadrature; the FWHM of the blur is about 0.6 of its diameter."""
    optics = train(aperture_mm=aperture_mm, focal_length_mm=focal_length_mm)
    half_zone_um = optics.seeing_focus_zone_um(seeing_fwhm_arcsec=2.0, tolerance_percent=5.0) / 2
    blur_um = 0.6 * half_zone_um / optics.focal_ratio
    blur_arcsec = math.degrees(blur_um * 1e-3 / focal_length_mm) * 3600
    assert math.hypot(2.0, blur_arcsec) == pytest.approx(2.0 * 1.05, rel=0.005)


def test_plate_scale_of_a_known_set_up() -> None:
    # 3.76 um at 530 mm: 1.46 arcseconds a pixel, as every field-of-view calculator says.
    assert train().plate_scale_arcsec_per_px == pytest.approx(1.463, abs=0.001)


@pytest.mark.parametrize("obstruction", [0.0, 0.35, 0.5])
def test_slope_is_the_half_flux_diameter_of_a_brute_force_annulus(obstruction: float) -> None:
    defocus_um, optics = 2000.0, train(central_obstruction=obstruction)
    radius_px = defocus_um / optics.focal_ratio / optics.pixel_size_um / 2
    # Rays through the pupil, evenly spread over its area, sorted by their distance from the axis.
    rays = sorted(
        math.hypot(x, y)
        for x in (i / 200 - 1 for i in range(401))
        for y in (j / 200 - 1 for j in range(401))
        if obstruction <= math.hypot(x, y) <= 1
    )
    half_flux_diameter = 2 * rays[len(rays) // 2] * radius_px
    assert optics.hfd_slope_px_per_step * defocus_um == pytest.approx(half_flux_diameter, rel=0.005)
