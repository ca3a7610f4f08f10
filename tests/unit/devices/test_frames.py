import numpy as np
import pytest

from alpaca_focus.core.values import Pixels
from alpaca_focus.devices.frames import FrameMark, Freshness, freshness, mark_frame, one_plane, saturation_adu


def noise(rng: np.random.Generator, shape: tuple[int, ...] = (300, 400)) -> Pixels:
    return rng.integers(100, 200, shape).astype(np.uint16)


def fresh(mark: FrameMark, previous: FrameMark | None, *, was_unready: bool = False) -> str:
    return freshness(mark, previous, was_unready=was_unready).value


def test_the_first_frame_is_new(rng: np.random.Generator) -> None:
    assert fresh(mark_frame(noise(rng), ""), None) == "new"


def test_noise_distinguishes_frames(rng: np.random.Generator) -> None:
    assert fresh(mark_frame(noise(rng), "same"), mark_frame(noise(rng), "same")) == "new"


@pytest.mark.parametrize(
    ("before", "after", "was_unready", "expected"),
    [
        ("22:00:00", "22:00:05", False, Freshness.IDENTICAL),
        ("22:00:00", "22:00:00", True, Freshness.IDENTICAL),
        ("22:00:00", "22:00:00", False, Freshness.OLD),
        ("22:00:00", "", False, Freshness.OLD),
        ("", "", False, Freshness.OLD),
        ("", "", True, Freshness.IDENTICAL),
    ],
)
def test_equal_pixels_need_other_evidence(
    before: str, after: str, was_unready: bool, expected: Freshness, rng: np.random.Generator
) -> None:
    frame = noise(rng)
    assert freshness(mark_frame(frame, after), mark_frame(frame.copy(), before), was_unready=was_unready) is expected


def test_flat_frames_are_distinguished_by_other_evidence_alone() -> None:
    flat = np.full((300, 400), 65535, dtype=np.uint16)
    assert fresh(mark_frame(flat, "22:00:05"), mark_frame(flat, "22:00:00")) == "new"
    assert fresh(mark_frame(flat, ""), mark_frame(flat, ""), was_unready=True) == "new"
    assert fresh(mark_frame(flat, "22:00:00"), mark_frame(flat, "22:00:00")) == "old"
    assert fresh(mark_frame(flat, ""), mark_frame(flat, "")) == "old"


def test_the_order_in_memory_does_not_matter_for_size_or_type(rng: np.random.Generator) -> None:
    frame = np.asfortranarray(noise(rng))
    assert fresh(mark_frame(frame[:, :-1], ""), mark_frame(frame, "")) == "new"
    assert fresh(mark_frame(frame, ""), mark_frame(frame, "")) == "old"


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
