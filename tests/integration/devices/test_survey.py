"""What is found on servers that behave and on servers that do not; devices are left as they were."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests

from alpaca_focus.alpaca.errors import ErrorNumber
from alpaca_focus.alpaca.replies import TEXT_PLAIN
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.server import AlpacaServer
from alpaca_focus.core.device_kinds import DEVICE_KINDS, DiscoveredDevice
from alpaca_focus.core.errors import ConfigurationError, DeviceMisbehaved, DeviceUnreachable
from alpaca_focus.devices import survey
from alpaca_focus.devices.connection import CALL_TIMEOUT_S
from alpaca_focus.devices.survey import survey_device, survey_server
from alpaca_focus.setup.server_discovery import discover_servers
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import ObservatorySettings
from tests.ports import free_port
from tests.served_devices import (
    HANG,
    Faults,
    ServedCamera,
    ServedFocuser,
    ServedMount,
    ServedWheel,
    refuse,
    serve,
)

HERE = "127.0.0.1"
QUICK_S = 0.3


def at(server: RunningServer, kind: str, number: int = 0) -> DiscoveredDevice:
    return DiscoveredDevice(kind=kind, number=number, name="", server=f"{HERE}:{server.port}")


async def survey_of(section: str, device: DiscoveredDevice, *, timeout_s: float = CALL_TIMEOUT_S) -> Any:
    return await survey_device(device, DEVICE_KINDS[section], timeout_s=timeout_s)


def bare_replies(body: bytes) -> Any:
    """An ASGI application that answers everything with this."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = [(b"content-type", TEXT_PLAIN.encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    return app


def test_the_simulated_observatory_reports_everything_and_is_left_disconnected(observatory: Observatory) -> None:
    server = asyncio.run(survey_server(observatory.address))
    assert server.notes == ()
    first = {device.kind: device for device in server.devices}
    assert len(first) == len(server.devices) == 6

    async def survey_all() -> None:
        camera = await survey_of("camera", first["camera"])
        assert (camera.pixel_size_um, camera.width_px, camera.height_px) == (3.76, 640, 512)
        focuser = await survey_of("focuser", first["focuser"])
        assert (focuser.absolute, focuser.max_step, focuser.step_size_um) == (True, 60000, 1.0)
        assert focuser.temperature_c is not None
        assert (await survey_of("filter_wheel", first["filterwheel"])).filters == ("L", "R", "G", "B", "Ha")
        mount = await survey_of("mount", first["telescope"])
        assert (mount.focal_length_mm, mount.aperture_mm) == (530.0, 106.0)
        assert (mount.latitude_deg, mount.longitude_deg) == (47.0, 8.0)
        for each in (camera, focuser, mount):
            assert each.notes == ()

    asyncio.run(survey_all())
    for device in server.devices:
        reply = requests.get(f"{observatory.base_url}/api/v1/{device.kind}/0/connected", timeout=5)
        assert reply.json()["Value"] is False, device


def test_a_device_that_was_not_connected_is_disconnected_again_and_never_moved() -> None:
    focuser, faults = ServedFocuser(), Faults()
    with serve([focuser], faults) as server:
        found = asyncio.run(survey_of("focuser", at(server, "focuser")))
    assert (found.max_step, found.temperature_c, found.notes) == (10000, 12.5, ())
    assert not focuser.connected
    assert faults.count("PUT", "connect") == 1
    assert faults.count("PUT", "move") == faults.count("PUT", "halt") == 0


def test_a_device_that_was_connected_is_left_so() -> None:
    camera, faults = ServedCamera(), Faults()
    camera.connected = True
    with serve([camera], faults) as server:
        found = asyncio.run(survey_of("camera", at(server, "camera")))
    assert (found.width_px, found.pixel_size_um, found.notes) == (64, 3.76, ())
    assert camera.connected
    assert all(request.method == "GET" for request in faults.seen)


def test_hardware_that_does_not_connect_is_noted_and_left_disconnected() -> None:
    focuser = ServedFocuser(hardware_error="no cable")
    with serve([focuser], Faults()) as server:
        found = asyncio.run(survey_of("focuser", at(server, "focuser")))
    assert found.absolute is found.max_step is None
    assert "no cable" in found.notes[0]
    assert not focuser.connected


def test_a_device_that_falls_silent_keeps_its_values_and_is_disconnected() -> None:
    camera = ServedCamera()
    with serve([camera], Faults(instead={"cameraxsize": HANG})) as server:
        found = asyncio.run(survey_of("camera", at(server, "camera"), timeout_s=QUICK_S))
    assert (found.pixel_size_um, found.width_px) == (3.76, None)
    assert "did not answer CameraXSize within 0.3 s" in found.notes[0]
    assert not camera.connected


def test_a_device_that_cannot_be_disconnected_is_noted() -> None:
    wheel = ServedWheel()

    async def stuck() -> None:
        raise refuse("the driver is stuck", ErrorNumber.DRIVER_BASE)

    wheel.disconnect_hardware = stuck  # type: ignore[method-assign]
    with serve([wheel], Faults()) as server:
        found = asyncio.run(survey_of("filter_wheel", at(server, "filterwheel")))
    assert found.filters == ("L", "R", "Ha")
    assert "the driver is stuck" in found.notes[0]
    assert found.notes[0].endswith("The device may still be connected, and was not before.")


def test_what_is_interrupted_is_disconnected() -> None:
    wheel = ServedWheel()

    async def interrupt(server: RunningServer) -> None:
        looking = asyncio.create_task(survey_of("filter_wheel", at(server, "filterwheel")))
        while not wheel.connected:  # noqa: ASYNC110 - it is connected in the server's thread
            await asyncio.sleep(0.01)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

    with serve([wheel], Faults(instead={"names": HANG})) as server:
        asyncio.run(interrupt(server))
    assert not wheel.connected


def test_nonsense_in_one_member_costs_that_member_only() -> None:
    mount = ServedMount(focallength="long", aperturediameter=0.1, sitelatitude=0.0, sitelongitude=0.0)
    with serve([mount], Faults()) as server:
        found = asyncio.run(survey_of("mount", at(server, "telescope")))
    assert found.focal_length_mm is found.aperture_mm is found.latitude_deg is None
    assert found.notes == ()


def test_a_server_without_management_is_probed_one_device_after_the_other(
    observatory_with: Callable[..., Observatory],
) -> None:
    observatory = observatory_with(quirks=("no-management", "numbers-unique-across-types"))
    server = asyncio.run(survey_server(observatory.address))
    assert [(device.kind, device.number) for device in server.devices] == [
        ("camera", 0),
        ("focuser", 1),
        ("filterwheel", 2),
        ("telescope", 3),
        ("observingconditions", 4),
        ("safetymonitor", 5),
    ]
    assert server.devices[1].name == "Simulated Focuser"
    assert server.notes == (
        f"The server at {observatory.address} gives no list of its devices, so they were tried one by one.",
    )


def test_a_list_that_does_not_come_and_a_device_that_hangs_cost_no_other_device() -> None:
    async def quiet_about_devices(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(("/management", "/api/v1/camera/1")):
            await asyncio.sleep(60)
        await served(scope, receive, send)

    served = AlpacaServer(
        [ServedCamera(), ServedFocuser()],
        server_name="test",
        manufacturer="test",
        manufacturer_version="1",
        location="here",
    )
    with RunningServer(quiet_about_devices) as server:
        found = asyncio.run(survey_server(f"{HERE}:{server.port}", timeout_s=QUICK_S))
    assert [(device.kind, device.name) for device in found.devices] == [
        ("camera", "Test camera"),
        ("focuser", "Test focuser"),
    ]
    assert len(found.notes) == 2
    assert "did not answer Connected within 0.3 s" in found.notes[1]
    assert found.notes[1].endswith("No other camera was tried.")


def test_a_server_that_is_not_alpaca_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "PROBED_NUMBERS", range(1))
    with RunningServer(bare_replies(b"<html>router</html>")) as server, pytest.raises(DeviceMisbehaved, match="router"):
        asyncio.run(survey_server(f"{HERE}:{server.port}"))


def test_a_list_with_wrong_entries_is_of_use() -> None:
    listed = (
        b'{"Value": [{"DeviceType": "Focuser", "DeviceNumber": "2", "DeviceName": null}, {"DeviceType": 3}, "x", '
        b'{"DeviceType": "CAMERA", "DeviceNumber": -1, "DeviceName": "C"}], "ErrorNumber": 0}'
    )
    with RunningServer(bare_replies(listed)) as server:
        found = asyncio.run(survey_server(f"{HERE}:{server.port}"))
    assert [(device.kind, device.number, device.name) for device in found.devices] == [("focuser", 2, "")]


def test_nothing_there_and_nothing_in_time() -> None:
    with socket.socket() as silent:
        silent.bind((HERE, 0))
        address = f"{HERE}:{silent.getsockname()[1]}"
        with pytest.raises(DeviceUnreachable, match=f"Nothing answers at {address}"):
            asyncio.run(survey_server(address))
        silent.listen()
        with pytest.raises(DeviceUnreachable, match="did not answer"):
            asyncio.run(survey_server(address, timeout_s=QUICK_S))


# Finding servers.


@pytest.fixture
def udp_port() -> int:
    return free_port(socket.SOCK_DGRAM)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.setup.server_discovery.DISCOVERY_S", QUICK_S)
    # The tests talk to loopback only.
    monkeypatch.setattr("alpaca_focus.alpaca.discovery._everywhere", lambda _: ["127.255.255.255"])


def test_servers_are_found_by_discovery_and_the_programs_own_gateway_is_left_out(
    udp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpaca_focus.setup.server_discovery.DISCOVERY_S", 1.5)
    gateway = ServedFocuser()
    gateway.name = "Moonlite through alpaca-focus"
    messages: list[str] = []
    app = AlpacaServer([gateway], server_name="g", manufacturer="m", manufacturer_version="1", location="l")
    with (
        RunningServer(app, discovery_port=udp_port) as front,
        Observatory(ObservatorySettings()).start(discovery_port=udp_port) as observatory,
    ):
        servers = asyncio.run(discover_servers(None, messages.append, port=udp_port))
        assert [server.address for server in servers] == [observatory.address]
        with pytest.raises(ConfigurationError, match="is the gateway of alpaca-focus"):
            asyncio.run(discover_servers(f"{HERE}:{front.port}", messages.append))
    assert f"{HERE}:{front.port} is the gateway of alpaca-focus: skipped." in messages
    assert any(line.startswith(f"{servers[0].address} has camera 0") for line in messages)


def test_without_a_server_the_error_names_what_to_try(udp_port: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        asyncio.run(discover_servers(None, lambda _: None, port=udp_port))
    for word in (
        "No usable Alpaca server answered discovery",
        "--address HOST:PORT",
        "UDP port 32227",
        "firewall",
        "another network",
    ):
        assert word in str(caught.value)
