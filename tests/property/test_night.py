"""What holds for any night."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.core.night.compensation import (
    Compensated,
    CompensationSettings,
    correction_steps,
    exceeded_limit,
    followed,
    moved,
)
from alpaca_focus.core.night.decisions import decided
from alpaca_focus.core.night.outlier_filter import OutlierFilter
from alpaca_focus.core.night.state import Baseline, NightState, Patience, PierSide, Plan, Reading, Snapshot
from alpaca_focus.core.night.transitions import image_reported, polled, refocused, run_failed
from alpaca_focus.core.night.triggers import (
    AfterImages,
    AfterTime,
    AltitudeChange,
    FilterChange,
    FocusUncertainty,
    HfdRise,
    TemperatureChange,
    as_soon_as_possible,
    meridian_flip,
)
from alpaca_focus.core.temperature import COLDEST_C, WARMEST_C

EVENING = datetime(2026, 1, 15, 20, tzinfo=UTC)
READING = Reading(every_s=10.0, count=5, followed_count=3)
TRIGGERS = (
    as_soon_as_possible,
    TemperatureChange(limit_c=0.3, readings=5),
    AfterImages(3),
    AfterTime(600.0),
    FilterChange(),
    meridian_flip,
    HfdRise(share=0.1, frames=3),
    AltitudeChange(10.0),
    FocusUncertainty(20.0),
)

temperatures = st.one_of(st.none(), st.floats(-25, 25), st.floats(allow_nan=True))
snapshots = st.builds(
    Snapshot,
    at=st.just(EVENING),
    passed_s=st.floats(-1e4, 1e4),
    temperature_c=temperatures,
    filter_name=st.sampled_from([None, "L", "Ha"]),
    pier_side=st.sampled_from(PierSide),
    tracking=st.sampled_from([None, True, False]),
    parked=st.sampled_from([None, True, False]),
    slewing=st.sampled_from([None, True, False]),
    altitude_deg=st.one_of(st.none(), st.floats(-10, 90)),
    exposing=st.booleans(),
    images=st.integers(0, 3),
    plan=st.sampled_from(Plan),
    safe=st.sampled_from([None, True, False]),
    sun_altitude_deg=st.one_of(st.none(), st.floats(-90, 90)),
    probable_defocus_steps=st.one_of(st.none(), st.floats(0, 1000)),
    silent=st.sampled_from([(), ("focuser 0",)]),
)
nights = st.lists(snapshots, max_size=40)


def lived(polls: list[Snapshot]) -> NightState:
    state = NightState()
    for poll in polls:
        state = polled(state, poll, READING)
        if poll.exposing:
            state = image_reported(state, 2.0 + poll.images)
    return state


@given(nights, st.floats(-20, 20))
def test_every_refocus_restarts_every_count(polls: list[Snapshot], at_c: float) -> None:
    state = lived(polls)
    history = state.history
    baseline = Baseline(
        at=EVENING,
        position=25000,
        temperature_c=at_c,
        altitude_deg=history.altitude_deg,
        filter_name=history.filter_name,
    )
    after = refocused(state, baseline).history
    # The model is evaluated at each poll; nothing is counted.
    assert not any(trigger(after).due for trigger in TRIGGERS)
    assert (after.images, after.since_s, after.failures, after.hold_s, after.hfds_px) == (0, 0.0, 0, 0.0, ())


@given(nights, snapshots, st.booleans())
def test_nothing_fires_while_anything_speaks_against_it(polls: list[Snapshot], last: Snapshot, paused: bool) -> None:
    history = lived([*polls, last]).history
    decision = decided(history, last, TRIGGERS, -18.0, paused=paused)
    against = (
        paused
        or last.safe is False
        or last.parked is True
        or last.tracking is False
        or last.slewing is True
        or last.exposing
        or last.silent
        or last.plan in {Plan.DARK, Plan.FLAT, Plan.BIAS}
        or (last.sun_altitude_deg is not None and last.sun_altitude_deg > -18)
    )
    assert not (against and decision.refocus)
    assert decision.refocus == (bool(decision.due) and not against)


@given(nights, st.integers(1, 12))
def test_after_any_number_of_failures_the_wait_is_within_its_bounds(polls: list[Snapshot], failures: int) -> None:
    state, patience = lived(polls), Patience(first_s=600.0, longest_s=4800.0)
    for _ in range(failures):
        state = run_failed(state, patience)
    history = state.history
    assert patience.first_s <= history.hold_s <= patience.longest_s
    assert not decided(history, Snapshot(at=EVENING), TRIGGERS, -18.0, paused=False).refocus


@given(nights)
def test_time_never_runs_backwards(polls: list[Snapshot]) -> None:
    state = NightState()
    for poll in polls:
        after = polled(state, poll, READING)
        assert after.history.since_s >= state.history.since_s
        assert after.history.images >= state.history.images
        state = after


@given(st.lists(temperatures, max_size=60))
def test_only_what_can_be_is_believed(readings: list[float | None]) -> None:
    outliers = OutlierFilter()
    for reading in readings:
        outliers = outliers.take(reading)
        assert outliers.last_c is None or COLDEST_C <= outliers.last_c <= WARMEST_C


class Followed:
    """A focuser that follows by formula."""

    def __init__(self, settings: CompensationSettings) -> None:
        self.settings = settings
        self.state = Compensated()
        self.moves: list[tuple[float, int]] = []

    def poll(self, passed_s: float = 60.0, **shown: Any) -> None:
        conditions = {"temperature_c": None, "altitude_deg": None, "filter_name": None} | shown
        self.state = followed(self.state, self.settings, passed_s=passed_s, **conditions)
        steps = correction_steps(self.state, self.settings)
        if steps and not exceeded_limit(self.state, self.settings, steps):
            self.state = moved(self.state, steps)
            self.moves.append((self.state.clock_s, steps))


@given(st.lists(st.one_of(st.none(), st.floats(-30, 30)), max_size=80), st.floats(-100, 100), st.floats(0.5, 1.0))
def test_the_moves_add_up_to_the_rounded_whole(readings: list[float | None], per_c: float, dead_zone: float) -> None:
    focuser = Followed(CompensationSettings(steps_per_c=per_c, dead_zone_steps=dead_zone))
    for reading in readings:
        focuser.poll(temperature_c=reading)
    known = [each for each in readings if each is not None]
    whole = per_c * (known[-1] - known[0]) if known else 0.0
    # Half a step is the most that rounding can leave; up to the dead zone may wait.
    assert abs(sum(steps for _, steps in focuser.moves) - whole) <= max(0.5, dead_zone) + 1e-6
    assert focuser.state.moved_steps == sum(steps for _, steps in focuser.moves)


@given(
    st.lists(st.tuples(st.floats(-30, 30), st.sampled_from(["L", "Ha"]), st.floats(0, 90)), min_size=1, max_size=60),
    st.floats(-50, 50),
)
def test_each_filter_has_its_own_coefficient_and_fractions_are_carried_over(
    polls: list[tuple[float, str, float]], altitude_steps: float
) -> None:
    per_c = {"L": 20.0, "Ha": 21.7}
    settings = CompensationSettings(steps_per_c=20.0, steps_per_c_through={"Ha": 21.7}, altitude_steps=altitude_steps)
    focuser = Followed(settings)
    whole, before = 0.0, polls[0]
    for at_c, name, altitude_deg in polls:
        focuser.poll(temperature_c=at_c, filter_name=name, altitude_deg=altitude_deg)
        whole += per_c[name] * (at_c - before[0])
        before = (at_c, name, altitude_deg)
    assert abs(focuser.state.moved_steps - whole) <= 1.0 + abs(altitude_steps) + 1e-6


@given(st.lists(st.floats(-30, 30), max_size=80), st.integers(1, 300), st.integers(1, 300), st.floats(1, 4000))
def test_moves_stay_within_their_limits(readings: list[float], per_hour: int, in_all: int, passed_s: float) -> None:
    focuser = Followed(CompensationSettings(steps_per_c=30.0, most_steps_per_hour=per_hour, most_steps=in_all))
    for reading in readings:
        focuser.poll(passed_s=passed_s, temperature_c=reading)
        now_s = focuser.state.clock_s
        assert abs(sum(steps for _, steps in focuser.moves)) <= in_all
        assert sum(abs(steps) for at_s, steps in focuser.moves if at_s > now_s - 3600) <= per_hour


def test_a_positive_coefficient_moves_in_on_a_drop() -> None:
    focuser = Followed(CompensationSettings(steps_per_c=10.0))
    focuser.poll(temperature_c=5.0)
    focuser.poll(temperature_c=4.0)
    assert focuser.moves[0][1] == -10
