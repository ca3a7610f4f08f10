"""The devices and services that the shell uses, as small protocols.

Every coroutine of a device may raise `DeviceUnreachable`, `DeviceRefused` or `DeviceMisbehaved` of `core.errors`; each
ends within its timeout. `devices` has the adapters over Alpaca; tests use their own.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alpaca_focus.core.camera_record import CameraRecord, CameraValues
from alpaca_focus.core.night.state import PierSide
from alpaca_focus.core.values import ExposureSettings, Frame, Position


class Clock(Protocol):
    """Time; with a fake clock a whole night runs in a second."""

    def wall(self) -> datetime:
        """Return the time of day, UTC, aware."""

    def monotonic(self) -> float:
        """Return seconds that never step back, from an arbitrary zero."""

    async def sleep(self, duration_s: float) -> None:
        """Wait that many seconds; zero or less only lets other tasks run."""


class Device(Protocol):
    """Any device."""

    @property
    def name(self) -> str:
        """Name of the device in messages, for example "focuser 0 at 127.0.0.1:11111"."""

    @property
    def server(self) -> str:
        """Host and port of its Alpaca server; empty: it has none."""

    async def connect(self) -> None:
        """Connect the device to its hardware, and read its properties.

        Raises:
            ConfigurationError: Wrong address, wrong type of device, or hardware that refuses to connect.
        """

    async def close(self) -> None:
        """Close the connection; the hardware stays as it is. Never raises; may be called twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraInfo:
    """Limits and abilities of a camera; `None`: not reported.

    Attributes:
        sensor_width_px: Unbinned columns.
        sensor_height_px: Unbinned rows.
        pixel_size_um: Side of an unbinned pixel.
        max_adu: Saturation level in ADU.
        max_binning: Largest symmetric binning.
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
    """A camera for exposures of this program."""

    @property
    def replies(self) -> int:
        """Number of calls that the device has answered: a sign of life during a long operation."""

    @property
    def info(self) -> CameraInfo:
        """Limits and abilities of the camera; known once connected."""

    async def expose(self, settings: ExposureSettings) -> None:
        """Take an exposure and return when the frame is ready to be downloaded.

        Binning, subframe, gain and offset are set first, only where they differ. A cancelled call aborts the exposure.
        """

    async def download(self) -> Frame:
        """Fetch the frame of the last exposure, once.

        Raises:
            FrameLost: The camera sent the frame before again, or none; another exposure may help.
        """

    async def abort(self) -> None:
        """End a running exposure without a frame, if the camera can; does nothing if none runs."""

    async def until_idle(self) -> None:
        """Wait until the camera does not expose; an exposure that does not end is a `CameraTaken`."""

    async def settings(self) -> CameraValues:
        """Return the camera's own binning, subframe, gain and offset, for `restore_settings`."""

    async def restore_settings(self, settings: CameraValues) -> None:
        """Set the camera as it was; settings that differ are written and read back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraActivity:
    """One reading of a camera that another program exposes with; `None`: not reported.

    Attributes:
        busy: An image is being taken, from the wait before it to the end of its download; False if not reported.
        preparing: Whether the busy camera still waits to start, so that it collects no light yet.
        exposure_started: Start of the last image as the camera writes it; a change means another image.
        exposure_s: Exposure time of the last image.
        free: Whether a focus run may use the camera while it is not busy.
        test_shots: Whether the imaging program takes only test shots, for which nothing is held up.
    """

    busy: bool
    preparing: bool
    exposure_started: str | None
    exposure_s: float | None
    free: bool = True
    test_shots: bool = False


class CameraWatch(Device, Protocol):
    """A camera that another program exposes with; it is only read."""

    async def activity(self) -> CameraActivity:
        """Read the camera once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FocuserInfo:
    """Limits and abilities of an absolute focuser; `None`: not reported.

    Attributes:
        max_step: Highest position.
        max_increment_steps: Longest single move.
        step_size_um: Travel of one step.
        has_temperature_compensation: Whether the device can compensate by itself.
        tolerance_steps: Distance from its target at which the focuser may come to rest.
    """

    max_step: int
    max_increment_steps: int
    step_size_um: float | None
    has_temperature_compensation: bool
    tolerance_steps: int = 1


class Focuser(Device, Protocol):
    """An absolute focuser."""

    @property
    def replies(self) -> int:
        """Number of calls that the device has answered: a sign of life during a long operation."""

    @property
    def info(self) -> FocuserInfo:
        """Limits and abilities of the focuser; known once connected."""

    @property
    def connections(self) -> int:
        """How often the device was found again after a failure: a focuser may have lost its zero meanwhile."""

    async def position(self) -> Position:
        """Return the current position."""

    async def is_moving(self) -> bool:
        """Return whether the device reports that it moves; some never do, and some always."""

    async def move_to(self, target: Position) -> Position:
        """Move without backlash compensation and return the position at which the focuser came to rest.

        That may be up to `info.tolerance_steps` from the target: what counts is where the focuser stands. A move is
        over when the position has arrived and does not change, whatever `IsMoving` reports. A cancelled call halts the
        focuser.

        Raises:
            DeviceMisbehaved: The focuser came to rest elsewhere, or never came to rest.
        """

    async def temperature_c(self) -> float | None:
        """Return the sensor's reading, or `None` if there is none or it is not plausible."""

    async def temperature_compensation(self) -> bool:
        """Return whether the device's own compensation is on."""

    async def set_temperature_compensation(self, *, enabled: bool) -> None:
        """Switch the device's own compensation; a device without one ignores switching it off."""


class FilterWheel(Device, Protocol):
    """A filter wheel."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the filters by slot; known once connected."""

    @property
    def focus_offsets_steps(self) -> tuple[int, ...]:
        """The device's own focus offsets by slot; known once connected."""

    async def slot(self) -> int | None:
        """Return the slot in the light path, or `None` while the wheel turns."""

    async def move_to(self, slot: int) -> None:
        """Turn to a slot and return when it is in the light path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountState:
    """One reading of the mount; `None`: not reported."""

    tracking: bool | None
    parked: bool | None
    slewing: bool | None
    pier_side: PierSide
    altitude_deg: float | None


class Mount(Device, Protocol):
    """A mount; it is only read."""

    async def state(self) -> MountState:
        """Read the mount once."""


class Thermometer(Device, Protocol):
    """A temperature sensor outside the focuser."""

    async def temperature_c(self) -> float | None:
        """Return the reading, or `None` if there is none or it is not plausible."""


class Sun(Protocol):
    """The Sun seen from the observatory."""

    def altitude_deg(self, at: datetime) -> float:
        """Return the altitude of the Sun's centre at a time, without refraction; negative below the horizon.

        Raises:
            ValueError: The time has no time zone.
        """


class SafetyMonitor(Device, Protocol):
    """A safety monitor of the observatory."""

    async def is_safe(self) -> bool:
        """Return whether the observatory is safe; no answer is an error, not "safe"."""


class CameraMarker(Protocol):
    """The record of a camera that a focus run uses, on disk from before its first change (decision 0027)."""

    def read(self) -> CameraRecord | None:
        """Return what a killed program has left; `None` if there is nothing, or it cannot be read."""

    def write(self, record: CameraRecord) -> None:
        """Write the record, or delete it if it is empty; it is on the disk when this returns. Never raises."""


class CameraSharing(Protocol):
    """Arbitrates the camera between the imaging program and focus runs.

    - A run acquires the camera in a gap between two exposures: while the program's next exposure waits, or after the
      program has been idle for long.
    - The program's exposure waits until the run releases the camera, but not beyond `left_s`; then the run loses it.
    - The program finds its own camera settings again, with its changes meanwhile.
    - A run calls `release` on every path, even after an `acquire` that failed or was cancelled.
    """

    @property
    def left_s(self) -> float:
        """Clock seconds until the run has to release the camera; infinite while no exposure waits."""

    async def acquire(self) -> None:
        """Wait for the next gap and acquire the camera; a cancelled call followed by `release` leaves it free.

        Raises:
            DeviceError: The camera is not available.
        """

    async def release(self) -> None:
        """Return the camera to the imaging program; does nothing if the program has it.

        Never raises a `DeviceError`: at the end of a run there is nothing left to try.
        """


class Guider(Protocol):
    """A guider, paused while the focuser moves."""

    @property
    def name(self) -> str:
        """Name of the guider in messages."""

    async def pause(self) -> None:
        """Pause guiding; does nothing if the guider does not guide."""

    async def resume(self) -> None:
        """Resume guiding after `pause`, and return when the star is steady again.

        A call that is cancelled while it waits for the star leaves the guider guiding.
        """

    async def is_dithering(self) -> bool:
        """Return whether the guider settles after a dither, which a move of the focuser would spoil."""

    async def after_move(self) -> None:
        """Wait until the star is steady after a move of the focuser, which shifts it.

        Does nothing if the guider does not guide, or is paused.
        """
