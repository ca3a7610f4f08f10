"""The web server of a real daemon, over real HTTP against the simulated observatory."""

import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.status import MeasuredFrame, RunProgress, Status
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import FocuserSettings
from alpaca_focus.web import models
from alpaca_focus.web.history import NightSoFar, RunSummary
from tests.running_daemon import PATIENCE_S, RunningDaemon
from tests.web_night import JSON, Listener, read

DASHBOARDS = 50


@pytest.fixture
def night(observatory_with: Callable[..., Observatory], tmp_path: Path) -> Iterator[RunningDaemon]:
    observatory = observatory_with(focuser=FocuserSettings(start_position=25400))
    with RunningDaemon.of(observatory, tmp_path).running() as daemon:
        yield daemon


def watching(told: Any) -> bool:
    return bool(told.get("looks"))


def test_a_run_is_seen_live_from_begin_to_end(night: RunningDaemon) -> None:
    night.until("/api/v1/status", watching)
    assert night.ask("/readyz").status == 200
    with ExitStack() as stack:
        dashboards = [stack.enter_context(Listener(night.port)) for _ in range(DASHBOARDS)]
        assert night.command("refocus") == "A refocus follows as soon as possible."
        under_way = night.until("/api/v1/run", lambda run: run["active"] and run["samples"])
        assert under_way["active"]
        assert read(Status, night.ask("/api/v1/status")).looks > 0
        night.until("/api/v1/run", lambda run: run["outcome"])
        facts = dashboards[0].wait_for_topic("frame")
        for dashboard in dashboards:
            dashboard.wait_for_topic("run")
            _ended(dashboard)
    run = read(RunProgress, night.ask("/api/v1/run"))
    assert run.outcome == "focused", run.reason
    assert run.number == 1
    assert run.fit is not None
    assert abs(run.fit.best_position - run.position) < 200 if run.position is not None else False

    # The history has the same run.
    kept = read(RunProgress, night.ask("/api/v1/runs/1"))
    assert [sample.position for sample in kept.samples] == [sample.position for sample in run.samples]
    assert kept.started_at is not None
    assert read(list[RunSummary], night.ask("/api/v1/runs"))[0].outcome == "focused"
    so_far = read(NightSoFar, night.ask("/api/v1/night"))
    assert [refocus.outcome for refocus in so_far.refocuses] == ["focused"]
    assert so_far.temperature

    # The frame has been drawn.
    png = night.ask("/api/v1/frame.png")
    width, height = struct.unpack(">II", png.body[16:24])
    told = read(MeasuredFrame, night.ask("/api/v1/frame"))
    assert (told.width, told.height) == (width, height) == (640, 512)
    assert told.stars > 0
    assert facts["number"] >= 1

    # The log and the meters have it.
    events = [models.LogLine.model_validate(line).event for line in night.get("log")]
    assert events.index("A refocus begins") < events.index("A frame was measured") < events.index("Refocused")
    text = night.ask("/metrics").body.decode()
    assert 'alpaca_focus_runs_total{outcome="focused"} 1.0' in text
    assert f"alpaca_focus_position_steps {run.position:.1f}" in text
    assert "alpaca_focus_run_duration_seconds_count 1.0" in text
    assert "alpaca_focus_temperature_celsius " in text


def _ended(dashboard: Listener) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        runs = [data for topic, _, data in list(dashboard.events) if topic == "run"]
        if runs and runs[-1]["outcome"]:
            return
        time.sleep(0.02)
    raise AssertionError("a dashboard has not seen the end of the run")


def test_commands_change_what_is_shown(night: RunningDaemon) -> None:
    night.until("/api/v1/status", watching)
    with Listener(night.port) as dashboard:
        dashboard.wait_for_topic("status")
        night.command("pause")
        assert night.get("status")["paused"]
        night.command("refocus")
        night.until("/api/v1/status", lambda told: "paused" in told["blocked_by"] and told["due"])
        assert night.command("abort") == "The refocus request was withdrawn."
        night.command("resume")
        assert "off" in night.command("compensation", b'{"enabled": false}')
        compensation = night.get("status")["compensation"]
        assert (compensation["enabled"], compensation["switched_off"]) == (False, True)
        night.command("compensation", b'{"enabled": true}')
        assert night.get("status")["compensation"]["enabled"]
        assert night.command("tell", b'{"what": "image", "hfd_px": 2.5}') == "One image counted."
        reply = night.ask("/api/v1/exposure", method="POST", body=b'{"what": "begin"}', headers=JSON)
        assert reply.status == 409
        assert "imaging.way" in reply.json["error"]
        shown = [data["paused"] for topic, _, data in dashboard.events if topic == "status" and "paused" in data]
    assert True in shown
    assert shown[-1] is False


def test_it_is_not_ready_while_its_devices_are_dead(night: RunningDaemon) -> None:
    night.until("/api/v1/status", watching)
    assert night.ask("/readyz").status == 200
    port = night.observatory.running.port
    night.observatory.stop()
    night.until("/readyz", lambda told: told.get("error", "").startswith("Not ready. No device of Alpaca server"))
    assert night.ask("/readyz").status == 503
    assert re.search(r'alpaca_focus_device_up{device="focuser",[^}]*} 0.0', night.ask("/metrics").body.decode())
    told = night.until("/api/v1/status", lambda told: told["ages_s"].get("position", 0) > 5)
    assert told["headline"].startswith("Focus is not kept: no device of Alpaca server")
    night.observatory.start(port=port)
    night.until("/readyz", lambda told: told.get("said") == "All devices answer.")
    assert night.ask("/readyz").status == 200


def test_without_devices_it_is_alive_and_not_ready(night: RunningDaemon) -> None:
    night.until("/api/v1/status", watching)
    observatory = night.observatory
    observatory.stop()
    night.loop.call_soon_threadsafe(night.daemon.reload)
    told = night.until("/api/v1/status", lambda told: "looks" not in told and told["why"])
    assert set(told) == {"state", "why"}
    assert night.ask("/healthz").status == 200
    reply = night.ask("/readyz")
    assert (reply.status, reply.json["error"]) == (503, f"The devices are not connected. {told['why']}")
    refused = night.ask("/api/v1/refocus", method="POST")
    assert refused.status == 409
    assert refused.json["error"].startswith("The daemon is still waiting for the devices.")
    assert "alpaca_focus_devices_connected 0.0" in night.ask("/metrics").body.decode()


def test_a_port_in_use_leaves_the_night_as_it_is(observatory: Observatory, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = RunningDaemon.of(observatory, tmp_path, port=int(taken.getsockname()[1]))
        with running.running():
            ends_s = time.monotonic() + PATIENCE_S
            feed = running.daemon.feed

            def is_watching() -> bool:
                return "status" in feed.latest and isinstance(feed.latest["status"].data, Status)

            while time.monotonic() < ends_s and not is_watching():
                time.sleep(0.05)
            assert is_watching()
            lines = [line.data for line in feed.log() if isinstance(line.data, Mapping)]
            troubles = [line for line in lines if line["level"] == "error"]
    assert [trouble["event"] for trouble in troubles] == ["The dashboard is off"]
    assert "Check web.listen and web.port." in str(troubles[0]["why"])
