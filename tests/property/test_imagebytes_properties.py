"""ImageBytes: any image survives the way there and back, and no bytes crash the decoder."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.imagebytes import ElementType, ImageBytesError, decode_image, encode_image
from alpaca_focus.alpaca.jsonimage import JsonImageError, json_pieces, parse_json_image

DTYPES = st.sampled_from([element.dtype for element in ElementType if element is not ElementType.UNKNOWN])
IMAGES = DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=2, max_dims=3, max_side=6)))
NUMBERS = st.integers(0, 2**32 - 1)


@given(pixels=IMAGES, fortran=st.booleans(), client=NUMBERS, server=NUMBERS)
def test_any_image_survives_the_way_there_and_back(pixels: np.ndarray, fortran: bool, client: int, server: int) -> None:
    given_order = np.asfortranarray(pixels) if fortran else pixels
    header, body = encode_image(given_order, client_transaction_id=client, server_transaction_id=server)
    decoded = decode_image(header + bytes(body))
    assert decoded.dtype == pixels.dtype
    assert decoded.shape == pixels.shape
    assert decoded.tobytes() == pixels.tobytes()


@given(pixels=IMAGES, data=st.data())
def test_mutated_bytes_are_refused_or_decoded_but_never_crash(pixels: np.ndarray, data: st.DataObject) -> None:
    header, body = encode_image(pixels)
    mutated = bytearray(header + bytes(body))
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, 43))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(mutated)))
    try:
        decoded = decode_image(bytes(mutated[:end]))
    except (ImageBytesError, AlpacaError):
        return
    assert decoded.nbytes <= end - 44


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_decoded_but_never_crash(data: bytes) -> None:
    try:
        decode_image(data)
    except (ImageBytesError, AlpacaError):
        return


@given(arrays.arrays(np.int32, arrays.array_shapes(min_dims=2, max_dims=3, max_side=6)))
def test_any_image_survives_json(pixels: np.ndarray) -> None:
    _, found = parse_json_image(b"".join(json_pieces(pixels, {})))
    assert found is not None
    assert np.array_equal(found, pixels)


JSON_ALPHABET = st.text(alphabet='[]{},:0123456789.eE+-" Value', max_size=80)


@given(JSON_ALPHABET, st.booleans())
def test_any_text_is_refused_or_read_but_never_crashes(text: str, as_value: bool) -> None:
    try:
        parse_json_image(f'{{"Value": {text}}}'.encode() if as_value else text.encode())
    except JsonImageError:
        return
