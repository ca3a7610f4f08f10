"""Simulated frames against what physics says, by other ways than the renderer's."""

import numpy as np
import pytest
from numpy.typing import NDArray

from alpaca_focus.simulator.render import ExposureRequest, OpticalState, Renderer
from alpaca_focus.simulator.settings import SensorSettings, SkySettings, SpectrographSettings, TelescopeSettings
from alpaca_focus.simulator.sky import seeing_for_frame

SIZE = 400
ONE_STAR = SkySettings(star_count=1, sky_mag_per_arcsec2=30.0, sky_gradient=0.0, guiding_rms_arcsec=0.0)
CLEAN = SensorSettings(
    width_px=SIZE, height_px=SIZE, hot_pixel_fraction=0.0, cosmic_rays_per_s=0.0, dark_current_e_per_s=0.0
)
REFRACTOR = TelescopeSettings(aperture_mm=106.0, focal_length_mm=530.0, central_obstruction=0.0)
MIRROR = TelescopeSettings(aperture_mm=203.0, focal_length_mm=1015.0, central_obstruction=0.35)
EXPOSURE = ExposureRequest(exposure_s=2.0, num_x=SIZE, num_y=SIZE)


def star(telescope: TelescopeSettings, defocus_um: float, *, seed: int = 3) -> NDArray[np.float64]:
    renderer = Renderer(telescope, CLEAN, ONE_STAR, SpectrographSettings(), seed)
    state = OpticalState(defocus_um=defocus_um, seeing_fwhm_arcsec=2.5)
    return renderer.expected_electrons(state, EXPOSURE, 0).astype(float)


def growth(image: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances of the pixels from the star's centre, sorted, and the share of light within each."""
    image = image - np.median(image)
    y, x = np.indices(image.shape)
    centre_x, centre_y = (x * image).sum() / image.sum(), (y * image).sum() / image.sum()
    radius = np.hypot(x - centre_x, y - centre_y).ravel()
    order = np.argsort(radius)
    return radius[order], np.cumsum(image.ravel()[order]) / image.sum()


def half_flux_radius(image: NDArray[np.float64]) -> float:
    radius, share = growth(image)
    return float(radius[np.searchsorted(share, 0.5)])


def centred(seed_start: int, telescope: TelescopeSettings, defocus_um: float) -> NDArray[np.float64]:
    """A frame whose only star stands well inside."""
    for seed in range(seed_start, seed_start + 50):
        image = star(telescope, defocus_um, seed=seed)
        row, column = np.unravel_index(np.argmax(image), image.shape)
        if 130 < row < SIZE - 130 and 130 < column < SIZE - 130:
            return image
    raise AssertionError("no star in the middle of fifty frames")


@pytest.mark.parametrize("model", ["geometric", "diffraction"])
@pytest.mark.parametrize("telescope", [REFRACTOR, MIRROR])
def test_far_from_focus_half_of_the_light_is_where_rays_put_it(telescope: TelescopeSettings, model: str) -> None:
    telescope = telescope.model_copy(update={"optical_model": model})
    defocus_um = 1000.0
    image = centred(1, telescope, defocus_um)
    # Rays through the pupil, evenly over its area: the cone is as wide as defocus / N.
    radius_px = defocus_um / 5.0 / 3.76 / 2
    u = np.sqrt(np.linspace(telescope.central_obstruction**2, 1.0, 10001))
    assert half_flux_radius(image) == pytest.approx(float(np.median(u)) * radius_px, rel=0.03)


@pytest.mark.parametrize("model", ["geometric", "diffraction"])
def test_both_sides_of_focus_look_alike_without_aberrations(model: str) -> None:
    telescope = MIRROR.model_copy(update={"optical_model": model})
    for defocus_um in (40.0, 300.0):
        inside, outside = star(telescope, -defocus_um), star(telescope, defocus_um)
        assert half_flux_radius(inside) == pytest.approx(half_flux_radius(outside), rel=0.01)


def test_defocus_does_not_change_the_light_of_a_star() -> None:
    totals = [(image - np.median(image)).sum() for image in (centred(1, REFRACTOR, d) for d in (0.0, 200.0, 900.0))]
    assert totals[1] == pytest.approx(totals[0], rel=0.02)
    assert totals[2] == pytest.approx(totals[0], rel=0.02)


def test_the_ring_has_the_hole_of_the_obstruction() -> None:
    radius, share = growth(centred(1, MIRROR, 1000.0))
    hole_px = 0.35 * 1000.0 / 5.0 / 3.76 / 2
    assert share[np.searchsorted(radius, 0.5 * hole_px)] < 0.02


@pytest.fixture
def renderer() -> Renderer:
    return Renderer(REFRACTOR, CLEAN, SkySettings(), SpectrographSettings(), seed=5)


STATE = OpticalState(defocus_um=50.0, seeing_fwhm_arcsec=2.5)


def test_the_same_seed_and_number_give_the_same_frame_and_another_number_does_not(renderer: Renderer) -> None:
    again = Renderer(REFRACTOR, CLEAN, SkySettings(), SpectrographSettings(), seed=5)
    assert np.array_equal(renderer.render(STATE, EXPOSURE, 7), again.render(STATE, EXPOSURE, 7))
    assert not np.array_equal(renderer.render(STATE, EXPOSURE, 7), again.render(STATE, EXPOSURE, 8))


def test_a_subframe_shows_its_part_of_the_whole(renderer: Renderer) -> None:
    part = ExposureRequest(exposure_s=2.0, num_x=120, num_y=90, start_x=40, start_y=130)
    whole = renderer.expected_electrons(STATE, EXPOSURE, 0)
    assert np.allclose(renderer.expected_electrons(STATE, part, 0), whole[130:220, 40:160], rtol=1e-3, atol=0.05)


def test_noise_grows_as_photons_do() -> None:
    sky = SkySettings(star_count=0, sky_mag_per_arcsec2=14.0, sky_gradient=0.0)
    renderer = Renderer(REFRACTOR, CLEAN, sky, SpectrographSettings(), seed=5)
    means, variances = [], []
    for exposure_s in (1.0, 4.0):
        request = ExposureRequest(exposure_s=exposure_s, num_x=SIZE, num_y=SIZE)
        first, second = (renderer.render(STATE, request, number).astype(float) for number in (1, 2))
        means.append(first.mean())
        variances.append((first - second).var() / 2)
    adu_per_electron = (variances[1] - variances[0]) / (means[1] - means[0])
    assert 1 / adu_per_electron == pytest.approx(CLEAN.gain_e_per_adu, rel=0.05)


@pytest.mark.parametrize("bits", [8, 12, 14, 16])
def test_no_pixel_is_above_what_the_converter_has(bits: int) -> None:
    sensor = CLEAN.model_copy(update={"bit_depth": bits, "full_well_e": 1e6})
    bright = SkySettings(star_count=20, brightest_magnitude=0.0)
    frame = Renderer(REFRACTOR, sensor, bright, SpectrographSettings(), 5).render(STATE, EXPOSURE, 0)
    assert frame.max() == 2**bits - 1
    assert frame.dtype == (np.uint8 if bits == 8 else np.uint16)


def test_darks_and_clouds_have_less_light(renderer: Renderer) -> None:
    light = renderer.render(STATE, EXPOSURE, 0).astype(float)
    dark_request = ExposureRequest(exposure_s=2.0, num_x=SIZE, num_y=SIZE, light=False)
    dark = renderer.render(STATE, dark_request, 0).astype(float)
    clouds = OpticalState(defocus_um=50.0, seeing_fwhm_arcsec=2.5, transmission=0.1)
    cloudy = renderer.render(clouds, EXPOSURE, 0).astype(float)
    assert dark.std() < cloudy.std() < 0.3 * light.std()


def test_a_satellite_leaves_a_trail(renderer: Renderer) -> None:
    trail = OpticalState(defocus_um=50.0, seeing_fwhm_arcsec=2.5, trail=True)
    difference = renderer.expected_electrons(trail, EXPOSURE, 0) - renderer.expected_electrons(STATE, EXPOSURE, 0)
    assert (difference > 0.3 * difference.max()).sum() > 200


def test_seeing_varies_from_frame_to_frame_as_set() -> None:
    sky = SkySettings(seeing_scatter=0.1, seeing_wander=0.0)
    seeing = [seeing_for_frame(sky, 1, number, 30.0 * number) for number in range(2000)]
    assert np.mean(seeing) == pytest.approx(2.5, rel=0.02)
    assert np.std(seeing) / 2.5 == pytest.approx(0.1, rel=0.1)
    assert seeing[3] == seeing_for_frame(sky, 1, 3, 90.0)


def test_the_spectrum_is_narrowest_and_brightest_in_focus() -> None:
    spectrograph = SpectrographSettings(enabled=True)
    sky = SkySettings(guiding_rms_arcsec=0.0, sky_mag_per_arcsec2=25.0)
    renderer = Renderer(MIRROR, CLEAN, sky, spectrograph, seed=5)
    widths, sums = [], []
    for defocus_um in (-400.0, -200.0, 0.0, 200.0, 400.0):
        state = OpticalState(defocus_um=defocus_um, seeing_fwhm_arcsec=2.0)
        profile = np.median(renderer.expected_electrons(state, EXPOSURE, 0), axis=1).astype(float)
        profile -= np.percentile(profile, 20)
        profile[profile < 0.05 * profile.max()] = 0
        rows = np.arange(SIZE)
        middle = np.average(rows, weights=profile)
        widths.append(np.sqrt(np.average((rows - middle) ** 2, weights=profile)))
        sums.append(profile.sum())
    assert np.argmin(widths) == 2
    assert np.argmax(sums) == 2
