"""Memory for images that pass through the gateway, reused: fresh pages for a large frame cost as much as a copy."""

import threading
from typing import Self

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca.imagebytes import decode_image

MAX_BUFFERS = 2
"""One for the image that is being measured, one for the next that passes meanwhile."""


class BufferPool:
    """At most `MAX_BUFFERS` buffers, each as large as the largest image it has held; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[NDArray[np.uint8]] = []
        self._lent = 0

    def lend(self, length: int) -> "PassedImage | None":
        """Return memory for an image of that many bytes; `None` when all buffers are lent."""
        with self._lock:
            if self._lent >= MAX_BUFFERS:
                return None
            self._lent += 1
            self._free.sort(key=len)
            buffer = self._free.pop() if self._free else np.empty(0, np.uint8)
        if len(buffer) < length:
            buffer = np.empty(length, np.uint8)
        return PassedImage(self, buffer, length)

    def take_back(self, buffer: NDArray[np.uint8]) -> None:
        """Make a lent buffer available again."""
        with self._lock:
            self._lent -= 1
            self._free.append(buffer)


class PassedImage:
    """The ImageBytes of an image, header included, in a lent buffer; a context manager that releases it.

    Neither `content` nor `pixels` may be read after the release: the next image overwrites them.
    """

    def __init__(self, pool: BufferPool, buffer: NDArray[np.uint8], length: int) -> None:
        self.content: memoryview = buffer.data[:length]
        self._pool = pool
        self._buffer: NDArray[np.uint8] | None = buffer

    @property
    def pixels(self) -> NDArray[np.generic]:
        """Values in ADU, [row, column] or [row, column, plane]: a view of `content` in Fortran order.

        Raises:
            ImageBytesError: The header does not fit the bytes.
        """
        return decode_image(self.content)

    def release(self) -> None:
        """Return the buffer to the pool; may be called twice."""
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            self._pool.take_back(buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
