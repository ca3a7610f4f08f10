"""Measures the imaging program's own frames, which show the state of focus without any extra exposure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from alpaca_focus.core.metrics import STAR_SIZE
from alpaca_focus.core.night.state import NO_LIGHTS
from alpaca_focus.core.values import Frame, Pixels
from alpaca_focus.devices.frames import one_plane, saturation_adu
from alpaca_focus.files.incoming import IncomingFrame
from alpaca_focus.imaging.measuring_functions import measure_metric
from alpaca_focus.night.scheduler import RefocusScheduler

FIRST_BAYER_SENSOR_TYPE = 2
FULL_SCALE_ADU = 65535

_log = structlog.get_logger(__name__)


def frame_of(pixels: Pixels, *, exposure_s: float, started_at: datetime, facts: Mapping[str, float]) -> Frame:
    """Return a frame with the camera's properties.

    Args:
        pixels: Shape (rows, columns) or (rows, columns, planes).
        exposure_s: Exposure time.
        started_at: Beginning of the exposure, UTC.
        facts: binx, maxadu, sensortype, electronsperadu; defaults replace those that are missing.
    """
    plane = one_plane(pixels)
    gain = facts.get("electronsperadu", 0.0)
    return Frame(
        pixels=plane,
        exposure_s=exposure_s,
        started_at=started_at,
        binning=max(1, int(facts.get("binx", 1))),
        saturation_adu=saturation_adu(int(facts.get("maxadu", FULL_SCALE_ADU)), plane),
        bayer=facts.get("sensortype", 0) >= FIRST_BAYER_SENSOR_TYPE,
        electrons_per_adu=gain if gain > 0 else None,
    )


def measure_light_frame(frame: Frame, report_hfd: Callable[[float], None]) -> None:
    """Measure a frame's stars and report their HFD in unbinned pixels, if there are usable ones."""
    measurement = measure_metric(STAR_SIZE, frame)
    if not measurement.usable:
        _log.info("A light frame has no HFD", why=measurement.reason)
        return
    report_hfd(measurement.value * frame.binning)


def count_frames(scheduler: RefocusScheduler, frames: Sequence[IncomingFrame]) -> None:
    """Count new frames and report their HFD to the scheduler."""
    for frame in frames:
        if scheduler.state.plan in NO_LIGHTS and not frame.is_named_light:
            continue
        if frame.hfd_px is None:
            scheduler.requests.report_image(None)
        else:
            scheduler.requests.report_hfd(frame.hfd_px, frame.ended_at)
