"""A camera: whether it can do what the settings ask for, and what its frame is like. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alpaca_focus.checkup.checks import Check, Subject

DIFFERENT_SHARE = 0.02
"""Pixel and step sizes of the settings that differ by more from what the device says are perhaps of another device."""
OFF_TARGET_C = 2.0
MUCH_OF_TIMEOUT = 0.5

_CAMERA = Subject("camera")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the settings ask of the camera.

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
    """Gain or offset of a camera; `None` where it does not say.

    Attributes:
        now: What it is set to; `None`: it cannot be set.
        lowest: Lowest value.
        highest: Highest value.
    """

    now: int | None = None
    lowest: int | None = None
    highest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooler:
    """Temperature of the sensor; `None` where the camera does not say."""

    on: bool | None = None
    temperature_c: float | None = None
    target_c: float | None = None
    power_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraFacts:
    """What a camera is, and what is asked of it.

    Attributes:
        width_px: Of the sensor.
        height_px: Of the sensor.
        told_pixel_um: Pixel size that it tells.
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
    told_pixel_um: float | None
    set_pixel_um: float | None
    bayer: bool
    max_binning: int
    exposure_min_s: float
    exposure_max_s: float
    gain: Scale
    offset: Scale
    cooler: Cooler
    asked: Sequence[Asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFacts:
    """One frame, and how it came.

    Attributes:
        width_px: Columns.
        height_px: Rows.
        frame_bytes: Size in memory.
        exposure_s: How long it was exposed.
        dark: Whether the shutter was to stay closed.
        download_s: How long its download took.
        timeout_s: How long a download may take by the settings.
        spoken: How it came: "ImageBytes" or "JSON"; empty: nobody knows.
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
    spoken: str
    lowest_adu: float
    median_adu: float
    highest_adu: float
    saturation_adu: float


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


def size_check(subject: Subject, name: str, setting: str, told_um: float | None, set_um: float | None) -> Check | None:
    """Judge a size that the device tells, or the settings, or both; `None`: all is well."""
    if told_um is None and set_um is None:
        return subject.fails(
            name, f"neither the {subject.name} nor the settings say it", f"Look it up in its manual, and set {setting}."
        )
    if told_um is not None and set_um is not None and abs(told_um - set_um) > DIFFERENT_SHARE * set_um:
        return subject.note(
            name,
            f"the {subject.name} says {told_um:g} um, and {setting} is {set_um:g} um, which counts",
            f"Look which is right; take {setting} out if the {subject.name} is.",
        )
    return None


def _sensor(facts: CameraFacts) -> Check:
    size = f"{facts.width_px} x {facts.height_px} pixels"
    told, set_um = facts.told_pixel_um, facts.set_pixel_um
    trouble = size_check(_CAMERA, "sensor", "camera.pixel_size_um", told, set_um)
    if trouble is not None:
        return trouble
    source = "of the settings" if told is None or (set_um is not None and set_um != told) else "as it says"
    colour = ", with a colour matrix" if facts.bayer else ""
    return _CAMERA.ok("sensor", f"{size} of {set_um or told:g} um ({source}){colour}")


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
    span = f"{scale.lowest} to {scale.highest}" if None not in {scale.lowest, scale.highest} else "any, as it says"
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
    told = f"asked for: {_listed(str(value) for _, value in wanted)}" if wanted else "it stays"
    return _CAMERA.ok(name, f"{scale.now} now, of {span}; {told}")


def _cooler(cooler: Cooler) -> Check:
    now_c, target_c = cooler.temperature_c, cooler.target_c
    sensor = "the temperature of the sensor is not told" if now_c is None else f"the sensor has {now_c:.1f} deg C"
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
    """Judge a frame: how it came, and what is on it."""
    return _download(facts), _content(facts)


def _download(facts: FrameFacts) -> Check:
    megabytes = facts.frame_bytes / 1e6
    speed = f", {megabytes / facts.download_s:.1f} MB/s" if facts.download_s > 0 else ""
    seen = (
        f"{facts.width_px} x {facts.height_px} pixels, {megabytes:.1f} MB in {facts.download_s:.2f} s{speed}"
        f"{f' as {facts.spoken}' if facts.spoken else ''}"
    )
    if facts.download_s > MUCH_OF_TIMEOUT * facts.timeout_s:
        return _CAMERA.note(
            "download",
            f"{seen}, of the {facts.timeout_s:g} s of camera.download_timeout_s",
            "Set camera.download_timeout_s higher, a higher focus.binning, or look for a faster network.",
        )
    if facts.spoken == "JSON":
        return _CAMERA.note(
            "download",
            f"{seen}, which is slow",
            "Look for a version of the camera's server that sends ImageBytes; focus.subframe and focus.binning help.",
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
            "frame", "all pixels are zero", "Set the camera's offset higher, and look at its cable and its driver."
        )
    if facts.lowest_adu >= facts.saturation_adu:
        remedy = "Look at the camera's gain and offset, and whether its shutter closes."
        if facts.dark:
            return _CAMERA.fails("frame", f"all pixels are saturated, at {facts.saturation_adu:.0f} ADU", remedy)
        return _CAMERA.note(
            "frame", "all pixels are saturated", "Nothing has to be done by day; in the dark look at gain and offset."
        )
    if facts.lowest_adu == facts.highest_adu:
        return _CAMERA.note(
            "frame", f"all pixels are {facts.lowest_adu:.0f} ADU", "Look whether this is a test picture of its driver."
        )
    return _CAMERA.ok("frame", seen)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
