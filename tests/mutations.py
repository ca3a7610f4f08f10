"""Damage to bytes for the fuzz tests: counted, and the same for the same seed."""

import os
import random

SOAK_VARIABLE = "ALPACA_FOCUS_FUZZ"
IN_A_TEST_RUN = 1000


def mutation_count() -> int:
    """How many mutations to try: a few in a test run, as many as the environment asks for in a soak."""
    return int(os.environ.get(SOAK_VARIABLE) or IN_A_TEST_RUN)


def damaged(good: bytes, random_: random.Random) -> bytes:
    """Return the bytes with one to three damages: flipped bits, runs overwritten, cut out or doubled, the end gone."""
    data = bytearray(good)
    for _ in range(random_.randint(1, 3)):
        random_.choice((_flip_bits, _overwrite, _cut_out, _double, _truncate))(data, random_)
    return bytes(data)


def _flip_bits(data: bytearray, random_: random.Random) -> None:
    for _ in range(random_.randint(1, 8)):
        if data:
            data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)


def _overwrite(data: bytearray, random_: random.Random) -> None:
    start, length = _piece(data, random_)
    filler = random_.choice((b"\0", b"\xff", b" ", b"9", None))
    run = random_.randbytes(length) if filler is None else filler * length
    data[start : start + length] = run


def _cut_out(data: bytearray, random_: random.Random) -> None:
    start, length = _piece(data, random_)
    del data[start : start + length]


def _double(data: bytearray, random_: random.Random) -> None:
    start, length = _piece(data, random_)
    data[start:start] = data[start : start + length]


def _truncate(data: bytearray, random_: random.Random) -> None:
    del data[random_.randint(0, len(data)) :]


def _piece(data: bytearray, random_: random.Random) -> tuple[int, int]:
    start = random_.randint(0, len(data))
    return start, min(len(data) - start, random_.choice((1, 4, 80, 500)))
