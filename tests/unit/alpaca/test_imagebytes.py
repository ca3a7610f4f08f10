"""ImageBytes against bytes made by hand with struct, and against what must be refused."""

import struct
from typing import Any

import numpy as np
import pytest

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.imagebytes import (
    ElementType,
    Header,
    ImageBytesError,
    decode_image,
    encode_image,
    wire_order,
)

CODES = {
    ElementType.INT16: "h",
    ElementType.INT32: "i",
    ElementType.DOUBLE: "d",
    ElementType.SINGLE: "f",
    ElementType.UINT64: "Q",
    ElementType.BYTE: "B",
    ElementType.INT64: "q",
    ElementType.UINT16: "H",
    ElementType.UINT32: "I",
}


def by_hand(
    values: list[Any],
    code: str,
    *,
    version: int = 1,
    error: int = 0,
    start: int = 44,
    element: int = 2,
    sent: int = 8,
    rank: int = 2,
    dimensions: tuple[int, int, int] = (3, 2, 0),
) -> bytes:
    header = struct.pack("<iiIIiiiiiii", version, error, 7, 9, start, element, sent, rank, *dimensions)
    return header + b"\0" * (start - 44) + struct.pack(f"<{len(values)}{code}", *values)


@pytest.mark.parametrize("element", CODES)
def test_every_element_type_of_rank_2_is_decoded(element: ElementType) -> None:
    # Three columns of two rows: the row is the fastest index on the wire.
    pixels = decode_image(by_hand([11, 12, 21, 22, 31, 32], CODES[element], element=element, sent=element))
    assert pixels.shape == (2, 3)
    assert pixels.dtype == np.dtype(f"={CODES[element]}")
    assert pixels.tolist() == [[11, 21, 31], [12, 22, 32]]


@pytest.mark.parametrize("element", CODES)
def test_every_element_type_of_rank_3_is_decoded(element: ElementType) -> None:
    data = by_hand(list(range(12)), CODES[element], element=element, sent=element, rank=3, dimensions=(3, 2, 2))
    pixels = decode_image(data)
    assert pixels.shape == (2, 3, 2)
    assert pixels[0, 0].tolist() == [0, 1]
    assert pixels[1, 0].tolist() == [2, 3]
    assert pixels[0, 2].tolist() == [8, 9]


@pytest.mark.parametrize("element", CODES)
def test_every_element_type_is_encoded_as_by_hand(element: ElementType) -> None:
    pixels = np.array([[11, 21, 31], [12, 22, 32]], dtype=element.dtype)
    header, body = encode_image(pixels, element=element, client_transaction_id=7, server_transaction_id=9)
    assert header + bytes(body) == by_hand([11, 12, 21, 22, 31, 32], CODES[element], element=element, sent=element)


@pytest.mark.parametrize("sent", [ElementType.UINT16, ElementType.INT16, ElementType.BYTE])
def test_int32_image_travels_in_smaller_clothes(sent: ElementType) -> None:
    pixels = np.array([[1, 2], [3, 127]], dtype=np.int32)
    header, body = encode_image(pixels, transmission=sent)
    parsed = Header.parse(header)
    assert parsed.image_element_type is ElementType.INT32
    assert parsed.transmission_element_type is sent
    decoded = decode_image(header + bytes(body))
    assert decoded.dtype == sent.dtype
    assert decoded.tolist() == pixels.tolist()


def test_decoding_is_a_view_of_the_bytes() -> None:
    data = bytearray(by_hand([1, 2, 3, 4, 5, 6], "H"))
    pixels = decode_image(data)
    data[44:46] = b"\xff\x00"
    assert pixels[0, 0] == 255
    assert pixels.flags.f_contiguous


def test_fortran_order_is_encoded_without_a_copy() -> None:
    pixels = np.asfortranarray(np.arange(12, dtype=np.uint16).reshape(3, 4))
    _, body = encode_image(pixels)
    pixels[0, 0] = 999
    assert bytes(body[:2]) == (999).to_bytes(2, "little")


def test_c_order_larger_than_a_tile_is_turned_round(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 65536, (700, 1100), dtype=np.uint16)
    assert np.array_equal(wire_order(pixels), pixels.T)
    assert wire_order(pixels).flags.c_contiguous


def test_data_may_begin_later() -> None:
    assert decode_image(by_hand([1, 2, 3, 4, 5, 6], "H", start=60)).tolist() == [[1, 3, 5], [2, 4, 6]]


def test_rank_2_does_not_mind_a_third_dimension() -> None:
    assert decode_image(by_hand([1, 2, 3, 4, 5, 6], "H", dimensions=(3, 2, 1))).shape == (2, 3)


def test_error_reply_raises_its_number_and_message() -> None:
    with pytest.raises(AlpacaError, match="Kühlung") as caught:
        decode_image(Header(error_number=0x40B).pack() + "Kühlung aus".encode())
    assert caught.value.number == 0x40B


def test_error_reply_without_text_or_utf8_is_still_an_error() -> None:
    with pytest.raises(AlpacaError, match="no reason"):
        decode_image(Header(error_number=0x500).pack())
    with pytest.raises(AlpacaError):
        decode_image(Header(error_number=0x500).pack() + b"\xff\xfe")


VALUES = [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "at least 44"),
        (b"\x01\0\0\0" * 10, "at least 44"),
        (by_hand(VALUES, "H", version=2), "version is 2"),
        (by_hand(VALUES, "H", version=0), "version is 0"),
        (struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 12, 2, 8, 2, 3, 2, 0) + b"\0" * 12, "begins at byte 12"),
        (struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 2**31 - 1, 2, 8, 2, 3, 2, 0) + b"\0" * 12, "begins at byte"),
        (by_hand(VALUES, "H", sent=0), "unknown type"),
        (by_hand(VALUES, "H", sent=10), "unknown type"),
        (by_hand(VALUES, "H", element=99), "unknown element type"),
        (by_hand(VALUES, "H", rank=1), "1 dimensions"),
        (by_hand(VALUES, "H", rank=4), "4 dimensions"),
        (by_hand(VALUES, "H", dimensions=(-3, -2, 0)), "impossible dimensions"),
        (by_hand(VALUES, "H", dimensions=(0, 2, 0)), "impossible dimensions"),
        (by_hand(VALUES, "H", rank=3), "impossible dimensions"),
        (by_hand(VALUES, "H", dimensions=(2**31 - 1, 2**31 - 1, 0)), "more than"),
        (by_hand(VALUES[:5], "H"), "has 12 bytes, but 10"),
        (by_hand([*VALUES, 7], "H"), "has 12 bytes, but 14"),
    ],
)
def test_garbled_image_is_refused_with_a_sentence(data: bytes, complaint: str) -> None:
    with pytest.raises(ImageBytesError, match=complaint):
        decode_image(data)


@pytest.mark.parametrize(
    ("pixels", "transmission"),
    [
        (np.array([[70000]], dtype=np.int32), ElementType.UINT16),
        (np.array([[-1]], dtype=np.int32), ElementType.UINT16),
        (np.array([[1.5]]), ElementType.INT32),
        (np.array([1, 2, 3]), None),
        (np.zeros((0, 3), dtype=np.uint16), None),
        (np.zeros((2, 2), dtype=bool), None),
        (np.zeros((2, 2), dtype=np.int8), None),
    ],
)
def test_image_that_does_not_fit_is_refused(pixels: np.ndarray, transmission: ElementType | None) -> None:
    with pytest.raises(ImageBytesError):
        encode_image(pixels, transmission=transmission)


def test_big_endian_pixels_are_encoded_as_any_other() -> None:
    header, body = encode_image(np.array([[1, 2]], dtype=">u2"))
    assert decode_image(header + bytes(body)).tolist() == [[1, 2]]
