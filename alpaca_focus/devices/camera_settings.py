"""A camera's binning, subframe, gain and offset: read, put in place where they differ, and read back.

Read back, because setters of a subframe race in some servers, `StartX` is ignored by others, a binning is applied
twice, and a wrong setting would not show before a run has been measured with it.
"""

from dataclasses import dataclass

from alpaca_focus.core.errors import DeviceMisbehaved
from alpaca_focus.core.values import Subframe
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.translate import as_int

_TRIES = 4
_PAUSE_S = 0.2
_GAIN_TOLERANCE = 1
"""Some drivers keep the gain in other units, and read one less than was set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """What a camera is set to; `None` where it has no such setting."""

    binning: int
    subframe: Subframe
    gain: int | None
    offset: int | None


async def read_settings(connection: Connection) -> CameraSettings:
    """Read what the camera is set to."""
    return CameraSettings(
        binning=await connection.get("BinX", as_int),
        subframe=await read_subframe(connection),
        gain=await connection.get_or("Gain", as_int, default=None),
        offset=await connection.get_or("Offset", as_int, default=None),
    )


async def read_subframe(connection: Connection) -> Subframe:
    """Read the subframe, in binned pixels."""
    return Subframe(
        x=await connection.get("StartX", as_int),
        y=await connection.get("StartY", as_int),
        width=await connection.get("NumX", as_int),
        height=await connection.get("NumY", as_int),
    )


async def put_binning(connection: Connection, binning: int) -> bool:
    """Set the same binning on both axes, and tell whether it had to be changed.

    Raises:
        DeviceMisbehaved: It reads back otherwise.
    """
    changed = await _put(connection, "BinX", binning)
    return await _put(connection, "BinY", binning) or changed


async def put_gain(connection: Connection, gain: int) -> None:
    """Set the gain.

    Raises:
        DeviceMisbehaved: It reads back otherwise, by more than one.
    """
    await _put(connection, "Gain", gain, tolerance=_GAIN_TOLERANCE)


async def put_offset(connection: Connection, offset: int) -> None:
    """Set the offset.

    Raises:
        DeviceMisbehaved: It reads back otherwise, by more than one.
    """
    await _put(connection, "Offset", offset, tolerance=_GAIN_TOLERANCE)


async def put_subframe(connection: Connection, wanted: Subframe) -> None:
    """Set the subframe.

    Raises:
        DeviceMisbehaved: It reads back otherwise.
    """
    found = await read_subframe(connection)
    for attempt in range(_TRIES):
        if found == wanted:
            return
        await _write_subframe(connection, wanted)
        await connection.clock.sleep(attempt * _PAUSE_S)
        found = await read_subframe(connection)
    if found != wanted:
        raise DeviceMisbehaved(
            connection.name,
            f"{connection.name} was told to use the subframe {_words(wanted)} and reads back {_words(found)}. It was"
            f" told {_TRIES} times. Use the whole frame with this camera, or another driver.",
        )


async def _write_subframe(connection: Connection, wanted: Subframe) -> None:
    """Write the subframe by way of the top left corner, so that no step of it reaches beyond the sensor."""
    await connection.set("StartX", 0)
    await connection.set("StartY", 0)
    await connection.set("NumX", wanted.width)
    await connection.set("NumY", wanted.height)
    if wanted.x:
        await connection.set("StartX", wanted.x)
    if wanted.y:
        await connection.set("StartY", wanted.y)


async def _put(connection: Connection, member: str, wanted: int, *, tolerance: int = 0) -> bool:
    """Set a number if it differs, read it back, and tell whether it had to be set."""
    found = await connection.get(member, as_int)
    if found == wanted:
        return False
    for attempt in range(_TRIES):
        await connection.set(member, wanted)
        await connection.clock.sleep(attempt * _PAUSE_S)
        found = await connection.get(member, as_int)
        if abs(found - wanted) <= tolerance:
            return True
    raise DeviceMisbehaved(
        connection.name,
        f"{connection.name} was told to use {member} {wanted} and reads back {found}. It was told {_TRIES} times."
        f" Choose a {member} that the camera takes.",
    )


def _words(subframe: Subframe) -> str:
    return f"{subframe.width} x {subframe.height} at ({subframe.x}, {subframe.y})"
