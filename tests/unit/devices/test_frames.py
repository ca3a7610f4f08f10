import numpy as np
import pytest

from alpaca_focus.core.values import Pixels
from alpaca_focus.devices.frames import is_new_frame, mark_frame, one_plane, saturation_adu


def noise(rng: np.random.Generator, shape: tuple[int, ...] = (300, 400)) -> Pixels:
    return rng.integers(100, 200, shape).astype(np.uint16)


def test_the_first_frame_is_new(rng: np.random.Generator) -> None:
    assert is_new_frame(mark_frame(noise(rng), ""), None)


def test_noise_distinguishes_frames(rng: np.random.Generator) -> None:
    assert is_new_frame(mark_frame(noise(rng), "same"), mark_frame(noise(rng), "same"))


def test_a_stored_frame_is_not_new_even_with_a_new_time(rng: np.random.Generator) -> None:
    frame = noise(rng)
    assert not is_new_frame(mark_frame(frame, "2026-01-01T22:00:05"), mark_frame(frame.copy(), "2026-01-01T22:00:00"))


def test_flat_frames_are_distinguished_by_their_time() -> None:
    flat = np.full((300, 400), 65535, dtype=np.uint16)
    assert is_new_frame(mark_frame(flat, "22:00:05"), mark_frame(flat, "22:00:00"))
    assert not is_new_frame(mark_frame(flat, "22:00:00"), mark_frame(flat, "22:00:00"))
    assert not is_new_frame(mark_frame(flat, ""), mark_frame(flat, ""))


def test_the_order_in_memory_does_not_matter_for_size_or_type(rng: np.random.Generator) -> None:
    frame = np.asfortranarray(noise(rng))
    assert is_new_frame(mark_frame(frame[:, :-1], ""), mark_frame(frame, ""))
    assert not is_new_frame(mark_frame(frame, ""), mark_frame(frame, ""))


def test_of_a_colour_image_the_green_plane_is_taken(rng: np.random.Generator) -> None:
    image = noise(rng, (30, 40, 3))
    assert np.array_equal(one_plane(image), image[:, :, 1])


@pytest.mark.parametrize(
    ("max_adu", "dtype", "brightest", "expected"),
    [
        (65535, np.uint16, 40000, 65535.0),
        (4095, np.uint16, 4095, 4095.0),
        (65535, np.uint8, 200, 255.0),
        (65535, np.int32, 65535, 65535.0),
        (65535, np.int16, 30000, 32767.0),
        (4095, np.uint16, 65520, 65535.0),
        (2**31 - 1, np.int32, 60000, 65535.0),
        (0, np.uint16, 60000, 65535.0),
        (-1, np.int32, 60000, 65535.0),
        (65535, np.int32, 250000, 262143.0),
        (65535, np.float32, 60000, 65535.0),
        (0, np.float64, 60000, 65535.0),
    ],
)
def test_saturation_fits_the_frame(max_adu: int, dtype: type, brightest: int, expected: float) -> None:
    pixels = np.zeros((4, 4), dtype=dtype)
    pixels[1, 2] = brightest
    assert saturation_adu(max_adu, pixels) == expected
