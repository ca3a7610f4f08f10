"""The JSON of the status, of runs and of what else is published: byte for byte what other programs read."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from alpaca_focus.core.events import CurveFitted, FrameMeasured, Moved, RunEnded, RunStarted
from alpaca_focus.core.night.compensation import Compensated
from alpaca_focus.core.night.decisions import Decision
from alpaca_focus.core.night.focuser_watch import FocuserWatch, PositionJump
from alpaca_focus.core.night.notices import Kind, Notice
from alpaca_focus.core.night.outlier_filter import OutlierFilter, Window
from alpaca_focus.core.night.state import ADVICE, Baseline, GapMonitor, History, NightState, Plan, Snapshot
from alpaca_focus.core.status import GatewayStatus, LastRun, PolledDevice, Status, Verdict, as_json
from alpaca_focus.core.values import Fit, FocusResult, Frame, Light, Measurement, Outcome, Sample
from alpaca_focus.daemon.notifications import Notifications
from alpaca_focus.daemon.status_publisher import StatusPublisher
from alpaca_focus.feed.feed import Feed
from alpaca_focus.gateway.service import Gateway
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.notify.home_assistant import state_of
from alpaca_focus.service.control_wire import json_line
from alpaca_focus.store.learned_model import LearnedModel
from alpaca_focus.web.events import encoded_entry
from tests.fakes import FakeClock

AT = datetime(2026, 1, 15, 22, 41, 7, 250000, tzinfo=UTC)
WAITING = '{"state":"waiting for the devices","why":"Nothing answers at 127.0.0.1:1."}'
NOTHING_YET = (
    '{"state":"watching","looks":0,"paused":false,"plan":"unknown","due":[],"blocked_by":[],"triggers":[],'
    '"exposing":false,"silent":[],"position":25000,"expected_position":null,"devices":[],"ages_s":{},"headline":"",'
    '"temperature_c":null,"temperature_trouble":"","filter":null,'
    '"altitude_deg":null,"sun_altitude_deg":null,"last_focus":null,"since_s":0.0,"images":0,"compensation":'
    '{"moved_steps":0,"carried_steps":0.0,"stopped":"","enabled":false,"switched_off":false},"gateway":null,'
    '"advice":"","failures":0,"hold_s":0.0,"ignored":{},"runs_ended":0,"last_run":null}'
)
EVERYTHING = (
    '{"state":"a compensation move","looks":812,"paused":true,"plan":"light","due":["12 images: größer"],'
    '"blocked_by":["paused","exposure running"],"triggers":['
    '{"trigger":"images","due":true,"state":"[12/12]","reason":"12 images: größer"},'
    '{"trigger":"temperature","due":false,"state":"[-0.4 #01*]","reason":""}],"exposing":true,'
    '"silent":["mount 0"],"position":24975,"expected_position":null,"devices":[{"kind":"focuser","name":"focuser 0",'
    '"server":"127.0.0.1:1","answers":true,"age_s":1.5,"why":""},{"kind":"mount","name":"mount 0",'
    '"server":"127.0.0.1:1","answers":false,"age_s":35.0,"why":"No answer."}],"ages_s":{"altitude_deg":35.0},'
    '"headline":"","temperature_c":3.875,'
    '"temperature_trouble":"the temperature jumped","filter":"Ha","altitude_deg":60.5,"sun_altitude_deg":-33.5,'
    '"last_focus":{"at":"2026-01-15T22:41:07.250000+00:00","position":24987,"trigger":"time","metric":"hfd",'
    '"value":2.514,"temperature_c":4.25,"altitude_deg":61.0,"filter_name":"Ha","stderr_steps":3.125},'
    '"since_s":754.5,"images":12,"compensation":{"moved_steps":-12,"carried_steps":-0.5,'
    '"stopped":"It has come to most_steps.","enabled":true,"switched_off":false},"gateway":'
    '{"address":"127.0.0.1:11112","waits":true,"taken":true,"interrupted":false,"images":7},"advice":'
    f"{json.dumps(ADVICE)},"
    '"failures":2,"hold_s":1199.5,"ignored":{"exposure running":3,"not safe":1},"runs_ended":4,"last_run":'
    '{"outcome":"restored","reason":"The stars are gone."}}'
)
EMPTY_MQTT = (
    '{"telescope": "Big Dob", "state": "watching", "headline": "", "temperature": null, "position": 25000, '
    '"expected_position": null, "hfd": null, "minutes": null, "focused_at": null, "due": "nothing", '
    '"blocked_by": [], "waits_for": "", "silent": [], "result": "nothing", "reason": "", "paused": false, '
    '"compensation": false, "daemon": "0123abcd"}'
)
FULL_MQTT = (
    '{"telescope": "Big Dob", "state": "a compensation move", "headline": "", "temperature": 3.88, "position": 24975, '
    '"expected_position": null, "hfd": 2.51, "minutes": 12, '
    '"focused_at": "2026-01-15T22:41:07.250000+00:00", "due": "12 images: größer", '
    '"blocked_by": ["paused", "exposure running"], "waits_for": "", "silent": ["mount 0"], "result": "restored", '
    '"reason": "The stars are gone.", "paused": true, "compensation": true, "daemon": "0123abcd"}'
)
WAITING_MQTT = (
    '{"telescope": "Big Dob", "state": "waiting for the devices", "headline": "", "temperature": null, '
    '"position": null, "expected_position": null, "hfd": 3.46, "minutes": null, "focused_at": null, '
    '"due": "nothing", "blocked_by": [], '
    '"waits_for": "Nothing answers at 127.0.0.1:1.", "silent": [], "result": "nothing", "reason": "", '
    '"paused": false, "compensation": false, "daemon": "0123abcd"}'
)
NEW_RUN = (
    '{"active":true,"number":null,"trigger":"time","started_at":"2026-01-15T22:41:07.250000+00:00",'
    '"start_position":null,"position":null,"unit":"","metric":"","samples":[],"fit":null,"final_position":null,'
    '"outcome":"","reason":""}'
)
ENDED_RUN = (
    '{"active":false,"number":7,"trigger":"time","started_at":"2026-01-15T22:41:07.250000+00:00",'
    '"start_position":980,"position":1001,"unit":"px","metric":"hfd","samples":['
    '{"position":900,"value":3.5,"stderr":0.125,"purpose":"sweep","usable":true,"reason":"","stars":20},'
    '{"position":1100,"value":null,"stderr":null,"purpose":"verify","usable":false,"reason":"no stars found",'
    '"stars":0}],"fit":{"model":"hyperbola","best_position":1000.5,"stderr_steps":null,"best_value":2.5,"curve":'
    "CURVE},"
    '"final_position":1001,"outcome":"focused","reason":"Focused."}'
)
LIGHT = (
    '{"at":"2026-01-15T22:41:07.250000+00:00","hfd_px":3.456,"position":25000,"filter_name":null,"temperature_c":4.5}'
)
FRAME = (
    '{"number":1,"at":"2026-01-15T22:41:07.250000+00:00","width":30,"height":20,"stars":20,"hfd_px":3.5,'
    '"metric":"hfd","value":3.5,"unit":"px"}'
)
NOTICE = (
    '{"at":"2026-01-15T22:41:07.250000Z","kind":"night_report","title":"The night of 14 January",'
    '"text":"All is well.","about":"","run":null,"file":"2026-01-14.html","is_repeat":false}'
)
FULL_HISTORY = History(
    baseline=Baseline(
        at=AT,
        position=24987,
        trigger="time",
        metric="hfd",
        value=2.514,
        temperature_c=4.25,
        altitude_deg=61.0,
        filter_name="Ha",
        stderr_steps=3.125,
    ),
    altitude_deg=60.5,
    since_s=754.5,
    images=12,
    followed=Window(mean_c=3.875),
    outliers=OutlierFilter(rejection="the temperature jumped"),
    filter_name="Ha",
    failures=2,
    hold_s=1199.5,
    ignored={"exposure running": 3, "not safe": 1},
    gaps=GapMonitor(advised_s=60.0),
    focuser=FocuserWatch(read=24975),
)


def sample(position: int, value: float | None, purpose: str) -> Sample:
    usable = value is not None
    measurement = Measurement(
        metric="hfd",
        value=math.nan if value is None else value,
        stderr=0.125 if usable else math.nan,
        star_count=20 if usable else 0,
        usable=usable,
        reason="" if usable else "no stars found",
    )
    return Sample(position=position, measurement=measurement, purpose=purpose)


def scheduler(state: NightState, **changes: Any) -> RefocusScheduler:
    usual = {
        "state": state,
        "decision": None,
        "snapshot": None,
        "doing": "",
        "progress": 0,
        "requests": SimpleNamespace(can_compensate=False),
        "outcomes": SimpleNamespace(last_run=None, runs_ended=0),
        "devices": (),
    }
    return cast("RefocusScheduler", SimpleNamespace(**usual | changes))


def busy() -> RefocusScheduler:
    verdicts = (
        Verdict(trigger="images", due=True, state="[12/12]", reason="12 images: größer"),
        Verdict(trigger="temperature", due=False, state="[-0.4 #01*]"),
    )
    return scheduler(
        NightState(
            history=FULL_HISTORY,
            compensated=Compensated(wanted_steps=-12.5, moved_steps=-12, stopped="It has come to most_steps."),
            plan=Plan.LIGHT,
            paused=True,
        ),
        decision=Decision(verdicts=verdicts, blocked_by=("paused", "exposure running")),
        snapshot=Snapshot(at=AT, exposing=True, sun_altitude_deg=-33.5, silent=("mount 0",)),
        devices=(
            PolledDevice(kind="focuser", name="focuser 0", server="127.0.0.1:1", age_s=1.5),
            PolledDevice(
                kind="mount", name="mount 0", server="127.0.0.1:1", answers=False, age_s=35.0, why="No answer."
            ),
        ),
        doing="a compensation move",
        progress=812,
        requests=SimpleNamespace(can_compensate=True),
        outcomes=SimpleNamespace(last_run=LastRun(outcome="restored", reason="The stars are gone."), runs_ended=4),
    )


class Published:
    """A night that is published, as the daemon publishes it."""

    def __init__(self) -> None:
        self.publisher = StatusPublisher(FakeClock())

    def begin(self, some: RefocusScheduler, gateway: GatewayStatus | None = None) -> None:
        shown = None if gateway is None else SimpleNamespace(status=lambda: gateway)
        self.publisher.begin(some, cast("LearnedModel", None), cast("Gateway | None", shown), stood_at=25000)

    def rest(self, topic: str = "status") -> str:
        return encoded_entry(self.publisher.feed.latest[topic]).decode()

    def all_of_the_status(self, mqtt_hfd_px: float | None) -> tuple[str, str, str]:
        """Return the status by REST, through the control socket and by MQTT."""
        self.publisher.publish()
        status = self.publisher.status()
        state = state_of(status, mqtt_hfd_px, telescope="Big Dob", daemon="0123abcd")
        return self.rest(), json_line(as_json(status)).decode(), json.dumps(as_json(state), ensure_ascii=False)


def on_the_socket(rest: str) -> str:
    return json.dumps(json.loads(rest)) + "\n"


def test_while_the_devices_are_waited_for() -> None:
    night = Published()
    night.publisher.waits_for = "Nothing answers at 127.0.0.1:1."
    assert night.all_of_the_status(3.456) == (WAITING, on_the_socket(WAITING), WAITING_MQTT)


def test_when_nothing_has_happened_yet() -> None:
    night = Published()
    night.begin(scheduler(NightState()))
    assert night.all_of_the_status(None) == (NOTHING_YET, on_the_socket(NOTHING_YET), EMPTY_MQTT)


def test_when_everything_is_known() -> None:
    night = Published()
    night.begin(busy(), GatewayStatus(address="127.0.0.1:11112", waits=True, taken=True, interrupted=False, images=7))
    assert night.all_of_the_status(None) == (EVERYTHING, on_the_socket(EVERYTHING), FULL_MQTT)


def test_a_focuser_that_is_elsewhere_is_shown_where_it_is() -> None:
    jump = PositionJump(expected=24920, found=26000)
    watch = FocuserWatch(read=26000, differs=True, jump=jump)
    night = Published()
    state = NightState(history=replace(FULL_HISTORY, focuser=watch), expected_position=24920)
    requests = SimpleNamespace(can_compensate=True)
    night.begin(scheduler(state, snapshot=Snapshot(at=AT), requests=requests))
    status = night.publisher.status()
    assert isinstance(status, Status)
    assert (status.position, status.expected_position) == (26000, 24920)
    assert "waits for a refocus" in status.compensation.stopped
    mqtt = state_of(status, None, telescope="Big Dob", daemon="0123abcd")
    assert (mqtt.position, mqtt.expected_position) == (26000, 24920)


def test_a_focuser_that_died_in_a_run_is_shown_where_it_was_left_and_not_where_it_began() -> None:
    night = Published()
    dead = PolledDevice(kind="focuser", name="focuser 0", server="127.0.0.1:1", answers=False, age_s=40.0, why="Gone.")
    watch = FocuserWatch(read=24920)
    state = NightState(history=replace(FULL_HISTORY, focuser=watch), expected_position=24920)
    night.begin(scheduler(state, snapshot=Snapshot(at=AT, away=True), devices=(dead,)))
    status = night.publisher.status()
    assert isinstance(status, Status)
    # It may have died on its way to the first position.
    assert (status.position, status.expected_position) == (25000, 24920)
    night.publisher.take(Moved(position=25300, target=25300))
    status = night.publisher.status()
    assert isinstance(status, Status)
    ages_s = {"position": 40.0, "temperature_c": 40.0}
    assert (status.position, status.expected_position, status.ages_s) == (25300, 24920, ages_s)
    assert status.headline == "Focuser out of focus: focuser 0 does not answer; it belongs at 24920"
    assert status.silent == ("focuser 0",)


def test_a_last_focus_of_which_little_is_known() -> None:
    night = Published()
    night.begin(scheduler(NightState(history=History(baseline=Baseline(at=AT, position=24987)))))
    night.publisher.publish()
    assert json.loads(night.rest())["last_focus"] == {
        "at": "2026-01-15T22:41:07.250000+00:00",
        "position": 24987,
        "trigger": "",
        "metric": "",
        "value": None,
        "temperature_c": None,
        "altitude_deg": None,
        "filter_name": None,
        "stderr_steps": 0.0,
    }


def test_a_focus_run() -> None:
    fit = Fit(
        model="hyperbola",
        best_position=1000.5,
        best_position_stderr=math.inf,
        best_value=2.5,
        parameters={"slope": 0.03},
        r_squared=1.0,
        residuals=(0.0,),
    )
    samples = (sample(900, 3.5, "sweep"), sample(1100, None, "verify"))
    result = FocusResult(
        outcome=Outcome.FOCUSED,
        reason="Focused.",
        start_position=980,
        final_position=1001,
        fit=fit,
        samples=samples,
        verification=samples[1],
        started_at=AT,
        duration_s=60.0,
        exposures=2,
    )
    night = Published()
    publisher = night.publisher
    publisher.runs._wall = lambda: AT
    with publisher.runs.follow("time", number=7):
        assert night.rest("run") == NEW_RUN
        publisher.take(RunStarted(start_position=980))
        for each in samples:
            publisher.take(Moved(position=each.position, target=each.position))
            publisher.take(FrameMeasured(sample=each))
        publisher.take(CurveFitted(fit=fit))
        curve = json.loads(night.rest("run"))["fit"]["curve"]
        publisher.take(RunEnded(result=result))
    assert len(curve) == 60
    assert [curve[0][0], curve[-1][0]] == [900.0, 1100.0]
    as_text = json.dumps(curve, separators=(",", ":"))
    assert night.rest("run") == ENDED_RUN.replace("CURVE", as_text)


def test_a_light_frame() -> None:
    night = Published()
    night.publisher.publish_light(Light(ended_at=AT, hfd_px=3.456, position=25000, temperature_c=4.5))
    assert night.rest("light") == LIGHT


def test_a_frame_and_its_picture() -> None:
    night = Published()
    preview = night.publisher.preview
    night.publisher.viewers.count = 1
    pixels = np.zeros((20, 30), np.uint16)
    frame = Frame(pixels=pixels, exposure_s=3.0, started_at=AT, binning=1, saturation_adu=65535.0)
    preview.offer(frame, sample(900, 3.5, "sweep").measurement)
    preview.close()
    assert night.rest("frame") == FRAME


def test_a_notice() -> None:
    async def answer(_: object) -> dict[str, object]:
        return {}

    feed = Feed(lambda: AT)
    notice = Notice(
        kind=Kind.NIGHT_REPORT, title="The night of 14 January", text="All is well.", file="/srv/night/2026-01-14.html"
    )
    Notifications(feed, answer, FakeClock()).publish(notice)
    assert encoded_entry(feed.latest["notice"]).decode() == NOTICE
