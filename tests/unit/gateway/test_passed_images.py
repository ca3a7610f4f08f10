"""The memory of passing images: lent, given back, used again."""

import numpy as np
import pytest

from alpaca_focus.alpaca.imagebytes import ImageBytesError, encode_image
from alpaca_focus.gateway.passed_images import MAX_BUFFERS, BufferPool, PassedImage


def lent(pool: BufferPool, length: int) -> PassedImage:
    image = pool.lend(length)
    assert image is not None
    assert len(image.content) == length
    return image


def address(image: PassedImage) -> int:
    return int(np.frombuffer(image.content, np.uint8).ctypes.data)


def test_memory_is_used_again() -> None:
    pool = BufferPool()
    first = lent(pool, 1000)
    place = address(first)
    first.release()
    again = lent(pool, 500)
    assert address(again) == place
    again.release()
    assert address(lent(pool, 1000)) == place


def test_a_larger_image_gets_larger_memory_and_leaves_it() -> None:
    pool = BufferPool()
    lent(pool, 10).release()
    large = lent(pool, 5000)
    place = address(large)
    large.release()
    assert address(lent(pool, 4000)) == place


def test_no_more_is_lent_than_there_is() -> None:
    pool = BufferPool()
    images = [lent(pool, 10) for _ in range(MAX_BUFFERS)]
    assert len({address(image) for image in images}) == MAX_BUFFERS
    assert pool.lend(10) is None
    images[0].release()
    images[0].release()
    lent(pool, 10)
    assert pool.lend(10) is None


def test_buffers_of_two_sizes_are_distinguished() -> None:
    pool = BufferPool()
    small, large = pool.lend(100), pool.lend(200)
    assert small is not None
    assert large is not None
    small.release()
    large.release()
    again = pool.lend(150)
    assert again is not None
    assert again.content.obj is large.content.obj


def test_an_image_shows_its_pixels_and_is_released_at_the_end() -> None:
    pool = BufferPool()
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    content = b"".join(map(bytes, encode_image(pixels)))
    images = [lent(pool, len(content)) for _ in range(MAX_BUFFERS)]
    images[0].content[:] = content
    with images[0] as image:
        assert np.array_equal(image.pixels, pixels)
        assert np.shares_memory(image.pixels, np.frombuffer(image.content, np.uint8))
        assert pool.lend(1) is None
    assert pool.lend(1) is not None


def test_bytes_that_are_no_image_have_no_pixels() -> None:
    image = lent(BufferPool(), 44)
    image.content[:] = b"\xff" * 44
    with image, pytest.raises(ImageBytesError):
        _ = image.pixels
