"""What runs take from earlier ones, and that no run fails because the disk does."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from alpaca_focus.core.curves.hyperbola import KNOWN
from alpaca_focus.core.values import Outcome
from alpaca_focus.store.run_memory import Memory
from alpaca_focus.store.run_store import FILE_NAME, RunStore
from tests.unit.store.test_run_store import result, sample

TRAIN = "530 mm f/5.00"
CURVE = tuple(sample(position, value) for position, value in ((4850, 8.0), (4925, 4.7), (5075, 4.7), (5150, 8.0)))


@pytest.fixture(autouse=True)
def _plain_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.store.run_memory._log", logging.getLogger("memory"))


def test_nothing_is_known_before_the_first_run(tmp_path: Path) -> None:
    with Memory(tmp_path, TRAIN) as memory:
        assert memory.profile("Ha") is None


def test_a_verified_run_teaches_the_curve_of_its_filter_and_train(tmp_path: Path) -> None:
    with Memory(tmp_path, TRAIN) as memory:
        memory.remember(result(samples=CURVE), trigger="asked for")
        known = memory.profile("Ha")
        assert known is not None
        assert known.best_position == pytest.approx(5000.4)
        assert known.slope_in == pytest.approx(0.05, rel=0.1)
        assert memory.profile("L") is None
    with Memory(tmp_path, "1400 mm f/7.00") as other:
        assert other.profile("Ha") is None


def test_a_run_by_a_known_curve_moves_where_focus_is_expected(tmp_path: Path) -> None:
    first = result(samples=CURVE)
    assert first.fit is not None
    later = result(fit=replace(first.fit, model=KNOWN, best_position=5044.0))
    with Memory(tmp_path, TRAIN) as memory:
        memory.remember(first, trigger="asked for")
        taught = memory.profile("Ha")
        memory.remember(later, trigger="asked for")
        moved = memory.profile("Ha")
    assert taught is not None
    assert moved == replace(taught, best_position=5044.0)


@pytest.mark.parametrize("outcome", [Outcome.RESTORED, Outcome.STRANDED])
def test_a_failed_run_is_saved_and_nothing_is_learned(tmp_path: Path, outcome: Outcome) -> None:
    with Memory(tmp_path, TRAIN) as memory:
        memory.remember(result(samples=CURVE, outcome=outcome), trigger="asked for")
        assert memory.profile("Ha") is None
    with RunStore(tmp_path, read_only=True) as store:
        assert [kept.result.outcome for kept in store.runs()] == [outcome]


def test_one_arm_teaches_nothing_and_is_no_trouble(tmp_path: Path) -> None:
    with Memory(tmp_path, TRAIN) as memory:
        memory.remember(result(samples=CURVE[:3]), trigger="asked for")
        assert memory.profile("Ha") is None


def test_without_a_folder_nothing_is_saved(tmp_path: Path) -> None:
    with Memory(None, TRAIN) as memory:
        memory.remember(result(samples=CURVE), trigger="asked for")
        assert memory.profile("Ha") is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_logged_and_the_run_continues(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with Memory(tmp_path / "file" / "below", TRAIN) as memory:
        memory.remember(result(samples=CURVE), trigger="asked for")
        assert memory.profile("Ha") is None
    assert "The run continues without the history" in caplog.text


def test_a_damaged_history_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database, but long enough to be looked at")
    with Memory(tmp_path, TRAIN) as memory:
        memory.remember(result(samples=CURVE), trigger="asked for")
        assert memory.profile("Ha") is not None
    assert "The history was damaged" in caplog.text


def test_a_full_disk_is_logged_and_the_run_continues(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Memory(tmp_path, TRAIN) as memory:
        assert memory._store is not None
        memory._store._connection.execute("PRAGMA max_page_count = 8")
        memory.remember(result(samples=CURVE * 500), trigger="asked for")
    assert "This run is not in the history" in caplog.text
