"""Free ports for the tests, also where many tests run at once."""

import random
import socket

LOWEST, HIGHEST = 20_000, 29_999
"""Below the ports that the system gives out by itself, so that nobody gets one before it is used."""
_CHANCE = random.SystemRandom()
"""Not the seed's: tests that run beside each other would meet at the same ports."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port of loopback at which nobody listens."""
    while True:
        port = _CHANCE.randint(LOWEST, HIGHEST)
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
