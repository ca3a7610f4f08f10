"""What the shell needs of the world, as small protocols.

Every coroutine here may raise `DeviceUnreachable`, `DeviceRefused` or `DeviceMisbehaved` of `core.errors`; none waits
for ever. Adapters over Alpaca are in `devices`; tests bring their own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alpaca_focus.core.night.state import PierSide
from alpaca_focus.core.values import ExposureSettings, Frame, Position


class Clock(Protocol):
    """Time, so that a whole night runs in a second in a test."""

    def wall(self) -> datetime:
        """Return the time of day, UTC, aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never step back, from an arbitrary zero."""
        ...

    async def sleep(self, duration_s: float) -> None:
        """Wait that many seconds; zero or less only gives way to other tasks."""
        ...


class Device(Protocol):
    """What every device can do."""

    @property
    def name(self) -> str:
        """What to call it in a message, for example "focuser 0 at 127.0.0.1:11111"."""
        ...

    async def connect(self) -> None:
        """Reach the device, check that it is of the right type, connect it to its hardware, read what it can do.

        Raises:
            ConfigurationError: Wrong address, wrong type of device, or hardware that refuses to connect.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection; leaves the hardware as it is. Never raises; may be called twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraInfo:
    """What a camera is; `None` where the device does not say.

    Attributes:
        sensor_width_px: Unbinned columns.
        sensor_height_px: Unbinned rows.
        pixel_size_um: Side of an unbinned pixel.
        max_adu: Saturation level in ADU.
        max_binning: Largest symmetric binning.
        exposure_min_s: Shortest exposure.
        exposure_max_s: Longest exposure.
        can_abort: Whether an exposure can be aborted.
        bayer: Whether the sensor has a colour matrix.
    """

    sensor_width_px: int
    sensor_height_px: int
    pixel_size_um: float | None
    max_adu: int
    max_binning: int
    exposure_min_s: float
    exposure_max_s: float
    can_abort: bool
    bayer: bool


class Camera(Device, Protocol):
    """A camera that this program exposes with."""

    @property
    def replies(self) -> int:
        """How many calls it has answered: a sign of life while something long is under way."""
        ...

    @property
    def info(self) -> CameraInfo:
        """What the camera is; known once connected."""
        ...

    async def expose(self, settings: ExposureSettings) -> None:
        """Start an exposure and return once the frame is ready to be downloaded.

        Puts binning, subframe, gain and offset in place first, only where they differ. A cancelled call aborts the
        exposure.
        """
        ...

    async def download(self) -> Frame:
        """Fetch the frame of the last exposure, once; a frame that is the one before again is a `DeviceMisbehaved`."""
        ...

    async def abort(self) -> None:
        """End a running exposure without a frame, if the camera can; harmless when there is none."""
        ...

    async def remember_settings(self) -> None:
        """Note the camera's own binning, subframe, gain and offset, for `restore_settings`."""
        ...

    async def restore_settings(self) -> None:
        """Put back what `remember_settings` noted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraActivity:
    """One look at a camera that another program exposes with; `None` where the camera does not say.

    Attributes:
        busy: Whether an image is in the making, from the wait before it to the end of its download. A camera that does
            not tell is not busy.
        preparing: Whether the camera is busy and still waits to begin, so that it collects no light yet.
        exposure_started: When the last image began, as the camera writes it; only a change of it means something,
            which is another image.
        exposure_s: How long the last image was exposed.
        free: Whether a camera that is not busy is left to a focus run.
        images: Light frames that have ended since the watch began; `None`: they are to be told from the rest.
    """

    busy: bool
    preparing: bool
    exposure_started: str | None
    exposure_s: float | None
    free: bool = True
    images: int | None = None


class CameraWatch(Device, Protocol):
    """A camera that another program exposes with, and that is only looked at."""

    async def activity(self) -> CameraActivity:
        """Look once at what the camera does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FocuserInfo:
    """What an absolute focuser is; `None` where the device does not say.

    Attributes:
        max_step: Highest position.
        max_increment_steps: Longest single move.
        step_size_um: Travel of one step.
        has_temperature_compensation: Whether the device can compensate by itself.
    """

    max_step: int
    max_increment_steps: int
    step_size_um: float | None
    has_temperature_compensation: bool


class Focuser(Device, Protocol):
    """An absolute focuser."""

    @property
    def replies(self) -> int:
        """How many calls it has answered: a sign of life while something long is under way."""
        ...

    @property
    def info(self) -> FocuserInfo:
        """What the focuser is; known once connected."""
        ...

    async def position(self) -> Position:
        """Return where it stands now."""
        ...

    async def move_to(self, target: Position) -> Position:
        """Move in one leg and return the position at which it came to rest.

        A move is over when the position has arrived and stands still, whatever the device says of moving. A cancelled
        call halts the focuser.

        Raises:
            DeviceMisbehaved: It came to rest elsewhere, or never came to rest.
        """
        ...

    async def temperature_c(self) -> float | None:
        """Return the sensor's reading, or `None` when there is none or it makes no sense."""
        ...

    async def temperature_compensation(self) -> bool:
        """Tell whether the device's own compensation is on."""
        ...

    async def set_temperature_compensation(self, *, enabled: bool) -> None:
        """Switch the device's own compensation; a device that has none ignores switching it off."""
        ...


class FilterWheel(Device, Protocol):
    """A filter wheel."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the filters by slot; known once connected."""
        ...

    @property
    def focus_offsets_steps(self) -> tuple[int, ...]:
        """The device's own focus offsets by slot; known once connected."""
        ...

    async def slot(self) -> int | None:
        """Return the slot in the light path, or `None` while moving."""
        ...

    async def move_to(self, slot: int) -> None:
        """Turn to a slot and return once it is there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MountState:
    """One reading of the mount; `None` where the mount does not say."""

    tracking: bool | None
    parked: bool | None
    slewing: bool | None
    pier_side: PierSide
    altitude_deg: float | None


class Mount(Device, Protocol):
    """A mount that is only looked at."""

    async def state(self) -> MountState:
        """Read the mount once."""
        ...


class Thermometer(Device, Protocol):
    """A source of temperature outside the focuser."""

    async def temperature_c(self) -> float | None:
        """Return the reading, or `None` when there is none or it makes no sense."""
        ...


class Sun(Protocol):
    """Where the Sun stands over the observatory."""

    def altitude_deg(self, at: datetime) -> float:
        """Return the altitude of the Sun's centre at a time, without refraction; below the horizon it is negative.

        Raises:
            ValueError: The time has no time zone.
        """
        ...


class SafetyMonitor(Device, Protocol):
    """Tells whether the observatory is safe."""

    async def is_safe(self) -> bool:
        """Return the monitor's word; no answer is an error, not "safe"."""
        ...


class CameraSharing(Protocol):
    """Decides who has the camera: the imaging program, or the focus run that acquires it.

    - A run acquires the camera in a gap between two exposures: while the program's next exposure waits, or after the
      program has been idle for long.
    - The program's exposure waits until the run releases the camera, but not beyond `left_s`: a run that keeps the
      camera for longer loses it.
    - The program finds the camera as it left it, with what it has set meanwhile.
    - A run releases what it has asked for on every path, also after an `acquire` that failed or was cancelled.
    """

    @property
    def left_s(self) -> float:
        """Seconds of the clock until the camera has to be released; infinite while no exposure waits."""
        ...

    async def acquire(self) -> None:
        """Wait for the next gap and acquire the camera; after a cancelled call and `release` it is not acquired.

        Raises:
            DeviceError: The camera cannot be had.
        """
        ...

    async def release(self) -> None:
        """Let the imaging program have the camera again; harmless when it has it already.

        Never raises a `DeviceError`: it belongs to the end of every run, and a run has nothing else to try then.
        """
        ...


class Guider(Protocol):
    """Something that keeps the telescope on its star, and must hold still while the focus moves."""

    @property
    def name(self) -> str:
        """What to call it in a message."""
        ...

    async def pause(self) -> None:
        """Stop correcting; harmless when it does not guide."""
        ...

    async def resume(self) -> None:
        """Go on where `pause` interrupted it, and return once the star is steady again.

        It goes on first and is waited for then: a call that is cancelled while it waits leaves it guiding.
        """
        ...

    async def after_move(self) -> None:
        """Wait until the star is steady after a move of the focuser, which shifts it.

        Does nothing where it does not guide, and nothing between `pause` and `resume` of a guider that is paused then.
        """
        ...
