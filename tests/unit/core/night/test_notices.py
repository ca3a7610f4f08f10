"""Which notices are sent to people, and how often."""

from dataclasses import replace

import pytest

from alpaca_focus.core.night.notices import LOST_AFTER_S, EndedRun, Kind, Notice, NoticeLog, Situation, new_notices

CAMERA = "camera 0 (QHY)"
GONE = Situation(silent={CAMERA: "The camera does not answer."})
WELL = Situation()
REPEAT_S = 3600.0


class Night:
    """Polls every ten seconds and collects the notices."""

    def __init__(self) -> None:
        self.watched = NoticeLog()
        self.now_s = 1000.0
        self.sent: list[Notice] = []

    def goes_on(self, seen: Situation, for_s: float = 10.0) -> list[Notice]:
        sent: list[Notice] = []
        ends_s = self.now_s + for_s
        while self.now_s < ends_s:
            self.now_s += 10.0
            self.watched, some = new_notices(self.watched, seen, now_s=self.now_s, repeat_s=REPEAT_S)
            sent += some
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
    assert (lost.kind, lost.about) == (Kind.DEVICE_LOST, CAMERA)
    assert lost.title == "Camera 0 (QHY) does not answer"
    assert lost.text.startswith("The camera does not answer. ")
    assert kinds(night.goes_on(WELL, REPEAT_S)) == [Kind.DEVICE_BACK]


def test_a_device_that_comes_and_goes_is_reported_once_in_the_time() -> None:
    night = Night()
    sent = []
    for _ in range(10):
        sent += night.goes_on(GONE, 2 * LOST_AFTER_S)
        sent += night.goes_on(WELL, 2 * LOST_AFTER_S)
    assert kinds(sent) == [Kind.DEVICE_LOST, Kind.DEVICE_BACK]


def test_a_loss_that_was_held_back_is_sent_afterwards() -> None:
    night = Night()
    night.goes_on(GONE, 2 * LOST_AFTER_S)
    night.goes_on(WELL)
    assert night.goes_on(GONE, REPEAT_S / 2) == []
    assert kinds(night.goes_on(GONE, REPEAT_S)) == [Kind.DEVICE_LOST]


def test_nobody_is_woken_for_devices_that_are_off_by_day() -> None:
    night = Night()
    assert night.goes_on(replace(GONE, daylight=True), REPEAT_S) == []
    assert kinds(night.goes_on(GONE)) == [Kind.DEVICE_LOST]


def test_a_temperature_that_is_not_believed_is_a_lost_sensor() -> None:
    night = Night()
    (lost,) = night.goes_on(Situation(temperature_problem="the thermometer reports no temperature"), 2 * LOST_AFTER_S)
    assert lost.kind is Kind.SENSOR_LOST
    assert "the thermometer reports no temperature" in lost.text
    (back,) = night.goes_on(WELL)
    assert (back.kind, back.title) == (Kind.DEVICE_BACK, "The temperature is back")


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
    sent = night.goes_on(Situation(runs_ended=1, run=replace(run, number=7)), 60.0)
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
    assert len(night.goes_on(Situation(runs_ended=1, run=failed))) == 1
    assert night.goes_on(Situation(runs_ended=2, run=failed), REPEAT_S) == []
    assert len(night.goes_on(Situation(runs_ended=3, run=failed))) == 1


def test_a_run_that_ended_before_the_first_poll_is_not_sent() -> None:
    failed = EndedRun(outcome="restored", reason="No stars.")
    assert Night().goes_on(Situation(runs_ended=4, run=failed), 60.0) == []


def test_new_settings_make_a_new_count() -> None:
    night = Night()
    failed = EndedRun(outcome="restored", reason="No stars.")
    night.goes_on(Situation(runs_ended=4, run=failed))
    night.goes_on(WELL)
    assert len(night.goes_on(Situation(runs_ended=1, run=failed))) == 1
