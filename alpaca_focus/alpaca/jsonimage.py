"""Images as JSON: nested lists [x][y] or [x][y][plane], many times slower and larger than ImageBytes.

Source: ASCOM Alpaca Device API, Camera ImageArray: `Type` (2 for Int32, 3 for Double), `Rank`, `Value`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca.imagebytes import MAX_PIXELS, ElementType, wire_to_rows

_STRIP_VALUES = 200_000
_BLANKS = b" \t\r\n"
_IMAGE_VALUE = re.compile(rb'"Value"\s*:\s*(\[\s*\[[\[\]0-9eE+\-.,\s]*\])')


class JsonImageError(ValueError):
    """A text that is no JSON image."""


def json_pieces(pixels: NDArray[np.generic], fields: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the JSON reply for [row, column] pixels in pieces of about a megabyte.

    Args:
        pixels: Shape (rows, columns) or (rows, columns, planes).
        fields: The other fields of the reply: transaction numbers, error number and message.
    """
    values = wire_to_rows(pixels)
    kind = ElementType.INT32 if values.dtype.kind in "iu" else ElementType.DOUBLE
    head = json.dumps({**fields, "Type": int(kind), "Rank": values.ndim})
    yield head[:-1].encode() + b', "Value": ['
    columns = max(1, _STRIP_VALUES * len(values) // values.size)
    for x in range(0, len(values), columns):
        strip = json.dumps(values[x : x + columns].tolist(), separators=(",", ":"))
        yield (b"," if x else b"") + strip[1:-1].encode()
    yield b"]}"


def parse_json_image(
    text: bytes | bytearray, *, max_pixels: int = MAX_PIXELS
) -> tuple[dict[str, Any], NDArray[np.generic] | None]:
    """Parse a JSON reply one column at a time, as Python objects for all pixels need gigabytes.

    Returns:
        The reply without its `Value`, and the pixels as a [row, column] view, Int32 for whole numbers, else Double;
        `None` if the `Value` is no nested list.

    Raises:
        JsonImageError: No JSON, or lists that are not the columns of an image.
    """
    match = _IMAGE_VALUE.search(text)
    try:
        fields = json.loads(text[: match.start(1)] + b"null" + text[match.end(1) :] if match else text)
    except (ValueError, RecursionError) as error:
        raise JsonImageError(f"The reply is neither ImageBytes nor JSON ({error}).") from error
    if not isinstance(fields, dict):
        raise JsonImageError("The reply is JSON, but not from an Alpaca device.")
    fields.pop("Value", None)
    if match is None:
        return fields, None
    return fields, wire_to_rows(_values(match[1].translate(None, _BLANKS), max_pixels))


def _values(lists: bytes, max_pixels: int) -> NDArray[np.generic]:
    """Return the values of nested lists that have no blanks, shape (columns, rows) or (columns, rows, planes)."""
    rank = 3 if lists.startswith(b"[[[") else 2
    closing = b"]" * (rank - 1)
    columns = [column + closing for column in lists[1:-1].removesuffix(closing).split(closing + b",")]
    dtype = np.float64 if re.search(rb"[.eE]", lists) else np.int32
    try:
        first = np.array(json.loads(columns[0]))
        if first.ndim != rank - 1 or not 0 < first.size * len(columns) <= max_pixels:
            raise JsonImageError(
                f"The image in the JSON reply has impossible dimensions: {len(columns)}, {first.shape}."
            )
        values = np.empty((len(columns), *first.shape), dtype=dtype)
        for x, column in enumerate(columns):
            rows = json.loads(column)
            # numpy would stretch a single value over the whole column.
            if len(rows) != len(first):
                raise JsonImageError(f"a column has {len(rows)} rows, the first has {len(first)}")
            values[x] = rows
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise JsonImageError(f"The lists in the JSON reply are not the columns of an image ({error}).") from error
    return values
