"""A filter of its own for the focus run: the imaging program gets its camera with its own filter."""

import asyncio
from dataclasses import dataclass, field

import pytest

from alpaca_focus.core.errors import ConfigurationError, DeviceError, DeviceMisbehaved, DeviceUnreachable
from alpaca_focus.runtime.filtered_share import FilteredShare


@dataclass
class Book:
    """A share and a wheel, with what was done to both in its order."""

    done: list[str] = field(default_factory=list)
    refuses: list[str] = field(default_factory=list)
    take_error: DeviceError | None = None

    name = "filter wheel 0 (fake)"
    names = ("L", "R", "Ha")
    focus_offsets_steps = (0, 12, 25)

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def slot(self) -> int | None:
        return 0

    async def move_to(self, slot: int) -> None:
        await asyncio.sleep(0)
        if self.names[slot] in self.refuses:
            self.refuses.remove(self.names[slot])
            raise DeviceMisbehaved(self.name, "The wheel is stuck.")
        self.done.append(self.names[slot])

    async def take(self) -> None:
        if self.take_error is not None:
            raise self.take_error
        self.done.append("take")

    def left_s(self) -> float:
        return 42.0

    async def give_back(self) -> None:
        self.done.append("give back")


def share(book: Book) -> FilteredShare:
    return FilteredShare(book, book, name="Ha", back_to="L")


def test_the_filter_turns_after_taking_and_back_before_giving_back() -> None:
    book = Book()

    async def run() -> None:
        shared = share(book)
        for _ in range(2):
            await shared.take()
            assert shared.left_s() == 42.0
            await shared.give_back()
            await shared.give_back()

    asyncio.run(run())
    once = ["take", "Ha", "L", "give back", "give back"]
    assert book.done == [*once, *once]


def test_a_wheel_that_does_not_turn_gives_the_camera_back() -> None:
    book = Book(refuses=["Ha"])
    with pytest.raises(DeviceMisbehaved, match="stuck"):
        asyncio.run(share(book).take())
    assert book.done == ["take", "L", "give back"]


def test_a_wheel_that_does_not_turn_back_does_not_keep_the_camera() -> None:
    book = Book(refuses=["L"] * 3)

    async def run() -> None:
        shared = share(book)
        await shared.take()
        await shared.give_back()

    asyncio.run(run())
    assert book.done == ["take", "Ha", "give back"]


def test_a_camera_that_cannot_be_had_turns_no_wheel() -> None:
    book = Book(take_error=DeviceUnreachable("camera 0", "No answer."))

    async def run() -> None:
        shared = share(book)
        with pytest.raises(DeviceUnreachable):
            await shared.take()
        await shared.give_back()

    asyncio.run(run())
    assert book.done == ["give back"]


def test_a_turn_that_is_cancelled_is_undone_when_the_camera_is_given_back() -> None:
    book = Book()

    async def run() -> None:
        shared = share(book)
        taking = asyncio.create_task(shared.take())
        await asyncio.sleep(0)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        await shared.give_back()

    asyncio.run(run())
    assert book.done == ["take", "L", "give back"]


@pytest.mark.parametrize("names", [("OIII", "L"), ("Ha", "OIII")])
def test_a_filter_that_is_not_there_is_told_at_once(names: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="no filter OIII"):
        FilteredShare(Book(), Book(), name=names[0], back_to=names[1])
