"""The state of the night on disk: what is written when, and what an earlier version has written."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from alpaca_focus.core.errors import StorageError
from alpaca_focus.core.night.state import Baseline, CorrectionMove, NightState, Patience, Reading, Snapshot
from alpaca_focus.core.night.transitions import (
    correction_begun,
    filter_reported,
    gap_advice_logged,
    image_reported,
    polled,
    refocused,
    run_failed,
)
from alpaca_focus.night import state_store
from alpaca_focus.night.state_store import SAVE_EVERY_S, StateStore, load_state, save_state
from alpaca_focus.store.run_store import RunStore
from tests.fakes import FakeClock

EVENING = datetime(2026, 1, 15, 20, tzinfo=UTC)
MOVE = CorrectionMove(target=24970, steps=-30, what="compensation")
OF_AN_EARLIER_VERSION = """
{"history": {"baseline": {"at": "2026-01-15T20:00:00Z", "position": 25000, "value": NaN}, "images": 3,
  "idle_s": Infinity, "sieve": {"last_c": 4.5, "doubted_c": [], "trouble": "", "ignored": 2},
  "ignored": {"not night": 1}, "squeeze": {"images": 2, "lost_gaps": 1, "told_s": 20.0}},
 "compensated": {"moved_steps": -30, "moves": [[5.0, -30]]}, "plan": "light", "paused": true, "follows": true,
 "told_filter": "Ha", "intention": {"target": 24970, "steps": -30, "what": "compensation"},
 "saved_at": "2026-01-15T21:00:00Z"}
"""


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EventDict]]:
    monkeypatch.setattr(state_store, "_log", structlog.get_logger())
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[RunStore]:
    with RunStore(tmp_path) as store:
        yield store


def test_a_state_of_an_earlier_version_is_read(runs: RunStore) -> None:
    runs.save_night(OF_AN_EARLIER_VERSION)
    state = load_state(runs, datetime(2026, 1, 15, 21, 1, tzinfo=UTC))
    history = state.history
    assert (history.images, history.outliers.last_c, history.outliers.ignored) == (3, 4.5, 2)
    assert (history.gaps.images, history.gaps.lost_gaps, history.gaps.advised_s) == (2, 1, 80.0)
    assert (state.reported_filter, state.unfinished_move, state.paused) == ("Ha", MOVE, True)
    assert (state.compensated.moves, dict(history.ignored)) == (((5.0, -30),), {"not night": 1})


def test_what_is_written_is_read_again(runs: RunStore) -> None:
    state = refocused(NightState(), Baseline(at=EVENING, position=25000, value=2.5))
    for transition in (image_reported, gap_advice_logged):
        state = transition(state)
    state = correction_begun(run_failed(filter_reported(state, "Ha"), Patience()), MOVE)
    save_state(runs, state, EVENING)
    assert load_state(runs, EVENING) == replace(state, saved_at=EVENING)


@pytest.mark.parametrize(("text", "fields"), [("[]", "all"), ("{", "all"), ('{"history": 3}', "history")])
def test_a_state_that_cannot_be_understood_is_a_new_night(
    text: str, fields: str, runs: RunStore, log: list[EventDict]
) -> None:
    runs.save_night(text)
    assert load_state(runs, EVENING) == NightState()
    assert [line["fields"] for line in log] == [fields]


@pytest.mark.parametrize(
    ("good", "spoiled", "fields"),
    [
        ('"plan": "light"', '"plan": "mosaic"', "plan"),
        ('"images": 3', '"images": "many"', "history.images"),
        ('"position": 25000', '"position": null', "history.baseline.position, history.baseline"),
        ('"lost_gaps": 1', '"lost_gaps": []', "history.gaps.lost_gaps"),
        ('"moves": [[5.0, -30]]', '"moves": [[5.0]]', "compensated.moves"),
    ],
)
def test_a_value_that_cannot_be_read_takes_no_other_with_it(
    good: str, spoiled: str, fields: str, runs: RunStore, log: list[EventDict]
) -> None:
    assert good in OF_AN_EARLIER_VERSION
    runs.save_night(OF_AN_EARLIER_VERSION.replace(good, spoiled))
    state = load_state(runs, datetime(2026, 1, 15, 21, 1, tzinfo=UTC))
    assert (state.paused, state.unfinished_move, state.reported_filter) == (True, MOVE, "Ha")
    assert (state.history.outliers.last_c, dict(state.history.ignored)) == (4.5, {"not night": 1})
    assert [(line["log_level"], line["fields"]) for line in log] == [("warning", fields)]


def test_events_are_written_at_once_and_time_once_a_minute(runs: RunStore) -> None:
    clock = FakeClock()
    store = StateStore(runs, clock)
    store.save()

    def saved() -> NightState:
        return load_state(runs, clock.wall())

    store.apply(image_reported, 2.5)
    assert saved().history.images == 1
    quiet = Snapshot(at=EVENING, passed_s=SAVE_EVERY_S / 2)
    for since_s in (0.0, SAVE_EVERY_S):
        clock.now_s += SAVE_EVERY_S / 2
        state = store.apply(polled, quiet, Reading())
        assert state is store.state
        written = runs.night()
        assert written is not None
        assert f'"since_s":{since_s}' in written


def test_a_disk_that_is_full_is_logged_once_and_tried_again(runs: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_store, "_log", structlog.get_logger())
    clock = FakeClock()
    store = StateStore(runs, clock)
    store.save()

    def full(_: str) -> None:
        raise StorageError("The disk is full.")

    with monkeypatch.context() as patched, capture_logs() as log:
        patched.setattr(runs, "save_night", full)
        for images in (1, 2):
            assert store.apply(image_reported).history.images == images
    assert [line["event"] for line in log] == ["The disk is full."]
    # No event, but what could not be written is still to be.
    store.apply(polled, Snapshot(at=EVENING), Reading())
    assert load_state(runs, clock.wall()).history.images == 2


def test_without_a_folder_the_state_lives_in_memory() -> None:
    store = StateStore(None, FakeClock())
    assert store.apply(image_reported).history.images == 1
