"""A look at the camera, with one frame."""

import math
import time
from functools import partial

import numpy as np

from alpaca_focus.alpaca.client import ImageTransferError, is_image_bytes
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.checkup.cameras import (
    Asked,
    CameraFacts,
    Cooler,
    FrameFacts,
    Scale,
    judge_camera,
    judge_frame,
)
from alpaca_focus.checkup.checks import Subject
from alpaca_focus.core.errors import CameraTaken, DeviceError
from alpaca_focus.core.values import ExposureSettings, Frame, Subframe
from alpaca_focus.devices.camera import AlpacaCamera
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.exposure import ExposureRules
from alpaca_focus.devices.translate import as_bool, as_float, as_int, as_texts
from alpaca_focus.devices.watched import AlpacaCameraWatch
from alpaca_focus.devices.worker import see_through
from alpaca_focus.examining.aside import aside
from alpaca_focus.examining.bench import Bench, using
from alpaca_focus.settings.models import Settings

SHORTEST_EXPOSURE_S = 0.001
"""Some cameras call an exposure of 0 s an error."""
_EVERY = 8
"""Of the pixels one in so many rows and columns, for the value in the middle."""

_CAMERA = Subject("camera")


async def look_at_camera(bench: Bench) -> None:
    """Look at the camera, and take one frame if that is allowed."""
    settings = bench.settings
    camera = AlpacaCamera(
        bench.address(settings.camera),
        bench.clock,
        download_timeout_s=settings.camera.download_timeout_s,
        rules=ExposureRules(readout_timeout_s=settings.camera.download_timeout_s),
        timeout_s=bench.timeout_s,
    )

    async def look(connection: Connection) -> None:
        async with using(camera):
            info = camera.info
            facts = CameraFacts(
                width_px=info.sensor_width_px,
                height_px=info.sensor_height_px,
                told_pixel_um=info.pixel_size_um,
                set_pixel_um=settings.camera.pixel_size_um,
                bayer=info.bayer,
                max_binning=info.max_binning,
                exposure_min_s=info.exposure_min_s,
                exposure_max_s=info.exposure_max_s,
                gain=await _scale(connection, "Gain"),
                offset=await _scale(connection, "Offset"),
                cooler=await _cooler(connection),
                asked=_asked(settings),
            )
        bench.found.extend(judge_camera(facts))

    async def act(connection: Connection) -> None:
        why_not = await _why_no_frame(bench)
        if why_not:
            bench.found.append(_CAMERA.not_tried("frame", why_not))
            return
        async with using(camera):
            await _take_frame(bench, camera, connection)

    await bench.look_at(_CAMERA, DeviceType.CAMERA, settings.camera, look, act)


async def exposes(bench: Bench) -> bool:
    """Tell whether the camera is busy with an image.

    Raises:
        AlpacaFocusError: It cannot be asked.
    """
    address = bench.address(bench.settings.camera)
    connection = Connection(DeviceType.CAMERA, address, bench.clock, timeout_s=bench.timeout_s)
    try:
        if not await connection.is_connected():
            # Nobody uses it, and it is not connected for this question.
            return False
    finally:
        await connection.close()
    watch = AlpacaCameraWatch(address, bench.clock, timeout_s=bench.timeout_s)
    async with using(watch):
        return (await watch.activity()).busy


async def _why_no_frame(bench: Bench) -> str:
    if bench.gently:
        return bench.gently
    if not bench.takes_frame:
        return "not wanted: --no-frame"
    if await exposes(bench):
        return "the camera is busy with an image of another program, and was left alone"
    return ""


def _asked(settings: Settings) -> tuple[Asked, ...]:
    sections = {"focus": settings.focus}
    sections |= {f"focus.filters.{name}": settings.focus.through(name) for name in settings.focus.filters}
    return tuple(
        Asked(where=where, exposure_s=focus.exposure_s, binning=focus.binning, gain=focus.gain, offset=focus.offset)
        for where, focus in sections.items()
    )


async def _scale(connection: Connection, name: str) -> Scale:
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


async def _cooler(connection: Connection) -> Cooler:
    async def number(member: str) -> float | None:
        value = await connection.get_or(member, as_float, default=math.nan)
        return value if math.isfinite(value) else None

    return Cooler(
        on=await connection.get_or("CoolerOn", as_bool, default=None),
        temperature_c=await number("CCDTemperature"),
        target_c=await number("SetCCDTemperature"),
        power_percent=await number("CoolerPower"),
    )


async def _take_frame(bench: Bench, camera: AlpacaCamera, connection: Connection) -> None:
    """Take one frame, as short and as dark as can be, and put the camera's own settings back."""
    info, binning = camera.info, bench.settings.focus.binning
    if binning > info.max_binning:
        bench.found.append(_CAMERA.not_tried("frame", "the binning of the settings is not possible"))
        return
    dark = await connection.get_or("HasShutter", as_bool, default=False)
    wanted = ExposureSettings(
        exposure_s=min(max(info.exposure_min_s, SHORTEST_EXPOSURE_S), info.exposure_max_s),
        binning=binning,
        subframe=Subframe(x=0, y=0, width=info.sensor_width_px // binning, height=info.sensor_height_px // binning),
        light=not dark,
    )
    try:
        await camera.remember_settings()
        try:
            await camera.expose(wanted)
            began_s = time.monotonic()
            frame = await camera.download()
            download_s = time.monotonic() - began_s
        finally:
            await see_through(_put_back(bench, camera))
    except CameraTaken as error:
        bench.found.append(_CAMERA.not_tried("frame", str(error)))
    except DeviceError as error:
        bench.found.append(_CAMERA.failed("frame", str(error)))
    else:
        spoken = await _spoken(bench)
        bench.found.extend(judge_frame(_facts(bench, frame, wanted, download_s, spoken)))


async def _put_back(bench: Bench, camera: AlpacaCamera) -> None:
    try:
        await camera.restore_settings()
    except DeviceError as error:
        bench.found.append(_CAMERA.failed("settings", f"The camera's own settings could not be put back. {error}"))


async def _spoken(bench: Bench) -> str:
    """Return how the frame came; empty: the camera does not send it twice."""
    address = bench.address(bench.settings.camera)
    timeout_s = bench.settings.camera.download_timeout_s
    work = partial(is_image_bytes, f"http://{address.authority}", address.device_number, timeout_s=timeout_s)
    try:
        return "ImageBytes" if await aside(work, timeout_s) else "JSON"
    except (ImageTransferError, TimeoutError):
        return ""


def _facts(bench: Bench, frame: Frame, wanted: ExposureSettings, download_s: float, spoken: str) -> FrameFacts:
    pixels = frame.pixels
    return FrameFacts(
        width_px=pixels.shape[1],
        height_px=pixels.shape[0],
        frame_bytes=pixels.nbytes,
        exposure_s=wanted.exposure_s,
        dark=not wanted.light,
        download_s=download_s,
        timeout_s=bench.settings.camera.download_timeout_s,
        spoken=spoken,
        lowest_adu=float(pixels.min()),
        median_adu=float(np.median(pixels[::_EVERY, ::_EVERY].astype(np.float64))),
        highest_adu=float(pixels.max()),
        saturation_adu=frame.saturation_adu,
    )
