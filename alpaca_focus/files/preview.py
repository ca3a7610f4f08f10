"""A picture of a frame with what was measured in it: stars ringed, or the trace of a spectrum and its profile."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.values import Frame
from alpaca_focus.files.fits_file import FileFrame, read_frame
from alpaca_focus.files.report import FileReport, Kind
from alpaca_focus.imaging.background import binned
from alpaca_focus.imaging.star_field import Star, find_stars
from alpaca_focus.imaging.stretch import bin_factor, screen_stretch

DOTS_PER_INCH = 100
LEAST_INCHES, MOST_INCHES = 7.0, 16.0
CAPTION_INCHES = 0.75
RING_COLOUR = "#39ff6a"
TEXT_COLOUR, PAPER_COLOUR = "#e8e8e8", "#16181c"
SMALLEST_RING_SHARE = 0.004
"""Rings have at least this share of the picture's width: a ring of two pixels shows nothing."""


def check_preview(target: Path, paths: Sequence[Path]) -> None:
    """See that a picture can be drawn, before any work is done for it.

    Raises:
        ConfigurationError: It is to show several files, its name is none of a PNG, or its folder takes no file.
    """
    if len(paths) != 1:
        raise ConfigurationError(f"A preview shows one file, and {len(paths)} were named: name one, or leave it out.")
    if target.suffix.lower() != ".png":
        raise ConfigurationError(f"The preview {target} is to be a PNG picture: let its name end in .png.")
    if not target.parent.is_dir():
        raise ConfigurationError(f"There is no folder {target.parent} to write the preview into: make it first.")
    if target.is_dir() or not os.access(target if target.exists() else target.parent, os.W_OK):
        raise ConfigurationError(f"The preview {target} may not be written: choose another place for it.")


def draw_preview(target: Path, report: FileReport) -> None:
    """Draw the frame of a report with what was measured in it.

    Raises:
        FileUnreadable: The frame's file is there no more.
        ConfigurationError: The picture cannot be written.
    """
    file = read_frame(report.path)
    figure = _figure(file, report)
    try:
        figure.savefig(target, format="png", dpi=DOTS_PER_INCH, facecolor=PAPER_COLOUR)
    except OSError as error:
        raise ConfigurationError(f"The preview {target} cannot be written ({error.strerror or error}).") from error


def _figure(file: FileFrame, report: FileReport) -> Any:
    # Slow to import, and of no use to a measurement without a picture.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows, columns = file.frame.pixels.shape
    width = float(np.clip(columns / bin_factor(file.frame.pixels) / DOTS_PER_INCH, LEAST_INCHES, MOST_INCHES))
    height = float(np.clip(width * rows / columns, 0.15 * width, 2 * width))
    figure = Figure(figsize=(width, height + CAPTION_INCHES), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _show(axes, file.frame)
    if report.metric is Kind.STARS:
        _ring_stars(axes, _stars(file.frame), columns)
    figure.suptitle(_caption(report), color=TEXT_COLOUR, fontsize=11, x=0.01, ha="left")
    return figure


def _caption(report: FileReport) -> str:
    position = "" if report.position is None else f"\nposition {report.position}"
    return f"{report.line()}{position}"


def _show(axes: Any, frame: Frame) -> None:
    rows, columns = frame.pixels.shape
    factor = bin_factor(frame.pixels)
    extent = (-0.5, columns // factor * factor - 0.5, rows // factor * factor - 0.5, -0.5)
    axes.imshow(screen_stretch(frame.pixels), cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="antialiased")
    axes.set_facecolor(PAPER_COLOUR)
    axes.tick_params(colors="#8a8f98", labelsize=8)
    for spine in axes.spines.values():
        spine.set_color("#3a3f47")


def _stars(frame: Frame) -> list[tuple[float, float, float]]:
    """Return column, row and HFD of the stars measured, in pixels of the frame."""
    scale = 2 if frame.bayer else 1
    pixels = binned(frame.pixels, 2) if frame.bayer else frame.pixels
    stars: Sequence[Star] = find_stars(pixels, saturation_adu=frame.saturation_adu).stars
    # The middle of a block of 2 x 2 lies half a pixel from that of its first one.
    shift = (scale - 1) / 2
    return [(star.x_px * scale + shift, star.y_px * scale + shift, star.hfd_px * scale) for star in stars]


def _ring_stars(axes: Any, stars: Sequence[tuple[float, float, float]], columns: int) -> None:
    """Ring each star with a circle of its HFD, and write the HFD beside its light."""
    from matplotlib.patches import Circle  # noqa: PLC0415
    from matplotlib.patheffects import withStroke  # noqa: PLC0415

    outline = [withStroke(linewidth=2.6, foreground=PAPER_COLOUR, alpha=0.8)]
    smallest_px = SMALLEST_RING_SHARE * columns
    for x_px, y_px, hfd_px in stars:
        radius_px = max(hfd_px / 2, smallest_px)
        ring = Circle((x_px, y_px), radius_px, fill=False, color=RING_COLOUR, linewidth=1.1, path_effects=outline)
        axes.add_patch(ring)
        axes.annotate(
            f"{hfd_px:.1f}",
            (x_px + max(hfd_px, radius_px), y_px),
            xytext=(3, 0),
            textcoords="offset points",
            color=RING_COLOUR,
            fontsize=8,
            va="center",
            clip_on=True,
            path_effects=outline,
        )
