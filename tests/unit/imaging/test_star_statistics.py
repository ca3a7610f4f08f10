"""How often and by how much the measuring of stars is wrong, over many drawn fields; the seeds are fresh each time."""

import math

import numpy as np

from alpaca_focus.imaging.star_field import find_stars
from alpaca_focus.imaging.stars import measure_stars
from tests.synthetic import Blur, drawn_blur, drawn_stars

FIELDS = 240
RING_FIELDS = 500
EMPTY_FRAMES = 40


def random_blur(rng: np.random.Generator, hfd_px: float) -> Blur:
    """Draw stars of about this HFD: refractor or obstructed, air with narrow or wide wings."""
    seeing_px = rng.uniform(1.7, 5.0)
    obstruction = rng.choice([0.0, 0.35])
    moffat = rng.choice([None, 2.5, 3.5, 4.765])
    if hfd_px < 1.35 * seeing_px:
        return drawn_blur(seeing_fwhm_px=hfd_px / 1.1, moffat=moffat)
    disc_px = math.sqrt(max(hfd_px**2 - (1.1 * seeing_px) ** 2, 1.0)) * (1.41 if obstruction == 0 else 1.33)
    return drawn_blur(disc_px=disc_px, obstruction=obstruction, seeing_fwhm_px=seeing_px, moffat=moffat)


def test_no_bias_and_honest_errors_from_2_to_60_px(rng: np.random.Generator) -> None:
    """The truth lies within one standard error in 68 % of the fields, and the HFD is right in the mean everywhere."""
    sizes, departures, sigmas = [], [], []
    blur = random_blur(rng, 2.0)
    for index in range(FIELDS):
        if index % 3 == 0:
            blur = random_blur(rng, math.exp(rng.uniform(math.log(2.0), math.log(60.0))))
        room_px = 4.5 * blur.hfd_px + 30
        stars = round(math.exp(rng.uniform(0, math.log(40))))
        side_px = int(np.clip(math.ceil(math.sqrt(stars)) * room_px, 300, 1100))
        stars = min(stars, max(int(side_px // room_px) ** 2, 1))
        sky = rng.uniform(50, 2000)
        snr = np.exp(rng.uniform(math.log(50), math.log(500), stars))
        noise = math.sqrt(sky * math.pi) * (1.5 * blur.hfd_px + 4)
        fluxes = np.minimum(snr * noise, 3e4 * blur.hfd_px**2)
        field = drawn_stars(rng, blur, fluxes=fluxes, shape=(side_px, side_px), sky=sky)
        found = measure_stars(field.pixels, saturation_adu=65535)
        assert found.usable, f"HFD {blur.hfd_px:.2f} px, {stars} stars: {found.reason}"
        sizes.append(blur.hfd_px)
        departures.append(found.value / blur.hfd_px - 1)
        sigmas.append((found.value - blur.hfd_px) / found.stderr)
    size, departure, sigma = np.array(sizes), np.array(departures), np.abs(sigmas)
    covered = float(np.mean(sigma < 1))
    print(f"within one sigma: {covered:.3f}, within two: {np.mean(sigma < 2):.3f}")
    # 60 to 76 % are wanted of the truth; 240 fields tell it to 3 %, and chance must not fail the test.
    assert 0.56 < covered < 0.80
    assert np.mean(sigma < 3) > 0.96
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
