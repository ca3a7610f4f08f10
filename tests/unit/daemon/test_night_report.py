"""When the report of a night is made."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpaca_focus.daemon.night_report import FOLDER, ReportSchedule, last_night
from alpaca_focus.settings.models import Settings
from alpaca_focus.store.run_store import RunStore
from tests.kept_nights import BEGINS, KeptNight

EVENING = BEGINS - timedelta(hours=2)
DAWN = BEGINS + timedelta(hours=10)


class FakeSun:
    """Goes down and comes up with the night of the formula."""

    def altitude_deg(self, at: datetime) -> float:
        return -30.0 if BEGINS - timedelta(hours=1) < at < DAWN else 5.0


@pytest.fixture
def night(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder with the runs of a night."""
    with RunStore(tmp_path) as store:
        for each in KeptNight(rng).runs():
            store.save(each, trigger="time")
    return tmp_path


def settings(directory: Path | None, **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
            "storage": {} if directory is None else {"directory": str(directory)},
            "site": {"latitude_deg": 47.0, "longitude_deg": 0.0},
            **more,
        }
    )


def test_it_is_made_once_when_the_sun_comes_up(night: Path) -> None:
    dawn = ReportSchedule(settings(night), FakeSun())
    assert dawn.report_due(EVENING) is None
    assert dawn.report_due(DAWN - timedelta(minutes=5)) is None
    path = dawn.report_due(DAWN)
    assert path == night / FOLDER / "2026-01-14.html"
    assert path.parent.is_dir()
    dawn.made(DAWN)
    assert dawn.report_due(DAWN + timedelta(hours=1)) is None


def test_one_that_is_there_is_not_made_anew_by_the_next_start(night: Path) -> None:
    path = ReportSchedule(settings(night), FakeSun()).report_due(DAWN)
    assert path is not None
    path.write_text("a report")
    assert ReportSchedule(settings(night), FakeSun()).report_due(DAWN + timedelta(hours=1)) is None
    assert ReportSchedule(settings(night), None).report_due(DAWN + timedelta(hours=3)) is None


def test_a_night_without_work_has_none(night: Path) -> None:
    assert ReportSchedule(settings(night), FakeSun()).report_due(DAWN + timedelta(days=1)) is None


def test_twilight_in_the_evening_is_no_dawn(night: Path, rng: np.random.Generator) -> None:
    with RunStore(night) as store:
        store.save(KeptNight(rng).run(EVENING - timedelta(minutes=5), 25400), trigger="asap")
    assert ReportSchedule(settings(night), FakeSun()).report_due(EVENING) is None


def test_without_a_history_there_is_none(tmp_path: Path) -> None:
    assert ReportSchedule(settings(None), FakeSun()).report_due(DAWN) is None
    assert ReportSchedule(settings(tmp_path), FakeSun()).report_due(DAWN) is None
    assert list(tmp_path.iterdir()) == []


def test_without_the_sun_it_is_made_in_quiet_and_anew_after_more_work(night: Path, rng: np.random.Generator) -> None:
    dawn = ReportSchedule(settings(night), None)
    last = BEGINS + timedelta(hours=8)
    assert dawn.report_due(last + timedelta(minutes=50)) is None
    quiet = last + timedelta(minutes=70)
    path = dawn.report_due(quiet)
    assert path is not None
    path.write_text("a report")
    dawn.made(quiet)
    assert dawn.report_due(quiet + timedelta(hours=1)) is None
    with RunStore(night) as store:
        store.save(KeptNight(rng).run(quiet + timedelta(minutes=30), 25400), trigger="asap")
    assert dawn.report_due(quiet + timedelta(minutes=40)) is None
    assert dawn.report_due(quiet + timedelta(minutes=95)) == path


def test_a_night_is_that_of_the_place() -> None:
    hawaii = settings(None, site={"latitude_deg": 20.0, "longitude_deg": -155.0})
    assert last_night(hawaii, BEGINS).isoformat() == "2026-01-13"
    assert last_night(settings(None), BEGINS).isoformat() == "2026-01-14"
