"""The adapters of filter wheel, mount, weather station and safety monitor."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.core.errors import DeviceMisbehaved, DeviceUnreachable, InvalidValue
from alpaca_focus.core.night.state import PierSide
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.devices.filter_wheel import AlpacaFilterWheel
from alpaca_focus.devices.read_only import AlpacaMount, AlpacaSafetyMonitor, AlpacaThermometer
from alpaca_focus.ports import MountState
from tests.served_devices import (
    HANG,
    TIME_FACTOR,
    Faults,
    ServedMount,
    ServedSafety,
    ServedWeather,
    ServedWheel,
    serve,
)

T = TypeVar("T")


def use(
    adapter: type[Any],
    served: ServedDevice,
    work: Callable[[Any], Awaitable[T]],
    faults: Faults | None = None,
    **settings: Any,
) -> T:
    async def main(port: int) -> T:
        device = adapter(DeviceAddress("127.0.0.1", port, 0), ScaledClock(TIME_FACTOR), **settings)
        try:
            await device.connect()
            return await work(device)
        finally:
            await device.close()

    with serve([served], faults or Faults()) as server:
        return asyncio.run(main(server.port))


@pytest.mark.parametrize("says_moving", [True, False])
def test_the_wheel_turns_and_is_there_when_the_call_returns(says_moving: bool) -> None:
    async def turn(wheel: AlpacaFilterWheel) -> int | None:
        assert wheel.names == ("L", "R", "Ha")
        await wheel.move_to(2)
        return await wheel.slot()

    assert use(AlpacaFilterWheel, ServedWheel(says_moving=says_moving), turn) == 2


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [([0, 120, 4294967293], (0, 120, -3)), ([5], (5, 0, 0)), ([1, 2, 3, 4], (1, 2, 3)), ("nonsense", (0, 0, 0))],
)
def test_focus_offsets_are_put_right(offsets: Any, expected: tuple[int, ...]) -> None:
    async def read_offsets(wheel: AlpacaFilterWheel) -> tuple[int, ...]:
        return wheel.focus_offsets_steps

    assert use(AlpacaFilterWheel, ServedWheel(offsets=offsets), read_offsets) == expected


def test_a_turning_wheel_has_no_slot() -> None:
    served = ServedWheel(stuck=True)
    served._to = 1
    assert use(AlpacaFilterWheel, served, lambda wheel: wheel.slot()) is None


def test_a_stuck_wheel_misbehaves() -> None:
    with pytest.raises(DeviceMisbehaved, match=r"has not arrived at slot 1 \(R\) within 3 s"):
        use(AlpacaFilterWheel, ServedWheel(stuck=True), lambda wheel: wheel.move_to(1), turn_timeout_s=3.0)


@pytest.mark.parametrize("slot", [-1, 3])
def test_a_slot_that_is_not_there_is_not_requested(slot: int) -> None:
    with pytest.raises(InvalidValue, match=rf"has no slot {slot}: it has 0 to 2 \(L, R, Ha\)"):
        use(AlpacaFilterWheel, ServedWheel(), lambda wheel: wheel.move_to(slot))


@pytest.mark.parametrize(("number", "side"), [(0, PierSide.EAST), (1, PierSide.WEST), (-1, PierSide.UNKNOWN)])
def test_the_mount_s_values_are_read(number: int, side: PierSide) -> None:
    state = use(AlpacaMount, ServedMount(sideofpier=number), lambda mount: mount.state())
    assert state == MountState(tracking=True, parked=False, slewing=False, pier_side=side, altitude_deg=55.0)


def test_what_the_mount_does_not_report_is_none() -> None:
    reported: dict[str, Any] = {"tracking": None, "atpark": None, "slewing": "maybe", "sideofpier": 7, "altitude": None}
    state = use(AlpacaMount, ServedMount(**reported), lambda mount: mount.state())
    assert state == MountState(tracking=None, parked=None, slewing=None, pier_side=PierSide.UNKNOWN, altitude_deg=None)


@pytest.mark.parametrize(("reading", "expected"), [(4.5, 4.5), (-273.15, None), (None, None), ("warm", None)])
def test_the_thermometer_reads_what_makes_sense(reading: Any, expected: float | None) -> None:
    assert use(AlpacaThermometer, ServedWeather(reading), lambda weather: weather.temperature_c()) == expected


@pytest.mark.parametrize("is_safe", [True, False])
def test_the_safety_monitor_is_quoted(is_safe: bool) -> None:
    assert use(AlpacaSafetyMonitor, ServedSafety(is_safe), lambda safety: safety.is_safe()) is is_safe


def test_a_silent_safety_monitor_is_an_error_and_not_safe() -> None:
    faults = Faults(instead={"issafe": HANG})
    with pytest.raises(DeviceUnreachable, match="did not answer IsSafe"):
        use(AlpacaSafetyMonitor, ServedSafety(), lambda safety: safety.is_safe(), faults, timeout_s=0.1)


def test_a_safety_monitor_with_an_invalid_answer_is_an_error() -> None:
    with pytest.raises(DeviceMisbehaved, match="'perhaps' is neither true nor false"):
        use(AlpacaSafetyMonitor, ServedSafety("perhaps"), lambda safety: safety.is_safe())
