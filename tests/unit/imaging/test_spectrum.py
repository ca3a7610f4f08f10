"""2D spectra drawn for the purpose: what is measured against what was drawn."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from alpaca_focus.imaging.spectrum import SpectrumFlag, SpectrumSettings, TraceAxis, measure_spectrum
from tests.drawn_spectra import as_frame, drawn_spectrum

SPECTRA = 120


@pytest.mark.parametrize("fwhm_px", [2.0, 3.0, 5.0, 10.0, 20.0])
@pytest.mark.parametrize("slant", [0.0, 0.02])
def test_width_light_and_position_agree_with_the_drawn_ones(
    fwhm_px: float, slant: float, rng: np.random.Generator
) -> None:
    drawn = drawn_spectrum(rng, fwhm_px=fwhm_px, slant=slant, light_adu=5000)
    found = measure_spectrum(as_frame(drawn.pixels))
    assert found.usable, found.reason
    assert found.axis is TraceAxis.HORIZONTAL
    assert found.fwhm_px == pytest.approx(fwhm_px, rel=0.01)
    assert found.fwhm_arcsec == pytest.approx(0.9 * found.fwhm_px)
    assert found.nsig == pytest.approx(drawn.light_adu[found.x0 : found.x1].mean() / 10, rel=0.015)
    middle = (found.x0 + found.x1 - 1) // 2
    assert found.trace_row == pytest.approx(drawn.row + slant * (middle - 299.5), abs=0.1)
    assert found.slant == pytest.approx(slant, abs=0.002)
    assert found.snr > 50
    assert not found.flags


def test_the_standard_errors_are_honest(rng: np.random.Generator) -> None:
    widths, lights, biases = [], [], []
    for _ in range(SPECTRA):
        fwhm_px = math.exp(rng.uniform(math.log(2.0), math.log(12.0)))
        drawn = drawn_spectrum(
            rng,
            fwhm_px=fwhm_px,
            row=rng.uniform(60, 70),
            shape=(130, 300),
            slant=rng.uniform(-0.02, 0.02),
            light_adu=math.exp(rng.uniform(math.log(300), math.log(10000))),
            sky_adu=rng.uniform(20, 300),
        )
        found = measure_spectrum(as_frame(drawn.pixels))
        assert found.usable, found.reason
        light = drawn.light_adu[found.x0 : found.x1].mean() / 10
        widths.append(abs(found.fwhm_px - fwhm_px) / found.fwhm_stderr_px)
        lights.append(abs(found.nsig - light) / found.nsig_stderr)
        biases.append(found.fwhm_px / fwhm_px - 1)
    covered = [float(np.mean(np.array(sigmas) < 1)) for sigmas in (widths, lights)]
    print(f"within one sigma: FWHM {covered[0]:.2f}, NSIG {covered[1]:.2f}")
    assert all(0.48 < share < 0.86 for share in covered)
    assert abs(float(np.median(biases))) < 0.01


def test_a_vertical_trace_is_the_horizontal_one_turned(rng: np.random.Generator) -> None:
    drawn = drawn_spectrum(rng, slant=0.01)
    lying, standing = measure_spectrum(as_frame(drawn.pixels)), measure_spectrum(as_frame(drawn.pixels.T))
    assert standing.axis is TraceAxis.VERTICAL
    for name in ("fwhm_px", "nsig", "trace_row", "snr", "slant"):
        assert getattr(standing, name) == pytest.approx(getattr(lying, name), rel=1e-6)


def test_sky_lines_are_not_taken_for_the_trace(rng: np.random.Generator) -> None:
    drawn = drawn_spectrum(rng, shape=(500, 600), row=240.0, light_adu=400, sky_adu=400, sky_lines=30)
    found = measure_spectrum(as_frame(drawn.pixels))
    assert found.axis is TraceAxis.HORIZONTAL
    assert found.trace_row == pytest.approx(240.0, abs=0.5)


def test_hot_pixels_and_cosmic_rays_do_no_harm(rng: np.random.Generator) -> None:
    drawn = drawn_spectrum(rng, light_adu=3000)
    pixels = drawn.pixels.copy()
    pixels[rng.integers(0, 200, 300), rng.integers(0, 600, 300)] = 30000
    for x, y in zip(rng.integers(10, 580, 6), rng.integers(85, 115, 6), strict=True):
        pixels[y, x : x + 6] = 12000
    found, clean = measure_spectrum(as_frame(pixels)), measure_spectrum(as_frame(drawn.pixels))
    assert found.fwhm_px == pytest.approx(clean.fwhm_px, rel=0.03)
    assert found.nsig == pytest.approx(drawn.light_adu[found.x0 : found.x1].mean() / 10, rel=0.1)


def test_a_second_star_is_flagged_and_does_no_harm(rng: np.random.Generator) -> None:
    drawn = drawn_spectrum(rng, light_adu=4000, second=(122.0, 0.4))
    found = measure_spectrum(as_frame(drawn.pixels))
    assert found.usable
    assert found.flags[SpectrumFlag.TWO_TRACES] == 1
    assert found.trace_row == pytest.approx(100.3, abs=0.1)
    assert found.fwhm_px == pytest.approx(4.0, rel=0.02)
    assert found.nsig == pytest.approx(drawn.light_adu[found.x0 : found.x1].mean() / 10, rel=0.03)


def test_a_very_defocused_spectrum_is_detected(rng: np.random.Generator) -> None:
    drawn = drawn_spectrum(rng, fwhm_px=60.0, shape=(500, 700), row=250.0, light_adu=20000)
    found = measure_spectrum(as_frame(drawn.pixels))
    assert found.usable, found.reason
    assert found.fwhm_px == pytest.approx(60.0, rel=0.03)


def test_no_trace_is_detected_in_noise(rng: np.random.Generator) -> None:
    for _ in range(12):
        drawn = drawn_spectrum(rng, light_adu=0.0, sky_lines=int(rng.integers(0, 20)))
        found = measure_spectrum(as_frame(drawn.pixels), SpectrumSettings(axis=TraceAxis.HORIZONTAL))
        assert not found.usable
        assert "trace" in found.reason


def test_a_saturated_trace_is_not_usable(rng: np.random.Generator) -> None:
    found = measure_spectrum(as_frame(drawn_spectrum(rng, light_adu=4e5).pixels))
    assert not found.usable
    assert "saturated: expose less" in found.reason
    assert found.flags[SpectrumFlag.SATURATED] > 100


def test_a_trace_at_the_edge_is_not_usable(rng: np.random.Generator) -> None:
    found = measure_spectrum(as_frame(drawn_spectrum(rng, row=3.0).pixels))
    assert not found.usable
    assert found.reason == "the trace is cut by the edge of the frame"


def test_without_an_exposure_time_there_is_a_width_and_no_nsig(rng: np.random.Generator) -> None:
    found = measure_spectrum(as_frame(drawn_spectrum(rng).pixels, exposure_s=math.nan, image_scale_arcsec=None))
    assert found.usable
    assert found.flags[SpectrumFlag.NO_EXPOSURE_TIME] == 1
    assert math.isnan(found.nsig)
    assert math.isnan(found.fwhm_arcsec)
    assert found.fwhm_px == pytest.approx(4.0, rel=0.03)


def test_a_chosen_slice_is_taken(rng: np.random.Generator) -> None:
    drawn = drawn_spectrum(rng, light_adu=5000)
    found = measure_spectrum(as_frame(drawn.pixels), SpectrumSettings(x0=200, x1=300))
    assert (found.x0, found.x1) == (200, 300)
    assert found.nsig == pytest.approx(drawn.light_adu[200:300].mean() / 10, rel=0.02)


@pytest.mark.parametrize(("x0", "x1"), [(300, 200), (-5, 100), (0, 5000), (100, 104)])
def test_a_slice_that_makes_no_sense_is_refused_in_a_sentence(x0: int, x1: int, rng: np.random.Generator) -> None:
    found = measure_spectrum(as_frame(drawn_spectrum(rng).pixels), SpectrumSettings(x0=x0, x1=x1))
    assert not found.usable
    assert f"the slice from {x0} to {x1}" in found.reason


def test_nsig_is_divided_by_the_reference_flux(rng: np.random.Generator) -> None:
    frame = as_frame(drawn_spectrum(rng).pixels)
    plain, by_reference = measure_spectrum(frame), measure_spectrum(frame, SpectrumSettings(reference_flux=4.0))
    assert by_reference.nsig == pytest.approx(plain.nsig / 4)
    assert by_reference.nsig_stderr == pytest.approx(plain.nsig_stderr / 4)


NOTHING: dict[str, NDArray[np.generic]] = {
    "zeros": np.zeros((100, 100), np.uint16),
    "constant": np.full((100, 100), 700, np.int32),
    "NaN": np.full((100, 100), np.nan),
    "one pixel": np.ones((1, 1), np.uint16),
    "thin": np.arange(400, dtype=np.uint16).reshape(4, 100),
    "a cube": np.zeros((3, 100, 100), np.uint16),
    "empty": np.zeros((0, 0), np.uint16),
    "negative": np.full((100, 100), -5.0),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_frame_without_sense_has_a_reason(name: str) -> None:
    found = measure_spectrum(as_frame(NOTHING[name]))
    assert not found.usable
    assert found.reason


@pytest.mark.parametrize("kind", ["u1", "i4", "f4", ">f8", ">u2"])
def test_every_number_type_is_taken(kind: str, rng: np.random.Generator) -> None:
    drawn = drawn_spectrum(rng, light_adu=300, sky_adu=10, read_noise=2, sky_lines=0)
    pixels = np.clip(drawn.pixels - 290.0, 0, 250).astype(kind)
    found = measure_spectrum(replace(as_frame(pixels), saturation_adu=255))
    assert found.fwhm_px == pytest.approx(4.0, rel=0.06)
