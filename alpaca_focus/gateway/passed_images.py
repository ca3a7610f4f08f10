"""Images that pass through, kept in memory that is used again.

Fresh pages for a large frame take as long as copying it. A buffer is lent to one image at a time and
comes back when whoever was shown the image releases it.
"""

import threading
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca.imagebytes import decode_image

MAX_BUFFERS = 2
"""One for the image that is looked at, one for the next that passes meanwhile."""


class BufferPool:
    """At most `MAX_BUFFERS` buffers, each as large as the largest image that it has held; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[NDArray[np.uint8]] = []
        self._lent = 0

    def lend(self, length: int) -> "Loan | None":
        """Lend a buffer of that many bytes; `None` when all are lent."""
        with self._lock:
            if self._lent >= MAX_BUFFERS:
                return None
            self._lent += 1
            # By its place: arrays are not told apart by comparing them.
            largest = max(range(len(self._free)), key=lambda place: len(self._free[place]), default=None)
            buffer = None if largest is None else self._free.pop(largest)
        if buffer is None or len(buffer) < length:
            buffer = np.empty(length, np.uint8)
        return Loan(self, buffer, length)

    def take_back(self, buffer: NDArray[np.uint8]) -> None:
        """Take a buffer back."""
        with self._lock:
            self._lent -= 1
            self._free.append(buffer)


class Loan:
    """A buffer that is lent.

    Attributes:
        memory: As many bytes as were asked for.
    """

    def __init__(self, pool: BufferPool, buffer: NDArray[np.uint8], length: int) -> None:
        self.memory: memoryview = buffer.data[:length]
        self._pool = pool
        self._buffer: NDArray[np.uint8] | None = buffer

    def give_back(self) -> None:
        """Let the next image have the buffer; may be called twice."""
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            self._pool.take_back(buffer)


class PassedImage:
    """The ImageBytes of an image that has passed to a client; a context manager that releases it.

    Neither `content` nor `pixels` may be looked at after the release: the next image is written over them.

    Attributes:
        content: The bytes that passed, header and all.
    """

    def __init__(self, loan: Loan) -> None:
        self.content = loan.memory
        self._loan = loan

    @property
    def pixels(self) -> NDArray[np.generic]:
        """Values in ADU, [row, column] or [row, column, plane]: a view of `content` in Fortran order.

        Raises:
            ImageBytesError: The header does not fit the bytes.
        """
        return decode_image(self.content)

    def release(self) -> None:
        """Let the next image have the memory; may be called twice."""
        self._loan.give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
