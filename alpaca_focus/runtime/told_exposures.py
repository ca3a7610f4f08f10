"""The exposures that the scripts of an imaging program tell of, and the look at a camera that goes by them."""

from dataclasses import dataclass, replace

import structlog

from alpaca_focus.ports import CameraActivity, CameraWatch, Clock

LONGEST_UNTOLD_S = 2 * 3600.0
"""An exposure of which no length was told is given up after so long: its script has died."""
SPARE_S = 60.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldExposure:
    """An exposure as its script has told it.

    Attributes:
        seconds: How long it lasts; `None`: not told.
        dark: Whether it sees no stars.
    """

    seconds: float | None = None
    dark: bool = False


class ToldExposures:
    """Whether a told exposure has the camera. It knows nothing of devices and outlives their connections.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._exposure: ToldExposure | None = None
        self._over_s = 0.0
        self._given_up = False

    def begin(self, exposure: ToldExposure, *, download_s: float) -> None:
        """Take note that an exposure begins.

        Args:
            exposure: What was told of it.
            download_s: Longest time for its download.
        """
        lasts_s = LONGEST_UNTOLD_S if exposure.seconds is None else exposure.seconds + download_s + SPARE_S
        self._exposure, self._over_s, self._given_up = exposure, self._clock.monotonic() + lasts_s, False

    def end(self) -> ToldExposure:
        """Take note that it has ended; one whose begin was not told is a light frame of any length."""
        exposure, self._exposure = self._exposure, None
        return exposure or ToldExposure()

    @property
    def busy(self) -> bool:
        """Whether one is under way; the first look after its time tells that it was given up."""
        if self._exposure is None or self._given_up:
            return False
        if self._clock.monotonic() < self._over_s:
            return True
        self._given_up = True
        _log.warning(
            "An exposure was told to begin, and its end was never told: the camera counts as free again. Look after "
            "the script that calls `alpaca-focus exposure end`.",
            told_seconds=self._exposure.seconds,
        )
        return False


class ToldCameraWatch:
    """A camera whose exposures are told; implements `ports.CameraWatch`.

    What the camera itself says of being busy counts as well, but images are counted from what is told alone.

    Args:
        watch: The look at the camera itself.
        told: What is told.
    """

    def __init__(self, watch: CameraWatch, told: ToldExposures) -> None:
        self._watch = watch
        self._told = told

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self._watch.name

    async def connect(self) -> None:
        """Reach the camera.

        Raises:
            ConfigurationError: Wrong address or wrong type of device.
            DeviceUnreachable: Nothing answers there.
        """
        await self._watch.connect()

    async def close(self) -> None:
        """Let go of the connection."""
        await self._watch.close()

    async def activity(self) -> CameraActivity:
        """Look once at what the camera does.

        Raises:
            DeviceUnreachable: No answer.
        """
        seen = await self._watch.activity()
        return replace(seen, busy=seen.busy or self._told.busy, images=0)
