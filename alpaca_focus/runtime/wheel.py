"""Another filter for a while; afterwards the one that belongs in the light is back, whatever happened meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from alpaca_focus.core.errors import ConfigurationError, DeviceError
from alpaca_focus.ports import FilterWheel

TRIES = 3

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def turned_to(wheel: FilterWheel | None, name: str | None, back_to: str | None) -> AsyncIterator[None]:
    """Turn to a filter, and back at the end, also after a failure or when the work is cancelled.

    Args:
        wheel: The wheel; `None`: nothing is turned.
        name: Filter to turn to.
        back_to: Filter that is in the light now; when it is the same, nothing is turned.

    Raises:
        ConfigurationError: The wheel has no such filter.
        DeviceError: It cannot be turned to the filter.
    """
    if wheel is None or name is None or back_to is None or name == back_to:
        yield
        return
    slot, home = slot_of(wheel, name), slot_of(wheel, back_to)
    try:
        await wheel.move_to(slot)
        yield
    finally:
        turning = asyncio.create_task(turn_back(wheel, home))
        cancelled = False
        while not turning.done():
            try:
                await asyncio.shield(turning)
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError


def slot_of(wheel: FilterWheel, name: str) -> int:
    """Return the slot of a filter.

    Raises:
        ConfigurationError: There is no such filter.
    """
    if name not in wheel.names:
        raise ConfigurationError(f"{wheel.name} has no filter {name}: it has {', '.join(wheel.names)}.")
    return wheel.names.index(name)


async def turn_back(wheel: FilterWheel, slot: int) -> None:
    """Turn to a slot, patiently; a failure is told, for a person to turn the wheel."""
    for attempt in range(1, TRIES + 1):
        try:
            await wheel.move_to(slot)
        except DeviceError as error:
            if attempt == TRIES:
                _log.error(f"The filter {wheel.names[slot]} could not be put back: {error} Turn the wheel by hand.")
        else:
            return
