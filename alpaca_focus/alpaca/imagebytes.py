"""ImageBytes: Alpaca's binary format of images.

Source: ASCOM Alpaca API Reference, chapter on ImageBytes, metadata version 1. A reply is a header of 44 bytes (eleven
little-endian 32-bit integers) and the pixels, the first index (x) slowest and the last one fastest. An error reply has
the message in UTF-8 where the pixels would be.

Only this module turns Alpaca's [x, y] into [row, column] and back. A decoded image is a transposed *view* of the bytes,
in Fortran order: a transposing copy of a large frame takes as long as detecting its stars. Code that needs contiguous
rows can work on `pixels.T` and swap the coordinates.
"""

import struct
from dataclasses import astuple, dataclass
from enum import IntEnum
from math import prod
from typing import Self

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca.errors import AlpacaError

HEADER_BYTES = 44
METADATA_VERSION = 1
MAX_PIXELS = 300_000_000
"""A header that announces more values is taken for garbled; large sensors have 150 million pixels."""
MAX_DATA_START = 65536
"""A header that announces later data is taken for garbled; version 1 has no gap at all."""

_LAYOUT = struct.Struct("<iiIIiiiiiii")
_TILE_PX = 512


class ImageBytesError(ValueError):
    """Bytes that are no ImageBytes image, or an image that cannot be sent as one."""


class ElementType(IntEnum):
    """Types of an image's elements."""

    UNKNOWN = 0
    INT16 = 1
    INT32 = 2
    DOUBLE = 3
    SINGLE = 4
    UINT64 = 5
    BYTE = 6
    INT64 = 7
    UINT16 = 8
    UINT32 = 9

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The numpy type on the wire: little-endian."""
        return _DTYPES[self]

    @classmethod
    def of(cls, dtype: np.dtype[np.generic]) -> Self:
        """Return the element type for a numpy type; raise `ImageBytesError` if Alpaca has none."""
        wire_type = dtype.newbyteorder("<")
        for element, candidate in _DTYPES.items():
            if candidate == wire_type:
                return cls(element)
        raise ImageBytesError(f"Alpaca has no element type for {dtype}: convert the image, for example to uint16.")


_DTYPES: dict[ElementType, np.dtype[np.generic]] = {
    ElementType.INT16: np.dtype("<i2"),
    ElementType.INT32: np.dtype("<i4"),
    ElementType.DOUBLE: np.dtype("<f8"),
    ElementType.SINGLE: np.dtype("<f4"),
    ElementType.UINT64: np.dtype("<u8"),
    ElementType.BYTE: np.dtype("u1"),
    ElementType.INT64: np.dtype("<i8"),
    ElementType.UINT16: np.dtype("<u2"),
    ElementType.UINT32: np.dtype("<u4"),
}
_FIT_INTO_INT32 = frozenset({ElementType.INT16, ElementType.INT32, ElementType.BYTE, ElementType.UINT16})


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The 44 bytes before an image, in the order of the fields.

    Attributes:
        error_number: Alpaca error number, 0 for an image.
        data_start: Offset of the pixels or of the error message from the start of the header.
        image_element_type: Type of the camera's values; some servers send Int32 here for 16-bit values.
        transmission_element_type: Type of the values that follow.
        rank: 2, or 3 for an image with planes.
        dimension1: Columns (Alpaca's x).
        dimension2: Rows (Alpaca's y).
        dimension3: Planes, 0 when the rank is 2.
    """

    metadata_version: int = METADATA_VERSION
    error_number: int = 0
    client_transaction_id: int = 0
    server_transaction_id: int = 0
    data_start: int = HEADER_BYTES
    image_element_type: ElementType = ElementType.UNKNOWN
    transmission_element_type: ElementType = ElementType.UNKNOWN
    rank: int = 0
    dimension1: int = 0
    dimension2: int = 0
    dimension3: int = 0

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview, *, max_pixels: int = MAX_PIXELS) -> Self:
        """Return the header at the start of some bytes.

        Raises:
            ImageBytesError: The bytes are too few, or the version or a value is invalid.
        """
        if len(data) < HEADER_BYTES:
            raise ImageBytesError(f"An ImageBytes reply has at least {HEADER_BYTES} bytes; this one has {len(data)}.")
        version, error, client, server, start, image_type, sent_type, rank, *dimensions = _LAYOUT.unpack_from(data)
        if version != METADATA_VERSION:
            raise ImageBytesError(f"The ImageBytes metadata version is {version}; only {METADATA_VERSION} is known.")
        if not HEADER_BYTES <= start <= MAX_DATA_START:
            raise ImageBytesError(f"The ImageBytes header is garbled: its data begins at byte {start}.")
        common = {"client_transaction_id": client, "server_transaction_id": server, "data_start": start}
        if error:
            return cls(error_number=error, **common)
        _check_types(image_type, sent_type)
        _check_shape(rank, dimensions, max_pixels)
        return cls(
            image_element_type=ElementType(image_type),
            transmission_element_type=ElementType(sent_type),
            rank=rank,
            dimension1=dimensions[0],
            dimension2=dimensions[1],
            dimension3=dimensions[2] if rank == 3 else 0,
            **common,
        )

    def pack(self) -> bytes:
        """Return the 44 bytes."""
        return _LAYOUT.pack(*astuple(self))

    @property
    def wire_shape(self) -> tuple[int, ...]:
        """Shape of the values in C order: (columns, rows) or (columns, rows, planes)."""
        return (self.dimension1, self.dimension2, self.dimension3)[: self.rank]

    @property
    def payload_bytes(self) -> int:
        """Size of the pixels."""
        return prod(self.wire_shape) * self.transmission_element_type.dtype.itemsize


def _check_types(image_type: int, sent_type: int) -> None:
    known = set(ElementType)
    if image_type not in known:
        raise ImageBytesError(f"The ImageBytes header gives the image an unknown element type: {image_type}.")
    if sent_type not in known - {ElementType.UNKNOWN}:
        raise ImageBytesError(f"The ImageBytes header announces values of an unknown type: {sent_type}.")


def _check_shape(rank: int, dimensions: list[int], max_pixels: int) -> None:
    if rank not in {2, 3}:
        raise ImageBytesError(f"The ImageBytes header gives the image {rank} dimensions; Alpaca images have 2 or 3.")
    shape = dimensions[:rank]
    if min(shape) < 1:
        raise ImageBytesError(f"The ImageBytes header gives the image impossible dimensions: {shape}.")
    if prod(shape) > max_pixels:
        raise ImageBytesError(f"The ImageBytes header gives the image {shape}: more than {max_pixels} values.")


def wire_to_rows(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return [x, y] or [x, y, plane] values as a [row, column] or [row, column, plane] view, or back."""
    return values.swapaxes(0, 1)


def empty_image(header: Header) -> tuple[NDArray[np.generic], memoryview]:
    """Return an empty image for a header, as a [row, column] view and as the memory for its bytes."""
    values = np.empty(header.wire_shape, dtype=header.transmission_element_type.dtype)
    return wire_to_rows(values), values.reshape(-1).view(np.uint8).data


def decode_image(data: bytes | bytearray | memoryview, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.generic]:
    """Return the pixels of an ImageBytes reply as a view, shape (rows, columns) or (rows, columns, planes).

    Their type is the transmission's.

    Raises:
        AlpacaError: The reply is an error.
        ImageBytesError: The reply is no ImageBytes image.
    """
    header = Header.parse(data, max_pixels=max_pixels)
    if header.error_number:
        raise decode_error(header, bytes(data[header.data_start :]))
    received = len(data) - header.data_start
    if received != header.payload_bytes:
        raise ImageBytesError(
            f"An image of {' x '.join(map(str, header.wire_shape))} {header.transmission_element_type.name} values has"
            f" {header.payload_bytes} bytes, but {max(received, 0)} came after the header."
        )
    values = np.frombuffer(data, dtype=header.transmission_element_type.dtype, offset=header.data_start)
    return wire_to_rows(values.reshape(header.wire_shape))


def decode_error(header: Header, text: bytes) -> AlpacaError:
    """Return the error of a header with an error number; `text` are the bytes in place of pixels."""
    message = text.decode("utf-8", errors="replace").strip("\0 \r\n")
    return AlpacaError(header.error_number, message or "The device gives no reason.")


def encode_image(
    pixels: NDArray[np.generic],
    *,
    transmission: ElementType | None = None,
    element: ElementType | None = None,
    client_transaction_id: int = 0,
    server_transaction_id: int = 0,
) -> tuple[bytes, memoryview]:
    """Return the header and the values of an ImageBytes reply.

    Values in Fortran order (planes last and fastest) and of the transmission's type are not copied.

    Args:
        pixels: Shape (rows, columns) or (rows, columns, planes).
        transmission: Element type of the values sent; by default that of `pixels`.
        element: Element type of the camera; by default Int32 if the values fit into it, else the transmission's.
        client_transaction_id: The client's number of the request.
        server_transaction_id: The server's number of the request.

    Raises:
        ImageBytesError: Alpaca has no such element type or rank, the image is empty, or its values do not fit.
    """
    if pixels.ndim not in {2, 3} or pixels.size == 0:
        raise ImageBytesError(f"An Alpaca image has 2 or 3 dimensions and at least a pixel, not shape {pixels.shape}.")
    sent_type = ElementType.of(pixels.dtype) if transmission is None else transmission
    default_element = ElementType.INT32 if sent_type in _FIT_INTO_INT32 else sent_type
    values = wire_order(_converted(pixels, sent_type.dtype))
    columns, rows, planes = (*values.shape, 0)[:3]
    header = Header(
        client_transaction_id=client_transaction_id,
        server_transaction_id=server_transaction_id,
        image_element_type=default_element if element is None else element,
        transmission_element_type=sent_type,
        rank=values.ndim,
        dimension1=columns,
        dimension2=rows,
        dimension3=planes,
    )
    return header.pack(), values.reshape(-1).view(np.uint8).data


def wire_order(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return [row, column] pixels as contiguous [x, y] values, without a copy if they are in Fortran order."""
    values = wire_to_rows(pixels)
    if values.flags.c_contiguous:
        return values
    turned = np.empty(values.shape, dtype=values.dtype)
    # In tiles, because a plain transposing copy misses the cache at each value.
    for x in range(0, values.shape[0], _TILE_PX):
        for y in range(0, values.shape[1], _TILE_PX):
            turned[x : x + _TILE_PX, y : y + _TILE_PX] = values[x : x + _TILE_PX, y : y + _TILE_PX]
    return turned


def _converted(pixels: NDArray[np.generic], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    if np.can_cast(pixels.dtype, dtype, "safe"):
        return pixels.astype(dtype, copy=False)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype.str)
        low, high = pixels.min(), pixels.max()
        if pixels.dtype.kind not in "iu" or not limits.min <= low <= high <= limits.max:
            raise ImageBytesError(f"Values from {low} to {high} of type {pixels.dtype} do not fit into {dtype}.")
    return pixels.astype(dtype)
