"""The simulated camera: ICameraV4."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.replies import ImageReply
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.cooler import Cooler
from alpaca_focus.simulator.exposure import Exposure
from alpaca_focus.simulator.frame_quirks import Adu, prepared_frame
from alpaca_focus.simulator.render import ExposureRequest, Renderer
from alpaca_focus.simulator.sensor import gain_e_per_adu
from alpaca_focus.simulator.simulated_device import SimulatedDevice
from alpaca_focus.simulator.world import World

IDLE, EXPOSING, READING, DOWNLOAD, ERROR = 0, 2, 3, 4, 5
MAX_BINNING = 4
EXPOSURE_MAX_S = 3600.0
READOUT_MODES = ("Normal", "Fast")
STALE_S = 0.2
IDLE_BEFORE_READY_S = 1.4
GHOST_S = 2.0


class SimulatedCamera(SimulatedDevice):
    """A cooled camera whose frames show what the simulated telescope sees."""

    device_type = DeviceType.CAMERA

    def __init__(self, world: World) -> None:
        super().__init__(world)
        settings = world.settings
        self._sensor = settings.sensor
        self._renderer = Renderer(
            settings.telescope, settings.sensor, settings.sky, settings.spectrograph, settings.seed
        )
        self._binning = 1
        self._start = [0, 0]
        self._size = [self._sensor.width_px, self._sensor.height_px]
        self._gain, self._offset = settings.camera.start_gain, settings.camera.start_offset
        self._mode = 0
        self._cooler = Cooler(ambient_c=lambda: world.air_c(world.clock.now_s()), now_s=world.clock.now_s)
        self._exposure: Exposure | None = None
        self._last: Exposure | None = None
        self._aborted = False
        self._in_error = False

    @property
    def _now_s(self) -> float:
        return self.world.clock.now_s()

    @override
    async def connect_hardware(self) -> None:
        await super().connect_hardware()
        # A camera that had lost its power has lost its frame too.
        self._drop_exposure()

    @override
    async def disconnect_hardware(self) -> None:
        self._drop_exposure()

    @override
    def device_state(self) -> Mapping[str, Any]:
        return {
            "CameraState": self.get_camerastate(),
            "CCDTemperature": self.get_ccdtemperature(),
            "CoolerPower": self.get_coolerpower(),
            "HeatSinkTemperature": self.get_heatsinktemperature(),
            "ImageReady": not self._has_failed() and self.get_imageready(),
            "PercentCompleted": self.get_percentcompleted(),
        }

    # What it is.

    def get_cameraxsize(self) -> int:
        """Return the sensor's columns."""
        return self._sensor.width_px

    def get_cameraysize(self) -> int:
        """Return the sensor's rows."""
        return self._sensor.height_px

    def get_pixelsizex(self) -> float:
        """Return the width of a pixel, um."""
        return self._sensor.pixel_size_um

    def get_pixelsizey(self) -> float:
        """Return the height of a pixel, um."""
        return self._sensor.pixel_size_um

    def get_maxadu(self) -> int:
        """Return the largest value of a pixel."""
        return 255 if "byte-frames" in self.world.quirks else self._sensor.max_adu

    def get_sensorname(self) -> str:
        """Return the name of the sensor."""
        return "Simulated sensor"

    def get_sensortype(self) -> int:
        """Return 0 for monochrome, 2 for an RGGB matrix."""
        return 2 if self._sensor.bayer else 0

    def get_bayeroffsetx(self) -> int:
        """Return the column at which the colour matrix begins."""
        return self._bayer_offset("BayerOffsetX")

    def get_bayeroffsety(self) -> int:
        """Return the row at which the colour matrix begins."""
        return self._bayer_offset("BayerOffsetY")

    def _bayer_offset(self, member: str) -> int:
        if not self._sensor.bayer:
            raise AlpacaError(ErrorNumber.NOT_IMPLEMENTED, f"{member}: {self.name} has no colour matrix.")
        return 0

    def get_electronsperadu(self) -> float:
        """Return the electrons of one ADU at the present gain."""
        return gain_e_per_adu(self._sensor, self._gain)

    def get_fullwellcapacity(self) -> float:
        """Return the electrons at which a pixel is full."""
        return self._sensor.full_well_e

    def get_exposuremin(self) -> float:
        """Return the shortest exposure, s."""
        return 0.0

    def get_exposuremax(self) -> float:
        """Return the longest exposure, s."""
        return EXPOSURE_MAX_S

    def get_exposureresolution(self) -> float:
        """Return the smallest step of exposure times, s."""
        return 0.001

    def get_hasshutter(self) -> bool:
        """Tell that it can take darks by itself."""
        return True

    def get_canabortexposure(self) -> bool:
        """Tell that an exposure can be aborted."""
        return True

    def get_canstopexposure(self) -> bool:
        """Tell that an exposure can be ended early."""
        return True

    def get_canasymmetricbin(self) -> bool:
        """Tell that both axes are binned alike."""
        return False

    def get_canfastreadout(self) -> bool:
        """Tell that fast read-out is a read-out mode, not a switch."""
        return False

    def get_canpulseguide(self) -> bool:
        """Tell that it has no guide port."""
        return False

    # Cooling.

    def get_cansetccdtemperature(self) -> bool:
        """Tell that the sensor can be cooled to a temperature."""
        return True

    def get_cangetcoolerpower(self) -> bool:
        """Tell that the cooler's power is known."""
        return True

    def get_ccdtemperature(self) -> float:
        """Return the temperature of the sensor, degrees Celsius."""
        return round(self._cooler.sensor_c(), 2)

    def get_heatsinktemperature(self) -> float:
        """Return the temperature of the heat sink, degrees Celsius."""
        return round(self._cooler.heat_sink_c(), 2)

    def get_cooleron(self) -> bool:
        """Tell whether the cooler is on."""
        return self._cooler.is_on

    def put_cooleron(self, enabled: bool) -> None:  # noqa: FBT001 - the standard's signature
        """Switch the cooler."""
        self._cooler.switch(on=enabled)

    def get_coolerpower(self) -> float:
        """Return the cooler's power, per cent."""
        return round(self._cooler.power_percent(), 1)

    def get_setccdtemperature(self) -> float:
        """Return the temperature to cool to, degrees Celsius."""
        return self._cooler.target_c

    def put_setccdtemperature(self, target_c: float) -> None:
        """Set the temperature to cool to."""
        self._in_range("SetCCDTemperature", target_c, -80.0, 40.0)
        self._cooler.aim(target_c)

    # What is set.

    def get_maxbinx(self) -> int:
        """Return the largest binning."""
        return MAX_BINNING

    def get_maxbiny(self) -> int:
        """Return the largest binning."""
        return MAX_BINNING

    def get_binx(self) -> int:
        """Return the binning of columns."""
        return self._binning

    def get_biny(self) -> int:
        """Return the binning of rows."""
        return self._binning

    def put_binx(self, binning: int) -> None:
        """Set the binning of both axes."""
        self._bin("BinX", binning)

    def put_biny(self, binning: int) -> None:
        """Set the binning of both axes."""
        self._bin("BinY", binning)

    def _bin(self, member: str, binning: int) -> None:
        self._in_range(member, binning, 1, MAX_BINNING)
        if "binning-applied-twice" in self.world.quirks and binning != self._binning:
            self._size = [size * self._binning // binning for size in self._size]
            self._tell_size()
        self._binning = binning

    def get_startx(self) -> int:
        """Return the first column, in binned pixels."""
        return self._start[0]

    def get_starty(self) -> int:
        """Return the first row, in binned pixels."""
        return self._start[1]

    def get_numx(self) -> int:
        """Return the columns, in binned pixels."""
        return self._size[0]

    def get_numy(self) -> int:
        """Return the rows, in binned pixels."""
        return self._size[1]

    def put_startx(self, start: int) -> None:
        """Set the first column; checked when an exposure starts."""
        if "startx-ignored" not in self.world.quirks:
            self._start[0] = self._not_negative("StartX", start)

    def put_starty(self, start: int) -> None:
        """Set the first row; checked when an exposure starts."""
        self._start[1] = self._not_negative("StartY", start)

    def put_numx(self, size: int) -> None:
        """Set the columns; checked when an exposure starts."""
        self._size[0] = self._not_negative("NumX", size)
        self._tell_size()

    def put_numy(self, size: int) -> None:
        """Set the rows; checked when an exposure starts."""
        self._size[1] = self._not_negative("NumY", size)
        if "subframe-race" in self.world.quirks:
            self._size[0] = self._sensor.width_px // self._binning
        self._tell_size()

    def _tell_size(self) -> None:
        self.world.frame_size = (self._size[0], self._size[1])

    def get_gain(self) -> int:
        """Return the gain setting."""
        return self._gain

    def get_gainmin(self) -> int:
        """Return the smallest gain setting."""
        return 0

    def get_gainmax(self) -> int:
        """Return the largest gain setting."""
        return self._sensor.gain_max

    def put_gain(self, gain: int) -> None:
        """Set the gain."""
        self._in_range("Gain", gain, 0, self._sensor.gain_max)
        self._gain = gain

    def get_offset(self) -> int:
        """Return the offset setting."""
        return self._offset

    def get_offsetmin(self) -> int:
        """Return the smallest offset setting."""
        return 0

    def get_offsetmax(self) -> int:
        """Return the largest offset setting."""
        return self._sensor.offset_max

    def put_offset(self, offset: int) -> None:
        """Set the offset."""
        self._in_range("Offset", offset, 0, self._sensor.offset_max)
        self._offset = offset

    def get_readoutmodes(self) -> list[str]:
        """Return the names of the read-out modes."""
        return list(READOUT_MODES)

    def get_readoutmode(self) -> int:
        """Return the read-out mode by its place in the list."""
        return self._mode

    def put_readoutmode(self, mode: int) -> None:
        """Set the read-out mode."""
        self._in_range("ReadoutMode", mode, 0, len(READOUT_MODES) - 1)
        self._mode = mode

    # Exposing.

    def put_startexposure(self, duration_s: float, light: bool) -> None:  # noqa: FBT001 - the standard's signature
        """Start an exposure."""
        self._in_range("Duration", duration_s, 0.0, EXPOSURE_MAX_S)
        self._check_subframe()
        if self._is_busy() and "second-exposure-accepted" not in self.world.quirks:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, f"{self.name} is exposing already: abort that first.")
        self._drop_exposure()
        self._in_error = self.world.faults.take("camera-error") is not None or (
            duration_s == 0 and "zero-exposure-error" in self.world.quirks
        )
        self._exposure = Exposure(
            self.world,
            self._renderer,
            ExposureRequest(
                exposure_s=duration_s,
                num_x=self._size[0],
                num_y=self._size[1],
                start_x=self._start[0],
                start_y=self._start[1],
                binning_x=self._binning,
                binning_y=self._binning,
                gain=self._gain,
                offset=self._offset,
                light=light,
                fast_readout=self._mode == 1,
            ),
            partial(
                prepared_frame,
                quirks=self.world.quirks,
                bit_depth=self._sensor.bit_depth,
                fast_readout=self._mode == 1,
            ),
        )

    def put_abortexposure(self) -> None:
        """End a running exposure without a frame."""
        if self._exposure is not None and "ghost-frame-after-abort" in self.world.quirks and self._is_busy():
            self._exposure.stop()
            self._exposure.times.download_s += GHOST_S
        elif self._is_busy() or self._has_failed():
            self._drop_exposure()
            self._aborted = True

    def put_stopexposure(self) -> None:
        """End a running exposure and read the frame."""
        if self._exposure is not None:
            self._exposure.stop()

    def get_camerastate(self) -> int:
        """Return what the camera is doing."""
        exposure = self._exposure
        if exposure is None:
            return EXPOSING if self._aborted and "state-stays-exposing" in self.world.quirks else IDLE
        now_s, times = self._now_s, exposure.times
        if self._is_stale(exposure):
            return IDLE
        if now_s < times.ended_s:
            return EXPOSING
        if self._has_failed():
            return ERROR
        if now_s < times.read_s:
            return READING
        if not exposure.is_ready():
            return IDLE if "idle-before-ready" in self.world.quirks else DOWNLOAD
        return DOWNLOAD if "state-stays-download" in self.world.quirks else IDLE

    def get_imageready(self) -> bool:
        """Tell whether a frame can be fetched."""
        exposure = self._exposure
        if exposure is None:
            return False
        now_s = self._now_s
        if self._is_stale(exposure):
            return self._last is not None
        if self._has_failed():
            raise AlpacaError(ErrorNumber.DRIVER_BASE + 1, f"{self.name}: the sensor could not be read.")
        late_s = IDLE_BEFORE_READY_S if "idle-before-ready" in self.world.quirks else 0.0
        return not self._in_error and exposure.is_ready() and now_s >= exposure.times.ready_s + late_s

    def get_percentcompleted(self) -> int:
        """Return how much of the exposure is over."""
        if self._exposure is None:
            return 0
        times = self._exposure.times
        if times.ended_s <= times.began_s:
            return 100
        return math.floor(min(1.0, (self._now_s - times.began_s) / (times.ended_s - times.began_s)) * 100)

    def get_lastexposureduration(self) -> float:
        """Return how long the shutter was open for the last frame, s."""
        return self._last_exposure("LastExposureDuration").exposed_s

    def get_lastexposurestarttime(self) -> str:
        """Return when the last frame's exposure began, UTC, as FITS writes it."""
        started_at = self._last_exposure("LastExposureStartTime").started_at
        return started_at.replace(tzinfo=None).isoformat(timespec="milliseconds")

    def get_imagearray(self) -> ImageReply:
        """Return the frame."""
        return ImageReply(pixels=self._take_frame())

    def get_imagearrayvariant(self) -> ImageReply:
        """Return the frame."""
        return ImageReply(pixels=self._take_frame())

    def _take_frame(self) -> Adu:
        exposure, before = self._exposure, self._last
        ready = exposure is not None and self.get_imageready()
        if ready and before is not None and before.frame is not None:
            if self._is_stale(exposure):
                return before.frame
            if "same-frame-twice" in self.world.quirks and before is not exposure:
                self._last = exposure
                return before.frame
        if exposure is None or exposure.frame is None or not ready:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, f"{self.name} has no frame ready: take an exposure first.")
        self._last = exposure
        return exposure.frame

    def _is_stale(self, exposure: Exposure | None) -> bool:
        """Tell whether the camera still speaks of the frame before."""
        young = exposure is not None and self._now_s < exposure.times.began_s + STALE_S
        return young and "image-ready-stale" in self.world.quirks

    def _last_exposure(self, member: str) -> Exposure:
        last = self._exposure if self._exposure is not None and self.get_imageready() else self._last
        if last is None:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, f"{member}: {self.name} has not taken a frame yet.")
        return last

    def _is_busy(self) -> bool:
        exposure = self._exposure
        return exposure is not None and not exposure.is_ready() and not self._has_failed()

    def _has_failed(self) -> bool:
        """Tell whether the exposure has ended without a frame."""
        exposure = self._exposure
        if exposure is None or self._now_s < exposure.times.ended_s:
            return False
        return self._in_error or exposure.has_failed()

    def _drop_exposure(self) -> None:
        """Forget the exposure and its frame, whether it is over or not."""
        if self._exposure is not None:
            self._exposure.abort()
            self._exposure = None
        self._aborted = self._in_error = False

    def _check_subframe(self) -> None:
        for axis, start, size, whole in zip(
            "XY", self._start, self._size, (self._sensor.width_px, self._sensor.height_px), strict=True
        ):
            room = whole // self._binning
            if size < 1 or start < 0 or start + size > room:
                raise AlpacaError(
                    ErrorNumber.INVALID_VALUE,
                    f"{self.name} cannot expose Start{axis} {start} and Num{axis} {size}: at binning {self._binning} "
                    f"the sensor has {room} pixels on that axis.",
                )

    def _not_negative(self, member: str, value: int) -> int:
        if value < 0:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"{member} {value} is not possible: it cannot be negative.")
        return value
