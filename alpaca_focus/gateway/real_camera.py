"""What the real camera is asked when the turns with it change: whether it could expose, and to be idle again."""

import math

import structlog

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost
from alpaca_focus.ports import Clock

CAMERA_IDLE, CAMERA_WAITING, CAMERA_EXPOSING, CAMERA_DOWNLOADING, CAMERA_ERROR = 0, 1, 2, 4, 5

_AT_REST = frozenset({CAMERA_IDLE, CAMERA_DOWNLOADING})
"""Some cameras stay downloading for ever."""
ABORT_S = 2.0
"""Longest wait for a camera to be idle after the exposure of a run that hangs was aborted."""
_POLL_S = 0.5

_log = structlog.get_logger(__name__)


async def would_begin(camera: Upstream, exposure_s: float) -> bool:
    """Ask the camera whether it could expose now; if not, it is to say so itself."""
    try:
        least_s, most_s = await _limit(camera, "exposuremin", 0.0), await _limit(camera, "exposuremax", math.inf)
        is_connected, state = await camera.get("connected"), await camera.get("camerastate")
    except (AlpacaError, UpstreamLost):
        return False
    return bool(is_connected) and state in _AT_REST and least_s <= exposure_s <= most_s


async def _limit(camera: Upstream, member: str, default: float) -> float:
    try:
        return float(await camera.get(member))
    except (AlpacaError, TypeError, ValueError):
        return default


async def end_exposure(camera: Upstream, clock: Clock) -> None:
    """Abort what a run exposes that hangs, and wait until the camera is idle, but not for long.

    Raises:
        UpstreamLost: The camera does not answer.
    """
    try:
        await camera.put("abortexposure")
        ends_s = clock.monotonic() + ABORT_S
        while await camera.get("camerastate") != CAMERA_IDLE and clock.monotonic() < ends_s:
            await clock.sleep(_POLL_S)
    except AlpacaError as error:
        _log.warning("The exposure of a focus run could not be aborted", why=str(error))
