"""The camera: whether it can do what the settings ask for, and its frame."""

import math
import time
from collections.abc import Iterable, Sequence
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
from alpaca_focus.devices.translate import as_bool, as_float, as_int, as_texts
from alpaca_focus.devices.worker import shield_until_done
from alpaca_focus.doctor.checks import Check, Subject, size_check
from alpaca_focus.doctor.examination import Examination, using
from alpaca_focus.run.device_adapters import camera_adapter
from alpaca_focus.settings.models import Settings

OFF_TARGET_C = 2.0
MUCH_OF_TIMEOUT = 0.5
SHORTEST_EXPOSURE_S = 0.001
"""Some cameras call an exposure of 0 s an error."""
_EVERY = 8
"""Of the pixels one in so many rows and columns, for the median."""

_CAMERA = Subject("camera")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedExposure:
    """The exposure that a section of the settings asks for.

    Attributes:
        where: The section that asks: "focus", "focus.filters.Ha".
        exposure_s: Exposure time.
        binning: Binning.
        gain: Gain; `None`: what the camera has.
        offset: Offset; `None`: what the camera has.
    """

    where: str
    exposure_s: float
    binning: int
    gain: int | None
    offset: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Gain or offset of a camera; `None` where it reports none.

    Attributes:
        now: What it is set to; `None`: it cannot be set.
        lowest: Lowest value.
        highest: Highest value.
    """

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
    """A camera and the settings for it.

    Attributes:
        width_px: Of the sensor.
        height_px: Of the sensor.
        reported_pixel_um: Pixel size that it reports.
        set_pixel_um: Pixel size of the settings.
        bayer: Whether it has a colour matrix.
        max_binning: Largest binning.
        exposure_min_s: Shortest exposure.
        exposure_max_s: Longest exposure.
        gain: Its gain.
        offset: Its offset.
        cooler: Its cooler.
        asked: What the settings ask for.
    """

    width_px: int
    height_px: int
    reported_pixel_um: float | None
    set_pixel_um: float | None
    bayer: bool
    max_binning: int
    exposure_min_s: float
    exposure_max_s: float
    gain: Scale
    offset: Scale
    cooler: CoolerFacts
    asked: Sequence[WantedExposure]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFacts:
    """One frame and its download.

    Attributes:
        width_px: Columns.
        height_px: Rows.
        frame_bytes: Size in memory.
        exposure_s: How long it was exposed.
        dark: Whether the shutter was to stay closed.
        download_s: How long its download took.
        timeout_s: How long a download may take by the settings.
        encoding: Encoding of its download: "ImageBytes" or "JSON"; empty: unknown.
        lowest_adu: Smallest value.
        median_adu: Value in the middle.
        highest_adu: Largest value.
        saturation_adu: Value at which a pixel is saturated.
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


async def probe_camera(examination: Examination) -> None:
    """Examine the camera, and take one frame if that is allowed."""
    settings = examination.settings
    camera = camera_adapter(settings, examination.clock)

    async def read(connection: Connection) -> None:
        async with using(camera):
            info = camera.info
            facts = CameraFacts(
                width_px=info.sensor_width_px,
                height_px=info.sensor_height_px,
                reported_pixel_um=info.pixel_size_um,
                set_pixel_um=settings.camera.pixel_size_um,
                bayer=info.bayer,
                max_binning=info.max_binning,
                exposure_min_s=info.exposure_min_s,
                exposure_max_s=info.exposure_max_s,
                gain=await _read_scale(connection, "Gain"),
                offset=await _read_scale(connection, "Offset"),
                cooler=await _read_cooler(connection),
                asked=_asked(settings),
            )
        examination.add(*judge_camera(facts))

    async def act(connection: Connection) -> None:
        why_not = await _why_no_frame(examination)
        if why_not:
            examination.add(_CAMERA.not_tried("frame", why_not))
            return
        async with using(camera):
            await _take_frame(examination, camera, connection)

    await examination.visit("camera", read, act)


async def exposes(examination: Examination) -> bool:
    """Return whether the camera is busy with an image.

    Raises:
        AlpacaFocusError: It cannot be asked.
    """
    address = examination.address("camera")
    connection = Connection(DeviceType.CAMERA, address, examination.clock, timeout_s=examination.timeout_s)
    try:
        if not await connection.is_connected():
            # No program uses it, and it is not connected for this question.
            return False
    finally:
        await connection.close()
    async with examination.connected("camera", AlpacaCameraWatch) as watch:
        return (await watch.activity()).busy


async def _why_no_frame(examination: Examination) -> str:
    if examination.gently:
        return examination.gently
    if not examination.takes_frame:
        return "not wanted: --no-frame"
    if await exposes(examination):
        return "the camera is busy with an image of another program, and was left alone"
    return ""


def _asked(settings: Settings) -> tuple[WantedExposure, ...]:
    sections = {"focus": settings.focus}
    sections |= {f"focus.filters.{name}": settings.focus.through(name) for name in settings.focus.filters}
    return tuple(
        WantedExposure(
            where=where, exposure_s=focus.exposure_s, binning=focus.binning, gain=focus.gain, offset=focus.offset
        )
        for where, focus in sections.items()
    )


async def _read_scale(connection: Connection, name: str) -> Scale:
    """Read gain or offset, which a camera has by number or by the place in a list of names."""
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
    async def number(member: str) -> float | None:
        value = await connection.get_or(member, as_float, default=math.nan)
        return value if math.isfinite(value) else None

    return CoolerFacts(
        on=await connection.get_or("CoolerOn", as_bool, default=None),
        temperature_c=await number("CCDTemperature"),
        target_c=await number("SetCCDTemperature"),
        power_percent=await number("CoolerPower"),
    )


async def _take_frame(examination: Examination, camera: AlpacaCamera, connection: Connection) -> None:
    """Take one frame, as short and as dark as can be, and put the camera's own settings back."""
    info, binning = camera.info, examination.settings.focus.binning
    if binning > info.max_binning:
        examination.add(_CAMERA.not_tried("frame", "the binning of the settings is not possible"))
        return
    dark = await connection.get_or("HasShutter", as_bool, default=False)
    wanted = ExposureSettings(
        exposure_s=min(max(info.exposure_min_s, SHORTEST_EXPOSURE_S), info.exposure_max_s),
        binning=binning,
        subframe=Subframe(x=0, y=0, width=info.sensor_width_px // binning, height=info.sensor_height_px // binning),
        light=not dark,
    )
    try:
        await camera.save_settings()
        try:
            await camera.expose(wanted)
            began_s = time.monotonic()
            frame = await camera.download()
            download_s = time.monotonic() - began_s
        finally:
            await shield_until_done(_put_back(examination, camera))
    except CameraTaken as error:
        examination.add(_CAMERA.not_tried("frame", str(error)))
    except DeviceError as error:
        examination.add(_CAMERA.failed("frame", str(error)))
    else:
        encoding = await _encoding(examination)
        examination.add(*judge_frame(_frame_facts(examination, frame, wanted, download_s, encoding)))


async def _put_back(examination: Examination, camera: AlpacaCamera) -> None:
    try:
        await camera.restore_settings()
    except DeviceError as error:
        examination.add(_CAMERA.failed("settings", f"The camera's own settings could not be put back. {error}"))


async def _encoding(examination: Examination) -> str:
    """Return the encoding of the camera's images; empty: the camera does not send the frame twice."""
    address = examination.address("camera")
    timeout_s = examination.settings.camera.download_timeout_s
    try:
        binary = await is_image_bytes(address.authority, address.device_number, timeout_s=timeout_s)
    except HttpError:
        return ""
    return "ImageBytes" if binary else "JSON"


def _frame_facts(
    examination: Examination, frame: Frame, wanted: ExposureSettings, download_s: float, encoding: str
) -> FrameFacts:
    pixels = frame.pixels
    return FrameFacts(
        width_px=pixels.shape[1],
        height_px=pixels.shape[0],
        frame_bytes=pixels.nbytes,
        exposure_s=wanted.exposure_s,
        dark=not wanted.light,
        download_s=download_s,
        timeout_s=examination.settings.camera.download_timeout_s,
        encoding=encoding,
        lowest_adu=float(pixels.min()),
        median_adu=float(np.median(pixels[::_EVERY, ::_EVERY].astype(np.float64))),
        highest_adu=float(pixels.max()),
        saturation_adu=frame.saturation_adu,
    )


# The rules.


def judge_camera(facts: CameraFacts) -> tuple[Check, ...]:
    """Judge a camera at rest."""
    return (
        _sensor(facts),
        _exposure(facts),
        _binning(facts),
        _scale("gain", facts.gain, [(each.where, each.gain) for each in facts.asked]),
        _scale("offset", facts.offset, [(each.where, each.offset) for each in facts.asked]),
        _cooler(facts.cooler),
    )


def _sensor(facts: CameraFacts) -> Check:
    size = f"{facts.width_px} x {facts.height_px} pixels"
    reported_um, set_um = facts.reported_pixel_um, facts.set_pixel_um
    trouble = size_check(_CAMERA, "sensor", "camera.pixel_size_um", reported_um, set_um)
    if trouble is not None:
        return trouble
    is_set = reported_um is None or (set_um is not None and set_um != reported_um)
    source = "of the settings" if is_set else "reported"
    colour = ", with a colour matrix" if facts.bayer else ""
    return _CAMERA.ok("sensor", f"{size} of {set_um or reported_um:g} um ({source}){colour}")


def _exposure(facts: CameraFacts) -> Check:
    low, high = facts.exposure_min_s, facts.exposure_max_s
    span = f"{low:g} to {high:g} s" if math.isfinite(high) else f"{low:g} s and longer"
    for asked in facts.asked:
        if not low <= asked.exposure_s <= high:
            return _CAMERA.fails(
                "exposure",
                f"it takes {span}, and {asked.where}.exposure_s asks for {asked.exposure_s:g} s",
                f"Correct {asked.where}.exposure_s.",
            )
    return _CAMERA.ok("exposure", f"{span}; asked for: {_listed(f'{each.exposure_s:g}' for each in facts.asked)} s")


def _binning(facts: CameraFacts) -> Check:
    for asked in facts.asked:
        if asked.binning > facts.max_binning:
            return _CAMERA.fails(
                "binning",
                f"it bins up to {facts.max_binning}, and {asked.where}.binning asks for {asked.binning}",
                f"Correct {asked.where}.binning.",
            )
    wanted = _listed(str(each.binning) for each in facts.asked)
    return _CAMERA.ok("binning", f"up to {facts.max_binning}; asked for: {wanted}")


def _scale(name: str, scale: Scale, asked: Sequence[tuple[str, int | None]]) -> Check:
    wanted = [(where, value) for where, value in asked if value is not None]
    span = f"{scale.lowest} to {scale.highest}" if None not in {scale.lowest, scale.highest} else "any"
    for where, value in wanted:
        if scale.now is None:
            return _CAMERA.fails(
                name, f"it has no {name}, and {where}.{name} asks for {value}", f"Take {where}.{name} out."
            )
        too_low = scale.lowest is not None and value < scale.lowest
        if too_low or (scale.highest is not None and value > scale.highest):
            return _CAMERA.fails(
                name, f"it takes {span}, and {where}.{name} asks for {value}", f"Correct {where}.{name}."
            )
    if scale.now is None:
        return _CAMERA.ok(name, "it has none, and none is asked for")
    request = f"asked for: {_listed(str(value) for _, value in wanted)}" if wanted else "it stays"
    return _CAMERA.ok(name, f"{scale.now} now, of {span}; {request}")


def _cooler(cooler: CoolerFacts) -> Check:
    now_c, target_c = cooler.temperature_c, cooler.target_c
    sensor = "the temperature of the sensor is unknown" if now_c is None else f"the sensor has {now_c:.1f} deg C"
    if cooler.on is None:
        return _CAMERA.ok("cooler", f"none; {sensor}")
    if not cooler.on:
        return _CAMERA.ok("cooler", f"off; {sensor}")
    power = "" if cooler.power_percent is None else f", at {cooler.power_percent:.0f} % of its power"
    if now_c is None or target_c is None:
        return _CAMERA.ok("cooler", f"on; {sensor}{power}")
    if abs(now_c - target_c) > OFF_TARGET_C:
        return _CAMERA.note(
            "cooler",
            f"on; {sensor}, and {target_c:.1f} are asked for{power}",
            "Wait until it has cooled down; if it never does, ask for less.",
        )
    return _CAMERA.ok("cooler", f"on; {sensor}, as asked for{power}")


def judge_frame(facts: FrameFacts) -> tuple[Check, Check]:
    """Judge the download of a frame and its pixels."""
    return _download(facts), _content(facts)


def _download(facts: FrameFacts) -> Check:
    megabytes = facts.frame_bytes / 1e6
    speed = f", {megabytes / facts.download_s:.1f} MB/s" if facts.download_s > 0 else ""
    seen = (
        f"{facts.width_px} x {facts.height_px} pixels, {megabytes:.1f} MB in {facts.download_s:.2f} s{speed}"
        f"{f' as {facts.encoding}' if facts.encoding else ''}"
    )
    if facts.download_s > MUCH_OF_TIMEOUT * facts.timeout_s:
        return _CAMERA.note(
            "download",
            f"{seen}, of the {facts.timeout_s:g} s of camera.download_timeout_s",
            "Set camera.download_timeout_s higher, a higher focus.binning, or use a faster network.",
        )
    if facts.encoding == "JSON":
        return _CAMERA.note(
            "download",
            f"{seen}, which is slow",
            "Use a server for the camera that sends ImageBytes; focus.subframe and focus.binning help as well.",
        )
    return _CAMERA.ok("download", seen)


def _content(facts: FrameFacts) -> Check:
    kind = "dark" if facts.dark else "with light, as it has no shutter"
    seen = (
        f"{facts.exposure_s:g} s, {kind}: {facts.lowest_adu:.0f} to {facts.highest_adu:.0f} ADU, "
        f"{facts.median_adu:.0f} in the middle"
    )
    if facts.highest_adu <= 0:
        return _CAMERA.fails(
            "frame", "all pixels are zero", "Set the camera's offset higher, and check its cable and its driver."
        )
    if facts.lowest_adu >= facts.saturation_adu:
        remedy = "Check the camera's gain and offset, and whether its shutter closes."
        if facts.dark:
            return _CAMERA.fails("frame", f"all pixels are saturated, at {facts.saturation_adu:.0f} ADU", remedy)
        return _CAMERA.note(
            "frame", "all pixels are saturated", "Nothing has to be done by day; in the dark check gain and offset."
        )
    if facts.lowest_adu == facts.highest_adu:
        return _CAMERA.note(
            "frame", f"all pixels are {facts.lowest_adu:.0f} ADU", "Check whether this is a test picture of its driver."
        )
    return _CAMERA.ok("frame", seen)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
