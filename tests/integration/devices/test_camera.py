"""The camera's adapter against cameras with the habits of real ones."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np
import pytest

from alpaca_focus.core.errors import (
    CameraTaken,
    DeviceMisbehaved,
    DeviceRefused,
    DeviceTimeout,
    FrameLost,
    InvalidValue,
    RunAborted,
)
from alpaca_focus.core.values import ExposureSettings, Frame, Subframe
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.camera import AlpacaCamera
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.devices.exposure import ExposureRules
from tests.served_devices import HANG, TIME_FACTOR, Faults, ServedCamera, serve, until

T = TypeVar("T")

SHORT = ExposureSettings(exposure_s=0.5)


def use(
    served: ServedCamera,
    work: Callable[[AlpacaCamera], Awaitable[T]],
    faults: Faults | None = None,
    **settings: Any,
) -> T:
    async def main(port: int) -> T:
        camera = AlpacaCamera(DeviceAddress("127.0.0.1", port, 0), ScaledClock(TIME_FACTOR), **settings)
        try:
            await camera.connect()
            return await work(camera)
        finally:
            await camera.close()

    with serve([served], faults or Faults()) as server:
        return asyncio.run(main(server.port))


def take(settings: ExposureSettings = SHORT, times: int = 1) -> Callable[[AlpacaCamera], Awaitable[list[Frame]]]:
    async def work(camera: AlpacaCamera) -> list[Frame]:
        frames = []
        for _ in range(times):
            await camera.expose(settings)
            frames.append(await camera.download())
        return frames

    return work


def test_a_frame_comes_as_rows_and_columns_with_its_facts() -> None:
    served = ServedCamera()
    [frame] = use(served, take())
    assert frame.pixels.shape == (48, 64)
    assert frame.pixels.dtype == np.uint16
    assert not frame.pixels.flags.writeable
    assert np.array_equal(frame.pixels, served._image)
    assert (frame.exposure_s, frame.binning, frame.saturation_adu, frame.bayer) == (0.5, 1, 65535.0, False)
    assert frame.started_at.tzinfo is not None


@pytest.mark.parametrize(
    "habits",
    [
        {"stale_s": 0.2},
        {"state_after": 4},
        {"read_s": 1.4},
        {"gain_error": 1},
        {"lost_writes": 3},
        {"can_abort": False},
        {"dtype": "int32"},
        {"dtype": "uint8", "max_adu": 255},
        {"planes": 3},
    ],
)
def test_habits_that_do_no_harm(habits: dict[str, Any]) -> None:
    settings = ExposureSettings(exposure_s=0.5, binning=2, gain=120, subframe=Subframe(x=4, y=2, width=20, height=10))
    frames = use(ServedCamera(**habits), take(settings, times=3))
    assert [frame.pixels.shape for frame in frames] == [(10, 20)] * 3
    assert not np.array_equal(frames[0].pixels, frames[1].pixels)


def test_a_very_short_exposure_with_a_stale_ready_gives_the_new_frame() -> None:
    frames = use(ServedCamera(stale_s=0.2, read_s=0.0), take(ExposureSettings(exposure_s=0.001), times=4))
    assert len({frame.pixels.tobytes() for frame in frames}) == 4


def test_settings_are_written_only_where_they_differ() -> None:
    served = ServedCamera()
    settings = ExposureSettings(exposure_s=0.1, binning=2, gain=120, offset=10)
    use(served, take(settings, times=2))
    assert served.writes.count(("binx", 2)) == 1
    assert served.writes.count(("gain", 120)) == 1
    assert not [write for write in served.writes if write[0] == "offset"]
    assert served.values["numx"] == 32


def test_without_a_subframe_the_one_of_the_camera_stays() -> None:
    served = ServedCamera()
    served.values |= {"startx": 8, "numx": 16, "numy": 12}
    [frame] = use(served, take())
    assert frame.pixels.shape == (12, 16)
    assert served.values["startx"] == 8


@pytest.mark.parametrize(
    ("ignored", "sentence"),
    [
        ("startx", "set to the subframe 20 x 10 at .4, 2. and still reads back 20 x 10 at .0, 2."),
        ("numx", "set to the subframe 20 x 10 at .4, 2. and still reads back 64 x 10"),
        ("binx", "was set to BinX 2 and still reads back 1"),
        ("gain", "was set to Gain 120 and still reads back 100"),
    ],
)
def test_settings_that_do_not_stay_are_a_misbehaviour(ignored: str, sentence: str) -> None:
    settings = ExposureSettings(exposure_s=0.1, binning=2, gain=120, subframe=Subframe(x=4, y=2, width=20, height=10))
    served = ServedCamera(ignores=frozenset({ignored}))
    with pytest.raises(DeviceMisbehaved, match=sentence):
        use(served, take(settings))
    assert served.exposures == 0


def test_a_frame_of_a_wrong_size_is_not_used() -> None:
    with pytest.raises(DeviceMisbehaved, match="sent a frame of 32 x 24 pixels instead of 64 x 48"):
        use(ServedCamera(frame_shape=(24, 32)), take())


def test_a_cached_frame_is_downloaded_again() -> None:
    served = ServedCamera(repeats=3)
    frames = use(served, take(times=2))
    assert not np.array_equal(frames[0].pixels, frames[1].pixels)
    assert served.downloads == 4


def test_a_stored_frame_that_nothing_shows_to_be_new_is_lost() -> None:
    served = ServedCamera(repeats=100, stale_s=math.inf, dates=False)
    with pytest.raises(FrameLost, match="sent the frame of an earlier exposure 4 times"):
        use(served, take(times=2))


@pytest.mark.parametrize("evidence", [{"stale_s": math.inf}, {"dates": False}])
def test_identical_frames_are_believed_once_four_downloads_agree(evidence: dict[str, Any]) -> None:
    served = ServedCamera(repeats=100, **evidence)
    assert len(use(served, take(times=3))) == 3
    assert served.downloads == 1 + 4 + 1


def test_a_refused_second_download_needs_another_exposure() -> None:
    served = ServedCamera(repeats=100, frees_image=True)

    async def expose_again(camera: AlpacaCamera) -> None:
        await take()(camera)
        await camera.expose(SHORT)
        with pytest.raises(FrameLost, match="sent no new frame and refused a second download"):
            await camera.download()
        await take(times=2)(camera)

    use(served, expose_again)
    assert (served.exposures, served.downloads) == (4, 1 + 2 + 1 + 1)


def test_a_camera_that_sends_a_cached_frame_and_frees_it_is_never_believed() -> None:
    served = ServedCamera(frees_image=True)

    async def cached_once(camera: AlpacaCamera) -> None:
        [first] = await take()(camera)
        for _ in range(2):
            served.sends_next = first.pixels
            await camera.expose(SHORT)
            with pytest.raises(FrameLost):
                await camera.download()
            [first] = await take()(camera)

    use(served, cached_once)


def test_frames_that_are_saturated_all_over_are_distinguished_by_their_time() -> None:
    assert len(use(ServedCamera(constant=65535), take(times=2))) == 2


def test_a_frame_is_downloaded_once() -> None:
    async def twice(camera: AlpacaCamera) -> None:
        await camera.expose(SHORT)
        await camera.download()
        with pytest.raises(DeviceRefused, match="has no frame to download: take an exposure first"):
            await camera.download()

    use(ServedCamera(), twice)


def test_a_camera_in_error_is_a_misbehaviour_and_cleared() -> None:
    served = ServedCamera(fails=True)
    with pytest.raises(DeviceMisbehaved, match="ended with the camera in the state Error"):
        use(served, take(ExposureSettings(exposure_s=0.0)))
    assert served.aborts == 1


def test_an_idle_camera_without_a_frame_is_a_misbehaviour() -> None:
    with pytest.raises(DeviceMisbehaved, match="left no frame: the camera was idle for 6 s without one"):
        use(ServedCamera(never_ready=True), take(), rules=ExposureRules(idle_timeout_s=6.0))


def test_a_cancelled_exposure_is_aborted() -> None:
    served = ServedCamera()

    async def cancel(camera: AlpacaCamera) -> None:
        task = asyncio.create_task(camera.expose(ExposureSettings(exposure_s=600.0)))
        await until(lambda: served.exposures)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    use(served, cancel)
    assert (served.exposures, served.aborts) == (1, 1)


def test_abort_ends_an_exposure_in_another_task() -> None:
    served = ServedCamera()

    async def abort(camera: AlpacaCamera) -> None:
        await camera.abort()
        task = asyncio.create_task(camera.expose(ExposureSettings(exposure_s=600.0)))
        await until(lambda: served.exposures)
        await camera.abort()
        with pytest.raises(RunAborted, match="was aborted on request"):
            await task

    use(served, abort)
    assert served.exposures == 1


def test_the_ghost_of_an_aborted_exposure_is_not_taken_for_a_frame() -> None:
    served = ServedCamera(ghost_s=2.0)

    async def abort(camera: AlpacaCamera) -> Frame:
        task = asyncio.create_task(camera.expose(ExposureSettings(exposure_s=600.0)))
        await until(lambda: served.exposures)
        task.cancel()
        await asyncio.wait([task])
        ghost = served._image
        await camera.expose(SHORT)
        frame = await camera.download()
        assert ghost is not None
        assert not np.array_equal(frame.pixels, ghost)
        return frame

    use(served, abort)
    assert served.downloads == 2


def test_without_abort_the_next_exposure_waits_for_the_one_before() -> None:
    served = ServedCamera(can_abort=False)

    async def abandon(camera: AlpacaCamera) -> None:
        task = asyncio.create_task(camera.expose(ExposureSettings(exposure_s=8.0)))
        await until(lambda: served.exposures)
        task.cancel()
        await asyncio.wait([task])
        await camera.abort()
        await camera.expose(SHORT)
        assert served.get_camerastate() != 2

    use(served, abandon)
    assert served.exposures == 2


def test_an_exposure_of_another_program_is_left_alone() -> None:
    served = ServedCamera()
    served.put_startexposure(1000.0, True)
    with pytest.raises(CameraTaken, match="is busy with an exposure that this program did not start"):
        use(served, take())
    assert (served.exposures, served.aborts) == (1, 0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (ExposureSettings(exposure_s=4000.0), "cannot take an exposure of 4000 s: its limits are 0 to 3600 s"),
        (ExposureSettings(exposure_s=1.0, binning=5), "cannot take a binning of 5: its limits are 1 to 4"),
    ],
)
def test_settings_beyond_the_camera_s_limits_are_not_sent(settings: ExposureSettings, sentence: str) -> None:
    with pytest.raises(InvalidValue, match=sentence):
        use(ServedCamera(), take(settings))


def test_the_cameras_own_settings_are_put_back() -> None:
    served = ServedCamera()
    own = {"binx": 2, "biny": 2, "startx": 3, "starty": 4, "numx": 20, "numy": 16, "gain": 7, "offset": 8}
    served.values |= own

    async def run(camera: AlpacaCamera) -> None:
        before = await camera.settings()
        await take(ExposureSettings(exposure_s=0.1, binning=1, gain=120, offset=20))(camera)
        assert served.values["numx"] == 64
        await camera.restore_settings(before)

    use(served, run)
    assert served.values == own


def test_a_hanging_download_meets_its_deadline_and_closing_does_not_wait() -> None:
    faults = Faults(instead={"imagearray": HANG})

    async def hang(camera: AlpacaCamera) -> None:
        await camera.expose(SHORT)
        with pytest.raises(DeviceTimeout, match=r"The frame of camera 0 .* could not be downloaded"):
            await camera.download()
        await camera.expose(SHORT)
        task = asyncio.create_task(camera.download())
        await until(lambda: faults.count("GET", "imagearray") == 2)
        assert not await camera._connection.get("Connecting", bool)
        assert not task.done()
        await camera.close()
        task.cancel()
        await asyncio.wait([task])

    use(ServedCamera(), hang, faults, download_timeout_s=0.5)
