"""How often and by how much the measuring of stars is wrong, over many drawn fields; the seeds are fresh each time."""

import math

import numpy as np

from alpaca_focus.imaging.star_field import find_stars
from alpaca_focus.imaging.stars import measure_stars
from tests.synthetic import drawn_blur, drawn_stars, random_blur, random_field

FIELDS = 120
RING_FIELDS = 300
EMPTY_FRAMES = 40


def test_no_bias_and_honest_errors_from_2_to_60_px(rng: np.random.Generator) -> None:
    """The truth lies within one standard error in 68 % of the fields, and the HFD is right in the mean everywhere."""
    sizes, departures, sigmas = [], [], []
    blur = random_blur(rng, 2.0)
    for index in range(FIELDS):
        if index % 3 == 0:
            blur = random_blur(rng, math.exp(rng.uniform(math.log(2.0), math.log(60.0))))
        field = random_field(rng, 2.0, 60.0, blur)
        found = measure_stars(field.pixels, saturation_adu=65535)
        assert found.usable, f"HFD {blur.hfd_px:.2f} px, {len(field.places)} stars: {found.reason}"
        sizes.append(blur.hfd_px)
        departures.append(found.value / blur.hfd_px - 1)
        sigmas.append((found.value - blur.hfd_px) / found.stderr)
    size, departure, sigma = np.array(sizes), np.array(departures), np.abs(sigmas)
    covered = float(np.mean(sigma < 1))
    print(f"within one sigma: {covered:.3f}, within two: {np.mean(sigma < 2):.3f}")
    # 60 to 76 % are wanted of the truth. Three fields share a blur, so that this many tell it to 7 %, and chance must
    # not fail the test; `make bench` tells it better.
    assert 0.45 < covered < 0.92
    assert np.mean(sigma < 3) > 0.78
    for low, high in ((2, 5), (5, 12), (12, 30), (30, 60)):
        chosen = (size >= low * 0.95) & (size < high)
        bias = float(np.median(departure[chosen]))
        print(f"HFD {low} to {high} px: {chosen.sum()} fields, median departure {100 * bias:+.2f} %")
        assert abs(bias) < 0.01


def test_no_ring_is_split_or_counted_twice(rng: np.random.Generator) -> None:
    disc_px, blur = 0.0, drawn_blur()
    for index in range(RING_FIELDS):
        if index % 5 == 0:
            disc_px = math.exp(rng.uniform(math.log(12), math.log(50)))
            blur = drawn_blur(disc_px=disc_px, obstruction=rng.uniform(0.2, 0.5), seeing_fwhm_px=rng.uniform(1.5, 5.0))
        side_px = round(3.4 * disc_px + 60) * 2
        sky = rng.uniform(50, 1000)
        # Faint and bright ones; the fainter half of each field may be missed, but never come in pieces.
        snr = np.exp(rng.uniform(math.log(40), math.log(500), 4))
        fluxes = snr * math.sqrt(sky * math.pi) * (1.5 * blur.hfd_px + 4)
        field = drawn_stars(rng, blur, fluxes=fluxes, shape=(side_px, side_px), sky=sky)
        stars = find_stars(field.pixels, saturation_adu=65535).stars
        nearest = [
            int(np.argmin([math.hypot(star.x_px - x, star.y_px - y) for x, y in field.places])) for star in stars
        ]
        assert stars, f"field {index}: rings of {disc_px:.1f} px not found"
        assert len(set(nearest)) == len(nearest), f"field {index}: a ring of {disc_px:.1f} px was counted twice"
        for star, ring in zip(stars, nearest, strict=True):
            x, y = field.places[ring]
            assert math.hypot(star.x_px - x, star.y_px - y) < 0.15 * disc_px + 0.5
            assert abs(star.hfd_px / blur.hfd_px - 1) < 0.25


def test_empty_sky_has_no_stars(rng: np.random.Generator) -> None:
    usable = 0
    for index in range(EMPTY_FRAMES):
        shape = (400, 500) if index % 4 else (1400, 1200)
        level = rng.choice([0.03, 0.3, 2.0, 20.0, 500.0, 5000.0])
        found = measure_stars(rng.poisson(level, shape).astype(np.uint16), saturation_adu=65535)
        usable += found.star_count
        assert found.usable or found.reason
    assert usable < EMPTY_FRAMES / 10
