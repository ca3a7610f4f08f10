"""Light frames: what the camera says of them, and what is reported of their stars."""

from datetime import UTC, datetime

import numpy as np
import pytest

from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.daemon import light_frames
from alpaca_focus.daemon.light_frames import FULL_SCALE_ADU, frame_of, measure_light_frame

AT = datetime(2026, 1, 1, 22, tzinfo=UTC)
PIXELS = np.arange(48, dtype=np.uint16).reshape(6, 8)


def frame(**facts: float) -> Frame:
    return frame_of(PIXELS, exposure_s=60.0, started_at=AT, facts=facts)


def test_what_the_camera_does_not_say_is_taken_to_be_usual() -> None:
    usual = frame()
    assert (usual.binning, usual.saturation_adu, usual.bayer, usual.electrons_per_adu) == (
        1,
        FULL_SCALE_ADU,
        False,
        None,
    )
    assert (usual.exposure_s, usual.started_at) == (60.0, AT)
    assert np.array_equal(usual.pixels, PIXELS)


def test_the_properties_of_the_camera_are_used() -> None:
    reported = frame(binx=2.0, maxadu=4095.0, sensortype=2.0, electronsperadu=0.25)
    assert (reported.binning, reported.saturation_adu, reported.bayer, reported.electrons_per_adu) == (
        2,
        4095,
        True,
        0.25,
    )


@pytest.mark.parametrize("sensor_type", [0.0, 1.0])
def test_only_mosaics_are_bayer(sensor_type: float) -> None:
    assert not frame(sensortype=sensor_type).bayer


def test_nonsense_is_taken_to_be_usual() -> None:
    odd = frame(binx=0.0, electronsperadu=-1.0)
    assert (odd.binning, odd.electrons_per_adu) == (1, None)


def test_colour_planes_become_one() -> None:
    cube = np.stack([PIXELS] * 3, axis=2)
    assert frame_of(cube, exposure_s=1.0, started_at=AT, facts={}).pixels.shape == PIXELS.shape


def reported_hfds(monkeypatch: pytest.MonkeyPatch, measurement: Measurement, **facts: float) -> list[float]:
    monkeypatch.setattr(light_frames, "measure_metric", lambda _name, _frame: measurement)
    reported: list[float] = []
    measure_light_frame(frame(**facts), reported.append)
    return reported


def test_the_hfd_is_reported_in_unbinned_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reported_hfds(monkeypatch, Measurement(metric="hfd", value=2.5, stderr=0.1, star_count=9), binx=2.0) == [5.0]


def test_a_frame_without_stars_reports_no_hfd(monkeypatch: pytest.MonkeyPatch) -> None:
    cloudy = Measurement(metric="hfd", value=float("nan"), stderr=float("nan"), usable=False, reason="no stars found")
    assert reported_hfds(monkeypatch, cloudy) == []
