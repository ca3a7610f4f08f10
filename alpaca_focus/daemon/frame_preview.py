"""The newest focus frame as a picture, drawn in a low-priority thread while a dashboard is open."""

import math
from collections.abc import Callable
from threading import Lock

from alpaca_focus.core.metrics import METRICS, STAR_SIZE, MetricKind
from alpaca_focus.core.status import MeasuredFrame
from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.files.preview import png_of, spectrum_png, star_picture
from alpaca_focus.imaging.spectrum import SpectrumSettings, TraceAxis
from alpaca_focus.service.threads import LowPriorityWorker
from alpaca_focus.settings.models import SpectrumSection
from alpaca_focus.web.source import Picture


class FramePreview:
    """Draws the pictures.

    Args:
        wanted: Returns whether a dashboard is open; called in the measuring thread.
        made: Called with each frame that was drawn.
    """

    def __init__(self, wanted: Callable[[], bool], made: Callable[[MeasuredFrame], None]) -> None:
        self._wanted = wanted
        self._made = made
        self._worker = LowPriorityWorker("frame-preview")
        self._lock = Lock()
        self._next: tuple[Frame, Measurement] | None = None
        self._last: Picture | None = None
        self.spectrum = SpectrumSection()

    def close(self) -> None:
        """Wait for the picture that is being drawn."""
        self._worker.close()

    @property
    def last(self) -> Picture | None:
        """The newest picture; `None` if there is none."""
        with self._lock:
            return self._last

    def offer(self, frame: Frame, measurement: Measurement) -> None:
        """Queue a frame, in place of one that still waits; return at once."""
        if not self._wanted():
            return
        with self._lock:
            waits, self._next = self._next is not None, (frame, measurement)
        if not waits:
            self._worker.queue(self._make)

    def _make(self) -> None:
        with self._lock:
            taken, self._next = self._next, None
            number = 1 if self._last is None else self._last.frame.number + 1
        if taken is None:
            return
        png = self._draw(*taken)
        shown = _measured_frame(number, png, *taken)
        with self._lock:
            self._last = Picture(png=png, frame=shown)
        self._made(shown)

    def _draw(self, frame: Frame, measurement: Measurement) -> bytes:
        kind = METRICS[measurement.metric].kind
        if kind is MetricKind.SPECTRUM:
            wanted = self.spectrum
            return spectrum_png(frame, SpectrumSettings(axis=TraceAxis(wanted.axis), x0=wanted.x0, x1=wanted.x1))
        return png_of(star_picture(frame, ring_stars=kind is MetricKind.STARS))


def _measured_frame(number: int, png: bytes, frame: Frame, measurement: Measurement) -> MeasuredFrame:
    value = measurement.value if measurement.usable and math.isfinite(measurement.value) else None
    return MeasuredFrame(
        number=number,
        at=frame.started_at,
        # The IHDR chunk comes first in every PNG file; its width and height are at these bytes.
        width=int.from_bytes(png[16:20]),
        height=int.from_bytes(png[20:24]),
        stars=measurement.star_count,
        hfd_px=value if measurement.metric == STAR_SIZE else None,
        metric=measurement.metric,
        value=value,
        unit=measurement.unit,
    )
