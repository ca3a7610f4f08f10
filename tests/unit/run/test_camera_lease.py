"""The lease of the camera: acquired whole or not at all, and released on every path as it was found."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from alpaca_focus.core.camera_record import CameraValues
from alpaca_focus.core.errors import ConfigurationError, DeviceError, DeviceMisbehaved, DeviceUnreachable
from alpaca_focus.ports import Camera
from alpaca_focus.run.camera_lease import CameraLease, filter_turn, slot_of
from alpaca_focus.run.camera_marker import CameraSettingsGuard
from alpaca_focus.run.restore_path import Abort

ACQUIRED = ["acquire", "Ha", "remember"]
RELEASED = ["L", "release"]


@dataclass
class Observatory:
    """A shared camera and a wheel, with what was done to them in its order; each step takes turns of the loop."""

    done: list[str] = field(default_factory=list)
    refuses: list[str] = field(default_factory=list)

    name = "filter wheel 0 (fake)"
    server = "127.0.0.1:11111"
    names = ("L", "R", "Ha")
    focus_offsets_steps = (0, 12, 25)
    left_s = 42.0

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def slot(self) -> int | None:
        return 0

    async def move_to(self, slot: int) -> None:
        await self._step(self.names[slot], DeviceMisbehaved(self.name, "The wheel is stuck."))

    async def acquire(self) -> None:
        await self._step("acquire", DeviceUnreachable("camera 0", "No answer."))

    async def release(self) -> None:
        await self._step("release", DeviceUnreachable("camera 0", "No answer."))

    async def until_idle(self) -> None:
        await self._step("wait", DeviceUnreachable("camera 0", "No answer."))

    async def settings(self) -> CameraValues:
        await self._step("remember", DeviceUnreachable("camera 0", "No answer."))
        return {}

    async def restore_settings(self, _settings: CameraValues) -> None:
        await self._step("restore", DeviceUnreachable("camera 0", "No answer."))

    async def _step(self, what: str, error: DeviceError) -> None:
        await asyncio.sleep(0)
        if what in self.refuses:
            self.refuses.remove(what)
            raise error
        self.done.append(what)
        await asyncio.sleep(0)

    def lease(self, *, through: str = "Ha", shares: bool = True, abort: Abort | None = None) -> CameraLease:
        return CameraLease(
            CameraSettingsGuard(cast("Camera", self), None, {}),
            abort or Abort(),
            sharing=self if shares else None,
            turn=filter_turn(self, through, "L"),
        )


async def _use(lease: CameraLease, work: Callable[[CameraLease], Awaitable[Any]] | None = None) -> None:
    async with lease:
        assert lease.is_held
        if work is not None:
            await work(lease)


def test_the_filter_turns_after_acquiring_and_back_before_releasing() -> None:
    at = Observatory()

    async def handed_over(lease: CameraLease) -> None:
        assert lease.left_s == 42.0
        await lease.release()
        assert not lease.is_held
        await lease.release()
        await lease.acquire()
        assert lease.is_held

    asyncio.run(_use(at.lease(), handed_over))
    assert at.done == [*ACQUIRED, *RELEASED, *ACQUIRED, *RELEASED]


def test_without_an_imaging_program_it_is_there_at_once_and_nobody_waits_for_it() -> None:
    at = Observatory()

    async def work(lease: CameraLease) -> None:
        assert lease.left_s == math.inf

    asyncio.run(_use(at.lease(shares=False), work))
    assert at.done == ["Ha", "remember", "L"]


@pytest.mark.parametrize("through", ["L", None])
def test_nothing_turns_when_the_right_filter_is_in_the_light_path(through: str) -> None:
    at = Observatory()
    asyncio.run(_use(at.lease(through=through)))
    assert at.done == ["acquire", "remember", "release"]


@pytest.mark.parametrize(
    ("refuses", "done"),
    [
        ("acquire", ["release"]),
        ("Ha", ["acquire", "L", "release"]),
        ("remember", ["acquire", "Ha", "L", "release"]),
    ],
)
def test_what_cannot_be_acquired_whole_is_released(refuses: str, done: list[str]) -> None:
    at = Observatory(refuses=[refuses])
    lease = at.lease()
    with pytest.raises(DeviceError, match=r"stuck|No answer"):
        asyncio.run(_use(lease))
    assert at.done == done
    assert not lease.is_held


def test_it_is_released_after_a_failure_and_that_is_raised() -> None:
    at = Observatory()

    async def fail(_lease: CameraLease) -> None:
        raise DeviceMisbehaved("camera 0", "The camera failed.")

    with pytest.raises(DeviceMisbehaved, match="camera failed"):
        asyncio.run(_use(at.lease(), fail))
    assert at.done == [*ACQUIRED, *RELEASED]


@pytest.mark.parametrize("cancels", [1, 3])
def test_acquiring_that_is_cancelled_at_any_moment_has_released_everything(cancels: int) -> None:
    async def cancelled_after(steps: int) -> bool:
        at = Observatory()
        running = asyncio.create_task(at.lease().acquire())
        for _ in range(steps):
            await asyncio.sleep(0)
        if running.done():
            return True
        for _ in range(cancels):
            running.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert at.done[-1:] in ([], ["release"])
        assert at.done.count("acquire") <= at.done.count("release")
        assert ("Ha" in at.done) <= ("L" in at.done)
        return False

    async def at_each_moment() -> int:
        steps = 0
        while not await cancelled_after(steps):
            steps += 1
        return steps

    assert asyncio.run(at_each_moment()) > len(ACQUIRED)


def test_a_release_goes_on_when_the_run_is_cancelled_even_twice() -> None:
    at, abort = Observatory(), Abort()

    async def cancelled() -> None:
        running = asyncio.create_task(_use(at.lease(abort=abort)))
        while len(at.done) < len(ACQUIRED) + 1:  # noqa: ASYNC110 - the fakes count, they notify nobody
            await asyncio.sleep(0)
        for _ in range(2):
            running.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled())
    assert at.done == [*ACQUIRED, *RELEASED]
    assert abort.requested


def test_settings_are_put_back_once_and_again_only_after_a_failure() -> None:
    at = Observatory(refuses=["restore"])

    async def work(lease: CameraLease) -> None:
        with pytest.raises(DeviceUnreachable):
            await lease.restore_settings()
        await lease.restore_settings()
        await lease.restore_settings()

    asyncio.run(_use(at.lease(), work))
    assert at.done == [*ACQUIRED, "restore", *RELEASED]


@pytest.mark.parametrize(("stuck", "turns_back"), [(2, True), (3, False)])
def test_a_wheel_that_sticks_is_tried_again_and_does_not_keep_the_camera(
    stuck: int, turns_back: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    at = Observatory(refuses=["L"] * stuck)
    asyncio.run(_use(at.lease()))
    assert at.done == [*ACQUIRED, *RELEASED[not turns_back :]]
    assert ("could not be turned back" in "".join(capsys.readouterr())) is not turns_back


@pytest.mark.parametrize(("name", "back_to"), [("OIII", "L"), ("Ha", "OIII")])
def test_an_unknown_filter_is_named_with_those_there_are(name: str, back_to: str) -> None:
    with pytest.raises(ConfigurationError, match="has no filter OIII; its filters are L, R, Ha"):
        filter_turn(Observatory(), name, back_to)
    with pytest.raises(ConfigurationError, match="has no filter OIII"):
        slot_of(Observatory(), "OIII")
