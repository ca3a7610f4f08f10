"""Rings say how far from focus a frame is; the truth is the simulator's wave optics, which shares no line with them."""

import random
from datetime import UTC, datetime

import numpy as np
import pytest

from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.values import Frame
from alpaca_focus.imaging.ring_fit import Rings, fit_rings
from alpaca_focus.imaging.ring_template import RingTemplates
from alpaca_focus.imaging.star_tracking import StarTracker
from alpaca_focus.imaging.stars import find_frame_stars
from alpaca_focus.simulator.render import OpticalState, Renderer, RenderRequest
from alpaca_focus.simulator.settings import SensorSettings, SkySettings, SpectrographSettings, TelescopeSettings

SENSOR = SensorSettings(width_px=760, height_px=600)
TRAINS = {"refractor": (106.0, 530.0, 0.0), "slow refractor": (80.0, 800.0, 0.0), "obstructed": (203.0, 1624.0, 0.35)}


def train_of(name: str) -> OpticalTrain:
    aperture_mm, focal_length_mm, obstruction = TRAINS[name]
    return OpticalTrain(
        focal_length_mm=focal_length_mm,
        aperture_mm=aperture_mm,
        central_obstruction=obstruction,
        pixel_size_um=SENSOR.pixel_size_um,
        step_size_um=1.0,
    )


def taken(
    train: OpticalTrain,
    seed: int,
    *,
    zones: float,
    seeing_arcsec: float = 2.5,
    zernike: dict[int, float] | None = None,
    stars: int = 40,
) -> Frame:
    telescope = TelescopeSettings(
        aperture_mm=train.aperture_mm,
        focal_length_mm=train.focal_length_mm,
        central_obstruction=train.central_obstruction,
        optical_model="diffraction",
        zernike=zernike or {},
    )
    renderer = Renderer(telescope, SENSOR, SkySettings(star_count=stars), SpectrographSettings(), seed)
    state = OpticalState(
        defocus_um=zones * train.critical_focus_zone_um, seeing_fwhm_arcsec=seeing_arcsec, pointing_seed=seed % 1000
    )
    request = RenderRequest(exposure_s=3.0, num_x=SENSOR.width_px, num_y=SENSOR.height_px)
    return Frame(
        pixels=renderer.render(state, request, 1),
        exposure_s=3.0,
        started_at=datetime(2026, 1, 15, 22, tzinfo=UTC),
        binning=1,
        saturation_adu=65535,
        electrons_per_adu=SENSOR.gain_e_per_adu,
    )


def rings_of(frame: Frame, train: OpticalTrain) -> Rings | None:
    field = find_frame_stars(frame)
    assert field is not None
    return fit_rings(frame, field, train)


@pytest.mark.parametrize("name", TRAINS)
def test_the_distance_is_right_within_its_error_at_any_seeing(name: str, seed: int) -> None:
    train, chance = train_of(name), random.Random(seed)
    away, errors, blur = [], [], []
    for _ in range(12):
        seeing_arcsec = chance.uniform(1.5, 4.0)
        # From 2.3 to 4 times the defocus whose blur is as large as the seeing's.
        widths = chance.uniform(2.3, 4.0)
        zones = widths * seeing_arcsec / 2.5 * (0.7 if train.aperture_mm < 150 else 1.2) * chance.choice((-1, 1))
        rings = rings_of(taken(train, chance.randrange(2**31), zones=zones, seeing_arcsec=seeing_arcsec), train)
        if rings is None:
            continue
        away.append(rings.defocus_um / train.critical_focus_zone_um - abs(zones))
        errors.append(rings.stderr_um / train.critical_focus_zone_um)
        blur.append(rings.seeing_arcsec / seeing_arcsec)
    assert len(away) >= 9
    assert np.abs(away).max() < 0.06
    assert np.median(np.abs(away)) < 0.02
    assert np.mean(np.abs(away) < 3 * np.array(errors)) > 0.7
    assert np.median(blur) == pytest.approx(1, abs=0.15)


def test_an_aberration_moves_all_rings_of_one_side_alike(seed: int) -> None:
    """A tenth of a wave rms of spherical aberration: a constant, which sweeps can teach."""
    train = train_of("refractor")
    moved = []
    for seeing_arcsec in (1.8, 2.5, 3.5):
        frames = [
            taken(train, seed + number, zones=4.0, seeing_arcsec=seeing_arcsec, zernike={11: 0.04})
            for number in range(5)
        ]
        rings = [found for frame in frames if (found := rings_of(frame, train)) is not None]
        assert len(rings) >= 3
        moved.append(np.median([each.defocus_um for each in rings]) / train.critical_focus_zone_um - 4.0)
    assert np.ptp(moved) < 0.12
    assert abs(np.mean(moved)) < 0.4


def test_a_frame_with_too_few_stars_has_no_rings(seed: int) -> None:
    train = train_of("refractor")
    assert rings_of(taken(train, seed, zones=2.6, stars=0), train) is None
    assert rings_of(taken(train, seed, zones=2.6, stars=1), train) is None


def test_a_tracker_returns_the_defocus_of_the_rings_in_steps(seed: int) -> None:
    train = train_of("refractor")
    measured = StarTracker(train)(taken(train, seed, zones=2.6))
    assert measured.details["ring_defocus_steps"] == pytest.approx(2.6 * train.critical_focus_zone_steps, rel=0.03)
    assert "ring_defocus_steps" not in StarTracker()(taken(train, seed, zones=2.6)).details


@pytest.mark.parametrize("name", TRAINS)
def test_a_template_has_the_flux_of_its_star(name: str) -> None:
    train = train_of(name)
    defocus_um = 3 * train.critical_focus_zone_um
    ring_px = defocus_um / (2 * train.focal_ratio * train.pixel_size_um)
    radii_px = np.arange(0.25, 1.3 * ring_px + 15, 0.5)
    light = RingTemplates(train, largest_defocus_um=2 * defocus_um).at(radii_px).profile(defocus_um, 2.5)
    assert np.sum(2 * np.pi * radii_px * 0.5 * light) == pytest.approx(0.97, abs=0.06)
