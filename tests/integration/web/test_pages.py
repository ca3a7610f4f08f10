"""Every address of the web server over real HTTP, in front of a night that is made up."""

import gzip
import json
import re
import socket
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.events import RunEnded
from alpaca_focus.core.status import MeasuredFrame, PolledDevice, RunProgress, Waiting, as_json
from alpaca_focus.core.values import FocusResult, Light, Measurement, Outcome, Sample
from alpaca_focus.feed.feed import LONGEST_QUEUE
from alpaca_focus.store.run_store import FILE_NAME, RunStore
from alpaca_focus.web import models
from alpaca_focus.web.history import NightSoFar, RunSummary
from alpaca_focus.web.pages import STATIC, unguarded
from alpaca_focus.web.source import Picture
from tests.statuses import a_status
from tests.web_night import ELSEWHERE, JSON, RULES, TOKEN, Listener, Page, ask, now, read

LOOKS = (
    "status",
    "run",
    "night",
    "runs",
    "runs?last=3",
    "lights",
    "log",
    "frame",
    "frame.png",
    "runs/1",
    "runs/1/picture.png",
)
COMMANDS: dict[str, Any] = {
    "refocus": {"if_due": True},
    "pause": None,
    "resume": None,
    "abort": None,
    "compensation": {"enabled": False},
    "exposure": {"what": "begin", "seconds": 60.0, "dark": True},
    "filter": {"name": "Ha"},
    "flip": None,
    "tell": {"what": "image", "hfd_px": 2.5},
}
PNG = b"\x89PNG\r\n\x1a\n"


def result(number: int = 1) -> FocusResult:
    samples = tuple(
        Sample(
            position=1000 + 100 * index,
            measurement=Measurement(metric="hfd", value=3.0 + abs(index - 3), stderr=0.1, star_count=30),
            purpose="sweep",
        )
        for index in range(7)
    )
    return FocusResult(
        outcome=Outcome.FOCUSED,
        reason="Focused.",
        start_position=1290,
        final_position=1300 + number,
        fit=None,
        samples=samples,
        verification=samples[3],
        started_at=now() - timedelta(minutes=30 - number),
        duration_s=60.0,
        exposures=8,
        temperature_c=5.0,
    )


@pytest.fixture
def kept(page: Page) -> Page:
    """A night with some history."""
    with RunStore(page.directory) as store:
        for number in range(1, 4):
            store.save(result(number), trigger="images")
            store.save_light(Light(ended_at=now(), hfd_px=2.0 + number, position=1300, temperature_c=4.0))
        store.save(replace(result(), started_at=now() - timedelta(days=2)), trigger="time")
    return page


# What is shown


def test_before_anything_has_happened_all_is_empty_and_well_formed(page: Page) -> None:
    assert page.ask("/api/v1/status").json == as_json(Waiting(why=""))
    assert read(RunProgress, page.ask("/api/v1/run")) == RunProgress()
    for path in ("runs", "lights", "log"):
        assert page.ask(f"/api/v1/{path}").json == []
    assert page.ask("/api/v1/night").json == {
        "temperature": [],
        "position": [],
        "refocuses": [],
        "model": [],
        "lights": [],
    }
    for path in ("frame", "frame.png", "runs/1", "runs/1/picture.png"):
        reply = page.ask(f"/api/v1/{path}")
        assert reply.status == 404
        assert reply.json["error"].endswith(".")


def test_the_newest_of_the_feed_is_shown(page: Page) -> None:
    page.feed.publish("status", Waiting(why="Nothing answers."))
    assert page.ask("/api/v1/status").json == {"state": "waiting for the devices", "why": "Nothing answers."}
    for number in range(5):
        page.feed.publish("log", {"event": f"event {number}", "level": "info", "number": number})
    lines = page.ask("/api/v1/log?last=2").json
    assert [(line["event"], line["number"]) for line in lines] == [("event 3", 3), ("event 4", 4)]
    assert models.LogLine.model_validate(lines[0]).level == "info"


def test_the_history_is_shown(kept: Page) -> None:
    runs = kept.ask("/api/v1/runs?last=3").json
    assert [run["number"] for run in runs] == [4, 3, 2]
    assert read(list[RunSummary], kept.ask("/api/v1/runs?last=1"))[0].number == 4
    run = read(RunProgress, kept.ask("/api/v1/runs/2"))
    assert (run.number, run.trigger, len(run.samples)) == (2, "images", 7)
    assert run.started_at is not None
    assert kept.ask("/api/v1/runs/2/picture.png").body.startswith(PNG)
    assert [light["hfd_px"] for light in kept.ask("/api/v1/lights?last=2").json] == [5.0, 4.0]
    night = read(NightSoFar, kept.ask("/api/v1/night"))
    assert [refocus.position for refocus in night.refocuses] == [1301, 1302, 1303]
    assert [hfd_px for _, hfd_px in night.lights] == [3.0, 4.0, 5.0]
    assert {value for _, value in night.temperature} == {4.0, 5.0}


def test_a_run_that_has_just_ended_is_there_at_once(kept: Page) -> None:
    assert len(kept.ask("/api/v1/night").json["refocuses"]) == 3
    with kept.runs.follow("asap"), RunStore(kept.directory) as store:
        store.save(result(9), trigger="asap")
        kept.runs.take(RunEnded(result=result(9)))
    assert len(kept.ask("/api/v1/night").json["refocuses"]) == 4
    assert kept.ask("/api/v1/runs?last=1").json[0]["trigger"] == "asap"


def test_what_was_noted_is_drawn_and_history_before_it(kept: Page) -> None:
    begin = now() - timedelta(minutes=2)
    kept.curves.note(begin, temperature_c=3.5, position=1310, expected_position=1311.5)
    night = kept.ask("/api/v1/night").json
    assert night["position"][-1] == [pytest.approx(begin.timestamp()), 1310.0]
    assert [position for _, position in night["position"][:-1]] == [1301.0, 1302.0, 1303.0]
    assert night["model"] == [[pytest.approx(begin.timestamp()), 1311.5]]


def test_the_last_frame_is_shown(page: Page) -> None:
    frame = MeasuredFrame(
        number=7,
        at=now(),
        width=640,
        height=480,
        stars=12,
        hfd_px=2.5,
        metric="hfd",
        value=2.5,
        unit="px",
    )
    page.picture = Picture(png=PNG, frame=frame)
    assert read(MeasuredFrame, page.ask("/api/v1/frame")) == frame
    reply = page.ask("/api/v1/frame.png?number=7")
    assert (reply.body, reply.headers["content-type"]) == (PNG, "image/png")


def test_meters_and_probes(page: Page) -> None:
    text = page.ask("/metrics").body.decode()
    assert 'alpaca_focus_runs_total{outcome="focused"} 0.0' in text
    assert "alpaca_focus_devices_connected 0.0" in text
    assert "process_resident_memory_bytes" in text
    assert page.ask("/healthz").status == 200
    reply = page.ask("/readyz")
    assert reply.status == 503
    assert reply.json["error"].startswith("The devices are not connected.")


def test_it_is_ready_when_every_device_answers(page: Page) -> None:
    def device(kind: str, *, answers: bool) -> PolledDevice:
        return PolledDevice(kind=kind, name=f"{kind} 0", server="10.0.0.1:11111", answers=answers)

    page.feed.publish("status", a_status(devices=(device("camera", answers=True), device("mount", answers=True))))
    assert page.ask("/readyz").status == 200
    page.feed.publish("status", a_status(devices=(device("camera", answers=True), device("mount", answers=False))))
    reply = page.ask("/readyz")
    assert (reply.status, reply.json["error"]) == (503, "Not ready. Mount 0 does not answer.")
    page.feed.publish("status", a_status(devices=(device("camera", answers=False), device("mount", answers=False))))
    assert page.ask("/readyz").json["error"] == "Not ready. No device of Alpaca server 10.0.0.1:11111 answers."


# Commands


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_carried_out(name: str, page: Page) -> None:
    reply = page.command(name, COMMANDS[name])
    assert (reply.status, set(reply.json)) == (200, {"said"})
    ((command, arguments),) = page.commands
    assert command == {"flip": "tell"}.get(name, name)
    assert arguments == ({"what": "flip"} if name == "flip" else COMMANDS[name] or arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_refusal_is_a_sentence(name: str, page: Page) -> None:
    page.refuses = "It cannot be done: the mount is parked."
    reply = page.command(name, COMMANDS[name])
    assert (reply.status, reply.json) == (409, {"error": page.refuses})


def test_an_exposure_that_has_to_wait_is_told_so(page: Page) -> None:
    page.waits_for = "a focus run"
    reply = page.command("exposure", COMMANDS["exposure"])
    assert (reply.status, reply.json["error"]) == (
        409,
        "The daemon is busy until a focus run has ended. Try again in a moment.",
    )


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("refocus", b'{"if_due": "yes"}'),
        ("refocus", b"[]"),
        ("refocus", b"{"),
        ("refocus", b"\xff"),
        ("compensation", b""),
        ("compensation", b"{}"),
        ("compensation", b'{"enabled": 1}'),
        ("compensation", b'{"enabled": true, "also": 1}'),
        ("exposure", b'{"what": "pause"}'),
        ("exposure", b'{"what": "begin", "seconds": -1}'),
        ("exposure", b'{"what": "begin", "seconds": NaN}'),
        ("exposure", b'{"what": "begin", "seconds": 1e999}'),
        ("filter", b'{"name": ""}'),
        ("filter", b'{"name": null}'),
        ("tell", b'{"what": "image", "hfd_px": "2"}'),
    ],
)
def test_nonsense_is_refused_in_a_sentence(name: str, body: bytes, page: Page) -> None:
    reply = page.ask(f"/api/v1/{name}", method="POST", body=body, headers=JSON)
    assert reply.status == 422
    assert reply.json["error"].startswith("The request is malformed: ")
    assert page.commands == []


@pytest.mark.parametrize("path", ["runs/0", "runs/-1", "runs/one", "runs?last=0", "runs?last=501", "log?last=x"])
def test_nonsense_that_is_asked_is_refused(path: str, page: Page) -> None:
    reply = page.ask(f"/api/v1/{path}")
    assert (reply.status, set(reply.json)) == (422, {"error"})


# Who may do what


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(("token", "status"), [(None, 401), ("wrong", 401), (TOKEN, 200)])
def test_from_elsewhere_every_command_needs_the_token(name: str, token: str | None, status: int, page: Page) -> None:
    headers = {"X_Forwarded_For": ELSEWHERE} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    reply = page.command(name, COMMANDS[name], **headers)
    assert reply.status == status
    assert len(page.commands) == (status == 200)
    assert TOKEN not in reply.body.decode()
    if status == 401:
        assert reply.headers["www-authenticate"] == "Bearer"


def test_without_a_token_nobody_else_commands(tmp_path: Path) -> None:
    with Page(tmp_path, replace(RULES, token=None)).served() as page:
        reply = page.command("pause", None, X_Forwarded_For=ELSEWHERE, Authorization="Bearer ")
        assert (reply.status, page.commands) == (403, [])
        assert "web.token" in reply.json["error"]


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/status", "/api/v1/events", "/metrics", "/healthz", "/static/robots.txt"]
)
def test_other_networks_see_nothing(path: str, page: Page) -> None:
    reply = page.ask(path, headers={"X-Forwarded-For": "203.0.113.9"})
    assert (reply.status, set(reply.json)) == (403, {"error"})
    assert page.ask("/static/robots.txt", headers={"X-Forwarded-For": ELSEWHERE}).status == 200


@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/static/robots.txt", "/metrics", "/nowhere"])
def test_under_a_name_of_somebody_else_nothing_is_shown(path: str, page: Page) -> None:
    assert page.ask(path, headers={"Host": "attacker.example"}).status == 403
    assert page.ask(path, headers={"Host": "observatory:11180"}).status != 403


def test_pages_of_somebody_else_do_not_command(page: Page) -> None:
    assert page.command("abort", None, Origin="http://attacker.example").status == 403
    assert page.command("abort", {}, Origin=f"http://127.0.0.1:{page.port}").status == 200
    form = {"Content-Type": "text/plain", "Origin": f"http://127.0.0.1:{page.port}"}
    assert page.ask("/api/v1/abort", method="POST", body=b"{}", headers=form).status == 415
    assert len(page.commands) == 1


@pytest.mark.parametrize(
    "path", [*(f"/api/v1/{path}" for path in LOOKS), "/", "/static/robots.txt", "/nowhere", "/openapi.json", "/metrics"]
)
def test_no_page_frames_this_one_nor_guesses_what_it_is(path: str, page: Page) -> None:
    for headers in ({}, {"Host": "attacker.example"}):
        reply = page.ask(path, headers=headers)
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["x-content-type-options"] == "nosniff"
        policy = reply.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "access-control-allow-origin" not in reply.headers


def test_there_is_no_page_that_loads_from_elsewhere(page: Page) -> None:
    for path in ("/docs", "/redoc", "/api/v1/docs"):
        assert page.ask(path).status == 404


# Sizes


def test_a_body_is_bounded(page: Page) -> None:
    long = b'{"name": "%s"}' % (b"x" * 70_000)
    reply = page.ask("/api/v1/filter", method="POST", body=long, headers=JSON)
    assert (reply.status, set(reply.json)) == (413, {"error"})
    assert page.commands == []


@pytest.mark.parametrize("length", ["99999999999999", "-1", "1e3", "0x10"])
def test_a_body_that_is_told_to_be_long_is_not_waited_for(length: str, page: Page) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as line:
        line.sendall(
            b"POST /api/v1/filter HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %s\r\n\r\n{" % length.encode()
        )
        assert re.match(rb"HTTP/1.1 4(13|00) ", line.recv(65536))
    assert page.commands == []


def test_a_body_in_pieces_is_bounded_too(page: Page) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as line:
        line.sendall(
            b"POST /api/v1/filter HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        reply = b""
        try:
            for _ in range(200):
                line.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
            reply = line.recv(65536)
        except ConnectionError:
            pass
    assert not reply or reply.startswith(b"HTTP/1.1 413 ")
    assert page.commands == []
    assert page.ask("/healthz").status == 200


@pytest.mark.parametrize("part", [b"GET /" + b"x" * 300_000, b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000])
def test_a_head_without_end_is_hung_up_on(part: bytes, page: Page) -> None:
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as line:
        try:
            line.sendall(part)
            assert line.recv(65536) == b""
        except ConnectionError:
            pass
    assert page.ask("/healthz").status == 200


# Files


@pytest.mark.parametrize(
    "path",
    [
        "/static/../pages.py",
        "/static/..%2fpages.py",
        "/static/%2e%2e/pages.py",
        "/static/%2e%2e%2fpages.py",
        "/static/..%5cpages.py",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/./../../settings/models.py",
        "/static/robots.txt/../../pages.py",
        "/static/robots.txt%00.png",
        "/static/....//pages.py",
        "/static/",
        "/static/nothing",
        "/static/" + "x/" * 3000,
        "//static/../../pages.py",
        "/../../../../etc/passwd",
    ],
)
def test_no_path_leads_outside(path: str, page: Page) -> None:
    reply = page.ask(path)
    assert reply.status == 404
    assert set(reply.json) == {"error"}


def test_files_are_kept_by_a_browser_until_they_change(page: Page) -> None:
    first = page.ask("/static/robots.txt")
    assert first.status == 200
    assert first.headers["cache-control"] == "no-cache"
    again = page.ask("/static/robots.txt", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert page.ask("/api/v1/status").headers["cache-control"] == "no-store"


def test_the_files_are_in_the_wheel(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=root, check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {f"alpaca_focus/web/static/{path.relative_to(STATIC)}" for path in STATIC.rglob("*") if path.is_file()}
    assert expected
    assert expected <= names


# Live


def test_a_dashboard_gets_what_is_there_and_then_what_happens(page: Page) -> None:
    page.feed.publish("status", {"looks": 1})
    with Listener(page.port) as listener:
        assert listener.response.headers["Content-Type"].startswith("text/event-stream")
        listener.wait_for(1)
        assert page.night.viewers.count == 1
        page.feed.publish("run", {"active": True})
        events = listener.wait_for(2)
    assert [(topic, data) for topic, _, data in events] == [("status", {"looks": 1}), ("run", {"active": True})]


def test_a_dashboard_that_was_away_goes_on_where_it_was(page: Page) -> None:
    for number in range(5):
        page.feed.publish("log", {"event": str(number)})
    known = page.feed.log()[2].number
    with Listener(page.port, last_event_id=str(known)) as listener:
        events = listener.wait_for(2)
    assert [data["event"] for _, _, data in events] == ["3", "4"]


def test_a_dashboard_of_an_earlier_start_begins_anew(page: Page) -> None:
    page.feed.publish("status", {"looks": 1})
    with Listener(page.port, last_event_id="12") as listener:
        assert listener.wait_for(1)[0][2] == {"looks": 1}


def test_those_who_leave_are_forgotten_and_there_is_an_end_to_them(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.web.pages.MOST_VIEWERS", 2)
    page.feed.publish("status", {"looks": 1})
    with Listener(page.port) as first, Listener(page.port) as second:
        first.wait_for(1)
        second.wait_for(1)
        assert page.ask("/api/v1/events").status == 503
        second.close()
        while page.night.viewers.count > 1:
            page.feed.publish("status", {"looks": 2})
        with Listener(page.port) as third:
            third.wait_for(1)
    while page.night.viewers.count or page.feed._subscriptions:
        page.feed.publish("status", {"looks": 3})


def test_a_dashboard_that_does_not_read_harms_nobody(page: Page) -> None:
    page.feed.publish("status", {"looks": 0})
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as sleeper, Listener(page.port) as listener:
        sleeper.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        listener.wait_for(1)
        while page.night.viewers.count < 2:
            pass
        filling = "x" * 10_000
        for number in range(1, 3001):
            page.feed.publish("status", {"looks": number, "filling": filling})
            if number % LONGEST_QUEUE == 0:
                listener.wait_until(lambda data, number=number: data.get("looks") == number)
        assert [data for topic, _, data in listener.events if topic == "gap"] == []
        received = b""
        while b"event: gap" not in received:
            received += sleeper.recv(1_000_000)
    assert len(received) < 3000 * len(filling)
    while page.night.viewers.count:
        page.feed.publish("status", {"looks": 0})


def test_a_stop_does_not_wait_for_dashboards(tmp_path: Path) -> None:
    page = Page(tmp_path)
    with page.served():
        page.feed.publish("status", {"looks": 1})
        listener = Listener(page.port)
        listener.__enter__()
        listener.wait_for(1)
    listener.close()
    assert page.night.viewers.count == 0


# What goes wrong


def test_a_daemon_that_hangs_is_not_alive(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.web.pages.ANSWER_TIMEOUT_S", 0.05)
    page.hangs = True
    reply = page.ask("/healthz")
    assert (reply.status, set(reply.json)) == (503, {"error"})


def test_a_mistake_of_the_program_is_a_sentence_without_details(page: Page) -> None:
    page.breaks = True
    reply = page.command("pause")
    assert (reply.status, reply.json) == (500, {"error": "Internal error of the program. See the log for details."})
    assert reply.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", ["runs", "lights", "night", "runs/1", "runs/1/picture.png"])
def test_a_damaged_history_is_told(path: str, page: Page) -> None:
    (page.directory / FILE_NAME).write_bytes(b"no database" * 1000)
    reply = page.ask(f"/api/v1/{path}")
    assert (reply.status, set(reply.json)) == (409, {"error"})
    assert "history" in reply.json["error"]


def test_a_command_that_does_not_come_to_its_end_is_not_waited_for(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.web.guard.BODY_TIMEOUT_S", 0.05)
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as line:
        line.sendall(
            b"POST /api/v1/filter HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"name'
        )
        assert line.recv(65536).startswith(b"HTTP/1.1 408 ")
    assert page.commands == []


# The description


def test_the_description_tells_every_address_and_what_may_go_wrong(page: Page) -> None:
    described = page.ask("/openapi.json").json
    assert described == json.loads(json.dumps(unguarded(page.night).openapi()))
    paths = described["paths"]
    for name in COMMANDS:
        assert set(paths[f"/api/v1/{name}"]["post"]["responses"]) >= {"200", "401", "403", "409", "413", "422"}
    text = json.dumps(described)
    assert TOKEN not in text
    assert "HTTPValidationError" not in text
    for path in LOOKS:
        assert re.sub(r"/1\b", "/{number}", f"/api/v1/{path}".partition("?")[0]) in paths


def test_another_method_is_refused(page: Page) -> None:
    for method, path in (("POST", "/api/v1/status"), ("DELETE", "/api/v1/runs/1"), ("GET", "/api/v1/pause")):
        reply = page.ask(path, method=method, headers=JSON)
        assert (reply.status, set(reply.json)) == (405, {"error"})
        assert reply.headers["allow"]
    assert ask(page.port, "/api/v1/status", method="OPTIONS").status == 405


def test_the_files_of_the_page_come_packed_and_the_events_do_not(page: Page) -> None:
    packed = {"Accept-Encoding": "gzip"}
    whole, small = page.ask("/static/app.js"), page.ask("/static/app.js", headers=packed)
    assert small.headers["content-encoding"] == "gzip"
    assert gzip.decompress(small.body) == whole.body
    assert len(small.body) < len(whole.body) / 2
    assert "content-encoding" not in page.ask("/api/v1/status", headers=packed).headers
