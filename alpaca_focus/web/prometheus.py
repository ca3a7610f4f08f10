"""The metrics for Prometheus, computed at each request from the latest status and light frame."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector
from typing_extensions import override

from alpaca_focus.core.status import MeasuredLight, Status
from alpaca_focus.night.exclusive_job import FOCUS_RUN
from alpaca_focus.web.source import NightSource

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES = ("focused", "restored", "stranded", "failed", "aborted")
"""Exported from the start with 0, so that Prometheus sees the first failure as an increase."""


class PrometheusExporter:
    """Renders the metrics of a night for Prometheus."""

    def __init__(self, night: NightSource) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_NightCollector(night))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


class _NightCollector(Collector):
    def __init__(self, night: NightSource) -> None:
        self._night = night

    @override
    def collect(self) -> Iterable[Metric]:
        night = self._night
        latest = night.feed.latest
        status, light = (latest[topic].data if topic in latest else None for topic in ("status", "light"))
        yield InfoMetricFamily("alpaca_focus", "This program.", {"version": night.version})
        yield _gauge("dashboards", "Open dashboards.", night.viewers.count)
        yield _gauge("devices_connected", "Whether all devices are connected.", isinstance(status, Status))
        if isinstance(status, Status):
            yield from _of_status(status)
        if isinstance(light, MeasuredLight):
            yield _gauge("light_hfd_pixels", "Size of the stars on the last light frame.", light.hfd_px)
        yield from _of_runs(night)


def _of_status(status: Status) -> Iterable[Metric]:
    compensation = status.compensation
    yield CounterMetricFamily("alpaca_focus_looks", "Polls and other signs of progress.", value=status.looks)
    if status.temperature_c is not None:
        yield _gauge("temperature_celsius", "Temperature used for focusing, averaged.", status.temperature_c)
    if status.position is not None:
        expected = status.position if status.expected_position is None else status.expected_position
        yield _gauge("position_steps", "Position that the focuser reports.", status.position)
        yield _gauge("expected_position_steps", "Position that the focuser was moved to.", expected)
    if status.last_focus is not None:
        yield _gauge("since_refocus_seconds", "Time since the last good refocus.", status.since_s)
    yield _gauge("refocus_due", "Triggers that are due.", len(status.due))
    yield _gauge("refocus_blocked", "Reasons that block a refocus.", len(status.blocked_by))
    yield _gauge("focus_run_active", "Whether a focus run is under way.", status.state == FOCUS_RUN)
    yield _gauge("paused", "Whether the program is paused.", status.paused)
    yield _gauge("devices_silent", "Devices that do not answer.", len(status.silent))
    yield from _of_devices(status)
    yield _gauge("images_since_refocus", "Light frames since the last refocus.", status.images)
    yield _gauge("failed_runs_in_a_row", "Consecutive failed focus runs.", status.failures)
    yield _gauge("compensation_enabled", "Whether temperature compensation is enabled.", compensation.enabled)
    yield _gauge("compensation_moved_steps", "Steps compensated since the last refocus.", compensation.moved_steps)


def _of_devices(status: Status) -> Iterable[Metric]:
    labels = ["device", "server"]
    answers = GaugeMetricFamily(
        "alpaca_focus_device_up", "Whether the device has answered its last poll.", labels=labels
    )
    ages = GaugeMetricFamily("alpaca_focus_device_age_seconds", "Time since the device's last answer.", labels=labels)
    for each in status.devices:
        answers.add_metric([each.kind, each.server], float(each.answers))
        ages.add_metric([each.kind, each.server], each.age_s)
    yield from (answers, ages)


def _of_runs(night: NightSource) -> Iterable[Metric]:
    tally = night.runs.tally
    runs = CounterMetricFamily("alpaca_focus_runs", "Focus runs that have ended, by outcome.", labels=["outcome"])
    for outcome in dict.fromkeys((*OUTCOMES, *tally.outcomes)):
        runs.add_metric([outcome], tally.outcomes.get(outcome, 0))
    yield runs
    yield CounterMetricFamily("alpaca_focus_run_exposures", "Exposures of the focus runs.", value=tally.exposures)
    yield SummaryMetricFamily(
        "alpaca_focus_run_duration_seconds",
        "Duration of the focus runs.",
        count_value=tally.runs,
        sum_value=tally.duration_s,
    )


def _gauge(name: str, description: str, value: float) -> Metric:
    return GaugeMetricFamily(f"alpaca_focus_{name}", description, value=float(value))
