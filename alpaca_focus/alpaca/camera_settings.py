"""A camera's settings: which there are, the order in which they are written, and how a write is verified.

A focus run and the gateway both change a camera's settings and put them back. Each passes in its own way to reach a
member: a call of alpyca, or a request of the gateway.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

MODES = ("ReadoutMode", "FastReadout")
BINNING = ("BinX", "BinY")
_CORNER = ("StartX", "StartY")
_SIZE = ("NumX", "NumY")
SUBFRAME = (*_CORNER, *_SIZE)
LEVELS = ("Gain", "Offset")
SETTINGS = (*MODES, *BINNING, *SUBFRAME, *LEVELS)
"""All members that can be set, in the order in which they are written."""

TRIES = 4
_PAUSE_S = 0.2
_LEVEL_TOLERANCE = 1
"""Some drivers keep gain and offset in other units, and read one less than was set."""

Values = Mapping[str, Any]
"""Settings by member; a camera that has no such setting has no entry."""


class CameraMembers(Protocol):
    """Reads and writes the members of one camera; the methods raise what the transport raises."""

    async def read(self, member: str) -> Any:
        """Return the value of a member."""
        ...

    async def write(self, member: str, value: Any) -> None:
        """Set a member."""
        ...

    async def pause(self, duration_s: float) -> None:
        """Wait between a write and its verification."""
        ...


async def read_settings(camera: CameraMembers, members: Iterable[str]) -> dict[str, Any]:
    """Return what the camera is set to."""
    return {member: await camera.read(member) for member in members}


async def apply_settings(camera: CameraMembers, wanted: Values, current: Values) -> dict[str, Any]:
    """Write the settings that differ, and read them back, several times if necessary.

    They are read back because the setters of a subframe race in some servers, `StartX` is ignored by others, or a
    binning is applied twice: a wrong setting would not show before a run has been measured with it.

    Args:
        camera: Is set.
        wanted: What it is to have.
        current: What it has, for at least the same members.

    Returns:
        What the camera still has otherwise, by member; empty when all is as wanted.
    """
    wrong = {member: current[member] for member, value in wanted.items() if current[member] != value}
    for attempt in range(TRIES):
        if not wrong:
            break
        for member, value in writes(wanted, wrong):
            await camera.write(member, value)
        await camera.pause(attempt * _PAUSE_S)
        wrong = await differing_settings(camera, wanted)
    return wrong


async def differing_settings(camera: CameraMembers, wanted: Values) -> dict[str, Any]:
    """Read settings back; return by member what is not as wanted."""
    current = await read_settings(camera, wanted)
    return {member: found for member, found in current.items() if not _is_kept(member, wanted[member], found)}


def _is_kept(member: str, wanted: Any, found: Any) -> bool:
    if member in LEVELS and isinstance(found, int):
        return bool(abs(found - wanted) <= _LEVEL_TOLERANCE)
    return bool(found == wanted)


def writes(wanted: Values, wrong: Values) -> Iterator[tuple[str, Any]]:
    """Yield the writes that correct wrong settings, in order.

    A subframe follows every change of mode or binning, with which some cameras choose another one. It goes by way of
    the top left corner, so that no step reaches beyond the sensor.
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
