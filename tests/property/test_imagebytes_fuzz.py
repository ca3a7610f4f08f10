"""Damaged ImageBytes replies: each gives an image that its bytes can hold, or a sentence."""

import random
from collections import Counter

import numpy as np
import pytest

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.imagebytes import HEADER_BYTES, Header, ImageBytesError, decode_image, encode_image
from tests.mutations import damaged, mutation_count

ODD_NUMBERS = (0, 1, 2, 3, 9, 10, 43, 44, 45, 64, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def good_replies(rng: np.random.Generator) -> list[bytes]:
    replies = [Header(error_number=1025).pack() + b"The exposure time is out of range."]
    for kind in (np.uint16, np.int32, np.float64, np.uint8):
        for shape in ((16, 24), (8, 12, 3)):
            header, body = encode_image(rng.integers(0, 255, shape).astype(kind))
            replies.append(header + bytes(body))
    return replies


def with_odd_number(good: bytes, random_: random.Random) -> bytes:
    """Return the reply with one of the header's eleven numbers replaced by an odd one."""
    offset = 4 * random_.randrange(HEADER_BYTES // 4)
    return good[:offset] + random_.choice(ODD_NUMBERS).to_bytes(4, "little") + good[offset + 4 :]


@pytest.mark.timeout(120 + mutation_count() // 20)
def test_no_damage_crashes_the_decoder(seed: int) -> None:
    random_ = random.Random(seed)
    replies = good_replies(np.random.default_rng(seed))
    found: Counter[str] = Counter()
    empty_sentences = 0
    for _ in range(mutation_count()):
        make = random_.choice((damaged, with_odd_number))
        content = make(random_.choice(replies), random_)
        try:
            image = decode_image(content)
        except (AlpacaError, ImageBytesError) as error:
            found[type(error).__name__] += 1
            empty_sentences += not str(error).strip()
        else:
            assert image.ndim in {2, 3}
            assert 0 < image.nbytes <= len(content) - HEADER_BYTES
            found["decoded"] += 1
    print(dict(found))
    assert sum(found.values()) == mutation_count()
    assert empty_sentences == 0
    assert set(found) == {"decoded", "AlpacaError", "ImageBytesError"}
