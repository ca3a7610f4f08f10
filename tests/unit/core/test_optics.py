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
