"""Reads, writes and verifies a camera's settings, for focus runs (over alpyca) and for the gateway (over requests)."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MODES = ("ReadoutMode", "FastReadout")
BINNING = ("BinX", "BinY")
_CORNER = ("StartX", "StartY")
_SIZE = ("NumX", "NumY")
SUBFRAME = (*_CORNER, *_SIZE)
LEVELS = ("Gain", "Offset")
SETTINGS = (*MODES, *BINNING, *SUBFRAME, *LEVELS)
"""All members that can be set, in the order of writing."""

TRIES = 4
_PAUSE_S = 0.2
_LEVEL_TOLERANCE = 1
"""Drivers that store gain and offset in other units read back 1 off (seen with one of the five servers)."""

Values = Mapping[str, Any]
"""Settings by member; a camera that has no such setting has no entry."""


@dataclass(frozen=True, slots=True)
class CameraMembers:
    """Reads and writes the members of one camera; the functions raise what the transport raises.

    Attributes:
        pause: Waits for some seconds between a write and its verification.
    """

    read: Callable[[str], Awaitable[Any]]
    write: Callable[[str, Any], Awaitable[None]]
    pause: Callable[[float], Awaitable[None]]


async def read_settings(camera: CameraMembers, members: Iterable[str]) -> dict[str, Any]:
    """Return the values of members."""
    return {member: await camera.read(member) for member in members}


async def apply_settings(camera: CameraMembers, wanted: Values, current: Values) -> dict[str, Any]:
    """Write the settings that differ from `current`, and read them back, up to `TRIES` times.

    Some of the five servers get settings wrong without an error: setters of a subframe race, `StartX` is ignored,
    `BinX` is applied twice.

    Returns:
        The values that are still wrong, by member.
    """
    wrong = {member: current[member] for member, value in wanted.items() if current[member] != value}
    for attempt in range(TRIES if wrong else 0):
        for member, value in writes(wanted, wrong):
            await camera.write(member, value)
        await camera.pause(attempt * _PAUSE_S)
        wrong = await differing_settings(camera, wanted)
    return wrong


async def differing_settings(camera: CameraMembers, wanted: Values) -> dict[str, Any]:
    """Read settings back; return the wrong values by member."""
    current = await read_settings(camera, wanted)
    return {member: value for member, value in current.items() if not _is_equal(member, wanted[member], value)}


def _is_equal(member: str, wanted: Any, value: Any) -> bool:
    if member in LEVELS and isinstance(value, int):
        return bool(abs(value - wanted) <= _LEVEL_TOLERANCE)
    return bool(value == wanted)


def writes(wanted: Values, wrong: Values) -> Iterator[tuple[str, Any]]:
    """Yield the writes that correct wrong settings, in order.

    The subframe comes after mode and binning, because some cameras change it with them. Its corner goes to (0, 0)
    first, so that no intermediate subframe reaches beyond the sensor.
    """
    yield from ((member, wanted[member]) for member in (*MODES, *BINNING) if member in wrong)
    if any(member in wrong for member in (*MODES, *BINNING, *SUBFRAME)):
        yield from ((member, 0) for member in _CORNER if member in wanted)
        yield from ((member, wanted[member]) for member in _SIZE if member in wanted)
        yield from ((member, wanted[member]) for member in _CORNER if wanted.get(member))
    yield from ((member, wanted[member]) for member in LEVELS if member in wrong)


def whole_sensor(width_px: int, height_px: int, *, bin_x: int, bin_y: int) -> dict[str, Any]:
    """Return the subframe that covers the whole sensor, in binned pixels."""
    return {"StartX": 0, "StartY": 0, "NumX": width_px // bin_x, "NumY": height_px // bin_y}
