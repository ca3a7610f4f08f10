"""Pictures of measured frames: with rings around the stars, or with the trace of a spectrum and its profile."""

import math
import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.metrics import MetricKind
from alpaca_focus.core.values import Frame
from alpaca_focus.files.chart import Band, Chart, Colour, Points, Polyline, Range, range_of
from alpaca_focus.files.file_access import atomic_write, check_folder
from alpaca_focus.files.file_report import FileReport
from alpaca_focus.files.fits_file import read_frame
from alpaca_focus.files.measuring import MeasureOptions
from alpaca_focus.files.pictures import Paper, draw_chart, empty_figure
from alpaca_focus.imaging.sky_background import binned
from alpaca_focus.imaging.spectrum import SpectrumReport, SpectrumSettings, TraceAxis, measure_spectrum
from alpaca_focus.imaging.star_field import find_stars
from alpaca_focus.imaging.stretch import bin_factor, screen_stretch

DOTS_PER_INCH = 100
LEAST_INCHES, MOST_INCHES = 7.0, 16.0
CAPTION_INCHES, PROFILE_INCHES = 0.75, 3.6
RING_COLOUR = "#39ff6a"
SLICE_COLOUR = "#ffb347"
TEXT_COLOUR, AXIS_COLOUR, FRAME_COLOUR, PAPER_COLOUR = "#e8e8e8", "#8a8f98", "#3a3f47", "#16181c"
DARK_PAPER = Paper({Colour.BLUE: TEXT_COLOUR, Colour.RED: SLICE_COLOUR, Colour.GREEN: RING_COLOUR}, AXIS_COLOUR)
SMALLEST_RING_SHARE = 0.004
"""Smallest diameter of a ring, as a share of the picture's width: a ring of two pixels is invisible."""

MOST_COLUMNS_LIVE = 1280
RING_OVER_HFD, LEAST_RING_PX, RING_WIDTH_PX = 2.0, 5.0, 1.5
"""Rings of the picture for a screen: their diameter in HFD, which leaves the star visible, and their line width."""
PNG_SIGNATURE, PNG_EFFORT = b"\x89PNG\r\n\x1a\n", 3


def check_preview(target: Path, paths: Sequence[Path]) -> None:
    """Check that a preview can be drawn, before any work is done for it.

    Raises:
        ConfigurationError: Several files are named, the ending is not .png, or the folder is not writable.
    """
    if len(paths) != 1:
        raise ConfigurationError(f"A preview shows one file, but {len(paths)} were named. Name only one.")
    if target.suffix.lower() != ".png":
        raise ConfigurationError(f"The preview {target} must be a PNG picture. Let its name end in .png.")
    check_folder(target, "preview")


def draw_preview(target: Path, report: FileReport, options: MeasureOptions) -> None:
    """Draw the frame of a report with its measured stars or trace.

    Raises:
        FileUnreadable: The frame's file no longer exists.
        ConfigurationError: The picture cannot be written.
    """
    file = read_frame(report.path)
    if report.metric == MetricKind.SPECTRUM:
        figure = _spectrum_figure(file.frame, measure_spectrum(file.frame, options.spectrum))
    else:
        figure = _frame_figure(file.frame, ring_stars=report.metric == MetricKind.STARS)
    figure.suptitle(_caption(report), color=TEXT_COLOUR, fontsize=11, x=0.01, ha="left")
    with atomic_write(target, "preview") as picture:
        figure.savefig(picture, format="png", dpi=DOTS_PER_INCH, facecolor=PAPER_COLOUR)


def star_picture(frame: Frame, *, ring_stars: bool) -> NDArray[np.uint8]:
    """Return a frame as a picture for a screen, shape (rows, columns, 3), with rings around its measured stars.

    It has no captions and no axes, because it is made quickly during a focus run.
    """
    grey = screen_stretch(frame.pixels, MOST_COLUMNS_LIVE)
    picture = np.repeat(grey[:, :, None], 3, axis=2)
    if ring_stars:
        factor = bin_factor(frame.pixels, MOST_COLUMNS_LIVE)
        colour = np.array([int(RING_COLOUR[start : start + 2], 16) for start in (1, 3, 5)], np.uint8)
        for x_px, y_px, hfd_px in _stars(frame):
            radius = max(RING_OVER_HFD * hfd_px / factor / 2, LEAST_RING_PX)
            _ring(picture, x_px / factor, y_px / factor, radius, colour)
    return picture


def spectrum_png(frame: Frame, settings: SpectrumSettings) -> bytes:
    """Return a frame as PNG with the trace of its spectrum marked, and its profile beside it."""
    figure = _spectrum_figure(frame, measure_spectrum(frame, settings))
    file = BytesIO()
    dots_per_inch = min(DOTS_PER_INCH, MOST_COLUMNS_LIVE // float(figure.get_size_inches()[0]))
    figure.savefig(file, format="png", dpi=dots_per_inch, facecolor=PAPER_COLOUR)
    return file.getvalue()


def png_of(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture, shape (rows, columns, 3), as a PNG file."""
    rows, columns, _ = picture.shape
    lines = np.zeros((rows, 1 + 3 * columns), np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = picture.reshape(rows, 3 * columns)
    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    parts = (b"IHDR" + head, b"IDAT" + zlib.compress(lines.tobytes(), PNG_EFFORT), b"IEND")
    chunks = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts)
    return PNG_SIGNATURE + b"".join(chunks)


def _ring(picture: NDArray[np.uint8], x: float, y: float, radius: float, colour: NDArray[np.uint8]) -> None:
    reach = radius + RING_WIDTH_PX
    top, left = max(0, math.floor(y - reach)), max(0, math.floor(x - reach))
    part = picture[top : math.ceil(y + reach) + 1, left : math.ceil(x + reach) + 1]
    rows, columns = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    away = np.hypot(rows - y, columns - x)
    part[np.abs(away - radius) < RING_WIDTH_PX / 2] = colour


def _caption(report: FileReport) -> str:
    parts = ["" if report.position is None else f"position {report.position}"]
    if report.metric == MetricKind.STARS and report.usable:
        parts.append("rings mark the stars measured, with their HFD in px")
    return f"{report.line()}\n{' | '.join(part for part in parts if part)}"


def _frame_figure(frame: Frame, *, ring_stars: bool) -> Any:
    width, height = _inches(frame, LEAST_INCHES, MOST_INCHES)
    figure = empty_figure(width, height + CAPTION_INCHES)
    axes = figure.add_subplot()
    _show(axes, frame)
    if ring_stars:
        _ring_stars(axes, _stars(frame), frame.pixels.shape[1])
    return figure


def _spectrum_figure(frame: Frame, spectrum: SpectrumReport) -> Any:
    """Draw the frame with its trace and slice, and beside it the profile across the trace with its fit."""
    width, height = _inches(frame, LEAST_INCHES, MOST_INCHES - PROFILE_INCHES)
    figure = empty_figure(width + PROFILE_INCHES, max(height, PROFILE_INCHES) + CAPTION_INCHES)
    axes, beside = figure.subplots(1, 2, width_ratios=(width, PROFILE_INCHES))
    _show(axes, frame)
    _dress(beside)
    if math.isfinite(spectrum.trace_row):
        _mark_trace(axes, spectrum, frame)
        _draw_profile(beside, spectrum)
    else:
        beside.text(0.5, 0.5, "no trace", color=TEXT_COLOUR, ha="center", transform=beside.transAxes)
    return figure


def _inches(frame: Frame, least: float, most: float) -> tuple[float, float]:
    """Return width and height of the frame's picture, within limits of their ratio."""
    rows, columns = frame.pixels.shape
    width = float(np.clip(columns / bin_factor(frame.pixels) / DOTS_PER_INCH, least, most))
    return width, float(np.clip(width * rows / columns, 0.15 * width, 2 * width))


def _mark_trace(axes: Any, spectrum: SpectrumReport, frame: Frame) -> None:
    """Draw a line on either side of the trace, a FWHM away from it, and the ends of the slice."""
    middle = (spectrum.x0 + spectrum.x1 - 1) / 2
    along = np.array([spectrum.x0, spectrum.x1 - 1], dtype=float)
    across = spectrum.trace_row + spectrum.slant * (along - middle)
    upright = spectrum.axis is TraceAxis.VERTICAL
    for offset in (-1.5 * spectrum.fwhm_px, 1.5 * spectrum.fwhm_px):
        points = (across + offset, along) if upright else (along, across + offset)
        axes.plot(*points, color=RING_COLOUR, linewidth=1.0)
    mark = axes.axhline if upright else axes.axvline
    for end in along:
        mark(end, color=SLICE_COLOUR, linewidth=0.8, linestyle=(0, (4, 4)))
    rows, columns = frame.pixels.shape
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)


def _draw_profile(axes: Any, spectrum: SpectrumReport) -> None:
    distance_px, light_adu = (each.tolist() for each in spectrum.profile)
    reach, half = min(8 * spectrum.fwhm_px, max(map(abs, distance_px))), spectrum.fwhm_px / 2
    profile, fit = zip(distance_px, light_adu, strict=True), zip(distance_px, spectrum.model.tolist(), strict=True)
    chart = Chart(
        label="mean profile above the sky, ADU",
        x=Range(-reach, reach),
        y=range_of(light_adu, least=1e-9),
        marks=(
            Points(at=list(profile), colour=Colour.BLUE, name="profile"),
            Polyline(at=list(fit), colour=Colour.GREEN, name="fit"),
            Band(low=-half, high=half, colour=Colour.GREEN, name="FWHM"),
        ),
        x_label=f"px from {'column' if spectrum.axis is TraceAxis.VERTICAL else 'row'} {spectrum.trace_row:.1f}",
    )
    draw_chart(axes, chart, DARK_PAPER)
    axes.set_xlabel(chart.x_label)
    axes.set_title(chart.label, color=TEXT_COLOUR, fontsize=9)
    axes.legend(fontsize=8, facecolor=PAPER_COLOUR, edgecolor="none", labelcolor=TEXT_COLOUR)


def _show(axes: Any, frame: Frame) -> None:
    rows, columns = frame.pixels.shape
    factor = bin_factor(frame.pixels)
    extent = (-0.5, columns // factor * factor - 0.5, rows // factor * factor - 0.5, -0.5)
    axes.imshow(screen_stretch(frame.pixels), cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="antialiased")
    _dress(axes)


def _dress(axes: Any) -> None:
    axes.set_facecolor(PAPER_COLOUR)
    axes.tick_params(colors=AXIS_COLOUR, labelsize=8)
    axes.xaxis.label.set_color(AXIS_COLOUR)
    for spine in axes.spines.values():
        spine.set_color(FRAME_COLOUR)


def _stars(frame: Frame) -> list[tuple[float, float, float]]:
    """Return column, row and HFD of the stars measured, in pixels of the frame."""
    scale = 2 if frame.bayer else 1
    pixels = binned(frame.pixels, 2) if frame.bayer else frame.pixels
    stars = find_stars(pixels, saturation_adu=frame.saturation_adu).stars
    # The middle of a block of 2 x 2 lies half a pixel from that of its first one.
    shift = (scale - 1) / 2
    return [(star.x_px * scale + shift, star.y_px * scale + shift, star.hfd_px * scale) for star in stars]


def _ring_stars(axes: Any, stars: Sequence[tuple[float, float, float]], columns: int) -> None:
    """Ring each star with a circle of its HFD, and write the HFD beside its light."""
    from matplotlib.patches import Circle  # noqa: PLC0415
    from matplotlib.patheffects import withStroke  # noqa: PLC0415

    outline = [withStroke(linewidth=2.6, foreground=PAPER_COLOUR, alpha=0.8)]
    style: dict[str, Any] = {"color": RING_COLOUR, "path_effects": outline}
    place: dict[str, Any] = {"xytext": (3, 0), "textcoords": "offset points", "va": "center", "clip_on": True}
    smallest_px = SMALLEST_RING_SHARE * columns
    for x_px, y_px, hfd_px in stars:
        radius_px = max(hfd_px / 2, smallest_px)
        axes.add_patch(Circle((x_px, y_px), radius_px, fill=False, linewidth=1.1, **style))
        axes.annotate(f"{hfd_px:.1f}", (x_px + max(hfd_px, radius_px), y_px), fontsize=8, **place, **style)
