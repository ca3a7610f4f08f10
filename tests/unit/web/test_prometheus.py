"""What Prometheus reads."""

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.status import MeasuredLight, PolledDevice
from alpaca_focus.web.prometheus import PrometheusExporter
from tests.statuses import COMPENSATION, LAST_FOCUS, a_status
from tests.web_night import Page, now

STATUS = a_status(
    state="a focus run",
    looks=12,
    paused=True,
    due=("a refocus was requested",),
    blocked_by=("paused", "exposure running"),
    silent=("telescope 0",),
    devices=(
        PolledDevice(kind="focuser", name="focuser 0", server="10.0.0.1:11111"),
        PolledDevice(kind="mount", name="telescope 0", server="10.0.0.1:11111", answers=False, age_s=35.0),
    ),
    position=25118,
    temperature_c=4.25,
    last_focus=LAST_FOCUS,
    since_s=1500.0,
    images=3,
    failures=1,
    compensation=replace(COMPENSATION, enabled=True, moved_steps=-9),
)
LIGHT = MeasuredLight(at=now(), hfd_px=2.5, position=None, filter_name=None, temperature_c=None)


def read(page: Page) -> dict[str, float]:
    text = PrometheusExporter(page.night).text().decode()
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("alpaca_focus")
    }


def test_everything_that_is_known_is_told(tmp_path: Path) -> None:
    page = Page(tmp_path)
    page.feed.publish("status", STATUS)
    page.feed.publish("light", LIGHT)
    with pytest.raises(RunFailed), page.runs.follow("asap"):
        raise RunFailed("The mount is parked.")
    told = read(page)
    assert told["alpaca_focus_info 1.2.3"] == 1
    assert told["alpaca_focus_temperature_celsius"] == 4.25
    assert told["alpaca_focus_position_steps"] == told["alpaca_focus_expected_position_steps"] == 25118
    assert told["alpaca_focus_light_hfd_pixels"] == 2.5
    assert told["alpaca_focus_since_refocus_seconds"] == 1500
    assert told["alpaca_focus_refocus_due"] == 1
    assert told["alpaca_focus_refocus_blocked"] == 2
    assert told["alpaca_focus_focus_run_active"] == told["alpaca_focus_paused"] == 1
    assert told["alpaca_focus_devices_silent"] == told["alpaca_focus_devices_connected"] == 1
    assert told["alpaca_focus_device_up focuser 10.0.0.1:11111"] == 1
    assert told["alpaca_focus_device_up mount 10.0.0.1:11111"] == 0
    assert told["alpaca_focus_device_age_seconds mount 10.0.0.1:11111"] == 35
    assert told["alpaca_focus_images_since_refocus"] == 3
    assert told["alpaca_focus_compensation_enabled"] == 1
    assert told["alpaca_focus_compensation_moved_steps"] == -9
    assert told["alpaca_focus_runs_total failed"] == 1
    assert told["alpaca_focus_runs_total focused"] == 0
    assert told["alpaca_focus_run_duration_seconds_count"] == 1
    assert told["alpaca_focus_looks_total"] == 12


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    page = Page(tmp_path)
    told = read(page)
    assert told["alpaca_focus_devices_connected"] == 0
    assert "alpaca_focus_position_steps" not in told
    page.feed.publish("status", replace(STATUS, position=26000, expected_position=24920))
    told = read(page)
    assert told["alpaca_focus_position_steps"] == 26000
    assert told["alpaca_focus_expected_position_steps"] == 24920
    page.feed.publish("status", replace(STATUS, temperature_c=None, position=None, last_focus=None))
    told = read(page)
    for name in ("temperature_celsius", "position_steps", "since_refocus_seconds", "light_hfd_pixels"):
        assert f"alpaca_focus_{name}" not in told


def test_each_page_has_meters_of_its_own(tmp_path: Path) -> None:
    for _ in range(2):
        assert "alpaca_focus_info 1.2.3" in read(Page(tmp_path))
