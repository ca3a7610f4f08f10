"""Another filter for a while: the one that belongs in the light comes back, whatever happens."""

import asyncio
from dataclasses import dataclass, field

import pytest

from alpaca_focus.core.errors import ConfigurationError, DeviceMisbehaved
from alpaca_focus.runtime.wheel import slot_of, turned_to


@dataclass
class FakeWheel:
    """A wheel that remembers where it was sent, and refuses some of the moves."""

    refuses: int = 0
    sent: list[int] = field(default_factory=list)

    name = "filter wheel 0 (fake)"
    names = ("L", "R", "Ha")
    focus_offsets_steps = (0, 12, 25)

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def slot(self) -> int | None:
        return self.sent[-1] if self.sent else 0

    async def move_to(self, slot: int) -> None:
        await asyncio.sleep(0)
        if slot == 0 and self.refuses:
            self.refuses -= 1
            raise DeviceMisbehaved(self.name, "The wheel is stuck.")
        self.sent.append(slot)


async def use(wheel: FakeWheel, name: str | None, *, work: float = 0.0, fail: bool = False) -> None:
    async with turned_to(wheel, name, "L"):
        await asyncio.sleep(work)
        if fail:
            raise DeviceMisbehaved("camera 0", "The camera failed.")


def test_it_is_turned_there_and_back() -> None:
    wheel = FakeWheel()
    asyncio.run(use(wheel, "Ha"))
    assert wheel.sent == [2, 0]


@pytest.mark.parametrize("name", ["L", None])
def test_nothing_turns_when_the_right_filter_is_in_the_light(name: str | None) -> None:
    wheel = FakeWheel()
    asyncio.run(use(wheel, name))
    assert wheel.sent == []


def test_it_is_turned_back_after_a_failure_and_that_is_raised() -> None:
    wheel = FakeWheel()
    with pytest.raises(DeviceMisbehaved, match="camera failed"):
        asyncio.run(use(wheel, "R", fail=True))
    assert wheel.sent == [1, 0]


def test_it_is_turned_back_when_the_work_is_cancelled_even_twice() -> None:
    wheel = FakeWheel()

    async def cancelled() -> None:
        task = asyncio.create_task(use(wheel, "R", work=60))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert wheel.sent == [1, 0]


def test_a_wheel_that_sticks_is_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    wheel = FakeWheel(refuses=2)
    asyncio.run(use(wheel, "R"))
    assert wheel.sent == [1, 0]
    stuck = FakeWheel(refuses=9)
    asyncio.run(use(stuck, "R"))
    assert stuck.sent == [1]
    assert "could not be put back" in "".join(capsys.readouterr())


def test_an_unknown_filter_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="has no filter OIII: it has L, R, Ha"):
        slot_of(FakeWheel(), "OIII")
