"""The gateway as a whole: images are shown to the engine, and nothing is left when it closes."""

import asyncio
from collections.abc import Callable, Coroutine
from ipaddress import ip_network
from typing import Any, cast

import pytest

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import DeviceRefused, DeviceUnreachable
from alpaca_focus.gateway.camera_access import GatewayCameraSharing, GatewayCameraWatch
from alpaca_focus.gateway.engine import LightFrame
from alpaca_focus.gateway.passed_images import PassedImage
from alpaca_focus.gateway.service import Gateway, GatewaySettings, RealDevice
from alpaca_focus.gateway.upstream import UpstreamLost
from alpaca_focus.ports import CameraActivity, CameraWatch
from tests.gateway_scene import IDLE_S, LEAST_IMAGE_S, PATIENCE_S, CameraScene, FakeEngine, played, settled

HOW = GatewaySettings(
    listen="127.0.0.1",
    port=0,
    allowed=(ip_network("127.0.0.0/8"),),
    discovery=False,
    patience_s=PATIENCE_S,
    idle_s=IDLE_S,
    any_case=False,
    least_image_s=LEAST_IMAGE_S,
    location="here",
    version="1",
)
DEVICES = tuple(
    RealDevice(device_type=kind, authority="127.0.0.1:1", device_number=0)
    for kind in (DeviceType.CAMERA, DeviceType.FOCUSER, DeviceType.FILTERWHEEL, DeviceType.TELESCOPE)
)


class Image:
    def __init__(self) -> None:
        self.is_released = False

    def release(self) -> None:
        self.is_released = True


class FailingEngine(FakeEngine):
    def measure_frame(self, frame: LightFrame) -> None:
        raise RuntimeError(f"a bug with {frame.exposure_s}")


def gateway_of(scene: CameraScene, engine: FakeEngine | None = None) -> Gateway:
    gateway = Gateway(DEVICES, engine or scene.engine, scene.clock, HOW)
    gateway._camera, gateway._arbiter = scene.upstream, scene.arbiter
    return gateway


async def shown(gateway: Gateway) -> Image:
    image = Image()
    gateway._image_passed(cast("PassedImage", image))
    await settled()
    return image


def test_a_light_frame_is_measured_once_with_the_camera_s_properties() -> None:
    async def play(scene: CameraScene) -> None:
        gateway = gateway_of(scene)
        scene.camera.values |= {"maxadu": 65535, "sensortype": 2}
        await scene.first_check()
        assert not (await shown(gateway)).is_released
        (frame,) = scene.engine.frames
        assert (frame.exposure_s, frame.facts) == (60.0, {"binx": 1.0, "maxadu": 65535.0, "sensortype": 2.0})
        assert (await shown(gateway)).is_released

    played(play)


@pytest.mark.parametrize(("exposure_s", "light"), [(5.0, True), (60.0, False)])
def test_other_frames_are_not_shown(exposure_s: float, light: bool) -> None:
    async def play(scene: CameraScene) -> None:
        gateway = gateway_of(scene)
        await scene.client.start(exposure_s, light=light)
        await scene.clock.pass_s(exposure_s + 1)
        assert (await shown(gateway)).is_released
        assert scene.engine.frames == []

    played(play)


def test_an_engine_that_fails_gets_the_image_taken_away(capsys: pytest.CaptureFixture[str]) -> None:
    async def play(scene: CameraScene) -> None:
        gateway = gateway_of(scene, FailingEngine())
        await scene.first_check()
        assert (await shown(gateway)).is_released

    played(play)
    assert "could not be measured" in capsys.readouterr().out


def test_closing_drops_what_is_under_way_and_may_be_done_twice() -> None:
    async def play(scene: CameraScene) -> None:
        gateway = gateway_of(scene)
        await scene.first_check()
        scene.camera.gates["binx"] = asyncio.Event()
        image = Image()
        gateway._image_passed(cast("PassedImage", image))
        await settled()
        gateway._cancel_tasks()
        await settled()
        assert image.is_released
        gateway.close()
        gateway.open()
        assert gateway.status().taken is False
        gateway.close()
        gateway.close()

    played(play)


def test_each_image_is_counted_once_also_by_a_daemon_that_reads_its_settings_anew() -> None:
    async def play(scene: CameraScene) -> None:
        gateway = gateway_of(scene)
        await scene.first_check()
        scene.arbiter.exposures.count()
        assert [gateway.new_images(), gateway.new_images()] == [1, 0]
        await scene.first_check()
        scene.arbiter.exposures.count()
        assert (gateway.new_images(), gateway._arbiter.exposures.images) == (1, 2)

    played(play)


def test_a_series_of_test_shots_is_called_one_and_an_image_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    async def play(scene: CameraScene, watch: GatewayCameraWatch) -> None:
        async def shot(exposure_s: float) -> bool:
            await scene.client.start(exposure_s)
            await settled()
            await scene.clock.pass_s(exposure_s + 1)
            return (await watch.activity()).test_shots

        assert [await shot(each) for each in (60.0, 5.0, 5.0, 5.0, 60.0, 5.0)] == [False] * 3 + [True] + [False] * 2
        for _ in range(20):
            await shot(5.0)

    watched(play)
    assert capsys.readouterr().out.count("Set night.least_image_s below") == 1


class Server:
    """Runs everything in the current loop, and raises once it is stopped."""

    has_stopped = False

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        if self.has_stopped:
            work.close()
            raise RuntimeError("the server has stopped")
        return await work


def sharing_of(scene: CameraScene, server: Server) -> GatewayCameraSharing:
    return GatewayCameraSharing(cast("Any", server), scene.arbiter, "camera 0")


def test_the_camera_is_acquired_and_released_also_after_the_end_of_the_gateway() -> None:
    async def play(scene: CameraScene) -> None:
        server = Server()
        sharing = sharing_of(scene, server)
        await scene.clock.pass_s(IDLE_S)
        await sharing.acquire()
        assert (scene.arbiter.leased, sharing.left_s) == (True, float("inf"))
        await sharing.release()
        await sharing.release()
        assert not scene.arbiter.leased
        server.has_stopped = True
        await sharing.release()

    played(play)


@pytest.mark.parametrize(
    ("fails", "error"),
    [
        (UpstreamLost("It is lost."), DeviceUnreachable),
        (AlpacaError(ErrorNumber.INVALID_OPERATION, "Not now."), DeviceRefused),
    ],
)
def test_failures_to_acquire_are_raised_as_the_run_knows_them(fails: Exception, error: type[Exception]) -> None:
    async def play(scene: CameraScene) -> None:
        async def fail() -> None:
            raise fails

        scene.arbiter.acquire = fail  # type: ignore[method-assign]
        with pytest.raises(error, match=r"lost|Not now"):
            await sharing_of(scene, Server()).acquire()

    played(play)


class Watch:
    name = "camera 0"
    busy = True

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def activity(self) -> CameraActivity:
        return CameraActivity(busy=self.busy, preparing=True, exposure_started=None, exposure_s=None)


def watched(play: Callable[[CameraScene, GatewayCameraWatch], Coroutine[Any, Any, None]]) -> None:
    async def whole(scene: CameraScene) -> None:
        await play(scene, GatewayCameraWatch(cast("CameraWatch", Watch()), scene.arbiter))

    played(whole)


def test_before_the_first_exposure_only_the_camera_knows_and_afterwards_the_arbiter() -> None:
    async def play(scene: CameraScene, watch: GatewayCameraWatch) -> None:
        assert (await watch.activity()).busy
        await scene.client.start(60)
        assert not (await watch.activity()).busy
        assert (await watch.activity()).free
        await settled()
        assert (await watch.activity()).busy
        await scene.clock.pass_s(61)
        # The real camera is busy still: with the download.
        assert not (await watch.activity()).busy
        assert not (await watch.activity()).preparing
        await scene.client.start(60)
        await scene.client.put("abortexposure")
        # Some cameras never report Idle again after an abort.
        assert not (await watch.activity()).busy
        assert scene.arbiter.exposures.images == 1

    watched(play)
