"""JSON images, written and read."""

import json

import numpy as np
import pytest

from alpaca_focus.alpaca.jsonimage import JsonImageError, json_pieces, parse_json_image


@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 3), (1, 1), (700, 900)])
def test_image_is_written_as_columns_of_rows(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 65536, shape, dtype=np.uint16)
    reply = json.loads(b"".join(json_pieces(pixels, {"ErrorNumber": 0})))
    assert (reply["Type"], reply["Rank"], reply["ErrorNumber"]) == (2, len(shape), 0)
    assert reply["Value"] == pixels.swapaxes(0, 1).tolist()


def test_fractions_are_written_as_doubles() -> None:
    assert json.loads(b"".join(json_pieces(np.array([[1.5]]), {})))["Type"] == 3


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n", " : ")])
@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 3), (1, 1), (1, 5), (5, 1), (2, 1, 3)])
def test_image_is_read_with_any_blanks(shape: tuple[int, ...], separators: tuple[str, str]) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    reply = {"Type": 2, "Value": pixels.swapaxes(0, 1).tolist(), "ErrorMessage": "see [1]", "ErrorNumber": 0}
    fields, found = parse_json_image(json.dumps(reply, separators=separators).encode())
    assert fields == {"Type": 2, "ErrorMessage": "see [1]", "ErrorNumber": 0}
    assert found is not None
    assert found.dtype == np.int32
    assert np.array_equal(found, pixels)


def test_fractions_are_read_as_doubles() -> None:
    _, pixels = parse_json_image(b'{"Value": [[1.5, 2], [-3e2, 4]]}')
    assert pixels is not None
    assert pixels.tolist() == [[1.5, -300.0], [2.0, 4.0]]


def test_error_has_no_pixels() -> None:
    fields, pixels = parse_json_image(b'{"ErrorNumber": 1031, "ErrorMessage": "not connected", "Value": null}')
    assert fields["ErrorNumber"] == 1031
    assert pixels is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>",
        b"[1, 2]",
        b'{"Value": [[1, 2], [3]]}',
        b'{"Value": [[1, 2], [3, 4, 5]]}',
        b'{"Value": [[1], [3, 4]]}',
        b'{"Value": [[1, 2], 3]}',
        b'{"Value": [[1,, 2]]}',
        b'{"Value": [[]]}',
        b'{"Value": [[], []]}',
        b'{"Value": [[1, 2], [3, 4}',
        b'{"Value": [[4294967296]]}',
        b'{"Value": [[[1, 2], [3, 4]], [[5, 6], [7]]]}',
        b'{"Value": [[[[1]]]]}',
        b'{"Value": [[1]]',
    ],
)
def test_what_is_no_image_is_refused(text: bytes) -> None:
    with pytest.raises(JsonImageError):
        parse_json_image(text)


def test_absurd_size_is_refused() -> None:
    with pytest.raises(JsonImageError, match="dimensions"):
        parse_json_image(b'{"Value": [[1, 2], [3, 4]]}', max_pixels=3)
