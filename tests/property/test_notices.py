"""Whatever happens in a night, notices are sent in good order and not too often."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.core.night.notice_log import LOST_AFTER_S, NoticeLog, Situation, new_notices
from alpaca_focus.core.night.notices import EndedRun, Kind
from alpaca_focus.core.outages import sentences
from alpaca_focus.core.status import PolledDevice

REPEAT_S = 600.0
NAMES = ("camera", "focuser", "mount")
SERVERS = {"camera": "one:11111", "focuser": "one:11111", "mount": "two:11111"}
LOOKS = st.tuples(
    st.floats(0.1, 300.0),
    st.sets(st.sampled_from(NAMES)),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "focused", "restored", "stranded", "failed", "aborted"]),
)


@given(st.lists(LOOKS, max_size=60))
def test_notices_are_sent_in_good_order(polls: list[tuple[float, set[str], bool, bool, str]]) -> None:
    log, now_s, runs = NoticeLog(), 0.0, 0
    lost: set[str] = set()
    silent_since: Mapping[str, float] = {}
    lost_s: dict[str, float] = {}
    for passed_s, silent, cold, daylight, outcome in polls:
        now_s += passed_s
        runs += bool(outcome)
        seen = Situation(
            devices=tuple(
                PolledDevice(kind=kind, name=kind, server=SERVERS[kind], answers=kind not in silent) for kind in NAMES
            ),
            temperature_problem="no reading" if cold else "",
            daylight=daylight,
            runs_ended=runs,
            run=EndedRun(outcome=outcome, reason="So it ended.") if outcome else None,
        )
        silent_since = {name: silent_since.get(name, now_s) for name in silent}
        log, notices = new_notices(log, seen, now_s=now_s, repeat_s=REPEAT_S)
        for each in notices:
            assert len(sentences(each.text)) <= 2
            if each.kind is Kind.DEVICE_BACK:
                assert each.about in lost
                assert each.about not in {SERVERS[name] for name in silent}
                lost.remove(each.about)
            elif each.kind in {Kind.DEVICE_LOST, Kind.SENSOR_LOST}:
                assert not daylight
                # One that is known is sent once more when it lasts.
                assert each.about not in lost or not each.is_repeat
                lost.add(each.about)
                if each.about in SERVERS.values():
                    sinces = [silent_since[name] for name in silent if SERVERS[name] == each.about]
                    assert now_s - min(sinces) >= LOST_AFTER_S
                if not each.is_repeat:
                    assert now_s - lost_s.get(each.about, -REPEAT_S) >= REPEAT_S or each.about in SERVERS.values()
                    lost_s[each.about] = now_s
