"""Which notices are sent to people, and how often."""

from dataclasses import replace

import pytest

from alpaca_focus.core.night.notice_log import LOST_AFTER_S, NoticeLog, Situation, new_notices
from alpaca_focus.core.night.notices import EndedRun, Kind, Notice
from alpaca_focus.core.outages import sentences
from alpaca_focus.core.status import PolledDevice

SERVER = "192.168.1.20:11111"
KINDS = ("camera", "focuser", "mount", "thermometer")
REPEATS = (Kind.DEVICE_LOST, Kind.DEVICE_BACK)


def devices(*silent: str, server: str = SERVER) -> tuple[PolledDevice, ...]:
    """Return the devices of one server, of which some are silent."""
    return tuple(
        PolledDevice(kind=kind, name=f"{kind} 0 at {server}", server=server, answers=kind not in silent)
        for kind in KINDS
    )


GONE = Situation(devices=devices("camera"))
DEAD = Situation(devices=devices(*KINDS), temperature_problem="the thermometer reports no temperature")
WELL = Situation(devices=devices())
REPEAT_S = 3600.0


class Night:
    """Polls every ten seconds and collects the notices."""

    def __init__(self) -> None:
        self.watched = NoticeLog()
        self.now_s = 1000.0
        self.known: list[Notice] = []

    def goes_on(self, seen: Situation, for_s: float = 10.0) -> list[Notice]:
        sent: list[Notice] = []
        ends_s = self.now_s + for_s
        while self.now_s < ends_s:
            self.now_s += 10.0
            self.watched, some = new_notices(self.watched, seen, now_s=self.now_s, repeat_s=REPEAT_S)
            self.known += some
            sent += [each for each in some if not each.is_repeat]
            assert all(len(sentences(each.text)) <= 2 for each in some), some
        return sent


def kinds(sent: list[Notice]) -> list[Kind]:
    return [each.kind for each in sent]


def test_a_device_that_misses_a_question_is_not_lost() -> None:
    night = Night()
    assert night.goes_on(GONE, LOST_AFTER_S - 10) == []
    assert night.goes_on(WELL) == []
    assert night.goes_on(GONE, LOST_AFTER_S - 10) == []


def test_a_device_is_lost_once_and_back_once() -> None:
    night = Night()
    (lost,) = night.goes_on(GONE, 3 * REPEAT_S)
    assert (lost.kind, lost.about, lost.title) == (Kind.DEVICE_LOST, SERVER, "Focus is not kept")
    assert lost.text == f"Camera 0 at {SERVER} does not answer. Retrying; check power and cables."
    assert night.goes_on(WELL, LOST_AFTER_S) == []
    (back,) = night.goes_on(WELL, REPEAT_S)
    assert (back.kind, back.title) == (Kind.DEVICE_BACK, "Focus is kept again")
    assert back.text == f"Camera 0 at {SERVER} answers again after 180 min."


def test_a_device_that_comes_and_goes_is_sent_once_a_night_and_is_in_the_report() -> None:
    night = Night()
    sent = []
    for _ in range(10):
        sent += night.goes_on(GONE, 2 * LOST_AFTER_S)
        sent += night.goes_on(WELL, 2 * LOST_AFTER_S)
    assert kinds(sent) == [*REPEATS]
    assert kinds(night.known) == [*REPEATS] * 10


def test_a_second_loss_that_lasts_is_sent() -> None:
    night = Night()
    night.goes_on(GONE, 2 * LOST_AFTER_S)
    night.goes_on(WELL, 2 * LOST_AFTER_S)
    assert night.goes_on(GONE, REPEAT_S - 20) == []
    assert kinds(night.goes_on(GONE, REPEAT_S)) == [Kind.DEVICE_LOST]
    assert kinds(night.goes_on(WELL, 2 * LOST_AFTER_S)) == [Kind.DEVICE_BACK]


def test_the_next_night_is_news_again() -> None:
    night = Night()
    night.goes_on(GONE, 2 * LOST_AFTER_S)
    night.goes_on(WELL, 24 * 3600.0)
    assert kinds(night.goes_on(GONE, 2 * LOST_AFTER_S)) == [Kind.DEVICE_LOST]


def test_the_devices_of_a_dead_server_are_one_failure() -> None:
    night = Night()
    # They are not polled equally often.
    night.goes_on(Situation(devices=devices("camera", "focuser")))
    (lost,) = night.goes_on(DEAD, REPEAT_S)
    assert lost.text == f"No device of Alpaca server {SERVER} answers. Retrying; check power and cables."
    assert lost.title == "Focus is not kept"
    night.goes_on(Situation(devices=devices("mount")))
    (back,) = night.goes_on(WELL, REPEAT_S)
    assert back.text == f"All devices of Alpaca server {SERVER} answer again after 60 min."


def test_two_servers_are_two_failures() -> None:
    night = Night()
    other = devices("camera", server="192.168.1.21:11111")
    lost = night.goes_on(Situation(devices=devices("focuser") + other), REPEAT_S)
    assert {each.about for each in lost} == {SERVER, "192.168.1.21:11111"}


def test_a_run_that_fails_with_a_server_is_part_of_its_loss() -> None:
    night = Night()
    night.goes_on(WELL)
    run = EndedRun(outcome="stranded", reason="Nothing answers. Move it there by hand.", number=2)
    ended = replace(WELL, runs_ended=1, run=run)
    assert night.goes_on(ended) == []
    dead = replace(DEAD, runs_ended=1, run=run, belongs_at=24920)
    (lost,) = night.goes_on(dead, REPEAT_S)
    assert (lost.kind, lost.title, lost.run) == (Kind.FOCUSER_STRANDED, "Focuser out of focus", 2)
    assert lost.text == (
        f"All devices of Alpaca server {SERVER} stopped answering during run 2. The focuser belongs at 24920; "
        "it is moved there when it answers."
    )
    # It answers, and is still on its way.
    assert night.goes_on(replace(ended, belongs_at=24920), REPEAT_S) == []
    problem = "the focuser is back at 24920 after a focus run that was cut off"
    (back,) = night.goes_on(replace(ended, position_problem=problem), REPEAT_S)
    assert back.title == "Focus unverified"
    assert back.text.endswith(" The focuser is back at 24920 after a focus run that was cut off; a refocus follows.")
    # The same again is no news.
    again = {"runs_ended": 2, "run": replace(run, number=3)}
    assert night.goes_on(replace(ended, **again)) == []
    assert night.goes_on(replace(dead, **again), 3 * LOST_AFTER_S) == []
    assert night.goes_on(replace(ended, position_problem=problem, **again), REPEAT_S) == []
    # Not even if it is short.
    again = {"runs_ended": 3, "run": replace(run, number=4)}
    night.goes_on(replace(ended, **again))
    night.goes_on(replace(dead, **again))
    assert night.goes_on(replace(ended, **again), REPEAT_S) == []
    assert kinds(night.known)[-1] is Kind.FOCUSER_STRANDED


def test_a_run_that_fails_with_a_short_outage_is_one_failure() -> None:
    night = Night()
    night.goes_on(WELL)
    run = EndedRun(outcome="stranded", reason="Nothing answers. Move it there by hand.", number=2)
    night.goes_on(replace(DEAD, runs_ended=1, run=run, belongs_at=24920), LOST_AFTER_S / 2)
    back = replace(WELL, runs_ended=1, run=run, position_problem="the focuser is back at 24920")
    (notice,) = night.goes_on(back, REPEAT_S)
    assert notice.text == "The focuser is back at 24920. A refocus follows as soon as one is possible."


def test_devices_that_are_connected_anew_are_no_second_failure() -> None:
    night = Night()
    assert len(night.goes_on(DEAD, 2 * LOST_AFTER_S)) == 1
    assert night.goes_on(Situation(waits_for="Nothing answers. Is it on?"), REPEAT_S) == []
    assert kinds(night.goes_on(WELL, 3 * LOST_AFTER_S)) == [Kind.DEVICE_BACK]


def test_devices_that_were_never_there_are_lost() -> None:
    night = Night()
    (lost,) = night.goes_on(Situation(waits_for="Nothing answers. Is it on?"), REPEAT_S)
    assert (lost.title, lost.text) == ("Focus is not kept", "Nothing answers. Retrying; check power and cables.")
    (back,) = night.goes_on(WELL, 3 * LOST_AFTER_S)
    assert back.text == "All devices are connected after 60 min."


@pytest.mark.parametrize(("kind", "title"), [("thermometer", "Temperature unknown"), ("mount", "Focus is not kept")])
def test_the_state_comes_first(kind: str, title: str) -> None:
    (lost,) = Night().goes_on(Situation(devices=devices(kind)), REPEAT_S)
    assert lost.title == title


def test_nobody_is_woken_for_devices_that_are_off_by_day() -> None:
    night = Night()
    assert night.goes_on(replace(GONE, daylight=True), REPEAT_S) == []
    assert kinds(night.goes_on(GONE)) == [Kind.DEVICE_LOST]


def test_a_temperature_that_is_not_believed_is_a_lost_sensor() -> None:
    night = Night()
    (lost,) = night.goes_on(Situation(temperature_problem="the thermometer reports no temperature"), 2 * LOST_AFTER_S)
    assert lost.kind is Kind.SENSOR_LOST
    assert "the thermometer reports no temperature" in lost.text
    (back,) = night.goes_on(WELL, 2 * LOST_AFTER_S)
    assert (back.kind, back.title) == (Kind.DEVICE_BACK, "Temperature known again")


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (EndedRun(outcome="focused", reason="Focused."), None),
        (EndedRun(outcome="focused", reason="Focused.", doubtful=True), Kind.DEGRADED),
        (EndedRun(outcome="restored", reason="No stars."), Kind.FOCUS_FAILED),
        (EndedRun(outcome="restored", reason="Worse.", was_worse=True), Kind.DEGRADED),
        (EndedRun(outcome="failed", reason="No camera."), Kind.FOCUS_FAILED),
        (EndedRun(outcome="stranded", reason="It stalls."), Kind.FOCUSER_STRANDED),
        (EndedRun(outcome="aborted", reason="Aborted."), None),
        (EndedRun(outcome="cut off", reason="Cut off."), None),
    ],
)
def test_the_outcome_of_a_run_is_sent_once(run: EndedRun, kind: Kind | None) -> None:
    night = Night()
    night.goes_on(WELL)
    sent = night.goes_on(Situation(runs_ended=1, run=replace(run, number=7)), 2 * LOST_AFTER_S)
    assert kinds(sent) == ([] if kind is None else [kind])
    assert all((each.text, each.run) == (run.reason, 7) for each in sent)


def test_a_position_that_needs_a_refocus_is_sent_once_and_not_by_day() -> None:
    night = Night()
    night.goes_on(WELL)
    jumped = Situation(position_problem="the focuser is at 26000 instead of 24920, moved by others")
    (notice,) = night.goes_on(jumped)
    assert (notice.kind, notice.text) == (
        Kind.DEGRADED,
        "The focuser is at 26000 instead of 24920, moved by others. A refocus follows as soon as one is possible.",
    )
    assert night.goes_on(jumped, 60.0) == []
    back = Situation(position_problem="the focuser is back at 24920 after a focus run that was cut off")
    assert night.goes_on(replace(back, daylight=True)) == []
    assert night.goes_on(WELL) == []
    assert kinds(night.goes_on(back)) == [Kind.DEGRADED]


def test_a_second_failure_waits_for_the_time_to_pass() -> None:
    night = Night()
    night.goes_on(WELL)
    failed = EndedRun(outcome="restored", reason="No stars.")
    assert len(night.goes_on(Situation(runs_ended=1, run=failed), 2 * LOST_AFTER_S)) == 1
    assert night.goes_on(Situation(runs_ended=2, run=failed), REPEAT_S) == []
    assert len(night.goes_on(Situation(runs_ended=3, run=failed), 2 * LOST_AFTER_S)) == 1


def test_a_failure_that_the_next_run_has_settled_is_not_sent() -> None:
    night = Night()
    night.goes_on(WELL)
    night.goes_on(Situation(runs_ended=1, run=EndedRun(outcome="restored", reason="No stars.")))
    good = EndedRun(outcome="focused", reason="Focused.")
    assert night.goes_on(Situation(runs_ended=2, run=good), REPEAT_S) == []


def test_a_long_reason_is_cut_to_the_cause_and_where_the_focuser_is() -> None:
    night = Night()
    night.goes_on(WELL)
    reason = "Nothing answers. Position was requested. Is it on? The focuser is back at 25400. The exposure is lost."
    (sent,) = night.goes_on(Situation(runs_ended=1, run=EndedRun(outcome="failed", reason=reason)), REPEAT_S)
    assert sent.text == "Nothing answers. The focuser is back at 25400."


def test_a_run_that_ended_before_the_first_poll_is_not_sent() -> None:
    failed = EndedRun(outcome="restored", reason="No stars.")
    assert Night().goes_on(Situation(runs_ended=4, run=failed), 60.0) == []


def test_new_settings_make_a_new_count() -> None:
    night = Night()
    failed = EndedRun(outcome="restored", reason="No stars.")
    night.goes_on(Situation(runs_ended=4, run=failed))
    night.goes_on(WELL)
    assert len(night.goes_on(Situation(runs_ended=1, run=failed), 2 * LOST_AFTER_S)) == 1
