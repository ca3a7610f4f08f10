"""The same stars from frame to frame."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from alpaca_focus.core.values import Frame
from alpaca_focus.imaging.star_tracking import Stars, StarTracker, matched
from alpaca_focus.simulator.render import OpticalState, Renderer, RenderRequest
from alpaca_focus.simulator.settings import SensorSettings, SkySettings, SpectrographSettings, TelescopeSettings

SENSOR = SensorSettings(width_px=900, height_px=700, cosmic_rays_per_s=0.0)
TELESCOPE = TelescopeSettings(aperture_mm=106.0, focal_length_mm=530.0, central_obstruction=0.0)


@pytest.fixture
def renderer(seed: int) -> Renderer:
    return Renderer(TELESCOPE, SENSOR, SkySettings(star_count=60), SpectrographSettings(), seed)


def taken(
    renderer: Renderer,
    number: int,
    *,
    transmission: float = 1.0,
    defocus_um: float = 60.0,
    pointing: int = 0,
    part: tuple[int, int, int, int] = (0, 0, 900, 700),
) -> Frame:
    left, top, width, height = part
    state = OpticalState(
        defocus_um=defocus_um, seeing_fwhm_arcsec=2.5, transmission=transmission, pointing_seed=pointing
    )
    request = RenderRequest(exposure_s=3.0, num_x=width, num_y=height, start_x=left, start_y=top)
    return Frame(
        pixels=renderer.render(state, request, number),
        exposure_s=3.0,
        started_at=datetime(2026, 1, 15, 22, tzinfo=UTC),
        binning=1,
        saturation_adu=65535,
        electrons_per_adu=0.8,
        left_px=left,
        top_px=top,
    )


@pytest.mark.parametrize("transmission", [1.0, 0.6, 0.25])
def test_the_stars_measure_the_loss_by_clouds(renderer: Renderer, transmission: float) -> None:
    follow = StarTracker()
    first = follow(taken(renderer, 0))
    assert "transmission" not in first.details
    second = follow(taken(renderer, 1, transmission=transmission, defocus_um=-150.0))
    assert second.details["transmission"] == pytest.approx(transmission, rel=0.08)


def test_a_part_of_the_frame_has_the_same_stars(seed: int) -> None:
    many = SkySettings(star_count=240)  # so that some quarter of any field has enough of them
    renderer = Renderer(TELESCOPE, SENSOR, many, SpectrographSettings(), seed)
    follow = StarTracker()
    first = follow(taken(renderer, 0))
    assert first.region is not None
    part = (first.region.x, first.region.y, first.region.width, first.region.height)
    second = follow(taken(renderer, 1, part=part))
    assert second.details["transmission"] == pytest.approx(1.0, rel=0.05)
    assert second.value == pytest.approx(first.value, rel=0.03)
    assert second.star_count < first.star_count


def test_another_field_is_measured_and_not_compared(renderer: Renderer) -> None:
    follow = StarTracker()
    first = follow(taken(renderer, 0))
    second = follow(taken(renderer, 1, pointing=5))
    assert second.usable
    assert second.details.get("transmission", 1.0) == 1.0 or second.star_count >= 3
    assert second.value == pytest.approx(first.value, rel=0.05)


def test_a_dark_frame_is_not_usable_and_forgets_nothing(renderer: Renderer) -> None:
    follow = StarTracker()
    follow(taken(renderer, 0))
    dark = follow(taken(renderer, 1, transmission=0.0))
    assert not dark.usable
    assert follow(taken(renderer, 2)).details["transmission"] == pytest.approx(1.0, rel=0.05)


def test_shifted_stars_are_matched_one_to_one(rng: np.random.Generator) -> None:
    x, y, flux = rng.uniform(0, 1000, (3, 40))
    first = Stars(x, y, flux)
    order = rng.permutation(40)[:25]
    extra_x, extra_y = rng.uniform(0, 1000, (2, 10))
    second = Stars(
        np.append(x[order] + 17.0 + rng.normal(0, 0.2, 25), extra_x),
        np.append(y[order] - 9.0 + rng.normal(0, 0.2, 25), extra_y),
        np.append(flux[order], np.ones(10)),
    )
    there, here = matched(first, second, 2.0)
    true_pairs = {(int(star), k) for k, star in enumerate(order)}
    found = set(zip(there.tolist(), here.tolist(), strict=True))
    assert len(found & true_pairs) >= 23
    assert len(found - true_pairs) <= 2


def test_fields_without_anything_in_common_do_not_match(rng: np.random.Generator) -> None:
    nothing = Stars(np.zeros(0), np.zeros(0), np.zeros(0))
    some = Stars(*rng.uniform(0, 1000, (3, 5)))
    for first, second in ((nothing, some), (some, nothing), (some, replace_x(some, some.x_px + 5000))):
        assert [len(each) for each in matched(first, second, 2.0)] == [0, 0]


def replace_x(stars: Stars, x_px: np.ndarray) -> Stars:  # type: ignore[type-arg]
    return replace(stars, x_px=x_px)
