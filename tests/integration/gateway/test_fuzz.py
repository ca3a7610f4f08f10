"""Garbage to the gateway: refused with a reason or hung up on, and the camera behind it still works."""

import os
import random
import re
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from alpaca_focus.alpaca.standard import INTERFACES, DeviceType
from alpaca_focus.simulator.observatory import Observatory
from tests.blocking import fetch_image
from tests.integration.gateway.test_images import expose
from tests.mutations import SOAK_VARIABLE, damaged

REQUESTS = int(os.environ.get(SOAK_VARIABLE) or 300)
METHODS = (b"GET", b"PUT", b"PUT", b"POST", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"FROB", b"get")
NUMBERS = (*[b"0"] * 40, b"1", b"-1", b"4294967296", b"00", b"1e3", b"", b"%30", "٣".encode())
VALUES = (b"true", b"1", b"-1", b"1e308", b"NaN", b"", b"%ff", b"%00", b"%0d%0aX: y", b"9" * 400, "ü".encode(), b"0.01")
HEADERS = (
    b"Accept: application/imagebytes",
    b"Accept: \xff\xfe",
    b"Accept:",
    b"Content-Type: application/json",
    b"Content-Type: application/x-www-form-urlencoded; charset=utf-8",
    b"Transfer-Encoding: chunked",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Expect: 100-continue",
    b"Connection: upgrade\r\nUpgrade: websocket",
    b"Connection: close",
    b"X-Long: " + b"x" * 9000,
    b"Broken header",
    b"Host: [::1",
)
KINDS = (*("camera", "focuser", "filterwheel", "telescope") * 5, "dome", "Camera", "", "..")


def garbage(random_: random.Random) -> bytes:
    """Return a request that is more or less one."""
    kind = random_.choice(KINDS)
    method, member = random_.choice(
        [*INTERFACES[DeviceType.CAMERA if kind not in set(DeviceType) else DeviceType(kind)].members]
    )
    sent_method = method.encode() if random_.random() < 0.8 else random_.choice(METHODS)
    sent_member = member.encode() if random_.random() < 0.7 else quote_from_bytes(random_.randbytes(4)).encode()
    names = [b"ClientID", b"Duration", b"Light", b"Position", b"Raw", random_.randbytes(3), *[member.encode()] * 9]
    pairs = b"&".join(
        random_.choice(names) + b"=" + random_.choice(VALUES) for _ in range(random_.choice((0, 1, 1, 2, 5)))
    )
    path = b"/api/v1/%s/%s/%s" % (kind.encode(), random_.choice(NUMBERS), sent_member)
    if random_.random() < 0.1:
        path = random_.choice((b"/", b"*", b"/management/v1/configureddevices", b"/setup", b"//", b"/api/v1/camera/0"))
    target = path + (b"?" + pairs if random_.random() < 0.5 else b"")
    lines = [sent_method + b" " + target + b" HTTP/1.1", b"Host: x"]
    lines += random_.sample(HEADERS, random_.choice((0, 0, 0, 0, 1, 2)))
    body = pairs if sent_method == b"PUT" else b""
    if body and random_.random() < 0.9:
        lines.append(b"Content-Length: %d" % len(body))
    request = b"\r\n".join([*lines, b"", body])
    fate = random_.random()
    if fate < 0.1:
        return damaged(request, random_)
    return random_.randbytes(random_.randrange(1, 300)) if fate < 0.15 else request


def send(host: str, port: int, request: bytes) -> bytes:
    """Return what comes back, nothing for a hang-up."""
    with socket.create_connection((host, port), timeout=20) as connection:
        received = bytearray()
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                received += part
        except ConnectionError:
            pass
        return bytes(received)


def keep_open(host: str, port: int, request: bytes) -> bytes:
    """Return the beginning of what comes back to a client that goes on listening."""
    with socket.create_connection((host, port), timeout=0.5) as connection:
        try:
            connection.sendall(request)
            return connection.recv(65536)
        except (TimeoutError, ConnectionError):
            return b""


@pytest.mark.timeout(120 + REQUESTS)
def test_the_gateway_survives_garbage(
    observatory: Observatory, gateway_to: Callable[..., Any], seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    random_ = random.Random(seed)
    gateway = gateway_to(observatory.address)
    found: Counter[str] = Counter()
    failures = []
    for _ in range(REQUESTS):
        request = garbage(random_)
        # Most clients wait for the reply; one that stops sending too early is taken for one that has gone.
        answer = (send if random_.random() < 0.2 else keep_open)(gateway.host, gateway.port, request)
        status = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
        found[status[1].decode() if status else f"{len(answer) > 0}"] += 1
        if (status is None and answer) or (status is not None and status[1][:1] == b"5"):
            failures.append((request, answer[:200]))
    print(dict(found))
    assert failures == []
    assert set(found) <= {"100", "200", "307", "400", "403", "404", "405", "False"}
    assert found["200"] > 0
    expose(gateway.address, BinX=1, BinY=1, StartX=0, StartY=0, NumX=64, NumY=48)
    assert fetch_image(gateway.address, 0, timeout_s=30).shape == (48, 64)
    gateway.stop()
    log = capfd.readouterr()
    print(log.out)
    assert "request_failed" not in log.out + log.err
    assert "Traceback" not in log.out + log.err
