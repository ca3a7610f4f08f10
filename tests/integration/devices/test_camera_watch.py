"""Reading a camera that another program exposes with."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from alpaca.camera import Camera

from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import DeviceUnreachable
from alpaca_focus.devices.address import DeviceAddress, parse_address
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.devices.read_only import AlpacaCameraWatch
from alpaca_focus.ports import CameraActivity
from alpaca_focus.simulator.observatory import Observatory
from tests.served_devices import HANG, Faults, serve

IDLE = CameraActivity(busy=False, preparing=False, exposure_started=None, exposure_s=None)


class ReportingCamera(ServedDevice):
    """A camera that reports given values; `None` is not implemented."""

    device_type = DeviceType.CAMERA

    def __init__(self, **reported: Any) -> None:
        super().__init__(name="Test camera", unique_id="camera-one")
        self.reported = reported

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__.get("reported", {}).get(name.removeprefix("get_"))
        if value is None:
            raise AttributeError(name)
        return lambda: value


def read_activity(address: DeviceAddress, **settings: Any) -> CameraActivity:
    async def main() -> CameraActivity:
        watch = AlpacaCameraWatch(address, SystemClock(), **settings)
        try:
            await watch.connect()
            return await watch.activity()
        finally:
            await watch.close()

    return asyncio.run(main())


def activity_of(camera: ReportingCamera, faults: Faults | None = None, **settings: Any) -> CameraActivity:
    with serve([camera], faults or Faults()) as server:
        return read_activity(DeviceAddress("127.0.0.1", server.port, 0), **settings)


@pytest.mark.parametrize(
    ("state", "busy", "preparing"),
    [
        (0, False, False),
        (1, True, True),
        (2, True, False),
        (3, True, False),
        (4, True, False),
        (5, False, False),
        (17, False, False),
        ("exposing", False, False),
        (None, False, False),
    ],
)
def test_the_state_shows_whether_an_image_is_being_taken(state: Any, busy: bool, preparing: bool) -> None:
    activity = activity_of(ReportingCamera(camerastate=state))
    assert (activity.busy, activity.preparing) == (busy, preparing)


@pytest.mark.parametrize(("is_ready", "busy"), [(True, False), (False, True), (None, True)])
def test_a_camera_that_stays_at_download_is_at_rest_once_its_image_is_ready(is_ready: Any, busy: bool) -> None:
    assert activity_of(ReportingCamera(camerastate=4, imageready=is_ready)).busy is busy


@pytest.mark.parametrize("started", ["2026-11-21T03:04:05.250", "yesterday"])
def test_the_start_of_the_last_image_is_quoted(started: str) -> None:
    activity = activity_of(ReportingCamera(camerastate=0, lastexposurestarttime=started, lastexposureduration=120.0))
    assert activity == CameraActivity(busy=False, preparing=False, exposure_started=started, exposure_s=120.0)


@pytest.mark.parametrize(
    "reported",
    [
        {},
        {"lastexposurestarttime": "", "lastexposureduration": -1.0},
        {"lastexposurestarttime": 5, "lastexposureduration": "long"},
    ],
)
def test_what_the_camera_does_not_report_is_none(reported: dict[str, Any]) -> None:
    assert activity_of(ReportingCamera(**reported)) == IDLE


def test_a_silent_camera_is_unreachable_and_not_idle() -> None:
    with pytest.raises(DeviceUnreachable, match="did not answer CameraState"):
        activity_of(ReportingCamera(camerastate=0), Faults(instead={"camerastate": HANG}), timeout_s=0.1)


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


def test_the_images_of_another_program_are_distinguished(observatory: Observatory) -> None:
    camera = Camera(observatory.address, 0)
    camera.Connect()
    wait_until(lambda: not camera.Connecting)
    address = parse_address(observatory.address)
    assert read_activity(address) == IDLE
    images = []
    for exposure_s in (60.0, 90.0):
        camera.StartExposure(exposure_s, True)
        during = read_activity(address)
        assert (during.busy, during.preparing) == (True, False)
        wait_until(lambda: camera.ImageReady)
        images.append(read_activity(address))
    assert [image.exposure_s for image in images] == pytest.approx([60.0, 90.0])
    assert not any(image.busy for image in images)
    assert images[0].exposure_started != images[1].exposure_started


def test_nothing_is_written_to_a_connected_camera() -> None:
    camera, faults = ReportingCamera(camerastate=2), Faults()
    with serve([camera], faults) as server:
        address = DeviceAddress("127.0.0.1", server.port, 0)
        read_activity(address)
        faults.seen.clear()
        read_activity(address)
    assert faults.seen
    assert {request.method for request in faults.seen} == {"GET"}
