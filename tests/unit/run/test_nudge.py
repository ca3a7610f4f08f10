"""A small move of the focuser always ends where it began."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from alpaca_focus.core.errors import DeviceMisbehaved, DeviceUnreachable
from alpaca_focus.core.sweep.backlash import Backlash, Direction, Limits
from alpaca_focus.core.values import Position
from alpaca_focus.run.nudge import Nudge, NudgeResult
from alpaca_focus.run.restore_marker import FILE_NAME, RestoreMarker
from tests.fakes import FakeClock, FakeFocuser

START = 25000
GONE = DeviceUnreachable("focuser 0", "Nothing answers. Is it on?")


class NotingFocuser(FakeFocuser):
    """A focuser that lets a test look in before each move."""

    before_move: Callable[[Position], Awaitable[None]] | None = None

    async def move_to(self, target: Position) -> Position:
        if self.before_move is not None:
            await self.before_move(target)
        return await super().move_to(target)


def nudge(focuser: FakeFocuser, directory: Path, *, limits: Limits | None = None) -> Nudge:
    return Nudge(
        focuser=focuser,
        clock=FakeClock(),
        backlash=Backlash(steps=120, arrive=Direction.IN),
        limits=limits or Limits(lowest=0, highest=60000),
        restore_marker=RestoreMarker(directory, focuser.name),
    )


def carried_out(asked: Nudge, target: Position = START + 30) -> NudgeResult:
    told: list[NudgeResult] = []
    asyncio.run(asked.there_and_back(START, target, told.append))
    (became,) = told
    return became


def test_it_goes_there_and_comes_back_with_the_slack_taken_up(tmp_path: Path) -> None:
    focuser = FakeFocuser(start=START)
    became = carried_out(nudge(focuser, tmp_path))
    assert focuser.moves == [START + 30, START + 120, START]
    assert focuser.tube == START + focuser.backlash  # as after each arrival inward
    assert (became.reached, became.ended_at, became.problem, became.return_problem) == (START + 30, START, "", "")
    assert not (tmp_path / FILE_NAME).exists()


def test_a_return_that_ends_within_the_tolerance_is_a_return(tmp_path: Path) -> None:
    became = carried_out(nudge(FakeFocuser(start=START, stops_short_steps=3), tmp_path))
    assert (became.ended_at, became.is_stranded) == (START + 3, False)
    assert carried_out(nudge(FakeFocuser(start=START, stops_short_steps=4), tmp_path)).is_stranded


def test_the_way_back_stays_within_the_limits(tmp_path: Path) -> None:
    focuser = FakeFocuser(start=START)
    carried_out(nudge(focuser, tmp_path, limits=Limits(lowest=0, highest=START + 50)))
    assert focuser.moves == [START + 30, START + 50, START]


def test_a_move_that_was_refused_moves_nothing(tmp_path: Path) -> None:
    focuser = FakeFocuser(start=START, fails=[GONE])
    became = carried_out(nudge(focuser, tmp_path))
    assert focuser.moves == []
    assert (became.reached, became.ended_at, became.problem) == (None, START, str(GONE))
    assert not (tmp_path / FILE_NAME).exists()


def test_a_move_that_fails_on_its_way_is_taken_back(tmp_path: Path) -> None:
    class Slipping(FakeFocuser):
        async def move_to(self, target: Position) -> Position:
            if target == START + 30:
                self.motor = START + 11
                raise DeviceMisbehaved(self.name, "It stopped short. Oil it.")
            return await super().move_to(target)

    focuser = Slipping(start=START)
    became = carried_out(nudge(focuser, tmp_path))
    assert focuser.moves == [START + 120, START]
    assert became.ended_at == START
    assert became.problem == "It stopped short. Oil it."


def test_it_is_brought_back_once_the_device_answers_again(tmp_path: Path) -> None:
    focuser = FakeFocuser(start=START, fails=[None, GONE, GONE, GONE])
    became = carried_out(nudge(focuser, tmp_path))
    assert focuser.motor == START
    assert (became.ended_at, became.return_problem) == (START, "")
    assert became.lasted_s > 0
    assert not (tmp_path / FILE_NAME).exists()


def test_where_it_belongs_stays_on_disk_if_it_does_not_come_back(tmp_path: Path) -> None:
    focuser = FakeFocuser(start=START, fails=[None, *[GONE] * 99])
    became = carried_out(nudge(focuser, tmp_path))
    assert (became.ended_at, became.return_problem) == (START + 30, str(GONE))
    assert RestoreMarker(tmp_path, focuser.name).left_by_interrupted_run() == START


def test_the_restore_marker_is_on_disk_before_the_first_move(tmp_path: Path) -> None:
    focuser, seen = NotingFocuser(start=START), []

    async def note(_: Position) -> None:
        seen.append(RestoreMarker(tmp_path, focuser.name).left_by_interrupted_run())

    focuser.before_move = note
    carried_out(nudge(focuser, tmp_path))
    assert seen == [START] * 3


@pytest.mark.parametrize("cancelled_at", [0, 1, 2])
def test_an_abort_ends_at_the_start_however_often_it_is_requested(cancelled_at: int, tmp_path: Path) -> None:
    focuser, told, count = NotingFocuser(start=START), [], 0

    async def aborted(target: Position) -> None:
        nonlocal count
        count += 1
        if count > cancelled_at:
            if target == START + 30:
                focuser.motor = START + 7
            task.cancel()
            await asyncio.sleep(0)

    async def run() -> None:
        nonlocal task
        task = asyncio.create_task(nudge(focuser, tmp_path).there_and_back(START, START + 30, told.append))
        with pytest.raises(asyncio.CancelledError):
            await task

    task: asyncio.Task[None]
    focuser.before_move = aborted
    asyncio.run(run())
    (became,) = told
    assert focuser.motor == became.ended_at == START
    assert not (tmp_path / FILE_NAME).exists()
