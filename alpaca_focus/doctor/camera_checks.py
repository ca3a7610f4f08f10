"""The camera: whether it can do what the settings request, and one test frame."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from alpaca_focus.alpaca.http import HttpError
from alpaca_focus.alpaca.images import is_image_bytes
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import CameraTaken, DeviceError
from alpaca_focus.core.values import ExposureSettings, Frame, Subframe
from alpaca_focus.devices.camera import AlpacaCamera
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.read_only import AlpacaCameraWatch
from alpaca_focus.devices.translate import as_bool, as_int, as_texts
from alpaca_focus.devices.worker import shield_until_done
from alpaca_focus.doctor.checks import Check, Subject, size_check
from alpaca_focus.doctor.probe_context import ProbeContext, number_or_none, using
from alpaca_focus.ports import CameraInfo
from alpaca_focus.run.camera_marker import CameraSettingsGuard, camera_marker, used_settings
from alpaca_focus.run.device_adapters import camera_adapter
from alpaca_focus.settings.models import FocusSection, Settings

OFF_TARGET_C = 2.0
MUCH_OF_TIMEOUT = 0.5
"""A download that takes a larger share of its timeout is reported."""
SHORTEST_EXPOSURE_S = 0.001
"""Some cameras refuse an exposure of 0 s."""
_MEDIAN_STRIDE = 8
"""The median uses every eighth row and column."""

_CAMERA = Subject("camera")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The present gain or offset of a camera and its range; `None` where the camera reports nothing."""

    now: int | None = None
    lowest: int | None = None
    highest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoolerFacts:
    """Cooling of the sensor; `None` where the camera reports nothing."""

    on: bool | None = None
    temperature_c: float | None = None
    target_c: float | None = None
    power_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFacts:
    """A camera, and the exposures that the settings request, by section; they may set its pixel size."""

    info: CameraInfo
    set_pixel_um: float | None
    gain: Scale
    offset: Scale
    cooler: CoolerFacts
    requested: Mapping[str, FocusSection]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFacts:
    """One frame and its download.

    Attributes:
        frame_bytes: Size in memory.
        dark: Whether the shutter stayed closed.
        timeout_s: The settings' timeout of a download.
        encoding: "ImageBytes" or "JSON"; empty if unknown.
        saturation_adu: Value of a saturated pixel.
    """

    width_px: int
    height_px: int
    frame_bytes: int
    exposure_s: float
    dark: bool
    download_s: float
    timeout_s: float
    encoding: str
    lowest_adu: float
    median_adu: float
    highest_adu: float
    saturation_adu: float


async def probe_camera(context: ProbeContext) -> None:
    """Probe the camera, and take one frame if that is allowed."""
    settings = context.settings
    camera = camera_adapter(settings, context.clock)

    async def read(connection: Connection) -> None:
        async with using(camera):
            facts = CameraFacts(
                info=camera.info,
                set_pixel_um=settings.camera.pixel_size_um,
                gain=await _read_scale(connection, "Gain"),
                offset=await _read_scale(connection, "Offset"),
                cooler=await _read_cooler(connection),
                requested=_requested(settings),
            )
        context.add(*check_camera(facts))

    async def act(connection: Connection) -> None:
        if why_not := await _why_no_frame(context):
            context.add(_CAMERA.not_tried("frame", why_not))
        else:
            async with using(camera):
                await _take_frame(context, camera, connection)

    await context.probe_device("camera", read, act)


async def camera_is_busy(context: ProbeContext) -> bool:
    """Return whether the camera is busy with an image.

    Raises:
        AlpacaFocusError: The camera does not answer.
    """
    address = context.address("camera")
    connection = Connection(DeviceType.CAMERA, address, context.clock, timeout_s=context.timeout_s)
    try:
        if not await connection.is_connected():
            # No program uses it, so that connecting it only for this would disturb more than it reveals.
            return False
    finally:
        await connection.close()
    async with context.connected("camera", AlpacaCameraWatch) as watch:
        return (await watch.activity()).busy


async def _why_no_frame(context: ProbeContext) -> str:
    if context.read_only_reason:
        return context.read_only_reason
    if not context.frame_allowed:
        return "skipped: --no-frame"
    if await camera_is_busy(context):
        return "the camera is busy with an image of another program"
    return ""


def _requested(settings: Settings) -> dict[str, FocusSection]:
    through = {f"focus.filters.{name}": settings.focus.through(name) for name in settings.focus.filters}
    return {"focus": settings.focus, **through}


async def _read_scale(connection: Connection, name: str) -> Scale:
    """Read gain or offset: a number, or an index into a list of names, depending on the camera."""
    now = await connection.get_or(name, as_int, default=None)
    if now is None:
        return Scale()
    names: tuple[str, ...] = await connection.get_or(f"{name}s", as_texts, default=())
    if names:
        return Scale(now=now, lowest=0, highest=len(names) - 1)
    return Scale(
        now=now,
        lowest=await connection.get_or(f"{name}Min", as_int, default=None),
        highest=await connection.get_or(f"{name}Max", as_int, default=None),
    )


async def _read_cooler(connection: Connection) -> CoolerFacts:
    return CoolerFacts(
        on=await connection.get_or("CoolerOn", as_bool, default=None),
        temperature_c=await number_or_none(connection, "CCDTemperature"),
        target_c=await number_or_none(connection, "SetCCDTemperature"),
        power_percent=await number_or_none(connection, "CoolerPower"),
    )


async def _take_frame(context: ProbeContext, camera: AlpacaCamera, connection: Connection) -> None:
    """Take one frame, as short and dark as possible, and restore the camera's own settings."""
    info, binning = camera.info, context.settings.focus.binning
    if binning > info.max_binning:
        context.add(_CAMERA.not_tried("frame", "the camera does not support the binning of the settings"))
        return
    dark = await connection.get_or("HasShutter", as_bool, default=False)
    wanted = ExposureSettings(
        exposure_s=min(max(info.exposure_min_s, SHORTEST_EXPOSURE_S), info.exposure_max_s),
        binning=binning,
        subframe=Subframe(x=0, y=0, width=info.sensor_width_px // binning, height=info.sensor_height_px // binning),
        light=not dark,
    )
    guard = CameraSettingsGuard(camera, camera_marker(context.settings), used_settings(wanted))
    try:
        await guard.save()
        try:
            await camera.expose(wanted)
            began_s = time.monotonic()
            frame = await camera.download()
            download_s = time.monotonic() - began_s
        finally:
            await shield_until_done(_restore_settings(context, guard))
    except CameraTaken as error:
        context.add(_CAMERA.not_tried("frame", str(error)))
    except DeviceError as error:
        context.add(_CAMERA.failed("frame", str(error)))
    else:
        encoding = await _encoding(context)
        context.add(*check_frame(_frame_facts(context, frame, wanted, download_s, encoding)))


async def _restore_settings(context: ProbeContext, guard: CameraSettingsGuard) -> None:
    try:
        await guard.restore()
    except DeviceError as error:
        context.add(_CAMERA.failed("settings", f"The camera's own settings could not be restored. {error}"))


async def _encoding(context: ProbeContext) -> str:
    """Return the encoding of the camera's images; empty if the camera does not send the frame a second time."""
    address = context.address("camera")
    timeout_s = context.settings.camera.download_timeout_s
    try:
        binary = await is_image_bytes(address.authority, address.device_number, timeout_s=timeout_s)
    except HttpError:
        return ""
    return "ImageBytes" if binary else "JSON"


def _frame_facts(
    context: ProbeContext, frame: Frame, wanted: ExposureSettings, download_s: float, encoding: str
) -> FrameFacts:
    pixels = frame.pixels
    return FrameFacts(
        width_px=pixels.shape[1],
        height_px=pixels.shape[0],
        frame_bytes=pixels.nbytes,
        exposure_s=wanted.exposure_s,
        dark=not wanted.light,
        download_s=download_s,
        timeout_s=context.settings.camera.download_timeout_s,
        encoding=encoding,
        lowest_adu=float(pixels.min()),
        median_adu=float(np.median(pixels[::_MEDIAN_STRIDE, ::_MEDIAN_STRIDE].astype(np.float64))),
        highest_adu=float(pixels.max()),
        saturation_adu=frame.saturation_adu,
    )


# The rules.


def check_camera(facts: CameraFacts) -> tuple[Check, ...]:
    """Check an idle camera."""
    return (
        _sensor(facts),
        _exposure(facts),
        _binning(facts),
        _scale("gain", facts.gain, {section: focus.gain for section, focus in facts.requested.items()}),
        _scale("offset", facts.offset, {section: focus.offset for section, focus in facts.requested.items()}),
        _cooler(facts.cooler),
    )


def _sensor(facts: CameraFacts) -> Check:
    info, set_um = facts.info, facts.set_pixel_um
    size, reported_um = f"{info.sensor_width_px} x {info.sensor_height_px} pixels", info.pixel_size_um
    problem = size_check(_CAMERA, "sensor", "camera.pixel_size_um", reported_um, set_um)
    if problem is not None:
        return problem
    is_set = reported_um is None or (set_um is not None and set_um != reported_um)
    source = "of the settings" if is_set else "reported"
    colour = ", with a colour matrix" if info.bayer else ""
    return _CAMERA.ok("sensor", f"{size} of {set_um or reported_um:g} um ({source}){colour}")


def _exposure(facts: CameraFacts) -> Check:
    low, high = facts.info.exposure_min_s, facts.info.exposure_max_s
    span = f"{low:g} to {high:g} s" if math.isfinite(high) else f"{low:g} s and longer"
    for section, focus in facts.requested.items():
        if not low <= focus.exposure_s <= high:
            seen = f"it takes {span}, and {section}.exposure_s requests {focus.exposure_s:g} s"
            return _CAMERA.fails("exposure", seen, f"Correct {section}.exposure_s.")
    wanted = _listed(f"{focus.exposure_s:g}" for focus in facts.requested.values())
    return _CAMERA.ok("exposure", f"{span}; requested: {wanted} s")


def _binning(facts: CameraFacts) -> Check:
    most = facts.info.max_binning
    for section, focus in facts.requested.items():
        if focus.binning > most:
            seen = f"it bins up to {most}, and {section}.binning requests {focus.binning}"
            return _CAMERA.fails("binning", seen, f"Correct {section}.binning.")
    wanted = _listed(str(focus.binning) for focus in facts.requested.values())
    return _CAMERA.ok("binning", f"up to {most}; requested: {wanted}")


def _scale(name: str, scale: Scale, requested: Mapping[str, int | None]) -> Check:
    wanted = [(where, value) for where, value in requested.items() if value is not None]
    span = f"{scale.lowest} to {scale.highest}" if None not in {scale.lowest, scale.highest} else "any"
    for where, value in wanted:
        if scale.now is None:
            seen = f"it has no {name}, and {where}.{name} requests {value}"
            return _CAMERA.fails(name, seen, f"Take {where}.{name} out.")
        too_low = scale.lowest is not None and value < scale.lowest
        if too_low or (scale.highest is not None and value > scale.highest):
            seen = f"it takes {span}, and {where}.{name} requests {value}"
            return _CAMERA.fails(name, seen, f"Correct {where}.{name}.")
    if scale.now is None:
        return _CAMERA.ok(name, "it has none, and none is requested")
    request = f"requested: {_listed(str(value) for _, value in wanted)}" if wanted else "unchanged"
    return _CAMERA.ok(name, f"{scale.now}, range {span}; {request}")


def _cooler(cooler: CoolerFacts) -> Check:
    now_c, target_c = cooler.temperature_c, cooler.target_c
    sensor = "the temperature of the sensor is unknown" if now_c is None else f"the sensor is at {now_c:.1f} deg C"
    if cooler.on is None:
        return _CAMERA.ok("cooler", f"none; {sensor}")
    if not cooler.on:
        return _CAMERA.ok("cooler", f"off; {sensor}")
    power = "" if cooler.power_percent is None else f", at {cooler.power_percent:.0f} % of its power"
    if now_c is None or target_c is None:
        return _CAMERA.ok("cooler", f"on; {sensor}{power}")
    if abs(now_c - target_c) > OFF_TARGET_C:
        remedy = "Wait until it has cooled down; if it never does, set a warmer target."
        return _CAMERA.note("cooler", f"on; {sensor}, the target is {target_c:.1f}{power}", remedy)
    return _CAMERA.ok("cooler", f"on; {sensor}, as requested{power}")


def check_frame(facts: FrameFacts) -> tuple[Check, Check]:
    """Check the download of a frame and its pixels."""
    return _download(facts), _content(facts)


def _download(facts: FrameFacts) -> Check:
    megabytes = facts.frame_bytes / 1e6
    speed = f", {megabytes / facts.download_s:.1f} MB/s" if facts.download_s > 0 else ""
    seen = (
        f"{facts.width_px} x {facts.height_px} pixels, {megabytes:.1f} MB in {facts.download_s:.2f} s{speed}"
        f"{f' as {facts.encoding}' if facts.encoding else ''}"
    )
    if facts.download_s > MUCH_OF_TIMEOUT * facts.timeout_s:
        remedy = "Set camera.download_timeout_s higher, a higher focus.binning, or use a faster network."
        return _CAMERA.note("download", f"{seen}; camera.download_timeout_s is {facts.timeout_s:g} s", remedy)
    if facts.encoding == "JSON":
        remedy = "Use a camera server that sends ImageBytes; focus.subframe and focus.binning help as well."
        return _CAMERA.note("download", f"{seen}, which is slow", remedy)
    return _CAMERA.ok("download", seen)


def _content(facts: FrameFacts) -> Check:
    kind = "dark" if facts.dark else "open, as it has no shutter"
    seen = (
        f"{facts.exposure_s:g} s, {kind}: {facts.lowest_adu:.0f} to {facts.highest_adu:.0f} ADU, "
        f"median {facts.median_adu:.0f}"
    )
    if facts.highest_adu <= 0:
        remedy = "Set the camera's offset higher, and check its cable and its driver."
        return _CAMERA.fails("frame", "all pixels are zero", remedy)
    if facts.lowest_adu >= facts.saturation_adu:
        remedy = "Check the camera's gain and offset, and whether its shutter closes."
        if facts.dark:
            return _CAMERA.fails("frame", f"all pixels are saturated, at {facts.saturation_adu:.0f} ADU", remedy)
        remedy = "Nothing needs doing by day; at night check gain and offset."
        return _CAMERA.note("frame", "all pixels are saturated", remedy)
    if facts.lowest_adu == facts.highest_adu:
        seen = f"all pixels are {facts.lowest_adu:.0f} ADU"
        return _CAMERA.note("frame", seen, "Check whether the driver sends a test picture.")
    return _CAMERA.ok("frame", seen)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
