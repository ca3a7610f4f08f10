"""Images through the gateway: as ImageBytes and as JSON, whole and in part, and passed to the callback."""

import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.http import HttpError
from alpaca_focus.alpaca.imagebytes import Header, ImageBytesError, decode_image
from alpaca_focus.alpaca.replies import IMAGE_BYTES, JSON
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.gateway import upstream as upstream_module
from alpaca_focus.gateway.passed_images import MAX_BUFFERS, PassedImage
from alpaca_focus.gateway.upstream import Upstream
from alpaca_focus.simulator.faults import FaultRequest
from alpaca_focus.simulator.observatory import Observatory
from tests.blocking import fetch_image
from tests.integration.gateway.conftest import ask, raw

IMAGE = "/api/v1/camera/0/imagearray?ClientTransactionID=77&ClientID=5"


class Album:
    """Keeps copies of the images that pass."""

    def __init__(self) -> None:
        self.pixels: list[np.ndarray] = []
        self.transactions: list[int] = []
        self.has_come = threading.Event()

    def __call__(self, image: PassedImage) -> None:
        with image:
            self.pixels.append(image.pixels.copy())
            self.transactions.append(Header.parse(image.content).client_transaction_id)
        self.has_come.set()


def expose(address: str, **settings: int) -> None:
    for name, value in {"Connected": True, **settings}.items():
        ask(address, "PUT", f"/api/v1/camera/0/{name.lower()}", f"{name}={value}".encode())
    ask(address, "PUT", "/api/v1/camera/0/startexposure", b"Duration=0.5&Light=True")
    while b"true" not in ask(address, "GET", "/api/v1/camera/0/imageready")[2]:
        pass


@pytest.fixture
def album() -> Album:
    return Album()


@pytest.fixture
def gateway_before(gateway_to: Callable[..., RunningServer], album: Album) -> Callable[[Observatory], RunningServer]:
    def start(observatory: Observatory, on_image: Callable[[PassedImage], None] = album) -> RunningServer:
        camera = Upstream(DeviceType.CAMERA, authority=observatory.address, device_number=0, on_image=on_image)
        return gateway_to(upstreams=[camera])

    return start


@pytest.mark.parametrize("subframe", [{}, {"BinX": 2, "BinY": 2, "StartX": 5, "StartY": 9, "NumX": 61, "NumY": 47}])
def test_image_bytes_are_the_same_and_shown(
    observatory: Observatory, gateway_before: Any, album: Album, subframe: dict[str, int]
) -> None:
    gateway = gateway_before(observatory)
    expose(gateway.address, **subframe)
    direct = ask(observatory.address, "GET", IMAGE, Accept=IMAGE_BYTES)
    passed = ask(gateway.address, "GET", IMAGE, Accept=IMAGE_BYTES)
    # Only the server's own count differs.
    assert passed[2][:12] + passed[2][16:] == direct[2][:12] + direct[2][16:]
    assert passed[0] == direct[0] == 200
    for header in ("content-type", "content-length"):
        assert passed[1][header] == direct[1][header]
    album.has_come.wait()
    assert np.array_equal(album.pixels[0], fetch_image(observatory.address, 0, timeout_s=30))
    assert album.transactions == [77]


def test_json_images_are_the_same_and_not_shown(observatory: Observatory, gateway_before: Any, album: Album) -> None:
    gateway = gateway_before(observatory)
    expose(gateway.address)
    direct, passed = (json.loads(ask(at.address, "GET", IMAGE)[2]) for at in (observatory, gateway))
    assert passed.pop("ServerTransactionID") > direct.pop("ServerTransactionID")
    assert passed == direct
    assert album.pixels == []


def test_json_images_come_as_image_bytes_to_whom_wants_those(
    observatory_with: Callable[..., Observatory], gateway_before: Any, album: Album
) -> None:
    observatory = observatory_with(quirks=("json-images-only",))
    gateway = gateway_before(observatory)
    expose(gateway.address, BinX=2, BinY=2, NumX=61, NumY=47)
    status, headers, content = ask(gateway.address, "GET", IMAGE, Accept=IMAGE_BYTES)
    assert (status, headers["content-type"], int(headers["content-length"])) == (200, IMAGE_BYTES, len(content))
    wanted = fetch_image(observatory.address, 0, timeout_s=30)
    assert np.array_equal(decode_image(content), wanted)
    assert Header.parse(content).client_transaction_id == 77
    assert json.loads(ask(gateway.address, "GET", IMAGE)[2])["Rank"] == 2
    album.has_come.wait()
    assert len(album.pixels) == 1
    assert np.array_equal(album.pixels[0], wanted)


def test_json_errors_stay_json_where_image_bytes_are_wanted(
    observatory_with: Callable[..., Observatory], gateway_before: Any, album: Album
) -> None:
    gateway = gateway_before(observatory_with(quirks=("json-images-only",)))
    ask(gateway.address, "PUT", "/api/v1/camera/0/connected", b"Connected=true")
    status, headers, content = ask(gateway.address, "GET", IMAGE, Accept=IMAGE_BYTES)
    assert (status, headers["content-type"].partition(";")[0]) == (200, "application/json")
    assert json.loads(content)["ErrorNumber"]
    assert album.pixels == []


def test_an_image_error_comes_as_json(observatory: Observatory, gateway_before: Any, album: Album) -> None:
    gateway = gateway_before(observatory)
    ask(gateway.address, "PUT", "/api/v1/camera/0/connected", b"Connected=true")
    with pytest.raises(AlpacaError) as direct:
        fetch_image(observatory.address, 0, timeout_s=30)
    with pytest.raises(AlpacaError) as passed:
        fetch_image(gateway.address, 0, timeout_s=30)
    assert passed.value.args == direct.value.args
    assert ask(gateway.address, "GET", IMAGE, Accept=IMAGE_BYTES)[1]["content-type"] == JSON
    assert album.pixels == []


@pytest.mark.parametrize(
    "quirk",
    [
        "content-length-without-header",
        "image-errors-as-raw-bytes",
        "image-error-number-zero",
        "imagebytes-unasked",
        "int32-for-everything",
        "header-from-present-numx",
        "transaction-zero",
        "byte-frames",
        "three-planes",
        "planes-in-wrong-order",
    ],
)
def test_odd_images_look_the_same_from_both_sides(
    observatory_with: Callable[..., Observatory], gateway_before: Any, quirk: str
) -> None:
    observatory = observatory_with(quirks=(quirk,))
    gateway = gateway_before(observatory)

    def look(address: str) -> list[tuple[bytes, bytes]]:
        seen = []
        for accept in (b"", b"Accept: application/imagebytes\r\n"):
            request = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n" % (IMAGE.encode(), accept)
            head, _, body = raw(address, request).partition(b"\r\n\r\n")
            lines = sorted(line for line in head.lower().split(b"\r\n") if not line.startswith(b"connection"))
            if body.startswith(b"\1\0\0\0"):
                body = body[:12] + body[16:]
            else:
                body = b"".join(part for part in body.split(b'"ServerTransactionID"'))
            seen.append((b"\n".join(lines), body if b"chunked" not in head else body[-10:]))
        return seen

    ask(gateway.address, "PUT", "/api/v1/camera/0/connected", b"Connected=true")
    assert [head for head, _ in look(gateway.address)] == [head for head, _ in look(observatory.address)]
    expose(gateway.address)
    ask(gateway.address, "PUT", "/api/v1/camera/0/numx", b"NumX=100")
    assert look(gateway.address) == look(observatory.address)


def test_an_image_whose_header_does_not_fit_is_passed_and_shown_as_such(
    observatory_with: Callable[..., Observatory], gateway_before: Any
) -> None:
    found: list[object] = []

    def look(image: PassedImage) -> None:
        with image:
            try:
                found.append(image.pixels)
            except ImageBytesError as error:
                found.append(error)

    observatory = observatory_with(quirks=("header-from-present-numx",))
    gateway = gateway_before(observatory, look)
    expose(gateway.address)
    ask(gateway.address, "PUT", "/api/v1/camera/0/numx", b"NumX=100")
    with pytest.raises(HttpError):
        fetch_image(gateway.address, 0, timeout_s=10)
    assert all(isinstance(entry, ImageBytesError) for entry in found)


def test_images_pass_unseen_while_all_memory_is_lent(observatory: Observatory, gateway_before: Any) -> None:
    kept: list[PassedImage] = []
    gateway = gateway_before(observatory, kept.append)
    expose(gateway.address)
    wanted = fetch_image(observatory.address, 0, timeout_s=30)
    for _ in range(MAX_BUFFERS + 2):
        assert np.array_equal(fetch_image(gateway.address, 0, timeout_s=30), wanted)
    while len(kept) < MAX_BUFFERS:
        pass
    assert all(np.array_equal(image.pixels, wanted) for image in kept)
    for image in tuple(kept):
        image.release()
        image.release()
    fetch_image(gateway.address, 0, timeout_s=30)
    while len(kept) < MAX_BUFFERS + 1:
        pass
    assert np.array_equal(kept[-1].pixels, wanted)


def test_a_listener_that_fails_does_not_cost_the_image(
    observatory: Observatory, gateway_before: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def fail(image: PassedImage) -> None:
        calls.append(image)
        raise RuntimeError("the listener fails")

    gateway = gateway_before(observatory, fail)
    expose(gateway.address)
    for _ in range(MAX_BUFFERS + 1):
        fetch_image(gateway.address, 0, timeout_s=30)
    while len(calls) < MAX_BUFFERS + 1:  # each had memory, so the ones before gave theirs back
        pass
    gateway.stop()
    assert "could not be measured" in capfd.readouterr().out


def test_a_cut_image_is_cut_and_not_shown(
    observatory: Observatory, gateway_before: Any, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_module, "PIECE_BYTES", 4096)
    gateway = gateway_before(observatory)
    expose(gateway.address)
    observatory.world.faults.add(FaultRequest(kind="cut-image", value=0.4, times=3))
    with pytest.raises(HttpError) as direct:
        fetch_image(observatory.address, 0, timeout_s=30)
    for _ in range(2):
        with pytest.raises(HttpError) as passed:
            fetch_image(gateway.address, 0, timeout_s=30)
        assert str(passed.value).partition(" after ")[2] == str(direct.value).partition(" after ")[2]
    assert album.pixels == []
    assert fetch_image(gateway.address, 0, timeout_s=30).shape == (512, 640)


def test_a_client_that_leaves_in_the_middle_costs_nobody_anything(
    observatory: Observatory, gateway_before: Any, album: Album
) -> None:
    gateway = gateway_before(observatory)
    expose(gateway.address)
    observatory.world.faults.add(FaultRequest(kind="stall-image", value=0.4, times=MAX_BUFFERS + 1))
    for _ in range(MAX_BUFFERS + 1):
        with pytest.raises(HttpError):
            fetch_image(gateway.address, 0, timeout_s=0.3)
    fetch_image(gateway.address, 0, timeout_s=30)
    album.has_come.wait()
    assert len(album.pixels) == 1


def test_two_clients_download_at_once(observatory: Observatory, gateway_before: Any, album: Album) -> None:
    gateway = gateway_before(observatory)
    expose(gateway.address)
    wanted = fetch_image(observatory.address, 0, timeout_s=30)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch_image(gateway.address, 0, timeout_s=30))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(image, wanted) for image in found)
    assert all(np.array_equal(image, wanted) for image in album.pixels)
