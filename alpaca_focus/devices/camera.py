"""A camera over Alpaca."""

import asyncio
import logging
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alpaca.camera import CameraStates
from typing_extensions import override

from alpaca_focus.alpaca.camera_settings import (
    BINNING,
    LEVELS,
    SETTINGS,
    SUBFRAME,
    TRIES,
    CameraMembers,
    Values,
    apply_settings,
    read_settings,
    whole_sensor,
)
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import (
    CameraTaken,
    DeviceError,
    DeviceMisbehaved,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    FrameLost,
    InvalidValue,
    NotConnected,
    RunAborted,
)
from alpaca_focus.core.values import ExposureSettings, Frame, Pixels, Subframe
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.channel import Lane
from alpaca_focus.devices.connection import CALL_TIMEOUT_S, AlpacaDevice
from alpaca_focus.devices.exposure import ExposureProgress, ExposureRules, ExposureWatch
from alpaca_focus.devices.frames import FrameMark, Freshness, freshness, mark_frame, one_plane, saturation_adu
from alpaca_focus.devices.read_only import EXPOSING, as_camera_state
from alpaca_focus.devices.translate import as_bool, as_float, as_int, as_text
from alpaca_focus.devices.worker import shield_until_done
from alpaca_focus.ports import CameraInfo, Clock

DOWNLOAD_TIMEOUT_S = 120.0
"""Real seconds for the download of one frame."""

GHOST_S = 5.0
"""Clock seconds after an abort within which some servers still deliver a frame of the aborted exposure."""

_BUSY_PATIENCE_S = 5.0
_POLL_S = 0.25
_DOWNLOADS = 4
_DOWNLOAD_PAUSE_S = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PendingFrame:
    """An exposure whose frame has not been downloaded yet; `was_unready`: ImageReady was false before the frame."""

    settings: ExposureSettings
    subframe: Subframe
    started_at: datetime
    was_unready: bool


@dataclass(frozen=True, slots=True)
class _Download:
    pixels: Pixels
    mark: FrameMark
    saturation_adu: float


class AlpacaCamera(AlpacaDevice):
    """A camera; implements `ports.Camera`."""

    device_type = DeviceType.CAMERA

    def __init__(
        self,
        address: DeviceAddress,
        clock: Clock,
        *,
        rules: ExposureRules | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
        download_timeout_s: float = DOWNLOAD_TIMEOUT_S,
    ) -> None:
        super().__init__(address, clock, timeout_s=timeout_s)
        self._rules = rules or ExposureRules()
        self._download_timeout_s = download_timeout_s
        self._info: CameraInfo | None = None
        self._in_use = asyncio.Lock()
        self._is_exposing = False
        self._aborts = 0
        self._ghost_until_s = -math.inf
        self._busy_until_s = -math.inf
        self._exposed: _PendingFrame | None = None
        self._last_mark: FrameMark | None = None
        self._refused_repeat = self._repeats_pictures = False
        connection = self._connection
        self._members = CameraMembers(lambda member: connection.get(member, as_int), connection.set, clock.sleep)

    @property
    def info(self) -> CameraInfo:
        """Limits and abilities of the camera; known once connected."""
        return self._known(self._info)

    @override
    async def connect(self) -> None:
        """Connect the camera to its hardware, and read its limits and abilities."""
        await super().connect()
        self._refused_repeat = self._repeats_pictures = False
        get, get_or = self._connection.get, self._connection.get_or
        pixel_size_um = await get_or("PixelSizeX", as_float, default=math.nan)
        exposure_min_s = await get_or("ExposureMin", as_float, default=0.0)
        exposure_max_s = await get_or("ExposureMax", as_float, default=math.inf)
        self._info = CameraInfo(
            sensor_width_px=await get("CameraXSize", as_int),
            sensor_height_px=await get("CameraYSize", as_int),
            pixel_size_um=pixel_size_um if 0 < pixel_size_um < math.inf else None,
            max_adu=await get_or("MaxADU", as_int, default=65535),
            max_binning=max(1, await get_or("MaxBinX", as_int, default=1)),
            exposure_min_s=exposure_min_s if math.isfinite(exposure_min_s) else 0.0,
            exposure_max_s=exposure_max_s if exposure_max_s > 0 else math.inf,
            can_abort=await get_or("CanAbortExposure", as_bool, default=False),
            bayer=await get_or("SensorType", as_int, default=0) >= 2,  # 1: colour, but no matrix
        )

    # The camera's own settings.

    async def settings(self) -> Values:
        """Return the camera's own binning, subframe, gain and offset, for `restore_settings`."""
        async with self._in_use:
            settings = await read_settings(self._members, (*BINNING, *SUBFRAME))
            levels = {member: await self._connection.get_or(member, as_int, default=None) for member in LEVELS}
            return settings | {member: value for member, value in levels.items() if value is not None}

    async def restore_settings(self, settings: Values) -> None:
        """Set the camera as it was.

        Raises:
            DeviceMisbehaved: A setting reads back differently.
        """
        async with self._in_use:
            await self._apply(settings, await read_settings(self._members, settings))

    async def until_idle(self) -> None:
        """Wait until the camera does not expose.

        Raises:
            CameraTaken: Another program's exposure does not end.
        """
        async with self._in_use:
            await self._make_ready()

    async def _set_up(self, settings: ExposureSettings) -> Subframe:
        """Apply the settings of an exposure, and return the subframe that its frame will have."""
        binning, subframe = settings.binning, settings.subframe
        levels = {"Gain": settings.gain, "Offset": settings.offset}
        wanted = dict.fromkeys(BINNING, binning) | {name: value for name, value in levels.items() if value is not None}
        current = await read_settings(self._members, (*SUBFRAME, *wanted))
        if subframe is not None:
            corner = {"StartX": subframe.x, "StartY": subframe.y}
            wanted |= corner | {"NumX": subframe.width, "NumY": subframe.height}
        elif any(current[member] != binning for member in BINNING):
            info = self.info
            wanted |= whole_sensor(info.sensor_width_px, info.sensor_height_px, bin_x=binning, bin_y=binning)
        await self._apply(wanted, current)
        values = current | wanted
        return Subframe(x=values["StartX"], y=values["StartY"], width=values["NumX"], height=values["NumY"])

    async def _apply(self, wanted: Values, current: Values) -> None:
        """Write the settings that differ; raise `DeviceMisbehaved` if they read back differently."""
        if not (wrong := await apply_settings(self._members, wanted, current)):
            return
        member = min(wrong, key=SETTINGS.index)
        if member in SUBFRAME:
            what, actual = f"the subframe {_describe(wanted)}", _describe({**wanted, **wrong})
            remedy = "Use the whole frame with this camera, or another driver."
        else:
            what, actual = f"{member} {wanted[member]}", str(wrong[member])
            remedy = f"Choose a {member} that the camera accepts."
        raise DeviceMisbehaved(
            self.name, f"{self.name} was set to {what} and still reads back {actual} after {TRIES} tries. {remedy}"
        )

    # Exposing.

    async def expose(self, settings: ExposureSettings) -> None:
        """Take an exposure and return when the frame is ready to be downloaded.

        A frame that was not downloaded is lost. A cancelled call aborts the exposure.

        Raises:
            InvalidValue: The exposure time or the binning is beyond the camera's limits.
            CameraTaken: Another program's exposure does not end.
            RunAborted: `abort` was called meanwhile.
            DeviceMisbehaved: A setting read back differently, the exposure failed, or no frame became ready.
        """
        self._check(settings)
        async with self._in_use:
            self._exposed = None
            await self._make_ready()
            subframe = await self._set_up(settings)
            was_ready_before = await self._connection.get_or("ImageReady", as_bool, default=False)
            started_at = self._clock.wall()
            try:
                was_unready = await self._take(settings, was_ready_before=was_ready_before)
            except asyncio.CancelledError:
                await shield_until_done(self._abort_after_failure())
                raise
            self._exposed = _PendingFrame(
                settings=settings, subframe=subframe, started_at=started_at, was_unready=was_unready
            )

    def _check(self, settings: ExposureSettings) -> None:
        info = self.info
        if not info.exposure_min_s <= settings.exposure_s <= info.exposure_max_s:
            what = f"an exposure of {settings.exposure_s:g} s"
            reason = f"its limits are {info.exposure_min_s:g} to {info.exposure_max_s:g} s"
        elif not 1 <= settings.binning <= info.max_binning:
            what, reason = f"a binning of {settings.binning}", f"its limits are 1 to {info.max_binning}"
        else:
            return
        raise InvalidValue(self.name, f"{self.name} cannot take {what}: {reason}. Correct the settings.")

    async def _take(self, settings: ExposureSettings, *, was_ready_before: bool) -> bool:
        """Take the exposure; return whether ImageReady was false before its frame was ready."""
        aborts = self._aborts
        started_s = self._clock.monotonic()
        self._busy_until_s = started_s + settings.exposure_s + _BUSY_PATIENCE_S
        self._is_exposing = True
        try:
            await self._connection.do("StartExposure", float(settings.exposure_s), settings.light)
            watch = ExposureWatch(settings.exposure_s, started_s, self._rules, was_ready_before=was_ready_before)
            progress = await self._wait_for_end(watch, aborts)
        except DeviceError:
            await self._abort_after_failure()
            raise
        finally:
            self._is_exposing = False
        if progress is not ExposureProgress.READY:
            await self._abort_after_failure()
            raise DeviceMisbehaved(self.name, self._failure(settings, progress))
        self._busy_until_s = -math.inf
        return watch.was_unready

    async def _wait_for_end(self, watch: ExposureWatch, aborts: int) -> ExposureProgress:
        while True:
            await self._clock.sleep(watch.next_poll_in_s(self._clock.monotonic()))
            state = await self._state()
            is_ready = await self._connection.get("ImageReady", as_bool)
            if self._aborts != aborts:
                if state in EXPOSING:  # the abort arrived before the start
                    await self._abort_after_failure()
                raise RunAborted(f"The exposure of {self.name} was aborted on request.")
            progress = watch.update(state, self._clock.monotonic(), is_ready=is_ready)
            if progress is not ExposureProgress.UNDER_WAY:
                return progress

    def _failure(self, settings: ExposureSettings, progress: ExposureProgress) -> str:
        what = f"An exposure of {settings.exposure_s:g} s with {self.name}"
        rules = self._rules
        reasons = {
            ExposureProgress.FAILED: "ended with the camera in the state Error",
            ExposureProgress.LOST: f"left no frame: the camera was idle for {rules.idle_timeout_s:g} s without one",
            ExposureProgress.OVERDUE: f"gave no frame within {rules.readout_timeout_s:g} s after its end",
        }
        return f"{what} {reasons[progress]}. It was given up. Check the camera's cable and power, and its server's log."

    async def _state(self) -> CameraStates | None:
        return await self._connection.get_or("CameraState", as_camera_state, default=None)

    async def _make_ready(self) -> None:
        """Wait until the camera is idle, and discard what is left of an earlier exposure."""
        await self._discard_ghost()
        state = await self._state()
        if state == CameraStates.cameraError:  # some servers stay in Error after an exposure of 0 s until an abort
            await self._abort_after_failure()
        # After an abort some servers never leave the state Exposing, so it is not waited for.
        was_aborted = self._ghost_until_s > -math.inf
        busy_until_s = max(self._busy_until_s, self._clock.monotonic() + _BUSY_PATIENCE_S)
        while state is not None and state in EXPOSING and not was_aborted:
            if self._clock.monotonic() > busy_until_s:
                raise CameraTaken(
                    self.name,
                    f"{self.name} is busy with an exposure that this program did not start (its state is"
                    f" {state.name}). It was left alone. End the exposure in the other program.",
                )
            await self._clock.sleep(_POLL_S)
            state = await self._state()
        self._ghost_until_s = -math.inf

    async def _discard_ghost(self) -> None:
        """Wait for the frame of an aborted exposure that some servers still deliver, and mark it as an old one."""
        while self._clock.monotonic() < self._ghost_until_s:
            if await self._connection.get_or("ImageReady", as_bool, default=False):
                try:
                    self._last_mark = (await self._fetch()).mark
                except DeviceError as error:
                    _log.info("The frame of an aborted exposure could not be downloaded: %s", error)
                return
            await self._clock.sleep(_POLL_S)

    async def abort(self) -> None:
        """End a running exposure without a frame, if the camera can; does nothing if none runs.

        Without `CanAbortExposure` the exposure goes on, and the next one waits for its end.

        Raises:
            DeviceError: The running exposure could not be aborted.
        """
        self._aborts += 1
        self._exposed = None
        was_exposing = self._is_exposing
        try:
            await self._send_abort(was_exposing=was_exposing)
        except DeviceRefused:
            if was_exposing:
                raise

    async def _send_abort(self, *, was_exposing: bool) -> None:
        if not self.info.can_abort:
            return
        await self._connection.do("AbortExposure", repeatable=True, lane=Lane.URGENT)
        self._busy_until_s = -math.inf
        if was_exposing:
            self._ghost_until_s = self._clock.monotonic() + GHOST_S

    async def _abort_after_failure(self) -> None:
        try:
            await self._send_abort(was_exposing=True)
        except DeviceError as error:
            _log.warning("%s may still be exposing: the abort failed. %s", self.name, error)

    # Downloading.

    async def download(self) -> Frame:
        """Fetch the frame of the last exposure, once.

        Raises:
            FrameLost: It is the frame before again, or the camera refuses to send another one.
            DeviceMisbehaved: Its size is wrong.
        """
        async with self._in_use:
            exposed, self._exposed = self._exposed, None
            if exposed is None:
                raise DeviceRefused(self.name, f"{self.name} has no frame to download: take an exposure first.")
            download = await self._fetch_new(was_unready=exposed.was_unready)
            (height, width), subframe = download.pixels.shape, exposed.subframe
            if (width, height) != (subframe.width, subframe.height):
                raise DeviceMisbehaved(
                    self.name,
                    f"{self.name} sent a frame of {width} x {height} pixels instead of {subframe.width} x"
                    f" {subframe.height} (binning {exposed.settings.binning}). It was not used. Check the camera's"
                    " read-out mode.",
                )
            # The camera's own exposure time counts unless it is off by a factor of 2; the gain follows its settings.
            requested_s = exposed.settings.exposure_s
            reported_s = await self._connection.get_or("LastExposureDuration", as_float, default=requested_s)
            electrons_per_adu = await self._connection.get_or("ElectronsPerADU", as_float, default=0.0)
            return Frame(
                pixels=download.pixels,
                exposure_s=reported_s if 0.5 * requested_s <= reported_s <= 2.0 * requested_s else requested_s,
                started_at=exposed.started_at,
                left_px=subframe.x,
                top_px=subframe.y,
                binning=exposed.settings.binning,
                saturation_adu=download.saturation_adu,
                bayer=self.info.bayer,
                electrons_per_adu=electrons_per_adu if 1e-3 < electrons_per_adu < 1e3 else None,
            )

    async def _fetch_new(self, *, was_unready: bool) -> _Download:
        """Download until the frame differs from the one before: some servers send a cached frame first.

        A camera whose new frames stay identical has pictures without noise, and is believed from then on.
        """
        what = f"sent the frame of an earlier exposure {_DOWNLOADS} times"
        for attempt in range(_DOWNLOADS):
            if attempt:
                await self._clock.sleep(_DOWNLOAD_PAUSE_S * attempt)
            try:
                download = await self._fetch()
            except DeviceTimeout:
                raise
            except DeviceUnreachable:
                if attempt == _DOWNLOADS - 1:
                    raise
                continue
            except DeviceRefused as error:
                if attempt == 0 or isinstance(error, NotConnected):
                    raise
                # Some servers free the image after one download: only another exposure shows whether it was old.
                self._refused_repeat = True
                what = "sent no new frame and refused a second download"
                break
            fresh = freshness(download.mark, self._last_mark, was_unready=was_unready)
            if fresh is Freshness.IDENTICAL and (self._refused_repeat or attempt == _DOWNLOADS - 1):
                _log.info("%s sends identical pictures of different exposures: they are used.", self.name)
                self._repeats_pictures = True
            if fresh is Freshness.NEW or (fresh is Freshness.IDENTICAL and self._repeats_pictures):
                self._refused_repeat = False
                self._last_mark = download.mark
                return download
        raise FrameLost(
            self.name,
            f"{self.name} {what}. It was not used. Restart the camera's server; if it happens again, switch off any"
            " setting that stores or repeats frames.",
        )

    async def _fetch(self) -> _Download:
        start_time = await self._connection.get_or("LastExposureStartTime", as_text, default="")
        max_adu = self.info.max_adu

        def work(device: Any) -> _Download:
            pixels = one_plane(device.requester.image())
            pixels.setflags(write=False)
            return _Download(pixels, mark_frame(pixels, start_time), saturation_adu(max_adu, pixels))

        return await self._connection.call(
            "ImageArray", work, repeatable=False, lane=Lane.IMAGE, timeout_s=self._download_timeout_s
        )


def _describe(values: Values) -> str:
    return f"{values['NumX']} x {values['NumY']} at ({values['StartX']}, {values['StartY']})"
