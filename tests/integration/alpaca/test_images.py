"""Images over real HTTP: ours read by alpyca, ours and others' read by `fetch_image`."""

import json
from typing import Any

import numpy as np
import pytest
from alpaca.camera import Camera

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.http import BadStatus
from alpaca_focus.alpaca.imagebytes import ElementType, Header, decode_image
from alpaca_focus.alpaca.replies import ImageReply
from tests.blocking import fetch_image

IMAGE = "/api/v1/camera/0/imagearray"
IMAGE_BYTES = {"Accept": "application/imagebytes"}
ALL_TYPES = [element for element in ElementType if element is not ElementType.UNKNOWN]
# alpyca reads no others.
ALPYCA_TYPES = [
    ElementType.INT16,
    ElementType.INT32,
    ElementType.DOUBLE,
    ElementType.BYTE,
    ElementType.UINT16,
]


def some_pixels(element: ElementType, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 128, shape).astype(element.dtype)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize("element", ALPYCA_TYPES)
def test_alpyca_reads_our_image_bytes(
    observatory: Any, element: ElementType, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    pixels = some_pixels(element, shape, rng)
    observatory.camera.image = ImageReply(pixels=pixels)
    client = Camera(observatory.running.address, 0, "http")
    flat = np.array(client.ImageArrayRaw)
    info = client.ImageArrayInfo
    assert (info.Dimension1, info.Dimension2, info.Dimension3) == (7, 5, shape[2] if len(shape) == 3 else 0)
    assert np.array_equal(flat.reshape((7, 5, *shape[2:])), pixels.swapaxes(0, 1))
    if len(shape) == 2:  # its nested lists of rank 3 repeat rows
        assert np.array_equal(np.array(client.ImageArray), pixels.T)


def test_alpyca_reads_our_int32_in_16_bit(observatory: Any, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 65536, (5, 7), dtype=np.int32)
    observatory.camera.image = ImageReply(pixels=pixels, transmission=ElementType.UINT16)
    client = Camera(observatory.running.address, 0, "http")
    assert np.array_equal(np.array(client.ImageArray), pixels.T)
    assert client.ImageArrayInfo.ImageElementType == ElementType.INT32
    assert client.ImageArrayInfo.TransmissionElementType == ElementType.UINT16


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize("element", ALL_TYPES)
def test_fetch_image_reads_every_type_and_rank(
    observatory: Any, element: ElementType, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    pixels = some_pixels(element, shape, rng)
    observatory.camera.image = ImageReply(pixels=pixels)
    found = fetch_image(observatory.running.address, 0, timeout_s=10)
    assert found.dtype == pixels.dtype
    assert np.array_equal(found, pixels)
    assert found.flags.writeable


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_frame_arrives_whole(observatory: Any, order: Any, rng: np.random.Generator) -> None:
    pixels = np.array(rng.integers(0, 65536, (1500, 2100), dtype=np.uint16), order=order)
    observatory.camera.image = ImageReply(pixels=pixels)
    assert np.array_equal(fetch_image(observatory.running.address, 0, timeout_s=30), pixels)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (600, 800)])
def test_image_as_json_for_who_does_not_ask_for_image_bytes(
    observatory: Any, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    pixels = rng.integers(0, 65536, shape, dtype=np.uint16)
    observatory.camera.image = ImageReply(pixels=pixels)
    for member in ("imagearray", "imagearrayvariant"):
        reply = observatory.json("GET", f"/api/v1/camera/0/{member}", ClientTransactionID=3)
        assert (reply["Type"], reply["Rank"], reply["ClientTransactionID"]) == (2, len(shape), 3)
        assert np.array_equal(np.array(reply["Value"]).swapaxes(0, 1), pixels)


def test_image_bytes_carry_the_transaction_numbers(observatory: Any) -> None:
    _, content_type, body = observatory.ask("GET", IMAGE, headers=IMAGE_BYTES, ClientTransactionID=4294967295)
    header = Header.parse(body)
    assert content_type == "application/imagebytes"
    assert (header.client_transaction_id, header.server_transaction_id) == (4294967295, 1)
    assert decode_image(body).shape == (2, 3)


def test_image_error_is_json_also_in_place_of_image_bytes(observatory: Any) -> None:
    observatory.camera.image = AlpacaError(ErrorNumber.INVALID_OPERATION, "Noch kein Bild für Sie")
    assert observatory.json("GET", IMAGE)["ErrorNumber"] == ErrorNumber.INVALID_OPERATION
    _, content_type, body = observatory.ask("GET", IMAGE, headers=IMAGE_BYTES, ClientTransactionID=5)
    assert content_type == "application/json"
    assert json.loads(body)["ErrorMessage"] == "Noch kein Bild für Sie"
    with pytest.raises(AlpacaError, match="Noch kein Bild für Sie") as caught:
        fetch_image(observatory.running.address, 0, timeout_s=10)
    assert caught.value.number == ErrorNumber.INVALID_OPERATION


def test_missing_camera_is_refused_with_the_servers_sentence(observatory: Any) -> None:
    with pytest.raises(BadStatus, match="no camera with the number 3") as caught:
        fetch_image(observatory.running.address, 3, timeout_s=10)
    assert caught.value.status == 400
