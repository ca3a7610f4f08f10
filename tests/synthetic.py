"""Star fields drawn for tests, by another way than the simulator's, with the truth by brute force."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

OVERSAMPLING = 5


@dataclass(frozen=True)
class DrawnField:
    pixels: NDArray[np.uint16]
    hfd_px: float
    places: tuple[tuple[float, float], ...]


def drawn_field(
    rng: np.random.Generator,
    *,
    blur_px: float,
    seeing_sigma_px: float = 1.2,
    obstruction: float = 0.0,
    stars: int = 9,
    size_px: int = 600,
    flux: float = 2e5,
    sky: float = 500.0,
) -> DrawnField:
    """Draw stars on a jittered grid: a disc or ring of diameter `blur_px`, blurred by a Gaussian, with photon noise."""
    side = int(np.ceil(np.sqrt(stars)))
    spacing = size_px / side
    shape = _profile(blur_px, seeing_sigma_px, obstruction)
    image = np.full((size_px, size_px), sky)
    places = []
    for index in range(stars):
        x = (index % side + 0.5) * spacing + rng.uniform(-0.1, 0.1) * spacing
        y = (index // side + 0.5) * spacing + rng.uniform(-0.1, 0.1) * spacing
        _add(image, shape, x, y, flux)
        places.append((x, y))
    noisy = rng.poisson(image) + rng.normal(0, 3, image.shape)
    return DrawnField(np.clip(noisy, 0, 65535).astype(np.uint16), _half_flux_diameter(shape), tuple(places))


def _profile(blur_px: float, seeing_sigma_px: float, obstruction: float) -> NDArray[np.float64]:
    half = int(np.ceil((blur_px / 2 + 6 * seeing_sigma_px + 2) * OVERSAMPLING))
    y, x = np.mgrid[-half : half + 1, -half : half + 1] / OVERSAMPLING
    radius = np.hypot(x, y)
    disc = (radius <= blur_px / 2) & (radius >= obstruction * blur_px / 2) if blur_px > 0 else radius < 0.1
    shape = gaussian_filter(disc.astype(float), seeing_sigma_px * OVERSAMPLING)
    return shape / shape.sum()


def _half_flux_diameter(shape: NDArray[np.float64]) -> float:
    half = shape.shape[0] // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1] / OVERSAMPLING
    order = np.argsort(np.hypot(x, y).ravel())
    growth = np.cumsum(shape.ravel()[order])
    return 2 * float(np.hypot(x, y).ravel()[order][np.searchsorted(growth, 0.5)])


def _add(image: NDArray[np.float64], shape: NDArray[np.float64], x: float, y: float, flux: float) -> None:
    """Sum the fine grid into the pixels; the place is kept to a fifth of a pixel."""
    half = shape.shape[0] // 2
    fine_x = np.round(x * OVERSAMPLING).astype(int) + OVERSAMPLING // 2 + np.arange(-half, half + 1)
    fine_y = np.round(y * OVERSAMPLING).astype(int) + OVERSAMPLING // 2 + np.arange(-half, half + 1)
    columns, rows = fine_x // OVERSAMPLING, fine_y // OVERSAMPLING
    inside_x, inside_y = (columns >= 0) & (columns < image.shape[1]), (rows >= 0) & (rows < image.shape[0])
    np.add.at(
        image,
        np.ix_(rows[inside_y], columns[inside_x]),
        flux * shape[np.ix_(inside_y, inside_x)],
    )
