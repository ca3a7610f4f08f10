"""The simulated slit spectrograph against sums over a drawn star, and against what an observer sees."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from alpaca_focus.simulator.psf import geometric_point_spread
from alpaca_focus.simulator.render import OpticalState, Renderer, RenderRequest
from alpaca_focus.simulator.settings import (
    SensorSettings,
    SkySettings,
    SpectralLine,
    SpectrographSettings,
    TelescopeSettings,
)
from alpaca_focus.simulator.spectrograph import Slit, black_body, line_image, slit_profile, wavelength_of_column_nm
from alpaca_focus.simulator.telescope_optics import Defocus
from tests.simulated_light import expected_electrons

WIDTH, HEIGHT = 500, 300
SENSOR = SensorSettings(
    width_px=WIDTH, height_px=HEIGHT, hot_pixel_fraction=0.0, cosmic_rays_per_s=0.0, dark_current_e_per_s=0.0
)
NO_SKY = SkySettings(guiding_rms_arcsec=0.0, sky_mag_per_arcsec2=30.0)
STAR_ONLY = SpectrographSettings(enabled=True, sky_lines=(), slant_deg=0.0)
WHOLE = RenderRequest(exposure_s=4.0, num_x=WIDTH, num_y=HEIGHT)


def frame(
    spectrograph: SpectrographSettings = STAR_ONLY,
    *,
    sky: SkySettings = NO_SKY,
    defocus_um: float = 0.0,
    seeing_arcsec: float = 2.0,
    transmission: float = 1.0,
    request: RenderRequest = WHOLE,
    number: int = 0,
) -> NDArray[np.float64]:
    renderer = Renderer(TelescopeSettings(), SENSOR, sky, spectrograph, seed=4)
    state = OpticalState(defocus_um=defocus_um, seeing_fwhm_arcsec=seeing_arcsec, transmission=transmission)
    return expected_electrons(renderer, state, request, number).astype(float)


def trace(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row of the centre of light of each column."""
    return np.asarray((np.arange(image.shape[0])[:, np.newaxis] * image).sum(axis=0) / image.sum(axis=0))


def half_maximum_width(profile: NDArray[np.float64]) -> float:
    """Distance of the outermost crossings of half the maximum."""
    above = np.flatnonzero(profile > 0.5 * profile.max())
    first, last = above[0], above[-1]
    half = 0.5 * profile.max()
    left = first - (profile[first] - half) / (profile[first] - profile[first - 1])
    return float(last + (profile[last] - half) / (profile[last] - profile[last + 1]) - left)


def slit(
    *,
    width_px: float = 5.0,
    blur_px: float = 0.0,
    seeing_px: float = 3.0,
    decentre_px: float = 0.0,
    camera_fwhm_px: float = 1.8,
) -> Slit:
    return Slit(
        blur_across_px=blur_px,
        blur_along_px=blur_px,
        obstruction=0.35,
        seeing_fwhm_px=seeing_px,
        moffat_beta=3.5,
        width_px=width_px,
        decentre_px=decentre_px,
        camera_fwhm_px=camera_fwhm_px,
    )


@pytest.mark.parametrize("blur_px", [0.0, 8.0, 40.0])
@pytest.mark.parametrize("decentre_px", [0.0, 2.0])
def test_the_slit_passes_the_columns_of_the_stars_image_that_it_covers(blur_px: float, decentre_px: float) -> None:
    # The star drawn with pixels of a tenth of a row: the slit is a sum over some of its columns.
    fine = geometric_point_spread(
        defocus=Defocus(x_um=blur_px, y_um=blur_px),
        focal_ratio=1.0,
        obstruction=0.35,
        pixel_um=0.1,
        seeing_fwhm_px=30.0,
        moffat_beta=3.5,
    ).stamp(0.0, 0.0)
    middle = fine.shape[1] // 2 + round(10.0 * decentre_px)
    passed = fine[:, middle - 25 : middle + 25].sum(axis=1) / 2.0 + fine[:, middle - 24 : middle + 26].sum(axis=1) / 2.0
    profile = slit_profile(slit(width_px=5.0, blur_px=blur_px, decentre_px=decentre_px, camera_fwhm_px=1e-3))
    assert profile.throughput == pytest.approx(passed.sum(), abs=0.005)
    row = fine.shape[0] // 2
    for offset_px in (0, 3, 10):
        expected = passed[row + 10 * offset_px - 5 : row + 10 * offset_px + 5].sum()
        seen = np.interp(offset_px - 0.05, profile.offset_px, profile.density)
        assert seen == pytest.approx(expected, rel=0.02, abs=2e-4)


def test_the_profile_adds_up_to_the_throughput() -> None:
    for width_px in (1.0, 5.0, 40.0):
        profile = slit_profile(slit(width_px=width_px, blur_px=6.0))
        for phase in (0.0, 0.3):
            rows = np.arange(-60, 61) + phase
            total = np.interp(rows, profile.offset_px, profile.density, left=0.0, right=0.0).sum()
            assert total == pytest.approx(profile.throughput, rel=0.005)
    assert slit_profile(slit(width_px=300.0)).throughput == pytest.approx(1.0, abs=0.003)


def test_the_spectrum_is_narrowest_in_focus_and_wider_step_by_step_on_both_sides() -> None:
    widths = {d: half_maximum_width(frame(defocus_um=float(d)).sum(axis=1)) for d in range(-300, 301, 50)}
    assert min(widths, key=lambda d: widths[d]) == 0
    for defocus_um in range(0, 300, 50):
        assert widths[defocus_um + 50] > widths[defocus_um]
        assert widths[-defocus_um] == pytest.approx(widths[defocus_um], rel=1e-3)


def test_in_focus_the_profile_is_that_of_photons_thrown_one_by_one(rng: np.random.Generator) -> None:
    # Seeing of 2 arcsec (Moffat, beta 3.5) at 0.6 arcsec a row; a slit of 3 arcsec; 1.8 px of the camera's own blur.
    count = 1_000_000
    core_px = 2.0 / 0.6 / 2.0 / math.sqrt(2.0 ** (1.0 / 3.5) - 1.0)
    radius = core_px * np.sqrt(rng.uniform(size=count) ** (-1.0 / 2.5) - 1.0)
    angle = rng.uniform(0.0, 2.0 * math.pi, count)
    passes = np.abs(radius * np.cos(angle)) < 2.5
    rows = (HEIGHT - 1) / 2.0 + radius * np.sin(angle) + rng.normal(0.0, 1.8 / 2.3548, count)
    thrown = np.histogram(rows[passes], bins=np.arange(HEIGHT + 1) - 0.5)[0].astype(float)
    seen = frame().sum(axis=1)
    assert half_maximum_width(seen) == pytest.approx(half_maximum_width(thrown), rel=0.02)
    np.testing.assert_allclose(seen / seen.sum(), thrown / thrown.sum(), atol=0.002)


def test_light_through_the_slit_falls_with_defocus_and_with_seeing() -> None:
    by_defocus = [frame(defocus_um=d).sum() for d in (0.0, 40.0, 80.0, 160.0, 320.0, 640.0)]
    by_seeing = [frame(seeing_arcsec=s).sum() for s in (1.0, 1.5, 2.0, 3.0, 5.0)]
    for sums in (by_defocus, by_seeing):
        assert all(b < 0.995 * a for a, b in itertools.pairwise(sums))


def test_the_star_leaves_the_slit_when_guiding_is_poor() -> None:
    poor = NO_SKY.model_copy(update={"guiding_rms_arcsec": 4.0})
    sums = [frame(sky=poor, number=number).sum() for number in range(20)]
    assert max(sums) < 1.001 * frame().sum()
    assert min(sums) < 0.5 * max(sums)


@pytest.mark.parametrize("slant_deg", [-2.0, 0.3, 5.0])
def test_the_slant_moves_the_star_along_the_trace(slant_deg: float) -> None:
    image = frame(STAR_ONLY.model_copy(update={"slant_deg": slant_deg}))
    slope, row = np.polyfit(np.arange(WIDTH) - (WIDTH - 1) / 2.0, trace(image), 1)
    assert math.degrees(math.atan(slope)) == pytest.approx(slant_deg, abs=0.02)
    assert row == pytest.approx((HEIGHT - 1) / 2.0, abs=0.05)


def test_the_star_stands_where_it_is_set() -> None:
    image = frame(STAR_ONLY.model_copy(update={"spatial_position": 0.3}))
    assert trace(image)[WIDTH // 2] == pytest.approx(0.3 * HEIGHT - 0.5, abs=0.05)


@pytest.mark.parametrize("line_tilt_deg", [0.0, 3.0])
def test_sky_lines_cross_the_slit_at_their_wavelength(line_tilt_deg: float) -> None:
    line = SpectralLine(wavelength_nm=580.0, photons_per_s=100.0)
    spectrograph = SpectrographSettings(
        enabled=True, sky_lines=(line,), star_magnitude=25.0, slit_length_arcsec=120.0, line_tilt_deg=line_tilt_deg
    )
    image = frame(spectrograph)
    lit = image.sum(axis=1) > 0.5 * image.sum(axis=1).max()
    assert np.count_nonzero(lit) == pytest.approx(120.0 / 0.6, abs=1)
    rows = np.flatnonzero(lit)
    columns = (image[rows] * np.arange(WIDTH)).sum(axis=1) / image[rows].sum(axis=1)
    # 590 nm in the middle, 0.2 nm a column.
    slope, column = np.polyfit(rows - (HEIGHT - 1) / 2.0, columns, 1)
    assert column == pytest.approx((WIDTH - 1) / 2.0 - 50.0, abs=0.1)
    assert slope == pytest.approx(math.tan(math.radians(line_tilt_deg)), abs=1e-3)
    # 100 photons/s for 4 s, efficiency 0.3, quantum efficiency 0.8, response near its peak.
    assert image[rows[5:-5]].sum(axis=1) == pytest.approx(96.0, rel=0.01)


def test_sky_lines_do_not_widen_with_the_telescopes_focus() -> None:
    spectrograph = SpectrographSettings(enabled=True, star_magnitude=25.0)
    np.testing.assert_allclose(frame(spectrograph), frame(spectrograph, defocus_um=500.0), atol=1e-2)


@pytest.mark.parametrize("slit_px", [0.5, 2.0, 7.0])
def test_a_line_is_a_box_blurred_by_a_bell(slit_px: float, rng: np.random.Generator) -> None:
    photons = rng.uniform(-slit_px / 2.0, slit_px / 2.0, 400_000) + rng.normal(0.0, 2.0 / 2.3548, 400_000)
    counts = np.histogram(photons - 0.3, bins=np.arange(-10.5, 11.0))[0] / photons.size
    np.testing.assert_allclose(line_image(np.arange(-10, 11) + 0.3, slit_px, 2.0), counts, atol=0.005)


def test_a_hot_star_is_blue_and_a_cool_star_is_red() -> None:
    wavelength_nm = np.array([450.0, 750.0])
    for temperature_k, blue in ((20000.0, True), (3000.0, False)):
        light = black_body(wavelength_nm, temperature_k)
        assert (light[0] > light[1]) is np.bool_(blue)
    # Wien's law for photons: the peak is at 3.6697 mm K.
    fine_nm = np.arange(300.0, 1500.0)
    assert fine_nm[np.argmax(black_body(fine_nm, 5000.0))] == pytest.approx(733.9, abs=1.5)


def test_the_hydrogen_line_is_dark_at_its_wavelength() -> None:
    spectrum = frame(STAR_ONLY.model_copy(update={"central_wavelength_nm": 656.28})).sum(axis=0)
    middle = (WIDTH - 1) / 2.0
    columns = np.arange(round(middle) - 25, round(middle) + 26)
    continuum = np.interp(columns, (columns[0], columns[-1]), (spectrum[columns[0]], spectrum[columns[-1]]))
    missing = 1.0 - spectrum[columns] / continuum
    assert missing.max() > 0.25
    assert np.average(columns, weights=np.clip(missing, 0.0, None)) == pytest.approx(middle, abs=0.5)


def test_wavelength_grows_by_the_dispersion() -> None:
    columns = np.array([0.0, (WIDTH - 1) / 2.0, WIDTH - 1.0])
    expected = [590.0 - 249.5 * 0.2, 590.0, 590.0 + 249.5 * 0.2]
    np.testing.assert_allclose(wavelength_of_column_nm(STAR_ONLY, SENSOR, columns), expected)


def test_clouds_dim_the_star_and_a_subframe_is_a_part_of_the_spectrum() -> None:
    whole = frame(SpectrographSettings(enabled=True))
    part = RenderRequest(exposure_s=4.0, num_x=200, num_y=90, start_x=130, start_y=101)
    crop = frame(SpectrographSettings(enabled=True), request=part)
    np.testing.assert_allclose(crop, whole[101:191, 130:330], rtol=1e-5, atol=1e-4)
    assert frame(transmission=0.25).sum() == pytest.approx(0.25 * frame().sum(), rel=0.01)
