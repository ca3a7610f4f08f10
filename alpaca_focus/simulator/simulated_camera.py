"""The simulated camera: ICameraV4."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.replies import ImageReply
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.render import Renderer, RenderRequest
from alpaca_focus.simulator.sensor import gain_e_per_adu
from alpaca_focus.simulator.simulated_device import SimulatedDevice
from alpaca_focus.simulator.simulated_exposure import Adu, SimulatedExposure, prepared_frame
from alpaca_focus.simulator.temperatures import SimulatedCooler
from alpaca_focus.simulator.world import World

MONOCHROME, RGGB = 0, 2
IDLE, EXPOSING, READING, DOWNLOAD, ERROR = 0, 2, 3, 4, 5
MAX_BINNING = 4
EXPOSURE_MAX_S = 3600.0
READOUT_MODES = ("Normal", "Fast")
STALE_S = 0.2
IDLE_BEFORE_READY_S = 1.4
GHOST_S = 2.0


class SimulatedCamera(SimulatedDevice):
    """A cooled camera behind the simulated telescope."""

    device_type = DeviceType.CAMERA
    state_members = ("CameraState", "CCDTemperature", "CoolerPower", "HeatSinkTemperature", "PercentCompleted")
    stored = frozenset({"starty", "gain", "offset", "readoutmode"})

    def __init__(self, world: World) -> None:
        super().__init__(world)
        settings = world.settings
        self._sensor = settings.sensor
        self._renderer = Renderer(
            settings.telescope, settings.sensor, settings.sky, settings.spectrograph, settings.seed
        )
        self._binning = 1
        self._size = world.frame_size
        self._cooler = SimulatedCooler(ambient_c=lambda: world.air_c(self._now_s), now_s=world.clock.now_s)
        self._exposure: SimulatedExposure | None = None
        self._last: SimulatedExposure | None = None
        self._in_error = False
        sensor, cooler = self._sensor, self._cooler
        self.ranges = {
            "SetCCDTemperature": (-80.0, 40.0),
            **dict.fromkeys(("BinX", "BinY"), (1, MAX_BINNING)),
            # Whether a subframe fits is checked when an exposure starts, because binning may be set in between.
            **dict.fromkeys(("StartX", "StartY", "NumX", "NumY"), (0, math.inf)),
            "Gain": (0, sensor.gain_max),
            "Offset": (0, sensor.offset_max),
            "ReadoutMode": (0, len(READOUT_MODES) - 1),
        }
        self.values = {
            "cameraxsize": sensor.width_px,
            "cameraysize": sensor.height_px,
            **dict.fromkeys(("pixelsizex", "pixelsizey"), sensor.pixel_size_um),
            "maxadu": 255 if "byte-frames" in world.quirks else sensor.max_adu,
            "fullwellcapacity": sensor.full_well_e,
            "electronsperadu": lambda: gain_e_per_adu(sensor, self.values["gain"]),
            "sensorname": "Simulated sensor",
            "sensortype": RGGB if sensor.bayer else MONOCHROME,
            "bayeroffsetx": lambda: self._bayer_offset("BayerOffsetX"),
            "bayeroffsety": lambda: self._bayer_offset("BayerOffsetY"),
            "exposuremin": 0.0,
            "exposuremax": EXPOSURE_MAX_S,
            "exposureresolution": 0.001,
            **dict.fromkeys(("hasshutter", "canabortexposure", "canstopexposure"), True),
            **dict.fromkeys(("cansetccdtemperature", "cangetcoolerpower"), True),
            **dict.fromkeys(("canasymmetricbin", "canfastreadout", "canpulseguide"), False),
            "ccdtemperature": lambda: round(cooler.sensor_c(), 2),
            "heatsinktemperature": lambda: round(cooler.heat_sink_c(), 2),
            "cooleron": lambda: cooler.is_on,
            "coolerpower": lambda: round(cooler.power_percent(), 1),
            "setccdtemperature": lambda: cooler.target_c,
            **dict.fromkeys(("maxbinx", "maxbiny"), MAX_BINNING),
            **dict.fromkeys(("binx", "biny"), lambda: self._binning),
            **dict.fromkeys(("startx", "starty"), 0),
            "numx": lambda: self._size[0],
            "numy": lambda: self._size[1],
            "gain": settings.camera.start_gain,
            "gainmin": 0,
            "gainmax": sensor.gain_max,
            "offset": settings.camera.start_offset,
            "offsetmin": 0,
            "offsetmax": sensor.offset_max,
            "readoutmodes": list(READOUT_MODES),
            "readoutmode": 0,
            "lastexposureduration": lambda: self._last_exposure("LastExposureDuration").exposed_s,
            **dict.fromkeys(("imagearray", "imagearrayvariant"), lambda: ImageReply(pixels=self._take_frame())),
        }

    @override
    async def connect_hardware(self) -> None:
        await super().connect_hardware()
        # After a power failure the frame is lost as well.
        self._drop_exposure()

    @override
    async def disconnect_hardware(self) -> None:
        self._drop_exposure()

    @override
    def device_state(self) -> Mapping[str, Any]:
        return {**super().device_state(), "ImageReady": not self._has_failed() and self.get_imageready()}

    # Settings.

    def _bayer_offset(self, member: str) -> int:
        if not self._sensor.bayer:
            raise AlpacaError(ErrorNumber.NOT_IMPLEMENTED, f"{member}: {self.name} has no colour matrix.")
        return 0

    def put_cooleron(self, enabled: bool) -> None:  # noqa: FBT001 - the standard's signature
        """Switch the cooler on or off."""
        self._cooler.switch(on=enabled)

    def put_setccdtemperature(self, target_c: float) -> None:
        """Set the temperature to cool to."""
        self._cooler.aim(target_c)

    def put_binx(self, binning: int) -> None:
        """Set the binning of both axes."""
        if "binning-applied-twice" in self.world.quirks and binning != self._binning:
            self._size[:] = [size * self._binning // binning for size in self._size]
        self._binning = binning

    put_biny = put_binx

    def put_startx(self, start: int) -> None:
        """Set the first column."""
        if "startx-ignored" not in self.world.quirks:
            self.values["startx"] = start

    def put_numx(self, size: int) -> None:
        """Set the columns."""
        self._size[0] = size

    def put_numy(self, size: int) -> None:
        """Set the rows."""
        self._size[1] = size
        if "subframe-race" in self.world.quirks:
            self._size[0] = self._sensor.width_px // self._binning

    # Exposing.

    def put_startexposure(self, duration_s: float, light: bool) -> None:  # noqa: FBT001 - the standard's signature
        """Start an exposure."""
        self._check_range("Duration", duration_s, 0.0, EXPOSURE_MAX_S)
        self._check_subframe()
        quirks, values = self.world.quirks, self.values
        if self._is_busy() and "second-exposure-accepted" not in quirks:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, f"{self.name} is exposing already: abort that first.")
        self._drop_exposure()
        self._in_error = self.world.faults.take("camera-error") is not None or (
            duration_s == 0 and "zero-exposure-error" in quirks
        )
        fast = values["readoutmode"] == 1
        self._exposure = SimulatedExposure(
            self.world,
            self._renderer,
            RenderRequest(
                exposure_s=duration_s,
                num_x=self._size[0],
                num_y=self._size[1],
                start_x=values["startx"],
                start_y=values["starty"],
                binning_x=self._binning,
                binning_y=self._binning,
                gain=values["gain"],
                offset=values["offset"],
                light=light,
                fast_readout=fast,
            ),
            partial(prepared_frame, quirks=quirks, bit_depth=self._sensor.bit_depth, fast_readout=fast),
        )

    def put_abortexposure(self) -> None:
        """End a running exposure without a frame."""
        if self._exposure is not None and "ghost-frame-after-abort" in self.world.quirks and self._is_busy():
            self._exposure.stop()
            self._exposure.times.download_s += GHOST_S
        elif self._is_busy() or self._has_failed():
            self._drop_exposure()

    def put_stopexposure(self) -> None:
        """End a running exposure and read the frame."""
        if self._exposure is not None:
            self._exposure.stop()

    def get_camerastate(self) -> int:
        """Return what the camera is doing."""
        exposure = self._exposure
        if exposure is None:
            return IDLE
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
        """Return whether a frame can be fetched."""
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
        """Return the elapsed share of the exposure, per cent."""
        if self._exposure is None:
            return 0
        times = self._exposure.times
        if times.ended_s <= times.began_s:
            return 100
        return math.floor(min(1.0, (self._now_s - times.began_s) / (times.ended_s - times.began_s)) * 100)

    def get_lastexposurestarttime(self) -> str:
        """Return the start of the last frame's exposure, UTC, in the format of FITS."""
        started_at = self._last_exposure("LastExposureStartTime").started_at
        return started_at.replace(tzinfo=None).isoformat(timespec="milliseconds")

    def _take_frame(self) -> Adu:
        exposure, previous = self._exposure, self._last
        ready = exposure is not None and self.get_imageready()
        if ready and previous is not None and previous.frame is not None:
            if self._is_stale(exposure):
                return previous.frame
            if "same-frame-twice" in self.world.quirks and previous is not exposure:
                self._last = exposure
                return previous.frame
        if exposure is None or exposure.frame is None or not ready:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, f"{self.name} has no frame ready: take an exposure first.")
        self._last = exposure
        return exposure.frame

    def _is_stale(self, exposure: SimulatedExposure | None) -> bool:
        """Return whether the camera still reports the state of the previous frame."""
        has_just_begun = exposure is not None and self._now_s < exposure.times.began_s + STALE_S
        return has_just_begun and "image-ready-stale" in self.world.quirks

    def _last_exposure(self, member: str) -> SimulatedExposure:
        last = self._exposure if self._exposure is not None and self.get_imageready() else self._last
        if last is None:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, f"{member}: {self.name} has not taken a frame yet.")
        return last

    def _is_busy(self) -> bool:
        exposure = self._exposure
        return exposure is not None and not exposure.is_ready() and not self._has_failed()

    def _has_failed(self) -> bool:
        """Return whether the exposure has ended without a frame."""
        exposure = self._exposure
        if exposure is None or self._now_s < exposure.times.ended_s:
            return False
        return self._in_error or exposure.has_failed()

    def _drop_exposure(self) -> None:
        """Discard the exposure and its frame, in whatever state it is."""
        if self._exposure is not None:
            self._exposure.abort()
            self._exposure = None
        self._in_error = False

    def _check_subframe(self) -> None:
        for axis, start, size, whole in zip(
            "XY",
            (self.values["startx"], self.values["starty"]),
            self._size,
            (self._sensor.width_px, self._sensor.height_px),
            strict=True,
        ):
            room = whole // self._binning
            if size < 1 or start + size > room:
                raise AlpacaError(
                    ErrorNumber.INVALID_VALUE,
                    f"{self.name} cannot expose Start{axis} {start} and Num{axis} {size}: at binning {self._binning} "
                    f"the sensor has {room} pixels on that axis.",
                )
