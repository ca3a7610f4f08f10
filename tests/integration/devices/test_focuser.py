"""The focuser's adapter against focusers with the habits of real ones."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.core.errors import (
    ConfigurationError,
    DeviceMisbehaved,
    DeviceTimeout,
    DeviceUnreachable,
    InvalidValue,
    NotSupported,
)
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.arrival import ArrivalRules
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.devices.focuser import AlpacaFocuser
from tests.served_devices import HANG, TIME_FACTOR, Faults, ServedFocuser, serve, until

T = TypeVar("T")

FAST_RULES = ArrivalRules(stall_timeout_s=3.0)


def use(
    served: ServedFocuser,
    work: Callable[[AlpacaFocuser], Awaitable[T]],
    faults: Faults | None = None,
    **settings: Any,
) -> T:
    """Serve a focuser, connect to it, do something with it, and close."""

    async def main(port: int) -> T:
        address = DeviceAddress("127.0.0.1", port, 0)
        focuser = AlpacaFocuser(address, ScaledClock(TIME_FACTOR), **{"rules": FAST_RULES} | settings)
        try:
            await focuser.connect()
            return await work(focuser)
        finally:
            await focuser.close()

    with serve([served], faults or Faults()) as server:
        return asyncio.run(main(server.port))


def move(target: int) -> Callable[[AlpacaFocuser], Awaitable[int]]:
    return lambda focuser: focuser.move_to(target)


def test_what_the_focuser_is_is_known_once_connected() -> None:
    async def check(focuser: AlpacaFocuser) -> None:
        info = focuser.info
        assert (info.max_step, info.max_increment_steps, info.step_size_um) == (10000, 10000, None)
        assert not info.has_temperature_compensation
        assert focuser.name == f"focuser 0 at 127.0.0.1:{focuser.name.split(':')[1].split()[0]} (Test focuser)"

    use(ServedFocuser(), check)


def test_nothing_is_known_before() -> None:
    focuser = AlpacaFocuser(DeviceAddress("127.0.0.1", 9, 0), ScaledClock(1.0))
    with pytest.raises(DeviceUnreachable, match="has not been connected yet"):
        _ = focuser.info


@pytest.mark.parametrize(
    "habits",
    [
        {},
        {"start_delay_s": 0.5},
        {"is_moving": "never"},
        {"is_moving": "never", "start_delay_s": 0.5},
        {"is_moving": "stuck"},
        {"stops_short_times": 1},
        {"version": 3},
    ],
)
@pytest.mark.parametrize("target", [5001, 4000, 10000])
def test_a_move_ends_at_its_target(habits: dict[str, Any], target: int) -> None:
    assert use(ServedFocuser(**habits), move(target)) == target


def test_a_rest_one_step_off_is_reported_as_it_is() -> None:
    assert use(ServedFocuser(rest_error_steps=-1), move(6000)) == 5999


def test_long_moves_are_made_in_parts() -> None:
    served = ServedFocuser(max_increment=1000)
    assert use(served, move(7500)) == 7500
    assert served.moves == [6000, 7000, 7500]


def test_a_focuser_that_keeps_stopping_short_misbehaves() -> None:
    served = ServedFocuser(stops_short_times=5, stops_short_steps=300)
    with pytest.raises(DeviceMisbehaved, match="was sent to 7000 2 times and stopped at 6700"):
        use(served, move(7000))
    assert served.moves == [7000, 7000]


def test_a_blocked_focuser_is_halted() -> None:
    served = ServedFocuser(speed_steps_s=0.0)
    with pytest.raises(DeviceMisbehaved, match=r"has not come nearer for 3 s. It was halted"):
        use(served, move(7000))
    assert served.halts == 1


@pytest.mark.parametrize(
    ("limits", "target"),
    [({}, -1), ({}, 10001), ({"lowest": 2000}, 1999), ({"highest": 8000}, 8001), ({"highest": 20000}, 10001)],
)
def test_moves_beyond_the_limits_are_not_made(limits: dict[str, int], target: int) -> None:
    served = ServedFocuser()
    with pytest.raises(InvalidValue, match=f"was not moved to {target}: it may go from"):
        use(served, move(target), **limits)
    assert not served.moves


async def cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_cancelled_move_halts_the_focuser_for_good() -> None:
    served = ServedFocuser(speed_steps_s=100.0)

    async def begin_and_cancel(focuser: AlpacaFocuser) -> None:
        task = asyncio.create_task(focuser.move_to(9000))
        await until(lambda: served.get_position() > 5000)
        await cancel(task)

    use(served, begin_and_cancel)
    assert served.halts == 1
    assert served.moves == [9000]
    assert not served.get_ismoving()


def test_a_focuser_at_rest_is_not_halted_by_a_connect() -> None:
    served, faults = ServedFocuser(), Faults()

    async def read(focuser: AlpacaFocuser) -> int:
        return focuser.info.max_step

    assert use(served, read, faults) == 10000
    assert faults.count("GET", "maxstep") == 1
    assert [request.member for request in faults.seen if request.method == "PUT"] == ["connect"]


def test_a_cancelled_move_is_halted_while_an_ordinary_call_hangs() -> None:
    served, faults = ServedFocuser(speed_steps_s=100.0), Faults()

    async def hang_and_cancel(focuser: AlpacaFocuser) -> None:
        task = asyncio.create_task(focuser.move_to(9000))
        await until(lambda: served.moves)
        faults.instead["position"] = HANG
        reading = asyncio.create_task(focuser.position())
        await until(lambda: faults.seen[-1].member == "position")
        await cancel(task)
        assert not reading.done()
        reading.cancel()

    use(served, hang_and_cancel, faults, timeout_s=600.0)
    assert served.halts == 1
    assert not served.get_ismoving()


def test_a_focuser_without_halt_is_sent_to_where_it_is() -> None:
    served = ServedFocuser(can_halt=False, speed_steps_s=100.0)

    async def begin_and_cancel(focuser: AlpacaFocuser) -> None:
        task = asyncio.create_task(focuser.move_to(9000))
        await until(lambda: served.get_position() > 5000)
        await cancel(task)

    use(served, begin_and_cancel)
    assert 5000 < served.moves[1] < 9000


@pytest.mark.parametrize(("reading", "expected"), [(None, None), (-127.0, None), (85.0, None), (-12.5, -12.5)])
def test_temperatures_that_make_no_sense_are_none(reading: float | None, expected: float | None) -> None:
    assert use(ServedFocuser(temperature=reading), lambda focuser: focuser.temperature_c()) == expected


def test_a_temperature_of_nan_is_none() -> None:
    def nan(request: Any, reply: Any) -> Any:
        if request.member != "temperature":
            return reply
        return type(reply)(body=json.dumps({"Value": math.nan, "ErrorNumber": 0}).encode())

    assert use(ServedFocuser(), lambda focuser: focuser.temperature_c(), Faults(change=nan)) is None


def test_temperature_compensation_is_switched() -> None:
    async def switch(focuser: AlpacaFocuser) -> tuple[bool, bool]:
        assert focuser.info.has_temperature_compensation
        before = await focuser.temperature_compensation()
        await focuser.set_temperature_compensation(enabled=True)
        return before, await focuser.temperature_compensation()

    assert use(ServedFocuser(temp_comp=False), switch) == (False, True)


def test_no_temperature_compensation_can_be_switched_off_but_not_on() -> None:
    async def switch(focuser: AlpacaFocuser) -> None:
        await focuser.set_temperature_compensation(enabled=False)
        assert not await focuser.temperature_compensation()
        with pytest.raises(NotSupported):
            await focuser.set_temperature_compensation(enabled=True)

    use(ServedFocuser(), switch)


def test_a_relative_focuser_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"\(Test focuser\) is a relative focuser"):
        use(ServedFocuser(absolute=False), move(1))


def test_limits_without_room_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"has no room to move: .* leave 9000 to 1000"):
        use(ServedFocuser(), move(1), lowest=9000, highest=1000)


def test_a_lost_move_is_sent_again_once_the_position_shows_that_it_was_lost() -> None:
    served = ServedFocuser()
    faults = Faults()

    async def lose(focuser: AlpacaFocuser) -> int:
        faults.instead["move"] = HANG
        task = asyncio.create_task(focuser.move_to(6000))
        await until(lambda: faults.count("PUT", "move"))
        del faults.instead["move"]
        return await task

    assert use(served, lose, faults, timeout_s=0.3) == 6000
    assert served.moves == [6000]


def test_a_hanging_focuser_is_a_timeout_in_time() -> None:
    faults = Faults()

    async def hang(focuser: AlpacaFocuser) -> None:
        faults.instead["position"] = HANG
        with pytest.raises(DeviceTimeout, match=r"did not answer Position within 0.2 s"):
            await focuser.position()
        del faults.instead["position"]
        assert await focuser.position() == 5000

    use(ServedFocuser(), hang, faults, timeout_s=0.2)


def test_a_move_that_the_device_refuses_carries_its_words() -> None:
    served = ServedFocuser()

    def refuse(position: int) -> None:
        del position
        raise AlpacaError(ErrorNumber.INVALID_VALUE, "the drawtube is locked")

    served.put_move = refuse
    with pytest.raises(InvalidValue, match=r'refused Move\(6000\): "the drawtube is locked"'):
        use(served, move(6000))
