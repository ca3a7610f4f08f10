"""Whatever happens in a night, notices are sent in good order and not too often."""

from collections import Counter
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.core.night.notices import LOST_AFTER_S, THERMOMETER, EndedRun, Kind, NoticeLog, Situation, new_notices

REPEAT_S = 600.0
NAMES = ("camera", "focuser", "mount")
LOOKS = st.tuples(
    st.floats(0.1, 300.0),
    st.sets(st.sampled_from(NAMES)),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "focused", "restored", "stranded", "failed", "aborted"]),
)


@given(st.lists(LOOKS, max_size=60))
def test_notices_are_sent_in_good_order(polls: list[tuple[float, set[str], bool, bool, str]]) -> None:
    watched, now_s, runs = NoticeLog(), 0.0, 0
    silent_since: Mapping[str, float] = {}
    told_s: dict[tuple[Kind, str], float] = {}
    lost: set[str] = set()
    count: Counter[Kind] = Counter()
    for passed_s, silent, cold, daylight, outcome in polls:
        now_s += passed_s
        runs += bool(outcome)
        seen = Situation(
            silent=dict.fromkeys(silent, "It does not answer."),
            temperature_problem="no reading" if cold else "",
            daylight=daylight,
            runs_ended=runs,
            run=EndedRun(outcome=outcome, reason="So it ended.") if outcome else None,
        )
        missing = silent | ({THERMOMETER} if cold else set())
        silent_since = {name: silent_since.get(name, now_s) for name in missing}
        watched, notices = new_notices(watched, seen, now_s=now_s, repeat_s=REPEAT_S)
        for each in notices:
            count[each.kind] += 1
            if each.kind is Kind.DEVICE_BACK:
                assert each.about in lost
                assert each.about not in missing
                lost.remove(each.about)
                continue
            assert now_s - told_s.get((each.kind, each.about), -REPEAT_S) >= REPEAT_S
            told_s[each.kind, each.about] = now_s
            if each.kind in {Kind.DEVICE_LOST, Kind.SENSOR_LOST}:
                assert now_s - silent_since[each.about] >= LOST_AFTER_S
                assert not daylight
                lost.add(each.about)
        assert lost <= missing
    assert count[Kind.DEVICE_BACK] <= count[Kind.DEVICE_LOST] + count[Kind.SENSOR_LOST]
