"""Whatever scripts report in whatever order, the camera is never kept for longer than they may."""

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.night.reported_exposures import LONGEST_UNKNOWN_S, SPARE_S, ReportedExposure, ReportedExposures
from tests.fakes import FakeClock

DOWNLOAD_S = 30.0
steps = st.one_of(
    st.tuples(st.just("begin"), st.one_of(st.none(), st.floats(0.001, 3600))),
    st.tuples(st.just("end"), st.none()),
    st.tuples(st.just("wait"), st.floats(0, 5000)),
)


@given(st.lists(steps, max_size=40))
def test_it_is_busy_between_a_begin_and_its_end_or_its_time(reported_steps: list[tuple[str, float | None]]) -> None:
    clock = FakeClock()
    reported = ReportedExposures(clock)
    until_s = 0.0
    for what, number in reported_steps:
        if what == "begin":
            reported.begin(ReportedExposure(seconds=number), download_s=DOWNLOAD_S)
            lasts_s = LONGEST_UNKNOWN_S if number is None else number + DOWNLOAD_S + SPARE_S
            until_s = clock.now_s + lasts_s
        elif what == "end":
            reported.end()
            until_s = clock.now_s
        else:
            clock.now_s += number or 0.0
        assert reported.busy is (clock.now_s < until_s)
