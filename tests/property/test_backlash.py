"""Whatever the history of moves, the tube ends where the slack is on the same side."""

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.core.sweep.backlash import ApproachMethod, Backlash, Direction, Limits, approach, reachable

LIMITS = Limits(lowest=0, highest=5000)


@given(
    targets=st.lists(st.integers(0, 5000), min_size=1, max_size=12),
    mechanical=st.integers(0, 200),
    extra=st.integers(0, 100),
    arrive=st.sampled_from(Direction),
    slack_at_start=st.floats(0, 1),
)
def test_every_arrival_leaves_the_same_slack(
    targets: list[int], mechanical: int, extra: int, arrive: Direction, slack_at_start: float
) -> None:
    backlash = Backlash(steps=mechanical + extra, arrive=arrive)
    allowed = reachable(LIMITS, backlash)
    motor, tube, taken_up = 2500, 2500 - slack_at_start * mechanical, False
    for wanted in targets:
        target = allowed.clamp(wanted)
        legs = approach(motor, target, backlash=backlash, limits=LIMITS, backlash_taken_up=taken_up)
        for leg in legs:
            assert LIMITS.lowest <= leg <= LIMITS.highest
            # The tube is dragged along once the motor has crossed the gap: it lies in [motor - mechanical, motor].
            motor, tube = leg, min(max(tube, leg - mechanical), leg)
        taken_up = True
        assert motor == target
        assert tube == (target if arrive is Direction.IN else target - mechanical)


@given(
    targets=st.lists(st.integers(0, 5000), min_size=1, max_size=12),
    mechanical=st.integers(0, 200),
    arrive=st.sampled_from(Direction),
)
def test_the_absolute_method_puts_the_tube_where_the_target_says(
    targets: list[int], mechanical: int, arrive: Direction
) -> None:
    backlash = Backlash(steps=mechanical, arrive=arrive, method=ApproachMethod.ABSOLUTE)
    allowed = reachable(LIMITS, backlash)
    slack = 0 if arrive is Direction.IN else mechanical
    here, tube = 2500, 2500 - slack
    for wanted in targets:
        target = allowed.clamp(wanted)
        for leg in approach(here, target, backlash=backlash, limits=LIMITS, backlash_taken_up=True):
            tube = min(max(tube, leg - mechanical), leg)
        here = target
        assert tube == target - slack
