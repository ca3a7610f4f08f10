"""The slack of the simulated focuser, whatever it was sent to before."""

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.simulator.mechanics import Mechanism


@given(
    backlash=st.integers(0, 300),
    targets=st.lists(st.integers(0, 10000), min_size=1, max_size=10),
    pauses_s=st.lists(st.floats(0.1, 200.0), min_size=10, max_size=10),
)
def test_the_tube_never_leaves_the_slack_and_is_dragged_only_at_its_ends(
    backlash: int, targets: list[int], pauses_s: list[float]
) -> None:
    mechanism, now_s = Mechanism(5000, backlash, speed_steps_per_s=100), 0.0
    for target, pause_s in zip(targets, pauses_s, strict=False):
        before_motor, before_tube = mechanism.position(now_s), mechanism.tube(now_s)
        mechanism.start(target, now_s)
        now_s += pause_s
        motor, tube = mechanism.position(now_s), mechanism.tube(now_s)
        assert -0.5 <= tube - motor <= backlash + 0.5
        if motor > before_motor:
            assert tube >= before_tube
        elif motor < before_motor:
            assert tube <= before_tube
