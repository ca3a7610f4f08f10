"""Simulated frames against physics, computed by other methods than those of the renderer."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from alpaca_focus.simulator.render import OpticalState, Renderer, RenderRequest
from alpaca_focus.simulator.settings import SensorSettings, SkySettings, SpectrographSettings, TelescopeSettings
from alpaca_focus.simulator.sky import guiding_shift_arcsec, seeing_for_frame, star_field
from tests.simulated_light import expected_electrons

SIZE = 400
ONE_STAR = SkySettings(star_count=1, sky_mag_per_arcsec2=30.0, sky_gradient=0.0, guiding_rms_arcsec=0.0)
CLEAN = SensorSettings(
    width_px=SIZE, height_px=SIZE, hot_pixel_fraction=0.0, cosmic_rays_per_s=0.0, dark_current_e_per_s=0.0
)
REFRACTOR = TelescopeSettings(aperture_mm=106.0, focal_length_mm=530.0, central_obstruction=0.0)
MIRROR = TelescopeSettings(aperture_mm=203.0, focal_length_mm=1015.0, central_obstruction=0.35)
EXPOSURE = RenderRequest(exposure_s=2.0, num_x=SIZE, num_y=SIZE)


def star(telescope: TelescopeSettings, defocus_um: float, *, seed: int = 3) -> NDArray[np.float64]:
    renderer = Renderer(telescope, CLEAN, ONE_STAR, SpectrographSettings(), seed)
    state = OpticalState(defocus_um=defocus_um, seeing_fwhm_arcsec=2.5)
    return expected_electrons(renderer, state, EXPOSURE, 0).astype(float)


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
def test_both_sides_of_focus_are_alike_without_aberrations(model: str) -> None:
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
    part = RenderRequest(exposure_s=2.0, num_x=120, num_y=90, start_x=40, start_y=130)
    whole = expected_electrons(renderer, STATE, EXPOSURE, 0)
    assert np.allclose(expected_electrons(renderer, STATE, part, 0), whole[130:220, 40:160], rtol=1e-3, atol=0.05)


def test_noise_grows_as_photons_do() -> None:
    sky = SkySettings(star_count=0, sky_mag_per_arcsec2=14.0, sky_gradient=0.0)
    renderer = Renderer(REFRACTOR, CLEAN, sky, SpectrographSettings(), seed=5)
    means, variances = [], []
    for exposure_s in (1.0, 4.0):
        request = RenderRequest(exposure_s=exposure_s, num_x=SIZE, num_y=SIZE)
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
    dark_request = RenderRequest(exposure_s=2.0, num_x=SIZE, num_y=SIZE, light=False)
    dark = renderer.render(STATE, dark_request, 0).astype(float)
    clouds = OpticalState(defocus_um=50.0, seeing_fwhm_arcsec=2.5, transmission=0.1)
    cloudy = renderer.render(clouds, EXPOSURE, 0).astype(float)
    assert dark.std() < cloudy.std() < 0.3 * light.std()


def test_a_satellite_leaves_a_trail(renderer: Renderer) -> None:
    trail = OpticalState(defocus_um=50.0, seeing_fwhm_arcsec=2.5, trail=True)
    difference = expected_electrons(renderer, trail, EXPOSURE, 0) - expected_electrons(renderer, STATE, EXPOSURE, 0)
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
        profile = np.median(expected_electrons(renderer, state, EXPOSURE, 0), axis=1).astype(float)
        profile -= np.percentile(profile, 20)
        profile[profile < 0.05 * profile.max()] = 0
        rows = np.arange(SIZE)
        middle = np.average(rows, weights=profile)
        widths.append(np.sqrt(np.average((rows - middle) ** 2, weights=profile)))
        sums.append(profile.sum())
    assert np.argmin(widths) == 2
    assert np.argmax(sums) == 2


def frame_of(
    *,
    telescope: TelescopeSettings = MIRROR,
    sensor: SensorSettings = CLEAN,
    sky: SkySettings = ONE_STAR,
    state: OpticalState = STATE,
    request: RenderRequest = EXPOSURE,
    number: int = 0,
) -> NDArray[np.float64]:
    """Expected electrons of a frame of an observatory of its own."""
    renderer = Renderer(telescope, sensor, sky, SpectrographSettings(), seed=5)
    return expected_electrons(renderer, state, request, number).astype(float)


def second_moment(image: NDArray[np.float64], x_px: float, y_px: float, reach_px: int = 40) -> float:
    """Mean squared distance of the light from its centre of light, in a window about a place."""
    rows, columns = (slice(round(at) - reach_px, round(at) + reach_px + 1) for at in (y_px, x_px))
    y, x = np.mgrid[rows, columns]
    light = image[rows, columns]
    light = light / light.sum()
    return float((((x - (x * light).sum()) ** 2 + (y - (y * light).sum()) ** 2) * light).sum())


def test_a_star_brings_the_photons_of_its_magnitude() -> None:
    # V = 8 through 203 mm less 35 % of obstruction in 2 s at 80 %: 880 000 photons/s/cm^2 at V = 0.
    pupil_cm2 = np.pi / 4.0 * (20.3**2 - (0.35 * 20.3) ** 2)
    expected = 8.8e5 * pupil_cm2 * 10.0 ** (-0.4 * 8.0) * 2.0 * 0.8
    assert centred(1, MIRROR, 30.0).sum() == pytest.approx(expected, rel=0.01)


def test_the_sky_is_as_bright_as_set_and_leans_by_its_gradient() -> None:
    sky = SkySettings(star_count=0, sky_mag_per_arcsec2=18.0, sky_gradient=0.4)
    image = frame_of(sky=sky)
    pixel_arcsec2 = (206.265 * 3.76 / 1015.0) ** 2
    pupil_cm2 = np.pi / 4.0 * (20.3**2 - (0.35 * 20.3) ** 2)
    assert image.mean() == pytest.approx(8.8e5 * pupil_cm2 * 10.0**-7.2 * pixel_arcsec2 * 2.0 * 0.8, rel=0.01)
    assert (image[-1, -1] - image[0, 0]) / image.mean() == pytest.approx(0.4, rel=0.02)


@pytest.mark.parametrize("transmission", [0.0, 0.3, 1.0])
def test_clouds_dim_the_stars_and_brighten_the_sky(transmission: float) -> None:
    def parts(passed: float) -> tuple[float, float]:
        sky = SkySettings(star_count=1, sky_gradient=0.0, cloud_glow=2.0)
        state = OpticalState(defocus_um=0.0, seeing_fwhm_arcsec=2.5, transmission=passed)
        background = frame_of(sky=sky.model_copy(update={"star_count": 0}), state=state)
        return float((frame_of(sky=sky, state=state) - background).sum()), float(background.mean())

    (clear_stars, clear_sky), (stars, sky) = parts(1.0), parts(transmission)
    assert stars == pytest.approx(transmission * clear_stars, rel=1e-3, abs=1.0)
    assert sky == pytest.approx(clear_sky * (1.0 + 2.0 * (1.0 - transmission)), rel=1e-3)


def test_a_filter_takes_its_share_of_all_light() -> None:
    half = OpticalState(defocus_um=50.0, seeing_fwhm_arcsec=2.5, filter_transmission=0.5)
    sky = SkySettings()
    np.testing.assert_allclose(frame_of(sky=sky, state=half), 0.5 * frame_of(sky=sky), rtol=1e-5)


def test_a_dark_frame_has_no_stars_whatever_the_sky() -> None:
    dark = RenderRequest(exposure_s=60.0, num_x=SIZE, num_y=SIZE, light=False)
    sensor = CLEAN.model_copy(update={"dark_current_e_per_s": 0.5})
    np.testing.assert_array_equal(frame_of(sensor=sensor, sky=SkySettings(star_count=500), request=dark), 30.0)


@pytest.mark.parametrize(
    "bent", [{"field_curvature_um": 900.0}, {"field_curvature_um": -900.0}, {"tilt_um_x": 300.0, "tilt_um_y": 300.0}]
)
def test_stars_in_the_corners_are_large_when_the_field_is_curved_or_tilted(bent: dict[str, float]) -> None:
    telescope = MIRROR.model_copy(update=bent)
    state = OpticalState(defocus_um=0.0, seeing_fwhm_arcsec=2.5)
    near, far = [], []
    for field in range(60):
        renderer = Renderer(telescope, CLEAN, ONE_STAR, SpectrographSettings(), seed=5)
        stars = star_field(ONE_STAR, CLEAN, 5, field)
        x, y = float(stars.x_px[0]), float(stars.y_px[0])
        if not (45 < x < SIZE - 45 and 45 < y < SIZE - 45):
            continue
        image = expected_electrons(renderer, replace(state, pointing_seed=field), EXPOSURE, 0).astype(float)
        # Along the diagonal both curvature and this tilt shift the focus.
        along = abs(x - SIZE / 2 + y - SIZE / 2) / 2.0
        across = abs(x - y) / 2.0
        if along > 90.0:
            far.append(second_moment(image, x, y))
        elif along < 30.0 and across < 30.0:
            near.append(second_moment(image, x, y))
    assert min(far) > 1.3 * max(near)


def test_a_colour_sensor_sees_red_green_green_blue(rng: np.random.Generator) -> None:
    sensor = CLEAN.model_copy(update={"bayer": True})
    sky = SkySettings(star_count=0, sky_gradient=0.0, sky_mag_per_arcsec2=16.0)
    mono, colour = frame_of(sky=sky), frame_of(sky=sky, sensor=sensor)
    share = colour / mono
    assert np.ptp(share[0::2, 0::2]) < 1e-5
    assert share[0, 1] == pytest.approx(share[1, 0])
    assert len({round(float(value), 3) for value in (share[0, 0], share[0, 1], share[1, 1])}) == 3
    # A subframe that begins at an odd column or row keeps the colours of the sensor's own pixels.
    x, y = (int(value) for value in rng.integers(0, 100, 2))
    for start_x, start_y in ((x, y), (x + 1, y), (x, y + 1)):
        part = RenderRequest(exposure_s=2.0, num_x=51, num_y=33, start_x=start_x, start_y=start_y)
        crop = frame_of(sky=SkySettings(), sensor=sensor, request=part)
        whole = frame_of(sky=SkySettings(), sensor=sensor)[start_y : start_y + 33, start_x : start_x + 51]
        np.testing.assert_allclose(crop, whole, rtol=1e-5)


@pytest.mark.parametrize("defocus_um", [0.0, 700.0])
@pytest.mark.parametrize("model", ["geometric", "diffraction"])
def test_subframes_with_stars_and_a_trail_are_crops_of_the_whole(defocus_um: float, model: str) -> None:
    telescope = MIRROR.model_copy(update={"optical_model": model, "field_curvature_um": 100.0})
    state = OpticalState(defocus_um=defocus_um, seeing_fwhm_arcsec=2.5, trail=True)
    whole = frame_of(telescope=telescope, sky=SkySettings(), state=state)
    for x, y, width, height in ((0, 0, 17, 400), (133, 77, 160, 99), (390, 395, 10, 5)):
        part = RenderRequest(exposure_s=2.0, num_x=width, num_y=height, start_x=x, start_y=y)
        crop = frame_of(telescope=telescope, sky=SkySettings(), state=state, request=part)
        np.testing.assert_allclose(crop, whole[y : y + height, x : x + width], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("number", range(6))
def test_a_trail_is_straight_and_carries_the_light_of_its_speed(number: int) -> None:
    sky = ONE_STAR.model_copy(update={"star_count": 0, "satellite_magnitude": 2.0, "satellite_speed_arcsec_per_s": 400})
    state = OpticalState(defocus_um=0.0, seeing_fwhm_arcsec=2.5, trail=True)
    image = frame_of(sky=sky, state=state, number=number)
    image -= np.median(image)
    # The main axis of the light; what lies far from it is next to nothing.
    y, x = np.indices(image.shape)
    light = np.clip(image, 0.0, None) / np.clip(image, 0.0, None).sum()
    dx, dy = x - (x * light).sum(), y - (y * light).sum()
    angle = 0.5 * np.arctan2(2.0 * (dx * dy * light).sum(), (dx**2 * light).sum() - (dy**2 * light).sum())
    distance = dy * np.cos(angle) - dx * np.sin(angle)
    assert light[np.abs(distance) > 12.0].sum() < 0.02
    # Electrons on a px of length: the star's rate over the speed.
    scale = 206.265 * 3.76 / 1015.0
    pupil_cm2 = np.pi / 4.0 * (20.3**2 - (0.35 * 20.3) ** 2)
    per_px = 8.8e5 * pupil_cm2 * 10.0 ** (-0.4 * 2.0) * 0.8 * scale / 400.0
    middle = np.abs(dx * np.cos(angle) + dy * np.sin(angle)) < 40.0
    assert image[middle].sum() == pytest.approx(80.0 * per_px, rel=0.03)


def test_the_field_shakes_by_the_guiding_error() -> None:
    # 2 arcsec at 0.764 arcsec a px.
    sky = ONE_STAR.model_copy(update={"guiding_rms_arcsec": 2.0})
    shifts = np.array([guiding_shift_arcsec(sky, 5, number) for number in range(3000)])
    np.testing.assert_allclose(shifts.std(axis=0), 2.0, rtol=0.06)
    centres = []
    for number in (0, 1):
        image = frame_of(sky=sky, number=number)
        row, column = np.unravel_index(np.argmax(image), image.shape)
        centres.append((float(column), float(row)))
    moved_arcsec = (np.array(centres[1]) - centres[0]) * 206.265 * 3.76 / 1015.0
    np.testing.assert_allclose(moved_arcsec, shifts[1] - shifts[0], atol=0.8)


def test_many_faint_and_few_bright_stars_by_a_power_law() -> None:
    sky = SkySettings(star_count=20000, magnitude_slope=0.4, brightest_magnitude=7.0)
    field = star_field(sky, CLEAN, 5, 0)
    assert field.magnitude[0] == field.magnitude.min() == 7.0
    counts = [np.count_nonzero(field.magnitude < limit) for limit in (15.0, 16.0, 17.0)]
    assert np.diff(np.log10(counts)) == pytest.approx([0.4, 0.4], abs=0.03)
    for places in (field.x_px, field.y_px):
        assert np.histogram(places, bins=4, range=(-0.5, SIZE - 0.5))[0] == pytest.approx([5000] * 4, rel=0.06)
    assert not np.array_equal(field.x_px, star_field(sky, CLEAN, 5, 1).x_px)


def test_a_cluster_gathers_its_stars_in_the_middle() -> None:
    sky = SkySettings(star_count=4000, cluster_fraction=1.0, cluster_radius=0.1)
    field = star_field(sky, CLEAN, 5, 0)
    distance = np.hypot(field.x_px - (SIZE - 1) / 2.0, field.y_px - (SIZE - 1) / 2.0)
    assert np.sqrt((distance**2).mean()) == pytest.approx(0.1 * SIZE, rel=0.05)


def test_seeing_wanders_slowly_and_never_falls_to_nothing() -> None:
    wander = SkySettings(seeing_scatter=0.0, seeing_wander=0.1)
    nights = [[seeing_for_frame(wander, night, 0, 60.0 * minute) for minute in range(600)] for night in range(30)]
    assert np.std(nights) / 2.5 == pytest.approx(0.1, rel=0.1)
    assert np.abs(np.diff(nights, axis=1)).max() < 0.2 * 2.5
    wild = SkySettings(seeing_scatter=0.5, seeing_wander=0.5)
    assert min(seeing_for_frame(wild, 1, number, 0.0) for number in range(3000)) > 0.0


@pytest.mark.parametrize("mode", ["sum", "average"])
def test_binned_frames_have_the_light_of_their_pixels(mode: str) -> None:
    sensor = CLEAN.model_copy(update={"binning_mode": mode, "read_noise_e": 0.0})
    request = RenderRequest(exposure_s=2.0, num_x=60, num_y=40, start_x=20, start_y=30, binning_x=3, binning_y=2)
    renderer = Renderer(MIRROR, sensor, SkySettings(sky_mag_per_arcsec2=13.0), SpectrographSettings(), seed=5)
    frame = renderer.render(STATE, request, 0).astype(float)
    expected = expected_electrons(renderer, STATE, request, 0)
    assert frame.shape == (40, 60)
    assert expected.shape == (80, 180)
    adu = expected.reshape(40, 2, 60, 3).sum(axis=(1, 3)) / sensor.gain_e_per_adu + 6 * 100.0
    if mode == "average":
        adu /= 6.0
    assert np.median(frame / adu) == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize("start", [(-1, 0), (0, -1), (350, 0), (0, 350)])
def test_a_subframe_that_does_not_fit_is_refused(start: tuple[int, int], renderer: Renderer) -> None:
    request = RenderRequest(exposure_s=1.0, num_x=51, num_y=51, start_x=start[0], start_y=start[1])
    with pytest.raises(ValueError, match="does not fit"):
        renderer.render(STATE, request, 0)


def test_a_tall_frame_is_rendered_in_bands_without_seams() -> None:
    sensor = CLEAN.model_copy(update={"width_px": 2000, "height_px": 1300, "read_noise_e": 0.0})
    request = RenderRequest(exposure_s=2.0, num_x=2000, num_y=1300)
    sky = SkySettings(star_count=30, sky_mag_per_arcsec2=14.0)
    renderer = Renderer(MIRROR, sensor, sky, SpectrographSettings(), seed=5)
    frame = renderer.render(STATE, request, 0).astype(float)
    expected = expected_electrons(renderer, STATE, request, 0)
    by_row = (
        (frame - 100.0).mean(axis=1) * sensor.gain_e_per_adu / np.minimum(expected, sensor.full_well_e).mean(axis=1)
    )
    assert np.abs(by_row - 1.0).max() < 0.01
