"""Three real long-slit spectra of a faint star."""

from pathlib import Path

import numpy as np
import pytest

from alpaca_focus.files.fits_file import read_frame
from alpaca_focus.imaging.spectrum import SpectrumReport, SpectrumSettings, TraceAxis, measure_spectrum


def reports(shared_data: Path, settings: SpectrumSettings) -> list[SpectrumReport]:
    paths = sorted((shared_data / "sprat-spectra").glob("*.fits.gz"))
    assert len(paths) == 3
    return [measure_spectrum(read_frame(path).frame, settings) for path in paths]


def test_the_trace_is_detected_without_a_hint(shared_data: Path) -> None:
    for found in reports(shared_data, SpectrumSettings()):
        assert found.usable, found.reason
        assert found.axis is TraceAxis.HORIZONTAL
        assert found.trace_row == pytest.approx(129, abs=2)
        assert found.snr > 100


@pytest.mark.parametrize("settings", [SpectrumSettings(), SpectrumSettings(x0=412, x1=612)])
def test_the_width_is_nearly_the_same_in_all_three(settings: SpectrumSettings, shared_data: Path) -> None:
    """The air of the third frame was better: plain fits of any forty columns say 8 % between the second and third."""
    widths = np.array([found.fwhm_px for found in reports(shared_data, settings)])
    assert np.abs(widths / widths.mean() - 1).max() < 0.065
    assert np.abs(widths / 2.7 - 1).max() < 0.15


def test_the_light_is_the_same_in_all_three(shared_data: Path) -> None:
    light = np.array([found.nsig for found in reports(shared_data, SpectrumSettings(x0=412, x1=612))])
    assert np.ptp(light) < 0.05 * light.mean()
